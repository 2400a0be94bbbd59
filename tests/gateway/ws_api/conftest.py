"""A venue and a connection for each test."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator

import pytest

from tests.gateway.ws_api.client import Client, Identity
from tests.gateway.ws_api.stage import BOB, Stage, opened


@pytest.fixture
async def stage(tmp_path: pathlib.Path) -> AsyncIterator[Stage]:
    """A venue with the limits of a live one."""
    async with opened(tmp_path) as made:
        yield made


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[Client]:
    """A connection to it."""
    async with stage.connect() as made:
        yield made


@pytest.fixture
async def alice(stage: Stage) -> Identity:
    """A key of an account with money."""
    return (await stage.key())[1]


@pytest.fixture
async def bob(stage: Stage) -> Identity:
    """A key of another one."""
    return (await stage.key(BOB))[1]
