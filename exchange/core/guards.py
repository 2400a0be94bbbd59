"""Guards: what a symbol, an account or a key may not do, however well the order is made.

Owns the refusals of section 20 of docs/engine-guards.md and the counters of the order rate and of the day of a key.
Changes nothing but those counters. An order list asks for each leg, with what the legs before it count.
"""

from __future__ import annotations

from typing import Any

from exchange.core.clearing import balance_of
from exchange.core.codes import ListRole, OrderType, PegType, Phase, RejectCode, Side, SymbolRule
from exchange.core.compile import i64, inlined, part
from exchange.core.reference_price import bips_of, reference_price
from exchange.core.rules import symbol_rule
from exchange.core.state import State
from exchange.core.terms import is_market, is_stop, may_rest

_DAY_NS = 86_400 * 10**9


@inlined
def is_guarded(state: State, place: Any) -> bool:
    """Whether anything guards the symbol or the account, which are there, or the key of a PLACE."""
    guarded: bool = (
        state.accounts[place.account].guarded != 0
        or state.markets[place.symbol].guarded != 0
        or (state.header[0].key_guards != 0 and place.key > 0)
    )
    return guarded


@part
def check_collar(state: State, place: Any, price_ticks: int) -> int:
    """A limit price that is known against the collar around the reference price; 0: not known."""
    if price_ticks == 0 or is_market(place.order_type):
        return RejectCode.NONE
    buys = place.side == Side.BUY
    up = symbol_rule(state, place.symbol, SymbolRule.BID_UP_BIPS if buys else SymbolRule.ASK_UP_BIPS)
    down = symbol_rule(state, place.symbol, SymbolRule.BID_DOWN_BIPS if buys else SymbolRule.ASK_DOWN_BIPS)
    if up == 0 and down == 0:
        return RejectCode.NONE
    reference = reference_price(state, i64(place.symbol))
    if reference == 0:
        return RejectCode.NONE
    if (up != 0 and price_ticks > bips_of(reference, up)) or (down != 0 and price_ticks < bips_of(reference, down)):
        return RejectCode.PRICE_OUT_OF_COLLAR
    return RejectCode.NONE


@part
def _is_position_too_high(state: State, place: Any, lots: int) -> bool:
    """Whether a BUY would bring the account beyond POSITION_MAX_LOTS; no sum passes twice MAX_ATOMS."""
    most = symbol_rule(state, place.symbol, SymbolRule.POSITION_MAX_LOTS)
    if most == 0 or place.side != Side.BUY:
        return False
    symbol = state.symbols[place.symbol]
    balance = state.balances[balance_of(state, place.account, symbol.base_asset)]
    position = (balance.available + balance.locked) // symbol.base_atoms_per_lot
    slot = i64(state.owned[i64(place.account) * len(state.symbols) + place.symbol].head)
    while slot != 0 and position <= most:
        order = state.orders[slot]
        if order.side == Side.BUY:
            position += order.leaves_lots
        slot = i64(order.owner_next)
    return position > most or position + lots > most  # type: ignore[no-any-return]  # i8 fields


@part
def _is_exposure_too_high(state: State, place: Any, held_atoms: int) -> bool:
    symbol = state.symbols[place.symbol]
    asset = i64(symbol.quote_asset if place.side == Side.BUY else symbol.base_asset)
    index = balance_of(state, place.account, asset)
    most = state.exposures[index]
    return most != 0 and state.balances[index].locked + held_atoms > most  # type: ignore[no-any-return]  # i8 fields


@inlined
def _window_runs(state: State, guard: Any) -> bool:
    runs: bool = guard.orders != 0 and state.header[0].ts_ns - guard.window_start_ts_ns < guard.window_ns
    return runs


@part
def _is_rate_too_high(state: State, account: int, orders_before: int) -> bool:
    guard = state.account_guards[account]
    if guard.orders_max == 0 or guard.window_ns == 0:
        return False
    orders = i64(guard.orders) if _window_runs(state, guard) else i64(0)
    return orders + orders_before >= guard.orders_max  # type: ignore[no-any-return]  # i8 field


@inlined
def _is_key_guarded(state: State, place: Any) -> bool:
    """Whether the key of a PLACE has a maximum for the quote asset of its symbol."""
    if not 0 < place.key < len(state.keys):
        return False
    row = state.keys[place.key]
    guarded: bool = row.notional_day_max_atoms != 0 and row.asset == state.symbols[place.symbol].quote_asset
    return guarded


@part
def _is_key_used_up(state: State, place: Any, notional_atoms: int, notional_before_atoms: int) -> bool:
    if not _is_key_guarded(state, place):
        return False
    row = state.keys[place.key]
    used = i64(row.used_atoms) if row.day == state.header[0].ts_ns // _DAY_NS else i64(0)
    left = row.notional_day_max_atoms - used - notional_before_atoms
    return notional_atoms > left  # type: ignore[no-any-return]  # i8 field


@part
def notional_of(state: State, place: Any, price_ticks: int, fill_quote_atoms: int) -> int:
    """What an order counts for its key: by its limit price if that is known, or what a MARKET takes or may spend."""
    if place.order_type == OrderType.MARKET:
        return max(i64(fill_quote_atoms), i64(place.quote_atoms))
    if is_market(place.order_type):
        return i64(0)
    return price_ticks * i64(place.qty_lots) * i64(state.symbols[place.symbol].quote_atoms_per_tick_lot)


@inlined
def _fits_auction(place: Any) -> bool:
    """Whether an order may come while an auction collects."""
    if place.list_role != ListRole.NONE:
        return False
    fits: bool = is_stop(place.order_type) or (
        place.order_type == OrderType.LIMIT and may_rest(place.time_in_force) and place.peg_type == PegType.NONE
    )
    return fits


@part
def check_guards(
    state: State,
    place: Any,
    lots: int,
    held_atoms: int,
    notional_atoms: int,
    orders_before: int,
    notional_before_atoms: int,
) -> int:
    """Position, exposure, order rate, the key's day and the auction, in the order of RejectCode.

    `lots` and `held_atoms` are what the order will be and hold; `orders_before` and `notional_before_atoms` count the
    legs before it in its list.
    """
    if _is_position_too_high(state, place, lots):
        return RejectCode.POSITION_TOO_HIGH
    if _is_exposure_too_high(state, place, held_atoms):
        return RejectCode.EXPOSURE_TOO_HIGH
    if _is_rate_too_high(state, i64(place.account), orders_before):
        return RejectCode.ORDER_RATE_TOO_HIGH
    if _is_key_used_up(state, place, notional_atoms, notional_before_atoms):
        return RejectCode.KEY_NOTIONAL_TOO_HIGH
    if state.markets[place.symbol].phase == Phase.AUCTION and not _fits_auction(place):
        return RejectCode.AUCTION_ORDER
    return RejectCode.NONE


@part
def count_accepted(state: State, place: Any, notional_atoms: int) -> None:
    """An order was accepted: it counts in its account's window and in the day of its key."""
    ts_ns = state.header[0].ts_ns
    guard = state.account_guards[place.account]
    if guard.orders_max != 0 and guard.window_ns != 0:
        if not _window_runs(state, guard):
            guard.window_start_ts_ns = ts_ns
            guard.orders = 0
        guard.orders += 1
    if _is_key_guarded(state, place):
        row = state.keys[place.key]
        day = ts_ns // _DAY_NS
        if row.day != day:
            row.day = day
            row.used_atoms = 0
        row.used_atoms += notional_atoms
