"""The price levels of the sides of a book.

Owns sides, levels and the level trees. Never touches queues, balances or events. The two trigger sides of a symbol are
made the same way, with stop prices for prices.

A side's levels hang in a list from best to worst and in a B+ tree of NODE_KEYS keys a node, which finds the place of
a new level. Keys are the price for BUY and minus the price for SELL, so the best key is the last on both sides and
one body serves both. Nearly all traffic is near the best price: the leaf that holds it is remembered and searched
first, from its end, which makes the tree a plain sorted array there; far prices cost a descent (`python -m
bench.levels`: 100 000 levels). Nodes are freed when they are empty and never merged: the tree's height is bounded by
the levels ever at once.

Invariants: keys ascend within a node and
a child holds only keys from its own key in the parent up to the next one (the first child's key counts as minus
infinity).
"""

from __future__ import annotations

from exchange.core.codes import Side
from exchange.core.compile import i64, inlined, part
from exchange.core.state import NODE_KEYS, State


@inlined
def price_key(side: int, price_ticks: int) -> int:
    """The tree key of a price on a side (DOWN counts as BUY, UP as SELL): larger is better."""
    return price_ticks if side & 1 == Side.BUY else -price_ticks


@inlined
def crosses(side: int, price_ticks: int, opposite_price_ticks: int) -> bool:
    """Whether an order of `side` at `price_ticks` may trade with an opposite order at `opposite_price_ticks`."""
    return price_key(side, price_ticks) >= price_key(side, opposite_price_ticks)


# ---- the level tree -----------------------------------------------------------------------------------------------


@part
def descend(state: State, node: int, key: int) -> int:
    """The leaf below `node` in whose range `key` falls."""
    while state.nodes[node].is_leaf == 0:
        child = i64(state.nodes[node].count) - 1
        while child > 0 and state.node_keys[node, child] > key:
            child -= 1
        node = i64(state.node_refs[node, child])
    return node


@inlined
def leaf_of(state: State, side_index: int, key: int) -> int:
    """The leaf in whose range `key` falls, 0 if the side is empty."""
    side = state.sides[side_index]
    leaf = i64(side.best_leaf)
    if leaf != 0 and side.root != side.best_leaf and key < state.node_keys[leaf, 0]:
        leaf = descend(state, i64(side.root), key)
    return leaf


@inlined
def position_in(state: State, leaf: int, key: int) -> int:
    """How many keys of the leaf are <= `key`."""
    position = i64(state.nodes[leaf].count)
    while position > 0 and state.node_keys[leaf, position - 1] > key:
        position -= 1
    return position


@inlined
def find_level(state: State, side_index: int, key: int) -> int:
    """The level with this key, 0 if there is none."""
    leaf = leaf_of(state, side_index, key)
    found = 0
    if leaf != 0:
        position = position_in(state, leaf, key)
        if position > 0 and state.node_keys[leaf, position - 1] == key:
            found = i64(state.node_refs[leaf, position - 1])
    return found


@inlined
def _take_node(state: State, is_leaf: int) -> int:
    header = state.header[0]
    node: int = header.node_free
    if node != 0:
        header.node_free = state.nodes[node].next_free
    else:
        node = header.node_high
        header.node_high += 1
    header.nodes += 1
    record = state.nodes[node]
    record.parent = 0
    record.count = 0
    record.is_leaf = is_leaf
    record.next_free = 0
    return node


@inlined
def _free_node(state: State, node: int) -> None:
    header = state.header[0]
    state.nodes[node].count = 0
    state.nodes[node].next_free = header.node_free
    header.node_free = node
    header.nodes -= 1


@inlined
def _adopt(state: State, node: int, position: int) -> None:
    """Tell the level or node at a position of `node` where it now hangs."""
    reference = state.node_refs[node, position]
    if state.nodes[node].is_leaf != 0:
        state.levels[reference].leaf = node
    else:
        state.nodes[reference].parent = node


@part
def _put_key(state: State, node: int, position: int, key: int, reference: int) -> None:
    """Insert a key into a node that has room."""
    count = i64(state.nodes[node].count)
    for i in range(count, position, -1):
        state.node_keys[node, i] = state.node_keys[node, i - 1]
        state.node_refs[node, i] = state.node_refs[node, i - 1]
    state.node_keys[node, position] = key
    state.node_refs[node, position] = reference
    state.nodes[node].count = count + 1
    _adopt(state, node, position)


@part
def _cut_key(state: State, node: int, reference: int) -> int:
    """Remove the key whose reference is given; returns how many are left."""
    count = i64(state.nodes[node].count)
    position = count - 1
    while state.node_refs[node, position] != reference:
        position -= 1
    for i in range(position, count - 1):
        state.node_keys[node, i] = state.node_keys[node, i + 1]
        state.node_refs[node, i] = state.node_refs[node, i + 1]
    state.nodes[node].count = count - 1
    return count - 1


@part
def _split(state: State, side_index: int, node: int) -> None:
    """Move the upper half of a full node into a new right neighbour; full parents are split on the way up first."""
    parent = i64(state.nodes[node].parent)
    if parent == 0:
        parent = _take_node(state, 0)
        state.sides[side_index].root = parent
        _put_key(state, parent, 0, state.node_keys[node, 0], node)
    right = _take_node(state, i64(state.nodes[node].is_leaf))
    half = NODE_KEYS // 2
    for i in range(half, NODE_KEYS):
        state.node_keys[right, i - half] = state.node_keys[node, i]
        state.node_refs[right, i - half] = state.node_refs[node, i]
    state.nodes[right].count = NODE_KEYS - half
    state.nodes[node].count = half
    for i in range(NODE_KEYS - half):
        _adopt(state, right, i)
    position = i64(0)
    while state.node_refs[parent, position] != node:
        position += 1
    _put_key(state, parent, position + 1, state.node_keys[right, 0], right)
    if state.sides[side_index].best_leaf == node:
        state.sides[side_index].best_leaf = right


@part
def _make_room(state: State, side_index: int, leaf: int) -> None:
    """Split a full leaf, and before it every full node above it, from the top down."""
    while True:
        full = leaf
        parent = i64(state.nodes[full].parent)
        while parent != 0 and state.nodes[parent].count == NODE_KEYS:
            full = parent
            parent = i64(state.nodes[full].parent)
        _split(state, side_index, full)
        if full == leaf:
            break


@part
def _drop_empty(state: State, side_index: int, node: int) -> None:
    """Free an empty node and what becomes empty above it, and find the best leaf anew."""
    side = state.sides[side_index]
    while node != 0:
        parent = i64(state.nodes[node].parent)
        _free_node(state, node)
        if parent != 0 and _cut_key(state, parent, node) > 0:
            break
        node = parent
    if node == 0:
        side.root = 0
        side.best_leaf = 0
    else:
        node = i64(side.root)
        while state.nodes[node].is_leaf == 0:
            node = i64(state.node_refs[node, i64(state.nodes[node].count) - 1])
        side.best_leaf = node


# ---- levels -------------------------------------------------------------------------------------------------------


@part
def add_level(state: State, side_index: int, key: int, price_ticks: int) -> int:
    """A new, still empty level; its key must not be on the side. Returns its slot."""
    header = state.header[0]
    level: int = header.level_free
    if level != 0:
        header.level_free = state.levels[level].worse
    else:
        level = header.level_high
        header.level_high += 1
    header.levels += 1
    record = state.levels[level]
    record.price_ticks = price_ticks
    record.lots = 0
    record.head = record.tail = record.orders = 0
    record.better = record.worse = 0
    record.side = side_index

    side = state.sides[side_index]
    leaf = leaf_of(state, side_index, key)
    if leaf == 0:
        leaf = _take_node(state, 1)
        side.root = leaf
        side.best_leaf = leaf
    elif state.nodes[leaf].count == NODE_KEYS:
        _make_room(state, side_index, leaf)
        leaf = leaf_of(state, side_index, key)
    position = position_in(state, leaf, key)
    if position > 0:
        record.worse = state.node_refs[leaf, position - 1]
        record.better = state.levels[record.worse].better
    elif state.nodes[leaf].count > 0:
        record.better = state.node_refs[leaf, 0]
        record.worse = state.levels[record.better].worse
    if record.better != 0:
        state.levels[record.better].worse = level
    else:
        side.best = level
    if record.worse != 0:
        state.levels[record.worse].better = level
    _put_key(state, leaf, position, key, level)
    return level


@part
def drop_level(state: State, level: int) -> None:
    """Remove an empty level."""
    header = state.header[0]
    record = state.levels[level]
    side = state.sides[record.side]
    if record.better != 0:
        state.levels[record.better].worse = record.worse
    else:
        side.best = record.worse
    if record.worse != 0:
        state.levels[record.worse].better = record.better
    leaf = i64(record.leaf)
    if _cut_key(state, leaf, level) == 0:
        _drop_empty(state, i64(record.side), leaf)
    record.worse = header.level_free
    record.better = record.leaf = record.side = 0
    header.level_free = level
    header.levels -= 1


@part
def price_at(state: State, side_index: int, behind: int) -> int:
    """The price of the level so many behind the best one of a side, 0 if there is none."""
    level = i64(state.sides[side_index].best)
    while level != 0 and behind > 0:
        level = i64(state.levels[level].worse)
        behind -= 1
    return state.levels[level].price_ticks if level != 0 else i64(0)


@inlined
def best_price(state: State, side_index: int) -> int:
    """The best price of a side, 0 if it is empty."""
    best = state.sides[side_index].best
    return state.levels[best].price_ticks if best != 0 else i64(0)
