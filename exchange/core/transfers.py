"""Transfers: money between the world and an account, each by an id that is never used twice.

Owns DEPOSIT, WITHDRAW_HOLD, WITHDRAW_SETTLE and WITHDRAW_RELEASE. A repeated command gives the transfer's present
state and moves nothing, so a caller may send it again until it knows.
"""

from __future__ import annotations

from typing import Any

from exchange.core.clearing import balance_of, hold
from exchange.core.codes import Account, CommandKind, EventKind, Limit, RejectCode, TradingMode, TransferState
from exchange.core.compile import i64, inlined, part
from exchange.core.emit import begin_event, emit_rejected
from exchange.core.index import find_transfer, put_transfer
from exchange.core.risk import is_asset, is_user
from exchange.core.slots import transfer_command, transfer_event
from exchange.core.state import MAX_ATOMS, State


@inlined
def _is_same_transfer(state: State, slot: int, command: Any) -> bool:
    """Whether a transfer is the one the command names: its account, asset, amount and sort."""
    transfer = state.transfers[slot]
    deposited = transfer.state == TransferState.DEPOSITED
    same: bool = (
        transfer.account == command.account
        and transfer.asset == command.asset
        and transfer.amount_atoms == command.amount_atoms
        and deposited == (command.kind == CommandKind.DEPOSIT)
    )
    return same


@inlined
def _check_new(state: State, command: Any) -> int:
    """Refusals of a transfer whose id is new."""
    if command.kind == CommandKind.DEPOSIT:
        supply = -state.balances[balance_of(state, Account.WORLD, command.asset)].available
        if command.amount_atoms > MAX_ATOMS - supply:
            return RejectCode.SUPPLY_EXCEEDED
    elif command.kind != CommandKind.WITHDRAW_HOLD:
        return RejectCode.UNKNOWN_TRANSFER
    if state.header[0].transfers >= state.limits[Limit.TRANSFERS]:
        return RejectCode.TOO_MANY_TRANSFERS
    if command.kind == CommandKind.WITHDRAW_HOLD and state.header[0].withdrawals_mode == TradingMode.HALTED:
        return RejectCode.WITHDRAWALS_CLOSED
    available = state.balances[balance_of(state, command.account, command.asset)].available
    if command.kind == CommandKind.WITHDRAW_HOLD and command.amount_atoms > available:
        return RejectCode.INSUFFICIENT_BALANCE
    return RejectCode.NONE


@part
def _state_after(kind: int) -> int:
    """The state that a transfer command leads to: the kinds and the states are numbered in the same order."""
    return i64(kind) - CommandKind.DEPOSIT + TransferState.DEPOSITED


@part
def transfer(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """All four transfer commands; returns the next free event slot."""
    command = transfer_command(commands, i)
    kind = command.kind
    after = _state_after(kind)
    slot = i64(0)
    repeated = False
    code: int = RejectCode.NONE
    if not is_user(state, command.account):
        code = RejectCode.UNKNOWN_ACCOUNT
    elif not is_asset(state, command.asset):
        code = RejectCode.UNKNOWN_ASSET
    elif command.amount_atoms <= 0 or command.transfer_id <= 0:
        code = RejectCode.INVALID_AMOUNT
    else:
        slot = find_transfer(state, command.transfer_id)
        if slot == 0:
            code = _check_new(state, command)
        elif not _is_same_transfer(state, slot, command):
            code = RejectCode.TRANSFER_ID_CONFLICT
        else:
            present = state.transfers[slot].state
            repeated = present == after or kind == CommandKind.WITHDRAW_HOLD
            if not repeated and present != TransferState.HELD:
                code = RejectCode.TRANSFER_FINISHED
    if code != RejectCode.NONE:
        return emit_rejected(state.header[0], commands, i, events, used, code)

    # From here the command must succeed.
    if not repeated:
        slot = _move(state, command, slot, after)
    begin_event(state.header[0], events, used, EventKind.TRANSFER_DUPLICATE if repeated else EventKind.TRANSFERRED)
    event = transfer_event(events, used)
    event.command_kind = kind
    event.transfer_state = state.transfers[slot].state
    event.account = command.account
    event.asset = command.asset
    event.transfer_id = command.transfer_id
    event.amount_atoms = command.amount_atoms
    return used + 1


@inlined
def _move(state: State, command: Any, slot: int, after: int) -> int:
    """Post the transfer and record it; returns its slot."""
    balance = balance_of(state, command.account, command.asset)
    world = balance_of(state, Account.WORLD, command.asset)
    amount = command.amount_atoms
    if after == TransferState.DEPOSITED:
        state.balances[world].available -= amount
        state.balances[balance].available += amount
    elif after == TransferState.HELD:
        hold(state.balances[balance], amount)
    elif after == TransferState.SETTLED:
        state.balances[balance].locked -= amount
        state.balances[world].available += amount
    else:
        hold(state.balances[balance], -amount)
    if slot == 0:
        state.header[0].transfers += 1
        slot = state.header[0].transfers
        record = state.transfers[slot]
        record.transfer_id = command.transfer_id
        record.amount_atoms = amount
        record.account = command.account
        record.asset = command.asset
        put_transfer(state, command.transfer_id, slot)
    state.transfers[slot].state = after
    return slot
