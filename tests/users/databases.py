"""A database of its own for a test, and people in it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from exchange.persistence.database import Connection, Database, Target
from exchange.settings import load


@contextlib.asynccontextmanager
async def migrated(target: Target) -> AsyncIterator[Database]:
    """A pool on a database that has the schema."""
    database = Database(target, load({}, demo=True), "tests")
    assert await database.start(60.0)
    try:
        yield database
    finally:
        await database.stop()


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
