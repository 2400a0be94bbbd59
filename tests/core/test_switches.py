"""Rules, switches, sweeps and dead man's timers, by hand-made runs."""

from __future__ import annotations

import pytest

from exchange.core.codes import (
    AccountRule,
    CloseReason,
    CommandKind,
    EventKind,
    KeyRule,
    OrderType,
    RejectCode,
    Scope,
    Side,
    SymbolRule,
    TimeInForce,
    TradingMode,
)
from exchange.core.rules import SYMBOL_RULE_MAX
from exchange.core.state import EXPIRIES_PER_TICK, KEY_MAX, MASS_CANCEL_MAX
from tests.core.guarded_venue import ANN, BOB, CID, Venue, fields, kinds, refused

BUY, SELL = Side.BUY, Side.SELL
E = EventKind


@pytest.mark.parametrize("rule", list(SymbolRule))
def test_symbol_rule_within_its_bound_is_set_and_told_and_beyond_it_is_refused(rule: SymbolRule) -> None:
    venue = Venue()
    most = SYMBOL_RULE_MAX[rule]
    for value, code in ((most, 0), (0, 0), (1, 0), (-1, RejectCode.INVALID_RULE), (most + 1, RejectCode.INVALID_RULE)):
        told = venue.rule(rule, value)
        assert refused(told) == code
        assert told[0].get("value") == (None if code else value)
    rows = venue.exchange.canonical()
    assert rows["rule"] == [(Scope.SYMBOL, 1, rule, 0, 1)]
    assert rows["market"] == [(1, 0, 0, 0, 0, 0, 0, 0)]
    venue.rule(rule, 0)
    assert venue.exchange.canonical()["rule"] == []
    assert not venue.state.markets[1].guarded


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"scope": Scope.VENUE}, RejectCode.INVALID_RULE),
        ({"scope": Scope.WITHDRAWALS}, RejectCode.INVALID_RULE),
        ({"scope": Scope.SYMBOL, "rule": 18, "symbol": 9}, RejectCode.INVALID_RULE),
        ({"scope": Scope.SYMBOL, "symbol": 9, "value": -1}, RejectCode.UNKNOWN_SYMBOL),
        ({"scope": Scope.ACCOUNT, "rule": 4, "account": 99}, RejectCode.INVALID_RULE),
        ({"scope": Scope.ACCOUNT, "account": 99}, RejectCode.UNKNOWN_ACCOUNT),
        ({"scope": Scope.ACCOUNT, "account": 1}, RejectCode.UNKNOWN_ACCOUNT),
        ({"scope": Scope.ACCOUNT, "rule": 3, "account": 99, "asset": 9}, RejectCode.UNKNOWN_ACCOUNT),
        ({"scope": Scope.ACCOUNT, "rule": 3, "account": ANN, "asset": 9}, RejectCode.UNKNOWN_ASSET),
        ({"scope": Scope.KEY, "key": 0, "asset": 9}, RejectCode.UNKNOWN_ASSET),
        ({"scope": Scope.KEY, "key": 0, "asset": 1}, RejectCode.INVALID_RULE),
        ({"scope": Scope.KEY, "key": KEY_MAX + 1, "asset": 1}, RejectCode.INVALID_RULE),
        ({"scope": Scope.KEY, "rule": 1, "key": 1, "asset": 1}, RejectCode.INVALID_RULE),
    ],
)
def test_set_rule_that_is_wrong_is_refused_and_changes_nothing(said: dict[str, int], code: RejectCode) -> None:
    venue = Venue()
    before = venue.exchange.canonical() | {"venue": []}
    assert refused(venue.run(CommandKind.SET_RULE, **({"value": 1} | said))) == code
    assert venue.exchange.canonical() | {"venue": []} == before


def test_rules_of_accounts_and_keys_are_rows_and_zero_takes_them_away() -> None:
    venue = Venue()
    said = [
        {"scope": Scope.ACCOUNT, "account": ANN, "rule": AccountRule.TRADE_GROUP, "value": 7},
        {"scope": Scope.ACCOUNT, "account": ANN, "rule": AccountRule.ORDERS_MAX, "value": 3},
        {"scope": Scope.ACCOUNT, "account": ANN, "rule": AccountRule.LOCKED_MAX_ATOMS, "asset": 2, "value": 50},
        {"scope": Scope.KEY, "key": 40, "rule": KeyRule.NOTIONAL_DAY_MAX_ATOMS, "asset": 2, "value": 60},
    ]
    hashes = [venue.hash()]
    for one in said:
        told = venue.run(CommandKind.SET_RULE, **one)
        assert {name: told[0][name] for name in one} == one
        hashes.append(venue.hash())
    assert len(set(hashes)) == 5
    assert venue.exchange.canonical()["rule"] == [
        (2, ANN, 0, 0, 7),
        (2, ANN, 1, 0, 3),
        (2, ANN, 3, 2, 50),
        (3, 40, 0, 2, 60),
    ]
    assert venue.state.accounts[ANN].guarded == 1
    assert venue.state.header[0].key_guards == 1
    for one in said:
        venue.run(CommandKind.SET_RULE, **(one | {"value": 0}))
    assert venue.exchange.canonical()["rule"] == []
    assert venue.state.accounts[ANN].guarded == venue.state.header[0].key_guards == 0


def test_withdrawals_that_are_halted_stop_new_ones_only() -> None:
    venue = Venue()
    one = {"account": ANN, "asset": 2, "amount_atoms": 5, "transfer_id": 1}
    assert kinds(venue.run(CommandKind.WITHDRAW_HOLD, **one)) == [E.TRANSFERRED]
    switch = {"scope": Scope.WITHDRAWALS, "mode": TradingMode.HALTED}
    assert kinds(venue.run(CommandKind.SET_TRADING_MODE, **switch)) == [E.TRADING_MODE_SET]
    assert venue.exchange.canonical()["switches"] == [(TradingMode.HALTED,)]
    assert refused(venue.run(CommandKind.WITHDRAW_HOLD, **(one | {"transfer_id": 2}))) == RejectCode.WITHDRAWALS_CLOSED
    assert kinds(venue.run(CommandKind.WITHDRAW_HOLD, **one)) == [E.TRANSFER_DUPLICATE]
    assert kinds(venue.run(CommandKind.WITHDRAW_SETTLE, **one)) == [E.TRANSFERRED]
    switch["mode"] = TradingMode.CANCEL_ONLY
    assert refused(venue.run(CommandKind.SET_TRADING_MODE, **switch)) == RejectCode.INVALID_MODE
    switch["mode"] = TradingMode.OPEN
    assert kinds(venue.run(CommandKind.SET_TRADING_MODE, **switch)) == [E.TRADING_MODE_SET]
    assert kinds(venue.run(CommandKind.WITHDRAW_HOLD, **(one | {"transfer_id": 2}))) == [E.TRANSFERRED]
    assert venue.exchange.canonical()["switches"] == []


def test_skip_is_noted_and_what_is_skipped_is_refused() -> None:
    venue = Venue()
    assert fields(venue.run(CommandKind.SKIP, at_sequence=7), E.SKIP_NOTED, "at_sequence") == [(7,)]
    told = venue.run(CommandKind.SKIPPED)
    assert fields(told, E.REJECTED, "reject", "command_kind") == [(RejectCode.SKIPPED_BY_OPERATOR, CommandKind.SKIPPED)]


def _crowd() -> Venue:
    """Orders 1..8 of three people on two symbols: both books, both trigger sides, two keys."""
    venue = Venue()
    venue.place(ANN, BUY, 1, 90, key=5)
    venue.place(ANN, BUY, 1, 95)
    venue.place(BOB, SELL, 1, 105)
    venue.place(BOB, SELL, 1, 102, key=5)
    venue.place(CID, SELL, 1, 100, symbol=2)
    venue.place(ANN, BUY, 1, 100, symbol=2, time_in_force=TimeInForce.IOC)
    stop = {"order_type": OrderType.STOP_LOSS, "time_in_force": TimeInForce.IOC}
    venue.place(ANN, BUY, 1, stop_price_ticks=120, **stop)
    venue.place(ANN, SELL, 1, stop_price_ticks=80, key=5, **stop)
    venue.place(CID, BUY, 1, 50, symbol=2, iceberg_lots=1)
    return venue


@pytest.mark.parametrize(
    ("said", "closed"),
    [
        ({"scope": Scope.VENUE}, [2, 1, 4, 3, 8, 7, 9]),
        ({"scope": Scope.SYMBOL, "symbol": 1}, [2, 1, 4, 3, 8, 7]),
        ({"scope": Scope.SYMBOL, "symbol": 2}, [9]),
        ({"scope": Scope.ACCOUNT, "account": ANN}, [1, 2, 7, 8]),
        ({"scope": Scope.ACCOUNT, "account": ANN, "symbol": 2}, []),
        ({"scope": Scope.KEY, "account": ANN, "key": 5}, [1, 8]),
        ({"scope": Scope.KEY, "account": BOB, "key": 5}, [4]),
        ({"scope": Scope.KEY, "account": BOB, "key": 0}, [3]),
        ({"scope": Scope.KEY, "account": BOB, "key": 9}, []),
    ],
)
@pytest.mark.parametrize("mode", [TradingMode.OPEN, TradingMode.HALTED])
def test_mass_cancel_closes_what_is_in_its_scope_in_order(
    said: dict[str, int], closed: list[int], mode: TradingMode
) -> None:
    venue = _crowd()
    venue.run(CommandKind.SET_TRADING_MODE, scope=Scope.VENUE, mode=mode)
    told = venue.run(CommandKind.MASS_CANCEL, **said)
    assert fields(told, E.ORDER_CLOSED, "order_id", "reason") == [(one, CloseReason.MASS_CANCELED) for one in closed]
    assert fields(told, E.MASS_CANCELED, "canceled_count", "more") == [(len(closed), 0)]
    assert {name: told[-1][name] for name in said} == said


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"scope": Scope.WITHDRAWALS}, RejectCode.INVALID_MODE),
        ({"scope": Scope.SYMBOL, "symbol": 0}, RejectCode.UNKNOWN_SYMBOL),
        ({"scope": Scope.ACCOUNT, "account": 99, "symbol": 9}, RejectCode.UNKNOWN_ACCOUNT),
        ({"scope": Scope.ACCOUNT, "account": ANN, "symbol": 9}, RejectCode.UNKNOWN_SYMBOL),
        ({"scope": Scope.KEY, "account": 0}, RejectCode.UNKNOWN_ACCOUNT),
    ],
)
def test_mass_cancel_that_names_nobody_is_refused(said: dict[str, int], code: RejectCode) -> None:
    assert refused(_crowd().run(CommandKind.MASS_CANCEL, **said)) == code


def test_mass_cancel_of_more_than_its_maximum_goes_on_when_it_is_repeated() -> None:
    venue = Venue(orders_max=10_000)
    venue.bid(ANN, MASS_CANCEL_MAX + 1)
    first = venue.run(CommandKind.MASS_CANCEL, scope=Scope.VENUE)
    assert fields(first, E.MASS_CANCELED, "canceled_count", "more") == [(MASS_CANCEL_MAX, 1)]
    second = venue.run(CommandKind.MASS_CANCEL, scope=Scope.VENUE)
    assert fields(second, E.MASS_CANCELED, "canceled_count", "more") == [(1, 0)]


def _arm(venue: Venue, account: int, countdown_ns: int, **said: int) -> list[tuple[int, ...]]:
    told = venue.run(CommandKind.COUNTDOWN, account=account, countdown_ns=countdown_ns, **said)
    return fields(told, E.COUNTDOWN_SET, "account", "symbol", "key", "countdown_ns", "due_ts_ns")


def test_countdown_that_runs_out_closes_the_orders_it_watches_and_is_told() -> None:
    venue = _crowd()
    venue.ts_ns = 2_000
    assert _arm(venue, ANN, 500, key=5) == [(ANN, 0, 5, 500, 2_500)]
    assert venue.exchange.canonical()["countdown"] == [(ANN, 0, 5, 2_500)]
    assert kinds(venue.tick(2_499)) == [E.TICKED]
    venue.run(CommandKind.SET_TRADING_MODE, scope=Scope.VENUE, mode=TradingMode.HALTED)
    told = venue.tick(2_500)
    assert fields(told, E.ORDER_CLOSED, "order_id", "reason") == [
        (1, CloseReason.COUNTDOWN),
        (8, CloseReason.COUNTDOWN),
    ]
    assert fields(told, E.COUNTDOWN_FIRED, "account", "symbol", "key", "due_ts_ns") == [(ANN, 0, 5, 2_500)]
    assert fields(told, E.TICKED, "expired_count") == [(0,)]
    assert venue.exchange.canonical()["countdown"] == []
    assert kinds(venue.tick(3_000)) == [E.TICKED]


def test_countdowns_fire_in_order_of_their_times_and_names() -> None:
    venue = Venue()
    for account, symbol, key, after in (
        (18, 0, 0, 5),
        (17, 2, 9, 5),
        (17, 1, 9, 5),
        (17, 1, 3, 5),
        (16, 0, 0, 7),
        (18, 1, 0, 1),
    ):
        _arm(venue, account, after, symbol=symbol, key=key)
    assert _arm(venue, 18, 6, symbol=0, key=0) == [(18, 0, 0, 6, 1_006)]
    assert _arm(venue, 17, 0, symbol=2, key=9) == [(17, 2, 9, 0, 0)]
    told = venue.tick(2_000)
    assert fields(told, E.COUNTDOWN_FIRED, "account", "symbol", "key", "due_ts_ns") == [
        (18, 1, 0, 1_001),
        (17, 1, 3, 1_005),
        (17, 1, 9, 1_005),
        (18, 0, 0, 1_006),
        (16, 0, 0, 1_007),
    ]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"account": 99}, RejectCode.UNKNOWN_ACCOUNT),
        ({"account": ANN, "symbol": 9}, RejectCode.UNKNOWN_SYMBOL),
        ({"account": ANN, "countdown_ns": -1}, RejectCode.INVALID_EXPIRY),
        ({"account": ANN, "countdown_ns": 10**14 + 1}, RejectCode.INVALID_EXPIRY),
    ],
)
def test_countdown_that_is_wrong_is_refused(said: dict[str, int], code: RejectCode) -> None:
    assert refused(Venue().run(CommandKind.COUNTDOWN, **said)) == code


def test_countdown_with_more_orders_than_a_tick_closes_fires_when_none_is_left() -> None:
    venue = Venue(orders_max=10_000)
    venue.bid(ANN, EXPIRIES_PER_TICK + 1)
    _arm(venue, ANN, 1)
    _arm(venue, BOB, 2)
    first = venue.tick(2_000)
    assert kinds(first) == [E.ORDER_CLOSED] * EXPIRIES_PER_TICK + [E.TICKED]
    assert kinds(venue.tick()) == [E.ORDER_CLOSED, E.COUNTDOWN_FIRED, E.COUNTDOWN_FIRED, E.TICKED]
