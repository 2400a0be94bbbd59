"""`python -m bench.engine`: the engine alone on a flow file.

Runs the commands of a flow through risk, matching, clearing and event emission, with 64 accounts and fees. Before any
figure is printed, trades, volume, notional, the digest over all trades, live orders and price levels are compared with
the expected figures beside the file, the invariants are checked, and each timed run must end in the state of the
checked one.

Speed is CPU time of the thread over whole runs, the best of several (what disturbs a run only slows it). Percentiles
come from a pass of their own that reads a clock around each command, and include `latency_overhead_ns` of it.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
from typing import Any

import numpy as np

from bench import clock
from bench.flow import Broken, Flow, Shape, cached, load
from bench.flow_engine import ACCOUNTS, Wrong, checked_run, event_buffer, prepare, timed_run
from exchange.core.state import State

RUNS = 5
PER_ORDER_TABLES = ("orders", "details", "order_index", "client_index")
INDEXES = ("order_index", "client_index")


def bytes_per_order(state: State) -> float:
    """What one more open order takes, in bytes: the tables that grow with orders, at their capacity.

    The window of closed orders is a fixed table and stands in the same indexes, so its share of them is left out.
    """
    capacity = len(state.orders)
    share = capacity / (capacity + len(state.closed))
    sizes = {name: getattr(state, name).nbytes for name in PER_ORDER_TABLES}
    return float(sum(size * (share if name in INDEXES else 1.0) for name, size in sizes.items()) / capacity)


def measure(flow: Flow, *, runs: int, client_ids: bool, first: int = 0) -> dict[str, Any]:
    """All figures of a flow; those of speed are about commands `first` and later. Raises Wrong.

    `limits` are what the run was free to use: accounts that trade, and the capacity that its tables grew to.
    """
    prepared = prepare(flow, client_ids=client_ids)
    checked = checked_run(prepared)
    events = event_buffer(checked)
    timed = len(prepared.commands) - first
    rates = [timed / timed_run(prepared, checked, events, first) for _ in range(runs)]
    durations = clock.durations_ns(prepared, checked, events, first)
    p50, p99, p999 = (int(value) for value in np.percentile(durations, (50, 99, 99.9)))
    return {
        "ok": True,
        "commands_per_second": round(max(rates)),
        "commands_per_second_median": round(statistics.median(rates)),
        "p50_ns": p50,
        "p99_ns": p99,
        "p999_ns": p999,
        "latency_overhead_ns": clock.overhead_ns(prepared, checked, events),
        "bytes_per_order": round(bytes_per_order(checked.state), 1),
        "live_orders": int(checked.state.header[0].open_orders),
        "levels": int(checked.state.header[0].levels),
        "trades": int(flow.expected["trades"]),
        "commands": timed,
        "runs": runs,
        "limits": {"accounts": ACCOUNTS, "orders": len(checked.state.orders), "levels": len(checked.state.levels)},
    }


def report(name: str, figures: dict[str, Any], *, as_json: bool) -> None:
    """Print the figures of one flow."""
    if as_json:
        print(json.dumps(figures))
        return
    print(f"{name}: {figures['commands']:,} commands, {figures['trades']:,} trades, as expected")
    print(f"  {figures['commands_per_second']:>12,} commands/s of thread CPU time, best of {figures['runs']}")
    print(f"  {figures['commands_per_second_median']:>12,} commands/s, median")
    for field in ("p50_ns", "p99_ns", "p999_ns"):
        print(f"  {figures[field]:>12,} ns {field.removesuffix('_ns')}")
    print(f"  {figures['latency_overhead_ns']:>12,} ns of each are the measurement's")
    print(f"  {figures['bytes_per_order']:>12} bytes an open order; {figures['live_orders']:,} orders live at the end")


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 if every check held, 1 if not, 2 if the flow can not be read."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description="The engine alone on a flow file.")
    parser.add_argument("--flow", type=pathlib.Path, help="flow file with its .json beside it (default: made here)")
    parser.add_argument("--walk", type=float, default=0.02, help="of the flow made here: 0 makes a deep book")
    parser.add_argument("--client-ids", action="store_true", help="give every order a client id of 36 characters")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"timed runs (default: {RUNS})")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        flow = load(options.flow) if options.flow else cached(Shape("touch", walk=options.walk))
        figures = measure(flow, runs=max(1, options.runs), client_ids=options.client_ids)
    except Broken as error:
        print(f"bench.engine: {error}", file=sys.stderr)
        return 2
    except Wrong as error:
        print(json.dumps({"ok": False, "error": str(error)}) if options.json else f"bench.engine: {error}")
        return 1
    report(flow.path.name, figures, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
