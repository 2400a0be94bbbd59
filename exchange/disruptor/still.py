"""A pipeline that stands: the state can be read, no command is taken, nothing is written.

Owns what a venue does that was halted before a command that its engine can not survive (docs/recovery.md): it has the
pipeline's face, no threads and no rings. The venue's mode reads HALTED; this state is seen by readers only and is gone
with the process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from exchange.core.codes import TradingMode
from exchange.core.kernel import Engine
from exchange.disruptor.errors import Halted, PipelineFault
from exchange.disruptor.pipeline import Pipeline, Statistics
from exchange.disruptor.replies import Listener
from exchange.disruptor.syscalls import Bytes

T = TypeVar("T")


class StillPipeline(Pipeline):
    """The face of a Pipeline over an engine that nobody drives."""

    is_still = True

    def __init__(self, engine: Engine, *, sync: bool, why: str) -> None:
        self.sync = sync
        self.fault: PipelineFault | None = None
        self._still_engine = engine
        self._why = why
        header = engine.state.header[0]
        header.mode = TradingMode.HALTED
        self._sequence, self._events, self._ts_ns = int(header.sequence), int(header.event_count), int(header.ts_ns)

    def start(self) -> None:
        """Nothing to start."""

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Nothing to stop."""

    def submit(self, run: Sequence[Any], *, cancel: bool = False) -> list[asyncio.Future[bytes]]:
        """Refuses every command. Raises Halted."""
        self._refuse()

    def post(self, commands: Bytes, *, cancel: bool = False) -> int:
        """Refuses every command. Raises Halted."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise Halted(self._why)

    @property
    def last_sequence(self) -> int:
        """The last command applied."""
        return self._sequence

    @property
    def told_until_ns(self) -> int:
        """Now: nothing more will happen."""
        return max(self._ts_ns, time.time_ns())

    def read(self, function: Callable[..., T], *args: Any) -> tuple[T, int]:
        """Call `function(state, *args)`; returns its result and the state's sequence."""
        return function(self._still_engine.state, *args), self._sequence

    def on_events(self, listener: Listener) -> None:
        """There will be none."""

    def on_fault(self, callback: Callable[[PipelineFault], None]) -> None:
        """There will be none."""

    def statistics(self) -> Statistics:
        """Every stage stands where the state does."""
        at, events = self._sequence, self._events
        return Statistics(
            at, at, at, at, at, at, events, events, events, events, 0, 0.0, storage_low=False, groups=0, event_groups=0
        )
