"""The routes that read history: orders, trades, ledger of an account; trades, aggregated trades, candles of a symbol.

Each turns its parameters into a page, reads it at the sequence that was current when it came, and writes the rows.
Never submits a command, never answers from a projection that is behind.

Paging: without `fromId`, `orderId` and `startTime` the newest rows, else the oldest from there; always oldest first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from exchange.core.state import State
from exchange.gateway import history_answers
from exchange.gateway.candle_grid import CandleGrid, zone_offset_ns
from exchange.gateway.catalogue import END_TIME, FIRST_ORDER_ID, FROM_ID, INTERVAL, LIMIT, ONE_ORDER_ID, START_TIME
from exchange.gateway.errors import Refusal, bad_combination, not_valid
from exchange.gateway.fields import Integer
from exchange.gateway.history_answers import Json
from exchange.gateway.history_reading import Found, Make, Part, Query
from exchange.gateway.orders import symbol_rules
from exchange.gateway.parameters import INT64_MAX, Params, unit_of
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Rules
from exchange.gateway.venue import Venue
from exchange.persistence import history
from exchange.persistence.database import Connection
from exchange.persistence.history import Page

FOLDED_MAX = 100_000
"""How many stored candles one request may fold; it bounds the number of candles in the answer."""
_MS_NS = 1_000_000
_WINDOW_MAX_NS = 86_400 * 10**9
_TRADE_FILTERS = ("orderId", "fromId", "startTime", "endTime")
_TRADE_COMBINATIONS: tuple[set[str], ...] = (
    set(),
    {"orderId"},
    {"fromId"},
    {"startTime"},
    {"endTime"},
    {"startTime", "endTime"},
    {"orderId", "fromId"},
)


def _nothing(_state: State) -> None:
    """What is read to learn the sequence that the engine has come to."""


async def answer_from(venue: Venue, query: Query[Found], make: Make[Found, Part], *, is_public: bool = False) -> Reply:
    """What was read after everything that had been acknowledged when the request came."""
    _, sequence = venue.read(_nothing)
    return Reply(*await venue.history.read(sequence, query, make, is_public=is_public))


def each(make: Callable[[Rules, Any, int], Json], rules: Rules, unit_ns: int) -> Make[history.Rows, Json]:
    """A part of the answer for every row."""

    def parts(rows: history.Rows) -> Iterator[Json]:
        return (make(rules, row, unit_ns) for row in rows)

    return parts


def times(params: Params) -> tuple[int, int]:
    """`startTime` and `endTime` in nanoseconds, the whole of its last unit included; as wide as can be without them."""
    start, end = START_TIME.read(params), END_TIME.read(params)
    return min(start * unit_of(start), INT64_MAX), min((end + 1) * unit_of(end) - 1, INT64_MAX)


def within_a_day(params: Params) -> tuple[int, int]:
    """The times of a request that may ask for 24 hours at most. Raises Refusal -1127."""
    start_ns, end_ns = times(params)
    if "startTime" in params and "endTime" in params and end_ns - start_ns >= _WINDOW_MAX_NS + _MS_NS:
        raise Refusal(400, -1127, "More than 24 hours between startTime and endTime.")
    return start_ns, end_ns


def page(params: Params, window: tuple[int, int], first_id: Integer = FROM_ID) -> Page:
    """The page that the parameters ask for; `first_id` is the parameter that says from which id on."""
    return Page(
        limit=LIMIT.read(params),
        newest=first_id.name not in params and "startTime" not in params,
        first_id=first_id.read(params),
        start_ns=window[0],
        end_ns=window[1],
    )


# ---- of an account ------------------------------------------------------------------------------------------------


async def all_orders(venue: Venue, call: Call) -> Reply:
    """GET allOrders: orders of the account on a symbol, open and closed."""
    rules = symbol_rules(call)
    wanted = page(call.params, within_a_day(call.params), FIRST_ORDER_ID)

    async def query(connection: Connection) -> history.Rows:
        return await history.orders(connection, call.key.account, rules.symbol, wanted)

    return await answer_from(venue, query, each(history_answers.order, rules, call.unit_ns))


async def my_trades(venue: Venue, call: Call) -> Reply:
    """GET myTrades: the account's side of its trades on a symbol."""
    rules, params = symbol_rules(call), call.params
    if params.keys() & set(_TRADE_FILTERS) not in _TRADE_COMBINATIONS:
        raise bad_combination()
    order_id = ONE_ORDER_ID.read(params)
    wanted = page(params, within_a_day(params))

    async def query(connection: Connection) -> history.Rows:
        account = call.key.account
        if order_id:
            return await history.order_trades(connection, account, rules.symbol, order_id, wanted)
        return await history.account_trades(connection, account, rules.symbol, wanted)

    return await answer_from(venue, query, each(history_answers.account_trade, rules, call.unit_ns))


async def ledger(venue: Venue, call: Call) -> Reply:
    """GET ledger: every change of the account's balances, and why."""
    params, reference = call.params, call.face.reference
    asset = 0
    if "asset" in params:
        asset = next((one for one, view in reference.assets.items() if view.name == params["asset"]), 0)
        if not asset:
            raise not_valid("asset")
    order_id = ONE_ORDER_ID.read(params)
    wanted = page(params, times(params))

    async def query(connection: Connection) -> history.Rows:
        if order_id:
            return await history.order_ledger(connection, call.key.account, asset, order_id, wanted)
        return await history.ledger(connection, call.key.account, asset, wanted)

    def make(rows: history.Rows) -> Iterator[Json]:
        return history_answers.entries(reference, rows, call.unit_ns)

    return await answer_from(venue, query, make)


# ---- of a symbol --------------------------------------------------------------------------------------------------


async def trades(venue: Venue, call: Call) -> Reply:
    """GET trades and historicalTrades: trades of a symbol, the newest or from an id on."""
    rules = symbol_rules(call)
    wanted = page(call.params, (0, INT64_MAX))

    async def query(connection: Connection) -> history.Rows:
        return await history.trades(connection, rules.symbol, wanted)

    return await answer_from(venue, query, each(history_answers.trade, rules, call.unit_ns), is_public=True)


async def agg_trades(venue: Venue, call: Call) -> Reply:
    """GET aggTrades: trades of a symbol, fills of one order at one price as one."""
    rules, params = symbol_rules(call), call.params
    if "fromId" in params and ("startTime" in params or "endTime" in params):
        raise bad_combination()
    wanted = page(params, times(params))

    async def query(connection: Connection) -> history.Rows:
        return await history.agg_trades(connection, rules.symbol, wanted)

    return await answer_from(venue, query, each(history_answers.agg_trade, rules, call.unit_ns), is_public=True)


async def klines(venue: Venue, call: Call) -> Reply:
    """GET klines: candles of a symbol without a gap, from its first trade to now."""
    rules, params = symbol_rules(call), call.params
    grid = CandleGrid(INTERVAL.read(params), zone_offset_ns(params["timeZone"]) if "timeZone" in params else 0)
    window, newest = times(params), "startTime" not in params
    limit = min(LIMIT.read(params), max(1, FOLDED_MAX // grid.folds))

    async def query(connection: Connection) -> tuple[range, history.Rows, int]:
        extent = await history.candle_extent(connection, rules.symbol, grid.source)
        if extent is None:
            return range(0), [], 0
        # A chart ends now, or with the last trade when the clock was set back since.
        chart = extent[0], max(extent[1], time.time_ns())
        numbers = grid.chosen(chart, window, newest=newest, limit=limit)
        if not numbers:
            return numbers, [], 0
        return numbers, *await _candle_rows(connection, rules.symbol, grid, numbers)

    def make(found: tuple[range, history.Rows, int]) -> Iterator[list[Any]]:
        return history_answers.candles(rules, grid, *found, call.unit_ns)

    return await answer_from(venue, query, make, is_public=True)


async def _candle_rows(
    connection: Connection, symbol: int, grid: CandleGrid, numbers: range
) -> tuple[history.Rows, int]:
    """The candles of `numbers` that had a trade, and the last price in ticks before them."""
    opens = [grid.open_ns(number) for number in numbers]
    close_ticks = await history.close_before(connection, symbol, grid.source, opens[0])
    if grid.is_folded:
        end_ns = grid.open_ns(numbers.stop)
        return await history.folded_candles(connection, symbol, grid.source, opens, end_ns), close_ticks
    return await history.candles(connection, symbol, grid.source, opens[0], opens[-1]), close_ticks
