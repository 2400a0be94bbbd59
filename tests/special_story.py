"""A story in which orders wait, hide, hang together and meet in an auction: its events, written by hand.

It owns no rule: docs/engine-orders.md and docs/engine-guards.md say what the events must be, and here they are, a
command after the other, with the book that everybody sees after each. Whatever reads the event journal can be held
against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import (
    CloseReason,
    CommandKind,
    EventFlag,
    EventKind,
    ListRole,
    ListStatus,
    ListType,
    OrderStatus,
    OrderType,
    Side,
    Stage,
    TimeInForce,
    TransferState,
)
from exchange.core.event_records import EVENT_DTYPES
from exchange.core.records import CLIENT_ID_BYTES, NAME_BYTES, RECORD_BYTES
from tests.marketdata.venue import START_NS, symbol_fields

SELLER, BUYER = 16, 17
BTC, USDT, BTC_USDT = 1, 3, 1
BASE_ATOMS, QUOTE_ATOMS = 10**4, 100
"""Of a lot, and of a lot at a tick."""
RICH_ATOMS = 10**15
SECOND_NS = 10**9
OFF_BOOK = int(EventFlag.OFF_BOOK)

Event = np.ndarray[Any, np.dtype[np.uint8]]
Levels = dict[int, int]


def event(kind: EventKind, client_id: str = "", *, name: str = "", **fields: Any) -> Event:
    """One event slot."""
    record = np.zeros(1, EVENT_DTYPES[kind])
    record["kind"] = kind
    for key, value in fields.items():
        record[key] = value
    slot = record.view(np.uint8).copy()
    for text, width in ((client_id, CLIENT_ID_BYTES), (name, NAME_BYTES)):
        if text:
            slot[RECORD_BYTES - width : RECORD_BYTES - width + len(text)] = np.frombuffer(
                text.encode("ascii", "replace"), np.uint8
            )
    return slot


def slots_of(told: Sequence[dict[str, Any]]) -> Event:
    """Events that are told as dicts, as the oracle and `event_dict` do: (n, 128)."""
    slots = []
    for fields in told:
        rest = {name: value for name, value in fields.items() if name not in ("kind", "client_id", "name")}
        texts = {"client_id": fields.get("client_id", ""), "name": fields.get("name", "")}
        slots.append(event(EventKind(fields["kind"]), **texts, **rest))
    return np.stack(slots)


class Command(NamedTuple):
    """What one command gave."""

    words: str
    events: Event
    """(n, 128)"""
    bids: Levels
    asks: Levels


@dataclass
class Order:
    """An order as its events need it."""

    order_id: int
    account: int
    side: int
    order_type: int
    price_ticks: int
    client_id: str
    time_in_force: int = TimeInForce.GTC
    flags: int = 0
    filled_lots: int = 0
    filled_quote_atoms: int = 0
    terms: dict[str, Any] | None = None

    def event(
        self, kind: EventKind, qty_lots: int, hold_atoms: int = 0, by: int = CommandKind.PLACE, **more: Any
    ) -> Event:
        """An ORDER_EVENT of it."""
        fields: dict[str, Any] = {
            "flags": self.flags, "side": self.side, "order_type": self.order_type, "account": self.account,
            "time_in_force": self.time_in_force, "symbol": BTC_USDT, "order_id": self.order_id,
            "price_ticks": self.price_ticks, "qty_lots": qty_lots, "hold_delta_atoms": hold_atoms,
            "filled_lots": self.filled_lots, "filled_quote_atoms": self.filled_quote_atoms, "command_kind": by,
            "status": OrderStatus.PARTIALLY_FILLED if self.filled_lots else OrderStatus.NEW,
        }  # fmt: skip
        return event(kind, self.client_id, **fields | more)

    def accepted(self, qty_lots: int, hold_atoms: int, **more: Any) -> list[Event]:
        """ORDER_ACCEPTED, and ORDER_TERMS of a special order."""
        found = [self.event(EventKind.ORDER_ACCEPTED, qty_lots, hold_atoms, **more)]
        if self.terms is not None:
            whose: dict[str, Any] = {
                "account": self.account,
                "symbol": BTC_USDT,
                "order_id": self.order_id,
                "flags": OFF_BOOK,
            }
            found.append(event(EventKind.ORDER_TERMS, **whose | self.terms))
        return found

    def shown(self, change_lots: int, **more: Any) -> Event:
        """ORDER_SHOWN."""
        return self.event(EventKind.ORDER_SHOWN, change_lots, **more | {"flags": OFF_BOOK})

    def closed(self, qty_lots: int, hold_atoms: int, by: int, reason: int = CloseReason.CANCELED) -> Event:
        """ORDER_CLOSED, CANCELED."""
        why: dict[str, Any] = {"reason": reason, "status": OrderStatus.CANCELED}
        return self.event(EventKind.ORDER_CLOSED, qty_lots, hold_atoms, by, **why)


def base(lots: int) -> int:
    """The base asset of lots."""
    return lots * BASE_ATOMS


def quote(lots: int, ticks: int) -> int:
    """The quote asset of lots at a price."""
    return lots * ticks * QUOTE_ATOMS


class Story:
    """Writes the story; `commands` are what came of it."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self._trade_id = 0
        self._tell_opening()
        self._tell_icebergs_and_stops()
        self._tell_lists()
        self._tell_auction()

    def then(self, words: str, *events: Event, bids: Levels | None = None, asks: Levels | None = None) -> None:
        """One command."""
        rows = np.stack(events)
        sequence = len(self.commands) + 1
        rows[:, :16] = np.array([sequence, START_NS + sequence * SECOND_NS], "<i8").view(np.uint8)
        rows[-1, 17] |= EventFlag.LAST
        self.commands.append(Command(words, rows, bids or {}, asks or {}))

    def trade(self, taker: Order, maker: Order, lots: int, ticks: int, left: tuple[int, int], **more: Any) -> Event:
        """A TRADE; `left`: the leaves of taker and maker after it. A fee is one atom."""
        self._trade_id += 1
        for order in (taker, maker):
            order.filled_lots += lots
            order.filled_quote_atoms += quote(lots, ticks)
        release = 0
        if taker.side == Side.BUY and taker.price_ticks:
            release = quote(lots, taker.price_ticks - ticks)
        return event(
            EventKind.TRADE, side=taker.side, symbol=BTC_USDT, taker_account=taker.account, maker_account=maker.account,
            taker_order_id=taker.order_id, maker_order_id=maker.order_id, trade_id=self._trade_id, price_ticks=ticks,
            qty_lots=lots, quote_atoms=quote(lots, ticks), taker_fee_atoms=1, maker_fee_atoms=1,
            taker_leaves_lots=left[0], maker_leaves_lots=left[1], taker_release_atoms=release, **more,
        )  # fmt: skip

    def _tell_opening(self) -> None:
        for asset, name in ((BTC, "BTC"), (2, "ETH"), (USDT, "USDT")):
            self.then(f"asset {name}", event(EventKind.ASSET_ADDED, name=name, asset=asset, scale=8))
        self.then("symbol", event(EventKind.SYMBOL_ADDED, name="BTC_USDT", **symbol_fields(BTC_USDT, BTC, USDT)))
        for account in (SELLER, BUYER):
            self.then("account", event(EventKind.ACCOUNT_OPENED, account=account, maker_fee_ppm=-1, taker_fee_ppm=-1))
            for asset in (BTC, USDT):
                made: dict[str, Any] = {"command_kind": CommandKind.DEPOSIT, "transfer_state": TransferState.DEPOSITED}
                made |= {"account": account, "asset": asset, "transfer_id": account * 10 + asset}
                self.then("deposit", event(EventKind.TRANSFERRED, **made, amount_atoms=RICH_ATOMS))
        self.then("a rule", event(EventKind.RULE_SET, scope=1, rule=14, symbol=BTC_USDT, value=5))
        self.then("a dead man's timer", event(EventKind.COUNTDOWN_SET, account=SELLER, countdown_ns=5, due_ts_ns=9))

    def _tell_icebergs_and_stops(self) -> None:
        limit, buy, sell = OrderType.LIMIT, Side.BUY, Side.SELL
        plain = Order(1, SELLER, sell, limit, 5_000, "plain")
        self.then("a plain order", *plain.accepted(10, base(10)), asks={5_000: 10})
        ice = self.ice = Order(2, SELLER, sell, limit, 5_010, "ice", flags=OFF_BOOK, terms={"iceberg_lots": 10})
        book = {5_000: 10, 5_010: 10}
        self.then("an iceberg shows a part", *ice.accepted(30, base(30)), ice.shown(10), asks=book)
        terms = {"stage": Stage.STOP, "stop_price_ticks": 5_005}
        stop = Order(3, BUYER, buy, OrderType.STOP_LOSS, 0, "stop", TimeInForce.IOC, OFF_BOOK, terms=terms)
        self.then("a stop waits", *stop.accepted(5, 0), asks=book)
        taker = Order(4, BUYER, buy, limit, 5_010, "taker")
        self.then(
            "a taker triggers the stop",
            *taker.accepted(12, quote(12, 5_010)),
            self.trade(taker, plain, 10, 5_000, (2, 0)),
            self.trade(taker, ice, 2, 5_010, (0, 28)),
            stop.event(EventKind.ORDER_ENTERED, 5, quote(5, 5_010)),
            self.trade(stop, ice, 5, 5_010, (0, 23)),
            asks={5_010: 3},
        )
        taker = Order(5, BUYER, buy, limit, 5_010, "again")
        trade = self.trade(taker, ice, 3, 5_010, (0, 20))
        self.then("the next part", *taker.accepted(3, quote(3, 5_010)), trade, ice.shown(10), asks={5_010: 10})
        reduced = ice.event(EventKind.ORDER_REDUCED, 14, -base(14), CommandKind.REDUCE)
        self.then("less than a part is left", ice.shown(-4, command_kind=CommandKind.REDUCE), reduced, asks={5_010: 6})

    def list_changed(self, list_id: int, list_type: int, status: int, account: int, *order_ids: int) -> Event:
        """LIST_CHANGED of a list that is called as its id."""
        legs: dict[str, Any] = {f"order_id_{leg}": order_id for leg, order_id in enumerate(order_ids)}
        fields: dict[str, Any] = {"list_id": list_id, "list_type": list_type, "list_status": status, "account": account}
        return event(EventKind.LIST_CHANGED, f"list{list_id}", symbol=BTC_USDT, **fields, **legs)

    def _tell_lists(self) -> None:
        limit, buy, sell = OrderType.LIMIT, Side.BUY, Side.SELL
        ice = self.ice
        for client_id in ("list1", "working"):
            staged = event(EventKind.STAGED, client_id, list_type=ListType.OPO, account=BUYER, symbol=BTC_USDT)
            self.then("a list is staged", staged, asks={5_010: 6})
        working = Order(6, BUYER, buy, limit, 5_010, "working", flags=OFF_BOOK)
        working.terms = {"list_id": 1, "list_role": ListRole.WORKING}
        pending = Order(7, BUYER, sell, OrderType.STOP_LOSS_LIMIT, 4_900, "pending", flags=OFF_BOOK)
        pending.terms = {"list_id": 1, "list_role": ListRole.PENDING, "stage": Stage.PENDING}
        pending.terms["stop_price_ticks"] = 4_950
        self.then(
            "what the first leg buys the second one will sell",
            self.list_changed(1, ListType.OPO, ListStatus.STARTED, BUYER, 6, 7),
            *working.accepted(4, quote(4, 5_010)),
            *pending.accepted(0, 0, status=OrderStatus.PENDING_NEW),
            self.trade(working, ice, 4, 5_010, (0, 2)),
            pending.event(EventKind.ORDER_FUNDED, 0, base(4) - 1, status=OrderStatus.PENDING_NEW),
            pending.event(EventKind.ORDER_FUNDED, 0, base(3) - base(4) + 1, status=OrderStatus.PENDING_NEW),
            pending.event(EventKind.ORDER_ENTERED, 3),
            asks={5_010: 2},
        )
        resting = Order(8, SELLER, buy, limit, 4_950, "bid")
        self.then("a bid", *resting.accepted(1, quote(1, 4_950)), bids={4_950: 1}, asks={5_010: 2})
        taker = Order(9, BUYER, sell, limit, 4_950, "")
        self.then(
            "the second leg is triggered",
            *taker.accepted(1, base(1)),
            self.trade(taker, resting, 1, 4_950, (0, 0)),
            pending.event(EventKind.ORDER_ENTERED, 3),
            pending.shown(3),
            asks={4_900: 3, 5_010: 2},
        )
        self.then(
            "it is canceled, and the list ends",
            pending.shown(-3, command_kind=CommandKind.CANCEL),
            pending.closed(3, -base(3), CommandKind.CANCEL),
            self.list_changed(1, ListType.OPO, ListStatus.DONE, BUYER, 6, 7),
            asks={5_010: 2},
        )
        above = Order(10, SELLER, sell, OrderType.LIMIT_MAKER, 5_100, "above", flags=OFF_BOOK)
        above.terms = {"list_id": 2, "list_role": ListRole.ABOVE}
        below = Order(11, SELLER, sell, OrderType.STOP_LOSS, 0, "below", TimeInForce.IOC, OFF_BOOK)
        below.terms = {"list_id": 2, "list_role": ListRole.BELOW, "stage": Stage.STOP, "stop_price_ticks": 4_000}
        self.then(
            "a pair",
            self.list_changed(2, ListType.OCO, ListStatus.STARTED, SELLER, 10, 11),
            *above.accepted(2, base(2)),
            *below.accepted(2, 0),
            above.shown(2),
            asks={5_010: 2, 5_100: 2},
        )
        self.then(
            "one leg is canceled, and the other one goes with it",
            above.shown(-2, command_kind=CommandKind.CANCEL),
            above.closed(2, -base(2), CommandKind.CANCEL),
            below.closed(2, 0, CommandKind.CANCEL, CloseReason.LIST),
            self.list_changed(2, ListType.OCO, ListStatus.DONE, SELLER, 10, 11),
            asks={5_010: 2},
        )

    def _tell_auction(self) -> None:
        ice, tick = self.ice, CommandKind.TICK
        started = event(EventKind.AUCTION_STARTED, symbol=BTC_USDT, end_ts_ns=START_NS + 100 * SECOND_NS)
        self.then("an auction", started, asks={5_010: 2})
        bid = Order(12, BUYER, Side.BUY, OrderType.LIMIT, 5_020, "crossing")
        crossed = {"bids": {5_020: 5}, "asks": {5_010: 2}}
        self.then("an order that crosses rests", *bid.accepted(5, quote(5, 5_020)), **crossed)
        told: dict[str, Any] = {"price_ticks": 5_010, "qty_lots": 2, "symbol": BTC_USDT}
        indicated = event(EventKind.AUCTION_INDICATED, imbalance_lots=3, **told)
        self.then("what would trade is told", indicated, event(EventKind.TICKED), **crossed)
        self.then(
            "the auction ends",
            ice.shown(-2, command_kind=tick),
            bid.shown(-2, command_kind=tick),
            self.trade(bid, ice, 2, 5_010, (3, 0), flags=OFF_BOOK),
            event(EventKind.AUCTION_ENDED, trades_count=1, **told),
            event(EventKind.TICKED),
            bids={5_020: 3},
        )
        friend = Order(13, SELLER, Side.SELL, OrderType.LIMIT, 5_020, "friend")
        prevented = event(
            EventKind.PREVENTED, side=Side.SELL, stp_mode=4, symbol=BTC_USDT, account=SELLER, maker_account=BUYER,
            taker_order_id=13, maker_order_id=12, price_ticks=5_020, taker_prevented_lots=2, maker_prevented_lots=2,
            taker_release_atoms=base(2), maker_release_atoms=quote(2, 5_020), taker_leaves_lots=0, maker_leaves_lots=1,
        )  # fmt: skip
        self.then("two of one group do not trade", *friend.accepted(2, base(2)), prevented, bids={5_020: 1})
        tripped: dict[str, Any] = {"low_ticks": 4_950, "high_ticks": 5_010, "end_ts_ns": START_NS + 200 * SECOND_NS}
        paused = event(EventKind.BREAKER_TRIPPED, symbol=BTC_USDT, price_ticks=5_010, **tripped)
        self.then("the breaker trips", paused, bids={5_020: 1})
        swept = event(EventKind.MASS_CANCELED, scope=2, account=BUYER, canceled_count=1)
        closed = bid.closed(1, -quote(1, 5_020), CommandKind.MASS_CANCEL, CloseReason.MASS_CANCELED)
        self.then("a mass cancel", closed, swept)
        self.then("a skip", event(EventKind.SKIP_NOTED, name="why", at_sequence=3))
