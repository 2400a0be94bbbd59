"""Turns: orders that were called go to work, so many a command.

Owns who is next, what is judged when a waiting order enters, and the end of the passed range. The rules are sections 11
(Entering), 12 and 15 (Turn of a leg) of docs/engine-orders.md. Each function returns the next free event slot.
"""

from __future__ import annotations

from typing import Any

from exchange.core.book import join_owned
from exchange.core.clearing import hold, hold_atoms, payer
from exchange.core.closing import close_special
from exchange.core.codes import (
    CloseReason,
    EventKind,
    Limit,
    OrderStatus,
    OrderType,
    PegType,
    Phase,
    RejectCode,
    Side,
    Stage,
    TimeInForce,
    TradingMode,
)
from exchange.core.compile import i64, inlined, part
from exchange.core.emit import emit_order
from exchange.core.levels import best_price, crosses, find_level, price_at, price_key
from exchange.core.lists import close_other_legs, is_funded, size_leg
from exchange.core.matching import work
from exchange.core.reference_price import range_of
from exchange.core.risk import check_notional, check_price, check_quantity, walk
from exchange.core.risk_special import has_room_to_wait
from exchange.core.slots import order_event
from exchange.core.state import SIDES, TURNS_PER_COMMAND, State
from exchange.core.terms import is_market, is_stop, list_of, may_rest, terms_of
from exchange.core.triggers import (
    condition_holds,
    next_due,
    place_trailing,
    stop_waiting,
    trail,
    trigger_side,
    wait_for_stop,
)


@part
def peg_price(state: State, symbol: int, side: int, peg_type: int, offset_levels: int) -> int:
    """The price that a pegged order gets now, 0 if there is no such level."""
    own = symbol * SIDES + side
    return price_at(state, own if peg_type == PegType.PRIMARY_PEG else own ^ 1, offset_levels)


@part
def begin_to_wait(state: State, slot: int, held_atoms: int) -> None:
    """An accepted stop waits: for its price, or from now on behind the price."""
    terms = terms_of(state, slot)
    terms.held_atoms = held_atoms
    join_owned(state, slot)
    if terms.stop_price_ticks != 0:
        wait_for_stop(state, slot)
    else:
        trail(state, slot)


@part
def work_special(
    state: State, slot: int, quote_atoms: int, fill_lots: int, owned: bool, command_kind: int, events: Any, used: int
) -> int:
    """`work` for orders that are special or guarded: one compiled body for all."""
    guarded = state.markets[state.orders[slot].symbol].guarded != 0
    return work(state, slot, quote_atoms, fill_lots, owned, guarded, command_kind, events, used)


@part
def _refusal_to_enter(state: State, slot: int, price_ticks: int) -> int:
    """The CloseReason of an order that may not enter, NONE if it may."""
    order = state.orders[slot]
    symbol = state.symbols[order.symbol]
    if terms_of(state, slot).peg_type != PegType.NONE:
        if price_ticks == 0:
            return CloseReason.NO_PEG_PRICE
        code = check_price(symbol, price_ticks)
        if code == RejectCode.NONE:
            code = check_notional(symbol, price_ticks * order.leaves_lots * symbol.quote_atoms_per_tick_lot)
        if code != RejectCode.NONE:
            return CloseReason.BAD_QUANTITY_OR_PRICE
    side_index = i64(order.symbol) * SIDES + order.side
    if order.order_type == OrderType.LIMIT_MAKER:
        best = best_price(state, side_index ^ 1)
        if best != 0 and crosses(order.side, price_ticks, best):
            return CloseReason.WOULD_TAKE
    levels = i64(state.header[0].levels)
    if order.level != 0 and state.levels[order.level].orders == 1:
        levels -= 1  # its trigger level goes with it
    if (
        may_rest(order.time_in_force)
        and levels >= state.limits[Limit.LEVELS]
        and find_level(state, side_index, price_key(order.side, price_ticks)) == 0
    ):
        return CloseReason.NO_LEVEL
    return CloseReason.NONE


@part
def _enter(state: State, slot: int, command_kind: int, events: Any, used: int) -> int:
    """An order that was called goes to work, or closes because it can not."""
    order = state.orders[slot]
    terms = terms_of(state, slot)
    symbol = i64(order.symbol)
    price_ticks = i64(order.price_ticks)
    if terms.peg_type != PegType.NONE:
        offset = i64(terms.peg_offset_levels)
        price_ticks = peg_price(state, symbol, i64(order.side), i64(terms.peg_type), offset)
    reason = _refusal_to_enter(state, slot, price_ticks)
    market = is_market(order.order_type)
    fill_lots = i64(0)
    needed = i64(0)
    if reason == CloseReason.NONE:
        fill_quote_atoms = i64(0)
        if market or order.time_in_force == TimeInForce.FOK:
            low, high = range_of(state, symbol)
            lots = order.leaves_lots
            _, fill_lots, fill_quote_atoms = walk(
                state, order.account, symbol, order.side, order.stp_mode, price_ticks, lots, i64(0), low, high
            )
        row = state.symbols[symbol]
        needed = hold_atoms(row, order.side, price_ticks, order.leaves_lots)
        if market:
            needed = fill_quote_atoms if order.side == Side.BUY else fill_lots * row.base_atoms_per_lot
        if needed - terms.held_atoms > payer(state, order).available:
            reason = CloseReason.CANNOT_PAY
    if reason != CloseReason.NONE:
        return close_special(state, slot, i64(reason), i64(OrderStatus.EXPIRED), command_kind, events, used)

    # From here it must succeed.
    header = state.header[0]
    delta = needed - terms.held_atoms
    hold(payer(state, order), delta)
    stop_waiting(state, slot)
    order.stage = Stage.BOOK
    order.price_ticks = price_ticks
    terms.held_atoms = 0
    terms.working_ts_ns = header.ts_ns
    detail = state.details[slot]
    detail.updated_ts_ns = header.ts_ns
    leaves = order.leaves_lots
    used = emit_order(header, order, detail, events, used, EventKind.ORDER_ENTERED, command_kind, leaves, delta)
    order_event(events, used - 1).status = OrderStatus.NEW
    return work_special(state, slot, i64(0), fill_lots, True, command_kind, events, used)


@part
def _turn_of_stop(state: State, slot: int, command_kind: int, events: Any, used: int) -> tuple[bool, int]:
    """A stop whose price was passed: it begins to trail, or the other leg of its pair closes and it enters.

    Returns (whether it enters, next free event slot).
    """
    if state.orders[slot].stage != Stage.TRAIL and terms_of(state, slot).trailing_bips != 0:
        stop_waiting(state, slot)
        trail(state, slot)
        return False, used
    list_slot = list_of(state, slot)
    if list_slot != 0:
        used = close_other_legs(state, list_slot, slot, i64(OrderStatus.EXPIRED), command_kind, events, used)
    return True, used


@inlined
def has_turns(state: State, symbol: int) -> bool:
    """Whether `take_turns` has anything to do: orders that may be due, or a passed range that must end."""
    market = state.markets[symbol]
    has: bool = market.specials != 0 or market.passed_high_ticks != 0
    return has


@part
def _turn_of_leg(state: State, slot: int, command_kind: int, events: Any, used: int) -> tuple[bool, int]:
    """A leg that its list has called: it enters, or if it is a stop begins to wait, or is called at once.

    Returns (whether it enters, next free event slot).
    """
    header = state.header[0]
    order = state.orders[slot]
    terms = terms_of(state, slot)
    reason = i64(CloseReason.NONE)
    if is_funded(state.lists[terms.list].list_type):
        used = size_leg(state, slot, command_kind, events, used)
        symbol = state.symbols[order.symbol]
        code = i64(check_quantity(symbol, order.leaves_lots))
        if code == RejectCode.NONE and order.price_ticks != 0:
            code = i64(check_notional(symbol, order.price_ticks * order.leaves_lots * symbol.quote_atoms_per_tick_lot))
        if code != RejectCode.NONE:
            reason = i64(CloseReason.BAD_QUANTITY_OR_PRICE)
    stops = is_stop(order.order_type)
    stop_price_ticks = i64(terms.stop_price_ticks)
    way = trigger_side(order.order_type, order.side)
    called = stop_price_ticks != 0 and condition_holds(state, i64(order.symbol), way, stop_price_ticks)
    room = not stops or called or has_room_to_wait(state, order, stop_price_ticks, i64(terms.trailing_bips))
    if reason == CloseReason.NONE and not room:
        reason = i64(CloseReason.NO_LEVEL)
    if reason != CloseReason.NONE:
        return False, close_special(state, slot, reason, i64(OrderStatus.EXPIRED), command_kind, events, used)
    if not stops:
        return True, used
    detail = state.details[slot]
    detail.updated_ts_ns = header.ts_ns
    leaves = order.leaves_lots
    used = emit_order(header, order, detail, events, used, EventKind.ORDER_ENTERED, command_kind, leaves, i64(0))
    order_event(events, used - 1).status = OrderStatus.NEW
    if called:
        return _turn_of_stop(state, slot, command_kind, events, used)
    stop_waiting(state, slot)
    if stop_price_ticks != 0:
        wait_for_stop(state, slot)
    else:
        trail(state, slot)
    return False, used


@part
def _turn(state: State, slot: int, command_kind: int, events: Any, used: int) -> int:
    """The turn of an order that is due."""
    if state.orders[slot].stage == Stage.DUE:
        enters, used = _turn_of_leg(state, slot, command_kind, events, used)
    else:
        enters, used = _turn_of_stop(state, slot, command_kind, events, used)
    # one place that calls it: the compiler copies what it may, and all of matching is below
    return _enter(state, slot, command_kind, events, used) if enters else used


@part
def take_turns(state: State, symbol: int, budget: int, command_kind: int, events: Any, used: int) -> tuple[int, int]:
    """Let orders of a symbol that are due have their turns; returns (turns left, next free event slot)."""
    market = state.markets[symbol]
    slot = next_due(state, symbol)
    while (
        slot != 0
        and budget > 0
        and state.header[0].mode == TradingMode.OPEN
        and state.symbols[symbol].mode == TradingMode.OPEN
        and market.phase == Phase.CONTINUOUS
    ):
        used = _turn(state, slot, command_kind, events, used)
        budget -= 1
        slot = next_due(state, symbol)
    if slot == 0:
        market.passed_low_ticks = 0
        market.passed_high_ticks = 0
        place_trailing(state, symbol)
    return budget, used


@part
def take_all_turns(state: State, command_kind: int, events: Any, used: int) -> int:
    """Turns of all symbols by id, TURNS_PER_COMMAND together."""
    budget = i64(TURNS_PER_COMMAND)
    for symbol in range(1, len(state.symbols)):
        if has_turns(state, i64(symbol)):
            budget, used = take_turns(state, i64(symbol), budget, command_kind, events, used)
    return used
