"""Matching: what an order does when it goes to work, to the last fill.

    work ──► take (match loop) ──► observe the prices ──► rest | close | leave

Owns the match loop. Price-time priority; the taker trades at the maker's price. Each function returns the next free
event slot. Nothing here may fail: what can be refused has been.

Invariant: an order in the pool is on the book or waits, but for the one that is at work.
"""

from __future__ import annotations

from typing import Any

from exchange.core.book import join_level, join_owned, leave_level, leave_owned, rest, to_the_back
from exchange.core.breaker import watch
from exchange.core.clearing import hold, hold_atoms, payer, settle_trade
from exchange.core.codes import (
    CloseReason,
    EventKind,
    OrderStatus,
    Phase,
    Side,
    Stage,
    StpMode,
    TimeInForce,
)
from exchange.core.compile import i64, inlined, part
from exchange.core.emit import begin_event, emit_order, emit_shown
from exchange.core.expiry import push_expiry
from exchange.core.levels import best_price, crosses
from exchange.core.lists import follow_match, leg_ended
from exchange.core.pool import leave_pool
from exchange.core.reference_price import count_trade, price_range
from exchange.core.risk import is_same_owner
from exchange.core.slots import order_event, prevented_event, trade_event
from exchange.core.state import ICEBERG, LEG, SIDES, State
from exchange.core.terms import is_market, list_of, may_rest, shown_lots, terms_of
from exchange.core.triggers import observe


@inlined
def work(
    state: State,
    slot: int,
    quote_atoms: int,
    fill_lots: int,
    owned: bool,
    guarded: bool,
    command_kind: int,
    events: Any,
    used: int,
) -> int:
    """Let an accepted order trade, and what is left of it rest or close.

    `fill_lots` is what a FOK can fill; `owned`: it waited, or is a leg, so it is in its account's list already;
    `guarded`: its symbol is (a constant on the short way, which so pays nothing for it).
    """
    order = state.orders[slot]
    symbol = i64(order.symbol)
    if order.time_in_force == TimeInForce.FOK and fill_lots < order.leaves_lots:
        return _close_taker(state, slot, quote_atoms, CloseReason.FOK_UNFILLABLE, owned, command_kind, events, used)
    lots = order.leaves_lots
    prevented_lots = i64(0)
    first_ticks = i64(0)
    if lots != 0 and not (guarded and state.markets[symbol].phase == Phase.AUCTION):
        used, prevented_lots, first_ticks = _take(state, slot, guarded, command_kind, events, used)
        if first_ticks != 0 and state.markets[symbol].specials != 0:
            observe(state, symbol, first_ticks)
            if state.markets[symbol].last_ticks != first_ticks:
                observe(state, symbol, i64(state.markets[symbol].last_ticks))
    if order.leaves_lots == 0 and lots != 0:
        if owned:
            leave_owned(state, slot)
        status = OrderStatus.EXPIRED_IN_MATCH if prevented_lots != 0 else OrderStatus.FILLED
        leave_pool(state, slot, status, prevented_lots, quote_atoms)
    elif guarded and lots != 0 and _is_held_back(state, slot):
        used = _close_taker(state, slot, quote_atoms, CloseReason.PRICE_RANGE, owned, command_kind, events, used)
    elif may_rest(order.time_in_force):
        if order.special == 0:
            rest(state, slot)
        else:
            used = _rest_special(state, slot, owned, command_kind, events, used)
        if order.time_in_force == TimeInForce.GTD and not owned:
            push_expiry(state, terms_of(state, slot).expire_ts_ns, order.order_id, slot)
    else:
        reason = CloseReason.NO_LIQUIDITY if is_market(order.order_type) else CloseReason.IOC_REMAINDER
        used = _close_taker(state, slot, quote_atoms, reason, owned, command_kind, events, used)
    if guarded and first_ticks != 0:
        used = watch(state, symbol, first_ticks, i64(state.markets[symbol].last_ticks), events, used)
    return used


@part
def _is_held_back(state: State, slot: int) -> bool:
    """Whether what is left of a taker could trade by its own limit, so that only the range guard keeps it from it."""
    order = state.orders[slot]
    if state.markets[order.symbol].phase == Phase.AUCTION:
        return False
    best = best_price(state, (i64(order.symbol) * SIDES + order.side) ^ 1)
    return best != 0 and (is_market(order.order_type) or crosses(order.side, order.price_ticks, best))


@part
def _rest_special(state: State, slot: int, owned: bool, command_kind: int, events: Any, used: int) -> int:
    """Put a special order onto the book, showing all or its first part."""
    order = state.orders[slot]
    terms = terms_of(state, slot)
    order.stage = Stage.BOOK
    terms.held_atoms = 0
    terms.shown_lots = min(i64(order.leaves_lots), i64(terms.iceberg_lots)) if terms.iceberg_lots else order.leaves_lots
    join_level(state, slot, i64(order.symbol) * SIDES + order.side, order.price_ticks, i64(terms.shown_lots))
    if not owned:
        join_owned(state, slot)
    return emit_shown(state.header[0], order, state.details[slot], events, used, command_kind, i64(terms.shown_lots))


@part
def _close_taker(
    state: State, slot: int, quote_atoms: int, reason: int, owned: bool, command_kind: int, events: Any, used: int
) -> int:
    """ORDER_CLOSED for a taker that may not rest; what a limit order still holds is released."""
    header = state.header[0]
    order = state.orders[slot]
    detail = state.details[slot]
    released = i64(0)
    if not is_market(order.order_type):
        released = hold_atoms(state.symbols[order.symbol], order.side, order.price_ticks, order.leaves_lots)
        hold(payer(state, order), -released)
    used = emit_order(
        header, order, detail, events, used, EventKind.ORDER_CLOSED, command_kind, order.leaves_lots, -released
    )
    event = order_event(events, used - 1)
    event.status = OrderStatus.EXPIRED
    event.reason = reason
    event.quote_atoms = quote_atoms
    list_slot = list_of(state, slot)
    if owned:
        leave_owned(state, slot)
    leave_pool(state, slot, OrderStatus.EXPIRED, order.leaves_lots, quote_atoms)
    if list_slot != 0:
        used = leg_ended(state, list_slot, slot, False, i64(OrderStatus.EXPIRED), i64(command_kind), events, used)
    return used


@inlined
def _take(state: State, slot: int, guarded: bool, command_kind: int, events: Any, used: int) -> tuple[int, int, int]:
    """Match a taker against the opposite side, and within the symbol's range if it is guarded.

    Returns (next free event slot, what a prevention took off its last leaves, price of its first trade); the market
    knows the price of its last one.
    """
    taker = state.orders[slot]
    opposite = state.sides[(i64(taker.symbol) * SIDES + taker.side) ^ 1]
    market = is_market(taker.order_type)
    buys_at_limit = taker.side == Side.BUY and not market
    prevented_lots = i64(0)
    first_ticks = i64(0)
    low_ticks = i64(0)
    high_ticks = i64(0)
    if guarded:
        low_ticks, high_ticks = price_range(state, i64(taker.symbol))
    while taker.leaves_lots > 0 and opposite.best != 0:
        level = state.levels[opposite.best]
        if not market and not crosses(taker.side, taker.price_ticks, level.price_ticks):
            break
        if guarded and not low_ticks <= level.price_ticks <= high_ticks:
            break
        maker_slot = i64(level.head)
        maker = state.orders[maker_slot]
        status = OrderStatus.FILLED
        closed_lots = i64(0)
        if taker.stp_mode != StpMode.NONE and is_same_owner(state, taker.account, maker.account):
            if maker.special != 0:
                used = _reveal(state, slot, maker_slot, command_kind, events, used)
            _prevent(state, slot, maker_slot, events, used)
            prevented_lots = prevented_event(events, used).taker_prevented_lots if taker.leaves_lots == 0 else i64(0)
            status = OrderStatus.EXPIRED_IN_MATCH
            closed_lots = prevented_event(events, used).maker_prevented_lots
            lots = closed_lots
        else:
            offered = i64(maker.leaves_lots) if maker.special == 0 else i64(terms_of(state, maker_slot).shown_lots)
            lots = min(i64(taker.leaves_lots), offered)
            price_ticks = i64(maker.price_ticks)
            if first_ticks == 0:
                first_ticks = price_ticks
            state.markets[taker.symbol].last_ticks = price_ticks
            release_ticks = taker.price_ticks - price_ticks if buys_at_limit else 0
            fill(state, slot, maker_slot, price_ticks, lots, release_ticks, False, events, used)
            level.lots -= lots
            state.details[maker_slot].updated_ts_ns = state.header[0].ts_ns
            if guarded:
                count_trade(state, i64(taker.symbol), price_ticks, lots)
        matched = used
        used += 1
        maker_list = i64(0)
        if maker.special != 0:
            used = show_next_part(state, maker_slot, lots, command_kind, events, used)
            maker_list = list_of(state, maker_slot)
        if maker.leaves_lots == 0:
            leave_owned(state, maker_slot)
            leave_level(state, maker_slot, i64(0))
            leave_pool(state, maker_slot, status, closed_lots, 0)
        if maker_list != 0 or taker.special & LEG:
            taker_list = list_of(state, slot)
            kind = i64(command_kind)
            used = follow_match(state, slot, maker_slot, taker_list, maker_list, matched, kind, events, used)
    return used, prevented_lots, first_ticks


@inlined
def fill(
    state: State,
    slot: int,
    maker_slot: int,
    price_ticks: int,
    lots: int,
    release_ticks: int,
    both_rest: bool,
    events: Any,
    used: int,
) -> None:
    """TRADE of so many lots of two orders at a price; their levels are the caller's."""
    taker = state.orders[slot]
    maker = state.orders[maker_slot]
    begin_event(state.header[0], events, used, EventKind.TRADE)
    settle_trade(state, events, used, slot, maker_slot, price_ticks, lots, release_ticks, both_rest)
    taker.leaves_lots -= lots
    taker.filled_lots += lots
    maker.leaves_lots -= lots
    maker.filled_lots += lots
    symbol = state.symbols[taker.symbol]
    symbol.trades += 1
    event = trade_event(events, used)
    event.side = taker.side
    event.symbol = taker.symbol
    event.taker_account = taker.account
    event.maker_account = maker.account
    event.taker_order_id = taker.order_id
    event.maker_order_id = maker.order_id
    event.trade_id = symbol.trades
    event.price_ticks = price_ticks
    event.qty_lots = lots
    event.taker_leaves_lots = taker.leaves_lots
    event.maker_leaves_lots = maker.leaves_lots


@part
def show_next_part(state: State, slot: int, taken_lots: int, command_kind: int, events: Any, used: int) -> int:
    """So much was taken off what a special maker shows; an iceberg that shows nothing more shows its next part."""
    order = state.orders[slot]
    terms = terms_of(state, slot)
    terms.shown_lots -= taken_lots
    if terms.shown_lots == 0 and order.leaves_lots > 0:
        terms.shown_lots = min(i64(order.leaves_lots), i64(terms.iceberg_lots))
        state.levels[order.level].lots += terms.shown_lots
        to_the_back(state, slot)
        shown = i64(terms.shown_lots)
        used = emit_shown(state.header[0], order, state.details[slot], events, used, command_kind, shown)
    return used


@inlined
def _prevented_lots(state: State, slot: int, maker_slot: int) -> tuple[int, int]:
    """What the taker's STP mode takes off the taker and off the maker."""
    taker = state.orders[slot]
    mode = taker.stp_mode
    off_taker = i64(0)
    off_maker = i64(0)
    if mode == StpMode.DECREMENT:
        off_taker = min(i64(taker.leaves_lots), shown_lots(state, maker_slot))
        off_maker = off_taker
    if mode == StpMode.EXPIRE_TAKER or mode == StpMode.EXPIRE_BOTH:
        off_taker = i64(taker.leaves_lots)
    if mode == StpMode.EXPIRE_MAKER or mode == StpMode.EXPIRE_BOTH:
        off_maker = i64(state.orders[maker_slot].leaves_lots)
    return off_taker, off_maker


@part
def _reveal(state: State, slot: int, maker_slot: int, command_kind: int, events: Any, used: int) -> int:
    """Before a prevention takes more off an iceberg than it shows: show it."""
    _, off_maker = _prevented_lots(state, slot, maker_slot)
    maker = state.orders[maker_slot]
    terms = terms_of(state, maker_slot)
    if maker.special & ICEBERG and off_maker > terms.shown_lots:
        hidden = off_maker - terms.shown_lots
        terms.shown_lots = off_maker
        state.levels[maker.level].lots += hidden
        used = emit_shown(state.header[0], maker, state.details[maker_slot], events, used, command_kind, hidden)
    return used


@part
def _prevent(state: State, slot: int, maker_slot: int, events: Any, used: int) -> None:
    """Self-trade prevention instead of a fill: PREVENTED, with what comes off either order no longer held."""
    taker = state.orders[slot]
    maker = state.orders[maker_slot]
    off_taker, off_maker = _prevented_lots(state, slot, maker_slot)
    taker_release = i64(0)
    if not is_market(taker.order_type):
        taker_release = hold_atoms(state.symbols[taker.symbol], taker.side, taker.price_ticks, off_taker)
    maker_release = hold_atoms(state.symbols[maker.symbol], maker.side, maker.price_ticks, off_maker)
    hold(payer(state, taker), -taker_release)
    hold(payer(state, maker), -maker_release)
    taker.leaves_lots -= off_taker
    maker.leaves_lots -= off_maker
    state.levels[maker.level].lots -= off_maker
    if off_maker != 0:
        state.details[maker_slot].updated_ts_ns = state.header[0].ts_ns
    tell_prevented(state, slot, maker_slot, off_taker, off_maker, taker_release, maker_release, events, used)


@part
def tell_prevented(
    state: State,
    slot: int,
    maker_slot: int,
    off_taker: int,
    off_maker: int,
    taker_release: int,
    maker_release: int,
    events: Any,
    used: int,
) -> None:
    """PREVENTED: so much was taken off both orders, and is no longer held."""
    taker = state.orders[slot]
    maker = state.orders[maker_slot]
    begin_event(state.header[0], events, used, EventKind.PREVENTED)
    event = prevented_event(events, used)
    event.side = taker.side
    event.stp_mode = taker.stp_mode
    event.symbol = taker.symbol
    event.account = taker.account
    if maker.account != taker.account:
        event.maker_account = maker.account
    event.taker_order_id = taker.order_id
    event.maker_order_id = maker.order_id
    event.price_ticks = maker.price_ticks
    event.taker_prevented_lots = off_taker
    event.maker_prevented_lots = off_maker
    event.taker_release_atoms = taker_release
    event.maker_release_atoms = maker_release
    event.taker_leaves_lots = taker.leaves_lots
    event.maker_leaves_lots = maker.leaves_lots
