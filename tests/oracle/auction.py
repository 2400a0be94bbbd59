"""Section 21: phases, and the auction that collects orders and lets them trade at one price.

Owns AUCTION, what TICK does about phases, and the uncross. The price is found in `auction_price.py`.
"""

from __future__ import annotations

from exchange.core.codes import (
    AuctionAction,
    CommandKind,
    EventFlag,
    EventKind,
    OrderStatus,
    OrderType,
    Phase,
    RejectCode,
    Side,
    StpMode,
    SymbolRule,
    TimeInForce,
    TradingMode,
)
from tests.oracle import breaker
from tests.oracle.auction_price import NOTHING, Crossing, crossing
from tests.oracle.clearing import fee_atoms
from tests.oracle.guards import count_trade
from tests.oracle.venue import Order, Symbol, Venue
from tests.oracle.words import Command, refuse_if

COLLECTED = (TimeInForce.GTC, TimeInForce.GTD)


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
        end(venue, symbol, CommandKind.AUCTION)
        take_turns(venue, [symbol], CommandKind.AUCTION)


def refuse_uncollected(symbol: Symbol, order: Order, *, enters_now: bool) -> None:
    """58: while a symbol collects, what can not stand on a book until the uncross."""
    collected = order.order_type is OrderType.LIMIT and order.time_in_force in COLLECTED and not order.peg_type
    sound = (collected or not enters_now) and not order.list_role
    refuse_if(symbol.phase is Phase.AUCTION and not sound, RejectCode.AUCTION_ORDER)


def start(venue: Venue, symbol: Symbol, end_ts_ns: int) -> None:
    symbol.phase, symbol.phase_end_ts_ns, symbol.indicated = Phase.AUCTION, end_ts_ns, NOTHING
    venue.emit(EventKind.AUCTION_STARTED, symbol=symbol.symbol, end_ts_ns=end_ts_ns)


def tick_phases(venue: Venue) -> None:
    """What time does to phases, by symbol id: pauses and auctions end, and auctions tell where they stand."""
    may_uncross = True
    for symbol in (venue.symbols[number] for number in sorted(venue.symbols)):
        due = symbol.phase_end_ts_ns <= venue.ts_ns
        if symbol.phase is Phase.PAUSED and due:
            start(venue, symbol, venue.ts_ns + max(1, venue.symbol_rule(symbol.symbol, SymbolRule.AUCTION_NS)))
        elif symbol.phase is Phase.AUCTION and due and symbol.phase_end_ts_ns and _may_end(venue, symbol):
            if may_uncross:
                end(venue, symbol, CommandKind.TICK)
            may_uncross = False
        elif symbol.phase is Phase.AUCTION:
            _indicate(venue, symbol)


def end(venue: Venue, symbol: Symbol, cause: CommandKind) -> None:
    """Uncross, and go on in continuous trading."""
    prices, lots = [], 0
    while (found := _crossing(symbol)).lots:
        traded = list(_uncross_at(venue, symbol, found.price_ticks, cause))
        prices += [found.price_ticks] * len(traded)
        lots += sum(traded)
    symbol.phase, symbol.phase_end_ts_ns, symbol.indicated = Phase.CONTINUOUS, 0, NOTHING
    venue.emit(
        EventKind.AUCTION_ENDED,
        symbol=symbol.symbol,
        price_ticks=prices[-1] if prices else 0,
        qty_lots=lots,
        trades_count=len(prices),
    )
    symbol.last_ticks = prices[-1] if prices else symbol.last_ticks
    observe(symbol, prices[:1] + prices[-1:])
    breaker.after_uncross(venue, symbol, prices[:1] + prices[-1:])


def _may_end(venue: Venue, symbol: Symbol) -> bool:
    return venue.mode is TradingMode.OPEN and symbol.mode is TradingMode.OPEN


def _crossing(symbol: Symbol) -> Crossing:
    bids, asks = (
        [(order.price_ticks, order.leaves_lots) for order in symbol.sides[side].in_matching_order()] for side in Side
    )
    return crossing(bids, asks, symbol.last_ticks)


def _indicate(venue: Venue, symbol: Symbol) -> None:
    found = _crossing(symbol)
    if (found.price_ticks, found.lots) != (symbol.indicated.price_ticks, symbol.indicated.lots):
        symbol.indicated = found
        venue.emit(
            EventKind.AUCTION_INDICATED,
            symbol=symbol.symbol,
            price_ticks=found.price_ticks,
            qty_lots=found.lots,
            imbalance_lots=found.imbalance_lots,
        )


# ---- the uncross --------------------------------------------------------------------------------------------------


def _uncross_at(venue: Venue, symbol: Symbol, price_ticks: int, cause: CommandKind) -> Iterator[int]:
    """Let meet who meets at this price; gives the lots of each trade."""
    while True:
        bid, ask = (symbol.sides[side].best() for side in Side)
        if bid is None or ask is None or not ask.price_ticks <= price_ticks <= bid.price_ticks:
            return
        older, younger = sorted((bid, ask), key=lambda order: order.order_id)
        if same_owner(venue, older, younger) and younger.stp_mode is not StpMode.NONE:
            _prevent(venue, symbol, younger, older, cause)
        else:
            yield _trade(venue, symbol, bid, ask, price_ticks, cause)


def _trade(venue: Venue, symbol: Symbol, bid: Order, ask: Order, price_ticks: int, cause: CommandKind) -> int:
    """Both stand on the book; the BUY is written down as the taker."""
    lots = min(bid.shown_lots, ask.shown_lots)
    quote_atoms = symbol.notional_atoms(price_ticks, lots)
    for order in (ask, bid):
        tell_shown(venue, order, cause, -lots)
    for order in (ask, bid):
        order.leaves_lots -= lots
        order.shown_lots -= lots
        order.filled_lots += lots
        order.filled_quote_atoms += quote_atoms
        order.updated_ts_ns = venue.ts_ns
    symbol.trades += 1
    symbol.last_ticks = price_ticks
    count_trade(venue, symbol, price_ticks, lots)
    venue.emit(
        EventKind.TRADE,
        flags=EventFlag.OFF_BOOK,
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
        taker_fee_atoms=fee_atoms(lots * symbol.base_atoms_per_lot, maker_rate(venue, symbol, bid)),
        maker_fee_atoms=fee_atoms(quote_atoms, maker_rate(venue, symbol, ask)),
        taker_leaves_lots=bid.leaves_lots,
        maker_leaves_lots=ask.leaves_lots,
        taker_release_atoms=symbol.notional_atoms(bid.price_ticks - price_ticks, lots),
    )
    after_trade...
    return lots


def _prevented_lots(taker: Order, maker: Order) -> tuple[int, int]:
    """What the younger one's mode takes off it and off the older one; both show what they show."""
    smaller = min(taker.shown_lots, maker.shown_lots)
    return {
        StpMode.EXPIRE_TAKER: (taker.leaves_lots, 0),
        StpMode.EXPIRE_MAKER: (0, maker.leaves_lots),
        StpMode.EXPIRE_BOTH: (taker.leaves_lots, maker.leaves_lots),
        StpMode.DECREMENT: (smaller, smaller),
    }[taker.stp_mode]
