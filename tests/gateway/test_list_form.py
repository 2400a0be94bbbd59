"""A leg of a list is read as the same order alone, under its own names; a list becomes one linked run of commands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exchange.core.codes import CommandFlag, CommandKind, ListRole, ListType
from exchange.core.records import command_dict
from exchange.gateway.errors import Refusal
from exchange.gateway.list_placing import ListPlacement, list_placement
from exchange.gateway.order_forms import LISTS, SINGLE
from exchange.gateway.signing import Call
from tests.gateway.forms import ALICE, KEY, MILLISECOND_NS, face, fields_of, form, place
from tests.gateway.list_forms import FORMS

WORKING = {"workingType": "LIMIT", "workingSide": "BUY", "workingTimeInForce": "GTC"}
WORKING |= {"workingPrice": "50", "workingQuantity": "1"}
ROLES = {
    "oco": (ListRole.ABOVE, ListRole.BELOW),
    "oto": (ListRole.WORKING, ListRole.PENDING),
    "otoco": (ListRole.WORKING, ListRole.ABOVE, ListRole.BELOW),
    "opo": (ListRole.WORKING, ListRole.PENDING),
    "opoco": (ListRole.WORKING, ListRole.ABOVE, ListRole.BELOW),
}
STOP = {"type": "STOP_LOSS_LIMIT", "stopPrice": "90", "price": "89"}
BARE = {"timeInForce": None, "price": None}


def listed(kind: str, params: dict[str, str]) -> ListPlacement:
    """What a form of a list becomes. Raises Refusal."""
    call = Call(face(), KEY, {"symbol": "BTCUSDT", **params}, 0, 0, MILLISECOND_NS)
    return list_placement(call, LISTS[kind], lambda _symbol: 0)


def commands(placement: ListPlacement) -> list[dict[str, Any]]:
    """The fields of the commands."""
    return [command_dict(np.frombuffer(command, np.uint8)) for command in placement.commands]


def of_leg(name: str, leg: str) -> str:
    """What a parameter of a single order is called in a leg."""
    bare = name.removeprefix("new")
    return leg + bare[0].upper() + bare[1:]


@pytest.mark.parametrize("kind", FORMS)
def test_a_list_is_one_linked_run_of_legs_in_their_order(kind: str) -> None:
    head, *legs = commands(listed(kind, {**FORMS[kind], "listClientOrderId": "a-list"}))
    assert (head["kind"], head["list_type"], head["flags"]) == (
        *(CommandKind.PLACE_LIST, ListType[kind.upper()]),
        CommandFlag.LINKED,
    )
    assert (head["account"], head["symbol"], head["client_id"]) == (ALICE, 1, "a-list")
    assert tuple(leg["list_role"] for leg in legs) == ROLES[kind]
    assert [leg["flags"] for leg in legs] == [CommandFlag.LINKED] * (len(legs) - 1) + [0]
    assert {leg["kind"] for leg in legs} == {CommandKind.PLACE}
    assert len({leg["client_id"] for leg in legs}) == len(legs)
    waits_for_quantity = [kind.startswith("opo") and leg["list_role"] != ListRole.WORKING for leg in legs]
    assert [leg["qty_lots"] == 0 for leg in legs] == waits_for_quantity


SAME: list[dict[str, str | None]] = [
    {"newClientOrderId": "named"},
    {"timeInForce": "GTD", "goodTillDate": "4000000000000"},
    {"icebergQty": "0.2"},
    {"price": None, "pegPriceType": "PRIMARY_PEG", "pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": "3"},
    {"type": "LIMIT_MAKER", "timeInForce": None},
    {"type": "MARKET", **BARE},
    {"type": "STOP_LOSS", **BARE, "stopPrice": "90"},
    {"type": "TAKE_PROFIT", **BARE, "trailingDelta": "250"},
    {**STOP, "trailingDelta": "50", "icebergQty": "0.2"},
    {"selfTradePreventionMode": "DECREMENT", "side": "BUY"},
]
WRONG: list[dict[str, str | None]] = [
    {"quantity": None},
    {"quantity": "0.000001"},
    {"quantity": "1.5e1"},
    {"price": None},
    {"price": "0"},
    {"price": "0.000000001"},
    {"timeInForce": None},
    {"goodTillDate": "4000000000000"},
    {"timeInForce": "GTD", "goodTillDate": "0"},
    {"stopPrice": "90"},
    {**STOP, "stopPrice": None},
    {**STOP, "trailingDelta": "10000"},
    {**STOP, "trailingDelta": "x"},
    {"type": "STOP_LOSS", "stopPrice": "90"},
    {"type": "MARKET"},
    {"type": "LIMIT_MAKER"},
    {"icebergQty": "2"},
    {"icebergQty": "0.0005"},
    {"pegPriceType": "PRIMARY_PEG"},
    {"price": None, "pegPriceType": "PRIMARY_PEG", "pegOffsetValue": "1"},
    {"price": None, "pegPriceType": "PRIMARY_PEG", "pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": "101"},
    {"price": None, "pegPriceType": "PRIMARY_PEG", "timeInForce": "IOC"},
    {"pegOffsetType": "PRICE_LEVEL"},
    {"price": "4", "quantity": "1"},
    {"strategyId": "1"},
    {"newClientOrderId": "a b"},
    {"side": None},
    {"type": None},
]


def pending(changes: dict[str, str | None]) -> dict[str, str]:
    """An OTO whose pending leg is what would come alone with these changes; what legs share keeps its name."""
    shared = {"symbol", "selfTradePreventionMode"}
    alone = {name: text for name, text in form(changes).items() if name != "symbol"}
    return WORKING | {name if name in shared else of_leg(name, "pending"): text for name, text in alone.items()}


@pytest.mark.parametrize("changes", SAME)
def test_a_leg_is_the_same_order_as_alone(changes: dict[str, str | None]) -> None:
    alone = fields_of(place(changes))
    placement = listed("oto", pending(changes))
    leg = commands(placement)[-1]
    assert leg["list_role"] == ListRole.PENDING
    if "newClientOrderId" not in changes:
        alone.pop("client_id"), leg.pop("client_id")
    assert leg | {"list_role": 0} == alone
    assert placement.legs[-1].terms == place(changes).terms


@pytest.mark.parametrize("changes", WRONG)
def test_what_is_wrong_with_a_leg_is_what_is_wrong_with_it_alone_under_its_name(
    changes: dict[str, str | None],
) -> None:
    with pytest.raises(Refusal) as alone:
        place(changes)
    with pytest.raises(Refusal) as as_leg:
        listed("oto", pending(changes))
    text = alone.value.msg
    for field in SINGLE.fields:
        text = text.replace(f"'{field.name}'", f"'{of_leg(field.name, 'pending')}'")
    assert (as_leg.value.status, as_leg.value.code, as_leg.value.msg) == (alone.value.status, alone.value.code, text)


def test_every_parameter_of_a_leg_has_a_name_of_its_own() -> None:
    for kind, one in LISTS.items():
        names = [field.name for field in one.fields]
        assert len(names) == len(set(names)), kind
        assert "newClientOrderId" not in names
