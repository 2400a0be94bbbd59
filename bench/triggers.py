"""`python -m bench.triggers`: 100,000 stops and a fall by 20 %.

So many stops, each at a price of its own, are accepted, and one trade passes all of them. Figures of the engine alone,
in thread CPU time: accepting a stop; the trade that passes all of them, with its hundred turns; the turns of the
others, a hundred a TICK. Before it prints, every stop has entered exactly once, nearest price first, nothing is open or
locked, and the invariants hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np

from bench.flow_engine import Buffer, Wrong
from bench.masscancel import FIRST_ACCOUNT, SYMBOL, stamped, venue
from exchange.core import invariants
from exchange.core.codes import CommandKind, EventKind, OrderType, Side, TimeInForce
from exchange.core.event_records import ORDER_EVENT
from exchange.core.kernel import Engine
from exchange.core.records import fill_command, slots
from exchange.core.state import TURNS_PER_COMMAND

STOPS = 100_000
HIGH_TICKS, LOW_TICKS = 1_000_000, 800_000
Prices = np.ndarray[Any, np.dtype[np.int64]]


def _place(side: Side, order_type: OrderType, time_in_force: TimeInForce, **fields: int) -> Buffer:
    slot = slots(1)
    codes = {"side": side, "order_type": order_type, "time_in_force": time_in_force, "symbol": SYMBOL, "qty_lots": 1}
    fill_command(slot[0], CommandKind.PLACE, "", "", **codes | fields)
    return slot


def _trade_at(price_ticks: int) -> list[Buffer]:
    """A bid, and the sale that meets it."""
    fields = {"price_ticks": price_ticks}
    return [
        _place(Side.BUY, OrderType.LIMIT, TimeInForce.GTC, account=FIRST_ACCOUNT, **fields),
        _place(Side.SELL, OrderType.LIMIT, TimeInForce.IOC, account=FIRST_ACCOUNT + 1, **fields),
    ]


def _stops(prices: Prices) -> list[Buffer]:
    return [
        _place(Side.SELL, OrderType.STOP_LOSS, TimeInForce.IOC, account=FIRST_ACCOUNT + 2, stop_price_ticks=int(price))
        for price in prices
    ]


def _timed(engine: Engine, rows: list[Buffer]) -> tuple[int, Buffer]:
    """Thread CPU time of the rows as one batch, and their events."""
    commands = stamped(np.concatenate(rows), int(engine.state.header[0].sequence) + 1)
    started = time.thread_time_ns()
    events = engine.run(commands)
    return time.thread_time_ns() - started, events.copy()


def _entered(events: Buffer) -> list[int]:
    """The orders that entered, as they did."""
    records = events.reshape(-1).view(ORDER_EVENT)
    return [int(order) for order in records["order_id"][records["kind"] == EventKind.ORDER_ENTERED]]


def measure(count: int) -> dict[str, Any]:
    """All figures, of the second of two runs: the first compiles and makes room. Raises Wrong."""
    figures: dict[str, Any] = {}
    # below the last price, in an order that is none
    prices = np.random.default_rng(5).permutation(np.arange(LOW_TICKS, LOW_TICKS + count)) + 1
    for _ in range(2):
        engine = Engine(event_slots=1 << 16)
        _timed(engine, [*venue(), *_trade_at(HIGH_TICKS)])
        accepting_ns, accepted = _timed(engine, _stops(prices))
        passing_ns, events = _timed(engine, _trade_at(LOW_TICKS))
        called = _entered(events)
        tick = slots(1)
        fill_command(tick[0], CommandKind.TICK)
        longest_ns = total_ns = ticks = 0
        while engine.state.header[0].specials and ticks <= count:
            took_ns, events = _timed(engine, [tick.copy()])
            called += _entered(events)
            longest_ns, total_ns, ticks = max(longest_ns, took_ns), total_ns + took_ns, ticks + 1
        _check(engine, accepted, called, prices)
        figures = {
            "ok": True,
            "stops": count,
            "accept_ns": round(accepting_ns / count),
            "passing_trade_us": round(passing_ns / 1_000, 1),
            "turn_ns": round(total_ns / max(1, count - TURNS_PER_COMMAND)),
            "longest_tick_us": round(longest_ns / 1_000, 1),
            "ticks": ticks,
        }
    return figures


def _check(engine: Engine, accepted: Buffer, called: list[int], prices: Prices) -> None:
    """Raises Wrong unless every stop entered once, nearest price first, and nothing is left."""
    records = accepted.reshape(-1).view(ORDER_EVENT)
    ids = records["order_id"][records["kind"] == EventKind.ORDER_ACCEPTED]
    expected = [int(order) for order in ids[np.argsort(-prices)]]
    if called != expected:
        raise Wrong(f"{len(called)} of {len(prices)} stops entered, or not nearest price first")
    if engine.state.header[0].open_orders or int(engine.state.balances["locked"].sum()):
        raise Wrong("something is still open or locked")
    invariants.check_all(engine.state)


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 if every check held, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m bench.triggers", description="Stops and a fall by 20 %.")
    parser.add_argument("--stops", type=int, default=STOPS, help=f"how many (default: {STOPS:,})")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        figures = measure(options.stops)
    except Wrong as error:
        print(json.dumps({"ok": False, "error": str(error)}) if options.json else f"bench.triggers: {error}")
        return 1
    if options.json:
        print(json.dumps(figures))
        return 0
    print(f"{figures['stops']:,} stops, each entered once, nearest price first")
    print(f"  {figures['accept_ns']:>10,} ns to accept one")
    print(f"  {figures['passing_trade_us']:>10,} us for the trade that passes all, with {TURNS_PER_COMMAND} turns")
    print(f"  {figures['turn_ns']:>10,} ns a turn; the longest TICK took {figures['longest_tick_us']:,} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
