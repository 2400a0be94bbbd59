"""The follower: a second process that replays the journal while it grows and writes verified snapshots.

    command journal ──► replay, events compared with the event journal ──► every N commands or minutes
                                                                           sync, save, read back
                                                                           keep two, retire older segments

Owns the snapshots directory and the retirement of segments. Never touches the live process: it runs at the lowest
priority and reads files. Each snapshot is a rehearsal of recovery; a difference between what it computes and what was
recorded ends it with exit code 78 and is reported. It syncs the journal files itself before it saves, so a snapshot
never knows more than the disk.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import snapshots
from exchange import checkpoint
from exchange.core.kernel import Engine
from exchange.datadir import read_projected
from exchange.replay import NO_END, Replay
from journal.segments import list_segments, read_header, retire, segment_name
from journal.storage import Directory

log = logging.getLogger("exchange.follower")

SNAPSHOTS_KEPT = 2
POLL_S = 0.2
"""How long the follower rests when there is nothing to read."""
RESTART_AFTER_S = 60.0
_PR_SET_PDEATHSIG = 1


class Follower:
    """Follows one data directory. `step` until told to stop."""

    def __init__(
        self, data_dir: Path, *, every: int, interval_s: float, is_projected: bool, events_keep_s: float | None
    ) -> None:
        self._data_dir = data_dir
        self._is_projected = is_projected
        self._events_keep_s = events_keep_s
        self._commands = data_dir / "journal" / "commands"
        self._events = data_dir / "journal" / "events"
        self._snapshots = data_dir / "snapshots"
        self._every = every
        self._interval_s = interval_s
        complaints: list[str] = []
        base = next(checkpoint.usable(self._snapshots, complaints), None) or checkpoint.genesis()
        for sentence in complaints:
            log.error("%s", sentence)
        self._saved_sequence = base.sequence
        self._saved_s = time.monotonic()
        self._replay = Replay(Engine(base.state), self._commands, self._events)

    def step(self) -> bool:
        """Read what is there and save when it is due; returns whether there was anything to do.

        Raises HistoryDiffers, journal.errors.Refused, OSError.
        """
        applied = self._replay.step()
        commands = self._replay.sequence - self._saved_sequence
        due = commands >= self._every or (commands > 0 and time.monotonic() - self._saved_s >= self._interval_s)
        if due and not self._replay.unmatched:
            self.save()
        return applied > 0

    def save(self) -> Path | None:
        """Write a snapshot of where the replay stands and retire what two snapshots no longer need.

        A disk that is full, or a file that reads back wrongly, costs this snapshot and nothing else: None.
        """
        self._saved_s = time.monotonic()
        try:
            for directory in (self._commands, self._events):
                _sync_newest(directory)
            path = checkpoint.save(self._snapshots, self._replay.engine.state)
            self._saved_sequence = self._replay.sequence
            self._retire()
        except (OSError, checkpoint.Unusable) as error:
            log.error("no snapshot at sequence %d: %s", self._replay.sequence, error)
            return None
        log.info("snapshot %s", path.name)
        return path

    def _retire(self) -> None:
        """Delete snapshots and segments that neither recovery nor PostgreSQL needs any more.

        What PostgreSQL does not have yet is kept, and so is a snapshot before it: a damaged event journal can be
        computed anew from there.
        """
        projected = read_projected(self._data_dir) if self._is_projected else None
        snapshots.retain(self._snapshots, SNAPSHOTS_KEPT, projected.sequence if projected else None)
        kept = snapshots.list_snapshots(self._snapshots)
        if len(kept) < SNAPSHOTS_KEPT:
            return
        oldest = checkpoint.load(kept[-1])
        if projected is not None and oldest.sequence > projected.sequence:
            return
        retire(self._commands, oldest.sequence)
        events = oldest.event_count if projected is None else min(oldest.event_count, projected.event)
        retire(self._events, min(events, self._last_old_event()))

    def _last_old_event(self) -> int:
        """The last event that lies in a segment which was ended EXCHANGE_EVENTS_KEEP ago; 0: none."""
        if self._events_keep_s is None:
            return 0
        storage = Directory(self._events)
        until_s = time.time() - self._events_keep_s
        for segment_id in list_segments(storage):
            if storage.path(segment_name(segment_id)).stat().st_mtime > until_s:
                return read_header(storage, segment_id).first_sequence - 1
        return NO_END

    def close(self) -> None:
        """Give the files back."""
        self._replay.close()


def _sync_newest(directory: Path) -> None:
    """Flush the segment that is being written; older ones were synced when they ended."""
    newest = directory / segment_name(list_segments(directory)[-1])
    fd = os.open(newest, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)


def follow(begin: Callable[[], Follower], *, server_pid: int) -> None:
    """Follow with what `begin` makes, at the lowest priority, until SIGTERM or the end of the server.

    Raises what `Follower` and its `step` raise. The signal at the parent's end is not enough: a server that is killed
    before we ask for it leaves us behind.
    """
    os.nice(19)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    stopped = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    follower = begin()
    try:
        while not stopped and os.getppid() == server_pid:
            if not follower.step():
                time.sleep(POLL_S)
    finally:
        follower.close()


class FollowerProcess:
    """The follower as a child of the server: started, watched, ended with it."""

    def __init__(self, data_dir: Path) -> None:
        self._command = [
            *(sys.executable, "-m", "exchange", "follow"),
            *("--data-dir", str(data_dir), "--server-pid", str(os.getpid())),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._due_s = 0.0
        self.refused = False
        """Whether it ended because history differs: an operator must look."""

    def step(self) -> None:
        """Start it when it does not run, a minute after it failed; call once a second. It never raises."""
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            self.refused = code == os.EX_CONFIG
            log.error("the follower ended with code %d; snapshots are not written meanwhile", code)
            self._process = None
            self._due_s = time.monotonic() + RESTART_AFTER_S
        if self._process is None and not self.refused and time.monotonic() >= self._due_s:
            try:
                self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, start_new_session=True)
            except OSError as error:
                log.error("the follower can not be started: %s", error)
                self._due_s = time.monotonic() + RESTART_AFTER_S

    def stop(self) -> None:
        """End it; it has nothing to lose."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
