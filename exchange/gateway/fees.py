"""Fee rates as answers show them.

Owns the choice between an account's own rate and a symbol's, and the writing of rates. Never computes a fee.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exchange.core.readers import AccountView, SymbolView

_PPM = 1_000_000
_NO_DISCOUNT = {
    "enabledForAccount": False,
    "enabledForSymbol": False,
    "discountAsset": "",
    "discount": "0.00000000",
}


def rates(view: AccountView | None, symbols: Iterable[SymbolView]) -> tuple[int, int]:
    """(maker, taker) in ppm: the account's own rate, else the highest that one of the symbols asks."""
    maker, taker = (-1, -1) if view is None else (view.maker_fee_ppm, view.taker_fee_ppm)
    of_symbols = [(symbol.maker_fee_ppm, symbol.taker_fee_ppm) for symbol in symbols]
    return (
        maker if maker >= 0 else max((one for one, _ in of_symbols), default=0),
        taker if taker >= 0 else max((one for _, one in of_symbols), default=0),
    )


def commission(ppm: int) -> str:
    """A rate as a decimal string: 1000 ppm is "0.00100000"."""
    return f"{ppm // _PPM}.{ppm % _PPM:06d}00"


def fractions(maker_ppm: int, taker_ppm: int) -> dict[str, str]:
    """Rates by who pays them; neither buyer nor seller pays more than the other here."""
    return {
        "maker": commission(maker_ppm),
        "taker": commission(taker_ppm),
        "buyer": commission(0),
        "seller": commission(0),
    }


def of_symbol(name: str, maker_ppm: int, taker_ppm: int) -> dict[str, Any]:
    """What an account is charged on a symbol, as GET account/commission shows it."""
    return {
        "symbol": name,
        "standardCommission": fractions(maker_ppm, taker_ppm),
        "specialCommission": fractions(0, 0),
        "taxCommission": fractions(0, 0),
        "discount": _NO_DISCOUNT,
    }


def of_order(maker_ppm: int, taker_ppm: int) -> dict[str, Any]:
    """What an order would be charged, as POST order/test shows it; nothing but the standard rate exists here."""
    none = {"maker": commission(0), "taker": commission(0)}
    return {
        "standardCommissionForOrder": {"maker": commission(maker_ppm), "taker": commission(taker_ppm)},
        "specialCommissionForOrder": none,
        "taxCommissionForOrder": none,
        "discount": _NO_DISCOUNT,
    }
