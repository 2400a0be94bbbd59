"""A long answer is made a few parts in one turn of the event loop, and is the same answer."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Iterator

import orjson
import pytest

from exchange.gateway.turns import TURN_PARTS, json_array


@pytest.mark.parametrize("count", [0, 1, TURN_PARTS, TURN_PARTS + 1, 10 * TURN_PARTS])
async def test_a_long_answer_leaves_turns_to_others(count: int) -> None:
    turn = 0
    made_in: collections.Counter[int] = collections.Counter()

    async def others() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    def parts() -> Iterator[dict[str, int]]:
        for number in range(count):
            made_in[turn] += 1
            yield {"number": number}

    running = asyncio.create_task(others())
    assert orjson.loads(await json_array(parts())) == [{"number": number} for number in range(count)]
    running.cancel()
    assert max(made_in.values(), default=0) <= TURN_PARTS
