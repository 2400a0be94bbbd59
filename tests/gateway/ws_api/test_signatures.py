"""Whose a request is: HMAC and Ed25519, raw JSON text, time windows, rights, addresses; the refusals of REST."""

from __future__ import annotations

import hashlib
import pathlib
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.users.keys import Permission, Scheme
from tests.gateway.ws_api.client import PATH, Client, Identity, Json, payload_of
from tests.gateway.ws_api.stage import Stage, opened
from tests.gateway.ws_api.test_methods import ORDER

DENIED = (401, -2015, "Invalid API-key, IP, or permissions for action.")
BAD_WINDOW = (
    *(400, -1100),
    "Illegal characters found in parameter 'recvWindow'; legal range is '^([0-9]{1,9})(\\.[0-9]{1,3})?$'.",
)
BAD_SIGNATURE = (400, -1022, "Signature for this request is not valid.")


def missing(name: str) -> tuple[int, int, str]:
    """The refusal of a request without a parameter."""
    return 400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."


def now_ms(shift_ms: int = 0) -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000 + shift_ms


def wrong(signed: Json, **changed: Any) -> Json:
    """Signed parameters of which some were changed afterwards."""
    return {name: value for name, value in (signed | changed).items() if value is not None}


async def test_hmac_in_any_case_and_ed25519_are_believed(stage: Stage, client: Client, alice: Identity) -> None:
    signed = alice.signed(symbol="BTCUSDT", orderId=1)
    assert (await client.refused("order.status", wrong(signed, signature=signed["signature"].upper())))[1] == -2013
    _, ed25519 = await stage.ed25519()
    assert (await client.refused("order.status", ed25519.signed(symbol="BTCUSDT", orderId=1)))[1] == -2013


@pytest.mark.parametrize("quantity", [0.001, 1, 12.5, "0.00100000"])
async def test_numbers_are_signed_as_they_are_written(client: Client, alice: Identity, quantity: object) -> None:
    params = alice.signed(**ORDER | {"quantity": quantity}, returnRateLimits=False)
    assert await client.result("order.test", params) == {}


async def test_number_that_is_written_otherwise_was_not_signed(client: Client, alice: Identity) -> None:
    signed = alice.signed(**ORDER | {"quantity": "0.1"})
    assert await client.refused("order.place", wrong(signed, quantity="0.10")) == BAD_SIGNATURE


async def test_parameter_that_was_not_signed_is_refused(client: Client, alice: Identity) -> None:
    signed = alice.signed(**ORDER)
    assert await client.refused("order.place", wrong(signed, newClientOrderId="x")) == BAD_SIGNATURE
    assert await client.refused("order.place", wrong(signed, timeInForce=None)) == BAD_SIGNATURE
    assert await client.refused("order.place", wrong(signed, returnRateLimits=False)) == BAD_SIGNATURE


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"apiKey": None}, missing("apiKey")),
        ({"apiKey": "short"}, (401, -2014, "API-key format invalid.")),
        ({"apiKey": "k" * 64}, DENIED),
        ({"apiKey": "k" * 64, "signature": "c3R1ZmY="}, DENIED),
        (
            {"timestamp": None},
            missing("timestamp"),
        ),
        (
            {"timestamp": "yesterday"},
            missing("timestamp"),
        ),
        (
            {"signature": None},
            missing("signature"),
        ),
        (
            {"signature": ""},
            missing("signature"),
        ),
        ({"signature": "00" * 32}, BAD_SIGNATURE),
        ({"signature": "nonsense"}, BAD_SIGNATURE),
        ({"recvWindow": 60_001}, (400, -1130, "Data sent for parameter 'recvWindow' is not valid.")),
        (
            {"recvWindow": "1.2345"},
            (
                400,
                -1100,
                "Illegal characters found in parameter 'recvWindow'; legal range is '^([0-9]{1,9})(\\.[0-9]{1,3})?$'.",
            ),
        ),
    ],
)
async def test_bad_credentials_are_refused(
    client: Client, alice: Identity, changed: Json, refusal: tuple[int, int, str]
) -> None:
    signed = wrong(alice.signed(symbol="BTCUSDT", orderId=1), **changed)
    assert await client.refused("order.status", signed) == refusal


@pytest.mark.parametrize(
    ("shift_ms", "window", "text"),
    [
        (-10_000, 5_000, "Timestamp for this request is outside of the recvWindow."),
        (-10_000, None, "Timestamp for this request is outside of the recvWindow."),
        (30_000, 60_000, "Timestamp for this request was 1000ms ahead of the server's time."),
    ],
)
async def test_request_out_of_its_window_is_refused(
    client: Client, alice: Identity, shift_ms: int, window: int | None, text: str
) -> None:
    params = alice.signed(symbol="BTCUSDT", orderId=1, timestamp=now_ms(shift_ms), recvWindow=window)
    assert await client.refused("order.status", params) == (400, -1021, text)


async def test_key_without_the_right_is_denied(stage: Stage, client: Client) -> None:
    _, reader = await stage.key(16, Permission.READ)
    assert await client.refused("order.place", reader.signed(**ORDER)) == DENIED
    _, trader = await stage.key(16, Permission.TRADE)
    assert await client.refused("account.status", trader.signed()) == DENIED
    assert await client.refused("userDataStream.subscribe.signature", trader.signed()) == DENIED


async def test_key_is_denied_elsewhere(tmp_path: pathlib.Path) -> None:
    async with opened(tmp_path, environ={"EXCHANGE_TRUSTED_PROXIES": "127.0.0.0/8"}) as stage:
        _, bound = await stage.key(addresses="203.0.113.7")
        async with stage.connect() as client:
            assert await client.refused("account.status", bound.signed()) == DENIED
        async with stage.connect(**{"X-Forwarded-For": "203.0.113.7"}) as client:
            assert await client.result("account.status", bound.signed())


async def test_age_is_checked_again_before_the_ring(stage: Stage, client: Client, alice: Identity) -> None:
    """A call that has become too old since it was verified is not submitted."""
    before = stage.pipeline.last_sequence
    params = alice.signed(**ORDER, timestamp=now_ms(-4_999), recvWindow=5_000)
    answer = await client.ask("order.place", params)
    assert answer["status"] == 200 or answer["error"]["code"] == -1021
    assert stage.pipeline.last_sequence - before == (answer["status"] == 200)


def strictly(stage: Stage, strict: Identity, method: str, **more: object) -> Json:
    """Parameters that a strict key has signed for `method`."""
    params: Json = {"apiKey": strict.api_key, "timestamp": now_ms(), **more}
    body = hashlib.sha256(payload_of(params).encode()).hexdigest()
    host = stage.url.removeprefix("http://")
    lines = ("EXCHANGE-SIGNATURE-1", method, host, PATH, "", body, str(params["timestamp"]), strict.api_key)
    return params | {"signature": strict.signature("\n".join(lines).encode())}


async def test_strict_key_signs_the_method_and_the_host(stage: Stage, client: Client) -> None:
    made = await stage.keys.create(16, (Permission.READ, Permission.TRADE), scheme=Scheme.STRICT)
    strict = Identity(made.key.api_key, made.secret)
    assert await client.refused("order.test", strict.signed(**ORDER)) == BAD_SIGNATURE
    assert await client.result("order.test", strictly(stage, strict, "order.test", **ORDER)) == {}
    assert await client.refused("order.test", strictly(stage, strict, "order.place", **ORDER)) == BAD_SIGNATURE


async def test_session_of_a_strict_key_has_its_stream(stage: Stage, client: Client) -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    made = await stage.keys.create(16, (Permission.READ,), public_key=public, scheme=Scheme.STRICT)
    strict = Identity(made.key.api_key, private)
    await client.result("session.logon", strictly(stage, strict, "session.logon"))
    assert (await client.result("userDataStream.subscribe"))["subscriptionId"] == 0
    assert await client.refused("userDataStream.start", {"apiKey": strict.api_key}) == DENIED
