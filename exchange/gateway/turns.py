"""Long answers, made a little at a time: orders wait for a turn of the event loop and not for a page.

Owns how much is made in one turn. Never knows what it makes.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

import orjson

TURN_PARTS = 50
"""How much is made in one turn: half a millisecond of orders, candles or trades."""
Part = TypeVar("Part")


async def in_turns(parts: Iterator[Part], turn: int = TURN_PARTS) -> AsyncIterator[list[Part]]:
    """All parts, at most `turn` of them in one turn of the event loop, and everybody else in between."""
    while some := list(itertools.islice(parts, turn)):
        yield some
        await asyncio.sleep(0)


async def json_array(parts: Iterator[Any], turn: int = TURN_PARTS) -> bytes:
    """The JSON array of all parts."""
    pieces = [orjson.dumps(some)[1:-1] async for some in in_turns(parts, turn)]
    return b"[%b]" % b",".join(pieces)
