"""`python -m bench`: every benchmark, held against its target and against an earlier commit, in bench/RESULTS.md.

Runs each benchmark in a process of its own and reads its JSON. A wrong result is an error (exit 1). A missed target or
a regression is written down and is none: times depend on the machine, and only ratios within one run say something.

An earlier commit, the previous one if none is named, is checked out beside this one (`git worktree`), and its
`bench.engine` runs in turns with ours, on the same flow. A flow is called slower when the median of the ratios of the
turns is below REGRESSION.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import importlib.metadata
import json
import operator
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "RESULTS.md"
REGRESSION = 0.85
ROUNDS = 7
TIMEOUT_S = 1_800

Figures = dict[str, Any]


class Target(NamedTuple):
    """A figure that the design promises."""

    what: str
    key: str
    at_least: bool
    value: float
    unit: str

    def met(self, found: float) -> bool:
        """Whether a figure keeps the promise."""
        compare: Callable[[float, float], bool] = operator.ge if self.at_least else operator.le
        return compare(found, self.value)


class Bench(NamedTuple):
    """One benchmark: how it is run, and what its figures should be."""

    name: str
    arguments: tuple[str, ...]
    targets: tuple[Target, ...] = ()
    repeats: bool = False  # it knows --runs


class BenchFailed(Exception):
    """A benchmark that gave no figures; a sentence."""


_ENGINE = ("bench.engine",)
BENCHES = (
    Bench(
        "engine, near the touch (620 live orders)",
        _ENGINE,
        (Target("moonshot: engine alone", "commands_per_second", True, 10e6, "commands/s"),),
        repeats=True,
    ),
    Bench(
        "engine, deep book (24,000 live orders)",
        (*_ENGINE, "--walk", "0"),
        (
            Target("engine alone, 10k live orders or more", "commands_per_second", True, 5e6, "commands/s"),
            Target("p99.9 of one command", "p999_ns", False, 5_000, "ns"),
            Target("memory of an open order", "bytes_per_order", False, 160, "bytes"),
        ),
        repeats=True,
    ),
    Bench("engine, deep book, client order ids", (*_ENGINE, "--walk", "0", "--client-ids"), repeats=True),
    Bench(
        "100k price levels, uniform prices",
        ("bench.levels",),
        (Target("worst case", "commands_per_second", True, 1e6, "commands/s"),),
        repeats=True,
    ),
    Bench(
        "ring, synced journal, engine, event journal",
        ("bench.pipeline",),
        (
            Target("one producer", "commands_per_second", True, 1.5e6, "commands/s"),
            Target("one command in flight, durable: p50 against one fdatasync", "ratio_to_bare", False, 1.5, "x"),
        ),
    ),
    Bench(
        "replay and recovery from disk",
        ("bench.recovery",),
        (Target("replay of a journal", "commands_per_second", True, 3e6, "commands/s"),),
    ),
    Bench(
        "REST orders, durable",
        ("bench.rest",),
        (Target("against a bare aiohttp POST echo", "ratio_to_bare", True, 0.7, "x"),),
    ),
    Bench(
        "WebSocket API orders, durable, 256 connections",
        ("bench.wsapi",),
        (Target("against a bare aiohttp WebSocket echo", "ratio_to_bare", True, 0.5, "x"),),
    ),
    Bench(
        "WebSocket fan-out to 100 listeners",
        ("bench.fanout",),
        (
            Target("one frame to 100 listeners", "frames_per_second", True, 300e3, "frames/s"),
            Target("against a bare loop of writes", "ratio_to_bare", True, 0.75, "x"),
        ),
    ),
    Bench(
        "WebSocket fan-out to 100 listeners, beside 500 that do not read",
        ("bench.fanout", "--slow", "500"),
        (Target("against a bare loop of writes without them", "ratio_to_bare", True, 0.75, "x"),),
    ),
    Bench(
        "WebSocket fan-out to 5,000 listeners",
        ("bench.fanout", "--listeners", "5000"),
        (Target("against a bare loop of writes", "ratio_to_bare", True, 0.75, "x"),),
    ),
    Bench(
        "event journal to PostgreSQL",
        ("bench.projection",),
        (Target("rows of all tables, with their indexes", "rows_per_second", True, 100e3, "rows/s"),),
    ),
    Bench(
        "orders while PostgreSQL is down",
        ("bench.outage",),
        (Target("p99 of an order against the same with PostgreSQL", "p99_down_to_up", False, 1.1, "x"),),
    ),
    Bench(
        "mass cancel of 100,000 orders",
        ("bench.masscancel",),
        (Target("the longest single command of the engine", "longest_command_ms", False, 5, "ms"),),
    ),
    Bench("100,000 stops and a fall by 20 %", ("bench.triggers",)),
    Bench("orders during a flood of logins", ("bench.logins",)),
    Bench("private events, live and resumed", ("bench.private",)),
)


def run_bench(arguments: tuple[str, ...], root: pathlib.Path = ROOT) -> Figures:
    """The figures of one benchmark of the tree at `root`. Raises BenchFailed."""
    environ = {**os.environ, "PYTHONPATH": str(root)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", *arguments, "--json"],
            cwd=root,
            env=environ,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"it did not end within {TIMEOUT_S} s") from None
    lines = done.stdout.strip().splitlines()
    try:
        figures: Figures = json.loads(lines[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise BenchFailed(f"it ended with {done.returncode}: {last}") from None
    if not figures.get("ok"):
        raise BenchFailed(str(figures.get("error", "its result is wrong")))
    return figures


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(f"git {arguments[0]}: {done.stderr.strip() or 'failed'}")
    return done.stdout.strip()


def _commit() -> str:
    try:
        changed = "" if _is_clean() else ", with uncommitted changes"
        return _git("rev-parse", "--short=12", "HEAD") + changed
    except (BenchFailed, OSError):
        return "none (not a git repository)"


def _is_clean() -> bool:
    return not _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)bench/RESULTS.md")


@contextlib.contextmanager
def _worktree(commit: str) -> Iterator[pathlib.Path]:
    """A checkout of a commit in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="exchange-baseline-") as folder:
        path = pathlib.Path(folder) / "tree"
        _git("worktree", "add", "--detach", str(path), commit)
        try:
            yield path
        finally:
            _git("worktree", "remove", "--force", str(path))


class Comparison(NamedTuple):
    """An earlier commit against ours, on one flow: commands a second of both, turn by turn."""

    name: str
    turns: list[tuple[float, float]]

    @property
    def ratios(self) -> list[float]:
        """Of each turn, lowest first; above one: faster now. What disturbs the machine for long disturbs both alike."""
        return sorted(now / before for before, now in self.turns)

    @property
    def ratio(self) -> float:
        """The median of the turns' ratios."""
        return statistics.median(self.ratios)

    def row(self) -> str:
        """A line of the table."""
        before, now = (max(speeds) for speeds in zip(*self.turns, strict=True))
        verdict = "**slower**" if self.ratio < REGRESSION else ""
        spread = f"{self.ratios[0]:.2f} to {self.ratios[-1]:.2f}"
        return f"| {self.name} | {before:,.0f} | {now:,.0f} | {self.ratio:.2f} | {spread} | {verdict} |"


def compare(rounds: int, against: str = "") -> tuple[str, list[Comparison]]:
    """(commit, so many turns with it on each flow). Raises BenchFailed, OSError.

    `against` names a commit, "" the one before this tree.
    """
    named = against or ("HEAD~1" if _is_clean() else "HEAD")
    commit = _git("rev-parse", "--short=12", "--verify", f"{named}^{{commit}}")
    comparisons = []
    with _worktree(commit) as before:
        for name, walk in (("near the touch", "0.02"), ("deep book", "0")):
            arguments = (*_ENGINE, "--walk", walk, "--runs", "3")
            turns = []
            for _ in range(rounds):
                then, now = (float(run_bench(arguments, tree)["commands_per_second"]) for tree in (before, ROOT))
                turns.append((then, now))
            comparisons.append(Comparison(name, turns))
    return commit, comparisons


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _machine() -> list[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numba", "numpy"))
    now = dt.datetime.now(dt.UTC)
    return [
        f"- Machine: {_cpu()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}",
        f"- Python {platform.python_version()}, {versions}",
        f"- Commit: {_commit()}",
        f"- Date: {now:%Y-%m-%d %H:%M} UTC, load average {os.getloadavg()[0]:.1f} at the start",
    ]


def _amount(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def _target_rows(bench: Bench, figures: Figures) -> Iterator[str]:
    for target in bench.targets:
        found = figures.get(target.key)
        sign = ">=" if target.at_least else "<="
        promised = f"{sign} {_amount(target.value)} {target.unit}"
        if found is None:
            yield f"| {bench.name} | {target.what} | {promised} | not measured | |"
        else:
            verdict = "met" if target.met(found) else "**missed**"
            yield f"| {bench.name} | {target.what} | {promised} | {_amount(found)} {target.unit} | {verdict} |"


def render(results: list[tuple[Bench, Figures | str]], machine: list[str], comparison: list[str]) -> str:
    """RESULTS.md; a result that is text is why there are no figures."""
    lines = [
        "# Benchmark results",
        "",
        "Written by `make bench`; docs/benchmarks.md says what is measured and how.",
        "",
    ]
    lines += [*machine, "", "## Targets", "", "| benchmark | what | target | found | |", "|---|---|---|---|---|"]
    for bench, result in results:
        if isinstance(result, str):
            lines.append(f"| {bench.name} | | | failed: {result} | **failed** |")
        else:
            lines += _target_rows(bench, result)
    lines += ["", "## Against an earlier commit", "", *comparison, "", "## All figures", ""]
    for bench, result in results:
        if not isinstance(result, str):
            lines += [
                f"### {bench.name}",
                "",
                f"`python -m {' '.join(bench.arguments)}`",
                "",
                *_figure_lines(result),
                "",
            ]
    return "\n".join(lines).rstrip() + "\n"


def _figure_lines(figures: Figures) -> Iterator[str]:
    for key, value in figures.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield f"- {key}: {value:,}"


def _comparison_lines(rounds: int, against: str) -> list[str]:
    try:
        commit, comparisons = compare(rounds, against)
    except (BenchFailed, OSError) as error:
        return [f"No comparison: {error}."]
    told = f"`bench.engine` in {rounds} turns with commit {commit}: the best of each, the median of the turns' ratios."
    head = ("| flow | before | now | ratio | turns | |", "|---|---|---|---|---|---|")
    return [told, "", *head, *(one.row() for one in comparisons)]


def main(arguments: list[str] | None = None) -> int:
    """Run everything and write RESULTS.md; 1 if a result was wrong or missing, else 0."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="All benchmarks; writes bench/RESULTS.md.")
    parser.add_argument("--quick", action="store_true", help="one run of each, one round of comparison")
    parser.add_argument("--against", default="", metavar="COMMIT", help="compare with it (default: the previous one)")
    options = parser.parse_args(arguments)
    machine = _machine()
    results: list[tuple[Bench, Figures | str]] = []
    for bench in BENCHES:
        print(f"{bench.name} ...", flush=True)
        repeat = ("--runs", "1") if options.quick and bench.repeats else ()
        try:
            results.append((bench, run_bench((*bench.arguments, *repeat))))
        except BenchFailed as error:
            results.append((bench, str(error)))
            print(f"  failed: {error}")
    print("an earlier commit, in turns with this one ...", flush=True)
    text = render(results, machine, _comparison_lines(1 if options.quick else ROUNDS, options.against))
    RESULTS.write_text(text)
    print(text)
    return 1 if any(isinstance(result, str) for _, result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
