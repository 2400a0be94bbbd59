"""One stage for the tests that provoke errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from exchange.persistence.embedded import EmbeddedPostgres
from tests.gateway.openapi.stage import Stage, open_stage
from tests.users.office import new_target


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that runs."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("stage-postgres") / "postgres", connections=50)
    server.start()
    yield server
    server.stop(10.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A venue whose parts are within reach."""
    async with new_target(postgres) as target, open_stage(target, tmp_path_factory.mktemp("stage")) as opened:
        yield opened
