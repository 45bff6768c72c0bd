"""The settings: the environment, over `.env` in the working folder, over `.env` in the home, read once."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from platformdirs import user_data_path
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    PrivateAttr,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from orchestration.domain.errors import DefinitionError, nearest
from orchestration.schema import explain

PREFIX = "BELLTOWER_"
"""What the names of our own settings begin with in the environment; 003's have no prefix."""
SHORTEST_HISTORY_DAYS = 7
_SHARED = "003"

_log = logging.getLogger(__name__)


@dataclass
class OrchestrationConfig:
    """The settings that a `WorkflowEngine` needs, for scripts; durations in seconds."""

    max_concurrent_tasks: int = 5
    default_task_timeout: int = 300
    workflow_timeout: int = 3600
    enable_retry: bool = True
    max_retries: int = 3
    health_check_interval: int = 60


def default_home() -> Path:
    """Return the platform's folder for the user's data."""
    return user_data_path("belltower", appauthor=False)


def _shared(default: Any) -> Any:
    """A setting of 003: its name in the environment is the field's in upper case."""
    return Field(default, json_schema_extra={"origin": _SHARED})


def _zone(value: object) -> object:
    if isinstance(value, str):
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{value!r} is no time zone; write one like America/New_York") from None
    return value


def _symbols(value: object) -> object:
    symbols = value.split(",") if isinstance(value, str) else value
    if not isinstance(symbols, list | tuple):
        return value
    named = tuple(str(symbol).strip().upper() for symbol in symbols if str(symbol).strip())
    if not named:
        raise ValueError("it names no symbol; write some, such as AAPL,IBM, or leave it out")
    return named


def _limits(value: object) -> object:
    if not isinstance(value, str):
        return value
    limits: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        name, sign, most = part.partition("=")
        if not sign or not name.strip():
            raise ValueError(f"{part!r} is no limit; write names with numbers, such as economist=2,senior_analyst=1")
        limits[name.strip()] = most.strip()
    return limits


def _paper_only(mode: str) -> str:
    if mode == "live":
        raise ValueError("there is no live broker yet: leave it at paper")
    return mode


def _history(days: int) -> int:
    if 0 < days < SHORTEST_HISTORY_DAYS:
        raise ValueError(
            f"it is {days}: the daemon looks at the runs of its last days; give {SHORTEST_HISTORY_DAYS} or more, or 0"
        )
    return days


class _Environment(PydanticBaseSettingsSource):
    """Finds each setting under its one name; a field ``home`` never reads ``$HOME``."""

    def __init__(self, settings: type[BaseSettings], environment: Mapping[str, str]) -> None:
        super().__init__(settings)
        self._environment = environment

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._environment.get(environment_name(field_name)), field_name, False

    def __call__(self) -> dict[str, Any]:
        named = {field: environment_name(field) for field in self.settings_cls.model_fields}
        return {field: self._environment[name] for field, name in named.items() if name in self._environment}


Limits = Annotated[Mapping[str, PositiveInt], BeforeValidator(_limits)]


class TradingConfig(BaseSettings):
    """Every setting; as a constructor argument by its field name, in the environment by `environment_name`.

    Durations are in seconds. Raises `DefinitionError` for a wrong value and for a ``BELLTOWER_…`` that does not exist.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    env: str = _shared("development")
    max_concurrent_tasks: PositiveInt = _shared(5)
    default_task_timeout: PositiveInt = _shared(300)
    workflow_timeout: PositiveInt = _shared(3600)
    market_open_time: time | None = _shared(None)
    market_close_time: time | None = _shared(None)
    timezone: Annotated[str | None, BeforeValidator(_zone)] = _shared(None)
    enable_retry: bool = _shared(True)
    max_retries: NonNegativeInt = _shared(3)
    retry_base_delay: NonNegativeFloat = _shared(1.0)
    retry_max_delay: NonNegativeFloat = _shared(60.0)
    health_check_interval: PositiveInt = _shared(60)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = _shared("INFO")
    metrics_enabled: bool = _shared(True)
    alert_webhook_url: str | None = _shared(None)

    home: Path = Field(default_factory=default_home)
    database_url: str | None = None
    agent_limits: Limits | None = None
    task_type_limits: Limits | None = None
    calendar: str = "XNYS"
    mode: Annotated[Literal["paper", "live"], AfterValidator(_paper_only)] = "paper"
    data: str = "replay"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    allow_public: bool = False
    metrics_token_file: Path | None = None
    history_days: Annotated[NonNegativeInt, AfterValidator(_history)] = 400
    symbols: Annotated[tuple[str, ...] | None, BeforeValidator(_symbols)] = None

    _environment: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @property
    def store_url(self) -> str:
        """Where the store is: `database_url`, else a SQLite file in the home."""
        return self.database_url or f"sqlite:///{self.home / 'belltower.db'}"

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise DefinitionError(_explain(error)) from None
        self._environment = read_environment(self.home)

    @property
    def environment(self) -> Mapping[str, str]:
        """What ``${env:NAME}`` may read where a workflow lists NAME: the environment, over the two `.env` files."""
        return self._environment

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Constructor arguments first, then one environment made of all three places."""
        home = init_settings().get("home")
        environment = read_environment(None if home is None else Path(home))
        _refuse_unknown(environment)
        return init_settings, _Environment(settings_cls, environment)


def environment_name(field: str) -> str:
    """Return the name of the setting ``field`` in the environment."""
    extra = TradingConfig.model_fields[field].json_schema_extra
    shared = isinstance(extra, dict) and extra.get("origin") == _SHARED
    return field.upper() if shared else f"{PREFIX}{field.upper()}"


def read_environment(home: Path | None) -> Mapping[str, str]:
    """Return the environment over `.env` here over `.env` in the home (``None``: where those two say it is).

    Where the home is can't be said in the home: its own `.env` may not name another one.
    """
    here = _read_dotenv(Path(".env")) | dict(os.environ)
    name = f"{PREFIX}HOME"
    where = home or (Path(here[name]) if name in here else default_home())
    there = _read_dotenv(where / ".env")
    if name in there and Path(".env").resolve() != (where / ".env").resolve():
        raise DefinitionError(f"{where / '.env'}: {name} can't be set here; set it in the environment or a ./.env")
    return there | here


def _read_dotenv(path: Path) -> dict[str, str]:
    try:
        return (
            {name: value for name, value in dotenv_values(path).items() if value is not None} if path.is_file() else {}
        )
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path} can't be read: {error}") from error


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    """Refuse an unknown name of ours; warn of one that was probably meant to be one of 003's."""
    names = [environment_name(field) for field in TradingConfig.model_fields]
    for name in sorted(environment):
        if name in names:
            continue
        if name.startswith(PREFIX):
            raise DefinitionError(f"{name} is no setting{nearest(name, [n for n in names if n.startswith(PREFIX)])}")
        meant = get_close_matches(name, names, n=1, cutoff=0.9)
        if meant:
            _log.warning("%s is no setting and is ignored; did you mean %s?", name, meant[0])


def _explain(error: ValidationError) -> str:
    field = str(error.errors()[0]["loc"][0])
    if field not in TradingConfig.model_fields:
        return f"{field!r} is no setting{nearest(field, TradingConfig.model_fields)}"
    said = explain(error, TradingConfig)
    return said.replace(field, f"{environment_name(field)} (setting {field!r})", 1)
