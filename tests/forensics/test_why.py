"""`exchange why`: the life of orders that were filled, canceled, expired, prevented, triggered, and of refusals."""

from __future__ import annotations

import pathlib
import shutil
from typing import Any

import pytest

from tests.forensics import scenes


@pytest.fixture(name="path", scope="module")
def fixture_path(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The story."""
    return scenes.told(tmp_path_factory.mktemp("why") / "var")


@pytest.fixture(name="waiting", scope="module")
def fixture_waiting(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The story of orders that wait."""
    return scenes.told(tmp_path_factory.mktemp("waiting") / "var", scenes.waiting())


def life(path: pathlib.Path, order_id: int) -> tuple[str, list[tuple[int, str]]]:
    """(status, [(sequence, sentence)])."""
    found = scenes.asked("why", str(order_id), "--data-dir", str(path))
    return found["status"], [(step["sequence"], step["sentence"]) for step in found["steps"]]


def test_filled_maker_is_told_with_its_place_and_its_taker(path: pathlib.Path) -> None:
    placed = "Account 16 placed it: LIMIT GTC SELL 0.5 BTC on BTC_USDT at 60000 USDT, client id 'first'"
    rested = "0.5 BTC of it came to rest on the book at 60000 USDT, first at its price."
    sold = "It sold 0.5 BTC to order 3 of account 17 at 60000 USDT as the maker (trade 1), for 30000 USDT"
    assert life(path, 1) == (
        "FILLED",
        [(11, f"{placed}; 0.5 BTC locked for it."), (11, rested), (13, f"{sold}; fee 3 USDT; that filled it.")],
    )


def test_canceled_order_is_told_behind_how_many_lots_it_stood(path: pathlib.Path) -> None:
    status, steps = life(path, 2)
    assert status == "CANCELED"
    assert steps[1] == (12, "0.2 BTC of it came to rest on the book at 60000 USDT, behind 0.5 BTC in 1 order.")
    assert steps[2][1].endswith("0.1 BTC left.")
    assert steps[3] == (
        14,
        "It ended CANCELED with 0.1 BTC not traded: its owner canceled it (CANCEL); 0.1 BTC released.",
    )


@pytest.mark.parametrize(
    ("order_id", "status", "sequence", "last"),
    [
        (3, "FILLED", 13, "that filled it."),
        (4, "EXPIRED", 19, "0.06 BTC not traded: its time was over (GTD); 0.06 BTC released."),
        (6, "EXPIRED", 18, "it was FOK and could not be filled whole, so it traded nothing; 5580 USDT released."),
        (7, "EXPIRED_IN_MATCH", 21, "0.01 BTC was taken off it; that ended it (EXPIRED_IN_MATCH)."),
        (9, "EXPIRED", 24, "the other side of the book had nothing more that it could take."),
        (10, "NEW", 25, "0.001 BTC of it came to rest on the book at 100 USDT, first at its price."),
    ],
)
def test_end_of_an_order_is_told_with_its_reason(
    path: pathlib.Path, order_id: int, status: str, sequence: int, last: str
) -> None:
    found, steps = life(path, order_id)
    assert (found, steps[-1][0]) == (status, sequence)
    assert steps[-1][1].endswith(last)


def test_order_that_prevention_spared_and_its_owner_reduced(path: pathlib.Path) -> None:
    _, steps = life(path, 8)
    said = [sentence for _, sentence in steps]
    assert said[1].startswith("Self-trade prevention (EXPIRE_MAKER) kept it from trading with order 7 of the same")
    assert "nothing was taken off it" in said[1]
    assert said[3] == "Its owner reduced it by 0.01 BTC; 0.01 BTC released; it kept its place."


def test_stop_is_told_where_it_waits_and_which_trade_called_it(waiting: pathlib.Path) -> None:
    status, steps = life(waiting, 3)
    assert status == "FILLED"
    assert [sentence for _, sentence in steps[1:3]] == [
        "Its terms: stop price 61000 USDT.",
        "It waits for a trade at or above 61000 USDT.",
    ]
    assert steps[3][0] == 16
    assert steps[3][1].startswith("Trade 2 at 61000 USDT called it and it went to work: STOP_LOSS_LIMIT GTC BUY")


def test_trailing_stop_is_told_its_distance_and_the_trade_that_called_it(waiting: pathlib.Path) -> None:
    _, steps = life(waiting, 4)
    assert steps[2][1] == (
        "It follows the price at a distance of 1 %; for now a trade at or below 59400 USDT would call it."
    )
    assert steps[3][1].startswith("Trade 6 at 60000 USDT called it and it went to work: STOP_LOSS IOC SELL 0.007 BTC")


def test_iceberg_is_told_what_it_shows(waiting: pathlib.Path) -> None:
    _, steps = life(waiting, 5)
    assert steps[1][1] == "Its terms: showing 0.01 BTC at a time."
    assert sum("It showed 0.01 BTC more on the book" in sentence for _, sentence in steps) == 4


def test_peg_stands_behind_what_was_there(waiting: pathlib.Path) -> None:
    _, steps = life(waiting, 9)
    assert steps[-1][1] == ("0.003 BTC of it came to rest on the book at 60000 USDT, behind 0.008 BTC in 1 order.")


@pytest.mark.parametrize(
    ("scene", "sequence", "said"),
    [
        ("path", 15, "It needs 5000 USDT and has 3000 USDT available."),
        ("waiting", 20, "INVALID_PRICE"),
        ("waiting", 21, "Its stop price is 59000 USDT; the last price was 60000 USDT."),
    ],
)
def test_refused_command_is_explained_with_its_numbers(
    request: pytest.FixtureRequest, scene: str, sequence: int, said: str
) -> None:
    where = ("--data-dir", str(request.getfixturevalue(scene)))
    found = scenes.asked("why", "--command", str(sequence), *where)
    assert found["refused"]
    [sentence] = found["sentences"]
    assert said in sentence


def test_command_that_was_not_refused_says_what_it_did(path: pathlib.Path) -> None:
    code, output = scenes.run("why", "--command", "14", "--data-dir", str(path))
    assert code == 0
    assert "It was not refused:\n    Order 2 of account 16 ends CANCELED" in output


def test_unknown_order_is_a_sentence_and_exit_66(path: pathlib.Path) -> None:
    code, output = scenes.run("why", "11", "--data-dir", str(path))
    assert (code, output) == (66, "exchange: There is no order 11: the last order up to sequence 25 is 10.\n")


@pytest.mark.parametrize("arguments", [(), ("1", "--command", "2")])
def test_neither_or_both_of_order_and_command_is_exit_2(path: pathlib.Path, arguments: tuple[str, ...]) -> None:
    code, output = scenes.run("why", *arguments, "--data-dir", str(path))
    assert (code, output) == (2, "exchange: Name an order, or a command with --command.\n")


def _lives(path: pathlib.Path, count: int) -> list[Any]:
    return [life(path, order_id) for order_id in range(1, count + 1)]


@pytest.mark.parametrize("damage", ["gone", "empty", "flipped"])
def test_life_is_the_same_when_the_recorded_events_are_lost(
    tmp_path: pathlib.Path, path: pathlib.Path, damage: str
) -> None:
    copy = tmp_path / "var"
    shutil.copytree(path, copy)
    events = copy / "journal" / "events"
    if damage == "flipped":
        [segment] = events.iterdir()
        raw = bytearray(segment.read_bytes())
        raw[5_000] ^= 1
        segment.write_bytes(raw)
    else:
        shutil.rmtree(events)
        if damage == "empty":
            events.mkdir()
    assert _lives(copy, 10) == _lives(path, 10)


def test_life_begins_at_a_snapshot_before_the_order_and_reads_retired_commands_from_events(
    tmp_path: pathlib.Path, path: pathlib.Path
) -> None:
    venue = scenes.venue(tmp_path / "var", scenes.story()[:15])
    venue.snapshot()
    venue.roll()
    venue.apply(scenes.story()[15:])
    venue.retire(commands=15, events=0)
    venue.close()
    for order_id in range(4, 11):
        assert life(tmp_path / "var", order_id) == life(path, order_id)
    status, steps = life(tmp_path / "var", 1)
    assert status == "FILLED"
    missing = "What stood before it is not known: commands before sequence 16 are no longer kept."
    assert [sentence for _, sentence in steps] == [
        missing if "came to rest" in sentence else sentence for _, sentence in life(path, 1)[1]
    ]
