"""ccxt.pro: books, trades, candles and tickers as they happen, own orders and balances, and orders over WebSocket.

Alice dials `/ws`, bob `/stream/ws`: ccxt works with either. What is followed stays followed over a lost connection.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import ccxt.pro

from tests.clients.scripts.ccxt_day import urls
from tests.clients.scripts.scenes import eventually, first, play, refused, same, venue, within

ETH, BTC = "ETH/USDT", "BTC/USDT"


def live_urls(http: str, ws: str, streams: str) -> dict[str, Any]:
    """The addresses of REST, and those of the sockets beside them."""
    spoken = urls(http)
    spoken["api"]["ws"] = {"spot": f"{ws}{streams}", "ws-api": {"spot": f"{ws}/ws-api/v3"}}
    return spoken


class Follower:
    """Calls a `watch` method again and again, as ccxt's manual says, and keeps what it gave."""

    def __init__(self, watch: Callable[[], Awaitable[Any]]) -> None:
        self.seen: list[Any] = []
        self.lost = 0
        self.task = asyncio.create_task(self._follow(watch))

    async def _follow(self, watch: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                news = await watch()
            except ccxt.NetworkError:
                self.lost += 1
            else:
                self.seen += news if isinstance(news, list) else [news]

    async def once(self, test: Callable[[Any], bool]) -> Any:
        """The first that passes the test, when it has come."""
        return await first(self.seen, test, self.check)

    def check(self) -> None:
        """Fails with what ended the following."""
        if self.task.done():
            self.task.result()


class Live:
    """The scenes, in the order in which they are played."""

    def __init__(self) -> None:
        at = venue()
        (key, secret), (bobs_key, bobs_secret) = at.alice, at.bob
        self.alice = ccxt.pro.binance({"apiKey": key, "secret": secret, "urls": live_urls(at.http, at.ws, "/ws")})
        self.bob = ccxt.pro.binance(
            {"apiKey": bobs_key, "secret": bobs_secret, "urls": live_urls(at.http, at.ws, "/stream/ws")}
        )
        self.followers: dict[str, Follower] = {}
        self.funds: dict[str, tuple[Decimal, Decimal]] = {}

    async def trade(self, amount: float, price: float) -> tuple[Any, Any]:
        """Alice sells to bob."""
        sale = await self.alice.create_order(ETH, "limit", "sell", amount, price)
        return sale, await self.bob.create_order(ETH, "limit", "buy", amount, price)

    async def funds_of_bob(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Free and locked, exactly."""
        rows = (await self.bob.fetch_balance())["info"]["balances"]
        return {row["asset"]: (Decimal(row["free"]), Decimal(row["locked"])) for row in rows}

    async def everything_is_followed(self) -> None:
        for trader in (self.alice, self.bob):
            await trader.load_markets()
        bob = self.bob
        for name, watch in {
            "book": lambda: bob.watch_order_book(ETH),
            "trades": lambda: bob.watch_trades(ETH),
            "candles": lambda: bob.watch_ohlcv(ETH, "1m"),
            "ticker": lambda: bob.watch_ticker(ETH),
            "tickers": lambda: bob.watch_tickers([ETH, BTC]),
            "every ticker": bob.watch_tickers,
            "quotes": lambda: bob.watch_bids_asks([ETH]),
            "orders": lambda: bob.watch_orders(ETH),
            "own trades": lambda: bob.watch_my_trades(ETH),
            "balance": bob.watch_balance,
        }.items():
            self.followers[name] = Follower(watch)

        async def still_deaf() -> list[str]:
            await self.trade(0.01, 2_000)
            for follower in self.followers.values():
                follower.check()
            return [name for name, follower in self.followers.items() if not follower.seen]

        await eventually(still_deaf, [])
        self.funds = await self.funds_of_bob()

    async def followed_book_is_the_book(self) -> None:
        for level in range(1, 6):
            await self.alice.create_order(ETH, "limit", "sell", 0.1 * level, 2_000 + level)
            await self.bob.create_order(ETH, "limit", "buy", 0.2 * level, 1_990 - level)
        await self._same_book(5, 5)
        await self.alice.cancel_all_orders(ETH)
        await self.bob.cancel_order(next(o["id"] for o in await self.bob.fetch_open_orders(ETH)), ETH)
        await self._same_book(4, 0)
        for level in range(40):
            await self.bob.create_order(ETH, "limit", "buy", 0.1, 1_900 - level % 7)
        await self._same_book(11, 0)
        await self.bob.cancel_all_orders(ETH)
        await self._same_book(0, 0)

    async def _same_book(self, bids: int, asks: int) -> None:
        """The book that ccxt keeps from diffs is the one that REST shows, with its update id and so many levels."""

        def read(book: Any) -> Any:
            return book["nonce"], list(map(list, book["bids"])), list(map(list, book["asks"]))

        async def differences() -> Any:
            self.followers["book"].check()
            rest, kept = read(await self.bob.fetch_order_book(ETH)), read(self.bob.orderbooks[ETH])
            return (len(rest[1]), len(rest[2])), None if rest == kept else (rest, kept)

        await eventually(differences, ((bids, asks), None))

    async def trade_is_seen_by_everybody_and_by_its_owner(self) -> None:
        before = self.funds
        sale, purchase = await self.trade(0.5, 2_100)
        public = await self.followers["trades"].once(lambda trade: trade["price"] == 2_100)
        same((public["amount"], public["side"]), (0.5, "buy"))
        own = await self.followers["own trades"].once(lambda trade: trade["order"] == purchase["id"])
        same((own["id"], own["price"], own["amount"]), (public["id"], 2_100, 0.5))
        same((own["takerOrMaker"], own["side"], own["fee"]), ("taker", "buy", {"cost": 0.0005, "currency": "ETH"}))
        orders = self.followers["orders"]
        done = await orders.once(lambda order: order["id"] == purchase["id"] and order["status"] == "closed")
        same((done["filled"], done["average"], done["cost"]), (0.5, 2_100, 1_050))
        same(done["clientOrderId"], purchase["clientOrderId"])
        assert sale["id"] not in {order["id"] for order in orders.seen}
        self.funds = await self.funds_of_bob()
        same(self.funds["ETH"][0] - before["ETH"][0], Decimal("0.4995"))
        same(self.funds["USDT"][0] - before["USDT"][0], Decimal(-1_050))
        for coin in ("ETH", "USDT"):
            await self.followers["balance"].once(functools.partial(self._has_funds, coin))

    def _has_funds(self, coin: str, balance: Any) -> bool:
        """Whether a balance that was followed is what REST says."""
        return (balance[coin]["free"], balance[coin]["used"]) == tuple(map(float, self.funds[coin]))

    async def maker_sees_its_order_live_and_die(self) -> None:
        order = await self.bob.create_order(ETH, "limit", "buy", 0.3, 1_950)
        await self.followers["balance"].once(lambda balance: balance["USDT"]["used"] == 585)
        await self.alice.create_order(ETH, "limit", "sell", 0.1, 1_950)
        own = await self.followers["own trades"].once(lambda trade: trade["order"] == order["id"])
        same((own["takerOrMaker"], own["amount"], own["fee"]["cost"]), ("maker", 0.1, 0.0001))
        await self.bob.cancel_order(order["id"], ETH)
        orders = self.followers["orders"]
        await orders.once(lambda seen: seen["id"] == order["id"] and seen["status"] == "canceled")
        life = [(o["status"], o["filled"], o["remaining"]) for o in orders.seen if o["id"] == order["id"]]
        # ccxt hands out one object per order and writes into it, so only the last state is certain to be seen.
        same(life[-1], ("canceled", 0.1, 0.2))
        same({o["clientOrderId"] for o in orders.seen if o["id"] == order["id"]}, {order["clientOrderId"]})

    async def candles_and_tickers_agree_with_rest(self) -> None:
        async def candle_differs() -> Any:
            [rest] = await self.bob.fetch_ohlcv(ETH, "1m", None, 1)
            return rest[5] > 0 and rest not in self.followers["candles"].seen

        await eventually(candle_differs, False)

        async def ticker_differs() -> Any:
            rest, seen = await self.bob.fetch_ticker(ETH), self.followers["ticker"].seen[-1]
            names = ("last", "open", "high", "low", "baseVolume", "quoteVolume", "bid", "ask")
            return [(name, rest[name], seen[name]) for name in names if rest[name] != seen[name]]

        await eventually(ticker_differs, [])
        last = (await self.bob.fetch_ticker(ETH))["last"]
        await self.followers["tickers"].once(lambda tickers: ETH in tickers and tickers[ETH]["last"] == last)
        await self.followers["every ticker"].once(lambda tickers: ETH in tickers and tickers[ETH]["last"] == last)
        order = await self.bob.create_order(ETH, "limit", "buy", 0.7, 1_234)
        await self.followers["quotes"].once(lambda q: (q[ETH]["bid"], q[ETH]["bidVolume"]) == (1_234, 0.7))
        await self.bob.cancel_order(order["id"], ETH)

    async def orders_over_websocket(self) -> None:
        bob = self.bob
        order = await within(bob.create_order_ws(BTC, "limit", "buy", 0.01, 50_000))
        same((order["status"], order["price"], order["amount"], order["filled"]), ("open", 50_000, 0.01, 0))
        same((await within(bob.fetch_order_ws(order["id"], BTC)))["clientOrderId"], order["clientOrderId"])
        edited = await within(bob.edit_order_ws(order["id"], BTC, "limit", "buy", 0.02, 51_000))
        same((edited["status"], edited["price"], edited["amount"]), ("open", 51_000, 0.02))
        same([o["id"] for o in await within(bob.fetch_open_orders_ws(BTC))], [edited["id"]])
        # ccxt gives a spot balance that it asks for over WebSocket as it came.
        [usdt] = [row for row in (await within(bob.fetch_balance_ws()))["info"]["balances"] if row["asset"] == "USDT"]
        same(usdt["locked"], "1020.00000000")
        canceled = await within(bob.cancel_order_ws(edited["id"], BTC))
        same((canceled["id"], canceled["status"]), (edited["id"], "canceled"))
        for price in (49_000, 48_000):
            # Not `postOnly`: ccxt would send that word too, over WebSocket, and it is no parameter.
            await within(bob.create_order_ws(BTC, "LIMIT_MAKER", "buy", 0.01, price))
        same([o["price"] for o in await within(bob.cancel_all_orders_ws(BTC))], [49_000, 48_000])
        tested = await within(bob.create_order_ws(BTC, "limit", "buy", 0.01, 50_000, {"test": True}))
        same((tested["id"], await within(bob.fetch_open_orders_ws(BTC))), (None, []))
        statuses = [o["status"] for o in await within(bob.fetch_orders_ws(BTC))]
        same(statuses, ["canceled"] * 4)

    async def trades_over_websocket(self) -> None:
        bob = self.bob
        await within(self.alice.create_order_ws(BTC, "limit", "sell", 0.02, 50_500))
        bought = await within(bob.create_order_ws(BTC, "market", "buy", 0.02))
        same((bought["status"], bought["filled"], bought["average"], bought["cost"]), ("closed", 0.02, 50_500, 1_010))
        same(bought["fee"], {"cost": 0.00002, "currency": "BTC"})
        [mine] = await within(bob.fetch_my_trades_ws(BTC))
        same((mine["order"], mine["amount"], mine["takerOrMaker"]), (bought["id"], 0.02, "taker"))
        same([o["id"] for o in await within(bob.fetch_closed_orders_ws(BTC))], [bought["id"]])
        [public] = await within(bob.fetch_trades_ws(BTC))
        same((public["id"], public["price"], public["side"]), (mine["id"], 50_500, "buy"))
        [candle] = await within(bob.fetch_ohlcv_ws(BTC, "1M", None, 1))
        same(candle[1:], [50_500, 50_500, 50_500, 50_500, 0.02])

    async def faults_over_websocket(self) -> None:
        bob = self.bob
        for kind, attempt in (
            (ccxt.InsufficientFunds, lambda: bob.create_order_ws(BTC, "limit", "sell", 140, 60_000)),
            (ccxt.BadRequest, lambda: bob.create_order_ws(BTC, "limit", "sell", 1, 60_000, {"clientOrderId": "!"})),
            (ccxt.OrderNotFound, lambda: bob.cancel_order_ws("999999999", BTC)),
            (ccxt.OrderNotFound, lambda: bob.fetch_order_ws("999999999", BTC)),
            (ccxt.InvalidNonce, lambda: bob.fetch_balance_ws({"timestamp": 1_700_000_000_000})),
        ):
            await refused(kind, attempt)

    async def lost_connections_are_made_again(self) -> None:
        old = list(self.bob.clients.values())
        for client in old:
            await client.connection.close()
        await eventually(lambda: [name for name, follower in self.followers.items() if not follower.lost], [])

        async def deaf() -> list[str]:
            _, purchase = await self.trade(0.01, 2_050)
            order = purchase["id"]
            heard = {
                "orders": any(seen["id"] == order for seen in self.followers["orders"].seen),
                "own trades": any(seen["order"] == order for seen in self.followers["own trades"].seen),
                "trades": self.followers["trades"].seen[-1]["price"] == 2_050,
                "ticker": self.followers["ticker"].seen[-1]["last"] == 2_050,
                "candles": self.followers["candles"].seen[-1][4] == 2_050,
            }
            return [name for name, did in heard.items() if not did]

        await eventually(deaf, [])
        await self.bob.create_order(ETH, "limit", "buy", 0.1, 1_800)
        await self._same_book(1, 0)
        await self.bob.cancel_all_orders(ETH)
        await self._same_book(0, 0)

    async def nothing_is_followed_any_more(self) -> None:
        for follower in self.followers.values():
            follower.check()
            follower.task.cancel()
        await within(self.bob.un_watch_order_book(ETH))
        await within(self.bob.un_watch_trades(ETH))
        await within(self.bob.un_watch_ohlcv(ETH, "1m"))
        await within(self.bob.un_watch_ticker(ETH))
        for trader in (self.alice, self.bob):
            await trader.close()


async def main() -> None:
    """Play the day."""
    live = Live()
    await play(
        live.everything_is_followed,
        live.followed_book_is_the_book,
        live.trade_is_seen_by_everybody_and_by_its_owner,
        live.maker_sees_its_order_live_and_die,
        live.candles_and_tickers_agree_with_rest,
        live.orders_over_websocket,
        live.trades_over_websocket,
        live.faults_over_websocket,
        live.lost_connections_are_made_again,
        live.nothing_is_followed_any_more,
    )


if __name__ == "__main__":
    asyncio.run(main())
