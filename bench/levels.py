"""`python -m bench.levels`: the engine's worst case for prices, 100 000 levels and uniformly random ones.

The venue is first filled with orders at uniformly random prices until about 100 000 levels exist, each with one or two
orders. What is timed then is the usual mix (50 % orders, 40 % cancels, 10 % takers) at uniform prices: most commands
make or remove a level at a place that no cache expects. Checks as `bench.engine`.
"""

from __future__ import annotations

import argparse
import json
import sys

from bench.engine import RUNS, measure, report
from bench.flow import Shape, cached
from bench.flow_engine import Wrong

PREFILL = 160_000
UNIFORM_TICKS = 80_000
SHAPE = Shape("uniform", walk=0.0, uniform_ticks=UNIFORM_TICKS, prefill=PREFILL)
"""160 000 orders over 160 000 prices leave 1 - 1/e of the prices with an order: about 101 000 levels."""


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 if every check held, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m bench.levels", description="100 000 price levels, uniform prices.")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"timed runs (default: {RUNS})")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        figures = measure(cached(SHAPE), runs=max(1, options.runs), client_ids=False, first=PREFILL)
    except Wrong as error:
        print(json.dumps({"ok": False, "error": str(error)}) if options.json else f"bench.levels: {error}")
        return 1
    report("bench.levels", figures, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
