"""Whatever a client sends is answered with an error or closed with a code; the server goes on, and nothing moves."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.gateway.ws_api.messages import Unreadable, read
from exchange.gateway.ws_api.methods import ENDPOINTS
from tests.gateway.ws_api.client import PATIENCE_S, Client, Identity, Json
from tests.gateway.ws_api.stage import Stage
from tests.gateway.ws_api.test_methods import ORDER

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
METHODS = (*ENDPOINTS, "session.logon", "session.status", "session.subscriptions", "userDataStream.subscribe")
PARAMETERS = (*ORDER, "orderId", "limit", "apiKey", "signature", "timestamp", "recvWindow", "symbols", "fromSequence")


@given(st.text(max_size=200) | JSON.map(json.dumps))
def test_any_text_is_a_request_or_is_refused(text: str) -> None:
    try:
        named, status = read(text).id, 200
    except Unreadable as error:
        named, status = error.id, error.refusal.status
    assert status in (200, 400)
    assert isinstance(json.loads(named), int | str | None)


def _message(source: random.Random) -> str:
    """A message that is nearly right."""
    values: tuple[Any, ...] = (
        "",
        "BTCUSDT",
        "0",
        -1,
        10**30,
        1e300,
        True,
        None,
        [],
        ["BTCUSDT"],
        {"a": 1},
        "x" * 100,
        "\u0000",
        "%s",
    )
    names = source.sample(PARAMETERS, source.randrange(len(PARAMETERS)))
    message: Json = {
        "id": source.choice((1, "a", None, 10**30, [], 1.5)),
        "method": source.choice(METHODS),
        "params": {name: source.choice(values) for name in names},
    }
    text = json.dumps(message)
    if source.random() < 0.3:
        at = source.randrange(len(text))
        text = text[:at] + source.choice(string.printable) + text[at + source.randrange(3) :]
    return text


async def test_nearly_right_messages_are_answered_with_errors(
    stage: Stage, client: Client, alice: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    source = random.Random(20261125)
    before = stage.pipeline.last_sequence
    with caplog.at_level(logging.WARNING):
        for _ in range(3_000):
            answer = await client.raw(_message(source))
            assert answer["status"] < 500 or answer["error"]["code"] in (-1001, -1008), answer
            assert "Traceback" not in json.dumps(answer)
    assert caplog.records == []
    assert stage.pipeline.last_sequence == before
    client.answers.clear()
    assert await client.result("order.test", alice.signed(**ORDER)) == {}


async def test_any_bytes_end_a_connection_and_nothing_else(
    stage: Stage, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    source = random.Random(20261125)
    head = b"GET /ws-api/v3 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    port = int(stage.url.rpartition(":")[2])
    with caplog.at_level(logging.WARNING):
        for _ in range(150):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + source.randbytes(source.randrange(1, 300)))
            writer.write_eof()
            async with asyncio.timeout(PATIENCE_S):
                assert (await reader.read()).startswith(b"HTTP/1.1 101 ")
            writer.close()
            assert await client.result("ping") == {}
    assert caplog.records == []
