"""Events about orders: what an order event says of an order, and which events only special orders have.

Owns their fields. Sections 4.4 of docs/engine.md and 10 of docs/engine-orders.md. Changes no order.
"""

from __future__ import annotations

from exchange.core.codes import EventFlag, EventKind, ListStatus
from tests.oracle.venue import Order, OrderList, Venue


def tell_order(venue: Venue, kind: EventKind, order: Order, **more: int) -> None:
    """An event that carries an order as it now stands."""
    off_book = kind is EventKind.ORDER_SHOWN or (order.is_special and kind is not EventKind.ORDER_DUPLICATE)
    venue.emit(
        kind,
        flags=int(EventFlag.OFF_BOOK) if off_book else 0,
        command_kind=int(venue.cause),
        status=int(order.status),
        account=order.account,
        symbol=order.symbol,
        order_id=order.order_id,
        side=int(order.side),
        order_type=int(order.order_type),
        time_in_force=int(order.time_in_force),
        stp_mode=int(order.stp_mode),
        price_ticks=order.price_ticks,
        quote_atoms=order.quote_atoms,
        filled_lots=order.filled_lots,
        filled_quote_atoms=order.filled_quote_atoms,
        client_id=order.client_id,
        **more,
    )


def tell_shown(venue: Venue, order: Order, change_lots: int) -> None:
    """What a special order changes of what stands on the public book."""
    if order.is_special and change_lots != 0:
        tell_order(venue, EventKind.ORDER_SHOWN, order, qty_lots=change_lots)


def tell_terms(venue: Venue, order: Order) -> None:
    venue.emit(
        EventKind.ORDER_TERMS,
        flags=int(EventFlag.OFF_BOOK),
        list_role=int(order.list_role),
        peg_type=int(order.peg_type),
        stage=int(order.stage),
        account=order.account,
        symbol=order.symbol,
        order_id=order.order_id,
        stop_price_ticks=order.stop_price_ticks,
        iceberg_lots=order.iceberg_lots,
        list_id=order.list_id,
        expire_ts_ns=order.expire_ts_ns,
        trailing_bips=order.trailing_bips,
        peg_offset_levels=order.peg_offset_levels,
        key=order.key,
    )


def tell_list(venue: Venue, told: OrderList, status: ListStatus) -> None:
    """LIST_CHANGED: always with all the legs that the list began with."""
    venue.emit(
        EventKind.LIST_CHANGED,
        list_type=int(told.list_type),
        list_status=int(status),
        account=told.account,
        symbol=told.symbol,
        list_id=told.list_id,
        client_id=told.client_id,
        **{f"order_id_{place}": leg.order_id for place, leg in enumerate(told.legs)},
    )
