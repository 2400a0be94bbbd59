"""Migrations: numbered SQL files, each applied once, forward only, in a transaction of its own.

Owns the table `public.exchange_migrations`, which is made before the first file. One runner at a time, by an advisory
lock of the session. Never edits or skips: a file that changed after it was applied, and a database that knows more
files than this build, are refused.
"""

from __future__ import annotations

import hashlib
import pathlib

import asyncpg

FOLDER = pathlib.Path(__file__).with_name("migrations")
SERVER_MAJOR_MIN = 15
"""Older ones have no MERGE."""
_LOCK = 0x65786368616E6765
"""The word "exchange": the key of the advisory lock."""
_TABLE = """
create table if not exists public.exchange_migrations (
    name text primary key, sha256 text not null, applied_at timestamptz not null default now()
)
"""


class SchemaRefused(Exception):
    """The database has other migrations than this build, or its server is too old; a sentence."""


def files() -> list[pathlib.Path]:
    """The migrations of this build, in order."""
    return sorted(FOLDER.glob("[0-9][0-9][0-9][0-9]_*.sql"))


async def migrate(connection: asyncpg.Connection) -> list[str]:
    """Bring the database up to this build; returns the names of what was applied now.

    Raises SchemaRefused, asyncpg.PostgresError, OSError.
    """
    major = connection.get_server_version().major
    if major < SERVER_MAJOR_MIN:
        raise SchemaRefused(f"The server is PostgreSQL {major}; {SERVER_MAJOR_MIN} or newer is needed.")
    if await is_current(connection):
        return []
    await connection.execute("select pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(_TABLE)
        applied = await _applied(connection)
        done = []
        for path in files():
            text = path.read_text(encoding="utf-8")
            if path.name in applied:
                continue
            async with connection.transaction():
                await connection.execute("set local statement_timeout = 0")  # an index of a large table takes its time
                await connection.execute(text)
                await connection.execute(
                    "insert into public.exchange_migrations (name, sha256) values ($1, $2)", path.name, _digest(text)
                )
            done.append(path.name)
        return done
    finally:
        await connection.execute("select pg_advisory_unlock($1)", _LOCK)


async def is_current(connection: asyncpg.Connection) -> bool:
    """Whether the database has exactly the migrations of this build. Raises SchemaRefused."""
    if not await connection.fetchval("select to_regclass('public.exchange_migrations') is not null"):
        return False
    return (await _applied(connection)).keys() == {path.name for path in files()}


async def _applied(connection: asyncpg.Connection) -> dict[str, str]:
    applied = dict(await connection.fetch("select name, sha256 from public.exchange_migrations"))
    ours = {path.name: _digest(path.read_text(encoding="utf-8")) for path in files()}
    if unknown := sorted(applied.keys() - ours.keys()):
        raise SchemaRefused(
            f"The database is newer than this build: it has {', '.join(unknown)}. Start the newer build."
        )
    if changed := sorted(name for name in applied if applied[name] != ours[name]):
        raise SchemaRefused(
            f"{', '.join(changed)} was changed after it was applied; put the file back and add a new one."
        )
    return applied


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
