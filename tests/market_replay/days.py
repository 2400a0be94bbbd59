"""Small hand-written days: messages and the book after each, as LOBSTER would have recorded two levels of them."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

NO_ASK, NO_BID = "9999999999,0", "-9999999999,0"


class Files(NamedTuple):
    """The two files of a day, and where our book shall go."""

    messages: pathlib.Path
    book: pathlib.Path
    out: pathlib.Path


def row(asks: list[str], bids: list[str]) -> str:
    """A book row of two levels from "price,size" texts, best first."""
    asks = (asks + [NO_ASK] * 2)[:2]
    bids = (bids + [NO_BID] * 2)[:2]
    return f"{asks[0]},{bids[0]},{asks[1]},{bids[1]}"


def write(folder: pathlib.Path, day: list[tuple[str, str]]) -> Files:
    """The files of a day given as (message without its time, book row) pairs, one second apart."""
    files = Files(folder / "messages.csv", folder / "book.csv", folder / "ours.csv")
    files.messages.write_text("".join(f"{34200 + n}.5,{message}\n" for n, (message, _) in enumerate(day)))
    files.book.write_text("".join(f"{after}\n" for _, after in day))
    return files


SEED = ("5,0,1,2000000,1", row(["2010000,50", "2020000,60"], ["2000000,40", "1990000,30"]))
"""The first message: a hidden execution, so the row shows what was there before."""

ORDINARY = [
    SEED,
    ("1,11,100,2005000,-1", row(["2005000,100", "2010000,50"], ["2000000,40", "1990000,30"])),  # forgets 2020000
    ("1,12,20,2005000,-1", row(["2005000,120", "2010000,50"], ["2000000,40", "1990000,30"])),
    ("2,11,30,2005000,-1", row(["2005000,90", "2010000,50"], ["2000000,40", "1990000,30"])),  # keeps its place
    ("4,11,50,2005000,-1", row(["2005000,40", "2010000,50"], ["2000000,40", "1990000,30"])),
    ("4,11,20,2005000,-1", row(["2005000,20", "2010000,50"], ["2000000,40", "1990000,30"])),
    ("5,0,7,2002000,1", row(["2005000,20", "2010000,50"], ["2000000,40", "1990000,30"])),
    ("3,12,20,2005000,-1", row(["2010000,50", "2020000,75"], ["2000000,40", "1990000,30"])),  # adopts 2020000
    ("2,99,15,2000000,1", row(["2010000,50", "2020000,75"], ["2000000,25", "1990000,30"])),  # before our view
    ("4,98,25,2000000,1", row(["2010000,50", "2020000,75"], ["1990000,30"])),  # before our view
    ("3,97,30,1990000,1", row(["2010000,50", "2020000,75"], [])),
    ("1,13,5,1980000,1", row(["2010000,50", "2020000,75"], ["1980000,5"])),
]
"""Placing, partial cancel, executions in turn, hidden ones, what was there before our view, an empty side."""

OUT_OF_TURN = [
    SEED,
    ("1,21,10,2001000,1", row(["2010000,50", "2020000,60"], ["2001000,10", "2000000,40"])),
    ("1,22,10,2001000,1", row(["2010000,50", "2020000,60"], ["2001000,20", "2000000,40"])),
    ("4,22,10,2001000,1", row(["2010000,50", "2020000,60"], ["2001000,10", "2000000,40"])),  # 21 stood before it
    ("3,21,10,2001000,1", row(["2010000,50", "2020000,60"], ["2000000,40", "1990000,30"])),  # 21 has nothing left here
]
"""The tape executes the second in the queue, then cancels the first, which ours has executed."""

HALTED = [
    SEED,
    ("7,0,0,-1,-1", row(["2010000,50", "2020000,60"], ["2000000,40", "1990000,30"])),
    ("3,96,40,2000000,1", row(["2010000,50", "2020000,60"], ["1990000,30", "1980000,10"])),  # cancel and adopt, halted
    ("7,0,0,0,-1", row(["2010000,50", "2020000,60"], ["1990000,30", "1980000,10"])),
    (
        "1,31,8,2000000,1",
        row(["2010000,50", "2020000,60"], ["2000000,8", "1990000,30"]),
    ),  # quoting
    ("7,0,0,1,-1", row(["2010000,50", "2020000,60"], ["2000000,8", "1990000,30"])),
    ("4,31,8,2000000,1", row(["2010000,50", "2020000,60"], ["1990000,30", "1980000,10"])),
]
"""A halt during which an order is canceled and a level comes into view, quoting, and the reopening."""
