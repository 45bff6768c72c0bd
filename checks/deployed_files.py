"""Do the files in `deploy/` fit together: what `compose.yaml` mounts, and what Prometheus and Grafana are told?

Their images are not pulled for a check, so what only those could refuse is not tried here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
COMPOSE = DEPLOY / "docker" / "compose.yaml"
SECRETS = "/run/secrets/"

Yaml = Mapping[str, Any]


def prometheus_flags(config: Path, data: Path) -> list[str]:
    """What `compose.yaml` starts Prometheus with, over these two paths."""
    places = {"--config.file": str(config), "--storage.tsdb.path": str(data)}
    flags = (str(flag).partition("=") for flag in _services()["prometheus"]["command"])
    return [f"{name}={places.get(name, value)}" for name, _, value in flags]


def misfits() -> Iterator[str | None]:
    """Look at one thing after the other: ``None`` where it fits, else what does not."""
    services, compose = _services(), _read(COMPOSE)
    for name, service in services.items():
        yield from _mounts(name, service, compose)
        pinned = re.search(r":v?\d+\.\d+\.\d+$", service["image"]) or "build" in service
        yield None if pinned else f"{name}: its image has no full version"
    yield from _scraping(services)
    yield from _grafana(services)


def _mounts(name: str, service: Yaml, compose: Yaml) -> Iterator[str | None]:
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        there = (COMPOSE.parent / source).exists() if source.startswith(".") else source in compose["volumes"]
        yield None if there else f"{name} mounts {source}, which is not there"
    for secret in service.get("secrets", []):
        yield None if secret in compose["secrets"] else f"{name} needs the secret {secret}, which nobody has"
    for line in service.get("environment", []):
        setting, _, value = line.partition("=")
        if value.startswith(SECRETS):
            yield _secret(name, service, value, setting)


def _secret(name: str, service: Yaml, path: str, by: str) -> str | None:
    given = [SECRETS + secret for secret in service.get("secrets", [])]
    return None if path in given else f"{name}: {by} reads {path}, which it is not given"


def _scraping(services: Mapping[str, Yaml]) -> Iterator[str | None]:
    """Prometheus finds its configuration, its rules, its token, and a service at each address."""
    service = services["prometheus"]
    flags = dict(flag.split("=", 1) for flag in service["command"])
    config = _mounted(service, PurePosixPath(flags["--config.file"]))
    yield None if config == DEPLOY / "prometheus" / "prometheus.yml" else "Prometheus is not given prometheus.yml"
    settings = _read(DEPLOY / "prometheus" / "prometheus.yml")
    for pattern in settings["rule_files"]:
        rules = _mounted(service, PurePosixPath(flags["--config.file"]).parent / pattern)
        yield None if rules and any(rules.parent.glob(rules.name)) else f"no rule is found under {pattern}"
    for job in settings["scrape_configs"]:
        if "authorization" in job:
            yield _secret("prometheus", service, job["authorization"]["credentials_file"], job["job_name"])
        for target in (target for group in job["static_configs"] for target in group["targets"]):
            host, _, port = target.partition(":")
            known = host == "localhost" or port in _ports(services.get(host, {}))
            yield None if known else f"no service answers at {target}"


def _grafana(services: Mapping[str, Yaml]) -> Iterator[str | None]:
    """Grafana finds its data source, its dashboards, and the one it opens on."""
    service = services["grafana"]
    provisioning = DEPLOY / "grafana" / "provisioning"
    given = _mounted(service, PurePosixPath("/etc/grafana/provisioning"))
    yield None if given == provisioning else "Grafana is not given its provisioning"
    scraped_every = _read(DEPLOY / "prometheus" / "prometheus.yml")["global"]["scrape_interval"]
    sources = set()
    for source in _read(provisioning / "datasources" / "prometheus.yml")["datasources"]:
        sources.add(source["uid"])
        url = urlsplit(source["url"])
        known = str(url.port) in _ports(services.get(str(url.hostname), {}))
        yield None if known else f"no service answers at {source['url']}"
        fits = source["jsonData"]["timeInterval"] == scraped_every
        yield None if fits else f"the data source says that it is scraped every {source['jsonData']['timeInterval']}"
    found = set()
    for provider in _read(provisioning / "dashboards" / "belltower.yml")["providers"]:
        folder = _mounted(service, PurePosixPath(provider["options"]["path"]))
        found |= set(folder.glob("*.json")) if folder else set()
    yield None if found else "no dashboard is provisioned"
    home = next(line.partition("=")[2] for line in service["environment"] if "HOME_DASHBOARD" in line)
    yield None if _mounted(service, PurePosixPath(home)) in found else f"Grafana opens on {home}, which is not there"
    for path in sorted(found):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        kinds = {variable["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "datasource"}
        asked = set(re.findall(r'"datasource": \{[^}]*"uid": "([^"]+)"', json.dumps(dashboard["panels"])))
        for uid in sorted(asked):
            known = uid in sources or (uid == "${datasource}" and kinds == {"prometheus"})
            yield None if known else f"{path.name} asks the data source {uid}, which is not provisioned"


def _services() -> Mapping[str, Yaml]:
    services: Mapping[str, Yaml] = _read(COMPOSE)["services"]
    return services


def _mounted(service: Yaml, inside: PurePosixPath) -> Path | None:
    """The file of the checkout that ``service`` sees at ``inside``."""
    for volume in service["volumes"]:
        source, target = str(volume).split(":")[:2]
        if source.startswith(".") and inside.is_relative_to(target):
            return (COMPOSE.parent / source / inside.relative_to(target)).resolve()
    return None


def _ports(service: Yaml) -> set[str]:
    """The ports, inside its container, that a service publishes: those are the ones it listens on."""
    return {published.rpartition(":")[2] for published in service.get("ports", [])}


def _read(path: Path) -> Yaml:
    content: Yaml = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content
