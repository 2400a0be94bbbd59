"""A small venue for tests of guards: one symbol on which one tick and one lot are one atom, and people with money.

Owns the way a test says commands. Every command is checked: the invariants hold after it, and a state that is built
from the same commands hashes alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core.codes import CommandKind, EventKind, OrderType, RejectCode, Scope, Side, SymbolRule, TimeInForce
from exchange.core.hashing import state_hash
from exchange.core.records import fill_command, slots
from tests.core.differential import EngineExchange, Slot
from tests.scenarios.words import RULES

ANN, BOB, CID = 16, 17, 18
RICH = 10**9
PARAMETERS = RULES | {"orders_max": 1_000, "price_max_ticks": 100_000, "notional_max_atoms": 10**12}
Told = list[dict[str, Any]]


class Venue:
    """Two symbols, both of asset 1 for asset 2, and three rich people."""

    def __init__(self, *, accounts: int = 3, **parameters: int) -> None:
        self.exchange = EngineExchange()
        self.sequence = 0
        self.ts_ns = 1_000
        for asset in (1, 2):
            self.run(CommandKind.ADD_ASSET, asset=asset, scale=0)
        for symbol in (1, 2):
            self.run(CommandKind.ADD_SYMBOL, symbol=symbol, base_asset=1, quote_asset=2, **(PARAMETERS | parameters))
        for account in range(ANN, ANN + accounts):
            self.run(CommandKind.OPEN_ACCOUNT, account=account, maker_fee_ppm=-1, taker_fee_ppm=-1)
            for asset in (1, 2):
                money = {"asset": asset, "amount_atoms": RICH, "transfer_id": account * 10 + asset}
                self.run(CommandKind.DEPOSIT, account=account, **money)

    @property
    def state(self) -> Any:
        return self.exchange.engine.state

    def run(self, kind: CommandKind, client_id: str = "", /, **fields: Any) -> Told:
        """Apply one command; its events."""
        return self.exchange.apply(self._slot(kind, client_id, **fields))

    def _slot(self, kind: CommandKind, client_id: str = "", /, **fields: Any) -> Slot:
        slot: Slot = slots(1)[0]
        self.sequence += 1
        head: dict[str, Any] = {"client_id": client_id, "sequence": self.sequence, "ts_ns": self.ts_ns}
        fill_command(slot, kind, **(head | fields))
        return slot

    def bid(self, account: int, count: int) -> None:
        """So many orders of one lot at 90, in one batch."""
        said = {"account": account, "symbol": 1, "price_ticks": 90, "qty_lots": 1}
        kind = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC}
        self.exchange.engine.run(np.stack([self._slot(CommandKind.PLACE, **said, **kind) for _ in range(count)]))

    def place(self, account: int, side: Side, lots: int, price: int = 0, **fields: Any) -> Told:
        """PLACE: LIMIT GTC, or MARKET where no price is given."""
        kind = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC}
        if price == 0 and "peg_type" not in fields:
            kind = {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC}
        said: dict[str, int] = {"account": account, "symbol": 1, "side": side, "qty_lots": lots, "price_ticks": price}
        return self.run(CommandKind.PLACE, **(said | kind | fields))

    def rule(self, rule: SymbolRule, value: int, symbol: int = 1) -> Told:
        return self.run(CommandKind.SET_RULE, scope=Scope.SYMBOL, symbol=symbol, rule=rule, value=value)

    def tick(self, ts_ns: int | None = None) -> Told:
        if ts_ns is not None:
            self.ts_ns = ts_ns
        return self.run(CommandKind.TICK)

    def hash(self) -> tuple[int, int]:
        return state_hash(self.state)


def kinds(told: Told) -> list[EventKind]:
    return [EventKind(event["kind"]) for event in told]


def refused(told: Told) -> RejectCode:
    """The code of a refusal; NONE if the command was not refused."""
    if len(told) == 1 and told[0]["kind"] == EventKind.REJECTED:
        return RejectCode(told[0]["reject"])
    return RejectCode.NONE


def fields(told: Told, kind: EventKind, *names: str) -> list[tuple[int, ...]]:
    """Some fields of the events of a kind."""
    return [tuple(event[name] for name in names) for event in told if event["kind"] == kind]
