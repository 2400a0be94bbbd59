"""Commands that the engine can not survive: where it failed, how often, and whether it should be tried again.

Owns `poison.json` in the data directory: the last failures, each with its sequence, what it was, whether the venue ran
or was starting, when, and with which kernels. A command fails the same way at every start; so after two starts that
ended at the same command the third one does not try it, and stands HALTED before it (docs/recovery.md). With other
kernels it is tried again: they may be the remedy.

Never decides that a command is passed over: two operators do (`exchange/operating/skipping.py`).
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
from typing import NamedTuple

from exchange.core.compile import KERNELS
from exchange.datadir import replace_privately

FILE_NAME = "poison.json"
FAILURES_KEPT = 20
STARTS = 2
"""So many starts in a row must have ended at one command."""


class Failure(NamedTuple):
    """One time that the engine stopped."""

    sequence: int
    """Of the command that it stopped at."""
    fault: str
    starting: bool
    ts_ns: int
    kernels: str
    """Stands for the sources and versions that computed."""


def note(data_dir: pathlib.Path, sequence: int, fault: str, *, starting: bool) -> None:
    """Remember a failure; the file appears whole or not at all. Raises OSError."""
    failures = [*read(data_dir), Failure(sequence, fault, starting, time.time_ns(), KERNELS)][-FAILURES_KEPT:]
    replace_privately(data_dir / FILE_NAME, json.dumps([one._asdict() for one in failures]).encode() + b"\n")


def read(data_dir: pathlib.Path) -> list[Failure]:
    """The failures, oldest first; none when there is no file, or none that can be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return [Failure(**one) for one in json.loads((data_dir / FILE_NAME).read_text(encoding="utf-8"))]
    return []


def poisoned(data_dir: pathlib.Path) -> Failure | None:
    """The failure that is not worth another try, None if there is none."""
    last = [one for one in read(data_dir) if one.starting][-STARTS:]
    if len(last) < STARTS or len({(one.sequence, one.kernels) for one in last}) > 1 or last[-1].kernels != KERNELS:
        return None
    return last[-1]
