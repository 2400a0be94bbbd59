"""Matching: PLACE, from the checks to the last fill.

Owns the match loop. Price-time priority; the taker trades at the maker's price. Each function returns the next free
event slot.

    place ──► risk.check_* ──► "from here the command must succeed" ──► take (match loop) ──► rest | close

Invariant: an order in the pool is on the book, but for the taker of the command being applied.
"""

from __future__ import annotations

from typing import Any

from exchange.core.book import crosses, rest, unlink
from exchange.core.clearing import hold, hold_atoms, payer, settle_trade
from exchange.core.codes import (
    CloseReason,
    CommandKind,
    EventKind,
    OrderStatus,
    OrderType,
    RejectCode,
    Side,
    StpMode,
    TimeInForce,
    TradingMode,
)
from exchange.core.compile import i64, inlined, part
from exchange.core.emit import begin_event, copy_client_id, copy_order_codes, emit_order, emit_rejected
from exchange.core.expiry import push_expiry
from exchange.core.index import client_hash, find_client, has_client_id
from exchange.core.pool import leave_pool, new_order
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
from exchange.core.slots import order_event, place_command, prevented_event, trade_event
from exchange.core.state import CLOSED_BIT, State


@part
def _answer_repeated(state: State, commands: Any, i: int, reference: int, events: Any, used: int) -> int:
    """The client id is taken: the same content gives ORDER_DUPLICATE, other content a refusal."""
    place = place_command(commands, i)
    begin_event(state.header[0], events, used, EventKind.ORDER_DUPLICATE)
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
        return emit_rejected(state.header[0], commands, i, events, used, RejectCode.CLIENT_ORDER_ID_CONFLICT)
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
        code = check_shape(state.header[0].ts_ns, place)
    if code == RejectCode.NONE:
        code = check_filters(state.symbols[place.symbol], place)
    if code == RejectCode.NONE:
        code = check_caps(state, place)
    return code


@inlined
def place_order(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """PLACE: refuse, or accept and match and let the rest stay or close."""
    place = place_command(commands, i)
    if not is_user(state, place.account):
        return emit_rejected(state.header[0], commands, i, events, used, RejectCode.UNKNOWN_ACCOUNT)
    client_home = i64(0)
    if has_client_id(place):
        client_home = client_hash(state.header[0], place.account, place)
        reference = find_client(state, place.account, place, client_home)
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
        return emit_rejected(state.header[0], commands, i, events, used, code)

    # From here the command must succeed.
    if place.order_type != OrderType.MARKET:
        held = hold_atoms(state.symbols[place.symbol], place.side, place.price_ticks, lots)
    else:
        held = (
            fill_quote_atoms if place.side == Side.BUY else fill_lots * state.symbols[place.symbol].base_atoms_per_lot
        )
    hold(payer(state, place), held)
    header = state.header[0]
    slot = new_order(state, place, lots, client_home)
    order = state.orders[slot]
    detail = state.details[slot]
    used = emit_order(header, order, detail, events, used, EventKind.ORDER_ACCEPTED, CommandKind.PLACE, lots, held)
    order_event(events, used - 1).status = OrderStatus.NEW
    order_event(events, used - 1).quote_atoms = place.quote_atoms
    if place.time_in_force == TimeInForce.FOK and fill_lots < lots:
        return _close_taker(state, slot, place.quote_atoms, CloseReason.FOK_UNFILLABLE, events, used)
    prevented = False
    if lots != 0:
        used, prevented = _take(state, slot, events, used)
    if order.leaves_lots == 0 and lots != 0:
        status = OrderStatus.EXPIRED_IN_MATCH if prevented else OrderStatus.FILLED
        closed_lots = prevented_event(events, used - 1).taker_prevented_lots if prevented else i64(0)
        leave_pool(state, slot, status, closed_lots, place.quote_atoms)
    elif may_rest(place.time_in_force):
        rest(state, slot)
        if place.time_in_force == TimeInForce.GTD:
            push_expiry(state, place.expire_ts_ns, order.order_id, slot)
    else:
        reason = CloseReason.NO_LIQUIDITY if place.order_type == OrderType.MARKET else CloseReason.IOC_REMAINDER
        used = _close_taker(state, slot, place.quote_atoms, reason, events, used)
    return used


@part
def _close_taker(state: State, slot: int, quote_atoms: int, reason: int, events: Any, used: int) -> int:
    """ORDER_CLOSED for a taker that may not rest; what a limit order still holds is released."""
    header = state.header[0]
    order = state.orders[slot]
    detail = state.details[slot]
    released = i64(0)
    if order.order_type != OrderType.MARKET:
        released = hold_atoms(state.symbols[order.symbol], order.side, order.price_ticks, order.leaves_lots)
        hold(payer(state, order), -released)
    used = emit_order(
        header, order, detail, events, used, EventKind.ORDER_CLOSED, CommandKind.PLACE, order.leaves_lots, -released
    )
    event = order_event(events, used - 1)
    event.status = OrderStatus.EXPIRED
    event.reason = reason
    event.quote_atoms = quote_atoms
    leave_pool(state, slot, OrderStatus.EXPIRED, order.leaves_lots, quote_atoms)
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
            begin_event(state.header[0], events, used, EventKind.TRADE)
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
            leave_pool(state, maker_slot, status, closed_lots, 0)
    return used, prevented


@part
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
        taker_release = hold_atoms(state.symbols[taker.symbol], taker.side, taker.price_ticks, off_taker)
    maker_release = hold_atoms(state.symbols[maker.symbol], maker.side, maker.price_ticks, off_maker)
    hold(payer(state, taker), -taker_release)
    hold(payer(state, maker), -maker_release)
    taker.leaves_lots -= off_taker
    maker.leaves_lots -= off_maker
    state.levels[maker.level].lots -= off_maker
    if off_maker != 0:
        state.details[maker_slot].updated_ts_ns = state.header[0].ts_ns
    begin_event(state.header[0], events, used, EventKind.PREVENTED)
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
