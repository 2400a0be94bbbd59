"""Order parameters to a PLACE command: which are needed, which are not, and what they mean in ticks, lots and atoms.

Owns the rules of the order form (section "Account endpoints" of the API contract). Never submits. Whatever can be wrong
with a form is found here, before the ring.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from exchange.core.codes import OrderType, Side, StpMode, TimeInForce
from exchange.gateway.errors import NEW_ORDER_REJECTED, Refusal, mandatory, not_required, not_valid
from exchange.gateway.parameters import Params, client_id, integer
from exchange.gateway.signing import Call
from exchange.gateway.symbols import STP_DEFAULT, STP_MODES, Reference, Rules
from exchange.gateway.wire import place

SIDES = {side.name: int(side) for side in Side}
TYPES = {order_type.name: int(order_type) for order_type in OrderType}
TIMES_IN_FORCE = {time_in_force.name: int(time_in_force) for time_in_force in TimeInForce}
_STP = {name: int(StpMode[name]) for name in STP_MODES}
_UNSUPPORTED_TYPES = {
    "STOP_LOSS": "Stop loss",
    "STOP_LOSS_LIMIT": "Stop loss limit",
    "TAKE_PROFIT": "Take profit",
    "TAKE_PROFIT_LIMIT": "Take profit limit",
}
ACK, RESULT, FULL = "ACK", "RESULT", "FULL"
PARAMETERS = frozenset(
    (
        "symbol",
        "side",
        "type",
        "timeInForce",
        "quantity",
        "quoteOrderQty",
        "price",
        "newClientOrderId",
        "newOrderRespType",
        "selfTradePreventionMode",
        "goodTillDate",
        "icebergQty",
    )
)
_LIMIT, _MARKET, _LIMIT_MAKER = int(OrderType.LIMIT), int(OrderType.MARKET), int(OrderType.LIMIT_MAKER)
_GTC, _IOC, _GTD = int(TimeInForce.GTC), int(TimeInForce.IOC), int(TimeInForce.GTD)


class Placement(NamedTuple):
    """A form that passed: the command, and what the answer needs to know."""

    command: bytes
    rules: Rules
    client_id: str
    answer: str


def new_client_id() -> str:
    """24 characters of 144 random bits: nobody can guess another client's next id."""
    return secrets.token_urlsafe(18)


def _order_type(params: Params) -> int:
    name = params.get("type")
    if name is None:
        raise mandatory("type")
    order_type = TYPES.get(name)
    if order_type is None:
        if name in _UNSUPPORTED_TYPES:
            raise Refusal(
                400, NEW_ORDER_REJECTED, f"{_UNSUPPORTED_TYPES[name]} orders are not supported for this symbol."
            )
        raise Refusal(400, -1116, "Invalid orderType.")
    return order_type


def _time_in_force(params: Params, order_type: int) -> int:
    name = params.get("timeInForce")
    if order_type == _MARKET:
        if name is not None:
            raise not_required("timeInForce")
        return _IOC
    if name is None:
        if order_type == _LIMIT:
            raise mandatory("timeInForce")
        return _GTC
    time_in_force = TIMES_IN_FORCE.get(name)
    if time_in_force is None:
        raise Refusal(400, -1115, "Invalid timeInForce.")
    if order_type == _LIMIT_MAKER and time_in_force != _GTD:
        raise not_required("timeInForce")
    return time_in_force


def _expire_ts_ns(params: Params, time_in_force: int, unit_ns: int) -> int:
    """The GTD time; `goodTillDate` is in the unit that the client wants times in."""
    if time_in_force != _GTD:
        if "goodTillDate" in params:
            raise not_required("goodTillDate")
        return 0
    if "goodTillDate" not in params:
        raise mandatory("goodTillDate")
    return integer(params, "goodTillDate", low=1, high=((1 << 63) - 1) // unit_ns) * unit_ns


def _market_amounts(params: Params, rules: Rules) -> tuple[int, int]:
    """(qty_lots, quote_atoms) of a MARKET order: one of the two is zero."""
    if "price" in params:
        raise not_required("price")
    quantity, quote = params.get("quantity"), params.get("quoteOrderQty")
    if quantity is not None:
        if quote is not None:
            raise not_required("quoteOrderQty")
        return rules.qty_lots(quantity), 0
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


def placement(call: Call, reference: Reference) -> Placement:
    """The PLACE command that a form asks for. Raises Refusal."""
    params = call.params
    if "symbol" not in params:
        raise mandatory("symbol")
    rules = reference.named(params["symbol"])
    side = SIDES.get(params.get("side", ""))
    if side is None:
        raise Refusal(400, -1117, "Invalid side.") if "side" in params else mandatory("side")
    order_type = _order_type(params)
    time_in_force = _time_in_force(params, order_type)
    if "icebergQty" in params:
        raise Refusal(400, NEW_ORDER_REJECTED, "Iceberg orders are not supported for this symbol.")
    ticks = quote_atoms = 0
    if order_type == _MARKET:
        lots, quote_atoms = _market_amounts(params, rules)
    else:
        ticks, lots = _limit_amounts(params, rules)
    stp_mode = _STP.get(params.get("selfTradePreventionMode", STP_DEFAULT))
    if stp_mode is None:
        raise not_valid("selfTradePreventionMode")
    expire_ts_ns = _expire_ts_ns(params, time_in_force, call.unit_ns)
    answer = params.get("newOrderRespType") or (ACK if order_type == _LIMIT_MAKER else FULL)
    if answer not in (ACK, RESULT, FULL):
        raise not_valid("newOrderRespType")
    named = client_id(params, "newClientOrderId") or new_client_id()
    command = place(
        call.key.account, rules.symbol, side, order_type, time_in_force, ticks, lots, named,
        quote_atoms=quote_atoms, expire_ts_ns=expire_ts_ns, stp_mode=stp_mode,
    )  # fmt: skip
    return Placement(command, rules, named, answer)
