"""session.cancelOnDisconnect: whose orders go with a connection, and whose stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from exchange.core import readers
from exchange.timekeeper import Timekeeper
from exchange.users.keys import Permission
from tests.gateway.ws_api.client import Client, Identity, transport_of
from tests.gateway.ws_api.stage import ALICE, Stage
from tests.gateway.ws_api.test_methods import ORDER
from tests.gateway.ws_api.test_signatures import DENIED, now_ms

METHOD = "session.cancelOnDisconnect"


@pytest.fixture
async def keeper(stage: Stage) -> AsyncIterator[Timekeeper]:
    """Time passes for the engine."""
    made = Timekeeper(stage.pipeline, hash_every=10**9, hash_interval_s=10**6)
    made.start()
    yield made
    made.stop()


async def until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # what it waits for has no event
            await asyncio.sleep(0.01)


def resting(stage: Stage) -> list[str]:
    """Client ids of the open orders."""
    return [order.client_id for order in stage.pipeline.read(readers.open_orders, ALICE)[0]]


def countdowns(stage: Stage) -> int:
    """How many timers are armed."""
    return int(stage.pipeline.read(lambda state: state.header[0].countdowns)[0])


async def test_orders_of_the_key_go_and_others_of_the_account_stay(
    stage: Stage, alice: Identity, keeper: Timekeeper
) -> None:
    _, second = await stage.key()
    async with stage.connect() as client:
        enabled = await client.result(METHOD, alice.signed(enabled=True))
        assert enabled == {"apiKey": alice.api_key, "enabled": True, "graceTime": 1000}
        await client.result("order.place", alice.signed(**ORDER, newClientOrderId="mine"))
        await client.result("order.place", second.signed(**ORDER, newClientOrderId="others"))
        assert countdowns(stage) == 0
        transport_of(client).abort()
        await until(lambda: countdowns(stage) == 1)
        assert resting(stage) == ["mine", "others"]
    await until(lambda: resting(stage) == ["others"])
    assert countdowns(stage) == 0


@pytest.mark.parametrize("again", [True, False])
async def test_client_that_is_back_in_time_keeps_its_orders(stage: Stage, alice: Identity, again: bool) -> None:
    async with stage.connect() as client:
        await client.result(METHOD, alice.signed(enabled=True))
        await client.result("order.place", alice.signed(**ORDER, newClientOrderId="mine"))
    await until(lambda: countdowns(stage) == 1)
    async with stage.connect() as client:
        await client.result(METHOD, alice.signed(enabled=again))
        assert countdowns(stage) == 0
    await until(lambda: not stage.ws_api.connections)
    await until(lambda: countdowns(stage) == int(again))
    assert resting(stage) == ["mine"]


async def test_connection_that_asked_for_nothing_or_not_any_more_ends_quietly(stage: Stage, alice: Identity) -> None:
    async with stage.connect() as client:
        await client.result("order.place", alice.signed(**ORDER))
        await client.result(METHOD, alice.signed(enabled=True))
        await client.result(METHOD, alice.signed(enabled=False))
        last = stage.pipeline.last_sequence
    await until(lambda: not stage.ws_api.connections)
    assert stage.pipeline.last_sequence == last


async def test_the_last_of_several_connections_counts(stage: Stage, client: Client, alice: Identity) -> None:
    await client.result(METHOD, alice.signed(enabled=True))
    async with stage.connect() as other:
        await other.result(METHOD, alice.signed(enabled=True))
        last = stage.pipeline.last_sequence
    await until(lambda: len(stage.ws_api.connections) == 1)
    assert stage.pipeline.last_sequence == last
    await client.socket.close()
    await until(lambda: countdowns(stage) == 1)


async def test_key_of_a_session_needs_no_signature_and_a_reader_may_not(stage: Stage, client: Client) -> None:
    _, identity = await stage.ed25519()
    await client.result("session.logon", identity.signed())
    assert (await client.result(METHOD, {"enabled": True, "timestamp": now_ms()}))["apiKey"] == identity.api_key
    _, reader = await stage.key(ALICE, Permission.READ)
    assert await client.refused(METHOD, reader.signed(enabled=True)) == DENIED
    assert (await client.refused(METHOD, {"timestamp": now_ms()}))[1] == -1102
    assert (await client.refused(METHOD, {"timestamp": now_ms(), "enabled": "perhaps"}))[0] == 400


async def test_end_of_the_venue_ends_connections_and_the_log_knows(stage: Stage, alice: Identity) -> None:
    async with stage.connect() as client:
        await client.result(METHOD, alice.signed(enabled=True))
        await client.result("order.place", alice.signed(**ORDER))
        stopping = asyncio.create_task(stage.ws_api.stop(5.0))
        assert (await client.closed())[0] == 1001
        await stopping
    assert countdowns(stage) == 1
