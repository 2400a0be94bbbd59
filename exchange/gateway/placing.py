"""Order parameters to a PLACE command: which are needed, which are not, and what they mean in ticks, lots and atoms.

Owns the rules of the order form (section "Account endpoints" of the API contract). Never submits. Whatever can be wrong
with a form is found here, before the ring.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import NamedTuple

from exchange.core.codes import OrderType, TimeInForce
from exchange.gateway.catalogue import (
    ACK,
    FULL,
    GOOD_TILL_DATE,
    ICEBERG_QTY,
    NEW_CLIENT_ORDER_ID,
    NEW_ORDER_RESP_TYPE,
    NOT_YET,
    SIDE,
    STP_MODE,
    SYMBOL,
    TIME_IN_FORCE,
    TYPE,
)
from exchange.gateway.errors import NEW_ORDER_REJECTED, Refusal, mandatory, not_required
from exchange.gateway.parameters import Params, unit_of
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Rules
from exchange.gateway.wire import place

_UNSUPPORTED_TYPES = {
    "STOP_LOSS": "Stop loss",
    "STOP_LOSS_LIMIT": "Stop loss limit",
    "TAKE_PROFIT": "Take profit",
    "TAKE_PROFIT_LIMIT": "Take profit limit",
}
_NOT_YET = frozenset(field.name for field in NOT_YET)
_LIMIT, _MARKET, _LIMIT_MAKER = int(OrderType.LIMIT), int(OrderType.MARKET), int(OrderType.LIMIT_MAKER)
_GTC, _IOC, _GTD = int(TimeInForce.GTC), int(TimeInForce.IOC), int(TimeInForce.GTD)


LastPrice = Callable[[int], int]
"""The price in ticks of the last trade of a symbol, 0 for none."""


class Placement(NamedTuple):
    """A form that passed: the command, and what the answer needs to know."""

    command: bytes
    rules: Rules
    client_id: str
    answer: str
    answers_repeats: bool


def new_client_id() -> str:
    """24 characters of 144 random bits: nobody can guess another client's next id."""
    return secrets.token_urlsafe(18)


def _order_type(params: Params) -> int:
    name = params.get("type", "")
    if name in _UNSUPPORTED_TYPES:
        raise Refusal(400, NEW_ORDER_REJECTED, f"{_UNSUPPORTED_TYPES[name]} orders are not supported for this symbol.")
    return TYPE.read(params)


def _time_in_force(params: Params, order_type: int) -> int:
    is_sent = "timeInForce" in params
    if order_type == _MARKET:
        if is_sent:
            raise not_required("timeInForce")
        return _IOC
    if order_type == _LIMIT_MAKER and not is_sent:
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


def _market_amounts(params: Params, rules: Rules, last_price_ticks: LastPrice) -> tuple[int, int]:
    """(qty_lots, quote_atoms) of a MARKET order: one of the two is zero.

    The engine can not tell what a quantity will cost, so its notional is checked here, at the last price.
    """
    if "price" in params:
        raise not_required("price")
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


def _limit_amounts(params: Params, rules: Rules) -> tuple[int, int]:
    """(price_ticks, qty_lots) of an order with a limit price; the notional is checked too."""
    quantity, price = params.get("quantity"), params.get("price")
    if quantity is None:
        raise mandatory("quantity")
    if price is None:
        raise mandatory("price")
    if "quoteOrderQty" in params:
        raise not_required("quoteOrderQty")
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
    order_type = _order_type(params)
    time_in_force = _time_in_force(params, order_type)
    if not _NOT_YET.isdisjoint(params):
        raise not_required(next(name for name in params if name in _NOT_YET))
    if ICEBERG_QTY.name in params:
        raise Refusal(400, NEW_ORDER_REJECTED, "Iceberg orders are not supported for this symbol.")
    stp_mode = STP_MODE.read(params)
    expire_ts_ns = _expire_ts_ns(params, time_in_force)
    answer = ACK if order_type == _LIMIT_MAKER else FULL
    if "newOrderRespType" in params:
        answer = NEW_ORDER_RESP_TYPE.read(params)
    named = NEW_CLIENT_ORDER_ID.read(params) or new_client_id()
    ticks = quote_atoms = 0
    if order_type == _MARKET:
        lots, quote_atoms = _market_amounts(params, rules, last_price_ticks)
    else:
        ticks, lots = _limit_amounts(params, rules)
    command = place(
        call.key.account, rules.symbol, side, order_type, time_in_force, ticks, lots, named,
        quote_atoms=quote_atoms, expire_ts_ns=expire_ts_ns, stp_mode=stp_mode,
    )  # fmt: skip
    return Placement(command, rules, named, answer, call.face.answers_repeats)
