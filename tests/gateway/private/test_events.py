"""Folding the private events of an account gives its orders and balances exactly as the engine's readers tell them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.core.plans import ACCOUNTS
from tests.gateway.private.stage import Ear, Stage
from tests.gateway.private.trader import Trader

MICROSECOND = 1_000


@pytest.mark.parametrize("seed", range(4))
async def test_folded_stream_is_the_account_after_every_command(tmp_path: Path, seed: int) -> None:
    stage = Stage(tmp_path, seed)
    stage.apply(60)
    stage.hand_over_cut()
    ears, traders = {}, {}
    for account in ACCOUNTS:
        ears[account] = Ear()
        subscription = await stage.user_data.subscribe(account, ears[account], unit_ns=MICROSECOND)
        traders[account] = Trader(stage.engine.state, account, subscription.sequence)
    seen: Counter[str] = Counter()
    for _ in range(1_200):
        stage.apply(1)
        stage.hand_over_cut()
        for account, ear in ears.items():
            for body in ear.bodies:
                traders[account].hear(body)
                seen[body.get("x", body["e"])] += 1
            ear.heard.clear()
            traders[account].agrees_with(stage.engine.state)
    stage.close()
    wanted = {"NEW", "TRADE", "CANCELED", "EXPIRED", "REPLACED", "REJECTED", "TRADE_PREVENTION", "balanceUpdate"}
    assert wanted | {"outboundAccountPosition"} == set(seen)
