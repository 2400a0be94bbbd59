"""binance-sdk-spot over sockets: streams, own events and orders, and a session that an Ed25519 key logs on."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
import urllib.request
from typing import Any

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_spot.spot import Spot
from Crypto.PublicKey import ECC

from tests.clients.scripts.scenes import first, play, same, venue
from tests.clients.scripts.sdk_day import rest
from tests.clients.scripts.sdk_shapes import Alarm, fits, fits_model

AT = venue()
BTC, ETH = "BTCUSDT", "ETHUSDT"
_RELEVANT_LATER = tuple(
    f"-{name}" for name in ("A", "B", "Cs", "D", "J", "U", "a", "b", "d", "eR", "gP", "g_ot", "g_ov", "gp", "j")
) + tuple(f"-{name}" for name in ("k", "pL", "pY", "pl", "u", "uS", "v"))
"""Fields of an executionReport that Binance shows only with trailing stops, lists, pegs, prevention and the like."""


def api(**credentials: Any) -> Any:
    """The WS-API half of a client."""
    settings = ConfigurationWebSocketAPI(stream_url=f"{AT.ws}/ws-api/v3", **credentials)
    return Spot(config_ws_api=settings).websocket_api


_OF_A_LIST = tuple(
    f"-result.{name}"
    for name in (
        *("contingency_type", "list_client_order_id", "list_order_status", "list_status_type"),
        *("order_reports", "orders", "transaction_time"),
    )
)
"""Fields of a canceled order list, for which the library has the same model as for a canceled order."""


def post(path: str, token: str = "", **form: str) -> Any:
    """A form to an endpoint of people."""
    request = urllib.request.Request(AT.http + path, urllib.parse.urlencode(form).encode())
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def person_with_ed25519_key() -> dict[str, str]:
    """A new person's API key: the exchange knows the public half only."""
    who = {"email": "dora@example.com", "password": "a stone in the river"}
    post("/v1/user/register", **who)
    token = post("/v1/user/login", **who)["token"]
    key = ECC.generate(curve="ed25519")
    public = key.public_key().export_key(format="PEM").replace("\n", "")
    made = post(
        "/v1/user/keys",
        token,
        password=who["password"],
        permissions="read,trade",
        label="session",
        publicKey=public,
    )
    return {"api_key": made["apiKey"], "private_key": key.export_key(format="PEM")}


class Live:
    """The scenes, in the order in which they are played."""

    def __init__(self) -> None:
        self.alarm = Alarm()
        self.alice = rest(*AT.alice)
        self.bob = rest(*AT.bob)
        self.api = api(api_key=AT.bob[0], api_secret=AT.bob[1])

    async def streams_fit_their_models(self) -> None:
        settings = ConfigurationWebSocketStreams(stream_url=f"{AT.ws}/stream")
        streams = Spot(config_ws_streams=settings).websocket_streams
        await streams.create_connection()
        heard: dict[str, list[Any]] = {}
        for name, handle in {
            "trade": await streams.trade(ETH.lower()),
            "aggTrade": await streams.agg_trade(ETH.lower()),
            "kline": await streams.kline(ETH.lower(), "1M"),
            "bookTicker": await streams.book_ticker(ETH.lower()),
            "diff": await streams.diff_book_depth(ETH.lower(), update_speed="100ms"),
            "partial": await streams.partial_book_depth(ETH.lower(), 5, update_speed="100ms"),
            "ticker": await streams.ticker(ETH.lower()),
            "miniTicker": await streams.mini_ticker(ETH.lower()),
            "every": await streams.all_mini_ticker(),
            "avgPrice": await streams.avg_price(ETH.lower()),
            "window": await streams.rolling_window_ticker(ETH.lower(), "1h"),
        }.items():
            heard[name] = []
            handle.on("message", heard[name].append)
        same(len((await streams.list_subscribe())["result"]), len(heard))
        self.alice.new_order(ETH, "SELL", "LIMIT", "GTC", 1.0, price=2_000.0)
        bought = self.bob.new_order(ETH, "BUY", "LIMIT", "GTC", 0.4, price=2_000.0).data()
        trade_id = bought.fills[0].trade_id
        await first(heard["trade"], lambda row: (row.t, row.q, row.m) == (trade_id, "0.40000000", False))
        await first(heard["aggTrade"], lambda row: (row.f, row.l, row.q) == (trade_id, trade_id, "0.40000000"))
        await first(heard["kline"], lambda row: (row.k.c, row.k.v, row.k.n) == ("2000.00000000", "0.40000000", 1))
        await first(heard["bookTicker"], lambda row: (row.a, row.A) == ("2000.00000000", "0.60000000"))
        await first(heard["diff"], lambda row: row.a == [["2000.00000000", "0.60000000"]])
        await first(heard["partial"], lambda row: row.asks == [["2000.00000000", "0.60000000"]])
        await first(heard["ticker"], lambda row: (row.v, row.q, row.n) == ("0.40000000", "800.00000000", 1))
        await first(heard["miniTicker"], lambda row: (row.c, row.v) == ("2000.00000000", "0.40000000"))
        await first(heard["every"], lambda rows: (rows[0].s, rows[0].v) == (ETH, "0.40000000"))
        await first(heard["avgPrice"], lambda row: row.w == "2000.00000000")
        await first(heard["window"], lambda row: (row.v, row.n) == ("0.40000000", 1))
        for messages in heard.values():
            fits_model(messages[-1])
        self.alice.delete_open_orders(ETH)
        await streams.close_connection(close_session=True)

    async def own_events_fit_their_models(self) -> None:
        await self.api.create_connection()
        subscribed = await self.api.user_data_stream_subscribe_signature()
        own: list[Any] = []
        subscribed.stream.on("message", lambda message: own.append(message.actual_instance))
        order = fits(await self.api.order_place(BTC, "BUY", "LIMIT", "n", "GTC", 50_000.0, 0.02)).result
        same((order.status, order.price, order.orig_qty), ("NEW", "50000.00000000", "0.02000000"))
        self.alice.new_order(BTC, "SELL", "LIMIT", "GTC", 0.01, price=50_000.0)
        fits(await self.api.order_cancel(BTC, order_id=order.order_id), *_OF_A_LIST)
        await first(own, lambda event: getattr(event, "x", "") == "CANCELED")
        reports = [event for event in own if hasattr(event, "x")]
        same([(row.x, row.X, row.z, row.C) for row in reports], [
            ("NEW", "NEW", "0.00000000", ""),
            ("TRADE", "PARTIALLY_FILLED", "0.01000000", ""),
            ("CANCELED", "CANCELED", "0.01000000", order.client_order_id),
        ])  # fmt: skip
        for report in reports:
            fee = () if report.x == "TRADE" else ("-N",)
            fits_model(report, *_RELEVANT_LATER, *fee)
        position = await first(
            own, lambda event: hasattr(event, "B") and hasattr(event, "u") and not hasattr(event, "x")
        )
        fits_model(position)
        fits(await self.api.user_data_stream_unsubscribe(), "+rateLimits")

    async def requests_fit_their_models(self) -> None:
        bob = self.api
        same(fits(await bob.time()).result.server_time > 0, True)
        # The library's model of this reply lacks the envelope of the WS-API, so there is nothing to fit.
        same(len((await bob.exchange_info()).data().additional_properties["result"]["symbols"]), 3)
        fits(await bob.depth(BTC))
        fits(await bob.trades_recent(BTC))
        fits(await bob.trades_historical(BTC, from_id=1))
        fits(await bob.trades_aggregate(BTC))
        same((await bob.klines(BTC, "1M")).data().result[0][5], "0.01000000")
        fits(await bob.avg_price(BTC))
        fits(await bob.ticker_price(BTC))
        fits(await bob.ticker_book(BTC))
        same(fits(await bob.account_status()).result.uid, 17)
        fits(await bob.all_orders(BTC))
        fits(await bob.my_trades(BTC))
        fits(await bob.account_commission(BTC))
        fits(await bob.account_rate_limits_orders())
        order = (await bob.order_place(BTC, "BUY", "LIMIT_MAKER", price=49_000.0, quantity=0.03)).data().result
        fits(await bob.order_status(BTC, order_id=order.order_id))
        fits(await bob.order_amend_keep_priority(BTC, 0.02, order_id=order.order_id))
        fits(await bob.open_orders_status(BTC))
        replaced = fits(
            await bob.order_cancel_replace(
                BTC, "STOP_ON_FAILURE", "BUY", "LIMIT", cancel_order_id=order.order_id, time_in_force="GTC",
                price=48_000.0, quantity=0.01,
            )
        )  # fmt: skip
        same(replaced.result.new_order_result, "SUCCESS")
        same(len((await bob.open_orders_cancel_all(BTC)).data().result), 1)
        refusal = (await bob.order_cancel(BTC, order_id=999_999)).data()
        same((refusal["error"]["code"], refusal["error"]["msg"]), (-2011, "Unknown order sent."))

    async def session_is_logged_on_with_ed25519(self) -> None:
        credentials = person_with_ed25519_key()
        settings = ConfigurationRestAPI(base_path=AT.http, **credentials)
        dora = Spot(config_rest_api=settings).rest_api
        same({row.asset: row.free for row in dora.get_account().data().balances}["BTC"], "100.00000000")
        session = api(**credentials)
        await session.create_connection()
        same(fits(await session.session_logon()).result.api_key, credentials["api_key"])
        subscribed = await session.user_data_stream_subscribe()
        own: list[Any] = []
        subscribed.stream.on("message", lambda message: own.append(message.actual_instance))
        order = (await session.order_place(BTC, "SELL", "LIMIT", "d", "GTC", 70_000.0, 0.01)).data().result
        same((await first(own, lambda event: getattr(event, "x", "") == "NEW")).i, order.order_id)
        same((await session.order_cancel(BTC, order_id=order.order_id)).data().result.status, "CANCELED")
        same(fits(await session.session_status(), "+rateLimits").result.api_key, credentials["api_key"])
        await session.session_logout()
        await session.close_connection(close_session=True)

    async def every_message_fitted_its_model(self) -> None:
        await self.api.close_connection(close_session=True)
        same(self.alarm.misfits, [])


async def main() -> None:
    """Play the day."""
    live = Live()
    await play(
        live.streams_fit_their_models,
        live.own_events_fit_their_models,
        live.requests_fit_their_models,
        live.session_is_logged_on_with_ed25519,
        live.every_message_fitted_its_model,
    )


if __name__ == "__main__":
    asyncio.run(main())
