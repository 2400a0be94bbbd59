"""Real answers of a real server are what the document says: every route is asked, and decoded by its type, strictly."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import msgspec
import pyotp
import pytest

from exchange.gateway.faces import BINANCE, OURS
from exchange.gateway.openapi.operations import operation
from exchange.gateway.openapi.people_answers import Error
from exchange.gateway.routes import ROUTES, Access, Route
from exchange.users.signatures import signed_form
from tests.gateway.list_forms import FORMS
from tests.gateway.running import Answer, Exchange, Trader

SECRET = "the-secret-of-the-identity-service"
PASSWORD, OTHER_PASSWORD = "a stone in the river", "another stone in the river"
EMAIL = "carol@example.org"
NONE = {"selfTradePreventionMode": "NONE"}
BESIDE = "/sapi/v1/"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """An exchange of this module, whose identity service is a webhook."""
    environ = {
        "EXCHANGE_KYC_PROVIDER": "webhook",
        "EXCHANGE_KYC_SECRET": SECRET,
        "EXCHANGE_KYC_URL": "http://127.0.0.1:9/nobody",
    }
    running = Exchange(tmp_path_factory.mktemp("answers") / "var", environ=environ).start()
    yield running
    assert running.stop() == 0, running.errors


class Visitor:
    """Asks routes, and decodes every answer by the type that the document names."""

    def __init__(self, exchange: Exchange) -> None:
        self.alice, self.bob = exchange.trader("alice"), exchange.trader("bob")
        self.port = exchange.ports["http"]
        self.routes = {(route.method, route.path): route for route in ROUTES}
        self.asked: set[tuple[str, str]] = set()
        self.token = ""

    def __call__(self, method: str, path: str, trader: Trader | None = None, /, **form: object) -> Any:
        """The JSON of a success."""
        route = self.routes[method, path]
        answer = self.send(route, trader or self.alice, {name: str(value) for name, value in form.items()})
        types = operation(route).answers
        assert answer.status in types, answer
        self.asked.add((method, path))
        msgspec.json.decode(json.dumps(answer.json), type=types[answer.status], strict=True)
        return answer.json

    def send(self, route: Route, trader: Trader, form: dict[str, str]) -> Answer:
        """A request of whoever the route is for."""
        headers: dict[str, str] = {}
        if route.access is Access.SIGNED:
            return trader.signed_form(route.method, route.path, form)
        if route.access is Access.KEYED:
            headers = {"X-MBX-APIKEY": trader.api_key}
        if route.access is Access.BEARER:
            headers = {"Authorization": f"Bearer {self.token}"}
        if route.access is Access.PUBLIC or route.method == "PUT" or route.access is Access.KEYED:
            return trader.send(route.method, f"{route.path}?{urlencode(form)}" if form else route.path, b"", headers)
        return trader.send(route.method, route.path, urlencode(form).encode(), headers)


def trade(ask: Visitor, face: str, symbol: str) -> None:
    """Every way in which an order comes, changes and ends; every read of what became of it."""
    order = {"symbol": symbol, "type": "LIMIT", "timeInForce": "GTC"}
    sale = {**order, "side": "SELL", "quantity": "0.05", "price": "60000"}
    purchase = {**order, "side": "BUY", "quantity": "0.01", "price": "60000"}
    path = f"{face}/order"
    assert ask("POST", path, **sale)["fills"] == []
    assert len(ask("POST", path, ask.bob, **purchase)["fills"]) == 1
    assert "fills" not in ask("POST", path, ask.bob, **purchase, newOrderRespType="RESULT")
    assert "status" not in ask("POST", path, ask.bob, **purchase, newOrderRespType="ACK")
    ask("POST", path, ask.bob, symbol=symbol, side="BUY", type="MARKET", quoteOrderQty="600")
    until = int(time.time() + 3_600) * 1_000
    cheap = {**order, "side": "BUY", "quantity": "0.01", "price": "10000"}
    resting = ask(
        "POST", path, **{**cheap, "timeInForce": "GTD"}, goodTillDate=until, newClientOrderId=f"{face[1:3]}-x"
    )
    assert ask("GET", path, symbol=symbol, orderId=resting["orderId"])["goodTillDate"] == until
    ask("PUT", f"{path}/amend/keepPriority", symbol=symbol, orderId=resting["orderId"], newQty="0.006")
    assert ask("GET", f"{face}/openOrders")
    replaced = ask(
        *("POST", f"{path}/cancelReplace"),
        **cheap,
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=resting["orderId"],
    )
    ask("DELETE", path, symbol=symbol, orderId=replaced["newOrderResponse"]["orderId"])
    ask("POST", path, **cheap)
    assert ask("DELETE", f"{face}/openOrders", symbol=symbol)
    assert ask("POST", f"{path}/test", **cheap) == {}
    assert ask("POST", f"{path}/test", **cheap, computeCommissionRates="true")
    ask("POST", path, **{**sale, "side": "BUY", "price": "50000"}, **NONE)
    prevented = ask("POST", path, **{**sale, "price": "50000"}, selfTradePreventionMode="EXPIRE_TAKER")
    ask("DELETE", f"{face}/openOrders", symbol=symbol)
    ask("POST", f"{face}/countdownCancelAll", symbol=symbol, countdownTime="60000")
    ask("POST", f"{face}/countdownCancelAll", symbol=symbol, countdownTime="0")
    ask("GET", f"{face}/account")
    ask("GET", f"{face}/account/commission", symbol=symbol)
    ask("GET", f"{face}/rateLimit/order")
    ask("GET", f"{face}/myFilters", symbol=symbol)
    assert ask("GET", f"{face}/allOrders", symbol=symbol)
    assert ask("GET", f"{face}/myTrades", symbol=symbol)
    assert ask("GET", f"{face}/order/amendments", symbol=symbol, orderId=resting["orderId"])
    assert ask("GET", f"{face}/myPreventedMatches", symbol=symbol, orderId=prevented["orderId"])
    assert ask("GET", f"{face}/myAllocations", symbol=symbol) == []


def wait_hide_and_follow(ask: Visitor, face: str, symbol: str) -> None:
    """Orders that wait, hide or follow, in every answer that tells of them."""
    path, full = f"{face}/order", {"newOrderRespType": "FULL"}
    sale = {"symbol": symbol, "side": "SELL", "quantity": "0.01", **full}
    stop = {**sale, "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "price": "40000", "stopPrice": "45000"}
    waiting = ask("POST", path, **stop, trailingDelta="100", icebergQty="0.002")
    assert (waiting["workingTime"], waiting["trailingTime"], waiting["fills"]) == (-1, -1, [])
    seen = ask("GET", path, symbol=symbol, orderId=waiting["orderId"])
    assert (seen["isWorking"], seen["stopPrice"], seen["icebergQty"]) == (
        *(False, waiting["stopPrice"]),
        waiting["icebergQty"],
    )
    assert ask("DELETE", path, symbol=symbol, orderId=waiting["orderId"])["trailingDelta"] == 100
    following = ask("POST", path, **sale, type="STOP_LOSS", trailingDelta="250")
    assert following["trailingTime"] == following["transactTime"]
    limit = {**sale, "type": "LIMIT", "timeInForce": "GTC"}
    ask("POST", path, **limit, price="90000")
    ask("POST", path, **limit, price="91000")
    peg = {"pegPriceType": "PRIMARY_PEG", "pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": "1"}
    pegged = ask("POST", path, **limit, **peg)
    assert (float(pegged["price"]), float(pegged["peggedPrice"])) == (0.0, 91000.0)
    ask("PUT", f"{path}/amend/keepPriority", symbol=symbol, orderId=pegged["orderId"], newQty="0.006")
    assert ask("DELETE", f"{face}/openOrders", symbol=symbol)
    ask("POST", path, **limit, price="90000", icebergQty="0.001")
    assert ask("DELETE", f"{face}/openOrders", symbol=symbol)[0]["icebergQty"]


def hang_together(ask: Visitor, face: str, symbol: str) -> None:
    """Every kind of order list, as it comes, as it is read and as it is canceled."""
    for kind, form in FORMS.items():
        for more in ({}, {"newOrderRespType": "ACK"}, {"newOrderRespType": "FULL"}):
            placed = ask("POST", f"{face}/orderList/{kind}", symbol=symbol, **form, **more)
            ask("DELETE", f"{face}/orderList", symbol=symbol, orderListId=placed["orderListId"])
    waiting = {"pendingType": "STOP_LOSS", "pendingTrailingDelta": "100"}
    stop = {name: text for name, text in FORMS["oto"].items() if name not in ("pendingTimeInForce", "pendingPrice")}
    over = ask("POST", f"{face}/orderList/oto", symbol=symbol, **{**stop, **waiting, "workingTimeInForce": "IOC"})
    assert over["orderReports"][1]["expiryReason"] == "OTO_PHASE_ONE_EXPIRED"
    list_id = ask("POST", f"{face}/orderList/oco", symbol=symbol, **FORMS["oco"])["orderListId"]
    seen = ask("GET", f"{face}/orderList", orderListId=list_id)
    assert ask("GET", f"{face}/openOrderList") == [seen]
    ask("DELETE", f"{face}/order", symbol=symbol, orderId=seen["orders"][0]["orderId"])
    assert ask("GET", f"{face}/orderList", orderListId=list_id)["listStatusType"] == "ALL_DONE"
    assert ask("GET", f"{face}/allOrderList")[-1]["orderListId"] == list_id
    list_id = ask("POST", f"{face}/orderList/oco", symbol=symbol, **FORMS["oco"])["orderListId"]
    assert [one["orderListId"] for one in ask("DELETE", f"{face}/openOrders", symbol=symbol)] == [list_id]


def look(ask: Visitor, face: str, symbol: str) -> None:
    """Every public read of a market in which something was traded, and of one in which nothing was."""
    for name in ("ping", "time", "exchangeInfo"):
        ask("GET", f"{face}/{name}")
    ask(
        "POST", f"{face}/order", symbol=symbol, side="BUY", type="LIMIT", timeInForce="GTC", quantity="1", price="10000"
    )
    assert ask("GET", f"{face}/executionRules", symbol=symbol)["symbolRules"] == [{"symbol": symbol, "rules": []}]
    ask("GET", f"{face}/referencePrice", symbol=symbol)
    ask("GET", f"{face}/depth", symbol=symbol)
    ask("DELETE", f"{face}/openOrders", symbol=symbol)
    for name in ("trades", "historicalTrades", "aggTrades"):
        assert ask("GET", f"{face}/{name}", symbol=symbol)
    for name in ("klines", "uiKlines"):
        assert ask("GET", f"{face}/{name}", symbol=symbol, interval="1s")
    ask("GET", f"{face}/avgPrice", symbol=symbol)
    names = json.dumps([symbol, symbol.replace("BTC", "ETH")], separators=(",", ":"))
    for path in ("/ticker/24hr", "/ticker", "/ticker/price", "/ticker/bookTicker"):
        assert isinstance(ask("GET", face + path, symbol=symbol), dict)
        assert len(ask("GET", face + path, symbols=names)) == 2
    for path in ("/ticker/24hr", "/ticker"):
        ask("GET", face + path, symbols=names, type="MINI")


def live(ask: Visitor) -> None:
    """Somebody comes, turns on a second factor, makes and revokes a key, is checked, and goes."""
    ask("POST", "/v1/user/register", email=EMAIL, password=PASSWORD)
    ask.token = ask("POST", "/v1/user/login", email=EMAIL, password=PASSWORD)["token"]
    assert ask("GET", "/v1/user")["email"] == EMAIL
    assert len(ask("GET", "/v1/user/sessions")) == 1
    ask("DELETE", "/v1/user/sessions")
    ask("POST", "/v1/user/password", password=PASSWORD, newPassword=OTHER_PASSWORD)
    codes = pyotp.TOTP(ask("POST", "/v1/user/totp", password=OTHER_PASSWORD)["secret"])
    recovery = ask("POST", "/v1/user/totp/confirm", code=codes.now())["recoveryCodes"]
    made = ask("POST", "/v1/user/keys", password=OTHER_PASSWORD, code=recovery[0], permissions="read,trade")
    ask("GET", "/v1/user/keys")
    ask("DELETE", "/v1/user/keys", apiKey=made["apiKey"])
    ask("DELETE", "/v1/user/totp", password=OTHER_PASSWORD, code=recovery[1])
    ask("POST", "/v1/user/password/reset", email=EMAIL)
    ask("POST", "/v1/user/logout")


def beside(ask: Visitor) -> None:
    """What clients ask while they load."""
    for route in ROUTES:
        is_beside = route.face == BINANCE and not route.path.startswith(BINANCE)
        if is_beside and operation(route).answers:
            ask(route.method, route.path)
    name = ask("POST", "/api/v3/userDataStream")["listenKey"]
    ask("PUT", "/api/v3/userDataStream", listenKey=name)
    ask("DELETE", "/api/v3/userDataStream", listenKey=name)


OF_THE_STAGE = {
    ("POST", "/v1/user/password/reset/confirm"),  # needs a letter
    ("POST", "/v1/user/kyc"),  # needs an identity service
    ("POST", "/v1/kyc/webhook"),
}
"""What only a venue within reach answers."""


def test_every_answer_is_of_the_type_that_the_document_names(exchange: Exchange) -> None:
    ask = Visitor(exchange)
    ask("GET", "/health")
    for face, symbol in ((OURS, "BTC_USDT"), (BINANCE, "BTCUSDT")):
        trade(ask, face, symbol)
        wait_hide_and_follow(ask, face, symbol)
        hang_together(ask, face, symbol)
        look(ask, face, symbol)
    assert ask("GET", "/v1/ledger")
    beside(ask)
    live(ask)
    answering = {(route.method, route.path) for route in ROUTES if operation(route).answers}
    assert answering - ask.asked - OF_THE_STAGE == set(), "add a request for these"


def test_errors_are_of_the_type_that_the_document_names(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    form = {"symbol": "BTC_USDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    refused = [
        alice.public("/v1/depth"),
        alice.public("/nowhere"),
        alice.call("POST", "/v1/order/cancelReplace", **form, cancelReplaceMode="ALLOW_FAILURE", cancelOrderId=999_999),
    ]
    for answer in refused:
        assert answer.status >= 400
        assert msgspec.json.decode(json.dumps(answer.json), type=Error, strict=True).code < 0
    assert "data" in refused[-1].json
    assert SECRET not in "".join(exchange.errors)
    assert signed_form(SECRET, {"a": 1}).startswith(b"a=1&")
