"""The engine under pytest-benchmark (`pytest bench --benchmark-enable`), and what the benchmarks stand on.

Without `--benchmark-enable` each runs once: then these are tests that the figures would be about the right thing.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from bench import engine, report
from bench.flow import TAKE, Broken, Flow, Shape, generate, load
from bench.flow_engine import Wrong, checked_run, event_buffer, prepare, timed_run

SHAPES = (
    Shape("touch", commands=20_000),
    Shape("touch", commands=20_000, walk=0.0),
    Shape("uniform", commands=10_000, walk=0.0, uniform_ticks=5_000, prefill=10_000),
)
GENERATOR = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data" / "gen_flow.py"


def made(shape: Shape, folder: pathlib.Path) -> Flow:
    path = folder / shape.file_name
    generate(shape, path)
    return load(path)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.file_name)
@pytest.mark.parametrize("client_ids", [False, True])
def test_engine_runs_a_flow(benchmark: Any, tmp_path: pathlib.Path, shape: Shape, *, client_ids: bool) -> None:
    prepared = prepare(made(shape, tmp_path), client_ids=client_ids)
    checked = checked_run(prepared)
    benchmark(timed_run, prepared, checked, event_buffer(checked), shape.prefill)


def test_flow_is_the_same_for_the_same_seed_and_another_for_another(tmp_path: pathlib.Path) -> None:
    digests = [made(Shape("touch", commands=2_000, seed=seed), tmp_path).expected["file_sha256"] for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("field", ["trades", "volume", "notional", "live_end", "levels_end", "trade_sha256"])
def test_wrong_expected_figure_is_named_before_any_is_printed(tmp_path: pathlib.Path, field: str) -> None:
    flow = made(SHAPES[0], tmp_path)
    value = flow.expected[field]
    flow.expected[field] = value + 1 if isinstance(value, int) else value[::-1]
    with pytest.raises(Wrong, match=f"{field} is "):
        engine.measure(flow, runs=1, client_ids=False)


def test_engine_that_trades_otherwise_is_caught(tmp_path: pathlib.Path) -> None:
    flow = made(SHAPES[0], tmp_path)
    records = flow.records.copy()
    taker = int(np.flatnonzero(records["op"] == TAKE)[100])
    records["qty"][taker] += 1
    flow.records = records
    with pytest.raises(Wrong, match=" was expected"):
        checked_run(prepare(flow))


def test_damaged_flow_file_is_refused(tmp_path: pathlib.Path) -> None:
    flow = made(SHAPES[0], tmp_path)
    raw = bytearray(flow.path.read_bytes())
    raw[5] ^= 1
    flow.path.write_bytes(raw)
    with pytest.raises(Broken, match="is not the file that"):
        load(flow.path)


@pytest.mark.skipif(not GENERATOR.exists(), reason=f"the other generator of flows is not there: {GENERATOR}")
def test_flow_of_the_other_generator_gives_its_figures(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "flow.bin"
    subprocess.run([sys.executable, GENERATOR, "20000", "7", "0.02", path], check=True, capture_output=True)
    figures = engine.measure(load(path), runs=1, client_ids=False)
    expected = json.loads((tmp_path / "flow.bin.json").read_text())
    assert (figures["trades"], figures["live_orders"]) == (expected["trades"], expected["live_end"])


def test_results_name_missed_targets_failures_and_regressions() -> None:
    target = report.Target("speed", "commands_per_second", True, 100.0, "commands/s")
    bench = report.Bench("b", ("bench.b",), (target,))
    text = report.render([(bench, {"commands_per_second": 99}), (bench, "it fell over")], ["- Machine: m"], ["none"])
    assert "| b | speed | >= 100 commands/s | 99.00 commands/s | **missed** |" in text
    assert "failed: it fell over" in text
    slower, equal = report.Comparison("x", [(100, 84), (50, 60), (200, 160)]), report.Comparison("x", [(100, 86)])
    assert slower.ratio < report.REGRESSION < equal.ratio
    assert slower.row() == "| x | 200 | 160 | 0.84 | 0.80 to 1.20 | **slower** |"
