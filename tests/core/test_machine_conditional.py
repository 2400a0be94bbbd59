"""The engine against the oracle under Hypothesis once more, with orders that wait, hide, follow and hang together.

They meet every guard on the way: rules that come and go, auctions, breakers that halt, sweeps and countdowns.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from exchange.core.codes import (
    AccountRule,
    AuctionAction,
    CommandFlag,
    CommandKind,
    KeyRule,
    ListRole,
    ListType,
    OrderType,
    Scope,
    Side,
    StpMode,
    SymbolRule,
    TimeInForce,
    TradingMode,
)
from tests.core.guarded_streams import ACCOUNT_VALUES, BREAKER_RULES, DAY_NS, SYMBOL_VALUES
from tests.core.plans import command
from tests.core.test_machine import ACCOUNT, CLIENT_ID, EDGE, LOTS, OPENING, PRICE, SETTINGS, Both
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
NUMBERS = tuple((rule, value) for rule, values in SYMBOL_VALUES.items() for value in values)
ACCOUNT_NUMBERS = tuple((rule, value) for rule, values in ACCOUNT_VALUES.items() for value in values)
KEY = st.integers(0, 2)
OFF = st.sampled_from((False, False, False, True))
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

GATHERED = st.fixed_dictionaries(
    {
        "account": ACCOUNT,
        "side": st.sampled_from(list(Side)),
        "price_ticks": NEAR,
        "qty_lots": st.integers(1, 9),
        "stp_mode": st.sampled_from(list(StpMode)),
        "iceberg_lots": st.sampled_from((0, 0, 1)),
        "key": KEY,
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


class TwoConditionalExchanges(Both):
    """The usual commands, and those that concern special orders and guards. One symbol, so that they meet.

    Nonsense is left to the plain machine: the steps are for what depends on each other.
    """

    opening = (
        OPENING.replace("orders_max=3", "orders_max=6")
        .replace("ORDERS 8", "ORDERS 16")
        .replace("LEVELS 5", "LEVELS 12")
    )

    @initialize(traded=st.sampled_from((True, True, True, False)))
    def open_the_venue(self, traded: bool) -> None:
        """Mostly with a first trade, before which nothing can wait for a price."""
        self.open()
        if traded:
            self.meet(price=100, lots=1, first=Side.BUY)

    @rule(account=ACCOUNT, side=st.sampled_from(list(Side)), terms=TERMS, client_id=CLIENT_ID, key=KEY)
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

    @rule(named=st.sampled_from(NUMBERS), off=OFF)
    def set_guard(self, named: tuple[SymbolRule, int], off: bool) -> None:
        name, value = named
        self.send(command(CommandKind.SET_RULE, scope=Scope.SYMBOL, symbol=1, rule=name, value=0 if off else value))

    @rule(account=ACCOUNT, asset=st.sampled_from((1, 2)), named=st.sampled_from(ACCOUNT_NUMBERS), off=OFF)
    def set_account_guard(self, account: int, asset: int, named: tuple[AccountRule, int], off: bool) -> None:
        fields = {"rule": named[0], "value": 0 if off else named[1], "asset": asset}
        self.send(command(CommandKind.SET_RULE, scope=Scope.ACCOUNT, account=account, **fields))

    @rule(key=KEY, value=st.sampled_from((0, 300, 2_000)))
    def set_key_guard(self, key: int, value: int) -> None:
        fields = {"rule": KeyRule.NOTIONAL_DAY_MAX_ATOMS, "value": value, "asset": 2}
        self.send(command(CommandKind.SET_RULE, scope=Scope.KEY, key=key, **fields))

    @rule(bips=st.sampled_from((50, 100, 300)), pause_ns=st.integers(1, 60), auction_ns=st.integers(1, 60))
    def arm_breaker(self, bips: int, pause_ns: int, auction_ns: int) -> None:
        """A move beyond the band halts the symbol, and an auction opens it again."""
        for name, value in zip(BREAKER_RULES, (bips, 3_000, pause_ns, auction_ns), strict=True):
            self.send(command(CommandKind.SET_RULE, scope=Scope.SYMBOL, symbol=1, rule=name, value=value))

    @rule(price=NEAR, to=NEAR, lots=st.integers(1, 4), first=st.sampled_from(list(Side)))
    def jolt(self, price: int, to: int, lots: int, first: Side) -> None:
        """The price goes somewhere, and at once somewhere else: stops are called, breakers trip."""
        self.meet(price=price, lots=lots, first=first)
        self.meet(price=to, lots=lots, first=first)

    @rule(action=st.sampled_from(AuctionAction), lasts_ns=st.sampled_from((0, 0, 1, 40)))
    def auction(self, action: AuctionAction, lasts_ns: int = 0) -> None:
        end_ts_ns = self.ts_ns + lasts_ns if lasts_ns else 0
        self.send(command(CommandKind.AUCTION, symbol=1, action=action, end_ts_ns=end_ts_ns))

    @rule(orders=st.lists(GATHERED, min_size=2, max_size=4), ends=st.sampled_from((True, True, False)))
    def gather(self, orders: list[dict[str, int]], ends: bool) -> None:
        """Orders that would trade wait in an auction, which tells where they would meet; then it mostly ends."""
        self.auction(action=AuctionAction.START)
        for order in orders:
            fields = {"symbol": 1, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC}
            self.send(command(CommandKind.PLACE, **fields | order))
        self.let_time_pass(passes_ns=0)
        if ends:
            self.auction(action=AuctionAction.UNCROSS)

    @rule(passes_ns=st.sampled_from((10, 60, 200, DAY_NS)))
    def let_time_pass(self, passes_ns: int) -> None:
        """Long enough for what is timed to end: pauses, auctions, countdowns, windows, days."""
        self.ts_ns += passes_ns
        self.send(command(CommandKind.TICK))

    @rule(
        scope=st.sampled_from((Scope.ACCOUNT, Scope.KEY, Scope.SYMBOL, Scope.VENUE)),
        account=ACCOUNT,
        symbol=st.sampled_from((0, 1)),
        key=KEY,
    )
    def mass_cancel(self, **fields: int) -> None:
        self.send(command(CommandKind.MASS_CANCEL, **fields))

    @rule(account=ACCOUNT, symbol=st.sampled_from((0, 1)), key=KEY, countdown_ns=st.sampled_from((0, 20, 20, 200)))
    def countdown(self, **fields: int) -> None:
        self.send(command(CommandKind.COUNTDOWN, **fields))

    @rule(
        scope=st.sampled_from((Scope.VENUE, Scope.SYMBOL, Scope.ACCOUNT)),
        mode=st.sampled_from((TradingMode.OPEN, TradingMode.OPEN, *TradingMode)),
        account=ACCOUNT,
    )
    def set_trading_mode(self, mode: TradingMode, **fields: int) -> None:
        """Any mode; what is halted opens by way of CANCEL_ONLY."""
        steps = (TradingMode.CANCEL_ONLY, TradingMode.OPEN) if mode is TradingMode.OPEN else (mode,)
        for step in steps:
            self.send(command(CommandKind.SET_TRADING_MODE, symbol=1, mode=step, **fields))

    @rule(mode=st.sampled_from((TradingMode.OPEN, TradingMode.HALTED)))
    def set_withdrawals(self, mode: TradingMode) -> None:
        self.send(command(CommandKind.SET_TRADING_MODE, scope=Scope.WITHDRAWALS, mode=mode))


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
TestTwoConditionalExchanges.settings = SETTINGS
