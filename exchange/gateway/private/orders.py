"""An order as its owner is told about it: what it was sent as, and how far it is.

Owns the bookkeeping of quantity and fills, forward with an event and backward out of it. Quantity is what the order
stands for: fills do not change it, a reduction makes it smaller, and so does self-trade prevention, but for what ends
the order: that takes only the leaves (the same rule as exchange/persistence/fold_orders.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange.core.readers import OrderView
from exchange.gateway.wire import OrderEvent, Trade


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

    def fill(self, trade: Trade, times: int = 1) -> None:
        """Add a fill; `times` -1 takes it off again."""
        self.filled_lots += times * trade.qty_lots
        self.filled_quote_atoms += times * trade.quote_atoms


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
    """An order as the engine tells it, open or lately closed."""
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
    )
