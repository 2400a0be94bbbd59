"""The start of an exchange and its PostgreSQL: who is refused, who goes on without, and what is said about it."""

from __future__ import annotations

import pathlib
import shutil
import time
from collections.abc import Iterator

import pytest

from exchange.persistence.embedded import PORT, USER, EmbeddedPostgres
from tests.gateway.running import Answer, Exchange, Trader
from tests.gateway.test_process import assert_one_sentence, run

DEADLINE_S = 60.0
FREE_PORTS = {"HTTP_PORT": "0", "WS_PORT": "0"}


def last_line(stderr: str) -> str:
    """What the process said last."""
    return stderr.splitlines(keepends=True)[-1]


def when_history_is_there(trader: Trader) -> Answer:
    """The first answer of history that is none of its refusals."""
    end_s = time.monotonic() + DEADLINE_S
    while (answer := trader.call("GET", "/v1/allOrders", symbol="BTC_USDT")).status == 503:
        assert answer.json["reason"] in ("history_unavailable", "history_behind")
        assert time.monotonic() < end_s, answer.json
    return answer


def test_journal_from_an_older_backup_than_the_database_is_refused(tmp_path: pathlib.Path) -> None:
    """Whoever puts an old journal back would lose acknowledged orders; PostgreSQL has seen them."""
    var = tmp_path / "var"
    exchange = Exchange(var).start()
    assert exchange.stop() == 0
    shutil.copytree(var / "journal", tmp_path / "journal")
    exchange.start()
    answer = exchange.trader("alice").order("SELL", "0.1", "60000").json
    seen = exchange.trader("alice").call("GET", "/v1/allOrders", symbol="BTC_USDT").json
    assert [order["orderId"] for order in seen] == [answer["orderId"]]
    assert exchange.stop() == 0

    shutil.rmtree(var / "journal")
    shutil.rmtree(var / "snapshots")
    shutil.copytree(tmp_path / "journal", var / "journal")
    code, _, stderr = run("serve", "--demo", "--data-dir", str(var), **FREE_PORTS)
    assert code == 78
    assert_one_sentence(last_line(stderr))
    assert "more was acknowledged: PostgreSQL at " in last_line(stderr)


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of ours for several exchanges."""
    running = EmbeddedPostgres(tmp_path / "pg", connections=20)
    running.start()
    yield running
    running.stop(10.0)


def test_database_of_another_venue_is_refused(tmp_path: pathlib.Path, server: EmbeddedPostgres) -> None:
    environ = {"DB_HOST": str(server.folder), "DB_PORT": str(PORT), "DB_USER": USER, "DB_NAME": USER}
    first = Exchange(tmp_path / "first", environ=environ).start()
    assert first.trader("alice").call("GET", "/v1/allOrders", symbol="BTC_USDT").status == 200
    assert first.stop() == 0
    code, _, stderr = run("serve", "--demo", "--data-dir", str(tmp_path / "second"), **FREE_PORTS, **environ)
    assert code == 78
    assert_one_sentence(last_line(stderr))
    assert "holds the history of another venue" in last_line(stderr)


def test_exchange_without_database_programs_trades_and_says_what_is_missing(tmp_path: pathlib.Path) -> None:
    exchange = Exchange(tmp_path / "var", environ={"EXCHANGE_PG_BIN": str(tmp_path)}).start()
    alice = exchange.trader("alice")
    assert alice.order("SELL", "0.1", "60000").status == 200
    absent = alice.call("GET", "/v1/allOrders", symbol="BTC_USDT")
    assert (absent.status, absent.json["reason"]) == (503, "history_unavailable")
    history = alice.public("/health").json["history"]
    assert history["state"] == "unavailable"
    assert history["reason"].startswith("There are no PostgreSQL binaries.")
    assert exchange.stop() == 0


def test_embedded_server_that_fails_at_the_start_is_used_once_it_comes_up(tmp_path: pathlib.Path) -> None:
    exchange = Exchange(tmp_path / "var").start()
    assert exchange.stop() == 0
    settings = tmp_path / "var" / "postgres" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(f"{good}no_such_setting = 1\n")
    exchange.start()
    alice = exchange.trader("alice")
    order_id = alice.order("SELL", "0.1", "60000").json["orderId"]
    assert alice.call("GET", "/v1/allOrders", symbol="BTC_USDT").json["reason"] == "history_unavailable"
    assert "ended with code 1 while it started" in alice.public("/health").json["history"]["reason"]

    settings.write_text(good)
    answer = when_history_is_there(alice)
    assert [order["orderId"] for order in answer.json] == [order_id]
    assert exchange.stop() == 0


def test_exchange_starts_without_its_database_and_history_begins_when_it_comes(
    tmp_path: pathlib.Path, server: EmbeddedPostgres
) -> None:
    environ = {"DB_HOST": str(server.folder), "DB_PORT": str(PORT), "DB_USER": USER, "DB_NAME": USER}
    server.stop(10.0)
    exchange = Exchange(tmp_path / "var", environ={**environ, "EXCHANGE_HISTORY_TIMEOUT": "60s"}).start()
    alice = exchange.trader("alice")
    order_id = alice.order("SELL", "0.1", "60000").json["orderId"]
    assert alice.call("GET", "/v1/allOrders", symbol="BTC_USDT").json["reason"] == "history_unavailable"
    server.start()
    answer = when_history_is_there(alice)
    assert [order["orderId"] for order in answer.json] == [order_id]
    assert exchange.stop() == 0
