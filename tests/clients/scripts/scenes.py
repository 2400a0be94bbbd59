"""Plays the scenes of a client's day in order and prints, as one line of JSON, how each went.

Knows only Python's own library, because it runs inside every client's environment. A scene that fails does not stop the
others; one that does not end within its time has failed.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

SCENE_S = 120
WAIT_S = 30

Value = TypeVar("Value")


class Venue(NamedTuple):
    """Where the exchange is, and the two traders who have keys to it."""

    http: str
    ws: str
    alice: tuple[str, str]
    bob: tuple[str, str]


def venue() -> Venue:
    """As the test that started this program says."""
    read = os.environ
    return Venue(
        read["HTTP_URL"],
        read["WS_URL"],
        (read["ALICE_KEY"], read["ALICE_SECRET"]),
        (read["BOB_KEY"], read["BOB_SECRET"]),
    )


async def answer(value: Any) -> Any:
    """The value, or what awaiting it gives: one text for a library's synchronous and asynchronous class."""
    return await value if inspect.isawaitable(value) else value


def same(seen: Any, expected: Any) -> None:
    """What was seen is what was expected; a failure shows both."""
    assert seen == expected, f"{seen!r} is not {expected!r}"


async def eventually(read: Callable[[], Any], expected: Value) -> Value:
    """Reads until it reads this; for what is published at intervals."""
    end = time.monotonic() + WAIT_S
    while (seen := await answer(read())) != expected:
        assert time.monotonic() < end, f"{seen!r} is still not {expected!r}"
        await asyncio.sleep(0.05)
    return expected


async def first(messages: list[Any], test: Callable[[Any], bool], check: Callable[[], None] = lambda: None) -> Any:
    """The first message that passes the test, when it has come; `check` fails if no more can come."""
    end = time.monotonic() + WAIT_S
    while not (found := [message for message in messages if test(message)]):
        check()
        assert time.monotonic() < end, f"of {len(messages)} messages none passes; the last: {messages[-3:]!r}"
        await asyncio.sleep(0.05)
    return found[0]


async def within(awaitable: Awaitable[Value], seconds: float = WAIT_S) -> Value:
    """What it gives, if it gives it in time."""
    return await asyncio.wait_for(awaitable, seconds)


async def refused(kind: type[BaseException], attempt: Callable[[], Any]) -> Any:
    """The exception that the attempt must raise: exactly of this class, not of one below it."""
    try:
        outcome = await answer(attempt())
    except Exception as error:  # noqa: BLE001  any other class is what the next line is about
        outcome = error
    assert type(outcome) is kind, f"not {kind.__name__}: {outcome!r}"
    return outcome


async def play(*scenes: Callable[[], Any]) -> None:
    """All of them; prints {name: None, or the traceback of its failure}."""
    went: dict[str, str | None] = {}
    for scene in scenes:
        try:
            await within(answer(scene()), SCENE_S)
            went[scene.__name__] = None
        except Exception:  # noqa: BLE001  whatever it is, the test shows it
            went[scene.__name__] = traceback.format_exc()
    sys.stdout.write(json.dumps(went) + "\n")
