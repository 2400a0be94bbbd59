"""One PostgreSQL for the session; one office for each module that asks, one database for each test that does."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from exchange.persistence.database import Database
from exchange.persistence.embedded import EmbeddedPostgres
from tests.users.databases import add_person, migrated
from tests.users.office import Office, new_target, open_office
from tests.users.rings import ALICE, BOB


@pytest.fixture(scope="session")
def people_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that runs."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("people") / "postgres", connections=100)
    server.start()
    yield server
    server.stop(10.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(people_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    """A venue with people; tests share it and bring people of their own."""
    async with new_target(people_server) as target, open_office(target, tmp_path_factory.mktemp("office")) as opened:
        yield opened


@pytest.fixture
async def database(people_server: EmbeddedPostgres) -> AsyncIterator[Database]:
    """A database in which alice, who uses a second factor, and bob are registered."""
    async with new_target(people_server) as target, migrated(target) as made:
        async with made.connection() as connection:
            await add_person(connection, ALICE, totp=True)
            await add_person(connection, BOB)
        yield made


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where the local log is."""
    return tmp_path / "keyring.jsonl"
