"""ccxt places orders that wait, follow and hide: stops, take profits, trailing stops and icebergs, by unified names.

python -m tests.clients.scripts.ccxt_waiting sync|async
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import ccxt
import ccxt.async_support

from tests.clients.scripts.ccxt_day import free_and_used, urls
from tests.clients.scripts.scenes import answer, eventually, play, refused, same, venue

BTC = "BTC/USDT"


class Day:
    """The scenes, in the order in which they are played; each begins where the one before it ended."""

    def __init__(self, library: Any) -> None:
        at = venue()
        self.alice, self.bob = (
            library.binance({"apiKey": key, "secret": secret, "urls": urls(at.http)})
            for key, secret in (at.alice, at.bob)
        )

    async def trade(self, price: float) -> None:
        """The last price is this: bob buys a little from alice."""
        await answer(self.alice.create_order(BTC, "limit", "sell", 0.001, price))
        same((await answer(self.bob.create_order(BTC, "limit", "buy", 0.001, price)))["status"], "closed")

    async def seen(self, order: Any) -> Any:
        """An order of alice's as it stands."""
        return await answer(self.alice.fetch_order(order["id"], BTC))

    async def waiting(self, order: Any, order_type: str, trigger: float, price: float | None) -> None:
        """An order of alice's is open, at work nowhere, and among her open ones."""
        one = await self.seen(order)
        same((one["status"], one["info"]["type"], one["triggerPrice"]), ("open", order_type, trigger))
        same((one["price"], one["filled"], one["info"]["isWorking"]), (price, 0, False))
        same([row["id"] for row in await answer(self.alice.fetch_open_orders(BTC))], [order["id"]])

    async def canceled(self, order: Any) -> None:
        """Alice cancels it, and nothing is locked afterwards."""
        same((await answer(self.alice.cancel_order(order["id"], BTC)))["status"], "canceled")
        same((await self.seen(order))["status"], "canceled")
        same(await answer(self.alice.fetch_open_orders(BTC)), [])
        same(free_and_used(await answer(self.alice.fetch_balance()))["BTC"][1], 0)

    async def stop_loss_triggers_at_the_market(self) -> None:
        await self.trade(50_000)
        stop = await answer(self.alice.create_order(BTC, "market", "sell", 0.02, None, {"stopLossPrice": 49_000}))
        await self.waiting(stop, "STOP_LOSS", 49_000, None)
        same(free_and_used(await answer(self.alice.fetch_balance()))["BTC"], (99.979, 0.02))
        await answer(self.bob.create_order(BTC, "limit", "buy", 0.05, 48_900))
        same((await self.seen(stop))["status"], "open")
        await self.trade(49_000)
        sold = await self.seen(stop)
        same((sold["status"], sold["filled"], sold["cost"], sold["average"]), ("closed", 0.02, 978, 48_900))
        [fill] = await answer(self.alice.fetch_my_trades(BTC, None, None, {"orderId": stop["id"]}))
        same((fill["price"], fill["amount"], fill["takerOrMaker"]), (48_900, 0.02, "taker"))
        same((fill["fee"]["cost"], fill["fee"]["currency"]), (0.978, "USDT"))
        await answer(self.bob.cancel_all_orders(BTC))

    async def stop_limit_triggers_and_rests(self) -> None:
        params = {"triggerPrice": 48_000}
        stop = await answer(self.alice.create_order(BTC, "limit", "sell", 0.02, 48_500, params))
        await self.waiting(stop, "STOP_LOSS_LIMIT", 48_000, 48_500)
        same((await answer(self.bob.fetch_order_book(BTC)))["asks"], [])
        await self.trade(48_000)
        one = await self.seen(stop)
        same((one["status"], one["filled"], one["info"]["isWorking"]), ("open", 0, True))
        bought = await answer(self.bob.create_order(BTC, "limit", "buy", 0.02, 48_500))
        same((bought["status"], bought["average"]), ("closed", 48_500))
        same((await self.seen(stop))["status"], "closed")

    async def take_profits_wait_and_are_canceled(self) -> None:
        for kind, price, order_type in (("market", None, "TAKE_PROFIT"), ("limit", 55_000, "TAKE_PROFIT_LIMIT")):
            params = {"takeProfitPrice": 54_000}
            order = await answer(self.alice.create_order(BTC, kind, "sell", 0.02, price, params))
            await self.waiting(order, order_type, 54_000, price)
            same((await self.seen(order))["takeProfitPrice"], 54_000)
            await self.canceled(order)
        error = await refused(
            ccxt.OrderImmediatelyFillable,
            lambda: self.alice.create_order(BTC, "market", "sell", 0.02, None, {"takeProfitPrice": 40_000}),
        )
        assert "Order would trigger immediately." in str(error)

    async def trailing_stop_follows_the_price(self) -> None:
        await self.trade(50_000)
        params = {"trailingPercent": 1, "stopLossOrTakeProfit": "stopLoss"}
        order = await answer(self.alice.create_order(BTC, "market", "sell", 0.01, None, params))
        one = await self.seen(order)
        same((one["status"], one["info"]["type"], one["info"]["trailingDelta"]), ("open", "STOP_LOSS", 100))
        await self.trade(51_000)
        await answer(self.bob.create_order(BTC, "limit", "buy", 0.1, 50_000))
        for price, status in ((50_491, "open"), (50_490, "closed")):  # 1 % below 51,000 is 50,490
            await self.trade(price)
            same((await self.seen(order))["status"], status)
        sold = await self.seen(order)
        same((sold["filled"], sold["cost"]), (0.01, 500))
        await answer(self.bob.cancel_all_orders(BTC))

    async def trailing_stop_that_begins_later_is_canceled(self) -> None:
        params = {"trailingPercent": 2.5, "trailingTriggerPrice": 45_000, "stopLossOrTakeProfit": "stopLoss"}
        order = await answer(self.alice.create_order(BTC, "limit", "sell", 0.01, 44_000, params))
        await self.waiting(order, "STOP_LOSS_LIMIT", 45_000, 44_000)
        same((await self.seen(order))["info"]["trailingDelta"], 250)
        await self.canceled(order)

    async def iceberg_shows_a_part_at_a_time(self) -> None:
        params = {"icebergAmount": 0.02}
        order = await answer(self.alice.create_order(BTC, "limit", "sell", 0.1, 60_000, params))
        same((order["status"], order["amount"], order["info"]["icebergQty"]), ("open", 0.1, "0.02000000"))

        async def asks() -> Any:
            return (await answer(self.bob.fetch_order_book(BTC)))["asks"]

        await eventually(asks, [[60_000, 0.02]])
        bought = await answer(self.bob.create_order(BTC, "limit", "buy", 0.05, 60_000))
        same((bought["status"], bought["filled"]), ("closed", 0.05))
        same([fill["amount"] for fill in bought["trades"]], [0.02, 0.02, 0.01])
        await eventually(asks, [[60_000, 0.01]])
        one = await self.seen(order)
        same((one["filled"], one["remaining"]), (0.05, 0.05))
        await self.canceled(order)

    async def connections_are_closed(self) -> None:
        for trader in (self.alice, self.bob):
            if hasattr(trader, "close") and asyncio.iscoroutinefunction(trader.close):
                await trader.close()


async def main(kind: str) -> None:
    """Play the day."""
    day = Day(ccxt if kind == "sync" else ccxt.async_support)
    await play(
        day.stop_loss_triggers_at_the_market,
        day.stop_limit_triggers_and_rests,
        day.take_profits_wait_and_are_canceled,
        day.trailing_stop_follows_the_price,
        day.trailing_stop_that_begins_later_is_canceled,
        day.iceberg_shows_a_part_at_a_time,
        day.connections_are_closed,
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
