"""Reference data: assets, symbols, accounts, fees, trading modes and limits.

Owns the commands of docs/engine.md section 3. Each function returns the next free event slot. These commands are
rare, so nothing here is tuned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core.codes import Account, EventKind, Limit, RejectCode, Scope, TradingMode
from exchange.core.compile import i64, part
from exchange.core.emit import begin_event, emit_rejected
from exchange.core.pool import forget_oldest
from exchange.core.risk import is_asset, is_symbol, is_user
from exchange.core.slots import (
    account_command,
    any_event,
    asset_command,
    limit_command,
    mode_command,
    symbol_command,
    symbol_event,
)
from exchange.core.state import FEE_PPM_MAX, LIMIT_MAX, MAX_ATOMS, SCALE_MAX, State

_LIMIT_MAX = np.array(LIMIT_MAX, dtype=np.int64)
_POWERS = np.array([10**n for n in range(SCALE_MAX + 1)], dtype=np.int64)


@part
def _echo(header: Any, commands: Any, i: int, events: Any, used: int, kind: int) -> int:
    """An event with all the fields of its command."""
    begin_event(header, events, used, kind)
    for field in range(112):
        events[used, 16 + field] = commands[i, 16 + field]
    any_event(events, used).kind = kind
    any_event(events, used)["flags"] = 0
    return used + 1


@part
def _fees_fit(maker_ppm: int, taker_ppm: int, least: int) -> bool:
    return least <= maker_ppm <= FEE_PPM_MAX and least <= taker_ppm <= FEE_PPM_MAX


@part
def set_limit(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """SET_LIMIT; a smaller window of closed orders forgets the oldest at once."""
    command = limit_command(commands, i)
    if command.limit >= len(_LIMIT_MAX) or not 1 <= command.value <= _LIMIT_MAX[command.limit]:
        return emit_rejected(state.header[0], commands, i, events, used, RejectCode.INVALID_LIMIT)
    state.limits[command.limit] = command.value
    if command.limit == Limit.CLOSED_ORDERS:
        while state.header[0].closed_next - state.header[0].closed_first > command.value:
            forget_oldest(state)
    return _echo(state.header[0], commands, i, events, used, EventKind.LIMIT_SET)


@part
def add_asset(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """ADD_ASSET."""
    command = asset_command(commands, i)
    code = RejectCode.NONE
    if not 1 <= command.asset <= state.limits[Limit.ASSETS]:
        code = RejectCode.ID_OUT_OF_RANGE
    elif is_asset(state, command.asset):
        code = RejectCode.ALREADY_EXISTS
    elif command.scale > SCALE_MAX:
        code = RejectCode.INVALID_SCALE
    if code != RejectCode.NONE:
        return emit_rejected(state.header[0], commands, i, events, used, code)
    asset = state.assets[command.asset]
    asset.exists = 1
    asset.scale = command.scale
    asset.name_0 = command.name_0
    asset.name_1 = command.name_1
    return _echo(state.header[0], commands, i, events, used, EventKind.ASSET_ADDED)


@part
def _parameters_fit(command: Any, price_ceiling: int, qty_ceiling: int, base_lot: int, quote_tick_lot: int) -> bool:
    """The bounds in order, and the products of the ceilings within MAX_ATOMS."""
    return (
        1 <= command.price_min_ticks <= command.price_max_ticks
        and 1 <= command.qty_min_lots <= command.qty_max_lots
        and command.price_step_ticks >= 1
        and command.qty_step_lots >= 1
        and 0 <= command.notional_min_atoms <= command.notional_max_atoms <= MAX_ATOMS
        and command.orders_max >= 1
        and qty_ceiling <= MAX_ATOMS // quote_tick_lot // price_ceiling
        and qty_ceiling <= MAX_ATOMS // base_lot
    )


@part
def _set_parameters(symbol: Any, command: Any) -> None:
    symbol.price_min_ticks = command.price_min_ticks
    symbol.price_max_ticks = command.price_max_ticks
    symbol.qty_min_lots = command.qty_min_lots
    symbol.qty_max_lots = command.qty_max_lots
    symbol.notional_min_atoms = command.notional_min_atoms
    symbol.notional_max_atoms = command.notional_max_atoms
    symbol.price_step_ticks = command.price_step_ticks
    symbol.qty_step_lots = command.qty_step_lots
    symbol.orders_max = command.orders_max
    symbol.maker_fee_ppm = command.maker_fee_ppm
    symbol.taker_fee_ppm = command.taker_fee_ppm
    symbol.price_ceiling_ticks = max(symbol.price_ceiling_ticks, command.price_max_ticks)
    symbol.qty_ceiling_lots = max(symbol.qty_ceiling_lots, command.qty_max_lots)


@part
def _check_new_symbol(state: State, command: Any) -> int:
    """Refusals of ADD_SYMBOL."""
    if not is_asset(state, command.base_asset) or not is_asset(state, command.quote_asset):
        return RejectCode.UNKNOWN_ASSET
    if not 1 <= command.symbol <= state.limits[Limit.SYMBOLS]:
        return RejectCode.ID_OUT_OF_RANGE
    if is_symbol(state, command.symbol):
        return RejectCode.ALREADY_EXISTS
    base_digits = i64(state.assets[command.base_asset].scale) - i64(command.qty_scale)
    quote_digits = i64(state.assets[command.quote_asset].scale) - i64(command.price_scale) - i64(command.qty_scale)
    if command.base_asset == command.quote_asset or base_digits < 0 or quote_digits < 0:
        return RejectCode.INVALID_SCALE
    base_lot = _POWERS[base_digits]
    quote_tick_lot = _POWERS[quote_digits]
    price_ceiling = max(i64(1), command.price_max_ticks)
    if not _parameters_fit(command, price_ceiling, command.qty_max_lots, base_lot, quote_tick_lot):
        return RejectCode.INVALID_PARAMETERS
    if not _fees_fit(command.maker_fee_ppm, command.taker_fee_ppm, 0):
        return RejectCode.INVALID_FEE
    return RejectCode.NONE


@part
def add_symbol(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """ADD_SYMBOL."""
    command = symbol_command(commands, i)
    code = _check_new_symbol(state, command)
    if code != RejectCode.NONE:
        return emit_rejected(state.header[0], commands, i, events, used, code)
    symbol = state.symbols[command.symbol]
    symbol.mode = TradingMode.OPEN
    symbol.price_scale = command.price_scale
    symbol.qty_scale = command.qty_scale
    symbol.base_asset = command.base_asset
    symbol.quote_asset = command.quote_asset
    base_scale = i64(state.assets[command.base_asset].scale)
    quote_scale = i64(state.assets[command.quote_asset].scale)
    symbol.base_atoms_per_lot = _POWERS[base_scale - i64(command.qty_scale)]
    symbol.quote_atoms_per_tick_lot = _POWERS[quote_scale - i64(command.price_scale) - i64(command.qty_scale)]
    symbol.name_0 = command.name_0
    symbol.name_1 = command.name_1
    _set_parameters(symbol, command)
    return _echo(state.header[0], commands, i, events, used, EventKind.SYMBOL_ADDED)


@part
def change_symbol(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """CHANGE_SYMBOL: everything but assets, scales and name."""
    command = symbol_command(commands, i)
    code = RejectCode.NONE
    if not is_symbol(state, command.symbol):
        code = RejectCode.UNKNOWN_SYMBOL
    else:
        symbol = state.symbols[command.symbol]
        price_ceiling = max(symbol.price_ceiling_ticks, command.price_max_ticks)
        qty_ceiling = max(symbol.qty_ceiling_lots, command.qty_max_lots)
        if not _parameters_fit(
            command, price_ceiling, qty_ceiling, symbol.base_atoms_per_lot, symbol.quote_atoms_per_tick_lot
        ):
            code = RejectCode.INVALID_PARAMETERS
        elif not _fees_fit(command.maker_fee_ppm, command.taker_fee_ppm, 0):
            code = RejectCode.INVALID_FEE
    if code != RejectCode.NONE:
        return emit_rejected(state.header[0], commands, i, events, used, code)
    symbol = state.symbols[command.symbol]
    _set_parameters(symbol, command)
    used = _echo(state.header[0], commands, i, events, used, EventKind.SYMBOL_CHANGED)
    event = symbol_event(events, used - 1)
    event.price_scale = symbol.price_scale
    event.qty_scale = symbol.qty_scale
    event.base_asset = symbol.base_asset
    event.quote_asset = symbol.quote_asset
    event.name_0 = symbol.name_0
    event.name_1 = symbol.name_1
    return used


@part
def open_account(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """OPEN_ACCOUNT."""
    command = account_command(commands, i)
    code = RejectCode.NONE
    if not Account.FIRST_USER <= command.account <= state.limits[Limit.ACCOUNTS]:
        code = RejectCode.ID_OUT_OF_RANGE
    elif is_user(state, command.account):
        code = RejectCode.ALREADY_EXISTS
    elif not _fees_fit(command.maker_fee_ppm, command.taker_fee_ppm, -1):
        code = RejectCode.INVALID_FEE
    if code != RejectCode.NONE:
        return emit_rejected(state.header[0], commands, i, events, used, code)
    account = state.accounts[command.account]
    account.mode = TradingMode.OPEN
    account.maker_fee_ppm = command.maker_fee_ppm
    account.taker_fee_ppm = command.taker_fee_ppm
    return _echo(state.header[0], commands, i, events, used, EventKind.ACCOUNT_OPENED)


@part
def set_fees(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """SET_FEES: an account's overrides."""
    command = account_command(commands, i)
    code = RejectCode.NONE
    if not is_user(state, command.account):
        code = RejectCode.UNKNOWN_ACCOUNT
    elif not _fees_fit(command.maker_fee_ppm, command.taker_fee_ppm, -1):
        code = RejectCode.INVALID_FEE
    if code != RejectCode.NONE:
        return emit_rejected(state.header[0], commands, i, events, used, code)
    account = state.accounts[command.account]
    account.maker_fee_ppm = command.maker_fee_ppm
    account.taker_fee_ppm = command.taker_fee_ppm
    return _echo(state.header[0], commands, i, events, used, EventKind.FEES_SET)


@part
def set_trading_mode(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """SET_TRADING_MODE of the venue, a symbol, an account or of withdrawals, which have no mode between the two."""
    command = mode_command(commands, i)
    code = RejectCode.NONE
    present = i64(state.header[0].mode)
    if command.scope == Scope.WITHDRAWALS:
        present = i64(TradingMode.OPEN)
        if command.mode == TradingMode.CANCEL_ONLY:
            code = RejectCode.INVALID_MODE
    elif command.scope > Scope.ACCOUNT:
        code = RejectCode.INVALID_MODE
    elif command.scope == Scope.ACCOUNT:
        if is_user(state, command.account):
            present = i64(state.accounts[command.account].mode)
        else:
            code = RejectCode.UNKNOWN_ACCOUNT
    elif command.scope == Scope.SYMBOL:
        if is_symbol(state, command.symbol):
            present = i64(state.symbols[command.symbol].mode)
        else:
            code = RejectCode.UNKNOWN_SYMBOL
    if code == RejectCode.NONE:
        if not TradingMode.OPEN <= command.mode <= TradingMode.HALTED:
            code = RejectCode.INVALID_MODE
        elif present == TradingMode.HALTED and command.mode == TradingMode.OPEN:
            code = RejectCode.ILLEGAL_MODE_CHANGE
    if code != RejectCode.NONE:
        return emit_rejected(state.header[0], commands, i, events, used, code)
    if command.scope == Scope.ACCOUNT:
        state.accounts[command.account].mode = command.mode
    elif command.scope == Scope.SYMBOL:
        state.symbols[command.symbol].mode = command.mode
    elif command.scope == Scope.WITHDRAWALS:
        state.header[0].withdrawals_mode = command.mode
    else:
        state.header[0].mode = command.mode
    return _echo(state.header[0], commands, i, events, used, EventKind.TRADING_MODE_SET)
