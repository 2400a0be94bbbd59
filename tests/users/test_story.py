"""The story of people and history: somebody comes, trades, asks for all that ever was theirs, and PostgreSQL fails.

Against freshly started servers, over HTTP alone. What the person was told is the yardstick: every answer is kept, and
history is held against it at once, after kills, and after an old backup was put back.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pyotp
import pytest

from exchange.persistence.embedded import PORT, USER, EmbeddedPostgres
from tests.gateway.running import Answer, Exchange, Trader

EMAIL, PASSWORD = "carol@example.com", "a stone in the river"
DEADLINE_S = 60.0
HISTORY_FIELDS = ("status", "executedQty", "cummulativeQuoteQty", "origQty", "price", "side", "type")
DEPOSITED = {"BTC": Decimal(100), "ETH": Decimal(2_000), "USDT": Decimal(10_000_000)}


class Person:
    """Carol: her session, her key, and everything that she was told about her orders."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.token = ""
        self.trader = Trader(exchange.ports["http"], "", "")
        self.orders: dict[int, dict[str, Any]] = {}
        self.fills: dict[int, dict[str, Any]] = {}

    def ask(self, method: str, path: str, **form: str) -> Answer:
        """A request of hers as a person, not as a key."""
        body = "&".join(f"{name}={value.replace(' ', '+')}" for name, value in form.items())
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return Trader(self.exchange.ports["http"], "", "").send(method, path, body.encode(), headers)

    def arrive(self) -> None:
        """Register, log in, turn on the second factor, make a key."""
        assert self.ask("POST", "/v1/user/register", email=EMAIL, password=PASSWORD).status == 202
        self.token = self.ask("POST", "/v1/user/login", email=EMAIL, password=PASSWORD).json["token"]
        seed = self.ask("POST", "/v1/user/totp", password=PASSWORD).json["secret"]
        codes = pyotp.TOTP(seed)
        recovery = self.ask("POST", "/v1/user/totp/confirm", code=codes.now()).json["recoveryCodes"]
        assert self.ask("GET", "/v1/user").json["twoFactor"] is True
        refused = self.ask("POST", "/v1/user/login", email=EMAIL, password=PASSWORD)
        assert (refused.status, refused.json["code"]) == (401, -2101)
        made = self.ask(
            "POST", "/v1/user/keys", label="bot", permissions="read,trade", password=PASSWORD, code=recovery[0]
        )
        assert made.status == 200, made.json
        self.trader = Trader(self.exchange.ports["http"], made.json["apiKey"], made.json["secretKey"])

    def place(self, side: str, quantity: str, price: str, **more: object) -> int:
        """An order of hers; its id."""
        answer = self.trader.order(side, quantity, price, **more)
        assert answer.status == 200, answer.json
        for fill in answer.json["fills"]:
            self.fills[fill["tradeId"]] = fill
        self.orders[answer.json["orderId"]] = answer.json
        return int(answer.json["orderId"])

    def cancel(self, order_id: int) -> None:
        """Cancel an order of hers."""
        answer = self.trader.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=order_id)
        assert answer.status == 200, answer.json
        self.orders[order_id] = answer.json

    def trade_a_while(self, counterparty: Trader, rounds: int) -> None:
        """A fill as taker, a fill as maker, an order that is canceled half filled, one that rests; `rounds` times."""
        for number in range(rounds):
            counterparty.order("SELL", "0.02", f"{60_000 + number}")
            self.place("BUY", "0.02", f"{60_000 + number}")
            sold = self.place("SELL", "0.03", f"{61_000 + number}")
            bought = counterparty.order("BUY", "0.01", f"{61_000 + number}").json
            self.orders[sold] |= {"status": "PARTIALLY_FILLED", "executedQty": bought["executedQty"]}
            self.orders[sold]["cummulativeQuoteQty"] = bought["cummulativeQuoteQty"]
            self.fills[bought["fills"][0]["tradeId"]] = bought["fills"][0]
            self.cancel(sold)
            self.place("BUY", "0.01", f"{50_000 - number}")

    # ---- what history must say -------------------------------------------------------------------------------------

    def history(self, path: str, **more: object) -> Any:
        """A history endpoint, which must answer at once."""
        answer = self.trader.call("GET", path, **more)
        assert answer.status == 200, answer.json
        return answer.json

    def assert_history_is_exact(self) -> None:
        """Every order, trade, fee and ledger line is what she was told, and the ledger sums to her balances."""
        listed = {order["orderId"]: order for order in self.history("/v1/allOrders", symbol="BTC_USDT", limit=1000)}
        assert listed.keys() == self.orders.keys()
        for order_id, told in self.orders.items():
            assert {name: listed[order_id][name] for name in HISTORY_FIELDS} == {
                name: told[name] for name in HISTORY_FIELDS
            }
            live = self.trader.call("GET", "/v1/order", symbol="BTC_USDT", orderId=order_id).json
            assert listed[order_id] == live
        trades = {trade["id"]: trade for trade in self.history("/v1/myTrades", symbol="BTC_USDT", limit=1000)}
        assert trades.keys() == self.fills.keys()
        for trade_id, told in self.fills.items():
            assert (trades[trade_id]["price"], trades[trade_id]["qty"]) == (told["price"], told["qty"])
            if not trades[trade_id]["isMaker"]:
                assert trades[trade_id]["commission"] == told["commission"]
        self._assert_ledger_is_exact(trades)

    def _assert_ledger_is_exact(self, trades: dict[int, dict[str, Any]]) -> None:
        free, locked = {name: Decimal(0) for name in DEPOSITED}, {name: Decimal(0) for name in DEPOSITED}
        fees = Decimal(0)
        for entry in self._whole_ledger():
            for posting in entry["postings"]:
                free[posting["asset"]] += Decimal(posting["available"])
                locked[posting["asset"]] += Decimal(posting["locked"])
        for name, (is_free, is_locked) in self.trader.balances().items():
            assert (free[name], locked[name]) == (Decimal(is_free), Decimal(is_locked)), name
        spent = {"BTC": Decimal(0), "USDT": Decimal(0)}
        for trade in trades.values():
            sign = 1 if trade["isBuyer"] else -1
            spent["BTC"] += sign * Decimal(trade["qty"])
            spent["USDT"] -= sign * Decimal(trade["quoteQty"])
            spent[trade["commissionAsset"]] -= Decimal(trade["commission"])
            fees += Decimal(trade["commission"])
        assert fees > 0
        for name, change in spent.items():
            assert free[name] + locked[name] == DEPOSITED[name] + change

    def _whole_ledger(self) -> Iterator[dict[str, Any]]:
        first = 0
        while page := self.history("/v1/ledger", fromId=first, limit=1000):
            yield from page
            first = page[-1]["entryId"] + 1


def until(condition: Callable[[], bool], what: str) -> None:
    """Return when a condition holds."""
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, what
        time.sleep(0.02)


def history_of(exchange: Exchange) -> dict[str, Any]:
    """What /health says of history."""
    found: dict[str, Any] = Trader(exchange.ports["http"], "", "").public("/health").json["history"]
    return found


def has_caught_up(exchange: Exchange) -> bool:
    """Whether history is level with trading."""
    found = history_of(exchange)
    return found.get("database") == "up" and found["state"] == "following" and found["lagCommands"] == 0


def test_person_comes_trades_and_reads_exact_history_at_once(tmp_path: pathlib.Path) -> None:
    """With the embedded PostgreSQL, which is killed in the middle, and the exchange, which is killed after it."""
    exchange = Exchange(tmp_path / "var").start()
    try:
        carol = Person(exchange)
        carol.arrive()
        carol.trade_a_while(exchange.trader("alice"), 3)
        carol.assert_history_is_exact()

        server = int((tmp_path / "var" / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(server, signal.SIGKILL)
        carol.trade_a_while(exchange.trader("alice"), 3)
        until(lambda: has_caught_up(exchange), "history did not come back after PostgreSQL was killed")
        carol.assert_history_is_exact()

        assert exchange.stop(signal.SIGKILL) == -signal.SIGKILL
        exchange.start()
        carol.trader.port = exchange.ports["http"]
        until(lambda: has_caught_up(exchange), "history did not come back after the exchange was killed")
        carol.assert_history_is_exact()
        assert exchange.stop() == 0, exchange.errors
    finally:
        exchange.ensure_gone()


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that does not belong to the exchange."""
    running = EmbeddedPostgres(tmp_path / "pg", connections=30)
    running.start()
    yield running
    running.stop(10.0)


def stop_at_once(server: EmbeddedPostgres) -> None:
    """As `pg_ctl stop -m immediate` does."""
    os.kill(server.pid, signal.SIGQUIT)
    server.stop(DEADLINE_S)


def test_trading_does_not_notice_an_absent_database_and_history_survives_an_old_backup(
    tmp_path: pathlib.Path, server: EmbeddedPostgres
) -> None:
    environ = {"DB_HOST": str(server.folder), "DB_PORT": str(PORT), "DB_USER": USER, "DB_NAME": USER}
    exchange = Exchange(tmp_path / "var", environ=environ).start()
    try:
        carol = Person(exchange)
        carol.arrive()
        carol.trade_a_while(exchange.trader("alice"), 2)
        carol.assert_history_is_exact()

        server.stop(DEADLINE_S)
        shutil.copytree(server.folder, tmp_path / "backup")
        server.start()
        until(lambda: has_caught_up(exchange), "history did not come back after a stop")
        carol.trade_a_while(exchange.trader("alice"), 2)
        carol.assert_history_is_exact()

        stop_at_once(server)
        carol.trade_a_while(exchange.trader("alice"), 2)
        absent = carol.trader.call("GET", "/v1/myTrades", symbol="BTC_USDT")
        assert (absent.status, absent.json["reason"]) == (503, "history_unavailable")
        assert carol.trader.call("GET", "/v1/openOrders").status == 200
        assert carol.trader.public("/v1/depth?symbol=BTC_USDT").status == 200

        owner = server.folder.stat()
        shutil.rmtree(server.folder)
        shutil.copytree(tmp_path / "backup", server.folder)
        for path in (server.folder, *server.folder.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        server.start()
        until(lambda: has_caught_up(exchange), "history did not come back after an old backup was restored")
        carol.assert_history_is_exact()
        assert exchange.stop() == 0, exchange.errors
    finally:
        exchange.ensure_gone()
