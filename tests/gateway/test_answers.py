"""An answer is made of what a command's events say about its own order, whoever else has a turn in that command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from exchange.core.codes import CloseReason, CommandKind, EventFlag, EventKind, ListRole, OrderStatus, Side, Stage
from exchange.core.readers import OrderView
from exchange.gateway import answers
from exchange.gateway.orders import events_of
from exchange.gateway.placing import Placement
from exchange.gateway.wire import order_event
from tests.gateway.forms import ALICE, MILLISECOND_NS, event, place

Json = dict[str, Any]
MINE, OTHER = 7, 3
TS_MS = 1_700_000_000_000
HEAD: dict[str, Any] = {"sequence": 50, "ts_ns": TS_MS * MILLISECOND_NS}
RESULT = {"newOrderRespType": "RESULT"}
FULL = {"newOrderRespType": "FULL", "newClientOrderId": "mine"}
RULES = place({}).rules


def accepted(order_type: int = 1, price_ticks: int = 10_000, **more: int) -> bytes:
    fields = {"order_id": MINE, "side": Side.SELL, "order_type": order_type, "time_in_force": 1, "qty_lots": 100_000}
    fields |= {"price_ticks": price_ticks, "status": OrderStatus.NEW, "command_kind": CommandKind.PLACE}
    return event(EventKind.ORDER_ACCEPTED, **HEAD, account=ALICE, symbol=1, **{**fields, **more})


def about(kind: EventKind, order_id: int, **fields: int) -> bytes:
    return event(kind, **HEAD, account=ALICE, symbol=1, order_id=order_id, **fields)


def trade(taker: int, maker: int, lots: int, taker_leaves: int, maker_leaves: int, side: Side = Side.BUY) -> bytes:
    return event(
        EventKind.TRADE,
        **HEAD,
        side=side,
        symbol=1,
        taker_order_id=taker,
        maker_order_id=maker,
        trade_id=9,
        price_ticks=10_000,
        qty_lots=lots,
        quote_atoms=lots * 100_000,
        taker_fee_atoms=20,
        maker_fee_atoms=10,
        taker_leaves_lots=taker_leaves,
        maker_leaves_lots=maker_leaves,
    )


def answered(form: Mapping[str, str | None], *events: bytes) -> Json:
    placed: Placement = place(form)
    return answers.placed(placed, b"".join(events), MILLISECOND_NS)


STOP: dict[str, str | None] = {"type": "STOP_LOSS", "timeInForce": None, "price": None, "stopPrice": "90", **RESULT}


def test_a_stop_that_waits_says_so() -> None:
    answer = answered(STOP, accepted(4, 0, time_in_force=2), event(EventKind.ORDER_TERMS, order_id=MINE))
    assert (answer["status"], answer["type"], answer["stopPrice"]) == ("NEW", "STOP_LOSS", "90.00000000")
    assert (answer["workingTime"], answer["transactTime"], answer["executedQty"]) == (-1, TS_MS, "0.00000000")
    assert answer.keys().isdisjoint({"icebergQty", "trailingDelta", "pegPriceType", "expiryReason"})


@pytest.mark.parametrize(("stop_price", "since"), [("90", -1), (None, TS_MS)])
def test_a_trailing_stop_follows_at_once_or_from_its_stop_price_on(stop_price: str | None, since: int) -> None:
    answer = answered({**STOP, "stopPrice": stop_price, "trailingDelta": "250"}, accepted(4, 0))
    assert (answer["trailingDelta"], answer["trailingTime"]) == (250, since)
    assert ("stopPrice" in answer) is (stop_price is not None)


def test_a_pegged_order_shows_the_price_it_got_beside_no_price() -> None:
    form = {"price": None, "pegPriceType": "PRIMARY_PEG", "pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": "2"}
    answer = answered({**form, "icebergQty": "0.5", **RESULT}, accepted(price_ticks=9_900))
    assert (answer["price"], answer["peggedPrice"]) == ("0.00000000", "99.00000000")
    assert (answer["pegPriceType"], answer["pegOffsetType"], answer["pegOffsetValue"]) == (
        *("PRIMARY_PEG", "PRICE_LEVEL"),
        2,
    )
    assert (answer["icebergQty"], answer["workingTime"]) == ("0.50000000", TS_MS)


def test_turns_of_other_orders_do_not_leak_into_an_answer() -> None:
    others = (
        about(EventKind.ORDER_ENTERED, OTHER, status=OrderStatus.NEW, price_ticks=1, qty_lots=5),
        trade(OTHER, 4, 5, 0, 1),
        event(
            EventKind.PREVENTED, **HEAD, taker_order_id=OTHER, maker_order_id=5, taker_prevented_lots=3,
            taker_leaves_lots=0,
        ),
        about(EventKind.ORDER_CLOSED, OTHER, status=OrderStatus.EXPIRED, reason=CloseReason.LIST),
    )  # fmt: skip
    alone = answered(FULL, accepted())
    assert answered(FULL, accepted(), *others) == alone
    assert (alone["status"], alone["fills"]) == ("NEW", [])


def test_fills_as_the_maker_of_a_stop_that_had_its_turn_count_too() -> None:
    answer = answered(
        FULL,
        accepted(),
        trade(MINE, 2, 40_000, 60_000, 0, Side.SELL),
        about(EventKind.ORDER_ENTERED, OTHER, status=OrderStatus.NEW),
        trade(OTHER, MINE, 60_000, 0, 0, Side.BUY),
    )
    assert (answer["status"], answer["executedQty"]) == ("FILLED", "1.00000000")
    assert answer["cummulativeQuoteQty"] == "100.00000000"
    assert [(fill["qty"], fill["commission"], fill["commissionAsset"]) for fill in answer["fills"]] == [
        ("0.40000000", "0.00000020", "USDT"),
        ("0.60000000", "0.00000010", "USDT"),
    ]


def test_prevention_as_a_maker_ends_the_order_in_the_answer() -> None:
    stopped = event(
        EventKind.PREVENTED, **HEAD, taker_order_id=OTHER, maker_order_id=MINE, maker_prevented_lots=100_000,
        maker_leaves_lots=0, taker_leaves_lots=9,
    )  # fmt: skip
    answer = answered(FULL, accepted(), stopped)
    assert (answer["status"], answer["preventedQuantity"]) == ("EXPIRED_IN_MATCH", "1.00000000")


def test_a_stop_that_has_its_turn_at_once_works_from_then_on() -> None:
    answer = answered(
        STOP,
        accepted(4, 0),
        about(EventKind.ORDER_ENTERED, MINE, status=OrderStatus.NEW, qty_lots=100_000),
        trade(MINE, 2, 40_000, 60_000, 0, Side.SELL),
        about(EventKind.ORDER_CLOSED, MINE, status=OrderStatus.EXPIRED, reason=CloseReason.NO_LIQUIDITY),
    )
    assert (answer["status"], answer["workingTime"]) == ("EXPIRED", TS_MS)
    assert (answer["executedQty"], answer["expiryReason"]) == ("0.40000000", "INSUFFICIENT_LIQUIDITY")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (CloseReason.IOC_REMAINDER, "UNFILLED_IOC_QUANTITY_EXPIRED"),
        (CloseReason.FOK_UNFILLABLE, "UNFILLED_FOK_ORDER_EXPIRED"),
        (CloseReason.PRICE_RANGE, "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"),
    ],
)
def test_an_order_that_ended_by_itself_says_why(reason: CloseReason, text: str) -> None:
    closed = about(EventKind.ORDER_CLOSED, MINE, status=OrderStatus.EXPIRED, reason=reason)
    assert answered(RESULT, accepted(), closed)["expiryReason"] == text


def test_a_leg_ended_with_its_pair_or_because_the_first_leg_was_not_filled() -> None:
    assert answers.expiry_reason(CloseReason.LIST, ListRole.BELOW) == "OCO_TRIGGER"
    assert answers.expiry_reason(CloseReason.LIST, ListRole.PENDING) == "OTO_PHASE_ONE_EXPIRED"
    assert answers.expiry_reason(CloseReason.CANNOT_PAY, ListRole.NONE) == "CANNOT_PAY"


def view(**changes: Any) -> OrderView:
    plain = dict.fromkeys(OrderView._fields, 0) | {"client_id": "mine", "order_id": MINE, "symbol": 1, "is_open": True}
    plain |= {"order_type": 1, "time_in_force": 1, "status": 1, "price_ticks": 10_000, "leaves_lots": 100_000}
    plain |= {"created_ts_ns": TS_MS * MILLISECOND_NS, "updated_ts_ns": TS_MS * MILLISECOND_NS}
    return OrderView(**{**plain, **changes})


def test_a_query_of_a_plain_order_has_empty_terms() -> None:
    answer = answers.order(RULES, view(), MILLISECOND_NS)
    assert (answer["stopPrice"], answer["icebergQty"], answer["orderListId"]) == ("0.00000000", "0.00000000", -1)
    assert (answer["isWorking"], answer["workingTime"]) == (True, TS_MS)
    assert answer.keys().isdisjoint({"trailingDelta", "pegPriceType", "peggedPrice"})


@pytest.mark.parametrize("stage", [Stage.STOP, Stage.TRAIL, Stage.DUE, Stage.PENDING])
def test_an_order_that_waits_is_not_working(stage: Stage) -> None:
    waiting = view(stage=stage, order_type=4, stop_price_ticks=9_000, trailing_bips=30, list_id=5, status=7)
    answer = answers.order(RULES, waiting, MILLISECOND_NS)
    assert (answer["isWorking"], answer["workingTime"], answer["orderListId"]) == (False, -1, 5)
    assert (answer["stopPrice"], answer["trailingDelta"], answer["status"]) == ("90.00000000", 30, "PENDING_NEW")
    assert answer.get("trailingTime") == (-1 if stage in (Stage.STOP, Stage.PENDING) else None)


def test_an_order_that_waited_and_works_says_since_when() -> None:
    entered = view(order_type=5, stop_price_ticks=9_000, working_ts_ns=(TS_MS + 5) * MILLISECOND_NS, peg_type=2)
    answer = answers.order(RULES, entered, MILLISECOND_NS)
    assert (answer["isWorking"], answer["workingTime"]) == (True, TS_MS + 5)
    assert (answer["price"], answer["peggedPrice"]) == ("0.00000000", "100.00000000")


def test_what_a_special_order_takes_with_it_is_not_its_cancel() -> None:
    events = b"".join(
        (
            about(EventKind.ORDER_SHOWN, MINE, qty_lots=-5),
            about(
                EventKind.ORDER_CLOSED, MINE, qty_lots=100_000, status=OrderStatus.CANCELED, order_type=5,
                price_ticks=10_000, flags=EventFlag.OFF_BOOK, time_in_force=1, reason=CloseReason.CANCELED,
            ),
            about(EventKind.ORDER_CLOSED, OTHER, status=OrderStatus.CANCELED, reason=CloseReason.LIST),
        )
    )  # fmt: skip
    mine, other = events_of(events, EventKind.ORDER_CLOSED)
    assert (mine.order_id, other.order_id) == (MINE, OTHER)
    kept = view(order_type=5, stop_price_ticks=9_000, iceberg_lots=50_000, list_id=4, status=4)
    answer = answers.canceled(RULES, mine, "", MILLISECOND_NS, kept)
    assert (answer["orderId"], answer["status"], answer["origQty"]) == (MINE, "CANCELED", "1.00000000")
    assert (answer["stopPrice"], answer["icebergQty"], answer["orderListId"]) == ("90.00000000", "0.50000000", 4)
    reduced = answers.reduced(RULES, order_event(events, 128), 60_000, MILLISECOND_NS, kept)["amendedOrder"]
    assert (reduced["qty"], reduced["stopPrice"], reduced["orderListId"]) == ("0.60000000", "90.00000000", 4)
