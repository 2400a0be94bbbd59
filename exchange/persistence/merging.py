"""What a batch changes of rows that are there: staged by COPY in temporary tables, merged by one statement each.

Owns the statements. A staged row is a difference; the merge adds it. A nested loop over the staged rows is the only
right plan, since they are few and the tables large, so a session that merges is told so (`SESSION`).
"""

from __future__ import annotations

from exchange.core.codes import ListStatus, OrderStatus
from exchange.persistence.copying import Table
from exchange.persistence.fold_details import AMENDMENTS
from exchange.persistence.fold_lists import LISTS_ENDED
from exchange.persistence.fold_market import CANDLES, SUMS
from exchange.persistence.fold_orders import CHANGES
from exchange.persistence.postings import BALANCES
from exchange.persistence.reference import SYMBOL_COLUMNS
from exchange.persistence.schemas import Schemas

SESSION = (
    "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set synchronous_commit = off"
)
_NEW, _PARTIALLY_FILLED = int(OrderStatus.NEW), int(OrderStatus.PARTIALLY_FILLED)
_PENDING_NEW, _DONE = int(OrderStatus.PENDING_NEW), int(ListStatus.DONE)
_TYPES = {"i2": "smallint", "i4": "integer", "i8": "bigint"}


def staging(table: Table) -> str:
    """The temporary table of one sort of change; a commit empties it."""
    columns = ", ".join(f"{name} {_TYPES[form]} not null" for name, form in table.columns)
    return f"create temp table if not exists {table.name} ({columns}) on commit delete rows"


STAGED = (CHANGES, LISTS_ENDED, AMENDMENTS, BALANCES, CANDLES)


def merge_orders(schemas: Schemas) -> str:
    """Older orders; every staged row must find one."""
    given = "case when o.qty_lots = 0 and o.submitted_lots = 0 and o.quote_atoms = 0 then c.given_lots else 0 end"
    return f"""
        update {schemas.order}.orders o set
            qty_lots = o.qty_lots + c.qty_lots + {given},
            leaves_lots = o.leaves_lots + c.leaves_lots + {given},
            filled_lots = o.filled_lots + c.filled_lots,
            filled_quote_atoms = o.filled_quote_atoms + c.filled_quote_atoms,
            status = case when c.closed_status > 0 then c.closed_status when c.filled_lots > 0 then {_PARTIALLY_FILLED}
                when c.entered > 0 and o.status = {_PENDING_NEW} then {_NEW} else o.status end,
            close_reason = c.close_reason,
            price_ticks = greatest(o.price_ticks, c.price_ticks),
            waits = greatest(o.waits - c.entered, 0),
            working_ts_ns = case when c.entered > 0 and o.waits <= c.entered then c.entered_ts_ns
                else o.working_ts_ns end,
            updated_ts_ns = c.updated_ts_ns
        from {CHANGES.name} c where o.order_id = c.order_id"""


def merge_lists(schemas: Schemas) -> str:
    """Older lists that ended; every staged row must find one."""
    return f"""
        update {schemas.order}.order_lists l set list_status = {_DONE}, updated_ts_ns = c.ts_ns
        from {LISTS_ENDED.name} c where l.list_id = c.list_id"""


def insert_amendments(schemas: Schemas) -> str:
    """Amendments up to event $1 and sequence $2; all that comes after that is in the tables already.

    Each is counted back from how its order stands now: lots that later events took off are added again.
    """
    return f"""
        insert into {schemas.order}.amendments
            (order_id, event, ts_ns, sequence, account, symbol, old_qty_lots, new_qty_lots)
        select order_id, event, c.ts_ns, sequence, c.account, c.symbol, new_qty_lots + off_lots, new_qty_lots
        from {AMENDMENTS.name} c join {schemas.order}.orders o using (order_id)
        cross join lateral (
            select o.qty_lots + c.later_off_lots + coalesce(sum(lots), 0)::bigint as new_qty_lots from (
                select old_qty_lots - a.new_qty_lots as lots
                from {schemas.order}.amendments a where a.order_id = c.order_id and a.sequence > $2
                union all
                select taker_prevented_lots from {schemas.order}.prevented_matches p
                where p.taker_order_id = c.order_id and p.event > $1 and taker_leaves_lots > 0
                union all
                select maker_prevented_lots from {schemas.order}.prevented_matches p
                where p.maker_order_id = c.order_id and p.event > $1 and maker_leaves_lots > 0
            ) as later
        ) as counted"""


def merge_balances(schemas: Schemas) -> str:
    """Balances. Not an upsert: a difference may be negative, which the table's checks would refuse as a row."""
    return f"""
        merge into {schemas.clearing}.balances b using {BALANCES.name} c
            on b.account = c.account and b.asset = c.asset
        when matched then update set
            available = b.available + c.available_delta, locked = b.locked + c.locked_delta
        when not matched then insert (account, asset, available, locked)
            values (c.account, c.asset, c.available_delta, c.locked_delta)"""


def merge_candles(schemas: Schemas) -> str:
    """Candles: the first open stays, the last close wins, sums are added."""
    sums = ", ".join(f"{name}_high * 4294967296::numeric + {name}_low" for name in SUMS)
    added = ", ".join(f"{name} = k.{name} + excluded.{name}" for name in ("trades", *SUMS))
    return f"""
        insert into {schemas.market}.candles as k
            (symbol, span, open_ts_ns, open_ticks, high_ticks, low_ticks, close_ticks, trades, {", ".join(SUMS)})
        select symbol, span, open_ts_ns, open_ticks, high_ticks, low_ticks, close_ticks, trades, {sums}
        from {CANDLES.name}
        on conflict (symbol, span, open_ts_ns) do update set
            high_ticks = greatest(k.high_ticks, excluded.high_ticks),
            low_ticks = least(k.low_ticks, excluded.low_ticks),
            close_ticks = excluded.close_ticks, {added}"""


def merge_symbols(schemas: Schemas) -> str:
    """Symbols, new or changed."""
    places = ", ".join(f"${number}" for number in range(1, len(SYMBOL_COLUMNS) + 1))
    changed = ", ".join(f"{name} = excluded.{name}" for name in SYMBOL_COLUMNS[1:])
    return f"""
        insert into {schemas.order}.symbols ({", ".join(SYMBOL_COLUMNS)}) values ({places})
        on conflict (symbol) do update set {changed}"""
