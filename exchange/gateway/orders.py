"""The routes that change orders: place, cancel, cancel all, reduce keeping priority, cancel-replace.

Each reads its parameters, checks the age of the request once more, submits, waits for durability and answers from the
events. Never retries, never withdraws: one request is one run of commands.
"""

from __future__ import annotations

from exchange.core import readers
from exchange.core.codes import CommandFlag, CommandKind, EventKind
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
    STOP_ON_FAILURE,
    SYMBOL,
)
from exchange.gateway.errors import CANCEL_REJECTED, Refusal, mandatory, refused
from exchange.gateway.fees import of_order, rates
from exchange.gateway.fields import ClientId, Integer
from exchange.gateway.parameters import Params
from exchange.gateway.placing import Placement, placement
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Rules
from exchange.gateway.unfilled import TOO_MANY_ORDERS
from exchange.gateway.venue import Venue
from exchange.gateway.wire import OrderEvent, order_event, target

_REJECTED, _CLOSED = int(EventKind.REJECTED), int(EventKind.ORDER_CLOSED)
UNKNOWN_ORDER = "Unknown order sent."


def symbol_rules(call: Call) -> Rules:
    """The rules of the mandatory parameter `symbol`. Raises Refusal."""
    return call.face.reference.named(SYMBOL.text(call.params))


async def place(venue: Venue, call: Call) -> Reply:
    """POST order: place an order."""
    form = placement(call)
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
        raise mandatory(by_id.name)
    return order_id, named


async def check(venue: Venue, call: Call) -> Reply:
    """POST order/test: everything that can be wrong with an order before the engine sees it; nothing is placed."""
    form = placement(call)
    call.check_age()
    if not COMPUTE_COMMISSION_RATES.read(call.params):
        return Reply({})
    view, sequence = venue.read(readers.account_view, call.key.account)
    maker, taker = rates(view, [form.rules.view])
    return Reply(of_order(maker, taker), sequence)


def _first_event(events: bytes, kind: CommandKind) -> OrderEvent:
    event = order_event(events)
    if event.kind == _REJECTED:
        raise refused(event.reject, kind)
    return event


def _explain_mismatch(venue: Venue, call: Call, order_id: int, named: str, refusal: Refusal) -> Refusal:
    """Both ids were sent and no order has both: say so if each of them names an order."""
    if order_id and named and refusal.code == CANCEL_REJECTED and refusal.msg == UNKNOWN_ORDER:
        account = call.key.account
        if all(venue.read(readers.find_order, account, *one)[0] for one in ((order_id, ""), (0, named))):
            return Refusal(400, -2039, "Cancel order is invalid. Check origClOrdId and orderId.")
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
        event = _first_event(events, CommandKind.CANCEL)
    except Refusal as refusal:
        raise _explain_mismatch(venue, call, order_id, named, refusal) from None
    return Reply(answers.canceled(rules, event, cancel_id, call.unit_ns), event.sequence)


async def cancel_all(venue: Venue, call: Call) -> Reply:
    """DELETE openOrders: cancel every open order of the account on one symbol."""
    rules = symbol_rules(call)
    command = target(CommandKind.CANCEL_ALL, call.key.account, symbol=rules.symbol)
    call.check_age()
    (events,) = await venue.run((command,), cancel=True)
    first = _first_event(events, CommandKind.CANCEL_ALL)
    if first.kind != _CLOSED:
        raise Refusal(400, CANCEL_REJECTED, UNKNOWN_ORDER)
    closed = [order_event(events, at) for at in range(0, len(events) - RECORD_BYTES, RECORD_BYTES)]
    return Reply([answers.canceled(rules, one, "", call.unit_ns) for one in closed], first.sequence)


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
    event = _first_event(events, CommandKind.REDUCE)
    return Reply(answers.reduced(rules, event, qty_lots, call.unit_ns), event.sequence)


async def cancel_replace(venue: Venue, call: Call) -> Reply:
    """POST order/cancelReplace: cancel an order and place another with nothing in between."""
    params = call.params
    mode = CANCEL_REPLACE_MODE.read(params)
    order_id, named = named_order(params, CANCEL_ORDER_ID, CANCEL_ORIG_CLIENT_ORDER_ID)
    cancel_id = CANCEL_NEW_CLIENT_ORDER_ID.read(params)
    when_exceeded = ORDER_RATE_LIMIT_EXCEEDED_MODE.read(params)
    form = placement(call)
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
        raise _only_canceled(form, canceling, cancel_id, call.unit_ns, refusal) from None
    return _replaced(form, canceling, placing, cancel_id, call.unit_ns, mode)._replace(placed_by=account)


def _only_canceled(form: Placement, canceling: bytes, cancel_id: str, unit_ns: int, exceeded: Refusal) -> Refusal:
    """The answer of a replacement whose new order the limit did not let in: 429 whatever became of the cancel."""
    data: answers.Json = {"newOrderResult": "FAILURE", "newOrderResponse": exceeded.body()}
    try:
        event = _first_event(canceling, CommandKind.CANCEL)
    except Refusal as refusal:
        data |= {"cancelResult": "FAILURE", "cancelResponse": refusal.body()}
        return Refusal(429, -2022, "Order cancel-replace failed.", retry_after_s=exceeded.retry_after_s, data=data)
    data |= {"cancelResult": "SUCCESS", "cancelResponse": answers.canceled(form.rules, event, cancel_id, unit_ns)}
    text, retry_after_s = "Order cancel-replace partially failed.", exceeded.retry_after_s
    return Refusal(429, -2021, text, outcome="accepted", retry_after_s=retry_after_s, data=data)


def _replaced(form: Placement, canceling: bytes, placing: bytes, cancel_id: str, unit_ns: int, mode: str) -> Reply:
    """Both results in one answer: 200, 409 when one of two was done, 400 when nothing was."""
    cancel_failure = place_failure = None
    data: answers.Json = {}
    try:
        event = _first_event(canceling, CommandKind.CANCEL)
        data["cancelResult"], data["cancelResponse"] = (
            "SUCCESS",
            answers.canceled(form.rules, event, cancel_id, unit_ns),
        )
    except Refusal as refusal:
        cancel_failure = refusal
        data["cancelResult"], data["cancelResponse"] = "FAILURE", refusal.body()
    try:
        data["newOrderResult"], data["newOrderResponse"] = "SUCCESS", answers.placed(form, placing, unit_ns)
    except Refusal as refusal:
        place_failure = refusal
        data["newOrderResult"], data["newOrderResponse"] = "FAILURE", refusal.body()
    if cancel_failure and place_failure and mode == STOP_ON_FAILURE:
        data["newOrderResult"], data["newOrderResponse"] = "NOT_ATTEMPTED", None
    if cancel_failure and place_failure:
        raise Refusal(400, -2022, "Order cancel-replace failed.", data=data)
    if cancel_failure or place_failure:
        raise Refusal(409, -2021, "Order cancel-replace partially failed.", outcome="accepted", data=data)
    return Reply(data, order_event(placing).sequence)
