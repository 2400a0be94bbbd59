"""The projection: a batch of events becomes rows, exactly once.

Owns the one transaction of a batch and the row `projection`, which says how far the projection is and who may write it.

    claim ──► epoch + 1, owner = us ──► what the folds must remember is loaded
    apply ──► fold ──► begin ──► position moves, by compare and set ──► COPY of new rows, merges of changes ──► commit
    fill  ──► the same for amendments and prevented matches of events from before there were tables for them

A projection belongs to one connection. After any exception neither is of use: terminate the connection and claim anew.
That also settles a commit whose reply was lost, because the row then says whether the batch took place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exchange.persistence.copying import Columns, Table, copy
from exchange.persistence.fold import Folded, Position, fold
from exchange.persistence.fold_details import AMENDMENTS, PREVENTED_MATCHES, fold_details
from exchange.persistence.fold_lists import LISTS_ENDED, ORDER_LISTS
from exchange.persistence.fold_market import AGG_TRADES, CANDLES, TRADES
from exchange.persistence.fold_orders import CHANGES, ORDERS
from exchange.persistence.merging import (
    SESSION,
    STAGED,
    insert_amendments,
    merge_balances,
    merge_candles,
    merge_lists,
    merge_orders,
    merge_symbols,
    staging,
)
from exchange.persistence.postings import BALANCES, ENTRIES, POSTINGS
from exchange.persistence.reference import Reference
from exchange.persistence.schemas import Schemas, make_partitions
from exchange.persistence.slots import Slots


class Superseded(Exception):
    """Another projector has claimed the projection after us; a sentence."""


class ProjectionRefused(Exception):
    """The database does not belong to this venue, or knows more than its journal; a sentence."""


class ProjectionDiffers(Exception):
    """The tables do not hold what the events continue; a sentence."""


class Moved(Exception):
    """The position is not the one that we left: claim anew."""


@dataclass
class Claimant:
    """Who claims: one process, through all its connections."""

    cluster_id: bytes
    token: str
    epoch: int = 0
    """Of the last claim; 0: none yet."""


class Projection:
    """A claimed projection on one connection. `claim`, then `apply` batch after batch."""

    def __init__(self, connection: Any, schemas: Schemas, claimant: Claimant, row: Any) -> None:
        self.position = Position(row["applied_event"], row["applied_sequence"], row["applied_ts_ns"])
        self.first_event: int = row["first_event"]
        self.details_from: int = row["details_from"]
        """Amendments and prevented matches of events from here on are there."""
        self.details_filled: bool = row["details_filled"]
        """Nobody looks for older ones any more."""
        self._connection = connection
        self._schemas = schemas
        self._claimant = claimant
        self._reference = Reference()
        self._months: set[int] = set()

    @classmethod
    async def claim(
        cls,
        connection: Any,
        schemas: Schemas,
        claimant: Claimant,
        start: Position = Position(),  # noqa: B008  # a tuple
    ) -> Projection:
        """Become the one who may write; the row is made, standing at `start`, when there is none.

        Raises Superseded, ProjectionRefused, and what asyncpg raises.
        """
        await connection.execute(SESSION)
        for table in STAGED:
            await connection.execute(staging(table))
        row = await _claim(connection, schemas.order, claimant, start)
        projection = cls(connection, schemas, claimant, row)
        await projection._load()
        return projection

    async def apply(self, events: Any, *, durable: bool = False) -> int:
        """Write what the events, (n, 128) u1, of whole commands from `position` on say, in one transaction.

        `durable` waits until it and all before it is on the server's disk. Returns how many rows were written. Raises
        Moved, ProjectionDiffers, fold_orders.OrdersDiffer, and what asyncpg raises.
        """
        folded = fold(events, self.position.event + 1, self._reference)
        await self._begin(durable)
        await self._move(folded.position)
        rows = await self._write(folded)
        await self._connection.execute("commit")
        self.position = folded.position
        self._months.update(folded.months)
        return rows

    async def fill(self, events: Any, first_event: int) -> int:
        """Write the amendments and prevented matches of `events`, (n, 128) u1, the last ones before `details_from`.

        Returns how many rows were written. Raises what `apply` raises.
        """
        slots = Slots(events, first_event)
        details = fold_details(slots)
        await self._begin(durable=False)
        await self._move_details(first_event, filled=False)
        rows = await self._write_details(details, slots.last_event, slots.last_sequence)
        await self._connection.execute("commit")
        self.details_from = first_event
        return rows

    async def end_filling(self) -> None:
        """Note that there are no older events to `fill` from. Raises what `apply` raises."""
        await self._begin(durable=True)
        await self._move_details(self.details_from, filled=True)
        await self._connection.execute("commit")
        self.details_filled = True

    async def flush(self) -> None:
        """Wait until everything applied is on the server's disk. Raises what `apply` raises."""
        await self._begin(durable=True)
        await self._move(self.position)
        await self._connection.execute("commit")

    async def _begin(self, durable: bool) -> None:
        await self._connection.execute("begin; set local synchronous_commit = on" if durable else "begin")

    async def _move(self, position: Position) -> None:
        moved = await self._connection.fetchval(
            f"update {self._schemas.order}.projection "
            "set applied_event = $1, applied_sequence = $2, applied_ts_ns = $3 "
            "where applied_event = $4 and epoch = $5 and owner = $6 returning true",
            *position,
            self.position.event,
            self._claimant.epoch,
            self._claimant.token,
        )
        if not moved:
            raise Moved("The projection was moved or claimed by somebody else.")

    async def _move_details(self, details_from: int, *, filled: bool) -> None:
        moved = await self._connection.fetchval(
            f"update {self._schemas.order}.projection set details_from = $1, details_filled = $2 "
            "where details_from = $3 and epoch = $4 and owner = $5 returning true",
            details_from,
            filled,
            self.details_from,
            self._claimant.epoch,
            self._claimant.token,
        )
        if not moved:
            raise Moved("The projection was claimed by somebody else.")

    async def _write(self, folded: Folded) -> int:
        schemas = self._schemas
        for month_ns in folded.months:
            if month_ns not in self._months:
                await make_partitions(self._connection, schemas, month_ns)
        for asset in folded.assets:
            await self._connection.execute(f"insert into {schemas.order}.assets values ($1, $2, $3)", *asset)
        for symbol in folded.symbols:
            await self._connection.execute(merge_symbols(schemas), *symbol)
        rows = len(folded.assets) + len(folded.symbols)
        rows += await copy(self._connection, schemas.order, ORDERS, folded.orders)
        rows += await copy(self._connection, schemas.clearing, ENTRIES, folded.entries)
        rows += await copy(self._connection, schemas.clearing, POSTINGS, folded.postings)
        rows += await copy(self._connection, schemas.market, TRADES, folded.trades)
        rows += await copy(self._connection, schemas.market, AGG_TRADES, folded.agg_trades)
        rows += await copy(self._connection, schemas.order, ORDER_LISTS, folded.order_lists)
        rows += await self._merge(CHANGES, folded.order_changes, merge_orders(schemas))
        rows += await self._merge(LISTS_ENDED, folded.lists_ended, merge_lists(schemas))
        details = folded.amendments, folded.prevented_matches
        rows += await self._write_details(details, folded.position.event, folded.position.sequence)
        rows += await self._merge(BALANCES, folded.balances, merge_balances(schemas))
        rows += await self._merge(CANDLES, folded.candles, merge_candles(schemas))
        return rows

    async def _write_details(self, details: tuple[Columns, Columns], event: int, sequence: int) -> int:
        """After the orders: what an amendment left of the quantity is counted back from how its order stands."""
        amendments, prevented_matches = details
        rows = await copy(self._connection, self._schemas.order, PREVENTED_MATCHES, prevented_matches)
        return rows + await self._merge(AMENDMENTS, amendments, insert_amendments(self._schemas), event, sequence)

    async def _merge(self, table: Table, columns: Columns, statement: str, *arguments: int) -> int:
        """Stage differences and merge them; each must have met, or become, one row."""
        staged = await copy(self._connection, None, table, columns)
        if not staged:
            return 0
        merged = int((await self._connection.execute(statement, *arguments)).rsplit(" ", 1)[1])
        if merged != staged:
            raise ProjectionDiffers(f"{staged - merged} of {staged} rows in {table.name} change what is not there.")
        return staged

    async def _load(self) -> None:
        reference, schemas = self._reference, self._schemas
        for row in await self._connection.fetch(f"select asset, scale from {schemas.order}.assets"):
            reference.scale[row["asset"]] = row["scale"]
        symbols = await self._connection.fetch(
            f"select symbol, base_asset, quote_asset, base_atoms_per_lot from {schemas.order}.symbols"
        )
        for row in symbols:
            reference.know_symbol(*row)


async def _claim(connection: Any, schema: str, claimant: Claimant, start: Position) -> Any:
    """Write epoch and owner into the row; returns it."""
    await connection.execute(
        f"insert into {schema}.projection values (true, $1, $2, $3, $4, $5, 0, '', $2) on conflict do nothing",
        claimant.cluster_id,
        start.event + 1,
        *start,
    )
    row = await connection.fetchrow(f"select * from {schema}.projection")
    if row["cluster_id"] != claimant.cluster_id:
        raise ProjectionRefused(
            f"The database holds the history of another venue ({row['cluster_id'].hex()}, and this is "
            f"{claimant.cluster_id.hex()}). Name another database, or the data directory that belongs to it."
        )
    if row["owner"] != claimant.token:
        if claimant.epoch and row["epoch"] > claimant.epoch:
            raise Superseded(f"Another projector has claimed the projection (epoch {row['epoch']}).")
        row = await connection.fetchrow(
            f"update {schema}.projection set epoch = greatest(epoch, $1) + 1, owner = $2 "
            "where epoch = $3 and owner = $4 returning *",
            claimant.epoch,
            claimant.token,
            row["epoch"],
            row["owner"],
        )
        if row is None:
            raise Moved("Somebody else claimed the projection at the same time.")
    claimant.epoch = row["epoch"]
    return row
