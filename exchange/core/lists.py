"""Order lists: which are open, and what follows from what among their legs.

    a leg trades ──► funding, or the other leg of its pair closes
    a leg ends ────► the legs that wait for it are called, or all that hangs on it closes ──► no leg is left: DONE

Owns the pool of open lists and the consequences of section 15 of docs/engine-orders.md. Never decides that an order
trades or closes on its own. Whoever ends an order that is a leg calls `leg_ended` once, after the event that says so;
legs that close because of it are taken back here, in order, so nothing calls itself.

Invariants: a list has one to three open legs, which name it; a leg that is not WORKING waits as PENDING exactly as long
as WORKING is open.
"""

from __future__ import annotations

from typing import Any

from exchange.core.clearing import hold, payer
from exchange.core.codes import CloseReason, EventKind, ListRole, ListStatus, ListType, OrderStatus
from exchange.core.compile import i64, inlined, part
from exchange.core.emit import copy_client_id, emit_list, emit_order, open_status
from exchange.core.leaving import take_back
from exchange.core.slots import any_event, order_event, trade_event
from exchange.core.state import LEGS_MAX, State
from exchange.core.terms import terms_of
from exchange.core.triggers import join_due


@inlined
def count_legs(list_type: int) -> int:
    """How many legs a list of this type has."""
    return LEGS_MAX if list_type == ListType.OTOCO or list_type == ListType.OPOCO else 2


@inlined
def has_working(list_type: int) -> bool:
    """Whether the first leg of such a list is WORKING, for which the others wait."""
    return list_type != ListType.OCO


@inlined
def is_funded(list_type: int) -> bool:
    """Whether the other legs of such a list sell what WORKING bought."""
    return list_type >= ListType.OPO


@inlined
def role_of(list_type: int, position: int) -> int:
    """The role of the leg at a position (from 0)."""
    if has_working(list_type):
        if position == 0:
            return ListRole.WORKING
        if count_legs(list_type) != LEGS_MAX:
            return ListRole.PENDING
        position -= 1
    return ListRole.ABOVE if position == 0 else ListRole.BELOW


@inlined
def leg_at(record: Any, position: int) -> int:
    """The slot of the leg at a position of a list, 0: closed, or there is none."""
    if position == 0:
        return i64(record.slot_0)
    return i64(record.slot_1) if position == 1 else i64(record.slot_2)


@inlined
def set_leg(record: Any, position: int, slot: int) -> None:
    """Let a leg of a list be this order."""
    if position == 0:
        record.slot_0 = slot
    elif position == 1:
        record.slot_1 = slot
    else:
        record.slot_2 = slot


@part
def new_list(state: State, place_list: Any) -> int:
    """A slot for an accepted list whose legs will get the next order ids."""
    header = state.header[0]
    slot: int = header.list_free
    if slot != 0:
        header.list_free = i64(state.lists[slot].next_free)
    else:
        slot = header.list_high
        header.list_high += 1
    header.lists += 1
    record = state.lists[slot]
    record.list_id = header.next_list_id
    header.next_list_id += 1
    record.first_order_id = header.next_order_id
    record.slot_0 = 0
    record.slot_1 = 0
    record.slot_2 = 0
    record.account = place_list.account
    record.symbol = place_list.symbol
    record.list_type = place_list.list_type
    copy_client_id(record, place_list)
    return slot


@part
def _end_list(state: State, list_slot: int, events: Any, used: int) -> int:
    """The last leg is closed: LIST_CHANGED, and the list is gone."""
    header = state.header[0]
    record = state.lists[list_slot]
    used = emit_list(header, record, count_legs(record.list_type), ListStatus.DONE, events, used)
    record.list_id = 0
    record.next_free = header.list_free
    header.list_free = list_slot
    header.lists -= 1
    return used


@part
def close_other_legs(
    state: State, list_slot: int, slot: int, status: int, command_kind: int, events: Any, used: int
) -> int:
    """Close the open legs of a list but one (slot 0: all), because of how that one ended, or because it trades."""
    record = state.lists[list_slot]
    ended_as = i64(OrderStatus.CANCELED if status == OrderStatus.CANCELED else OrderStatus.EXPIRED)
    for position in range(LEGS_MAX):
        other = leg_at(record, position)
        if other != 0 and other != slot:
            set_leg(record, position, 0)
            used = take_back(state, other, i64(CloseReason.LIST), ended_as, command_kind, events, used)
    return used


@part
def leg_ended(
    state: State, list_slot: int, slot: int, filled: bool, status: int, command_kind: int, events: Any, used: int
) -> int:
    """A leg has closed, or is filled: what follows from it. Its slot may be free already."""
    record = state.lists[list_slot]
    calls = filled and has_working(record.list_type) and record.slot_0 == slot
    for position in range(LEGS_MAX):
        leg = leg_at(record, position)
        if leg == slot:
            set_leg(record, position, 0)
        elif leg != 0 and calls:
            join_due(state, leg)
    if not calls:
        used = close_other_legs(state, list_slot, i64(0), status, command_kind, events, used)
    if record.slot_0 == 0 and record.slot_1 == 0 and record.slot_2 == 0:
        used = _end_list(state, list_slot, events, used)
    return used


@part
def fund(state: State, slot: int, amount_atoms: int, command_kind: int, events: Any, used: int) -> int:
    """ORDER_FUNDED: a leg that waits holds so much more, or less."""
    if amount_atoms == 0:
        return used
    order = state.orders[slot]
    hold(payer(state, order), amount_atoms)
    terms_of(state, slot).held_atoms += amount_atoms
    used = emit_order(
        state.header[0],
        order,
        state.details[slot],
        events,
        used,
        EventKind.ORDER_FUNDED,
        command_kind,
        i64(0),
        amount_atoms,
    )
    order_event(events, used - 1).status = open_status(order)
    return used


@part
def _leg_traded(
    state: State, list_slot: int, slot: int, received_atoms: int, command_kind: int, events: Any, used: int
) -> int:
    """A leg has traded: WORKING passes on what it bought, another one ends the other leg of its pair."""
    record = state.lists[list_slot]
    if has_working(record.list_type) and record.slot_0 == slot:
        if is_funded(record.list_type):
            # the legs all sell, so the lead of a pair is ABOVE, which comes first
            used = fund(state, i64(record.slot_1), received_atoms, command_kind, events, used)
        return used
    return close_other_legs(state, list_slot, slot, i64(OrderStatus.EXPIRED), command_kind, events, used)


@part
def follow_match(
    state: State,
    slot: int,
    maker_slot: int,
    taker_list: int,
    maker_list: int,
    matched: int,
    command_kind: int,
    events: Any,
    used: int,
) -> int:
    """What follows from the TRADE or PREVENTED in event slot `matched`, for the maker's list and then for the taker's.

    List slots are 0 for orders that are no legs. An order without leaves has ended; its slot may be free already.
    """
    traded = any_event(events, matched).kind == EventKind.TRADE
    bought_atoms = i64(0)
    if traded:
        event = trade_event(events, matched)
        bought_atoms = event.qty_lots * state.symbols[event.symbol].base_atoms_per_lot
    for is_taker in range(2):
        leg = slot if is_taker else maker_slot
        list_slot = taker_list if is_taker else maker_list
        if list_slot == 0:
            continue
        if traded:
            event = trade_event(events, matched)
            fee_atoms = i64(event.taker_fee_atoms) if is_taker else i64(event.maker_fee_atoms)
            used = _leg_traded(state, list_slot, leg, bought_atoms - fee_atoms, command_kind, events, used)
        if state.orders[leg].leaves_lots == 0:
            used = leg_ended(state, list_slot, leg, traded, i64(OrderStatus.EXPIRED), command_kind, events, used)
    return used


@part
def size_leg(state: State, slot: int, command_kind: int, events: Any, used: int) -> int:
    """A leg that sells what WORKING bought gets its quantity; what is too little for a step is released."""
    order = state.orders[slot]
    record = state.lists[terms_of(state, slot).list]
    if record.slot_2 == slot:
        order.leaves_lots = state.orders[record.slot_1].leaves_lots
        return used
    symbol = state.symbols[order.symbol]
    lots = terms_of(state, slot).held_atoms // symbol.base_atoms_per_lot
    order.leaves_lots = lots - lots % symbol.qty_step_lots
    rest_atoms = terms_of(state, slot).held_atoms - order.leaves_lots * symbol.base_atoms_per_lot
    return fund(state, slot, -rest_atoms, command_kind, events, used)
