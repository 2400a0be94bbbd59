"""What must hold of the oracle's own state between two commands, whatever the commands were.

Owns invariants 4, 7, 9, 12, 24 and 25 as sections 8, 17 and 25 state them. Reads only; raises AssertionError.
"""

from __future__ import annotations

from collections import defaultdict

from exchange.core.codes import ListRole, OrderStatus, OrderType, Phase, Side, Stage, TransferState
from tests.oracle.clearing import LOCKED
from tests.oracle.closing import PAIR, held_by
from tests.oracle.queues import BookSide, DueQueue, TriggerSide
from tests.oracle.triggers import next_due, trailing_ticks, trigger_of
from tests.oracle.venue import Order, OrderList, Symbol, Trigger, Venue


def check_all(venue: Venue) -> None:
    _check_money(venue)
    for order in venue.open_orders.values():
        _check_place(venue, order)
        _check_parts(order)
    for symbol in venue.symbols.values():
        _check_crossed(symbol)
        _check_counts(venue, symbol)
        _check_triggers(symbol)
        _check_trailing(venue, symbol)
    for one in venue.lists.values():
        _check_list(venue, one)


def _check_money(venue: Venue) -> None:
    """4. What is locked is what open orders and withdrawals hold."""
    locked: defaultdict[tuple[int, int], int] = defaultdict(int)
    for order in venue.open_orders.values():
        symbol = venue.symbols[order.symbol]
        on_book = order.stage is Stage.BOOK
        held = held_by(symbol, order, order.leaves_lots) if on_book else order.held_atoms
        assert held >= 0, f"{order} holds less than nothing"
        assert not on_book or order.held_atoms == 0, f"{order} holds something beside its price and leaves"
        locked[order.account, symbol.payer_asset(order.side)] += held
    for transfer in venue.transfers.values():
        if transfer.state is TransferState.HELD:
            locked[transfer.account, transfer.asset] += transfer.amount_atoms
    for key, parts in venue.ledger.balances.items():
        assert parts[LOCKED] == locked[key], f"{key} has {parts[LOCKED]} locked, holds say {locked[key]}"


def _check_place(venue: Venue, order: Order) -> None:
    """9. Each open order is in exactly one place, and it is the place of its stage."""
    symbol, stands_in = venue.symbols[order.symbol], order.stands_in
    assert order.closed_as is None, f"{order} is open and closed"
    match order.stage:
        case Stage.BOOK:
            assert stands_in is symbol.sides[order.side], f"{order} is not on its side of the book"
            assert order.leaves_lots > 0, f"{order} rests with nothing"
        case Stage.STOP:
            assert stands_in is symbol.triggers[trigger_of(order, Stage.STOP)], f"{order} waits elsewhere"
            assert order.trigger_ticks == order.stop_price_ticks
        case Stage.TRAIL:
            waits = stands_in is None and next_due(symbol) is not None
            assert waits or stands_in is symbol.triggers[trigger_of(order, Stage.TRAIL)], f"{order} trails elsewhere"
        case Stage.DUE:
            assert stands_in is symbol.due, f"{order} is not in the due queue"
        case Stage.PENDING:
            assert stands_in is None, f"{order} is pending and stands somewhere"
            assert order in venue.lists[order.list_id].legs, f"{order} is pending in no list"
    if isinstance(stands_in, DueQueue):
        assert list(stands_in).count(order) == 1
    elif isinstance(stands_in, BookSide):
        assert stands_in.levels[stands_in.rank(stands_in.price_of(order))].count(order) == 1


def _check_parts(order: Order) -> None:
    """9. What an iceberg shows is a part of it, and never nothing."""
    if order.iceberg_lots and order.stage is Stage.BOOK:
        assert 1 <= order.part_lots <= min(order.iceberg_lots, order.leaves_lots), f"{order} shows {order.part_lots}"


def _check_crossed(symbol: Symbol) -> None:
    """7. No book is crossed, but that of a symbol in an auction."""
    bid, ask = (symbol.sides[side].best() for side in Side)
    if symbol.phase is not Phase.AUCTION and bid is not None and ask is not None:
        assert bid.price_ticks < ask.price_ticks, f"{bid} and {ask} stand and do not meet"


def _check_counts(venue: Venue, symbol: Symbol) -> None:
    """9. Nobody stands in a queue who is not open; no level is empty."""
    sides: list[BookSide] = [*symbol.sides.values(), *symbol.triggers.values()]
    standing = [order for side in sides for order in side.in_matching_order()] + list(symbol.due)
    for order in standing:
        assert venue.open_orders.get(order.order_id) is order, f"{order} stands in a queue and is not open"
    assert all(queue for side in sides for queue in side.levels.values())


def _check_triggers(symbol: Symbol) -> None:
    """12. A condition is false for the last price, or the level is due; a SELL that trails at one tick can not sink."""
    for trigger, side in symbol.triggers.items():
        for order in side.in_matching_order():
            price = order.trigger_ticks
            if symbol.last_ticks == 0 or (order.stage is Stage.TRAIL and price == 1):
                continue
            if trigger is Trigger.UP:
                due = 0 < price <= symbol.passed_high_ticks
                assert due or symbol.last_ticks < price, f"{order} waits for {price} at {symbol.last_ticks}"
            else:
                due = symbol.passed_low_ticks != 0 and price >= symbol.passed_low_ticks
                assert due or symbol.last_ticks > price, f"{order} waits for {price} at {symbol.last_ticks}"


def _check_trailing(venue: Venue, symbol: Symbol) -> None:
    """25. A trailing order stands where its extreme says; it is in the trailing list exactly when it is TRAIL."""
    following = [o for o in venue.open_orders.values() if o.symbol == symbol.symbol and o.stage is Stage.TRAIL]
    assert {o.order_id for o in following} == {o.order_id for o in symbol.trailing}
    assert len(following) == len(symbol.trailing)
    for order in following:
        if isinstance(order.stands_in, TriggerSide):
            assert order.trigger_ticks == trailing_ticks(order, order.extreme_ticks)
            if order.side is Side.SELL:
                assert order.trigger_ticks < max(2, order.extreme_ticks)


def _check_list(venue: Venue, one: OrderList) -> None:
    """24. Open legs are open orders that name the list; of a pair one has traded; nothing waits for what is gone."""
    assert one.open_legs, f"list {one.list_id} has no open leg and is still there"
    for leg in one.open_legs:
        assert venue.open_orders.get(leg.order_id) is leg, f"{leg} is not open"
        assert leg.list_id == one.list_id
    pair = [leg for leg in one.legs if leg.list_role in PAIR]
    traded = [leg for leg in pair if leg.filled_lots]
    assert len(traded) <= 1, f"both of the pair of list {one.list_id} have traded"
    if traded:
        assert all(leg.closed_as is not None for leg in pair if leg is not traded[0])
    working = [leg for leg in one.legs if leg.list_role is ListRole.WORKING]
    waits = [leg for leg in one.open_legs if leg.stage is Stage.PENDING]
    assert not waits or all(leg.closed_as is None for leg in working), f"list {one.list_id} waits for what is gone"
    due = [leg for leg in one.open_legs if leg.stage is Stage.DUE]
    assert not due or all(leg.closed_as is OrderStatus.FILLED for leg in working)
    makers = [leg for leg in pair if leg.order_type is OrderType.LIMIT_MAKER]
    assert len(makers) <= 1
