"""More is due than one command may give turns: the rest waits, in order, for the next command that may take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from exchange.core.codes import CommandKind, EventKind, OrderType, Side, TimeInForce
from tests.core.differential import EngineExchange, OracleExchange
from tests.core.plans import command
from tests.scenarios.runner import Exchange, Run, Scenario
from tests.scenarios.words import STANDARD, lines_of

TURNS_PER_COMMAND = 100
STOPS = 2 * TURNS_PER_COMMAND + 5

BOTH = pytest.mark.parametrize("new_exchange", [OracleExchange, EngineExchange], ids=["oracle", "engine"])


def _venue(new_exchange: Callable[[], Exchange], stops: int = STOPS) -> Run:
    """Account 18 has stops that wait for 100; nobody has traded yet."""
    lines = (
        STANDARD + "change BTC_USDT orders_max=500 -> done\nfund 16 USDT 900000\nfund 17 BTC 9000\nfund 18 BTC 90000"
    )
    run = Run(Scenario("here", "inline", lines_of(lines)), new_exchange())
    for line in run.scenario.lines:
        run.fund(line) if line.words[0] == "fund" else run.command(line)
    checks, run.exchange.checks = run.exchange.checks, False  # hundreds of states that differ by an order
    for _ in range(stops):
        _send(
            run,
            CommandKind.PLACE,
            account=18,
            symbol=1,
            side=Side.SELL,
            order_type=OrderType.STOP_LOSS_LIMIT,
            time_in_force=TimeInForce.GTC,
            price_ticks=150,
            stop_price_ticks=100,
            qty_lots=1,
        )
    run.exchange.checks = checks
    return run


def _send(run: Run, kind: CommandKind, **fields: int) -> list[dict[str, Any]]:
    run.sequence += 1
    return run.exchange.apply(command(kind, sequence=run.sequence, ts_ns=1, **fields))


def _entered(events: list[dict[str, Any]]) -> list[int]:
    return [event["order_id"] for event in events if event["kind"] == EventKind.ORDER_ENTERED]


def _said(run: Run, text: str) -> None:
    for line in lines_of(text):
        run.command(line)


def _call(run: Run) -> list[int]:
    """A trade at 100; which stops had their turns after it."""
    order = {"symbol": 1, "order_type": OrderType.LIMIT, "price_ticks": 100, "qty_lots": 1}
    _send(run, CommandKind.PLACE, account=16, side=Side.BUY, time_in_force=TimeInForce.GTC, **order)
    return _entered(_send(run, CommandKind.PLACE, account=17, side=Side.SELL, time_in_force=TimeInForce.IOC, **order))


@BOTH
def test_hundred_turns_are_taken_and_ticks_take_the_others(new_exchange: Callable[[], Exchange]) -> None:
    run = _venue(new_exchange)
    turns = [_call(run), *(_entered(_send(run, CommandKind.TICK)) for _ in range(3))]
    assert [len(some) for some in turns] == [TURNS_PER_COMMAND, TURNS_PER_COMMAND, 5, 0]
    assert [order_id for some in turns for order_id in some] == list(range(1, STOPS + 1))


@BOTH
def test_due_stops_of_a_halted_symbol_wait_until_it_is_open(new_exchange: Callable[[], Exchange]) -> None:
    run = _venue(new_exchange)
    assert len(_call(run)) == TURNS_PER_COMMAND
    _said(run, "mode BTC_USDT cancel_only -> done")
    assert _entered(_send(run, CommandKind.TICK)) == []
    canceled = _send(run, CommandKind.CANCEL, account=18, order_id=TURNS_PER_COMMAND + 1)
    assert [event["kind"] for event in canceled] == [EventKind.ORDER_CLOSED]
    _said(run, "mode BTC_USDT open -> done")
    assert _entered(_send(run, CommandKind.TICK))[0] == TURNS_PER_COMMAND + 2


@BOTH
def test_any_accepted_order_of_the_symbol_goes_on_with_what_is_due(new_exchange: Callable[[], Exchange]) -> None:
    run = _venue(new_exchange)
    assert len(_call(run)) == TURNS_PER_COMMAND
    order = {"order_type": OrderType.LIMIT, "side": Side.BUY, "time_in_force": TimeInForce.GTC, "qty_lots": 1}
    elsewhere = _send(run, CommandKind.PLACE, account=16, symbol=2, price_ticks=50, **order)
    assert _entered(elsewhere) == []
    refused = _send(run, CommandKind.PLACE, account=16, symbol=1, price_ticks=5_000, **order)
    assert [event["kind"] for event in refused] == [EventKind.REJECTED]
    assert (
        len(_entered(_send(run, CommandKind.PLACE, account=16, symbol=1, price_ticks=50, **order))) == TURNS_PER_COMMAND
    )


@BOTH
def test_stop_that_the_passed_range_reaches_is_refused_until_all_turns_are_taken(
    new_exchange: Callable[[], Exchange],
) -> None:
    run = _venue(new_exchange, 3 * TURNS_PER_COMMAND + 5)
    assert len(_call(run)) == TURNS_PER_COMMAND
    order = {"symbol": 1, "order_type": OrderType.LIMIT, "price_ticks": 101, "qty_lots": 1}
    _send(run, CommandKind.PLACE, account=17, side=Side.SELL, time_in_force=TimeInForce.GTC, **order)
    _send(run, CommandKind.PLACE, account=16, side=Side.BUY, time_in_force=TimeInForce.IOC, **order)
    # the last trade was at 101, but 100 has been passed and five stops still wait for their turns
    _said(run, "sell 17 BTC_USDT stop at 100 x 1 -> refused WOULD_TRIGGER")
    assert len(_entered(_send(run, CommandKind.TICK))) == 5
    _said(run, "sell 17 BTC_USDT stop at 100 x 1 -> accepted #310 holds 100, terms #310 stop")
