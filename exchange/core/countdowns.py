"""Dead man's timers: a binary heap of (due_ts_ns, account, symbol, key).

Owns COUNTDOWN and the heap; `sweeping.py` fires what is due. There is one timer for each (account, symbol, key).
"""

from __future__ import annotations

from typing import Any

from exchange.core.codes import EventKind, RejectCode
from exchange.core.compile import i64, inlined, part
from exchange.core.emit import begin_event, emit_rejected
from exchange.core.risk import is_symbol, is_user
from exchange.core.slots import countdown_command, countdown_event
from exchange.core.state import COUNTDOWNS_MAX, State

_COUNTDOWN_MAX_NS = 10**14
_NOWHERE = -1


@inlined
def _before(state: State, left: int, right: int) -> bool:
    """Whether heap entry `left` comes before `right`."""
    a = state.countdowns[left]
    b = state.countdowns[right]
    if a.due_ts_ns != b.due_ts_ns:
        return a.due_ts_ns < b.due_ts_ns  # type: ignore[no-any-return]  # i8 fields
    if a.account != b.account:
        return a.account < b.account  # type: ignore[no-any-return]  # i4 fields
    if a.symbol != b.symbol:
        return a.symbol < b.symbol  # type: ignore[no-any-return]  # i4 fields
    return a.key < b.key  # type: ignore[no-any-return]  # i4 fields


@inlined
def _write(entry: Any, due_ts_ns: int, account: int, symbol: int, key: int) -> None:
    entry.due_ts_ns = due_ts_ns
    entry.account = account
    entry.symbol = symbol
    entry.key = key


@part
def _swap(state: State, left: int, right: int) -> None:
    a = state.countdowns[left]
    b = state.countdowns[right]
    due_ts_ns = i64(a.due_ts_ns)
    account = i64(a.account)
    symbol = i64(a.symbol)
    key = i64(a.key)
    _write(a, b.due_ts_ns, b.account, b.symbol, b.key)
    _write(b, due_ts_ns, account, symbol, key)


@part
def _sift(state: State, position: int) -> None:
    """Let an entry that may be out of order find its place, up or down."""
    count = i64(state.header[0].countdowns)
    while position > 0 and _before(state, position, (position - 1) // 2):
        _swap(state, position, (position - 1) // 2)
        position = (position - 1) // 2
    while 2 * position + 1 < count:
        child = 2 * position + 1
        if child + 1 < count and _before(state, child + 1, child):
            child += 1
        if not _before(state, child, position):
            break
        _swap(state, child, position)
        position = child
    state.header[0].countdown_next_ts_ns = state.countdowns[0].due_ts_ns if count > 0 else i64(0)


@part
def _find(state: State, account: int, symbol: int, key: int) -> int:
    for position in range(state.header[0].countdowns):
        entry = state.countdowns[position]
        if entry.account == account and entry.symbol == symbol and entry.key == key:
            return i64(position)
    return i64(_NOWHERE)


@part
def disarm(state: State, position: int) -> None:
    """Take a timer out of the heap."""
    header = state.header[0]
    header.countdowns -= 1
    last = i64(header.countdowns)
    if position != last:
        _swap(state, position, last)
    _write(state.countdowns[last], i64(0), i64(0), i64(0), i64(0))
    _sift(state, position if position < last else i64(0))


@part
def countdown(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """COUNTDOWN: arm a timer (again), or disarm it; returns the next free event slot."""
    header = state.header[0]
    command = countdown_command(commands, i)
    code: int = RejectCode.NONE
    position = i64(_NOWHERE)
    if not is_user(state, command.account):
        code = RejectCode.UNKNOWN_ACCOUNT
    elif command.symbol != 0 and not is_symbol(state, command.symbol):
        code = RejectCode.UNKNOWN_SYMBOL
    elif not 0 <= command.countdown_ns <= _COUNTDOWN_MAX_NS:
        code = RejectCode.INVALID_EXPIRY
    else:
        position = _find(state, i64(command.account), i64(command.symbol), i64(command.key))
        if position == _NOWHERE and command.countdown_ns != 0 and header.countdowns >= COUNTDOWNS_MAX:
            code = RejectCode.TOO_MANY_COUNTDOWNS
    if code != RejectCode.NONE:
        return emit_rejected(header, commands, i, events, used, code)
    due_ts_ns = header.ts_ns + command.countdown_ns if command.countdown_ns != 0 else i64(0)
    if due_ts_ns != 0:
        if position == _NOWHERE:
            position = i64(header.countdowns)
            header.countdowns += 1
        _write(state.countdowns[position], due_ts_ns, command.account, command.symbol, command.key)
        _sift(state, position)
    elif position != _NOWHERE:
        disarm(state, position)
    begin_event(header, events, used, EventKind.COUNTDOWN_SET)
    event = countdown_event(events, used)
    event.account = command.account
    event.symbol = command.symbol
    event.key = command.key
    event.countdown_ns = command.countdown_ns
    event.due_ts_ns = due_ts_ns
    return used + 1
