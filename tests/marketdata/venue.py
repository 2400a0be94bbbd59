"""A small real venue for these tests: an engine with two symbols, and seeded random commands for it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from exchange.core import readers
from exchange.core.codes import (
    CommandFlag,
    CommandKind,
    OrderType,
    Scope,
    Side,
    StpMode,
    TimeInForce,
    TradingMode,
)
from exchange.core.kernel import Engine
from exchange.core.records import fill_command, slots

BTC_USDT, ETH_USDT = 1, 2
ACCOUNTS = (16, 17, 18)
START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
MIDDLE_TICKS = 5_000


def symbol_fields(symbol: int, base_asset: int, quote_asset: int) -> dict[str, Any]:
    """Arguments of ADD_SYMBOL: prices with 2 decimals, quantities with 4."""
    return {
        "symbol": symbol,
        "base_asset": base_asset,
        "quote_asset": quote_asset,
        "price_scale": 2,
        "qty_scale": 4,
        "price_min_ticks": 1,
        "price_max_ticks": 10_000_000,
        "qty_min_lots": 1,
        "qty_max_lots": 1_000_000,
        "notional_max_atoms": 1 << 61,
        "price_step_ticks": 1,
        "qty_step_lots": 1,
        "orders_max": 10_000,
        "maker_fee_ppm": 100,
        "taker_fee_ppm": 200,
    }


class Venue:
    """An engine that is given sequences and times, and what it did last as bytes of events."""

    def __init__(self, seed: int = 1) -> None:
        self.engine = Engine()
        self.random = random.Random(seed)
        self.sequence = 0
        self.ts_ns = START_NS
        self.run([(CommandKind.ADD_ASSET, {"asset": a, "scale": 8, "name": n}) for a, n in _ASSETS])
        self.run(
            [
                (CommandKind.ADD_SYMBOL, {**symbol_fields(BTC_USDT, 1, 3), "name": "BTC_USDT"}),
                (CommandKind.ADD_SYMBOL, {**symbol_fields(ETH_USDT, 2, 3), "name": "ETH_USDT"}),
            ]
        )
        for account in ACCOUNTS:
            self.run([(CommandKind.OPEN_ACCOUNT, {"account": account, "maker_fee_ppm": -1, "taker_fee_ppm": -1})])
            self.run([(CommandKind.DEPOSIT, self._deposit(account, asset)) for asset in (1, 2, 3)])

    @staticmethod
    def _deposit(account: int, asset: int) -> dict[str, Any]:
        return {"account": account, "asset": asset, "transfer_id": account * 10 + asset, "amount_atoms": 10**17}

    def run(self, commands: list[tuple[CommandKind, dict[str, Any]]], step_ns: int = 1_000) -> memoryview:
        """Apply commands and return their events, copied."""
        buffer = slots(len(commands))
        for slot, (kind, fields) in zip(buffer, commands, strict=True):
            self.sequence += 1
            self.ts_ns += step_ns
            fill_command(slot, kind, **{"sequence": self.sequence, "ts_ns": self.ts_ns, **fields})
        return memoryview(self.engine.run(buffer).tobytes())

    def place(self, side: Side, price_ticks: int, qty_lots: int, **fields: Any) -> tuple[CommandKind, dict[str, Any]]:
        """A GTC limit order on BTC_USDT of the first account, unless told otherwise."""
        order = {
            "account": ACCOUNTS[0],
            "symbol": BTC_USDT,
            "side": side,
            "order_type": OrderType.LIMIT,
            "time_in_force": TimeInForce.GTC,
            "price_ticks": price_ticks,
            "qty_lots": qty_lots,
        }
        return CommandKind.PLACE, {**order, **fields}

    def some(self, count: int) -> list[tuple[CommandKind, dict[str, Any]]]:
        """Random commands of every kind that moves a book, refused ones included."""
        commands: list[tuple[CommandKind, dict[str, Any]]] = []
        while len(commands) < count:
            commands.extend(self._random_command())
        return commands

    def _random_command(self) -> list[tuple[CommandKind, dict[str, Any]]]:
        pick = self.random
        roll = pick.random()
        account = pick.choice(ACCOUNTS)
        target = {"account": account, "order_id": max(1, self._order_ids() - pick.randrange(60))}
        if roll < 0.66:
            return [self._random_order(account)]
        if roll < 0.82:
            return [(CommandKind.CANCEL, target)]
        if roll < 0.90:
            return [(CommandKind.REDUCE, {**target, "qty_lots": pick.randrange(1, 30)})]
        if roll < 0.94:
            linked = CommandFlag.LINKED | (CommandFlag.ALLOW_FAILURE if pick.random() < 0.5 else 0)
            return [(CommandKind.CANCEL, {**target, "flags": linked}), self._random_order(account)]
        if roll < 0.98:
            return [(CommandKind.TICK, {})]
        if roll < 0.99:
            return [(CommandKind.CANCEL_ALL, {"account": account, "symbol": pick.choice((0, BTC_USDT))})]
        modes = [TradingMode.CANCEL_ONLY, TradingMode.OPEN]
        return [(CommandKind.SET_TRADING_MODE, {"scope": Scope.SYMBOL, "symbol": ETH_USDT, "mode": m}) for m in modes]

    def _random_order(self, account: int) -> tuple[CommandKind, dict[str, Any]]:
        pick = self.random
        order_type = pick.choices((OrderType.LIMIT, OrderType.MARKET, OrderType.LIMIT_MAKER), (8, 2, 1))[0]
        fields: dict[str, Any] = {
            "account": account,
            "symbol": pick.choice((BTC_USDT, BTC_USDT, ETH_USDT)),
            "stp_mode": pick.choice(list(StpMode)),
            "order_type": order_type,
            "client_id": pick.choice(("", "", "", f"c{pick.randrange(20)}")),
        }
        side, qty_lots = pick.choice(list(Side)), pick.randrange(1, 40)
        if order_type == OrderType.MARKET:
            fields["time_in_force"] = TimeInForce.IOC
            if pick.random() < 0.5:
                return self.place(side, 0, 0, quote_atoms=pick.randrange(1, 10**9), **fields)
            return self.place(side, 0, qty_lots, **fields)
        tifs = list(TimeInForce) if order_type == OrderType.LIMIT else [TimeInForce.GTC, TimeInForce.GTD]
        fields["time_in_force"] = pick.choice(tifs)
        if fields["time_in_force"] == TimeInForce.GTD:
            fields["expire_ts_ns"] = self.ts_ns + pick.randrange(1_000_000)
        price_ticks = MIDDLE_TICKS + (1 if side == Side.SELL else -1) * pick.randrange(-4, 30)
        return self.place(side, price_ticks, qty_lots, **fields)

    def _order_ids(self) -> int:
        return int(self.engine.state.header[0].next_order_id) - 1

    def book(self, symbol: int) -> list[list[tuple[int, int]]]:
        """The engine's book, both sides from the best level on."""
        return [readers.depth(self.engine.state, symbol, side, 1 << 20) for side in Side]


_ASSETS = ((1, "BTC"), (2, "ETH"), (3, "USDT"))


def event_count(view: memoryview) -> int:
    """How many events a buffer holds."""
    return len(np.frombuffer(view, np.uint8)) // 128
