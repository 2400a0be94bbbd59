"""Section 4.1, matching: an accepted order meets the other side, and what is left of it rests or closes.

Owns trades and preventions. Nothing here can be refused.
"""

from __future__ import annotations

from exchange.core.codes import CloseReason, CommandKind, EventKind, OrderStatus, Side, StpMode, TimeInForce
from tests.oracle.clearing import fee_atoms
from tests.oracle.venue import Order, Symbol, Venue
from tests.oracle.walking import fillable_lots


def match(venue: Venue, symbol: Symbol, taker: Order) -> None:
    """From ORDER_ACCEPTED to where the order stays."""
    opposite = symbol.sides[Side(1 - taker.side)]
    if taker.time_in_force is TimeInForce.FOK and fillable_lots(taker, opposite) < taker.leaves_lots:
        close(venue, symbol, taker, CommandKind.PLACE, CloseReason.FOK_UNFILLABLE)
        return
    while taker.leaves_lots > 0:
        maker = opposite.best()
        if maker is None or not (taker.is_market or opposite.reaches(taker.price_ticks, maker)):
            break
        if maker.account == taker.account and taker.stp_mode is not StpMode.NONE:
            _prevent(venue, symbol, taker, maker)
        else:
            _trade(venue, symbol, taker, maker)
    if taker.closed_as is not None:
        return
    if taker.is_market:
        close(venue, symbol, taker, CommandKind.PLACE, CloseReason.NO_LIQUIDITY)
    elif taker.time_in_force is TimeInForce.IOC:
        close(venue, symbol, taker, CommandKind.PLACE, CloseReason.IOC_REMAINDER)
    else:
        venue.open_orders[taker.order_id] = taker
        symbol.sides[taker.side].rest(taker)


def close(venue: Venue, symbol: Symbol, order: Order, cause: CommandKind, reason: CloseReason) -> None:
    """End an order with ORDER_CLOSED: its leaves go, and what they held is released."""
    leaves_lots = order.leaves_lots
    order.updated_ts_ns = venue.ts_ns
    venue.close(order, OrderStatus.CANCELED if reason is CloseReason.CANCELED else OrderStatus.EXPIRED)
    tell_order(
        venue,
        EventKind.ORDER_CLOSED,
        order,
        cause,
        reason=int(reason),
        qty_lots=leaves_lots,
        hold_delta_atoms=-_held_by(symbol, order, leaves_lots),
    )


def tell_order(venue: Venue, kind: EventKind, order: Order, cause: CommandKind, **more: int) -> None:
    """An event that carries an order as it now stands."""
    venue.emit(
        kind,
        command_kind=int(cause),
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


def _held_by(symbol: Symbol, order: Order, qty_lots: int) -> int:
    """What these lots of the order hold: a MARKET order holds for its fills alone, so for what is left, nothing."""
    return 0 if order.is_market else symbol.hold_atoms(order.side, order.price_ticks, qty_lots)


def _rate_ppm(venue: Venue, symbol: Symbol, account: int, role: str) -> int:
    override: int = getattr(venue.accounts[account], role)
    return symbol.rules[role] if override == -1 else override


def _trade(venue: Venue, symbol: Symbol, taker: Order, maker: Order) -> None:
    lots = min(taker.leaves_lots, maker.leaves_lots)
    base_atoms = lots * symbol.base_atoms_per_lot
    quote_atoms = symbol.notional_atoms(maker.price_ticks, lots)
    received = {Side.BUY: base_atoms, Side.SELL: quote_atoms}
    release_atoms = 0
    if taker.side is Side.BUY and not taker.is_market:
        release_atoms = symbol.notional_atoms(taker.price_ticks - maker.price_ticks, lots)
    for order in (maker, taker):
        order.leaves_lots -= lots
        order.filled_lots += lots
        order.filled_quote_atoms += quote_atoms
        order.updated_ts_ns = venue.ts_ns
    symbol.trades += 1
    venue.emit(
        EventKind.TRADE,
        side=int(taker.side),
        symbol=symbol.symbol,
        taker_account=taker.account,
        maker_account=maker.account,
        taker_order_id=taker.order_id,
        maker_order_id=maker.order_id,
        trade_id=symbol.trades,
        price_ticks=maker.price_ticks,
        qty_lots=lots,
        quote_atoms=quote_atoms,
        taker_fee_atoms=fee_atoms(received[taker.side], _rate_ppm(venue, symbol, taker.account, "taker_fee_ppm")),
        maker_fee_atoms=fee_atoms(received[maker.side], _rate_ppm(venue, symbol, maker.account, "maker_fee_ppm")),
        taker_leaves_lots=taker.leaves_lots,
        maker_leaves_lots=maker.leaves_lots,
        taker_release_atoms=release_atoms,
    )
    for order in (maker, taker):
        if order.leaves_lots == 0:
            venue.close(order, OrderStatus.FILLED)


def _prevented_lots(taker: Order, maker: Order) -> tuple[int, int]:
    """What the taker's mode takes off the taker and off the maker."""
    smaller = min(taker.leaves_lots, maker.leaves_lots)
    return {
        StpMode.EXPIRE_TAKER: (taker.leaves_lots, 0),
        StpMode.EXPIRE_MAKER: (0, maker.leaves_lots),
        StpMode.EXPIRE_BOTH: (taker.leaves_lots, maker.leaves_lots),
        StpMode.DECREMENT: (smaller, smaller),
    }[taker.stp_mode]


def _prevent(venue: Venue, symbol: Symbol, taker: Order, maker: Order) -> None:
    taker_lots, maker_lots = _prevented_lots(taker, maker)
    venue.emit(
        EventKind.PREVENTED,
        side=int(taker.side),
        stp_mode=int(taker.stp_mode),
        symbol=symbol.symbol,
        account=taker.account,
        taker_order_id=taker.order_id,
        maker_order_id=maker.order_id,
        price_ticks=maker.price_ticks,
        taker_prevented_lots=taker_lots,
        maker_prevented_lots=maker_lots,
        taker_release_atoms=_held_by(symbol, taker, taker_lots),
        maker_release_atoms=_held_by(symbol, maker, maker_lots),
        taker_leaves_lots=taker.leaves_lots - taker_lots,
        maker_leaves_lots=maker.leaves_lots - maker_lots,
    )
    for order, lots in ((maker, maker_lots), (taker, taker_lots)):
        if lots == 0:
            continue
        order.updated_ts_ns = venue.ts_ns
        if lots == order.leaves_lots:
            venue.close(order, OrderStatus.EXPIRED_IN_MATCH)
        else:
            order.leaves_lots -= lots
