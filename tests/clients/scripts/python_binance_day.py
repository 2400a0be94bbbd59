"""python-binance over REST: a day of two traders with `Client` or with `AsyncClient`.

python -m tests.clients.scripts.python_binance_day sync|async
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from typing import Any

from binance.exceptions import BinanceAPIException

from tests.clients.scripts.python_binance_venue import AT, client
from tests.clients.scripts.scenes import answer, eventually, play, refused, same

BTC, ETH = "BTCUSDT", "ETHUSDT"


def fields(row: Any, names: str) -> list[Any]:
    """These of its fields, in this order."""
    return [row[name] for name in names.split()]


class Day:
    """The scenes, in the order in which they are played."""

    def __init__(self, alice: Any, bob: Any) -> None:
        self.alice = alice
        self.bob = bob
        self.sale: Any = None
        self.replaced: Any = None

    async def balances_are(self, trader: Any, **expected: tuple[str, str]) -> None:
        """Free and locked of each coin, as the texts that the exchange writes."""
        rows = (await answer(trader.get_account()))["balances"]
        seen = {row["asset"]: (row["free"], row["locked"]) for row in rows}
        same({coin: seen[coin] for coin in expected}, expected)

    async def venue_is_described(self) -> None:
        same(await answer(self.alice.ping()), {})
        assert abs((await answer(self.alice.get_server_time()))["serverTime"] - time.time_ns() // 1_000_000) < 60_000
        info = await answer(self.alice.get_exchange_info())
        same([symbol["symbol"] for symbol in info["symbols"]], [BTC, ETH, "ETHBTC"])
        limits = {
            (row["rateLimitType"], row["interval"], row["intervalNum"]): row["limit"] for row in info["rateLimits"]
        }
        same(limits["REQUEST_WEIGHT", "MINUTE", 1], 6_000)
        same(limits["RAW_REQUESTS", "MINUTE", 5], 300_000)
        assert {("ORDERS", "SECOND", 10), ("ORDERS", "DAY", 1)} <= limits.keys()
        symbol = await answer(self.alice.get_symbol_info(BTC))
        same(fields(symbol, "status baseAsset quoteAsset"), ["TRADING", "BTC", "USDT"])
        same((symbol["permissionSets"], symbol["isSpotTradingAllowed"]), ([["SPOT"]], True))
        filters = {row["filterType"]: row for row in symbol["filters"]}
        same(filters["PRICE_FILTER"]["tickSize"], "0.01000000")
        same(filters["LOT_SIZE"]["stepSize"], "0.00001000")
        same(filters["NOTIONAL"]["minNotional"], "5.00000000")
        same((await answer(self.alice.get_system_status()))["status"], 0)

    async def orders_are_placed_and_filled(self) -> None:
        self.sale = sale = await answer(self.alice.order_limit_sell(symbol=BTC, quantity="0.50000", price="60000.00"))
        same(fields(sale, "symbol status side type"), [BTC, "NEW", "SELL", "LIMIT"])
        assert sale["clientOrderId"].startswith("x-HNA2TXFJ")
        taken = await answer(self.bob.order_limit_buy(symbol=BTC, quantity=0.2, price=60_100))
        same(fields(taken, "status executedQty"), ["FILLED", "0.20000000"])
        same(taken["cummulativeQuoteQty"], "12000.00000000")
        [fill] = taken["fills"]
        same(fields(fill, "price qty"), ["60000.00000000", "0.20000000"])
        same(fields(fill, "commission commissionAsset"), ["0.00020000", "BTC"])
        spent = await answer(self.bob.order_market_buy(symbol=BTC, quoteOrderQty=6_000))
        same(fields(spent, "status executedQty origQuoteOrderQty"), ["FILLED", "0.10000000", "6000.00000000"])
        await self.balances_are(self.bob, BTC=("100.29970000", "0.00000000"), USDT=("9982000.00000000", "0.00000000"))
        await self.balances_are(self.alice, BTC=("99.50000000", "0.20000000"), USDT=("10017982.00000000", "0.00000000"))
        same((await answer(self.bob.get_asset_balance(asset="BTC")))["free"], "100.29970000")

    async def answers_come_in_three_lengths(self) -> None:
        order = {"symbol": BTC, "side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.01", "price": "50000"}
        lengths = {}
        for kind in ("ACK", "RESULT", "FULL"):
            made = await answer(self.bob.create_order(**order, newOrderRespType=kind))
            lengths[kind] = ("price" in made, "fills" in made)
            canceled = await answer(self.bob.cancel_order(symbol=BTC, origClientOrderId=made["clientOrderId"]))
            same(fields(canceled, "orderId status"), [made["orderId"], "CANCELED"])
            same(canceled["origClientOrderId"], made["clientOrderId"])
            assert canceled["clientOrderId"] != made["clientOrderId"]
        same(lengths, {"ACK": (False, False), "RESULT": (True, False), "FULL": (True, True)})
        same(await answer(self.bob.create_test_order(**order)), {})

    async def order_is_replaced(self) -> None:
        first = await answer(self.bob.order_limit_buy(symbol=BTC, quantity="0.1", price="55000"))
        both = await answer(
            self.bob.cancel_replace_order(
                symbol=BTC,
                side="BUY",
                type="LIMIT",
                timeInForce="GTC",
                cancelReplaceMode="STOP_ON_FAILURE",
                cancelOrderId=first["orderId"],
                quantity="0.2",
                price="56000",
            )
        )
        same(fields(both, "cancelResult newOrderResult"), ["SUCCESS", "SUCCESS"])
        same(fields(both["cancelResponse"], "orderId status"), [first["orderId"], "CANCELED"])
        self.replaced = both["newOrderResponse"]
        same(fields(self.replaced, "status origQty price"), ["NEW", "0.20000000", "56000.00000000"])
        await self.balances_are(self.bob, USDT=("9970800.00000000", "11200.00000000"))

    async def orders_and_trades_are_listed(self) -> None:
        [open_order] = await answer(self.bob.get_open_orders())
        same(open_order["orderId"], self.replaced["orderId"])
        seen = await answer(self.alice.get_order(symbol=BTC, orderId=self.sale["orderId"]))
        same(fields(seen, "status executedQty"), ["PARTIALLY_FILLED", "0.30000000"])
        every = await answer(self.bob.get_all_orders(symbol=BTC))
        same([order["status"] for order in every], ["FILLED", "FILLED", *["CANCELED"] * 4, "NEW"])
        trades = await answer(self.bob.get_my_trades(symbol=BTC))
        same([fields(trade, "qty commission isBuyer isMaker") for trade in trades], [
            ["0.20000000", "0.00020000", True, False],
            ["0.10000000", "0.00010000", True, False],
        ])  # fmt: skip
        sales = await answer(self.alice.get_my_trades(symbol=BTC, orderId=self.sale["orderId"]))
        same([sale["id"] for sale in sales], [trade["id"] for trade in trades])
        counts = await answer(self.bob.get_current_order_count())
        same({row["rateLimitType"] for row in counts}, {"ORDERS"})
        same(await answer(self.bob.get_prevented_matches(symbol=BTC, preventedMatchId=1)), [])

    async def market_data_is_what_was_traded(self) -> None:
        trades = await answer(self.bob.get_recent_trades(symbol=BTC))
        same([fields(trade, "price qty isBuyerMaker") for trade in trades], [
            ["60000.00000000", "0.20000000", False],
            ["60000.00000000", "0.10000000", False],
        ])  # fmt: skip
        same(await answer(self.bob.get_historical_trades(symbol=BTC, fromId=trades[1]["id"])), trades[1:])
        folded: Any = self.bob.aggregate_trade_iter(symbol=BTC)
        listed: list[Any] = [row async for row in folded] if inspect.isasyncgen(folded) else list(folded)
        same([row["q"] for row in listed], ["0.20000000", "0.10000000"])
        [candle] = await answer(self.bob.get_klines(symbol=BTC, interval="1M"))
        same((candle[1:6], candle[7:11]), (
            ["60000.00000000"] * 4 + ["0.30000000"],
            ["18000.00000000", 2, "0.30000000", "18000.00000000"],
        ))  # fmt: skip
        same(await answer(self.bob.get_ui_klines(symbol=BTC, interval="1M")), [candle])
        past = await answer(self.bob.get_historical_klines(BTC, "1m", "1 hour ago UTC"))
        same(sum(row[8] for row in past), 2)

    async def tickers_are_what_was_traded(self) -> None:
        async def seen() -> Any:
            return fields(await answer(self.bob.get_ticker(symbol=BTC)), "count bidPrice askPrice askQty volume")

        await eventually(seen, [2, "56000.00000000", "60000.00000000", "0.20000000", "0.30000000"])
        same(len(await answer(self.bob.get_ticker())), 3)
        same((await answer(self.bob.get_symbol_ticker(symbol=BTC)))["price"], "60000.00000000")
        same(len(await answer(self.bob.get_all_tickers())), 3)
        quote = await answer(self.bob.get_orderbook_ticker(symbol=BTC))
        same(fields(quote, "bidPrice bidQty"), ["56000.00000000", "0.20000000"])
        window = await answer(self.bob.get_symbol_ticker_window(symbol=BTC, windowSize="4h"))
        same(fields(window, "openPrice highPrice volume count"), ["60000.00000000"] * 2 + ["0.30000000", 2])
        same((await answer(self.bob.get_avg_price(symbol=BTC)))["price"], "60000.00000000")
        book = await answer(self.bob.get_order_book(symbol=BTC, limit=5))
        same((book["bids"], book["asks"]), (
            [["56000.00000000", "0.20000000"]],
            [["60000.00000000", "0.20000000"]],
        ))  # fmt: skip

    async def account_is_described(self) -> None:
        account = await answer(self.bob.get_account())
        same(fields(account, "canTrade accountType permissions"), [True, "SPOT", ["SPOT"]])
        same(account["commissionRates"]["taker"], "0.00100000")
        [fee] = await answer(self.bob.get_trade_fee(symbol=BTC))
        same([float(rate) for rate in fields(fee, "makerCommission takerCommission")], [0.001, 0.001])
        same((await answer(self.bob.get_account_status()))["data"], "Normal")
        same((await answer(self.bob.get_account_api_permissions()))["enableSpotAndMarginTrading"], True)
        coins = await answer(self.bob.get_all_coins_info())
        same(sorted(coin["coin"] for coin in coins), ["BTC", "ETH", "USDT"])

    async def listen_key_lives_and_dies(self) -> None:
        key = await answer(self.bob.stream_get_listen_key())
        same(await answer(self.bob.stream_get_listen_key()), key)
        same(await answer(self.bob.stream_keepalive(key)), {})
        same(await answer(self.bob.stream_close(key)), {})
        await self.refused_with(-1125, 400, lambda: self.bob.stream_keepalive(key))

    async def refused_with(self, code: int, status: int, attempt: Any) -> None:
        """python-binance raises one class for everything and keeps code and status in it."""
        error = await refused(BinanceAPIException, attempt)
        same((error.code, error.status_code), (code, status))

    async def faults_have_their_codes(self) -> None:
        bob = self.bob
        await self.refused_with(-1121, 400, lambda: bob.get_order_book(symbol="DOGEUSDT"))
        await self.refused_with(-1013, 400, lambda: bob.order_limit_buy(symbol=BTC, quantity="1", price="1.001"))
        await self.refused_with(-2010, 400, lambda: bob.order_market_sell(symbol=BTC, quantity="140"))
        await self.refused_with(-2011, 400, lambda: bob.cancel_order(symbol=BTC, orderId=999_999))
        await self.refused_with(-2013, 400, lambda: bob.get_order(symbol=BTC, orderId=999_999))
        await self.refused_with(-1102, 400, lambda: bob.create_order(symbol=BTC, side="BUY", type="LIMIT"))
        await self.refused_with(-1116, 400, lambda: bob.create_order(symbol=BTC, side="BUY", type="GUESS", quantity=1))
        bob.timestamp_offset -= 60_000
        await self.refused_with(-1021, 400, bob.get_account)
        bob.timestamp_offset += 60_000

    async def everything_is_canceled(self) -> None:
        [gone] = await answer(self.bob.cancel_all_open_orders(symbol=BTC))
        same(fields(gone, "orderId status"), [self.replaced["orderId"], "CANCELED"])
        await answer(self.alice.cancel_order(symbol=BTC, orderId=self.sale["orderId"]))
        await self.balances_are(self.bob, BTC=("100.29970000", "0.00000000"), USDT=("9982000.00000000", "0.00000000"))
        await self.balances_are(self.alice, BTC=("99.70000000", "0.00000000"), USDT=("10017982.00000000", "0.00000000"))
        for trader in (self.alice, self.bob):
            await answer(trader.close_connection())


async def main(kind: str) -> None:
    """Play the day."""
    day = Day(await client(kind, AT.alice), await client(kind, AT.bob))
    await play(
        day.venue_is_described,
        day.orders_are_placed_and_filled,
        day.answers_come_in_three_lengths,
        day.order_is_replaced,
        day.orders_and_trades_are_listed,
        day.market_data_is_what_was_traded,
        day.tickers_are_what_was_traded,
        day.account_is_described,
        day.listen_key_lives_and_dies,
        day.faults_have_their_codes,
        day.everything_is_canceled,
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
