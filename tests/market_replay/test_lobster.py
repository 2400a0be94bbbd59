"""LOBSTER's files: what is read, and which row is refused with which rule."""

from __future__ import annotations

import pathlib

import pytest

from exchange.core.codes import Side
from exchange.market_replay.lobster import Malformed, Message, MessageType, levels_of, read_book, read_messages

GOOD = "34200.017459617,1,11885113,21,2238100,1"


def test_message_row_becomes_a_message(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f"{GOOD}\n34200.017459617004,7,0,0,-1,-1\n")
    first, halt = read_messages(path)
    assert first == Message(34_200_017_459_617, MessageType.NEW_ORDER, 11_885_113, 21, 2_238_100, Side.BUY)
    assert (halt.ts_ns, halt.kind, halt.price) == (34_200_017_459_617, MessageType.HALT, -1)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("34200.1,1,1,1,1", "a message has 6 columns, this row has 5"),
        ("", "a message has 6 columns, this row has 1"),
        ("9:30,1,1,1,1,1", "the time '9:30' is not seconds after midnight"),
        ("-1.5,1,1,1,1,1", "the time '-1.5' is not seconds after midnight"),
        ("34201.5e3,1,1,1,1,1", "the time '34201.5e3' is not seconds after midnight"),
        ("34199.9,1,1,1,1,1", "the time is before that of the line above"),
        ("34201,8,1,1,1,1", "the type '8' is not one of 1, 2, 3, 4, 5, 6, 7"),
        ("34201,1,x,1,1,1", "the order id 'x' is not a whole number"),
        ("34201,1,1,0,1,1", "the size '0' is not a whole number from 1"),
        ("34201,1,1,1,-5,1", "the price '-5' is not a whole number from 1"),
        ("34201,1,1,1,9999999999,1", "the price '9999999999' is not a whole number from 1 to 9999999998"),
        ("34201,1,1,1,1,0", "the direction '0' is not 1 or -1"),
        ("34201,7,0,0,2,-1", "the price '2' of a trading halt is not -1, 0 or 1"),
        ("34201,1,1,1,\u0661,1", "the price .* is not a whole number"),
    ],
)
def test_malformed_message_is_refused_with_file_line_and_rule(tmp_path: pathlib.Path, row: str, rule: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f"{GOOD}\n{row}\n", encoding="utf-8")
    with pytest.raises(Malformed, match=f"m.csv, line 2: {rule}"):
        list(read_messages(path))


def test_book_row_gives_the_levels_of_each_side(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text("20,5,19,6,21,7,-9999999999,0\n")
    (row,) = read_book(path)
    assert levels_of(row, Side.SELL) == [(20, 5), (21, 7)]
    assert levels_of(row, Side.BUY) == [(19, 6)]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("20,5,19,6,21,7,x,3", "a column is not a whole number"),
        ("20,5,19,6", "a row has four columns a level and as many as the first one"),
        ("20,5,19,6,20,7,18,3", "ask prices do not run from best to worst at 20"),
        ("20,5,19,6,21,7,19,3", "bid prices do not run from best to worst at 19"),
        ("20,5,19,6,21,0,18,3", "an empty ask level has the price 9999999999, not 21"),
        ("20,5,19,6,21,7,-9999999999,1", "an empty bid level has the size 0, not 1"),
        ("20,5,19,6,21,-7,18,3", "the ask level 21 x -7 is out of range"),
        ("20,5,19,6,21,7,0,3", "the bid level 0 x 3 is out of range"),
    ],
)
def test_malformed_book_row_is_refused_with_file_line_and_rule(tmp_path: pathlib.Path, row: str, rule: str) -> None:
    path = tmp_path / "b.csv"
    path.write_text(f"20,5,19,6,21,7,18,3\n{row}\n")
    with pytest.raises(Malformed, match=f"b.csv, line 2: {rule}"):
        list(read_book(path))
