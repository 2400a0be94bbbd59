"""PostgreSQL as a witness at the start: a command that it has the events of was acknowledged.

Owns the one question that is asked before recovery. A server that can not be reached, or does not answer within
CONNECT_S, testifies nothing: the projector asks again when it claims the projection. Never writes.
"""

from __future__ import annotations

import asyncio
import logging

import asyncpg

from exchange.persistence.database import CONNECT_S, Target
from exchange.persistence.sqlstate import explain

log = logging.getLogger("exchange.postgres")


class ForeignDatabase(Exception):
    """The database holds the projection of another venue; a sentence."""


async def projected_sequence(target: Target, cluster_id: bytes) -> int:
    """The last command that the projection holds the events of; 0 when it holds none or can not be asked.

    Raises ForeignDatabase.
    """
    try:
        async with asyncio.timeout(CONNECT_S):
            row = await _row(target)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        log.warning("PostgreSQL (%s) can not be asked what it has seen: %s", target.words, explain(error))
        return 0
    if row is None:
        return 0
    if row["cluster_id"] != cluster_id:
        raise ForeignDatabase(
            f"The database ({target.words}) holds the history of another venue: its cluster id is "
            f"{row['cluster_id'].hex()}, this data directory's is {cluster_id.hex()}. Name another one in DB_NAME."
        )
    return int(row["applied_sequence"])


async def _row(target: Target) -> asyncpg.Record | None:
    connection = await target.connect("exchange witness")
    try:
        if not await connection.fetchval("select to_regclass('exchange_order.projection') is not null"):
            return None
        return await connection.fetchrow("select cluster_id, applied_sequence from exchange_order.projection")
    finally:
        connection.terminate()
