"""A history that begins behind a snapshot, because the events before it were retired.

Owns what a rebuild writes before its first event: assets, symbols, balances and orders as the snapshot has them, and
either the older rows of the live projection, when they add up to exactly that snapshot, or one entry of opening
balances (kind 0). Never takes over an older row that does not add up. Runs in one transaction of the caller.
"""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import snapshots
from exchange import checkpoint
from exchange.core.codes import EventKind
from exchange.core.state import State
from exchange.persistence import engine_rows
from exchange.persistence.candle_queries import COLUMNS, SECONDS, longer
from exchange.persistence.comparisons import CLOSED
from exchange.persistence.database import Connection
from exchange.persistence.fold import Position
from exchange.persistence.intervals import MONTH, SPANS, floor_ns
from exchange.persistence.renaming import REBUILD, renamed
from exchange.persistence.schemas import Schemas, make_partitions
from journal.segments import list_segments, read_header
from journal.storage import Directory

_NEW = Schemas.suffixed(REBUILD)
_MONTH = SPANS[MONTH]
_REDUCED, _PREVENTED = int(EventKind.ORDER_REDUCED), int(EventKind.PREVENTED)
OPENING_KIND = 0
"""Of the entry that holds opening balances; no event has it."""


class NoBeginning(Exception):
    """Neither the journal nor a snapshot says how the history began; a sentence."""


class Opening(NamedTuple):
    """Where the events of a rebuild begin, and what lies before."""

    position: Position
    first_event: int
    words: str
    """A sentence about it; "" when the journal begins with the first event."""


def find_beginning(data_dir: pathlib.Path) -> checkpoint.Checkpoint | None:
    """The oldest usable snapshot that the event journal continues; None: it begins with the first event.

    Raises NoBeginning, journal.format.Corrupt, OSError.
    """
    storage = Directory(data_dir / "journal" / "events")
    ids = list_segments(storage)
    first = read_header(storage, ids[0]).first_sequence if ids else 1
    if first == 1:
        return None
    for path in reversed(snapshots.list_snapshots(data_dir / "snapshots")):
        try:
            found = checkpoint.load(path)
        except (checkpoint.Unusable, FileNotFoundError):
            continue
        if found.event_count >= first - 1:
            return found
    raise NoBeginning(
        f"The event journal begins with event {first}, and no usable snapshot goes on from there. Put retired segments "
        "or an older snapshot back."
    )


async def open_history(connection: Connection, begin: checkpoint.Checkpoint, cluster_id: bytes) -> Opening:
    """Write what lies before the first event of the journal into the new schemas. Raises what asyncpg raises."""
    state = begin.state
    position = Position(begin.event_count, begin.sequence, int(state.header[0].ts_ns))
    await _copy_state(connection, state)
    kept = await _carry_over(connection, state, position, cluster_id)
    if kept is not None:
        first_event, details_from = kept
        words = f"The events before {position.event + 1} are no longer in the journal; their rows were taken over."
    else:
        first_event = details_from = position.event + 1
        await _open_ledger(connection, state, position)
        words = (
            f"The history begins with event {first_event}: older ones are neither in the journal nor whole in the "
            "projection that was there."
        )
    await connection.execute(
        f"insert into {_NEW.order}.projection values (true, $1, $2, $3, $4, $5, 0, '', $6)",
        cluster_id,
        first_event,
        *position,
        details_from,
    )
    return Opening(position, first_event, words)


async def _copy_state(connection: Connection, state: State) -> None:
    copy = connection.copy_records_to_table
    await copy("assets", schema_name=_NEW.order, records=engine_rows.asset_rows(state))
    await copy(
        "symbols", schema_name=_NEW.order, records=engine_rows.symbol_rows(state), columns=engine_rows.SYMBOL_COLUMNS
    )
    await copy("balances", schema_name=_NEW.clearing, records=engine_rows.balance_rows(state))
    for orders in (engine_rows.open_order_rows(state), engine_rows.closed_order_rows(state)):
        await copy("orders", schema_name=_NEW.order, records=orders, columns=engine_rows.ORDER_COLUMNS)
    lists = engine_rows.open_list_rows(state)
    await copy("order_lists", schema_name=_NEW.order, records=lists, columns=engine_rows.LIST_COLUMNS)


async def _open_ledger(connection: Connection, state: State, position: Position) -> None:
    """The entry of opening balances."""
    await make_partitions(connection, _NEW, int(floor_ns([position.ts_ns], _MONTH)[0]))
    await connection.execute(
        f"insert into {_NEW.clearing}.entries values ($1, $2, $3, {OPENING_KIND}, 0, 0, 0, 0, 0, 0)",
        *(position.event, position.ts_ns, position.sequence),
    )
    await connection.execute(
        f"insert into {_NEW.clearing}.postings (account, asset, event, ts_ns, available_delta, locked_delta) "
        f"select account, asset, $1, $2, available, locked from {_NEW.clearing}.balances",
        *(position.event, position.ts_ns),
    )


# ---- what the live projection has of the time before --------------------------------------------------------------

_FITS = f"""
select first_event, least(details_from, $2 + 1) as details_from from exchange_order.projection
where cluster_id = $1 and first_event <= $2 and applied_event >= $2
  and not exists (
    select from (
        select account, asset, sum(available_delta) as available, sum(locked_delta) as locked
        from exchange_clearing.postings where event <= $2 group by account, asset
    ) ledger full join {_NEW.clearing}.balances b using (account, asset)
    where (coalesce(ledger.available, 0), coalesce(ledger.locked, 0))
       <> (coalesce(b.available, 0), coalesce(b.locked, 0))
  )
  and not exists (
    select from (
        select symbol, count(*) as trades, min(trade_id) as first_id, max(trade_id) as last_id
        from exchange_market.trades where event <= $2 group by symbol
    ) kept full join unnest($3::integer[], $4::bigint[]) as engine (symbol, last_id) using (symbol)
    where coalesce(kept.last_id, 0) <> case when kept.last_id is null and first_event > 1 then 0 else engine.last_id end
       or kept.trades <> kept.last_id - kept.first_id + 1 or (first_event = 1 and kept.first_id <> 1)
  )
  and (first_event > 1 or (select count(*) from exchange_order.orders where order_id <= $5) = $5)
  and not exists (
    select from (
        select event, order_id from exchange_clearing.entries
        where kind = {_REDUCED} and event between details_from and $2
    ) released full join (
        select event, order_id from exchange_order.amendments where event <= $2
    ) amended using (event, order_id)
    where released is null or amended is null
  )
  and not exists (
    select from exchange_clearing.entries e
    where kind = {_PREVENTED} and event between details_from and $2
      and not exists (select from exchange_order.prevented_matches p where p.event = e.event)
  )
"""
"""The live projection's first events, if its ledger, trades and orders up to event $2 add up to the snapshot."""

_IS_THERE = """
select to_regclass('exchange_order.orders') is not null and to_regclass('exchange_clearing.postings') is not null
   and to_regclass('exchange_market.trades') is not null and to_regclass('exchange_order.amendments') is not null
   and to_regclass('exchange_order.prevented_matches') is not null
   and to_regclass('exchange_order.order_lists') is not null
"""
_MONTHS = """
select distinct ts_ns / 86400000000000 from exchange_clearing.entries where event <= $1
"""
_ORDERS = f"""
insert into {_NEW.order}.orders select * from exchange_order.orders where order_id <= $1 on conflict do nothing
"""
"""But for those that the snapshot has: it knows how they stood then."""
_FATES = f"""
update {_NEW.order}.orders n set close_reason = o.close_reason, waits = o.waits, working_ts_ns = o.working_ts_ns
from exchange_order.orders o where o.order_id = n.order_id and n.{CLOSED}
"""
"""How orders ended that the snapshot only knows to be closed."""
_OPEN_LISTS = f"""
update {_NEW.order}.order_lists n set
    event = o.event, created_ts_ns = o.created_ts_ns, updated_ts_ns = o.created_ts_ns
from exchange_order.order_lists o where o.list_id = n.list_id
"""
_CARRIED = (
    f"""
    insert into {_NEW.order}.order_lists
    select * from exchange_order.order_lists where event <= $1 on conflict do nothing
    """,
    f"insert into {_NEW.order}.amendments select * from exchange_order.amendments where event <= $1",
    f"insert into {_NEW.order}.prevented_matches select * from exchange_order.prevented_matches where event <= $1",
    f"insert into {_NEW.clearing}.entries select * from exchange_clearing.entries where event <= $1",
    f"insert into {_NEW.clearing}.postings select * from exchange_clearing.postings where event <= $1",
    f"insert into {_NEW.market}.trades select * from exchange_market.trades where event <= $1",
    f"""
    insert into {_NEW.market}.agg_trades
    select a.* from exchange_market.agg_trades a join exchange_market.trades t
        on t.symbol = a.symbol and t.trade_id = a.last_id and t.ts_ns = a.ts_ns and t.event <= $1
    """,
)


async def _carry_over(
    connection: Connection, state: State, position: Position, cluster_id: bytes
) -> tuple[int, int] | None:
    """Take the rows up to `position` over, if they are whole.

    Returns the first event of the history, and from where on it has amendments and prevented matches; None: not whole.
    """
    if not await connection.fetchval(_IS_THERE):
        return None
    counts = list(engine_rows.trade_counts(state))
    last_order_id = int(state.header[0].next_order_id) - 1
    row = await connection.fetchrow(
        _FITS,
        cluster_id,
        position.event,
        [symbol for symbol, _ in counts],
        [trades for _, trades in counts],
        last_order_id,
    )
    if row is None:
        return None
    days = [row[0] for row in await connection.fetch(_MONTHS, position.event)]
    for month_ns in sorted({int(floor_ns([day * 86_400 * 10**9], _MONTH)[0]) for day in days}):
        await make_partitions(connection, _NEW, month_ns)
    await connection.execute(_ORDERS, last_order_id)
    for statement in (_FATES, _OPEN_LISTS):
        await connection.execute(statement)
    for statement in _CARRIED:
        await connection.execute(statement, position.event)
    for candles in (SECONDS, longer()):
        await connection.execute(
            renamed(
                f"insert into exchange_market.candles ({COLUMNS}) select {COLUMNS} from ({candles}) as made", REBUILD
            )
        )
    return row["first_event"], row["details_from"]
