"""Risk of orders that are special or guarded: what is checked before one is accepted.

Owns the refusals of section 11 of docs/engine-orders.md, in the order of RejectCode. Never changes the state.
"""

from __future__ import annotations

from typing import Any

from exchange.core.codes import Limit, ListRole, OrderType, PegType, RejectCode, Side, StpMode, SymbolRule, TimeInForce
from exchange.core.compile import i64, inlined, part
from exchange.core.guards import check_collar
from exchange.core.levels import best_price, crosses, find_level, price_key
from exchange.core.risk import check_notional, check_price, check_quantity
from exchange.core.rules import symbol_rule
from exchange.core.state import DOWN, SIDES, TRAILING_ORDERS_MAX, UP, State
from exchange.core.terms import is_market, is_stop, may_rest, parts_of
from exchange.core.triggers import condition_holds, trail_price, trigger_side

ICEBERG_PARTS_MAX = 1_000
"""Where the symbol has no rule."""
_PEG_OFFSET_MAX = 100
_BIPS_MAX = 9_999


@inlined
def _times_fit(order_type: int, tif: int) -> bool:
    if is_market(order_type):
        return tif == TimeInForce.IOC
    if order_type == OrderType.LIMIT_MAKER:
        return may_rest(tif)
    return TimeInForce.GTC <= tif <= TimeInForce.GTD


@part
def _check_codes(ts_ns: int, place: Any) -> int:
    """Side, type, time in force, STP mode, expiry, and fields that the type does not take."""
    if place.side > Side.SELL:
        return RejectCode.INVALID_SIDE
    if not OrderType.LIMIT <= place.order_type <= OrderType.TAKE_PROFIT_LIMIT:
        return RejectCode.INVALID_ORDER_TYPE
    if not _times_fit(place.order_type, place.time_in_force):
        return RejectCode.INVALID_TIME_IN_FORCE
    if place.stp_mode > StpMode.DECREMENT:
        return RejectCode.INVALID_STP_MODE
    expires = place.time_in_force == TimeInForce.GTD
    if (expires and place.expire_ts_ns <= ts_ns) or (not expires and place.expire_ts_ns != 0):
        return RejectCode.INVALID_EXPIRY
    limited = not is_market(place.order_type)
    rests = may_rest(place.time_in_force)
    stops = place.stop_price_ticks != 0 or place.trailing_bips != 0
    peg = place.peg_type
    peg_fits = peg == PegType.NONE or (
        limited
        and (peg != PegType.PRIMARY_PEG or rests)
        and not (peg == PegType.MARKET_PEG and place.order_type == OrderType.LIMIT_MAKER)
    )
    offset = place.peg_offset_levels
    if (
        (stops and not is_stop(place.order_type))
        or (place.iceberg_lots != 0 and not (limited and rests))
        or peg > PegType.MARKET_PEG
        or not peg_fits
        or not 0 <= offset <= (_PEG_OFFSET_MAX if peg != PegType.NONE else 0)
        or place.list_role > ListRole.BELOW
        or (place.list_role == ListRole.PENDING and place.order_type == OrderType.MARKET and place.quote_atoms != 0)
        or place.key < 0
    ):
        return RejectCode.UNSUPPORTED_FIELD
    return RejectCode.NONE


@part
def _check_numbers(symbol: Any, place: Any, price_ticks: int, funded: bool) -> int:
    """Price, stop price, quantity and notional; `price_ticks` is the price of a peg that is known, 0 if it is not.

    `funded`: a leg that gets its quantity later.
    """
    market = is_market(place.order_type)
    pegged = place.peg_type != PegType.NONE
    known = not market and not (pegged and price_ticks == 0)
    code = i64(RejectCode.NONE)
    if (market or pegged) and place.price_ticks != 0:
        code = i64(RejectCode.INVALID_PRICE)
    elif known:
        code = i64(check_price(symbol, price_ticks))
    if is_stop(place.order_type) and (place.stop_price_ticks != 0 or place.trailing_bips == 0):
        stop_code = i64(check_price(symbol, place.stop_price_ticks))
        if code == RejectCode.NONE or RejectCode.NONE < stop_code < code:
            code = stop_code
    if code != RejectCode.NONE:
        return code
    if funded:
        return RejectCode.NONE if place.qty_lots == 0 and place.quote_atoms == 0 else RejectCode.INVALID_QUANTITY
    if place.order_type == OrderType.MARKET and place.qty_lots == 0 and place.quote_atoms > 0:
        return check_notional(symbol, place.quote_atoms)
    if place.qty_lots <= 0 or place.quote_atoms != 0:
        return RejectCode.INVALID_QUANTITY
    code = i64(check_quantity(symbol, place.qty_lots))
    if code == RejectCode.NONE and known:
        code = i64(check_notional(symbol, price_ticks * place.qty_lots * symbol.quote_atoms_per_tick_lot))
    return code


@inlined
def _has_level(state: State, side_index: int, price_ticks: int) -> bool:
    return find_level(state, side_index, price_key(side_index, price_ticks)) != 0


@part
def has_room_to_wait(state: State, order: Any, stop_price_ticks: int, trailing_bips: int) -> bool:
    """Whether the trigger level at which a stop (an order or a PLACE) begins is there or may still be made."""
    if state.header[0].levels < state.limits[Limit.LEVELS]:
        return True
    first_side = i64(order.symbol) * SIDES
    if stop_price_ticks != 0:
        return _has_level(state, first_side + trigger_side(order.order_type, order.side), stop_price_ticks)
    last_ticks = i64(state.markets[order.symbol].last_ticks)
    if last_ticks == 0 or not 1 <= trailing_bips <= _BIPS_MAX:
        return True  # refused for that
    way = UP if order.side == Side.BUY else DOWN
    return _has_level(state, first_side + way, trail_price(last_ticks, trailing_bips, i64(order.side)))


@part
def _has_room_at_its_level(state: State, place: Any, price_ticks: int) -> bool:
    """Whether the level that the order needs now is there or may still be made."""
    if state.header[0].levels < state.limits[Limit.LEVELS]:
        return True
    if is_stop(place.order_type):
        return has_room_to_wait(state, place, i64(place.stop_price_ticks), i64(place.trailing_bips))
    return price_ticks == 0 or _has_level(state, i64(place.symbol) * SIDES + place.side, price_ticks)


@part
def _check_caps(state: State, place: Any, price_ticks: int, pending: bool, legs_before: int) -> int:
    """What an account and the venue may have open, and LIMIT_MAKER's promise not to take."""
    symbol = state.symbols[place.symbol]
    if may_rest(place.time_in_force) or is_stop(place.order_type) or pending:
        owned = state.owned[i64(place.account) * len(state.symbols) + place.symbol]
        if owned["count"] + legs_before >= symbol.orders_max:
            return RejectCode.TOO_MANY_ORDERS
        if state.header[0].open_orders + legs_before >= state.limits[Limit.OPEN_ORDERS]:
            return RejectCode.VENUE_FULL
        if not pending and not _has_room_at_its_level(state, place, price_ticks):
            return RejectCode.TOO_MANY_LEVELS
    if place.order_type == OrderType.LIMIT_MAKER and price_ticks != 0 and not pending:
        best = best_price(state, (i64(place.symbol) * SIDES + place.side) ^ 1)
        if best != 0 and crosses(place.side, price_ticks, best):
            return RejectCode.WOULD_TAKE
    return RejectCode.NONE


@part
def _check_terms(state: State, place: Any, price_ticks: int, pending: bool) -> int:
    """The trigger, the trailing distance, the parts of an iceberg, the price of a peg."""
    market = state.markets[place.symbol]
    stops = is_stop(place.order_type)
    if stops and place.stop_price_ticks != 0 and not pending:
        way = trigger_side(place.order_type, place.side)
        if condition_holds(state, i64(place.symbol), way, i64(place.stop_price_ticks)):
            return RejectCode.WOULD_TRIGGER
    if place.trailing_bips != 0:
        least = max(i64(1), symbol_rule(state, place.symbol, SymbolRule.TRAILING_MIN_BIPS))
        most = symbol_rule(state, place.symbol, SymbolRule.TRAILING_MAX_BIPS)
        if not least <= place.trailing_bips <= (most if most != 0 else _BIPS_MAX):
            return RejectCode.INVALID_TRAILING
    if place.iceberg_lots != 0:
        symbol = state.symbols[place.symbol]
        most = symbol_rule(state, place.symbol, SymbolRule.ICEBERG_PARTS_MAX)
        if (
            not symbol.qty_min_lots <= place.iceberg_lots <= place.qty_lots
            or place.iceberg_lots % symbol.qty_step_lots != 0
            or parts_of(place.qty_lots, place.iceberg_lots) > (most if most != 0 else ICEBERG_PARTS_MAX)
        ):
            return RejectCode.INVALID_ICEBERG
    if not pending and (
        (place.peg_type != PegType.NONE and not stops and price_ticks == 0)
        or (place.trailing_bips != 0 and place.stop_price_ticks == 0 and market.last_ticks == 0)
    ):
        return RejectCode.NO_REFERENCE_PRICE
    return RejectCode.NONE


@part
def count_orders(state: State, account: int, symbol: int, icebergs: bool) -> int:
    """How many open icebergs, or else stops, an account has on a symbol."""
    count = i64(0)
    slot = i64(state.owned[account * len(state.symbols) + symbol].head)
    while slot != 0:
        order = state.orders[slot]
        if icebergs:
            count += 1 if state.terms[state.details[slot].terms].iceberg_lots != 0 else 0
        else:
            count += 1 if is_stop(order.order_type) else 0
        slot = i64(order.owner_next)
    return count


@part
def _check_counts(state: State, place: Any) -> int:
    """How many stops, trailing stops and icebergs there may be."""
    stops_max = symbol_rule(state, place.symbol, SymbolRule.ALGO_ORDERS_MAX)
    account = i64(place.account)
    symbol = i64(place.symbol)
    if place.trailing_bips != 0 and state.markets[place.symbol].trailing >= TRAILING_ORDERS_MAX:
        return RejectCode.TOO_MANY_ALGO_ORDERS
    if is_stop(place.order_type) and stops_max != 0 and count_orders(state, account, symbol, False) >= stops_max:
        return RejectCode.TOO_MANY_ALGO_ORDERS
    icebergs_max = symbol_rule(state, place.symbol, SymbolRule.ICEBERG_ORDERS_MAX)
    if place.iceberg_lots != 0 and icebergs_max != 0 and count_orders(state, account, symbol, True) >= icebergs_max:
        return RejectCode.TOO_MANY_ICEBERGS
    return RejectCode.NONE


@part
def check_special(state: State, place: Any, price_ticks: int, pending: bool, funded: bool, legs_before: int) -> int:
    """Everything about an order on its own, but what guards, lists and the balance say of it.

    `price_ticks` is the price that a pegged order would get now, 0: none. `pending`: a leg that waits for its list;
    `funded`: which also gives it its quantity; `legs_before`: of its list.
    """
    code = _check_codes(state.header[0].ts_ns, place)
    if code == RejectCode.NONE:
        code = _check_numbers(state.symbols[place.symbol], place, price_ticks, funded)
    if code == RejectCode.NONE:
        code = _check_caps(state, place, price_ticks, pending, legs_before)
    if code == RejectCode.NONE:
        code = _check_terms(state, place, price_ticks, pending)
    if code == RejectCode.NONE:
        code = check_collar(state, place, price_ticks)
    if code == RejectCode.NONE:
        code = _check_counts(state, place)
    return code
