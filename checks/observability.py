"""``make observability``: a real Prometheus finds data for every panel, and every alert rule is tried.

``build/observability.json`` says of each case how much was tried, how much of that failed, and how. ``QUICK=1`` tells
the simulated day faster. What only the images in ``compose.yaml`` could show is not tried: the Prometheus is Debian's,
and of Grafana the files are read.
"""

import asyncio
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from checks.daemon_process import BrokenPromiseError, Daemon
from checks.deployed_files import misfits
from checks.exposed_day import exposed, new_metrics, tell_day, tell_every_trouble
from checks.packages import NotInstalledError, install
from checks.real_prometheus import NotFoundError, Prometheus, free_port, prometheus, tool, waited_for

ROOT = Path(__file__).parents[1]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
OUTCOME = ROOT / "build" / "observability.json"
TOKEN = "only-for-this-check-" + 20 * "x"

VARIABLES = {"$__rate_interval": "1m", "$__range": "5m", "$__interval": "15s", "$instance": ".+"}
"""What Grafana would put for its variables; a panel with another one fails, since Prometheus refuses it."""
BEFORE_THE_OPEN = datetime(2012, 12, 12, 14, tzinfo=UTC)
"""When the daemon is started: the desk's morning, so that it has work."""
LIMIT_S = 60.0
"""How long something is waited for, that takes a second or two on a machine with nothing else to do."""
SEVERITIES = {"critical", "warning"}
_SELECTOR = re.compile(r"\b(?:belltower_\w+|process_\w+|up)\b(?:\{[^}]*\})?")


class Findings:
    """What was tried, and what failed, by case."""

    def __init__(self) -> None:
        self._tried: dict[str, int] = {}
        self._failed: dict[str, list[str]] = {}

    def tried(self, case: str, problem: str | None) -> None:
        """Count one try of ``case``; ``problem``, if any, is what was wrong."""
        self._tried[case] = self._tried.get(case, 0) + 1
        failed = self._failed.setdefault(case, [])
        if problem is not None:
            failed.append(problem)
            sys.stdout.write(f"observability: {case}: {problem}\n")

    def write(self, path: Path) -> bool:
        """Write the outcome; whether nothing failed."""
        cases = {
            case: {"tried": tried, "failed": len(self._failed[case]), "problems": self._failed[case]}
            for case, tried in self._tried.items()
        }
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(cases, indent=2) + "\n", encoding="utf-8")
        for case, tried in self._tried.items():
            sys.stdout.write(f"{case:<18} {tried - len(self._failed[case]):>3} of {tried:>3}\n")
        return not any(self._failed.values())


def rules() -> Sequence[Mapping[str, Any]]:
    """Every alert rule."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((PROMETHEUS / "rules").glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def check_files(findings: Findings) -> None:
    """What can be said of the rules without a server: promtool's own tests, and that each rule has some."""
    for path in sorted((PROMETHEUS / "rules").glob("*.yml")):
        tool("promtool", "check", "rules", str(path))
    tests = sorted((PROMETHEUS / "tests").glob("*.yml"))
    tool("promtool", "test", "rules", *map(str, tests))
    fires, keeps_still = _expectations(tests)
    for rule in rules():
        name = rule["alert"]
        findings.tried("rule has tests", None if name in fires else f"no test sees {name} fire")
        findings.tried("rule has tests", None if name in keeps_still else f"no test sees {name} keep still")
        known = rule["labels"]["severity"] in SEVERITIES and rule["annotations"]["summary"].strip()
        findings.tried("rule has words", None if known else f"{name} needs a severity and a summary")


def _expectations(tests: Sequence[Path]) -> tuple[set[str], set[str]]:
    """The alerts that some test expects to fire, and those that some test expects not to."""
    fires, keeps_still = set(), set()
    for path in tests:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for expected in test.get("promql_expr_test", []):
                found = re.search(r'alertname="(\w+)"', expected["expr"])
                if found is None:
                    continue
                if not expected["exp_samples"]:
                    keeps_still.add(found[1])
                elif "firing" in expected["expr"]:
                    fires.add(found[1])
    return fires, keeps_still


def check_panels(findings: Findings, server: Prometheus) -> None:
    """Send the expression of every panel: it must give numbers."""
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in _panels(json.loads(path.read_text(encoding="utf-8"))):
            for target in panel["targets"]:
                problem = _wrong_with(server, _filled_in(target["expr"]))
                findings.tried("panel", problem and f"{path.stem}, {panel['title']}: {problem}")


def _panels(dashboard: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    rows = [panel for panel in dashboard["panels"] if panel["type"] == "row"]
    inside = [panel for row in rows for panel in row.get("panels", [])]
    yield from (panel for panel in [*dashboard["panels"], *inside] if panel["type"] not in {"row", "text"})


def _filled_in(expression: str) -> str:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def _wrong_with(server: Prometheus, expression: str) -> str | None:
    """Why ``expression`` shows nothing, or ``None``."""
    try:
        samples = server.ask(expression)
    except NotFoundError as error:
        return str(error)
    if not samples:
        return f"no data for {expression}"
    unknown = [labels for labels, value in samples if math.isnan(value)]
    return f"NaN for {expression}: {unknown}" if unknown else None


def check_rules(findings: Findings, server: Prometheus) -> None:
    """On a good day every rule finds what it watches, and none has anything to say."""
    waited_for(lambda: _states(server), LIMIT_S, "Prometheus has looked at its rules")
    for rule in rules():
        name, state = rule["alert"], _states(server).get(rule["alert"], "missing")
        findings.tried("rule is quiet", None if state == "inactive" else f"{name} is {state} on a good day")
        for selector in sorted(set(_SELECTOR.findall(rule["expr"]))):
            problem = _wrong_with(server, selector)
            findings.tried("rule has data", problem and f"{name}: {problem}")


def _states(server: Prometheus) -> dict[str, str]:
    """By alert, ``inactive``, ``pending`` or ``firing``, or what is wrong with its rule."""
    groups = server.get("rules", type="alert")["groups"]
    return {
        rule["name"]: rule["state"]
        if rule["health"] == "ok"
        else f"not well: {rule.get('lastError') or rule['health']}"
        for group in groups
        for rule in group["rules"]
    }


def check_troubles(findings: Findings, server: Prometheus, good_port: int) -> None:
    """Every rule is tried: with a desk in every trouble, one that tells nothing, and one that does not answer."""
    troubled, _ = new_metrics()
    silent, _ = new_metrics(enabled=False)
    idle, _ = new_metrics()
    with (
        exposed(troubled.render, TOKEN) as first,
        exposed(silent.render, TOKEN) as second,
        exposed(idle.render, TOKEN) as third,
    ):
        idle.set_phase("intraday")
        server.scrape([good_port, first, second, third, free_port()])
        waited_for(lambda: server.up(first) and server.up(third), LIMIT_S, "the troubled desks are scraped")
        asyncio.run(tell_every_trouble(troubled))
        for rule in rules():
            findings.tried("rule is raised", _not_raised(server, rule["alert"]))


def _not_raised(server: Prometheus, name: str) -> str | None:
    """Wait for the alert; ``None`` once it is there."""
    try:
        waited_for(lambda: _states(server)[name] in {"pending", "firing"}, LIMIT_S, f"{name} is raised")
    except NotFoundError as error:
        return str(error)
    return None


def check_metrics(findings: Findings, server: Prometheus, rendered: str) -> None:
    """Every metric has a help, a type and data."""
    about = server.get("metadata", limit="1000")
    families = re.findall(r"^# TYPE (\S+) (\S+)$", rendered, re.MULTILINE)
    for name, kind in families:
        said = about.get(name, [{"help": "", "type": "unknown"}])[0]
        well = said["help"] and said["type"] == kind
        findings.tried("metric has words", None if well else f"{name}: help or type is missing")
        series = f"{name}_count" if kind == "histogram" else name
        problem = _wrong_with(server, series)
        if problem is None and kind == "histogram" and not any(value for _, value in server.ask(series)):
            problem = "nothing was observed"
        findings.tried("metric has data", problem and f"{name}: {problem}")


def check_daemon(findings: Findings, folder: Path, expected: str) -> None:
    """The daemon itself is scraped, with its token, while it works, and tells of everything that it should."""
    token_file = folder / "daemon-token"
    token_file.write_text(f"{TOKEN}\n", encoding="utf-8")
    names = sorted(set(re.findall(r"^# TYPE (belltower_\S+)", expected, re.MULTILINE)))
    histograms = set(re.findall(r"^# TYPE (\S+) histogram$", expected, re.MULTILINE))
    settings = {"BELLTOWER_METRICS_TOKEN_FILE": str(token_file)}
    with Daemon(folder / "home", BEFORE_THE_OPEN, settings=settings, settable=False) as daemon:
        try:
            daemon.wait_ready()
            port, _ = daemon.port_and_token()
            with prometheus(PROMETHEUS, folder / "2", TOKEN, [port]) as server:
                waited_for(lambda: server.up(port), LIMIT_S, "the daemon is scraped")
                waited_for(lambda: server.ask("belltower_ready == 1"), LIMIT_S, "the daemon is ready")
                done = 'belltower_tasks_total{outcome="completed"} > 0'
                waited_for(lambda: server.ask(done), LIMIT_S, "a task is done")
                for name in names:
                    missing = not server.ask(f"{name}_count" if name in histograms else name)
                    findings.tried("daemon's metric", f"the daemon says nothing of {name}" if missing else None)
                waits = server.ask("belltower_task_queue_wait_seconds_count > 0")
                findings.tried("daemon's metric", None if waits else "no task says how long it was queued")
            daemon.stop()
        except NotFoundError as error:
            raise NotFoundError(f"{error}; the daemon said: {daemon.tail()}") from error
    findings.tried("daemon ends well", None)


def main() -> int:
    """Print what is wrong; 0 when nothing is."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    quick = os.environ.get("QUICK", "") not in {"", "0"}
    findings = Findings()
    try:
        install("prometheus", "libfaketime")
        sys.stdout.write(f"{tool('prometheus', '--version').splitlines()[0]}\n")
        for misfit in misfits():
            findings.tried("deployed files", misfit)
        check_files(findings)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="belltower-observability-")))
            metrics, clock = new_metrics()
            port = stack.enter_context(exposed(metrics.render, TOKEN))
            server = stack.enter_context(prometheus(PROMETHEUS, folder / "1", TOKEN, [port]))
            waited_for(lambda: server.up(port), LIMIT_S, "the desk is scraped")
            day = tell_day(metrics, clock, lasts_s=15 if quick else 40)
            findings.tried("day", None if day["status"] == "completed" else f"the simulated day is {day['status']}")
            closed = 'belltower_session_phase{phase="closed"} == 1'
            waited_for(lambda: server.ask(closed), LIMIT_S, "the day's end is scraped")
            check_panels(findings, server)
            check_metrics(findings, server, metrics.render().decode())
            check_rules(findings, server)
            check_troubles(findings, server, port)
            check_daemon(findings, folder, metrics.render().decode())
    except (NotFoundError, NotInstalledError, BrokenPromiseError, subprocess.SubprocessError) as error:
        findings.tried("all", str(error))
    return 0 if findings.write(OUTCOME) else 1


if __name__ == "__main__":
    sys.exit(main())
