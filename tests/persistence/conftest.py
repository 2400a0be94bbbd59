"""A PostgreSQL server for the session, and an empty or migrated database of its own for every test that asks."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import AsyncIterator, Iterator

import pytest

from exchange.persistence.database import Connection, Target
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.persistence.migrate import migrate
from exchange.settings import Settings, load

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A running server; its folder is `postgres` of a directory of its own."""
    running = EmbeddedPostgres(tmp_path_factory.mktemp("server") / "postgres", connections=50)
    running.start()
    yield running
    running.stop(10.0)


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Settings:
    """The settings of a demo in a directory of its own."""
    return load({}, demo=True, data_dir=tmp_path / "var")


@pytest.fixture
async def empty_target(server: EmbeddedPostgres, settings: Settings) -> AsyncIterator[Target]:
    """A database without anything in it; it is dropped afterwards, whoever is still connected."""
    whole = Target.of(settings, server.folder)
    name = f"test_{next(_numbers)}"
    maintenance = await whole.connect("tests")
    await maintenance.execute(f"create database {name}")
    yield whole._replace(arguments=whole.arguments | {"database": name})
    await maintenance.execute(f"drop database {name} with (force)")
    await maintenance.close()


@pytest.fixture
async def target(empty_target: Target) -> Target:
    """A database with every migration."""
    connection = await empty_target.connect("tests")
    await migrate(connection)
    await connection.close()
    return empty_target


@pytest.fixture
async def connection(target: Target) -> AsyncIterator[Connection]:
    """A connection to the migrated database."""
    opened = await target.connect("tests")
    yield opened
    await opened.close()


@pytest.fixture
def environ(target: Target, server: EmbeddedPostgres) -> dict[str, str]:
    """The settings with which a process finds the migrated database, as an external server's."""
    return {
        "DB_HOST": str(server.folder),
        "DB_USER": target.arguments["user"],
        "DB_NAME": target.arguments["database"],
        "DB_SSL_MODE": "disable",
    }
