"""One PostgreSQL for the session, one office for each module that asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from exchange.persistence.embedded import EmbeddedPostgres
from tests.users.office import Office, new_target, open_office


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
