"""ccxt over REST: a day of two traders, with the synchronous class or with the asynchronous one.

    python -m tests.clients.scripts.ccxt_day sync|async

ccxt is told where the exchange is and nothing else, so it also asks for all that its default options make it ask:
margin pairs, futures, the list of coins.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import ccxt
import ccxt.async_support

from tests.clients.scripts.ccxt_faults import Faults
from tests.clients.scripts.scenes import answer, eventually, play, same, venue

BTC, ETH, ETHBTC = "BTC/USDT", "ETH/USDT", "ETH/BTC"


def urls(http: str) -> dict[str, Any]:
    """What points ccxt's `binance` here; it has no other knob for it."""
    return {
        "api": {
            "public": f"{http}/api/v3",
            "private": f"{http}/api/v3",
            "sapi": f"{http}/sapi/v1",
            "fapiPublic": f"{http}/fapi/v1",
            "dapiPublic": f"{http}/dapi/v1",
        }
    }


def free_and_used(balance: Any) -> dict[str, tuple[float, float]]:
    """Of the coins that the demo has."""
    return {coin: (balance[coin]["free"], balance[coin]["used"]) for coin in ("BTC", "ETH", "USDT")}


class Day:
    """The scenes, in the order in which they are played; each begins where the one before it ended."""

    def __init__(self, library: Any) -> None:
        at = venue()
        self.alice, self.bob = (
            library.binance({"apiKey": key, "secret": secret, "urls": urls(at.http)})
            for key, secret in (at.alice, at.bob)
        )
        self.began_ms = time.time_ns() // 1_000_000
        self.rest: Any = None
        self.edited: Any = None

    async def balances_are(self, trader: Any, **expected: tuple[float, float]) -> None:
        """Free and used of each coin, to the last atom."""
        seen = free_and_used(await answer(trader.fetch_balance()))
        same({coin: seen[coin] for coin in expected}, expected)

    async def markets_with_default_options(self) -> None:
        markets = await answer(self.alice.load_markets())
        await answer(self.bob.load_markets())
        same(sorted(markets), [BTC, ETHBTC, ETH])
        btc = markets[BTC]
        same((btc["id"], btc["base"], btc["quote"]), ("BTCUSDT", "BTC", "USDT"))
        assert btc["spot"] is btc["active"] is True
        assert btc["margin"] is False
        same((btc["precision"]["price"], btc["precision"]["amount"]), (0.01, 0.00001))
        same(btc["limits"]["amount"], {"min": 0.00001, "max": 9000.0})
        same(btc["limits"]["cost"]["min"], 5.0)
        # BNFCR is not ours: ccxt knows it by itself.
        same(sorted(set(self.alice.currencies) - {"BNFCR"}), ["BTC", "ETH", "USDT"])
        same([self.alice.currencies[coin]["active"] for coin in ("BTC", "ETH", "USDT")], [True] * 3)

    async def time_and_status(self) -> None:
        assert abs(await answer(self.alice.fetch_time()) - time.time_ns() // 1_000_000) < 60_000
        same((await answer(self.alice.fetch_status()))["status"], "ok")

    async def a_new_venue_is_empty(self) -> None:
        book = await answer(self.bob.fetch_order_book(BTC))
        same((book["bids"], book["asks"]), ([], []))
        same(await answer(self.bob.fetch_trades(BTC)), [])
        same(await answer(self.bob.fetch_ohlcv(BTC)), [])
        same(await answer(self.bob.fetch_open_orders(BTC)), [])
        await self.balances_are(self.alice, BTC=(100, 0), ETH=(2000, 0), USDT=(10_000_000, 0))

    async def limit_order_rests(self) -> None:
        self.rest = order = await answer(self.alice.create_order(BTC, "limit", "sell", 0.5, 60_000))
        same((order["status"], order["type"], order["side"], order["timeInForce"]), ("open", "limit", "sell", "GTC"))
        same((order["amount"], order["filled"], order["remaining"], order["price"]), (0.5, 0, 0.5, 60_000))
        assert order["clientOrderId"].startswith("x-TKT5PX2F")
        same(order["trades"], [])
        await self.balances_are(self.alice, BTC=(99.5, 0.5), USDT=(10_000_000, 0))

        async def asks() -> Any:
            return (await answer(self.bob.fetch_order_book(BTC, 5)))["asks"]

        await eventually(asks, [[60_000, 0.5]])

    async def limit_order_takes_at_the_better_price(self) -> None:
        order = await answer(self.bob.create_order(BTC, "limit", "buy", 0.2, 60_100))
        same((order["status"], order["filled"], order["remaining"]), ("closed", 0.2, 0))
        same((order["price"], order["average"], order["cost"]), (60_100, 60_000, 12_000))
        [fill] = order["trades"]
        same((fill["price"], fill["amount"], fill["cost"]), (60_000, 0.2, 12_000))
        same((fill["fee"]["cost"], fill["fee"]["currency"]), (0.0002, "BTC"))
        same((order["fee"]["cost"], order["fee"]["currency"]), (0.0002, "BTC"))
        await self.balances_are(self.bob, BTC=(100.1998, 0), USDT=(9_988_000, 0))
        await self.balances_are(self.alice, BTC=(99.5, 0.3), USDT=(10_011_988, 0))

    async def market_orders_by_cost_and_by_amount(self) -> None:
        by_cost = await answer(self.bob.create_market_buy_order_with_cost(BTC, 6_000))
        same((by_cost["status"], by_cost["type"]), ("closed", "market"))
        same((by_cost["filled"], by_cost["cost"]), (0.1, 6_000))
        by_price = await answer(self.bob.create_order(BTC, "market", "buy", 0.02, 60_000))
        same((by_price["filled"], by_price["cost"]), (0.02, 1_200))
        by_amount = await answer(self.bob.create_order(BTC, "market", "buy", 0.03))
        same((by_amount["filled"], by_amount["average"], by_amount["cost"]), (0.03, 60_000, 1_800))
        same(by_amount["fee"]["cost"], 0.00003)
        await self.balances_are(self.bob, BTC=(100.34965, 0), USDT=(9_979_000, 0))
        await self.balances_are(self.alice, BTC=(99.5, 0.15), USDT=(10_020_979, 0))

    async def immediate_orders_expire_with_what_is_left(self) -> None:
        whole = await answer(self.bob.create_order(BTC, "limit", "buy", 0.2, 60_000, {"timeInForce": "FOK"}))
        same((whole["status"], whole["filled"], whole["timeInForce"]), ("expired", 0, "FOK"))
        part = await answer(self.bob.create_order(BTC, "limit", "buy", 0.2, 60_000, {"timeInForce": "IOC"}))
        same((part["status"], part["filled"], part["remaining"]), ("expired", 0.15, 0.05))
        sold = await answer(self.alice.fetch_order(self.rest["id"], BTC))
        same((sold["status"], sold["filled"], sold["cost"], sold["average"]), ("closed", 0.5, 30_000, 60_000))
        await self.balances_are(self.bob, BTC=(100.4995, 0), USDT=(9_970_000, 0))
        await self.balances_are(self.alice, BTC=(99.5, 0), USDT=(10_029_970, 0))

    async def post_only_order_is_edited(self) -> None:
        order = await answer(self.bob.create_order(BTC, "limit", "buy", 0.1, 59_000, {"postOnly": True}))
        order = await answer(self.bob.fetch_order(order["id"], BTC))
        same((order["status"], order["postOnly"], order["info"]["type"]), ("open", True, "LIMIT_MAKER"))
        self.edited = edited = await answer(self.bob.edit_order(order["id"], BTC, "limit", "buy", 0.2, 59_500))
        same((edited["status"], edited["amount"], edited["price"]), ("open", 0.2, 59_500))
        assert int(edited["id"]) > int(order["id"])
        same((await answer(self.bob.fetch_order(order["id"], BTC)))["status"], "canceled")
        await self.balances_are(self.bob, BTC=(100.4995, 0), USDT=(9_958_100, 11_900))

    async def edited_order_is_filled_in_part(self) -> None:
        order = await answer(self.alice.create_order(BTC, "limit", "sell", 0.05, 59_500))
        same((order["filled"], order["fee"]["cost"], order["fee"]["currency"]), (0.05, 2.975, "USDT"))
        self.edited = await answer(self.bob.fetch_order(self.edited["id"], BTC))
        same((self.edited["status"], self.edited["filled"], self.edited["remaining"]), ("open", 0.05, 0.15))
        await self.balances_are(self.alice, BTC=(99.45, 0), USDT=(10_032_942.025, 0))
        await self.balances_are(self.bob, BTC=(100.54945, 0), USDT=(9_958_100, 8_925))

    async def orders_are_listed(self) -> None:
        [open_order] = await answer(self.bob.fetch_open_orders(BTC))
        same((open_order["id"], open_order["filled"]), (self.edited["id"], 0.05))
        same(await answer(self.bob.fetch_open_orders(ETH)), [])
        by_client_id = {"clientOrderId": open_order["clientOrderId"]}
        same((await answer(self.bob.fetch_order(None, BTC, by_client_id)))["id"], open_order["id"])
        every = await answer(self.bob.fetch_orders(BTC, self.began_ms))
        same([order["status"] for order in every], ["closed"] * 4 + ["expired"] * 2 + ["canceled", "open"])
        same(len(await answer(self.bob.fetch_closed_orders(BTC))), 4)
        same([order["price"] for order in await answer(self.bob.fetch_canceled_orders(BTC))], [59_000])

    async def own_trades_are_listed(self) -> None:
        trades = await answer(self.bob.fetch_my_trades(BTC))
        same(
            [(trade["amount"], trade["takerOrMaker"], trade["fee"]["cost"]) for trade in trades],
            [
                (0.2, "taker", 0.0002),
                (0.1, "taker", 0.0001),
                (0.02, "taker", 0.00002),
                (0.03, "taker", 0.00003),
                (0.15, "taker", 0.00015),
                (0.05, "maker", 0.00005),
            ],
        )
        same({(trade["fee"]["currency"], trade["side"]) for trade in trades}, {("BTC", "buy")})
        [of_order] = await answer(self.bob.fetch_order_trades(self.edited["id"], BTC))
        same((of_order["id"], of_order["order"]), (trades[-1]["id"], self.edited["id"]))
        sales = await answer(self.alice.fetch_my_trades(BTC, None, 2))
        same([(sale["takerOrMaker"], sale["fee"]["cost"]) for sale in sales], [("maker", 9), ("taker", 2.975)])

    async def market_data_is_what_was_traded(self) -> None:
        trades = await answer(self.alice.fetch_trades(BTC))
        same(
            [(trade["amount"], trade["price"], trade["side"]) for trade in trades],
            [(amount, 60_000, "buy") for amount in (0.2, 0.1, 0.02, 0.03, 0.15)] + [(0.05, 59_500, "sell")],
        )
        same(await answer(self.alice.fetch_trades(BTC, self.began_ms, 3)), trades[:3])
        candles = await answer(self.alice.fetch_ohlcv(BTC, "1m"))
        assert abs(sum(candle[5] for candle in candles) - 0.55) < 1e-9
        same((candles[0][1], candles[-1][4]), (60_000, 59_500))
        day = await answer(self.alice.fetch_ohlcv(BTC, "1M", None, 1))
        same(day[0][1:], [60_000, 60_000, 59_500, 59_500, 0.55])

    async def tickers_are_what_was_traded(self) -> None:
        async def seen() -> Any:
            ticker = await answer(self.alice.fetch_ticker(BTC))
            return [ticker[name] for name in ("bid", "bidVolume", "last", "baseVolume", "quoteVolume")]

        await eventually(seen, [59_500, 0.15, 59_500, 0.55, 32_975])
        ticker = await answer(self.alice.fetch_ticker(BTC))
        same([ticker[name] for name in ("open", "high", "low", "close")], [60_000, 60_000, 59_500, 59_500])
        same((ticker["change"], ticker["info"]["count"]), (-500, 6))
        same(sorted(await answer(self.alice.fetch_tickers())), [BTC, ETHBTC, ETH])
        same(sorted(await answer(self.alice.fetch_tickers([BTC, ETH]))), [BTC, ETH])
        quotes = await answer(self.alice.fetch_bids_asks([BTC]))
        same((quotes[BTC]["bid"], quotes[BTC]["bidVolume"]), (59_500, 0.15))
        same((await answer(self.alice.fetch_last_prices([BTC])))[BTC]["price"], 59_500)
        window = await answer(self.alice.public_get_ticker({"symbol": "BTCUSDT", "windowSize": "1d"}))
        same((window["volume"], window["count"]), ("0.55000000", 6))
        assert float((await answer(self.alice.public_get_avgprice({"symbol": "BTCUSDT"})))["price"]) > 59_500

    async def orders_are_canceled(self) -> None:
        canceled = await answer(self.bob.cancel_order(self.edited["id"], BTC))
        same((canceled["id"], canceled["status"], canceled["filled"]), (self.edited["id"], "canceled", 0.05))
        named = await answer(self.bob.create_order(ETH, "limit", "buy", 1, 2_000, {"clientOrderId": "morning-1"}))
        same(named["clientOrderId"], "morning-1")
        canceled = await answer(self.bob.cancel_order(None, ETH, {"clientOrderId": "morning-1"}))
        same((canceled["id"], canceled["status"]), (named["id"], "canceled"))
        for price in (1_990, 1_980, 1_970):
            await answer(self.bob.create_order(ETH, "limit", "buy", 1, price))
        gone = await answer(self.bob.cancel_all_orders(ETH))
        same(
            [(order["status"], order["price"]) for order in gone],
            [("canceled", price) for price in (1_990, 1_980, 1_970)],
        )
        await self.balances_are(self.bob, BTC=(100.54945, 0), ETH=(2000, 0), USDT=(9_967_025, 0))

    async def test_order_changes_nothing(self) -> None:
        order = await answer(self.alice.create_order(BTC, "limit", "sell", 1, 70_000, {"test": True}))
        assert order["id"] is None
        same(await answer(self.alice.fetch_open_orders(BTC)), [])

    async def fees_are_told(self) -> None:
        fee = await answer(self.alice.fetch_trading_fee(BTC))
        same((fee["maker"], fee["taker"]), (0.001, 0.001))
        fees = await answer(self.alice.fetch_trading_fees())
        same({symbol: fees[symbol]["taker"] for symbol in fees}, {BTC: 0.001, ETHBTC: 0.001, ETH: 0.001})

    async def sessions_are_closed(self) -> None:
        for trader in (self.alice, self.bob):
            await answer(getattr(trader, "close", lambda: None)())


async def main(kind: str) -> None:
    """Play the day."""
    library = {"sync": ccxt, "async": ccxt.async_support}[kind]
    day = Day(library)
    faults = Faults(library, day.alice, urls(venue().http))
    await play(
        day.markets_with_default_options,
        day.time_and_status,
        day.a_new_venue_is_empty,
        day.limit_order_rests,
        day.limit_order_takes_at_the_better_price,
        day.market_orders_by_cost_and_by_amount,
        day.immediate_orders_expire_with_what_is_left,
        day.post_only_order_is_edited,
        day.edited_order_is_filled_in_part,
        day.orders_are_listed,
        day.own_trades_are_listed,
        day.market_data_is_what_was_traded,
        day.tickers_are_what_was_traded,
        day.orders_are_canceled,
        day.test_order_changes_nothing,
        day.fees_are_told,
        *faults.scenes(),
        day.sessions_are_closed,
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
