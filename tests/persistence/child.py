"""The real projector process, as its parent sees it: lines of state on its stdout, an exit code at the end.

Owns the process and the files that it writes to. Waiting is for something that it says, with a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

DEADLINE_S = 60.0
Told = dict[str, Any]


class Child:
    """An async context manager: started at its begin, ended at its end if it still runs."""

    def __init__(self, data_dir: pathlib.Path, environ: Mapping[str, str] = {}) -> None:
        self._data_dir = data_dir
        self._environ = {**os.environ, "EXCHANGE_PROJECTION_EVENTS": "2000", **environ}
        self._changed = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.told: Told = {"event": 0, "state": "starting", "sentence": ""}
        """What it said last."""

    async def __aenter__(self) -> Child:
        with (self._data_dir / "projector.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "exchange", "project", "--data-dir", str(self._data_dir)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environ,
            )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None and self.process.stdin is not None:
            self.process.stdin.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), 10.0)
            if self.process.returncode is None:
                self.process.kill()
        await self.ended()

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The running or ended process."""
        assert self._process is not None
        return self._process

    def memory_bytes(self, field: str) -> int:
        """VmRSS (what it takes now) or VmHWM (what it took at most)."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"/proc has no {field}")

    async def until(self, condition: Callable[[Told], bool], timeout_s: float = DEADLINE_S) -> Told:
        """Wait until it says something that fits; returns that."""
        async with asyncio.timeout(timeout_s):
            while not condition(self.told):
                assert self.process.returncode is None, f"it ended with {self.process.returncode}: {self.told}"
                self._changed.clear()
                await self._changed.wait()
        return self.told

    async def reaches(self, event: int, timeout_s: float = DEADLINE_S) -> None:
        """Wait until this event is in PostgreSQL."""
        await self.until(lambda told: told["state"] == "following" and told["event"] >= event, timeout_s)

    async def waits(self, words: str, timeout_s: float = DEADLINE_S) -> None:
        """Wait until it says that it waits for PostgreSQL, and why."""
        await self.until(lambda told: told["state"] == "waiting" and words in told["sentence"], timeout_s)

    async def ended(self, timeout_s: float = DEADLINE_S) -> int:
        """Wait for its end; returns the exit code."""
        assert self._reading is not None
        async with asyncio.timeout(timeout_s):
            await self._reading
            return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.told = json.loads(line)
            self._changed.set()
        self._changed.set()
