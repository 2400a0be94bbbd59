"""Order parameters to a PLACE command: which are needed, which are not, and what they mean in ticks, lots and atoms.

Owns the rules of the order form (section "Account endpoints" of the API contract): the form says what each type takes
no part of, the functions here what it needs. Never submits. Whatever can be wrong with a form in itself is found
here, before the ring; what depends on the market or on the account is the engine's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import NamedTuple

from exchange.core.codes import CommandKind, OrderType, PegType, RejectCode, TimeInForce
from exchange.gateway.catalogue import ACK, FULL, NEW_ORDER_RESP_TYPE, QUOTE_ORDER_QTY, STP_MODE, SYMBOL
from exchange.gateway.errors import (
    NEW_ORDER_REJECTED,
    Refusal,
    filter_failure,
    iceberg_must_rest,
    mandatory,
    not_required,
    one_of,
    refused,
)
from exchange.gateway.order_forms import SINGLE, STOPS, OrderForm
from exchange.gateway.parameters import Params, unit_of
from exchange.gateway.signing import Call
from exchange.gateway.symbols import ICEBERG_PARTS_MAX, TRAILING_BIPS_MAX, Rules
from exchange.gateway.wire import place

_LIMIT, _MARKET, _LIMIT_MAKER = int(OrderType.LIMIT), int(OrderType.MARKET), int(OrderType.LIMIT_MAKER)
_WITHOUT_PRICE = frozenset(map(int, (OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)))
_GTC, _IOC, _GTD = int(TimeInForce.GTC), int(TimeInForce.IOC), int(TimeInForce.GTD)
_RESTING = (_GTC, _GTD)
_PRIMARY_PEG, _MARKET_PEG = int(PegType.PRIMARY_PEG), int(PegType.MARKET_PEG)

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
    """A form that passed: the command, and what the answer needs to know. `price_ticks` is zero where none is sent."""

    command: bytes
    price_ticks: int
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


def _time_in_force(form: OrderForm, params: Params, order_type: int) -> int:
    field = form.time_in_force
    if order_type in _WITHOUT_PRICE:
        return _IOC
    if order_type == _LIMIT_MAKER and field.name not in params:
        return _GTC
    time_in_force = field.read(params)
    if order_type == _LIMIT_MAKER and time_in_force != _GTD:
        raise not_required(field.name)
    return time_in_force


def _expire_ts_ns(form: OrderForm, params: Params, time_in_force: int) -> int:
    """When a GTD order ends, 0 for another."""
    field = form.good_till_date
    if time_in_force != _GTD:
        if field.name in params:
            raise not_required(field.name)
        return 0
    moment = field.read(params)
    return moment * unit_of(moment)


def _peg(form: OrderForm, params: Params, order_type: int, time_in_force: int) -> tuple[int, int]:
    """(peg_type, peg_offset_levels), zeros of an order that names its price."""
    offsets = [field.name for field in (form.peg_offset_type, form.peg_offset_value) if field.name in params]
    if form.peg_price_type.name not in params:
        if offsets:
            raise not_required(offsets[0])
        return 0, 0
    peg_type, levels = form.peg_price_type.read(params), 0
    if offsets:
        form.peg_offset_type.read(params)
        levels = form.peg_offset_value.read(params)
    if form.price.name in params:
        raise not_required(form.price.name)
    if peg_type == _PRIMARY_PEG and time_in_force not in _RESTING:
        raise _combination()
    if peg_type == _MARKET_PEG and order_type == _LIMIT_MAKER:
        raise _combination()
    return peg_type, levels


def _trigger(form: OrderForm, params: Params, rules: Rules) -> tuple[int, int]:
    """(stop_price_ticks, trailing_bips) of a stop: at least one of the two is not zero."""
    stop_price, trailing = params.get(form.stop_price.name), params.get(form.trailing_delta.name)
    if stop_price is None and trailing is None:
        raise one_of(form.stop_price.name, form.trailing_delta.name)
    bips = form.trailing_delta.read(params)
    if trailing is not None and not 1 <= bips <= TRAILING_BIPS_MAX:
        raise filter_failure("TRAILING_DELTA")
    return (0 if stop_price is None else rules.price_ticks(stop_price, form.stop_price.name)), bips


def _iceberg_lots(form: OrderForm, params: Params, rules: Rules, time_in_force: int, lots: int) -> int:
    """How much shows at a time, 0: all of it."""
    field = form.iceberg_qty
    text = params.get(field.name)
    if text is None:
        return 0
    if time_in_force not in _RESTING:
        raise _combination() if form is SINGLE else iceberg_must_rest(field.name, form.time_in_force.name)
    shown = rules.qty_lots(text, field.name)
    if shown > lots:
        raise Refusal(400, NEW_ORDER_REJECTED, "IcebergQty exceeds QTY.")
    if -(-lots // shown) > ICEBERG_PARTS_MAX:
        raise filter_failure("ICEBERG_PARTS")
    return shown


def _lots(form: OrderForm, params: Params, rules: Rules) -> int:
    """The quantity; zero of an order that sells what another one will have bought."""
    field = form.quantity
    if field is None:
        return 0
    text = params.get(field.name)
    if text is None:
        raise mandatory(field.name)
    return rules.qty_lots(text, field.name)


def _market_amounts(form: OrderForm, params: Params, rules: Rules, last_price_ticks: LastPrice) -> tuple[int, int]:
    """(qty_lots, quote_atoms) of a MARKET order: one of the two is zero.

    The engine can not tell what a quantity will cost, so its notional is checked here, at the last price.
    """
    quote = params.get(QUOTE_ORDER_QTY.name)
    if quote is not None:
        if form.quantity is not None and form.quantity.name in params:
            raise not_required(QUOTE_ORDER_QTY.name)
        return 0, rules.quote_atoms(quote)
    lots = _lots(form, params, rules)
    ticks = last_price_ticks(rules.symbol)
    if ticks and lots:
        rules.check_notional(ticks * lots * rules.view.quote_atoms_per_tick_lot)
    return lots, 0


def _amounts(form: OrderForm, params: Params, rules: Rules, *, is_priced: bool) -> tuple[int, int]:
    """(price_ticks, qty_lots) of what is no MARKET order; the notional is checked too, as far as it is known."""
    if form.quantity is not None and form.quantity.name not in params:
        raise mandatory(form.quantity.name)
    if not is_priced:
        return 0, _lots(form, params, rules)
    price = params.get(form.price.name)
    if price is None:
        raise mandatory(form.price.name)
    ticks, lots = rules.price_ticks(price, form.price.name), _lots(form, params, rules)
    if lots:
        rules.check_notional(ticks * lots * rules.view.quote_atoms_per_tick_lot)
    return ticks, lots


def check_permitted(call: Call, rules: Rules) -> None:
    """Refuse a new order on a symbol that is not among those of the key."""
    if not call.key.may_trade(rules.view.name):
        raise Refusal(400, NEW_ORDER_REJECTED, "This symbol is not permitted for this account.")


def placement(call: Call, last_price_ticks: LastPrice) -> Placement:
    """The PLACE command that the form of a single order asks for. Raises Refusal."""
    rules = call.face.reference.named(SYMBOL.text(call.params))
    check_permitted(call, rules)
    return order(call, rules, SINGLE, last_price_ticks)


def order(
    call: Call,
    rules: Rules,
    form: OrderForm,
    last_price_ticks: LastPrice,
    *,
    answer: str = "",
    list_role: int = 0,
    flags: int = 0,
) -> Placement:
    """The PLACE command that a form asks for: well-formed first, then within the filters. Raises Refusal.

    `answer`: how much is answered, whatever the form says.
    """
    params = call.params
    side = form.side.read(params)
    order_type = form.order_type.read(params)
    not_taken = form.not_required[order_type]
    if not not_taken.isdisjoint(params):
        raise not_required(next(name for name in params if name in not_taken))
    time_in_force = _time_in_force(form, params, order_type)
    stp_mode = STP_MODE.read(params)
    expire_ts_ns = _expire_ts_ns(form, params, time_in_force)
    peg_type, peg_levels = _peg(form, params, order_type, time_in_force)
    if not answer:
        answer = FULL if order_type in (_LIMIT, _MARKET) else ACK
        if "newOrderRespType" in params:
            answer = NEW_ORDER_RESP_TYPE.read(params)
    named = form.client_order_id.read(params) or new_client_id()
    ticks = quote_atoms = 0
    if order_type == _MARKET:
        lots, quote_atoms = _market_amounts(form, params, rules, last_price_ticks)
    else:
        is_priced = order_type not in _WITHOUT_PRICE and not peg_type
        ticks, lots = _amounts(form, params, rules, is_priced=is_priced)
    stop_ticks, bips = _trigger(form, params, rules) if order_type in STOPS else (0, 0)
    terms = Terms(stop_ticks, _iceberg_lots(form, params, rules, time_in_force, lots), bips, peg_type, peg_levels)
    command = place(
        call.key.account, rules.symbol, side, order_type, time_in_force, ticks, lots, named,
        quote_atoms=quote_atoms, expire_ts_ns=expire_ts_ns, stp_mode=stp_mode, key=call.key.number,
        stop_price_ticks=stop_ticks, iceberg_lots=terms.iceberg_lots, trailing_bips=bips, peg_type=peg_type,
        peg_offset_levels=peg_levels, list_role=list_role, flags=flags,
    )  # fmt: skip
    return Placement(command, ticks, rules, named, answer, call.face.answers_repeats, terms)
