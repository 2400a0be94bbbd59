"""The routes that place and cancel order lists, and the one that cancels all that is open on a symbol.

A list is placed by one run of commands, of which the engine accepts all or none. One is canceled by canceling its first
open leg, which takes the others along; where that leg ended just before, by the next one. Each route checks the age of
the request once more, waits for durability and answers from the events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from exchange.core import readers
from exchange.core.codes import CommandKind, EventKind, ListStatus, RejectCode
from exchange.core.list_readers import first_open_leg
from exchange.core.records import RECORD_BYTES
from exchange.core.state import LEGS_MAX
from exchange.gateway import answers
from exchange.gateway.catalogue import CANCEL_NAME, LIST_CLIENT_ORDER_ID, ORDER_LIST_ID
from exchange.gateway.errors import (
    CANCEL_REJECTED,
    DUPLICATE_LIST,
    DUPLICATE_ORDER,
    NEW_ORDER_REJECTED,
    Refusal,
    refused,
)
from exchange.gateway.list_answers import list_head
from exchange.gateway.list_placing import ListPlacement, list_placement
from exchange.gateway.order_forms import LISTS, ListForm
from exchange.gateway.orders import UNKNOWN_ORDER, check_accepted, events_of, named_order, symbol_rules, terms_of
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Rules
from exchange.gateway.turns import json_array
from exchange.gateway.venue import Venue
from exchange.gateway.wire import KIND_AT, ListEvent, OrderEvent, list_event, order_event, target

_ACCEPTED, _CLOSED, _REJECTED = int(EventKind.ORDER_ACCEPTED), int(EventKind.ORDER_CLOSED), int(EventKind.REJECTED)
_LIST_CHANGED = int(EventKind.LIST_CHANGED)
_CONFLICT = int(RejectCode.CLIENT_ORDER_ID_CONFLICT)
UNKNOWN_LIST = "Unknown order list sent."


async def place_oco(venue: Venue, call: Call) -> Reply:
    """POST orderList/oco: place a pair of orders, of which one ends the other."""
    return await _place(venue, call, LISTS["oco"])


async def place_oto(venue: Venue, call: Call) -> Reply:
    """POST orderList/oto: place an order, and another that goes to work when the first is filled."""
    return await _place(venue, call, LISTS["oto"])


async def place_otoco(venue: Venue, call: Call) -> Reply:
    """POST orderList/otoco: place an order, and a pair that goes to work when the order is filled."""
    return await _place(venue, call, LISTS["otoco"])


async def place_opo(venue: Venue, call: Call) -> Reply:
    """POST orderList/opo: place an order that buys, and another that sells what it bought."""
    return await _place(venue, call, LISTS["opo"])


async def place_opoco(venue: Venue, call: Call) -> Reply:
    """POST orderList/opoco: place an order that buys, and a pair that sells what it bought."""
    return await _place(venue, call, LISTS["opoco"])


async def _place(venue: Venue, call: Call, form: ListForm) -> Reply:
    placement = list_placement(call, form, venue.last_price_ticks)
    call.check_age()
    account = call.key.account
    run = await venue.run(placement.commands, places_for=account, orders=len(placement.legs))
    _check_placed(run, answers_repeats=call.face.answers_repeats)
    body = _placed(placement, run[-1], call.unit_ns)
    return Reply(body, list_event(run[-1]).sequence, placed_by=account)


def _check_placed(run: list[bytes], *, answers_repeats: bool) -> None:
    """Raises the Refusal of a run of which nothing was placed: that of the first command that was rejected."""
    for index, events in enumerate(run):
        if events[KIND_AT] != _REJECTED:
            continue
        reject = order_event(events).reject
        if reject == _CONFLICT:
            text = DUPLICATE_ORDER if index else DUPLICATE_LIST
            raise Refusal(409 if answers_repeats else 400, NEW_ORDER_REJECTED, text)
        raise refused(reject, CommandKind.PLACE)


def _placed(placement: ListPlacement, events: bytes, unit_ns: int) -> answers.Json:
    """The answer to a list that was placed, from the event slots of its last leg."""
    begun = list_event(events)
    firsts = {event.order_id: event for event in events_of(events, _ACCEPTED)}
    legs = list(zip(begun.order_ids, placement.legs, placement.roles, strict=True))
    reports = [
        answers.report(leg, firsts[order_id], events, unit_ns, begun.list_id, role) for order_id, leg, role in legs
    ]
    head = list_head(
        placement.rules,
        begun.list_id,
        placement.list_type,
        placement.client_id,
        begun.ts_ns // unit_ns,
        ((order_id, leg.client_id) for order_id, leg, _ in legs),
        is_done=begun.list_id in _ended(events),
    )
    return head | {"orderReports": reports}


def _ended(events: bytes) -> dict[int, ListEvent]:
    """The lists that ended within the events of a command, by id: their LIST_CHANGED."""
    slots = range(0, len(events), RECORD_BYTES)
    changed = (list_event(events, at) for at in slots if events[at + KIND_AT] == _LIST_CHANGED)
    return {event.list_id: event for event in changed if event.list_status == ListStatus.DONE}


async def cancel(venue: Venue, call: Call) -> Reply:
    """DELETE orderList: cancel every open leg of an order list."""
    params = call.params
    rules = symbol_rules(call)
    list_id, named = named_order(params, ORDER_LIST_ID, LIST_CLIENT_ORDER_ID)
    cancel_id = CANCEL_NAME.read(params)
    account = call.key.account
    told = b""
    call.check_age()
    for _ in range(LEGS_MAX):
        found, _ = venue.read(first_open_leg, account, list_id, named)
        if found is None or found[0].symbol != rules.symbol:
            break
        one, leg = found
        command = target(CommandKind.CANCEL, account, symbol=rules.symbol, order_id=leg)
        (events,) = await venue.run((command,), cancel=True, cancel_id=cancel_id)
        told += events
        done = _ended(told).get(one.list_id)
        if done is not None:
            closed = {event.order_id: event for event in events_of(told, _CLOSED)}
            return Reply(_canceled(venue, rules, done, closed, cancel_id, call.unit_ns), done.sequence)
        first = order_event(events)
        if first.kind == _REJECTED and first.reject != RejectCode.UNKNOWN_ORDER:
            raise refused(first.reject, CommandKind.CANCEL)
    raise Refusal(400, CANCEL_REJECTED, UNKNOWN_LIST)


async def cancel_all(venue: Venue, call: Call) -> Reply:
    """DELETE openOrders: cancel every open order of the account on one symbol, and with them every list."""
    rules = symbol_rules(call)
    command = target(CommandKind.CANCEL_ALL, call.key.account, symbol=rules.symbol)
    call.check_age()
    (events,) = await venue.run((command,), cancel=True)
    check_accepted(events, CommandKind.CANCEL_ALL)
    if not any(events_of(events, _CLOSED)):
        raise Refusal(400, CANCEL_REJECTED, UNKNOWN_ORDER)
    return Reply(await json_array(_all_canceled(venue, rules, events, call.unit_ns)), order_event(events).sequence)


def _all_canceled(venue: Venue, rules: Rules, events: bytes, unit_ns: int) -> Iterator[answers.Json]:
    """Orders and lists as they ended; a list stands where its first leg does."""
    closed = {event.order_id: event for event in events_of(events, _CLOSED)}
    ended = {order_id: done for done in _ended(events).values() for order_id in done.order_ids}
    told = set()
    for order_id, event in closed.items():
        done = ended.get(order_id)
        if done is None:
            yield answers.canceled(rules, event, "", unit_ns, terms_of(venue, event))
        elif done.list_id not in told:
            told.add(done.list_id)
            yield _canceled(venue, rules, done, closed, "", unit_ns)


def _canceled(
    venue: Venue, rules: Rules, done: ListEvent, closed: Mapping[int, OrderEvent], cancel_id: str, unit_ns: int
) -> answers.Json:
    """A list that a cancel ended: its head, and a report for each leg among the `closed` orders."""
    legs = [closed[order_id] for order_id in done.order_ids if order_id in closed]
    names = {event.order_id: answers.client_id_text(event) for event in legs}
    for order_id in done.order_ids:
        if order_id not in names:
            order, _ = venue.read(readers.find_order, done.account, order_id)
            names[order_id] = order.client_id if order is not None else ""
    reports = [answers.canceled(rules, event, cancel_id, unit_ns, terms_of(venue, event)) for event in legs]
    head = list_head(
        rules,
        done.list_id,
        done.list_type,
        answers.client_id_text(done),
        done.ts_ns // unit_ns,
        ((order_id, names[order_id]) for order_id in done.order_ids),
        is_done=True,
    )
    return head | {"orderReports": reports}
