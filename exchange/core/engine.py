"""The engine: applies commands to the state, one by one.

    apply ──► room for this command? ──► events for it? ──► dispatch ──► LAST

Owns the dispatch and the conditions under which a kernel returns early. Never waits, never allocates: when a pool or
the event buffer is too small it returns, Python enlarges it, and it is entered again at the same command.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from exchange.core.auction import auction, pass_phases
from exchange.core.by_reference import by_reference
from exchange.core.codes import (
    CommandKind,
    EventFlag,
    EventKind,
    Fault,
    Limit,
    ListRole,
    OrderType,
    Phase,
    RejectCode,
    Scope,
    Side,
)
from exchange.core.compile import i64, inlined, kernel, part
from exchange.core.countdowns import countdown
from exchange.core.emit import begin_event, emit_rejected
from exchange.core.hashing import state_hash
from exchange.core.levels import crosses
from exchange.core.list_placing import place_list
from exchange.core.placing import place_order
from exchange.core.reference import (
    add_asset,
    add_symbol,
    change_symbol,
    echo,
    open_account,
    set_fees,
    set_limit,
    set_trading_mode,
)
from exchange.core.resting import cancel_all, cancel_order, expire, reduce_order
from exchange.core.risk import is_symbol
from exchange.core.risk_special import ICEBERG_PARTS_MAX
from exchange.core.rules import set_rule
from exchange.core.slots import (
    account_command,
    any_command,
    any_event,
    asset_command,
    auction_command,
    hash_command,
    hash_event,
    limit_command,
    place_command,
    rule_command,
    symbol_command,
    target_command,
    ticked_event,
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
from exchange.core.sweeping import fire_countdowns, mass_cancel
from exchange.core.terms import special_bits
from exchange.core.transfers import transfer
from exchange.core.triggers import next_due
from exchange.core.turns import take_all_turns

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


class Status(IntEnum):
    """Why `apply` returned."""

    DONE = 0
    NEEDS_ROOM = 1
    EVENTS_FULL = 2
    FAULT = 3


@inlined
def _room_for_place(state: State) -> int:
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
def _room_for_legs(state: State) -> int:
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
def _room_for_rare(state: State, commands: Any, i: int) -> int:
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
def _events_needed(state: State, commands: Any, i: int) -> int:
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
            if state.markets[place.symbol].specials != 0 or special_bits(place) != 0:
                needed += _events_of_storm(state, place, meets)
    else:
        needed += _events_of_sweep(state, commands, i)
    return needed


@part
def _events_of_specials(state: State, symbol: int) -> int:
    """How many events orders of a symbol may cause where some are special, or all meet: each may trade, turn, close."""
    market = state.markets[symbol]
    first = symbol * SIDES
    orders = i64(state.sides[first].orders) + i64(state.sides[first + 1].orders) + i64(market.specials)
    return (orders + i64(market.parts) + TURNS_PER_COMMAND + LEGS_MAX) * EVENTS_PER_SPECIAL


@inlined
def _parts_to_come(place: Any) -> int:
    """How many parts the iceberg of a PLACE that is accepted has at most."""
    iceberg = place.iceberg_lots > 0 and place.qty_lots > 0
    return min(i64(ICEBERG_PARTS_MAX), 1 + place.qty_lots // place.iceberg_lots) if iceberg else i64(0)


@part
def _events_of_storm(state: State, place: Any, meets: bool) -> int:
    """How many events a PLACE may cause where some orders are special: few if it trades not and nothing is due."""
    symbol = i64(place.symbol)
    if special_bits(place) == 0 and not meets and next_due(state, symbol) == 0:
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
    elif kind == CommandKind.AUCTION:
        symbol = i64(auction_command(commands, i).symbol)
        if is_symbol(state, symbol):
            needed += _events_of_specials(state, symbol)
    elif kind == CommandKind.MASS_CANCEL:
        needed += min(state.header[0].open_orders, MASS_CANCEL_MAX)
    if state.header[0].specials != 0:
        needed = (needed + 1) * EVENTS_PER_SPECIAL
    if kind == CommandKind.TICK:
        for symbol in range(1, len(state.symbols)):
            market = state.markets[symbol]
            if market.phase != Phase.CONTINUOUS or (market.specials != 0 and next_due(state, i64(symbol)) != 0):
                needed += _events_of_specials(state, i64(symbol))
    return needed


@part
def _hash(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """HASH: check the hash the command repeats, then emit and remember the present one."""
    header = state.header[0]
    command = hash_command(commands, i)
    repeats = command.at_sequence != 0 and command.at_sequence == header.hash_sequence
    if repeats and (command.hash_0 != header.hash_0 or command.hash_1 != header.hash_1):
        header.fault = Fault.HASH_MISMATCH
        return used
    hash_0, hash_1 = state_hash(state)
    header.hash_sequence = header.sequence
    header.hash_0 = hash_0
    header.hash_1 = hash_1
    begin_event(state.header[0], events, used, EventKind.HASHED)
    event = hash_event(events, used)
    event.at_sequence = header.sequence
    event.hash_0 = hash_0
    event.hash_1 = hash_1
    return used + 1


@part
def _tick(state: State, events: Any, used: int) -> int:
    """TICK: time passes, and what is due has its turn."""
    expired, used = expire(state, events, used)
    used = fire_countdowns(state, expired, events, used)
    used = pass_phases(state, events, used)
    used = take_all_turns(state, CommandKind.TICK, events, used)
    begin_event(state.header[0], events, used, EventKind.TICKED)
    ticked_event(events, used).expired_count = expired
    return used + 1


@part
def _apply_rare(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """Everything but PLACE and CANCEL."""
    kind = any_command(commands, i).kind
    if kind == CommandKind.REDUCE:
        used = reduce_order(state, commands, i, events, used)
    elif kind == CommandKind.CANCEL_ALL:
        used = cancel_all(state, commands, i, events, used)
    elif CommandKind.DEPOSIT <= kind <= CommandKind.WITHDRAW_RELEASE:
        used = transfer(state, commands, i, events, used)
    elif kind == CommandKind.PLACE_LIST:
        used = place_list(state, commands, i, events, used)
    elif kind == CommandKind.TICK:
        used = _tick(state, events, used)
    elif kind == CommandKind.MASS_CANCEL:
        used = mass_cancel(state, commands, i, events, used)
    elif kind == CommandKind.COUNTDOWN:
        used = countdown(state, commands, i, events, used)
    elif kind == CommandKind.AUCTION:
        used = auction(state, commands, i, events, used)
    elif kind == CommandKind.SET_RULE:
        used = set_rule(state, commands, i, events, used)
    elif kind == CommandKind.SKIP:
        used = echo(state.header[0], commands, i, events, used, EventKind.SKIP_NOTED)
    elif kind == CommandKind.SKIPPED:
        used = emit_rejected(state.header[0], commands, i, events, used, RejectCode.SKIPPED_BY_OPERATOR)
    elif kind == CommandKind.HASH:
        used = _hash(state, commands, i, events, used)
    elif kind == CommandKind.SET_TRADING_MODE:
        used = set_trading_mode(state, commands, i, events, used)
    elif kind == CommandKind.OPEN_ACCOUNT:
        used = open_account(state, commands, i, events, used)
    elif kind == CommandKind.SET_FEES:
        used = set_fees(state, commands, i, events, used)
    elif kind == CommandKind.CHANGE_SYMBOL:
        used = change_symbol(state, commands, i, events, used)
    elif kind == CommandKind.ADD_SYMBOL:
        used = add_symbol(state, commands, i, events, used)
    elif kind == CommandKind.ADD_ASSET:
        used = add_asset(state, commands, i, events, used)
    elif kind == CommandKind.SET_LIMIT:
        used = set_limit(state, commands, i, events, used)
    else:
        used = emit_rejected(state.header[0], commands, i, events, used, RejectCode.UNKNOWN_KIND)
    return used


@kernel
def apply(arrays: State, commands: Any, first: int, count: int, events: Any, used: int) -> tuple[int, int, int]:
    """Apply command slots `first` .. `first + count`; append their events from slot `used` on.

    Returns (commands applied, next free event slot, Status). NEEDS_ROOM: enlarge the pool `header.room` names and enter
    again behind the commands applied. EVENTS_FULL: drain the buffer, or make it hold `header.events_needed`. FAULT:
    `header.fault` says which; the command was not applied and no later one may be.
    """
    state = by_reference(arrays)
    header = state.header[0]
    for done in range(count):
        i = first + done
        head = any_command(commands, i)
        kind = head.kind
        if kind == CommandKind.PLACE:
            room = _room_for_place(state)
            if place_command(commands, i).list_role != ListRole.NONE:
                room = max(room, _room_for_legs(state))
        elif kind == CommandKind.CANCEL:
            room = i64(Room.NONE)
        else:
            room = _room_for_rare(state, commands, i)
        if room != Room.NONE:
            header.room = room
            return done, used, Status.NEEDS_ROOM
        if kind == CommandKind.CANCEL:
            needed = EVENTS_PER_COMMAND if header.specials == 0 else EVENTS_PER_COMMAND * EVENTS_PER_SPECIAL
        else:
            needed = _events_needed(state, commands, i)
        if used + needed > len(events):
            header.events_needed = needed
            return done, used, Status.EVENTS_FULL
        if head.sequence != header.sequence + 1:
            header.fault = Fault.SEQUENCE_GAP
            return done, used, Status.FAULT
        if head.ts_ns < header.ts_ns:
            header.fault = Fault.TIME_REVERSED
            return done, used, Status.FAULT
        ts_ns = header.ts_ns
        header.sequence += 1
        header.ts_ns = head.ts_ns
        before = used
        if kind == CommandKind.PLACE:
            used = place_order(state, commands, i, events, used)
        elif kind == CommandKind.CANCEL:
            used = cancel_order(state, commands, i, events, used)
        else:
            used = _apply_rare(state, commands, i, events, used)
        if used == before:
            header.sequence -= 1
            header.ts_ns = ts_ns
            return done, used, Status.FAULT
        any_event(events, used - 1)["flags"] |= EventFlag.LAST
        header.event_count += used - before
    return count, used, Status.DONE
