"""Time and self-checks for the engine: TICK, so that time passes, and HASH, so that the log checks itself.

Owns when the two are sent. TICK: when the first of the orders that can expire is due, looked at once a second; so an
idle venue's sequence stands still. HASH: after so many commands or minutes, carrying the hash that the last one
found; the engine stops if its own memory disagrees. Never moves money by a clock it does not trust: when the wall
clock jumps ahead of the boot clock by more than a minute, no TICK is sent until it is back or the process is started
again (the operator's confirmation).
"""

from __future__ import annotations

import asyncio
import logging
import time

import numpy as np

from exchange.core.codes import CommandKind
from exchange.core.records import HASH, RECORD_BYTES, fill_command, slots
from exchange.core.state import State
from exchange.disruptor.errors import PipelineError, Refused
from exchange.disruptor.pipeline import Pipeline

log = logging.getLogger("exchange.timekeeper")
JUMP_AHEAD_MAX_NS = 60 * 10**9
JUMP_BACK_MAX_NS = 10**9


def _next_expiry_ts_ns(state: State) -> int:
    """When the first order that can expire is due; zero when there is none."""
    return int(state.expiries[0].expire_ts_ns) if state.header[0].expiries else 0


def _last_hash(state: State) -> tuple[int, int, int]:
    """The sequence of the last HASH, and what it found."""
    header = state.header[0]
    return int(header.hash_sequence), int(header.hash_0), int(header.hash_1)


def _command(kind: CommandKind, **fields: int) -> bytes:
    slot = slots(1)[0]
    fill_command(slot, kind, "", "", **fields)
    return bytes(slot)


class Timekeeper:
    """Call `step` once a second on the event loop's thread."""

    def __init__(self, pipeline: Pipeline, *, hash_every: int, hash_interval_s: float) -> None:
        self._pipeline = pipeline
        self._hash_every = hash_every
        self._hash_interval_s = hash_interval_s
        self._hashed, self._hash_from = pipeline.read(_last_hash)
        self._hash_due_s = time.monotonic() + hash_interval_s
        self._wall_ahead_ns = self._ahead_ns()
        self._trusted = True
        self._in_flight: asyncio.Future[bytes] | None = None

    @staticmethod
    def _ahead_ns() -> int:
        """How far the wall clock is ahead of the boot clock, which nobody can set and which counts suspended time."""
        return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def step(self) -> None:
        """Send what is due. A refusal (the ring is full, the pipeline stops) only means that it is sent later."""
        self._judge_clock()
        try:
            self._tick_if_due()
            self._hash_if_due()
        except Refused as refused:
            log.warning("time stands still for the engine: %s", refused.detail)

    def _judge_clock(self) -> None:
        jump_ns = self._ahead_ns() - self._wall_ahead_ns
        trusted = jump_ns <= JUMP_AHEAD_MAX_NS
        if trusted:
            if jump_ns < -JUMP_BACK_MAX_NS:
                log.error("the wall clock went back by %.1f s; engine time stands until it catches up", -jump_ns / 1e9)
            self._wall_ahead_ns += jump_ns
        elif self._trusted:
            log.error(
                "the wall clock jumped ahead by %.1f s; no order expires until it is back or restarted", jump_ns / 1e9
            )
        self._trusted = trusted

    def _tick_if_due(self) -> None:
        due_ns, _ = self._pipeline.read(_next_expiry_ts_ns)
        if self._trusted and 0 < due_ns <= time.time_ns():
            self._expect(_command(CommandKind.TICK))

    def _hash_if_due(self) -> None:
        commands = self._pipeline.last_sequence - self._hash_from
        now_s = time.monotonic()
        late = now_s >= self._hash_due_s
        if self._in_flight is not None or not commands or not (late or commands >= self._hash_every):
            return
        sequence, hash_0, hash_1 = self._hashed
        command = _command(CommandKind.HASH, at_sequence=sequence, hash_0=hash_0, hash_1=hash_1)
        self._in_flight = self._expect(command)
        self._in_flight.add_done_callback(self._remember)
        self._hash_due_s = now_s + self._hash_interval_s

    def _expect(self, command: bytes) -> asyncio.Future[bytes]:
        """Submit with the operator's share; a failed future has been reported by the pipeline already."""
        future = self._pipeline.submit((command,), cancel=True)[0]
        future.add_done_callback(_retrieved)
        return future

    def _remember(self, future: asyncio.Future[bytes]) -> None:
        self._in_flight = None
        if future.cancelled() or future.exception() is not None:
            return
        events = future.result()
        found = np.frombuffer(events[-RECORD_BYTES:], dtype=HASH)[0]
        self._hashed = int(found["at_sequence"]), int(found["hash_0"]), int(found["hash_1"])
        self._hash_from = self._hashed[0]


def _retrieved(future: asyncio.Future[bytes]) -> None:
    if not future.cancelled() and isinstance(future.exception(), PipelineError):
        log.debug("a command of the timekeeper has no answer: %s", future.exception())
