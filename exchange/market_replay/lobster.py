"""LOBSTER's two files: the order flow of one day and the recorded book after each message of it.

Owns their reading and the writing of a book file; refuses what does not follow the format, naming file, line and rule.
Never knows what a message does to a book.

A message row is `time,type,order id,size,price,direction`: time in seconds after midnight (what is finer than a
nanosecond is cut off), price in dollars x 10,000, direction 1 for a buy order and -1 for a sell order (of the resting
order, for an execution). A book row is `ask price 1,ask size 1,bid price 1,bid size 1,ask price 2,...`; an empty level
has the price 9999999999 (ask) or -9999999999 (bid) and the size 0. Neither file has a header, and row n of one belongs
to row n of the other.

Source: the ReadMe of LOBSTER's sample files, https://lobsterdata.com/info/DataStructure.php
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from exchange.core.codes import Side

EMPTY_PRICE = 9_999_999_999
"""Ask price of an empty level; its negative is the bid price of one."""
PRICE_MAX = EMPTY_PRICE - 1
SIZE_MAX = 10_000_000
LEVEL_SIZE_MAX = 100_000_000
"""PRICE_MAX * LEVEL_SIZE_MAX is a notional that the engine accepts."""
NANOSECONDS = 1_000_000_000

BookRow = tuple[int, ...]
Level = tuple[int, int]
"""Price and size."""


class MessageType(IntEnum):
    """The second column of a message."""

    NEW_ORDER = 1
    PARTIAL_CANCEL = 2
    DELETION = 3
    EXECUTION = 4
    HIDDEN_EXECUTION = 5
    CROSS_TRADE = 6
    HALT = 7


class HaltStage(IntEnum):
    """What the price column of a HALT says."""

    HALTED = -1
    QUOTING = 0
    TRADING = 1


_MESSAGE_TYPES = {str(int(kind)): kind for kind in MessageType}
_SIDES = {"1": Side.BUY, "-1": Side.SELL}
_HALT_STAGES = frozenset(str(int(stage)) for stage in HaltStage)


class Message(NamedTuple):
    """One row of a message file."""

    ts_ns: int  # after midnight
    kind: MessageType
    order_id: int  # the tape's; zero for executions of hidden orders, cross trades and halts
    size: int
    price: int  # dollars x 10,000; of a HALT its HaltStage
    side: Side  # of the order, the resting one for an execution


class Malformed(Exception):
    """A row that breaks a rule of the format."""

    def __init__(self, path: pathlib.Path, line: int, rule: str) -> None:
        super().__init__(f"{path}, line {line}: {rule}")


def read_messages(path: pathlib.Path) -> Iterator[Message]:
    """The messages of a file in order; raises Malformed at the first row that breaks a rule."""
    ts_ns = 0
    with path.open(encoding="ascii", errors="replace") as lines:
        for number, text in enumerate(lines, 1):
            try:
                message = _message(text.rstrip("\r\n").split(","))
            except ValueError as rule:
                raise Malformed(path, number, str(rule)) from None
            if message.ts_ns < ts_ns:
                raise Malformed(path, number, "the time is before that of the line above")
            ts_ns = message.ts_ns
            yield message


def _message(fields: list[str]) -> Message:
    if len(fields) != 6:
        raise ValueError(f"a message has 6 columns, this row has {len(fields)}")
    time, kind_text, id_text, size_text, price_text, side_text = fields
    seconds, _, fraction = time.partition(".")
    if not seconds.isdigit() or len(seconds) > 5 or len(fraction) > 18 or not (fraction or "0").isdigit():
        raise ValueError(f"the time {time!r} is not seconds after midnight as a decimal number")
    kind = _MESSAGE_TYPES.get(kind_text)
    if kind is None:
        raise ValueError(f"the type {kind_text!r} is not one of {', '.join(_MESSAGE_TYPES)}")
    ts_ns = int(seconds) * NANOSECONDS + int(fraction[:9].ljust(9, "0"))
    if kind is MessageType.HALT:
        if price_text not in _HALT_STAGES:
            raise ValueError(f"the price {price_text!r} of a trading halt is not -1, 0 or 1")
        return Message(ts_ns, kind, 0, 0, int(price_text), Side.SELL)
    side = _SIDES.get(side_text)
    if side is None:
        raise ValueError(f"the direction {side_text!r} is not 1 or -1")
    return Message(
        ts_ns,
        kind,
        _bounded("order id", id_text, 0, (1 << 62) - 1),
        _bounded("size", size_text, 1, SIZE_MAX),
        _bounded("price", price_text, 1, PRICE_MAX),
        side,
    )


def _bounded(name: str, text: str, least: int, most: int) -> int:
    if not text.isdigit() or len(text) > 19 or not least <= int(text) <= most:
        raise ValueError(f"the {name} {text!r} is not a whole number from {least} to {most}")
    return int(text)


def read_book(path: pathlib.Path) -> Iterator[BookRow]:
    """The rows of a book file in order, all of the same length; raises Malformed at the first that breaks a rule."""
    columns = 0
    with path.open(encoding="ascii", errors="replace") as lines:
        for number, text in enumerate(lines, 1):
            try:
                row = tuple(map(int, text.split(",")))
            except ValueError:
                raise Malformed(path, number, "a column is not a whole number") from None
            columns = columns or len(row)
            rule = _broken_rule(row, columns)
            if rule:
                raise Malformed(path, number, rule)
            yield row


def _broken_rule(row: BookRow, columns: int) -> str:
    """The rule that a book row breaks, empty if none."""
    if len(row) != columns or columns % 4:
        return f"a row has four columns a level and as many as the first one ({columns}), this one has {len(row)}"
    for side, name in ((Side.BUY, "bid"), (Side.SELL, "ask")):
        sign = -1 if side == Side.BUY else 1
        first = 0 if side == Side.SELL else 2
        before = -EMPTY_PRICE
        for price, size in zip(row[first::4], row[first + 1 :: 4], strict=True):
            key = sign * price
            if size == 0 and key != EMPTY_PRICE:
                return f"an empty {name} level has the price {sign * EMPTY_PRICE}, not {price}"
            if key == EMPTY_PRICE and size != 0:
                return f"an empty {name} level has the size 0, not {size}"
            if key <= before and key != EMPTY_PRICE:
                return f"{name} prices do not run from best to worst at {price}"
            if size < 0 or size > LEVEL_SIZE_MAX or not (key == EMPTY_PRICE or 0 < price <= PRICE_MAX):
                return f"the {name} level {price} x {size} is out of range"
            before = key
    return ""


def levels_of(row: BookRow, side: Side) -> list[Level]:
    """The levels of one side of a book row that are not empty, best first."""
    first = 0 if side == Side.SELL else 2
    return [level for level in zip(row[first::4], row[first + 1 :: 4], strict=True) if level[1]]


def format_row(row: Iterable[int]) -> str:
    """One line of a book file."""
    return ",".join(map(str, row)) + "\n"
