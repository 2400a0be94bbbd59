"""Time and self-checks for the engine: TICK, so that time passes, and HASH, so that the log checks itself.

Owns when the two are sent. TICK: when the state says that something is due (an order expires, triggered orders wait
for their turn, an auction ends, a dead man's timer runs out), looked at every LOOK_S, one at a time; so an idle venue's
sequence stands still. While an auction collects, what it would give is told at most once a second, and only after other
commands. HASH: after so many commands or minutes, carrying the hash that the last one found; the engine stops if its
own memory disagrees.

Never moves money by a clock it does not trust: when the wall clock jumps ahead of the boot clock by more than a minute,
no TICK is sent until it is back or the process is started again (the operator's confirmation).

    every LOOK_S   something is due? ──► TICK ──► answered: at once again, as long as it finds something to do
    every second   clock judged; auction collects? ──► TICK; many commands or minutes since the last? ──► HASH
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time

import numpy as np

from exchange.core import readers
from exchange.core.codes import CommandKind, Phase
from exchange.core.records import HASH, RECORD_BYTES, fill_command, slots
from exchange.core.state import State
from exchange.disruptor.errors import PipelineError, Refused
from exchange.disruptor.pipeline import Pipeline

log = logging.getLogger("exchange.timekeeper")
LOOK_S = 0.05
"""How often the state is asked whether something is due: a read of it takes a few microseconds."""
JUMP_AHEAD_MAX_NS = 60 * 10**9
JUMP_BACK_MAX_NS = 10**9
IDLE_S = 1.0
"""How long nothing is looked for after a TICK that found nothing to do."""


def _auction_collects(state: State) -> bool:
    """Whether any symbol is in an auction."""
    return bool((state.markets.phase == Phase.AUCTION).any())


def _last_hash(state: State) -> tuple[int, int, int]:
    """The sequence of the last HASH, and what it found."""
    header = state.header[0]
    return int(header.hash_sequence), int(header.hash_0), int(header.hash_1)


def _command(kind: CommandKind, **fields: int) -> bytes:
    slot = slots(1)[0]
    fill_command(slot, kind, "", "", **fields)
    return bytes(slot)


class Timekeeper:
    """On the event loop's thread: `start`; `step` once a second; `stop`."""

    def __init__(self, pipeline: Pipeline, *, hash_every: int, hash_interval_s: float) -> None:
        self._pipeline = pipeline
        self._hash_every = hash_every
        self._hash_interval_s = hash_interval_s
        self._hashed, self._hash_from = pipeline.read(_last_hash)
        self._hash_due_s = time.monotonic() + hash_interval_s
        self._wall_ahead_ns = self._ahead_ns()
        self._trusted = True
        self._in_flight: asyncio.Future[bytes] | None = None
        self._tick: asyncio.Future[bytes] | None = None
        self._ticked_sequence = 0
        """Of the last TICK."""
        self._idle_until_s = 0.0
        """What is due and can not be done now (the symbol of an auction is halted) is looked at again then."""
        self._looking: asyncio.TimerHandle | None = None

    @staticmethod
    def _ahead_ns() -> int:
        """How far the wall clock is ahead of the boot clock, which nobody can set and which counts suspended time."""
        return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def start(self) -> None:
        """Look every LOOK_S from now on."""
        self._looking = asyncio.get_running_loop().call_later(LOOK_S, self.start)
        self.look()

    def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()

    def step(self) -> None:
        """Judge the clock, and send what is due. A refusal (the pipeline stops) only means that it is sent later."""
        self._judge_clock()
        try:
            self._tick_if_due()
            self._tell_auctions()
            self._hash_if_due()
        except Refused as refused:
            log.warning("time stands still for the engine: %s", refused.detail)

    def look(self) -> None:
        """Send a TICK if one is due. `step` says what a refusal means."""
        with contextlib.suppress(Refused):
            self._tick_if_due()

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

    def _is_trusted(self) -> bool:
        """Whether the clock was trusted a second ago and has not jumped since."""
        return self._trusted and self._ahead_ns() - self._wall_ahead_ns <= JUMP_AHEAD_MAX_NS

    def _tick_if_due(self) -> None:
        if self._tick is not None or time.monotonic() < self._idle_until_s:
            return
        due_ns, _ = self._pipeline.read(readers.next_due_ts_ns)
        if 0 < due_ns <= time.time_ns() and self._is_trusted():
            self._send_tick(is_due=True)

    def _tell_auctions(self) -> None:
        """What an auction would give now, if anything happened since it was told."""
        happened = self._pipeline.last_sequence != self._ticked_sequence
        if self._tick is None and happened and self._is_trusted() and self._pipeline.read(_auction_collects)[0]:
            self._send_tick(is_due=False)

    def _send_tick(self, *, is_due: bool) -> None:
        self._tick = self._expect(_command(CommandKind.TICK))
        self._ticked_sequence = self._pipeline.last_sequence
        self._tick.add_done_callback(functools.partial(self._ticked, is_due))

    def _ticked(self, was_due: bool, future: asyncio.Future[bytes]) -> None:
        """Go on at once while there is something to do: a backlog is worked off TICK after TICK."""
        self._tick = None
        if future.cancelled() or future.exception() is not None:
            return
        if was_due and len(future.result()) == RECORD_BYTES:  # TICKED and nothing else
            self._idle_until_s = time.monotonic() + IDLE_S
        else:
            self.look()

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
