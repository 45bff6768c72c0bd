"""A desk in memory behind the real application, asked without a network."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import ASGIApp

from orchestration.api.app import create_app
from orchestration.api.guard import Guard
from orchestration.api.tokens import sha256_of
from tests.unit.api.fake_desk import FakeDesk

TOKEN = "t" * 43
METRICS_TOKEN = "m" * 43


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def app(desk: FakeDesk) -> ASGIApp:
    guard = Guard([sha256_of(TOKEN)], metrics_tokens=[sha256_of(METRICS_TOKEN)])
    return create_app(
        desk, guard=guard, metrics=lambda: (b"up 1\n", "text/plain; version=0.0.4; charset=utf-8"), version="1.2.3"
    )


@pytest.fixture
async def http(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with the right token."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://desk", headers=headers) as client:
        yield client


@pytest.fixture
async def stranger(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A caller without a token."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        yield client
