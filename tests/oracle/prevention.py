"""Self-trade prevention (sections 4.1 and 21): what it takes off two orders that must not trade, and how that is told.

Owns the modes. Changes no order.
"""

from __future__ import annotations

from exchange.core.codes import EventFlag, EventKind, StpMode
from tests.oracle.closing import held_by
from tests.oracle.venue import Order, Symbol, Venue


def prevented_lots(taker: Order, maker: Order, meet_lots: int) -> tuple[int, int]:
    """What the taker's mode takes off the taker and off the maker, who would trade `meet_lots`."""
    return {
        StpMode.EXPIRE_TAKER: (taker.leaves_lots, 0),
        StpMode.EXPIRE_MAKER: (0, maker.leaves_lots),
        StpMode.EXPIRE_BOTH: (taker.leaves_lots, maker.leaves_lots),
        StpMode.DECREMENT: (meet_lots, meet_lots),
    }[taker.stp_mode]


def tell_prevented(
    venue: Venue, symbol: Symbol, taker: Order, maker: Order, lots: tuple[int, int], *, in_auction: bool = False
) -> None:
    """PREVENTED, before `lots` are taken off the taker and off the maker."""
    taker_lots, maker_lots = lots
    venue.emit(
        EventKind.PREVENTED,
        flags=int(EventFlag.OFF_BOOK) if in_auction else 0,
        side=int(taker.side),
        stp_mode=int(taker.stp_mode),
        symbol=symbol.symbol,
        account=taker.account,
        maker_account=maker.account if maker.account != taker.account else 0,
        taker_order_id=taker.order_id,
        maker_order_id=maker.order_id,
        price_ticks=maker.price_ticks,
        taker_prevented_lots=taker_lots,
        maker_prevented_lots=maker_lots,
        taker_release_atoms=held_by(symbol, taker, taker_lots),
        maker_release_atoms=held_by(symbol, maker, maker_lots),
        taker_leaves_lots=taker.leaves_lots - taker_lots,
        maker_leaves_lots=maker.leaves_lots - maker_lots,
    )
