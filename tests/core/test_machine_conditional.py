"""The engine against the oracle under Hypothesis once more, with orders that wait, hide, follow and hang together."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from exchange.core.codes import (
    AccountRule,
    CommandFlag,
    CommandKind,
    ListRole,
    ListType,
    OrderType,
    Scope,
    Side,
    StpMode,
    SymbolRule,
    TimeInForce,
)
from tests.core.plans import command
from tests.core.test_machine import ACCOUNT, CLIENT_ID, EDGE, LOTS, OPENING, PRICE, SETTINGS, TwoExchanges
from tests.oracle.lists import LEGS

NEAR = st.integers(95, 105)
STOPS = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
MARKETS = (OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
RULES = (
    SymbolRule.ALGO_ORDERS_MAX,
    SymbolRule.ICEBERG_ORDERS_MAX,
    SymbolRule.LISTS_MAX,
    SymbolRule.ICEBERG_PARTS_MAX,
    SymbolRule.TRAILING_MIN_BIPS,
    SymbolRule.TRAILING_MAX_BIPS,
)
TERMS = st.fixed_dictionaries(
    {
        "order_type": st.sampled_from((OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.MARKET, *STOPS, *STOPS)),
        "time_in_force": st.sampled_from((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)),
        "stp_mode": st.sampled_from(list(StpMode)),
        "price_ticks": NEAR,
        "qty_lots": st.integers(1, 9),
        "stop_price_ticks": NEAR | st.just(0),
        "trailing_bips": st.sampled_from((0, 0, 0, 100, 300)),
        "iceberg_lots": st.sampled_from((0, 0, 0, 1, 2)),
        "peg_type": st.sampled_from((0, 0, 0, 0, 1, 2)),
    }
)


def sane(terms: dict[str, int]) -> dict[str, int]:
    """The terms without what their type can not have, so that most of them are accepted."""
    fields = dict(terms)
    if fields["order_type"] in MARKETS:
        fields |= {"time_in_force": TimeInForce.IOC, "price_ticks": 0, "peg_type": 0}
    if fields["order_type"] not in STOPS:
        fields |= {"stop_price_ticks": 0, "trailing_bips": 0}
    if fields["order_type"] == OrderType.LIMIT_MAKER:
        fields["time_in_force"] = TimeInForce.GTC
    if fields["peg_type"]:
        fields["price_ticks"] = 0
    if fields["time_in_force"] != TimeInForce.GTC:
        fields["iceberg_lots"] = 0
    return fields


class TwoConditionalExchanges(TwoExchanges):
    """All that the plain machine does, and what concerns special orders. One symbol, so that they meet."""

    opening = (
        OPENING.replace("orders_max=3", "orders_max=6")
        .replace("ORDERS 8", "ORDERS 16")
        .replace("LEVELS 5", "LEVELS 12")
    )

    @rule(account=ACCOUNT, side=st.sampled_from(list(Side)), terms=TERMS, client_id=CLIENT_ID, key=st.integers(0, 2))
    def place_special(self, terms: dict[str, int], client_id: str, **fields: int) -> None:
        self.send(command(CommandKind.PLACE, client_id, symbol=1, **fields | sane(terms)))

    @rule(
        account=ACCOUNT,
        side=st.sampled_from(list(Side)),
        terms=TERMS,
        field=st.sampled_from(("stop_price_ticks", "iceberg_lots", "trailing_bips", "peg_offset_levels", "key")),
        value=st.integers(-2, 200) | st.sampled_from((9_999, 10_000, 32_767, -32_768)),
    )
    def place_spoiled(self, terms: dict[str, int], field: str, value: int, **fields: int) -> None:
        self.send(command(CommandKind.PLACE, symbol=1, **fields | terms | {field: value}))

    @rule(
        account=ACCOUNT,
        field=st.sampled_from(("stop_price_ticks", "iceberg_lots")),
        price=PRICE,
        lots=LOTS,
        value=EDGE,
    )
    def place_at_an_edge(self, account: int, field: str, price: int, lots: int, value: int) -> None:
        fields = {"account": account, "symbol": 1, "price_ticks": price, "qty_lots": lots, field: value}
        kind = OrderType.LIMIT if field == "iceberg_lots" else OrderType.STOP_LOSS_LIMIT
        self.send(command(CommandKind.PLACE, order_type=kind, time_in_force=TimeInForce.GTC, **fields))

    @rule(account=ACCOUNT, side=st.sampled_from(list(Side)), away=st.integers(-5, 5), lots=st.integers(1, 12))
    def push(self, away: int, lots: int, **fields: int) -> None:
        order = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.IOC, "price_ticks": 100 + away}
        self.send(command(CommandKind.PLACE, symbol=1, qty_lots=lots, **fields | order))

    @rule(price=NEAR, lots=st.integers(1, 4), first=st.sampled_from(list(Side)))
    def meet(self, price: int, lots: int, first: Side) -> None:
        """Two accounts trade, or meet whatever is better: the price goes there."""
        fields = {"symbol": 1, "order_type": OrderType.LIMIT, "price_ticks": price, "qty_lots": lots}
        self.send(command(CommandKind.PLACE, account=16, side=first, time_in_force=TimeInForce.GTC, **fields))
        self.send(command(CommandKind.PLACE, account=17, side=1 - first, time_in_force=TimeInForce.IOC, **fields))

    @rule(
        account=ACCOUNT,
        other=ACCOUNT,
        list_type=st.sampled_from(list(ListType)),
        working=st.sampled_from(list(Side)),
        legs=st.lists(TERMS, min_size=3, max_size=3),
        lots=st.integers(1, 9),
        client_id=CLIENT_ID,
        broken=st.sampled_from((None,) * 8 + ("between", "linked", "account", "role")),
        at=st.integers(0, 2),
    )
    def place_list(
        self,
        account: int,
        other: int,
        list_type: ListType,
        working: Side,
        legs: list[dict[str, int]],
        lots: int,
        client_id: str,
        broken: str | None,
        at: int,
    ) -> None:
        """PLACE_LIST and its legs, one after the other; mostly as its type wants them."""
        funded = list_type in (ListType.OPO, ListType.OPOCO)
        first = Side.BUY if funded else working
        who = {"account": account, "symbol": 1}
        self.send(command(CommandKind.PLACE_LIST, client_id, list_type=list_type, flags=CommandFlag.LINKED, **who))
        roles = LEGS[list_type]
        for place, (role, terms) in enumerate(zip(roles, legs, strict=False)):
            fields = sane(as_leg(role.name, Side(1 - first), terms))
            fields |= {"side": first if role.name == "WORKING" else 1 - first, "list_role": role}
            fields |= {"qty_lots": lots} if role.name in ("ABOVE", "BELOW") else {}
            fields |= {"qty_lots": 0, "iceberg_lots": 0} if funded and role.name != "WORKING" else {}
            fields["flags"] = CommandFlag.LINKED if place + 1 < len(roles) else 0
            if place == at and broken is not None:
                fields |= {"flags": fields["flags"] ^ 1} if broken == "linked" else {}
                fields |= {"list_role": ListRole.PENDING} if broken == "role" else {}
                if broken == "between":
                    self.send(command(CommandKind.TICK))
            owner = {"account": other} if broken == "account" and place == at else {}
            self.send(command(CommandKind.PLACE, **who | fields | owner))

    @rule(name=st.sampled_from(RULES), value=st.integers(-1, 3))
    def set_symbol_rule(self, name: SymbolRule, value: int) -> None:
        self.send(command(CommandKind.SET_RULE, scope=Scope.SYMBOL, symbol=1, rule=name, value=value))

    @rule(account=ACCOUNT, value=st.integers(0, 2))
    def set_trade_group(self, account: int, value: int) -> None:
        group = {"scope": Scope.ACCOUNT, "rule": AccountRule.TRADE_GROUP}
        self.send(command(CommandKind.SET_RULE, account=account, value=value, **group))


def as_leg(role: str, side: Side, terms: dict[str, int]) -> dict[str, int]:
    """The terms with a type that the role allows."""
    limits = (OrderType.LIMIT, OrderType.LIMIT_MAKER)
    losses = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
    profits = (OrderType.LIMIT_MAKER, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
    allowed: tuple[OrderType, ...] = tuple(OrderType)
    if role == "WORKING":
        allowed = limits
    elif role in ("ABOVE", "BELOW"):
        allowed = profits if (role == "ABOVE") == (side is Side.SELL) else losses
    away = 2 if role == "ABOVE" else -2
    moved = {name: terms[name] + away if terms[name] else 0 for name in ("price_ticks", "stop_price_ticks")}
    return terms | moved | {"order_type": allowed[terms["order_type"] % len(allowed)]}


TestTwoConditionalExchanges: Any = TwoConditionalExchanges.TestCase
TestTwoConditionalExchanges.settings = settings(SETTINGS, max_examples=max(10, SETTINGS.max_examples // 2))
