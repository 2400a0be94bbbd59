"""Risk: what is checked before an order may touch the book.

Owns the refusals of PLACE, CANCEL and REDUCE and the walk that prices MARKET and FOK orders. Never changes the state.
The order of the checks is the order of RejectCode.
"""

from __future__ import annotations

from typing import Any

from exchange.core.clearing import balance_of
from exchange.core.codes import (
    Account,
    Limit,
    OrderType,
    Phase,
    RejectCode,
    Side,
    StpMode,
    TimeInForce,
    TradingMode,
)
from exchange.core.compile import i64, inlined, part
from exchange.core.levels import crosses, find_level, price_key
from exchange.core.state import ICEBERG, SIDES, State
from exchange.core.terms import may_rest, terms_of


@inlined
def is_user(state: State, account: int) -> bool:
    """Whether an account id names an open account of a user."""
    return Account.FIRST_USER <= account < len(state.accounts) and state.accounts[account].mode != 0


@inlined
def is_symbol(state: State, symbol: int) -> bool:
    """Whether a symbol id names a symbol."""
    return 1 <= symbol < len(state.symbols) and state.symbols[symbol].mode != 0


@inlined
def is_asset(state: State, asset: int) -> bool:
    """Whether an asset id names an asset."""
    return 1 <= asset < len(state.assets) and state.assets[asset].exists != 0


@inlined
def check_modes(state: State, account: int, symbol: int, allowed: int) -> int:
    """Refuse when venue, symbol or account is stricter than the TradingMode `allowed`."""
    if state.header[0].mode > allowed:
        return RejectCode.VENUE_CLOSED
    if state.symbols[symbol].mode > allowed:
        return RejectCode.SYMBOL_CLOSED
    if state.accounts[account].mode > allowed:
        return RejectCode.ACCOUNT_CLOSED
    return RejectCode.NONE


@inlined
def check_standing(state: State, account: int, symbol: int) -> int:
    """Whether the account may place anything on the symbol now: there is one, and modes and phase let it."""
    if not is_symbol(state, symbol):
        return RejectCode.UNKNOWN_SYMBOL
    code = check_modes(state, account, symbol, TradingMode.OPEN)
    passes = code == RejectCode.NONE or code == RejectCode.ACCOUNT_CLOSED
    return RejectCode.SYMBOL_CLOSED if passes and state.markets[symbol].phase == Phase.PAUSED else code


@inlined
def check_shape(ts_ns: int, place: Any) -> int:
    """Side, type, time in force, STP mode and expiry of a PLACE that is not special."""
    if place.side > Side.SELL:
        return RejectCode.INVALID_SIDE
    if not OrderType.LIMIT <= place.order_type <= OrderType.LIMIT_MAKER:
        return RejectCode.INVALID_ORDER_TYPE
    tif = place.time_in_force
    if place.order_type == OrderType.MARKET:
        tif_fits = tif == TimeInForce.IOC
    elif place.order_type == OrderType.LIMIT_MAKER:
        tif_fits = may_rest(tif)
    else:
        tif_fits = TimeInForce.GTC <= tif <= TimeInForce.GTD
    if not tif_fits:
        return RejectCode.INVALID_TIME_IN_FORCE
    if place.stp_mode > StpMode.DECREMENT:
        return RejectCode.INVALID_STP_MODE
    expires = tif == TimeInForce.GTD
    if (expires and place.expire_ts_ns <= ts_ns) or (not expires and place.expire_ts_ns != 0):
        return RejectCode.INVALID_EXPIRY
    return RejectCode.NONE


@inlined
def check_price(symbol: Any, price_ticks: int) -> int:
    """A price against the bounds of the symbol (its row)."""
    if price_ticks <= 0:
        return RejectCode.INVALID_PRICE
    if price_ticks < symbol.price_min_ticks:
        return RejectCode.PRICE_TOO_LOW
    if price_ticks > symbol.price_max_ticks:
        return RejectCode.PRICE_TOO_HIGH
    if symbol.price_step_ticks != 1 and price_ticks % symbol.price_step_ticks != 0:
        return RejectCode.PRICE_OFF_TICK
    return RejectCode.NONE


@inlined
def check_quantity(symbol: Any, qty_lots: int) -> int:
    """A positive quantity against the bounds of the symbol."""
    if qty_lots < symbol.qty_min_lots:
        return RejectCode.QUANTITY_TOO_LOW
    if qty_lots > symbol.qty_max_lots:
        return RejectCode.QUANTITY_TOO_HIGH
    if symbol.qty_step_lots != 1 and qty_lots % symbol.qty_step_lots != 0:
        return RejectCode.QUANTITY_OFF_LOT
    return RejectCode.NONE


@inlined
def check_notional(symbol: Any, notional_atoms: int) -> int:
    """A notional against the bounds of the symbol."""
    if notional_atoms < symbol.notional_min_atoms:
        return RejectCode.NOTIONAL_TOO_LOW
    if notional_atoms > symbol.notional_max_atoms:
        return RejectCode.NOTIONAL_TOO_HIGH
    return RejectCode.NONE


@inlined
def check_filters(symbol: Any, place: Any) -> int:
    """Price, quantity and notional of a PLACE that is not special against the bounds of the symbol (its row)."""
    market = place.order_type == OrderType.MARKET
    if not market:
        code = check_price(symbol, place.price_ticks)
        if code != RejectCode.NONE:
            return code
    elif place.price_ticks != 0:
        return RejectCode.INVALID_PRICE
    by_quote = market and place.qty_lots == 0 and place.quote_atoms > 0
    if not by_quote:
        if place.qty_lots <= 0 or place.quote_atoms != 0:
            return RejectCode.INVALID_QUANTITY
        code = check_quantity(symbol, place.qty_lots)
        if code != RejectCode.NONE:
            return code
    if by_quote:
        return check_notional(symbol, place.quote_atoms)
    if not market:
        return check_notional(symbol, place.price_ticks * place.qty_lots * symbol.quote_atoms_per_tick_lot)
    return RejectCode.NONE


@inlined
def check_caps(state: State, place: Any) -> int:
    """What an account and the venue may have on the books, and LIMIT_MAKER's promise not to take."""
    symbol = state.symbols[place.symbol]
    side_index = i64(place.symbol) * SIDES + place.side
    if may_rest(place.time_in_force):
        owned = state.owned[i64(place.account) * len(state.symbols) + place.symbol]
        if owned.count >= symbol.orders_max:
            return RejectCode.TOO_MANY_ORDERS
        if state.header[0].open_orders >= state.limits[Limit.OPEN_ORDERS]:
            return RejectCode.VENUE_FULL
        levels_full = state.header[0].levels >= state.limits[Limit.LEVELS]
        if levels_full and find_level(state, side_index, price_key(place.side, place.price_ticks)) == 0:
            return RejectCode.TOO_MANY_LEVELS
    if place.order_type == OrderType.LIMIT_MAKER:
        best = state.sides[side_index ^ 1].best
        if best != 0 and crosses(place.side, place.price_ticks, state.levels[best].price_ticks):
            return RejectCode.WOULD_TAKE
    return RejectCode.NONE


@inlined
def is_same_owner(state: State, account: int, other: int) -> bool:
    """Whether two accounts are one for self-trade prevention: the same, or of one trade group."""
    if account == other:
        return True
    group: int = state.accounts[account].trade_group
    return group != 0 and group == int(state.accounts[other].trade_group)


@inlined
def _part_lots(state: State, slot: int, nth: int) -> int:
    """The nth part (from 0) that an order on the book shows, 0 if it has fewer."""
    order = state.orders[slot]
    if order.special & ICEBERG == 0:
        return i64(order.leaves_lots) if nth == 0 else i64(0)
    terms = terms_of(state, slot)
    if nth == 0:
        return i64(terms.shown_lots)
    behind = order.leaves_lots - terms.shown_lots - (nth - 1) * terms.iceberg_lots
    return max(i64(0), min(i64(behind), i64(terms.iceberg_lots)))


@part
def walk(
    state: State,
    account: int,
    symbol: int,
    side: int,
    stp_mode: int,
    price_ticks: int,
    lots: int,
    quote_atoms: int,
    low_ticks: int,
    high_ticks: int,
) -> tuple[int, int, int]:
    """What an order would fill now: (order_lots, fill_lots, fill_quote_atoms), see docs/engine.md section 4.3.

    `price_ticks` 0 means any price; the side ends before a price outside `low_ticks` .. `high_ticks`. With
    `quote_atoms` > 0 the quantity is what that amount trades, and order_lots says how much that is; else order_lots is
    `lots`. A level with icebergs is passed once a part: parts behind the first one stand at its back.
    """
    row = state.symbols[symbol]
    by_quote = quote_atoms > 0
    want = lots
    left = quote_atoms
    taken = fill_lots = fill_quote = rest_lots = i64(0)
    level = i64(state.sides[symbol * SIDES + (1 - side)].best)
    done = False
    while level != 0 and not done:
        price = state.levels[level].price_ticks
        if price_ticks != 0 and not crosses(side, price_ticks, price):
            break
        if price < low_ticks or price > high_ticks:
            break
        lot_atoms = price * row.quote_atoms_per_tick_lot
        nth = i64(0)
        slot = i64(state.levels[level].head)
        more = False
        while slot != 0 and not done:
            maker = state.orders[slot]
            offered = _part_lots(state, slot, nth)
            if maker.special & ICEBERG and _part_lots(state, slot, nth + 1) > 0:
                more = True
            own = stp_mode != StpMode.NONE and is_same_owner(state, account, maker.account)
            if offered > 0 and not (own and stp_mode == StpMode.EXPIRE_MAKER):
                if by_quote:
                    want = left // lot_atoms
                    want -= want % row.qty_step_lots
                if own and (stp_mode != StpMode.DECREMENT or price_ticks != 0):
                    rest_lots = want
                    done = True
                else:
                    take = min(want, offered)
                    taken += take
                    left -= take * lot_atoms if by_quote else 0
                    if not own:
                        fill_lots += take
                        fill_quote += take * lot_atoms
                    done = take < offered
                    want -= take
                    rest_lots = 0 if done else want
                    if not by_quote and want == 0:
                        done = True
            slot = i64(maker.next)
            if slot == 0 and more and not done:
                nth += 1
                more = False
                slot = i64(state.levels[level].head)
        level = i64(state.levels[level].worse)
    return (taken + rest_lots if by_quote else lots), fill_lots, fill_quote


@inlined
def can_pay(state: State, place: Any, fill_lots: int, fill_quote_atoms: int) -> bool:
    """Whether the account has what the order must be able to pay (docs/engine.md, holds).

    `fill_*` come from the walk of a MARKET order. A SELL compares lots with what is affordable: the lots that a quote
    amount buys may be more than a product with atoms can hold.
    """
    symbol = state.symbols[place.symbol]
    buys = place.side == Side.BUY
    asset = symbol.quote_asset if buys else symbol.base_asset
    available: int = state.balances[balance_of(state, place.account, asset)].available
    market = place.order_type == OrderType.MARKET
    if not buys:
        return i64(max(place.qty_lots, fill_lots if market else 0)) <= available // i64(symbol.base_atoms_per_lot)
    if market:
        return i64(max(place.quote_atoms, fill_quote_atoms)) <= available
    return i64(place.price_ticks * place.qty_lots * symbol.quote_atoms_per_tick_lot) <= available
