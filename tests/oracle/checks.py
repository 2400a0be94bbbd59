"""Steps 7 to 9 of PLACE, number by number, for whoever asks them of an order: at its PLACE, or later when it enters.

Owns one refusal table a number. Knows nothing of accounts and money.
"""

from __future__ import annotations

from exchange.core.codes import RejectCode, Side
from tests.oracle.venue import Symbol
from tests.oracle.words import refuse_if


def refuse_bad_price(symbol: Symbol, price_ticks: int) -> None:
    rules = symbol.rules
    refuse_if(price_ticks <= 0, RejectCode.INVALID_PRICE)
    refuse_if(price_ticks < rules["price_min_ticks"], RejectCode.PRICE_TOO_LOW)
    refuse_if(price_ticks > rules["price_max_ticks"], RejectCode.PRICE_TOO_HIGH)
    refuse_if(price_ticks % rules["price_step_ticks"] != 0, RejectCode.PRICE_OFF_TICK)


def refuse_bad_quantity(symbol: Symbol, qty_lots: int) -> None:
    rules = symbol.rules
    refuse_if(qty_lots <= 0, RejectCode.INVALID_QUANTITY)
    refuse_if(qty_lots < rules["qty_min_lots"], RejectCode.QUANTITY_TOO_LOW)
    refuse_if(qty_lots > rules["qty_max_lots"], RejectCode.QUANTITY_TOO_HIGH)
    refuse_if(qty_lots % rules["qty_step_lots"] != 0, RejectCode.QUANTITY_OFF_LOT)


def refuse_bad_notional(symbol: Symbol, notional_atoms: int) -> None:
    refuse_if(notional_atoms < symbol.rules["notional_min_atoms"], RejectCode.NOTIONAL_TOO_LOW)
    refuse_if(notional_atoms > symbol.rules["notional_max_atoms"], RejectCode.NOTIONAL_TOO_HIGH)


def would_take(symbol: Symbol, side: Side, price_ticks: int) -> bool:
    """Whether an order at this price crosses the best opposite one."""
    best = symbol.sides[Side(1 - side)].best()
    if best is None:
        return False
    return price_ticks >= best.price_ticks if side is Side.BUY else price_ticks <= best.price_ticks
