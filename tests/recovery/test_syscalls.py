"""Killed at an exact system call: every write, sync, rename and truncation of a fixed run, one run each.

strace counts calls per thread, so `when=N` kills at the N-th call of whichever thread gets there first. By default
every fourth N is tried, all of them with RECOVERY_POINTS=all.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.recovery.workload import COUNT, check

CALLS = ("pwrite64", "fdatasync", "fsync", "rename", "ftruncate")
STRIDE = 1 if os.environ.get("RECOVERY_POINTS") == "all" else 4

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: it kills at a call")


def _victim(data_dir: pathlib.Path, *strace: str) -> tuple[int, int]:
    """Run the victim under strace; returns its exit code (137: killed) and the last acknowledged sequence."""
    command = ["strace", "-f", "-qq", *strace, sys.executable, "-m", "tests.recovery.victim", str(data_dir)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    lines = done.stdout.split()
    return done.returncode, int(lines[-1]) if lines else 0


def _calls_made(data_dir: pathlib.Path, call: str) -> int:
    """The most calls that one thread makes in an undisturbed run."""
    trace = data_dir.parent / "trace"
    code, acknowledged = _victim(data_dir, "-o", str(trace), "-e", f"trace={call}")
    assert (code, acknowledged) == (0, COUNT)
    threads = [line.split()[0] for line in trace.read_text().splitlines() if f" {call}(" in line]
    assert threads, f"the run makes no {call}"
    return max(threads.count(thread) for thread in set(threads))


@pytest.mark.parametrize("call", CALLS)
def test_kill_at_a_system_call_loses_nothing_acknowledged(tmp_path: pathlib.Path, call: str) -> None:
    try:
        made = _calls_made(tmp_path / "whole", call)
    except AssertionError as error:
        if "makes no" not in str(error):
            raise
        pytest.skip(f"the run makes no {call} on this file system")
    for number in range(1, made + 1, STRIDE):
        data_dir = tmp_path / f"killed-{number}"
        injected = ("-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}")
        code, acknowledged = _victim(data_dir, *injected)
        assert code in (137, -9), f"{call} {number} was not reached: exit {code}"
        check(data_dir, acknowledged)
        code, _ = _victim(data_dir, "-o", "/dev/null", "-e", "trace=none")
        assert code == 0, f"the run after the kill at {call} {number} did not finish"
        check(data_dir, COUNT)
        shutil.rmtree(data_dir)


@pytest.mark.parametrize("when", ["2", "6", "5+"])
def test_failed_sync_acknowledges_nothing_afterwards(tmp_path: pathlib.Path, when: str) -> None:
    trace = tmp_path / "trace"
    code, acknowledged = _victim(
        tmp_path / "var", "-o", str(trace), "-e", "trace=fdatasync", "-e", f"inject=fdatasync:error=EIO:when={when}"
    )
    assert code == 74
    assert trace.read_text().count("(INJECTED)") >= 1
    assert acknowledged < COUNT
    recovered = check(tmp_path / "var", acknowledged)
    assert recovered.commands.last_sequence >= acknowledged
