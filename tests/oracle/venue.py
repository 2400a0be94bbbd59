"""The state of the oracle: everything that an exchange remembers, as nouns.

Owns the dataclasses and the look-ups among them. Judges nothing and moves no money by itself: `emit` hands each event
to the ledger, which is the only thing that does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from exchange.core.codes import (
    AccountRule,
    CommandKind,
    EventKind,
    Limit,
    ListRole,
    ListType,
    OrderStatus,
    OrderType,
    PegType,
    Phase,
    Side,
    Stage,
    StpMode,
    TimeInForce,
    TradingMode,
    TransferState,
)
from tests.oracle.clearing import Ledger
from tests.oracle.guards import AccountGuard, KeyGuard, SymbolGuard
from tests.oracle.queues import BookSide, DueQueue, TriggerSide
from tests.oracle.words import Command, Event, event, names_an_order

DEFAULT_LIMITS = {
    Limit.ASSETS: 64,
    Limit.SYMBOLS: 64,
    Limit.ACCOUNTS: 100_000,
    Limit.OPEN_ORDERS: 1_000_000,
    Limit.LEVELS: 1_000_000,
    Limit.TRANSFERS: 10_000_000,
    Limit.CLOSED_ORDERS: 100_000,
}


@dataclass
class Asset:
    asset: int
    scale: int
    name: str


@dataclass
class Account:
    account: int
    maker_fee_ppm: int  # -1: the symbol's
    taker_fee_ppm: int
    mode: TradingMode = TradingMode.OPEN
    guard: AccountGuard = field(default_factory=AccountGuard)


MARKET_TYPES = (OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
STOP_TYPES = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
MAY_REST = (TimeInForce.GTC, TimeInForce.GTD)


@dataclass(eq=False)
class Order:
    """An order from its acceptance on; `leaves_lots` is zero once it is closed, `closed_lots` what it closed with."""

    order_id: int
    account: int
    symbol: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    stp_mode: StpMode
    price_ticks: int
    submitted_lots: int
    quote_atoms: int
    expire_ts_ns: int
    client_id: str
    leaves_lots: int
    created_ts_ns: int
    updated_ts_ns: int
    stop_price_ticks: int = 0
    iceberg_lots: int = 0
    trailing_bips: int = 0
    peg_type: PegType = PegType.NONE
    peg_offset_levels: int = 0
    list_role: ListRole = ListRole.NONE
    key: int = 0
    list_id: int = 0
    filled_lots: int = 0
    filled_quote_atoms: int = 0
    closed_lots: int = 0
    closed_as: OrderStatus | None = None
    stage: Stage = Stage.BOOK
    stands_in: BookSide | DueQueue | None = None
    part_lots: int = 0  # of an iceberg that rests: what is left of the part that it shows
    held_atoms: int = 0  # while it waits; on the book its price and leaves say what it holds
    trigger_ticks: int = 0  # while it waits for a price: that price
    extreme_ticks: int = 0  # while it trails: the best price since
    working_ts_ns: int = 0  # when it entered

    @property
    def is_market(self) -> bool:
        return self.order_type in MARKET_TYPES

    @property
    def is_stop(self) -> bool:
        return self.order_type in STOP_TYPES

    @property
    def may_rest(self) -> bool:
        return self.time_in_force in MAY_REST

    @property
    def is_special(self) -> bool:
        return any((self.stop_price_ticks, self.trailing_bips, self.iceberg_lots, self.peg_type, self.list_role))

    @property
    def shown_lots(self) -> int:
        """What of it stands on the book for all to see."""
        if self.stage is not Stage.BOOK or self.stands_in is None:
            return 0
        return self.part_lots if self.iceberg_lots else self.leaves_lots

    @property
    def status(self) -> OrderStatus:
        if self.closed_as is not None:
            return self.closed_as
        if self.stage in (Stage.PENDING, Stage.DUE):
            return OrderStatus.PENDING_NEW
        return OrderStatus.PARTIALLY_FILLED if self.filled_lots else OrderStatus.NEW

    @property
    def total_lots(self) -> int:
        return self.filled_lots + (self.leaves_lots if self.closed_as is None else self.closed_lots)


class Trigger(Enum):
    """Which way the price has to move to reach an order that waits for it."""

    DOWN = 0
    UP = 1


@dataclass
class Symbol:
    symbol: int
    base: Asset
    quote: Asset
    price_scale: int
    qty_scale: int
    name: str
    rules: dict[str, int]  # price_min_ticks ... taker_fee_ppm, by the names of the record
    price_ceiling: int
    qty_ceiling: int
    mode: TradingMode = TradingMode.OPEN
    trades: int = 0
    sides: dict[Side, BookSide] = field(default_factory=lambda: {side: BookSide(side) for side in Side})
    triggers: dict[Trigger, TriggerSide] = field(
        default_factory=lambda: {Trigger.DOWN: TriggerSide(Side.BUY), Trigger.UP: TriggerSide(Side.SELL)}
    )
    due: DueQueue = field(default_factory=DueQueue)
    trailing: list[Order] = field(default_factory=list)  # in the order in which they came to be TRAIL
    last_ticks: int = 0  # price of the last trade; zero: none yet
    passed_low_ticks: int = 0  # trade prices since nothing was due any more; zeros: none
    passed_high_ticks: int = 0
    guard: SymbolGuard = field(default_factory=SymbolGuard)
    watched: bool = False  # it ever had a special order, a rule, or an auction
    phase: Phase = Phase.CONTINUOUS
    phase_end_ts_ns: int = 0
    indicative_price_ticks: int = 0
    indicative_lots: int = 0

    @property
    def base_atoms_per_lot(self) -> int:
        return int(10 ** (self.base.scale - self.qty_scale))

    @property
    def quote_atoms_per_tick_lot(self) -> int:
        return int(10 ** (self.quote.scale - self.price_scale - self.qty_scale))

    def notional_atoms(self, price_ticks: int, qty_lots: int) -> int:
        return price_ticks * qty_lots * self.quote_atoms_per_tick_lot

    def payer_asset(self, side: Side) -> int:
        """The asset that an order of this side pays with, and that its hold is in."""
        return self.quote.asset if side is Side.BUY else self.base.asset

    def hold_atoms(self, side: Side, price_ticks: int, qty_lots: int) -> int:
        """What an order with a limit price has to hold for this quantity."""
        return self.notional_atoms(price_ticks, qty_lots) if side is Side.BUY else qty_lots * self.base_atoms_per_lot


@dataclass
class Transfer:
    transfer_id: int
    account: int
    asset: int
    amount_atoms: int
    state: TransferState


@dataclass
class OrderList:
    """An order list with the legs that it began with, in their order."""

    list_id: int
    list_type: ListType
    account: int
    symbol: int
    client_id: str
    legs: list[Order]

    @property
    def open_legs(self) -> list[Order]:
        return [leg for leg in self.legs if leg.closed_as is None]

    @property
    def lead(self) -> Order:
        """The one of the legs behind WORKING, or of a pair, whose hold the other one shares."""
        behind = [leg for leg in self.legs if leg.list_role is not ListRole.WORKING]
        makers = [leg for leg in behind if leg.order_type is OrderType.LIMIT_MAKER]
        return (makers or behind)[0]


@dataclass
class Venue:
    """Everything. `events` are those of the command that is being applied."""

    sequence: int = 0
    ts_ns: int = 0
    mode: TradingMode = TradingMode.OPEN
    next_order_id: int = 1
    link_failed_sequence: int = 0
    limits: dict[Limit, int] = field(default_factory=lambda: dict(DEFAULT_LIMITS))
    assets: dict[int, Asset] = field(default_factory=dict)
    symbols: dict[int, Symbol] = field(default_factory=dict)
    accounts: dict[int, Account] = field(default_factory=dict)
    transfers: dict[int, Transfer] = field(default_factory=dict)
    withdrawals: TradingMode = TradingMode.OPEN
    countdowns: dict[tuple[int, int, int], int] = field(default_factory=dict)  # account, symbol, key -> due_ts_ns
    open_orders: dict[int, Order] = field(default_factory=dict)
    window: deque[tuple[int, Order]] = field(default_factory=deque)  # closed orders with a client id, by ordinal
    next_ordinal: int = 0
    by_client_id: dict[tuple[int, str], Order] = field(default_factory=dict)  # open, or in the window
    lists: dict[int, OrderList] = field(default_factory=dict)  # those with an open leg
    next_list_id: int = 1
    staged: list[Command] = field(default_factory=list)  # PLACE_LIST and its legs so far, when they came last
    keys: dict[int, KeyGuard] = field(default_factory=dict)  # those with a rule
    ledger: Ledger = field(default_factory=Ledger)
    cause: CommandKind = CommandKind.TICK  # the kind of the command that is being applied
    unfinished: list[Command] = field(default_factory=list)  # what was staged when it came
    events: list[Event] = field(default_factory=list)

    def emit(self, kind: EventKind, **fields: Any) -> None:
        """Append an event of the present command and post what it implies."""
        happened = event(kind, sequence=self.sequence, ts_ns=self.ts_ns, **fields)
        self.events.append(happened)
        self.ledger.post(happened, self.symbols)

    def same_owner(self, one: int, other: int) -> bool:
        """Whether two accounts are one to self-trade prevention: the same, or of one trade group."""
        groups = [self.accounts[account].guard.rules[AccountRule.TRADE_GROUP] for account in (one, other)]
        return one == other or (groups[0] != 0 and groups[0] == groups[1])

    def is_full_of_levels(self) -> bool:
        """Whether no further level may be made, on a book or beside it."""
        count = sum(
            len(side.levels)
            for symbol in self.symbols.values()
            for side in (*symbol.sides.values(), *symbol.triggers.values())
        )
        return count >= self.limits[Limit.LEVELS]

    def open_orders_of(self, account: int, symbol: int) -> list[Order]:
        return [o for o in self.open_orders.values() if o.account == account and symbol in (0, o.symbol)]

    def take_out(self, order: Order) -> None:
        """Out of where the order stands, if it stands anywhere."""
        if order.stands_in is not None:
            order.stands_in.remove(order)
        if order.stage is Stage.TRAIL and order in self.symbols[order.symbol].trailing:
            self.symbols[order.symbol].trailing.remove(order)

    def close(self, order: Order, status: OrderStatus, lots: int) -> None:
        """Take an order out of the venue, from where it stands into the window; `lots` as in `end`."""
        self.end(order, status, lots)
        self.remember(order)

    def end(self, order: Order, status: OrderStatus, lots: int) -> None:
        """An order stands nowhere any more; `lots` is what its last event took away without a trade."""
        self.take_out(order)
        order.closed_as, order.closed_lots, order.leaves_lots = status, lots, 0
        self.open_orders.pop(order.order_id, None)

    def remember(self, order: Order) -> None:
        """Put an order that has ended into the window, if it has a client id."""
        if names_an_order(order.client_id):
            self.window.append((self.next_ordinal, order))
            self.next_ordinal += 1
            self.forget_closed_orders()

    def forget_closed_orders(self) -> None:
        """Let the oldest closed orders go until the window is within its limit."""
        while len(self.window) > self.limits[Limit.CLOSED_ORDERS]:
            _, order = self.window.popleft()
            del self.by_client_id[order.account, order.client_id]
