"""What a simulation was made of, kept in its folder, so that it can be made again."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from orchestration.config import TradingConfig
from orchestration.domain.errors import DefinitionError
from orchestration.ports.trading_calendar import TradingCalendar

NAME = "simulation.json"
VERSION = 1
_SETTINGS = (
    "max_concurrent_tasks",
    "default_task_timeout",
    "workflow_timeout",
    "market_open_time",
    "market_close_time",
    "timezone",
    "enable_retry",
    "max_retries",
    "retry_base_delay",
    "retry_max_delay",
    "agent_limits",
    "task_type_limits",
    "data",
    "symbols",
)
"""The settings on which a day depends; no other is kept, since some are secrets."""
_FILES = ("desk.yaml", "calendar.yaml", "earnings.csv", "days")
"""What a home holds of a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """``config`` has the folder as its home, where the desk's files are as they were."""

    config: TradingConfig
    dates: tuple[date, ...]
    seed: int


def keep_recipe(
    folder: Path, config: TradingConfig, calendar: TradingCalendar, dates: Sequence[date], seed: int
) -> None:
    """Write into ``folder`` what a simulation of ``dates`` needs beside the program and the prices."""
    settings = config.model_dump(mode="json", include=set(_SETTINGS))
    if config.data != "replay":
        settings["data"] = str(Path(config.data).absolute())
    for name in _FILES:
        kept = config.home / name
        if kept.is_dir():
            shutil.copytree(kept, folder / name)
        elif kept.is_file():
            shutil.copy2(kept, folder / name)
    recipe = {
        "version": VERSION,
        "calendar": calendar.code,
        "dates": [on.isoformat() for on in dates],
        "seed": seed,
        "settings": settings,
    }
    (folder / NAME).write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")


def read_recipe(folder: Path) -> Recipe | None:
    """Return what the simulation in ``folder`` was made of; ``None``: nothing says so.

    Raises `DefinitionError` for one that can't be read.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        recipe: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = recipe["version"]
        if version > VERSION:
            raise DefinitionError(f"{path} was written by a newer Belltower (version {version}): upgrade")
        return Recipe(
            config=TradingConfig(home=folder, calendar=recipe["calendar"], **recipe["settings"]),
            dates=tuple(date.fromisoformat(on) for on in recipe["dates"]),
            seed=int(recipe["seed"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DefinitionError(f"{path} can't be read ({error!r}): restore it, or simulate the day again") from error
