"""Order lists from parameters to the run of commands that places them: PLACE_LIST, then a PLACE for each leg.

Owns what a pair of legs must look like: which types stand above and which below, and that above is above. Never
submits. What depends on the market or on the account is the engine's, which places all legs or none.
"""

from __future__ import annotations

from typing import NamedTuple

from exchange.core.codes import CommandFlag, CommandKind, ListRole, ListType, OrderType, RejectCode, Side
from exchange.gateway.catalogue import LIST_RESP_TYPE, NEW_LIST_CLIENT_ORDER_ID, SYMBOL
from exchange.gateway.errors import Refusal, refused
from exchange.gateway.order_forms import STOPS, ListForm, OrderForm
from exchange.gateway.placing import LastPrice, Placement, check_permitted, new_client_id, order
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Rules
from exchange.gateway.wire import place_list

_ABOVE, _BELOW = int(ListRole.ABOVE), int(ListRole.BELOW)
_LIMIT_MAKER = int(OrderType.LIMIT_MAKER)
_NOUNS = {
    _LIMIT_MAKER: "limit",
    int(OrderType.STOP_LOSS): "stop loss",
    int(OrderType.STOP_LOSS_LIMIT): "stop loss",
    int(OrderType.TAKE_PROFIT): "take profit",
    int(OrderType.TAKE_PROFIT_LIMIT): "take profit",
}
_PLACES: dict[tuple[int, str], tuple[int, int]] = {
    (Side.BUY, "limit"): (_BELOW, -1165),
    (Side.SELL, "limit"): (_ABOVE, -1166),
    (Side.BUY, "stop loss"): (_ABOVE, -1196),
    (Side.SELL, "stop loss"): (_BELOW, -1197),
    (Side.BUY, "take profit"): (_BELOW, -1198),
    (Side.SELL, "take profit"): (_ABOVE, -1199),
}
"""Where each leg of a pair must be, and the code of the refusal if it is not."""


class ListPlacement(NamedTuple):
    """A form that passed: the commands, and what the answer needs to know. Legs are in their order."""

    commands: tuple[bytes, ...]
    rules: Rules
    list_type: ListType
    client_id: str
    roles: tuple[ListRole, ...]
    legs: tuple[Placement, ...]


def list_placement(call: Call, form: ListForm, last_price_ticks: LastPrice) -> ListPlacement:
    """The commands that the form of a list asks for. Raises Refusal."""
    params = call.params
    rules = call.face.reference.named(SYMBOL.text(params))
    check_permitted(call, rules)
    named = NEW_LIST_CLIENT_ORDER_ID.read(params) or new_client_id()
    answer = LIST_RESP_TYPE.read(params)
    pair = [(role, leg) for role, leg in form.legs if role in (_ABOVE, _BELOW)]
    _check_types(call, pair)
    legs = []
    for role, leg in form.legs:
        flags = CommandFlag.LINKED if (role, leg) != form.legs[-1] else 0
        legs.append(order(call, rules, leg, last_price_ticks, answer=answer, list_role=role, flags=flags))
    _check_levels(call, pair, legs[-2:])
    head = place_list(call.key.account, rules.symbol, form.list_type, named)
    commands = (head, *(leg.command for leg in legs))
    return ListPlacement(commands, rules, form.list_type, named, tuple(role for role, _ in form.legs), tuple(legs))


def _check_types(call: Call, pair: list[tuple[ListRole, OrderForm]]) -> None:
    """Refuse legs of a pair whose types are not those of their side and place."""
    types = [leg.order_type.read(call.params) for _, leg in pair]
    if types == [_LIMIT_MAKER, _LIMIT_MAKER]:
        raise Refusal(400, -1168, "At least one OCO order must be contingent.")
    for (role, leg), order_type in zip(pair, types, strict=True):
        side = leg.side.read(call.params)
        noun = _NOUNS[order_type]
        place, code = _PLACES[side, noun]
        if role != place:
            where = ListRole(place).name.lower()
            raise Refusal(400, code, f"A {noun} order in a {Side(side).name.lower()} OCO must be {where}.")


def _check_levels(call: Call, pair: list[tuple[ListRole, OrderForm]], legs: list[Placement]) -> None:
    """Refuse a pair whose upper leg is not above the lower one, as far as both prices are known."""
    levels = [
        leg.terms.stop_price_ticks if form.order_type.read(call.params) in STOPS else leg.price_ticks
        for (_, form), leg in zip(pair, legs, strict=False)
    ]
    if levels and all(levels) and levels[0] <= levels[1]:
        raise refused(RejectCode.INVALID_LIST, CommandKind.PLACE_LIST)
