"""ccxt where a minute has the weight of three deep books: told to wait, then banned, and still able to cancel."""

from __future__ import annotations

import asyncio

import ccxt

from tests.clients.scripts.ccxt_day import urls
from tests.clients.scripts.scenes import play, refused, same, venue

BTC = "BTC/USDT"
DEEP, DEEP_WEIGHT = 5_000, 250


class Limits:
    """The scenes, in the order in which they are played."""

    def __init__(self) -> None:
        at = venue()
        key, secret = at.alice
        # Without its own brake, which would keep ccxt below the limit.
        options = {"apiKey": key, "secret": secret, "urls": urls(at.http), "enableRateLimit": False}
        self.alice = ccxt.binance(options)

    def used_weight(self) -> int:
        """What the last answer said."""
        return int(self.alice.last_response_headers["X-Mbx-Used-Weight-1m"])

    def weight_is_shown(self) -> None:
        self.alice.load_markets()
        before = self.used_weight()
        self.alice.fetch_order_book(BTC, DEEP)
        same(self.used_weight() - before, DEEP_WEIGHT)
        self.alice.create_order(BTC, "limit", "sell", 0.01, 60_000)
        assert int(self.alice.last_response_headers["X-Mbx-Order-Count-10s"]) > 0

    async def too_much_weight_is_refused(self) -> None:
        error = await refused(ccxt.DDoSProtection, self._ask_again)
        assert '"code":-1003' in str(error), error
        assert int(self.alice.last_response_headers["Retry-After"]) <= 60

    async def going_on_is_banned(self) -> None:
        for _ in range(1_000):
            error = await refused(ccxt.DDoSProtection, self._ask_again)
            if "IP banned until" in str(error):
                break
        assert "418" in str(error), error

    def who_is_banned_can_still_cancel(self) -> None:
        same([order["status"] for order in self.alice.cancel_all_orders(BTC)], ["canceled"])

    def _ask_again(self) -> None:
        """More than a minute allows, even if one ends in between."""
        for _ in range(10):
            self.alice.fetch_order_book(BTC, DEEP)


async def main() -> None:
    """Play the day."""
    limits = Limits()
    await play(
        limits.weight_is_shown,
        limits.too_much_weight_is_refused,
        limits.going_on_is_banned,
        limits.who_is_banned_can_still_cancel,
    )


if __name__ == "__main__":
    asyncio.run(main())
