"""What the crowd of a stream sends beyond plain orders: stops, trailing stops, icebergs, pegs, lists, rules, storms.

Owns how such commands are made. It aims at the last price, so that triggers, parts and lists meet something soon. A
storm puts more stops at one price than a command may give turns.
"""

from __future__ import annotations

import random
from typing import Any

from exchange.core.codes import (
    AccountRule,
    CommandFlag,
    CommandKind,
    ListRole,
    ListType,
    OrderType,
    PegType,
    Scope,
    Side,
    Stage,
    StpMode,
    SymbolRule,
    TimeInForce,
)
from tests.core.differential import Slot
from tests.core.plans import SymbolPlan, command
from tests.oracle import Oracle
from tests.oracle.lists import LEGS

STOPS = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
MARKETS = (OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
RESTING = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTD)
LOSSES = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
PROFITS = (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
STORM_ORDERS = 130

RULE_VALUES = {
    SymbolRule.ALGO_ORDERS_MAX: (1, 4),
    SymbolRule.ICEBERG_ORDERS_MAX: (1, 3),
    SymbolRule.LISTS_MAX: (1, 2),
    SymbolRule.ICEBERG_PARTS_MAX: (1, 2, 3),
    SymbolRule.TRAILING_MIN_BIPS: (50, 300),
    SymbolRule.TRAILING_MAX_BIPS: (200, 2_000),
}


class Conditional:
    """Part of a Flow."""

    random: random.Random
    oracle: Oracle
    ts_ns: int
    symbols: list[SymbolPlan]
    accounts: tuple[int, ...]
    waiting: list[Slot]

    def place(self) -> Slot:
        raise NotImplementedError

    def _transfer(self, kind: CommandKind, account: int, asset: int, amount: int) -> Slot:
        raise NotImplementedError

    def _symbol_command(self, kind: CommandKind, plan: SymbolPlan, **changed: int) -> Slot:
        raise NotImplementedError

    # ---- what an order is made of ---------------------------------------------------------------------------------

    def _near(self, plan: SymbolPlan, away: int) -> int:
        """A price so far from the last one, and pulled a little towards the middle."""
        symbol = self.oracle.venue.symbols.get(plan.symbol)
        last = symbol.last_ticks if symbol is not None else 0
        step = symbol.rules["price_step_ticks"] if symbol is not None else 1
        ticks = (last or plan.middle_ticks) + away
        if abs(ticks - plan.middle_ticks) > 8 * plan.spread_ticks:
            ticks += plan.spread_ticks if ticks < plan.middle_ticks else -plan.spread_ticks
        return max(step, ticks // step * step)

    def _some_lots(self, plan: SymbolPlan, most: int | None = None) -> int:
        symbol = self.oracle.venue.symbols.get(plan.symbol)
        step = symbol.rules["qty_step_lots"] if symbol is not None else 1
        return max(step, self.random.randint(1, most or plan.lots) // step * step)

    def _times(self, order_type: OrderType) -> dict[str, Any]:
        if order_type in MARKETS:
            return {"time_in_force": TimeInForce.IOC}
        takers = () if order_type is OrderType.LIMIT_MAKER else (TimeInForce.IOC, TimeInForce.FOK)
        time = self.random.choice(RESTING + takers)
        if time is TimeInForce.GTD:
            return {"time_in_force": time, "expire_ts_ns": self.ts_ns + self.random.randint(1, 400)}
        return {"time_in_force": time}

    def _terms(self, plan: SymbolPlan, side: Side, order_type: OrderType) -> dict[str, Any]:
        """Side, type, prices and time of an order that may be a stop, an iceberg or a peg."""
        pick, chance = self.random.choice, self.random.random
        fields: dict[str, Any] = {"side": side, "order_type": order_type, **self._times(order_type)}
        if order_type in STOPS:
            rises = (side is Side.BUY) == (order_type in LOSSES)
            away = self.random.randint(1, 4) if chance() < 0.95 else -1
            fields["stop_price_ticks"] = self._near(plan, away if rises else -away)
            if chance() < 0.25:
                fields["trailing_bips"] = pick((1, 100, 150, 300, 500, 2_500))
                if chance() < 0.5:
                    fields["stop_price_ticks"] = 0
        rests = fields["time_in_force"] in (TimeInForce.GTC, TimeInForce.GTD)
        if order_type not in MARKETS:
            if chance() < 0.25:
                own = rests and (order_type is OrderType.LIMIT_MAKER or chance() < 0.5)
                if own or order_type is not OrderType.LIMIT_MAKER:
                    fields["peg_type"] = PegType.PRIMARY_PEG if own else PegType.MARKET_PEG
                    fields["peg_offset_levels"] = pick((0, 0, 0, 1, 2))
            if "peg_type" not in fields:
                away = self.random.randint(-3, 3)
                passive = order_type is OrderType.LIMIT_MAKER and chance() < 0.7
                fields["price_ticks"] = self._near(plan, -abs(away) if passive and side is Side.BUY else away)
        return fields

    def _sized(self, plan: SymbolPlan, fields: dict[str, Any], iceberg: float) -> dict[str, Any]:
        rests = fields["time_in_force"] in (TimeInForce.GTC, TimeInForce.GTD)
        fields["qty_lots"] = self._some_lots(plan)
        if rests and fields["order_type"] not in MARKETS and self.random.random() < iceberg:
            fields["iceberg_lots"] = self._some_lots(plan, 3)
            fields["qty_lots"] = self._some_lots(plan, 4 * plan.lots)
        return fields

    def _sent(self, fields: dict[str, Any], plan: SymbolPlan, account: int | None = None) -> Slot:
        pick = self.random.choice
        client_id = f"order-{self.random.randint(0, 60)}" if self.random.random() < 0.3 else ""
        common = {
            "account": pick(self.accounts) if account is None else account,
            "symbol": plan.symbol,
            "stp_mode": pick(list(StpMode)),
            "key": pick((0, 0, 0, 1, 7)),
        }
        return command(CommandKind.PLACE, client_id, **common | fields)

    # ---- commands -------------------------------------------------------------------------------------------------

    def special(self) -> Slot:
        """A stop, an iceberg or a peg, or more than one of these."""
        plan, side = self.random.choice(self.symbols), self.random.choice(list(Side))
        order_type = self.random.choice(STOPS * 2 + (OrderType.LIMIT,) * 4 + (OrderType.LIMIT_MAKER,))
        return self._sent(self._sized(plan, self._terms(plan, side, order_type), 0.5), plan)

    def push(self) -> Slot:
        """An order that goes through some levels: the price moves, and triggers are reached."""
        plan, side = self.random.choice(self.symbols), self.random.choice(list(Side))
        away = self.random.randint(1, 5) * (1 if side is Side.BUY else -1)
        fields: dict[str, Any] = {"side": side, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.IOC}
        fields |= {"price_ticks": self._near(plan, away), "qty_lots": self._some_lots(plan, 3 * plan.lots)}
        return self._sent(fields, plan)

    def storm(self) -> Slot:
        """More stops at one price than a command may give turns, and what calls them."""
        plan, side = self.symbols[0], self.random.choice(list(Side))
        stop = self._near(plan, 3 if side is Side.BUY else -3)
        self.waiting.append(self._symbol_rule(plan, SymbolRule.ALGO_ORDERS_MAX, 0))
        self.waiting.append(self._symbol_command(CommandKind.CHANGE_SYMBOL, plan))
        for _ in range(STORM_ORDERS):
            order_type = self.random.choice(LOSSES)
            fields = {"side": side, "order_type": order_type, "qty_lots": 1, "stop_price_ticks": stop}
            if order_type is OrderType.STOP_LOSS_LIMIT:
                fields["price_ticks"] = stop + self.random.randint(-2, 2)
            fields["time_in_force"] = TimeInForce.IOC
            self.waiting.append(self._sent(fields, plan))
        other = Side(1 - side)
        for where, time in ((other, TimeInForce.GTC), (side, TimeInForce.IOC)):
            fields = {"side": where, "order_type": OrderType.LIMIT, "time_in_force": time, "price_ticks": stop}
            for account in self.accounts[:2] if where is other else self.accounts[2:3]:
                self.waiting.append(self._sent({**fields, "qty_lots": 30, "stp_mode": StpMode.NONE}, plan, account))
        self.waiting += [command(CommandKind.TICK) for _ in range(self.random.randint(0, 2))]
        return self.waiting.pop(0)

    def drain(self) -> Slot:
        """An account with a stop that will have to pay sends away what it has to pay with."""
        venue = self.oracle.venue
        for order in venue.open_orders.values():
            asset = venue.symbols[order.symbol].quote.asset
            available = venue.ledger.available(order.account, asset)
            if order.side is Side.BUY and order.stage is Stage.STOP and order.held_atoms == 0 < available:
                return self._transfer(CommandKind.WITHDRAW_HOLD, order.account, asset, available)
        return self.fund()

    def fund(self) -> Slot:
        plan = self.random.choice(self.symbols)
        asset = self.random.choice((plan.base, plan.quote))
        return self._transfer(CommandKind.DEPOSIT, self.random.choice(self.accounts), asset, 50_000)

    def order_list(self) -> Slot:
        """A list and its legs; now and then with something wrong in it, or something else between."""
        pick, chance = self.random.choice, self.random.random
        plan, account, list_type = pick(self.symbols), pick(self.accounts), pick(list(ListType))
        legs = self._legs(plan, list_type)
        for place, fields in enumerate(legs):
            linked = place + 1 < len(legs)
            fields["flags"] = CommandFlag.LINKED if linked != (chance() < 0.02) else 0
            if chance() < 0.03:
                fields["list_role"] = pick(list(ListRole))
            if chance() < 0.02:
                fields["stop_price_ticks"] = self._near(plan, 0)
            if chance() < 0.02:
                self.waiting.append(command(CommandKind.TICK))
            self.waiting.append(self._sent(fields, plan, account if chance() < 0.98 else pick(self.accounts)))
        client_id = f"list-{self.random.randint(0, 12)}" if chance() < 0.5 else ""
        opening = {"account": account, "symbol": plan.symbol, "list_type": list_type if chance() < 0.98 else 9}
        return command(CommandKind.PLACE_LIST, client_id, flags=CommandFlag.LINKED, **opening)

    def _legs(self, plan: SymbolPlan, list_type: ListType) -> list[dict[str, Any]]:
        pick = self.random.choice
        funded = list_type in (ListType.OPO, ListType.OPOCO)
        working = Side.BUY if funded else pick(list(Side))
        side = Side.SELL if funded else Side(1 - working)
        lots = self._some_lots(plan)
        legs = []
        for role in LEGS[list_type]:
            if role is ListRole.WORKING:
                order_type = pick((OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT_MAKER))
                fields = self._sized(plan, self._terms(plan, working, order_type), 0.1)
            elif role is ListRole.PENDING:
                fields = self._sized(
                    plan, self._terms(plan, side, pick((*OrderType, OrderType.LIMIT_MAKER, OrderType.LIMIT_MAKER))), 0.1
                )
            else:
                takes_profit = (role is ListRole.ABOVE) == (side is Side.SELL)
                types = (OrderType.LIMIT_MAKER, OrderType.LIMIT_MAKER, *PROFITS) if takes_profit else LOSSES
                fields = self._terms(plan, side, pick(types)) | {"qty_lots": lots}
                if fields["order_type"] is OrderType.LIMIT_MAKER and "peg_type" not in fields:
                    away = self.random.randint(1, 4)
                    fields["price_ticks"] = self._near(plan, away if side is Side.SELL else -away)
            if funded and role is not ListRole.WORKING and self.random.random() < 0.95:
                fields |= {"qty_lots": 0, "iceberg_lots": 0}
            legs.append(fields | {"list_role": role})
        return legs

    def rule(self) -> Slot:
        """A number of a symbol, soon taken back, or a trade group."""
        pick, chance = self.random.choice, self.random.random
        if chance() < 0.3:
            who = {"account": pick(self.accounts), "rule": AccountRule.TRADE_GROUP}
            return command(CommandKind.SET_RULE, scope=Scope.ACCOUNT, value=pick((0, 1, 1, 2)), **who)
        rule = pick(list(RULE_VALUES))
        value = pick(RULE_VALUES[rule]) if chance() < 0.4 else 0
        number = value if chance() < 0.9 else -1
        return self._symbol_rule(pick(self.symbols), rule, number)

    def _symbol_rule(self, plan: SymbolPlan, rule: SymbolRule, value: int) -> Slot:
        return command(CommandKind.SET_RULE, scope=Scope.SYMBOL, symbol=plan.symbol, rule=rule, value=value)
