"""Section 21: phases, and the auction that collects orders and lets them trade at one price.

Owns AUCTION, what TICK does about phases, and the uncross. The price is found in `auction_price.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from exchange.core.codes import (
    AuctionAction,
    EventFlag,
    EventKind,
    OrderStatus,
    OrderType,
    Phase,
    RejectCode,
    Side,
    Stage,
    StpMode,
    SymbolRule,
    TradingMode,
)
from tests.oracle import breaker
from tests.oracle.auction_price import Crossing, crossing
from tests.oracle.clearing import fee_atoms
from tests.oracle.closing import follow_end, follow_trade
from tests.oracle.guards import count_trade
from tests.oracle.matching import rate_ppm, show_next_part, take_off
from tests.oracle.prevention import prevented_lots, tell_prevented
from tests.oracle.telling import tell_order
from tests.oracle.triggers import observe
from tests.oracle.turns import take_turns
from tests.oracle.venue import Order, Symbol, Venue
from tests.oracle.words import Command, refuse_if


def auction(venue: Venue, command: Command) -> None:
    """START collecting, or UNCROSS now."""
    refuse_if(command["symbol"] not in venue.symbols, RejectCode.UNKNOWN_SYMBOL)
    symbol, action, end_ts_ns = venue.symbols[command["symbol"]], command["action"], command["end_ts_ns"]
    refuse_if(action not in list(AuctionAction), RejectCode.INVALID_AUCTION)
    if action == AuctionAction.START:
        refuse_if(symbol.phase is Phase.AUCTION, RejectCode.INVALID_AUCTION)
        refuse_if(end_ts_ns != 0 and end_ts_ns <= venue.ts_ns, RejectCode.INVALID_AUCTION)
        start(venue, symbol, end_ts_ns)
    else:
        refuse_if(symbol.phase is not Phase.AUCTION or not _may_end(venue, symbol), RejectCode.INVALID_AUCTION)
        end(venue, symbol)
        take_turns(venue, [symbol])


def refuse_uncollected(symbol: Symbol, order: Order) -> None:
    """58: while a symbol collects, what can not stand on a book until the uncross."""
    collected = order.order_type is OrderType.LIMIT and order.may_rest and not order.peg_type
    sound = (collected or order.stage is not Stage.BOOK) and not order.list_role
    refuse_if(symbol.phase is Phase.AUCTION and not sound, RejectCode.AUCTION_ORDER)


def start(venue: Venue, symbol: Symbol, end_ts_ns: int) -> None:
    symbol.watched = True
    _go_into(symbol, Phase.AUCTION, end_ts_ns)
    venue.emit(EventKind.AUCTION_STARTED, symbol=symbol.symbol, end_ts_ns=end_ts_ns)


def tick_phases(venue: Venue) -> None:
    """What time does to phases, by symbol id: pauses and auctions end, and auctions tell where they stand."""
    may_uncross = True
    for symbol in (venue.symbols[number] for number in sorted(venue.symbols)):
        due = symbol.phase_end_ts_ns <= venue.ts_ns
        if symbol.phase is Phase.PAUSED and due:
            start(venue, symbol, venue.ts_ns + max(1, symbol.guard.rules[SymbolRule.AUCTION_NS]))
        elif symbol.phase is Phase.AUCTION and due and symbol.phase_end_ts_ns and _may_end(venue, symbol):
            if may_uncross:
                end(venue, symbol)
            may_uncross = False
        elif symbol.phase is Phase.AUCTION:
            _indicate(venue, symbol)


def end(venue: Venue, symbol: Symbol) -> None:
    """Uncross, and go on in continuous trading."""
    prices: list[int] = []
    lots = 0
    while (found := _crossing(symbol)).lots:
        traded = list(_uncross_at(venue, symbol, found.price_ticks))
        prices += [found.price_ticks] * len(traded)
        lots += sum(traded)
    _go_into(symbol, Phase.CONTINUOUS, 0)
    venue.emit(
        EventKind.AUCTION_ENDED,
        symbol=symbol.symbol,
        price_ticks=prices[-1] if prices else 0,
        qty_lots=lots,
        trades_count=len(prices),
    )
    observe(symbol, prices)
    breaker.after_uncross(venue, symbol, prices)


def _go_into(symbol: Symbol, phase: Phase, end_ts_ns: int) -> None:
    symbol.phase, symbol.phase_end_ts_ns = phase, end_ts_ns
    symbol.indicative_price_ticks = symbol.indicative_lots = 0


def _may_end(venue: Venue, symbol: Symbol) -> bool:
    return venue.mode is TradingMode.OPEN and symbol.mode is TradingMode.OPEN


def _crossing(symbol: Symbol) -> Crossing:
    bids, asks = (
        [(order.price_ticks, order.leaves_lots) for order in symbol.sides[side].in_matching_order()] for side in Side
    )
    return crossing(bids, asks, symbol.last_ticks)


def _indicate(venue: Venue, symbol: Symbol) -> None:
    found = _crossing(symbol)
    if (found.price_ticks, found.lots) != (symbol.indicative_price_ticks, symbol.indicative_lots):
        symbol.indicative_price_ticks, symbol.indicative_lots = found.price_ticks, found.lots
        venue.emit(
            EventKind.AUCTION_INDICATED,
            symbol=symbol.symbol,
            price_ticks=found.price_ticks,
            qty_lots=found.lots,
            imbalance_lots=found.imbalance_lots,
        )


# ---- the uncross --------------------------------------------------------------------------------------------------


def _uncross_at(venue: Venue, symbol: Symbol, price_ticks: int) -> Iterator[int]:
    """Let those meet who meet at this price; gives the lots of each trade."""
    while True:
        bid, ask = (symbol.sides[side].best() for side in Side)
        if bid is None or ask is None or not ask.price_ticks <= price_ticks <= bid.price_ticks:
            return
        older, younger = sorted((bid, ask), key=lambda order: order.order_id)
        if venue.same_owner(older.account, younger.account) and younger.stp_mode is not StpMode.NONE:
            _prevent(venue, symbol, younger, older)
        else:
            yield _trade(venue, symbol, bid, ask, price_ticks)


def _tell_less(venue: Venue, order: Order, lots: int) -> None:
    """What an order is about to lose of what it shows; both orders of an uncross stand on the book."""
    if lots:
        tell_order(venue, EventKind.ORDER_SHOWN, order, qty_lots=-lots)


def _trade(venue: Venue, symbol: Symbol, bid: Order, ask: Order, price_ticks: int) -> int:
    """At the price of the auction. The BUY is written down as the taker, but both pay what makers pay."""
    lots = min(bid.shown_lots, ask.shown_lots)
    base_atoms, quote_atoms = lots * symbol.base_atoms_per_lot, symbol.notional_atoms(price_ticks, lots)
    bid_fee_atoms = fee_atoms(base_atoms, rate_ppm(venue, symbol, bid.account, "maker_fee_ppm"))
    ask_fee_atoms = fee_atoms(quote_atoms, rate_ppm(venue, symbol, ask.account, "maker_fee_ppm"))
    for order in (ask, bid):
        _tell_less(venue, order, lots)
    for order in (ask, bid):
        take_off(venue, order, lots)
        order.filled_lots += lots
        order.filled_quote_atoms += quote_atoms
    symbol.trades += 1
    symbol.last_ticks = price_ticks
    count_trade(venue, symbol, price_ticks, lots)
    venue.emit(
        EventKind.TRADE,
        flags=int(EventFlag.OFF_BOOK),
        side=int(Side.BUY),
        symbol=symbol.symbol,
        taker_account=bid.account,
        maker_account=ask.account,
        taker_order_id=bid.order_id,
        maker_order_id=ask.order_id,
        trade_id=symbol.trades,
        price_ticks=price_ticks,
        qty_lots=lots,
        quote_atoms=quote_atoms,
        taker_fee_atoms=bid_fee_atoms,
        maker_fee_atoms=ask_fee_atoms,
        taker_leaves_lots=bid.leaves_lots,
        maker_leaves_lots=ask.leaves_lots,
        taker_release_atoms=symbol.notional_atoms(bid.price_ticks - price_ticks, lots),
    )
    for order in (ask, bid):
        if order.leaves_lots == 0:
            venue.close(order, OrderStatus.FILLED, 0)
    for order in (ask, bid):
        show_next_part(venue, symbol, order)
    for order, received_atoms in ((ask, quote_atoms - ask_fee_atoms), (bid, base_atoms - bid_fee_atoms)):
        follow_trade(venue, order, received_atoms)
        if order.closed_as is not None:
            follow_end(venue, order)
    return lots


def _prevent(venue: Venue, symbol: Symbol, taker: Order, maker: Order) -> None:
    """The younger order stands as the taker, so that its mode decides."""
    lots_of_both = prevented_lots(taker, maker, min(taker.shown_lots, maker.shown_lots))
    prevented = tuple(zip((maker, taker), reversed(lots_of_both), strict=True))
    for order, lots in prevented:
        _tell_less(venue, order, min(lots, order.shown_lots))
    tell_prevented(venue, symbol, taker, maker, lots_of_both, in_auction=True)
    for order, lots in prevented:
        if lots:
            take_off(venue, order, lots)
        if order.leaves_lots == 0:
            venue.close(order, OrderStatus.EXPIRED_IN_MATCH, lots)
    for order, _ in prevented:
        show_next_part(venue, symbol, order)
    for order, _ in prevented:
        if order.closed_as is not None:
            follow_end(venue, order)
