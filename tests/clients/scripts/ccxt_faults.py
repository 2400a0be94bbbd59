"""What a trader can do wrong, and the exact exception that ccxt makes of our answer. Nothing here changes a balance."""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Callable
from typing import Any

from tests.clients.scripts.scenes import answer, refused, same

BTC = "BTC/USDT"


class Faults:
    """Every scene is one fault; `library` is ccxt or its asynchronous half, whose exceptions are the same classes."""

    def __init__(self, library: Any, trader: Any, urls: dict[str, Any]) -> None:
        self.library = library
        self.trader = trader
        self.urls = urls

    def scenes(self) -> list[Callable[[], Any]]:
        """All of them."""
        return [
            self.fault_insufficient_funds,
            self.fault_price_filter,
            self.fault_lot_size,
            self.fault_notional,
            self.fault_cancel_of_an_unknown_order,
            self.fault_question_for_an_unknown_order,
            self.fault_client_order_id_used_twice,
            self.fault_post_only_order_that_would_take,
            self.fault_unknown_symbol,
            self.fault_wrong_signature,
            self.fault_unknown_key,
            self.fault_malformed_key,
            self.fault_old_timestamp,
            self.fault_edit_of_an_unknown_order,
        ]

    def sell(self, amount: float, at: float, **more: Any) -> Any:
        """A limit sale; `more` goes to the exchange as it is, past what ccxt would round or refuse itself."""
        return self.trader.create_order(BTC, "limit", "sell", amount, at, more)

    async def stranger(self, key: str, secret: str) -> Any:
        """A trader with these credentials who knows the markets."""
        trader = self.library.binance({"apiKey": key, "secret": secret, "urls": self.urls, "enableRateLimit": False})
        trader.set_markets(self.trader.markets)
        return trader

    async def refused_to(self, key: str, secret: str, code: int) -> None:
        """The account is not shown to these credentials."""
        trader = await self.stranger(key, secret)
        error = await refused(self.library.AuthenticationError, trader.fetch_balance)
        assert f'"code":{code}' in str(error), error
        await answer(getattr(trader, "close", lambda: None)())

    async def fault_insufficient_funds(self) -> None:
        error = await refused(self.library.InsufficientFunds, lambda: self.sell(120, 60_000))
        assert "Account has insufficient balance for requested action." in str(error)

    async def fault_price_filter(self) -> None:
        error = await refused(self.library.InvalidOrder, lambda: self.sell(0.01, 60_000, price="60000.001"))
        assert '"code":-1013,"msg":"Filter failure: PRICE_FILTER"' in str(error)

    async def fault_lot_size(self) -> None:
        error = await refused(self.library.InvalidOrder, lambda: self.sell(0.01, 60_000, quantity="0.010001"))
        assert '"code":-1013,"msg":"Filter failure: LOT_SIZE"' in str(error)

    async def fault_notional(self) -> None:
        error = await refused(self.library.BadRequest, lambda: self.sell(0.00008, 60_000))
        assert '"code":-1013,"msg":"Filter failure: NOTIONAL"' in str(error)

    async def fault_cancel_of_an_unknown_order(self) -> None:
        error = await refused(self.library.OrderNotFound, lambda: self.trader.cancel_order("999999999", BTC))
        assert '"code":-2011,"msg":"Unknown order sent."' in str(error)

    async def fault_question_for_an_unknown_order(self) -> None:
        error = await refused(self.library.OrderNotFound, lambda: self.trader.fetch_order("999999999", BTC))
        assert '"code":-2013,"msg":"Order does not exist."' in str(error)

    async def fault_client_order_id_used_twice(self) -> None:
        order = await answer(self.sell(0.01, 80_000, clientOrderId="once"))
        for amount in (0.01, 0.02):
            again = functools.partial(self.sell, amount, 80_000, clientOrderId="once")
            error = await refused(self.library.InvalidOrder, again)
            assert '"code":-2010,"msg":"Duplicate order sent."' in str(error)
        same([open_order["id"] for open_order in await answer(self.trader.fetch_open_orders(BTC))], [order["id"]])
        await answer(self.trader.cancel_order(order["id"], BTC))
        # Unlike Binance, which lets an id be used again once its order is closed.
        await refused(self.library.InvalidOrder, lambda: self.sell(0.01, 80_000, clientOrderId="once"))

    async def fault_post_only_order_that_would_take(self) -> None:
        order = await answer(self.sell(0.01, 80_000))
        buy = self.trader.create_order
        error = await refused(
            self.library.OrderImmediatelyFillable,
            lambda: buy(BTC, "limit", "buy", 0.01, 80_000, {"postOnly": True}),
        )
        assert "Order would immediately match and take." in str(error)
        await answer(self.trader.cancel_order(order["id"], BTC))

    async def fault_unknown_symbol(self) -> None:
        for symbol in ("DOGEUSDT", "btcusdt"):
            ask = functools.partial(self.trader.public_get_depth, {"symbol": symbol})
            error = await refused(self.library.BadSymbol, ask)
            assert '"code":-1121,"msg":"Invalid symbol."' in str(error)

    async def fault_wrong_signature(self) -> None:
        await self.refused_to(self.trader.apiKey, secrets.token_hex(32), -1022)

    async def fault_unknown_key(self) -> None:
        await self.refused_to(secrets.token_hex(32), self.trader.secret, -2015)

    async def fault_malformed_key(self) -> None:
        await self.refused_to("not a key", self.trader.secret, -2014)

    async def fault_old_timestamp(self) -> None:
        minute_ago = time.time_ns() // 1_000_000 - 60_000
        error = await refused(self.library.InvalidNonce, lambda: self.trader.fetch_balance({"timestamp": minute_ago}))
        assert "Timestamp for this request is outside of the recvWindow." in str(error)

    async def fault_edit_of_an_unknown_order(self) -> None:
        error = await refused(
            self.library.ExchangeError,
            lambda: self.trader.edit_order("999999999", BTC, "limit", "sell", 0.01, 80_000),
        )
        assert '"code":-2022' in str(error) and '"code":-2011,"msg":"Unknown order sent."' in str(error)
        same(await answer(self.trader.fetch_open_orders(BTC)), [])
