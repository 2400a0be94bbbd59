"""One account as events make it: its open orders and balances, and what each event says to its owner.

Owns the only way from an engine event to messages, live or out of the journal. Begins with a copy of the account at
some event and takes every later event that concerns it, in order; `rewind` goes the other way. Never asks anybody:
equal beginnings and equal events give equal messages.

Invariant: after the last event of a command, orders and balances are what the engine's readers would have said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from exchange.core.codes import (
    CloseReason,
    CommandKind,
    EventFlag,
    EventKind,
    ListStatus,
    OrderStatus,
    RejectCode,
    Stage,
)
from exchange.core.readers import OrderView
from exchange.gateway.answers import Json, cancel_id_of
from exchange.gateway.private import changes, messages, orders
from exchange.gateway.private.changes import Changes
from exchange.gateway.private.messages import Message
from exchange.gateway.private.orders import Order
from exchange.gateway.symbols import Reference
from exchange.gateway.wire import (
    KIND_AT,
    ListEvent,
    OrderEvent,
    Prevented,
    Terms,
    Trade,
    Transfer,
    list_event,
    order_event,
    prevented,
    terms,
    trade,
    transfer,
)

Event = OrderEvent | Trade | Prevented | Transfer | Terms | ListEvent
_UNTOLD = (EventKind.ORDER_SHOWN, EventKind.ORDER_FUNDED)
_SILENT = (RejectCode.CLIENT_ORDER_ID_CONFLICT, RejectCode.LINK_FAILED)
"""Refusals of a PLACE that give no report: the client id is another order's; the order was not attempted."""


_DECODERS: dict[int, Callable[[bytes], Event]] = {
    EventKind.TRADE: trade,
    EventKind.PREVENTED: prevented,
    EventKind.TRANSFERRED: transfer,
    EventKind.ORDER_TERMS: terms,
    EventKind.LIST_CHANGED: list_event,
}


def decode(slot: bytes) -> Event:
    """An event that `disruptor.interest.pick` found."""
    return _DECODERS.get(slot[KIND_AT], order_event)(slot)


def accounts_of(event: Event) -> tuple[int, ...]:
    """The accounts that it concerns, each once."""
    if isinstance(event, Trade):
        taker, maker = event.taker_account, event.maker_account
        return (taker,) if taker == maker else (taker, maker)
    if isinstance(event, Prevented) and event.maker_account:
        return event.account, event.maker_account
    return (event.account,) if event.kind in _CONCERNING else ()


_CONCERNING = frozenset(
    (
        EventKind.REJECTED,
        EventKind.ORDER_ACCEPTED,
        EventKind.PREVENTED,
        EventKind.ORDER_REDUCED,
        EventKind.ORDER_CLOSED,
        EventKind.ORDER_ENTERED,
        EventKind.ORDER_SHOWN,
        EventKind.ORDER_FUNDED,
        EventKind.ORDER_TERMS,
        EventKind.LIST_CHANGED,
        EventKind.TRANSFERRED,
    )
)


class Mirror:
    """The account; `reference` is replaced when assets or symbols are added."""

    def __init__(
        self,
        account: int,
        reference: Reference,
        cancel_ids: Mapping[int, str],
        open_orders: Iterable[Order],
        balances: Iterable[tuple[int, int, int]],
    ) -> None:
        """`cancel_ids`: the client id that a CANCEL was sent with, by its sequence, where there is one."""
        self.account = account
        self.reference = reference
        self.orders = {order.order_id: order for order in open_orders}
        self.balances = {asset: (available, locked) for asset, available, locked in balances}
        self._cancel_ids = cancel_ids
        self._touched: set[int] = set()
        self._begun: ListEvent | None = None
        """A list that is told of behind its last leg, whose client ids come with the legs."""
        self._ended: dict[int, str] = {}
        """Client ids of orders that this command ended."""

    def copy(self, reference: Reference) -> Mirror:
        """The same account, to be moved on its own."""
        rows = ((asset, *amounts) for asset, amounts in self.balances.items())
        return Mirror(
            self.account, reference, self._cancel_ids, (replace(order) for order in self.orders.values()), rows
        )

    # ---- forward --------------------------------------------------------------------------------------------------

    def tell(self, event: Event, ordinal: int, is_last: bool) -> list[tuple[int, Message]]:
        """Apply the next event; returns (sequence, message) of what it says: reports, then the position.

        `is_last`: it ends its command. It may be an event that does not concern the account.
        """
        told = self._take(event, ordinal) if self.account in accounts_of(event) else []
        if is_last:
            self._ended.clear()
            told += self._position(event.ts_ns)
        return list(enumerate(told, messages.first_sequence(ordinal)))

    def _take(self, event: Event, ordinal: int) -> list[Message]:
        if isinstance(event, Trade):
            roles = ((True, event.taker_account), (False, event.maker_account))
            return [self._fill(event, ordinal, is_taker=is_taker) for is_taker, of in roles if of == self.account]
        if isinstance(event, Prevented):
            return self._prevented(event, ordinal)
        if isinstance(event, Transfer):
            return self._transferred(event)
        if isinstance(event, Terms):
            return self._terms(event, ordinal)
        if isinstance(event, ListEvent):
            return self._list_changed(event)
        if event.kind == EventKind.REJECTED:
            return self._rejected(event, ordinal)
        return self._order_event(event, ordinal)

    def _order_event(self, event: OrderEvent, ordinal: int) -> list[Message]:
        rules = self.reference.by_id[event.symbol]
        self._book(changes.of_order(rules, event))
        if event.kind in _UNTOLD:
            return []
        if event.kind == EventKind.ORDER_ACCEPTED:
            order = self.orders[event.order_id] = orders.of_event(event)
            if event.flags & EventFlag.OFF_BOOK:
                return []  # its terms follow
            return [messages.report(rules, order, "NEW", OrderStatus.NEW, event.ts_ns, ordinal, {})]
        order = self.orders[event.order_id]
        if event.kind == EventKind.ORDER_ENTERED:
            order.enter(event)
            more: Json = {} if order.waits else {"W": event.ts_ns}
            return [messages.report(rules, order, "NEW", event.status, event.ts_ns, ordinal, more)]
        if event.kind == EventKind.ORDER_REDUCED:
            order.qty_lots -= event.qty_lots
            return [messages.report(rules, order, "REPLACED", event.status, event.ts_ns, ordinal, {})]
        self._end(event.order_id)
        order.give_quantity(event)
        order.price_ticks = event.price_ticks
        execution = "CANCELED" if event.status == OrderStatus.CANCELED else "EXPIRED"
        more = self._why_closed(event, order)
        return [messages.report(rules, order, execution, event.status, event.ts_ns, ordinal, more)]

    def _terms(self, event: Terms, ordinal: int) -> list[Message]:
        """The report of a special order that was accepted; behind its last leg, that of its list."""
        rules, order = self.reference.by_id[event.symbol], self.orders[event.order_id]
        order.take_terms(event)
        status = OrderStatus.PENDING_NEW if event.stage == Stage.PENDING else OrderStatus.NEW
        more: Json = {} if order.waits else {"W": event.ts_ns}
        told = [messages.report(rules, order, "NEW", status, event.ts_ns, ordinal, more)]
        if self._begun is not None and event.order_id == self._begun.order_ids[-1]:
            begun, self._begun = self._begun, None
            told.append(messages.list_status(rules, begun, [self.orders[leg].client_id for leg in begun.order_ids]))
        return told

    def _list_changed(self, event: ListEvent) -> list[Message]:
        if event.list_status == ListStatus.STARTED:
            self._begun = event
            return []
        client_ids = [self._ended.get(leg, "") for leg in event.order_ids]
        return [messages.list_status(self.reference.by_id[event.symbol], event, client_ids)]

    def _end(self, order_id: int) -> Order:
        order = self.orders.pop(order_id)
        self._ended[order_id] = order.client_id
        return order

    def _position(self, ts_ns: int) -> list[Message]:
        """The balances that the command touched, after its last event; nothing if it touched none."""
        if not self._touched:
            return []
        rows = [(asset, *self.balances[asset]) for asset in sorted(self._touched)]
        self._touched.clear()
        return [messages.position(self.reference, ts_ns, rows)]

    def _fill(self, event: Trade, ordinal: int, *, is_taker: bool) -> Message:
        rules = self.reference.by_id[event.symbol]
        self._book(changes.of_trade(rules, event, is_taker=is_taker))
        order_id = event.taker_order_id if is_taker else event.maker_order_id
        leaves_lots = event.taker_leaves_lots if is_taker else event.maker_leaves_lots
        order = self.orders[order_id] if leaves_lots else self._end(order_id)
        order.fill(event)
        status = OrderStatus.PARTIALLY_FILLED if leaves_lots else OrderStatus.FILLED
        more = messages.fill_fields(rules, event, is_taker=is_taker)
        return messages.report(rules, order, "TRADE", status, event.ts_ns, ordinal, more)

    def _prevented(self, event: Prevented, ordinal: int) -> list[Message]:
        """A report for each of the two orders that something was taken off."""
        rules = self.reference.by_id[event.symbol]
        found = []
        for is_taker, order_id, taken_off, leaves_lots in _sides(event, self.account):
            self._book(changes.of_prevented(rules, event, is_taker=is_taker))
            if not taken_off:
                continue
            order = self.orders[order_id] if leaves_lots else self._end(order_id)
            if leaves_lots:
                order.qty_lots -= taken_off
                status = OrderStatus.PARTIALLY_FILLED if order.filled_lots else OrderStatus.NEW
            else:
                order.qty_lots = max(order.qty_lots, order.submitted_lots)
                status = OrderStatus.EXPIRED_IN_MATCH
            more = messages.prevented_fields(rules, event, ordinal, is_taker=is_taker)
            found.append(messages.report(rules, order, "TRADE_PREVENTION", status, event.ts_ns, ordinal, more))
        return found

    def _transferred(self, event: Transfer) -> list[Message]:
        """A balanceUpdate if the account has more or less than before; holding and releasing only move its money."""
        moved = changes.of_transfer(event)
        self._book(moved)
        ((_, available, locked),) = moved
        return [messages.balance_update(self.reference, event, available + locked)] if available + locked else []

    def _rejected(self, event: OrderEvent, ordinal: int) -> list[Message]:
        rules = self.reference.by_id.get(event.symbol)
        if rules is None or event.reject in _SILENT or not messages.is_showable(event):
            return []
        more = messages.reject_fields(event.reject)
        order = orders.of_event(event)
        return [messages.report(rules, order, "REJECTED", messages.REJECTED, event.ts_ns, ordinal, more)]

    def _why_closed(self, event: OrderEvent, order: Order) -> Json:
        """The names of a cancel, or the reason of an expiry."""
        if event.status != OrderStatus.CANCELED:
            return messages.expiry_fields(order, event.reason)
        is_own = event.command_kind == CommandKind.CANCEL  # of this order, or of a leg that it hangs together with
        named = self._cancel_ids.get(event.sequence) if is_own else None
        return {"c": named or cancel_id_of(event.order_id), "C": order.client_id}

    def _book(self, rows: Changes, times: int = 1) -> None:
        for asset, available, locked in rows:
            if available or locked:
                before = self.balances.get(asset, (0, 0))
                self.balances[asset] = (before[0] + times * available, before[1] + times * locked)
                self._touched.add(asset)

    # ---- backward -------------------------------------------------------------------------------------------------

    def rewind(self, events: Iterable[Event]) -> None:
        """Undo all events since some event that concern the account; undoing is a sum, so their order does not matter.

        An order that one of them began is forgotten. One that they change and do not begin must be known.
        """
        for event in events:
            if isinstance(event, Transfer):
                self._book(changes.of_transfer(event), -1)
            elif isinstance(event, Trade):
                self._unfill(event)
            elif isinstance(event, Prevented):
                rules = self.reference.by_id[event.symbol]
                for is_taker, order_id, taken_off, leaves_lots in _sides(event, self.account):
                    self._book(changes.of_prevented(rules, event, is_taker=is_taker), -1)
                    if leaves_lots and order_id in self.orders:
                        self.orders[order_id].qty_lots += taken_off
            elif isinstance(event, OrderEvent) and event.kind != EventKind.REJECTED:
                self._book(changes.of_order(self.reference.by_id[event.symbol], event), -1)
                if event.kind == EventKind.ORDER_ACCEPTED:
                    self.orders.pop(event.order_id, None)
                elif event.kind == EventKind.ORDER_REDUCED and event.order_id in self.orders:
                    self.orders[event.order_id].qty_lots += event.qty_lots
                elif event.kind == EventKind.ORDER_ENTERED and event.order_id in self.orders:
                    self.orders[event.order_id].waits += 1
        for order in self.orders.values():
            order.forget()
        self._touched.clear()

    def _unfill(self, event: Trade) -> None:
        rules = self.reference.by_id[event.symbol]
        roles = ((True, event.taker_account, event.taker_order_id), (False, event.maker_account, event.maker_order_id))
        for is_taker, account, order_id in roles:
            if account == self.account:
                self._book(changes.of_trade(rules, event, is_taker=is_taker), -1)
                if order_id in self.orders:
                    self.orders[order_id].fill(event, -1)


def _sides(event: Prevented, account: int) -> list[tuple[bool, int, int, int]]:
    """(is the taker, order id, lots taken off, leaves after it) of those of the two orders that are the account's."""
    taker = True, event.taker_order_id, event.taker_prevented_lots, event.taker_leaves_lots
    maker = False, event.maker_order_id, event.maker_prevented_lots, event.maker_leaves_lots
    owners = (event.account, taker), (event.maker_account or event.account, maker)
    return [side for owner, side in owners if owner == account]


def orders_changed(events: Iterable[Event], account: int) -> tuple[set[int], set[int]]:
    """(orders of the account that the events changed, those of them that they began)."""
    changed: set[int] = set()
    begun: set[int] = set()
    for event in events:
        if isinstance(event, Trade):
            changed |= {event.taker_order_id} if event.taker_account == account else set()
            changed |= {event.maker_order_id} if event.maker_account == account else set()
        elif isinstance(event, Prevented):
            changed |= {order_id for _, order_id, taken_off, _ in _sides(event, account) if taken_off}
        elif isinstance(event, OrderEvent) and event.kind != EventKind.REJECTED:
            changed.add(event.order_id)
            if event.kind == EventKind.ORDER_ACCEPTED:
                begun.add(event.order_id)
    return changed, begun


_WORKED = (
    CloseReason.IOC_REMAINDER,
    CloseReason.FOK_UNFILLABLE,
    CloseReason.NO_LIQUIDITY,
    CloseReason.PRICE_RANGE,
)
"""Only an order that has gone to work closes with these."""


def ended_waiting(events: Iterable[Event], order: Order) -> bool:
    """Whether an order that the events end was still waiting then; the events are the last ones of its account.

    One that works trades, is kept from it, or is taken off the book before it closes.
    """
    waits = order.may_wait
    for event in events:
        if isinstance(event, Trade | Prevented):
            if order.order_id in (event.taker_order_id, event.maker_order_id):
                waits = False
        elif isinstance(event, OrderEvent) and event.order_id == order.order_id:
            if event.kind == EventKind.ORDER_ENTERED:
                waits = True
            elif event.kind == EventKind.ORDER_SHOWN or event.reason in _WORKED:
                waits = False
    return waits


def mirror_of(
    account: int,
    reference: Reference,
    cancel_ids: Mapping[int, str],
    views: Iterable[OrderView],
    balances: Iterable[tuple[int, int, int]],
) -> Mirror:
    """The account as the engine's readers tell it."""
    return Mirror(account, reference, cancel_ids, (orders.of_view(view) for view in views), balances)
