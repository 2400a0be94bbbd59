"""The venues that streams run on: their symbols, rules, accounts, and how often each sort of command comes.

Owns the numbers. `streams.py` owns what is done with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exchange.core.codes import CommandKind, Limit
from exchange.core.records import fill_command, slots
from tests.core.differential import Slot

EDGES = sorted({sign * (2**bits + off) for bits in (31, 32, 53, 62, 63) for off in (-1, 0, 1) for sign in (1, -1)})
"""Numbers at which something might break."""

BUSY, WIDE, CONDITIONAL = "busy", "wide", "conditional"
"""Kinds of streams."""


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
CONDITIONAL_SYMBOLS = [
    SymbolPlan(1, 1, 2, 1, 2, 100, 4, 6, _rules(300, 60, orders_max=45)),
    SymbolPlan(2, 4, 2, 0, 2, 60, 3, 8, _rules(120, 60, qty_step_lots=2, qty_min_lots=2, maker_fee_ppm=20_000)),
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
    "mode": 2,
    "limit": 2,
    "reference": 4,
    "unknown": 1,
    "hostile": 12,
}
CONDITIONAL_WEIGHTS = {
    "place": 60,
    "special": 110,
    "push": 60,
    "order_list": 40,
    "storm": 1,
    "rule": 6,
    "drain": 3,
    "fund": 10,
    "place_again": 4,
    "place_spoiled": 6,
    "special_spoiled": 8,
    "cancel": 22,
    "replace": 6,
    "reduce": 16,
    "cancel_all": 2,
    "transfer": 3,
    "tick": 16,
    "hash": 1,
    "mode": 2,
    "limit": 3,
    "reference": 3,
    "hostile": 4,
}
WIDE_WEIGHTS = {"place": 400, "cancel": 40, "reduce": 20, "replace": 10, "transfer": 10, "tick": 10, "hash": 1}

SYMBOLS = {BUSY: BUSY_SYMBOLS, WIDE: WIDE_SYMBOLS, CONDITIONAL: CONDITIONAL_SYMBOLS}
WEIGHTS = {BUSY: BUSY_WEIGHTS, WIDE: WIDE_WEIGHTS, CONDITIONAL: CONDITIONAL_WEIGHTS}
USERS = {BUSY: ACCOUNTS, WIDE: tuple(range(16, 60)), CONDITIONAL: ACCOUNTS}
DEPOSITS = {BUSY: 200_000, WIDE: 10**9, CONDITIONAL: 300_000}
LIMITS: dict[str, dict[Limit, tuple[int, ...]]] = {
    BUSY: {Limit.OPEN_ORDERS: (6, 16, 24, 40), Limit.LEVELS: (4, 10, 14, 30), Limit.CLOSED_ORDERS: (1, 3, 6, 40)},
    WIDE: {},
    CONDITIONAL: {Limit.OPEN_ORDERS: (40, 300, 300), Limit.LEVELS: (8, 16, 60, 60), Limit.CLOSED_ORDERS: (1, 3, 6, 40)},
}
"""What a stream sets limits to; what they are at first is the second last of each."""


def command(kind: CommandKind, client_id: str = "", /, **fields: Any) -> Slot:
    """One command slot (128 u1), with the fields given as `fill_command` takes them."""
    slot: Slot = slots(1)[0]
    fill_command(slot, kind, **{"client_id": client_id} | fields)
    return slot
