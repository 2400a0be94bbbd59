"""A data directory with journals that grow as fast as a test wants, without a server.

Owns the writing: commands are stamped, applied by the engine and journaled with their events, as the pipeline does.
Two sorts of commands: `crowd` is small, varied and partly hostile, `traffic` is plain and large. Time passes in
seconds, over a turn of the month, so that candles of every interval have borders to cross.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from exchange import checkpoint
from exchange.core.codes import CommandKind, OrderType, Side, StpMode, TimeInForce
from exchange.core.kernel import Engine
from exchange.core.records import PLACE, slots
from exchange.datadir import DataDirectory
from journal import recovery
from journal.segments import retire
from journal.writer import Writer
from tests.core.plans import CONDITIONAL, command
from tests.core.streams import Flow

Commands = np.ndarray[Any, np.dtype[np.uint8]]
BEGIN_NS = 1_767_052_800_000_000_000
"""2025-12-30: the year, the month and the week change within the first days."""
STEP_NS = 1_700_000_000
GROUP = 500
SEGMENT_BYTES = 1 << 20
SYMBOL: dict[str, Any] = {
    "symbol": 1, "base_asset": 1, "quote_asset": 2, "price_scale": 2, "qty_scale": 5, "price_min_ticks": 1,
    "price_max_ticks": 10**9, "qty_min_lots": 1, "qty_max_lots": 10**6, "notional_min_atoms": 0,
    "notional_max_atoms": 10**17, "price_step_ticks": 1, "qty_step_lots": 1, "orders_max": 10**6,
    "maker_fee_ppm": 100, "taker_fee_ppm": 200, "name": "BTC_USDT",
}  # fmt: skip
_PLACE = int(CommandKind.PLACE)
_EXPIRY_MAX = 1 << 40
"""Times to expire beyond it are meant to be absurd and stay as they are."""


def waiting(seed: int) -> Flow:
    """A flow of orders that wait and hang together."""
    return Flow(seed, CONDITIONAL)


@functools.cache
def crowd(count: int, seed: int = 5, flow: Callable[[int], Flow] = Flow) -> Commands:
    """`count` commands of a small and busy venue that is partly hostile.

    Every kind of event comes of them: those of stops and lists with `waiting` for `flow`, of guards with GuardedFlow.
    """
    commands, _ = flow(seed).take(count)
    # A SKIP names a command that the engine did not survive, and these it survives.
    commands[commands[:, 16] == CommandKind.SKIP] = command(CommandKind.TICK)
    places = commands.view(PLACE).reshape(-1)
    ordinary = (places["kind"] == _PLACE) & (places["expire_ts_ns"] > 0) & (places["expire_ts_ns"] < _EXPIRY_MAX)
    places["expire_ts_ns"][ordinary] = BEGIN_NS + places["expire_ts_ns"][ordinary] * (STEP_NS // 5)
    return commands


def opening(accounts: int = 40) -> Commands:
    """The commands that make two assets, one symbol and rich traders."""
    rows = [
        command(CommandKind.ADD_ASSET, asset=1, scale=8, name="BTC"),
        command(CommandKind.ADD_ASSET, asset=2, scale=8, name="USDT"),
        command(CommandKind.ADD_SYMBOL, **SYMBOL),
    ]
    for account in range(16, 16 + accounts):
        rows.append(command(CommandKind.OPEN_ACCOUNT, account=account, maker_fee_ppm=-1, taker_fee_ppm=-1))
        for asset in (1, 2):
            transfer_id = account * 10 + asset
            rows.append(
                command(CommandKind.DEPOSIT, account=account, asset=asset, transfer_id=transfer_id, amount_atoms=10**16)
            )
    return np.stack(rows)


def changes(account: int = 16) -> Commands:
    """Into an empty book: an order of 30 lots that loses 5 by amendment, 4 to its owner's other side, 1 by amendment.

    A MARKET order that meets it is stopped without releasing anything. The 20 lots stay, far below the traffic.
    """
    order = {"account": account, "symbol": 1, "price_ticks": 100, "order_type": OrderType.LIMIT}
    order["time_in_force"] = TimeInForce.GTC
    reduce = {"account": account, "symbol": 1, "order_id": 1}
    rows = [
        command(CommandKind.PLACE, **order, side=Side.BUY, qty_lots=30),
        command(CommandKind.REDUCE, **reduce, qty_lots=25),
        command(CommandKind.PLACE, **order, side=Side.SELL, qty_lots=4, stp_mode=StpMode.DECREMENT),
        command(CommandKind.REDUCE, **reduce, qty_lots=20),
    ]
    market = {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC, "price_ticks": 0}
    meets = {"side": Side.SELL, "qty_lots": 3, "stp_mode": StpMode.EXPIRE_TAKER}
    rows.append(command(CommandKind.PLACE, **order | market, **meets))
    return np.stack(rows)


def traffic(count: int, seed: int = 7, accounts: int = 40) -> Commands:
    """`count` limit orders around a price that wanders, about half of which trade."""
    random = np.random.default_rng(seed)
    commands = slots(count)
    places = commands.view(PLACE).reshape(-1)
    places["kind"] = CommandKind.PLACE
    places["account"] = random.integers(16, 16 + accounts, count)
    places["symbol"] = 1
    places["side"] = random.integers(Side.BUY, Side.SELL + 1, count)
    places["order_type"] = OrderType.LIMIT
    places["time_in_force"] = np.where(random.random(count) < 0.7, TimeInForce.GTC, TimeInForce.IOC)
    middle = 100_000 + np.cumsum(random.integers(-3, 4, count))
    places["price_ticks"] = np.maximum(middle + random.integers(-10, 11, count), 1)
    places["qty_lots"] = random.integers(1, 30, count)
    named = random.random(count) < 0.3
    commands[named, 92:100] = np.frombuffer(
        b"".join(b"%08x" % number for number in np.flatnonzero(named).tolist()), np.uint8
    ).reshape(-1, 8)
    return commands


class JournaledVenue:
    """An engine whose commands and events go to the journals of a data directory. Close it at the end."""

    def __init__(self, path: pathlib.Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.path = path
        self.engine = Engine()
        with DataDirectory(path) as directory:
            self.cluster_id = directory.cluster_id
        self._writers = [
            self._writer(path / "journal" / name, stream, segment_bytes)
            for stream, name in ((1, "commands"), (2, "events"))
        ]

    def _writer(self, directory: pathlib.Path, stream: int, segment_bytes: int) -> Writer:
        found = recovery.recover(directory, stream=stream, cluster_id=self.cluster_id, watermarks={})
        return Writer(directory, recovery.begin_epoch(directory, found, segment_bytes=segment_bytes))

    @property
    def sequence(self) -> int:
        """The last command."""
        return int(self.engine.state.header[0].sequence)

    @property
    def event(self) -> int:
        """The last event."""
        return int(self.engine.state.header[0].event_count)

    def apply(self, commands: Commands) -> None:
        """Stamp, apply and journal commands; groups end where commands do."""
        for first in range(0, len(commands), GROUP):
            group = commands[first : first + GROUP].copy()
            heads = group[:, :16].copy().view(np.int64)
            heads[:, 0] = self.sequence + 1 + np.arange(len(group))
            heads[:, 1] = BEGIN_NS + heads[:, 0] * STEP_NS
            group[:, :16] = heads.view(np.uint8)
            self._writers[0].append(group)
            events = self.engine.run(group)
            for at in range(0, len(events), GROUP):
                self._writers[1].append(events[at : at + GROUP])

    def snapshot(self) -> pathlib.Path:
        """Write a snapshot of the present state."""
        return checkpoint.save(self.path / "snapshots", self.engine.state)

    def roll(self) -> None:
        """Begin new segments, so that the older ones can be retired."""
        for writer in self._writers:
            writer.roll()

    def retire(self, *, commands: int = 0, events: int = 0) -> None:
        """Delete journal segments up to these."""
        retire(self.path / "journal" / "commands", commands)
        retire(self.path / "journal" / "events", events)

    def close(self) -> None:
        """Give the files back."""
        for writer in self._writers:
            writer.close()
