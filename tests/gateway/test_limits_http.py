"""Limits through real HTTP: what every answer tells, and what happens to whoever goes on.

The exchange believes X-Forwarded-For, so each test comes from addresses of its own. Its windows are those of the real
clock and may end between two requests: what a test counts on is only what holds across such an end.
"""

from __future__ import annotations

import http.client
import itertools
import json
import pathlib
from collections.abc import Iterator

import aiohttp
import pytest

from exchange.gateway.bans import FIRST_S
from exchange.gateway.limits import PATIENCE, Limits, Rates
from exchange.gateway.server import Gateway
from tests.gateway.running import Answer, Exchange, Trader
from tests.gateway.test_limits import Clock
from tests.gateway.test_outcomes import standing_venue

WEIGHT, ORDERS = 200, 10
ENVIRON = {
    "EXCHANGE_WEIGHT_PER_MINUTE": str(WEIGHT),
    "EXCHANGE_ORDERS_PER_10S": str(ORDERS),
    "EXCHANGE_ORDERS_PER_DAY": "1000",
    "EXCHANGE_TRUSTED_PROXIES": "127.0.0.0/8",
    "EXCHANGE_BODY_BYTES": "1024",
    "EXCHANGE_DATABASE": "off",
}
USED = "x-mbx-used-weight-1m"


class Remote(Trader):
    """A trader behind the proxy: requests come from `address`."""

    def __init__(self, trader: Trader, address: str) -> None:
        super().__init__(trader.port, trader.api_key, trader.secret)
        self.address = address

    def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        return super().send(method, target, body, {"X-Forwarded-For": self.address, **headers})


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A demo exchange with limits that are quickly used up."""
    running = Exchange(tmp_path_factory.mktemp("limited") / "var", environ=ENVIRON).start()
    yield running
    assert running.stop() == 0, running.errors


def remote(exchange: Exchange, address: str, name: str = "alice") -> Remote:
    return Remote(exchange.trader(name), address)


def until(trader: Remote, status: int, path: str = "/v1/time") -> Answer:
    """Ask until the answer has that status."""
    for _ in range(4 * (WEIGHT + PATIENCE)):
        answer = trader.public(path)
        if answer.status == status:
            return answer
    raise AssertionError(f"never answered {status}")


def raw(exchange: Exchange, request: bytes) -> http.client.HTTPMessage:
    """The head of the answer to bytes that need not be HTTP."""
    with exchange.connect() as connection:
        connection.sendall(request)
        with connection.makefile("rb") as answer:
            answer.readline()
            return http.client.parse_headers(answer)


# ---- headers --------------------------------------------------------------------------------------------------------


def test_every_kind_of_answer_tells_the_used_weight(limited: Exchange) -> None:
    alice = remote(limited, "192.0.2.1")
    signed = {"X-MBX-APIKEY": alice.api_key}
    answers = {
        200: alice.public("/v1/ping"),
        400: alice.public("/api/v3/depth?symbol=NOPE"),
        401: alice.send("GET", "/v1/account", b"", {"X-MBX-APIKEY": "nonsense"}),
        404: alice.public("/v1/nothing"),
        405: alice.public("/v1/ping", "POST"),
        413: alice.send("POST", "/v1/order", b"x" * 2000, signed),
        415: alice.send("POST", "/v1/order", b"x", {**signed, "Content-Encoding": "gzip"}),
        503: alice.send("POST", "/v1/user/login", b"email=a@example.com&password=p", {}),
    }
    head = alice.public("/v1/ping", "HEAD")
    assert {status: answer.status for status, answer in answers.items()} == {status: status for status in answers}
    for answer in (*answers.values(), head):
        assert int(answer.headers[USED]) >= 1
        assert answer.headers["x-mbx-used-weight"] == answer.headers[USED]
        assert "x-mbx-order-count-10s" not in answer.headers
    broken = raw(limited, b"this is not http\r\n\r\n")
    assert int(broken["X-MBX-USED-WEIGHT-1M"]) >= 1


def test_weight_is_what_the_table_says_on_both_faces(limited: Exchange) -> None:
    alice = remote(limited, "192.0.2.2")
    paths = ("/v1/ping", "/v1/depth?symbol=BTC_USDT&limit=500", "/api/v3/depth?symbol=BTCUSDT&limit=5", "/health")
    for _ in range(2):  # at most one of the tries meets the end of a minute
        answers = [alice.public(path) for path in paths]
        answers.append(alice.call("POST", "/api/v3/order", symbol="NOPE"))
        used = [int(answer.headers[USED]) for answer in answers]
        if used == sorted(used):
            break
    assert [after - before for before, after in itertools.pairwise(used)] == [25, 5, 0, 1]


# ---- 429, 418 -------------------------------------------------------------------------------------------------------


def test_used_up_weight_is_429_and_going_on_is_418_while_cancels_and_health_pass(limited: Exchange) -> None:
    alice = remote(limited, "192.0.2.10")
    refused = until(alice, 429)
    assert refused.json["code"] == -1003
    assert refused.json["outcome"] == "rejected"
    assert refused.json["msg"].startswith(f"Too much request weight used; current limit is {WEIGHT} request weight per")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    banned = until(alice, 418)
    assert banned.json["code"] == -1003
    assert banned.json["msg"].startswith("Way too much request weight used; IP banned until ")
    assert 1 <= int(banned.headers["retry-after"]) <= FIRST_S
    assert USED in banned.headers
    assert alice.public("/v1/nothing").status == 418
    assert alice.call("GET", "/v1/account").status == 418
    assert alice.order("BUY", "0.001", "10000").status == 418
    assert alice.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=1).json["code"] == -2011
    assert alice.call("DELETE", "/api/v3/openOrders", symbol="BTCUSDT").json["code"] == -2011
    assert alice.public("/health").status == 200
    assert remote(limited, "192.0.2.11").public("/v1/ping").status == 200


def test_open_order_can_be_canceled_when_the_weight_is_used_up(limited: Exchange) -> None:
    bob = remote(limited, "192.0.2.12", "bob")
    placed = bob.order("BUY", "0.001", "10000")
    until(bob, 429)
    canceled = bob.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=placed.json["orderId"])
    assert canceled.json["status"] == "CANCELED"
    until(bob, 429)


def test_ban_is_checked_before_the_body_is_read(limited: Exchange) -> None:
    until(remote(limited, "192.0.2.13"), 418)
    head = b"POST /v1/order HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.13\r\nContent-Length: 100\r\n\r\n"
    with limited.connect() as connection:
        connection.sendall(head)  # and nothing of the body
        assert connection.recv(4096).startswith(b"HTTP/1.1 418 ")


def test_ipv6_line_is_one_address(limited: Exchange) -> None:
    until(remote(limited, "2001:db8:0:1::1"), 418)
    assert remote(limited, "2001:db8:0:1:ffff::2").public("/v1/time").status == 418
    assert remote(limited, "2001:db8:0:2::1").public("/v1/time").status == 200


def test_forwarded_address_of_somebody_who_is_no_proxy_counts_for_nothing(limited: Exchange) -> None:
    """The last hop that a proxy vouches for is banned, whatever it says about itself."""
    until(remote(limited, "192.0.2.14"), 418)
    assert remote(limited, "198.51.100.1, 192.0.2.14").public("/v1/time").status == 418
    assert remote(limited, "192.0.2.14, 198.51.100.2").public("/v1/time").status == 200


async def test_ban_ends_and_the_address_is_served_again(tmp_path: pathlib.Path) -> None:
    clock = Clock()
    venue = standing_venue(tmp_path, Limits(Rates(weight_per_minute=10), clock))
    gateway = Gateway(venue)
    url = f"http://127.0.0.1:{await gateway.start('127.0.0.1', 0)}/v1/time"
    async with aiohttp.ClientSession() as session:

        async def ask(times: int) -> list[int]:
            statuses = []
            for _ in range(times):
                async with session.get(url) as answer:
                    statuses.append(answer.status)
                    retry_after.append(answer.headers.get("Retry-After"))
            return statuses

        retry_after: list[str | None] = []
        clock.now_s += 20.5
        assert await ask(10 + PATIENCE + 1) == [200] * 10 + [429] * PATIENCE + [418]
        assert retry_after[10] == "40"
        assert retry_after[-1] == str(FIRST_S)
        clock.now_s += FIRST_S - 1
        assert await ask(1) == [418]
        assert retry_after[-1] == "1"
        clock.now_s += 1
        assert await ask(10 + PATIENCE + 1) == [200] * 10 + [429] * PATIENCE + [418]
        assert retry_after[-1] == str(2 * FIRST_S)
    await gateway.stop(1.0)


# ---- orders ---------------------------------------------------------------------------------------------------------


def test_accepted_order_counts_and_is_given_back_when_its_maker_is_filled(limited: Exchange) -> None:
    alice, bob = remote(limited, "192.0.2.20"), remote(limited, "192.0.2.21", "bob")

    def day(answer: Answer) -> int:
        assert answer.status == 200, answer
        assert int(answer.headers["x-mbx-order-count-10s"]) <= ORDERS
        return int(answer.headers["x-mbx-order-count-1d"])

    first = day(alice.order("SELL", "0.002", "50000"))
    bought = bob.order("BUY", "0.001", "50000")
    taken = day(bought)
    assert bought.json["status"] == "FILLED"
    second = day(alice.order("SELL", "0.001", "60000"))
    assert second == first
    assert day(bob.order("BUY", "0.001", "10000")) == taken + 1
    assert bob.call("DELETE", "/v1/openOrders", symbol="BTC_USDT").status == 200
    assert day(bob.order("BUY", "0.001", "10000")) == taken + 2
    form = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001"}
    form |= {"price": "10001", "cancelReplaceMode": "ALLOW_FAILURE", "cancelOrderId": "1"}
    replaced = bob.signed_form("POST", "/api/v3/order/cancelReplace", form)
    assert replaced.status == 409
    assert day(bob.order("BUY", "0.001", "10000")) == taken + 4
    for trader in (alice, bob):
        assert trader.call("DELETE", "/v1/openOrders", symbol="BTC_USDT").status == 200


def test_too_many_unfilled_orders_are_refused_and_nothing_is_placed(limited: Exchange) -> None:
    alice = remote(limited, "192.0.2.22")
    refused = None
    for _ in range(4 * ORDERS):
        answer = alice.order("BUY", "0.001", "10000")
        if answer.status == 429:
            refused = answer
            break
        assert answer.status == 200, answer
    assert refused is not None
    assert refused.json["code"] == -1015
    assert refused.json["msg"] == f"Too many new orders; current limit is {ORDERS} orders per 10 SECOND."
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert alice.call("DELETE", "/v1/openOrders", symbol="BTC_USDT").status == 200


def replaced_at_the_limit(alice: Remote, mode: str, order_id: int) -> Answer:
    """The answer to a cancelReplace that came when the account was at its limit of orders."""
    form = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001"}
    form |= {"price": "10001", "cancelReplaceMode": "STOP_ON_FAILURE", "orderRateLimitExceededMode": mode}
    for _ in range(4):  # the window may end between the orders and the replacement
        while alice.order("BUY", "0.001", "10000").status == 200:
            pass
        answer = alice.signed_form("POST", "/api/v3/order/cancelReplace", {**form, "cancelOrderId": str(order_id)})
        if answer.status == 429:
            return answer
        if answer.status == 200:
            order_id = answer.json["newOrderResponse"]["orderId"]
    raise AssertionError("the window ended each time")


def test_replacement_at_the_limit_of_orders_does_nothing_or_cancels_only(limited: Exchange) -> None:
    bob = remote(limited, "192.0.2.23", "bob")
    assert bob.order("BUY", "0.001", "10000").status == 200
    open_ids = [order["orderId"] for order in bob.call("GET", "/v1/openOrders", symbol="BTC_USDT").json]
    nothing = replaced_at_the_limit(bob, "DO_NOTHING", open_ids[0])
    assert nothing.json["code"] == -1015
    open_ids = [order["orderId"] for order in bob.call("GET", "/v1/openOrders", symbol="BTC_USDT").json]
    canceled = replaced_at_the_limit(bob, "CANCEL_ONLY", open_ids[0])
    assert (canceled.json["code"], canceled.json["outcome"]) == (-2021, "accepted")
    assert 1 <= int(canceled.headers["retry-after"]) <= 10
    data = canceled.json["data"]
    assert (data["cancelResult"], data["newOrderResult"]) == ("SUCCESS", "FAILURE")
    assert data["cancelResponse"]["status"] == "CANCELED"
    assert data["newOrderResponse"]["code"] == -1015
    failed = replaced_at_the_limit(bob, "CANCEL_ONLY", data["cancelResponse"]["orderId"])
    assert failed.json["code"] == -2022
    assert failed.json["data"]["cancelResponse"]["code"] == -2011
    counts = bob.call("GET", "/api/v3/rateLimit/order").json
    assert [(one["interval"], one["intervalNum"], one["limit"]) for one in counts] == [
        *(("SECOND", 10, ORDERS), ("DAY", 1, 1000)),
    ]
    assert ORDERS <= counts[1]["count"] <= 1000
    assert bob.call("DELETE", "/v1/openOrders", symbol="BTC_USDT").status == 200


# ---- what is told, and when nobody is refused -----------------------------------------------------------------------


def test_exchange_info_tells_the_limits(limited: Exchange) -> None:
    told = remote(limited, "192.0.2.30").public("/api/v3/exchangeInfo").json["rateLimits"]
    assert {(limit["rateLimitType"], limit["interval"]): limit["limit"] for limit in told} == {
        ("REQUEST_WEIGHT", "MINUTE"): WEIGHT,
        ("ORDERS", "SECOND"): ORDERS,
        ("ORDERS", "DAY"): 1000,
        ("RAW_REQUESTS", "MINUTE"): 300_000,
    }


def test_demo_without_limits_counts_and_refuses_nobody(exchange: Exchange) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", exchange.ports["http"], timeout=30)
    most = 0
    for _ in range(30):
        connection.request("GET", "/v1/depth?symbol=BTC_USDT&limit=5000")
        answer = connection.getresponse()
        assert answer.status == 200
        json.loads(answer.read())
        most = max(most, int(answer.headers[USED]))
    connection.close()
    assert most >= 250


async def test_address_that_opens_too_many_sockets_is_refused_at_the_handshake(tmp_path: pathlib.Path) -> None:
    clock = Clock()
    venue = standing_venue(tmp_path, Limits(Rates(ws_connections_per_5m=2), clock))

    gateway = Gateway(venue)
    url = f"http://127.0.0.1:{await gateway.start('127.0.0.1', 0)}/ws-api/v3"
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.ws_connect(url) as connection:
                await connection.send_str('{"id":1,"method":"ping"}')
                assert (await connection.receive_json())["result"] == {}
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(url)
        assert caught.value.status == 429
        assert caught.value.headers is not None
        assert caught.value.headers["Retry-After"] == "300"
        assert caught.value.headers["X-MBX-USED-WEIGHT-1M"] == "8"
        clock.now_s += 300
        async with session.ws_connect(url):
            pass
    await gateway.stop(1.0)
