"""Order parameters to a PLACE command: which are needed, which are not, and what they mean in ticks, lots and atoms.

Owns the rules of the order form (section "Account endpoints" of the API contract): one table says what each type takes
no part of, the functions below it what it needs. Never submits. Whatever can be wrong with a form in itself is found
here, before the ring; what depends on the market or on the account is the engine's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import NamedTuple

from exchange.core.codes import CommandKind, OrderType, PegType, RejectCode, TimeInForce
from exchange.gateway.catalogue import (
    ACK,
    FULL,
    GOOD_TILL_DATE,
    ICEBERG_QTY,
    NEW_CLIENT_ORDER_ID,
    NEW_ORDER_RESP_TYPE,
    NOT_YET,
    PEG_OFFSET_TYPE,
    PEG_OFFSET_VALUE,
    PEG_PRICE_TYPE,
    PRICE,
    QUOTE_ORDER_QTY,
    SIDE,
    STOP_PRICE,
    STP_MODE,
    SYMBOL,
    TIME_IN_FORCE,
    TRAILING_DELTA,
    TYPE,
)
from exchange.gateway.errors import (
    NEW_ORDER_REJECTED,
    Refusal,
    filter_failure,
    mandatory,
    not_required,
    one_of,
    refused,
)
from exchange.gateway.fields import Field
from exchange.gateway.parameters import Params, unit_of
from exchange.gateway.signing import Call
from exchange.gateway.symbols import ICEBERG_PARTS_MAX, TRAILING_BIPS_MAX, Rules
from exchange.gateway.wire import place

_LIMIT, _MARKET, _LIMIT_MAKER = int(OrderType.LIMIT), int(OrderType.MARKET), int(OrderType.LIMIT_MAKER)
STOPS = frozenset(
    map(
        int,
        (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT),
    )
)
_WITHOUT_PRICE = frozenset(map(int, (OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)))
_GTC, _IOC, _GTD = int(TimeInForce.GTC), int(TimeInForce.IOC), int(TimeInForce.GTD)
_RESTING = (_GTC, _GTD)
_PRIMARY_PEG, _MARKET_PEG = int(PegType.PRIMARY_PEG), int(PegType.MARKET_PEG)


def _names(*fields: Field) -> frozenset[str]:
    return frozenset(field.name for field in (*fields, *NOT_YET))


_OF_STOPS = (STOP_PRICE, TRAILING_DELTA)
_OF_A_PRICE = (TIME_IN_FORCE, GOOD_TILL_DATE, PRICE, ICEBERG_QTY, PEG_PRICE_TYPE, PEG_OFFSET_TYPE, PEG_OFFSET_VALUE)
_NOT_REQUIRED: dict[int, frozenset[str]] = {
    OrderType.LIMIT: _names(QUOTE_ORDER_QTY, *_OF_STOPS),
    OrderType.MARKET: _names(*_OF_A_PRICE, *_OF_STOPS),
    OrderType.LIMIT_MAKER: _names(QUOTE_ORDER_QTY, *_OF_STOPS),
    OrderType.STOP_LOSS: _names(QUOTE_ORDER_QTY, *_OF_A_PRICE),
    OrderType.STOP_LOSS_LIMIT: _names(QUOTE_ORDER_QTY),
    OrderType.TAKE_PROFIT: _names(QUOTE_ORDER_QTY, *_OF_A_PRICE),
    OrderType.TAKE_PROFIT_LIMIT: _names(QUOTE_ORDER_QTY),
}
"""What a form of the type may not name."""

LastPrice = Callable[[int], int]
"""The price in ticks of the last trade of a symbol, 0 for none."""


class Terms(NamedTuple):
    """What a special order has beyond a plain one. Views of orders have fields of the same names."""

    stop_price_ticks: int = 0
    iceberg_lots: int = 0
    trailing_bips: int = 0
    peg_type: int = 0
    peg_offset_levels: int = 0


class Placement(NamedTuple):
    """A form that passed: the command, and what the answer needs to know."""

    command: bytes
    rules: Rules
    client_id: str
    answer: str
    answers_repeats: bool
    terms: Terms


def new_client_id() -> str:
    """24 characters of 144 random bits: nobody can guess another client's next id."""
    return secrets.token_urlsafe(18)


def _combination() -> Refusal:
    return refused(RejectCode.UNSUPPORTED_FIELD, CommandKind.PLACE)


def _time_in_force(params: Params, order_type: int) -> int:
    if order_type in _WITHOUT_PRICE:
        return _IOC
    if order_type == _LIMIT_MAKER and "timeInForce" not in params:
        return _GTC
    time_in_force = TIME_IN_FORCE.read(params)
    if order_type == _LIMIT_MAKER and time_in_force != _GTD:
        raise not_required("timeInForce")
    return time_in_force


def _expire_ts_ns(params: Params, time_in_force: int) -> int:
    """When a GTD order ends, 0 for another."""
    if time_in_force != _GTD:
        if "goodTillDate" in params:
            raise not_required("goodTillDate")
        return 0
    moment = GOOD_TILL_DATE.read(params)
    return moment * unit_of(moment)


def _peg(params: Params, order_type: int, time_in_force: int) -> tuple[int, int]:
    """(peg_type, peg_offset_levels), zeros of an order that names its price."""
    offsets = [field.name for field in (PEG_OFFSET_TYPE, PEG_OFFSET_VALUE) if field.name in params]
    if PEG_PRICE_TYPE.name not in params:
        if offsets:
            raise not_required(offsets[0])
        return 0, 0
    peg_type, levels = PEG_PRICE_TYPE.read(params), 0
    if offsets:
        PEG_OFFSET_TYPE.read(params)
        levels = PEG_OFFSET_VALUE.read(params)
    if PRICE.name in params:
        raise not_required(PRICE.name)
    if peg_type == _PRIMARY_PEG and time_in_force not in _RESTING:
        raise _combination()
    if peg_type == _MARKET_PEG and order_type == _LIMIT_MAKER:
        raise _combination()
    return peg_type, levels


def _trigger(params: Params, rules: Rules) -> tuple[int, int]:
    """(stop_price_ticks, trailing_bips) of a stop: at least one of the two is not zero."""
    stop_price, trailing = params.get("stopPrice"), params.get("trailingDelta")
    if stop_price is None and trailing is None:
        raise one_of(STOP_PRICE.name, TRAILING_DELTA.name)
    bips = TRAILING_DELTA.read(params)
    if trailing is not None and not 1 <= bips <= TRAILING_BIPS_MAX:
        raise filter_failure("TRAILING_DELTA")
    return (0 if stop_price is None else rules.price_ticks(stop_price, STOP_PRICE.name)), bips


def _iceberg_lots(params: Params, rules: Rules, time_in_force: int, lots: int) -> int:
    """How much shows at a time, 0: all of it."""
    text = params.get("icebergQty")
    if text is None:
        return 0
    if time_in_force not in _RESTING:
        raise _combination()
    shown = rules.qty_lots(text, ICEBERG_QTY.name)
    if shown > lots:
        raise Refusal(400, NEW_ORDER_REJECTED, "IcebergQty exceeds QTY.")
    if -(-lots // shown) > ICEBERG_PARTS_MAX:
        raise filter_failure("ICEBERG_PARTS")
    return shown


def _market_amounts(params: Params, rules: Rules, last_price_ticks: LastPrice) -> tuple[int, int]:
    """(qty_lots, quote_atoms) of a MARKET order: one of the two is zero.

    The engine can not tell what a quantity will cost, so its notional is checked here, at the last price.
    """
    quantity, quote = params.get("quantity"), params.get("quoteOrderQty")
    if quantity is not None:
        if quote is not None:
            raise not_required("quoteOrderQty")
        lots = rules.qty_lots(quantity)
        if ticks := last_price_ticks(rules.symbol):
            rules.check_notional(ticks * lots * rules.view.quote_atoms_per_tick_lot)
        return lots, 0
    if quote is None:
        raise mandatory("quantity")
    return 0, rules.quote_atoms(quote)


def _amounts(params: Params, rules: Rules, *, is_priced: bool) -> tuple[int, int]:
    """(price_ticks, qty_lots) of what is no MARKET order; with a price that is known the notional is checked too."""
    quantity, price = params.get("quantity"), params.get("price")
    if quantity is None:
        raise mandatory("quantity")
    if not is_priced:
        return 0, rules.qty_lots(quantity)
    if price is None:
        raise mandatory("price")
    ticks, lots = rules.price_ticks(price), rules.qty_lots(quantity)
    rules.check_notional(ticks * lots * rules.view.quote_atoms_per_tick_lot)
    return ticks, lots


def check_permitted(call: Call, rules: Rules) -> None:
    """Refuse a new order on a symbol that is not among those of the key."""
    if not call.key.may_trade(rules.view.name):
        raise Refusal(400, NEW_ORDER_REJECTED, "This symbol is not permitted for this account.")


def placement(call: Call, last_price_ticks: LastPrice) -> Placement:
    """The PLACE command that a form asks for: well-formed first, then within the filters. Raises Refusal."""
    params = call.params
    rules = call.face.reference.named(SYMBOL.text(params))
    check_permitted(call, rules)
    side = SIDE.read(params)
    order_type = TYPE.read(params)
    not_taken = _NOT_REQUIRED[order_type]
    if not not_taken.isdisjoint(params):
        raise not_required(next(name for name in params if name in not_taken))
    time_in_force = _time_in_force(params, order_type)
    stp_mode = STP_MODE.read(params)
    expire_ts_ns = _expire_ts_ns(params, time_in_force)
    peg_type, peg_levels = _peg(params, order_type, time_in_force)
    answer = FULL if order_type in (_LIMIT, _MARKET) else ACK
    if "newOrderRespType" in params:
        answer = NEW_ORDER_RESP_TYPE.read(params)
    named = NEW_CLIENT_ORDER_ID.read(params) or new_client_id()
    ticks = quote_atoms = 0
    if order_type == _MARKET:
        lots, quote_atoms = _market_amounts(params, rules, last_price_ticks)
    else:
        is_priced = order_type not in _WITHOUT_PRICE and not peg_type
        ticks, lots = _amounts(params, rules, is_priced=is_priced)
    stop_ticks, bips = _trigger(params, rules) if order_type in STOPS else (0, 0)
    terms = Terms(stop_ticks, _iceberg_lots(params, rules, time_in_force, lots), bips, peg_type, peg_levels)
    command = place(
        call.key.account, rules.symbol, side, order_type, time_in_force, ticks, lots, named,
        quote_atoms=quote_atoms, expire_ts_ns=expire_ts_ns, stp_mode=stp_mode, key=call.key.number,
        stop_price_ticks=stop_ticks, iceberg_lots=terms.iceberg_lots, trailing_bips=bips, peg_type=peg_type,
        peg_offset_levels=peg_levels,
    )  # fmt: skip
    return Placement(command, rules, named, answer, call.face.answers_repeats, terms)
