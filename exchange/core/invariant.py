"""What an invariant is: a sentence that should hold.

Owns the exception and how it is raised; `invariants.py` and `invariants_special.py` own the sentences.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core.state import State


class InvariantBroken(AssertionError):
    """A sentence that should hold and does not, with the place."""


def hold_that(condition: bool, sentence: str) -> None:
    """Raise InvariantBroken with the sentence unless the condition is true."""
    if not condition:
        raise InvariantBroken(sentence)


def open_slots(state: State) -> dict[int, Any]:
    """Slots that hold an order."""
    high = int(state.header[0].order_high)
    ids = np.asarray(state.orders.order_id[1:high])
    return {int(slot) + 1: state.orders[int(slot) + 1] for slot in np.flatnonzero(ids)}
