"""Sections 4.4 and 4.5: orders that are taken back, by their owner or by time.

Owns CANCEL, REDUCE and CANCEL_ALL; what time takes back is in `ticking.py`.
"""

from __future__ import annotations

from exchange.core.codes import CloseReason, EventKind, RejectCode, Stage, TradingMode
from tests.oracle.closing import close, held_by
from tests.oracle.holding import hold_to_wait
from tests.oracle.judging import refuse_if_closed
from tests.oracle.telling import tell_order, tell_shown
from tests.oracle.venue import Order, Symbol, Venue
from tests.oracle.words import Command, Refused, names_an_order, refuse_if

MAY_CANCEL = {TradingMode.OPEN, TradingMode.CANCEL_ONLY}


def cancel(venue: Venue, command: Command) -> None:
    order = _target(venue, command)
    close(venue, order, CloseReason.CANCELED)


def reduce(venue: Venue, command: Command) -> None:
    """Make the total quantity smaller; the order keeps its place."""
    order = _target(venue, command)
    symbol, total_lots = venue.symbols[order.symbol], command["qty_lots"]
    refuse_if(not order.filled_lots < total_lots < order.total_lots, RejectCode.INVALID_REDUCTION)
    refuse_if(total_lots % symbol.rules["qty_step_lots"] != 0, RejectCode.INVALID_REDUCTION)
    taken_lots = order.total_lots - total_lots
    released_atoms = _released(symbol, order, taken_lots)
    if order.shown_lots:
        part_lots = order.part_lots if order.iceberg_lots else order.leaves_lots
        tell_shown(venue, order, min(0, order.leaves_lots - taken_lots - part_lots))
    order.leaves_lots -= taken_lots
    order.part_lots = min(order.part_lots, order.leaves_lots)
    order.held_atoms -= released_atoms if order.stage is not Stage.BOOK else 0
    order.updated_ts_ns = venue.ts_ns
    tell_order(venue, EventKind.ORDER_REDUCED, order, qty_lots=taken_lots, hold_delta_atoms=-released_atoms)


def _released(symbol: Symbol, order: Order, lots: int) -> int:
    """What these lots of it hold; a leg that shares the hold of another one may hold less than they cost."""
    if order.stage is Stage.BOOK:
        return held_by(symbol, order, lots)
    return min(order.held_atoms, hold_to_wait(symbol, order, lots))


def cancel_all(venue: Venue, command: Command) -> None:
    account, symbol = command["account"], command["symbol"]
    refuse_if(account not in venue.accounts, RejectCode.UNKNOWN_ACCOUNT)
    refuse_if(symbol != 0 and symbol not in venue.symbols, RejectCode.UNKNOWN_SYMBOL)
    refuse_if_closed(venue, venue.symbols.get(symbol), venue.accounts[account], MAY_CANCEL)
    doomed = [o for o in venue.open_orders_of(account, symbol) if venue.symbols[o.symbol].mode in MAY_CANCEL]
    close_each(venue, sorted(doomed, key=lambda o: (o.symbol, o.order_id)), CloseReason.CANCELED)
    closed = sum(event["kind"] == EventKind.ORDER_CLOSED for event in venue.events)
    venue.emit(EventKind.CANCELED_ALL, account=account, symbol=symbol, canceled_count=closed)


def close_each(venue: Venue, orders: list[Order], reason: CloseReason, most: int | None = None) -> int:
    """Close these in order, `most` of them; one that an earlier one took along does not count. How many it closed."""
    count = 0
    for order in orders:
        if order.closed_as is None and count != most:
            close(venue, order, reason)
            count += 1
    return count


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
