"""Compares the projection with the engine at one sequence: what `exchange projection verify` does.

Owns the order: a transaction that sees one moment of PostgreSQL, the engine's state at the sequence of that moment
computed from the files, its rows in temporary tables, and the queries of `comparisons.py`. Changes nothing, beside a
running server too. Everything that differs is named; what is equal is counted.
"""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from exchange.core.state import State
from exchange.persistence import engine_rows
from exchange.persistence.comparisons import BEGUN, COMPARISONS, TEMPORARY, UNKNOWN
from exchange.persistence.database import Connection, Target
from exchange.persistence.engine_rows import Row
from exchange.persistence.renaming import renamed
from exchange.progress import ShowProgress

NAMED_MAX = 5
"""Differences that one comparison names; more are only said to be there."""
PATIENCE = {"idle_in_transaction_session_timeout": "0", "lock_timeout": "30000"}
"""Settings of a session that replays for minutes inside a transaction."""


class NothingProjected(Exception):
    """There is no projection to compare; a sentence."""


class Report(NamedTuple):
    """What a verification found."""

    sequence: int
    event: int
    first_event: int
    details_from: int
    """Of amendments and prevented matches; later than `first_event` in a projection that is older than their tables."""
    compared: tuple[str, ...]
    """Names of the comparisons, in order."""
    differences: dict[str, list[str]]
    """Sentences by the name of their comparison; empty: the projection equals the engine."""

    def sentences(self) -> Iterable[str]:
        """The report for people."""
        since = "" if self.first_event == 1 else f" History begins with event {self.first_event}."
        if self.details_from > self.first_event:
            since += f" Amendments and prevented matches begin with event {self.details_from}."
        where = f"sequence {self.sequence} (event {self.event})"
        if not self.differences:
            yield f"The projection equals the engine at {where}; {len(self.compared)} comparisons.{since}"
            return
        yield f"The projection differs from the engine at {where}.{since}"
        for name, found in self.differences.items():
            yield f"{name}:"
            yield from (f"  {sentence}" for sentence in found)


async def verify(target: Target, data_dir: pathlib.Path, progress: ShowProgress, suffix: str = "") -> Report:
    """Compare the projection that `target` has, in the schemas with `suffix`, with the files in `data_dir`.

    Raises NothingProjected, engine_rows.CannotCompute, asyncpg.PostgresError, OSError.
    """
    connection = await target.connect("exchange verify", statement_ms=0, **PATIENCE)
    try:
        if not await connection.fetchval(
            "select to_regclass($1) is not null", renamed("exchange_order.projection", suffix)
        ):
            raise NothingProjected("The database has no projection yet: it was never migrated. Start the server once.")
        await connection.execute(renamed(TEMPORARY, suffix))
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _verify(connection, data_dir, progress, suffix)
    finally:
        await connection.close(timeout=5.0)


async def _verify(connection: Connection, data_dir: pathlib.Path, progress: ShowProgress, suffix: str) -> Report:
    at = await connection.fetchrow(renamed("select * from exchange_order.projection", suffix))
    if at is None:
        raise NothingProjected("Nothing was projected yet.")
    sequence, event = at["applied_sequence"], at["applied_event"]
    state = await asyncio.to_thread(engine_rows.state_at, data_dir, sequence, progress)
    differences: dict[str, list[str]] = {}
    engine_event = int(state.header[0].event_count)
    if engine_event != event:
        differences["watermark"] = [f"The projection stands at event {event}, the engine at {engine_event}."]
    await connection.execute(renamed(BEGUN, suffix))
    await _copy(connection, state)
    await connection.execute(renamed(UNKNOWN, suffix))
    for comparison in COMPARISONS:
        query = f"select sentence from ({renamed(comparison.sql, suffix)}) as found (sentence) limit {NAMED_MAX + 1}"
        found = [row["sentence"] for row in await connection.fetch(query)]
        if found:
            more = ["And more."] if len(found) > NAMED_MAX else []
            differences.setdefault(comparison.name, []).extend(found[:NAMED_MAX] + more)
    names = tuple(comparison.name for comparison in COMPARISONS)
    return Report(sequence, event, at["first_event"], at["details_from"], names, differences)


async def _copy(connection: Connection, state: State) -> None:
    """The engine's rows into temporary tables, which a read-only transaction may write."""
    tables: dict[str, tuple[Iterable[Row], Any]] = {
        "engine_balances": (engine_rows.balance_rows(state), None),
        "engine_assets": (engine_rows.asset_rows(state), None),
        "engine_symbols": (engine_rows.symbol_rows(state), engine_rows.SYMBOL_COLUMNS),
        "engine_lists": (engine_rows.open_list_rows(state), engine_rows.LIST_COLUMNS),
        "engine_trades": (engine_rows.trade_counts(state), None),
        "engine_counters": ([(int(state.header[0].next_order_id) - 1,)], None),
    }
    for table, (rows, columns) in tables.items():
        await connection.copy_records_to_table(table, records=rows, columns=columns)
    for orders in (engine_rows.open_order_rows(state), engine_rows.closed_order_rows(state)):
        await connection.copy_records_to_table("engine_orders", records=orders, columns=engine_rows.ORDER_COLUMNS)
    await connection.execute("analyze engine_orders; analyze engine_balances")
