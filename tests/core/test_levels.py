"""The tree of price levels, with three storeys: it grows and shrinks from every side and stays sorted."""

from __future__ import annotations

import random

import numpy as np
import pytest

from exchange.core.codes import CommandKind, EventKind, OrderType, Side, TimeInForce
from exchange.core.hashing import canonical
from exchange.core.invariants import check_all
from exchange.core.kernel import Engine
from exchange.core.records import slots
from exchange.core.state import TINY, new_state
from tests.core.differential import SLOW_KERNELS, Slot, event_dicts
from tests.core.plans import command
from tests.scenarios.words import RULES

LEVELS = 400 if SLOW_KERNELS else 12_000
MAKER, TAKER = 16, 17


class Desk:
    """An engine, and the sequence of its last command."""

    def __init__(self) -> None:
        self.engine, self.sequence = Engine(new_state(TINY)), 0
        rules = RULES | {"price_max_ticks": 10**6, "notional_max_atoms": 10**15, "orders_max": 10**6}
        said = [command(CommandKind.ADD_ASSET, asset=asset, scale=4) for asset in (1, 2)]
        symbol = {"symbol": 1, "base_asset": 1, "quote_asset": 2, "price_scale": 1, "qty_scale": 2}
        said.append(command(CommandKind.ADD_SYMBOL, **symbol, **rules))
        for account in (MAKER, TAKER):
            said.append(command(CommandKind.OPEN_ACCOUNT, account=account))
            fields = {"account": account, "amount_atoms": 10**15}
            said += [command(CommandKind.DEPOSIT, asset=a, transfer_id=account * 2 + a, **fields) for a in (1, 2)]
        self.send(said)

    def send(self, commands: list[Slot]) -> Slot:
        """The events of commands that come next."""
        batch = slots(len(commands))
        for place, slot in enumerate(commands):
            batch[place] = slot
        heads = np.array([[self.sequence + n, 1] for n in range(1, len(commands) + 1)], dtype="<i8")
        batch[:, :16] = heads.view(np.uint8).reshape(-1, 16)
        self.sequence += len(commands)
        events = self.engine.run(batch)
        check_all(self.engine.state)
        return events

    def prices(self) -> list[int]:
        return sorted(row[7] for row in canonical(self.engine.state)["order"])


def _place(account: int, side: Side, price: int, **fields: int) -> Slot:
    usual = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, "qty_lots": 1, "symbol": 1}
    return command(CommandKind.PLACE, account=account, side=side, price_ticks=price, **usual | fields)


def _arranged(prices: list[int], how: str) -> list[int]:
    if how == "shuffled":
        return random.Random(len(prices)).sample(prices, len(prices))
    return sorted(prices, reverse=how == "falling")


@pytest.mark.parametrize("side", list(Side), ids=lambda side: side.name)
@pytest.mark.parametrize("gone", ["rising", "falling", "shuffled"])
@pytest.mark.parametrize("come", ["rising", "falling", "shuffled"])
def test_book_side_of_thousands_of_levels_grows_and_shrinks(come: str, gone: str, side: Side) -> None:
    desk, prices = Desk(), [1 + 3 * n for n in range(LEVELS if come == gone == "shuffled" else LEVELS // 4)]
    arriving, leaving = _arranged(prices, come), _arranged(prices, gone)
    desk.send([_place(MAKER, side, price) for price in arriving])
    assert desk.prices() == prices
    order_ids = {price: order_id for order_id, price in enumerate(arriving, 1)}
    half = len(leaving) // 2
    for part in (leaving[:half], leaving[half:]):
        desk.send([command(CommandKind.CANCEL, account=MAKER, order_id=order_ids[price]) for price in part])
        prices = sorted(set(prices) - set(part))
        assert desk.prices() == prices
    assert int(desk.engine.state.header[0].nodes) == 0


@pytest.mark.parametrize("side", list(Side), ids=lambda side: side.name)
def test_market_order_through_thousands_of_levels_meets_them_from_best_to_worst(side: Side) -> None:
    desk, prices = Desk(), list(range(100, 100 + LEVELS // 4))
    desk.send([_place(MAKER, side, price) for price in _arranged(prices, "shuffled")])
    taker = {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC, "qty_lots": 1_000}
    met: list[int] = []
    for _ in range(0, len(prices), 1_000):
        events = event_dicts(desk.send([_place(TAKER, Side(1 - side), 0, **taker)]))
        met += [event["price_ticks"] for event in events if event["kind"] == EventKind.TRADE]
    assert met == sorted(prices, reverse=side is Side.BUY)
    assert desk.prices() == []
