"""A key ring as one start of the exchange has it, on a real local log and a real PostgreSQL."""

from __future__ import annotations

import pathlib
from typing import Any

from exchange.persistence.database import Database
from exchange.users.keyring import KeyRing
from exchange.users.keys import Key
from exchange.users.local_log import LocalLog
from exchange.users.sealing import Sealer

ALICE, BOB, NOBODY = 16, 17, 99
MASTER_KEY = bytes(range(32))


class Process:
    """What one start of the exchange has: a local log and a ring on it."""

    def __init__(
        self, path: pathlib.Path, database: Database | None, *, demo: bool = False, master_key: bytes = MASTER_KEY
    ) -> None:
        self.log = LocalLog(path)
        self.log.load()
        self.ring = KeyRing(self.log, Sealer(master_key), database, demo=demo, unrestricted_key_ttl_s=3600.0)
        self.log.compact()

    async def end(self) -> None:
        """A graceful stop."""
        await self.ring.stop()
        self.log.close()


def names(*found: Key | None) -> list[str | None]:
    """What keys are called."""
    return [None if key is None else key.api_key for key in found]


async def rows(database: Database) -> dict[str, Any]:
    """exchange_user.api_keys by name."""
    async with database.connection() as connection:
        found = await connection.fetch("select * from exchange_user.api_keys")
    return {row["api_key"]: row for row in found}


async def execute(database: Database, statement: str, *arguments: object) -> None:
    """One statement by hand."""
    async with database.connection() as connection:
        await connection.execute(statement, *arguments)


def failing(*_: object) -> None:
    """A system call on a disk that fails."""
    raise OSError(5, "Input/output error")
