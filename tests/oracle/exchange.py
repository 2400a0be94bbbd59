"""Section 2: commands come in one after the other, each gives its events.

Owns the checks that concern every command, linked runs, and HASH. The oracle does not know how the state hash is
computed (section 7 defines its inputs only): its HASHED events carry what `hash_rows` makes of the rows, zeros without
it.
"""

from __future__ import annotations

from collections.abc import Callable

from exchange.core.codes import CommandFlag, CommandKind, EventFlag, EventKind, Fault, ListRole, RejectCode
from tests.oracle import auction, lists, reference, rules, skipping, sweeping, ticking, transfers, withdrawing
from tests.oracle.canonical import Row, canonical
from tests.oracle.venue import Venue
from tests.oracle.words import Command, Event, Refused, rejected

HANDLERS: dict[CommandKind, Callable[[Venue, Command], None]] = {
    CommandKind.SET_LIMIT: reference.set_limit,
    CommandKind.ADD_ASSET: reference.add_asset,
    CommandKind.ADD_SYMBOL: reference.add_symbol,
    CommandKind.CHANGE_SYMBOL: reference.change_symbol,
    CommandKind.OPEN_ACCOUNT: reference.open_account,
    CommandKind.SET_FEES: reference.set_fees,
    CommandKind.SET_TRADING_MODE: reference.set_trading_mode,
    CommandKind.SET_RULE: rules.set_rule,
    CommandKind.DEPOSIT: transfers.transfer,
    CommandKind.WITHDRAW_HOLD: transfers.transfer,
    CommandKind.WITHDRAW_SETTLE: transfers.transfer,
    CommandKind.WITHDRAW_RELEASE: transfers.transfer,
    CommandKind.PLACE: lists.place_order_or_leg,
    CommandKind.PLACE_LIST: lists.place_list,
    CommandKind.CANCEL: withdrawing.cancel,
    CommandKind.CANCEL_ALL: withdrawing.cancel_all,
    CommandKind.REDUCE: withdrawing.reduce,
    CommandKind.AUCTION: auction.auction,
    CommandKind.MASS_CANCEL: sweeping.mass_cancel,
    CommandKind.COUNTDOWN: sweeping.countdown,
    CommandKind.SKIP: skipping.skip,
    CommandKind.SKIPPED: skipping.skipped,
    CommandKind.TICK: ticking.tick,
}

HashRows = Callable[[dict[str, list[Row]]], tuple[int, int]]


class Stopped(Exception):
    """A fault: the exchange stops before this command and has not changed."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.name)
        self.fault = fault


class Oracle:
    """An exchange from genesis."""

    def __init__(self, hash_rows: HashRows | None = None) -> None:
        self.venue = Venue()
        self._hash_rows: HashRows = hash_rows or (lambda _: (0, 0))
        self._last_hash: tuple[int, int, int] | None = None  # sequence of the last HASH, and its two words

    def canonical(self) -> dict[str, list[Row]]:
        """The rows of section 7: {table: sorted rows}."""
        return canonical(self.venue)

    def apply(self, command: Command) -> list[Event]:
        """The events of one command, in order. Raises Stopped on a fault."""
        venue = self.venue
        self._stop_on_fault(command)
        venue.sequence, venue.ts_ns = command["sequence"], command["ts_ns"]
        venue.events = []
        venue.unfinished, venue.staged = venue.staged, []
        try:
            self._handle(command)
        except Refused as refused:
            if venue.events:
                raise AssertionError(f"{command} was refused ({refused.code.name}) after {venue.events}") from refused
            self._refuse(command, refused)
        venue.events[-1]["flags"] |= int(EventFlag.LAST)
        return venue.events

    def _stop_on_fault(self, command: Command) -> None:
        if command["sequence"] != self.venue.sequence + 1:
            raise Stopped(Fault.SEQUENCE_GAP)
        if command["ts_ns"] < self.venue.ts_ns:
            raise Stopped(Fault.TIME_REVERSED)
        if command["kind"] == CommandKind.HASH and self._last_hash is not None:
            claimed = (command["at_sequence"], command["hash_0"], command["hash_1"])
            if claimed[0] == self._last_hash[0] and claimed != self._last_hash:
                raise Stopped(Fault.HASH_MISMATCH)

    def _handle(self, command: Command) -> None:
        if command["kind"] == CommandKind.HASH:
            hash_0, hash_1 = self._hash_rows(self.canonical())
            self._last_hash = (self.venue.sequence, hash_0, hash_1)
            self.venue.emit(EventKind.HASHED, at_sequence=self.venue.sequence, hash_0=hash_0, hash_1=hash_1)
        elif command["kind"] in list(HANDLERS):
            self.venue.cause = CommandKind(command["kind"])
            HANDLERS[self.venue.cause](self.venue, command)
        else:
            raise Refused(RejectCode.UNKNOWN_KIND)

    def _refuse(self, command: Command, refused: Refused) -> None:
        venue = self.venue
        if _breaks_the_link(command):
            venue.link_failed_sequence = venue.sequence
        told = refused.told or command
        venue.events = [rejected(told, refused.code) | {"sequence": venue.sequence, "ts_ns": venue.ts_ns}]


def _breaks_the_link(command: Command) -> bool:
    """Whether what follows a refused command fails with it."""
    linked = bool(command["flags"] & CommandFlag.LINKED)
    match command["kind"]:
        case CommandKind.CANCEL:
            return linked and not command["flags"] & CommandFlag.ALLOW_FAILURE
        case CommandKind.PLACE:
            return linked and command["list_role"] != ListRole.NONE
    return bool(command["kind"] == CommandKind.PLACE_LIST)
