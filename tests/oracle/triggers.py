"""Sections 12 and 13 of docs/engine-orders.md: orders that wait for a price, or follow it.

Owns the trigger sides: which orders stand there, at which price, which of them are due, and how trailing stops move.
What a due order does in its turn is for `turns.py`. Tells nothing.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from exchange.core.codes import OrderType, Side, Stage
from tests.oracle.venue import Order, Symbol, Trigger

BIPS = 10_000
WAITS_FOR_A_RISE = {
    (Side.BUY, OrderType.STOP_LOSS),
    (Side.BUY, OrderType.STOP_LOSS_LIMIT),
    (Side.SELL, OrderType.TAKE_PROFIT),
    (Side.SELL, OrderType.TAKE_PROFIT_LIMIT),
}


# ---- where an order waits -----------------------------------------------------------------------------------------


def first_stage(order: Order) -> Stage:
    """How a stop begins to wait: for its stop price, or, without one, by following the price."""
    return Stage.STOP if order.stop_price_ticks else Stage.TRAIL


def trigger_of(order: Order, stage: Stage) -> Trigger:
    """The side where it waits in this stage: a SELL that trails waits for the price to come down."""
    rises = order.side is Side.BUY if stage is Stage.TRAIL else (order.side, order.order_type) in WAITS_FOR_A_RISE
    return Trigger.UP if rises else Trigger.DOWN


def trailing_ticks(order: Order, extreme_ticks: int) -> int:
    """The trigger price that this extreme gives."""
    distance = ceil(Fraction(extreme_ticks * order.trailing_bips, BIPS))
    return extreme_ticks + distance if order.side is Side.BUY else max(1, extreme_ticks - distance)


def needs_level(symbol: Symbol, order: Order, stage: Stage) -> bool:
    """Whether a level would have to be made for it to wait in this stage from now on."""
    price = order.stop_price_ticks if stage is Stage.STOP else trailing_ticks(order, symbol.last_ticks)
    return not symbol.triggers[trigger_of(order, stage)].has_level(price)


def wait(symbol: Symbol, order: Order, stage: Stage) -> None:
    """Wait for the stop price from now on; or begin to trail, which takes a place once nothing is due."""
    order.stage = stage
    if stage is Stage.TRAIL:
        symbol.trailing.append(order)
    else:
        order.trigger_ticks = order.stop_price_ticks
        symbol.triggers[trigger_of(order, stage)].rest(order)


def settle(symbol: Symbol) -> None:
    """At the end of a command that may take turns, when nothing is due: what begins to trail follows from here on."""
    symbol.passed_low_ticks = symbol.passed_high_ticks = 0
    for order in symbol.trailing:
        if order.stands_in is None:
            _stand_at(symbol, order, symbol.last_ticks)


def _stand_at(symbol: Symbol, order: Order, extreme_ticks: int) -> None:
    order.extreme_ticks = extreme_ticks
    order.trigger_ticks = trailing_ticks(order, extreme_ticks)
    symbol.triggers[trigger_of(order, Stage.TRAIL)].rest(order)


# ---- what is due --------------------------------------------------------------------------------------------------


def condition_holds(symbol: Symbol, order: Order) -> bool:
    """Whether the stop price has been reached already: by the last trade, or by one whose work is not done."""
    prices = [price for price in (symbol.last_ticks, symbol.passed_low_ticks, symbol.passed_high_ticks) if price]
    if not prices or order.stop_price_ticks == 0:
        return False
    if trigger_of(order, Stage.STOP) is Trigger.UP:
        return order.stop_price_ticks <= max(prices)
    return order.stop_price_ticks >= min(prices)


def next_due(symbol: Symbol) -> Order | None:
    """The order that has the next turn: a leg that its list called, else what the price passed, DOWN before UP."""
    for leg in symbol.due:
        return leg
    if symbol.passed_high_ticks:
        down, up = (symbol.triggers[trigger].best() for trigger in (Trigger.DOWN, Trigger.UP))
        if down is not None and down.trigger_ticks >= symbol.passed_low_ticks:
            return down
        if up is not None and up.trigger_ticks <= symbol.passed_high_ticks:
            return up
    return None


def observe(symbol: Symbol, prices: list[int]) -> None:
    """An order is done with matching; these are the prices of its trades, in order."""
    if not prices:
        return
    first, last = prices[0], prices[-1]
    for price in [first] if first == last else [first, last]:
        if next_due(symbol) is None:
            _move_trailing(symbol, price)
        symbol.passed_low_ticks = min(symbol.passed_low_ticks or price, price)
        symbol.passed_high_ticks = max(symbol.passed_high_ticks, price)


def _move_trailing(symbol: Symbol, price: int) -> None:
    for order in symbol.trailing:
        better = price > order.extreme_ticks if order.side is Side.SELL else price < order.extreme_ticks
        if order.stands_in is None or not better:
            continue
        if trailing_ticks(order, price) == order.trigger_ticks:
            order.extreme_ticks = price
        else:
            order.stands_in.remove(order)
            _stand_at(symbol, order, price)
