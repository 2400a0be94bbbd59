"""Unfilled orders: the events of a real engine against the counts, with a clock that the test holds."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from exchange.core.codes import CommandKind, EventKind, OrderType, Side, TimeInForce
from exchange.core.event_records import event_dict
from exchange.core.records import RECORD_BYTES
from exchange.gateway.errors import Refusal
from exchange.gateway.unfilled import DAY_S, NS_PER_SECOND, SHORT_S, UnfilledOrders
from tests.marketdata.venue import ACCOUNTS, BTC_USDT, START_NS, Venue, event_count

MAKER, TAKER, OTHER = ACCOUNTS
START_S = START_NS // NS_PER_SECOND // DAY_S * DAY_S + DAY_S  # midnight: the venue's clock only goes forward
NO_LIMIT = 1 << 40


class Counted:
    """A venue whose events the counts see, and the clock of both."""

    def __init__(self, short_max: int = NO_LIMIT, day_max: int = NO_LIMIT, placed_max: int = 1 << 10) -> None:
        self.venue = Venue()
        self.at(0)
        self.orders = UnfilledOrders(
            short_max, day_max, lambda: self.venue.ts_ns / NS_PER_SECOND, accounts=32, placed_max=placed_max
        )

    def at(self, second: float) -> None:
        """Set the clock to so many seconds after midnight."""
        self.venue.ts_ns = START_S * NS_PER_SECOND + int(second * NS_PER_SECOND)

    def run(self, *commands: tuple[CommandKind, dict[str, Any]]) -> None:
        view = self.venue.run(list(commands))
        self.orders.on_events(view, event_count(view))

    def place(self, account: int, side: Side, price_ticks: int, qty_lots: int = 10, **more: int) -> None:
        fields = {"account": account, "symbol": BTC_USDT, "side": side, "price_ticks": price_ticks}
        fields |= {"qty_lots": qty_lots, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC}
        self.run((CommandKind.PLACE, {**fields, **more}))

    def counts(self, account: int) -> tuple[int, int]:
        return self.orders.counts(account)


def test_accepted_order_counts_and_a_cancel_gives_nothing_back() -> None:
    counted = Counted()
    counted.place(MAKER, Side.BUY, 100)
    counted.place(MAKER, Side.BUY, 101)
    assert counted.counts(MAKER) == (2, 2)
    counted.run((CommandKind.CANCEL_ALL, {"account": MAKER, "symbol": BTC_USDT}))
    assert counted.counts(MAKER) == (2, 2)
    assert counted.counts(TAKER) == (0, 0)


def test_rejected_order_does_not_count() -> None:
    counted = Counted()
    counted.place(MAKER, Side.BUY, 0)
    assert counted.counts(MAKER) == (0, 0)


def test_first_trade_gives_the_order_back_to_taker_and_maker_and_further_ones_nothing() -> None:
    counted = Counted()
    counted.place(MAKER, Side.SELL, 100, 30)
    counted.place(MAKER, Side.SELL, 200)
    assert counted.counts(MAKER) == (2, 2)
    counted.place(TAKER, Side.BUY, 100, 10)
    assert (counted.counts(MAKER), counted.counts(TAKER)) == ((1, 1), (0, 0))
    counted.place(TAKER, Side.BUY, 100, 10)
    counted.place(OTHER, Side.BUY, 150, 30)  # fills what is left of the maker, rests, is a maker next
    assert counted.counts(MAKER) == (1, 1)
    assert counted.counts(OTHER) == (0, 0)
    counted.place(TAKER, Side.SELL, 150, 10)
    assert counted.counts(OTHER) == (0, 0)
    assert counted.counts(TAKER) == (0, 0)


def test_windows_are_aligned_to_the_clock_and_end_one_by_one() -> None:
    counted = Counted()
    counted.at(9.5)
    counted.place(MAKER, Side.BUY, 100)
    assert counted.counts(MAKER) == (1, 1)
    counted.at(10)
    assert counted.counts(MAKER) == (0, 1)
    counted.place(MAKER, Side.BUY, 100)
    assert counted.counts(MAKER) == (1, 2)
    counted.at(DAY_S)
    assert counted.counts(MAKER) == (0, 0)
    counted.place(MAKER, Side.BUY, 100)
    assert counted.counts(MAKER) == (1, 1)


def test_order_of_a_window_that_has_ended_gives_nothing_back_to_the_next() -> None:
    counted = Counted()
    counted.place(MAKER, Side.SELL, 100)
    counted.at(SHORT_S)
    counted.place(MAKER, Side.SELL, 101)
    counted.place(TAKER, Side.BUY, 100)
    assert counted.counts(MAKER) == (1, 1)


def test_order_older_than_the_last_that_are_remembered_gives_nothing_back() -> None:
    counted = Counted(placed_max=16)
    counted.place(MAKER, Side.SELL, 100)
    for _ in range(16):
        counted.place(OTHER, Side.BUY, 50)
    counted.place(TAKER, Side.BUY, 100)
    assert counted.counts(MAKER) == (1, 1)
    assert counted.counts(OTHER) == (16, 16)
    assert counted.counts(TAKER) == (0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_counts_equal_a_plain_model_over_random_commands(seed: int) -> None:
    counted = Counted(placed_max=1 << 14)
    chance = random.Random(seed)
    placed: dict[int, tuple[int, int]] = {}
    model: dict[tuple[int, int, int], int] = {}

    def add(account: int, second: int, change: int) -> None:
        for window_s in (SHORT_S, DAY_S):
            place = (account, window_s, second // window_s)
            model[place] = model.get(place, 0) + change

    trades = 0
    for _ in range(40):
        counted.venue.ts_ns += chance.randrange(0, 5 * NS_PER_SECOND)
        view = counted.venue.run(counted.venue.some(20))
        counted.orders.on_events(view, event_count(view))
        for slot in np.frombuffer(view, np.uint8).reshape(-1, RECORD_BYTES):
            event = event_dict(slot)
            if event["kind"] == EventKind.ORDER_ACCEPTED:
                placed[event["order_id"]] = (event["account"], event["ts_ns"] // NS_PER_SECOND)
                add(*placed[event["order_id"]], 1)
            elif event["kind"] == EventKind.TRADE:
                trades += 1
                for role in ("taker_order_id", "maker_order_id"):
                    if event[role] in placed:
                        add(*placed.pop(event[role]), -1)
        second = counted.venue.ts_ns // NS_PER_SECOND
        for account in ACCOUNTS:
            expected = [model.get((account, window_s, second // window_s), 0) for window_s in (SHORT_S, DAY_S)]
            assert list(counted.counts(account)) == expected
    assert trades > 10


def test_order_beyond_a_limit_is_refused_until_its_window_ends() -> None:
    counted = Counted(short_max=2, day_max=3)
    for _ in range(2):
        counted.orders.enter(MAKER)
        counted.place(MAKER, Side.BUY, 100)
        counted.orders.leave(MAKER)
    counted.at(2.5)
    with pytest.raises(Refusal) as caught:
        counted.orders.enter(MAKER)
    assert (caught.value.status, caught.value.code, caught.value.retry_after_s) == (429, -1015, 8)
    assert caught.value.msg == "Too many new orders; current limit is 2 orders per 10 SECOND."
    counted.orders.enter(TAKER)
    counted.at(10)
    counted.orders.enter(MAKER)
    counted.place(MAKER, Side.BUY, 100)
    counted.orders.leave(MAKER)
    counted.at(DAY_S - 100)
    with pytest.raises(Refusal) as caught:
        counted.orders.enter(MAKER)
    assert caught.value.msg == "Too many new orders; current limit is 3 orders per 1 DAY."
    assert caught.value.retry_after_s == 100
    assert counted.orders.headers(MAKER) == b"X-MBX-ORDER-COUNT-10S: 0\r\nX-MBX-ORDER-COUNT-1D: 3\r\n"


def test_orders_in_flight_count_and_leave_without_a_trace() -> None:
    orders = Counted(short_max=2).orders
    orders.enter(MAKER)
    orders.enter(MAKER)
    with pytest.raises(Refusal):
        orders.enter(MAKER)
    orders.leave(MAKER)
    orders.enter(MAKER)
    orders.leave(MAKER)
    orders.leave(MAKER)
    assert orders._in_flight == {}
