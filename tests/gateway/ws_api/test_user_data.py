"""User data streams: envelope, order of answer and events, several on one connection, resuming, slow readers."""

from __future__ import annotations

import asyncio
import itertools
import pathlib
from collections.abc import Callable

import pytest

from exchange.gateway.ws_api.connection import Limits
from tests.gateway.ws_api.client import PATIENCE_S, Client, Identity, Json, transport_of
from tests.gateway.ws_api.stage import Stage, opened
from tests.gateway.ws_api.test_methods import ORDER

SUBSCRIBE, UNSUBSCRIBE = "userDataStream.subscribe.signature", "userDataStream.unsubscribe"
SMALL = ORDER | {"quantity": "0.001"}


def is_report(number: int, order_id: int) -> Callable[[Json], bool]:
    """Finds the report of an order in a stream."""
    return lambda event: (
        event["subscriptionId"] == number
        and event["event"]["e"] == "executionReport"
        and event["event"]["i"] == order_id
    )


async def position_of(client: Client, sequence: int) -> Json:
    """The event behind a sequence that is told."""
    return await client.heard(lambda event: event["event"]["sequence"] >= sequence)


async def test_events_come_in_an_envelope(client: Client, alice: Identity) -> None:
    subscribed = await client.result(SUBSCRIBE, alice.signed())
    assert subscribed["subscriptionId"] == 0
    placed = await client.result("order.place", alice.signed(**ORDER))
    report = await client.heard(is_report(0, placed["orderId"]))
    assert report.keys() == {"subscriptionId", "event"}
    assert report["event"]["x"] == "NEW"
    assert report["event"]["previousSequence"] <= subscribed["sequence"] < report["event"]["sequence"]
    position = await client.heard(lambda event: event["event"]["e"] == "outboundAccountPosition")
    assert position["event"]["previousSequence"] == report["event"]["sequence"]


async def test_account_tells_the_sequence_that_a_stream_stands_at(client: Client, alice: Identity) -> None:
    account = await client.result("account.status", alice.signed())
    assert (await client.result(SUBSCRIBE, alice.signed()))["sequence"] == account["sequence"]


async def test_stream_of_a_session(stage: Stage, client: Client) -> None:
    assert (await client.refused("userDataStream.subscribe"))[:2] == (401, -1002)
    _, identity = await stage.ed25519()
    await client.result("session.logon", identity.signed())
    assert (await client.result("userDataStream.subscribe"))["subscriptionId"] == 0
    assert (await client.result("session.status"))["userDataStream"] is True
    await client.result("session.logout")
    (ended,) = client.events
    assert (ended["event"]["e"], ended["event"]["reason"]) == ("eventStreamTerminated", "The session has ended.")
    assert await client.result("session.subscriptions") == []


async def test_streams_of_several_keys_share_a_connection(client: Client, alice: Identity, bob: Identity) -> None:
    assert (await client.result(SUBSCRIBE, alice.signed()))["subscriptionId"] == 0
    assert (await client.result(SUBSCRIBE, bob.signed()))["subscriptionId"] == 1
    assert await client.result("session.subscriptions") == [{"subscriptionId": 0}, {"subscriptionId": 1}]
    for number, whose in enumerate((alice, bob)):
        placed = await client.result("order.place", whose.signed(**ORDER))
        assert await client.heard(is_report(number, placed["orderId"]))
    assert {event["subscriptionId"] for event in client.events} == {0, 1}


async def test_second_stream_of_an_account_is_refused(stage: Stage, client: Client, alice: Identity) -> None:
    await client.result(SUBSCRIBE, alice.signed())
    _, other_key = await stage.key()
    text = "User Data Stream subscription already active."
    assert await client.refused(SUBSCRIBE, other_key.signed()) == (400, -2035, text)
    await client.result(UNSUBSCRIBE)
    assert (await client.result(SUBSCRIBE, alice.signed()))["subscriptionId"] == 1


async def test_unsubscribe_ends_one_stream_or_all(client: Client, alice: Identity, bob: Identity) -> None:
    inactive = (400, -2036, "User Data Stream subscription not active.")
    assert await client.refused(UNSUBSCRIBE, {"subscriptionId": 0}) == inactive
    assert await client.result(UNSUBSCRIBE) == {}
    await client.result(SUBSCRIBE, alice.signed())
    await client.result(SUBSCRIBE, bob.signed())
    assert await client.result(UNSUBSCRIBE, {"subscriptionId": 0}) == {}
    assert [(one["subscriptionId"], one["event"]["e"]) for one in client.events] == [(0, "eventStreamTerminated")]
    assert await client.refused(UNSUBSCRIBE, {"subscriptionId": "0"}) == inactive
    assert await client.result(UNSUBSCRIBE) == {}
    assert len(client.events) == 2
    await client.result("order.place", alice.signed(**ORDER))
    await client.result("ping")
    assert len(client.events) == 2


async def test_stream_that_the_venue_ends_is_over(stage: Stage, client: Client) -> None:
    key, identity = await stage.key()
    await client.result(SUBSCRIBE, identity.signed())
    stage.gateway.venue.user_data.terminate(key.account, "The stream is too far behind.")
    ended = await client.heard(lambda event: event["event"]["e"] == "eventStreamTerminated")
    assert ended["event"]["reason"] == "The stream is too far behind."
    assert await client.result("session.subscriptions") == []
    await stage.keys.revoke(key.api_key)
    assert await client.result("ping") == {}


async def test_numbers_of_streams_run_out(tmp_path: pathlib.Path) -> None:
    async with opened(tmp_path, Limits(subscriptions_max=2)) as stage, stage.connect() as client:
        _, alice = await stage.key()
        for number in range(2):
            assert (await client.result(SUBSCRIBE, alice.signed()))["subscriptionId"] == number
            await client.result(UNSUBSCRIBE)
        assert (await client.refused(SUBSCRIBE, alice.signed()))[:2] == (400, -2042)


async def test_what_was_missed_comes_first(stage: Stage, alice: Identity) -> None:
    async with stage.connect() as before:
        since = (await before.result(SUBSCRIBE, alice.signed()))["sequence"]
        for _ in range(5):
            await before.result("order.place", alice.signed(**SMALL))
        placed = await before.result("order.place", alice.signed(**SMALL))
        report = await before.heard(is_report(0, placed["orderId"]))
        await position_of(before, report["event"]["sequence"] + 1)
        told = [event["event"] for event in before.events]
    async with stage.connect() as after:
        resumed = await after.result(SUBSCRIBE, alice.signed(fromSequence=since))
        assert resumed == {"subscriptionId": 0, "sequence": since}
        await position_of(after, told[-1]["sequence"])
        assert [event["event"] for event in after.events] == told
        placed = await after.result("order.place", alice.signed(**SMALL))
        new = (await after.heard(is_report(0, placed["orderId"])))["event"]
        assert new["previousSequence"] == told[-1]["sequence"]


@pytest.mark.parametrize(("value", "code"), [("x", -1100), ("-1", -1100), (10**18, -1130), (2**63, -1108)])
async def test_sequence_that_is_none_is_refused(client: Client, alice: Identity, value: object, code: int) -> None:
    assert (await client.refused(SUBSCRIBE, alice.signed(fromSequence=value)))[1] == code
    assert (await client.result(SUBSCRIBE, alice.signed()))["subscriptionId"] in (0, 1)


async def test_connection_that_goes_away_leaves_nothing_behind(stage: Stage, alice: Identity) -> None:
    async with stage.connect() as client:
        await client.result(SUBSCRIBE, alice.signed())
        assert stage.gateway.venue.user_data.statistics().subscriptions == 1
    async with asyncio.timeout(PATIENCE_S):
        async with stage.connect() as other:
            while stage.gateway.venue.user_data.statistics().subscriptions or len(stage.ws_api.connections) > 1:
                await other.result("ping")


async def test_slow_reader_is_told_where_to_resume_and_misses_nothing(tmp_path: pathlib.Path) -> None:
    async with opened(tmp_path, Limits(buffer_bytes=20_000, close_s=PATIENCE_S)) as stage, stage.connect() as trading:
        _, alice = await stage.key()
        async with stage.connect() as slow:
            await slow.result(SUBSCRIBE, alice.signed())
            reading = transport_of(slow)
            reading.pause_reading()
            (served,) = [one for one in stage.ws_api.connections if one.channels]
            async with asyncio.timeout(PATIENCE_S):
                while not served.is_closing:
                    orders = [await trading.send("order.place", alice.signed(**SMALL)) for _ in range(50)]
                    for named in orders:
                        await trading.answer(named)
            reading.resume_reading()
            code, reason = await slow.closed()
            assert code == 4008
            heard = [event["event"]["sequence"] for event in slow.events]
            assert reason == f"slow_consumer: more than 20000 bytes wait; fromSequence 0:{heard[-1]}"
        async with stage.connect() as resumed:
            await resumed.result(SUBSCRIBE, alice.signed(fromSequence=heard[-1]))
            last = (await trading.result("account.status", alice.signed()))["sequence"]
            await position_of(resumed, last - 2)
            events = [event["event"] for event in (*slow.events, *resumed.events)]
            for before, after in itertools.pairwise(events):
                assert after["previousSequence"] == before["sequence"]
