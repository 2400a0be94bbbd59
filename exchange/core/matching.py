"""Matching: the life of an order from PLACE to its close.

Owns the order pool and the commands PLACE, CANCEL, REDUCE, CANCEL_ALL and TICK. Price-time priority; the taker trades
at the maker's price. Each function returns the next free event slot.

    place ──► risk.check_* ──► "from here the command must succeed" ──► take (match loop) ──► rest | close

Invariant: an order in the pool is on the book, but for the taker of the command being applied.
"""

from __future__ import annotations

from typing import Any

from exchange.core.book import crosses, rest, unlink
from exchange.core.clearing import hold, hold_atoms, pay_balance, settle_trade
from exchange.core.codes import (
    CloseReason,
    CommandFlag,
    CommandKind,
    EventKind,
    Limit,
    OrderStatus,
    OrderType,
    RejectCode,
    Side,
    StpMode,
    TimeInForce,
    TradingMode,
)
from exchange.core.compile import i64, inlined, kernel
from exchange.core.emit import begin_event, copy_client_id, copy_order_codes, emit_order, emit_rejected
from exchange.core.expiry import pop_expiry, push_expiry, reap
from exchange.core.index import (
    client_hash,
    erase_client,
    erase_order,
    find_client,
    find_order,
    has_client_id,
    move_client,
    move_order,
    put_client,
    put_order,
    same_client_id,
)
from exchange.core.risk import (
    can_pay,
    check_caps,
    check_filters,
    check_modes,
    check_shape,
    has_reserved,
    is_symbol,
    is_user,
    may_rest,
    walk,
)
from exchange.core.slots import (
    canceled_all_event,
    order_event,
    place_command,
    prevented_event,
    target_command,
    ticked_event,
    trade_event,
)
from exchange.core.state import CLOSED_BIT, EXPIRIES_PER_TICK, State

# ---- the pool and the window of closed orders ---------------------------------------------------------------------


@inlined
def _new_order(state: State, place: Any, lots: int) -> int:
    """A slot for an accepted order, with its ids in the indexes."""
    header = state.header[0]
    slot: int = header.order_free
    if slot != 0:
        header.order_free = i64(state.orders[slot].next)
    else:
        slot = header.order_high
        header.order_high += 1
    order = state.orders[slot]
    order.order_id = header.next_order_id
    header.next_order_id += 1
    order.price_ticks = place.price_ticks
    order.leaves_lots = lots
    order.filled_lots = 0
    order.account = place.account
    order.symbol = place.symbol
    copy_order_codes(order, place)
    detail = state.details[slot]
    detail.filled_quote_atoms = 0
    detail.submitted_lots = place.qty_lots
    detail.created_ts_ns = header.ts_ns
    detail.updated_ts_ns = header.ts_ns
    detail.expire_ts_ns = place.expire_ts_ns
    copy_client_id(detail, place)
    put_order(state, order.order_id, slot)
    if has_client_id(detail):
        put_client(state, client_hash(state, place.account, detail), slot)
    return slot


@kernel
def forget_oldest(state: State) -> None:
    """Drop the oldest closed order from the window; its client id is free again."""
    header = state.header[0]
    position = header.closed_first % len(state.closed)
    closed = state.closed[position]
    erase_order(state, closed.order_id, CLOSED_BIT | position)
    erase_client(state, client_hash(state, i64(closed.account), closed), CLOSED_BIT | position)
    header.closed_first += 1


@kernel
def _remember(state: State, slot: int, status: int, closed_lots: int, quote_atoms: int) -> None:
    """Move an order from the pool into the window of closed ones."""
    header = state.header[0]
    if header.closed_next - header.closed_first >= state.limits[Limit.CLOSED_ORDERS]:
        forget_oldest(state)
    order = state.orders[slot]
    detail = state.details[slot]
    position = header.closed_next % len(state.closed)
    header.closed_next += 1
    closed = state.closed[position]
    closed.order_id = order.order_id
    closed.price_ticks = order.price_ticks
    closed.closed_lots = closed_lots
    closed.filled_lots = order.filled_lots
    closed.filled_quote_atoms = detail.filled_quote_atoms
    closed.submitted_lots = detail.submitted_lots
    closed.quote_atoms = quote_atoms
    closed.created_ts_ns = detail.created_ts_ns
    closed.updated_ts_ns = header.ts_ns
    closed.expire_ts_ns = detail.expire_ts_ns
    closed.account = order.account
    closed.symbol = order.symbol
    closed.status = status
    copy_order_codes(closed, order)
    copy_client_id(closed, detail)
    move_order(state, order.order_id, slot, CLOSED_BIT | position)
    move_client(state, client_hash(state, i64(order.account), detail), slot, CLOSED_BIT | position)


@inlined
def _leave(state: State, slot: int, status: int, closed_lots: int, quote_atoms: int) -> None:
    """An order that is off the book leaves the pool: into the window if it has a client id, else for good."""
    order = state.orders[slot]
    if has_client_id(state.details[slot]):
        _remember(state, slot, status, closed_lots, quote_atoms)
    else:
        erase_order(state, order.order_id, slot)
    order.order_id = 0
    order.next = state.header[0].order_free
    state.header[0].order_free = slot


# ---- PLACE --------------------------------------------------------------------------------------------------------


@kernel
def _answer_repeated(state: State, commands: Any, i: int, reference: int, events: Any, used: int) -> int:
    """The client id is taken: the same content gives ORDER_DUPLICATE, other content a refusal."""
    place = place_command(commands, i)
    begin_event(state, events, used, EventKind.ORDER_DUPLICATE)
    event = order_event(events, used)
    if reference & CLOSED_BIT:
        closed = state.closed[reference & (CLOSED_BIT - 1)]
        event.order_id = closed.order_id
        event.symbol = closed.symbol
        event.price_ticks = closed.price_ticks
        event.qty_lots = closed.filled_lots + closed.closed_lots
        event.quote_atoms = closed.quote_atoms
        event.filled_lots = closed.filled_lots
        event.filled_quote_atoms = closed.filled_quote_atoms
        event.status = closed.status
        copy_order_codes(event, closed)
        submitted = closed.submitted_lots
        expire_ts_ns = closed.expire_ts_ns
    else:
        order = state.orders[reference]
        detail = state.details[reference]
        event.order_id = order.order_id
        event.symbol = order.symbol
        event.price_ticks = order.price_ticks
        event.qty_lots = order.filled_lots + order.leaves_lots
        event.filled_lots = order.filled_lots
        event.filled_quote_atoms = detail.filled_quote_atoms
        event.status = OrderStatus.PARTIALLY_FILLED if order.filled_lots > 0 else OrderStatus.NEW
        copy_order_codes(event, order)
        submitted = detail.submitted_lots
        expire_ts_ns = detail.expire_ts_ns
    same = (
        place.symbol == event.symbol
        and place.side == event.side
        and place.order_type == event.order_type
        and place.time_in_force == event.time_in_force
        and place.stp_mode == event.stp_mode
        and place.price_ticks == event.price_ticks
        and place.qty_lots == submitted
        and place.quote_atoms == event.quote_atoms
        and place.expire_ts_ns == expire_ts_ns
        and not has_reserved(place)
    )
    if not same:
        return emit_rejected(state, commands, i, events, used, RejectCode.CLIENT_ORDER_ID_CONFLICT)
    event.account = place.account
    event.command_kind = CommandKind.PLACE
    copy_client_id(event, place)
    return used + 1


@inlined
def _check_place(state: State, place: Any) -> int:
    """Everything that needs neither the walk nor a balance."""
    header = state.header[0]
    if header.link_failed_sequence != 0 and header.link_failed_sequence == header.sequence - 1:
        return RejectCode.LINK_FAILED
    if not is_symbol(state, place.symbol):
        return RejectCode.UNKNOWN_SYMBOL
    code = check_modes(state, place.account, place.symbol, TradingMode.OPEN)
    if code == RejectCode.NONE:
        code = check_shape(state, place)
    if code == RejectCode.NONE:
        code = check_filters(state, place)
    if code == RejectCode.NONE:
        code = check_caps(state, place)
    return code


@inlined
def place_order(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """PLACE: refuse, or accept and match and let the rest stay or close."""
    place = place_command(commands, i)
    if not is_user(state, place.account):
        return emit_rejected(state, commands, i, events, used, RejectCode.UNKNOWN_ACCOUNT)
    if has_client_id(place):
        reference = find_client(state, place.account, place)
        if reference != 0:
            return _answer_repeated(state, commands, i, reference, events, used)
    code = _check_place(state, place)
    lots = place.qty_lots
    fill_lots = i64(0)
    fill_quote_atoms = i64(0)
    if code == RejectCode.NONE:
        if place.order_type == OrderType.MARKET or place.time_in_force == TimeInForce.FOK:
            lots, fill_lots, fill_quote_atoms = walk(
                state,
                place.account,
                place.symbol,
                place.side,
                place.stp_mode,
                place.price_ticks,
                place.qty_lots,
                place.quote_atoms,
            )
        if not can_pay(state, place, fill_lots, fill_quote_atoms):
            code = RejectCode.INSUFFICIENT_BALANCE
    if code != RejectCode.NONE:
        return emit_rejected(state, commands, i, events, used, code)

    # From here the command must succeed.
    if place.order_type != OrderType.MARKET:
        held = hold_atoms(state, place.symbol, place.side, place.price_ticks, lots)
    else:
        held = (
            fill_quote_atoms if place.side == Side.BUY else fill_lots * state.symbols[place.symbol].base_atoms_per_lot
        )
    hold(state, pay_balance(state, place.account, place.symbol, place.side), held)
    slot = _new_order(state, place, lots)
    used = emit_order(state, slot, events, used, EventKind.ORDER_ACCEPTED, CommandKind.PLACE, lots, held)
    order_event(events, used - 1).status = OrderStatus.NEW
    order_event(events, used - 1).quote_atoms = place.quote_atoms
    order = state.orders[slot]
    if place.time_in_force == TimeInForce.FOK and fill_lots < lots:
        return _close_taker(state, slot, place.quote_atoms, CloseReason.FOK_UNFILLABLE, events, used)
    prevented = False
    if lots != 0:
        used, prevented = _take(state, slot, events, used)
    if order.leaves_lots == 0 and lots != 0:
        status = OrderStatus.EXPIRED_IN_MATCH if prevented else OrderStatus.FILLED
        closed_lots = prevented_event(events, used - 1).taker_prevented_lots if prevented else i64(0)
        _leave(state, slot, status, closed_lots, place.quote_atoms)
    elif may_rest(place.time_in_force):
        rest(state, slot)
        if place.time_in_force == TimeInForce.GTD:
            push_expiry(state, place.expire_ts_ns, order.order_id, slot)
    else:
        reason = CloseReason.NO_LIQUIDITY if place.order_type == OrderType.MARKET else CloseReason.IOC_REMAINDER
        used = _close_taker(state, slot, place.quote_atoms, reason, events, used)
    return used


@kernel
def _close_taker(state: State, slot: int, quote_atoms: int, reason: int, events: Any, used: int) -> int:
    """ORDER_CLOSED for a taker that may not rest; what a limit order still holds is released."""
    order = state.orders[slot]
    released = i64(0)
    if order.order_type != OrderType.MARKET:
        released = hold_atoms(state, order.symbol, order.side, order.price_ticks, order.leaves_lots)
        hold(state, pay_balance(state, order.account, order.symbol, order.side), -released)
    used = emit_order(
        state, slot, events, used, EventKind.ORDER_CLOSED, CommandKind.PLACE, order.leaves_lots, -released
    )
    event = order_event(events, used - 1)
    event.status = OrderStatus.EXPIRED
    event.reason = reason
    event.quote_atoms = quote_atoms
    _leave(state, slot, OrderStatus.EXPIRED, order.leaves_lots, quote_atoms)
    return used


@inlined
def _take(state: State, slot: int, events: Any, used: int) -> tuple[int, bool]:
    """Match a taker against the opposite side; also says whether a prevention took its last leaves."""
    taker = state.orders[slot]
    opposite = state.sides[(i64(taker.symbol) * 2 + taker.side) ^ 1]
    market = taker.order_type == OrderType.MARKET
    buys_at_limit = taker.side == Side.BUY and not market
    prevented = False
    while taker.leaves_lots > 0 and opposite.best != 0:
        level = state.levels[opposite.best]
        if not market and not crosses(taker.side, taker.price_ticks, level.price_ticks):
            break
        maker_slot = i64(level.head)
        maker = state.orders[maker_slot]
        status = OrderStatus.FILLED
        closed_lots = i64(0)
        if maker.account == taker.account and taker.stp_mode != StpMode.NONE:
            _prevent(state, slot, maker_slot, events, used)
            prevented = taker.leaves_lots == 0
            status = OrderStatus.EXPIRED_IN_MATCH
            closed_lots = prevented_event(events, used).maker_prevented_lots
        else:
            lots = min(taker.leaves_lots, maker.leaves_lots)
            begin_event(state, events, used, EventKind.TRADE)
            release_ticks = taker.price_ticks - maker.price_ticks if buys_at_limit else 0
            settle_trade(state, events, used, slot, maker_slot, lots, release_ticks)
            taker.leaves_lots -= lots
            taker.filled_lots += lots
            maker.leaves_lots -= lots
            maker.filled_lots += lots
            level.lots -= lots
            state.details[maker_slot].updated_ts_ns = state.header[0].ts_ns
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
            event.price_ticks = maker.price_ticks
            event.qty_lots = lots
            event.taker_leaves_lots = taker.leaves_lots
            event.maker_leaves_lots = maker.leaves_lots
        used += 1
        if maker.leaves_lots == 0:
            unlink(state, maker_slot)
            _leave(state, maker_slot, status, closed_lots, 0)
    return used, prevented


@kernel
def _prevent(state: State, slot: int, maker_slot: int, events: Any, used: int) -> None:
    """Self-trade prevention instead of a fill: PREVENTED, with what comes off either order no longer held."""
    taker = state.orders[slot]
    maker = state.orders[maker_slot]
    mode = taker.stp_mode
    smaller = min(taker.leaves_lots, maker.leaves_lots)
    off_taker = i64(0)
    off_maker = i64(0)
    if mode == StpMode.DECREMENT:
        off_taker = smaller
        off_maker = smaller
    if mode == StpMode.EXPIRE_TAKER or mode == StpMode.EXPIRE_BOTH:
        off_taker = taker.leaves_lots
    if mode == StpMode.EXPIRE_MAKER or mode == StpMode.EXPIRE_BOTH:
        off_maker = maker.leaves_lots
    taker_release = i64(0)
    if taker.order_type != OrderType.MARKET:
        taker_release = hold_atoms(state, taker.symbol, taker.side, taker.price_ticks, off_taker)
    maker_release = hold_atoms(state, maker.symbol, maker.side, maker.price_ticks, off_maker)
    hold(state, pay_balance(state, taker.account, taker.symbol, taker.side), -taker_release)
    hold(state, pay_balance(state, maker.account, maker.symbol, maker.side), -maker_release)
    taker.leaves_lots -= off_taker
    maker.leaves_lots -= off_maker
    state.levels[maker.level].lots -= off_maker
    if off_maker != 0:
        state.details[maker_slot].updated_ts_ns = state.header[0].ts_ns
    begin_event(state, events, used, EventKind.PREVENTED)
    event = prevented_event(events, used)
    event.side = taker.side
    event.stp_mode = mode
    event.symbol = taker.symbol
    event.account = taker.account
    event.taker_order_id = taker.order_id
    event.maker_order_id = maker.order_id
    event.price_ticks = maker.price_ticks
    event.taker_prevented_lots = off_taker
    event.maker_prevented_lots = off_maker
    event.taker_release_atoms = taker_release
    event.maker_release_atoms = maker_release
    event.taker_leaves_lots = taker.leaves_lots
    event.maker_leaves_lots = maker.leaves_lots


# ---- orders on the book -------------------------------------------------------------------------------------------


@inlined
def _close_resting(state: State, slot: int, reason: int, status: int, command_kind: int, events: Any, used: int) -> int:
    """Take an order off the book: release its hold, ORDER_CLOSED, leave."""
    order = state.orders[slot]
    leaves = order.leaves_lots
    released = hold_atoms(state, order.symbol, order.side, order.price_ticks, leaves)
    hold(state, pay_balance(state, order.account, order.symbol, order.side), -released)
    used = emit_order(state, slot, events, used, EventKind.ORDER_CLOSED, command_kind, leaves, -released)
    order_event(events, used - 1).status = status
    order_event(events, used - 1).reason = reason
    unlink(state, slot)
    _leave(state, slot, status, leaves, 0)
    return used


@inlined
def _find_target(state: State, target: Any) -> int:
    """The slot of the open order that a CANCEL or REDUCE names, 0 if there is none."""
    named = has_client_id(target)
    reference = i64(0)
    if target.order_id != 0:
        reference = find_order(state, target.order_id)
    elif named:
        reference = find_client(state, target.account, target)
    if reference & CLOSED_BIT:
        reference = i64(0)
    if reference != 0:
        order = state.orders[reference]
        if (
            order.account != target.account
            or (target.symbol != 0 and order.symbol != target.symbol)
            or (named and not same_client_id(state.details[reference], target))
        ):
            reference = i64(0)
    return reference


@inlined
def _check_target(state: State, target: Any, slot: int) -> int:
    """Refusals that CANCEL and REDUCE share."""
    if not is_user(state, target.account):
        return RejectCode.UNKNOWN_ACCOUNT
    if slot == 0:
        return RejectCode.UNKNOWN_ORDER
    return check_modes(state, target.account, state.orders[slot].symbol, TradingMode.CANCEL_ONLY)


@inlined
def cancel_order(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """CANCEL; remembers a refusal that a linked PLACE depends on."""
    target = target_command(commands, i)
    slot = _find_target(state, target)
    code = _check_target(state, target, slot)
    if code != RejectCode.NONE:
        if target["flags"] & CommandFlag.LINKED and not target["flags"] & CommandFlag.ALLOW_FAILURE:
            state.header[0].link_failed_sequence = state.header[0].sequence
        return emit_rejected(state, commands, i, events, used, code)
    return _close_resting(state, slot, CloseReason.CANCELED, OrderStatus.CANCELED, CommandKind.CANCEL, events, used)


@kernel
def reduce_order(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """REDUCE: a smaller total quantity, the same place in the queue."""
    target = target_command(commands, i)
    slot = _find_target(state, target)
    code = _check_target(state, target, slot)
    if code == RejectCode.NONE:
        order = state.orders[slot]
        step = state.symbols[order.symbol].qty_step_lots
        fits = order.filled_lots < target.qty_lots < order.filled_lots + order.leaves_lots
        if not fits or target.qty_lots % step != 0:
            code = RejectCode.INVALID_REDUCTION
    if code != RejectCode.NONE:
        return emit_rejected(state, commands, i, events, used, code)
    order = state.orders[slot]
    off = order.filled_lots + order.leaves_lots - target.qty_lots
    released = hold_atoms(state, order.symbol, order.side, order.price_ticks, off)
    hold(state, pay_balance(state, order.account, order.symbol, order.side), -released)
    order.leaves_lots -= off
    state.levels[order.level].lots -= off
    state.details[slot].updated_ts_ns = state.header[0].ts_ns
    used = emit_order(state, slot, events, used, EventKind.ORDER_REDUCED, CommandKind.REDUCE, off, -released)
    order_event(events, used - 1).status = OrderStatus.PARTIALLY_FILLED if order.filled_lots > 0 else OrderStatus.NEW
    return used


@kernel
def cancel_all(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """CANCEL_ALL: an account's orders on one symbol or, symbol zero, on every one that is not HALTED."""
    target = target_command(commands, i)
    code: int = RejectCode.NONE
    if not is_user(state, target.account):
        code = RejectCode.UNKNOWN_ACCOUNT
    elif target.symbol != 0 and not is_symbol(state, target.symbol):
        code = RejectCode.UNKNOWN_SYMBOL
    else:
        # symbol 0 does not exist, so its mode refuses nothing
        code = check_modes(state, target.account, target.symbol, TradingMode.CANCEL_ONLY)
    if code != RejectCode.NONE:
        return emit_rejected(state, commands, i, events, used, code)
    first = i64(target.symbol)
    last = first
    if first == 0:
        first = i64(1)
        last = i64(len(state.symbols) - 1)
    count = i64(0)
    for symbol in range(first, last + 1):
        if state.symbols[symbol].mode == TradingMode.HALTED:
            continue
        owned = state.owned[i64(target.account) * len(state.symbols) + symbol]
        while owned.head != 0:
            used = _close_resting(
                state,
                i64(owned.head),
                CloseReason.CANCELED,
                OrderStatus.CANCELED,
                CommandKind.CANCEL_ALL,
                events,
                used,
            )
            count += 1
    begin_event(state, events, used, EventKind.CANCELED_ALL)
    event = canceled_all_event(events, used)
    event.account = target.account
    event.symbol = target.symbol
    event.canceled_count = count
    return used + 1


@kernel
def tick(state: State, events: Any, used: int) -> int:
    """TICK: close the GTD orders whose time has come, at most EXPIRIES_PER_TICK of them."""
    count = i64(0)
    reap(state)
    while (
        count < EXPIRIES_PER_TICK
        and state.header[0].expiries > 0
        and state.expiries[0].expire_ts_ns <= state.header[0].ts_ns
    ):
        slot = pop_expiry(state)
        used = _close_resting(state, slot, CloseReason.GTD_EXPIRED, OrderStatus.EXPIRED, CommandKind.TICK, events, used)
        count += 1
        reap(state)
    begin_event(state, events, used, EventKind.TICKED)
    ticked_event(events, used).expired_count = count
    return used + 1
