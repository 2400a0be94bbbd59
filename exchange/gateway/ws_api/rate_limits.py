"""The member `rateLimits` of an answer: what the address has used, and the account whose order was accepted.

Owns its bytes. What does not change is encoded once, an answer puts the numbers in: 0.4 us where `orjson` takes 1.6.
"""

from __future__ import annotations

from typing import Any

import orjson

from exchange.gateway.limits import Limits


class RateLimits:
    """Writes the member for the limits of a venue; a limit that does not exist is not told."""

    def __init__(self, limits: Limits) -> None:
        self._unfilled = limits.orders
        told = limits.describe()
        weight = [_form(limit) for limit in told if limit["rateLimitType"] == "REQUEST_WEIGHT"]
        orders = [limit for limit in told if limit["rateLimitType"] == "ORDERS"]
        self._windows = tuple(0 if limit["interval"] == "SECOND" else 1 for limit in orders)
        self._has_weight = bool(weight)
        self._plain = _member(weight)
        self._with_orders = _member([*map(_form, orders), *weight])

    def member(self, weight: int, placed_by: int) -> bytes:
        """`,"rateLimits":[...]`; `placed_by`: the account whose unfilled orders are told too (0: of none)."""
        numbers = (weight,) if self._has_weight else ()
        if not placed_by:
            return self._plain % numbers
        counts = self._unfilled.counts(placed_by)
        return self._with_orders % (*(counts[window] for window in self._windows), *numbers)


def _form(limit: dict[str, Any]) -> bytes:
    return orjson.dumps(limit)[:-1] + b',"count":%d}'


def _member(forms: list[bytes]) -> bytes:
    return b',"rateLimits":[%b]' % b",".join(forms)
