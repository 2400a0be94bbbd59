"""The routes that change orders: place, cancel, reduce keeping priority, cancel-replace.

Each reads its parameters, checks the age of the request once more, submits, waits for durability and answers from the
events. Never retries, never withdraws: one request is one run of commands.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from exchange.core import readers
from exchange.core.codes import CommandFlag, CommandKind, EventFlag, EventKind, RejectCode
from exchange.core.readers import OrderView
from exchange.core.records import RECORD_BYTES
from exchange.gateway import answers
from exchange.gateway.catalogue import (
    ALLOW_FAILURE,
    CANCEL_NAME,
    CANCEL_NEW_CLIENT_ORDER_ID,
    CANCEL_ONLY,
    CANCEL_ORDER_ID,
    CANCEL_ORIG_CLIENT_ORDER_ID,
    CANCEL_REPLACE_MODE,
    COMPUTE_COMMISSION_RATES,
    NEW_QTY,
    ORDER_ID,
    ORDER_RATE_LIMIT_EXCEEDED_MODE,
    ORIG_CLIENT_ORDER_ID,
    SYMBOL,
)
from exchange.gateway.errors import AMENDMENT_REJECTED, CANCEL_REJECTED, Refusal, one_of, refused
from exchange.gateway.fees import of_order, rates
from exchange.gateway.fields import ClientId, Integer
from exchange.gateway.parameters import Params
from exchange.gateway.placing import Placement, placement
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Rules
from exchange.gateway.unfilled import TOO_MANY_ORDERS
from exchange.gateway.venue import Venue
from exchange.gateway.wire import KIND_AT, OrderEvent, order_event, target

_REJECTED, _CLOSED, _REDUCED = int(EventKind.REJECTED), int(EventKind.ORDER_CLOSED), int(EventKind.ORDER_REDUCED)
_LINK_FAILED = int(RejectCode.LINK_FAILED)
SUCCESS, FAILURE, NOT_ATTEMPTED = "SUCCESS", "FAILURE", "NOT_ATTEMPTED"
UNKNOWN_ORDER = "Unknown order sent."


def symbol_rules(call: Call) -> Rules:
    """The rules of the mandatory parameter `symbol`. Raises Refusal."""
    return call.face.reference.named(SYMBOL.text(call.params))


async def place(venue: Venue, call: Call) -> Reply:
    """POST order: place an order."""
    form = placement(call, venue.last_price_ticks)
    call.check_age()
    account = call.key.account
    (events,) = await venue.run((form.command,), places_for=account)
    sequence = int.from_bytes(events[:8], "little")
    return Reply(answers.placed(form, events, call.unit_ns), sequence, placed_by=account)


def named_order(
    params: Params, by_id: Integer = ORDER_ID, by_client_id: ClientId = ORIG_CLIENT_ORDER_ID
) -> tuple[int, str]:
    """(order id or 0, client id or ""): at least one of the two parameters must be there."""
    order_id, named = by_id.read(params), by_client_id.read(params)
    if not order_id and not named:
        raise one_of(by_id.name, by_client_id.name)
    return order_id, named


async def check(venue: Venue, call: Call) -> Reply:
    """POST order/test: everything that can be wrong with an order before the engine sees it; nothing is placed."""
    form = placement(call, venue.last_price_ticks)
    call.check_age()
    if not COMPUTE_COMMISSION_RATES.read(call.params):
        return Reply({})
    view, sequence = venue.read(readers.account_view, call.key.account)
    maker, taker = rates(view, [form.rules.view])
    return Reply(of_order(maker, taker), sequence)


def events_of(events: bytes, kind: int) -> Iterator[OrderEvent]:
    """Those of one kind, in order. What an order takes with it (what it showed, other legs) comes before and after."""
    return (order_event(events, at) for at in range(0, len(events), RECORD_BYTES) if events[at + KIND_AT] == kind)


def check_accepted(events: bytes, kind: CommandKind) -> None:
    """Raises the Refusal of a rejected command."""
    event = order_event(events)
    if event.kind == _REJECTED:
        raise refused(event.reject, kind)


def _first_of(events: bytes, event_kind: int, kind: CommandKind) -> OrderEvent:
    """The first event of a kind: that of the order which the command names. Raises the Refusal of a rejected one."""
    check_accepted(events, kind)
    return next(events_of(events, event_kind))


def terms_of(venue: Venue, event: OrderEvent) -> OrderView | None:
    """A special order as the engine tells it, open or closed; None: it is a plain one, whose event tells all."""
    if not event.flags & EventFlag.OFF_BOOK:
        return None
    return venue.read(readers.find_order, event.account, event.order_id)[0]


def _explain_mismatch(venue: Venue, call: Call, order_id: int, named: str, refusal: Refusal) -> Refusal:
    """Both ids were sent and no order has both: say so if each of them names an order."""
    if order_id and named and refusal.code == CANCEL_REJECTED and refusal.msg == UNKNOWN_ORDER:
        account = call.key.account
        if all(venue.read(readers.find_order, account, *one)[0] for one in ((order_id, ""), (0, named))):
            return Refusal(400, -2039, "Cancel order is invalid. Check origClOrdId and orderId.")
    return refusal


def _explain_amendment(venue: Venue, call: Call, named: tuple[int, str], qty_lots: int, refusal: Refusal) -> Refusal:
    """The quantity is not smaller than before: say so if it is the same."""
    if refusal.code == AMENDMENT_REJECTED:
        view, _ = venue.read(readers.find_order, call.key.account, *named)
        if view is not None and view.qty_lots == qty_lots:
            return Refusal(400, AMENDMENT_REJECTED, "The requested action would change no state; rejecting")
    return refusal


async def cancel(venue: Venue, call: Call) -> Reply:
    """DELETE order: cancel an order."""
    params = call.params
    rules = symbol_rules(call)
    order_id, named = named_order(params)
    cancel_id = CANCEL_NAME.read(params)
    command = target(CommandKind.CANCEL, call.key.account, symbol=rules.symbol, order_id=order_id, client_id=named)
    call.check_age()
    (events,) = await venue.run((command,), cancel=True, cancel_id=cancel_id)
    try:
        event = _first_of(events, _CLOSED, CommandKind.CANCEL)
    except Refusal as refusal:
        raise _explain_mismatch(venue, call, order_id, named, refusal) from None
    body = answers.canceled(rules, event, cancel_id, call.unit_ns, terms_of(venue, event))
    return Reply(body, event.sequence)


async def reduce(venue: Venue, call: Call) -> Reply:
    """PUT order/amend/keepPriority: make an order smaller; it keeps its place in the queue."""
    params = call.params
    rules = symbol_rules(call)
    order_id, named = named_order(params)
    qty_lots = rules.qty_lots(NEW_QTY.text(params), NEW_QTY.name)
    command = target(
        CommandKind.REDUCE,
        call.key.account,
        symbol=rules.symbol,
        order_id=order_id,
        client_id=named,
        qty_lots=qty_lots,
    )
    call.check_age()
    (events,) = await venue.run((command,), cancel=True)
    try:
        event = _first_of(events, _REDUCED, CommandKind.REDUCE)
    except Refusal as refusal:
        refusal = _explain_mismatch(venue, call, order_id, named, refusal)
        raise _explain_amendment(venue, call, (order_id, named), qty_lots, refusal) from None
    body = answers.reduced(rules, event, qty_lots, call.unit_ns, terms_of(venue, event))
    return Reply(body, event.sequence)


async def cancel_replace(venue: Venue, call: Call) -> Reply:
    """POST order/cancelReplace: cancel an order and place another with nothing in between."""
    params = call.params
    mode = CANCEL_REPLACE_MODE.read(params)
    order_id, named = named_order(params, CANCEL_ORDER_ID, CANCEL_ORIG_CLIENT_ORDER_ID)
    cancel_id = CANCEL_NEW_CLIENT_ORDER_ID.read(params)
    when_exceeded = ORDER_RATE_LIMIT_EXCEEDED_MODE.read(params)
    form = placement(call, venue.last_price_ticks)
    explain = functools.partial(_explain_mismatch, venue, call, order_id, named)
    account, symbol = call.key.account, form.rules.symbol
    flags = CommandFlag.LINKED | (CommandFlag.ALLOW_FAILURE if mode == ALLOW_FAILURE else 0)
    linked = target(CommandKind.CANCEL, account, symbol=symbol, order_id=order_id, client_id=named, flags=flags)
    call.check_age()
    try:
        canceling, placing = await venue.run((linked, form.command), cancel_id=cancel_id, places_for=account)
    except Refusal as refusal:
        if refusal.code != TOO_MANY_ORDERS or when_exceeded != CANCEL_ONLY:
            raise
        alone = target(CommandKind.CANCEL, account, symbol=symbol, order_id=order_id, client_id=named)
        (canceling,) = await venue.run((alone,), cancel=True, cancel_id=cancel_id)
        canceled = _cancel_result(venue, form, canceling, cancel_id, call.unit_ns, explain)
        raise _not_both(_both(canceled, (FAILURE, refusal.body())), exceeded=refusal) from None
    canceled = _cancel_result(venue, form, canceling, cancel_id, call.unit_ns, explain)
    placed = _place_result(form, placing, call.unit_ns)
    if (canceled[0], placed[0]) != (SUCCESS, SUCCESS):
        raise _not_both(_both(canceled, placed), account=account)
    return Reply(_both(canceled, placed), order_event(placing).sequence, placed_by=account)


def _cancel_result(
    venue: Venue,
    form: Placement,
    canceling: bytes,
    cancel_id: str,
    unit_ns: int,
    explain: Callable[[Refusal], Refusal],
) -> tuple[str, answers.Json]:
    try:
        event = _first_of(canceling, _CLOSED, CommandKind.CANCEL)
    except Refusal as refusal:
        return FAILURE, explain(refusal).body()
    return SUCCESS, answers.canceled(form.rules, event, cancel_id, unit_ns, terms_of(venue, event))


def _place_result(form: Placement, placing: bytes, unit_ns: int) -> tuple[str, answers.Json | None]:
    try:
        return SUCCESS, answers.placed(form, placing, unit_ns)
    except Refusal as refusal:
        return (NOT_ATTEMPTED, None) if order_event(placing).reject == _LINK_FAILED else (FAILURE, refusal.body())


def _both(cancel: tuple[str, answers.Json], place: tuple[str, answers.Json | None]) -> answers.Json:
    """The answer to a replacement."""
    return {
        "cancelResult": cancel[0],
        "newOrderResult": place[0],
        "cancelResponse": cancel[1],
        "newOrderResponse": place[1],
    }


def _not_both(data: answers.Json, *, exceeded: Refusal | None = None, account: int = 0) -> Refusal:
    """The answer to a replacement of which not everything was done: 409 when something was, 400 when nothing was.

    `exceeded`: the limit did not let the new order in; then it is 429 whatever became of the cancel.
    """
    is_placed, is_canceled = data["newOrderResult"] == SUCCESS, data["cancelResult"] == SUCCESS
    retry_after_s = exceeded.retry_after_s if exceeded else 0
    if not is_placed and not is_canceled:
        status = 429 if exceeded else 400
        return Refusal(status, -2022, "Order cancel-replace failed.", retry_after_s=retry_after_s, data=data)
    return Refusal(
        429 if exceeded else 409,
        -2021,
        "Order cancel-replace partially failed.",
        outcome="accepted",
        retry_after_s=retry_after_s,
        data=data,
        placed_by=account if is_placed else 0,
    )
