"""How far the projection is, and waiting for it to come so far: what makes history read one's own writes.

Owns the number and its waiters. The projector's process pushes it on (`process.py`); it may fall when a backup is
restored. One event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Watermark:
    """The last command whose events are all in PostgreSQL. `wanted` is called when somebody begins to wait."""

    def __init__(self, wanted: Callable[[], None]) -> None:
        self.sequence = 0
        self._wanted = wanted
        self._waiters: set[tuple[int, asyncio.Future[None]]] = set()

    def move(self, sequence: int) -> None:
        """The projection stands at `sequence` now."""
        self.sequence = sequence
        for waiter in [waiter for waiter in self._waiters if waiter[0] <= sequence]:
            if not waiter[1].done():
                waiter[1].set_result(None)

    async def wait(self, sequence: int, timeout_s: float) -> None:
        """Until the projection has come to `sequence`, or so long."""
        if self.sequence >= sequence:
            return
        waiter = (sequence, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        self._wanted()
        try:
            async with asyncio.timeout(timeout_s):
                await waiter[1]
        except TimeoutError:
            pass  # whoever waits looks at `sequence` in any case
        finally:
            self._waiters.discard(waiter)
