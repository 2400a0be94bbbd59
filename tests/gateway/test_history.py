"""History over real HTTP: what was answered a moment ago is in it, exactly, and what can not be read says why."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from exchange.gateway.answers import STATUS_NAMES
from tests.gateway.running import Answer, Exchange, Trader

Json = dict[str, Any]
WAIT_S = 30.0
ORDERS_PATH, TRADES_PATH, LEDGER_PATH = "/v1/allOrders", "/v1/myTrades", "/v1/ledger"
PUBLIC_TARGETS = (
    "/v1/trades?symbol=BTC_USDT",
    "/v1/historicalTrades?symbol=BTC_USDT",
    "/v1/aggTrades?symbol=BTC_USDT",
    "/v1/klines?symbol=BTC_USDT&interval=1m",
)


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A demo exchange of this module, in which all sorts of things have happened."""
    running = Exchange(tmp_path_factory.mktemp("history") / "var").start()
    happen(running.trader("alice"), running.trader("bob"))
    yield running
    assert running.stop() == 0, running.errors


def done(answer: Answer) -> Any:
    """The body of an answer that must be a success."""
    assert answer.status == 200, answer
    return answer.json


def happen(alice: Trader, bob: Trader) -> None:
    """Every way in which an order can come, change and end."""
    none, market = {"selfTradePreventionMode": "NONE"}, {"type": "MARKET", "timeInForce": None}
    done(alice.order("SELL", "0.05", "60000"))
    done(bob.order("BUY", "0.02", "60000"))
    done(bob.order("BUY", "0.01", "61000"))  # cheaper than its limit: part of the hold comes back
    done(alice.order("SELL", "0.03", "60500"))
    done(bob.order("BUY", "0.04", "60500"))  # two prices at once
    reduced = done(bob.order("BUY", "0.1", "50000"))["orderId"]
    done(bob.call("PUT", "/v1/order/amend/keepPriority", symbol="BTC_USDT", orderId=reduced, newQty="0.06"))
    done(alice.order("SELL", "0.01", "50000"))
    done(bob.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=reduced))
    done(alice.order("BUY", "0.02", "40000"))
    done(alice.order("SELL", "0.01", "40000", **none))  # with herself
    done(alice.order("SELL", "0.005", "40000", selfTradePreventionMode="DECREMENT"))
    done(alice.order("SELL", "0.005", "40000", selfTradePreventionMode="EXPIRE_MAKER"))
    done(alice.order("BUY", "0.005", "40000", selfTradePreventionMode="EXPIRE_TAKER"))
    done(alice.order("BUY", "0.001", "40000", selfTradePreventionMode="EXPIRE_BOTH"))
    done(alice.call("DELETE", "/v1/openOrders", symbol="BTC_USDT"))
    for price, lots in (("55000", "0.01"), ("56000", "0.02"), ("57000", "0.003")):
        done(alice.order("SELL", lots, price))
    done(bob.order("BUY", "0.005", "0", **market, price=None))
    done(bob.order("BUY", "0", "0", **market, quantity=None, price=None, quoteOrderQty="700"))
    done(bob.order("BUY", "0.001", "56000", timeInForce="IOC"))
    done(bob.order("BUY", "1", "56000", timeInForce="FOK"))
    done(bob.order("BUY", "0.015", "55500", timeInForce="IOC"))
    done(bob.order("BUY", "9", "0", **market, price=None))  # all that there is
    done(bob.order("BUY", "0.001", "30000", type="LIMIT_MAKER", timeInForce=None))
    done(bob.order("BUY", "0.001", "31000", timeInForce="GTD", goodTillDate=(int(time.time()) + 86_400) * 1000))
    for mode in ("DECREMENT", "EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH"):
        for quantity in ("0.001", "0.002"):
            done(alice.order("SELL", quantity, "58000"))
            done(bob.order("SELL", quantity, "58000"))
        spent = {"quantity": None, "price": None, "quoteOrderQty": "250", "selfTradePreventionMode": mode}
        done(alice.order("BUY", "0", "0", **market, **spent))
        done(alice.call("DELETE", "/v1/openOrders", symbol="BTC_USDT")) if open_orders(alice) else None
        done(bob.call("DELETE", "/v1/openOrders", symbol="BTC_USDT")) if open_orders(bob) else None
    done(alice.order("SELL", "0.02", "59000"))
    done(bob.order("BUY", "0.01", "59000"))
    done(alice.order("SELL", "0.01", "69000"))
    done(alice.order("SELL", "0.02", "70000", icebergQty="0.005"))
    done(alice.order("SELL", "0.02", "0", price=None, pegPriceType="PRIMARY_PEG"))
    waiting = {"type": "STOP_LOSS_LIMIT", "stopPrice": "20000"}
    done(alice.order("SELL", "0.01", "19000", **waiting))
    done(bob.order("SELL", "0.001", "19000", **waiting, trailingDelta="100", timeInForce="IOC"))
    done(bob.order("SELL", "0.001", "0", type="STOP_LOSS", price=None, timeInForce=None, trailingDelta="100"))
    done(alice.order("SELL", "1", "3000", symbol="ETH_USDT"))
    done(bob.order("BUY", "0.5", "3000", symbol="ETH_USDT"))


def open_orders(trader: Trader) -> list[Json]:
    """What rests on BTC_USDT."""
    rows: list[Json] = trader.call("GET", "/v1/openOrders", symbol="BTC_USDT").json
    return rows


def pages(ask: Callable[[int], Answer], name: str) -> list[Json]:
    """All rows, page after page: each page begins after the last id of the one before."""
    rows: list[Json] = []
    while True:
        more = done(ask(rows[-1][name] + 1 if rows else 0))
        if not more:
            return rows
        rows += more


# ---- of an account ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_every_order_in_history_is_what_get_order_says(exchange: Exchange, name: str) -> None:
    trader = exchange.trader(name)
    rows = pages(lambda at: trader.call("GET", ORDERS_PATH, symbol="BTC_USDT", orderId=at, limit=3), "orderId")
    assert len(rows) > 15
    assert {row["status"] for row in rows} >= {"FILLED", "CANCELED"}
    for row in rows:
        live = done(trader.call("GET", "/v1/order", symbol="BTC_USDT", orderId=row["orderId"]))
        live.pop("goodTillDate", None)
        why = row.pop("expiryReason", None)
        assert (why is not None) is (row["status"] == "EXPIRED")
        assert row == live
        assert list(row) == list(live)


def test_orders_of_both_and_of_every_end_are_in_history(exchange: Exchange) -> None:
    rows = [
        row
        for name in ("alice", "bob")
        for row in exchange.trader(name).call("GET", ORDERS_PATH, symbol="BTC_USDT").json
    ]
    assert {row["status"] for row in rows} == set(STATUS_NAMES) - {"", "PENDING_NEW"}
    ids = sorted(row["orderId"] for row in rows)
    assert ids == list(range(1, len(ids) + 1))


def test_trades_of_an_account_are_its_fills(exchange: Exchange) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    done(alice.order("SELL", "0.01", "20000"))
    done(alice.order("SELL", "0.02", "20001"))
    taken = done(bob.order("BUY", "0.03", "20001"))
    mine = done(bob.call("GET", TRADES_PATH, symbol="BTC_USDT", orderId=taken["orderId"]))
    assert [
        {
            "price": row["price"],
            "qty": row["qty"],
            "commission": row["commission"],
            "commissionAsset": row["commissionAsset"],
            "tradeId": row["id"],
        }
        for row in mine
    ] == taken["fills"]
    assert all((row["isBuyer"], row["isMaker"], row["orderListId"]) == (True, False, -1) for row in mine)
    assert sum(Decimal(row["quoteQty"]) for row in mine) == Decimal(taken["cummulativeQuoteQty"])
    theirs = done(alice.call("GET", TRADES_PATH, symbol="BTC_USDT", limit=2))
    assert [row["id"] for row in theirs] == [row["id"] for row in mine]
    assert all((row["isBuyer"], row["isMaker"], row["commissionAsset"]) == (False, True, "USDT") for row in theirs)


def test_trade_with_oneself_is_two_rows_of_one_id_on_one_page(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    rows = pages(lambda at: alice.call("GET", TRADES_PATH, symbol="BTC_USDT", fromId=at, limit=1), "id")
    assert rows == done(alice.call("GET", TRADES_PATH, symbol="BTC_USDT", limit=1000))
    twice = [list(group) for _, group in itertools.groupby(rows, lambda row: row["id"])]
    both = [group for group in twice if len(group) == 2]
    assert len(both) >= 1
    for taker, maker in both:
        assert (taker["isMaker"], maker["isMaker"]) == (False, True)
        assert taker["isBuyer"] is not maker["isBuyer"]
        assert taker["orderId"] > maker["orderId"]


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_ledger_sums_to_the_balances(exchange: Exchange, name: str) -> None:
    trader = exchange.trader(name)
    entries = pages(lambda at: trader.call("GET", LEDGER_PATH, fromId=at, limit=7), "entryId")
    assert [entry["entryId"] for entry in entries] == sorted({entry["entryId"] for entry in entries})
    sums: dict[str, list[Decimal]] = {}
    for entry in entries:
        for posting in entry["postings"]:
            available, locked = sums.setdefault(posting["asset"], [Decimal(0), Decimal(0)])
            sums[posting["asset"]] = [available + Decimal(posting["available"]), locked + Decimal(posting["locked"])]
    balances = {asset: [Decimal(free), Decimal(locked)] for asset, (free, locked) in trader.balances().items()}
    assert sums == {asset: amounts for asset, amounts in balances.items() if any(amounts) or asset in sums}
    assert {entry["type"] for entry in entries} == {"DEPOSIT", "HOLD", "RELEASE", "TRADE"}


def test_ledger_of_an_order_tells_its_whole_life(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    order_id = done(alice.order("BUY", "0.01", "10000"))["orderId"]
    done(alice.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=order_id))
    held, released = done(alice.call("GET", LEDGER_PATH, orderId=order_id))
    assert (held["type"], released["type"]) == ("HOLD", "RELEASE")
    assert held["postings"] == [{"asset": "USDT", "available": "-100.00000000", "locked": "100.00000000"}]
    assert released["postings"] == [{"asset": "USDT", "available": "100.00000000", "locked": "-100.00000000"}]
    for entry in (held, released):
        assert (entry["symbol"], entry["orderId"]) == ("BTC_USDT", order_id)
        assert (entry["tradeId"], entry["transferId"]) == (None, None)
    assert done(exchange.trader("bob").call("GET", LEDGER_PATH, orderId=order_id)) == []


def test_ledger_of_an_asset_and_of_a_time_is_a_part_of_the_whole(exchange: Exchange) -> None:
    bob = exchange.trader("bob")
    whole: Any = done(bob.call("GET", LEDGER_PATH, limit=1000))
    eth = done(bob.call("GET", LEDGER_PATH, asset="ETH"))
    parts = [
        {**entry, "postings": [posting for posting in entry["postings"] if posting["asset"] == "ETH"]}
        for entry in whole
    ]
    assert eth == [entry for entry in parts if entry["postings"]]
    at = whole[len(whole) // 2]["time"]
    assert done(bob.call("GET", LEDGER_PATH, startTime=at, endTime=at)) == [e for e in whole if e["time"] == at]
    deposit = whole[0]
    assert (deposit["type"], deposit["symbol"], deposit["orderId"]) == ("DEPOSIT", None, None)
    assert deposit["transferId"] == 17_001
    assert deposit["postings"] == [{"asset": "BTC", "available": "100.00000000", "locked": "0.00000000"}]


# ---- one's own writes ---------------------------------------------------------------------------------------------


def test_history_has_what_was_answered_a_moment_ago(exchange: Exchange) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    for number in range(20):
        price = str(15_000 + number)
        sold = alice.order("SELL", "0.001", price)
        newest = alice.call("GET", ORDERS_PATH, symbol="BTC_USDT", limit=1)
        assert newest.json[0]["orderId"] == sold.json["orderId"]
        assert int(newest.headers["x-exchange-sequence"]) >= int(sold.headers["x-exchange-sequence"])
        bought = bob.order("BUY", "0.001", price)
        (fill,) = bought.json["fills"]
        assert bob.call("GET", TRADES_PATH, symbol="BTC_USDT", limit=1).json[0]["id"] == fill["tradeId"]
        assert alice.public("/v1/trades?symbol=BTC_USDT&limit=1").json[0]["id"] == fill["tradeId"]
        assert alice.public("/v1/aggTrades?symbol=BTC_USDT&limit=1").json[0]["l"] == fill["tradeId"]
        assert alice.public("/v1/klines?symbol=BTC_USDT&interval=1M&limit=1").json[0][4] == fill["price"]
        assert alice.call("GET", LEDGER_PATH, limit=1).json[0]["tradeId"] == fill["tradeId"]
        assert alice.call("GET", ORDERS_PATH, symbol="BTC_USDT", limit=1).json[0]["status"] == "FILLED"


# ---- of a symbol --------------------------------------------------------------------------------------------------


def all_trades(exchange: Exchange, symbol: str) -> list[Json]:
    """Every public trade of a symbol, in microseconds."""
    alice, unit = exchange.trader("alice"), {"X-MBX-TIME-UNIT": "MICROSECOND"}
    return pages(
        lambda at: alice.public(f"/v1/historicalTrades?symbol={symbol}&fromId={at}&limit=7", "GET", **unit), "id"
    )


def test_public_trades_are_those_of_both_accounts_gapless(exchange: Exchange) -> None:
    rows = all_trades(exchange, "BTC_USDT")
    assert [row["id"] for row in rows] == list(range(1, len(rows) + 1))
    mine = {
        row["id"]: row
        for name in ("alice", "bob")
        for row in exchange.trader(name).call("GET", TRADES_PATH, symbol="BTC_USDT", limit=1000).json
    }
    for row in rows:
        own = mine[row["id"]]
        assert (row["price"], row["qty"], row["quoteQty"]) == (own["price"], own["qty"], own["quoteQty"])
        assert row["time"] // 1000 == own["time"]
        assert row["isBuyerMaker"] == (own["isBuyer"] == own["isMaker"])
    newest = exchange.trader("alice").public("/v1/trades?symbol=BTC_USDT&limit=3").json
    assert [row["id"] for row in newest] == [row["id"] for row in rows[-3:]]


def test_aggregated_trades_cover_every_trade_once(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    rows = pages(lambda at: alice.public(f"/v1/aggTrades?symbol=BTC_USDT&fromId={at}&limit=5"), "a")
    trades = {row["id"]: row for row in all_trades(exchange, "BTC_USDT")}
    assert [row["a"] for row in rows] == [row["f"] for row in rows]
    assert [trade for row in rows for trade in range(row["f"], row["l"] + 1)] == sorted(trades)
    for row in rows:
        parts = [trades[trade] for trade in range(row["f"], row["l"] + 1)]
        assert sum(Decimal(part["qty"]) for part in parts) == Decimal(row["q"])
        assert {(part["price"], part["time"] // 1000, part["isBuyerMaker"]) for part in parts} == {
            (row["p"], row["T"], row["m"])
        }
    middle = rows[len(rows) // 2]["T"]
    at_once = alice.public(f"/v1/aggTrades?symbol=BTC_USDT&startTime={middle}&endTime={middle}").json
    assert at_once == [row for row in rows if row["T"] == middle]


def folded(trades: list[Json], first_us: int, end_us: int) -> list[Any] | None:
    """A candle made of trades by hand; None without one."""
    inside = [row for row in trades if first_us <= row["time"] < end_us]
    if not inside:
        return None
    prices = [row["price"] for row in inside]
    bought = [row for row in inside if not row["isBuyerMaker"]]
    return [
        *(prices[0], max(prices, key=Decimal), min(prices, key=Decimal), prices[-1]),
        sum(Decimal(row["qty"]) for row in inside),
        sum(Decimal(row["quoteQty"]) for row in inside),
        len(inside),
        sum(Decimal(row["qty"]) for row in bought),
        sum(Decimal(row["quoteQty"]) for row in bought),
    ]


def _wait_for_quiet_seconds(exchange: Exchange, seconds: int) -> None:
    """Until the chart of seconds has so many candles without a trade at its end."""
    until_s = time.monotonic() + WAIT_S
    while time.monotonic() < until_s:
        rows = exchange.trader("alice").public(f"/v1/klines?symbol=BTC_USDT&interval=1s&limit={seconds}").json
        if len(rows) == seconds and all(row[8] == 0 for row in rows):
            return
        time.sleep(0.05)
    raise AssertionError("the chart of seconds does not go on")


@pytest.mark.parametrize("interval", ["1s", "1m", "1h", "1d", "1w", "1M"])
@pytest.mark.parametrize("zone", ["0", "-09:30"])
def test_candles_are_the_fold_of_the_trades_without_a_gap(exchange: Exchange, interval: str, zone: str) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    if interval == "1s":
        _wait_for_quiet_seconds(exchange, 2)
        done(alice.order("SELL", "0.001", "14000"))
        done(bob.order("BUY", "0.001", "14000"))
    unit = {"X-MBX-TIME-UNIT": "MICROSECOND"}
    rows = alice.public(
        f"/v1/klines?symbol=BTC_USDT&interval={interval}&timeZone={zone}&limit=1000", "GET", **unit
    ).json
    trades = all_trades(exchange, "BTC_USDT")
    close = None
    assert rows[0][0] <= trades[0]["time"] <= rows[0][6]
    assert sum(row[8] for row in rows) == len(trades)
    for row, following in itertools.zip_longest(rows, rows[1:]):
        assert following is None or following[0] == row[6] + 1
        expected = folded(trades, row[0], row[6] + 1)
        if expected is None:
            assert row[1:6] == [close, close, close, close, "0.00000000"]
            assert row[7:] == ["0.00000000", 0, "0.00000000", "0.00000000", "0"]
            continue
        assert row[1:5] == expected[:4]
        assert [Decimal(row[5]), Decimal(row[7]), row[8], Decimal(row[9]), Decimal(row[10])] == expected[4:]
        close = row[4]
    if interval == "1s":
        assert any(row[8] == 0 for row in rows)


def test_symbol_without_a_trade_has_no_candles_and_no_trades(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    for target in PUBLIC_TARGETS:
        assert alice.public(target.replace("BTC_USDT", "ETH_BTC")).json == []
    assert alice.public("/v1/klines?symbol=ETH_BTC&interval=1M&timeZone=8").json == []


def test_pages_of_candles_join_and_end_where_they_are_told(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    _wait_for_quiet_seconds(exchange, 4)
    path = "/v1/klines?symbol=BTC_USDT&interval=1s"
    whole = alice.public(f"{path}&limit=1000").json
    first, last = whole[0][0], whole[-1][0]
    assert alice.public(f"{path}&startTime={first}&endTime={last}&limit=1000").json == whole
    assert alice.public(f"{path}&startTime={first}&limit=2").json == whole[:2]
    assert alice.public(f"{path}&startTime={first + 1}&limit=2").json == whole[1:3]
    assert alice.public(f"{path}&endTime={last - 1}&limit=2").json == whole[-3:-1]
    assert alice.public(f"{path}&startTime={first * 1000}&limit=2").json == whole[:2]  # microseconds
    assert alice.public(f"{path}&endTime={first - 1}").json == []
