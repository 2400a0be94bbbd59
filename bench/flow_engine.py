"""A flow through the engine: preparing its commands, running them, and checking what came out.

Owns the venue that a benchmark trades on (one symbol, 64 funded accounts, fees on) and the comparison with the expected
figures. Never prints.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any, NamedTuple

import numpy as np

from bench.flow import CANCEL, SELL, TRADE, Flow
from exchange.core import invariants
from exchange.core.codes import CommandKind, EventKind, OrderType, Side, TimeInForce
from exchange.core.event_records import view_events
from exchange.core.hashing import state_hash
from exchange.core.kernel import Engine, Status, apply
from exchange.core.records import RECORD_BYTES, fill_command, slots, view_commands
from exchange.core.state import SIDES, Capacity, State, new_state

ACCOUNTS = 64
FIRST_ACCOUNT = 16
SYMBOL = 1
BASE, QUOTE = 1, 2
FUNDS_ATOMS = 1 << 55
EVENT_SLOTS = 1 << 15
"""4 MB of events: what a reader that keeps up leaves in the cache."""
CLIENT_ID_AT = 92

Buffer = np.ndarray[Any, np.dtype[np.uint8]]


class Wrong(Exception):
    """The engine's result is not the expected one; a sentence."""


class Prepared(NamedTuple):
    """Everything a run needs, made before the clock starts."""

    setup: Buffer  # commands that open the venue
    commands: Buffer  # the flow
    expected: dict[str, Any]


def _setup_commands() -> Buffer:
    buffer = slots(3 + 3 * ACCOUNTS)
    fill_command(buffer[0], CommandKind.ADD_ASSET, name="BTC", asset=BASE, scale=8)
    fill_command(buffer[1], CommandKind.ADD_ASSET, name="USDT", asset=QUOTE, scale=8)
    fill_command(
        buffer[2],
        CommandKind.ADD_SYMBOL,
        name="BTC_USDT",
        symbol=SYMBOL,
        base_asset=BASE,
        quote_asset=QUOTE,
        price_scale=2,
        qty_scale=3,
        price_min_ticks=1,
        price_max_ticks=10_000_000,
        price_step_ticks=1,
        qty_min_lots=1,
        qty_max_lots=1_000_000,
        qty_step_lots=1,
        notional_max_atoms=(1 << 62) - 1,
        orders_max=1_000_000,
        maker_fee_ppm=100,
        taker_fee_ppm=200,
    )
    at = 3
    for number in range(ACCOUNTS):
        account = FIRST_ACCOUNT + number
        fill_command(buffer[at], CommandKind.OPEN_ACCOUNT, account=account, maker_fee_ppm=-1, taker_fee_ppm=-1)
        for asset in (BASE, QUOTE):
            transfer_id = 2 * number + asset
            fill_command(
                buffer[at + asset],
                CommandKind.DEPOSIT,
                account=account,
                asset=asset,
                transfer_id=transfer_id,
                amount_atoms=FUNDS_ATOMS,
            )
        at += 3
    head = view_commands(buffer).any
    head.sequence = np.arange(1, len(buffer) + 1)
    head.ts_ns = 1
    return buffer


def prepare(flow: Flow, *, client_ids: bool = False) -> Prepared:
    """The commands of a flow. Buyers and sellers are different accounts, so that nobody meets himself.

    The engine numbers accepted orders from 1, and every order of a flow is accepted: so the order id is the rank.
    """
    setup = _setup_commands()
    records = flow.records
    buffer = slots(len(records))
    views = view_commands(buffer)
    placing = records["op"] != CANCEL
    flow_ids = records["order_id"].astype(np.int64)
    ranks = np.zeros(int(flow_ids.max()) + 1, dtype=np.int64)
    ranks[flow_ids[placing]] = np.arange(1, int(placing.sum()) + 1)
    views.any.sequence = np.arange(len(setup) + 1, len(setup) + len(records) + 1)
    views.any.ts_ns = np.arange(2, len(records) + 2)
    views.any.kind = np.where(placing, CommandKind.PLACE, CommandKind.CANCEL)
    views.place.account = FIRST_ACCOUNT + (flow_ids * 2 + (records["side"] == SELL)) % ACCOUNTS
    views.place.symbol = SYMBOL
    place, target = np.asarray(views.place), np.asarray(views.target)
    place["side"][placing] = records["side"][placing]
    place["order_type"][placing] = OrderType.LIMIT
    place["time_in_force"][placing] = TimeInForce.GTC
    place["price_ticks"][placing] = records["price"][placing]
    place["qty_lots"][placing] = records["qty"][placing]
    target["order_id"][~placing] = ranks[flow_ids[~placing]]
    if client_ids:
        _name_orders(buffer, placing, flow_ids)
    return Prepared(setup, buffer, {**flow.expected, "flow_ids": flow_ids[placing]})


def _name_orders(buffer: Buffer, placing: Any, flow_ids: Any) -> None:
    """Give every order a client id of 36 characters."""
    names = np.char.zfill(flow_ids[placing].astype("S36"), 36)
    buffer[placing, CLIENT_ID_AT:] = names.view(np.uint8).reshape(-1, RECORD_BYTES - CLIENT_ID_AT)


def fresh_engine(prepared: Prepared, capacity: Capacity | None = None) -> Engine:
    """An engine on which the venue is open. Every page of its memory has been touched."""
    state = new_state(capacity)
    for table in state:
        flat = table.reshape(-1).view(np.uint8)
        flat[:] = flat.copy()
    engine = Engine(state)
    engine.run(prepared.setup)
    return engine


def capacity_of(state: State) -> Capacity:
    """Sizes that a run like the one that made this state never outgrows."""
    return Capacity(
        assets=len(state.assets),
        symbols=len(state.symbols),
        accounts=len(state.accounts),
        levels=len(state.levels),
        nodes=len(state.nodes),
        orders=len(state.orders),
        transfers=len(state.transfers),
        expiries=len(state.expiries),
    )


def checked_run(prepared: Prepared) -> Engine:
    """Run the flow once, unhurried, and compare everything with the expected figures. Raises Wrong."""
    engine = fresh_engine(prepared)
    parts = []
    kinds = np.zeros(256, dtype=np.int64)
    for first in range(0, len(prepared.commands), 1 << 14):
        events = engine.run(prepared.commands[first : first + (1 << 14)])
        kinds += np.bincount(events[:, 16], minlength=256)
        parts.append(_trades(events, prepared.expected["flow_ids"]))
    trades = np.concatenate(parts)
    if kinds[EventKind.REJECTED]:
        raise Wrong(f"{kinds[EventKind.REJECTED]} commands were rejected")
    check_figures(engine.state, trades, prepared.expected)
    invariants.check_all(engine.state)
    return engine


def _trades(events: Buffer, flow_ids: Any) -> Any:
    """The TRADE events as flow trades, in order."""
    found = view_events(np.ascontiguousarray(events[events[:, 16] == EventKind.TRADE])).trade
    trades = np.zeros(len(found), dtype=TRADE)
    trades["maker"] = flow_ids[found.maker_order_id - 1]
    trades["taker"] = flow_ids[found.taker_order_id - 1]
    trades["price"] = found.price_ticks
    trades["qty"] = found.qty_lots
    return trades


def check_figures(state: State, trades: Any, expected: dict[str, Any]) -> None:
    """Compare trades and book with what must come of the flow. Raises Wrong."""
    prices, lots = trades["price"].astype(np.int64), trades["qty"].astype(np.int64)
    levels = [_level_count(state, side) for side in Side]
    header = state.header[0]
    found = {
        "trades": len(trades),
        "volume": int(lots.sum()),
        "notional": int((prices * lots).sum()),
        "trade_sha256": hashlib.sha256(trades.tobytes()).hexdigest(),
        "live_end": int(header.open_orders),
        "levels_end": levels,
    }
    for name, value in found.items():
        if value != expected[name]:
            raise Wrong(f"{name} is {value}, {expected[name]} was expected")


def _level_count(state: State, side: int) -> int:
    count, level = 0, int(state.sides[SIDES * SYMBOL + side].best)
    while level:
        count += 1
        level = int(state.levels[level].worse)
    return count


def event_buffer(checked: Engine) -> Buffer:
    """Room for EVENT_SLOTS events and, behind them, for what the largest possible command may need."""
    return slots(EVENT_SLOTS + len(checked.state.orders))


def timed_run(prepared: Prepared, checked: Engine, events: Buffer, first: int = 0) -> float:
    """Run the flow against the clock; returns seconds of this thread's CPU time for commands `first` and later.

    `events` is drained by starting over. Raises Wrong where the end is not the state of the checked run.
    """
    engine = fresh_engine(prepared, capacity_of(checked.state))
    _apply_all(engine, prepared.commands, 0, first, events)
    started = time.thread_time()
    _apply_all(engine, prepared.commands, first, len(prepared.commands), events)
    seconds = time.thread_time() - started
    if state_hash(engine.state) != state_hash(checked.state):
        raise Wrong("the state after the timed run is not that of the checked run")
    return seconds


def _apply_all(engine: Engine, commands: Buffer, first: int, end: int, events: Buffer) -> None:
    while first < end:
        done, _, status = apply(engine.state, commands, first, end - first, events, 0)
        first += done
        if status == Status.NEEDS_ROOM:
            engine.grow()
        elif status == Status.FAULT or (status == Status.EVENTS_FULL and done == 0):
            raise Wrong(f"command {first} stopped the engine: {Status(status).name}")
