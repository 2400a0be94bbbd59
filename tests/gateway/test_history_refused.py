"""What history says when it can not be read, and that trading does not mind; charts over days without a trade."""

from __future__ import annotations

import itertools
import os
import pathlib
import signal
import time
from collections.abc import Iterator

import pytest

from exchange.persistence.database import Target
from exchange.persistence.intervals import SECOND_NS, SPANS, floor_ns
from exchange.settings import load
from tests.gateway.running import Answer, Exchange, Trader
from tests.gateway.test_history import LEDGER_PATH, ORDERS_PATH, PUBLIC_TARGETS, TRADES_PATH, done

WAIT_S = 30.0
DAY_NS = 86_400 * SECOND_NS
HOUR_NS = 3_600 * SECOND_NS


@pytest.fixture
def exchange(tmp_path: pathlib.Path, environ: dict[str, str]) -> Iterator[Exchange]:
    """An exchange of the test's own, with the settings that it asks for."""
    running = Exchange(tmp_path / "var", environ=environ).start()
    yield running
    assert running.stop() == 0, running.errors


@pytest.fixture
def environ() -> dict[str, str]:
    """Settings beside the usual ones."""
    return {"EXCHANGE_HISTORY_TIMEOUT": "200ms"}


def every_read(trader: Trader) -> list[Answer]:
    """One request to every endpoint of history."""
    return [
        *(trader.public(target) for target in PUBLIC_TARGETS),
        trader.call("GET", ORDERS_PATH, symbol="BTC_USDT"),
        trader.call("GET", TRADES_PATH, symbol="BTC_USDT"),
        trader.call("GET", LEDGER_PATH),
        trader.call("GET", "/v1/allOrderList"),
        trader.call("GET", "/v1/order/amendments", symbol="BTC_USDT", orderId=1),
        trader.call("GET", "/v1/myPreventedMatches", symbol="BTC_USDT", orderId=1),
    ]


def projector_of(exchange: Exchange) -> int:
    """The pid of the child that projects."""
    children = pathlib.Path(f"/proc/{exchange.pid}/task/{exchange.pid}/children").read_text().split()
    (found,) = (
        pid for pid in children if b"\0exchange\0project\0" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    return int(found)


def wait_for_history(trader: Trader) -> None:
    """Until the projection is as far as the exchange."""
    until_s = time.monotonic() + WAIT_S
    while trader.call("GET", LEDGER_PATH).status != 200:
        assert time.monotonic() < until_s, "history does not catch up"
        time.sleep(0.02)


def assert_trading_goes_on(alice: Trader) -> int:
    """An order, what is open, balances and depth; returns the sequence of the order."""
    placed = alice.order("SELL", "0.01", "60000")
    order_id = done(placed)["orderId"]
    assert done(alice.call("GET", "/v1/order", symbol="BTC_USDT", orderId=order_id))["status"] == "NEW"
    assert order_id in [row["orderId"] for row in done(alice.call("GET", "/v1/openOrders"))]
    done(alice.call("GET", "/v1/account"))
    done(alice.public("/v1/depth?symbol=BTC_USDT"))
    return int(placed.headers["x-exchange-sequence"])


@pytest.mark.parametrize("environ", [{"EXCHANGE_DATABASE": "off"}])
def test_without_a_database_history_is_unavailable_and_trading_goes_on(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    assert_trading_goes_on(alice)
    for answer in every_read(alice):
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.json == {
            "code": -1001,
            "msg": "There is no PostgreSQL here, and so no history.",
            "outcome": "rejected",
            "reason": "history_unavailable",
            "as_of_sequence": 0,
        }


def test_history_that_is_behind_says_how_far_it_is_and_catches_up(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    wait_for_history(alice)
    before = int(alice.call("GET", LEDGER_PATH).headers["x-exchange-sequence"])
    projector = projector_of(exchange)
    os.kill(projector, signal.SIGSTOP)
    try:
        assert all(answer.status == 200 for answer in every_read(alice))  # nothing has happened since
        sequence = assert_trading_goes_on(alice)
        for answer in every_read(alice):
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.json == {
                "code": -1001,
                "msg": f"History has come to sequence {before} and not yet to {sequence}; ask again.",
                "outcome": "rejected",
                "reason": "history_behind",
                "as_of_sequence": before,
            }
    finally:
        os.kill(projector, signal.SIGCONT)
    wait_for_history(alice)
    (order,) = done(alice.call("GET", ORDERS_PATH, symbol="BTC_USDT"))
    assert order["status"] == "NEW"


async def test_chart_goes_on_over_days_without_a_trade_in_every_zone(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    wait_for_history(alice)
    today_ns = time.time_ns() // DAY_NS * DAY_NS
    traded_ns = today_ns - 3 * DAY_NS + 5 * HOUR_NS
    settings = load({}, demo=True, data_dir=exchange.data_dir)
    connection = await Target.of(settings, exchange.data_dir / "postgres").connect("tests")
    for span in SPANS.values():
        await connection.execute(
            "insert into exchange_market.candles values (3, $1, $2, 5000, 5200, 4900, 5100, 7, 700, 2, 3, 300)",
            span,
            int(floor_ns(traded_ns, span)),
        )
    await connection.close()
    quiet = ["0.05100000"] * 4
    for zone, first_ns in (("0", today_ns - 3 * DAY_NS), ("8", traded_ns // DAY_NS * DAY_NS - 8 * HOUR_NS)):
        asked_ms = time.time_ns() // 1_000_000
        rows = done(alice.public(f"/v1/klines?symbol=ETH_BTC&interval=1d&timeZone={zone}&limit=1000"))
        assert rows[0][0] == first_ns // 1_000_000
        assert rows[0][1:6] == ["0.05000000", "0.05200000", "0.04900000", "0.05100000", "0.00700000"]
        assert len(rows) >= 4
        for before, row in itertools.pairwise(rows):
            assert row[0] == before[6] + 1
            assert row[1:] == [*quiet, "0.00000000", row[6], "0.00000000", 0, "0.00000000", "0.00000000", "0"]
        assert rows[-1][0] <= time.time_ns() // 1_000_000
        assert rows[-1][6] >= asked_ms
    seconds = done(alice.public("/v1/klines?symbol=ETH_BTC&interval=1s&limit=3"))
    assert [row[1:5] for row in seconds] == [quiet] * 3
