"""Which parameters an order is sent with: a single one, and each leg of an order list.

    SINGLE: price, stopPrice, ...      leg("above"): abovePrice, aboveStopPrice, ...

Owns the forms, and for each the table of what a type takes no part of. A leg has the parameters of a single order under
names that begin with its own, so that one reading of a form (`exchange/gateway/placing.py`) serves both and what is
refused is named as it was sent. Never reads a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, TypeVar

from exchange.core.codes import ListRole, ListType, OrderType
from exchange.gateway import catalogue as known
from exchange.gateway.errors import Refusal
from exchange.gateway.fields import Amount, Choice, ClientId, Field, Integer

STOPS = frozenset(
    map(
        int,
        (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT),
    )
)
F = TypeVar("F", bound=Field)


class OrderForm(NamedTuple):
    """The parameters of one order. `quantity` None: it sells what another leg bought.

    `not_required`: by type, the names that a form of it may not have.
    """

    side: Choice[int]
    order_type: Choice[int]
    time_in_force: Choice[int]
    quantity: Amount | None
    price: Amount
    stop_price: Amount
    trailing_delta: Integer
    iceberg_qty: Amount
    peg_price_type: Choice[int]
    peg_offset_type: Choice[str]
    peg_offset_value: Integer
    client_order_id: ClientId
    good_till_date: Integer
    not_yet: tuple[Field, ...]
    not_required: Mapping[int, frozenset[str]] = {}

    @property
    def fields(self) -> tuple[Field, ...]:
        """All parameters."""
        quantity = () if self.quantity is None else (self.quantity,)
        return (
            *(self.side, self.order_type, self.time_in_force, *quantity, self.price, self.stop_price),
            *(self.trailing_delta, self.iceberg_qty, self.peg_price_type, self.peg_offset_type, self.peg_offset_value),
            *(self.client_order_id, self.good_till_date, *self.not_yet),
        )


def _names(*fields: Field) -> frozenset[str]:
    return frozenset(field.name for field in fields)


def _with_table(form: OrderForm) -> OrderForm:
    """The form with its table."""
    never = _names(*form.not_yet, *([form.iceberg_qty] if form.quantity is None else []))
    of_stops = _names(form.stop_price, form.trailing_delta)
    of_a_price = _names(
        *(form.time_in_force, form.good_till_date, form.price, form.iceberg_qty),
        *(form.peg_price_type, form.peg_offset_type, form.peg_offset_value),
    )
    by_quote = _names(known.QUOTE_ORDER_QTY)
    not_required: dict[int, frozenset[str]] = {
        OrderType.LIMIT: never | by_quote | of_stops,
        OrderType.MARKET: never | of_a_price | of_stops,
        OrderType.LIMIT_MAKER: never | by_quote | of_stops,
        OrderType.STOP_LOSS: never | by_quote | of_a_price,
        OrderType.STOP_LOSS_LIMIT: never | by_quote,
        OrderType.TAKE_PROFIT: never | by_quote | of_a_price,
        OrderType.TAKE_PROFIT_LIMIT: never | by_quote,
    }
    return form._replace(not_required=not_required)


SINGLE = _with_table(
    OrderForm(
        *(known.SIDE, known.TYPE, known.TIME_IN_FORCE, known.QUANTITY, known.PRICE, known.STOP_PRICE),
        *(known.TRAILING_DELTA, known.ICEBERG_QTY, known.PEG_PRICE_TYPE, known.PEG_OFFSET_TYPE),
        *(known.PEG_OFFSET_VALUE, known.NEW_CLIENT_ORDER_ID, known.GOOD_TILL_DATE, known.NOT_YET),
    )
)


# ---- legs -----------------------------------------------------------------------------------------------------------


def _of_leg(prefix: str, field: F) -> F:
    """The parameter of a leg that is one of a single order."""
    bare = field.name.removeprefix("new")
    name = prefix + bare[0].upper() + bare[1:]
    if isinstance(field, Choice):
        code = field.refusal(field.name).code
        return replace(field, name=name, refusal=lambda sent: Refusal(400, code, f"Invalid {sent}."))
    return replace(field, name=name)


def _only(field: Choice[int], *words: str) -> Choice[int]:
    """The same parameter with fewer words."""
    return replace(field, words={word: code for word, code in (field.words or {}).items() if word in words})


def _leg(prefix: str, order_type: Choice[int], side: Choice[int], quantity: Amount | None) -> OrderForm:
    """The form of a leg; what it may share with another leg is given as it is named."""
    return _with_table(
        OrderForm(
            side,
            order_type,
            _of_leg(prefix, known.TIME_IN_FORCE),
            quantity,
            _of_leg(prefix, known.PRICE),
            _of_leg(prefix, known.STOP_PRICE),
            _of_leg(prefix, known.TRAILING_DELTA),
            _of_leg(prefix, known.ICEBERG_QTY),
            _of_leg(prefix, known.PEG_PRICE_TYPE),
            _of_leg(prefix, known.PEG_OFFSET_TYPE),
            _of_leg(prefix, known.PEG_OFFSET_VALUE),
            _of_leg(prefix, known.NEW_CLIENT_ORDER_ID),
            _of_leg(prefix, known.GOOD_TILL_DATE),
            tuple(_of_leg(prefix, field) for field in known.NOT_YET),
        )
    )


Legs = tuple[tuple[ListRole, OrderForm], ...]


def _working(side: Choice[int]) -> Legs:
    order_type = _only(_of_leg("working", known.TYPE), "LIMIT", "LIMIT_MAKER")
    return ((ListRole.WORKING, _leg("working", order_type, side, _of_leg("working", _QUANTITY))),)


def _pending(side: Choice[int], quantity: Amount | None) -> Legs:
    return ((ListRole.PENDING, _leg("pending", _of_leg("pending", known.TYPE), side, quantity)),)


def _pair(above: str, below: str, side: Choice[int], quantity: Amount | None) -> Legs:
    types = {prefix: replace(_of_leg(prefix, _PAIR_TYPE), refusal=_PAIR_TYPE.refusal) for prefix in (above, below)}
    return (
        (ListRole.ABOVE, _leg(above, types[above], side, quantity)),
        (ListRole.BELOW, _leg(below, types[below], side, quantity)),
    )


class ListForm(NamedTuple):
    """The parameters of an order list: those of its legs, in their order, and those that they share."""

    list_type: ListType
    legs: Legs

    @property
    def fields(self) -> tuple[Field, ...]:
        """All parameters, each once."""
        of_legs = (field for _, form in self.legs for field in form.fields)
        return tuple({field.name: field for field in (*known.NEW_LIST, *of_legs)}.values())


_QUANTITY = replace(known.QUANTITY, required=True)
_PAIR_TYPE = replace(
    _only(known.TYPE, "LIMIT_MAKER", *(OrderType(code).name for code in STOPS)),
    refusal=lambda _name: Refusal(400, -1158, "Order type not supported in OCO."),
)
_WORKING_SIDE, _PENDING_SIDE = _of_leg("working", known.SIDE), _of_leg("pending", known.SIDE)
_PENDING_QUANTITY = _of_leg("pending", _QUANTITY)
_BUYING = _working(
    replace(
        _only(_WORKING_SIDE, "BUY"),
        refusal=lambda _name: Refusal(400, -1222, "Working order in an OPO list must be a bid."),
    )
)
_SELLS = replace(
    _only(_PENDING_SIDE, "SELL"),
    refusal=lambda _name: Refusal(400, -1223, "Pending orders in an OPO list must be asks."),
)
_PENDING_PAIR = ("pendingAbove", "pendingBelow")
LISTS = {
    "oco": ListForm(ListType.OCO, _pair("above", "below", known.SIDE, _QUANTITY)),
    "oto": ListForm(ListType.OTO, (*_working(_WORKING_SIDE), *_pending(_PENDING_SIDE, _PENDING_QUANTITY))),
    "otoco": ListForm(
        ListType.OTOCO, (*_working(_WORKING_SIDE), *_pair(*_PENDING_PAIR, _PENDING_SIDE, _PENDING_QUANTITY))
    ),
    "opo": ListForm(ListType.OPO, (*_BUYING, *_pending(_SELLS, None))),
    "opoco": ListForm(ListType.OPOCO, (*_BUYING, *_pair(*_PENDING_PAIR, _SELLS, None))),
}
"""By the last part of the path."""
