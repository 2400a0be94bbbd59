"""One account as events make it: its open orders and balances, and what each event says to its owner.

Owns the only way from an engine event to messages, live or out of the journal. Begins with a copy of the account at
some event and takes every later event that concerns it, in order; `rewind` goes the other way. Never asks anybody:
equal beginnings and equal events give equal messages.

Invariant: after the last event of a command, orders and balances are what the engine's readers would have said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from exchange.core.codes import CloseReason, CommandKind, EventKind, OrderStatus, RejectCode
from exchange.core.readers import OrderView
from exchange.gateway.answers import Json, cancel_id_of
from exchange.gateway.private import changes, messages, orders
from exchange.gateway.private.changes import Changes
from exchange.gateway.private.messages import Message
from exchange.gateway.private.orders import Order
from exchange.gateway.symbols import Reference
from exchange.gateway.wire import (
    KIND_AT,
    OrderEvent,
    Prevented,
    Trade,
    Transfer,
    order_event,
    prevented,
    trade,
    transfer,
)

Event = OrderEvent | Trade | Prevented | Transfer
_SILENT = (RejectCode.CLIENT_ORDER_ID_CONFLICT, RejectCode.LINK_FAILED)
"""Refusals of a PLACE that give no report: the client id is another order's; the order was not attempted."""


def decode(slot: bytes) -> Event:
    """An event that `disruptor.interest.pick` found."""
    kind = slot[KIND_AT]
    if kind == EventKind.TRADE:
        return trade(slot)
    if kind == EventKind.PREVENTED:
        return prevented(slot)
    if kind == EventKind.TRANSFERRED:
        return transfer(slot)
    return order_event(slot)


def accounts_of(event: Event) -> tuple[int, ...]:
    """The accounts that it concerns, each once."""
    if isinstance(event, Trade):
        taker, maker = event.taker_account, event.maker_account
        return (taker,) if taker == maker else (taker, maker)
    return (event.account,) if event.kind in _CONCERNING else ()


_CONCERNING = frozenset(
    (
        EventKind.REJECTED,
        EventKind.ORDER_ACCEPTED,
        EventKind.PREVENTED,
        EventKind.ORDER_REDUCED,
        EventKind.ORDER_CLOSED,
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
        if event.kind == EventKind.REJECTED:
            return self._rejected(event, ordinal)
        rules = self.reference.by_id[event.symbol]
        self._book(changes.of_order(rules, event))
        if event.kind == EventKind.ORDER_ACCEPTED:
            order = self.orders[event.order_id] = orders.of_event(event)
            return [messages.report(rules, order, "NEW", OrderStatus.NEW, event.ts_ns, ordinal, {})]
        order = self.orders[event.order_id]
        if event.kind == EventKind.ORDER_REDUCED:
            order.qty_lots -= event.qty_lots
            return [messages.report(rules, order, "REPLACED", event.status, event.ts_ns, ordinal, {})]
        del self.orders[event.order_id]
        execution = "CANCELED" if event.reason == CloseReason.CANCELED else "EXPIRED"
        more = self._why_closed(event, order)
        return [messages.report(rules, order, execution, event.status, event.ts_ns, ordinal, more)]

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
        order = self.orders[order_id] if leaves_lots else self.orders.pop(order_id)
        order.fill(event)
        status = OrderStatus.PARTIALLY_FILLED if leaves_lots else OrderStatus.FILLED
        more = messages.fill_fields(rules, event, is_taker=is_taker)
        return messages.report(rules, order, "TRADE", status, event.ts_ns, ordinal, more)

    def _prevented(self, event: Prevented, ordinal: int) -> list[Message]:
        """A report for each of the two orders that something was taken off."""
        rules = self.reference.by_id[event.symbol]
        self._book(changes.of_prevented(rules, event))
        found = []
        for is_taker, order_id, taken_off, leaves_lots in _sides(event):
            if not taken_off:
                continue
            order = self.orders[order_id] if leaves_lots else self.orders.pop(order_id)
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
        if event.reason != CloseReason.CANCELED:
            return {"eR": messages.EXPIRY_REASONS[CloseReason(event.reason)]}
        named = self._cancel_ids.get(event.sequence) if event.command_kind == CommandKind.CANCEL else None
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
                self._book(changes.of_prevented(self.reference.by_id[event.symbol], event), -1)
                for _, order_id, taken_off, leaves_lots in _sides(event):
                    if leaves_lots and order_id in self.orders:
                        self.orders[order_id].qty_lots += taken_off
            elif event.kind != EventKind.REJECTED:
                self._book(changes.of_order(self.reference.by_id[event.symbol], event), -1)
                if event.kind == EventKind.ORDER_ACCEPTED:
                    self.orders.pop(event.order_id, None)
                elif event.kind == EventKind.ORDER_REDUCED and event.order_id in self.orders:
                    self.orders[event.order_id].qty_lots += event.qty_lots
        self._touched.clear()

    def _unfill(self, event: Trade) -> None:
        rules = self.reference.by_id[event.symbol]
        roles = ((True, event.taker_account, event.taker_order_id), (False, event.maker_account, event.maker_order_id))
        for is_taker, account, order_id in roles:
            if account == self.account:
                self._book(changes.of_trade(rules, event, is_taker=is_taker), -1)
                if order_id in self.orders:
                    self.orders[order_id].fill(event, -1)


def _sides(event: Prevented) -> tuple[tuple[bool, int, int, int], ...]:
    """(is the taker, order id, lots taken off, leaves after it) of both orders."""
    return (
        (True, event.taker_order_id, event.taker_prevented_lots, event.taker_leaves_lots),
        (False, event.maker_order_id, event.maker_prevented_lots, event.maker_leaves_lots),
    )


def orders_changed(events: Iterable[Event], account: int) -> tuple[set[int], set[int]]:
    """(orders of the account that the events changed, those of them that they began)."""
    changed: set[int] = set()
    begun: set[int] = set()
    for event in events:
        if isinstance(event, Trade):
            changed |= {event.taker_order_id} if event.taker_account == account else set()
            changed |= {event.maker_order_id} if event.maker_account == account else set()
        elif isinstance(event, Prevented):
            changed |= {order_id for _, order_id, taken_off, _ in _sides(event) if taken_off}
        elif not isinstance(event, Transfer) and event.kind != EventKind.REJECTED:
            changed.add(event.order_id)
            if event.kind == EventKind.ORDER_ACCEPTED:
                begun.add(event.order_id)
    return changed, begun


def mirror_of(
    account: int,
    reference: Reference,
    cancel_ids: Mapping[int, str],
    views: Iterable[OrderView],
    balances: Iterable[tuple[int, int, int]],
) -> Mirror:
    """The account as the engine's readers tell it."""
    return Mirror(account, reference, cancel_ids, (orders.of_view(view) for view in views), balances)
