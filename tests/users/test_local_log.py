"""The local log: whole lines, torn and changed ones, disks that fail, compaction, and who may read it."""

from __future__ import annotations

import asyncio
import os
import pathlib
import stat
from collections.abc import Iterator

import pytest

from exchange.users import local_log
from exchange.users.local_log import LocalLog, LogRefused, Record


class Owner:
    """Keeps the numbers that were added and not dropped."""

    KINDS = ("add", "drop")

    def __init__(self, log: LocalLog) -> None:
        self.numbers: set[int] = set()
        self.log = log
        for record in log.take(self.KINDS, self.live):
            self._apply(record)

    def _apply(self, record: Record) -> None:
        (self.numbers.add if record["kind"] == "add" else self.numbers.discard)(record["number"])

    def live(self) -> Iterator[Record]:
        """One record a number."""
        for number in sorted(self.numbers):
            yield {"kind": "add", "number": number}

    async def add(self, number: int) -> None:
        """On the disk first, then in memory."""
        await self.log.append({"kind": "add", "number": number})
        self.numbers.add(number)

    async def drop(self, number: int) -> None:
        """In memory first, then on the disk."""
        self.numbers.discard(number)
        await self.log.append({"kind": "drop", "number": number})


def opened(path: pathlib.Path) -> Owner:
    """A log that was loaded, with its owner, compacted."""
    log = LocalLog(path)
    log.load()
    owner = Owner(log)
    log.compact()
    return owner


def change(path: pathlib.Path, *numbers: int) -> Owner:
    """What is there after a start that adds numbers, or drops them where they are negative, one after the other."""

    async def in_turn(owner: Owner) -> None:
        for number in numbers:
            await (owner.add(number) if number >= 0 else owner.drop(-number))

    owner = opened(path)
    asyncio.run(in_turn(owner))
    owner.log.close()
    return owner


def fail(*_: object) -> int:
    """A system call on a disk that fails."""
    raise OSError(5, "Input/output error")


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where the log is."""
    return tmp_path / local_log.FILE_NAME


def test_what_was_appended_is_there_after_a_restart(path: pathlib.Path) -> None:
    change(path, 1, 2, 3, -2, 4)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert opened(path).numbers == {1, 3, 4}


def test_compaction_leaves_what_is_live_and_what_nobody_took(path: pathlib.Path) -> None:
    owner = opened(path)
    asyncio.run(owner.log.append({"kind": "of another build", "text": "é\n"}))
    owner.log.close()
    change(path, 1, 2, -1)
    before = path.stat().st_size
    assert opened(path).numbers == {2}
    assert path.stat().st_size < before
    log = LocalLog(path)
    log.load()
    assert log.take(["of another build"], list) == [{"kind": "of another build", "text": "é\n"}]


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o660])
def test_file_that_others_can_read_is_refused(path: pathlib.Path, mode: int) -> None:
    change(path, 1)
    path.chmod(mode)
    with pytest.raises(LogRefused, match=f"run: chmod 600 {path}"):
        LocalLog(path).load()


def test_torn_last_line_is_cut_and_every_whole_line_stays(path: pathlib.Path) -> None:
    change(path, 1, 2)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert opened(path).numbers == ({1} if cut >= first else set())


def test_every_flipped_bit_of_a_whole_line_is_refused(path: pathlib.Path) -> None:
    change(path, -7, 1)
    whole = path.read_bytes()
    for place in range(whole.index(b"\n")):
        for bit in range(8):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            with pytest.raises(LogRefused, match="was changed"):
                LocalLog(path).load()


@pytest.mark.parametrize("call", ["write", "short write", "fsync"])
async def test_append_on_a_disk_that_fails_is_an_error_and_the_next_one_heals_the_file(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    owner = opened(path)
    await owner.add(1)
    await owner.add(2)
    write = os.write

    with monkeypatch.context() as patched:
        if call == "short write":
            patched.setattr(os, "write", lambda file, line: write(file, line[:9]))
        else:
            patched.setattr(os, call, fail)
        with pytest.raises(OSError, match=r"error|space"):
            await owner.drop(1)
    await owner.add(3)
    owner.log.close()
    assert opened(path).numbers == {2, 3}


async def test_compaction_on_a_full_disk_leaves_the_old_file_and_takes_no_room(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = opened(path)
    await owner.add(1)
    before = path.read_bytes()  # noqa: ASYNC240  # a test
    with monkeypatch.context() as patched:
        patched.setattr(local_log, "GROWN_BYTES", 0)
        patched.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            await owner.add(2)
    assert path.read_bytes() == before  # noqa: ASYNC240  # a test
    assert list(path.parent.iterdir()) == [path]
    await owner.add(3)
    owner.log.close()
    assert opened(path).numbers == {1, 3}


async def test_append_after_a_compaction_that_could_not_open_the_new_file_goes_nowhere_else(
    path: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = opened(path)
    await owner.add(1)
    open_file, other = os.open, tmp_path / "another file"

    def without_descriptors(name: pathlib.Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_APPEND:
            raise OSError(24, "Too many open files")
        return open_file(name, flags, mode)

    with monkeypatch.context() as patched:
        patched.setattr(local_log, "GROWN_BYTES", 0)
        patched.setattr(os, "open", without_descriptors)
        with pytest.raises(OSError, match="Too many"):
            await owner.add(2)
    with other.open("wb"):  # takes the descriptor that the log gave back
        await owner.add(3)
        assert other.read_bytes() == b""
    owner.log.close()
    assert opened(path).numbers == {1, 3}


async def test_appends_at_one_time_are_all_kept_while_the_file_is_compacted_again_and_again(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_log, "GROWN_BYTES", 100)
    owner = opened(path)
    await asyncio.gather(*(owner.add(number) for number in range(200)))
    await asyncio.gather(*(owner.drop(number) for number in range(0, 200, 2)))
    owner.log.close()
    assert opened(path).numbers == set(range(1, 200, 2))


async def test_caller_that_goes_away_leaves_a_whole_line(path: pathlib.Path) -> None:
    owner = opened(path)
    task = asyncio.ensure_future(owner.add(1))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await owner.add(2)
    owner.log.close()
    assert opened(path).numbers == {1, 2}
