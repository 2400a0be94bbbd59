"""What one event does to the balances of one account is what the projection's ledger says of a batch."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from exchange.core.codes import Account, EventKind, Limit
from exchange.core.kernel import Engine
from exchange.core.records import RECORD_BYTES
from exchange.core.state import LIMIT_MAX, TINY, new_state
from exchange.disruptor.interest import pick, view_events_of
from exchange.gateway.private.mirror import Mirror, accounts_of, decode
from exchange.persistence.postings import fold_ledger
from exchange.persistence.reference import Reference as LedgerReference
from exchange.persistence.slots import Slots
from tests.core.plans import ACCOUNTS
from tests.core.streams import Flow
from tests.gateway.private.stage import reference_of


@pytest.mark.parametrize("seed", range(4))
def test_changes_of_single_events_are_the_postings_of_the_ledger(seed: int) -> None:
    engine = Engine(new_state(TINY))
    events = engine.run(Flow(seed).take(2_500)[0]).copy()
    slots, reference = Slots(events, 1), LedgerReference()
    reference.take(slots)
    _, postings, _ = fold_ledger(slots, reference)
    wanted: dict[tuple[int, int, int], tuple[int, int]] = {}
    columns = ("event", "account", "asset", "available_delta", "locked_delta")
    for event, account, asset, *delta in zip(*(postings[name].tolist() for name in columns), strict=True):
        if account >= Account.FIRST_USER:
            wanted[event, account, asset] = (delta[0], delta[1])
    assert _told(engine, events) == wanted
    assert {int(kind) for kind in events[:, 16]} >= {EventKind.TRADE, EventKind.PREVENTED, EventKind.TRANSFERRED}


def _told(
    engine: Engine, events: np.ndarray[tuple[int, int], np.dtype[np.uint8]]
) -> dict[tuple[int, int, int], tuple[int, int]]:
    """(event, account, asset) -> change, by one mirror an account that is given its events alone."""
    told: dict[tuple[int, int, int], tuple[int, int]] = {}
    reference = reference_of(engine.state)
    mirrors = defaultdict[int, Mirror]()
    for account in range(Account.FIRST_USER, 40):
        mirrors[account] = Mirror(account, reference, {}, [], [])
    for ordinal, slot in enumerate(events, 1):
        if slot[16] not in _MOVING:
            continue
        event = decode(slot.tobytes())
        for account in accounts_of(event):
            mirror = mirrors[account]
            before = dict(mirror.balances)
            mirror.tell(event, ordinal, is_last=False)
            for asset, after in mirror.balances.items():
                was = before.get(asset, (0, 0))
                if after != was:
                    told[ordinal, account, asset] = (after[0] - was[0], after[1] - was[1])
    return told


_MOVING = (
    EventKind.ORDER_ACCEPTED,
    EventKind.TRADE,
    EventKind.PREVENTED,
    EventKind.ORDER_REDUCED,
    EventKind.ORDER_CLOSED,
    EventKind.TRANSFERRED,
)


@pytest.mark.parametrize("seed", range(4))
def test_pick_finds_exactly_what_concerns_the_marked_accounts(seed: int) -> None:
    events = Engine(new_state(TINY)).run(Flow(seed).take(2_000)[0]).copy()
    marked = np.zeros(LIMIT_MAX[Limit.ACCOUNTS] + 1, np.uint8)
    listening = set(ACCOUNTS[:2])
    marked[list(listening)] = 1
    wanted, concerned = [], False
    for index, slot in enumerate(events):
        kind, last = int(slot[16]), bool(slot[17] & 1)
        adds = kind in (EventKind.ASSET_ADDED, EventKind.SYMBOL_ADDED)
        mine = not adds and bool(listening.intersection(accounts_of(decode(slot.tobytes()))))
        if kind == EventKind.REJECTED and slot[88] != 32:
            mine = False
        concerned |= mine
        if mine or adds or (last and concerned):
            wanted.append(index)
        if last:
            concerned = False
    for cut in (1, 3, 50, len(events)):
        found, carried, indexes = [], np.zeros(1, np.int64), np.zeros(cut, np.int64)
        for first in range(0, len(events), cut):
            batch = view_events_of(events[first : first + cut], len(events[first : first + cut]))
            count = pick(batch, marked, carried, indexes)
            found += (indexes[:count] + first).tolist()
        assert found == wanted
    assert 0 < len(wanted) < len(events)
    assert events.shape[1] == RECORD_BYTES
