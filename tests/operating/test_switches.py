"""Switches on a running pipeline: who may close and who may open, keys, and a ring that is full."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exchange.core import readers
from exchange.core.codes import CommandKind, Side, TradingMode
from exchange.disruptor.errors import RingFull
from exchange.disruptor.pipeline import Pipeline
from exchange.operating.desk import Desk, EngineRefused
from exchange.operating.scopes import mode_of
from exchange.operating.scopes import place as place_of
from exchange.operating.switches import Switches
from exchange.users.errors import Conflict, NotAcceptable, NotFound
from exchange.users.keyring import KeyRing
from exchange.users.local_log import LocalLog
from exchange.users.sealing import Sealer
from tests.disruptor.running import TRADER, command, place, running, venue

RING_SLOTS = 64


class Desks:
    """A venue with switches, and a key."""

    def __init__(self, pipeline: Pipeline, ring: KeyRing) -> None:
        self.pipeline = pipeline
        self.ring = ring
        self.switches = Switches(Desk(pipeline), ring, None)

    def mode(self, scope: int, account: int = 0, symbol: int = 0) -> TradingMode:
        """What holds in the engine."""
        return self.pipeline.read(mode_of, scope, account, symbol)[0]

    async def halt(self, scope: str, **arguments: Any) -> Any:
        return await self.switches.halt({"scope": scope, **arguments})

    async def resume(self, scope: str, mode: str, **arguments: Any) -> Any:
        agreed = {"actor": "ben", "proposer": "ann"}
        return await self.switches.resume({"scope": scope, "mode": mode, "reason": "checked", **arguments}, agreed)


@pytest.fixture
async def desks(tmp_path: pathlib.Path) -> AsyncIterator[Desks]:
    """A venue of two traders, open."""
    log = LocalLog(tmp_path / "keyring.jsonl")
    log.load()
    ring = KeyRing(log, Sealer(bytes(range(32))), None, demo=True, unrestricted_key_ttl_s=3600.0)
    log.compact()
    async with running(tmp_path, ring_slots=RING_SLOTS, event_slots=128) as pipeline:
        await asyncio.gather(*[pipeline.submit([one])[0] for one in venue()])
        made = Desks(pipeline, ring)
        yield made
        await made.switches.stop()
    log.close()


SCOPES: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    ("venue", {}, (0, 0, 0)),
    ("symbol", {"symbol": "BTC_USDT"}, (1, 0, 1)),
    ("account", {"account": TRADER}, (2, TRADER, 0)),
]


@pytest.mark.parametrize(("scope", "named", "where"), SCOPES)
async def test_one_halts_and_the_way_back_goes_by_cancel_only(
    desks: Desks, scope: str, named: dict[str, Any], where: tuple[int, int, int]
) -> None:
    done = await desks.halt(scope, **named, reason="a test")
    assert (done["mode"], done["sequence"]) == ("HALTED", desks.pipeline.last_sequence)
    assert desks.mode(*where) is TradingMode.HALTED
    with pytest.raises(Conflict, match="takes two"):  # what is less strict is no halt
        await desks.halt(scope, **named, mode="cancel-only")
    with pytest.raises(EngineRefused, match="HALTED goes to CANCEL_ONLY"):
        await desks.resume(scope, "open", **named)
    assert (await desks.resume(scope, "cancel-only", **named))["mode"] == "CANCEL_ONLY"
    assert (await desks.resume(scope, "open", **named))["before"] == "CANCEL_ONLY"
    assert desks.mode(*where) is TradingMode.OPEN
    assert (await desks.halt(scope, **named, mode="cancel-only"))["mode"] == "CANCEL_ONLY"
    assert (await desks.halt(scope, **named))["mode"] == "HALTED"


async def test_halts_of_two_at_once_end_with_the_stricter_one(desks: Desks) -> None:
    done = await asyncio.gather(desks.halt("venue"), desks.halt("venue", mode="cancel-only"), return_exceptions=True)
    assert isinstance(done[1], Conflict)
    assert desks.mode(0) is TradingMode.HALTED


async def test_key_is_revoked_without_a_database(desks: Desks) -> None:
    key, _ = await desks.ring.create_demo(TRADER, "bot")
    done = await desks.halt("key", api_key=key.api_key)
    assert (done["mode"], done["subject"]) == ("revoked", f"key {key.api_key}")
    assert desks.ring.find(key.api_key) is None
    assert done["account"] == TRADER  # for the orders that still rest
    where = place_of({"scope": "key", "api_key": key.api_key, "account": TRADER}, Desk(desks.pipeline), desks.ring)
    assert (where.account, where.key) == (TRADER, key.number)
    with pytest.raises(NotAcceptable, match="make another"):
        desks.switches.check_resume(
            {"scope": "key", "api_key": key.api_key, "account": TRADER, "mode": "open", "reason": "x"}
        )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"scope": "planet"}, NotAcceptable),
        ({"scope": "symbol"}, NotAcceptable),
        ({"scope": "symbol", "symbol": "ETH_USDT"}, NotFound),
        ({"scope": "account", "account": 99}, NotFound),
        ({"scope": "account", "account": 1}, NotFound),
        ({"scope": "account", "account": "16"}, NotAcceptable),
        ({"scope": "key", "api_key": "nobody"}, NotFound),
        ({"scope": "venue", "mode": "open"}, NotAcceptable),
        ({"scope": "withdrawals", "mode": "cancel-only"}, NotAcceptable),
        ({"scope": "venue", "reason": "x" * 501}, NotAcceptable),
    ],
)
async def test_halt_that_makes_no_sense_is_refused(
    desks: Desks, arguments: dict[str, Any], error: type[Exception]
) -> None:
    before = desks.pipeline.last_sequence
    with pytest.raises(error):
        await desks.switches.halt(arguments)
    assert desks.pipeline.last_sequence == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"scope": "venue", "rule": "BREAKER_BIPS", "value": 500}, "symbol, an account or a key"),
        ({"scope": "symbol", "symbol": "BTC_USDT", "rule": "TRADE_GROUP", "value": 1}, "is one of BID_UP_BIPS"),
        ({"scope": "symbol", "symbol": "BTC_USDT", "rule": "BREAKER_BIPS", "value": -1}, "whole number"),
        ({"scope": "account", "account": TRADER, "rule": "LOCKED_MAX_ATOMS", "value": 1}, "asset must be a text"),
        (
            {"scope": "account", "account": TRADER, "rule": "LOCKED_MAX_ATOMS", "value": 1, "asset": "DOGE"},
            "no asset DOGE",
        ),
        (
            {"scope": "account", "account": TRADER, "rule": "ORDERS_MAX", "value": 1, "asset": "BTC"},
            "takes no asset",
        ),
    ],
)
async def test_rule_that_makes_no_sense_is_refused(desks: Desks, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises((NotAcceptable, NotFound), match=sentence):
        await desks.switches.rule(arguments)


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("venue.rule", {"scope": "symbol", "symbol": "BTC_USDT", "rule": "BREAKER_BIPS", "value": 500}),
        ("venue.auction", {"symbol": "BTC_USDT", "action": "start"}),
        ("orders.cancel", {"scope": "venue"}),
    ],
)
async def test_reason_that_is_too_long_is_refused_before_anything_is_done(
    desks: Desks, operation: str, arguments: dict[str, Any]
) -> None:
    before = desks.pipeline.last_sequence
    with pytest.raises(NotAcceptable, match="A reason has"):
        await desks.switches.all()[operation]({**arguments, "reason": "x" * 501})
    assert desks.pipeline.last_sequence == before


def fill(pipeline: Pipeline, one: bytes, *, cancel: bool) -> list[asyncio.Future[bytes]]:
    """Submit a command until the ring has no slot for it."""
    futures: list[asyncio.Future[bytes]] = []
    with contextlib.suppress(RingFull):
        while True:
            futures += pipeline.submit([one], cancel=cancel)
    return futures


async def test_halt_gets_through_when_orders_find_the_ring_full(desks: Desks) -> None:
    pipeline = desks.pipeline
    order = place(TRADER, Side.BUY, 100, 1)
    futures = fill(pipeline, order, cancel=False)
    last = pipeline.last_sequence
    done = await desks.halt("venue")
    assert done["sequence"] == last + 1  # the reserved share: it waited for nobody
    await asyncio.gather(*futures)
    assert desks.mode(0) is TradingMode.HALTED


async def test_halt_waits_for_a_slot_when_cancels_took_the_reserved_share(desks: Desks) -> None:
    pipeline = desks.pipeline
    nothing = command(CommandKind.CANCEL_ALL, account=TRADER)
    futures = fill(pipeline, nothing, cancel=True)
    assert pipeline.statistics().ring_free == 0
    assert (await desks.halt("venue"))["mode"] == "HALTED"
    await asyncio.gather(*futures)
    assert pipeline.read(readers.open_orders, TRADER)[0] == []
