"""Finding one order in all events, and what called it.

Owns the scan: one look at whole batches of 128-byte records as arrays, so that it is as fast as the files are read, and
the few trades that a waiting order cares about. Stops when the order has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import EventKind, OrderType, Side
from exchange.core.event_records import EVENT_DTYPES, TRADE, event_dict
from exchange.forensics.names import Fields
from journal.format import Bytes

_WORDS = 16
"""A record is so many i8."""
_IDS = ("order_id", "taker_order_id", "maker_order_id", "order_id_0", "order_id_1", "order_id_2")


def _named() -> Any:
    """Which words of a record of a kind are order ids: bool (256, 16)."""
    table = np.zeros((256, _WORDS), np.bool_)
    for kind, dtype in EVENT_DTYPES.items():
        fields: Any = dtype.fields
        for name in _IDS:
            if name in fields:
                table[kind, fields[name][1] // 8] = True
    return table


_NAMED = _named()
_COLUMNS = np.flatnonzero(_NAMED.any(axis=0))
"""Words that are an order id in any kind of event."""


class Chapter(NamedTuple):
    """The events of one command that has to do with an order."""

    sequence: int
    ts_ns: int
    events: list[Fields]
    """All of the command's."""
    slots: Bytes
    about: list[int]
    """Positions of those that name the order."""
    calls: dict[int, Fields]
    """By the position of an ORDER_ENTERED: the trade that called the order, where there was one."""


class Scan:
    """Reads events and keeps what concerns one order. `highest` is the last order id that was seen accepted."""

    def __init__(self, order_id: int) -> None:
        self.order_id = order_id
        self.chapters: list[Chapter] = []
        self.ended = False
        self.highest = 0
        self._terms: Fields | None = None
        self._accepted: Fields | None = None
        self._called: Fields | None = None

    def read(self, batches: Iterable[Bytes]) -> None:
        """Read until the order has ended or there are no more events. A batch ends where a command does."""
        for batch in batches:
            self._read(batch)
            if self.ended:
                return

    def _read(self, batch: Bytes) -> None:
        words = batch.reshape(-1).view("<i8").reshape(-1, _WORDS)
        found = np.zeros(len(batch), np.bool_)
        for column in _COLUMNS:
            found |= words[:, column] == self.order_id
        rows = np.flatnonzero(found)
        rows = rows[((words[rows] == self.order_id) & _NAMED[batch[rows, 16]]).any(axis=1)]
        accepted = np.flatnonzero(batch[:, 16] == EventKind.ORDER_ACCEPTED)
        if len(accepted):
            self.highest = max(self.highest, int(words[accepted[-1], 4]))
        read = 0
        sequences = words[:, 0]
        for sequence in dict.fromkeys(sequences[rows].tolist()):
            first = int(np.searchsorted(sequences, sequence))
            end = int(np.searchsorted(sequences, sequence, side="right"))
            self._look_for_call(batch[read:first])
            self._chapter(batch[first:end])
            read = end
            if self.ended:
                return
        self._look_for_call(batch[read:])

    def _chapter(self, slots: Bytes) -> None:
        events = [event_dict(slot) for slot in slots]
        about, calls = [], {}
        for at, event in enumerate(events):
            if event["kind"] == EventKind.TRADE:
                self._look_for_call(slots[at : at + 1])
            if not any(event.get(name) == self.order_id for name in _IDS):
                continue
            about.append(at)
            if event["kind"] == EventKind.ORDER_ACCEPTED:
                self._accepted = event
            elif event["kind"] == EventKind.ORDER_TERMS:
                self._terms = event
            elif event["kind"] == EventKind.ORDER_ENTERED:
                if self._called:
                    calls[at] = self._called
                self._called = None
            self.ended |= self._ends(event)
        self.chapters.append(Chapter(events[0]["sequence"], events[0]["ts_ns"], events, slots.copy(), about, calls))

    def _ends(self, event: Fields) -> bool:
        if event["kind"] in (EventKind.TRADE, EventKind.PREVENTED):
            role = "taker" if event["taker_order_id"] == self.order_id else "maker"
            return bool(event[f"{role}_leaves_lots"] == 0)
        return bool(event["kind"] == EventKind.ORDER_CLOSED)

    def _look_for_call(self, slots: Bytes) -> None:
        """Remember the trade that makes the order's condition hold: the first one, or the last of a trailing stop."""
        terms, order = self._terms, self._accepted
        if terms is None or order is None or not (terms["stop_price_ticks"] or terms["trailing_bips"]):
            return
        trailing = terms["trailing_bips"] != 0
        if self._called and not trailing:
            return
        at = np.flatnonzero(slots[:, 16] == EventKind.TRADE)
        trades = np.ascontiguousarray(slots[at]).reshape(-1).view(TRADE)
        fits = trades["symbol"] == order["symbol"]
        if not trailing:
            prices, stop = trades["price_ticks"], terms["stop_price_ticks"]
            fits &= prices >= stop if waits_for_rise(order) else prices <= stop
        hits = np.flatnonzero(fits)
        if len(hits):
            self._called = event_dict(slots[at[hits[-1 if trailing else 0]]])


def waits_for_rise(order: Fields) -> bool:
    """Whether a stop waits for a price at or above its stop price (docs/engine-orders.md, section 12)."""
    takes_profit = order["order_type"] in (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
    return bool((order["side"] == Side.BUY) != takes_profit)
