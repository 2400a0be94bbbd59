"""The way of an operator's command to the engine and back.

Owns waiting for room, and the sentences for what the engine refuses. The commands use the share of the ring that is
reserved for cancels and operators, pass where the disk is slow or full, and are tried again while even that share is
taken: a halt gets through.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from exchange.core import readers
from exchange.core.codes import CommandKind, EventKind, RejectCode
from exchange.core.event_records import event_dict
from exchange.core.records import RECORD_BYTES, fill_command, slots
from exchange.disruptor.errors import OutcomeUnknown, Refused, RingFull
from exchange.disruptor.pipeline import Pipeline
from exchange.users.errors import NotFound, UserError

T = TypeVar("T")
ROOM_S = 10.0
"""How long a command waits for room in the ring."""
_ROOM_POLL_S = 0.001
_KIND_AT = 16
_SENTENCES = {
    RejectCode.UNKNOWN_ACCOUNT: "There is no such account.",
    RejectCode.UNKNOWN_ASSET: "The rule needs an asset of the venue.",
    RejectCode.UNKNOWN_SYMBOL: "There is no such symbol.",
    RejectCode.INVALID_MODE: "There is no such trading mode or scope.",
    RejectCode.ILLEGAL_MODE_CHANGE: "HALTED goes to CANCEL_ONLY before it goes to OPEN.",
    RejectCode.INVALID_RULE: "The rule does not take this value: it is out of range.",
    RejectCode.INVALID_AUCTION: (
        "The auction can not be started or ended now: it runs already, there is none, or the symbol is not open."
    ),
    RejectCode.UNKNOWN_KIND: "This version of the engine does not know the command.",
}


class EngineRefused(UserError):
    """The engine answered with a reject: nothing changed."""


class NotTaken(UserError):
    """The pipeline took no command: nothing happened."""


class OutcomeNotKnown(UserError):
    """The command was sequenced, and the venue stopped before it was proven durable."""


class Desk:
    """An operator's access to the engine."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def read(self, function: Callable[..., T], *args: Any) -> T:
        """A reader on the live state."""
        return self._pipeline.read(function, *args)[0]

    def symbol(self, name: str) -> readers.SymbolView:
        """A symbol by the engine's name. Raises NotFound."""
        for view in self.read(readers.symbols):
            if view.name == name:
                return view
        raise NotFound(f"There is no symbol {name}.")

    def asset(self, name: str) -> readers.AssetView:
        """An asset by its name. Raises NotFound."""
        for view in self.read(readers.assets):
            if view.name == name:
                return view
        raise NotFound(f"There is no asset {name}.")

    async def send(self, kind: CommandKind, answer: EventKind, /, **fields: int) -> dict[str, Any]:
        """Have a command done; returns the fields of its first event of the kind `answer`.

        Raises EngineRefused, NotTaken, OutcomeNotKnown.
        """
        slot = slots(1)[0]
        fill_command(slot, kind, "", "", **fields)
        future = await self._submitted(bytes(slot))
        try:
            told = await future
        except OutcomeUnknown as error:
            raise OutcomeNotKnown(f"{error.detail} Look at the state before you send it again.") from None
        events = np.frombuffer(told, np.uint8).reshape(-1, RECORD_BYTES)
        kinds = events[:, _KIND_AT]
        if kinds[0] == EventKind.REJECTED:
            code = RejectCode(event_dict(events[0])["reject"])
            raise EngineRefused(_SENTENCES.get(code, f"The engine refused {kind.name}: {code.name}."))
        return event_dict(events[int(np.flatnonzero(kinds == answer)[0])])

    async def _submitted(self, command: bytes) -> asyncio.Future[bytes]:
        deadline_s = time.monotonic() + ROOM_S
        while True:
            try:
                return self._pipeline.submit((command,), cancel=True)[0]
            except RingFull:
                if time.monotonic() >= deadline_s:
                    raise NotTaken("The engine has not taken a command for a while; nothing happened.") from None
                await asyncio.sleep(_ROOM_POLL_S)
            except Refused as error:
                raise NotTaken(f"{error.detail} {error.hint}") from None
