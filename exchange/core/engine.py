"""The engine: applies commands to the state, one by one.

    apply ──► room for this command? ──► events for it? ──► dispatch ──► LAST

Owns the dispatch and the conditions under which a kernel returns early. Never waits, never allocates: when a pool or
the event buffer is too small it returns, Python enlarges it, and it is entered again at the same command.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from exchange.core.auction import auction, pass_phases
from exchange.core.by_reference import by_reference
from exchange.core.codes import (
    CommandKind,
    EventFlag,
    EventKind,
    Fault,
    ListRole,
    RejectCode,
)
from exchange.core.compile import i64, kernel, part
from exchange.core.countdowns import countdown
from exchange.core.emit import begin_event, emit_rejected
from exchange.core.hashing import state_hash
from exchange.core.list_placing import place_list
from exchange.core.needs import (
    EVENTS_PER_COMMAND,
    EVENTS_PER_SPECIAL,
    events_needed,
    fits_surely,
    room_for_legs,
    room_for_place,
    room_for_rare,
)
from exchange.core.placing import place_order
from exchange.core.prefetch import SCATTERED_ORDERS, fetch_targets
from exchange.core.reference import (
    add_asset,
    add_symbol,
    change_symbol,
    open_account,
    set_fees,
    set_limit,
    set_trading_mode,
)
from exchange.core.resting import cancel_all, cancel_order, expire, reduce_order
from exchange.core.rules import set_rule
from exchange.core.slots import (
    any_command,
    any_event,
    hash_command,
    hash_event,
    place_command,
    skip_command,
    skip_event,
    ticked_event,
)
from exchange.core.state import (
    Room,
    State,
)
from exchange.core.sweeping import fire_countdowns, mass_cancel
from exchange.core.transfers import transfer
from exchange.core.turns import take_all_turns


class Status(IntEnum):
    """Why `apply` returned."""

    DONE = 0
    NEEDS_ROOM = 1
    EVENTS_FULL = 2
    FAULT = 3


@part
def _hash(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """HASH: check the hash the command repeats, then emit and remember the present one."""
    header = state.header[0]
    command = hash_command(commands, i)
    repeats = command.at_sequence != 0 and command.at_sequence == header.hash_sequence
    if repeats and (command.hash_0 != header.hash_0 or command.hash_1 != header.hash_1):
        header.fault = Fault.HASH_MISMATCH
        return used
    hash_0, hash_1 = state_hash(state)
    header.hash_sequence = header.sequence
    header.hash_0 = hash_0
    header.hash_1 = hash_1
    begin_event(state.header[0], events, used, EventKind.HASHED)
    event = hash_event(events, used)
    event.at_sequence = header.sequence
    event.hash_0 = hash_0
    event.hash_1 = hash_1
    return used + 1


@part
def _tick(state: State, events: Any, used: int) -> int:
    """TICK: time passes, and what is due has its turn."""
    expired, used = expire(state, events, used)
    used = fire_countdowns(state, expired, events, used)
    used = pass_phases(state, events, used)
    used = take_all_turns(state, i64(CommandKind.TICK), events, used)
    begin_event(state.header[0], events, used, EventKind.TICKED)
    ticked_event(events, used).expired_count = expired
    return used + 1


@part
def _note_skip(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """SKIP: the log says that a command was passed over."""
    begin_event(state.header[0], events, used, EventKind.SKIP_NOTED)
    command = skip_command(commands, i)
    event = skip_event(events, used)
    event.at_sequence = command.at_sequence
    event.name_0 = command.name_0
    event.name_1 = command.name_1
    return used + 1


@part
def _apply_rare(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """Everything but PLACE and CANCEL."""
    kind = any_command(commands, i).kind
    if kind == CommandKind.REDUCE:
        used = reduce_order(state, commands, i, events, used)
    elif kind == CommandKind.CANCEL_ALL:
        used = cancel_all(state, commands, i, events, used)
    elif CommandKind.DEPOSIT <= kind <= CommandKind.WITHDRAW_RELEASE:
        used = transfer(state, commands, i, events, used)
    elif kind == CommandKind.PLACE_LIST:
        used = place_list(state, commands, i, events, used)
    elif kind == CommandKind.TICK:
        used = _tick(state, events, used)
    elif kind == CommandKind.MASS_CANCEL:
        used = mass_cancel(state, commands, i, events, used)
    elif kind == CommandKind.COUNTDOWN:
        used = countdown(state, commands, i, events, used)
    elif kind == CommandKind.AUCTION:
        used = auction(state, commands, i, events, used)
    elif kind == CommandKind.SET_RULE:
        used = set_rule(state, commands, i, events, used)
    elif kind == CommandKind.SKIP:
        used = _note_skip(state, commands, i, events, used)
    elif kind == CommandKind.SKIPPED:
        used = emit_rejected(state.header[0], commands, i, events, used, RejectCode.SKIPPED_BY_OPERATOR)
    elif kind == CommandKind.HASH:
        used = _hash(state, commands, i, events, used)
    elif kind == CommandKind.SET_TRADING_MODE:
        used = set_trading_mode(state, commands, i, events, used)
    elif kind == CommandKind.OPEN_ACCOUNT:
        used = open_account(state, commands, i, events, used)
    elif kind == CommandKind.SET_FEES:
        used = set_fees(state, commands, i, events, used)
    elif kind == CommandKind.CHANGE_SYMBOL:
        used = change_symbol(state, commands, i, events, used)
    elif kind == CommandKind.ADD_SYMBOL:
        used = add_symbol(state, commands, i, events, used)
    elif kind == CommandKind.ADD_ASSET:
        used = add_asset(state, commands, i, events, used)
    elif kind == CommandKind.SET_LIMIT:
        used = set_limit(state, commands, i, events, used)
    else:
        used = emit_rejected(state.header[0], commands, i, events, used, RejectCode.UNKNOWN_KIND)
    return used


@part
def _apply_all(state: State, commands: Any, first: int, count: int, events: Any, used: int) -> tuple[int, int, int]:
    """`apply`, with the state behind a reference: its address must come from outside (`by_reference`)."""
    header = state.header[0]
    for done in range(count):
        i = first + done
        head = any_command(commands, i)
        kind = head.kind
        if kind == CommandKind.PLACE:
            room = room_for_place(state)
            if place_command(commands, i).list_role != ListRole.NONE:
                room = max(room, room_for_legs(state))
        elif kind == CommandKind.CANCEL:
            room = i64(Room.NONE)
        else:
            room = room_for_rare(state, commands, i)
        if room != Room.NONE:
            header.room = room
            return done, used, Status.NEEDS_ROOM
        needed = i64(EVENTS_PER_COMMAND)
        if kind == CommandKind.CANCEL:
            if header.specials != 0:
                needed = i64(EVENTS_PER_COMMAND * EVENTS_PER_SPECIAL)
        elif kind != CommandKind.PLACE or not fits_surely(state, commands, i, len(events) - used):
            needed = events_needed(state, commands, i)
        if used + needed > len(events):
            header.events_needed = needed
            return done, used, Status.EVENTS_FULL
        if head.sequence != header.sequence + 1:
            header.fault = Fault.SEQUENCE_GAP
            return done, used, Status.FAULT
        if head.ts_ns < header.ts_ns:
            header.fault = Fault.TIME_REVERSED
            return done, used, Status.FAULT
        if header.open_orders > SCATTERED_ORDERS and done + 2 < count:
            fetch_targets(state, commands, i + 1)
        ts_ns = header.ts_ns
        header.sequence += 1
        header.ts_ns = head.ts_ns
        before = used
        if kind == CommandKind.PLACE:
            used = place_order(state, commands, i, events, used)
        elif kind == CommandKind.CANCEL:
            used = cancel_order(state, commands, i, events, used)
        else:
            used = _apply_rare(state, commands, i, events, used)
        if used == before:
            header.sequence -= 1
            header.ts_ns = ts_ns
            return done, used, Status.FAULT
        any_event(events, used - 1)["flags"] |= EventFlag.LAST
        header.event_count += used - before
    return count, used, Status.DONE


@kernel
def apply(arrays: State, commands: Any, first: int, count: int, events: Any, used: int) -> tuple[int, int, int]:
    """Apply command slots `first` .. `first + count`; append their events from slot `used` on.

    Returns (commands applied, next free event slot, Status). NEEDS_ROOM: enlarge the pool `header.room` names and enter
    again behind the commands applied. EVENTS_FULL: drain the buffer, or make it hold `header.events_needed`. FAULT:
    `header.fault` says which; the command was not applied and no later one may be.
    """
    return _apply_all(by_reference(arrays), commands, first, count, events, used)
