"""Section 4.1, matching: an order that enters meets the other side, and what is left of it rests or closes.

Owns trades and the parts that icebergs show. Nothing here can be refused.
"""

from __future__ import annotations

from exchange.core.codes import CloseReason, EventKind, OrderStatus, Phase, Side, Stage, StpMode, TimeInForce
from tests.oracle import breaker
from tests.oracle.clearing import fee_atoms
from tests.oracle.closing import close, follow_end, follow_trade
from tests.oracle.guards import count_trade, trading_range
from tests.oracle.prevention import prevented_lots, tell_prevented
from tests.oracle.telling import tell_shown
from tests.oracle.triggers import observe
from tests.oracle.venue import Order, Symbol, Venue
from tests.oracle.walking import Rehearsal, fillable_lots, reach


def match(venue: Venue, symbol: Symbol, taker: Order) -> None:
    """From where an order enters to where it stays."""
    taker.stage, taker.held_atoms = Stage.BOOK, 0
    if taker.is_special:
        taker.working_ts_ns = venue.ts_ns
    if symbol.phase is Phase.AUCTION:
        rest(venue, symbol, taker)
        return
    in_reach = reach(taker, taker.price_ticks)
    allowed = in_reach.within(trading_range(venue, symbol))
    if taker.time_in_force is TimeInForce.FOK:
        rehearsal = Rehearsal(venue, symbol, taker, allowed)
        if fillable_lots(rehearsal, taker) < taker.leaves_lots:
            close(venue, taker, CloseReason.FOK_UNFILLABLE)
            return
    prices, taken_lots = [], 0  # the latter: what the last step took off it without a trade
    out_of_range = False
    while taker.leaves_lots > 0:
        maker = symbol.sides[Side(1 - taker.side)].best()
        if maker is None or not allowed.allows(maker.price_ticks):
            out_of_range = maker is not None and in_reach.allows(maker.price_ticks)
            break
        if venue.same_owner(maker.account, taker.account) and taker.stp_mode is not StpMode.NONE:
            taken_lots = _prevent(venue, symbol, taker, maker)
        else:
            taken_lots = 0
            prices.append(maker.price_ticks)
            _trade(venue, symbol, taker, maker)
    if taker.leaves_lots == 0 and (prices or taken_lots):
        venue.end(taker, OrderStatus.EXPIRED_IN_MATCH if taken_lots else OrderStatus.FILLED, taken_lots)
        follow_end(venue, taker)
        venue.remember(taker)
    observe(symbol, prices)
    if out_of_range:
        close(venue, taker, CloseReason.PRICE_RANGE)
    elif taker.closed_as is None:
        _stay(venue, symbol, taker)
    breaker.after_trading(venue, symbol, prices)


def _stay(venue: Venue, symbol: Symbol, order: Order) -> None:
    """What matching left of an order."""
    if order.is_market:
        close(venue, order, CloseReason.NO_LIQUIDITY)
    elif order.time_in_force is TimeInForce.IOC:
        close(venue, order, CloseReason.IOC_REMAINDER)
    else:
        rest(venue, symbol, order)


def rest(venue: Venue, symbol: Symbol, order: Order) -> None:
    """Stand at the back of the level."""
    venue.open_orders[order.order_id] = order
    order.part_lots = min(order.iceberg_lots, order.leaves_lots)
    symbol.sides[order.side].rest(order)
    tell_shown(venue, order, order.shown_lots)


def show_next_part(venue: Venue, symbol: Symbol, order: Order) -> None:
    """An iceberg whose part is gone shows another one, at the back of its level."""
    if order.closed_as is None and order.iceberg_lots and order.part_lots == 0:
        symbol.sides[order.side].remove(order)
        rest(venue, symbol, order)


def rate_ppm(venue: Venue, symbol: Symbol, account: int, role: str) -> int:
    override: int = getattr(venue.accounts[account], role)
    return symbol.rules[role] if override == -1 else override


def take_off(venue: Venue, order: Order, lots: int) -> None:
    """Lots leave an order, by a trade or without one."""
    order.leaves_lots -= lots
    order.part_lots = max(0, order.part_lots - lots)
    order.updated_ts_ns = venue.ts_ns


def _trade(venue: Venue, symbol: Symbol, taker: Order, maker: Order) -> None:
    lots = min(taker.leaves_lots, maker.shown_lots)
    base_atoms = lots * symbol.base_atoms_per_lot
    quote_atoms = symbol.notional_atoms(maker.price_ticks, lots)
    received = {Side.BUY: base_atoms, Side.SELL: quote_atoms}
    taker_fee_atoms = fee_atoms(received[taker.side], rate_ppm(venue, symbol, taker.account, "taker_fee_ppm"))
    maker_fee_atoms = fee_atoms(received[maker.side], rate_ppm(venue, symbol, maker.account, "maker_fee_ppm"))
    release_atoms = 0
    if taker.side is Side.BUY and not taker.is_market:
        release_atoms = symbol.notional_atoms(taker.price_ticks - maker.price_ticks, lots)
    for order in (maker, taker):
        take_off(venue, order, lots)
        order.filled_lots += lots
        order.filled_quote_atoms += quote_atoms
    symbol.trades += 1
    symbol.last_ticks = maker.price_ticks
    count_trade(venue, symbol, maker.price_ticks, lots)
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
        taker_fee_atoms=taker_fee_atoms,
        maker_fee_atoms=maker_fee_atoms,
        taker_leaves_lots=taker.leaves_lots,
        maker_leaves_lots=maker.leaves_lots,
        taker_release_atoms=release_atoms,
    )
    if maker.leaves_lots == 0:
        venue.close(maker, OrderStatus.FILLED, 0)
    show_next_part(venue, symbol, maker)
    follow_trade(venue, maker, received[maker.side] - maker_fee_atoms)
    if maker.closed_as is not None:
        follow_end(venue, maker)
    follow_trade(venue, taker, received[taker.side] - taker_fee_atoms)


def _prevent(venue: Venue, symbol: Symbol, taker: Order, maker: Order) -> int:
    """One match that is stopped; how many lots that takes off the taker."""
    lots_of_both = prevented_lots(taker, maker, min(taker.leaves_lots, maker.shown_lots))
    taker_lots, maker_lots = lots_of_both
    tell_shown(venue, maker, max(0, maker_lots - maker.shown_lots))
    tell_prevented(venue, symbol, taker, maker, lots_of_both)
    for order, lots in ((maker, maker_lots), (taker, taker_lots)):
        if lots:
            take_off(venue, order, lots)
    if maker.leaves_lots == 0:
        venue.close(maker, OrderStatus.EXPIRED_IN_MATCH, maker_lots)
        follow_end(venue, maker)
    show_next_part(venue, symbol, maker)
    return taker_lots
