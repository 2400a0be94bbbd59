"""What `exchange projection verify` compares, as queries that find nothing when all is well.

Owns the SQL. Each query gives one column of sentences, one for each difference. Tables without a schema are temporary
and hold the engine's rows (`verify.py` fills them); the others are the projection. `begun` says where a history begins
that does not begin with the first event: what lies before is not held against it.
"""

from __future__ import annotations

from typing import NamedTuple

from exchange.core.codes import Account, CommandKind, EventKind, ListStatus, OrderStatus, Side
from exchange.persistence.candle_queries import SECOND_SPAN, SECONDS, longer

_BUY, _FEES, _TRADE, _ACCEPTED = int(Side.BUY), int(Account.FEES), int(EventKind.TRADE), int(EventKind.ORDER_ACCEPTED)
_REDUCED, _PREVENTED = int(EventKind.ORDER_REDUCED), int(EventKind.PREVENTED)


class Comparison(NamedTuple):
    """A name that the report shows, and the query that finds differences."""

    name: str
    sql: str


TEMPORARY = """
create temp table engine_balances (like exchange_clearing.balances);
create temp table engine_assets (like exchange_order.assets);
create temp table engine_symbols (like exchange_order.symbols);
create temp table engine_orders (like exchange_order.orders);
create temp table engine_lists (like exchange_order.order_lists);
create temp table engine_trades (symbol integer, trades bigint);
create temp table engine_counters (last_order_id bigint);
create temp table begun (first_event bigint, ts_ns bigint);
"""
BEGUN = """
insert into begun
select first_event, coalesce((select max(ts_ns) from exchange_clearing.entries where kind = 0), 0)
from exchange_order.projection
"""
"""The time of the opening balances, for a history that has some."""

CLOSED = f"status between {int(OrderStatus.FILLED)} and {int(OrderStatus.EXPIRED_IN_MATCH)}"
UNKNOWN = f"""
update engine_orders e set close_reason = p.close_reason, waits = p.waits, working_ts_ns = p.working_ts_ns
from exchange_order.orders p where p.order_id = e.order_id and e.{CLOSED}
"""
"""What the engine does not know of a closed order any more can not differ."""

_FIELDS = """
(select string_agg(format('%s is %s, not %s', a.key, coalesce(b.value, 'nothing'), coalesce(a.value, 'nothing')), '; ')
 from jsonb_each_text(to_jsonb(e)) a join jsonb_each_text(to_jsonb(p)) b using (key)
 where a.value is distinct from b.value)
"""
"""The columns that differ between the engine's row `e` and the projection's row `p`."""


def _rows(name: str, words: str, key: str, engine: str, projected: str, where: str = "true") -> Comparison:
    """Compare whole rows by their key."""
    return Comparison(
        name,
        f"""
        select case when p is null then format('{words} %s of the engine is missing.', {key})
                    when e is null then format('{words} %s is not in the engine.', {key})
                    else format('{words} %s: %s.', {key}, {_FIELDS}) end
        from {engine} e full join {projected} p using ({key}) cross join begun
        where row(e.*) is distinct from row(p.*) and ({where})
        """,
    )


_BALANCES = """
select format('Account %s, asset %s: available %s and locked %s, not %s and %s.', account, asset,
              coalesce(p.available, 0), coalesce(p.locked, 0), coalesce(e.available, 0), coalesce(e.locked, 0))
from exchange_clearing.balances p full join engine_balances e using (account, asset)
where (coalesce(p.available, 0), coalesce(p.locked, 0)) <> (coalesce(e.available, 0), coalesce(e.locked, 0))
"""

_ORDER_IDS = """
select format('There are %s orders with ids from %s to %s, the engine has accepted %s.', orders, first_id, last_id,
              last_order_id)
from (select count(*) as orders, min(order_id) as first_id, max(order_id) as last_id from exchange_order.orders) as p
cross join engine_counters cross join begun
where coalesce(last_id, 0) > last_order_id
   or (first_event = 1 and (orders <> last_order_id or coalesce(last_id, 0) <> last_order_id))
"""

_TRADE_COUNTS = """
select format('Symbol %s: %s trades with ids from %s to %s, the engine counts %s.', symbol, coalesce(p.trades, 0),
              p.first_id, p.last_id, coalesce(e.trades, 0))
from engine_trades e full join (
    select symbol, count(*) as trades, min(trade_id) as first_id, max(trade_id) as last_id
    from exchange_market.trades group by symbol
) p using (symbol) cross join begun
where coalesce(p.last_id, 0) <> case when p is null and first_event > 1 then 0 else coalesce(e.trades, 0) end
   or p.trades <> p.last_id - p.first_id + 1
   or (first_event = 1 and p.first_id <> 1)
"""

_TRADE_GAPS = """
select format('Symbol %s: after trade %s comes trade %s.', symbol, before, trade_id)
from (select symbol, trade_id, lag(trade_id) over (partition by symbol order by trade_id) as before
      from exchange_market.trades) as ids
where trade_id <> before + 1
"""

_NOTIONAL = """
select format('Symbol %s, trade %s: quote_atoms is %s for %s lots at %s ticks.', symbol, trade_id, quote_atoms,
              qty_lots, price_ticks)
from exchange_market.trades join exchange_order.symbols using (symbol)
where quote_atoms <> price_ticks::numeric * qty_lots * quote_atoms_per_tick_lot
"""

_ORDERS_OF_TRADES = f"""
with sides as (
    select taker_order_id as order_id, taker_account as account, symbol, side, qty_lots, quote_atoms
    from exchange_market.trades
    union all
    select maker_order_id, maker_account, symbol, 1 - side, qty_lots, quote_atoms from exchange_market.trades
), sums as (
    select order_id, min(account) as account, max(account) as last_account, min(symbol) as symbol, min(side) as side,
           max(side) as last_side, sum(qty_lots) as lots, sum(quote_atoms) as quote
    from sides group by order_id
)
select format('Order %s: filled_lots %s and filled_quote_atoms %s, its trades sum to %s and %s.', order_id,
              p.filled_lots, p.filled_quote_atoms, coalesce(lots, 0), coalesce(quote, 0))
from exchange_order.orders p full join sums using (order_id) cross join begun
where case
    when p is null then first_event = 1
    when first_event > 1 and p.created_ts_ns <= begun.ts_ns and not exists (
        select from exchange_clearing.entries e where e.order_id = p.order_id and e.kind = {_ACCEPTED}
    ) then coalesce(lots, 0) > p.filled_lots or coalesce(quote, 0) > p.filled_quote_atoms
    else (coalesce(lots, 0), coalesce(quote, 0)) <> (p.filled_lots, p.filled_quote_atoms)
      or (lots is not null and (sums.account, last_account, sums.symbol, sums.side, last_side)
                            <> (p.account, p.account, p.symbol, p.side, p.side))
    end
"""

_CANDLE = """
       coalesce(format('open %s high %s low %s close %s volume %s quote %s trades %s buys %s/%s',
              {0}.open_ticks, {0}.high_ticks, {0}.low_ticks, {0}.close_ticks, {0}.volume_lots, {0}.quote_atoms,
              {0}.trades, {0}.taker_buy_lots, {0}.taker_buy_quote_atoms), 'none')
"""
_CANDLE_ROW = """
       row({0}.open_ticks, {0}.high_ticks, {0}.low_ticks, {0}.close_ticks, {0}.volume_lots::numeric, {0}.quote_atoms,
           {0}.trades::numeric, {0}.taker_buy_lots::numeric, {0}.taker_buy_quote_atoms)
"""


def _candles(expected: str, spans: str) -> str:
    """Compare candles with what `expected` makes of finer ones."""
    return f"""
    with expected as ({expected})
    select format('Symbol %s, span %s, candle at %s: %s, its trades make %s.', symbol, span, open_ts_ns,
                  case when p is null then 'none' else {_CANDLE.format("p")} end,
                  case when e is null then 'none' else {_CANDLE.format("e")} end)
    from expected e full join (select * from exchange_market.candles where span {spans}) p
        using (symbol, span, open_ts_ns)
    where {_CANDLE_ROW.format("p")} is distinct from {_CANDLE_ROW.format("e")}
    """


_AGGREGATES = """
with marked as (
    select *, (sequence, taker_order_id, price_ticks)
           is distinct from lag((sequence, taker_order_id, price_ticks)) over by_id as is_first
    from exchange_market.trades window by_id as (partition by symbol order by trade_id)
), numbered as (
    select *, count(*) filter (where is_first) over (partition by symbol order by trade_id) as number from marked
), expected as (
    select symbol, min(trade_id) as first_id, max(trade_id) as last_id, min(ts_ns) as ts_ns, min(side) as side,
           min(price_ticks) as price_ticks, sum(qty_lots) as qty_lots
    from numbered group by symbol, number
)
select format('Symbol %s, aggregate trade %s: ids %s to %s with %s lots, its trades are %s to %s with %s.', symbol,
              agg_id, p.first_id, p.last_id, p.qty_lots, first_id, e.last_id, e.qty_lots)
from exchange_market.agg_trades p full join expected e using (symbol, first_id)
where row(p.last_id, p.ts_ns, p.side, p.price_ticks, p.qty_lots::numeric)
   is distinct from row(e.last_id, e.ts_ns, e.side, e.price_ticks, e.qty_lots)
"""

_AGGREGATE_GAPS = """
select format('Symbol %s: after aggregate trade %s comes %s; its first trade is %s.', symbol, before, agg_id, first_id)
from (select symbol, agg_id, first_id, lag(agg_id) over (partition by symbol order by first_id) as before
      from exchange_market.agg_trades) as ids
where agg_id <= before or agg_id > first_id
"""
"""An id is that of the first trade; an older release counted from one instead, and its rows still rise."""

_FEES_OF_TRADES = f"""
with charged as (
    select case when side = {_BUY} then base_asset else quote_asset end as asset, taker_fee_atoms as fee
    from exchange_market.trades join exchange_order.symbols using (symbol)
    union all
    select case when side = {_BUY} then quote_asset else base_asset end, maker_fee_atoms
    from exchange_market.trades join exchange_order.symbols using (symbol)
), charges as (
    select asset, sum(fee) as atoms from charged group by asset
), earned as (
    select asset, sum(available_delta + locked_delta) as atoms
    from exchange_clearing.postings join exchange_clearing.entries using (event, ts_ns)
    where account = {_FEES} and kind <> 0 group by asset
)
select format('Asset %s: the trades have %s atoms of fees, the ledger of FEES has %s.', asset,
              coalesce(charges.atoms, 0), coalesce(earned.atoms, 0))
from charges full join earned using (asset)
where coalesce(charges.atoms, 0) <> coalesce(earned.atoms, 0)
"""

_LEDGER = """
select format('Asset %s: all postings together sum to %s, not to zero.', asset, sum(available_delta + locked_delta))
from exchange_clearing.postings group by asset having sum(available_delta + locked_delta) <> 0
"""

_LEDGER_ENTRIES = """
select format('Event %s, asset %s: its postings sum to %s, not to zero.', event, asset,
              sum(available_delta + locked_delta))
from exchange_clearing.postings join exchange_clearing.entries using (event, ts_ns)
where kind <> 0 group by event, asset having sum(available_delta + locked_delta) <> 0
"""

_LEDGER_BALANCES = """
with ledger as (
    select account, asset, sum(available_delta) as available, sum(locked_delta) as locked
    from exchange_clearing.postings group by account, asset
)
select format('Account %s, asset %s: the ledger sums to %s available and %s locked, the balance is %s and %s.', account,
              asset, coalesce(ledger.available, 0), coalesce(ledger.locked, 0), coalesce(p.available, 0),
              coalesce(p.locked, 0))
from exchange_clearing.balances p full join ledger using (account, asset)
where (coalesce(p.available, 0), coalesce(p.locked, 0)) <> (coalesce(ledger.available, 0), coalesce(ledger.locked, 0))
"""

_ENTRIES = """
select format('Event %s has %s.', event,
              case when e is null then 'postings and no entry' else 'an entry and no postings' end)
from (select event, ts_ns from exchange_clearing.entries) e
full join (select distinct event, ts_ns from exchange_clearing.postings) p using (event, ts_ns)
where e is null or p is null
"""

_TRADE_ENTRIES = f"""
select format('Symbol %s, trade %s: the ledger has trade %s for its event %s.', t.symbol, t.trade_id, e.trade_id, event)
from exchange_market.trades t
full join (select * from exchange_clearing.entries where kind = {_TRADE}) e using (event, ts_ns)
where row(t.symbol, t.trade_id, t.sequence, t.taker_order_id, t.maker_order_id, {int(CommandKind.PLACE)}::smallint)
   is distinct from row(e.symbol, e.trade_id, e.sequence, e.order_id, e.maker_order_id, e.command_kind)
"""

_AMENDMENTS = f"""
with released as (
    select event, ts_ns, sequence, symbol, order_id
    from exchange_clearing.entries cross join exchange_order.projection
    where kind = {_REDUCED} and event >= details_from
)
select format('Event %s: the amendment is %s, the ledger has %s.', event,
              case when a is null then 'missing' else a::text end,
              case when e is null then 'nothing' else e::text end)
from exchange_order.amendments a full join released e using (event)
left join exchange_order.orders o on o.order_id = a.order_id
where row(a.ts_ns, a.sequence, a.symbol, a.order_id) is distinct from row(e.ts_ns, e.sequence, e.symbol, e.order_id)
   or row(a.account, a.symbol) is distinct from row(o.account, o.symbol)
"""

_PREVENTED_MATCHES = f"""
with released as (
    select event, ts_ns, sequence, symbol, order_id, maker_order_id
    from exchange_clearing.entries cross join exchange_order.projection
    where kind = {_PREVENTED} and event >= details_from
)
select format('Event %s: the prevented match is %s, the ledger has %s.', event,
              case when p is null then 'missing' else p::text end,
              case when e is null then 'nothing' else e::text end)
from exchange_order.prevented_matches p full join released e using (event)
left join exchange_order.orders t on t.order_id = p.taker_order_id
left join exchange_order.orders m on m.order_id = p.maker_order_id
where p is null
   or (e is not null and row(p.ts_ns, p.sequence, p.symbol, p.taker_order_id, p.maker_order_id)
                      <> row(e.ts_ns, e.sequence, e.symbol, e.order_id, e.maker_order_id))
   or row(p.account, p.maker_account, p.symbol, p.symbol, p.side, 1 - p.side, p.stp_mode, p.price_ticks)
      is distinct from row(t.account, m.account, t.symbol, m.symbol, t.side, m.side, t.stp_mode, m.price_ticks)
"""
"""One that released nothing, by a MARKET order that it ended, is not in the ledger."""

_OFF = """
    select order_id, event, old_qty_lots - new_qty_lots as lots, new_qty_lots from exchange_order.amendments
    union all
    select taker_order_id, event, taker_prevented_lots, null from exchange_order.prevented_matches
    where taker_leaves_lots > 0
    union all
    select maker_order_id, event, maker_prevented_lots, null from exchange_order.prevented_matches
    where maker_leaves_lots > 0
"""
"""What was taken off the quantity of an order that lived on."""

_AMENDED_QUANTITIES = f"""
with counted as (
    select *, sum(lots) over (partition by order_id order by event desc) - lots as later from ({_OFF}) as off
)
select format('Order %s, event %s: amended to %s lots; it has %s now and lost %s since.', order_id, event, new_qty_lots,
              o.qty_lots, later)
from counted left join exchange_order.orders o using (order_id)
where new_qty_lots is distinct from case when new_qty_lots is null then null else o.qty_lots + later end
"""

_QUANTITIES = f"""
with off as (
    select order_id, sum(lots) as lots from ({_OFF}) as each group by order_id
)
select format('Order %s: %s lots were submitted and it has %s, amendments and prevented matches took %s.', order_id,
              submitted_lots, qty_lots, coalesce(lots, 0))
from exchange_order.orders o left join off using (order_id) cross join exchange_order.projection
where submitted_lots > 0 and submitted_lots - qty_lots <> coalesce(lots, 0)
  and (details_from = 1 or exists (
    select from exchange_clearing.entries e
    where e.order_id = o.order_id and e.kind = {_ACCEPTED} and e.event >= details_from
  ))
"""
"""Of orders whose whole life is known."""

_LISTS = f"""
select format('List %s: the projection has %s, the engine %s.', list_id, coalesce(p::text, 'none that is open'),
              coalesce(e::text, 'none that is open'))
from (select * from exchange_order.order_lists where list_status = {int(ListStatus.STARTED)}) p
full join engine_lists e using (list_id)
where row(p.account, p.symbol, p.list_type, p.order_id_0, p.order_id_1, p.order_id_2, p.client_id)
      is distinct from row(e.account, e.symbol, e.list_type, e.order_id_0, e.order_id_1, e.order_id_2, e.client_id)
"""
"""The engine forgets a list with its last leg."""

_LEGS = """
select format('List %s: its leg %s says that it is in list %s.', l.list_id, leg, o.list_id)
from exchange_order.order_lists l cross join unnest(array[order_id_0, order_id_1, order_id_2]) as leg
left join exchange_order.orders o on o.order_id = leg cross join begun
where leg <> 0 and (o.order_id is not null or first_event = 1)
  and row(o.list_id, o.account, o.symbol) is distinct from row(l.list_id, l.account, l.symbol)
"""

_WATERMARK = """
select format('The newest %s is of event %s, the projection says that it stands at event %s.', what, event,
              applied_event)
from exchange_order.projection cross join (
    select 'trade' as what, max(event) as event from exchange_market.trades
    union all select 'ledger entry', max(event) from exchange_clearing.entries
    union all select 'prevented match', max(event) from exchange_order.prevented_matches
) as newest
where event > applied_event
"""

COMPARISONS: tuple[Comparison, ...] = (
    Comparison("balances", _BALANCES),
    _rows("assets", "Asset", "asset", "engine_assets", "exchange_order.assets"),
    _rows("symbols", "Symbol", "symbol", "engine_symbols", "exchange_order.symbols"),
    _rows(
        "orders",
        "Order",
        "order_id",
        "engine_orders",
        "exchange_order.orders",
        f"p.leaves_lots > 0 or e.leaves_lots > 0 or not p.{CLOSED} or not e.{CLOSED} or p.order_id = e.order_id "
        "or e.updated_ts_ns > begun.ts_ns",
    ),
    Comparison("order ids", _ORDER_IDS),
    Comparison("order lists", _LISTS),
    Comparison("legs of lists", _LEGS),
    Comparison("amendments", _AMENDMENTS),
    Comparison("prevented matches", _PREVENTED_MATCHES),
    Comparison("amended quantities", _AMENDED_QUANTITIES),
    Comparison("quantities", _QUANTITIES),
    Comparison("trade counts", _TRADE_COUNTS),
    Comparison("trade ids", _TRADE_GAPS),
    Comparison("notionals", _NOTIONAL),
    Comparison("fills of orders", _ORDERS_OF_TRADES),
    Comparison("candles of a second", _candles(SECONDS, f"= {SECOND_SPAN}")),
    Comparison("longer candles", _candles(longer(), f"<> {SECOND_SPAN}")),
    Comparison("aggregate trades", _AGGREGATES),
    Comparison("aggregate trade ids", _AGGREGATE_GAPS),
    Comparison("fees", _FEES_OF_TRADES),
    Comparison("ledger per asset", _LEDGER),
    Comparison("ledger per event", _LEDGER_ENTRIES),
    Comparison("ledger per account", _LEDGER_BALANCES),
    Comparison("entries and postings", _ENTRIES),
    Comparison("entries of trades", _TRADE_ENTRIES),
    Comparison("watermark", _WATERMARK),
)
