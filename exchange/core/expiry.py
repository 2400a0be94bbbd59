"""When GTD orders end: a binary heap of (expire_ts_ns, order_id, slot).

Owns the heap. An order that closes earlier leaves its entry behind; such stale entries are dropped when they come to
the top or when the heap is full. An entry is stale when its slot no longer holds its order id (ids are never used
twice).
"""

from __future__ import annotations

from exchange.core.compile import i64, inlined, kernel, part
from exchange.core.state import State


@inlined
def _before(state: State, left: int, right: int) -> bool:
    """Whether heap entry `left` comes before `right`."""
    a = state.expiries[left]
    b = state.expiries[right]
    before: bool = a.expire_ts_ns < b.expire_ts_ns or (a.expire_ts_ns == b.expire_ts_ns and a.order_id < b.order_id)
    return before


@inlined
def _copy(state: State, source: int, target: int) -> None:
    a = state.expiries[source]
    b = state.expiries[target]
    b.expire_ts_ns = a.expire_ts_ns
    b.order_id = a.order_id
    b.slot = a.slot


@inlined
def _swap(state: State, left: int, right: int) -> None:
    a = state.expiries[left]
    expire_ts_ns = a.expire_ts_ns
    order_id = a.order_id
    slot = a.slot
    _copy(state, right, left)
    b = state.expiries[right]
    b.expire_ts_ns = expire_ts_ns
    b.order_id = order_id
    b.slot = slot


@part
def _sift_down(state: State, position: int) -> None:
    count = state.header[0].expiries
    while 2 * position + 1 < count:
        child = 2 * position + 1
        if child + 1 < count and _before(state, child + 1, child):
            child += 1
        if not _before(state, child, position):
            break
        _swap(state, child, position)
        position = child


@part
def push_expiry(state: State, expire_ts_ns: int, order_id: int, slot: int) -> None:
    """Add an order; the heap must have room (`compact` and growth happen between commands)."""
    position = state.header[0].expiries
    state.header[0].expiries += 1
    entry = state.expiries[position]
    entry.expire_ts_ns = expire_ts_ns
    entry.order_id = order_id
    entry.slot = slot
    while position > 0 and _before(state, position, (position - 1) // 2):
        _swap(state, position, (position - 1) // 2)
        position = (position - 1) // 2


@part
def pop_expiry(state: State) -> int:
    """Remove the first entry; returns its slot."""
    slot = state.expiries[0].slot
    state.header[0].expiries -= 1
    _copy(state, state.header[0].expiries, 0)
    _sift_down(state, i64(0))
    return slot  # type: ignore[no-any-return]  # i8 field


@inlined
def _is_stale(state: State, position: int) -> bool:
    entry = state.expiries[position]
    stale: bool = state.orders[entry.slot].order_id != entry.order_id
    return stale


@part
def reap(state: State) -> None:
    """Drop stale entries from the top."""
    while state.header[0].expiries > 0 and _is_stale(state, 0):
        pop_expiry(state)


@kernel
def compact(state: State) -> None:
    """Drop all stale entries and restore the heap."""
    kept = i64(0)
    for position in range(state.header[0].expiries):
        if not _is_stale(state, position):
            _copy(state, position, kept)
            kept += 1
    state.header[0].expiries = kept
    for position in range(kept // 2 - 1, -1, -1):
        _sift_down(state, position)
