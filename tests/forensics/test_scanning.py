"""One order in a run of events: what concerns it, which trade called it, what its list did, and where the scan ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core.codes import (
    CloseReason,
    EventFlag,
    EventKind,
    ListRole,
    ListStatus,
    ListType,
    OrderStatus,
    OrderType,
    Side,
    Stage,
)
from exchange.core.event_records import EVENT_DTYPES
from exchange.forensics.life import TELLINGS, Story
from exchange.forensics.names import Names
from exchange.forensics.scanning import Scan

Event = tuple[EventKind, dict[str, int]]
WATCHED, OTHER = 7, 8


def batch(*commands: list[Event]) -> np.ndarray[Any, Any]:
    """Events by command, sequences from 1."""
    slots = []
    for sequence, events in enumerate(commands, 1):
        for at, (kind, fields) in enumerate(events, 1):
            record = np.zeros(1, EVENT_DTYPES[kind])
            for name, value in fields.items():
                record[name] = value
            record["kind"], record["sequence"], record["ts_ns"] = kind, sequence, sequence
            record["flags"] = EventFlag.LAST if at == len(events) else 0
            slots.append(record.view(np.uint8))
    return np.stack(slots)


def accepted(order_id: int, **fields: int) -> Event:
    order = {"order_type": OrderType.STOP_LOSS_LIMIT, "time_in_force": 1, "status": OrderStatus.NEW, "qty_lots": 5}
    return EventKind.ORDER_ACCEPTED, {"order_id": order_id, "account": 16, "symbol": 1, **order, **fields}


def terms(order_id: int, **fields: int) -> Event:
    return EventKind.ORDER_TERMS, {"order_id": order_id, "account": 16, "symbol": 1, **fields}


def trade(trade_id: int, price: int, maker: int = 90, **fields: int) -> Event:
    both = {"taker_order_id": 91, "maker_order_id": maker, "taker_leaves_lots": 1, "maker_leaves_lots": 1}
    return EventKind.TRADE, {"trade_id": trade_id, "price_ticks": price, "symbol": 1, **both, **fields}


def entered(order_id: int) -> Event:
    return EventKind.ORDER_ENTERED, {"order_id": order_id, "account": 16, "symbol": 1}


def closed(order_id: int, reason: CloseReason) -> Event:
    return EventKind.ORDER_CLOSED, {"order_id": order_id, "account": 16, "symbol": 1, "reason": reason, "status": 5}


def scanned(order_id: int, *batches: np.ndarray[Any, Any]) -> Scan:
    scan = Scan(order_id)
    scan.read(batches)
    return scan


def told(scan: Scan) -> list[str]:
    story = Story(scan.order_id, Names(None))
    return [
        TELLINGS[EventKind(chapter.events[at]["kind"])](story, chapter, at, chapter.events[at])
        for chapter in scan.chapters
        for at in chapter.about
    ]


def calling_trades(scan: Scan) -> list[int]:
    return [call["trade_id"] for chapter in scan.chapters for call in chapter.calls.values()]


def test_stop_whose_turn_comes_later_was_called_by_the_first_trade_that_reached_it() -> None:
    events = batch(
        [accepted(WATCHED, side=Side.BUY), terms(WATCHED, stop_price_ticks=100, stage=Stage.STOP)],
        [trade(1, 99), trade(2, 100, symbol=2), trade(3, 100), trade(4, 120)],
        [entered(WATCHED), (EventKind.TICKED, {})],
    )
    assert calling_trades(scanned(WATCHED, events)) == [3]
    assert calling_trades(scanned(WATCHED, events[:2], events[2:4], events[4:])) == [3]


def test_stop_that_waits_for_a_fall_is_called_by_a_price_at_or_below() -> None:
    events = batch(
        [accepted(WATCHED, side=Side.SELL), terms(WATCHED, stop_price_ticks=100, stage=Stage.STOP)],
        [trade(1, 101), trade(2, 100)],
        [entered(WATCHED)],
    )
    assert calling_trades(scanned(WATCHED, events)) == [2]


def test_trailing_stop_was_called_by_the_last_trade_before_it_entered() -> None:
    events = batch(
        [accepted(WATCHED, side=Side.SELL), terms(WATCHED, trailing_bips=100, stage=Stage.TRAIL)],
        [trade(1, 100), trade(2, 98)],
        [entered(WATCHED), trade(3, 97)],
    )
    assert calling_trades(scanned(WATCHED, events)) == [2]


def test_scan_ends_with_the_command_that_ends_the_order_and_reads_no_further() -> None:
    def batches() -> Any:
        yield batch([accepted(WATCHED)], [trade(1, 100, maker=WATCHED, maker_leaves_lots=0), trade(2, 101)])
        raise AssertionError("an order that has ended needs no more events")

    scan = Scan(WATCHED)
    scan.read(batches())
    assert scan.ended
    assert [(chapter.sequence, len(chapter.events), chapter.about) for chapter in scan.chapters] == [
        (1, 1, [0]),
        (2, 2, [0]),
    ]


def test_number_that_is_no_order_id_in_its_event_names_no_order() -> None:
    events = batch([trade(WATCHED, WATCHED), (EventKind.TICKED, {"expired_count": WATCHED})], [accepted(OTHER)])
    scan = scanned(WATCHED, events)
    assert (scan.chapters, scan.highest) == ([], OTHER)


def _list(status: ListStatus) -> Event:
    legs = {"order_id_0": OTHER, "order_id_1": WATCHED}
    return EventKind.LIST_CHANGED, {"list_id": 4, "list_type": ListType.OTO, "list_status": status, **legs}


def test_pending_leg_is_called_by_its_list_and_told_so() -> None:
    pending = terms(WATCHED, list_role=ListRole.PENDING, list_id=4, stage=Stage.PENDING)
    said = told(
        scanned(
            WATCHED,
            batch(
                [_list(ListStatus.STARTED), accepted(OTHER), accepted(WATCHED), pending],
                [trade(1, 100, maker=OTHER, maker_leaves_lots=0), entered(WATCHED)],
            ),
        )
    )
    assert said[0] == "It is a leg of list 4 (orders 8 and 7)."
    assert "PENDING leg of its list" in said[2]
    assert said[3].startswith("Its list called it (order 8 did its part) and it went to work: ")


def test_leg_that_its_list_ends_is_told_what_the_other_leg_did() -> None:
    above = terms(WATCHED, list_role=ListRole.ABOVE, list_id=4)
    begin = [_list(ListStatus.STARTED), accepted(OTHER), accepted(WATCHED), above]
    for cause, said in (
        (trade(1, 100, maker=OTHER), "(order 8 traded)"),
        (closed(OTHER, CloseReason.CANCELED), "(order 8 ended)"),
    ):
        ending = [cause, closed(WATCHED, CloseReason.LIST), _list(ListStatus.DONE)]
        lines = told(scanned(WATCHED, batch(begin, ending)))
        assert f"another leg of its order list made it end {said}" in lines[3]
        assert lines[4] == "Its list 4 is done."
    before_entering = [closed(WATCHED, CloseReason.LIST), entered(OTHER)]
    assert "(order 8 was about to go to work)" in told(scanned(WATCHED, batch(begin, before_entering)))[3]
