"""Say by exit code whether the daemon of this home is ready: ``python -m orchestration.health_check``.

Supervisors run it every few seconds, so it uses the standard library only.
"""

import http.client
import json
import os
import sys
from pathlib import Path

TIMEOUT_S = 2
_HOME = "BELLTOWER_HOME"
_MOST_BYTES = 65536
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (what is listened on, and where that is reached)


def main() -> int:
    """Return 0 when the daemon is ready, else 1 with one line that says why not."""
    why_not = look(find_home())
    sys.stdout.write("ready\n" if why_not is None else f"not ready: {' '.join(why_not.split())}\n")
    return 0 if why_not is None else 1


def find_home() -> Path:
    """Return BELLTOWER_HOME, else the platform's folder for the user's data, as `TradingConfig` does.

    The environment comes first, then `.env` in the working folder.
    """
    if home := os.environ.get(_HOME) or _from_dotenv(Path(".env")):
        return Path(home)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "belltower"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "belltower"
    data = os.environ.get("XDG_DATA_HOME", "").strip()
    return (Path(data) if data else Path.home() / ".local" / "share") / "belltower"


def _from_dotenv(path: Path) -> str | None:
    """The home that a ``.env`` names; the last one counts. References to other variables are not followed here."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    found = None
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and name.removeprefix("export ").strip() == _HOME:
            found = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    quote = value[:1]
    if quote in {"'", '"'} and quote in value[1:]:
        return value[1:].partition(quote)[0]
    return value.partition(" #")[0].rstrip()


def look(home: Path) -> str | None:
    """Return why the daemon of ``home`` is not ready, ``None`` when it is."""
    path = home / "daemon.json"
    try:
        address = json.loads(path.read_bytes())["address"]
        host, port = str(address["host"]), int(address["port"])
    except FileNotFoundError:
        return f"no daemon runs: there is no {path}; start belltower run, or set BELLTOWER_HOME to its home"
    except OSError as error:
        return f"{path} can't be read: {error.strerror}"
    except (ValueError, TypeError, LookupError):
        return f"{path} is no file of a daemon"
    return _ask(_ANYWHERE.get(host, host), port)


def _ask(host: str, port: int) -> str | None:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health/ready")
        answer = json.loads(connection.getresponse().read(_MOST_BYTES))
    except (OSError, http.client.HTTPException) as error:
        return f"the daemon at {host} port {port} does not answer: {str(error) or type(error).__name__}"
    except ValueError:
        return f"what listens at {host} port {port} is no Belltower"
    finally:
        connection.close()
    if not isinstance(answer, dict) or "ready" not in answer:
        return f"what listens at {host} port {port} is no Belltower"
    if answer["ready"] is True:
        return None
    reasons = answer.get("reasons")
    return "; ".join(map(str, reasons)) if isinstance(reasons, list) and reasons else "it gives no reason"


if __name__ == "__main__":
    sys.exit(main())
