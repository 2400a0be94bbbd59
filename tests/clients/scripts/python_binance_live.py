"""python-binance over sockets: public streams, the depth cache, own events, and orders through the WS-API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from binance import BinanceSocketManager, DepthCacheManager
from binance.exceptions import BinanceAPIException

from tests.clients.scripts.python_binance_day import fields
from tests.clients.scripts.python_binance_venue import AT, client
from tests.clients.scripts.scenes import eventually, first, play, refused, same, within

BTC, ETH = "BTCUSDT", "ETHUSDT"


class Heard:
    """Reads a socket all the time and keeps what came."""

    def __init__(self, socket: Any) -> None:
        self.messages: list[Any] = []
        self.socket = socket
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while True:
            self.messages.append(await self.socket.recv())

    async def once(self, test: Callable[[Any], bool]) -> Any:
        """The first message that passes the test, when it has come."""
        return await first(self.messages, test, self.check)

    def check(self) -> None:
        """Fails with what ended the reading."""
        if self.task.done():
            self.task.result()


class Live:
    """The scenes, in the order in which they are played."""

    def __init__(self, alice: Any, bob: Any) -> None:
        self.alice = alice
        self.bob = bob
        self.sockets = BinanceSocketManager(bob)

    async def trade(self, quantity: str = "0.1000", price: str = "2000.00") -> Any:
        """Alice sells ether to bob."""
        await self.alice.order_limit_sell(symbol=ETH, quantity=quantity, price=price)
        return await self.bob.order_limit_buy(symbol=ETH, quantity=quantity, price=price)

    @asynccontextmanager
    async def listening(self, socket: Any) -> AsyncIterator[Heard]:
        """A socket that is open and read."""
        async with socket as opened:
            # How long it waits for a message before it looks whether it is to close; ten seconds by default.
            (opened._socket if isinstance(opened, DepthCacheManager) else opened).TIMEOUT = 0.5
            heard = Heard(opened)
            try:
                yield heard
            finally:
                heard.task.cancel()

    @asynccontextmanager
    async def trading(self) -> AsyncIterator[None]:
        """There is a trade every moment, so that a stream has something to say whenever it begins."""

        over = False

        async def again() -> None:
            while not over:
                await self.trade()
                await asyncio.sleep(0.05)

        task = asyncio.create_task(again())
        try:
            yield
        finally:
            # The last trade ends with both its orders filled: nothing of it is left open, nothing is under way.
            over = True
            await task

    async def streams_of_trades(self) -> None:
        sockets = self.sockets
        async with (
            self.listening(sockets.trade_socket(ETH)) as trades,
            self.listening(sockets.aggtrade_socket(ETH)) as folded,
            self.listening(sockets.multiplex_socket(["ethusdt@trade", "btcusdt@trade"])) as wrapped,
            self.trading(),
        ):
            trade = await trades.once(lambda message: message["e"] == "trade")
            fold = await folded.once(lambda message: message["e"] == "aggTrade")
            combined = await wrapped.once(lambda message: message["stream"] == "ethusdt@trade")
        same(fields(trade, "s p q m M"), [ETH, "2000.00000000", "0.10000000", False, True])
        [rest] = await self.bob.get_historical_trades(symbol=ETH, fromId=trade["t"], limit=1)
        same(fields(rest, "id price qty time"), fields(trade, "t p q T"))
        [rest] = await self.bob.get_aggregate_trades(symbol=ETH, fromId=fold["a"], limit=1)
        same(rest, {name: fold[name] for name in rest})
        same(fields(combined["data"], "e s p"), ["trade", ETH, "2000.00000000"])

    async def streams_of_candles_and_tickers(self) -> None:
        sockets = self.sockets
        async with (
            self.listening(sockets.kline_socket(ETH, interval="1M")) as candles,
            self.listening(sockets.symbol_ticker_socket(ETH)) as tickers,
            self.listening(sockets.symbol_miniticker_socket(ETH)) as small,
            self.listening(sockets.miniticker_socket(1_000)) as every,
            self.trading(),
        ):
            await candles.once(lambda message: message["e"] == "kline")
            await tickers.once(lambda message: message["e"] == "24hrTicker")
            await small.once(lambda message: message["e"] == "24hrMiniTicker")
            await every.once(lambda message: ETH in {row["s"] for row in message})
        await self.trade("0.5000", "2100.00")
        async with self.listening(sockets.kline_socket(ETH, interval="1M")) as candles, self.trading():
            candle = await candles.once(lambda message: message["k"]["h"] == "2100.00000000")
        same(fields(candle["k"], "s i o l x"), [ETH, "1M", "2000.00000000", "2000.00000000", False])

    async def streams_of_books(self) -> None:
        sockets = self.sockets
        async with (
            self.listening(sockets.depth_socket(ETH, interval=100)) as diffs,
            self.listening(sockets.depth_socket(ETH, depth="5", interval=100)) as partial,
            self.listening(sockets.symbol_book_ticker_socket(ETH)) as quotes,
        ):
            order = await self.bob.order_limit_buy(symbol=ETH, quantity="0.7000", price="1500.00")
            level = ["1500.00000000", "0.70000000"]
            await partial.once(lambda message: level in message["bids"])
            await quotes.once(lambda message: fields(message, "s b B") == [ETH, *level])
            await self.bob.cancel_order(symbol=ETH, orderId=order["orderId"])
            await diffs.once(lambda message: ["1500.00000000", "0.00000000"] in message["b"])
            await partial.once(lambda message: message["bids"] == [])
            for before, after in zip(diffs.messages, diffs.messages[1:], strict=False):
                same(after["U"], before["u"] + 1)

    async def depth_cache_is_the_book(self) -> None:
        for interval in (None, 100):
            async with self.listening(DepthCacheManager(self.bob, ETH, ws_interval=interval)) as cache:
                for level in range(1, 31):
                    sell, buy = self.alice.order_limit_sell, self.bob.order_limit_buy
                    await sell(symbol=ETH, quantity="0.3000", price=str(2_200 + level % 7))
                    await buy(symbol=ETH, quantity="0.4000", price=str(1_900 - level % 5))
                await self._same_book(cache, 5, 7)
                await self.alice.cancel_all_open_orders(symbol=ETH)
                await self.bob.cancel_all_open_orders(symbol=ETH)
                await self._same_book(cache, 0, 0)

    async def _same_book(self, cache: Heard, bids: int, asks: int) -> None:
        """The cache has so many levels, and they are those of REST."""

        async def differences() -> Any:
            rest = await self.bob.get_order_book(symbol=ETH)
            wanted = [[[float(x) for x in level] for level in rest[side]] for side in ("bids", "asks")]
            if not cache.messages:
                return "nothing came yet"
            kept = [cache.messages[-1].get_bids(), cache.messages[-1].get_asks()]
            return (len(wanted[0]), len(wanted[1])), None if wanted == kept else (wanted, kept)

        await eventually(differences, ((bids, asks), None))

    async def own_events_come_in_order(self) -> None:
        async with self.listening(self.sockets.user_socket()) as own:
            order = await self.bob.order_limit_buy(
                symbol=BTC, quantity="0.02", price="50000.00", newClientOrderId="o-1"
            )
            await self.alice.order_limit_sell(symbol=BTC, quantity="0.01", price="50000.00")
            await self.bob.cancel_order(symbol=BTC, orderId=order["orderId"], newClientOrderId="c-1")
            await own.once(lambda message: self.locked_usdt(message) == ["0.00000000"])
            reports = [message for message in own.messages if message["e"] == "executionReport"]
            positions = [message for message in own.messages if message["e"] == "outboundAccountPosition"]
        same([fields(report, "x X z i c C") for report in reports], [
            ["NEW", "NEW", "0.00000000", order["orderId"], "o-1", ""],
            ["TRADE", "PARTIALLY_FILLED", "0.01000000", order["orderId"], "o-1", ""],
            ["CANCELED", "CANCELED", "0.01000000", order["orderId"], "c-1", "o-1"],
        ])  # fmt: skip
        new, trade, canceled = reports
        same(fields(new, "s S o f q p r w m n N t l L"), [
            BTC, "BUY", "LIMIT", "GTC", "0.02000000", "50000.00000000", "NONE", True, False, "0", None, -1,
            "0.00000000", "0.00000000",
        ])  # fmt: skip
        same(fields(trade, "l L Y Z n N m w"), [
            "0.01000000", "50000.00000000", "500.00000000", "500.00000000", "0.00001000", "BTC", True, True,
        ])  # fmt: skip
        [mine] = await self.bob.get_my_trades(symbol=BTC, orderId=order["orderId"])
        same(mine["id"], trade["t"])
        same(fields(canceled, "w r"), [False, "NONE"])
        locked = [text for message in positions for text in self.locked_usdt(message)]
        same(locked, ["1000.00000000", "500.00000000", "0.00000000"])

    def locked_usdt(self, message: Any) -> list[str]:
        """What an account position says of it, in a list of one; nothing of another message."""
        return [row["l"] for row in message.get("B", []) if row["a"] == "USDT"]

    async def orders_through_the_ws_api(self) -> None:
        bob = self.bob
        same(await bob.ws_ping(), {})
        order = await bob.ws_order_limit_buy(symbol=BTC, quantity="0.01", price="40000.00")
        same(fields(order, "status price origQty"), ["NEW", "40000.00000000", "0.01000000"])
        seen = await bob.ws_get_order(symbol=BTC, orderId=order["orderId"])
        same(seen["clientOrderId"], order["clientOrderId"])
        both = await bob.ws_cancel_and_replace_order(
            symbol=BTC, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01", price="41000.00",
            cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=order["orderId"],
        )  # fmt: skip
        replaced = both["newOrderResponse"]
        same([row["orderId"] for row in await bob.ws_get_open_orders(symbol=BTC)], [replaced["orderId"]])
        gone = await bob.ws_cancel_order(symbol=BTC, orderId=replaced["orderId"])
        same(fields(gone, "orderId status"), [replaced["orderId"], "CANCELED"])
        await bob.ws_order_limit_buy(symbol=BTC, quantity="0.01", price="39000.00")
        same([row["status"] for row in await bob.ws_cancel_all_open_orders(symbol=BTC)], ["CANCELED"])
        same(await bob.ws_create_test_order(symbol=BTC, side="BUY", type="MARKET", quantity="0.01"), {})
        await self.alice.ws_order_limit_sell(symbol=BTC, quantity="0.01", price="45000.00")
        bought = await bob.ws_order_market_buy(symbol=BTC, quantity="0.01")
        same(fields(bought, "status executedQty cummulativeQuoteQty"), ["FILLED", "0.01000000", "450.00000000"])
        error = await refused(BinanceAPIException, lambda: bob.ws_cancel_order(symbol=BTC, orderId=999_999))
        same((error.code, error.message), (-2011, "Unknown order sent."))

    async def questions_through_the_ws_api(self) -> None:
        bob = self.bob
        assert (await bob.ws_get_time())["serverTime"] > 0
        same(len((await bob.ws_get_exchange_info())["symbols"]), 3)
        same(await bob.ws_get_account(), await bob.get_account())
        same(await bob.ws_get_all_orders(symbol=BTC), await bob.get_all_orders(symbol=BTC))
        same(await bob.ws_get_my_trades(symbol=BTC), await bob.get_my_trades(symbol=BTC))
        same(await bob.ws_get_order_book(symbol=ETH), await bob.get_order_book(symbol=ETH))
        same(await bob.ws_get_recent_trades(symbol=ETH), await bob.get_recent_trades(symbol=ETH))
        same(await bob.ws_get_aggregate_trades(symbol=ETH), await bob.get_aggregate_trades(symbol=ETH))
        same(await bob.ws_get_klines(symbol=ETH, interval="1M"), await bob.get_klines(symbol=ETH, interval="1M"))
        same(await bob.ws_get_avg_price(symbol=ETH), await bob.get_avg_price(symbol=ETH))
        same((await bob.ws_get_ticker(symbol=ETH))["lastPrice"], (await bob.get_ticker(symbol=ETH))["lastPrice"])
        same(await bob.ws_get_symbol_ticker(symbol=ETH), await bob.get_symbol_ticker(symbol=ETH))
        same(await bob.ws_get_orderbook_ticker(symbol=ETH), await bob.get_orderbook_ticker(symbol=ETH))
        rates = await bob.ws_get_commission_rates(symbol=BTC)
        same(rates["standardCommission"]["taker"], "0.00100000")

    async def lost_stream_is_opened_again(self) -> None:
        async with self.listening(self.sockets.trade_socket(ETH)) as trades, self.trading():
            await trades.once(lambda message: message["e"] == "trade")
            await trades.socket.ws.close()
            await trades.once(lambda message: message["e"] == "error")
            told = len(trades.messages)
            await eventually(lambda: any(message["e"] == "trade" for message in trades.messages[told:]), True)

    async def connections_are_closed(self) -> None:
        for trader in (self.alice, self.bob):
            await within(trader.close_connection())


async def main() -> None:
    """Play the day."""
    live = Live(await client("async", AT.alice), await client("async", AT.bob))
    await play(
        live.streams_of_trades,
        live.streams_of_candles_and_tickers,
        live.streams_of_books,
        live.depth_cache_is_the_book,
        live.own_events_come_in_order,
        live.orders_through_the_ws_api,
        live.questions_through_the_ws_api,
        live.lost_stream_is_opened_again,
        live.connections_are_closed,
    )


if __name__ == "__main__":
    asyncio.run(main())
