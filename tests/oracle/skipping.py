"""Section 24: a command that an operator pair has passed over.

Owns SKIP and SKIPPED. Neither changes anything: that the command is gone is the work of whoever replays.
"""

from __future__ import annotations

from exchange.core.codes import EventKind, RejectCode
from tests.oracle.venue import Venue
from tests.oracle.words import Command, Refused


def skip(venue: Venue, command: Command) -> None:
    venue.emit(EventKind.SKIP_NOTED, at_sequence=command["at_sequence"], name=command["name"])


def skipped(_: Venue, __: Command) -> None:
    raise Refused(RejectCode.SKIPPED_BY_OPERATOR)
