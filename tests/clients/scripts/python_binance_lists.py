"""python-binance places order lists over REST and the WS-API, reads and cancels them, and hears of them.

python -m tests.clients.scripts.python_binance_lists
"""

from __future__ import annotations

import asyncio
from typing import Any

from binance import BinanceSocketManager
from binance.exceptions import BinanceAPIException

from tests.clients.scripts.python_binance_day import fields
from tests.clients.scripts.python_binance_live import Heard
from tests.clients.scripts.python_binance_venue import AT, client
from tests.clients.scripts.scenes import play, refused, same, within

BTC = "BTCUSDT"
PAIR = {
    "quantity": "0.1", "aboveType": "LIMIT_MAKER", "abovePrice": "60000.00",
    "belowType": "STOP_LOSS_LIMIT", "belowPrice": "44000.00", "belowStopPrice": "45000.00", "belowTimeInForce": "GTC",
}  # fmt: skip
FOLLOWED = {
    "workingType": "LIMIT", "workingSide": "BUY", "workingPrice": "50000.00", "workingQuantity": "0.2",
    "workingTimeInForce": "GTC", "pendingSide": "SELL", "pendingQuantity": "0.1",
}  # fmt: skip


class Day:
    """The scenes, in the order in which they are played; alice places the lists."""

    def __init__(self, alice: Any, bob: Any) -> None:
        self.alice = alice
        self.bob = bob
        self.own: Heard

    async def locked(self, asset: str) -> str:
        """What orders of alice's hold of it."""
        return str((await self.alice.get_asset_balance(asset))["locked"])

    async def heard(self, list_id: int) -> list[Any]:
        """What alice hears of a list, and of its orders, until it is done."""
        await self.own.once(lambda message: message.get("L") == "ALL_DONE" and message["g"] == list_id)
        return [message for message in self.own.messages if message.get("g") == list_id]

    async def said(self, placed: Any, legs: list[list[Any]]) -> None:
        """What was answered to a list is what every question tells of it, while all of it is open."""
        reports = placed.pop("orderReports")
        same([fields(report, "side type status origQty") for report in reports], legs)
        same(
            [fields(row, "symbol orderId clientOrderId") for row in reports],
            [[*row.values()] for row in placed["orders"]],
        )
        same({report["orderListId"] for report in reports}, {placed["orderListId"]})
        same(fields(placed, "listStatusType listOrderStatus"), ["EXEC_STARTED", "EXECUTING"])
        alice, list_id = self.alice, placed["orderListId"]
        same(await alice.v3_get_order_list(orderListId=list_id), placed)
        same(await alice.v3_get_order_list(origClientOrderId=placed["listClientOrderId"]), placed)
        same(await alice.get_open_oco_orders(), [placed])
        same((await alice.v3_get_all_order_list())[-1], placed)
        for report in reports:
            seen = await alice.get_order(symbol=BTC, orderId=report["orderId"])
            same(fields(seen, "orderListId status"), [list_id, report["status"]])

    async def oco_is_placed_and_canceled(self) -> None:
        self.own = Heard(await BinanceSocketManager(self.alice).user_socket().__aenter__())
        placed = await self.alice.order_oco_sell(symbol=BTC, **PAIR, listClientOrderId="pair", aboveClientOrderId="up")
        same(fields(placed, "contingencyType listClientOrderId symbol"), ["OCO", "pair", BTC])
        same(placed["orders"][0]["clientOrderId"], "up")
        await self.said(
            placed,
            [["SELL", "LIMIT_MAKER", "NEW", "0.10000000"], ["SELL", "STOP_LOSS_LIMIT", "NEW", "0.10000000"]],
        )
        same(await self.locked("BTC"), "0.10000000")
        canceled = await self.alice.v3_delete_order_list(symbol=BTC, orderListId=placed["orderListId"])
        same(fields(canceled, "listStatusType listOrderStatus orders"), ["ALL_DONE", "ALL_DONE", placed["orders"]])
        same([row["status"] for row in canceled["orderReports"]], ["CANCELED", "CANCELED"])
        same(await self.locked("BTC"), "0.00000000")
        same(await self.alice.get_open_oco_orders(), [])
        del canceled["orderReports"]
        same(await self.alice.v3_get_order_list(origClientOrderId="pair"), canceled)

    async def oco_was_heard_of(self) -> None:
        [placed] = await self.alice.v3_get_all_order_list()
        up, down = (leg["orderId"] for leg in placed["orders"])
        told = await self.heard(placed["orderListId"])
        same([[message["e"], *fields(message, "x X i")] for message in told if "x" in message], [
            ["executionReport", "NEW", "NEW", up], ["executionReport", "NEW", "NEW", down],
            ["executionReport", "CANCELED", "CANCELED", up], ["executionReport", "CANCELED", "CANCELED", down],
        ])  # fmt: skip
        started, done = (message for message in told if message["e"] == "listStatus")
        same(fields(started, "s c l L r C"), [BTC, "OCO", "EXEC_STARTED", "EXECUTING", "NONE", "pair"])
        legs = [{"s": leg["symbol"], "i": leg["orderId"], "c": leg["clientOrderId"]} for leg in placed["orders"]]
        same((started["O"], done["O"]), (legs, legs))
        same(fields(done, "l L T"), ["ALL_DONE", "ALL_DONE", placed["transactionTime"]])

    async def oco_ends_with_the_fill_of_one_leg(self) -> None:
        placed = await self.alice.create_oco_order(symbol=BTC, side="SELL", **PAIR)
        up, down = (leg["orderId"] for leg in placed["orders"])
        bought = await self.bob.order_limit_buy(symbol=BTC, quantity="0.1", price="60000.00")
        same(fields(bought, "status cummulativeQuoteQty"), ["FILLED", "6000.00000000"])
        seen = [await self.alice.get_order(symbol=BTC, orderId=leg) for leg in (up, down)]
        same([row["status"] for row in seen], ["FILLED", "EXPIRED"])
        [trade] = await self.alice.get_my_trades(symbol=BTC)
        same(fields(trade, "orderId orderListId qty isMaker"), [up, placed["orderListId"], "0.10000000", True])
        told = await self.heard(placed["orderListId"])
        ends = [fields(message, "X i eR") for message in told if message.get("x") == "EXPIRED"]
        same(ends, [["EXPIRED", down, "OCO_TRIGGER"]])
        same(await self.locked("BTC"), "0.00000000")

    async def oto_goes_on_when_its_first_order_is_filled(self) -> None:
        pending = {"pendingType": "LIMIT", "pendingPrice": "55000.00", "pendingTimeInForce": "GTC"}
        placed = await self.alice.v3_post_order_list_oto(symbol=BTC, **FOLLOWED, **pending)
        same(placed["contingencyType"], "OTO")
        await self.said(
            dict(placed), [["BUY", "LIMIT", "NEW", "0.20000000"], ["SELL", "LIMIT", "PENDING_NEW", "0.10000000"]]
        )
        working, later = (leg["orderId"] for leg in placed["orders"])
        same((await self.locked("USDT"), await self.locked("BTC")), ("10000.00000000", "0.10000000"))
        await self.bob.order_limit_sell(symbol=BTC, quantity="0.05", price="50000.00")
        same((await self.alice.get_order(symbol=BTC, orderId=later))["status"], "PENDING_NEW")
        await self.bob.order_limit_sell(symbol=BTC, quantity="0.15", price="50000.00")
        seen = [await self.alice.get_order(symbol=BTC, orderId=leg) for leg in (working, later)]
        same([fields(row, "status isWorking") for row in seen], [["FILLED", True], ["NEW", True]])
        [open_list] = await self.alice.v3_get_open_order_list()
        same(open_list["orders"], placed["orders"])
        gone = await self.alice.cancel_order(symbol=BTC, orderId=later)
        same(fields(gone, "orderListId status"), [placed["orderListId"], "CANCELED"])
        done = await self.alice.v3_get_order_list(orderListId=placed["orderListId"])
        same(fields(done, "listStatusType orders"), ["ALL_DONE", placed["orders"]])
        assert [message["X"] for message in await self.heard(placed["orderListId"]) if message.get("i") == later] == [
            *("PENDING_NEW", "NEW", "CANCELED")
        ]

    async def lists_come_through_the_ws_api(self) -> None:
        alice = self.alice
        oco = await alice.ws_create_oco_order(symbol=BTC, side="SELL", **PAIR)
        await self.said(
            dict(oco), [["SELL", "LIMIT_MAKER", "NEW", "0.10000000"], ["SELL", "STOP_LOSS_LIMIT", "NEW", "0.10000000"]]
        )
        await alice.cancel_order(symbol=BTC, orderId=oco["orders"][1]["orderId"])
        pending = {f"pending{name[0].upper()}{name[1:]}": value for name, value in PAIR.items() if name != "quantity"}
        otoco = await alice.ws_create_otoco_order(symbol=BTC, **FOLLOWED, **pending)
        await self.said(
            dict(otoco),
            [
                ["BUY", "LIMIT", "NEW", "0.20000000"],
                ["SELL", "LIMIT_MAKER", "PENDING_NEW", "0.10000000"],
                ["SELL", "STOP_LOSS_LIMIT", "PENDING_NEW", "0.10000000"],
            ],
        )
        await alice.cancel_order(symbol=BTC, orderId=otoco["orders"][0]["orderId"])
        for leg in otoco["orders"]:
            same((await alice.get_order(symbol=BTC, orderId=leg["orderId"]))["status"], "CANCELED")
        same((await self.locked("USDT"), await self.locked("BTC")), ("0.00000000", "0.00000000"))

    async def faults_have_their_codes(self) -> None:
        alice = self.alice
        for code, text, attempt in (
            (-2018, "Order list does not exist.", lambda: alice.v3_get_order_list(orderListId=999_999)),
            (-2010, None, lambda: alice.order_oco_sell(symbol=BTC, **PAIR | {"quantity": "101"})),
            (-2011, None, lambda: alice.v3_delete_order_list(symbol=BTC, orderListId=999_999)),
            (-2010, None, lambda: alice.order_oco_sell(symbol=BTC, **PAIR | {"belowStopPrice": "60001.00"})),
        ):
            error = await refused(BinanceAPIException, attempt)
            same((error.code, error.message if text else None), (code, text))
        same(await alice.get_open_oco_orders(), [])

    async def connections_are_closed(self) -> None:
        self.own.task.cancel()
        await within(self.own.socket.__aexit__(None, None, None))
        for trader in (self.alice, self.bob):
            await within(trader.close_connection())


async def main() -> None:
    """Play the day."""
    day = Day(await client("async", AT.alice), await client("async", AT.bob))
    await play(
        day.oco_is_placed_and_canceled,
        day.oco_was_heard_of,
        day.oco_ends_with_the_fill_of_one_leg,
        day.oto_goes_on_when_its_first_order_is_filled,
        day.lists_come_through_the_ws_api,
        day.faults_have_their_codes,
        day.connections_are_closed,
    )


if __name__ == "__main__":
    asyncio.run(main())
