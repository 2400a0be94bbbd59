"""Passwords: which are acceptable, and their argon2id hashes, computed in processes of their own.

Owns the cost of a hash and the pool of processes. A hash takes about 0.2 s and 64 MiB, so it never runs in the
process that trades: at most two workers at low priority take turns with a bounded queue, and one more than fits is
refused. A part of the queue is kept for people who come from a device that they have logged in from before.

Verifying for somebody who does not exist takes the same work as for somebody who does. A worker ends with its parent,
however that one ends.

Source: OWASP, Password Storage (argon2id, 64 MiB, 3 passes, 1 lane); RFC 9106 for the encoded form.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import logging
import math
import multiprocessing
import os
import secrets
import signal
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError, VerifyMismatchError

from exchange.users.errors import Busy, NotAcceptable

log = logging.getLogger("exchange.users")
T = TypeVar("T")

MEMORY_KIB, PASSES, LANES = 64 * 1024, 3, 1
CHARACTERS_MIN, CHARACTERS_MAX = 8, 128
PIECES_MAX = 4
"""Into how many characters one can fall at most (Unicode, canonical decomposition)."""
WORKERS = 2 if len(os.sched_getaffinity(0)) > 2 else 1
"""A processor is left for trading: in a flood of logins, on two, the median order takes 1.1 times as long as without,
the slowest of a hundred 3 times; beside two workers 1.2 and 4 times (`python -m bench.logins`)."""
WAITING_MAX = 32
"""Jobs that may wait for a worker, three to six seconds of work."""
RESERVED = 32
"""As many more for known devices."""
_HASH_S = 0.2
_NICE = 10
_PR_SET_PDEATHSIG = 1
_HASHER = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
_OBVIOUS = """
    password passw0rd password1 password123 12345678 123456789 1234567890 11111111 00000000 87654321 88888888
    qwertyui qwertyuiop qwerty123 1q2w3e4r 1qaz2wsx asdfghjkl iloveyou sunshine princess football baseball
    superman trustno1 letmein1 welcome1 changeme exchange bitcoin1 abcdefgh abcd1234 abc12345
"""
_OBVIOUS_WORDS = frozenset(_OBVIOUS.split())


class Verdict(NamedTuple):
    """Whether a password is right, and its new hash when the old one was made with other costs ("": keep it)."""

    matches: bool
    renewed: str


def normalized(password: str) -> str:
    """The form that is hashed: keyboards write the same letters in different ways.

    A text that is too long for a password in any form is cut, and still too long: without that a body full of accents
    would stop the event loop, because the time to order them grows with the square of their number.
    """
    return unicodedata.normalize("NFC", password[: PIECES_MAX * CHARACTERS_MAX + 1])


def check_acceptable(password: str, email: str) -> None:
    """Refuse a new password that is too short, too long, or the first that anybody would guess."""
    if not CHARACTERS_MIN <= len(normalized(password)) <= CHARACTERS_MAX:
        raise NotAcceptable(f"A password has {CHARACTERS_MIN} to {CHARACTERS_MAX} characters.")
    plain = password.casefold()
    if plain in _OBVIOUS_WORDS or plain in (email, email.partition("@")[0]) or len(set(plain)) == 1:
        raise NotAcceptable("This password is among the first that anybody would guess; choose another one.")


def _nobodys_hash() -> str:
    """A well-formed hash of no password, as costly to verify as any."""
    salt, digest = (base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (16, 32))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"


# ---- in the workers -----------------------------------------------------------------------------------------------


def _become_worker(parent_pid: int) -> None:
    """Low priority, deaf to Ctrl-C in the terminal, and gone when the parent is."""
    os.nice(_NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(0)


def _hash(password: str) -> str:
    return _HASHER.hash(password)


def _verify(encoded: str, password: str) -> Verdict:
    try:
        is_old = _HASHER.check_needs_rehash(encoded)
        _HASHER.verify(encoded, password)
    except (VerifyMismatchError, InvalidHashError):
        return Verdict(False, "")
    return Verdict(True, _HASHER.hash(password) if is_old else "")


# ---- in the exchange ----------------------------------------------------------------------------------------------


class Passwords:
    """The pool of workers: `start`, then `hash` and `verify`, then `stop`. One event loop, whose thread starts it."""

    def __init__(self) -> None:
        self._nobodys = _nobodys_hash()
        self._executor: ProcessPoolExecutor | None = None
        self._warming: asyncio.Future[list[str]] | None = None
        self.under_way = 0
        """Jobs that run or wait."""
        self.done = 0
        """Jobs that were done since the start."""

    def start(self) -> None:
        """Start the workers; they get ready while this returns, so that the first login does not wait for them."""
        self._executor = executor = ProcessPoolExecutor(
            WORKERS, multiprocessing.get_context("spawn"), _become_worker, (os.getpid(),)
        )
        loop = asyncio.get_running_loop()
        jobs = [loop.run_in_executor(executor, _hash, "") for _ in range(WORKERS)]
        self._warming = asyncio.gather(*jobs, return_exceptions=True)  # type: ignore[assignment]  # or exceptions

    async def stop(self) -> None:
        """End the workers; what waits is given up, what runs is waited for."""
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown, cancel_futures=True)
        if self._warming is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._warming

    async def hash(self, password: str) -> str:
        """The encoded hash of a new password. Raises Busy."""
        return await self._run(False, _hash, normalized(password))

    async def verify(self, encoded: str | None, password: str, *, known_device: bool = False) -> Verdict:
        """Whether `password` is the one behind `encoded`; None: nobody's, which takes as long. Raises Busy."""
        return await self._run(known_device, _verify, encoded or self._nobodys, normalized(password))

    @contextlib.contextmanager
    def place(self, *, known_device: bool) -> Iterator[None]:
        """A place in the queue, for the body: without one, what comes before a job is work for nothing. Raises Busy."""
        room = WORKERS + WAITING_MAX + (RESERVED if known_device else 0)
        if self.under_way >= room:
            raise Busy(retry_after_s=math.ceil(self.under_way * _HASH_S / WORKERS))
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def _run(self, known_device: bool, function: Callable[..., T], *arguments: str) -> T:
        executor = self._executor
        if executor is None:
            raise Busy
        try:
            with self.place(known_device=known_device):
                result = await asyncio.get_running_loop().run_in_executor(executor, function, *arguments)
        except BrokenProcessPool:
            if self._executor is executor:
                log.error("a worker that hashes passwords was killed; new ones are started")
                executor.shutdown(wait=False)
                with contextlib.suppress(OSError):  # then the next job starts them
                    self.start()
            raise Busy from None
        except (Argon2Error, MemoryError, OSError) as error:
            # No memory or no process to be had: that the password is wrong is another thing.
            log.error("a password could not be hashed: %s: %s", type(error).__name__, error)
            raise Busy from None
        self.done += 1
        return result
