"""How a symbol trades now: continuously, collecting for an auction, or paused.

Owns what is known of a phase, from AUCTION_EVENTs and from a state. Never decides anything.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import EventKind, Phase, Side, Stage
from exchange.core.state import State


class Auction(NamedTuple):
    """A phase, and what it was last said to come to."""

    ts_ns: int = 0
    phase: int = Phase.CONTINUOUS
    price_ticks: int = 0
    """Indicated in AUCTION; of the auction that ended, or of the trade before the pause; zero: none."""
    qty_lots: int = 0
    """What would trade, or did."""
    imbalance_lots: int = 0
    """Demand less supply at the price, in AUCTION."""
    end_ts_ns: int = 0
    """When the phase ends; zero: nobody knows."""


def after(auction: Auction, event: Any) -> Auction:
    """How it stands after an AUCTION_EVENT."""
    ts_ns, price_ticks, end_ts_ns = (int(event[name]) for name in ("ts_ns", "price_ticks", "end_ts_ns"))
    if event["kind"] == EventKind.AUCTION_STARTED:
        return Auction(ts_ns, Phase.AUCTION, end_ts_ns=end_ts_ns)
    if event["kind"] == EventKind.BREAKER_TRIPPED:
        return Auction(ts_ns, Phase.PAUSED, price_ticks, end_ts_ns=end_ts_ns)
    lots = int(event["qty_lots"])
    if event["kind"] == EventKind.AUCTION_ENDED:
        return Auction(ts_ns, Phase.CONTINUOUS, price_ticks, lots)
    return Auction(ts_ns, Phase.AUCTION, price_ticks, lots, int(event["imbalance_lots"]), auction.end_ts_ns)


def seeded(state: State, symbol: int) -> Auction:
    """How it stands in a state."""
    ts_ns, market = int(state.header[0].ts_ns), state.markets[symbol]
    phase, end_ts_ns = int(market.phase), int(market.phase_end_ts_ns)
    if phase != Phase.AUCTION:
        return Auction(ts_ns, phase, end_ts_ns=end_ts_ns)
    price_ticks = int(market.indicative_price_ticks)
    imbalance_lots = _imbalance(state, symbol, price_ticks) if price_ticks else 0
    return Auction(ts_ns, phase, price_ticks, int(market.indicative_lots), imbalance_lots, end_ts_ns)


def _imbalance(state: State, symbol: int, price_ticks: int) -> int:
    """Demand less supply at a price; the state does not remember it."""
    orders = state.orders
    resting = (orders.order_id != 0) & (orders.symbol == symbol) & (orders.stage == Stage.BOOK)
    buys = resting & (orders.side == Side.BUY) & (orders.price_ticks >= price_ticks)
    sells = resting & (orders.side == Side.SELL) & (orders.price_ticks <= price_ticks)
    return int(np.sum(orders.leaves_lots[buys])) - int(np.sum(orders.leaves_lots[sells]))
