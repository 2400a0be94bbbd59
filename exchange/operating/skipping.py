"""SKIP: two operators have a command passed over that the engine can not survive.

Owns the only way in which a halted venue writes: one record at the end of the command journal, synced before the
approval is answered. What it does at the next start is `exchange/commands.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from exchange.core.codes import CommandKind
from exchange.core.records import NAME_BYTES, fill_command, slots
from exchange.disruptor.ring import STAMP
from exchange.operating.switches import reason
from exchange.persistence.database import Database
from exchange.users.errors import Conflict, NotAcceptable
from exchange.users.operations import Arguments, audit, integer, text
from journal.segments import Position
from journal.writer import Writer


class Skipping:
    """`check` and `perform` of `venue.skip`, on a venue that stands before command `poisoned`.

    `commands` is where the journal goes on, `last_ts_ns` the time of its last record; `on_skipped` is called once the
    record is on the disk: the venue must recover anew.
    """

    def __init__(
        self, directory: Path, commands: Position, poisoned: int, last_ts_ns: int, on_skipped: Callable[[], None]
    ) -> None:
        self._directory = directory
        self._commands = commands
        self._poisoned = poisoned
        self._last_ts_ns = last_ts_ns
        self._on_skipped = on_skipped
        self._is_done = False
        self.database: Database | None = None

    def check(self, arguments: Arguments) -> None:
        """Refuse a skip of another command, and one without its reasons. Raises NotAcceptable."""
        if integer(arguments, "sequence") != self._poisoned:
            raise NotAcceptable(f"The venue stands before sequence {self._poisoned}; no other command is passed over.")
        code = text(arguments, "code")
        if not 0 < len(code) <= NAME_BYTES or not (code.isascii() and code.isprintable()):
            raise NotAcceptable(f"The code of a skip has 1 to {NAME_BYTES} printable ASCII characters.")
        reason(arguments, required=True)

    async def perform(self, arguments: Arguments, agreed: Arguments) -> Arguments:
        """Journal the SKIP. Raises NotAcceptable, Conflict, OSError."""
        self.check(arguments)
        if self._is_done:
            raise Conflict("It is passed over already; the venue starts anew.")
        self._is_done = True
        code, sequence = text(arguments, "code"), self._commands.last_sequence + 1
        slot = slots(1)
        fill_command(slot[0], CommandKind.SKIP, "", code, at_sequence=self._poisoned)
        STAMP.pack_into(slot[0].data, 0, sequence, max(time.time_ns(), self._last_ts_ns))
        await asyncio.to_thread(self._write, slot)
        detail: Arguments = {"code": code, "sequence": sequence, "reason": reason(arguments)}
        await audit(self.database, "venue.skip", f"command {self._poisoned}", **agreed, **detail)
        self._on_skipped()
        return {"skipped": self._poisoned, **detail}

    def _write(self, slot: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
        with Writer(self._directory, self._commands) as writer:
            writer.append(slot)
            writer.sync()
