"""The level table: the lots that rest at each (symbol, side, price), and which changed since they were published.

Owns an open-addressing hash table in compiled code and the list of its dirty slots. Never reads an event, never knows a
symbol's name or scale. A `book` here is `symbol * 2 + side`; symbols start at 1, so book 0 marks a free slot.

Invariants:
- at most half of the slots are used, so a probe is short and always ends;
- a slot is in the dirty list exactly when its `dirty` is 1, so the list needs no more room than the table has entries;
- after `drain`, every entry has lots > 0 and published_lots == lots, and the dirty list is empty.

Source of the deletion without tombstones: Knuth, The Art of Computer Programming 3, section 6.4, algorithm R.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from exchange.core.compile import INTERPRETED, i64, inlined, kernel

LEVEL = np.dtype(
    [
        ("price_ticks", "<i8"),
        ("lots", "<i8"),  # resting now; between the events of one command it may be anything
        ("published_lots", "<i8"),  # what listeners were last told; zero: nothing
        ("book", "<i4"),  # symbol * 2 + side; zero: a free slot
        ("dirty", "<i4"),  # 1: in the dirty list
    ],
    align=True,
)
HEADER = np.dtype(
    [
        ("sequence", "<i8"),  # of the last event folded; zero: none yet
        ("ts_ns", "<i8"),  # its engine time
        ("is_whole", "<i8"),  # 1: that event was the last of its command, so quantities mean something
        ("taker_book", "<i8"),  # where the last accepted order counts its lots; zero: nowhere, it shows nothing
        ("taker_price_ticks", "<i8"),
        ("entries", "<i8"),  # used slots of the level table
        ("dirty", "<i8"),  # length of the dirty list
        ("noted", "<i8"),  # events of this batch that Python must look at
        ("symbols_added", "<i8"),  # SYMBOL_ADDED events of this batch
        ("events", "<i8"),  # folded so far
        ("trades", "<i8"),  # of which trades
        ("complete_from_ns", "<i8"),  # the windows hold every trade since then; -1: not known yet
    ],
    align=True,
)
_LOW_31 = (1 << 31) - 1
_MIX_PRICE = 0x5BD1E995  # odd, below 2^31, so that products of 31-bit halves stay below 2^62 in both modes
_MIX_HIGH = 0x2545F491
_MIX_BOOK = 0x1B873593


class Levels(NamedTuple):
    """The level table. Replaced as a whole when it grows."""

    entries: Any  # LEVEL, a power of two of them
    dirty: Any  # i8: slots of the entries that changed since the last drain


def records(count: int, dtype: np.dtype[Any]) -> Any:
    """Zeroed records that kernels read by attribute.

    Interpreted kernels need a record array; compiled ones take a plain one, which costs 0.2 instead of 2 us a call.
    """
    array = np.zeros(count, dtype=dtype)
    return array.view(np.recarray) if INTERPRETED else array


def new_levels(capacity: int) -> Levels:
    """An empty table of `capacity` slots, a power of two."""
    return Levels(records(capacity, LEVEL), np.zeros(capacity // 2 + 2, dtype=np.int64))


@inlined
def home(book: int, price_ticks: int, mask: int) -> int:
    """Where an entry would like to be: price and book mixed without overflow, high bits folded into the low ones."""
    mixed = ((price_ticks & _LOW_31) ^ (i64(book) * _MIX_BOOK & _LOW_31)) * _MIX_PRICE + (price_ticks >> 31) * _MIX_HIGH
    return (mixed ^ (mixed >> 32) ^ (mixed >> 16)) & mask


@inlined
def find(entries: Any, book: int, price_ticks: int) -> int:
    """The slot of (book, price), or the free slot where it belongs."""
    mask = len(entries) - 1
    slot = home(book, price_ticks, mask)
    while entries[slot].book != 0 and (entries[slot].book != book or entries[slot].price_ticks != price_ticks):
        slot = (slot + 1) & mask
    return slot


@inlined
def change(header: Any, entries: Any, dirty: Any, book: int, price_ticks: int, delta_lots: int) -> None:
    """Add `delta_lots` at (book, price) and remember that it changed. The caller made sure of a free slot."""
    slot = find(entries, book, price_ticks)
    entry = entries[slot]
    if entry.book == 0:
        entry.book = book
        entry.price_ticks = price_ticks
        entry.lots = 0
        entry.published_lots = 0
        entry.dirty = 0
        header[0].entries += 1
    entry.lots += delta_lots
    if entry.dirty == 0:
        entry.dirty = 1
        dirty[header[0].dirty] = slot
        header[0].dirty += 1


@kernel
def load(header: Any, entries: Any, dirty: Any, books: Any, prices: Any, lots: Any) -> None:
    """Put `lots[k]` at (books[k], prices[k]) for every k; the table has room for them."""
    for k in range(len(books)):
        change(header, entries, dirty, books[k], prices[k], lots[k])


@kernel
def move(old_entries: Any, entries: Any, dirty: Any) -> None:
    """Fill a larger, empty table from an old one; the dirty list is written anew, in slot order."""
    listed = 0
    for old in range(len(old_entries)):
        if old_entries[old].book != 0:
            slot = find(entries, old_entries[old].book, old_entries[old].price_ticks)
            entries[slot] = old_entries[old]
    for slot in range(len(entries)):
        if entries[slot].dirty != 0:
            dirty[listed] = slot
            listed += 1


def grown(levels: Levels) -> Levels:
    """The same table with twice the slots."""
    larger = new_levels(2 * len(levels.entries))
    move(levels.entries, larger.entries, larger.dirty)
    return larger


@kernel
def remove(entries: Any, book: int, price_ticks: int) -> None:
    """Free the slot of an entry that exists, moving later entries of its run back so that no probe breaks."""
    mask = len(entries) - 1
    hole = find(entries, book, price_ticks)
    slot = hole
    while True:
        slot = (slot + 1) & mask
        if entries[slot].book == 0:
            break
        distance = (slot - home(entries[slot].book, entries[slot].price_ticks, mask)) & mask
        if distance >= (slot - hole) & mask:
            entries[hole] = entries[slot]
            hole = slot
    entries[hole].book = 0


@kernel
def drain(header: Any, entries: Any, dirty: Any, books: Any, prices: Any, lots: Any) -> int:
    """Write what changed since the last drain into books, prices, lots; return how many, or -1 if lots are negative.

    The three arrays have room for `header[0].dirty`. Changes come in front; entries that came and went unseen are
    collected at the back, because both kinds must leave the table once no dirty slot is needed any more.
    """
    changed = 0
    listed = header[0].dirty
    unseen = listed
    is_negative = False
    for k in range(listed):
        entry = entries[dirty[k]]
        entry.dirty = 0
        is_negative |= entry.lots < 0
        if entry.lots != entry.published_lots:
            books[changed] = entry.book
            prices[changed] = entry.price_ticks
            lots[changed] = entry.lots
            entry.published_lots = entry.lots
            changed += 1
        elif entry.lots == 0:
            unseen -= 1
            books[unseen] = entry.book
            prices[unseen] = entry.price_ticks
            lots[unseen] = 0
    for k in range(listed):
        if (k < changed or k >= unseen) and lots[k] == 0:
            remove(entries, books[k], prices[k])
            header[0].entries -= 1
    header[0].dirty = 0
    return -1 if is_negative else changed
