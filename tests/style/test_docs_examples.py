"""The numbers in docs/rounding.md are what the engine computes."""

from __future__ import annotations

import pathlib
import re
from fractions import Fraction
from math import ceil

import pytest

from exchange.core.clearing import fee_atoms
from exchange.core.codes import Account, CommandKind, EventKind, OrderType, Side, TimeInForce
from exchange.core.event_records import event_dict
from exchange.core.invariants import check_all
from exchange.core.kernel import Engine
from exchange.core.readers import balances
from exchange.core.records import fill_command, slots
from tests.style import source

PAGE = source.text(pathlib.PurePosixPath("docs/rounding.md"))
MAKER, TAKER = 16, 17
BTC, USDT = 1, 2


def table(header: str) -> list[list[str]]:
    """The cells of the table whose header line starts with `header`, one list a row."""
    lines = PAGE.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(header))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


FEES = [(int(row[0]), int(row[1]), int(row[2]), int(row[3])) for row in table("| received_atoms |")]


@pytest.mark.parametrize(("received", "rate", "fee", "credited"), FEES)
def test_fee_on_the_page_is_the_fee_of_the_kernel(received: int, rate: int, fee: int, credited: int) -> None:
    assert fee_atoms(received, rate) == fee == ceil(Fraction(received * rate, 1_000_000))
    assert received - fee == credited >= 0


def _commands() -> list[tuple[CommandKind, dict[str, int]]]:
    parameters = {
        "price_scale": 2, "qty_scale": 4, "symbol": 1, "base_asset": BTC, "quote_asset": USDT,
        "price_min_ticks": 1, "price_max_ticks": 100_000_000, "qty_min_lots": 1, "qty_max_lots": 10_000_000,
        "notional_min_atoms": 0, "notional_max_atoms": 10**15, "price_step_ticks": 1, "qty_step_lots": 1,
        "orders_max": 10, "maker_fee_ppm": 100, "taker_fee_ppm": 750,
    }  # fmt: skip
    order = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, "symbol": 1, "qty_lots": 123}
    return [
        (CommandKind.ADD_ASSET, {"asset": BTC, "scale": 8}),
        (CommandKind.ADD_ASSET, {"asset": USDT, "scale": 6}),
        (CommandKind.ADD_SYMBOL, parameters),
        (CommandKind.OPEN_ACCOUNT, {"account": MAKER, "maker_fee_ppm": -1, "taker_fee_ppm": -1}),
        (CommandKind.OPEN_ACCOUNT, {"account": TAKER, "maker_fee_ppm": -1, "taker_fee_ppm": -1}),
        (CommandKind.DEPOSIT, {"account": MAKER, "asset": BTC, "transfer_id": 1, "amount_atoms": 1_230_000}),
        (CommandKind.DEPOSIT, {"account": TAKER, "asset": USDT, "transfer_id": 2, "amount_atoms": 790_279_920}),
        (CommandKind.PLACE, {**order, "account": MAKER, "side": Side.SELL, "price_ticks": 6_425_037}),
        (CommandKind.PLACE, {**order, "account": TAKER, "side": Side.BUY, "price_ticks": 6_425_040}),
    ]


@pytest.fixture(name="fill")
def fixture_fill() -> tuple[Engine, list[dict[str, int]]]:
    """An engine after the fill of section 3, and all events."""
    commands = slots(len(_commands()))
    for sequence, (kind, fields) in enumerate(_commands(), 1):
        fill_command(commands[sequence - 1], kind, "", "", sequence=sequence, ts_ns=sequence, **fields)
    engine = Engine()
    events = [event_dict(slot) for slot in engine.run(commands)]
    assert [event["reject"] for event in events if event["kind"] == EventKind.REJECTED] == []
    check_all(engine.state)
    return engine, events


def test_fill_on_the_page_has_the_amounts_of_the_engine(fill: tuple[Engine, list[dict[str, int]]]) -> None:
    events = fill[1]
    trade = next(event for event in events if event["kind"] == EventKind.TRADE)
    hold = next(e for e in events if e["kind"] == EventKind.ORDER_ACCEPTED and e["account"] == TAKER)[
        "hold_delta_atoms"
    ]
    page = {row[0]: int(row[1]) for row in table("| | atoms |")}
    assert page == {
        "hold of the buyer": hold,
        "notional": trade["quote_atoms"],
        "release to the buyer": trade["taker_release_atoms"],
        "base moved": trade["qty_lots"] * 10_000,
        "fee of the taker": trade["taker_fee_atoms"],
        "fee of the maker": trade["maker_fee_atoms"],
    }


def test_postings_on_the_page_are_the_balances_of_the_engine(fill: tuple[Engine, list[dict[str, int]]]) -> None:
    rows = {row[0]: [int(cell) for cell in row[1:]] for row in table("| account | BTC available |")}
    total = rows.pop("sum")
    assert [sum(column) for column in zip(*rows.values(), strict=True)] == total
    assert total[0] + total[1] == total[2] + total[3] == 0

    # Before the fill both orders' payments were under holds, and nobody had anything else.
    before = {MAKER: [0, 1_230_000, 0, 0], TAKER: [0, 0, 0, 790_279_920], int(Account.FEES): [0, 0, 0, 0]}
    for name, posting in rows.items():
        account = int(re.split(r"\D", name)[0])
        now = {asset: (available, locked) for asset, available, locked in balances(fill[0].state, account)}
        expected = [a + b for a, b in zip(before[account], posting, strict=True)]
        assert [*now.get(BTC, (0, 0)), *now.get(USDT, (0, 0))] == expected
