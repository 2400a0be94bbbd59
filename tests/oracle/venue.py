"""The state of the oracle: everything that an exchange remembers, as nouns.

Owns the dataclasses and the look-ups among them. Judges nothing and moves no money by itself: `emit` hands each event
to the ledger, which is the only thing that does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sortedcontainers import SortedDict

from exchange.core.codes import (
    EventKind,
    Limit,
    OrderStatus,
    OrderType,
    Side,
    StpMode,
    TimeInForce,
    TradingMode,
    TransferState,
)
from tests.oracle.clearing import Ledger
from tests.oracle.words import Event, event, names_an_order

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


@dataclass
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
    filled_lots: int = 0
    filled_quote_atoms: int = 0
    closed_lots: int = 0
    closed_as: OrderStatus | None = None

    @property
    def is_market(self) -> bool:
        return self.order_type is OrderType.MARKET

    @property
    def status(self) -> OrderStatus:
        if self.closed_as is not None:
            return self.closed_as
        return OrderStatus.PARTIALLY_FILLED if self.filled_lots else OrderStatus.NEW

    @property
    def total_lots(self) -> int:
        return self.filled_lots + (self.leaves_lots if self.closed_as is None else self.closed_lots)


Queue = list[Order]


class BookSide:
    """One side of a book: price levels, best first, each a queue of orders, oldest first."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.levels: Any = SortedDict()  # rank of the price -> Queue; the best price has the lowest rank

    def rank(self, price_ticks: int) -> int:
        """Lower is better: the highest bid and the lowest ask come first."""
        return -price_ticks if self.side is Side.BUY else price_ticks

    def rest(self, order: Order) -> None:
        self.levels.setdefault(self.rank(order.price_ticks), []).append(order)

    def remove(self, order: Order) -> None:
        rank = self.rank(order.price_ticks)
        self.levels[rank].remove(order)
        if not self.levels[rank]:
            del self.levels[rank]

    def has_level(self, price_ticks: int) -> bool:
        return self.rank(price_ticks) in self.levels

    def reaches(self, taker_price_ticks: int, maker: Order) -> bool:
        """Whether a taker with this limit may trade with this maker of this side."""
        return self.rank(maker.price_ticks) <= self.rank(taker_price_ticks)

    def in_matching_order(self) -> Iterator[Order]:
        for queue in self.levels.values():
            yield from queue

    def best(self) -> Order | None:
        return next(self.in_matching_order(), None)

    def ahead_of(self, order: Order) -> int:
        """The id of the order before this one in its queue; zero when it is the first."""
        queue: Queue = self.levels[self.rank(order.price_ticks)]
        place = queue.index(order)
        return queue[place - 1].order_id if place else 0


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
    open_orders: dict[int, Order] = field(default_factory=dict)
    window: deque[tuple[int, Order]] = field(default_factory=deque)  # closed orders with a client id, by ordinal
    next_ordinal: int = 0
    by_client_id: dict[tuple[int, str], Order] = field(default_factory=dict)  # open, or in the window
    ledger: Ledger = field(default_factory=Ledger)
    events: list[Event] = field(default_factory=list)

    def emit(self, kind: EventKind, **fields: Any) -> None:
        """Append an event of the present command and post what it implies."""
        happened = event(kind, sequence=self.sequence, ts_ns=self.ts_ns, **fields)
        self.events.append(happened)
        self.ledger.post(happened, self.symbols)

    def open_level_count(self) -> int:
        return sum(len(side.levels) for symbol in self.symbols.values() for side in symbol.sides.values())

    def open_orders_of(self, account: int, symbol: int) -> list[Order]:
        return [o for o in self.open_orders.values() if o.account == account and symbol in (0, o.symbol)]

    def close(self, order: Order, status: OrderStatus) -> None:
        """Take an order out of the venue: off its book when it rests there, into the window when it has a client id."""
        order.closed_as, order.closed_lots, order.leaves_lots = status, order.leaves_lots, 0
        if self.open_orders.pop(order.order_id, None) is not None:
            self.symbols[order.symbol].sides[order.side].remove(order)
        if names_an_order(order.client_id):
            self.window.append((self.next_ordinal, order))
            self.next_ordinal += 1
            self.forget_closed_orders()

    def forget_closed_orders(self) -> None:
        """Let the oldest closed orders go until the window is within its limit."""
        while len(self.window) > self.limits[Limit.CLOSED_ORDERS]:
            _, order = self.window.popleft()
            del self.by_client_id[order.account, order.client_id]
