"""Which events of a batch concern the accounts that somebody listens to.

Owns the one place that knows where each kind of event keeps its accounts. An event concerns an account when it can
change what the account's owner sees: its orders, its balances, the fate of an order it sent. Never looks at anything
but the batch and the marks; costs Python nothing per event.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core.codes import CommandKind, EventFlag, EventKind
from exchange.core.compile import inlined, kernel
from exchange.core.records import RECORD_BYTES
from exchange.core.slots import order_event, prevented_event, trade_event

Batch = np.ndarray[Any, np.dtype[np.uint8]]
Marks = np.ndarray[Any, np.dtype[np.uint8]]
Indexes = np.ndarray[Any, np.dtype[np.int64]]


def view_events_of(memory: Any, count: int) -> Batch:
    """The first `count` event slots of a buffer, shape (count, 128) u1, not writable: the form that `pick` takes."""
    batch: Batch = np.frombuffer(memory, np.uint8, count * RECORD_BYTES).reshape(count, RECORD_BYTES)
    batch.setflags(write=False)
    return batch


@inlined
def _is_marked(marked: Marks, account: int) -> bool:
    found: bool = 0 <= account < len(marked) and marked[account] != 0
    return found


@kernel
def pick(batch: Batch, marked: Marks, carried: Indexes, found: Indexes) -> int:
    """Fill `found` with the indexes of events that concern a marked account; returns how many.

    The last event of a command that concerned one is found too, whomever it concerns itself: then the command is
    whole. So is every ASSET_ADDED and SYMBOL_ADDED. `carried[0]` says, between batches, whether the command that the
    last batch broke off in concerned a marked account. `found` has room for the batch.
    """
    count = 0
    for index in range(len(batch)):
        event = order_event(batch, index)
        kind = event.kind
        concerns = False
        if kind == EventKind.TRADE:
            trade = trade_event(batch, index)
            concerns = _is_marked(marked, trade.taker_account) or _is_marked(marked, trade.maker_account)
        elif kind == EventKind.PREVENTED:
            stop = prevented_event(batch, index)
            concerns = _is_marked(marked, stop.account)
            if stop.maker_account != 0:
                concerns |= _is_marked(marked, stop.maker_account)
        elif kind == EventKind.REJECTED:
            concerns = event.command_kind == CommandKind.PLACE and _is_marked(marked, event.account)
        elif (
            kind == EventKind.ORDER_ACCEPTED
            or kind == EventKind.ORDER_REDUCED
            or kind == EventKind.ORDER_CLOSED
            or EventKind.ORDER_ENTERED <= kind <= EventKind.ORDER_FUNDED
            or kind == EventKind.ORDER_TERMS  # these three have their account where an ORDER_EVENT has it
            or kind == EventKind.LIST_CHANGED
            or kind == EventKind.TRANSFERRED
        ):
            concerns = _is_marked(marked, event.account)
        if concerns:
            carried[0] = 1
        last = event["flags"] & EventFlag.LAST != 0
        adds = kind == EventKind.ASSET_ADDED or kind == EventKind.SYMBOL_ADDED
        if concerns or adds or (last and carried[0] != 0):
            found[count] = index
            count += 1
        if last:
            carried[0] = 0
    return count
