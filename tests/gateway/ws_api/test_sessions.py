"""session.logon, status and logout, and what happens to all that a key had open when it ends."""

from __future__ import annotations

import time

from exchange.users.keys import Permission
from tests.gateway.ws_api.client import Client, Identity
from tests.gateway.ws_api.stage import BOB, Stage
from tests.gateway.ws_api.test_methods import ORDER
from tests.gateway.ws_api.test_signatures import BAD_SIGNATURE, DENIED, now_ms

NO_TIMESTAMP = (400, -1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
SUBSCRIBE = "userDataStream.subscribe.signature"


async def test_session_stands_for_its_key_until_logout(stage: Stage, client: Client) -> None:
    _, identity = await stage.ed25519()
    nobody = await client.result("session.status")
    assert (nobody["apiKey"], nobody["authorizedSince"]) == (None, None)
    somebody = await client.result("session.logon", identity.signed())
    assert somebody["apiKey"] == identity.api_key
    assert nobody["connectedSince"] <= somebody["authorizedSince"] <= somebody["serverTime"]
    placed = await client.result("order.place", ORDER | {"timestamp": now_ms()})
    assert placed["status"] == "NEW"
    assert (await client.result("session.status"))["apiKey"] == identity.api_key
    assert (await client.result("session.logout"))["apiKey"] is None
    assert (await client.refused("order.place", ORDER | {"timestamp": now_ms()}))[1] == -1102


async def test_session_still_wants_a_fresh_timestamp(stage: Stage, client: Client) -> None:
    _, identity = await stage.ed25519()
    await client.result("session.logon", identity.signed())
    assert await client.refused("account.status", {}) == NO_TIMESTAMP
    assert (await client.refused("account.status", {"timestamp": now_ms(-6_000)}))[1] == -1021


async def test_request_in_a_session_may_be_somebody_elses(stage: Stage, client: Client, bob: Identity) -> None:
    _, identity = await stage.ed25519()
    await client.result("session.logon", identity.signed())
    placed = await client.result("order.place", bob.signed(**ORDER))
    assert (await client.refused("order.status", {**ids(placed), "timestamp": now_ms()}))[1] == -2013
    assert await client.result("order.status", bob.signed(**ids(placed)))
    assert await client.refused("account.status", bob.signed() | {"signature": "00" * 32}) == BAD_SIGNATURE
    assert (await client.refused("account.status", {"timestamp": now_ms(), "signature": "00" * 32}))[1] == -1102


def ids(placed: dict[str, object]) -> dict[str, object]:
    """What names an order."""
    return {"symbol": placed["symbol"], "orderId": placed["orderId"]}


async def test_hmac_key_opens_no_session(client: Client, alice: Identity) -> None:
    assert await client.refused("session.logon", alice.signed()) == DENIED
    assert await client.refused("session.logon", alice.signed() | {"signature": "00" * 32}) == BAD_SIGNATURE
    assert (await client.result("session.status"))["apiKey"] is None


async def test_session_has_the_rights_of_its_key(stage: Stage, client: Client) -> None:
    _, reader = await stage.ed25519(BOB, Permission.READ)
    await client.result("session.logon", reader.signed())
    assert await client.refused("order.place", ORDER | {"timestamp": now_ms()}) == DENIED
    assert await client.result("account.status", {"timestamp": now_ms()})


async def test_logon_again_changes_who_it_is(stage: Stage, client: Client) -> None:
    _, first = await stage.ed25519()
    key, second = await stage.ed25519(BOB)
    await client.result("session.logon", first.signed())
    await client.result("userDataStream.subscribe")
    assert (await client.result("session.logon", second.signed()))["apiKey"] == key.api_key
    assert [event["event"]["e"] for event in client.events] == ["eventStreamTerminated"]
    assert (await client.result("account.status", {"timestamp": now_ms()}))["uid"] == BOB
    assert (await client.refused("session.logon", {"timestamp": now_ms()}))[1] == -1102


async def test_requests_that_are_sent_at_once_begin_in_order(stage: Stage, client: Client) -> None:
    """Whose a request is was settled by those before it, whether they are answered yet or not."""
    key, identity = await stage.ed25519()
    await client.send("session.logon", identity.signed())
    placed = await client.send("order.place", ORDER | {"timestamp": now_ms()})
    read = await client.send("account.status", {"timestamp": now_ms()})
    subscribed = await client.send("userDataStream.subscribe")
    await client.send("session.logout")
    late = await client.send("order.place", ORDER | {"timestamp": now_ms()})
    assert [(await client.answer(named))["status"] for named in (placed, read, subscribed, late)] == [
        200,
        200,
        200,
        400,
    ]
    assert (await client.answer(read))["result"]["uid"] == key.account
    assert (await client.result("session.status"))["userDataStream"] is False


async def test_stray_parameter_of_a_session_method_is_refused(client: Client) -> None:
    for method in ("session.status", "session.logout", "session.subscriptions"):
        assert (await client.refused(method, {"x": "1"}))[1] == -1103
    assert await client.result("session.status", {"returnRateLimits": False})


async def test_revoked_key_ends_its_session_and_its_streams(stage: Stage) -> None:
    """There is no PostgreSQL in this venue at all."""
    key, identity = await stage.ed25519()
    async with stage.connect() as client, stage.connect() as signing, stage.connect() as other:
        await client.result("session.logon", identity.signed())
        await client.result("userDataStream.subscribe")
        await signing.result(SUBSCRIBE, identity.signed())
        before = time.monotonic()
        await stage.keys.revoke(key.api_key)
        for one in (client, signing):
            assert await one.closed() == (1008, "The API key was revoked.")
            (event,) = one.events
            assert event["subscriptionId"] == 0
            assert event["event"]["e"] == "eventStreamTerminated"
        assert time.monotonic() - before < 20.0
        assert await other.result("ping") == {}
        assert await other.refused("account.status", identity.signed()) == DENIED


async def test_revoked_key_leaves_the_streams_of_others(stage: Stage, client: Client, bob: Identity) -> None:
    key, identity = await stage.key()
    await client.result(SUBSCRIBE, identity.signed())
    await client.result(SUBSCRIBE, bob.signed())
    await stage.keys.revoke(key.api_key)
    terminated = await client.heard(lambda event: event["event"]["e"] == "eventStreamTerminated")
    assert terminated["subscriptionId"] == 0
    assert await client.result("session.subscriptions") == [{"subscriptionId": 1}]
    await client.result("order.place", bob.signed(**ORDER))
    assert await client.heard(lambda event: event["subscriptionId"] == 1)


async def test_expired_key_ends_its_streams(stage: Stage, client: Client) -> None:
    _, brief = await stage.key(expires_us=time.time_ns() // 1000 + 300_000)
    await client.result(SUBSCRIBE, brief.signed())
    await client.send("time")
    while time.time_ns() // 1000 < int(brief_end(stage, brief)):
        await client.result("ping")
    stage.ws_api.sweep()
    assert await client.closed() == (1008, "The API key has expired.")


def brief_end(stage: Stage, identity: Identity) -> int:
    """When a key ends."""
    key = stage.keys.find(identity.api_key)
    assert key is not None
    return key.expires_us
