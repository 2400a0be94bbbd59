"""PLACE_LIST and its legs: staged, until the last leg decides about all.

    PLACE_LIST ──► stage    leg ──► stage    last leg ──► judge all ──► "from here the list must succeed"
                                                             ──► accept all ──► work | wait ──► turns

Owns the commands of the list under construction (`state.staged`: the PLACE_LIST at 0, the leg at position p at p + 1)
and the acceptance of lists. The rules are in section 15 of docs/engine-orders.md. Each function that takes events
returns the next free event slot.
"""

from __future__ import annotations

from typing import Any

from exchange.core.book import join_owned
from exchange.core.clearing import hold, hold_atoms, payer
from exchange.core.codes import (
    CommandFlag,
    CommandKind,
    EventKind,
    ListRole,
    ListStatus,
    ListType,
    OrderType,
    PegType,
    RejectCode,
    Side,
    Stage,
    SymbolRule,
    TimeInForce,
)
from exchange.core.compile import i64, inlined, part
from exchange.core.emit import emit_list, emit_order, emit_rejected, emit_staged, emit_terms, open_status
from exchange.core.expiry import push_expiry
from exchange.core.guards import check_guards, count_accepted, notional_of
from exchange.core.index import client_hash, find_client, has_client_id, same_client_id
from exchange.core.lists import count_legs, has_working, is_funded, leg_at, new_list, role_of, set_leg
from exchange.core.pool import new_order
from exchange.core.records import RECORD_BYTES
from exchange.core.reference_price import range_of
from exchange.core.risk import check_standing, is_user, walk
from exchange.core.risk_special import check_special
from exchange.core.slots import list_command, order_event, place_command
from exchange.core.state import LEGS_MAX, SYMBOL_RULES, TURNS_PER_COMMAND, State
from exchange.core.terms import is_market, is_stop, special_bits, terms_of
from exchange.core.turns import begin_to_wait, peg_price, take_turns, work_special


@part
def _stage(state: State, commands: Any, i: int, position: int) -> None:
    """Keep a command of the list under construction; the next one may follow it."""
    header = state.header[0]
    for byte in range(RECORD_BYTES):
        state.staged[position, byte] = commands[i, byte]
    header.staged = position + 1
    header.staged_sequence = header.sequence


@part
def _check_open_lists(state: State, place_list: Any) -> int:
    """Whether an open list of the account has the client id, or there are as many on the symbol as may be."""
    named = has_client_id(place_list)
    conflict = False
    count = i64(0)
    for symbol in range(1, len(state.symbols)):
        slot = i64(state.owned[i64(place_list.account) * len(state.symbols) + symbol].head)
        while slot != 0:
            terms = terms_of(state, slot)
            if terms.list_id != 0:
                record = state.lists[terms.list]
                conflict = conflict or (named and same_client_id(record, place_list))
                first = leg_at(record, 0)
                if first == 0:
                    first = leg_at(record, 1)
                if first == slot or (first == 0 and leg_at(record, 2) == slot):
                    count += 1 if symbol == place_list.symbol else 0
            slot = i64(state.orders[slot].owner_next)
    if conflict:
        return RejectCode.CLIENT_ORDER_ID_CONFLICT
    code = i64(check_standing(state, place_list.account, place_list.symbol))
    if code != RejectCode.NONE:
        return code
    if not ListType.OCO <= place_list.list_type <= ListType.OPOCO or not place_list["flags"] & CommandFlag.LINKED:
        return RejectCode.INVALID_LIST
    most = state.rules[i64(place_list.symbol) * SYMBOL_RULES + SymbolRule.LISTS_MAX]
    return RejectCode.TOO_MANY_LISTS if most != 0 and count >= most else RejectCode.NONE


@part
def place_list(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """PLACE_LIST: refuse, or stage."""
    header = state.header[0]
    command = list_command(commands, i)
    code = i64(RejectCode.UNKNOWN_ACCOUNT)
    if is_user(state, command.account):
        code = i64(_check_open_lists(state, command))
    if code != RejectCode.NONE:
        header.link_failed_sequence = header.sequence
        return emit_rejected(header, commands, i, events, used, code)
    _stage(state, commands, i, i64(0))
    return emit_staged(header, command.list_type, command, events, used)


@part
def is_next_leg(state: State, place: Any) -> bool:
    """Whether a PLACE follows a list under construction directly and has the role whose turn it is."""
    header = state.header[0]
    if header.staged == 0 or header.staged_sequence != header.sequence - 1:
        return False
    return i64(place.list_role) == i64(role_of(list_command(state.staged, 0).list_type, i64(header.staged) - 1))


@inlined
def _belongs(state: State, place: Any, last: bool) -> bool:
    """Whether a leg is of the account and symbol of its list, and LINKED unless it is the last one."""
    command = list_command(state.staged, 0)
    linked = place["flags"] & CommandFlag.LINKED != 0
    mine: bool = place.account == command.account and place.symbol == command.symbol
    return mine and linked != last


@part
def place_leg(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """The next leg of the list under construction: stage it, or let the last one decide."""
    header = state.header[0]
    place = place_command(commands, i)
    list_type = i64(list_command(state.staged, 0).list_type)
    if not is_user(state, place.account):
        return emit_rejected(header, commands, i, events, used, i64(RejectCode.UNKNOWN_ACCOUNT))
    if header.staged < count_legs(list_type):
        if not _belongs(state, place, False):
            return emit_rejected(header, commands, i, events, used, i64(RejectCode.INVALID_LIST))
        _stage(state, commands, i, i64(header.staged))
        return emit_staged(header, list_type, place, events, used)
    _stage(state, commands, i, i64(header.staged))
    header.staged = 0
    for position in range(count_legs(list_type)):
        code = _judge_leg(state, list_type, i64(position))
        if code != RejectCode.NONE:
            return emit_rejected(header, state.staged, i64(position + 1), events, used, code)
    if not _can_pay(state, list_type):
        return emit_rejected(header, state.staged, i64(1), events, used, i64(RejectCode.INSUFFICIENT_BALANCE))
    return _accept_list(state, list_type, events, used)


# ---- the last leg judges ------------------------------------------------------------------------------------------


@inlined
def _is_pending(list_type: int, position: int) -> bool:
    """Whether the leg at a position begins as PENDING."""
    return has_working(list_type) and position > 0


@part
def _price_now(state: State, list_type: int, position: int) -> int:
    """The limit price of a staged leg as far as it is known: of a peg that works at once the one that it gets."""
    place = place_command(state.staged, position + 1)
    if place.peg_type == PegType.NONE or is_stop(place.order_type) or _is_pending(list_type, position):
        return i64(place.price_ticks)
    if place.side > Side.SELL:
        return i64(0)
    offset = i64(place.peg_offset_levels)
    return peg_price(state, i64(place.symbol), i64(place.side), i64(place.peg_type), offset)


@part
def _is_taken(state: State, position: int) -> bool:
    """Whether the client id of a staged leg is that of a known order, or of a leg before it."""
    place = place_command(state.staged, position + 1)
    if not has_client_id(place):
        return False
    for before in range(position):
        other = place_command(state.staged, before + 1)
        if other.account == place.account and same_client_id(other, place):
            return True
    return find_client(state, place.account, place, client_hash(state.header[0], place.account, place)) != 0


@inlined
def _level_of(place: Any) -> int:
    """Where a leg of a pair stands, for ABOVE and BELOW to be what they are called; 0: not known."""
    if is_stop(place.order_type):
        return i64(place.stop_price_ticks)
    return i64(place.price_ticks) if place.peg_type == PegType.NONE else i64(0)


@part
def _fits_the_list(state: State, list_type: int, position: int) -> bool:
    """Whether a staged leg has the type and side that its role asks for, and fits the leg before it."""
    place = place_command(state.staged, position + 1)
    role = i64(role_of(list_type, position))
    kind = place.order_type
    if not _belongs(state, place, position + 1 == count_legs(list_type)):
        return False
    if is_funded(list_type) and place.side != (Side.BUY if role == ListRole.WORKING else Side.SELL):
        return False
    if role == ListRole.WORKING:
        plain: bool = kind == OrderType.LIMIT or kind == OrderType.LIMIT_MAKER
        return plain
    if role == ListRole.PENDING:
        return True
    takes_profit = kind == OrderType.LIMIT_MAKER or OrderType.TAKE_PROFIT <= kind <= OrderType.TAKE_PROFIT_LIMIT
    stops_loss = kind == OrderType.STOP_LOSS or kind == OrderType.STOP_LOSS_LIMIT
    if not (takes_profit if (role == ListRole.ABOVE) == (place.side == Side.SELL) else stops_loss):
        return False
    if role == ListRole.ABOVE:
        return True
    above = place_command(state.staged, position)
    upper = _level_of(above)
    lower = _level_of(place)
    alike: bool = above.side == place.side and above.qty_lots == place.qty_lots
    return alike and (upper == 0 or lower == 0 or upper > lower)


@part
def _judge_leg(state: State, list_type: int, position: int) -> int:
    """The lowest code that applies to a staged leg, on the state as it is."""
    place = place_command(state.staged, position + 1)
    code = i64(RejectCode.NONE)
    if _is_taken(state, position):
        return i64(RejectCode.CLIENT_ORDER_ID_CONFLICT)
    code = i64(check_standing(state, place.account, place.symbol))
    if code == RejectCode.NONE:
        pending = _is_pending(list_type, position)
        price_ticks = _price_now(state, list_type, position)
        code = i64(check_special(state, place, price_ticks, pending, pending and is_funded(list_type), position))
    if code == RejectCode.NONE:
        before = _notional_before(state, list_type, position)
        held = _hold_alone(state, list_type, position)
        notional = _notional_of_leg(state, list_type, position)
        code = i64(check_guards(state, place, i64(place.qty_lots), held, notional, position, before))
    if code == RejectCode.NONE and not _fits_the_list(state, list_type, position):
        code = i64(RejectCode.INVALID_LIST)
    return code


@part
def _notional_of_leg(state: State, list_type: int, position: int) -> int:
    """What a staged leg counts for its key; one that waits for its list has no fills yet."""
    place = place_command(state.staged, position + 1)
    return notional_of(state, place, _price_now(state, list_type, position), i64(0))


@part
def _notional_before(state: State, list_type: int, position: int) -> int:
    """What the legs before a staged one count for the same key; each was judged, so no sum passes the key's maximum."""
    key = place_command(state.staged, position + 1).key
    atoms = i64(0)
    for before in range(position):
        if place_command(state.staged, before + 1).key == key:
            atoms += _notional_of_leg(state, list_type, i64(before))
    return atoms


# ---- holds --------------------------------------------------------------------------------------------------------


@part
def _hold_alone(state: State, list_type: int, position: int) -> int:
    """What a staged leg would hold if it were no leg. One that is funded later has no quantity, so nothing."""
    place = place_command(state.staged, position + 1)
    price_ticks = i64(0) if is_market(place.order_type) else _price_now(state, list_type, position)
    return hold_atoms(state.symbols[place.symbol], place.side, price_ticks, place.qty_lots)


@part
def _hold_of_leg(state: State, list_type: int, position: int) -> int:
    """What a staged leg holds: the second of a pair only what it needs beyond what the lead holds."""
    alone = _hold_alone(state, list_type, position)
    role = i64(role_of(list_type, position))
    if role < ListRole.ABOVE:
        return alone
    below = position if role == ListRole.BELOW else position + 1
    below_leads = place_command(state.staged, below + 1).order_type == OrderType.LIMIT_MAKER
    if below_leads == (role == ListRole.BELOW):
        return alone
    other = position - 1 if role == ListRole.BELOW else position + 1
    return max(i64(0), alone - _hold_alone(state, list_type, other))


@part
def _can_pay(state: State, list_type: int) -> bool:
    """Whether the account has the sum of what the legs hold. No sum is built: it might not fit."""
    first = place_command(state.staged, 1)
    left = i64(payer(state, first).available)
    other_left = i64(-1)
    for position in range(count_legs(list_type)):
        place = place_command(state.staged, position + 1)
        held = _hold_of_leg(state, list_type, i64(position))
        if place.side == first.side:
            left -= held
        else:
            if other_left < 0:
                other_left = i64(payer(state, place).available)
            other_left -= held
            if other_left < 0:
                return False
        if left < 0:
            return False
    return True


# ---- from here the list must succeed ------------------------------------------------------------------------------


@part
def _accept_leg(state: State, list_slot: int, list_type: int, position: int, events: Any, used: int) -> int:
    """ORDER_ACCEPTED and ORDER_TERMS of a leg; one that waits begins to."""
    header = state.header[0]
    place = place_command(state.staged, position + 1)
    held = _hold_of_leg(state, list_type, position)
    price_ticks = _price_now(state, list_type, position)
    home = client_hash(header, place.account, place) if has_client_id(place) else i64(0)
    lots = place.qty_lots
    hold(payer(state, place), held)
    count_accepted(state, place, _notional_of_leg(state, list_type, position))
    slot = new_order(state, place, price_ticks, lots, special_bits(place), home)
    order = state.orders[slot]
    detail = state.details[slot]
    terms = terms_of(state, slot)
    terms.list = list_slot
    terms.list_id = state.lists[list_slot].list_id
    set_leg(state.lists[list_slot], position, slot)
    if place.time_in_force == TimeInForce.GTD:
        push_expiry(state, place.expire_ts_ns, order.order_id, slot)
    if _is_pending(list_type, position):
        order.stage = Stage.PENDING
        order.level = 0
        order.prev = 0
        order.next = 0
        terms.held_atoms = held
        join_owned(state, slot)
    elif is_stop(place.order_type):
        begin_to_wait(state, slot, held)
    else:
        terms.working_ts_ns = header.ts_ns
        join_owned(state, slot)
    kind = i64(CommandKind.PLACE)
    used = emit_order(header, order, detail, events, used, EventKind.ORDER_ACCEPTED, kind, lots, held)
    order_event(events, used - 1).status = open_status(order)
    return emit_terms(header, order, detail, terms, events, used)


@part
def _accept_list(state: State, list_type: int, events: Any, used: int) -> int:
    """Accept all legs, then let those work that do not wait."""
    header = state.header[0]
    list_slot = new_list(state, list_command(state.staged, 0))
    record = state.lists[list_slot]
    used = emit_list(header, record, count_legs(list_type), ListStatus.STARTED, events, used)
    for position in range(count_legs(list_type)):
        used = _accept_leg(state, list_slot, list_type, i64(position), events, used)
    for position in range(LEGS_MAX):
        slot = leg_at(record, position)
        if slot == 0 or _is_pending(list_type, position) or is_stop(state.orders[slot].order_type):
            continue
        order = state.orders[slot]
        fill_lots = i64(0)
        if order.time_in_force == TimeInForce.FOK:
            low, high = range_of(state, i64(order.symbol))
            _, fill_lots, _ = walk(
                state,
                order.account,
                order.symbol,
                order.side,
                order.stp_mode,
                order.price_ticks,
                order.leaves_lots,
                i64(0),
                low,
                high,
            )
        used = work_special(state, slot, i64(0), fill_lots, True, i64(CommandKind.PLACE), events, used)
    symbol = i64(list_command(state.staged, 0).symbol)
    _, used = take_turns(state, symbol, i64(TURNS_PER_COMMAND), i64(CommandKind.PLACE), events, used)
    return used
