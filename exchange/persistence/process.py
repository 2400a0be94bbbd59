"""The projector as a child of the server: started, watched, woken, ended with it.

Owns the child and what it said last. Never blocks the event loop: bytes go to the child's stdin and lines come from
its stdout when the descriptors are ready. The child ends when its stdin does: it does not outlive a killed server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from exchange.persistence.projector import END_S, EXIT_SUPERSEDED
from exchange.persistence.watermark import Watermark

log = logging.getLogger("exchange.projector")

FINAL = (os.EX_DATAERR, os.EX_CONFIG)
"""Exit codes after which it is not started again: an operator must look."""
SUPERSEDED_AFTER_S = 1.0
RESTART_FIRST_S, RESTART_MAX_S = 5.0, 60.0
_READ_BYTES = 1 << 16


class Lag(NamedTuple):
    """How far history is behind trading."""

    commands: int
    events: int
    seconds: float
    """Since the last event that is in PostgreSQL; zero when nothing is missing."""


class ProjectorProcess:
    """`step` once a second, `poke` when somebody waits, `stop` at the end; all on the event loop's thread.

    state     "starting", "following", "waiting" (PostgreSQL is away), "stopped" (the child ended)
    sentence  why it waits or stopped, "" otherwise
    refused   the sentence of a child that must not be started again, "" otherwise
    exit_code of the last child that ended, None while there was none
    """

    def __init__(self, data_dir: Path) -> None:
        self.watermark = Watermark(self.poke)
        self.state = "starting"
        self.sentence = ""
        self.refused = ""
        self.exit_code: int | None = None
        self.event = 0
        self.rows = 0
        """Rows that the running child has written."""
        self._ts_ns = 0
        self._command = [sys.executable, "-m", "exchange", "project", "--data-dir", str(data_dir)]
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._due_s = 0.0
        self._pause_s = RESTART_FIRST_S

    @property
    def pid(self) -> int:
        """Of the child, 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    def step(self) -> None:
        """Start the child when it is due, see whether it ended; it never raises: trading does not wait."""
        if self._process is not None and self._process.poll() is not None:
            self._ended(self._process)
        if self._process is None and not self.refused and time.monotonic() >= self._due_s:
            self._start()

    def poke(self) -> None:
        """Have the child look at the journal now."""
        stdin = self._process.stdin if self._process is not None else None
        if stdin is not None and not stdin.closed:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(stdin.fileno(), b"\n")

    def lag(self, last_sequence: int, last_event: int, now_ns: int) -> Lag:
        """How far the projection is behind these last ones of the engine, at `now_ns` of the engine's clock."""
        commands = max(last_sequence - self.watermark.sequence, 0)
        seconds = max(now_ns - self._ts_ns, 0) / 1e9 if commands and self._ts_ns else 0.0
        return Lag(commands, max(last_event - self.event, 0), seconds)

    async def stop(self, timeout_s: float = END_S + 2.0) -> None:
        """Have the child finish its batch and end; it is killed when that takes longer."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.to_thread(process.wait, timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
        self._forget(process)

    def _start(self) -> None:
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            log.error("the projector can not be started: %s", error)
            self._due_s = time.monotonic() + self._pause_s
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
        self._process = process
        self._unread = b""
        asyncio.get_running_loop().add_reader(_stdout_of(process), self._read, process)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """Take what the child said; the last whole line counts."""
        with contextlib.suppress(BlockingIOError):
            found = os.read(_stdout_of(process), _READ_BYTES)
            if not found:
                asyncio.get_running_loop().remove_reader(_stdout_of(process))
                return
            *lines, self._unread = (self._unread + found).split(b"\n")
            if lines:
                self._take(json.loads(lines[-1]))

    def _take(self, told: dict[str, Any]) -> None:
        if told["state"] == "following":
            self._pause_s = RESTART_FIRST_S
        self.state, self.sentence = told["state"], told["sentence"]
        self.event, self.rows, self._ts_ns = told["event"], told["rows"], told["ts_ns"]
        self.watermark.move(told["sequence"])

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        """After the last word of a child: whether and when there is another one."""
        self._read(process)
        code = self.exit_code = process.returncode
        said = self.sentence or f"The projector ended with code {code}; history stands still meanwhile."
        self.state, self.sentence = "stopped", said
        self._forget(process)
        if code in FINAL:
            self.refused = said
        pause_s = SUPERSEDED_AFTER_S if code == EXIT_SUPERSEDED else self._pause_s
        if code != EXIT_SUPERSEDED:
            self._pause_s = min(2 * self._pause_s, RESTART_MAX_S)
        self._due_s = time.monotonic() + pause_s
        log.error("the projector ended with code %d: %s", code, said)

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        asyncio.get_running_loop().remove_reader(_stdout_of(process))
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._process = None


def _stdout_of(process: subprocess.Popen[bytes]) -> int:
    if process.stdout is None:
        raise AssertionError("the child was started with a pipe")
    return process.stdout.fileno()
