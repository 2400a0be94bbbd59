"""What guards remember, and the price of an auction, by hand."""

from __future__ import annotations

import random

import pytest

from exchange.core.codes import Side, SymbolRule
from tests.oracle.auction_price import NOTHING, Crossing, crossing
from tests.oracle.guards import COLLARS, KeyGuard, bips_of, bounds, count_trade, reference_price
from tests.oracle.memory import BreakerWindow, Rate, bucket_number
from tests.oracle.reference import RULES
from tests.oracle.venue import Asset, Symbol, Venue
from tests.oracle.words import MAX_ATOMS


@pytest.mark.parametrize("amount", [0, 1, 9_999, 10_000, 10_001, 2**62 - 1])
@pytest.mark.parametrize("bips", [0, 1, 9_999, 10_000, 10**6])
def test_bips_by_the_formula_of_the_page_are_those_of_the_fraction(amount: int, bips: int) -> None:
    assert bips_of(amount, bips) == min(amount // 10_000 * bips + amount % 10_000 * bips // 10_000, MAX_ATOMS)


BTC, USDT = Asset(1, 4, "BTC"), Asset(2, 4, "USDT")


def _market(**rules: int) -> tuple[Venue, Symbol]:
    """A symbol with rules, on a venue of its own."""
    venue, symbol = Venue(), Symbol(1, BTC, USDT, 1, 2, "BTC_USDT", dict.fromkeys(RULES, 1), 1_000, 1_000)
    for name, value in rules.items():
        symbol.guard.set_rule(SymbolRule[name], value)
    return venue, symbol


def _trade(venue: Venue, symbol: Symbol, ts_ns: int, price_ticks: int, lots: int) -> None:
    venue.ts_ns, symbol.last_ticks = ts_ns, price_ticks
    count_trade(venue, symbol, price_ticks, lots)


def _reference_at(venue: Venue, symbol: Symbol, ts_ns: int) -> int | None:
    venue.ts_ns = ts_ns
    return reference_price(venue, symbol)


def test_reference_price_is_the_mean_of_sixteen_buckets_and_then_the_last_price() -> None:
    venue, symbol = _market(REFERENCE_WINDOW_NS=160)
    assert _reference_at(venue, symbol, 5) is None
    _trade(venue, symbol, 5, 100, 3)
    _trade(venue, symbol, 15, 101, 1)
    assert _reference_at(venue, symbol, 15) == 100
    _trade(venue, symbol, 159, 200, 4)
    assert _reference_at(venue, symbol, 159) == (3 * 100 + 101 + 4 * 200) // 8
    assert _reference_at(venue, symbol, 160) == (101 + 4 * 200) // 5
    symbol.last_ticks = 77
    assert _reference_at(venue, symbol, 309) == 200
    assert _reference_at(venue, symbol, 310) == 77
    _trade(venue, symbol, 310, 50, 1)
    assert list(symbol.guard.reference.buckets) == [31]


def test_reference_price_without_window_is_the_last_price() -> None:
    venue, symbol = _market()
    _trade(venue, symbol, 5, 100, 3)
    assert not symbol.guard.reference.buckets
    assert reference_price(venue, symbol) == 100


def test_bucket_that_is_full_takes_no_more_and_a_trade_weighs_no_more_than_it_may() -> None:
    venue, symbol = _market(REFERENCE_WINDOW_NS=16)
    for _ in range(2**10 + 5):
        _trade(venue, symbol, 3, 10, 2**45)
    bucket = symbol.guard.reference.buckets[3]
    assert (bucket.lots, bucket.price_lots) == (2**50, 10 * 2**50)


def test_window_shorter_than_sixteen_nanoseconds_has_buckets_of_one() -> None:
    assert [bucket_number(7, window) for window in (1, 15, 16, 31, 32)] == [7, 7, 7, 7, 3]


def test_collar_of_one_direction_leaves_the_other_open() -> None:
    venue, symbol = _market(BID_UP_BIPS=11_000, ASK_DOWN_BIPS=9_000)
    assert bounds(venue, symbol, COLLARS[Side.BUY]).allows(10**9)
    symbol.last_ticks = 105
    bid, ask = (bounds(venue, symbol, COLLARS[side]) for side in Side)
    assert [bid.allows(price) for price in (1, 115, 116)] == [True, True, False]
    assert [ask.allows(price) for price in (93, 94, 10**9)] == [False, True, True]


def test_breaker_window_forgets_what_is_sixteen_buckets_old() -> None:
    window = BreakerWindow()
    for number, price in ((0, 90), (3, 110), (3, 100), (15, 105)):
        window.add(number, price)
    assert window.extremes() == (90, 110)
    window.add(16, 104)
    assert window.extremes() == (100, 110)
    window.add(40, 7)
    assert window.extremes() == (7, 7)


def test_rate_window_starts_with_the_first_order_after_the_last_one_ended() -> None:
    rate = Rate()
    for ts_ns in (5, 9):
        rate.count(ts_ns, 10)
    assert (rate.so_far(14, 10), rate.so_far(15, 10)) == (2, 0)
    rate.count(23, 10)
    assert (rate.start_ts_ns, rate.orders) == (23, 1)


def test_key_begins_each_day_with_nothing_used() -> None:
    key = KeyGuard(asset=2, max_atoms=100)
    key.use(3, 60)
    key.use(3, 30)
    assert (key.used_on(3), key.used_on(4)) == (90, 0)
    key.use(4, 5)
    assert (key.day, key.used_atoms) == (4, 5)


@pytest.mark.parametrize(
    ("bids", "asks", "last_ticks", "expected"),
    [
        ([], [(100, 5)], 0, NOTHING),
        ([(99, 5)], [(100, 5)], 0, NOTHING),
        ([(101, 5)], [(100, 3)], 0, Crossing(100, 3, 2)),  # both prices trade 3 and leave 2: the lower
        ([(101, 5)], [(100, 3)], 101, Crossing(101, 3, 2)),  # the nearer to the last price
        ([(103, 5), (101, 5)], [(99, 4), (102, 3)], 0, Crossing(102, 5, -2)),  # most volume
        ([(102, 5), (101, 2)], [(100, 5)], 0, Crossing(102, 5, 0)),  # least imbalance
        ([(102, 5)], [(98, 5)], 100, Crossing(98, 5, 0)),  # equally near: the lower
    ],
)
def test_auction_price(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], last_ticks: int, expected: Crossing
) -> None:
    assert crossing(bids, asks, last_ticks) == expected


def test_auction_at_its_price_leaves_no_book_crossed() -> None:
    chance = random.Random(5)
    for _ in range(300):
        bids, asks = ([(chance.randint(1, 12), chance.randint(1, 9)) for _ in range(6)] for _ in Side)
        found = crossing(bids, asks, chance.randint(0, 12))
        demand = sorted((bid for bid in bids if bid[0] >= found.price_ticks), reverse=True)
        supply = sorted(ask for ask in asks if ask[0] <= found.price_ticks)
        left_bids = [b for b in bids if b not in demand] + _after(demand, found.lots)
        left_asks = [a for a in asks if a not in supply] + _after(supply, found.lots)
        assert crossing(left_bids, left_asks, 0) == NOTHING


def _after(queue: list[tuple[int, int]], lots: int) -> list[tuple[int, int]]:
    """A queue after this many lots of it were filled from the front."""
    left = []
    for price, leaves in queue:
        filled = min(lots, leaves)
        lots -= filled
        if leaves > filled:
            left.append((price, leaves - filled))
    return left
