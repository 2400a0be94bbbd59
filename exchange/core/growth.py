"""Growing the state: a larger copy of one pool, with everything that depends on its size.

Owns nothing but the procedure. Runs outside the kernels, between two commands.
"""

from __future__ import annotations

import numpy as np

from exchange.core.compile import i64, kernel
from exchange.core.index import has_client_id, put_client, put_order, put_transfer
from exchange.core.state import CLOSED_BIT, Room, State, grown, index_entries, new_index, new_records, restrided
from exchange.core.state_records import CLOSED


@kernel
def fill_indexes(state: State) -> None:
    """Enter every open and remembered order and every transfer into the (empty) index tables."""
    header = state.header[0]
    for slot in range(1, header.order_high):
        if state.orders[slot].order_id != 0:
            put_order(state.order_index, state.orders[slot].order_id, slot)
            if has_client_id(state.details[slot]):
                put_client(state.client_index, i64(state.details[slot].client_hash), slot)
    for ordinal in range(header.closed_first, header.closed_next):
        position = ordinal % len(state.closed)
        closed = state.closed[position]
        put_order(state.order_index, closed.order_id, CLOSED_BIT | position)
        put_client(state.client_index, i64(closed.client_hash), CLOSED_BIT | position)
    for slot in range(1, header.transfers + 1):
        put_transfer(state, state.transfers[slot].transfer_id, slot)


def reindexed(state: State) -> State:
    """The state with index tables of the right size, filled anew."""
    entries = len(state.orders) + len(state.closed)
    state = state._replace(
        order_index=new_index(entries),
        client_index=new_index(entries),
        transfer_index=new_index(len(state.transfers)),
    )
    fill_indexes(state)
    return state


def _more_closed(state: State) -> State:
    """A ring twice as long; an ordinal's position depends on the ring's length, so all entries move."""
    header = state.header[0]
    ordinals = np.arange(int(header.closed_first), int(header.closed_next))
    closed = new_records(2 * len(state.closed), CLOSED)
    closed[ordinals % len(closed)] = state.closed[ordinals % len(state.closed)]
    return reindexed(state._replace(closed=closed))


def enlarge(state: State, room: int) -> State:
    """The same state with the pool that `room` (a Room) names twice as large.

    Raises ValueError for a room that does not exist.
    """
    accounts, assets, symbols = len(state.accounts), len(state.assets), len(state.symbols)
    if room == Room.ASSETS:
        return state._replace(
            assets=grown(state.assets, 2 * assets),
            balances=restrided(state.balances, assets, 2 * assets, accounts),
            exposures=restrided(state.exposures, assets, 2 * assets, accounts),
        )
    if room == Room.SYMBOLS:
        return state._replace(
            symbols=grown(state.symbols, 2 * symbols),
            sides=grown(state.sides, 2 * len(state.sides)),
            markets=grown(state.markets, 2 * symbols),
            rules=grown(state.rules, 2 * len(state.rules)),
            reference_buckets=grown(state.reference_buckets, 2 * len(state.reference_buckets)),
            breaker_buckets=grown(state.breaker_buckets, 2 * len(state.breaker_buckets)),
            owned=restrided(state.owned, symbols, 2 * symbols, accounts),
        )
    if room == Room.ACCOUNTS:
        return state._replace(
            accounts=grown(state.accounts, 2 * accounts),
            account_guards=grown(state.account_guards, 2 * accounts),
            exposures=grown(state.exposures, 2 * accounts * assets),
            balances=grown(state.balances, 2 * accounts * assets),
            owned=grown(state.owned, 2 * accounts * symbols),
        )
    if room == Room.LEVELS:
        return state._replace(levels=grown(state.levels, 2 * len(state.levels)))
    if room == Room.NODES:
        count = 2 * len(state.nodes)
        return state._replace(
            nodes=grown(state.nodes, count),
            node_keys=grown(state.node_keys, count),
            node_refs=grown(state.node_refs, count),
        )
    if room == Room.ORDERS:
        # Stop where the present index is full, before one twice as long is needed: 157 instead of 169 bytes an order.
        fits = index_entries(state.order_index) - len(state.closed)
        count = fits if len(state.orders) < fits < 2 * len(state.orders) else 2 * len(state.orders)
        return reindexed(state._replace(orders=grown(state.orders, count), details=grown(state.details, count)))
    if room == Room.CLOSED:
        return _more_closed(state)
    if room == Room.TRANSFERS:
        return reindexed(state._replace(transfers=grown(state.transfers, 2 * len(state.transfers))))
    for pool in (Room.EXPIRIES, Room.TERMS, Room.LISTS, Room.KEYS, Room.COUNTDOWNS):
        if room == pool:
            name = pool.name.lower()
            return state._replace(**{name: grown(getattr(state, name), 2 * len(getattr(state, name)))})
    raise ValueError(f"the state has no pool {room}")
