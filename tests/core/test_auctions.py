"""Auctions, by hand-made runs and against a price found by trying every price."""

from __future__ import annotations

import random
from typing import Any

import pytest

from exchange.core.auction import auction_price
from exchange.core.codes import (
    AccountRule,
    AuctionAction,
    CommandKind,
    EventFlag,
    EventKind,
    OrderType,
    PegType,
    Phase,
    RejectCode,
    Scope,
    Side,
    StpMode,
    SymbolRule,
    TimeInForce,
    TradingMode,
)
from exchange.core.compile import i64
from exchange.core.readers import next_due_ts_ns
from exchange.core.state import MAX_ATOMS
from tests.core.differential import NIGHTS
from tests.core.guarded_venue import ANN, BOB, CID, Told, Venue, fields, kinds, refused

BUY, SELL = Side.BUY, Side.SELL
E, R = EventKind, RejectCode


def _start(venue: Venue, end_ts_ns: int = 0) -> Told:
    return venue.run(CommandKind.AUCTION, symbol=1, action=AuctionAction.START, end_ts_ns=end_ts_ns)


def _uncross(venue: Venue) -> Told:
    return venue.run(CommandKind.AUCTION, symbol=1, action=AuctionAction.UNCROSS)


def _collecting(**parameters: int) -> Venue:
    venue = Venue(**parameters)
    _start(venue)
    return venue


def test_auction_collects_without_matching_and_meets_at_one_price() -> None:
    venue = _collecting()
    for account, side, lots, price in ((ANN, BUY, 5, 105), (BOB, SELL, 3, 95), (CID, SELL, 4, 100), (CID, BUY, 1, 90)):
        assert kinds(venue.place(account, side, lots, price)) == [E.ORDER_ACCEPTED]
    told = venue.tick()
    assert fields(told, E.AUCTION_INDICATED, "symbol", "price_ticks", "qty_lots", "imbalance_lots") == [(1, 100, 5, -2)]
    assert venue.exchange.canonical()["market"] == [(1, 0, 0, 0, Phase.AUCTION, 0, 100, 5)]
    assert kinds(venue.tick()) == [E.TICKED]
    told = _uncross(venue)
    assert kinds(told) == [E.ORDER_SHOWN, E.ORDER_SHOWN, E.TRADE] * 2 + [E.AUCTION_ENDED]
    assert fields(told, E.ORDER_SHOWN, "order_id", "price_ticks", "qty_lots") == [
        (2, 95, -3),
        (1, 105, -3),
        (3, 100, -2),
        (1, 105, -2),
    ]
    assert fields(told, E.TRADE, "price_ticks", "qty_lots", "side", "taker_order_id", "taker_release_atoms") == [
        (100, 3, BUY, 1, 15),
        (100, 2, BUY, 1, 10),
    ]
    assert {event["flags"] & ~EventFlag.LAST for event in told[:-1]} == {EventFlag.OFF_BOOK}
    assert fields(told, E.AUCTION_ENDED, "price_ticks", "qty_lots", "trades_count") == [(100, 5, 2)]
    assert venue.exchange.canonical()["market"] == [(1, 100, 0, 0, 0, 0, 0, 0)]
    assert not venue.state.markets[1].guarded


def test_both_pay_their_makers_rate() -> None:
    venue = _collecting(maker_fee_ppm=10_000, taker_fee_ppm=50_000)
    venue.place(ANN, BUY, 100, 10)
    venue.place(BOB, SELL, 100, 10)
    assert fields(_uncross(venue), E.TRADE, "taker_fee_atoms", "maker_fee_atoms") == [(1, 10)]


def _best(bids: list[tuple[int, int]], asks: list[tuple[int, int]], last: int) -> tuple[int, int, int]:
    """The price by the words of the page: every price at which an order stands is tried."""
    if not bids or not asks or max(bids)[0] < min(asks)[0]:
        return 0, 0, 0
    top, low = max(bids)[0], min(asks)[0]
    prices = {price for price, _ in bids if price >= low} | {price for price, _ in asks if price <= top}
    tried: list[tuple[tuple[int, ...], tuple[int, int, int]]] = []
    for price in prices:
        demand = sum(lots for bid, lots in bids if bid >= price)
        supply = sum(lots for ask, lots in asks if ask <= price)
        volume, gap = min(demand, supply), demand - supply
        tried.append(((-volume, abs(gap), abs(price - last) if last else 0, price), (price, volume, gap)))
    return min(tried)[1]


@pytest.mark.parametrize("seed", range(40))
def test_auction_price_is_the_best_of_all_prices_and_uncrosses_the_book(seed: int) -> None:
    chance = random.Random(seed)
    venue = Venue()
    if seed % 3:
        venue.place(BOB, SELL, 1, 100 + seed % 7)
        venue.place(ANN, BUY, 1, 100 + seed % 7)
    _start(venue)
    books: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for _ in range(chance.randrange(12)):
        side = Side(chance.randrange(2))
        price, lots = 100 + chance.randrange(-6, 7), chance.randrange(1, 6)
        iceberg = chance.randrange(1, lots + 1) if chance.random() < 0.4 else 0
        venue.place(ANN if side == BUY else BOB, side, lots, price, iceberg_lots=iceberg)
        books[side].append((price, lots))
    last = int(venue.state.markets[1].last_ticks)
    expected = _best(*books, last)
    assert tuple(int(one) for one in auction_price(venue.state, i64(1))) == expected
    told = _uncross(venue)
    assert fields(told, E.AUCTION_ENDED, "price_ticks", "qty_lots") == [expected[:2]]
    assert sum(lots for (lots,) in fields(told, E.TRADE, "qty_lots")) == expected[1]


@pytest.mark.parametrize(
    ("mode", "prevented", "left"),
    [
        (StpMode.EXPIRE_TAKER, (3, 0), [(BUY, 5)]),
        (StpMode.EXPIRE_MAKER, (0, 5), [(SELL, 3)]),
        (StpMode.EXPIRE_BOTH, (3, 5), []),
        (StpMode.DECREMENT, (2, 2), [(BUY, 3), (SELL, 1)]),
    ],
)
def test_orders_of_one_group_are_kept_apart_by_the_youngers_mode(
    mode: StpMode, prevented: tuple[int, int], left: list[tuple[int, int]]
) -> None:
    venue = Venue()
    for account in (ANN, BOB):
        said = {"account": account, "rule": AccountRule.TRADE_GROUP, "value": 9}
        venue.run(CommandKind.SET_RULE, scope=Scope.ACCOUNT, **said)
    _start(venue)
    venue.place(ANN, BUY, 5, 105, iceberg_lots=2)
    venue.place(BOB, SELL, 3, 95, stp_mode=mode)
    if mode == StpMode.DECREMENT:
        told = _uncross(venue)
        # 2 of the part, then 1 of the next part
        assert fields(told, E.PREVENTED, "taker_prevented_lots", "maker_prevented_lots") == [(2, 2), (1, 1)]
        return
    told = _uncross(venue)
    assert fields(told, E.PREVENTED, "taker_order_id", "maker_order_id", "price_ticks", "maker_account") == [
        (2, 1, 105, ANN)
    ]
    assert fields(told, E.PREVENTED, "taker_prevented_lots", "maker_prevented_lots") == [prevented]
    shown = [(1, -2)] * (prevented[1] > 0) + [(2, -3)] * (prevented[0] > 0)
    assert fields(told, E.ORDER_SHOWN, "order_id", "qty_lots") == shown
    assert fields(told, E.AUCTION_ENDED, "price_ticks", "trades_count") == [(0, 0)]
    rows = [(row[3], row[8]) for row in venue.exchange.canonical()["order"]]
    assert rows == left


def test_book_that_is_still_crossed_after_a_prevention_finds_its_price_anew() -> None:
    venue = _collecting()
    venue.place(ANN, BUY, 10, 110)
    venue.place(ANN, SELL, 10, 90, stp_mode=StpMode.EXPIRE_BOTH)
    venue.place(BOB, BUY, 4, 104)
    venue.place(CID, SELL, 4, 103)
    told = _uncross(venue)
    assert fields(told, E.TRADE, "price_ticks", "qty_lots") == [(103, 4)]
    assert fields(told, E.AUCTION_ENDED, "price_ticks", "qty_lots", "trades_count") == [(103, 4, 1)]


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"price": 0}, R.AUCTION_ORDER),
        ({"price": 100, "time_in_force": TimeInForce.IOC}, R.AUCTION_ORDER),
        ({"price": 100, "time_in_force": TimeInForce.FOK}, R.AUCTION_ORDER),
        ({"price": 100, "order_type": OrderType.LIMIT_MAKER}, R.AUCTION_ORDER),
        ({"peg_type": PegType.PRIMARY_PEG, "order_type": OrderType.LIMIT, "time_in_force": 1}, R.AUCTION_ORDER),
        ({"price": 100, "time_in_force": TimeInForce.GTD, "expire_ts_ns": 5_000}, R.NONE),
        ({"price": 100, "iceberg_lots": 1}, R.NONE),
        ({"order_type": OrderType.STOP_LOSS, "stop_price_ticks": 90}, R.NONE),
    ],
)
def test_auction_takes_orders_that_can_wait(order: dict[str, Any], code: RejectCode) -> None:
    venue = _collecting()
    venue.place(BOB, BUY, 1, 90)
    assert refused(venue.place(ANN, BUY, 2, **order)) == code


def test_auction_that_is_over_ends_with_a_tick_when_venue_and_symbol_are_open() -> None:
    venue = Venue()
    assert fields(_start(venue, 2_000), E.AUCTION_STARTED, "end_ts_ns") == [(2_000,)]
    venue.run(CommandKind.AUCTION, symbol=2, action=AuctionAction.START, end_ts_ns=1_900)
    venue.place(ANN, BUY, 1, 100)
    venue.place(BOB, SELL, 1, 100)
    venue.run(CommandKind.SET_TRADING_MODE, scope=Scope.SYMBOL, symbol=1, mode=TradingMode.CANCEL_ONLY)
    assert kinds(venue.tick(2_000)) == [E.AUCTION_INDICATED, E.AUCTION_ENDED, E.TICKED]
    assert refused(_uncross(venue)) == R.INVALID_AUCTION
    assert next_due_ts_ns(venue.state) == 0
    venue.run(CommandKind.SET_TRADING_MODE, scope=Scope.SYMBOL, symbol=1, mode=TradingMode.OPEN)
    assert next_due_ts_ns(venue.state) == 2_000
    venue.run(CommandKind.AUCTION, symbol=2, action=AuctionAction.START, end_ts_ns=2_001)
    told = venue.tick(2_001)
    assert fields(told, E.AUCTION_ENDED, "symbol", "qty_lots") == [(1, 1)]
    assert fields(venue.tick(), E.AUCTION_ENDED, "symbol", "qty_lots") == [(2, 0)]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"symbol": 9}, R.UNKNOWN_SYMBOL),
        ({"symbol": 1, "action": 3}, R.INVALID_AUCTION),
        ({"symbol": 1, "action": AuctionAction.START}, R.INVALID_AUCTION),
        ({"symbol": 2, "action": AuctionAction.START, "end_ts_ns": 1_000}, R.INVALID_AUCTION),
        ({"symbol": 2, "action": AuctionAction.UNCROSS}, R.INVALID_AUCTION),
    ],
)
def test_auction_command_that_is_wrong_is_refused(said: dict[str, int], code: RejectCode) -> None:
    assert refused(_collecting().run(CommandKind.AUCTION, **said)) == code


def test_stops_that_the_auction_calls_have_their_turn_after_it() -> None:
    venue = Venue()
    venue.place(CID, BUY, 1, order_type=OrderType.STOP_LOSS, stop_price_ticks=100)
    venue.place(CID, BUY, 1, order_type=OrderType.STOP_LOSS, stop_price_ticks=101)
    _start(venue)
    venue.place(ANN, BUY, 1, 100)
    venue.place(BOB, SELL, 1, 100)
    venue.place(BOB, SELL, 1, 106)
    told = _uncross(venue)
    assert kinds(told)[-5:] == [E.AUCTION_ENDED, E.ORDER_ENTERED, E.TRADE, E.ORDER_ENTERED, E.ORDER_CLOSED]
    assert {event["command_kind"] for event in told if "command_kind" in event} == {CommandKind.AUCTION}


@pytest.mark.parametrize("seed", range(6 * NIGHTS))
def test_venue_with_everything_at_once_keeps_its_invariants(seed: int) -> None:
    """Random commands with all guards, phases and sweeps; `Venue.run` checks every invariant after each."""
    chance = random.Random(seed)
    venue = Venue(accounts=4)
    limits = {SymbolRule.BREAKER_BIPS: 2_000, SymbolRule.POSITION_MAX_LOTS: MAX_ATOMS}
    told: set[EventKind] = set()
    for _ in range(400):
        venue.ts_ns += chance.choice((0, 1, 7, 40))
        symbol, account = chance.randrange(1, 3), ANN + chance.randrange(4)
        price, lots = 100 + chance.randrange(-12, 13), chance.randrange(1, 30)
        draw = chance.random()
        if draw < 0.6:
            extra: dict[str, Any] = {"stp_mode": chance.randrange(5), "symbol": symbol, "key": chance.randrange(3)}
            kind = chance.randrange(6)
            if kind == 1:
                extra |= {"iceberg_lots": chance.randrange(1, lots + 1)}
            elif kind == 2:
                extra |= {"order_type": chance.choice((5, 7)), "stop_price_ticks": price}
            elif kind == 3:
                extra |= {"time_in_force": chance.choice((2, 3))}
            elif kind == 4:
                extra |= {"order_type": OrderType.STOP_LOSS, "trailing_bips": 300, "time_in_force": 2}
                price = 0
            elif kind == 5:
                price = 0
            new = venue.place(account, Side(chance.randrange(2)), lots, price, **extra)
        elif draw < 0.75:
            new = venue.tick()
        elif draw < 0.82:
            end = chance.choice((0, venue.ts_ns + 30))
            new = venue.run(CommandKind.AUCTION, symbol=symbol, action=chance.randrange(1, 3), end_ts_ns=end)
        elif draw < 0.9:
            rule = chance.choice(list(SymbolRule))
            value = limits.get(rule, chance.choice((9_000, 11_000, 200, 5_000)))
            new = venue.rule(rule, 0 if chance.random() < 0.4 else value, symbol)
        elif draw < 0.93:
            said = {"account": account, "symbol": chance.choice((0, symbol)), "key": chance.randrange(3)}
            new = venue.run(CommandKind.COUNTDOWN, **said, countdown_ns=chance.choice((0, 50)))
        elif draw < 0.96:
            rule_of = {"scope": chance.choice((2, 3)), "rule": chance.randrange(4), "key": 1, "asset": 2}
            new = venue.run(CommandKind.SET_RULE, account=account, value=chance.choice((0, 5, 3_000)), **rule_of)
        else:
            said = {"scope": chance.randrange(4), "account": account, "symbol": symbol, "key": 1}
            new = venue.run(CommandKind.MASS_CANCEL, **said)
        told |= set(kinds(new))
    assert {E.TRADE, E.AUCTION_STARTED, E.AUCTION_ENDED, E.MASS_CANCELED, E.RULE_SET} <= told
