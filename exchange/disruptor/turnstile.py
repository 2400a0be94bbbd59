"""The sequence lock: a reader sees the state between two runs, never inside one, and never waits behind a queue.

The engine makes VERSION odd before it changes the state and even after; a reader raises READING and waits for VERSION
to be even. Each stores its own word, fences, and then looks at the other's, so not both can go on: a reader that
raised its flag is let in after the slice under way (at most SLICE commands), and the engine that finds the flag up
steps back and waits. So a read costs the engine a pause, never a retry, and succeeds in bounded time under any load.
While Python enlarges the state the version stays odd: no reader sees an array that is being replaced.

One reader thread (the event loop), one engine thread. Source: Dekker's algorithm; Linux, Documentation/locking/seqlock.
"""

from __future__ import annotations

from exchange.core.compile import kernel
from exchange.disruptor.atomics import Sequences, fence, load_acquire, store_release
from exchange.disruptor.ring import ENGINE_PARKED, LOOKS, READING, VERSION, wake
from exchange.disruptor.syscalls import Bytes, give_way, wait


@kernel
def engine_enters(sequences: Sequences, fd: int, scratch: Bytes) -> None:
    """Make the version odd; returns when no reader is inside. `fd` is the engine's eventfd."""
    version = load_acquire(sequences, VERSION)
    looks = 0
    while True:
        store_release(sequences, VERSION, version + 1)
        fence()
        if load_acquire(sequences, READING) == 0:
            return
        version += 2
        store_release(sequences, VERSION, version)
        while load_acquire(sequences, READING) != 0:
            if looks < LOOKS:
                looks += 1
                give_way()
                continue
            store_release(sequences, ENGINE_PARKED, 1)
            fence()
            if load_acquire(sequences, READING) != 0:
                wait(fd, scratch)
            store_release(sequences, ENGINE_PARKED, 0)


@kernel
def engine_leaves(sequences: Sequences) -> None:
    """Make the version even again, if it is odd."""
    version = load_acquire(sequences, VERSION)
    store_release(sequences, VERSION, version + (version & 1))


@kernel
def reader_enters(sequences: Sequences) -> None:
    """Raise the flag and wait until the engine is outside."""
    store_release(sequences, READING, 1)
    fence()
    while load_acquire(sequences, VERSION) & 1:
        give_way()


@kernel
def reader_leaves(sequences: Sequences, fd: int) -> None:
    """Take the flag down and wake the engine if it waits for that. `fd` is the engine's eventfd."""
    store_release(sequences, READING, 0)
    wake(sequences, ENGINE_PARKED, fd)
