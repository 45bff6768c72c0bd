"""The files of `deploy/` fit together, and a misfit is noticed."""

import shutil
from pathlib import Path

import pytest

from checks import deployed_files
from checks.deployed_files import misfits, prometheus_flags

COMPOSE = "docker/compose.yaml"
SCRAPING = "prometheus/prometheus.yml"
SOURCE = "grafana/provisioning/datasources/prometheus.yml"


def test_the_files_fit_together() -> None:
    assert [misfit for misfit in misfits() if misfit] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (COMPOSE, "../prometheus/rules:", "../prometheus/rule:", "mounts ../prometheus/rule, which is not there"),
        (COMPOSE, "home:/var", "house:/var", "mounts house"),
        (COMPOSE, "prom/prometheus:v3.5.0", "prom/prometheus:latest", "no full version"),
        (COMPOSE, "run/secrets/metrics_token", "run/secrets/other", "reads /run/secrets/other"),
        (COMPOSE, "dashboards/trading-day.json", "dashboards/night.json", "opens on"),
        (COMPOSE, "config.file=/etc/prometheus/p", "config.file=/etc/p", "not given prometheus.yml"),
        (SCRAPING, "rules/*.yml", "alerts/*.yml", "no rule is found"),
        (SCRAPING, "orchestration:8000", "orchestration:8001", "no service answers at orchestration:8001"),
        (SCRAPING, "run/secrets/metrics_token", "run/secrets/grafana_password", "is not given"),
        (SOURCE, "prometheus:9090", "prometheus:9091", "no service answers at http://prometheus:9091"),
        (SOURCE, "timeInterval: 15s", "timeInterval: 30s", "every 30s"),
    ],
)
def test_a_misfit_is_noticed(
    file: str, old: str, new: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy = tmp_path / "deploy"
    shutil.copytree(deployed_files.DEPLOY, deploy)
    text = (deploy / file).read_text(encoding="utf-8")
    assert old in text
    (deploy / file).write_text(text.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(deployed_files, "DEPLOY", deploy)
    monkeypatch.setattr(deployed_files, "COMPOSE", deploy / COMPOSE)
    assert said in "\n".join(misfit for misfit in misfits() if misfit)


def test_prometheus_is_started_with_the_flags_of_compose() -> None:
    flags = prometheus_flags(Path("/c.yml"), Path("/data"))
    assert flags[:2] == ["--config.file=/c.yml", "--storage.tsdb.path=/data"]
    assert any(flag.startswith("--storage.tsdb.retention.time=") for flag in flags)
