"""Order lists, told by the events they give; every state in between is checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from exchange.core.codes import (
    CommandFlag,
    CommandKind,
    EventKind,
    ListRole,
    ListType,
    OrderType,
    RejectCode,
    Side,
    TimeInForce,
)
from exchange.core.event_records import event_dict
from exchange.core.invariants import check_all
from exchange.core.kernel import Engine
from exchange.core.list_readers import each_list, first_open_leg, list_rows
from exchange.core.readers import find_order
from exchange.core.records import slots
from exchange.core.state import TINY, new_state
from tests.core.differential import Dicts
from tests.core.plans import command
from tests.scenarios.words import RULES

MAKER, TRADER = 17, 16
WORKING, PENDING, ABOVE, BELOW = ListRole.WORKING, ListRole.PENDING, ListRole.ABOVE, ListRole.BELOW
LIMIT, LIMIT_MAKER, MARKET = OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.MARKET
STOP_LOSS, TAKE_PROFIT = OrderType.STOP_LOSS, OrderType.TAKE_PROFIT


def sells_above(price: int, lots: int) -> dict[str, Any]:
    """A leg that rests above the market."""
    return {"side": Side.SELL, "order_type": LIMIT_MAKER, "price": price, "lots": lots, "list_role": ABOVE}


def stops_below(stop_price: int, lots: int, role: ListRole = BELOW) -> dict[str, Any]:
    """A leg that sells at market when the price falls so low."""
    fields = {"order_type": STOP_LOSS, "time_in_force": TimeInForce.IOC, "stop_price_ticks": stop_price}
    return {"side": Side.SELL, "lots": lots, "list_role": role, **fields}


class Venue:
    """A symbol with two accounts, in a state whose pools must grow at once."""

    def __init__(self) -> None:
        self.engine = Engine(new_state(TINY))
        self.sequence = 0
        for asset in (1, 2):
            self.send(CommandKind.ADD_ASSET, asset=asset, scale=4)
        rules = RULES | {"taker_fee_ppm": 10_000}
        self.send(CommandKind.ADD_SYMBOL, symbol=1, base_asset=1, quote_asset=2, price_scale=1, qty_scale=2, **rules)
        for account in (MAKER, TRADER):
            self.send(CommandKind.OPEN_ACCOUNT, account=account, maker_fee_ppm=-1, taker_fee_ppm=-1)
            for asset in (1, 2):
                transfer = {"transfer_id": account * 10 + asset, "amount_atoms": 1_000_000}
                self.send(CommandKind.DEPOSIT, account=account, asset=asset, **transfer)

    def send(self, kind: CommandKind, client_id: str = "", /, **fields: Any) -> Dicts:
        self.sequence += 1
        batch = slots(1)
        batch[0] = command(kind, client_id, sequence=self.sequence, ts_ns=self.sequence, **fields)
        events = [event_dict(event) for event in self.engine.run(batch)]
        check_all(self.engine.state)
        return events

    def place(self, side: Side, price: int, lots: int, account: int = MAKER, **fields: Any) -> Dicts:
        fields = {"order_type": LIMIT, "time_in_force": TimeInForce.GTC} | fields
        return self.send(
            CommandKind.PLACE, account=account, symbol=1, side=side, price_ticks=price, qty_lots=lots, **fields
        )

    def list(self, list_type: ListType, *legs: dict[str, Any], client_id: str = "") -> Dicts:
        """PLACE_LIST and its legs; the events of the last one."""
        begun = {"list_type": list_type, "account": TRADER, "symbol": 1, "flags": CommandFlag.LINKED}
        events = self.send(CommandKind.PLACE_LIST, client_id, **begun)
        for leg in legs:
            flags = 0 if leg is legs[-1] else CommandFlag.LINKED
            events = self.place(**{"account": TRADER, "flags": flags, "price": 0} | leg)
        return events

    def cancel(self, order_id: int) -> Dicts:
        return self.send(CommandKind.CANCEL, account=TRADER, order_id=order_id)


def told(events: Dicts) -> list[str]:
    """Events in short: what happened, to whom, and the numbers that matter."""
    return [" ".join(_words(event)) for event in events]


def _words(event: dict[str, Any]) -> Iterator[str]:
    kind = EventKind(event["kind"])
    yield kind.name
    if kind is EventKind.REJECTED:
        yield RejectCode(event["reject"]).name
    elif kind is EventKind.TRADE:
        yield f"{event['taker_order_id']} {event['maker_order_id']} {event['qty_lots']}@{event['price_ticks']}"
    elif kind is EventKind.LIST_CHANGED:
        yield f"{event['list_status']} {event['order_id_0']} {event['order_id_1']} {event['order_id_2']}"
    elif "hold_delta_atoms" in event:
        yield f"{event['order_id']} {event['qty_lots']} hold {event['hold_delta_atoms']} status {event['status']}"


def test_oco_trade_of_one_leg_closes_the_other() -> None:
    venue = Venue()
    events = venue.list(
        ListType.OCO,
        sells_above(110, 5),
        stops_below(90, 5),
        client_id="both",
    )
    assert told(events) == [
        "LIST_CHANGED 1 1 2 0",
        "ORDER_ACCEPTED 1 5 hold 500 status 1",
        "ORDER_TERMS",
        "ORDER_ACCEPTED 2 5 hold 0 status 1",
        "ORDER_TERMS",
        "ORDER_SHOWN 1 5 hold 0 status 1",
    ]
    (view,) = each_list(list_rows(venue.engine.state, TRADER, client_id="both"))
    assert list(view.order_ids) == [1, 2]
    assert told(venue.place(Side.BUY, 110, 2)) == [
        "ORDER_ACCEPTED 3 2 hold 2200 status 1",
        "TRADE 3 1 2@110",
        "ORDER_CLOSED 2 5 hold 0 status 5",
    ]
    assert first_open_leg(venue.engine.state, TRADER, view.list_id, "") == (view, 1)
    assert told(venue.place(Side.BUY, 110, 3))[1:] == ["TRADE 4 1 3@110", "LIST_CHANGED 2 1 2 0"]
    assert not len(list_rows(venue.engine.state, TRADER))


def test_oco_triggered_stop_closes_the_other_before_it_enters() -> None:
    venue = Venue()
    venue.place(Side.BUY, 80, 9)
    venue.list(
        ListType.OCO,
        sells_above(110, 5),
        stops_below(90, 5),
    )
    assert told(venue.place(Side.SELL, 80, 1))[1:] == [
        "TRADE 4 1 1@80",
        "ORDER_SHOWN 2 -5 hold 0 status 1",
        "ORDER_CLOSED 2 5 hold -500 status 5",
        "ORDER_ENTERED 3 5 hold 500 status 1",
        "TRADE 3 1 5@80",
        "LIST_CHANGED 2 2 3 0",
    ]


def test_oco_cancel_of_one_leg_cancels_the_other() -> None:
    venue = Venue()
    legs = (
        {"side": Side.BUY, "order_type": STOP_LOSS, "lots": 5, "list_role": ABOVE, "stop_price_ticks": 110},
        {"side": Side.BUY, "order_type": TAKE_PROFIT, "lots": 5, "list_role": BELOW, "stop_price_ticks": 90},
    )
    venue.list(ListType.OCO, *({**leg, "time_in_force": TimeInForce.IOC} for leg in legs))
    assert told(venue.cancel(2)) == [
        "ORDER_CLOSED 2 5 hold 0 status 4",
        "ORDER_CLOSED 1 5 hold 0 status 4",
        "LIST_CHANGED 2 1 2 0",
    ]


OTO = (
    {"side": Side.BUY, "price": 100, "lots": 4, "list_role": WORKING},
    {"side": Side.SELL, "price": 120, "lots": 4, "list_role": PENDING},
)


def test_oto_pending_leg_enters_when_working_is_filled() -> None:
    venue = Venue()
    assert told(venue.list(ListType.OTO, *OTO)) == [
        "LIST_CHANGED 1 1 2 0",
        "ORDER_ACCEPTED 1 4 hold 4000 status 1",
        "ORDER_TERMS",
        "ORDER_ACCEPTED 2 4 hold 400 status 7",
        "ORDER_TERMS",
        "ORDER_SHOWN 1 4 hold 0 status 1",
    ]
    assert told(venue.place(Side.SELL, 100, 3))[1:] == ["TRADE 3 1 3@100"]
    assert told(venue.place(Side.SELL, 100, 1))[1:] == [
        "TRADE 4 1 1@100",
        "ORDER_ENTERED 2 4 hold 0 status 1",
        "ORDER_SHOWN 2 4 hold 0 status 1",
    ]
    assert told(venue.place(Side.BUY, 120, 4))[1:] == ["TRADE 5 2 4@120", "LIST_CHANGED 2 1 2 0"]


@pytest.mark.parametrize("order_id", [1, 2])
def test_oto_cancel_of_either_leg_cancels_both(order_id: int) -> None:
    venue = Venue()
    venue.list(ListType.OTO, *OTO)
    events = told(venue.cancel(order_id))
    assert events[-1] == "LIST_CHANGED 2 1 2 0"
    assert sum(event.startswith("ORDER_CLOSED") and event.endswith("status 4") for event in events) == 2


def test_oto_working_that_can_not_be_filled_whole_ends_the_list_at_once() -> None:
    venue = Venue()
    legs = ({**OTO[0], "time_in_force": TimeInForce.FOK}, OTO[1])
    assert told(venue.list(ListType.OTO, *legs))[5:] == [
        "ORDER_CLOSED 1 4 hold -4000 status 5",
        "ORDER_CLOSED 2 4 hold -400 status 5",
        "LIST_CHANGED 2 1 2 0",
    ]


def test_opo_sells_what_was_bought_less_the_fee() -> None:
    venue = Venue()
    legs = (OTO[0], {**OTO[1], "lots": 0})
    venue.place(Side.SELL, 100, 1)
    assert told(venue.list(ListType.OPO, *legs)) == [
        "LIST_CHANGED 1 2 3 0",
        "ORDER_ACCEPTED 2 4 hold 4000 status 1",
        "ORDER_TERMS",
        "ORDER_ACCEPTED 3 0 hold 0 status 7",
        "ORDER_TERMS",
        "TRADE 2 1 1@100",
        "ORDER_FUNDED 3 0 hold 99 status 7",  # a lot less 1 % as the taker
        "ORDER_SHOWN 2 3 hold 0 status 2",
    ]
    assert told(venue.place(Side.SELL, 100, 3))[1:] == [
        "TRADE 4 2 3@100",
        "ORDER_FUNDED 3 0 hold 300 status 7",
        "ORDER_FUNDED 3 0 hold -99 status 7",
        "ORDER_ENTERED 3 3 hold 0 status 1",
        "ORDER_SHOWN 3 3 hold 0 status 1",
    ]


def test_opoco_pair_gets_one_quantity_and_begins_to_wait() -> None:
    venue = Venue()
    venue.place(Side.SELL, 100, 4)
    legs = (
        OTO[0],
        sells_above(120, 0),
        stops_below(90, 0),
    )
    assert told(venue.list(ListType.OPOCO, *legs))[7:] == [
        "TRADE 2 1 4@100",
        "ORDER_FUNDED 3 0 hold 396 status 7",
        "ORDER_FUNDED 3 0 hold -96 status 7",
        "ORDER_ENTERED 3 3 hold 0 status 1",
        "ORDER_SHOWN 3 3 hold 0 status 1",
        "ORDER_ENTERED 4 3 hold 0 status 1",
    ]
    venue.place(Side.BUY, 90, 3)
    assert told(venue.place(Side.SELL, 90, 1))[1:] == [
        "TRADE 6 5 1@90",
        "ORDER_SHOWN 3 -3 hold 0 status 1",
        "ORDER_CLOSED 3 3 hold -300 status 5",
        "ORDER_ENTERED 4 3 hold 200 status 1",
        "TRADE 4 5 2@90",
        "ORDER_CLOSED 4 1 hold 0 status 5",
        "LIST_CHANGED 2 2 3 4",
    ]


def test_otoco_cancel_of_a_pending_leg_cancels_all_in_order() -> None:
    venue = Venue()
    legs = (
        OTO[0],
        sells_above(120, 4),
        stops_below(90, 4),
    )
    venue.list(ListType.OTOCO, *legs)
    assert told(venue.cancel(2)) == [
        "ORDER_CLOSED 2 4 hold -400 status 4",
        "ORDER_SHOWN 1 -4 hold 0 status 1",
        "ORDER_CLOSED 1 4 hold -4000 status 4",
        "ORDER_CLOSED 3 4 hold 0 status 4",
        "LIST_CHANGED 2 1 2 3",
    ]


def test_stop_whose_condition_holds_already_has_its_turn_at_once() -> None:
    venue = Venue()
    venue.place(Side.BUY, 100, 9)
    legs = (
        {"side": Side.SELL, "price": 100, "lots": 2, "list_role": WORKING},
        stops_below(105, 3, PENDING),
    )
    assert told(venue.list(ListType.OTO, *legs))[5:] == [
        "TRADE 2 1 2@100",
        "ORDER_ENTERED 3 3 hold 0 status 1",
        "ORDER_ENTERED 3 3 hold 0 status 1",
        "TRADE 3 1 3@100",
        "LIST_CHANGED 2 2 3 0",
    ]


def test_cancel_all_counts_every_leg_that_it_closes() -> None:
    venue = Venue()
    venue.list(ListType.OTO, *OTO)
    events = venue.send(CommandKind.CANCEL_ALL, account=TRADER)
    assert events[-1]["canceled_count"] == 2
    assert sum(event["kind"] == EventKind.ORDER_CLOSED for event in events) == 2


def test_gtd_expiry_of_one_leg_takes_the_others_along() -> None:
    venue = Venue()
    legs = [{**leg, "time_in_force": TimeInForce.GTD, "expire_ts_ns": 1_000 + n} for n, leg in enumerate(OTO)]
    venue.list(ListType.OTO, *legs)
    venue.sequence, before = 2_000, venue.sequence
    batch = slots(1)
    batch[0] = command(CommandKind.TICK, sequence=before + 1, ts_ns=2_000)
    events = [event_dict(event) for event in venue.engine.run(batch)]
    check_all(venue.engine.state)
    assert [EventKind(event["kind"]).name for event in events] == [
        *("ORDER_SHOWN", "ORDER_CLOSED", "ORDER_CLOSED", "LIST_CHANGED", "TICKED"),
    ]
    assert events[-1]["expired_count"] == 1


def test_refused_leg_makes_what_follows_fail() -> None:
    venue = Venue()
    begun = {"list_type": 9, "account": TRADER, "symbol": 1, "flags": CommandFlag.LINKED}
    assert told(venue.send(CommandKind.PLACE_LIST, **begun)) == ["REJECTED INVALID_LIST"]
    leg = {"account": TRADER, "list_role": WORKING, "flags": CommandFlag.LINKED}
    assert told(venue.place(Side.BUY, 100, 1, **leg)) == ["REJECTED LINK_FAILED"]
    assert told(venue.place(Side.SELL, 100, 1, account=TRADER, list_role=PENDING)) == ["REJECTED LINK_FAILED"]
    assert told(venue.place(Side.SELL, 100, 1, account=TRADER, list_role=PENDING)) == ["REJECTED INVALID_LIST"]


def test_command_in_between_makes_the_staging_void() -> None:
    venue = Venue()
    begun = {"list_type": ListType.OTO, "account": TRADER, "symbol": 1, "flags": CommandFlag.LINKED}
    assert told(venue.send(CommandKind.PLACE_LIST, **begun)) == ["STAGED"]
    venue.send(CommandKind.TICK)
    leg = {"account": TRADER, "list_role": WORKING, "flags": CommandFlag.LINKED}
    assert told(venue.place(Side.BUY, 100, 1, **leg)) == ["REJECTED INVALID_LIST"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"side": Side.BUY}, RejectCode.INVALID_LIST),  # another side than ABOVE
        ({"lots": 4}, RejectCode.INVALID_LIST),
        ({"stop_price_ticks": 110}, RejectCode.INVALID_LIST),  # not below ABOVE
        ({"flags": CommandFlag.LINKED}, RejectCode.INVALID_LIST),
        ({"order_type": TAKE_PROFIT}, RejectCode.INVALID_LIST),
        ({"client_id": "first"}, RejectCode.CLIENT_ORDER_ID_CONFLICT),
        ({"lots": 1_001}, RejectCode.QUANTITY_TOO_HIGH),
        ({"account": 99}, RejectCode.UNKNOWN_ACCOUNT),
        ({"account": MAKER}, RejectCode.INVALID_LIST),
    ],
)
def test_last_leg_that_does_not_fit_refuses_the_list(changed: dict[str, Any], code: RejectCode) -> None:
    venue = Venue()
    last = stops_below(90, 5)
    first = sells_above(110, 5)
    events = venue.list(ListType.OCO, {**first, "client_id": "first"}, {**last, **changed})
    assert told(events) == [f"REJECTED {code.name}"]
    assert venue.engine.state.header[0].open_orders == 0


def test_first_leg_is_told_when_the_sum_of_holds_is_too_much() -> None:
    venue = Venue()
    legs = (
        {"side": Side.BUY, "price": 100, "lots": 600, "list_role": WORKING},
        {"side": Side.BUY, "price": 100, "lots": 500, "list_role": PENDING},
    )
    events = venue.list(ListType.OTO, *legs)
    assert told(events) == ["REJECTED INSUFFICIENT_BALANCE"]
    assert events[0]["qty_lots"] == 600


def test_closed_leg_remembers_its_list() -> None:
    venue = Venue()
    venue.list(ListType.OTO, {**OTO[0], "client_id": "w"}, {**OTO[1], "client_id": "p"})
    venue.cancel(1)
    for client_id in ("w", "p"):
        view = find_order(venue.engine.state, TRADER, client_id=client_id)
        assert view is not None
        assert (view.list_id, view.is_open) == (1, False)
