"""Disks that fail: after the first error nothing is acknowledged, and the process says so with its exit code."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from exchange.core.codes import CommandKind
from exchange.disruptor.errors import EXIT_IO, OutcomeUnknown, PipelineFault, StorageLow
from exchange.disruptor.journaler import SpareKeeper
from journal import reader
from journal.format import Stream
from tests.disruptor.running import begin, command, records_of, running

HERE = Path(__file__).parent
TICK = command(CommandKind.TICK)
TMPFS_BYTES = 1 << 20


@pytest.fixture(scope="session")
def faulty_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preloaded library, compiled here."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("There is no C compiler (cc) on this machine; the faulty disk can not be built.")
    library = tmp_path_factory.mktemp("faulty_disk") / "faulty_disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, HERE / "faulty_disk.c"], check=True)
    return library


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"This machine does not let the tests mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while os.write(fd, bytes(4096)):
            pass
    os.close(fd)


def run_victim(root: Path, library: Path, fault: str, commands: int, armed_after: int) -> tuple[int, list[str]]:
    """Start the victim, arm the fault after `armed_after` lines of its output; returns exit code and lines."""
    armed = root / "armed"
    root.mkdir()
    environment = os.environ | {"LD_PRELOAD": str(library), "DISK_FAULT": fault, "DISK_FAULT_ARMED": str(armed)}
    command_line = [sys.executable, "-m", "tests.disruptor.victim", str(root), str(commands)]
    lines = []
    with subprocess.Popen(
        command_line, env=environment, cwd=HERE.parent.parent, stdout=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stdout is not None
        for line in victim.stdout:
            lines.append(line.strip())
            if len(lines) == armed_after:
                armed.touch()
    return victim.returncode, lines


@pytest.mark.parametrize("fault", ["sync-eio", "write-eio"])
def test_input_output_error_is_followed_by_no_acknowledgement_and_exit_74(
    tmp_path: Path, faulty_disk: Path, fault: str
) -> None:
    root = tmp_path / "victim"
    code, lines = run_victim(root, faulty_disk, fault, 100_000, armed_after=50)
    assert code == EXIT_IO
    assert "can not go on" in lines[-1]
    assert "Input/output error" in lines[-1]
    acknowledged = [int(line.split()[1]) for line in lines if line.startswith("ack")]
    assert acknowledged == list(range(1, len(acknowledged) + 1))
    assert len(acknowledged) >= 50
    groups = list(reader.groups(root / "commands"))
    if fault == "sync-eio":  # the group whose sync failed is in the page cache, and nobody was told
        assert acknowledged[-1] < groups[-1].first_sequence
        assert acknowledged[-1] <= groups[-1].durable_upto
    else:
        assert acknowledged[-1] <= groups[-1].last_sequence
    after = lines[lines.index("EIO") + 1 :]
    last_durable = groups[-1].durable_upto if fault == "sync-eio" else groups[-1].last_sequence
    assert not [line for line in after if line.startswith("ack") and int(line.split()[1]) > last_durable]
    assert lines.count("EIO") <= (1 if fault == "sync-eio" else 2), "each journal may fail once and never try again"
    assert 1 <= lines.count("unknown") <= 8


@pytest.mark.parametrize("fault", ["short", "interrupted"])
def test_short_and_interrupted_calls_lose_nothing(tmp_path: Path, faulty_disk: Path, fault: str) -> None:
    root = tmp_path / "victim"
    code, lines = run_victim(root, faulty_disk, fault, 400, armed_after=20)
    assert (code, lines[-1]) == (0, "done")
    assert sorted(int(line.split()[1]) for line in lines[:-1]) == list(range(1, 401))
    assert len(records_of(root / "commands")) == 400


async def test_disk_without_room_for_a_spare_takes_cancels_only_until_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    async with running(small_disk, segment_bytes=256 * 1024) as pipeline:
        keeper = pipeline._journaler.spares
        while keeper._thread.ident is None:  # noqa: ASYNC110  # the journaler's thread starts it, without an event
            await asyncio.sleep(0.001)
        keeper.stop(10.0)  # the test prepares the spares itself
        for path in (small_disk / "commands").glob("spare*"):
            path.unlink()
        fill(ballast)
        keeper.prepare()
        assert pipeline.statistics().storage_low
        with pytest.raises(StorageLow):
            pipeline.submit([TICK])
        assert await pipeline.submit([TICK], cancel=True)[0]
        ballast.unlink()
        keeper.prepare()
        assert not keeper.storage_low
        assert await pipeline.submit([TICK], cancel=True)[0]


async def test_full_disk_at_a_roll_is_a_fault_and_no_half_group_is_left(small_disk: Path) -> None:
    root = small_disk
    async with running(root, segment_bytes=128 * 1024) as pipeline:
        acknowledged = 0
        with suppress(OutcomeUnknown):
            while reply := await pipeline.submit([TICK], cancel=True)[0]:
                acknowledged = int.from_bytes(reply[:8], "little")
        assert pipeline.fault is not None
        assert pipeline.fault.exit_code == EXIT_IO
        assert "No space left on device" in str(pipeline.fault)
        with pytest.raises(PipelineFault):
            await pipeline.stop()
    assert len(records_of(root / "commands")) >= acknowledged > 500


def test_spare_keeper_prepares_one_segment_ahead(tmp_path: Path) -> None:
    keeper = SpareKeeper(begin(tmp_path, Stream.COMMANDS))
    keeper.prepare()
    keeper.prepare()
    assert not keeper.storage_low
    spares = [path for path in tmp_path.iterdir() if path.name.startswith("spare")]
    assert [path.stat().st_size for path in spares] == [64 * 1024]
