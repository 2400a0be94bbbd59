"""binance-connector, Binance's earlier library: REST with all in the query, streams and the WS-API in threads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from binance.error import ClientError
from binance.spot import Spot
from binance.websocket.spot.websocket_api import SpotWebsocketAPIClient
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient

from tests.clients.scripts.scenes import eventually, first, play, refused, same, venue

AT = venue()
BTC, ETH = "BTCUSDT", "ETHUSDT"


def fields(row: Any, names: str) -> list[Any]:
    """These of its fields, in this order."""
    return [row[name] for name in names.split()]


class Ear:
    """What a socket's thread heard; connections are closed and their threads have ended when the block ends."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def listen(self, _: Any, message: str) -> None:
        """The callback."""
        self.heard.append(json.loads(message))

    @contextmanager
    def of_streams(self, *, combined: bool = False) -> Iterator[SpotWebsocketStreamClient]:
        """A connection to `/ws`, or to `/stream`."""
        client = SpotWebsocketStreamClient(stream_url=AT.ws, on_message=self.listen, is_combined=combined)
        try:
            yield client
        finally:
            client.stop()

    @contextmanager
    def of_api(self, key: str, secret: str) -> Iterator[SpotWebsocketAPIClient]:
        """A connection to the WS-API."""
        url = f"{AT.ws}/ws-api/v3"
        client = SpotWebsocketAPIClient(stream_url=url, api_key=key, api_secret=secret, on_message=self.listen)
        try:
            yield client
        finally:
            client.stop()

    async def once(self, test: Callable[[Any], bool]) -> Any:
        """The first message that passes the test, when it has come."""
        # The tickers of all symbols come as an array.
        return await first(self.heard, lambda message: isinstance(message, dict) and test(message))

    async def reply(self, name: int | str) -> Any:
        """The answer to the request of this id."""
        return await self.once(lambda message: message.get("id") == name)


class Day:
    """The scenes, in the order in which they are played."""

    def __init__(self) -> None:
        self.alice = Spot(*AT.alice, base_url=AT.http)
        self.bob = Spot(*AT.bob, base_url=AT.http)

    def limit(self, trader: Spot, symbol: str, side: str, quantity: Any, price: Any, **more: Any) -> Any:
        """A limit order."""
        fixed = {"type": "LIMIT", "timeInForce": "GTC"}
        return trader.new_order(symbol, side, quantity=quantity, price=price, **fixed, **more)

    def balances_of(self, trader: Spot) -> dict[str, tuple[str, str]]:
        """Free and locked of each coin."""
        return {row["asset"]: (row["free"], row["locked"]) for row in trader.account()["balances"]}

    def venue_is_described(self) -> None:
        same(self.bob.ping(), {})
        same([row["symbol"] for row in self.bob.exchange_info()["symbols"]], [BTC, ETH, "ETHBTC"])
        same([row["symbol"] for row in self.bob.exchange_info(symbols=[ETH, BTC])["symbols"]], [ETH, BTC])
        same(self.bob.depth(BTC, limit=5)["bids"], [])
        in_microseconds = Spot(base_url=AT.http, time_unit="microsecond").time()["serverTime"]
        assert abs(in_microseconds - self.bob.time()["serverTime"] * 1_000) < 60_000_000

    async def orders_are_placed_and_filled(self) -> None:
        sale = self.limit(self.alice, BTC, "SELL", 0.5, 60_000)
        taken = self.limit(self.bob, BTC, "BUY", "0.2", "60000.00")
        same(fields(taken, "status executedQty cummulativeQuoteQty"), ["FILLED", "0.20000000", "12000.00000000"])
        spent = self.bob.new_order(BTC, "BUY", "MARKET", quoteOrderQty=6_000)
        same([fields(fill, "qty commission") for fill in spent["fills"]], [["0.10000000", "0.00010000"]])
        same(self.balances_of(self.bob)["BTC"], ("100.29970000", "0.00000000"))
        replaced = self.alice.cancel_and_replace(
            BTC, "SELL", "LIMIT", "STOP_ON_FAILURE", cancelOrderId=sale["orderId"], timeInForce="GTC",
            quantity="0.1", price="61000",
        )["newOrderResponse"]  # fmt: skip
        same([row["orderId"] for row in self.alice.get_open_orders(BTC)], [replaced["orderId"]])
        same(self.alice.get_order(BTC, orderId=sale["orderId"])["status"], "CANCELED")
        same([row["status"] for row in self.alice.get_orders(BTC)], ["CANCELED", "NEW"])
        same([row["qty"] for row in self.bob.my_trades(BTC)], ["0.20000000", "0.10000000"])
        same(self.alice.cancel_order(BTC, orderId=replaced["orderId"])["status"], "CANCELED")
        self.limit(self.alice, BTC, "SELL", "0.1", "62000")
        same([row["status"] for row in self.alice.cancel_open_orders(BTC)], ["CANCELED"])
        same(self.balances_of(self.alice)["BTC"], ("99.70000000", "0.00000000"))
        same(self.bob.new_order_test(BTC, "BUY", "MARKET", quantity="0.1"), {})

    async def market_data_is_what_was_traded(self) -> None:
        same([row["q"] for row in self.bob.agg_trades(BTC)], ["0.20000000", "0.10000000"])
        same([row["qty"] for row in self.bob.trades(BTC)], ["0.20000000", "0.10000000"])
        same(self.bob.klines(BTC, "1M")[0][5], "0.30000000")
        await eventually(lambda: self.bob.ticker_24hr(BTC)["volume"], "0.30000000")
        same(self.bob.ticker_price(BTC)["price"], "60000.00000000")
        same(self.bob.rolling_window_ticker(BTC, windowSize="1h")["count"], 2)
        same([row["symbol"] for row in self.bob.book_ticker(symbols=[BTC, ETH])], [BTC, ETH])

    def limits_are_told(self) -> None:
        told = Spot(*AT.bob, base_url=AT.http, show_limit_usage=True)
        usage = self.limit(told, BTC, "BUY", "0.1", "50000")["limit_usage"]
        assert int(usage["x-mbx-used-weight-1m"]) > 0
        assert int(usage["x-mbx-order-count-10s"]) > 0
        same(len(self.bob.cancel_open_orders(BTC)), 1)
        same({row["rateLimitType"] for row in self.bob.get_order_rate_limit()}, {"ORDERS"})

    async def streams_are_heard(self) -> None:
        ear, combined = Ear(), Ear()
        with ear.of_streams() as plain, combined.of_streams(combined=True) as wrapped:
            plain.trade(ETH, id=1)
            plain.book_ticker(ETH, id=2)
            plain.diff_book_depth(ETH, speed=100, id=3)
            plain.kline(ETH, "1M", id=4)
            plain.mini_ticker(id=5)
            wrapped.agg_trade(ETH, id="six")
            for name in range(1, 6):
                same(await ear.reply(name), {"result": None, "id": name})
            same(await combined.reply("six"), {"result": None, "id": "six"})
            plain.list_subscribe(id=7)
            names = [
                "ethusdt@trade",
                "ethusdt@bookTicker",
                "ethusdt@depth@100ms",
                "ethusdt@kline_1M",
                "!miniTicker@arr",
            ]
            same(sorted((await ear.reply(7))["result"]), sorted(names))
            self.limit(self.alice, ETH, "SELL", "1", "2000")
            bought = self.limit(self.bob, ETH, "BUY", "0.4", "2000")
            trade = await ear.once(lambda message: message.get("e") == "trade")
            same((trade["t"], trade["q"]), (bought["fills"][0]["tradeId"], "0.40000000"))
            quote = {"s": ETH, "b": "0.00000000", "a": "2000.00000000", "A": "0.60000000"}
            await ear.once(lambda message: quote.items() <= message.items())
            candle = {"i": "1M", "c": "2000.00000000", "v": "0.40000000"}
            await ear.once(lambda message: candle.items() <= message.get("k", {}).items())
            folded = await combined.once(lambda message: message.get("stream") == "ethusdt@aggTrade")
            same(fields(folded["data"], "e p q"), ["aggTrade", "2000.00000000", "0.40000000"])
            plain.unsubscribe("ethusdt@trade", id=8)
            same(await ear.reply(8), {"result": None, "id": 8})
        self.alice.cancel_open_orders(ETH)

    async def orders_through_the_ws_api(self) -> None:
        ear = Ear()
        with ear.of_api(*AT.bob) as api:
            api.ping_connectivity(id="p")
            same(fields(await ear.reply("p"), "status result"), [200, {}])
            # A float stays the digits that it was written with: the signature is over 0.001.
            api.new_order(
                symbol=BTC, side="BUY", type="LIMIT", timeInForce="GTC", quantity=0.001, price=50_000.5, id="n"
            )  # fmt: skip
            made = (await ear.reply("n"))["result"]
            same(fields(made, "status origQty price"), ["NEW", "0.00100000", "50000.50000000"])
            api.get_order(BTC, orderId=made["orderId"], id="g")
            same((await ear.reply("g"))["result"]["clientOrderId"], made["clientOrderId"])
            api.cancel_order(BTC, orderId=made["orderId"], id="c")
            same((await ear.reply("c"))["result"]["status"], "CANCELED")
            api.cancel_order(BTC, orderId=made["orderId"], id="again")
            again = await ear.reply("again")
            same((again["status"], again["error"]["code"]), (400, -2011))
            api.account(id="a")
            same((await ear.reply("a"))["result"]["uid"], 17)
            limits = {(row["rateLimitType"], row["interval"]) for row in (await ear.reply("a"))["rateLimits"]}
            assert ("REQUEST_WEIGHT", "MINUTE") in limits

    async def listen_key_carries_own_events(self) -> None:
        ear, key = Ear(), self.bob.new_listen_key()["listenKey"]
        with ear.of_streams() as socket:
            socket.user_data(key, id=1)
            same(await ear.reply(1), {"result": None, "id": 1})
            order = self.limit(self.bob, ETH, "BUY", "0.1", "1000")
            report = await ear.once(lambda message: message.get("e") == "executionReport")
            same(fields(report, "x i p"), ["NEW", order["orderId"], "1000.00000000"])
            self.bob.cancel_order(ETH, orderId=order["orderId"])
            await ear.once(lambda message: message.get("x") == "CANCELED")
        same(self.bob.renew_listen_key(key), {})
        same(self.bob.close_listen_key(key), {})

    async def faults_have_their_codes(self) -> None:
        for code, attempt in (
            (-1121, lambda: self.bob.depth("DOGEUSDT")),
            (-1013, lambda: self.limit(self.bob, BTC, "BUY", "1", "1.001")),
            (-2010, lambda: self.limit(self.bob, BTC, "SELL", "140", "60000")),
            (-2011, lambda: self.bob.cancel_order(BTC, orderId=999_999)),
            (-2013, lambda: self.bob.get_order(BTC, orderId=999_999)),
            (-1022, lambda: Spot(AT.bob[0], AT.alice[1], base_url=AT.http).account()),
        ):
            error = await refused(ClientError, attempt)
            same((error.status_code, error.error_code), (400, code))
        error = await refused(ClientError, lambda: Spot("x" * 64, AT.bob[1], base_url=AT.http).account())
        same((error.status_code, error.error_code), (401, -2015))


async def main() -> None:
    """Play the day."""
    day = Day()
    await play(
        day.venue_is_described,
        day.orders_are_placed_and_filled,
        day.market_data_is_what_was_traded,
        day.limits_are_told,
        day.streams_are_heard,
        day.orders_through_the_ws_api,
        day.listen_key_carries_own_events,
        day.faults_have_their_codes,
    )


if __name__ == "__main__":
    asyncio.run(main())
