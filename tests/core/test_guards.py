"""Collars, ranges, positions, exposures, rates, keys and the breaker, by hand-made runs and by Python's integers."""

from __future__ import annotations

import random
from typing import Any

import pytest

from exchange.core.codes import (
    AccountRule,
    CloseReason,
    CommandKind,
    EventKind,
    OrderType,
    PegType,
    Phase,
    RejectCode,
    Scope,
    Side,
    SymbolRule,
    TimeInForce,
)
from exchange.core.compile import i64
from exchange.core.reference_price import LOTS_MAX, TRADE_LOTS_MAX, product, quotient
from exchange.core.state import MAX_ATOMS
from tests.core.guarded_venue import ANN, BOB, CID, RICH, Told, Venue, fields, kinds, refused

BUY, SELL = Side.BUY, Side.SELL
E, R, C, T = EventKind, RejectCode, CloseReason, SymbolRule
DAY_NS = 86_400 * 10**9
IOC = {"time_in_force": TimeInForce.IOC}


def _trade(venue: Venue, lots: int, price: int) -> Told:
    """Bob sells to Ann."""
    venue.place(BOB, SELL, lots, price)
    return venue.place(ANN, BUY, lots, price)


def _reasons(told: Told) -> list[tuple[int, ...]]:
    return fields(told, E.ORDER_CLOSED, "reason", "qty_lots")


# ---- the reference price ------------------------------------------------------------------------------------------


def test_product_and_quotient_of_two_limbs_are_those_of_integers() -> None:
    chance = random.Random(1)
    edges = [1, 2, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, (1 << 40) - 1, TRADE_LOTS_MAX, (1 << 61) + 1, MAX_ATOMS]
    prices = edges + [chance.randrange(1, 1 << chance.randrange(2, 63)) for _ in range(200)]
    weights = [edge for edge in edges if edge <= TRADE_LOTS_MAX]
    weights += [chance.randrange(1, 1 << chance.randrange(2, 41)) for _ in range(20)]
    for price in prices:
        for lots in weights:
            high, low = (int(limb) for limb in product(i64(price), i64(lots)))
            assert 0 <= low <= MAX_ATOMS
            assert (high << 62) + low == price * lots
            assert int(quotient(i64(high), i64(low), i64(lots))) == price
            more = lots + chance.randrange(LOTS_MAX * 20)
            assert int(quotient(i64(high), i64(low), i64(more))) == price * lots // more


def test_reference_price_is_the_mean_by_volume_of_the_trades_in_the_window() -> None:
    venue = Venue()
    venue.rule(T.BID_UP_BIPS, 10_000)
    venue.rule(T.REFERENCE_WINDOW_NS, 1_600)
    assert refused(venue.place(CID, BUY, 1, 99_999)) == 0  # no reference yet
    venue.run(CommandKind.CANCEL_ALL, account=CID)
    _trade(venue, 1, 100)
    assert venue.exchange.canonical()["reference_bucket"] == [(1, 10, 1, 0, 100)]
    venue.ts_ns = 1_100
    venue.rule(T.BID_UP_BIPS, 0)
    _trade(venue, 3, 200)
    venue.rule(T.BID_UP_BIPS, 10_000)
    assert refused(venue.place(CID, BUY, 1, 176)) == R.PRICE_OUT_OF_COLLAR
    assert refused(venue.place(CID, BUY, 1, 175)) == 0
    venue.run(CommandKind.CANCEL_ALL, account=CID)
    venue.ts_ns = 2_599  # bucket 25: 10 .. 25 count
    assert refused(venue.place(CID, BUY, 1, 176)) == R.PRICE_OUT_OF_COLLAR
    venue.ts_ns = 2_600  # 11 .. 26
    assert refused(venue.place(CID, BUY, 1, 176)) == 0
    venue.run(CommandKind.CANCEL_ALL, account=CID)
    assert refused(venue.place(CID, BUY, 1, 201)) == R.PRICE_OUT_OF_COLLAR
    venue.ts_ns = 2_700  # nothing in the window: the last price
    assert refused(venue.place(CID, BUY, 1, 201)) == R.PRICE_OUT_OF_COLLAR
    assert venue.exchange.canonical()["reference_bucket"] == [(1, 10, 1, 0, 100), (1, 11, 3, 0, 600)]
    venue.rule(T.BID_UP_BIPS, 0)
    venue.ts_ns = 2_600
    venue.ts_ns = 2_700
    _trade(venue, 1, 50)
    assert venue.exchange.canonical()["reference_bucket"] == [(1, 27, 1, 0, 50)]
    venue.rule(T.REFERENCE_WINDOW_NS, 1_600)
    assert venue.exchange.canonical()["reference_bucket"] == []


# ---- collars ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "side", "inside", "outside"),
    [
        (T.BID_UP_BIPS, BUY, 105, 106),
        (T.BID_DOWN_BIPS, BUY, 105, 104),
        (T.ASK_UP_BIPS, SELL, 105, 106),
        (T.ASK_DOWN_BIPS, SELL, 105, 104),
    ],
)
def test_price_outside_its_collar_is_refused(rule: SymbolRule, side: Side, inside: int, outside: int) -> None:
    venue = Venue()
    _trade(venue, 1, 100)
    venue.rule(rule, 10_500)
    assert refused(venue.place(CID, side, 1, outside)) == R.PRICE_OUT_OF_COLLAR
    assert refused(venue.place(CID, side, 1, inside)) == 0
    assert refused(venue.place(CID, Side(1 - side), 1, outside)) == 0
    assert refused(venue.place(CID, side, 1, outside, symbol=2)) == 0
    venue.rule(rule, 0)
    assert refused(venue.place(CID, side, 1, outside)) == 0


def test_collar_judges_stops_with_a_limit_and_pegs_but_no_market() -> None:
    venue = Venue()
    _trade(venue, 1, 100)
    venue.place(BOB, BUY, 1, 90)
    venue.rule(T.BID_DOWN_BIPS, 9_500)
    limit = {"order_type": OrderType.STOP_LOSS_LIMIT, "stop_price_ticks": 120}
    assert refused(venue.place(CID, BUY, 1, 94, **limit)) == R.PRICE_OUT_OF_COLLAR
    peg = {"peg_type": PegType.PRIMARY_PEG, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC}
    assert refused(venue.place(CID, BUY, 1, **peg)) == R.PRICE_OUT_OF_COLLAR
    assert refused(venue.place(CID, BUY, 1)) == 0
    stop = {"order_type": OrderType.STOP_LOSS, "stop_price_ticks": 120}
    assert refused(venue.place(CID, BUY, 1, **stop)) == 0


# ---- the range ----------------------------------------------------------------------------------------------------


def _asks(venue: Venue, *prices: int) -> None:
    for price in prices:
        venue.place(BOB, SELL, 1, price)


@pytest.mark.parametrize("price", [0, 120])
def test_taker_trades_within_the_range_and_what_is_left_closes(price: int) -> None:
    venue = Venue()
    _trade(venue, 1, 100)
    venue.rule(T.RANGE_UP_BIPS, 10_500)
    _asks(venue, 104, 105, 106)
    told = venue.place(ANN, BUY, 5, price)
    assert fields(told, E.TRADE, "price_ticks") == [(104,), (105,)]
    assert _reasons(told) == [(C.PRICE_RANGE, 3)]
    assert venue.state.balances[ANN * len(venue.state.assets) + 2].locked == 0


def test_range_ends_an_order_only_if_its_limit_would_have_gone_on() -> None:
    venue = Venue()
    _trade(venue, 1, 100)
    venue.rule(T.RANGE_UP_BIPS, 10_500)
    _asks(venue, 104, 110)
    told = venue.place(ANN, BUY, 5, 105)
    assert kinds(told) == [E.ORDER_ACCEPTED, E.TRADE]  # the rest rests
    assert _reasons(venue.place(ANN, BUY, 5, 105, **IOC)) == [(C.IOC_REMAINDER, 5)]
    assert _reasons(venue.place(CID, BUY, 1, 110, time_in_force=TimeInForce.FOK)) == [(C.FOK_UNFILLABLE, 1)]
    assert _reasons(venue.place(CID, BUY, 0, quote_atoms=50)) == [(C.NO_LIQUIDITY, 0)]
    assert _reasons(venue.place(CID, BUY, 3)) == [(C.PRICE_RANGE, 3)]


def test_range_holds_a_seller_from_both_sides() -> None:
    venue = Venue()
    _trade(venue, 1, 100)
    venue.rule(T.RANGE_DOWN_BIPS, 9_500)
    venue.place(BOB, BUY, 1, 95)
    venue.place(BOB, BUY, 1, 94)
    told = venue.place(CID, SELL, 2)
    assert fields(told, E.TRADE, "price_ticks") == [(95,)]
    assert _reasons(told) == [(C.PRICE_RANGE, 1)]
    venue.rule(T.RANGE_UP_BIPS, 9_600)  # of the last price, 95: 91
    venue.rule(T.RANGE_DOWN_BIPS, 0)
    assert _reasons(venue.place(CID, SELL, 1, 90)) == [(C.PRICE_RANGE, 1)]


def test_stop_that_enters_keeps_to_the_range() -> None:
    venue = Venue()
    _trade(venue, 1, 100)
    venue.rule(T.RANGE_UP_BIPS, 10_500)
    _asks(venue, 104, 109, 110)
    stop = {"order_type": OrderType.STOP_LOSS, "stop_price_ticks": 104}
    venue.place(CID, BUY, 3, **stop)
    told = venue.place(ANN, BUY, 1, 104)
    assert fields(told, E.TRADE, "price_ticks") == [(104,), (109,)]
    assert _reasons(told) == [(C.PRICE_RANGE, 2)]


# ---- position, exposure, rate, key --------------------------------------------------------------------------------


def test_position_counts_what_is_owned_and_what_is_bid_for() -> None:
    venue = Venue()
    venue.rule(T.POSITION_MAX_LOTS, RICH + 10)
    venue.place(ANN, BUY, 4, 90)
    venue.place(ANN, BUY, 3, order_type=OrderType.STOP_LOSS, stop_price_ticks=120)
    venue.place(ANN, SELL, 50, 200)
    assert refused(venue.place(ANN, BUY, 4, 90)) == R.POSITION_TOO_HIGH
    assert refused(venue.place(ANN, BUY, 3, 90)) == 0
    assert refused(venue.place(ANN, SELL, 1, 200)) == 0
    _asks(venue, 100, 100)
    assert refused(venue.place(ANN, BUY, 0, quote_atoms=100)) == R.POSITION_TOO_HIGH
    assert refused(venue.place(BOB, BUY, 10, 90)) == 0
    assert refused(venue.place(BOB, BUY, 1, 90)) == R.POSITION_TOO_HIGH


def test_exposure_is_what_is_locked_and_would_be() -> None:
    venue = Venue()
    said = {"scope": Scope.ACCOUNT, "account": ANN, "rule": AccountRule.LOCKED_MAX_ATOMS, "asset": 2}
    venue.run(CommandKind.SET_RULE, **said, value=1_000)
    venue.run(CommandKind.WITHDRAW_HOLD, account=ANN, asset=2, amount_atoms=100, transfer_id=1)
    assert refused(venue.place(ANN, BUY, 9, 101)) == R.EXPOSURE_TOO_HIGH
    assert refused(venue.place(ANN, BUY, 9, 100)) == 0
    assert refused(venue.place(ANN, BUY, 1, 1, symbol=2)) == R.EXPOSURE_TOO_HIGH
    assert refused(venue.place(ANN, SELL, 500, 100_000)) == 0
    _asks(venue, 100)
    assert refused(venue.place(ANN, BUY, 1)) == R.EXPOSURE_TOO_HIGH
    assert refused(venue.place(ANN, BUY, 1_000, 100_000)) == R.EXPOSURE_TOO_HIGH


def test_order_rate_counts_accepted_orders_of_a_window() -> None:
    venue = Venue()
    for rule, value in ((AccountRule.ORDERS_MAX, 2), (AccountRule.ORDERS_WINDOW_NS, 100)):
        venue.run(CommandKind.SET_RULE, scope=Scope.ACCOUNT, account=ANN, rule=rule, value=value)
    assert refused(venue.place(ANN, BUY, 1, 0)) == 0
    assert refused(venue.place(ANN, BUY, 1, 200_000)) == R.PRICE_TOO_HIGH
    venue.ts_ns += 99
    assert refused(venue.place(ANN, BUY, 1, 10, symbol=2)) == 0
    assert venue.exchange.canonical()["rate"] == [(ANN, 1_000, 2)]
    assert refused(venue.place(ANN, BUY, 1, 10)) == R.ORDER_RATE_TOO_HIGH
    assert refused(venue.place(BOB, BUY, 1, 10)) == 0
    venue.ts_ns += 1
    assert refused(venue.place(ANN, BUY, 1, 10)) == 0
    assert venue.exchange.canonical()["rate"] == [(ANN, 1_100, 1)]
    said = {"scope": Scope.ACCOUNT, "account": ANN, "rule": AccountRule.ORDERS_MAX}
    venue.run(CommandKind.SET_RULE, **said, value=1)
    assert venue.exchange.canonical()["rate"] == []
    assert refused(venue.place(ANN, BUY, 1, 10)) == 0
    assert refused(venue.place(ANN, BUY, 1, 10)) == R.ORDER_RATE_TOO_HIGH


def test_key_uses_up_its_day() -> None:
    venue = Venue()
    said: dict[str, Any] = {"scope": Scope.KEY, "key": 5, "asset": 2}
    venue.run(CommandKind.SET_RULE, **said, value=1_000)
    venue.ts_ns = 3 * DAY_NS - 1
    assert refused(venue.place(ANN, BUY, 6, 100, key=5)) == 0
    assert venue.exchange.canonical()["key"] == [(5, 2, 2, 600)]
    assert refused(venue.place(BOB, SELL, 5, 100_000, key=5)) == R.KEY_NOTIONAL_TOO_HIGH
    assert refused(venue.place(BOB, SELL, 5, 100_000, key=6)) == 0
    stop = {"order_type": OrderType.STOP_LOSS, "stop_price_ticks": 120}
    assert refused(venue.place(ANN, BUY, 100, **stop, key=5)) == 0
    assert refused(venue.place(BOB, BUY, 0, quote_atoms=401, key=5)) == R.KEY_NOTIONAL_TOO_HIGH
    assert refused(venue.place(BOB, BUY, 0, quote_atoms=400, key=5)) == 0
    assert venue.exchange.canonical()["key"] == [(5, 2, 2, 1_000)]
    venue.run(CommandKind.CANCEL_ALL, account=ANN)
    assert refused(venue.place(ANN, BUY, 1, 1, key=5)) == R.KEY_NOTIONAL_TOO_HIGH
    venue.ts_ns += 1
    assert refused(venue.place(ANN, BUY, 1, 1, key=5)) == 0
    assert venue.exchange.canonical()["key"] == [(5, 2, 3, 1)]
    venue.run(CommandKind.SET_RULE, **(said | {"asset": 1}), value=1_000)
    assert venue.exchange.canonical()["key"] == []
    assert refused(venue.place(ANN, BUY, 6, 10_000, key=5)) == 0


def test_guards_are_judged_in_the_order_of_their_codes() -> None:
    venue = Venue()
    _trade(venue, 1, 100)
    for rule, value in ((T.POSITION_MAX_LOTS, 1), (T.BID_UP_BIPS, 1)):
        venue.rule(rule, value)
    said = {"scope": Scope.ACCOUNT, "account": ANN}
    for account_rule, asset, value in ((1, 0, 1), (2, 0, 10**9), (3, 2, 1)):
        venue.run(CommandKind.SET_RULE, **said, rule=account_rule, asset=asset, value=value)
    venue.run(CommandKind.SET_RULE, scope=Scope.KEY, key=5, asset=2, value=1)
    order: dict[str, Any] = {"account": ANN, "side": BUY, "lots": 2, "price": 100_000, "key": 5}
    found = []
    venue.place(BOB, SELL, 1, 100, symbol=2)
    venue.run(CommandKind.SET_RULE, **said, rule=3, asset=2, value=0)
    venue.place(ANN, BUY, 1, 100, symbol=2)  # the rate is used up
    venue.run(CommandKind.SET_RULE, **said, rule=3, asset=2, value=1)
    guards = ({"rule": T.BID_UP_BIPS}, {"rule": T.POSITION_MAX_LOTS}, {"scope": 2, "rule": 3}, {"scope": 2, "rule": 1})
    for off in guards:
        found.append(refused(venue.place(**order)))
        venue.run(CommandKind.SET_RULE, **({"scope": 1, "symbol": 1, "account": ANN, "asset": 2, "value": 0} | off))
    found.append(refused(venue.place(**order)))
    assert found == [
        R.PRICE_OUT_OF_COLLAR,
        R.POSITION_TOO_HIGH,
        R.EXPOSURE_TOO_HIGH,
        R.ORDER_RATE_TOO_HIGH,
        R.KEY_NOTIONAL_TOO_HIGH,
    ]


# ---- the breaker --------------------------------------------------------------------------------------------------


def _broken() -> tuple[Venue, Told]:
    """A breaker of 10 % in 1600 ns that a taker trips at 112 after a trade at 100; a stop waits at 105."""
    venue = Venue()
    for rule, value in ((T.BREAKER_BIPS, 1_000), (T.BREAKER_WINDOW_NS, 1_600), (T.BREAKER_PAUSE_NS, 50)):
        venue.rule(rule, value)
    venue.rule(T.AUCTION_NS, 70)
    _trade(venue, 1, 100)
    venue.place(CID, BUY, 1, order_type=OrderType.STOP_LOSS, stop_price_ticks=105)
    _asks(venue, 110, 112, 113)
    assert E.BREAKER_TRIPPED not in kinds(venue.place(ANN, BUY, 1, 104))
    return venue, venue.place(ANN, BUY, 3, 112)


def test_breaker_trips_after_the_order_that_moved_too_far_and_before_turns() -> None:
    venue, told = _broken()
    assert kinds(told) == [E.ORDER_ACCEPTED, E.TRADE, E.TRADE, E.BREAKER_TRIPPED]
    assert fields(told, E.BREAKER_TRIPPED, "price_ticks", "low_ticks", "high_ticks", "end_ts_ns") == [
        (112, 100, 112, 1_050)
    ]
    assert venue.state.markets[1].phase == Phase.PAUSED
    assert venue.exchange.canonical()["breaker_bucket"] == []
    assert refused(venue.place(ANN, BUY, 1, 1)) == R.SYMBOL_CLOSED
    assert refused(venue.place(ANN, BUY, 1, 1, iceberg_lots=1)) == R.SYMBOL_CLOSED
    assert kinds(venue.tick(1_049)) == [E.TICKED]
    told = venue.tick(1_051)
    assert fields(told, E.AUCTION_STARTED, "symbol", "end_ts_ns") == [(1, 1_121)]
    assert kinds(told) == [E.AUCTION_STARTED, E.TICKED]
    assert kinds(venue.tick(1_121)) == [E.AUCTION_ENDED, E.ORDER_ENTERED, E.TRADE, E.TICKED]
    assert venue.state.markets[1].phase == Phase.CONTINUOUS


def test_breaker_forgets_prices_older_than_its_window() -> None:
    venue = Venue()
    venue.rule(T.BREAKER_BIPS, 1_000)
    venue.rule(T.BREAKER_WINDOW_NS, 1_600)
    _trade(venue, 1, 100)
    venue.ts_ns = 2_599
    assert E.BREAKER_TRIPPED not in kinds(_trade(venue, 1, 110))
    venue.ts_ns = 2_600
    assert E.BREAKER_TRIPPED not in kinds(_trade(venue, 1, 112))
    assert venue.exchange.canonical()["breaker_bucket"] == [(1, 25, 110, 110), (1, 26, 112, 112)]
    assert fields(_trade(venue, 1, 98), E.BREAKER_TRIPPED, "low_ticks", "high_ticks") == [(98, 112)]
