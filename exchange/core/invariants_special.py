"""What must be true of orders that wait, hide and follow.

Owns the sentences of docs/engine-orders.md, section 17; `invariants.py` calls them.
"""

from __future__ import annotations

import numpy as np

from exchange.core.codes import OrderType, Side, Stage, TimeInForce
from exchange.core.invariant import hold_that, open_slots
from exchange.core.state import DOWN, SIDES, UP, State
from exchange.core.triggers import trigger_price_of


def is_market_type(order_type: int) -> bool:
    """Whether such an order trades at any price."""
    return order_type in (OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)


def shown_of(state: State, slot: int) -> int:
    """What an order on the book shows: all, or for a special one what its terms say, which is checked."""
    order = state.orders[slot]
    leaves = int(order.leaves_lots)
    if order.special == 0:
        return leaves
    terms = state.terms[int(state.details[slot].terms)]
    shown, iceberg = int(terms.shown_lots), int(terms.iceberg_lots)
    where = f"order {int(order.order_id)}"
    hold_that(0 < shown <= leaves and (iceberg > 0 or shown == leaves), f"{where} shows some of its leaves, or all [9]")
    hold_that(not iceberg or shown <= iceberg, f"{where} shows one part at most [9]")
    hold_that(int(terms.held_atoms) == 0, f"{where} holds by its price and leaves [4]")
    return shown


def trigger_keys(state: State, index: int) -> list[int]:
    """The tree keys of a trigger side, best first."""
    keys, level = [], int(state.sides[index].best)
    while level:
        price = int(state.levels[level].price_ticks)
        keys.append(price if index % 2 == Side.BUY else -price)
        level = int(state.levels[level].worse)
    return keys


def check_waiting(state: State, symbol: int, seen: set[int], locked: dict[tuple[int, int], int]) -> int:
    """Orders of a symbol that are not on the book; adds them to `seen` and what they hold to `locked`.

    Returns how many trigger levels there are.
    """
    waiting: list[int] = []
    levels = 0
    for way in (DOWN, UP):
        found, count = _check_trigger_side(state, symbol * SIDES + way)
        waiting += found
        levels += count
    trailing = _check_trailing(state, symbol)
    waiting += [slot for slot in trailing if state.orders[slot].level == 0]
    waiting += _check_due(state, symbol)
    pending = [
        slot for slot, order in open_slots(state).items() if order.symbol == symbol and order.stage == Stage.PENDING
    ]
    for slot in waiting + pending:
        order = state.orders[slot]
        where = f"order {int(order.order_id)}"
        hold_that(slot not in seen, f"{where} is in one place only [9]")
        seen.add(slot)
        terms = state.terms[int(state.details[slot].terms)]
        hold_that(int(terms.shown_lots) == 0 and int(terms.held_atoms) >= 0, f"{where} waits and shows nothing [9]")
        row = state.symbols[symbol]
        asset = int(row.quote_asset if order.side == Side.BUY else row.base_asset)
        locked[int(order.account), asset] += int(terms.held_atoms)
    follows = {slot for slot in waiting if state.orders[slot].stage == Stage.TRAIL}
    hold_that(follows == set(trailing), f"the orders of symbol {symbol} that trail are in its trailing list [25]")
    return levels


def _check_trigger_side(state: State, index: int) -> tuple[list[int], int]:
    """One trigger side: its orders from the front, and how many levels it has."""
    found: list[int] = []
    levels, level_slot, better = 0, int(state.sides[index].best), 0
    while level_slot:
        level = state.levels[level_slot]
        hold_that(int(level.better) == better and int(level.side) == index, f"level {level_slot} knows its place [9]")
        slot, prev = int(level.head), 0
        while slot:
            order = state.orders[slot]
            where = f"order {int(order.order_id)}"
            hold_that(int(order.prev) == prev and int(order.level) == level_slot, f"{where} knows its place [9]")
            hold_that(order.stage in (Stage.STOP, Stage.TRAIL), f"{where} waits for a price [9]")
            hold_that(int(order.symbol) == index // SIDES, f"{where} waits for its own symbol's price [9]")
            way, price = trigger_price_of(state, slot)
            hold_that(way == index % SIDES and price == int(level.price_ticks), f"{where} waits at its price [25]")
            found.append(slot)
            prev, slot = slot, int(order.next)
        hold_that(prev != 0 and int(level.tail) == prev, f"level {level_slot} ends with its last order [9]")
        hold_that(int(level.lots) == 0, f"trigger level {level_slot} shows nothing [9]")
        levels, better, level_slot = levels + 1, level_slot, int(level.worse)
    hold_that(len(found) == int(state.sides[index].orders), f"side {index} counts its orders [9]")
    return found, levels


def _check_trailing(state: State, symbol: int) -> list[int]:
    market = state.markets[symbol]
    found: list[int] = []
    slot, prev = int(market.trail_head), 0
    while slot:
        terms = state.terms[int(state.details[slot].terms)]
        hold_that(int(terms.trail_prev) == prev, "a trailing list is linked both ways [25]")
        hold_that(state.orders[slot].stage == Stage.TRAIL, "a trailing list holds orders that trail [25]")
        found.append(slot)
        prev, slot = slot, int(terms.trail_next)
    hold_that(int(market.trail_tail) == prev, "a trailing list ends with its last order [25]")
    return found


def _check_due(state: State, symbol: int) -> list[int]:
    market = state.markets[symbol]
    found: list[int] = []
    slot, prev = int(market.due_head), 0
    while slot:
        order = state.orders[slot]
        hold_that(int(order.prev) == prev and order.stage == Stage.DUE, "a due queue holds orders that are due [9]")
        found.append(slot)
        prev, slot = slot, int(order.next)
    hold_that(int(market.due_tail) == prev, "a due queue ends with its last order [9]")
    return found


def check_terms(state: State) -> None:
    """An order has terms exactly when it is special or GTD, and the counters count."""
    header = state.header[0]
    specials = np.zeros(len(state.symbols), dtype=np.int64)
    trailing = np.zeros(len(state.symbols), dtype=np.int64)
    used: set[int] = set()
    for slot, order in open_slots(state).items():
        number = int(state.details[slot].terms)
        needs = order.special != 0 or order.time_in_force == TimeInForce.GTD
        hold_that((number != 0) == bool(needs), f"order {int(order.order_id)} has terms if it needs them [9]")
        if number:
            hold_that(number not in used, f"terms {number} belong to one order [9]")
            used.add(number)
        if order.special:
            specials[int(order.symbol)] += 1
            trailing[int(order.symbol)] += int(state.terms[number].trailing_bips) != 0
    free, number = 0, int(header.terms_free)
    while number:
        free, number = free + 1, int(state.terms[number].next_free)
    hold_that(len(used) == int(header.terms), "the terms in use are those of open orders [9]")
    hold_that(free + int(header.terms) == int(header.terms_high) - 1, "no terms are lost")
    hold_that(int(specials.sum()) == int(header.specials), "special orders are counted [9]")
    table = np.asarray(state.markets)
    hold_that(bool((table["specials"] == specials).all()), "each market counts its special orders [9]")
    hold_that(bool((table["trailing"] == trailing).all()), "each market counts its trailing orders [9]")
