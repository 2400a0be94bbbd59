"""`exchange audit`: everything that must be true of a state, at one sequence or every K commands.

Owns the order of the checks: the invariants of the state (`exchange/core/invariants.py`), then WORLD and FEES against
what the events since the start of the replay say, then the HASH records on the way, which the engine checks itself.
When a check fails, the commands since the last good one are replayed in ever smaller steps, so that the report names
the first sequence at which the sentence does not hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from exchange import checkpoint, past
from exchange.core import readers
from exchange.core.codes import Account, EventKind, Side, TransferState
from exchange.core.event_records import EVENT_DTYPES
from exchange.core.invariants import InvariantBroken, check_all
from exchange.core.kernel import Engine
from exchange.core.state import State
from exchange.forensics.names import Fields, Names, decimal
from exchange.progress import ShowProgress
from journal.format import Bytes

_NARROWING = 16
"""Checks in one round of the search for the first sequence that breaks."""


class Broken(NamedTuple):
    """A sentence that should hold at a sequence and does not."""

    sequence: int
    sentence: str


class Audit(NamedTuple):
    """What an audit found."""

    first: int
    """The sequence at which the replay began; the state there was checked too."""
    last: int
    checks: int
    hashes: int
    ledger: list[Fields]
    broken: Broken | None


class Flows:
    """What went in and out of the venue, and the fees, as events say; atoms by asset, since some state."""

    def __init__(self, state: State) -> None:
        self._opening = _own(state)
        self._flows = {int(account): np.zeros(0, np.int64) for account in (Account.WORLD, Account.FEES)}

    def add(self, state: State, events: Bytes) -> None:
        """Take events in; `state` is that after them (symbols and assets never go)."""
        transfers = _of(events, EventKind.TRANSFERRED)
        for kind, sign in ((TransferState.DEPOSITED, -1), (TransferState.SETTLED, 1)):
            rows = transfers[transfers["transfer_state"] == kind]
            self._sum(Account.WORLD, rows["asset"], sign * rows["amount_atoms"])
        trades = _of(events, EventKind.TRADE)
        symbols, buys = trades["symbol"], trades["side"] == Side.BUY
        base, quote = (state.symbols[name][symbols] for name in ("base_asset", "quote_asset"))
        self._sum(Account.FEES, np.where(buys, base, quote), trades["taker_fee_atoms"])
        self._sum(Account.FEES, np.where(buys, quote, base), trades["maker_fee_atoms"])

    def _sum(self, account: int, assets: Any, atoms: Any) -> None:
        flows = self._flows[account]
        most = int(assets.max(initial=-1)) + 1
        if most > len(flows):
            flows = self._flows[account] = np.concatenate([flows, np.zeros(most - len(flows), np.int64)])
        np.add.at(flows, assets, atoms)

    def check(self, state: State) -> None:
        """Raise InvariantBroken unless WORLD and FEES have what the events say."""
        held = _own(state)
        names = Names(state)
        for (account, asset), atoms in sorted(held.items()):
            flows = self._flows[account]
            expected = self._opening.get((account, asset), 0) + (int(flows[asset]) if asset < len(flows) else 0)
            if atoms != expected:
                who = Account(account).name
                raise InvariantBroken(
                    f"{who} has {names.amount(asset, atoms)}, but the events say {names.amount(asset, expected)} [2, 5]"
                )


def _own(state: State) -> dict[tuple[int, int], int]:
    """What WORLD and FEES have available, by (account, asset)."""
    return {
        (int(account), asset): available
        for account in (Account.WORLD, Account.FEES)
        for asset, available, _ in readers.balances(state, account)
    }


def _of(events: Bytes, kind: EventKind) -> Any:
    return np.ascontiguousarray(events[events[:, 16] == kind]).reshape(-1).view(EVENT_DTYPES[kind])


def ledger(state: State) -> list[Fields]:
    """The sums of each asset: what came in, where it is; `total` is zero when nothing was made or lost."""
    stride = len(state.assets)
    table = np.asarray(state.balances)
    available, locked = (table[name].reshape(-1, stride) for name in ("available", "locked"))
    rows = []
    for asset in readers.assets(state):
        at = asset.asset
        users = [sum(part[Account.FIRST_USER :, at].tolist()) for part in (available, locked)]
        world, fees = (int(available[account, at]) for account in (Account.WORLD, Account.FEES))
        total = sum(available[:, at].tolist()) + sum(locked[:, at].tolist())
        values = {"supply": -world, "available": users[0], "locked": users[1], "fees": fees, "total": total}
        rows.append({"asset": asset.name, **{name: decimal(atoms, asset.scale) for name, atoms in values.items()}})
    return rows


class Auditor:
    """An engine with its checks. `checks` counts them; `good` is the last sequence where all held."""

    def __init__(self, state: State) -> None:
        self.engine = Engine(state)
        self.checks = 0
        self.good = 0
        self._flows = Flows(state)

    def seen(self, _: Bytes, events: Bytes) -> None:
        """Take the events of a batch into the sums."""
        self._flows.add(self.engine.state, events)

    def check(self) -> Broken | None:
        """Check the present state."""
        state = self.engine.state
        sequence = int(state.header[0].sequence)
        self.checks += 1
        try:
            check_all(state)
            self._flows.check(state)
        except InvariantBroken as error:
            return Broken(sequence, str(error))
        self.good = sequence
        return None


def audit(data_dir: Path, until: int, every: int, progress: ShowProgress, *, from_genesis: bool = False) -> Audit:
    """Check the state at the beginning, every `every` commands (0: not) and at `until`; stop at the first that breaks.

    Raises past.BeyondEnd, past.ReplayDiffers, Refused, OSError.
    """
    base = checkpoint.genesis() if from_genesis else past.base_of(data_dir, until)
    auditor = Auditor(base.state)
    hashes, broken = _walk(auditor, data_dir, until, every, progress)
    if broken and broken.sequence > base.sequence:
        broken = _first(data_dir, auditor.good, broken)
    state = auditor.engine.state
    last = int(state.header[0].sequence)
    return Audit(base.sequence, last, auditor.checks, hashes, ledger(state), broken)


def _walk(
    auditor: Auditor, data_dir: Path, until: int, every: int, progress: ShowProgress
) -> tuple[int, Broken | None]:
    """Check, advance, check; returns HASH records checked and what is broken."""
    engine = auditor.engine
    began = reached = int(engine.state.header[0].sequence)
    hashes = 0
    while not (broken := auditor.check()) and reached < until:
        step = min(until, reached - reached % every + every) if every else until
        show = _shifted(progress, reached - began, until - began)
        hashes += past.advance(engine, data_dir, step, show, seen=auditor.seen)
        reached = step
    return hashes, broken


def _shifted(progress: ShowProgress, done: int, total: int) -> ShowProgress:
    """Progress of a part as that of the whole."""
    return lambda more, _: progress(done + more, total)


def _silent(_done: int, _total: int) -> None:
    """The search for the first sequence shows nothing."""


def _first(data_dir: Path, good: int, broken: Broken) -> Broken:
    """The first sequence after `good` at which something is broken."""
    while broken.sequence - good > 1:
        auditor = Auditor(past.state_at(data_dir, good, _silent))
        step = (broken.sequence - good + _NARROWING - 1) // _NARROWING
        reached = good
        while reached < broken.sequence:
            reached = min(reached + step, broken.sequence)
            past.advance(auditor.engine, data_dir, reached, _silent, seen=auditor.seen)
            found = auditor.check()
            if found:
                broken = found
                break
        else:
            return broken
        good = max(good, auditor.good)
    return broken
