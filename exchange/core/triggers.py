"""Orders that wait for a price: the trigger sides, the passed range, trailing orders, the due queue.

Owns where a stop waits and when it is due. Never lets an order work: `turns.py` does that. The rules are sections 12
and 13 of docs/engine-orders.md.

    accepted ──► STOP ──(price passed)──► due ──► turn ──► works
                   └─(trailing)─► TRAIL ──(price came back)──► due ──► turn ──► works

A trigger side is a book side whose prices are stop prices. An order of it is due when its level lies in the range of
prices passed since nothing was due any more: nothing is moved when a price passes it, so a fall through 100 000 stops
costs two comparisons (`python -m bench.triggers`).
"""

from __future__ import annotations

from exchange.core.book import join_level, leave_level
from exchange.core.codes import OrderType, Side, Stage
from exchange.core.compile import i64, inlined, kernel, part
from exchange.core.state import DOWN, MAX_ATOMS, SIDES, UP, State
from exchange.core.terms import terms_of


@inlined
def trigger_side(order_type: int, side: int) -> int:
    """DOWN or UP: the way the price goes when it calls a stop with a stop price."""
    stop_loss = order_type == OrderType.STOP_LOSS or order_type == OrderType.STOP_LOSS_LIMIT
    return UP if stop_loss == (side == Side.BUY) else DOWN


@part
def condition_holds(state: State, symbol: int, way: int, stop_price_ticks: int) -> bool:
    """Whether a stop would be triggered by a price that is there already."""
    market = state.markets[symbol]
    if market.last_ticks == 0:
        return False
    if way == UP:
        return stop_price_ticks <= max(i64(market.last_ticks), i64(market.passed_high_ticks))
    lowest = i64(market.last_ticks)
    if market.passed_high_ticks != 0:
        lowest = min(lowest, i64(market.passed_low_ticks))
    return stop_price_ticks >= lowest


@part
def trail_price(extreme_ticks: int, bips: int, side: int) -> int:
    """Where a trailing order triggers: extreme -+ ceil(extreme * bips / 10 000), without overflow, and at least 1."""
    whole = extreme_ticks // 10_000
    back = whole * bips + ((extreme_ticks - whole * 10_000) * bips + 9_999) // 10_000
    if side == Side.BUY:
        return min(extreme_ticks + back, i64(MAX_ATOMS))
    return max(extreme_ticks - back, i64(1))


@part
def wait_for_stop(state: State, slot: int) -> None:
    """The order begins to wait for its stop price."""
    order = state.orders[slot]
    order.stage = Stage.STOP
    way = trigger_side(order.order_type, order.side)
    join_level(state, slot, i64(order.symbol) * SIDES + way, terms_of(state, slot).stop_price_ticks, i64(0))


@part
def trail(state: State, slot: int) -> None:
    """The order begins to follow the price: it joins the trailing list; `place_trailing` gives it its trigger price."""
    order = state.orders[slot]
    terms = terms_of(state, slot)
    market = state.markets[order.symbol]
    order.stage = Stage.TRAIL
    order.level = 0
    order.prev = 0
    order.next = 0
    terms.trail_next = 0
    terms.trail_prev = market.trail_tail
    if market.trail_tail != 0:
        terms_of(state, i64(market.trail_tail)).trail_next = slot
    else:
        market.trail_head = slot
    market.trail_tail = slot


@part
def place_trailing(state: State, symbol: int) -> None:
    """Let the orders that have begun to trail follow from the last trade on; nothing of the symbol is due."""
    market = state.markets[symbol]
    slot = i64(market.trail_tail)
    first = i64(0)
    while slot != 0 and state.orders[slot].level == 0:
        first = slot
        slot = i64(terms_of(state, slot).trail_prev)
    while first != 0:
        order = state.orders[first]
        terms = terms_of(state, first)
        terms.extreme_ticks = market.last_ticks
        way = UP if order.side == Side.BUY else DOWN
        price = trail_price(terms.extreme_ticks, i64(terms.trailing_bips), i64(order.side))
        join_level(state, first, symbol * SIDES + way, price, i64(0))
        first = i64(terms.trail_next)


@part
def _leave_trail(state: State, slot: int) -> None:
    market = state.markets[state.orders[slot].symbol]
    terms = terms_of(state, slot)
    if terms.trail_prev != 0:
        terms_of(state, i64(terms.trail_prev)).trail_next = terms.trail_next
    else:
        market.trail_head = terms.trail_next
    if terms.trail_next != 0:
        terms_of(state, i64(terms.trail_next)).trail_prev = terms.trail_prev
    else:
        market.trail_tail = terms.trail_prev
    terms.trail_next = 0
    terms.trail_prev = 0


@part
def join_due(state: State, slot: int) -> None:
    """Put an order at the back of its symbol's due queue."""
    order = state.orders[slot]
    market = state.markets[order.symbol]
    order.stage = Stage.DUE
    order.level = 0
    order.next = 0
    order.prev = market.due_tail
    if market.due_tail != 0:
        state.orders[market.due_tail].next = slot
    else:
        market.due_head = slot
    market.due_tail = slot


@part
def stop_waiting(state: State, slot: int) -> None:
    """Take an order that is not on the book out of where it waits; it is in no queue then."""
    order = state.orders[slot]
    if order.stage == Stage.DUE:
        market = state.markets[order.symbol]
        if order.prev != 0:
            state.orders[order.prev].next = order.next
        else:
            market.due_head = order.next
        if order.next != 0:
            state.orders[order.next].prev = order.prev
        else:
            market.due_tail = order.prev
    elif order.stage != Stage.PENDING:
        if order.stage == Stage.TRAIL:
            _leave_trail(state, slot)
        if order.level != 0:
            leave_level(state, slot, i64(0))
    order.prev = 0
    order.next = 0


@kernel
def trigger_price_of(state: State, slot: int) -> tuple[int, int]:
    """Where an order that waits for a price must stand: (DOWN or UP, price); for checks."""
    order = state.orders[slot]
    terms = terms_of(state, slot)
    side = i64(order.side)
    if order.stage == Stage.STOP:
        return trigger_side(order.order_type, side), i64(terms.stop_price_ticks)
    return (UP if side == Side.BUY else DOWN), trail_price(i64(terms.extreme_ticks), i64(terms.trailing_bips), side)


@part
def next_due(state: State, symbol: int) -> int:
    """The order of a symbol whose turn is next, 0 if nothing is due."""
    market = state.markets[symbol]
    slot = i64(market.due_head)
    if slot == 0 and market.passed_high_ticks != 0:
        down = state.levels[state.sides[symbol * SIDES + DOWN].best]
        up = state.levels[state.sides[symbol * SIDES + UP].best]
        if state.sides[symbol * SIDES + DOWN].best != 0 and down.price_ticks >= market.passed_low_ticks:
            slot = i64(down.head)
        elif state.sides[symbol * SIDES + UP].best != 0 and up.price_ticks <= market.passed_high_ticks:
            slot = i64(up.head)
    return slot


@part
def _move_trailing(state: State, symbol: int, price_ticks: int) -> None:
    """Let the trailing orders of a symbol follow a better price."""
    slot = i64(state.markets[symbol].trail_head)
    while slot != 0:
        order = state.orders[slot]
        terms = terms_of(state, slot)
        following = i64(terms.trail_next)
        side = i64(order.side)
        improves = price_ticks > terms.extreme_ticks if side == Side.SELL else price_ticks < terms.extreme_ticks
        if order.level != 0 and improves:
            terms.extreme_ticks = price_ticks
            moved = trail_price(price_ticks, i64(terms.trailing_bips), side)
            if moved != state.levels[order.level].price_ticks:
                side_index = i64(state.levels[order.level].side)
                leave_level(state, slot, i64(0))
                join_level(state, slot, side_index, moved, i64(0))
        slot = following


@part
def observe(state: State, symbol: int, price_ticks: int) -> None:
    """A trade at this price: trailing orders follow unless something is due, and the passed range takes it in."""
    market = state.markets[symbol]
    if next_due(state, symbol) == 0:
        _move_trailing(state, symbol, price_ticks)
    if market.passed_high_ticks == 0:
        market.passed_low_ticks = price_ticks
        market.passed_high_ticks = price_ticks
    else:
        market.passed_low_ticks = min(i64(market.passed_low_ticks), price_ticks)
        market.passed_high_ticks = max(i64(market.passed_high_ticks), price_ticks)
