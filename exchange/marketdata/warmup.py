"""What the rolling windows know when a process starts: the trades of the last seven days, out of the event journal.

Owns how far back is read, and how much at most. Never changes a journal. Afterwards the windows answer as those of a
process that had never stopped, as far as the journal reaches back and the bounds let it be read:

    newest segment … segment in which the seventh day begins │ segments before it, newest first
      every trade is counted, oldest first                    │ only for the last price before the first trade counted

`complete_from_ns` in the header says since when every trade is in the windows.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from exchange.core import readers
from exchange.core.codes import EventKind
from exchange.core.compile import kernel
from exchange.core.records import RECORD_BYTES
from exchange.core.slots import trade_event
from exchange.core.state import State
from exchange.marketdata.aggregate import Batch, Tables
from exchange.marketdata.windows import MINUTE_SLOTS, NS_PER_MINUTE, SYMBOL_ROWS, count_trade
from journal.format import SegmentHeader
from journal.reader import Tailer, records
from journal.segments import list_segments, read_header
from journal.storage import Directory

EVENTS_MAX = 20_000_000
"""Events that are counted at most, and one segment; 15 million a second come out of the page cache."""
OLDER_EVENTS_MAX = 5_000_000
"""Events that are looked through at most, and one segment, for prices before the windows."""
_INT64_MAX = (1 << 63) - 1
_TS_AT = slice(8, 16)


def load_windows(
    tables: Tables,
    place: Path,
    state: State,
    now_ns: int,
    show: Callable[[int, int], None] = lambda _done, _total: None,
    *,
    events_max: int = EVENTS_MAX,
    older_events_max: int = OLDER_EVENTS_MAX,
) -> int:
    """Count the trades of the event journal at `place`, which ends where `state` is; returns how many events were read.

    `show` is called with the events that are done and that there are. Raises journal.errors.Refused, OSError.
    """
    first_ids = np.zeros(SYMBOL_ROWS, dtype=np.int64)
    _fold_trades(*tables[1:], first_ids, np.zeros((0, RECORD_BYTES), np.uint8))  # compiled now, if it is not yet
    segments = _segments(place)
    begin = _first_segment(place, segments, now_ns - MINUTE_SLOTS * NS_PER_MINUTE, events_max)
    last = int(state.header[0].event_count)
    complete_from_ns = -1
    read = 0
    for first, batch in records(place, segments[begin].first_sequence) if segments else ():
        if complete_from_ns < 0:
            # Events before the first one that is there may have the same time.
            complete_from_ns = _ts_ns(batch[0]) + 1 if first > 1 else 0
        _fold_trades(*tables[1:], first_ids, batch)
        read += len(batch)
        show(read, last - segments[begin].first_sequence + 1)
    if complete_from_ns >= 0:
        tables.header["complete_from_ns"][0] = complete_from_ns
    traded = {view.symbol: view.trades for view in readers.symbols(state)}
    wanted = _without_a_price_before(first_ids, traded)
    return read + _find_older(tables, place, segments[: begin + 1], wanted, older_events_max)


def _segments(place: Path) -> list[SegmentHeader]:
    storage = Directory(place)
    return [read_header(storage, segment_id) for segment_id in list_segments(storage)]


def _ts_ns(event: Any) -> int:
    return int.from_bytes(event[_TS_AT].tobytes(), "little")


def _first_segment(place: Path, segments: list[SegmentHeader], from_ns: int, events_max: int) -> int:
    """The segment in which `from_ns` lies, or a later one when there are too many events after it."""

    def begins_ns(header: SegmentHeader) -> int:
        tailer = Tailer(place, header.first_sequence)
        groups = tailer.poll(1)
        tailer.close()
        return _ts_ns(groups[0].payload[0]) if groups else _INT64_MAX

    begin = max(bisect.bisect_left(segments, from_ns, key=begins_ns) - 1, 0)
    while begin < len(segments) - 1 and segments[-1].first_sequence - segments[begin].first_sequence > events_max:
        begin += 1
    return begin


@kernel
def _fold_trades(rows: Any, minutes: Any, seconds: Any, first_ids: Any, batch: Batch) -> None:
    """Count the trades of a batch; `first_ids` receives the first trade id of each symbol that has none yet."""
    for index in range(len(batch)):
        trade = trade_event(batch, index)
        if trade.kind == EventKind.TRADE:
            if first_ids[trade.symbol] == 0:
                first_ids[trade.symbol] = trade.trade_id
            count_trade(rows, minutes, seconds, trade)


def _without_a_price_before(first_ids: Any, traded: dict[int, int]) -> Any:
    """1 by symbol id: it has traded before its first trade that was counted."""
    wanted = np.zeros(SYMBOL_ROWS, dtype=np.int64)
    for symbol, last_id in traded.items():
        first_id = int(first_ids[symbol])
        wanted[symbol] = first_id > 1 if first_id else last_id > 0
    return wanted


@kernel
def _note_last_trades(wanted: Any, found: Any, batch: Batch) -> None:
    """Write the last trade of every wanted symbol into `found`: price, lots, trade id, time."""
    for index in range(len(batch)):
        trade = trade_event(batch, index)
        if trade.kind == EventKind.TRADE and wanted[trade.symbol] != 0:
            found[trade.symbol, 0] = trade.price_ticks
            found[trade.symbol, 1] = trade.qty_lots
            found[trade.symbol, 2] = trade.trade_id
            found[trade.symbol, 3] = trade.ts_ns


def _find_older(tables: Tables, place: Path, segments: list[SegmentHeader], wanted: Any, events_max: int) -> int:
    """Look for the last trade of wanted symbols in all `segments` but the last; returns how many events were read."""
    found = np.zeros((SYMBOL_ROWS, 4), dtype=np.int64)
    _note_last_trades(wanted, found, np.zeros((0, RECORD_BYTES), np.uint8))
    read = 0
    for header, follower in reversed(list(pairwise(segments))):
        if read > events_max or not wanted.any():
            break
        for batch in _between(place, header.first_sequence, follower.first_sequence):
            _note_last_trades(wanted, found, batch)
            read += len(batch)
        wanted[found[:, 2] != 0] = 0
    for symbol in np.flatnonzero(found[:, 2]).tolist():
        price_ticks, lots, trade_id, ts_ns = found[symbol].tolist()
        row = tables.rows[symbol]
        row["older_minute"], row["older_close_ticks"] = ts_ns // NS_PER_MINUTE, price_ticks
        if not row["last_ts_ns"]:
            row["last_price_ticks"], row["last_lots"] = price_ticks, lots
            row["last_trade_id"], row["last_ts_ns"] = trade_id, ts_ns
    return read


def _between(place: Path, first: int, end: int) -> Iterator[Batch]:
    """The events `first` to `end` - 1."""
    for at, batch in records(place, first):
        if at >= end:
            return
        yield batch[: end - at]
