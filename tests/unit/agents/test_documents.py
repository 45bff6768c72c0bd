"""The pages on agents say what is there."""

import re
from pathlib import Path
from typing import Any

from tests.unit.agents.conftest import NEW_YORK, Room

DOCS = Path(__file__).parents[3] / "docs"


def test_the_reference_lists_every_task_type_under_its_agent(room: Room) -> None:
    listed: dict[str, set[str]] = {}
    for section in (DOCS / "reference" / "agents.md").read_text().split("\n## ")[1:]:
        name, _, body = section.partition("\n")
        listed[name.strip()] = set(re.findall(r"^\| `(\w+)` \|", body, flags=re.MULTILINE))
    for name, agent in room.agents().items():
        assert listed[name] == agent.task_types


async def test_the_example_of_an_agent_works(room: Room) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "howto" / "add-an-agent.md").read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {"__name__": "my_desk"}
    exec("\n".join(blocks), names)  # noqa: S102 (our own page, run as a reader would)
    agents = names["my_agents"](
        market_data=room.market, broker=room.broker, clock=room.clock, desk=room.desk, timezone=NEW_YORK
    )
    assert agents["spread_watcher"].task_types == {"spread_check"}
    assert "costs" in (await agents["spread_watcher"].execute_spread_check({}))["conclusion"]
