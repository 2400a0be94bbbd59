"""Sections 4.4 and 4.5: orders that are taken back, by their owner or by time.

Owns CANCEL, REDUCE, CANCEL_ALL and TICK.
"""

from __future__ import annotations

from exchange.core.codes import CloseReason, CommandKind, EventKind, RejectCode, TimeInForce, TradingMode
from tests.oracle.matching import close, tell_order
from tests.oracle.placing import refuse_if_closed
from tests.oracle.venue import Order, Venue
from tests.oracle.words import Command, Refused, names_an_order, refuse_if

EXPIRIES_PER_TICK = 1_000
MAY_CANCEL = {TradingMode.OPEN, TradingMode.CANCEL_ONLY}


def cancel(venue: Venue, command: Command) -> None:
    order = _target(venue, command)
    close(venue, venue.symbols[order.symbol], order, CommandKind.CANCEL, CloseReason.CANCELED)


def reduce(venue: Venue, command: Command) -> None:
    """Make the total quantity smaller; the order keeps its place."""
    order = _target(venue, command)
    symbol, total_lots = venue.symbols[order.symbol], command["qty_lots"]
    refuse_if(not order.filled_lots < total_lots < order.total_lots, RejectCode.INVALID_REDUCTION)
    refuse_if(total_lots % symbol.rules["qty_step_lots"] != 0, RejectCode.INVALID_REDUCTION)
    taken_lots = order.total_lots - total_lots
    order.leaves_lots -= taken_lots
    order.updated_ts_ns = venue.ts_ns
    tell_order(
        venue,
        EventKind.ORDER_REDUCED,
        order,
        CommandKind.REDUCE,
        qty_lots=taken_lots,
        hold_delta_atoms=-symbol.hold_atoms(order.side, order.price_ticks, taken_lots),
    )


def cancel_all(venue: Venue, command: Command) -> None:
    account, symbol = command["account"], command["symbol"]
    refuse_if(account not in venue.accounts, RejectCode.UNKNOWN_ACCOUNT)
    refuse_if(symbol != 0 and symbol not in venue.symbols, RejectCode.UNKNOWN_SYMBOL)
    refuse_if_closed(venue, venue.symbols.get(symbol), venue.accounts[account], MAY_CANCEL)
    doomed = [o for o in venue.open_orders_of(account, symbol) if venue.symbols[o.symbol].mode in MAY_CANCEL]
    for order in sorted(doomed, key=lambda o: (o.symbol, o.order_id)):
        close(venue, venue.symbols[order.symbol], order, CommandKind.CANCEL_ALL, CloseReason.CANCELED)
    venue.emit(EventKind.CANCELED_ALL, account=account, symbol=symbol, canceled_count=len(doomed))


def tick(venue: Venue, command: Command) -> None:
    due = [
        o for o in venue.open_orders.values() if o.time_in_force is TimeInForce.GTD and o.expire_ts_ns <= venue.ts_ns
    ]
    expired = sorted(due, key=lambda o: (o.expire_ts_ns, o.order_id))[:EXPIRIES_PER_TICK]
    for order in expired:
        close(venue, venue.symbols[order.symbol], order, CommandKind.TICK, CloseReason.GTD_EXPIRED)
    venue.emit(EventKind.TICKED, expired_count=len(expired))


def _target(venue: Venue, command: Command) -> Order:
    """The open order that a CANCEL or REDUCE names, when it may be touched now."""
    refuse_if(command["account"] not in venue.accounts, RejectCode.UNKNOWN_ACCOUNT)
    if command["order_id"]:
        order = venue.open_orders.get(command["order_id"])
    else:
        order = venue.by_client_id.get((command["account"], command["client_id"]))
    if (
        order is None
        or order.closed_as is not None
        or order.account != command["account"]
        or (names_an_order(command["client_id"]) and command["client_id"] != order.client_id)
        or command["symbol"] not in (0, order.symbol)
    ):
        raise Refused(RejectCode.UNKNOWN_ORDER)
    refuse_if_closed(venue, venue.symbols[order.symbol], venue.accounts[order.account], MAY_CANCEL)
    return order
