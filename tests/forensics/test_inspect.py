"""`exchange inspect N`: the command, its events, and what they changed."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from tests.forensics import scenes


@pytest.fixture(name="path", scope="module")
def fixture_path(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The story."""
    return scenes.told(tmp_path_factory.mktemp("inspect") / "var")


def inspected(path: pathlib.Path, sequence: int) -> dict[str, Any]:
    return scenes.asked("inspect", str(sequence), "--data-dir", str(path))


def test_trade_shows_command_events_balances_book_and_orders_before_and_after(path: pathlib.Path) -> None:
    found = inspected(path, 13)
    assert found["command"]["sentence"] == (
        "Account 17 places LIMIT GTC BUY 0.6 BTC on BTC_USDT at 60000 USDT (client id 'taker')."
    )
    assert found["command"]["price_ticks"] == 6_000_000
    assert found["meanings"]["price_ticks"] == "60000 USDT"
    assert [event["kind"] for event in found["events"]] == ["ORDER_ACCEPTED", "TRADE", "TRADE"]
    rows = {(row["account"], row["asset"]): row for row in found["balances"]}
    assert set(rows) == {(account, asset) for account in (1, 16, 17) for asset in ("BTC", "USDT")}
    buyer = rows[17, "BTC"]
    assert (buyer["available_before"], buyer["available_after"]) == ("0", "0.59988")
    maker = rows[16, "BTC"]
    assert (maker["locked_before"], maker["locked_after"]) == ("0.7", "0.1")
    [book] = found["books"]
    assert (book["asks_before"], book["asks_after"]) == ([["60000", "0.7"]], [["60000", "0.1"]])
    assert (book["bids_before"], book["bids_after"]) == ([], [])
    orders = {row["order_id"]: row for row in found["orders"]}
    assert orders[1]["before"]["left"] == "0.5 BTC"
    assert orders[1]["after"]["status"] == "FILLED"
    assert orders[2]["after"]["filled"] == "0.1 BTC"
    assert orders[3]["before"] is None


def test_balances_before_and_after_sum_to_the_same(path: pathlib.Path) -> None:
    from fractions import Fraction

    for sequence in range(11, 26):
        sums: dict[str, list[Fraction]] = {}
        for row in inspected(path, sequence)["balances"]:
            for at, when in enumerate(("before", "after")):
                total = Fraction(row[f"available_{when}"]) + Fraction(row[f"locked_{when}"])
                sums.setdefault(row["asset"], [Fraction(0), Fraction(0)])[at] += total
        assert all(before == after for before, after in sums.values()), sequence


def test_refusal_has_its_numbers_and_changes_nothing(path: pathlib.Path) -> None:
    found = inspected(path, 15)
    [event] = found["events"]
    assert event["sentence"].endswith(
        "INSUFFICIENT_BALANCE: The account can not pay for it. It needs 5000 USDT and has 3000 USDT available."
    )
    assert not any(row["changed"] for row in found["balances"])


def test_deposit_shows_both_ends(path: pathlib.Path) -> None:
    rows = {row["name"]: row for row in inspected(path, 7)["balances"]}
    assert (rows["WORLD"]["available_after"], rows["account 16"]["available_after"]) == ("-10", "10")


def test_table_for_people_has_every_part(path: pathlib.Path) -> None:
    code, output = scenes.run("inspect", "13", "--data-dir", str(path))
    assert code == 0
    for part in (
        "13  2025-12-30 00:00:22.1 UTC",
        "Events",
        "Balances (* changed)",
        "Book of BTC_USDT",
        "Orders",
        "  ask  60000 x 0.7  60000 x 0.1",
    ):
        assert part in output


def test_first_command_is_inspected_before_anything_exists(path: pathlib.Path) -> None:
    found = inspected(path, 1)
    assert found["command"]["sentence"] == "Asset 1 BTC is added; it has 8 decimals."
    assert (found["balances"], found["books"], found["orders"]) == ([], [], [])


@pytest.mark.parametrize("sequence", range(1, 26))
def test_every_command_of_the_story_can_be_shown(path: pathlib.Path, sequence: int) -> None:
    code, output = scenes.run("inspect", str(sequence), "--data-dir", str(path))
    assert (code, output.startswith(f"{sequence}  2025-12-30")) == (0, True)
