"""A PostgreSQL server for tests, a database of its own for each, and people in it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable

from exchange.persistence.database import Connection, Database, Target
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.settings import load

_numbers = itertools.count(1)


@contextlib.asynccontextmanager
async def new_database(server: EmbeddedPostgres) -> AsyncIterator[Database]:
    """A pool on a new, migrated database; both are gone afterwards."""
    settings = load({}, demo=True)
    root = Target.of(settings, server.folder)
    name = f"people_{next(_numbers)}"
    admin = await root.connect("test")
    await admin.execute(f"create database {name}")
    await admin.close()
    database = Database(Target({**root.arguments, "database": name}, name), settings, "test")
    assert await database.start(60.0)
    try:
        yield database
    finally:
        await database.stop()
        admin = await root.connect("test")
        await admin.execute(f"drop database {name} with (force)")
        await admin.close()


async def add_person(connection: Connection, account: int, *, totp: bool = False) -> None:
    """A row of exchange_user.users, the least that it may be."""
    await connection.execute(
        "insert into exchange_user.users (account, email, password_hash, status, totp_enabled, totp_sealed) "
        "values ($1, $2, 'none', 'active', $3, $4)",
        account,
        f"person{account}@example.org",
        totp,
        b"seed" if totp else None,
    )


async def until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # what it waits for has no event
            await asyncio.sleep(0.01)
