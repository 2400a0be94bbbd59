"""What must be true of a state between two commands.

Owns the checks; each is an English sentence over its condition. Never repairs anything. Numbers in brackets are the
invariants of docs/engine.md section 8. Written for clarity: plain Python over copies, used by tests, audits and
recovery.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from exchange.core.codes import Account, Limit, Phase, Side, Stage, TimeInForce, TransferState
from exchange.core.compile import kernel
from exchange.core.index import client_hash, find_client, find_order, find_transfer
from exchange.core.invariant import InvariantBroken, hold_that, open_slots
from exchange.core.invariants_guards import check_guards
from exchange.core.invariants_lists import check_lists
from exchange.core.invariants_special import check_terms, check_waiting, is_market_type, shown_of, trigger_keys
from exchange.core.state import CLOSED_BIT, DOWN, NODE_KEYS, SIDES, UP, State

__all__ = ["InvariantBroken", "check_all"]


def check_all(state: State) -> None:
    """Check every invariant; raises InvariantBroken with the first sentence that does not hold."""
    locked = _check_books(state)
    _check_owned(state)
    _check_pools(state)
    _check_closed_window(state)
    _check_transfers(state, locked)
    _check_balances(state, locked)
    _check_expiries(state)
    check_terms(state)
    check_guards(state)
    check_lists(state)


def _check_books(state: State) -> dict[tuple[int, int], int]:
    """Sides, levels and queues; returns what open orders lock, by (account, asset)."""
    locked: dict[tuple[int, int], int] = defaultdict(int)
    seen: set[int] = set()
    levels = 0
    for symbol in range(1, len(state.symbols)):
        best: list[int] = []
        for side in (Side.BUY, Side.SELL):
            index = symbol * SIDES + side
            prices = _check_side(state, index, side, seen, locked)
            levels += len(prices)
            best += prices[:1]
            _check_tree(state, index, [price if side == Side.BUY else -price for price in prices])
        levels += check_waiting(state, symbol, seen, locked)
        for way in (DOWN, UP):
            _check_tree(state, symbol * SIDES + way, trigger_keys(state, symbol * SIDES + way))
        if len(best) == 2 and state.markets[symbol].phase != Phase.AUCTION:
            hold_that(best[Side.BUY] < best[Side.SELL], f"the book of symbol {symbol} is not crossed [7]")
    hold_that(levels == state.header[0].levels, "the levels in use are those on the books [9]")
    hold_that(seen == set(open_slots(state)), "every order in the pool is in exactly one queue [9]")
    hold_that(len(seen) == state.header[0].open_orders, "open_orders counts the orders on the books [9]")
    return locked


def _check_side(state: State, index: int, side: int, seen: set[int], locked: dict[tuple[int, int], int]) -> list[int]:
    """One side of one book; returns its prices from best to worst."""
    symbol = state.symbols[index // SIDES]
    prices: list[int] = []
    level_slot, better, orders = int(state.sides[index].best), 0, 0
    while level_slot:
        level = state.levels[level_slot]
        price = int(level.price_ticks)
        hold_that(int(level.better) == better, f"level {level_slot} knows its better neighbour [9]")
        hold_that(int(level.side) == index, f"level {level_slot} knows its side [9]")
        if prices:
            worse = price < prices[-1] if side == Side.BUY else price > prices[-1]
            hold_that(worse, f"the prices of side {index} go from best to worst [8]")
        prices.append(price)
        lots, count, slot, prev, last_id = 0, 0, int(level.head), 0, 0
        while slot:
            order = state.orders[slot]
            where = f"order {int(order.order_id)}"
            hold_that(slot not in seen, f"{where} is in one queue only [9]")
            seen.add(slot)
            hold_that(int(order.prev) == prev and int(order.level) == level_slot, f"{where} knows its place [9]")
            shown = int(shown_of(state, slot))
            hold_that(
                order.special != 0 or int(order.order_id) > last_id, f"{where} is behind older ones at its price [8]"
            )
            hold_that(order.stage == Stage.BOOK, f"{where} knows that it is on the book [9]")
            hold_that(int(order.leaves_lots) > 0 and int(order.filled_lots) >= 0, f"{where} has leaves [9]")
            hold_that(int(order.price_ticks) == price, f"{where} is at its level's price [9]")
            hold_that(int(order.symbol) * SIDES + int(order.side) == index, f"{where} is on its own side [9]")
            rests = order.time_in_force in (TimeInForce.GTC, TimeInForce.GTD) and not is_market_type(order.order_type)
            hold_that(bool(rests), f"{where} is of a kind that may rest [12]")
            hold_that(find_order_slot(state, int(order.order_id)) == slot, f"{where} is found by its id [9]")
            asset = symbol.quote_asset if side == Side.BUY else symbol.base_asset
            leaves = int(order.leaves_lots)
            held = price * leaves * int(symbol.quote_atoms_per_tick_lot)
            locked[int(order.account), int(asset)] += (
                held if side == Side.BUY else leaves * int(symbol.base_atoms_per_lot)
            )
            lots, count, prev = lots + shown, count + 1, slot
            last_id = last_id if order.special else int(order.order_id)
            slot = int(order.next)
        hold_that(int(level.tail) == prev, f"level {level_slot} ends with its last order [9]")
        hold_that(count > 0 and count == int(level.orders), f"level {level_slot} counts its orders [9]")
        hold_that(lots == int(level.lots), f"level {level_slot} sums what its orders show [9]")
        orders += count
        better, level_slot = level_slot, int(level.worse)
    hold_that(orders == int(state.sides[index].orders), f"side {index} counts its orders [9]")
    return prices


def _check_tree(state: State, index: int, keys_best_first: list[int]) -> None:
    """The level tree of a side holds the side's keys in order, and its best leaf is the last one."""
    side = state.sides[index]
    found: list[int] = []
    last_leaf = 0

    def visit(node: int, parent: int, depth: int) -> None:
        nonlocal last_leaf
        record = state.nodes[node]
        count = int(record.count)
        hold_that(depth < 16 and 0 < count <= NODE_KEYS, f"node {node} is neither empty nor too full")
        hold_that(int(record.parent) == parent, f"node {node} knows its parent")
        for position in range(count):
            reference = int(state.node_refs[node, position])
            if record.is_leaf:
                found.append(int(state.node_keys[node, position]))
                level = state.levels[reference]
                key = int(level.price_ticks) * (1 if index % 2 == Side.BUY else -1)
                hold_that(int(level.leaf) == node, f"level {reference} knows its leaf")
                hold_that(key == found[-1], f"level {reference} stands behind the key of its price")
            else:
                first = len(found)
                visit(reference, node, depth + 1)
                if position:
                    least = int(state.node_keys[node, position])
                    hold_that(min(found[first:]) >= least, f"node {reference} holds no key below its own")
        if record.is_leaf:
            last_leaf = node

    if side.root:
        visit(int(side.root), 0, 0)
    hold_that(found == keys_best_first[::-1], f"the tree of side {index} holds the keys of its levels")
    hold_that(int(side.best_leaf) == last_leaf, f"the best leaf of side {index} is its last one")


@kernel
def find_order_slot(state: State, order_id: int) -> int:
    """The index entry of an order id, for checks."""
    return find_order(state, order_id)


@kernel
def _find_client_of(state: State, account: int, record: Any) -> int:
    return find_client(state, account, record, client_hash(state.header[0], account, record))


def _check_owned(state: State) -> None:
    """Every account's list per symbol holds exactly its open orders, oldest first."""
    stride = len(state.symbols)
    listed: set[int] = set()
    for place in np.flatnonzero(np.asarray(state.owned["count"])).tolist():
        owned = state.owned[place]
        account, symbol = divmod(place, stride)
        slot, prev, count, last_id = int(owned.head), 0, 0, 0
        while slot:
            order = state.orders[slot]
            hold_that(slot not in listed, "an order is in one account's list only [9]")
            listed.add(slot)
            mine = int(order.account) == account and int(order.symbol) == symbol
            hold_that(mine, f"order {int(order.order_id)} is in the list of its account and symbol [9]")
            hold_that(int(order.owner_prev) == prev, "an account's list is linked both ways [9]")
            hold_that(int(order.order_id) > last_id, "an account's list is in order of order id [9]")
            prev, count, last_id, slot = slot, count + 1, int(order.order_id), int(order.owner_next)
        hold_that(int(owned.tail) == prev and int(owned["count"]) == count, "an account's list is counted [9]")
    hold_that(listed == set(open_slots(state)), "every open order is in its account's list [9]")


def _check_pools(state: State) -> None:
    """Free lists and counters add up; ids are below the next one."""
    header = state.header[0]
    free, slot = 0, int(header.order_free)
    while slot:
        hold_that(int(state.orders[slot].order_id) == 0, "a free order slot holds no order")
        free, slot = free + 1, int(state.orders[slot].next)
    hold_that(free + int(header.open_orders) == int(header.order_high) - 1, "no order slot is lost")
    free, slot = 0, int(header.level_free)
    while slot:
        free, slot = free + 1, int(state.levels[slot].worse)
    hold_that(free + int(header.levels) == int(header.level_high) - 1, "no level slot is lost")
    free, slot = 0, int(header.node_free)
    while slot:
        free, slot = free + 1, int(state.nodes[slot].next_free)
    hold_that(free + int(header.nodes) == int(header.node_high) - 1, "no tree node is lost")
    ids = np.asarray(state.orders.order_id)
    hold_that(int(ids.max()) < int(header.next_order_id), "order ids are below the next one [15]")
    entries = int(np.count_nonzero(state.order_index))
    remembered = int(header.closed_next - header.closed_first)
    hold_that(entries == int(header.open_orders) + remembered, "the order index has one entry an order [9]")
    named = int(np.count_nonzero(np.asarray(state.details.client_id_0)[ids != 0]))
    clients = int(np.count_nonzero(state.client_index))
    hold_that(clients == named + remembered, "the client index has one entry a client id [15]")
    for slot, order in open_slots(state).items():
        if state.details[slot].client_id_0:
            found = _find_client_of(state, int(order.account), state.details[slot])
            hold_that(found == slot, f"order {int(order.order_id)} is found by its client id [15]")


def _check_closed_window(state: State) -> None:
    """The window holds no more than its limit, and its entries are found by both ids."""
    header = state.header[0]
    first, last = int(header.closed_first), int(header.closed_next)
    hold_that(
        0 <= first <= last and last - first <= int(state.limits[Limit.CLOSED_ORDERS]), "the window keeps to its limit"
    )
    hold_that(int(state.limits[Limit.CLOSED_ORDERS]) <= len(state.closed), "the window has room for its limit")
    for ordinal in range(first, last):
        position = ordinal % len(state.closed)
        closed = state.closed[position]
        where = f"closed order {int(closed.order_id)}"
        hold_that(find_order_slot(state, int(closed.order_id)) == CLOSED_BIT | position, f"{where} is found by its id")
        found = _find_client_of(state, int(closed.account), closed)
        hold_that(found == CLOSED_BIT | position, f"{where} is found by its client id [15]")


@kernel
def _find_transfer_slot(state: State, transfer_id: int) -> int:
    return find_transfer(state, transfer_id)


def _check_transfers(state: State, locked: dict[tuple[int, int], int]) -> None:
    """Transfers have legal states and unique ids; adds what pending withdrawals lock to `locked`."""
    used = int(state.header[0].transfers)
    rows = np.asarray(state.transfers[1 : used + 1])
    entries = int(np.count_nonzero(state.transfer_index))
    hold_that(entries == used, "the transfer index has one entry a transfer [20]")
    for slot, transfer_id in enumerate(rows["transfer_id"].tolist(), 1):
        hold_that(_find_transfer_slot(state, transfer_id) == slot, f"transfer {transfer_id} is found by its id [20]")
    net: dict[int, int] = defaultdict(int)
    for row in rows:
        status, asset, amount = int(row["state"]), int(row["asset"]), int(row["amount_atoms"])
        hold_that(TransferState.DEPOSITED <= status <= TransferState.RELEASED and amount > 0, "transfers are legal")
        if status == TransferState.HELD:
            locked[int(row["account"]), asset] += amount
        elif status == TransferState.DEPOSITED:
            net[asset] += amount
        elif status == TransferState.SETTLED:
            net[asset] -= amount
    for asset in range(len(state.assets)):
        world = int(state.balances[Account.WORLD * len(state.assets) + asset].available)
        hold_that(-world == net[asset], f"WORLD's balance of asset {asset} is what came in less what went out [2]")


def _check_balances(state: State, locked: dict[tuple[int, int], int]) -> None:
    """No balance is negative, every asset sums to zero, and what is locked is what holds say."""
    stride = len(state.assets)
    table = np.asarray(state.balances)
    available = table["available"].reshape(-1, stride)
    held = table["locked"].reshape(-1, stride)
    for asset in range(stride):
        total = sum(available[:, asset].tolist()) + sum(held[:, asset].tolist())
        hold_that(total == 0, f"asset {asset} sums to zero over all accounts, WORLD and FEES included [1]")
    hold_that(bool((available[1:] >= 0).all() and (held >= 0).all()), "no balance is negative but WORLD's [3]")
    for account, asset in zip(*np.nonzero(held), strict=True):
        expected = locked.pop((int(account), int(asset)), 0)
        where = f"account {int(account)} asset {int(asset)}"
        hold_that(int(held[account, asset]) == expected, f"{where}: locked is what its holds sum to [4]")
    hold_that(not any(locked.values()), "every hold is locked in a balance [4]")


def _check_expiries(state: State) -> None:
    """Every open GTD order has its entry in the expiry heap, and the heap is one."""
    count = int(state.header[0].expiries)
    heap = np.asarray(state.expiries[:count]).tolist()
    for child in range(1, count):
        hold_that(heap[(child - 1) // 2][:2] <= heap[child][:2], "the expiry heap is in order")
    entries = {(order_id, slot): expire for expire, order_id, slot in heap}
    for slot, order in open_slots(state).items():
        if order.time_in_force == TimeInForce.GTD:
            expire = entries.get((int(order.order_id), slot))
            ends = int(state.terms[state.details[slot].terms].expire_ts_ns)
            hold_that(expire == ends, "a GTD order has its entry in the heap [12]")
