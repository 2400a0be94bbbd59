"""What everybody in the oracle speaks: commands and events as dicts, and the refusal as an exception.

Owns the shape of an event dict: it has every field of the kind's dtype, zero unless named, like `event_dict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exchange.core.codes import CommandKind, EventKind, RejectCode
from exchange.core.event_records import EVENT_DTYPES
from exchange.core.records import COMMAND_DTYPES

Command = Mapping[str, Any]
Event = dict[str, Any]

MAX_ATOMS = 2**62 - 1


class Refused(Exception):
    """The command is refused; it must not have changed anything yet.

    `told` is the leg of a list that the refusal speaks of, when it is not the command itself.
    """

    def __init__(self, code: RejectCode, told: Command | None = None) -> None:
        super().__init__(code.name)
        self.code, self.told = code, told


def refuse_if(condition: bool, code: RejectCode) -> None:
    """Raise Refused(code) when the condition holds: a line of a table of refusals."""
    if condition:
        raise Refused(code)


def event(kind: EventKind, **fields: Any) -> Event:
    """An event of this kind: the fields given, all others zero. Refuses a field that the kind does not have."""
    blank: Event = {}
    for name in EVENT_DTYPES[kind].names or ():
        text = name.rstrip("01234").rstrip("_") if name.startswith(("client_id_", "name_")) else None
        blank[text or name] = "" if text else 0
    unknown = set(fields) - set(blank)
    if unknown:
        raise KeyError(f"{kind.name} has no {sorted(unknown)}")
    return blank | {"kind": int(kind)} | fields


def as_event(command: Command) -> Event:
    """The fields of a command that its event repeats: all but the head, which is the event's own."""
    return {name: value for name, value in command.items() if name not in ("sequence", "ts_ns", "kind", "flags")}


_TOLD_BY_A_REFUSAL = (
    "account",
    "symbol",
    "order_id",
    "side",
    "order_type",
    "time_in_force",
    "stp_mode",
    "price_ticks",
    "qty_lots",
    "quote_atoms",
    "client_id",
)


def names_an_order(client_id: str) -> bool:
    """Whether this is a client id at all; a text does not begin with four zero bytes."""
    return client_id != "" and not client_id.startswith("\0\0\0\0")


def rejected(command: Command, code: RejectCode) -> Event:
    """The REJECTED event of a command: what it asked for, as far as an order event can say it."""
    if code is RejectCode.UNKNOWN_KIND:
        return event(EventKind.REJECTED, reject=int(code))
    kind = CommandKind(command["kind"])
    spoken = set(COMMAND_DTYPES[kind].names or ()) | {"client_id"}
    told = {name: command[name] for name in _TOLD_BY_A_REFUSAL if name in spoken and name in command}
    return event(EventKind.REJECTED, reject=int(code), command_kind=int(kind), **told)
