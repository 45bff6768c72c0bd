"""What the tests of whole desks begin with."""

import pytest

from orchestration import wiring
from orchestration.config import TradingConfig, environment_name
from tests.desk import exchange


@pytest.fixture(scope="session", autouse=True)
def _warm() -> None:
    """Pay once for what every desk imports in a thread, before any test looks at a clock or at warnings."""
    wiring.preload_figures()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from outside, and calendars that are built once."""
    for field in TradingConfig.model_fields:
        monkeypatch.delenv(environment_name(field), raising=False)
    monkeypatch.setattr(wiring, "open_desk_calendar", lambda config: exchange(config.calendar))
