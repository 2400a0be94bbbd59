"""A fixed stream of commands whose outcome is known, and the check of what a crash left of it.

Commands carry no sequence: the pipeline stamps them. Command number n (from 0) becomes sequence n + 1 whatever happens
before, because every run sends the whole stream in order from where its journal ends.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from exchange.core import invariants
from exchange.core.codes import CommandKind, OrderType, Side, TimeInForce
from exchange.core.kernel import Engine
from exchange.core.records import fill_command, slots
from exchange.datadir import DataDirectory
from exchange.recovery import Recovered, recover
from exchange.settings import Settings, load
from journal.reader import groups

SEGMENT_BYTES = 1 << 16
COUNT = 700
"""Commands in all: more than one segment of SEGMENT_BYTES holds."""
BATCH = 50
_STAMP_BYTES = 16


def settings_for(data_dir: pathlib.Path) -> Settings:
    """Settings with small segments, so that a short run rolls."""
    return load({"EXCHANGE_SEGMENT_BYTES": str(SEGMENT_BYTES)}, demo=True, data_dir=data_dir)


def stream(count: int = COUNT) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The commands, shape (count, 128) u1: reference data, deposits, then orders that rest, trade and are canceled."""
    buffer = slots(count)
    rows: list[tuple[CommandKind, dict[str, Any]]] = [
        (CommandKind.ADD_ASSET, {"asset": 1, "scale": 8, "name": "BTC"}),
        (CommandKind.ADD_ASSET, {"asset": 2, "scale": 8, "name": "USDT"}),
        (
            CommandKind.ADD_SYMBOL,
            {
                "symbol": 1, "base_asset": 1, "quote_asset": 2, "price_scale": 2, "qty_scale": 5,
                "price_min_ticks": 1, "price_max_ticks": 10**9, "qty_min_lots": 1, "qty_max_lots": 10**6,
                "notional_min_atoms": 0, "notional_max_atoms": 10**17, "price_step_ticks": 1, "qty_step_lots": 1,
                "orders_max": 10**6, "maker_fee_ppm": 100, "taker_fee_ppm": 200, "name": "BTC_USDT",
            },
        ),
    ]  # fmt: skip
    for account in (16, 17):
        rows.append((CommandKind.OPEN_ACCOUNT, {"account": account, "maker_fee_ppm": -1, "taker_fee_ppm": -1}))
        for asset in (1, 2):
            deposit = {"account": account, "asset": asset, "transfer_id": account * 10 + asset, "amount_atoms": 10**14}
            rows.append((CommandKind.DEPOSIT, deposit))
    for number in range(len(rows), count):
        if number % 7 == 6:
            rows.append((CommandKind.CANCEL, {"account": 16 + number % 2, "client_id": f"order-{number - 3}"}))
            continue
        order = {
            "account": 16 + number % 2,
            "symbol": 1,
            "side": Side.BUY if number % 3 else Side.SELL,
            "order_type": OrderType.LIMIT,
            "time_in_force": TimeInForce.GTC,
            "price_ticks": 10_000 + (number * 37) % 19,
            "qty_lots": 1 + number % 11,
            "client_id": f"order-{number}",
        }
        rows.append((CommandKind.PLACE, order))
    for slot, (kind, fields) in zip(buffer, rows, strict=True):
        fill_command(slot, kind, **fields)
    return buffer


def check(data_dir: pathlib.Path, acknowledged: int) -> Recovered:
    """Recover and hold what is there against the stream; `acknowledged` is the highest sequence a client was told.

    Every acknowledged command is there once, nothing is there that was not sent, the state is that of a fresh engine
    after the same commands, and the invariants hold.
    """
    with DataDirectory(data_dir) as directory:
        recovered = recover(directory, settings_for(data_dir))
        last = recovered.commands.last_sequence
        assert acknowledged <= last, recovered.report
        parts = [group.payload for group in groups(directory.commands)]
    sent = stream()
    journaled = np.concatenate(parts) if parts else slots(0)
    assert len(journaled) == last <= len(sent)
    assert np.array_equal(journaled[:, _STAMP_BYTES:], sent[:last, _STAMP_BYTES:])
    fresh = Engine()
    fresh.run(np.ascontiguousarray(journaled))
    assert_same_state(fresh, recovered.engine)
    invariants.check_all(recovered.engine.state)
    return recovered


def assert_same_state(expected: Engine, found: Engine) -> None:
    """Two engines stand at the same point of the same history."""
    from exchange.core.hashing import canonical, state_hash

    if tuple(state_hash(expected.state)) != tuple(state_hash(found.state)):
        assert canonical(found.state) == canonical(expected.state)
        raise AssertionError("equal rows have different hashes")
    assert int(expected.state.header[0].event_count) == int(found.state.header[0].event_count)
