"""Section 4.1 and section 11: what a PLACE is refused with, in the order of the codes.

Owns steps 4 to 11, for an order alone and for a leg of a list. A judged order is not accepted yet: it has neither an id
nor a hold, and nothing has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from exchange.core.codes import (
    Limit,
    ListRole,
    ListType,
    OrderType,
    PegType,
    Phase,
    RejectCode,
    Side,
    Stage,
    StpMode,
    SymbolRule,
    TimeInForce,
    TradingMode,
)
from tests.oracle.auction import refuse_uncollected
from tests.oracle.checks import refuse_bad_notional, refuse_bad_price, refuse_bad_quantity, would_take
from tests.oracle.guards import Ahead, counted_notional, refuse_beyond_limits, refuse_outside_collar
from tests.oracle.holding import Hold, hold_when_placed
from tests.oracle.pegs import pegged_ticks
from tests.oracle.triggers import condition_holds, first_stage, needs_level
from tests.oracle.venue import MARKET_TYPES, MAY_REST, STOP_TYPES, Account, Order, Symbol, Venue
from tests.oracle.words import Command, Refused, refuse_if

ALLOWED_TIMES = {
    OrderType.LIMIT: set(TimeInForce),
    OrderType.MARKET: {TimeInForce.IOC},
    OrderType.LIMIT_MAKER: {TimeInForce.GTC, TimeInForce.GTD},
    OrderType.STOP_LOSS: {TimeInForce.IOC},
    OrderType.STOP_LOSS_LIMIT: set(TimeInForce),
    OrderType.TAKE_PROFIT: {TimeInForce.IOC},
    OrderType.TAKE_PROFIT_LIMIT: set(TimeInForce),
}
PEG_OFFSET_MAX_LEVELS = 100
TRAILING_BIPS = range(1, 10_000)
TRAILING_ORDERS_MAX = 1_000
ICEBERG_PARTS_MAX = 1_000


@dataclass
class Judged:
    """An order that may be accepted, as it would stand then."""

    order: Order
    hold: Hold
    notional_atoms: int  # what it amounts to for its key


@dataclass
class Place:
    """How an order is judged: alone, or as a leg behind others of its list."""

    list_type: ListType | None = None
    is_pending: bool = False
    before: Sequence[Judged] = field(default_factory=tuple)

    def ahead_of(self, key: int) -> Ahead:
        """What the legs before one that carries this key count for."""
        same_key = [judged.notional_atoms for judged in self.before if judged.order.key == key]
        return Ahead(len(self.before), sum(same_key))

    @property
    def is_unsized(self) -> bool:
        """Its quantity is what another leg buys."""
        return self.is_pending and self.list_type in (ListType.OPO, ListType.OPOCO)


ALONE = Place()


def refuse_if_closed(venue: Venue, symbol: Symbol | None, account: Account, allowed: set[TradingMode]) -> None:
    """The strictest mode counts; the refusal names the widest that is in the way."""
    refuse_if(venue.mode not in allowed, RejectCode.VENUE_CLOSED)
    refuse_if(symbol is not None and symbol.mode not in allowed, RejectCode.SYMBOL_CLOSED)
    paused = symbol is not None and symbol.phase is Phase.PAUSED
    refuse_if(paused and TradingMode.CANCEL_ONLY not in allowed, RejectCode.SYMBOL_CLOSED)
    refuse_if(account.mode not in allowed, RejectCode.ACCOUNT_CLOSED)


def judge(venue: Venue, command: Command, place: Place = ALONE) -> Judged:
    """Steps 4 to 11; raises Refused with the lowest code."""
    refuse_if(command["symbol"] not in venue.symbols, RejectCode.UNKNOWN_SYMBOL)
    symbol = venue.symbols[command["symbol"]]
    refuse_if_closed(venue, symbol, venue.accounts[command["account"]], {TradingMode.OPEN})
    _judge_codes(venue, command)
    order = _as_order(venue, command)
    order.stage = _stage(order, place)
    if order.peg_type and command["price_ticks"] == 0 and order.stage is Stage.BOOK:
        order.price_ticks = pegged_ticks(symbol, order) or 0
    _judge_prices(symbol, order, command["price_ticks"])
    _judge_quantity(symbol, order, place)
    _judge_notional(symbol, order, place)
    _judge_room(venue, symbol, order, place)
    _judge_market(symbol, order)
    hold = hold_when_placed(venue, symbol, order)
    notional_atoms = counted_notional(symbol, order, hold.fills_atoms)
    refuse_outside_collar(venue, symbol, order)
    _judge_counts(venue, symbol, order)
    refuse_beyond_limits(venue, symbol, order, hold.hold_atoms, notional_atoms, place.ahead_of(order.key))
    refuse_uncollected(symbol, order)
    return Judged(order, hold, notional_atoms)


def _judge_codes(venue: Venue, command: Command) -> None:
    """Step 6: the narrow codes, the expiry, and fields that do not go together."""
    refuse_if(command["side"] not in list(Side), RejectCode.INVALID_SIDE)
    refuse_if(command["order_type"] not in list(OrderType), RejectCode.INVALID_ORDER_TYPE)
    order_type = OrderType(command["order_type"])
    refuse_if(command["time_in_force"] not in ALLOWED_TIMES[order_type], RejectCode.INVALID_TIME_IN_FORCE)
    refuse_if(command["stp_mode"] not in list(StpMode), RejectCode.INVALID_STP_MODE)
    if command["time_in_force"] == TimeInForce.GTD:
        refuse_if(command["expire_ts_ns"] <= venue.ts_ns, RejectCode.INVALID_EXPIRY)
    else:
        refuse_if(command["expire_ts_ns"] != 0, RejectCode.INVALID_EXPIRY)

    stops = command["stop_price_ticks"] != 0 or command["trailing_bips"] != 0
    has_limit_price = order_type not in MARKET_TYPES
    may_rest = command["time_in_force"] in MAY_REST
    peg = command["peg_type"]
    offset = command["peg_offset_levels"]
    unsupported = (
        (stops and order_type not in STOP_TYPES)
        or (command["iceberg_lots"] != 0 and not (has_limit_price and may_rest))
        or peg not in list(PegType)
        or (peg != PegType.NONE and not has_limit_price)
        or (peg == PegType.PRIMARY_PEG and not may_rest)
        or (peg == PegType.MARKET_PEG and order_type is OrderType.LIMIT_MAKER)
        or not 0 <= offset <= PEG_OFFSET_MAX_LEVELS
        or (offset != 0 and peg == PegType.NONE)
        or command["list_role"] not in list(ListRole)
        or (command["list_role"] == ListRole.PENDING and order_type is OrderType.MARKET and command["quote_atoms"] != 0)
        or command["key"] < 0
    )
    refuse_if(unsupported, RejectCode.UNSUPPORTED_FIELD)


def _as_order(venue: Venue, command: Command) -> Order:
    """The order that sound codes ask for; whoever accepts it gives it its id."""
    return Order(
        order_id=0,
        account=command["account"],
        symbol=command["symbol"],
        side=Side(command["side"]),
        order_type=OrderType(command["order_type"]),
        time_in_force=TimeInForce(command["time_in_force"]),
        stp_mode=StpMode(command["stp_mode"]),
        price_ticks=0 if command["peg_type"] else command["price_ticks"],
        submitted_lots=command["qty_lots"],
        quote_atoms=command["quote_atoms"],
        expire_ts_ns=command["expire_ts_ns"],
        client_id=command["client_id"],
        leaves_lots=command["qty_lots"],
        created_ts_ns=venue.ts_ns,
        updated_ts_ns=venue.ts_ns,
        stop_price_ticks=command["stop_price_ticks"],
        iceberg_lots=command["iceberg_lots"],
        trailing_bips=command["trailing_bips"],
        peg_type=PegType(command["peg_type"]),
        peg_offset_levels=command["peg_offset_levels"],
        list_role=ListRole(command["list_role"]),
        key=command["key"],
    )


def _stage(order: Order, place: Place) -> Stage:
    """Where it begins."""
    if place.is_pending:
        return Stage.PENDING
    return first_stage(order) if order.is_stop else Stage.BOOK


def _judge_prices(symbol: Symbol, order: Order, asked_ticks: int) -> None:
    """Step 7: limit price and stop price; of the two the lower code."""
    codes = []
    try:
        if order.is_market or order.peg_type:
            refuse_if(asked_ticks != 0, RejectCode.INVALID_PRICE)
        if order.price_ticks or not (order.is_market or order.peg_type):
            refuse_bad_price(symbol, order.price_ticks)
    except Refused as refused:
        codes.append(refused.code)
    try:
        if order.is_stop:
            refuse_if(order.stop_price_ticks == 0 and order.trailing_bips == 0, RejectCode.INVALID_PRICE)
        if order.stop_price_ticks:
            refuse_bad_price(symbol, order.stop_price_ticks)
    except Refused as refused:
        codes.append(refused.code)
    if codes:
        raise Refused(min(codes))


def _judge_quantity(symbol: Symbol, order: Order, place: Place) -> None:
    """Step 8: lots, or for MARKET an amount of quote instead."""
    if place.is_unsized:
        refuse_if(order.submitted_lots != 0 or order.quote_atoms != 0, RejectCode.INVALID_QUANTITY)
        return
    by_quote = order.order_type is OrderType.MARKET and order.submitted_lots == 0 and order.quote_atoms > 0
    if not by_quote:
        refuse_if(order.quote_atoms != 0, RejectCode.INVALID_QUANTITY)
        refuse_bad_quantity(symbol, order.submitted_lots)


def _judge_notional(symbol: Symbol, order: Order, place: Place) -> None:
    """Step 9: of price and quantity when both are known, or of the amount of quote."""
    if order.quote_atoms:
        refuse_bad_notional(symbol, order.quote_atoms)
    elif order.price_ticks and not place.is_unsized:
        refuse_bad_notional(symbol, symbol.notional_atoms(order.price_ticks, order.submitted_lots))


def _judge_room(venue: Venue, symbol: Symbol, order: Order, place: Place) -> None:
    """Step 10: caps, for an order that may rest or that waits."""
    if not order.may_rest and order.stage is Stage.BOOK:
        return
    mine = len(venue.open_orders_of(order.account, order.symbol)) + len(place.before)
    refuse_if(mine >= symbol.rules["orders_max"], RejectCode.TOO_MANY_ORDERS)
    refuse_if(
        len(venue.open_orders) + len(place.before) >= venue.limits[Limit.OPEN_ORDERS],
        RejectCode.VENUE_FULL,
    )
    refuse_if(venue.is_full_of_levels() and _needs_level(symbol, order), RejectCode.TOO_MANY_LEVELS)


def _needs_level(symbol: Symbol, order: Order) -> bool:
    """Whether a level would have to be made for it now; where its price is not known, none is."""
    match order.stage:
        case Stage.BOOK:
            return order.price_ticks != 0 and not symbol.sides[order.side].has_level(order.price_ticks)
        case Stage.STOP:
            return needs_level(symbol, order, Stage.STOP)
        case Stage.TRAIL:
            known = symbol.last_ticks != 0 and order.trailing_bips in TRAILING_BIPS
            return known and needs_level(symbol, order, Stage.TRAIL)
    return False


def _judge_market(symbol: Symbol, order: Order) -> None:
    """Step 11, first half: what the market stands like, and whether the terms go with it."""
    rules = symbol.guard.rules
    if order.order_type is OrderType.LIMIT_MAKER and order.stage is Stage.BOOK and order.price_ticks:
        refuse_if(would_take(symbol, order.side, order.price_ticks), RejectCode.WOULD_TAKE)
    refuse_if(order.stage is Stage.STOP and condition_holds(symbol, order), RejectCode.WOULD_TRIGGER)

    bips = order.trailing_bips
    if bips:
        low, high = rules[SymbolRule.TRAILING_MIN_BIPS], rules[SymbolRule.TRAILING_MAX_BIPS]
        refuse_if(bips not in TRAILING_BIPS or bips < low or 0 < high < bips, RejectCode.INVALID_TRAILING)
    if order.iceberg_lots:
        _judge_iceberg(symbol, order, rules[SymbolRule.ICEBERG_PARTS_MAX] or ICEBERG_PARTS_MAX)
    no_level = order.peg_type and order.stage is Stage.BOOK and order.price_ticks == 0
    no_trade = order.stage is Stage.TRAIL and symbol.last_ticks == 0
    refuse_if(bool(no_level or no_trade), RejectCode.NO_REFERENCE_PRICE)


def _judge_iceberg(symbol: Symbol, order: Order, parts_max: int) -> None:
    part = order.iceberg_lots
    refuse_if(part < 0 or part > order.submitted_lots, RejectCode.INVALID_ICEBERG)
    refuse_if(part < symbol.rules["qty_min_lots"], RejectCode.INVALID_ICEBERG)
    refuse_if(part % symbol.rules["qty_step_lots"] != 0, RejectCode.INVALID_ICEBERG)
    refuse_if(ceil(order.submitted_lots / part) > parts_max, RejectCode.INVALID_ICEBERG)


def _judge_counts(venue: Venue, symbol: Symbol, order: Order) -> None:
    """Step 11, second half: how many such orders there may be."""
    rules = symbol.guard.rules
    mine = venue.open_orders_of(order.account, order.symbol)
    if order.is_stop:
        most = rules[SymbolRule.ALGO_ORDERS_MAX]
        refuse_if(0 < most <= sum(o.is_stop for o in mine), RejectCode.TOO_MANY_ALGO_ORDERS)
    if order.trailing_bips:
        trailing = sum(o.trailing_bips != 0 for o in venue.open_orders.values() if o.symbol == order.symbol)
        refuse_if(trailing >= TRAILING_ORDERS_MAX, RejectCode.TOO_MANY_ALGO_ORDERS)
    if order.iceberg_lots:
        most = rules[SymbolRule.ICEBERG_ORDERS_MAX]
        refuse_if(0 < most <= sum(o.iceberg_lots != 0 for o in mine), RejectCode.TOO_MANY_ICEBERGS)
