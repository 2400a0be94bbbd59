"""Decimals as text: integers and a scale to the digits that the API shows, one at a time or a whole diff in one call.

Owns the two writers (plain Python and compiled), which a test holds equal. Never rounds: the scale is the number of
decimals that a value has; zeros follow them where more are wanted. Values are not negative, but for `decimal_text`,
which also writes changes of a price.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core.compile import inlined, kernel

LEVEL_TEXT_BYTES = 64
"""Room for one level: two decimals of at most 28 signs, and seven signs around them."""

BINANCE_DECIMALS = 8
"""Binance shows at least so many. Its clients compare texts: a level is gone when its quantity reads 0.00000000."""

_ZERO, _POINT, _QUOTE, _COMMA, _OPEN, _CLOSE = (ord(sign) for sign in '0.",[]')


def binance_text(value: int, scale: int) -> bytes:
    """`value * 10^-scale` as Binance shows it: binance_text(1234, 2) is "12.34000000"."""
    point = "." if scale == 0 else ""
    return f"{decimal_text(value, scale)}{point}{'0' * (BINANCE_DECIMALS - scale)}".encode()


def decimal_text(value: int, scale: int) -> str:
    """`value * 10^-scale` with all `scale` decimals: decimal_text(1234, 2) is "12.34"."""
    if scale == 0:
        return str(value)
    whole, part = divmod(abs(value), 10**scale)
    return f"{'-' if value < 0 else ''}{whole}.{part:0{scale}d}"


@inlined
def _write_decimal(text: Any, at: int, value: int, scale: int, decimals_min: int) -> int:
    digits = 1
    left = value // 10
    while left != 0:
        digits += 1
        left //= 10
    digits = max(digits, scale + 1)
    end = at + digits + (1 if scale != 0 else 0)
    place = end - 1
    left = value
    for k in range(digits):
        if k == scale and scale != 0:
            text[place] = _POINT
            place -= 1
        text[place] = _ZERO + left % 10
        left //= 10
        place -= 1
    if scale == 0 and decimals_min != 0:
        text[end] = _POINT
        end += 1
    for _ in range(scale, decimals_min):
        text[end] = _ZERO
        end += 1
    return end


@kernel
def _write_levels(
    text: Any, starts: Any, ends: Any, prices: Any, lots: Any, price_scale: int, qty_scale: int, decimals_min: int
) -> int:
    at = 0
    for k in range(len(prices)):
        if k != 0:
            text[at] = _COMMA
            at += 1
        starts[k] = at
        text[at] = _OPEN
        text[at + 1] = _QUOTE
        at = _write_decimal(text, at + 2, prices[k], price_scale, decimals_min)
        text[at] = _QUOTE
        text[at + 1] = _COMMA
        text[at + 2] = _QUOTE
        at = _write_decimal(text, at + 3, lots[k], qty_scale, decimals_min)
        text[at] = _QUOTE
        text[at + 1] = _CLOSE
        at += 2
        ends[k] = at
    return at


def levels_text(
    prices: Any, lots: Any, price_scale: int, qty_scale: int, decimals_min: int = 0
) -> tuple[bytes, list[int], list[int]]:
    """Levels as JSON, `["price","quantity"]` joined by commas, and where each of them starts and ends in it."""
    text = np.empty(len(prices) * LEVEL_TEXT_BYTES, dtype=np.uint8)
    starts = np.empty(len(prices), dtype=np.int64)
    ends = np.empty(len(prices), dtype=np.int64)
    used = _write_levels(text, starts, ends, prices, lots, price_scale, qty_scale, decimals_min)
    return text[:used].tobytes(), starts.tolist(), ends.tolist()
