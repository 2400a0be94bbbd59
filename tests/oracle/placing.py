"""Section 4.1, PLACE: the refusals in their order, the hold, and the acceptance.

Owns everything up to ORDER_ACCEPTED; `matching.py` goes on from there and can not fail.
"""

from __future__ import annotations

from exchange.core.codes import (
    CommandKind,
    EventKind,
    Limit,
    OrderType,
    RejectCode,
    Side,
    StpMode,
    TimeInForce,
    TradingMode,
)
from tests.oracle.matching import match, tell_order
from tests.oracle.venue import Account, Order, Symbol, Venue
from tests.oracle.walking import Walk, walk_by_quantity, walk_by_quote
from tests.oracle.words import Command, Refused, names_an_order, refuse_if

ALLOWED_TIMES = {
    OrderType.LIMIT: set(TimeInForce),
    OrderType.MARKET: {TimeInForce.IOC},
    OrderType.LIMIT_MAKER: {TimeInForce.GTC, TimeInForce.GTD},
}
MAY_REST = (TimeInForce.GTC, TimeInForce.GTD)
RESERVED = (
    "list_role",
    "peg_type",
    "stop_price_ticks",
    "iceberg_lots",
    "trailing_bips",
    "peg_offset_levels",
)
CONTENT = (
    "symbol",
    "side",
    "order_type",
    "time_in_force",
    "stp_mode",
    "price_ticks",
    "quote_atoms",
    "expire_ts_ns",
)
"""What must be equal, besides the quantity and the reserved fields, for two orders to be the same one sent twice."""


def place(venue: Venue, command: Command) -> None:
    refuse_if(command["account"] not in venue.accounts, RejectCode.UNKNOWN_ACCOUNT)
    account = venue.accounts[command["account"]]
    known = venue.by_client_id.get((account.account, command["client_id"]))
    if known is not None:
        refuse_if(not _same_content(command, known), RejectCode.CLIENT_ORDER_ID_CONFLICT)
        tell_order(venue, EventKind.ORDER_DUPLICATE, known, CommandKind.PLACE, qty_lots=known.total_lots)
        return
    refuse_if(venue.link_failed_sequence == venue.sequence - 1, RejectCode.LINK_FAILED)
    refuse_if(command["symbol"] not in venue.symbols, RejectCode.UNKNOWN_SYMBOL)
    symbol = venue.symbols[command["symbol"]]
    refuse_if_closed(venue, symbol, account, {TradingMode.OPEN})
    _judge_codes(venue, command)
    _judge_numbers(symbol, command)
    order = _as_order(venue, command)
    if order.time_in_force in MAY_REST:
        _judge_room(venue, symbol, order)
    if order.order_type is OrderType.LIMIT_MAKER:
        opposite = symbol.sides[Side(1 - order.side)]
        best = opposite.best()
        refuse_if(best is not None and opposite.reaches(order.price_ticks, best), RejectCode.WOULD_TAKE)
    hold_atoms = _hold(venue, symbol, order)

    venue.next_order_id += 1
    if names_an_order(order.client_id):
        venue.by_client_id[order.account, order.client_id] = order
    tell_order(
        venue,
        EventKind.ORDER_ACCEPTED,
        order,
        CommandKind.PLACE,
        qty_lots=order.leaves_lots,
        hold_delta_atoms=hold_atoms,
    )
    match(venue, symbol, order)


def refuse_if_closed(venue: Venue, symbol: Symbol | None, account: Account, allowed: set[TradingMode]) -> None:
    """The strictest mode counts; the refusal names the widest that is in the way."""
    refuse_if(venue.mode not in allowed, RejectCode.VENUE_CLOSED)
    refuse_if(symbol is not None and symbol.mode not in allowed, RejectCode.SYMBOL_CLOSED)
    refuse_if(account.mode not in allowed, RejectCode.ACCOUNT_CLOSED)


def _same_content(command: Command, order: Order) -> bool:
    return (
        all(command[name] == getattr(order, name) for name in CONTENT)
        and command["qty_lots"] == order.submitted_lots
        and not any(command[name] for name in RESERVED)
    )


def _judge_codes(venue: Venue, command: Command) -> None:
    """Step 6: the narrow codes, the expiry, and the fields that mean nothing yet."""
    refuse_if(command["side"] not in list(Side), RejectCode.INVALID_SIDE)
    refuse_if(command["order_type"] not in ALLOWED_TIMES, RejectCode.INVALID_ORDER_TYPE)
    refuse_if(
        command["time_in_force"] not in ALLOWED_TIMES[OrderType(command["order_type"])],
        RejectCode.INVALID_TIME_IN_FORCE,
    )
    refuse_if(command["stp_mode"] not in list(StpMode), RejectCode.INVALID_STP_MODE)
    if command["time_in_force"] == TimeInForce.GTD:
        refuse_if(command["expire_ts_ns"] <= venue.ts_ns, RejectCode.INVALID_EXPIRY)
    else:
        refuse_if(command["expire_ts_ns"] != 0, RejectCode.INVALID_EXPIRY)
    refuse_if(any(command[name] for name in RESERVED), RejectCode.UNSUPPORTED_FIELD)


def _judge_numbers(symbol: Symbol, command: Command) -> None:
    """Steps 7 to 9: price, quantity, notional."""
    price, qty, quote, rules = command["price_ticks"], command["qty_lots"], command["quote_atoms"], symbol.rules
    is_market = command["order_type"] == OrderType.MARKET
    if is_market:
        refuse_if(price != 0, RejectCode.INVALID_PRICE)
    else:
        refuse_if(price <= 0, RejectCode.INVALID_PRICE)
        refuse_if(price < rules["price_min_ticks"], RejectCode.PRICE_TOO_LOW)
        refuse_if(price > rules["price_max_ticks"], RejectCode.PRICE_TOO_HIGH)
        refuse_if(price % rules["price_step_ticks"] != 0, RejectCode.PRICE_OFF_TICK)

    by_quote = is_market and qty == 0 and quote > 0
    if not by_quote:
        refuse_if(qty <= 0 or quote != 0, RejectCode.INVALID_QUANTITY)
        refuse_if(qty < rules["qty_min_lots"], RejectCode.QUANTITY_TOO_LOW)
        refuse_if(qty > rules["qty_max_lots"], RejectCode.QUANTITY_TOO_HIGH)
        refuse_if(qty % rules["qty_step_lots"] != 0, RejectCode.QUANTITY_OFF_LOT)

    if by_quote or not is_market:
        notional = quote if by_quote else symbol.notional_atoms(price, qty)
        refuse_if(notional < rules["notional_min_atoms"], RejectCode.NOTIONAL_TOO_LOW)
        refuse_if(notional > rules["notional_max_atoms"], RejectCode.NOTIONAL_TOO_HIGH)


def _judge_room(venue: Venue, symbol: Symbol, order: Order) -> None:
    """Step 10: caps, for an order that may come to rest."""
    mine = venue.open_orders_of(order.account, order.symbol)
    refuse_if(len(mine) >= symbol.rules["orders_max"], RejectCode.TOO_MANY_ORDERS)
    refuse_if(len(venue.open_orders) >= venue.limits[Limit.OPEN_ORDERS], RejectCode.VENUE_FULL)
    needs_level = not symbol.sides[order.side].has_level(order.price_ticks)
    refuse_if(needs_level and venue.open_level_count() >= venue.limits[Limit.LEVELS], RejectCode.TOO_MANY_LEVELS)


def _as_order(venue: Venue, command: Command) -> Order:
    """The order that a sound command asks for; it has the id that it will get if it is accepted."""
    return Order(
        order_id=venue.next_order_id,
        account=command["account"],
        symbol=command["symbol"],
        side=Side(command["side"]),
        order_type=OrderType(command["order_type"]),
        time_in_force=TimeInForce(command["time_in_force"]),
        stp_mode=StpMode(command["stp_mode"]),
        price_ticks=command["price_ticks"],
        submitted_lots=command["qty_lots"],
        quote_atoms=command["quote_atoms"],
        expire_ts_ns=command["expire_ts_ns"],
        client_id=command["client_id"],
        leaves_lots=command["qty_lots"],
        created_ts_ns=venue.ts_ns,
        updated_ts_ns=venue.ts_ns,
    )


def _hold(venue: Venue, symbol: Symbol, order: Order) -> int:
    """Step 12: what the order will hold, in atoms of what it pays with; refuses when that is not there.

    A MARKET order gets its quantity here when it came with an amount of quote.
    """
    if not order.is_market:
        hold_atoms = symbol.hold_atoms(order.side, order.price_ticks, order.leaves_lots)
        needed_atoms = hold_atoms
    else:
        walk = _walk(symbol, order)
        order.leaves_lots = walk.quantity_lots
        if order.side is Side.BUY:
            hold_atoms = walk.fill_quote_atoms
            needed_atoms = order.quote_atoms or hold_atoms
        else:
            hold_atoms = walk.fill_lots * symbol.base_atoms_per_lot
            needed_atoms = order.submitted_lots * symbol.base_atoms_per_lot or hold_atoms
    if needed_atoms > venue.ledger.available(order.account, symbol.payer_asset(order.side)):
        raise Refused(RejectCode.INSUFFICIENT_BALANCE)
    return hold_atoms


def _walk(symbol: Symbol, order: Order) -> Walk:
    opposite = symbol.sides[Side(1 - order.side)]
    return (walk_by_quote if order.quote_atoms else walk_by_quantity)(order, symbol, opposite)
