"""The engine against the oracle under Hypothesis once more, with orders that wait, hide, follow and hang together.

They meet every guard on the way: rules that come and go, auctions, breakers that halt, sweeps and countdowns.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from exchange.core.codes import (
    AccountRule,
    AuctionAction,
    CloseReason,
    CommandFlag,
    CommandKind,
    EventKind,
    KeyRule,
    ListRole,
    ListType,
    OrderType,
    PegType,
    RejectCode,
    Scope,
    Side,
    StpMode,
    SymbolRule,
    TimeInForce,
    TradingMode,
)
from tests.core.conditional import LOSSES, MARKETS, STOPS
from tests.core.differential import NIGHTS, Slot
from tests.core.guarded_streams import BREAKER_RULES, DAY_NS
from tests.core.plans import command
from tests.core.test_machine import ACCOUNT, CLIENT_ID, EDGE, LOTS, OPENING, PRICE, SETTINGS, Both
from tests.oracle.lists import LEGS

NEAR = st.integers(95, 105)
COUNTS = (SymbolRule.ALGO_ORDERS_MAX, SymbolRule.ICEBERG_ORDERS_MAX, SymbolRule.LISTS_MAX, SymbolRule.ICEBERG_PARTS_MAX)
COLLARS = (SymbolRule.BID_UP_BIPS, SymbolRule.BID_DOWN_BIPS, SymbolRule.ASK_UP_BIPS, SymbolRule.ASK_DOWN_BIPS)
RANGE = (SymbolRule.RANGE_UP_BIPS, SymbolRule.RANGE_DOWN_BIPS)
GUARDS = (
    dict(zip(COLLARS, (10_200, 9_800, 10_200, 9_800), strict=True)),
    dict(zip(COLLARS, (11_000, 9_900, 10_200, 9_000), strict=True)),
    dict(zip(RANGE, (10_000, 10_000), strict=True)),
    dict(zip(RANGE, (10_100, 9_900), strict=True)),
    {SymbolRule.REFERENCE_WINDOW_NS: 7},
    {SymbolRule.REFERENCE_WINDOW_NS: 160},
    {SymbolRule.POSITION_MAX_LOTS: 60},
    {SymbolRule.POSITION_MAX_LOTS: 110},
    {SymbolRule.TRAILING_MIN_BIPS: 300, SymbolRule.TRAILING_MAX_BIPS: 2_000},
)
KEY = st.integers(0, 2)
MOVES = st.sampled_from((0, 0, -5, 5))
OFF = st.sampled_from((False, False, False, True))
TERMS = st.fixed_dictionaries(
    {
        "order_type": st.sampled_from((OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT_MAKER, *STOPS)),
        "time_in_force": st.sampled_from((*[TimeInForce.GTC] * 4, TimeInForce.IOC, TimeInForce.FOK)),
        "stp_mode": st.sampled_from(list(StpMode)),
        "away": st.integers(-3, 3),
        "stop_away": st.sampled_from((1, 1, 2, 3, 4, -1)),
        "qty_lots": st.integers(1, 9),
        "trailing_bips": st.sampled_from((0, 0, 0, 100, 300)),
        "follows_only": st.booleans(),
        "iceberg_lots": st.sampled_from((0, 0, 0, 1, 2)),
        "peg_type": st.sampled_from((*[PegType.NONE] * 5, *PegType)),
        "peg_offset_levels": st.sampled_from((0, 0, 1)),
    }
)
"""What a special order may be made of; prices are so far from the last trade's."""
MEETS = (
    *("TRADE", "ORDER_SHOWN", "ORDER_ENTERED", "LIST_CHANGED", "AUCTION_INDICATED", "AUCTION_ENDED", "AUCTION_ORDER"),
    *("BREAKER_TRIPPED", "ORDER_RATE_TOO_HIGH", "MASS_CANCELED", "COUNTDOWN_FIRED", "SYMBOL_CLOSED", "VENUE_CLOSED"),
)
"""What any 300 examples come upon dozens of times; the seeded streams reach what is rarer."""
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


def sane(terms: dict[str, int], side: Side, last_ticks: int) -> dict[str, int]:
    """The fields of an order of such terms, without what its type can not have, so that most of them are accepted."""
    fields = dict(terms)
    away, stop_away, follows_only = (fields.pop(name) for name in ("away", "stop_away", "follows_only"))
    order_type = fields["order_type"]
    if order_type in MARKETS:
        fields |= {"time_in_force": TimeInForce.IOC, "peg_type": PegType.NONE}
    if order_type is OrderType.LIMIT_MAKER:
        fields |= {"time_in_force": TimeInForce.GTC, "peg_type": min(fields["peg_type"], PegType.PRIMARY_PEG)}
    if order_type not in MARKETS and not fields["peg_type"]:
        fields["price_ticks"] = last_ticks + away
    if not fields["peg_type"]:
        fields["peg_offset_levels"] = 0
    if order_type not in STOPS:
        fields["trailing_bips"] = 0
    elif not (fields["trailing_bips"] and follows_only):
        rises = (side is Side.BUY) == (order_type in LOSSES)
        fields["stop_price_ticks"] = last_ticks + (stop_away if rises else -stop_away)
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
        .replace("BTC 3000", "BTC 10000")
    )

    met: ClassVar[Counter[str]] = Counter()
    """How often each kind of event, refusal and end came, over all examples."""

    def send(self, slot: Slot) -> None:
        super().send(slot)
        for event in self.engine.told[-1]:
            kind = EventKind(event["kind"])
            codes = {EventKind.REJECTED: RejectCode, EventKind.ORDER_CLOSED: CloseReason}
            field = "reject" if kind is EventKind.REJECTED else "reason"
            self.met[codes[kind](event[field]).name if kind in codes else kind.name] += 1

    @initialize(traded=st.sampled_from((True, True, True, False)))
    def open_the_venue(self, traded: bool) -> None:
        """Mostly with a first trade, before which nothing can wait for a price."""
        self.open()
        if traded:
            self.meet(price=100, lots=1, first=Side.BUY)

    def last_ticks(self) -> int:
        return self.oracle.oracle.venue.symbols[1].last_ticks or 100

    @rule(
        account=ACCOUNT,
        side=st.sampled_from(list(Side)),
        terms=TERMS,
        client_id=CLIENT_ID,
        key=KEY,
        moves=MOVES,
    )
    def place_special(self, side: Side, terms: dict[str, int], client_id: str, moves: int, **fields: int) -> None:
        """A special order, and then the price may move to where a stop waits."""
        last_ticks = self.last_ticks()
        fields |= sane(terms, side, last_ticks)
        self.send(command(CommandKind.PLACE, client_id, symbol=1, side=side, **fields))
        self.move(last_ticks, moves, lots=1)

    @rule(
        account=ACCOUNT,
        side=st.sampled_from(list(Side)),
        terms=TERMS,
        field=st.sampled_from(("stop_price_ticks", "iceberg_lots", "trailing_bips", "peg_offset_levels", "key")),
        value=st.integers(-2, 200) | st.sampled_from((9_999, 10_000, 32_767, -32_768)),
    )
    def place_spoiled(self, side: Side, terms: dict[str, int], field: str, value: int, account: int) -> None:
        fields = sane(terms, side, self.last_ticks()) | {field: value}
        self.send(command(CommandKind.PLACE, symbol=1, side=side, account=account, **fields))

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
        order = {
            "order_type": OrderType.LIMIT,
            "time_in_force": TimeInForce.IOC,
            "price_ticks": self.last_ticks() + away,
        }
        self.send(command(CommandKind.PLACE, symbol=1, qty_lots=lots, **fields | order))

    def move(self, last_ticks: int, moves: int, lots: int) -> None:
        if moves:
            self.meet(price=last_ticks + moves, lots=lots, first=Side.BUY if moves > 0 else Side.SELL)

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
        moves=MOVES,
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
        moves: int,
    ) -> None:
        """PLACE_LIST and its legs, one after the other; mostly as its type wants them; then the price may move."""
        last_ticks = self.last_ticks()
        funded = list_type in (ListType.OPO, ListType.OPOCO)
        first = Side.BUY if funded else working
        who = {"account": account, "symbol": 1}
        self.send(command(CommandKind.PLACE_LIST, client_id, list_type=list_type, flags=CommandFlag.LINKED, **who))
        roles = LEGS[list_type]
        for place, (role, terms) in enumerate(zip(roles, legs, strict=False)):
            side = first if role.name == "WORKING" else Side(1 - first)
            fields = sane(as_leg(role.name, side, terms), side, last_ticks)
            fields |= {"side": side, "list_role": role}
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
        self.move(last_ticks, moves, lots=9)

    @rule(name=st.sampled_from(COUNTS), value=st.sampled_from((-1, 0, 1, 1, 1, 2, 3)))
    def set_count(self, name: SymbolRule, value: int) -> None:
        self.send(command(CommandKind.SET_RULE, scope=Scope.SYMBOL, symbol=1, rule=name, value=value))

    @rule(account=ACCOUNT, value=st.integers(0, 2))
    def set_trade_group(self, account: int, value: int) -> None:
        group = {"scope": Scope.ACCOUNT, "rule": AccountRule.TRADE_GROUP}
        self.send(command(CommandKind.SET_RULE, account=account, value=value, **group))

    @rule(guard=st.sampled_from(GUARDS), off=OFF)
    def set_guard(self, guard: dict[SymbolRule, int], off: bool) -> None:
        for name, value in guard.items():
            fields = {"rule": name, "value": 0 if off else value}
            self.send(command(CommandKind.SET_RULE, scope=Scope.SYMBOL, symbol=1, **fields))

    @rule(account=ACCOUNT, orders=st.sampled_from((0, 0, 1, 2, 3)), window_ns=st.sampled_from((30, 300)))
    def set_order_rate(self, account: int, orders: int, window_ns: int) -> None:
        for name, value in ((AccountRule.ORDERS_MAX, orders), (AccountRule.ORDERS_WINDOW_NS, window_ns)):
            self.send(command(CommandKind.SET_RULE, scope=Scope.ACCOUNT, account=account, rule=name, value=value))

    @rule(account=ACCOUNT, asset=st.sampled_from((1, 2)), value=st.sampled_from((0, 0, 4_000, 15_000)))
    def set_exposure(self, value: int, **fields: int) -> None:
        name = AccountRule.LOCKED_MAX_ATOMS
        self.send(command(CommandKind.SET_RULE, scope=Scope.ACCOUNT, rule=name, value=value, **fields))

    @rule(key=KEY, value=st.sampled_from((0, 9_000, 40_000)))
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

    @rule(
        action=st.sampled_from((AuctionAction.START, *[AuctionAction.UNCROSS] * 3)),
        lasts_ns=st.sampled_from((0, 0, 1, 40)),
    )
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
        mode=st.sampled_from((*[TradingMode.OPEN] * 6, *TradingMode)),
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
    profits = (OrderType.LIMIT_MAKER, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
    allowed: tuple[OrderType, ...] = tuple(OrderType)
    if role == "WORKING":
        allowed = limits
    elif role in ("ABOVE", "BELOW"):
        allowed = profits if (role == "ABOVE") == (side is Side.SELL) else LOSSES
    away = {"ABOVE": 2, "BELOW": -2}.get(role, 0) + terms["away"]
    return terms | {"away": away, "order_type": allowed[terms["order_type"] % len(allowed)]}


@pytest.mark.parametrize("part", range(NIGHTS))
def test_engine_with_everything_at_once_does_what_the_oracle_does(part: int) -> None:
    met = TwoConditionalExchanges.met
    met.clear()
    run_state_machine_as_test(TwoConditionalExchanges, settings=SETTINGS)
    if SETTINGS.max_examples >= 300:
        assert [name for name in MEETS if not met[name]] == []
