"""The calls that the loops make to the operating system, without the GIL and without exceptions.

Owns the translation of libc's convention: every function returns 0, or minus the errno. An interrupted call (EINTR) is
made again, a short write goes on where it stopped; no other error is ever tried again here, a failed `fdatasync` least
of all. Buffers are one-dimensional u1. Compiled, the symbols of libc are called through `types.ExternalFunction`, which
keeps the kernel cache valid; under `NUMBA_DISABLE_JIT=1` the module `os` makes the same calls. The choice is made at
the end of this file, nowhere else. Sources: write(2), fdatasync(2), eventfd(2).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from exchange.core.compile import INTERPRETED, inlined, kernel

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

EINTR = errno.EINTR
EAGAIN = errno.EAGAIN
EIO = errno.EIO

_pwrite: Any = types.ExternalFunction("pwrite", types.int64(types.int32, types.uintp, types.uint64, types.int64))
_fdatasync: Any = types.ExternalFunction("fdatasync", types.int32(types.int32))
_eventfd_write: Any = types.ExternalFunction("eventfd_write", types.int32(types.int32, types.uint64))
_eventfd_read: Any = types.ExternalFunction("eventfd_read", types.int32(types.int32, types.uintp))
_sched_yield: Any = types.ExternalFunction("sched_yield", types.int32())
_int32_pointer: Any = types.CPointer(types.int32)  # type: ignore[no-untyped-call]  # numba does not annotate it
_errno_location: Any = types.ExternalFunction("__errno_location", _int32_pointer())


@inlined
def _errno() -> int:
    return np.int64(_errno_location()[0])  # type: ignore[return-value]  # the C int, widened


@kernel
def _compiled_pwrite_all(fd: int, data: Bytes, size_bytes: int, offset: int) -> int:
    done = 0
    while done < size_bytes:
        taken = _pwrite(fd, data.ctypes.data + done, size_bytes - done, offset + done)
        if taken > 0:
            done += taken
            continue
        error = _errno() if taken < 0 else EIO
        if error != EINTR:
            return -error
    return 0


@kernel
def _compiled_sync(fd: int) -> int:
    while _fdatasync(fd) != 0:
        error = _errno()
        if error != EINTR:
            return -error
    return 0


@kernel
def _compiled_signal(fd: int) -> int:
    while _eventfd_write(fd, 1) != 0:
        error = _errno()
        if error == EAGAIN:  # the counter is full: whoever sleeps on it is being woken already
            return 0
        if error != EINTR:
            return -error
    return 0


@kernel
def _compiled_wait(fd: int, scratch: Bytes) -> int:
    while _eventfd_read(fd, scratch.ctypes.data) != 0:
        error = _errno()
        if error == EAGAIN:  # a non-blocking eventfd that nobody has signalled
            return 0
        if error != EINTR:
            return -error
    return 0


@kernel
def _compiled_give_way() -> None:
    _sched_yield()


def _plain_pwrite_all(fd: int, data: Bytes, size_bytes: int, offset: int) -> int:
    view = data.data[:size_bytes]
    done = 0
    try:
        while done < size_bytes:
            taken = os.pwrite(int(fd), view[done:], int(offset) + done)
            if taken == 0:
                return -EIO
            done += taken
    except OSError as error:
        return -(error.errno or EIO)
    return 0


def _plain_sync(fd: int) -> int:
    try:
        os.fdatasync(int(fd))
    except OSError as error:
        return -(error.errno or EIO)
    return 0


def _plain_signal(fd: int) -> int:
    try:
        os.eventfd_write(fd, 1)
    except BlockingIOError:
        return 0
    except OSError as error:
        return -(error.errno or EIO)
    return 0


def _plain_wait(fd: int, _scratch: Bytes) -> int:
    try:
        os.eventfd_read(fd)
    except BlockingIOError:
        return 0
    except OSError as error:
        return -(error.errno or EIO)
    return 0


def _plain_give_way() -> None:
    os.sched_yield()


pwrite_all: Callable[[int, Bytes, int, int], int] = _plain_pwrite_all if INTERPRETED else _compiled_pwrite_all
"""`pwrite_all(fd, data, size_bytes, offset)`: write the first bytes of `data` at `offset` of the file, all of them."""
sync: Callable[[int], int] = _plain_sync if INTERPRETED else _compiled_sync
"""`sync(fd)`: fdatasync. After an error nothing about the file's content is known: never call it again."""
signal: Callable[[int], int] = _plain_signal if INTERPRETED else _compiled_signal
"""`signal(fd)`: wake the one thread that sleeps on the eventfd, now or when it next means to sleep."""
wait: Callable[[int, Bytes], int] = _plain_wait if INTERPRETED else _compiled_wait
"""`wait(fd, scratch)`: sleep until the eventfd is signalled; `scratch` is 8 bytes that only this thread uses."""
give_way: Callable[[], None] = _plain_give_way if INTERPRETED else _compiled_give_way
"""`give_way()`: let another thread have the core."""
