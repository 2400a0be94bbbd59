"""binance-sdk-spot, Binance's present library: REST, every reply through its strict models."""

from __future__ import annotations

import asyncio
from typing import Any

from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import BadRequestError, UnauthorizedError
from binance_sdk_spot.spot import Spot

from tests.clients.scripts.scenes import eventually, play, refused, same, venue
from tests.clients.scripts.sdk_shapes import Alarm, fits

AT = venue()
BTC, ETH = "BTCUSDT", "ETHUSDT"


def rest(key: str, secret: str) -> Any:
    """The REST half of a client."""
    return Spot(config_rest_api=ConfigurationRestAPI(api_key=key, api_secret=secret, base_path=AT.http)).rest_api


class Day:
    """The scenes, in the order in which they are played."""

    def __init__(self) -> None:
        self.alice = rest(*AT.alice)
        self.bob = rest(*AT.bob)
        self.alarm = Alarm()
        self.sale: Any = None

    def venue_is_described(self) -> None:
        bob = self.bob
        bob.ping()
        assert fits(bob.time()).server_time > 0
        info = fits(bob.exchange_info(), "-rate_limits.count")
        same([row.symbol for row in info.symbols], [BTC, ETH, "ETHBTC"])
        same([row.rate_limit_type for row in info.rate_limits], ["REQUEST_WEIGHT", "ORDERS", "ORDERS", "RAW_REQUESTS"])
        kinds = [row.actual_instance.filter_type for row in info.symbols[0].filters]
        assert {"PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "NOTIONAL", "MAX_NUM_ORDERS"} <= set(kinds)
        same([row.symbol for row in bob.exchange_info(symbols=[ETH]).data().symbols], [ETH])
        same((fits(bob.depth(BTC, 5)).bids, bob.depth(BTC).data().asks), ([], []))

    def orders_are_placed_and_filled(self) -> None:
        self.sale = sale = fits(self.alice.new_order(BTC, "SELL", "LIMIT", "GTC", 0.5, price=60_000.5))
        same((sale.status, sale.price, sale.orig_qty, sale.fills), ("NEW", "60000.50000000", "0.50000000", []))
        bought = fits(self.bob.new_order(BTC, "BUY", "MARKET", quantity=0.2))
        same((bought.status, bought.cummulative_quote_qty), ("FILLED", "12000.10000000"))
        same([(fill.qty, fill.commission) for fill in bought.fills], [("0.20000000", "0.00020000")])
        spent = fits(self.bob.new_order(BTC, "BUY", "MARKET", quote_order_qty=6_000.05))
        same((spent.executed_qty, spent.orig_quote_order_qty), ("0.10000000", "6000.05000000"))
        account = fits(self.bob.get_account(), "+sequence")
        same({row.asset: row.free for row in account.balances}["BTC"], "100.29970000")
        same({row.asset: row.free for row in account.balances}["USDT"], "9981999.85000000")
        limits = {(row.rateLimitType, row.interval, row.intervalNum) for row in self.bob.get_account().rate_limits}
        assert ("REQUEST_WEIGHT", "MINUTE", 1) in limits

    def order_is_changed_and_canceled(self) -> None:
        bob = self.bob
        first = bob.new_order(BTC, "BUY", "LIMIT_MAKER", quantity=0.3, price=50_000.0).data()
        both = fits(
            bob.order_cancel_replace(
                BTC, "BUY", "LIMIT", "STOP_ON_FAILURE", "GTC", 0.4, price=51_000.0, cancel_order_id=first.order_id
            )
        )
        same((both.cancel_result, both.new_order_result), ("SUCCESS", "SUCCESS"))
        order_id = both.new_order_response.order_id
        amended = fits(bob.order_amend_keep_priority(BTC, 0.25, order_id=order_id))
        same((amended.amended_order.qty, amended.amended_order.status), ("0.25000000", "NEW"))
        [change] = fits(bob.order_amendments(BTC, order_id))
        same((change.order_id, change.orig_qty, change.new_qty), (order_id, "0.40000000", "0.25000000"))
        [seen] = fits(bob.get_open_orders(BTC))
        same((seen.order_id, seen.orig_qty), (order_id, "0.25000000"))
        same(fits(bob.get_order(BTC, order_id=order_id)).status, "NEW")
        same([row.status for row in fits(bob.all_orders(BTC))], ["FILLED", "FILLED", "CANCELED", "NEW"])
        same([row.status for row in bob.delete_open_orders(BTC).data()], ["CANCELED"])
        same(self.alice.delete_order(BTC, order_id=self.sale.order_id).data().status, "CANCELED")

    def own_history_is_told(self) -> None:
        mine = fits(self.bob.my_trades(BTC))
        same([(row.qty, row.commission, row.is_maker) for row in mine], [
            ("0.20000000", "0.00020000", False), ("0.10000000", "0.00010000", False),
        ])  # fmt: skip
        same([row.rate_limit_type for row in fits(self.bob.rate_limit_order())], ["ORDERS", "ORDERS"])
        rates = fits(self.bob.account_commission(BTC))
        same((rates.standard_commission.maker, rates.standard_commission.taker), ("0.00100000", "0.00100000"))
        fits(self.bob.my_filters(BTC), "-rate_limits")
        same(self.bob.my_prevented_matches(BTC, order_id=1).data(), [])
        same(self.bob.order_test(BTC, "BUY", "MARKET", quantity=0.2).data().to_dict(), {})

    async def market_data_is_what_was_traded(self) -> None:
        bob = self.bob
        same([row.qty for row in fits(bob.get_trades(BTC))], ["0.20000000", "0.10000000"])
        same([row.qty for row in fits(bob.historical_trades(BTC, from_id=2))], ["0.10000000"])
        same([row.q for row in fits(bob.agg_trades(BTC))], ["0.20000000", "0.10000000"])
        [candle] = bob.klines(BTC, "1M").data()
        same((candle[5], candle[8]), ("0.30000000", 2))
        same(bob.ui_klines(BTC, "1M").data(), [candle])
        same(fits(bob.avg_price(BTC)).price, "60000.50000000")

        def traded() -> Any:
            return bob.ticker24hr(BTC).data().actual_instance.volume

        await eventually(traded, "0.30000000")
        same(len(fits(bob.ticker24hr()).actual_instance), 3)
        same(fits(bob.ticker_price(BTC)).actual_instance.price, "60000.50000000")
        same([row.symbol for row in fits(bob.ticker_book_ticker(symbols=[BTC, ETH])).actual_instance], [BTC, ETH])
        same(fits(bob.ticker(BTC, window_size="4h")).actual_instance.count, 2)

    async def faults_have_their_codes(self) -> None:
        for kind, code, attempt in (
            (BadRequestError, -1121, lambda: self.bob.depth("DOGEUSDT")),
            (BadRequestError, -1013, lambda: self.bob.new_order(BTC, "BUY", "LIMIT", "GTC", 1, price=1.001)),
            (BadRequestError, -2010, lambda: self.bob.new_order(BTC, "SELL", "LIMIT", "GTC", 140, price=60_000)),
            (BadRequestError, -2011, lambda: self.bob.delete_order(BTC, order_id=999_999)),
            (BadRequestError, -2013, lambda: self.bob.get_order(BTC, order_id=999_999)),
            (BadRequestError, -1022, lambda: rest(AT.bob[0], AT.alice[1]).get_account()),
            (UnauthorizedError, -2015, lambda: rest("x" * 64, AT.alice[1]).get_account()),
        ):
            error = await refused(kind, attempt)
            same(error.status_code, code)

    def every_reply_fitted_its_model(self) -> None:
        same(self.alarm.misfits, [])


async def main() -> None:
    """Play the day."""
    day = Day()
    await play(
        day.venue_is_described,
        day.orders_are_placed_and_filled,
        day.order_is_changed_and_canceled,
        day.own_history_is_told,
        day.market_data_is_what_was_traded,
        day.faults_have_their_codes,
        day.every_reply_fitted_its_model,
    )


if __name__ == "__main__":
    asyncio.run(main())
