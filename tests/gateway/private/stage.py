"""An engine, its event journal and the private events on top, without a pipeline: a test decides what comes when.

The engine may be ahead of the events that are handed over, and events are handed over in any cut, as in a live venue.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from exchange.core import readers
from exchange.core.codes import CommandKind, OrderType, StpMode, TimeInForce
from exchange.core.kernel import Engine
from exchange.core.records import RECORD_BYTES
from exchange.core.state import TINY, State, new_state
from exchange.gateway.faces import BINANCE, faces
from exchange.gateway.private.user_data import DEFAULT_LIMITS, Limits, UserData
from exchange.gateway.symbols import Reference
from exchange.gateway.wire import KIND_AT
from journal import recovery
from journal.format import Stream
from journal.writer import Writer
from tests.core.differential import Slot
from tests.core.plans import command
from tests.core.streams import Flow
from tests.marketdata.venue import symbol_fields

CLUSTER_ID = b"private-events--"
SEGMENT_BYTES = 1 << 15
GROUP_EVENTS = 100
CLIENT_ID_AT = 92


class Ear:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, int]] = []
        self._news = asyncio.Event()

    def event(self, payload: bytes, sequence: int) -> None:
        self.heard.append((payload, sequence))
        self._news.set()

    async def hears(self, sequence: int) -> None:
        """Wait until a message of at least this sequence was heard."""
        async with asyncio.timeout(30):
            while not self.heard or self.heard[-1][1] < sequence:
                self._news.clear()
                await self._news.wait()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [orjson.loads(payload) for payload, _ in self.heard]


class Stage:
    """A venue under a stream of commands; every event is in the journal at once.

    `remembers`: every order has a client id and the window of closed orders is large, so that none is forgotten.
    Otherwise the window is a few orders long.
    """

    def __init__(self, directory: Path, seed: int, *, remembers: bool = True, limits: Limits = DEFAULT_LIMITS) -> None:
        self.directory = directory
        self.limits = limits
        self.random = random.Random(seed)
        self.flow = Flow(seed)
        self.remembers = remembers
        self.engine = Engine(new_state(TINY))
        self.pending = b""
        """Events that the engine has done and nobody was told of."""
        directory.mkdir(parents=True, exist_ok=True)
        recovered = recovery.recover(directory, stream=Stream.EVENTS, cluster_id=CLUSTER_ID, watermarks={})
        self.writer = Writer(directory, recovery.begin_epoch(directory, recovered, segment_bytes=SEGMENT_BYTES))
        self.user_data = self.new_user_data()

    def new_user_data(self) -> UserData:
        """The private events of a process that starts now: all events so far are in its past."""
        return UserData(self.read, self.directory, self.event_count(), self.limits)

    def read(self, function: Any, *args: Any) -> tuple[Any, int]:
        return function(self.engine.state, *args), int(self.engine.state.header[0].sequence)

    def event_count(self) -> int:
        return int(self.engine.state.header[0].event_count)

    def apply(self, count: int) -> None:
        """The next `count` commands; their events are pending."""
        commands, _ = self.flow.take(count)
        for slot in commands if self.remembers else ():
            self._remember(slot)
        self.run(commands)

    async def begin(self) -> Stage:
        """Open the venue: assets, symbols, accounts with money."""
        self.apply(60)
        self.hand_over_cut()
        return self

    @staticmethod
    def _remember(slot: Slot) -> None:
        if slot[KIND_AT] == CommandKind.SET_LIMIT:
            slot[KIND_AT] = CommandKind.TICK
        elif slot[KIND_AT] == CommandKind.PLACE and not slot[CLIENT_ID_AT]:
            name = b"own-%d" % int(slot[:8].view("<i8")[0])
            slot[CLIENT_ID_AT : CLIENT_ID_AT + len(name)] = np.frombuffer(name, np.uint8)

    def run(self, commands: Any) -> None:
        """These commands; their events are pending."""
        events = self.engine.run(commands)
        for first in range(0, len(events), GROUP_EVENTS):
            self.writer.append(events[first : first + GROUP_EVENTS])
        self.pending += events.tobytes()

    def hand_over(self, count: int = 1 << 30) -> None:
        """Tell of the first `count` pending events, in one batch."""
        count = min(count, len(self.pending) // RECORD_BYTES)
        if count:
            self.user_data.on_events(memoryview(self.pending), count)
            self.pending = self.pending[count * RECORD_BYTES :]

    def hand_over_cut(self) -> None:
        """Tell of everything that is pending, in batches of any size."""
        while self.pending:
            self.hand_over(self.random.choice((1, 1, 2, 3, 7, 50)))

    def close(self) -> None:
        self.writer.close()


def reference_of(state: State) -> Reference:
    """Assets and symbols as Binance spells them."""
    return faces(readers.assets(state), readers.symbols(state))[BINANCE].reference


async def caught_up(user_data: UserData) -> None:
    """Wait until every subscription that resumes has what it missed."""
    tasks = [
        subscription.catching_up
        for feed in user_data._feeds.values()
        for subscriptions in feed.by_unit.values()
        for subscription in subscriptions
        if subscription.catching_up
    ]
    await asyncio.gather(*tasks)


# ---- one symbol, two accounts -------------------------------------------------------------------------------------

MAKER, TAKER = 16, 17
MIDDLE_TICKS = 5_000


def small_venue() -> list[Slot]:
    """Commands for BTC_USDT and two rich accounts."""
    asset, deposit = CommandKind.ADD_ASSET, CommandKind.DEPOSIT
    return [
        command(asset, asset=1, scale=8, name="BTC"),
        command(asset, asset=2, scale=8, name="ETH"),
        command(asset, asset=3, scale=8, name="USDT"),
        command(CommandKind.ADD_SYMBOL, **symbol_fields(1, 1, 3), name="BTC_USDT"),
        *(command(CommandKind.OPEN_ACCOUNT, account=a, maker_fee_ppm=-1, taker_fee_ppm=-1) for a in (MAKER, TAKER)),
        *(
            command(deposit, account=a, asset=b, transfer_id=a * 10 + b, amount_atoms=10**15)
            for a in (MAKER, TAKER)
            for b in (1, 3)
        ),
    ]


def limit_order(account: int, side: int, ticks: int, lots: int, client_id: str, **more: Any) -> Slot:
    """A GTC limit order on BTC_USDT unless `more` says otherwise."""
    fields: dict[str, int] = {
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.GTC,
        "stp_mode": StpMode.EXPIRE_MAKER,
    }
    fields |= {"account": account, "symbol": 1, "side": side, "price_ticks": ticks, "qty_lots": lots}
    return command(CommandKind.PLACE, client_id, **fields | more)


def stamped(stage: Stage, *commands: Slot, ts_ns: int = 0) -> Slot:
    """The commands as the next ones, at their sequence or at a time."""
    for number, slot in enumerate(commands, int(stage.engine.state.header[0].sequence) + 1):
        slot[:16] = np.array([number, ts_ns or number], "<i8").view(np.uint8)
    return np.stack(commands)
