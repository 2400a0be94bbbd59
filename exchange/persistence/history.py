"""History as it is read: every statement against the projection, each with the function that runs it.

Owns the texts (`tests/persistence/test_plans.py` looks at the plan of each) and the ways from a time to an id. Never
writes, never judges how far the projection is, never names a thing as the API does.

Every list is read along an index from one of its ends, at most `limit` rows of it, and given back oldest first. Times
rise with order, trade, aggregate and event ids (the engine's clock never falls), so a range of times is a range of ids:
one look at an index that orders by time finds its ends, and needs no index by account and time.

Rows of an account are asked for as a range of (account, symbol, id). With account = $1 the planner would rather walk
the ids of the whole venue and leave out what is not the account's: quick on average, and hours for an account that
has done nothing lately.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from exchange.persistence.database import Connection

Rows = list[Any]
"""asyncpg.Record each; the columns are those of the statement."""
INT64_MAX = (1 << 63) - 1
INT32_MAX = (1 << 31) - 1


class Page(NamedTuple):
    """Which rows of a list: those inside both ranges (ends included), at most `limit` from its oldest or newest end."""

    limit: int
    newest: bool = True
    first_id: int = 0
    last_id: int = INT64_MAX
    start_ns: int = 0
    end_ns: int = INT64_MAX

    @property
    def is_timed(self) -> bool:
        """Whether a time bounds it."""
        return self.start_ns > 0 or self.end_ns < INT64_MAX


class Both(NamedTuple):
    """One statement from the oldest end, and from the newest."""

    oldest: str
    newest: str

    @classmethod
    def of(cls, text: str) -> Both:
        """`{order}` in the text becomes asc or desc."""
        return cls(text.replace("{order}", "asc"), text.replace("{order}", "desc"))

    async def fetch(self, connection: Connection, page: Page, *arguments: Any) -> Rows:
        """The rows, oldest first."""
        rows: Rows = await connection.fetch(self.newest if page.newest else self.oldest, *arguments)
        return rows[::-1] if page.newest else rows


APPLIED = """
select applied_sequence,
       set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('enable_seqscan', 'off', true),
       set_config('enable_bitmapscan', 'off', true),
       set_config('enable_sort', 'off', true),
       set_config('jit', 'off', true)
from exchange_order.projection
"""
"""How far the projection is; for the rest of the transaction, plans are made for the values at hand and walk an index
in the order that is asked for. Without it a partition that was never analyzed, or a generic plan, can make the server
fetch and sort all that a busy account ever did for its last ten rows."""

# ---- orders -------------------------------------------------------------------------------------------------------

ORDER_COLUMNS = """order_id, account, symbol, side, order_type, time_in_force, stp_mode, status, price_ticks,
    qty_lots, submitted_lots, leaves_lots, quote_atoms, filled_lots, filled_quote_atoms, created_ts_ns, updated_ts_ns,
    stop_price_ticks, iceberg_lots, trailing_bips, peg_type, peg_offset_levels, list_id, list_role, close_reason,
    working_ts_ns, client_id"""
ORDER_BOUNDS = """
select (select order_id from exchange_order.orders where created_ts_ns >= $1
        order by created_ts_ns, order_id limit 1) as first_id,
       (select order_id from exchange_order.orders where created_ts_ns <= $2
        order by created_ts_ns desc, order_id desc limit 1) as last_id
"""
ORDERS = Both.of(f"""
select {ORDER_COLUMNS}
from exchange_order.orders
where (account, symbol, order_id) >= ($1, $2, $3) and (account, symbol, order_id) <= ($1, $2, $4)
order by account {{order}}, symbol {{order}}, order_id {{order}}
limit $5
""")

# ---- trades -------------------------------------------------------------------------------------------------------

TRADES = Both.of("""
select trade_id, ts_ns, side, price_ticks, qty_lots, quote_atoms
from exchange_market.trades
where symbol = $1 and trade_id >= $2
order by trade_id {order}
limit $3
""")
TRADE_BOUNDS = """
select (select first_id from exchange_market.agg_trades where symbol = $1 and ts_ns >= $2
        order by ts_ns, agg_id limit 1) as first_id,
       (select last_id from exchange_market.agg_trades where symbol = $1 and ts_ns <= $3
        order by ts_ns desc, agg_id desc limit 1) as last_id
"""
_AS_TAKER = """trade_id, ts_ns, price_ticks, qty_lots, quote_atoms, taker_order_id as order_id,
         taker_fee_atoms as fee_atoms, side = 0 as is_buyer, false as is_maker"""
_AS_MAKER = """trade_id, ts_ns, price_ticks, qty_lots, quote_atoms, maker_order_id as order_id,
         maker_fee_atoms as fee_atoms, side = 1 as is_buyer, true as is_maker"""
_OWN_LIST = "(select list_id from exchange_order.orders where orders.order_id = own.order_id) as list_id"
# An account that trades with itself has two rows of one trade id, which a page never tears apart.
ACCOUNT_TRADES = Both.of(f"""
select own.*, {_OWN_LIST} from (
    (select {_AS_TAKER}
     from exchange_market.trades
     where (taker_account, symbol, trade_id) >= ($1, $2, $3) and (taker_account, symbol, trade_id) <= ($1, $2, $4)
       and ts_ns between $5 and $6
     order by taker_account {{order}}, symbol {{order}}, trade_id {{order}} limit $7)
    union all
    (select {_AS_MAKER}
     from exchange_market.trades
     where (maker_account, symbol, trade_id) >= ($1, $2, $3) and (maker_account, symbol, trade_id) <= ($1, $2, $4)
       and ts_ns between $5 and $6
     order by maker_account {{order}}, symbol {{order}}, trade_id {{order}} limit $7)
) as own
order by trade_id {{order}}
fetch first ($7) rows with ties
""")
# The id of an order names one account and one symbol, so that they are only looked at afterwards.
ORDER_TRADES = Both.of(f"""
select own.*, {_OWN_LIST} from (
    (select taker_account as account, symbol, {_AS_TAKER}
     from exchange_market.trades
     where taker_order_id = $3 and trade_id >= $4
     order by trade_id {{order}} limit $5)
    union all
    (select maker_account as account, symbol, {_AS_MAKER}
     from exchange_market.trades
     where maker_order_id = $3 and trade_id >= $4
     order by trade_id {{order}} limit $5)
) as own
where account = $1 and symbol = $2
order by trade_id {{order}}
limit $5
""")

# ---- aggregates ---------------------------------------------------------------------------------------------------

_AGG_COLUMNS = "agg_id, ts_ns, side, price_ticks, qty_lots, first_id, last_id"
AGG_TRADES_FROM = f"""
select {_AGG_COLUMNS}
from exchange_market.agg_trades
where symbol = $1 and agg_id >= $2
order by agg_id
limit $3
"""
AGG_TRADES = Both.of(f"""
select {_AGG_COLUMNS}
from exchange_market.agg_trades
where symbol = $1 and ts_ns between $2 and $3
order by ts_ns {{order}}, agg_id {{order}}
limit $4
""")

# ---- candles ------------------------------------------------------------------------------------------------------

CANDLE_EXTENT = """
select (select open_ts_ns from exchange_market.candles where symbol = $1 and span = $2
        order by open_ts_ns limit 1) as first_ns,
       (select open_ts_ns from exchange_market.candles where symbol = $1 and span = $2
        order by open_ts_ns desc limit 1) as last_ns
"""
CANDLES = """
select open_ts_ns, open_ticks, high_ticks, low_ticks, close_ticks, volume_lots, quote_atoms, trades, taker_buy_lots,
       taker_buy_quote_atoms
from exchange_market.candles
where symbol = $1 and span = $2 and open_ts_ns between $3 and $4
order by open_ts_ns
"""
CLOSE_BEFORE = """
select close_ticks
from exchange_market.candles
where symbol = $1 and span = $2 and open_ts_ns < $3
order by open_ts_ns desc
limit 1
"""
FOLDED_CANDLES = """
select ($3::bigint[])[place] as open_ts_ns,
       (array_agg(open_ticks order by open_ts_ns))[1] as open_ticks,
       max(high_ticks) as high_ticks,
       min(low_ticks) as low_ticks,
       (array_agg(close_ticks order by open_ts_ns desc))[1] as close_ticks,
       sum(volume_lots) as volume_lots,
       sum(quote_atoms) as quote_atoms,
       sum(trades) as trades,
       sum(taker_buy_lots) as taker_buy_lots,
       sum(taker_buy_quote_atoms) as taker_buy_quote_atoms
from (select *, width_bucket(open_ts_ns, $3::bigint[]) as place
      from exchange_market.candles
      where symbol = $1 and span = $2 and open_ts_ns >= ($3::bigint[])[1] and open_ts_ns < $4) as small
group by place
order by place
"""

# ---- ledger -------------------------------------------------------------------------------------------------------

EVENT_TIME = "select ts_ns from exchange_clearing.entries where event >= $1 order by event limit 1"
_ENTRY_COLUMNS = "event, ts_ns, sequence, kind, command_kind, symbol, order_id, maker_order_id, trade_id, transfer_id"
# A walk along the postings of each asset that the account ever had. The first `limit` events of all walks together are
# the page: whatever one of them posted lies within the first `limit` rows of its walk. Of the two orders of a trade
# the account's own is shown, the taker's when both are.
LEDGER = Both.of(f"""
select entry.event, entry.ts_ns, entry.sequence, entry.kind, entry.command_kind, entry.symbol, entry.trade_id,
       entry.transfer_id, paged.asset, paged.available_delta, paged.locked_delta,
       case when entry.maker_order_id = 0
                 or (select account from exchange_order.orders where order_id = entry.order_id) = $1
            then entry.order_id else entry.maker_order_id end as own_order_id
from (select walk.*, dense_rank() over (order by walk.event {{order}}) as place
      from exchange_clearing.balances
      cross join lateral (
          select asset, event, ts_ns, available_delta, locked_delta
          from exchange_clearing.postings
          where postings.account = $1 and postings.asset = balances.asset
            and ts_ns between $4 and $5 and event >= $6
          order by ts_ns {{order}}, event {{order}}
          limit $7) as walk
      where balances.account = $1 and balances.asset between $2 and $3) as paged
cross join lateral (
    select {_ENTRY_COLUMNS}
    from exchange_clearing.entries
    where entries.event = paged.event and entries.ts_ns = paged.ts_ns
    limit 1) as entry
where paged.place <= $7
order by entry.event {{order}}, paged.asset {{order}}
""")
ORDER_ASSETS = """
select base_asset, quote_asset
from exchange_order.orders
join exchange_order.symbols using (symbol)
where order_id = $1 and account = $2
"""
_ORDER_WALK = """
      (select event, ts_ns, sequence, kind, command_kind, symbol, trade_id, transfer_id,
              own.asset, own.available_delta, own.locked_delta
       from exchange_clearing.entries
       cross join lateral (
           select asset, available_delta, locked_delta
           from exchange_clearing.postings
           where postings.account = $1 and postings.asset = any($3::integer[])
             and postings.ts_ns = entries.ts_ns and postings.event = entries.event
           limit 2) as own
       where {column} = $2 and event >= $6 and ts_ns between $4 and $5
       order by event {order} limit 2 * $7)"""
ORDER_LEDGER = Both.of(f"""
select paged.*, $2::bigint as own_order_id
from (select walk.*, dense_rank() over (order by event {{order}}) as place
      from ({_ORDER_WALK.replace("{column}", "order_id")}
      union all{_ORDER_WALK.replace("{column}", "maker_order_id")}) as walk) as paged
where place <= $7
order by event {{order}}, asset {{order}}
""")

# ---- the functions that run them ----------------------------------------------------------------------------------


async def applied(connection: Connection) -> int:
    """The sequence that the projection has come to; prepares the transaction for what follows."""
    row = await connection.fetchrow(APPLIED)
    return 0 if row is None else int(row["applied_sequence"])


async def _within(connection: Connection, page: Page, bounds: str, *arguments: Any) -> Page | None:
    """The page with its times as ids too; None when nothing lies between them."""
    if not page.is_timed:
        return page
    row = await connection.fetchrow(bounds, *arguments, page.start_ns, page.end_ns)
    if row["first_id"] is None or row["last_id"] is None:
        return None
    return page._replace(first_id=max(page.first_id, row["first_id"]), last_id=min(page.last_id, row["last_id"]))


async def orders(connection: Connection, account: int, symbol: int, page: Page) -> Rows:
    """Orders of an account on a symbol; ids are order ids, times are when they were placed."""
    narrow = await _within(connection, page, ORDER_BOUNDS)
    if narrow is None:
        return []
    return await ORDERS.fetch(connection, page, account, symbol, narrow.first_id, narrow.last_id, page.limit)


async def trades(connection: Connection, symbol: int, page: Page) -> Rows:
    """Trades of a symbol; ids are trade ids."""
    return await TRADES.fetch(connection, page, symbol, page.first_id, page.limit)


async def account_trades(connection: Connection, account: int, symbol: int, page: Page) -> Rows:
    """An account's side of its trades on a symbol, both sides where it traded with itself (the taker's first)."""
    narrow = await _within(connection, page, TRADE_BOUNDS, symbol)
    if narrow is None:
        return []
    ids = narrow.first_id, narrow.last_id
    rows = await ACCOUNT_TRADES.fetch(connection, page, account, symbol, *ids, page.start_ns, page.end_ns, page.limit)
    return sorted(rows, key=lambda row: (row["trade_id"], row["is_maker"]))


async def order_trades(connection: Connection, account: int, symbol: int, order_id: int, page: Page) -> Rows:
    """An account's side of the trades of one of its orders."""
    return await ORDER_TRADES.fetch(connection, page, account, symbol, order_id, page.first_id, page.limit)


async def agg_trades(connection: Connection, symbol: int, page: Page) -> Rows:
    """Aggregated trades of a symbol, by id (from the oldest end) or by time."""
    if page.first_id:
        rows: Rows = await connection.fetch(AGG_TRADES_FROM, symbol, page.first_id, page.limit)
        return rows
    return await AGG_TRADES.fetch(connection, page, symbol, page.start_ns, page.end_ns, page.limit)


async def trade_bounds(connection: Connection, symbol: int, start_ns: int, end_ns: int) -> tuple[int, int]:
    """The first trade id from a time on and the last one up to another, which are ids of one list when it has rows."""
    row = await connection.fetchrow(TRADE_BOUNDS, symbol, start_ns, end_ns)
    return row["first_id"] or 0, row["last_id"] or 0


async def candle_extent(connection: Connection, symbol: int, span: int) -> tuple[int, int] | None:
    """When the first and the last candle with a trade begin; None before the first trade."""
    row = await connection.fetchrow(CANDLE_EXTENT, symbol, span)
    return None if row["first_ns"] is None else (row["first_ns"], row["last_ns"])


async def close_before(connection: Connection, symbol: int, span: int, open_ts_ns: int) -> int:
    """The last price in ticks before a candle; 0 when there was none."""
    return await connection.fetchval(CLOSE_BEFORE, symbol, span, open_ts_ns) or 0


async def candles(connection: Connection, symbol: int, span: int, first_ns: int, last_ns: int) -> Rows:
    """The candles with a trade that begin in a range of times, ends included."""
    rows: Rows = await connection.fetch(CANDLES, symbol, span, first_ns, last_ns)
    return rows


async def folded_candles(connection: Connection, symbol: int, span: int, opens: Sequence[int], end_ns: int) -> Rows:
    """Candles that begin at `opens`, the last one ending at `end_ns`, folded from those of `span`."""
    rows: Rows = await connection.fetch(FOLDED_CANDLES, symbol, span, opens, end_ns)
    return rows


async def ledger(connection: Connection, account: int, asset: int, page: Page) -> Rows:
    """Postings of an account with their entries, by event; `asset` 0: of all assets."""
    start_ns = page.start_ns
    if page.first_id:
        from_ns = await connection.fetchval(EVENT_TIME, page.first_id)
        if from_ns is None:
            return []
        start_ns = max(start_ns, from_ns)
    assets = (asset, asset) if asset else (0, INT32_MAX)
    return await LEDGER.fetch(connection, page, account, *assets, start_ns, page.end_ns, page.first_id, page.limit)


async def order_ledger(connection: Connection, account: int, asset: int, order_id: int, page: Page) -> Rows:
    """What `ledger` gives, of one order of the account; nothing for an order of somebody else."""
    row = await connection.fetchrow(ORDER_ASSETS, order_id, account)
    assets = [one for one in row or () if asset in (0, one)]
    if not assets:
        return []
    times = page.start_ns, page.end_ns
    return await ORDER_LEDGER.fetch(connection, page, account, order_id, assets, *times, page.first_id, page.limit)
