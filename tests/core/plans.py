"""The venues that streams run on: their symbols, rules, accounts, and how often each sort of command comes.

Owns the numbers. `streams.py` owns what is done with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exchange.core.codes import CommandKind
from exchange.core.records import fill_command, slots
from tests.core.differential import Slot

EDGES = sorted({sign * (2**bits + off) for bits in (31, 32, 53, 62, 63) for off in (-1, 0, 1) for sign in (1, -1)})
"""Numbers at which something might break."""

BUSY, WIDE = "busy", "wide"


@dataclass
class SymbolPlan:
    symbol: int
    base: int
    quote: int
    price_scale: int
    qty_scale: int
    middle_ticks: int
    spread_ticks: int  # orders are priced within this of the middle
    lots: int  # and mostly no larger than this
    rules: dict[str, int]


def _rules(price_max: int, qty_max: int, **others: int) -> dict[str, int]:
    return {
        "price_min_ticks": 1,
        "price_max_ticks": price_max,
        "qty_min_lots": 1,
        "qty_max_lots": qty_max,
        "notional_min_atoms": 0,
        "notional_max_atoms": 2**62 - 1,
        "price_step_ticks": 1,
        "qty_step_lots": 1,
        "orders_max": 5,
        "maker_fee_ppm": 1_000,
        "taker_fee_ppm": 2_500,
    } | others


_EDGE = 2**31 - 1
BUSY_SYMBOLS = [
    SymbolPlan(1, 1, 2, 1, 2, 100, 4, 9, _rules(300, 50, notional_min_atoms=500, qty_max_lots=40)),
    SymbolPlan(2, 3, 2, 0, 1, 60, 3, 12, _rules(90, 60, qty_step_lots=3, price_step_ticks=2, taker_fee_ppm=100_000)),
    SymbolPlan(3, 1, 3, 1, 1, 40, 2, 6, _rules(70, 30, maker_fee_ppm=0, taker_fee_ppm=0, notional_max_atoms=1_000)),
    SymbolPlan(4, 4, 2, 2, 2, _EDGE - 9, 9, 1 << 20, _rules(_EDGE, _EDGE, orders_max=_EDGE)),
]
WIDE_SYMBOLS = [
    SymbolPlan(1, 1, 2, 1, 2, 50_000, 20_000, 9, _rules(100_000, 50, orders_max=_EDGE)),
    SymbolPlan(2, 3, 2, 0, 1, 500, 450, 9, _rules(1_000, 60, orders_max=_EDGE)),
]
SCALES = {1: 4, 2: 4, 3: 2, 4: 2}
ACCOUNTS = (16, 17, 18, 19, 20)

BUSY_WEIGHTS = {
    "place": 130,
    "place_again": 5,
    "place_spoiled": 10,
    "cancel": 12,
    "replace": 8,
    "reduce": 8,
    "cancel_all": 1,
    "transfer": 10,
    "tick": 6,
    "hash": 1,
    "mode": 1,
    "limit": 2,
    "reference": 4,
    "unknown": 1,
    "hostile": 12,
}
WIDE_WEIGHTS = {"place": 400, "cancel": 40, "reduce": 20, "replace": 10, "transfer": 10, "tick": 10, "hash": 1}


def command(kind: CommandKind, client_id: str = "", /, **fields: Any) -> Slot:
    """One command slot (128 u1), with the fields given as `fill_command` takes them."""
    slot: Slot = slots(1)[0]
    fill_command(slot, kind, **{"client_id": client_id} | fields)
    return slot
