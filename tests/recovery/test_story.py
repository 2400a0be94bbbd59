"""The story of the first release: two traders, an onlooker, SIGKILL in the middle, nothing acknowledged is missing."""

from __future__ import annotations

import asyncio
import http.client
import pathlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.gateway.running import Exchange, Trader


class Onlooker:
    """A WebSocket client that keeps a book by the documented procedure, and every trade it sees."""

    def __init__(self, port: int) -> None:
        self._url = f"ws://127.0.0.1:{port}/ws"
        self.book: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self.trades: list[dict[str, Any]] = []
        self.update_id = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()), daemon=True)
        self.ready = threading.Event()

    def start(self) -> Onlooker:
        """Connect, subscribe, and go on in a thread until the server is gone."""
        self._thread.start()
        assert self.ready.wait(30)
        return self

    def join(self) -> None:
        """Wait for the end of the connection."""
        self._thread.join(30)

    async def _watch(self) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(self._url) as socket:
            for channel in ("depth", "trades"):
                await socket.send_json({"action": "subscribe", "channel": channel, "symbol": "BTC_USDT"})
            async for message in socket:
                self._take(message.json())

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["e"]
        if kind == "trade":
            self.trades.append(message)
        elif kind == "depthSnapshot":
            self.book = {"bids": dict(message["bids"]), "asks": dict(message["asks"])}
            self.update_id = message["lastUpdateId"]
            self.ready.set()
        elif kind == "depthUpdate":
            assert message["U"] == self.update_id + 1
            self.update_id = message["u"]
            for side, changes in (("bids", message["b"]), ("asks", message["a"])):
                self.book[side].update(changes)
                for price, quantity in changes:
                    if float(quantity) == 0:
                        self.book[side].pop(price, None)


def _trade(trader: Trader, side: str, acknowledged: dict[str, dict[str, Any]]) -> None:
    """Place orders one after another until the server is gone; note every answer."""
    for number in range(100_000):
        name = f"{side.lower()}-{number}"
        price = 60_000 + (number % 21 - 10) * 10
        try:
            answer = trader.call(
                "POST", "/v1/order", symbol="BTC_USDT", side=side, type="LIMIT", timeInForce="GTC",
                quantity="0.001", price=f"{price}.00", newClientOrderId=name,
            )  # fmt: skip
        except (OSError, EOFError, http.client.HTTPException):
            return
        if answer.status == 200:
            acknowledged[name] = answer.json
        elif answer.json["outcome"] != "rejected":
            return


@pytest.fixture
def exchange(tmp_path: pathlib.Path) -> Iterator[Exchange]:
    """A demo exchange that is gone after the test, whatever happens in it."""
    running = Exchange(tmp_path / "var").start()
    yield running
    running.ensure_gone()


def test_nothing_acknowledged_is_missing_after_sigkill(exchange: Exchange) -> None:
    onlooker = Onlooker(exchange.ports["ws"]).start()
    acknowledged: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    threads = [
        threading.Thread(target=_trade, args=(exchange.trader(name), side, answers))
        for name, side, answers in zip(("alice", "bob"), ("BUY", "SELL"), acknowledged, strict=True)
    ]
    for thread in threads:
        thread.start()
    while min(len(answers) for answers in acknowledged) < 60 or not onlooker.trades:
        assert all(thread.is_alive() for thread in threads)
        threads[0].join(0.02)
    assert exchange.stop(signal.SIGKILL) == -signal.SIGKILL
    for thread in threads:
        thread.join(60)
    onlooker.join()

    exchange.start()
    depth = exchange.trader("alice").public("/v1/depth?symbol=BTC_USDT").json
    assert depth["lastUpdateId"] >= onlooker.update_id
    for name, answers in zip(("alice", "bob"), acknowledged, strict=True):
        trader = exchange.trader(name)
        for client_id, answer in answers.items():
            found = trader.call("GET", "/v1/order", symbol="BTC_USDT", origClientOrderId=client_id).json
            assert found["orderId"] == answer["orderId"], client_id
            assert float(found["executedQty"]) >= float(answer["executedQty"]), client_id
    repeated = exchange.trader("alice").call(
        "POST", "/v1/order", symbol="BTC_USDT", side="BUY", type="LIMIT", timeInForce="GTC",
        quantity="0.001", price="59900.00", newClientOrderId="buy-0",
    )  # fmt: skip
    assert repeated.json["duplicate"] is True
    assert repeated.json["orderId"] == acknowledged[0]["buy-0"]["orderId"]
    assert exchange.stop() == 0, exchange.errors
