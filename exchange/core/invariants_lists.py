"""What must be true of order lists.

Owns the sentence 24 of docs/engine-orders.md, section 17; `invariants.py` calls it.
"""

from __future__ import annotations

from typing import Any

from exchange.core.codes import ListRole, Stage
from exchange.core.invariant import hold_that, open_slots
from exchange.core.records import LIST_ROLES
from exchange.core.state import LEG, State


def check_lists(state: State) -> None:
    """Open lists and their open legs name each other, and stand as their list says; the pool adds up."""
    header = state.header[0]
    orders = open_slots(state)
    listed: set[int] = set()
    count = 0
    for slot in range(1, int(header.list_high)):
        record = state.lists[slot]
        if int(record.list_id) == 0:
            continue
        count += 1
        hold_that(int(record.list_id) < int(header.next_list_id), "list ids are below the next one [24]")
        legs = _check_legs(state, slot, orders)
        hold_that(not listed & set(legs.values()), "an order is a leg of one list only [24]")
        listed |= set(legs.values())
        _check_stages(record, legs, orders)
    legs_open = {slot for slot, order in orders.items() if order.special & LEG}
    hold_that(listed == legs_open, "every open leg is a leg of its list [24]")
    hold_that(count == int(header.lists), "open lists are counted [24]")
    free, slot = 0, int(header.list_free)
    while slot:
        hold_that(int(state.lists[slot].list_id) == 0, "a free list slot holds no list")
        free, slot = free + 1, int(state.lists[slot].next_free)
    hold_that(free + count == int(header.list_high) - 1, "no list slot is lost")


def _check_legs(state: State, slot: int, orders: dict[int, Any]) -> dict[ListRole, int]:
    """The open legs of a list, by role; each must name the list."""
    record = state.lists[slot]
    where = f"list {int(record.list_id)}"
    roles = LIST_ROLES[int(record.list_type)]
    legs = {role: int(record[f"slot_{position}"]) for position, role in enumerate(roles)}
    hold_that(len(roles) == 3 or int(record.slot_2) == 0, f"{where} has as many legs as its type says [24]")
    for position, (role, leg) in enumerate(legs.items()):
        if not leg:
            continue
        hold_that(leg in orders, f"{where} has open legs only [24]")
        order = orders[leg]
        terms = state.terms[int(state.details[leg].terms)]
        hold_that(
            int(terms.list) == slot and int(terms.list_id) == int(record.list_id), f"{where} is named by its legs [24]"
        )
        hold_that(int(terms.list_role) == role, f"the legs of {where} know their roles [24]")
        hold_that(
            int(order.order_id) == int(record.first_order_id) + position, f"{where} knows the ids of its legs [24]"
        )
        mine = int(order.account) == int(record.account) and int(order.symbol) == int(record.symbol)
        hold_that(mine, f"the legs of {where} are of its account and symbol [24]")
    found = {role: leg for role, leg in legs.items() if leg}
    hold_that(bool(found), f"{where} has an open leg [24]")
    return found


def _check_stages(record: Any, legs: dict[ListRole, int], orders: dict[int, Any]) -> None:
    """Legs are PENDING while WORKING is open, and no longer; of a pair that works nothing has traded."""
    where = f"list {int(record.list_id)}"
    others = [orders[leg] for role, leg in legs.items() if role != ListRole.WORKING]
    works = ListRole.WORKING in legs
    all_pending = all(order.stage == Stage.PENDING for order in others)
    none_pending = all(order.stage != Stage.PENDING for order in others)
    hold_that(all_pending if works else none_pending, f"the legs of {where} wait exactly for their WORKING [24]")
    if works:
        whole = len(others) == len(LIST_ROLES[int(record.list_type)]) - 1
        hold_that(whole, f"all legs of {where} are there as long as WORKING is [24]")
    if len(others) == 2:
        untouched = all(int(order.filled_lots) == 0 for order in others)
        hold_that(untouched, f"of the pair of {where} nothing has traded while both are open [24]")
