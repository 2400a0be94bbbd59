"""binance-sdk-spot places an OTOCO, an OPO and an OCO, reads and cancels them, every reply through its strict models.

python -m tests.clients.scripts.sdk_lists
"""

from __future__ import annotations

import asyncio
from typing import Any

from binance_common.errors import BadRequestError

from tests.clients.scripts.scenes import play, refused, same, venue
from tests.clients.scripts.sdk_day import rest
from tests.clients.scripts.sdk_shapes import Alarm, fits

AT = venue()
BTC = "BTCUSDT"


class Day:
    """The scenes, in the order in which they are played; bob places the lists."""

    def __init__(self) -> None:
        self.alice = rest(*AT.alice)
        self.bob = rest(*AT.bob)
        self.alarm = Alarm()
        self.done: list[int] = []

    def balances(self) -> tuple[tuple[str, str], ...]:
        """Free and locked of bob's BTC and USDT."""
        rows = {row.asset: (row.free, row.locked) for row in self.bob.get_account().data().balances}
        return rows["BTC"], rows["USDT"]

    def statuses(self, placed: Any) -> list[str]:
        """How the orders of a list stand, each of which names it."""
        found = [self.bob.get_order(BTC, order_id=leg.order_id).data() for leg in placed.orders]
        same({order.order_list_id for order in found}, {placed.order_list_id})
        return [order.status for order in found]

    def is_read(self, placed: Any, is_done: bool) -> None:
        """A list as every question shows it."""
        told = ("ALL_DONE", "ALL_DONE") if is_done else ("EXEC_STARTED", "EXECUTING")
        by_id = fits(self.bob.get_order_list(order_list_id=placed.order_list_id))
        by_name = fits(self.bob.get_order_list(orig_client_order_id=placed.list_client_order_id))
        newest = fits(self.bob.all_order_list(limit=1))[-1]
        for seen in (by_id, by_name, newest):
            same((seen.order_list_id, seen.contingency_type, seen.symbol), (placed.order_list_id, "OTO", BTC))
            same((seen.list_status_type, seen.list_order_status), told)
            same([leg.order_id for leg in seen.orders], [leg.order_id for leg in placed.orders])
        same(
            [row.order_list_id for row in self.bob.open_order_list().data()], [] if is_done else [placed.order_list_id]
        )

    def otoco_is_placed_and_brings_its_pair(self) -> None:
        placed = fits(
            self.bob.order_list_otoco(
                *(BTC, "LIMIT", "BUY", 50_000.0, 0.2, "SELL", 0.2, "LIMIT_MAKER"),
                list_client_order_id="otoco",
                working_time_in_force="GTC",
                pending_above_price=60_000.0,
                pending_below_type="STOP_LOSS",
                pending_below_stop_price=45_000.0,
            )
        )
        same((placed.contingency_type, placed.list_client_order_id), ("OTO", "otoco"))
        reports = [(row.side, row.type, row.status, row.orig_qty) for row in placed.order_reports]
        same(reports, [
            ("BUY", "LIMIT", "NEW", "0.20000000"),
            ("SELL", "LIMIT_MAKER", "PENDING_NEW", "0.20000000"),
            ("SELL", "STOP_LOSS", "PENDING_NEW", "0.20000000"),
        ])  # fmt: skip
        self.is_read(placed, is_done=False)
        sold = self.alice.new_order(BTC, "SELL", "LIMIT", "GTC", 0.2, price=50_000.0).data()
        same(sold.status, "FILLED")
        same(self.statuses(placed), ["FILLED", "NEW", "NEW"])
        same(self.balances(), (("99.99980000", "0.20000000"), ("9990000.00000000", "0.00000000")))
        bought = self.alice.new_order(BTC, "BUY", "LIMIT", "GTC", 0.2, price=60_000.0).data()
        same(bought.status, "FILLED")
        same(self.statuses(placed), ["FILLED", "FILLED", "EXPIRED"])
        self.is_read(placed, is_done=True)
        mine = fits(self.bob.my_trades(BTC))
        same([(row.order_list_id, row.qty) for row in mine], [(placed.order_list_id, "0.20000000")] * 2)
        same(self.balances(), (("99.99980000", "0.00000000"), ("10001988.00000000", "0.00000000")))

    def opo_sells_what_it_bought(self) -> None:
        placed = fits(
            self.bob.order_list_opo(
                *(BTC, "LIMIT", "BUY", 50_000.0, 0.1, "LIMIT", "SELL"),
                working_time_in_force="GTC",
                pending_price=55_000.0,
                pending_time_in_force="GTC",
            )
        )
        same([(row.side, row.status) for row in placed.order_reports], [("BUY", "NEW"), ("SELL", "PENDING_NEW")])
        self.is_read(placed, is_done=False)
        same(self.alice.new_order(BTC, "SELL", "LIMIT", "GTC", 0.1, price=50_000.0).data().status, "FILLED")
        # 0.1 less the commission of 0.1 %.
        later = fits(self.bob.get_order(BTC, order_id=placed.orders[1].order_id))
        same((later.status, later.orig_qty, later.price), ("NEW", "0.09990000", "55000.00000000"))
        same(self.balances()[0], ("99.99980000", "0.09990000"))
        self.is_read(placed, is_done=False)
        # Binance tells it of every canceled order, and of a leg too; only this model leaves it out.
        odd = "+order_reports.selfTradePreventionMode"
        canceled = fits(self.bob.delete_order_list(BTC, order_list_id=placed.order_list_id), odd)
        same((canceled.list_status_type, canceled.list_order_status), ("ALL_DONE", "ALL_DONE"))
        same([(row.order_id, row.status) for row in canceled.order_reports], [(later.order_id, "CANCELED")])
        self.is_read(placed, is_done=True)
        same(self.balances()[0], ("100.09970000", "0.00000000"))

    def cancel_of_all_tells_of_the_list(self) -> None:
        placed = fits(
            self.bob.order_list_oco(
                *(BTC, "SELL", 0.1, "LIMIT_MAKER", "STOP_LOSS"), above_price=70_000.0, below_stop_price=40_000.0
            )
        )
        told = self.bob.delete_open_orders(BTC).data()
        # The model knows orders only, so of a list it keeps what orders have too.
        same([(row.order_list_id, row.order_id, row.symbol) for row in told], [(placed.order_list_id, None, BTC)])
        same(self.statuses(placed), ["CANCELED", "CANCELED"])

    def lists_are_paged(self) -> None:
        rows = fits(self.bob.all_order_list())
        same([(row.order_list_id, row.contingency_type) for row in rows], [(1, "OTO"), (2, "OTO"), (3, "OCO")])
        same([row.order_list_id for row in self.bob.all_order_list(from_id=2).data()], [2, 3])

    async def faults_have_their_codes(self) -> None:
        for code, attempt in (
            (-2018, lambda: self.bob.get_order_list(order_list_id=999_999)),
            (-2018, lambda: self.alice.get_order_list(order_list_id=1)),
            (-2011, lambda: self.bob.delete_order_list(BTC, order_list_id=1)),
        ):
            same((await refused(BadRequestError, attempt)).status_code, code)

    def every_reply_fitted_its_model(self) -> None:
        same(self.alarm.misfits, [])


async def main() -> None:
    """Play the day."""
    day = Day()
    await play(
        day.otoco_is_placed_and_brings_its_pair,
        day.opo_sells_what_it_bought,
        day.cancel_of_all_tells_of_the_list,
        day.lists_are_paged,
        day.faults_have_their_codes,
        day.every_reply_fitted_its_model,
    )


if __name__ == "__main__":
    asyncio.run(main())
