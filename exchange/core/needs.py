"""What a command may need: room in the pools and events, before it is applied.

Owns the bounds. Never changes the state. What is too small is enlarged by Python between two commands, so that no
kernel finds a pool or the event buffer full.
"""

from __future__ import annotations

from typing import Any

from exchange.core.codes import (
    CommandKind,
    Limit,
    ListRole,
    OrderType,
    Phase,
    Scope,
    Side,
)
from exchange.core.compile import i64, inlined, part
from exchange.core.levels import crosses
from exchange.core.risk import is_symbol
from exchange.core.risk_special import ICEBERG_PARTS_MAX
from exchange.core.slots import (
    account_command,
    any_command,
    asset_command,
    auction_command,
    limit_command,
    place_command,
    rule_command,
    symbol_command,
    target_command,
)
from exchange.core.state import (
    EXPIRIES_PER_TICK,
    KEY_MAX,
    LEGS_MAX,
    LIMIT_MAX,
    MASS_CANCEL_MAX,
    SIDES,
    TURNS_PER_COMMAND,
    Room,
    State,
)
from exchange.core.terms import is_special
from exchange.core.triggers import next_due

_CLOSED_ORDERS_MAX = LIMIT_MAX[Limit.CLOSED_ORDERS]
NODES_PER_COMMAND = 16
"""Nodes one new level can take: a split on every storey of the tallest possible tree, and a new root."""
EVENTS_PER_COMMAND = 4
"""Events of a command that closes no order but its own, with one to spare."""
EVENTS_PER_SPECIAL = 10
"""Where some orders are special: events that an order, a part of an iceberg or a turn may cause in a command, and some
to spare for new orders.

A match gives five (SHOWN, TRADE, SHOWN, FUNDED, FUNDED) and uses up a maker, a part or a taker's turn. Besides, an
order rests once, closes once and is once the last leg of a list (SHOWN, SHOWN, CLOSED, LIST_CHANGED), and a turn gives
three (FUNDED, ENTERED, ENTERED). An accepted list begins with seven, which the turns leave room for.
"""


@inlined
def room_for_place(state: State) -> int:
    """The pool that a PLACE may find full, Room.NONE if there is none."""
    header = state.header[0]
    room = i64(Room.NONE)
    if header.open_orders + 2 > len(state.orders) - 1:
        room = i64(Room.ORDERS)
    if header.levels + 2 > len(state.levels) - 1:
        room = i64(Room.LEVELS)
    if header.nodes + NODES_PER_COMMAND > len(state.nodes) - 1:
        room = i64(Room.NODES)
    if header.expiries + 1 > len(state.expiries):
        room = i64(Room.EXPIRIES)
    if header.terms + 2 > len(state.terms) - 1:
        room = i64(Room.TERMS)
    if header.specials != 0:
        room = max(room, _room_for_turns(state))
    return room


@part
def _room_for_turns(state: State) -> int:
    """The pool that turns and trailing orders may find full: each special order may need one level more."""
    header = state.header[0]
    room = i64(Room.NONE)
    if header.levels + header.specials + LEGS_MAX + 1 > len(state.levels) - 1:
        room = i64(Room.LEVELS)
    if header.nodes + 2 * (header.specials + LEGS_MAX) + NODES_PER_COMMAND > len(state.nodes) - 1:
        room = i64(Room.NODES)
    return room


@part
def room_for_legs(state: State) -> int:
    """The pool that the legs of a list may find full."""
    header = state.header[0]
    room = _room_for_turns(state)
    if header.open_orders + LEGS_MAX + 1 > len(state.orders) - 1:
        room = i64(Room.ORDERS)
    if header.expiries + LEGS_MAX > len(state.expiries):
        room = i64(Room.EXPIRIES)
    if header.terms + LEGS_MAX + 1 > len(state.terms) - 1:
        room = i64(Room.TERMS)
    if header.lists + 2 > len(state.lists) - 1:
        room = i64(Room.LISTS)
    return room


@part
def room_for_rare(state: State, commands: Any, i: int) -> int:
    """The table that a transfer or a reference-data command would not fit in, Room.NONE if there is none."""
    kind = any_command(commands, i).kind
    room = i64(Room.NONE)
    if CommandKind.DEPOSIT <= kind <= CommandKind.WITHDRAW_RELEASE:
        if state.header[0].transfers + 2 > len(state.transfers):
            room = i64(Room.TRANSFERS)
    elif kind == CommandKind.TICK or kind == CommandKind.AUCTION:
        room = _room_for_turns(state)
    elif kind == CommandKind.SET_RULE:
        rule = rule_command(commands, i)
        if rule.scope == Scope.KEY and len(state.keys) <= rule.key <= KEY_MAX:
            room = i64(Room.KEYS)
    elif kind == CommandKind.COUNTDOWN:
        if state.header[0].countdowns >= len(state.countdowns):
            room = i64(Room.COUNTDOWNS)
    elif kind == CommandKind.ADD_ASSET:
        if len(state.assets) <= asset_command(commands, i).asset <= state.limits[Limit.ASSETS]:
            room = i64(Room.ASSETS)
    elif kind == CommandKind.ADD_SYMBOL:
        if len(state.symbols) <= symbol_command(commands, i).symbol <= state.limits[Limit.SYMBOLS]:
            room = i64(Room.SYMBOLS)
    elif kind == CommandKind.OPEN_ACCOUNT:
        if len(state.accounts) <= account_command(commands, i).account <= state.limits[Limit.ACCOUNTS]:
            room = i64(Room.ACCOUNTS)
    elif kind == CommandKind.SET_LIMIT:
        command = limit_command(commands, i)
        if command.limit == Limit.CLOSED_ORDERS and len(state.closed) < command.value <= _CLOSED_ORDERS_MAX:
            room = i64(Room.CLOSED)
    return room


@inlined
def fits_surely(state: State, commands: Any, i: int, free: int) -> bool:
    """Whether the events of a PLACE fit into so many slots, should it meet every order there is; no order is special.

    Mostly it is so, and then nobody needs to look at the book.
    """
    header = state.header[0]
    plain = header.specials == 0 and not is_special(place_command(commands, i))
    return plain and header.open_orders + EVENTS_PER_COMMAND <= free


@inlined
def events_needed(state: State, commands: Any, i: int) -> int:
    """An upper bound of the events of a command."""
    needed = i64(EVENTS_PER_COMMAND)
    if any_command(commands, i).kind == CommandKind.PLACE:
        place = place_command(commands, i)
        if place.side <= Side.SELL and is_symbol(state, place.symbol):
            opposite = state.sides[(i64(place.symbol) * SIDES + place.side) ^ 1]
            best_ticks = state.levels[opposite.best].price_ticks
            meets = place.order_type == OrderType.MARKET or crosses(place.side, place.price_ticks, best_ticks)
            if meets:
                needed += i64(opposite.orders)
            if state.markets[place.symbol].specials != 0 or is_special(place):
                needed += _events_of_storm(state, place, meets)
    else:
        needed += _events_of_sweep(state, commands, i)
    return needed


@part
def _events_of_specials(state: State, symbol: int) -> int:
    """How many events orders of a symbol may cause where some are special, or all meet: each may trade, turn, close.

    Of the orders that wait only those act whose turn comes, and those whose list ends with one that acts.
    """
    market = state.markets[symbol]
    first = symbol * SIDES
    acting = i64(state.sides[first].orders) + i64(state.sides[first + 1].orders) + TURNS_PER_COMMAND + LEGS_MAX
    taken_along = min(i64(market.specials), (LEGS_MAX - 1) * acting)
    return (acting + taken_along + i64(market.parts)) * EVENTS_PER_SPECIAL


@inlined
def _parts_to_come(place: Any) -> int:
    """How many parts the iceberg of a PLACE that is accepted has at most."""
    iceberg = place.iceberg_lots > 0 and place.qty_lots > 0
    return min(i64(ICEBERG_PARTS_MAX), 1 + place.qty_lots // place.iceberg_lots) if iceberg else i64(0)


@part
def _events_of_storm(state: State, place: Any, meets: bool) -> int:
    """How many events a PLACE may cause where some orders are special: few if it trades not and nothing is due."""
    symbol = i64(place.symbol)
    if not is_special(place) and not meets and next_due(state, symbol) == 0:
        return i64(0)
    parts = _parts_to_come(place)
    if place.list_role != ListRole.NONE:
        for leg in range(1, LEGS_MAX):
            parts += _parts_to_come(place_command(state.staged, leg))
    return _events_of_specials(state, symbol) + parts * EVENTS_PER_SPECIAL


@part
def _events_of_sweep(state: State, commands: Any, i: int) -> int:
    """How many events commands that close many orders may cause."""
    kind = any_command(commands, i).kind
    needed = i64(0)
    if kind == CommandKind.CANCEL_ALL:
        account = i64(target_command(commands, i).account)
        if 0 <= account < len(state.accounts):
            for symbol in range(len(state.symbols)):
                needed += i64(state.owned[account * len(state.symbols) + symbol].count)
    elif kind == CommandKind.TICK:
        needed += min(state.header[0].expiries, EXPIRIES_PER_TICK)
        if state.header[0].countdowns > 0 and state.header[0].countdown_next_ts_ns <= any_command(commands, i).ts_ns:
            needed += min(state.header[0].open_orders, EXPIRIES_PER_TICK) + state.header[0].countdowns
    elif kind == CommandKind.MASS_CANCEL:
        needed += min(state.header[0].open_orders, MASS_CANCEL_MAX)
    if state.header[0].specials != 0:
        needed = (needed + 1) * EVENTS_PER_SPECIAL
    if kind == CommandKind.TICK:
        for symbol in range(1, len(state.symbols)):
            market = state.markets[symbol]
            if market.phase != Phase.CONTINUOUS or (market.specials != 0 and next_due(state, i64(symbol)) != 0):
                needed += _events_of_specials(state, i64(symbol))
    elif kind == CommandKind.AUCTION and is_symbol(state, auction_command(commands, i).symbol):
        needed += _events_of_specials(state, i64(auction_command(commands, i).symbol))
    return needed
