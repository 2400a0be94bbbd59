"""Rules, auctions, mass cancels and dead man's timers by the operator's commands and the API, on a running exchange."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Iterator

import pytest

from exchange.control import ask
from tests.gateway.running import Exchange, Trader
from tests.operating.test_commands import done, refused

BTC = ("symbol", "BTC_USDT")


@pytest.fixture
def exchange(tmp_path: pathlib.Path) -> Iterator[Exchange]:
    """A demo exchange without PostgreSQL."""
    running = Exchange(tmp_path / "var", environ={"EXCHANGE_DATABASE": "off"})
    yield running.start()
    running.ensure_gone()


def until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds."""
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.02)


def open_prices(trader: Trader) -> list[str]:
    """Prices of the open orders."""
    return [order["price"] for order in trader.call("GET", "/v1/openOrders").json]


def test_auction_of_some_seconds_trades_once_by_itself(exchange: Exchange) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    started = done(exchange, "auction", "BTC_USDT", "--seconds", "2")
    assert started["action"] == "start"
    assert alice.order("BUY", "0.01", "51000").json["status"] == "NEW"
    assert bob.order("SELL", "0.01", "50000").json["status"] == "NEW"
    assert open_prices(alice)
    until(lambda: not open_prices(alice))
    assert open_prices(bob) == []


def test_uncross_ends_an_auction_without_an_end(exchange: Exchange) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    assert "can not be started or ended" in refused(exchange, 1, "uncross", "BTC_USDT")
    assert done(exchange, "auction", "BTC_USDT")["endTime"] == 0
    assert "can not be started or ended" in refused(exchange, 1, "auction", "BTC_USDT")
    alice.order("BUY", "0.01", "50000")
    bob.order("SELL", "0.01", "50000")
    ended = done(exchange, "uncross", "BTC_USDT")
    assert (ended["trades"], ended["priceTicks"]) == (1, 5_000_000)
    assert open_prices(alice) == open_prices(bob) == []


def test_rules_are_set_and_bind(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    set_to = done(exchange, "rule", "account", "16", "ORDERS_MAX", "2")
    assert (set_to["rule"], set_to["value"]) == ("ORDERS_MAX", 2)
    done(exchange, "rule", "account", "16", "ORDERS_WINDOW_NS", str(10**14))
    answers = [alice.order("BUY", "0.01", "50000") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, answers[2].status]
    assert answers[2].json["outcome"] == "rejected"
    done(exchange, "rule", "account", "16", "ORDERS_MAX", "0")
    assert alice.order("BUY", "0.01", "50000").status == 200
    limit = done(exchange, "rule", "account", "16", "LOCKED_MAX_ATOMS", "1", "--asset", "USDT")
    assert limit["asset"] == "USDT"
    assert alice.order("BUY", "0.01", "50000").json["outcome"] == "rejected"
    assert "out of range" in refused(exchange, 1, "rule", *BTC, "BREAKER_BIPS", str(10**6))


def test_halt_with_its_orders_leaves_nothing_locked(exchange: Exchange) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    for price in ("50000", "50001", "50002"):
        alice.order("BUY", "0.01", price)
    bob.order("SELL", "0.01", "60000")
    halted = done(exchange, "halt", "account", "16", "--cancel-orders")
    assert (halted["mode"], halted["canceled"]) == ("HALTED", 3)
    assert open_prices(alice) == []
    assert not any(float(locked) for _, locked in alice.balances().values())
    assert len(open_prices(bob)) == 1
    assert done(exchange, "cancel-orders", "venue")["canceled"] == 1
    assert open_prices(bob) == []


def test_orders_of_a_key_are_canceled_with_it_and_those_of_another_stay(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    alice.order("BUY", "0.01", "50000")
    made = ask(exchange.data_dir, "key.create", {"account": 16, "permissions": ["read", "trade"]})
    other = Trader(exchange.ports["http"], made["apiKey"], made["secret"])
    for price in ("40000", "40001"):
        assert other.order("BUY", "0.01", price).status == 200
    done_ = done(exchange, "halt", "key", other.api_key, "--cancel-orders")
    assert (done_["mode"], done_["canceled"]) == ("revoked", 2)
    assert other.order("BUY", "0.01", "40000").json["code"] == -2015
    assert open_prices(alice) == ["50000.00000000"]


def test_key_is_bound_to_its_symbols_and_its_notional(exchange: Exchange) -> None:
    arguments = {"account": 16, "permissions": ["read", "trade"], "symbols": ["BTC_USDT"]}
    made = ask(exchange.data_dir, "key.create", {**arguments, "notional": "1000.5", "notional_asset": "USDT"})
    assert made["symbols"] == ["BTC_USDT"]
    assert made["notionalPerDay"]["asset"] == "USDT"
    assert float(made["notionalPerDay"]["amount"]) == 1000.5
    trader = Trader(exchange.ports["http"], made["apiKey"], made["secret"])
    elsewhere = trader.order("BUY", "0.01", "2000", symbol="ETH_USDT")
    assert (elsewhere.status, elsewhere.json["code"]) == (400, -2010)
    assert elsewhere.json["msg"] == "This symbol is not permitted for this account."
    assert trader.order("BUY", "0.01", "50000").status == 200
    assert trader.order("BUY", "0.01", "50000").status == 200
    assert trader.order("BUY", "0.01", "50000").json["outcome"] == "rejected"
    assert exchange.trader("alice").order("BUY", "0.01", "50000").status == 200
    for wrong in (
        {"symbols": ["NO_SUCH"]},
        {"notional": "5"},
        {"notional": "-5", "notional_asset": "USDT"},
        {"notional": "0", "notional_asset": "USDT"},
        {"notional": "1e5", "notional_asset": "USDT"},
        {"notional": "99999999999999999", "notional_asset": "USDT"},
    ):
        with pytest.raises(Exception, match=r"symbol|notional"):
            ask(exchange.data_dir, "key.create", {"account": 16, **wrong})


@pytest.mark.parametrize("face", ["/v1", "/api/v3"])
def test_countdown_cancels_unless_it_is_disarmed(exchange: Exchange, face: str) -> None:
    alice, symbol = exchange.trader("alice"), "BTC_USDT" if face == "/v1" else "BTCUSDT"
    alice.order("BUY", "0.01", "50000")
    path = f"{face}/countdownCancelAll"
    armed = alice.call("POST", path, symbol=symbol, countdownTime=600_000)
    assert (armed.status, armed.json) == (200, {"symbol": symbol, "countdownTime": "600000"})
    assert alice.call("POST", path, symbol=symbol, countdownTime=0).json["countdownTime"] == "0"
    assert alice.call("POST", path, countdownTime=100).json == {"symbol": "", "countdownTime": "100"}
    until(lambda: not open_prices(alice))
    for wrong, code in (({}, -1102), ({"countdownTime": 10**9}, -1108), ({"countdownTime": -1}, -1108)):
        assert alice.call("POST", path, **wrong).json["code"] in (code, -1130, -1100, -1102)


def test_countdown_goes_on_through_a_restart(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    alice.order("BUY", "0.01", "50000")
    assert alice.call("POST", "/v1/countdownCancelAll", countdownTime=1).status == 200
    exchange.stop(9)
    exchange.start()
    alice = exchange.trader("alice")
    until(lambda: not open_prices(alice))


@pytest.mark.parametrize(("face", "symbol"), [("/v1", "BTC_USDT"), ("/api/v3", "BTCUSDT")])
def test_range_of_execution_and_its_reference_price_can_be_read(exchange: Exchange, face: str, symbol: str) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    none_yet = alice.public(f"{face}/referencePrice?symbol={symbol}")
    assert (none_yet.status, none_yet.json["code"]) == (400, -2043)
    done(exchange, "rule", *BTC, "REFERENCE_WINDOW_NS", str(10**14))
    done(exchange, "rule", *BTC, "RANGE_UP_BIPS", "10500")
    for price, quantity in (("50000", "0.003"), ("50002", "0.001")):
        alice.order("SELL", quantity, price)
        assert bob.order("BUY", quantity, price).json["status"] == "FILLED"
    told = alice.public(f"{face}/referencePrice?symbol={symbol}").json
    assert (told["symbol"], told["referencePrice"]) == (symbol, "50000.50000000")
    assert abs(told["timestamp"] - time.time_ns() // 1_000_000) < 60_000
    rules = [{"ruleType": "PRICE_RANGE", "bidLimitMultUp": "1.0500", "askLimitMultUp": "1.0500"}]
    one = alice.public(f"{face}/executionRules?symbol={symbol}").json
    assert one == {"symbolRules": [{"symbol": symbol, "rules": rules}]}
    assert [shown["rules"] for shown in alice.public(f"{face}/executionRules").json["symbolRules"]] == [rules, [], []]
    assert len(alice.public(f"{face}/executionRules?symbolStatus=TRADING").json["symbolRules"]) == 3
    assert alice.public(f"{face}/executionRules?symbolStatus=HALT").json == {"symbolRules": []}
    both = alice.public(f"{face}/executionRules?symbol={symbol}&symbolStatus=TRADING")
    assert (both.status, both.json["code"]) == (400, -1128)
