"""A recorded day through a running server, over its signed REST interface."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from exchange.market_replay import app
from tests.gateway.running import Exchange
from tests.market_replay import days


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A demo exchange for the tests of this module."""
    running = Exchange(tmp_path_factory.mktemp("exchange") / "var").start()
    yield running
    assert running.stop() == 0, running.errors


def run(exchange: Exchange, folder: pathlib.Path, day: list[tuple[str, str]], *more: str) -> Result:
    files = days.write(folder, day)
    maker, taker = exchange.trader("alice"), exchange.trader("bob")
    options = {
        "--messages": files.messages, "--book": files.book, "--out": files.out, "--levels": 2, "--through": "server",
        "--speed": 0, "--url": f"http://127.0.0.1:{exchange.ports['http']}",
        "--maker-key": maker.api_key, "--maker-secret": maker.secret,
        "--taker-key": taker.api_key, "--taker-secret": taker.secret,
    }  # fmt: skip
    arguments = [str(part) for option in options.items() for part in option]
    return CliRunner().invoke(app, ["lobster", *arguments, *more])


@pytest.mark.parametrize("name", ["ORDINARY", "OUT_OF_TURN"])
def test_day_through_server_gives_the_recorded_book(exchange: Exchange, tmp_path: pathlib.Path, name: str) -> None:
    result = run(exchange, tmp_path, getattr(days, name), "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["published_equal"] is True
    counts = report["counts"]
    assert (counts["refused"], counts["unmatched_lots"]) == (0, 0)
    assert counts["makers_unnamed"] == counts["executions"] > 0
    assert (tmp_path / "ours.csv").read_text() == (tmp_path / "book.csv").read_text()


def test_day_through_server_leaves_no_open_orders(exchange: Exchange, tmp_path: pathlib.Path) -> None:
    assert run(exchange, tmp_path, days.ORDINARY).exit_code == 0
    for name in ("alice", "bob"):
        assert exchange.trader(name).call("GET", "/v1/openOrders").json == []


def test_wrong_key_exits_1_with_the_servers_sentence(exchange: Exchange, tmp_path: pathlib.Path) -> None:
    result = run(exchange, tmp_path, days.ORDINARY, "--taker-key", "k" * 64)
    assert result.exit_code == 1
    assert "Invalid API-key" in result.stderr


def test_share_below_the_smallest_notional_exits_1_with_the_filter(exchange: Exchange, tmp_path: pathlib.Path) -> None:
    result = run(exchange, tmp_path, days.ORDINARY, "--share", "0.0001")
    assert result.exit_code == 1
    assert "Filter failure: NOTIONAL" in result.stderr
    assert exchange.trader("alice").call("GET", "/v1/openOrders").json == []
