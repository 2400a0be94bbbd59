"""The time one command takes, measured inside compiled code.

Owns the clock (CLOCK_MONOTONIC, read without the GIL and without Python objects) and the loop that enters the engine
once a command. One reading closes a command and opens the next, so a duration holds one reading of the clock and one
call of `apply` with all its arguments; `overhead_ns` is the same loop over no commands.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numba import types

from bench.flow_engine import Buffer, Prepared, Wrong, capacity_of, fresh_engine
from exchange.core.compile import INTERPRETED, kernel
from exchange.core.kernel import Engine, Status, apply
from exchange.core.state import State

CLOCK_MONOTONIC = 1
OVERHEAD_READINGS = 100_000

_clock_gettime: Any = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.uintp))


@kernel
def _compiled_now_ns(timespec: Any) -> int:
    _clock_gettime(CLOCK_MONOTONIC, timespec.ctypes.data)
    return timespec[0] * 1_000_000_000 + timespec[1]  # type: ignore[no-any-return]  # i8 array


def _plain_now_ns(timespec: Any) -> int:
    return time.monotonic_ns()


now_ns = _plain_now_ns if INTERPRETED else _compiled_now_ns
"""Nanoseconds of CLOCK_MONOTONIC; the argument is scratch, two i8."""


@kernel
def apply_each(
    state: State, commands: Any, first: int, count: int, each: int, events: Any, timespec: Any, durations_ns: Any
) -> tuple[int, int]:
    """Enter the engine for `each` (0 or 1) command at a time, `count` times; returns (entries made, last Status)."""
    before = now_ns(timespec)
    for number in range(count):
        done, _, status = apply(state, commands, first + number, each, events, 0)
        if done != each:
            return number, status
        after = now_ns(timespec)
        durations_ns[number] = after - before
        before = after
    return count, Status.DONE


def durations_ns(prepared: Prepared, checked: Engine, events: Buffer, first: int = 0) -> Any:
    """Nanoseconds of each command from `first` on, i8, in order. Raises Wrong."""
    engine = fresh_engine(prepared, capacity_of(checked.state))
    durations = np.zeros(len(prepared.commands), dtype=np.int64)
    timespec = np.zeros(2, dtype=np.int64)
    done = 0
    while done < len(durations):
        left = len(durations) - done
        made, status = apply_each(engine.state, prepared.commands, done, left, 1, events, timespec, durations[done:])
        done += made
        if status == Status.NEEDS_ROOM:
            engine.grow()
        elif status != Status.DONE:
            raise Wrong(f"command {done} stopped the engine: {Status(status).name}")
    return durations[first:]


def overhead_ns(prepared: Prepared, checked: Engine, events: Buffer) -> int:
    """The median duration that the measurement itself takes."""
    durations = np.zeros(OVERHEAD_READINGS, dtype=np.int64)
    timespec = np.zeros(2, dtype=np.int64)
    apply_each(checked.state, prepared.commands, 0, len(durations), 0, events, timespec, durations)
    return int(np.median(durations))
