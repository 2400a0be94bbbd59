"""The two faces of the REST interface: the same handlers under two prefixes, with two spellings of a symbol.

    /v1        BTC_USDT    our own: a repeated placement is answered with the order that it made
    /api/v3    BTCUSDT     Binance's: a repeated placement is refused, as its clients expect; books show eight decimals

Owns what differs between them. Never a handler's business beyond the fields of `Face`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exchange.core.readers import AssetView, SymbolView
from exchange.gateway.symbols import Reference
from exchange.marketdata.names import wire_symbol
from exchange.marketdata.text import BINANCE_DECIMALS

OURS, BINANCE = "/v1", "/api/v3"


@dataclass(frozen=True, slots=True)
class Face:
    """One spelling of the venue."""

    prefix: str
    reference: Reference
    answers_repeats: bool
    book_decimals_min: int
    """The streams have as many, and clients of Binance compare the texts of levels."""


def faces(assets: Iterable[AssetView], symbols: Iterable[SymbolView]) -> dict[str, Face]:
    """Both faces, by prefix. Of two symbols that are spelled alike (A_BC, AB_C) the older has the name on Binance's."""
    assets, symbols = list(assets), list(symbols)
    return {
        OURS: Face(OURS, Reference(assets, symbols), answers_repeats=True, book_decimals_min=0),
        BINANCE: Face(
            BINANCE, Reference(assets, symbols, wire_symbol), answers_repeats=False, book_decimals_min=BINANCE_DECIMALS
        ),
    }
