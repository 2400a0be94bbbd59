"""`exchange audit`: a whole venue is whole, and what is planted is found, at its sequence."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import pytest

from exchange.core.codes import Account, CommandKind
from exchange.core.kernel import Engine
from exchange.core.state import State
from exchange.forensics.auditing import Auditor
from tests.core.plans import command
from tests.forensics import scenes


@pytest.mark.parametrize("scene", [scenes.story, scenes.waiting])
def test_whole_venue_passes_every_check(tmp_path: pathlib.Path, scene: Callable[[], np.ndarray]) -> None:
    path = scenes.told(tmp_path / "var", scene())
    found = scenes.asked("audit", "--every", "1", "--data-dir", str(path))
    count = len(scene())
    assert (found["first"], found["last"], found["checks"], found["broken"]) == (0, count, count + 1, None)
    ledger = {row["asset"]: row for row in found["ledger"]}
    assert [ledger[asset]["total"] for asset in ("BTC", "USDT")] == ["0", "0"]
    assert [ledger[asset]["supply"] for asset in ("BTC", "USDT")] == ["10", "2003000"]


def test_audit_says_what_it_checked(tmp_path: pathlib.Path) -> None:
    path = scenes.told(tmp_path / "var")
    code, output = scenes.run("audit", "--until", "20", "--every", "8", "--data-dir", str(path))
    assert code == 0
    assert output.startswith("All invariants hold from sequence 0 to 20: 4 checks.\n")
    assert "Ledger at sequence 20" in output


def give(state: State) -> None:
    """Somebody has money out of nothing."""
    state.balances[scenes.MAKER * len(state.assets) + scenes.BTC].available += 1


def unlock(state: State) -> None:
    """What an open order holds is not locked."""
    balance = state.balances[scenes.TAKER * len(state.assets) + scenes.USDT]
    balance.available += 1
    balance.locked -= 1


def fee(state: State) -> None:
    """A fee went back to a user: sums are zero, but the events say otherwise."""
    state.balances[Account.FEES * len(state.assets) + scenes.USDT].available -= 1
    state.balances[scenes.TAKER * len(state.assets) + scenes.USDT].available += 1


def level(state: State) -> None:
    """A level says more than its orders have."""
    at = int(np.flatnonzero(state.levels["orders"])[0])
    state.levels[at].lots += 1


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (give, "sums to zero over all accounts"),
        (unlock, "locked is what its holds sum to"),
        (fee, "FEES has"),
        (level, "level"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_planted_break_is_found_with_its_sentence(plant: Callable[[State], None], said: str) -> None:
    engine = Engine()
    engine.run(scenes.stamped(scenes.story()))
    auditor = Auditor(engine.state)
    assert auditor.check() is None
    plant(auditor.engine.state)
    broken = auditor.check()
    assert broken is not None
    assert broken.sequence == 25
    assert said in broken.sentence
    assert auditor.good == 25


def test_break_in_a_snapshot_is_exit_1_with_the_sequence(tmp_path: pathlib.Path) -> None:
    """A state that is wrong and was saved with its own hash, as a faulty build would."""
    venue = scenes.venue(tmp_path / "var", scenes.story()[:20])
    give(venue.engine.state)
    venue.snapshot()
    venue.apply(scenes.story()[20:])
    venue.close()
    where = ("--data-dir", str(tmp_path / "var"))
    code, output = scenes.run("audit", *where)
    assert code == 1
    assert output.startswith("Broken at sequence 20: it does not hold that asset 1 sums to zero over all accounts")
    assert scenes.asked("audit", "--every", "5", *where, code=1)["broken"]["sequence"] == 20
    assert scenes.asked("audit", "--until", "19", *where)["broken"] is None
    assert scenes.asked("audit", "--from-genesis", *where)["broken"] is None


def test_hash_that_is_wrong_ends_the_audit_with_78(tmp_path: pathlib.Path) -> None:
    rows = [*scenes.opening(), command(CommandKind.HASH), command(CommandKind.HASH, at_sequence=11, hash_0=1, hash_1=2)]
    scenes.journaled_only(tmp_path / "var", np.stack(rows))
    code, output = scenes.run("audit", "--data-dir", str(tmp_path / "var"))
    assert code == 78
    assert "The HASH record at sequence 12" in output
