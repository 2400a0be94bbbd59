"""The workers that hash: they end with their parent, however that ends, and one that is killed is replaced."""

from __future__ import annotations

import asyncio
import multiprocessing.util
import os
import pathlib
import resource
import signal
import subprocess
import sys
import unicodedata

import pytest

from exchange.users.errors import Busy
from exchange.users.passwords import CHARACTERS_MAX, WORKERS, Passwords, normalized
from tests.users.databases import until
from tests.users.rings import failing

PARENT = """
import asyncio
from exchange.users.passwords import Passwords

async def main():
    passwords = Passwords()
    passwords.start()
    await passwords.hash("warm")
    await passwords._warming
    print(*passwords._executor._processes, flush=True)
    await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(PARENT)
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == WORKERS
        parent.send_signal(signal.SIGKILL)
    asyncio.run(until(lambda: not any(_runs(pid) for pid in workers)))


def _runs(pid: int) -> bool:
    """Whether a process is there and not just waiting to be buried."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_worker_that_was_killed_is_replaced() -> None:
    passwords = Passwords()
    passwords.start()
    try:
        encoded = await passwords.hash("a password")
        assert passwords._executor is not None
        os.kill(next(iter(passwords._executor._processes)), signal.SIGKILL)
        async with asyncio.timeout(60):
            while True:  # until the loss was noticed
                try:
                    await passwords.verify(encoded, "a password")
                except Busy:
                    break
        assert (await passwords.verify(encoded, "a password")).matches
        assert not (await passwords.verify(encoded, "another")).matches
        assert passwords.under_way == 0
    finally:
        await passwords.stop()


def _leave_memory(pid: int, left_bytes: int) -> None:
    """Let a process have only so much more memory than it has."""
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[0])
    resource.prlimit(pid, resource.RLIMIT_AS, (pages * resource.getpagesize() + left_bytes,) * 2)


async def test_worker_without_memory_is_no_wrong_password() -> None:
    passwords = Passwords()
    passwords.start()
    try:
        encoded = await passwords.hash("a password")
        assert passwords._executor is not None
        assert passwords._warming is not None
        await passwords._warming
        for pid in passwords._executor._processes:
            _leave_memory(pid, 16 << 20)
        with pytest.raises(Busy):
            await passwords.verify(encoded, "a password")
        with pytest.raises(Busy):
            await passwords.hash("a password")
        assert passwords.under_way == 0
    finally:
        await passwords.stop()


async def test_worker_that_can_not_be_started_is_tried_again_at_the_next_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passwords = Passwords()
    with monkeypatch.context() as patched:
        patched.setattr(multiprocessing.util, "spawnv_passfds", failing)
        with pytest.raises(OSError, match="Input/output"):
            passwords.start()
        with pytest.raises(Busy):
            await passwords.hash("a password")
    try:
        assert (await passwords.verify(await passwords.hash("a password"), "a password")).matches
    finally:
        await passwords.stop()


async def test_passwords_that_are_stopped_refuse() -> None:
    passwords = Passwords()
    with pytest.raises(Busy):
        await passwords.hash("a password")
    passwords.start()
    await passwords.stop()
    with pytest.raises(Busy):
        await passwords.verify(None, "a password")


@pytest.mark.parametrize(
    "encoded", ["", "none", "$argon2id$v=19$m=65536,t=3,p=1$broken", "$2b$12$abcdefghijklmnopqrstuv"]
)
async def test_hash_that_can_not_be_read_matches_nothing(encoded: str) -> None:
    passwords = Passwords()
    passwords.start()
    try:
        assert not (await passwords.verify(encoded, "a password")).matches
    finally:
        await passwords.stop()


def test_letters_with_no_end_of_accents_are_cut_before_they_are_put_in_order() -> None:
    endless = "a" + "\u0301\u0323" * 10_000  # to order so many takes a second, and more of them far longer
    assert CHARACTERS_MAX < len(normalized(endless)) < 1_000
    longest = "\u1f82" * CHARACTERS_MAX  # no letter falls into more pieces, which are four
    assert normalized(unicodedata.normalize("NFD", longest)) == longest


def test_the_same_letters_from_two_keyboards_are_one_password() -> None:
    assert normalized("cafe\u0301") == normalized("caf\u00e9")
