"""PLACE: from the checks to the acceptance, and then on to work or to wait.

    place ──► checks ──► "from here the command must succeed" ──► hold, accept ──► work | wait ──► turns

Owns the acceptance. Orders that are not special and that nothing guards take the short way (`place_order`); the others
the long one. Each function returns the next free event slot.
"""

from __future__ import annotations

from typing import Any

from exchange.core.clearing import hold, hold_atoms, payer
from exchange.core.codes import (
    CommandFlag,
    CommandKind,
    EventKind,
    ListRole,
    OrderStatus,
    OrderType,
    PegType,
    RejectCode,
    Side,
    TimeInForce,
    TradingMode,
)
from exchange.core.compile import i64, inlined, part
from exchange.core.emit import (
    begin_event,
    copy_client_id,
    copy_order_codes,
    emit_order,
    emit_rejected,
    emit_terms,
    open_status,
)
from exchange.core.expiry import push_expiry
from exchange.core.guards import check_guards, count_accepted, is_guarded, notional_of
from exchange.core.index import client_hash, find_client, has_client_id
from exchange.core.list_placing import is_next_leg, place_leg
from exchange.core.matching import work
from exchange.core.pool import new_order
from exchange.core.reference_price import range_of
from exchange.core.risk import (
    can_pay,
    check_caps,
    check_filters,
    check_modes,
    check_shape,
    check_standing,
    is_symbol,
    is_user,
    walk,
)
from exchange.core.risk_special import check_special
from exchange.core.slots import any_event, order_event, place_command
from exchange.core.state import CLOSED_BIT, MAX_ATOMS, TURNS_PER_COMMAND, State
from exchange.core.terms import is_special, is_stop, special_bits, terms_of
from exchange.core.turns import begin_to_wait, has_turns, peg_price, take_turns, work_special


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
        same = place.expire_ts_ns == closed.expire_ts_ns and _are_same_terms(place, closed)
        pegged = closed.peg_type != PegType.NONE
    else:
        order = state.orders[reference]
        detail = state.details[reference]
        terms = terms_of(state, reference)
        event.order_id = order.order_id
        event.symbol = order.symbol
        event.price_ticks = order.price_ticks
        event.qty_lots = order.filled_lots + order.leaves_lots
        event.filled_lots = order.filled_lots
        event.filled_quote_atoms = detail.filled_quote_atoms
        event.status = open_status(order)
        copy_order_codes(event, order)
        submitted = detail.submitted_lots
        same = place.expire_ts_ns == terms.expire_ts_ns and _are_same_terms(place, terms)
        pegged = terms.peg_type != PegType.NONE
    same = (
        same
        and place.symbol == event.symbol
        and place.side == event.side
        and place.order_type == event.order_type
        and place.time_in_force == event.time_in_force
        and place.stp_mode == event.stp_mode
        and place.price_ticks == (0 if pegged else event.price_ticks)
        and place.qty_lots == submitted
        and place.quote_atoms == event.quote_atoms
    )
    if not same:
        return emit_rejected(state.header[0], commands, i, events, used, RejectCode.CLIENT_ORDER_ID_CONFLICT)
    event.account = place.account
    event.command_kind = CommandKind.PLACE
    copy_client_id(event, place)
    return used + 1


@inlined
def _are_same_terms(place: Any, known: Any) -> bool:
    same: bool = (
        place.stop_price_ticks == known.stop_price_ticks
        and place.iceberg_lots == known.iceberg_lots
        and place.trailing_bips == known.trailing_bips
        and place.peg_type == known.peg_type
        and place.peg_offset_levels == known.peg_offset_levels
        and place.list_role == known.list_role
    )
    return same


@inlined
def _check_place(state: State, place: Any) -> int:
    """Whether anything may be placed here and now: the link, the symbol, the modes."""
    header = state.header[0]
    if header.link_failed_sequence != 0 and header.link_failed_sequence == header.sequence - 1:
        return RejectCode.LINK_FAILED
    if not is_symbol(state, place.symbol):
        return RejectCode.UNKNOWN_SYMBOL
    return check_modes(state, place.account, place.symbol, TradingMode.OPEN)


@inlined
def place_order(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """PLACE: refuse, or accept and let the order work or wait."""
    place = place_command(commands, i)
    if place.list_role != ListRole.NONE:
        return _place_role(state, commands, i, events, used)
    if not is_user(state, place.account):
        return emit_rejected(state.header[0], commands, i, events, used, RejectCode.UNKNOWN_ACCOUNT)
    client_home = i64(0)
    if has_client_id(place):
        client_home = client_hash(state.header[0], place.account, place)
        reference = find_client(state, place.account, place, client_home)
        if reference != 0:
            return _answer_repeated(state, commands, i, reference, events, used)
    special = is_special(place) or place.order_type > OrderType.LIMIT_MAKER or place.key < 0
    if special or not is_symbol(state, place.symbol) or is_guarded(state, place):
        return _place_the_long_way(state, commands, i, client_home, events, used)
    code = _check_place(state, place)
    if code == RejectCode.NONE:
        code = check_shape(state.header[0].ts_ns, place)
    if code == RejectCode.NONE:
        code = check_filters(state.symbols[place.symbol], place)
    if code == RejectCode.NONE:
        code = check_caps(state, place)
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
                i64(0),
                i64(MAX_ATOMS),
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
    slot = new_order(state, place, place.price_ticks, lots, i64(0), client_home)
    order = state.orders[slot]
    detail = state.details[slot]
    used = emit_order(header, order, detail, events, used, EventKind.ORDER_ACCEPTED, CommandKind.PLACE, lots, held)
    order_event(events, used - 1).status = OrderStatus.NEW
    order_event(events, used - 1).quote_atoms = place.quote_atoms
    used = work(state, slot, place.quote_atoms, fill_lots, False, False, i64(CommandKind.PLACE), events, used)
    if has_turns(state, i64(place.symbol)):
        _, used = take_turns(state, i64(place.symbol), i64(TURNS_PER_COMMAND), i64(CommandKind.PLACE), events, used)
    return used


@part
def _judge(state: State, place: Any, lots: int, held: int, notional: int, fill_lots: int, fill_quote: int) -> int:
    """What guards, the lack of a list and the balance say of an order that is good on its own."""
    code = i64(check_guards(state, place, lots, held, notional, i64(0), i64(0)))
    if code == RejectCode.NONE and place.list_role != ListRole.NONE:
        code = i64(RejectCode.INVALID_LIST)
    if code == RejectCode.NONE:
        if place.order_type == OrderType.MARKET:
            payable = can_pay(state, place, fill_lots, fill_quote)
        else:
            payable = held <= payer(state, place).available
        if not payable:
            code = i64(RejectCode.INSUFFICIENT_BALANCE)
    return code


@part
def _place_role(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """PLACE with a role: a leg of the list under construction, or one that no list waits for, which is refused."""
    header = state.header[0]
    place = place_command(commands, i)
    client_home = i64(0)
    reference = i64(0)
    if is_next_leg(state, place):
        used = place_leg(state, commands, i, events, used)
    elif not is_user(state, place.account):
        used = emit_rejected(header, commands, i, events, used, i64(RejectCode.UNKNOWN_ACCOUNT))
    else:
        if has_client_id(place):
            client_home = client_hash(header, place.account, place)
            reference = find_client(state, place.account, place, client_home)
        if reference != 0:
            used = _answer_repeated(state, commands, i, reference, events, used)
        else:
            used = _place_the_long_way(state, commands, i, client_home, events, used)
    if place["flags"] & CommandFlag.LINKED and any_event(events, used - 1).kind == EventKind.REJECTED:
        header.link_failed_sequence = header.sequence
    return used


@part
def _place_the_long_way(state: State, commands: Any, i: int, client_home: int, events: Any, used: int) -> int:
    """PLACE of an order that waits, hides, follows, or that something guards; a leg of no list is refused."""
    place = place_command(commands, i)
    price_ticks = place.price_ticks
    code = _check_place(state, place)
    if code == RejectCode.NONE or code == RejectCode.ACCOUNT_CLOSED:
        code = check_standing(state, place.account, place.symbol)
    if code == RejectCode.NONE:
        if place.peg_type != PegType.NONE and not is_stop(place.order_type) and place.side <= Side.SELL:
            offset = i64(place.peg_offset_levels)
            price_ticks = peg_price(state, i64(place.symbol), i64(place.side), i64(place.peg_type), offset)
        code = check_special(state, place, price_ticks, False, False, i64(0))
    waits = is_stop(place.order_type)
    lots = place.qty_lots
    fill_lots = fill_quote_atoms = held = notional = i64(0)
    if code == RejectCode.NONE:
        market = place.order_type == OrderType.MARKET
        if market or (place.time_in_force == TimeInForce.FOK and not waits):
            low, high = range_of(state, i64(place.symbol))
            lots, fill_lots, fill_quote_atoms = walk(
                state,
                place.account,
                place.symbol,
                place.side,
                place.stp_mode,
                price_ticks,
                place.qty_lots,
                place.quote_atoms,
                low,
                high,
            )
        row = state.symbols[place.symbol]
        if market:
            held = fill_quote_atoms if place.side == Side.BUY else fill_lots * row.base_atoms_per_lot
        else:
            held = hold_atoms(row, place.side, price_ticks, lots)
        notional = notional_of(state, place, price_ticks, fill_quote_atoms)
        code = _judge(state, place, lots, held, notional, fill_lots, fill_quote_atoms)
    if code != RejectCode.NONE:
        return emit_rejected(state.header[0], commands, i, events, used, code)

    # From here the command must succeed.
    hold(payer(state, place), held)
    count_accepted(state, place, notional)
    header = state.header[0]
    special = special_bits(place)
    slot = new_order(state, place, price_ticks, lots, special, client_home)
    order = state.orders[slot]
    detail = state.details[slot]
    used = emit_order(header, order, detail, events, used, EventKind.ORDER_ACCEPTED, CommandKind.PLACE, lots, held)
    order_event(events, used - 1).status = OrderStatus.NEW
    order_event(events, used - 1).quote_atoms = place.quote_atoms
    if waits:
        if place.time_in_force == TimeInForce.GTD:
            push_expiry(state, place.expire_ts_ns, order.order_id, slot)
        begin_to_wait(state, slot, held)
    elif special != 0:
        terms_of(state, slot).working_ts_ns = header.ts_ns
    if special != 0:
        used = emit_terms(header, order, detail, terms_of(state, slot), events, used)
    if not waits:
        used = work_special(state, slot, place.quote_atoms, fill_lots, False, i64(CommandKind.PLACE), events, used)
    _, used = take_turns(state, i64(place.symbol), i64(TURNS_PER_COMMAND), i64(CommandKind.PLACE), events, used)
    return used
