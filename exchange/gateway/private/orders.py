"""An order as its owner is told about it: what it was sent as, and how far it is.

Owns the bookkeeping of quantity and fills, forward with an event and backward out of it. Quantity is what the order
stands for: fills do not change it, a reduction makes it smaller, and so does self-trade prevention, but for what ends
the order: that takes only the leaves (the same rule as exchange/persistence/fold_orders.py).

An order that waits goes to work by an ORDER_ENTERED; a stop that waits for its list first has one before that. `waits`
counts those to come. Before the first one, a leg that sells what another one buys has no quantity; before the last one,
a pegged order has no price.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange.core.codes import ListRole, OrderType, Stage
from exchange.core.readers import OrderView
from exchange.gateway.wire import OrderEvent, Terms, Trade


@dataclass(slots=True)
class Order:
    """One order, open or just closed."""

    order_id: int
    symbol: int
    side: int
    order_type: int
    time_in_force: int
    stp_mode: int
    price_ticks: int
    quote_atoms: int
    submitted_lots: int
    """Quantity as sent; zero by quote amount."""
    created_ts_ns: int
    client_id: str
    qty_lots: int
    filled_lots: int = 0
    filled_quote_atoms: int = 0
    stop_price_ticks: int = 0
    iceberg_lots: int = 0
    trailing_bips: int = 0
    peg_type: int = 0
    peg_offset_levels: int = 0
    list_id: int = 0
    list_role: int = 0
    waits: int = 0

    @property
    def may_wait(self) -> bool:
        """Whether it is of a sort that does not always go to work at once."""
        return bool(self.stop_price_ticks or self.trailing_bips or self.list_role >= ListRole.PENDING)

    def take_terms(self, terms: Terms) -> None:
        """What its ORDER_TERMS says."""
        self.stop_price_ticks, self.iceberg_lots = terms.stop_price_ticks, terms.iceberg_lots
        self.trailing_bips, self.list_id, self.list_role = terms.trailing_bips, terms.list_id, terms.list_role
        self.peg_type, self.peg_offset_levels = terms.peg_type, terms.peg_offset_levels
        self.waits = waits_of(self.order_type, terms.stage)

    def enter(self, event: OrderEvent) -> None:
        """An ORDER_ENTERED."""
        self.waits = max(self.waits - 1, 0)
        self.price_ticks = event.price_ticks
        self.give_quantity(event)

    def give_quantity(self, event: OrderEvent) -> None:
        """What it enters or closes with, if it had none yet."""
        if not self.qty_lots:
            self.qty_lots = event.qty_lots

    def forget(self) -> None:
        """After ORDER_ENTERED were undone by counting: what was not known then."""
        if self.waits and self.peg_type:
            self.price_ticks = 0
        if self.waits == waits_of(self.order_type, Stage.PENDING) and not self.submitted_lots + self.quote_atoms:
            self.qty_lots = 0

    def fill(self, trade: Trade, times: int = 1) -> None:
        """Add a fill; `times` -1 takes it off again."""
        self.filled_lots += times * trade.qty_lots
        self.filled_quote_atoms += times * trade.quote_atoms


def waits_of(order_type: int, stage: int) -> int:
    """How often an order that stands in a stage enters before it works; one that is called by its list is DUE."""
    if stage == Stage.BOOK:
        return 0
    return 2 if stage in (Stage.PENDING, Stage.DUE) and order_type >= OrderType.STOP_LOSS else 1


def of_event(event: OrderEvent) -> Order:
    """The order that an ORDER_ACCEPTED begins, or that a refused PLACE would have been."""
    return Order(
        event.order_id,
        event.symbol,
        event.side,
        event.order_type,
        event.time_in_force,
        event.stp_mode,
        event.price_ticks,
        event.quote_atoms,
        0 if event.quote_atoms else event.qty_lots,
        event.ts_ns,
        event.client_id.rstrip(b"\0").decode("ascii", "replace"),  # as the engine's readers do
        event.qty_lots,
    )


def of_view(view: OrderView) -> Order:
    """An order as the engine tells it, open or lately closed; of a closed one nobody knows whether it still waited."""
    return Order(
        view.order_id,
        view.symbol,
        view.side,
        view.order_type,
        view.time_in_force,
        view.stp_mode,
        view.price_ticks,
        view.quote_atoms,
        view.submitted_lots,
        view.created_ts_ns,
        view.client_id,
        view.qty_lots,
        view.filled_lots,
        view.filled_quote_atoms,
        view.stop_price_ticks,
        view.iceberg_lots,
        view.trailing_bips,
        view.peg_type,
        view.peg_offset_levels,
        view.list_id,
        view.list_role,
        waits_of(view.order_type, view.stage) if view.is_open else 0,
    )
