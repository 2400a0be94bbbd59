"""Streams of a guarded venue: rules come and go, auctions start and end, breakers trip, and orders are swept away.

Owns the operators among the crowd of `streams.py`: what they send, and how fast time passes, so that windows, pauses
and countdowns end within a stream. What they aim at is again the oracle's state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core.codes import (
    AccountRule,
    AuctionAction,
    CommandKind,
    KeyRule,
    OrderType,
    Phase,
    Scope,
    Side,
    SymbolRule,
    TimeInForce,
    TradingMode,
)
from exchange.core.records import COMMAND_DTYPES
from tests.core.differential import Slot
from tests.core.plans import BUSY, CONDITIONAL, SymbolPlan, command
from tests.core.streams import Flow

GUARDED_WEIGHTS = {
    "rule": 24,
    "together": 5,
    "auction": 7,
    "phase_tick": 14,
    "mass_cancel": 3,
    "countdown": 6,
    "withdrawals": 4,
    "skip": 1,
    "special": 25,
    "order_list": 6,
    "hostile_guard": 10,
}
SYMBOL_VALUES: dict[SymbolRule, tuple[int, ...]] = {
    SymbolRule.BID_UP_BIPS: (10_200, 11_000),
    SymbolRule.BID_DOWN_BIPS: (9_000, 9_900),
    SymbolRule.ASK_UP_BIPS: (10_200, 11_000),
    SymbolRule.ASK_DOWN_BIPS: (9_000, 9_900),
    SymbolRule.RANGE_UP_BIPS: (10_000, 10_100, 10_300),
    SymbolRule.RANGE_DOWN_BIPS: (9_700, 9_900, 10_000),
    SymbolRule.REFERENCE_WINDOW_NS: (7, 160, 5_000),
    SymbolRule.BREAKER_BIPS: (50, 100, 300),
    SymbolRule.BREAKER_WINDOW_NS: (160, 3_000),
    SymbolRule.BREAKER_PAUSE_NS: (1, 60),
    SymbolRule.AUCTION_NS: (1, 60, 200),
    SymbolRule.POSITION_MAX_LOTS: (2_005, 3_010, 20_010, 300_020),
    SymbolRule.ALGO_ORDERS_MAX: (1, 2),
    SymbolRule.ICEBERG_ORDERS_MAX: (1,),
    SymbolRule.LISTS_MAX: (1,),
    SymbolRule.ICEBERG_PARTS_MAX: (2, 5),
    SymbolRule.TRAILING_MIN_BIPS: (50, 300),
    SymbolRule.TRAILING_MAX_BIPS: (400, 2_000),
}
ACCOUNT_VALUES: dict[AccountRule, tuple[int, ...]] = {
    AccountRule.TRADE_GROUP: (1, 2),
    AccountRule.ORDERS_MAX: (2, 6),
    AccountRule.ORDERS_WINDOW_NS: (30, 300),
    AccountRule.LOCKED_MAX_ATOMS: (10_000, 50_000),
}
BREAKER_RULES = (
    SymbolRule.BREAKER_BIPS,
    SymbolRule.BREAKER_WINDOW_NS,
    SymbolRule.BREAKER_PAUSE_NS,
    SymbolRule.AUCTION_NS,
)
COUNT_RULES = (SymbolRule.ALGO_ORDERS_MAX, SymbolRule.ICEBERG_ORDERS_MAX, SymbolRule.LISTS_MAX) * 3
ACTIVE_RULES = 7  # of a scope, about
KEYS = (1, 2, 3)
KEY_VALUES = (40_000, 400_000)
DAY_NS = 86_400 * 10**9


class GuardedFlow(Flow):
    """A busy stream, or one of orders that wait and hang together, with everything that guards do."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, BUSY if seed % 2 else CONDITIONAL)
        self.operators = [maker for maker, weight in GUARDED_WEIGHTS.items() for _ in range(weight)]

    def _next(self) -> Slot:
        chance = self.random.random()
        if chance < 0.002:
            self.ts_ns += DAY_NS // 3  # what a key used is forgotten, and every window is empty
        for symbol in self.oracle.venue.symbols.values():
            if symbol.phase is not Phase.CONTINUOUS and self.random.random() < 0.05:
                return self.phase_tick()
            plan = next((plan for plan in self.symbols if plan.symbol == symbol.symbol), None)
            if symbol.phase is Phase.AUCTION and plan is not None and self.random.random() < 0.15:
                return self._collected(plan)
            if symbol.phase is Phase.AUCTION and self.random.random() < 0.02:
                return command(CommandKind.AUCTION, symbol=symbol.symbol, action=AuctionAction.UNCROSS)
        if chance < 0.4:
            slot: Slot = getattr(self, self.random.choice(self.operators))()
            return slot
        return super()._next()

    def place(self) -> Slot:
        """As the crowd does, some of it with an API key."""
        slot = super().place()
        if self.random.random() < 0.3:
            slot.view(COMMAND_DTYPES[CommandKind.PLACE])[0]["key"] = self.random.choice(KEYS)
        return slot

    def _collected(self, plan: SymbolPlan) -> Slot:
        """What a symbol in an auction takes, so that its book crosses."""
        fields: dict[str, Any] = {"side": self.random.choice(list(Side)), "order_type": OrderType.LIMIT}
        fields |= {"time_in_force": TimeInForce.GTC, "price_ticks": self._near(plan, self.random.randint(-3, 3))}
        return self._sent(self._sized(plan, fields, 0.2), plan)

    # ---- operators ------------------------------------------------------------------------------------------------

    def rule(self) -> Slot:
        """A number of a symbol, an account or a key, or one that is set already is switched off."""
        pick, plan = self.random.choice, self._plan()
        match pick((Scope.SYMBOL,) * 6 + (Scope.ACCOUNT,) * 3 + (Scope.KEY,) * 2):
            case Scope.SYMBOL:
                rule = pick((*SymbolRule, *COUNT_RULES))
                fields = {
                    "scope": Scope.SYMBOL,
                    "symbol": plan.symbol,
                    "rule": rule,
                    "value": pick(SYMBOL_VALUES[rule]),
                }
            case Scope.ACCOUNT:
                of_account = pick(list(AccountRule))
                fields = {"scope": Scope.ACCOUNT, "account": pick(self.accounts), "rule": of_account}
                fields |= {"value": pick(ACCOUNT_VALUES[of_account]), "asset": pick((1, 2, 3))}
            case _:
                fields = {"scope": Scope.KEY, "key": pick(KEYS), "rule": KeyRule.NOTIONAL_DAY_MAX_ATOMS}
                fields |= {"value": pick(KEY_VALUES), "asset": pick((2, 2, 3))}
        active = [row for row in self.oracle.canonical()["rule"] if row[0] == fields["scope"]]
        if len(active) > self.random.randint(0, ACTIVE_RULES):
            scope, who, rule_off, asset, _ = pick(active)
            named = {Scope.SYMBOL: "symbol", Scope.ACCOUNT: "account", Scope.KEY: "key"}[Scope(scope)]
            fields = {"scope": scope, named: who, "rule": rule_off, "asset": asset}
        return command(CommandKind.SET_RULE, **fields)

    def together(self) -> Slot:
        """Rules that mean something only together: a breaker, or the rate of an account."""
        pick = self.random.choice
        if self.random.random() < 0.4:
            named = {"scope": Scope.ACCOUNT, "account": pick(self.accounts)}
            values = {
                int(rule): ACCOUNT_VALUES[rule] for rule in (AccountRule.ORDERS_MAX, AccountRule.ORDERS_WINDOW_NS)
            }
        else:
            named = {"scope": Scope.SYMBOL, "symbol": self._plan().symbol}
            values = {int(rule): SYMBOL_VALUES[rule] for rule in BREAKER_RULES}
        slots = [
            command(CommandKind.SET_RULE, rule=rule, value=pick(choices), **named) for rule, choices in values.items()
        ]
        self.waiting += slots[1:]
        return slots[0]

    def _plan(self) -> SymbolPlan:
        return self.random.choice(self.symbols[:1] * 3 + self.symbols)

    def auction(self) -> Slot:
        end_ts_ns = self.random.choice((0, self.ts_ns + self.random.randint(0, 400)))
        action = self.random.choice((AuctionAction.START, AuctionAction.START, AuctionAction.UNCROSS))
        return command(CommandKind.AUCTION, symbol=self._plan().symbol, action=action, end_ts_ns=end_ts_ns)

    def phase_tick(self) -> Slot:
        """A TICK after some time, so that pauses, auctions and countdowns end."""
        self.ts_ns += self.random.choice((0, 10, 60, 200))
        return self.tick()

    def mass_cancel(self) -> Slot:
        pick = self.random.choice
        symbol = pick((0, 0, self._plan().symbol))
        match pick((Scope.VENUE, Scope.SYMBOL, Scope.ACCOUNT, Scope.ACCOUNT, Scope.KEY, Scope.KEY)):
            case Scope.VENUE:
                return command(CommandKind.MASS_CANCEL, scope=Scope.VENUE)
            case Scope.SYMBOL:
                return command(CommandKind.MASS_CANCEL, scope=Scope.SYMBOL, symbol=self._plan().symbol)
            case scope:
                who = {"account": pick(self.accounts), "symbol": symbol, "key": pick((0, *KEYS))}
                return command(CommandKind.MASS_CANCEL, scope=scope, **who)

    def countdown(self) -> Slot:
        """Armed for a while, armed again, or disarmed."""
        pick = self.random.choice
        who = {"account": pick(self.accounts), "symbol": pick((0, self._plan().symbol)), "key": pick((0, 0, *KEYS))}
        return command(CommandKind.COUNTDOWN, countdown_ns=pick((0, 20, 200, 700)), **who)

    def withdrawals(self) -> Slot:
        mode = self.random.choice((TradingMode.OPEN, TradingMode.OPEN, TradingMode.HALTED))
        return command(CommandKind.SET_TRADING_MODE, scope=Scope.WITHDRAWALS, mode=mode)

    def skip(self) -> Slot:
        if self.random.random() < 0.5:
            return command(CommandKind.SKIPPED)
        return command(CommandKind.SKIP, name="POISON", at_sequence=self.random.randint(1, 99))

    def hostile_guard(self) -> Slot:
        """What an operator sends, with one or two fields at an edge."""
        slot = self.random.choice(
            (self.rule, self.rule, self.auction, self.mass_cancel, self.countdown, self.withdrawals)
        )()
        for _ in range(self.random.randint(1, 2)):
            slot = self._spoiled(slot)
        return slot


def guarded_stream(seed: int, count: int) -> tuple[Slot, list[list[dict[str, Any]]], dict[str, list[tuple[int, ...]]]]:
    """One stream: its commands, shape (count, 128) u1, the events of each, and the rows at its end."""
    flow = GuardedFlow(seed)
    commands, expected = flow.take(count)
    return np.ascontiguousarray(commands), expected, flow.rows()
