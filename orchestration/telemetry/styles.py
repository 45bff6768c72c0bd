"""How statuses, kinds of day and names look on a terminal; without colours every word still says it all."""

from collections.abc import Iterable, Sequence

from rich.text import Text

_STATUS_STYLES = {
    "completed": "green",
    "filled": "green",
    "failed": "bold red",
    "timeout": "bold red",
    "rejected": "red",
    "interrupted": "bold red",
    "expired": "yellow",
    "cancelled": "yellow",
    "retrying": "yellow",
    "skipped": "dim",
    "market_closed": "dim",
    "running": "cyan",
}
_KEPT = {"fomc": "FOMC", "vix": "VIX"}


def spoken(name: str) -> str:
    """Return ``pre_market`` as ``pre market``, ``fomc_preview`` as ``FOMC preview``."""
    return " ".join(_KEPT.get(word, word) for word in name.replace("_", " ").split())


def status_text(status: str, words: str = "") -> Text:
    """Return ``words`` (default the status itself) in the status's colour."""
    return Text(words or spoken(status), style=_STATUS_STYLES.get(status, ""))


def count_text(counts: Iterable[tuple[str, int]]) -> Text:
    """Return ``81 completed, 1 failed``; ``none`` for nothing."""
    parts = [status_text(status, f"{number} {spoken(status)}") for status, number in counts if number]
    return Text(", ").join(parts) if parts else Text("none")


def day_type_text(kinds: Sequence[str]) -> Text:
    """Return the kinds of day in brackets, those out of the ordinary in bold."""
    parts = [
        Text(spoken(kind), style="" if kind in {"standard", "market_closed"} else "bold magenta") for kind in kinds
    ]
    return Text.assemble("[", Text(", ").join(parts), "]")
