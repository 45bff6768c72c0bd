"""Who does the work of the desk."""

from importlib import import_module
from typing import TYPE_CHECKING

_HOMES = {
    "BaseAgent": "agents.base",
    "build_agents": "agents.desk",
}

if TYPE_CHECKING:
    from agents.base import BaseAgent as BaseAgent
    from agents.desk import build_agents as build_agents
else:

    def __getattr__(name: str) -> object:
        """Import a public name from its home on first use (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value

    def __dir__() -> list[str]:
        return [*globals(), *_HOMES]

    __all__ = list(_HOMES)
