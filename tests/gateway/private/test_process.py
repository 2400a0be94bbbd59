"""A real exchange process: one account's day over REST and the WebSocket API, cut off, killed and resumed."""

from __future__ import annotations

import asyncio
import hmac
import itertools
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.gateway.running import Exchange, Trader

_ids = itertools.count(1)


class Stream:
    """A user data stream: `sequence` is where it stood at the beginning."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, sequence: int) -> None:
        self.sequence = sequence
        self._socket = socket

    async def upto(self, sequence: int) -> list[dict[str, Any]]:
        """Every event until one of at least that sequence."""
        events: list[dict[str, Any]] = []
        async with asyncio.timeout(30):
            while not events or events[-1]["sequence"] < sequence:
                events.append(json.loads(await self._socket.receive_str())["event"])
        return events

    async def until_canceled(self) -> list[dict[str, Any]]:
        """Every event until the position behind a cancel."""
        events: list[dict[str, Any]] = []
        async with asyncio.timeout(30):
            while len(events) < 2 or events[-2].get("x") != "CANCELED":
                events.append(json.loads(await self._socket.receive_str())["event"])
        return events


@asynccontextmanager
async def listening(exchange: Exchange, trader: Trader, from_sequence: int | None = None) -> AsyncIterator[Stream]:
    """A connection with a subscription of the trader's account."""
    params: dict[str, Any] = {"apiKey": trader.api_key, "timestamp": time.time_ns() // 1_000_000, "recvWindow": 60_000}
    if from_sequence is not None:
        params["fromSequence"] = from_sequence
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    params["signature"] = hmac.digest(trader.secret.encode(), payload.encode(), "sha256").hex()
    url = f"ws://127.0.0.1:{exchange.ports['http']}/ws-api/v3"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await socket.send_json({"id": next(_ids), "method": "userDataStream.subscribe.signature", "params": params})
        answer = await socket.receive_json(timeout=30)
        assert answer["status"] == 200, answer
        yield Stream(socket, answer["result"]["sequence"])


async def _order(trader: Trader, side: str, quantity: str, price: str, **more: object) -> dict[str, Any]:
    answer = await asyncio.to_thread(trader.order, side, quantity, price, **more)
    assert answer.status == 200, answer
    placed: dict[str, Any] = answer.json
    return placed


async def _cancel(trader: Trader, **named: object) -> dict[str, Any]:
    answer = await asyncio.to_thread(trader.call, "DELETE", "/v1/order", symbol="BTC_USDT", **named)
    assert answer.status == 200, answer
    canceled: dict[str, Any] = answer.json
    return canceled


async def _trade(alice: Trader, bob: Trader, day: str) -> None:
    """An order of alice that bob fills a part of and that she cancels."""
    await _order(alice, "SELL", "0.0300", "61000.00", newClientOrderId=day)
    await _order(bob, "BUY", "0.0100", "61000.00")
    await _cancel(alice, origClientOrderId=day, newClientOrderId=f"{day}-off")


async def test_day_is_told_and_told_again_over_sockets(exchange: Exchange, traders: tuple[Trader, Trader]) -> None:
    alice, bob = traders
    async with listening(exchange, alice) as stream:
        await _trade(alice, bob, "told")
        events = await stream.until_canceled()
    reports = [event for event in events if event["e"] == "executionReport"]
    assert [(event["x"], event["c"], event["C"]) for event in reports] == [
        ("NEW", "told", ""),
        ("TRADE", "told", ""),
        ("CANCELED", "told-off", "told"),
    ]
    assert [event["previousSequence"] for event in events] == [
        stream.sequence,
        *(event["sequence"] for event in events[:-1]),
    ]
    for at, sequence in enumerate([stream.sequence, *(event["sequence"] for event in events[:-1])]):
        async with listening(exchange, alice, sequence) as again:
            assert await again.upto(events[-1]["sequence"]) == events[at:]
    account = (await asyncio.to_thread(alice.call, "GET", "/v1/account")).json
    assert account["sequence"] >= events[-1]["sequence"]
    balances = {row["asset"]: (row["free"], row["locked"]) for row in account["balances"]}
    told = {row["a"]: (row["f"], row["l"]) for event in events for row in event.get("B", ())}
    assert told == {asset: balances[asset] for asset in told}


async def test_cancel_without_an_id_is_named_alike_in_answer_and_event(
    exchange: Exchange, traders: tuple[Trader, Trader]
) -> None:
    alice, _ = traders
    async with listening(exchange, alice) as stream:
        placed = await _order(alice, "SELL", "0.0100", "61000.00")
        canceled = await _cancel(alice, orderId=placed["orderId"])
        events = await stream.until_canceled()
        assert events[-2]["c"] == canceled["clientOrderId"] != placed["clientOrderId"]
        assert events[-2]["C"] == canceled["origClientOrderId"] == placed["clientOrderId"]
        await _order(alice, "SELL", "0.0100", "61000.00")
        answer = await asyncio.to_thread(alice.call, "DELETE", "/v1/openOrders", symbol="BTC_USDT")
        events = await stream.until_canceled()
        assert [event["c"] for event in events if event.get("x") == "CANCELED"] == [answer.json[0]["clientOrderId"]]


async def test_stream_goes_on_where_it_was_after_the_process_was_killed(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path / "var", environ={"EXCHANGE_DATABASE": "off"}).start()
    try:
        alice, bob = exchange.trader("alice"), exchange.trader("bob")
        async with listening(exchange, alice) as stream:
            began = stream.sequence
            await _trade(alice, bob, "before")
            before = await stream.until_canceled()
        await asyncio.to_thread(exchange.stop, signal.SIGKILL)
        exchange.start()
        alice, bob = exchange.trader("alice"), exchange.trader("bob")
        middle = before[1]["sequence"]
        async with listening(exchange, alice, middle) as stream:
            missed = await stream.upto(before[-1]["sequence"])
            await _trade(alice, bob, "after")
            after = await stream.until_canceled()
        # What a cancel called itself is not in the journal.
        canceled = next(event for event in before if event.get("x") == "CANCELED")
        canceled["c"] = f"cancel-{canceled['i']}"
        assert missed == before[2:]
        assert [event["previousSequence"] for event in missed + after] == [
            middle,
            *(event["sequence"] for event in (missed + after)[:-1]),
        ]
        async with listening(exchange, alice, began) as stream:
            assert await stream.upto(after[-1]["sequence"]) == before + after
    finally:
        exchange.ensure_gone()
