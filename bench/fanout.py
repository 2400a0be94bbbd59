"""`python -m bench.fanout`: one frame to many WebSocket listeners, against a bare loop in the same run.

Ours: `Stream.publish` to connections that the stream server accepted and subscribed, which looks at every listener's
backlog. Bare: a loop of `transport.write` over as many plain TCP connections, on the same event loop, the same bytes.
Both write ten frames a turn of the loop, in alternating rounds, and wait every 20 frames until nothing is buffered.
All listeners live in one other process; each hashes what it receives, and every byte must be the one that was sent.

`--slow N` adds N listeners that never read. They are filled up before the first round, so the stream leaves them out
and looks at each of them after every message to see whether it has drained; the bare loop has none of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import socket
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
import uvloop
import xxhash

from exchange.marketdata import messages, methods
from exchange.marketdata.connection import Limits
from exchange.marketdata.messages import text_frame
from exchange.marketdata.protocols import Market
from exchange.marketdata.server import StreamServer
from exchange.marketdata.streams import ConflatedStream, Counts, Listener
from exchange.marketdata.text import levels_text

ROUNDS = 5
FRAMES_PER_TURN = 10
"""As a burst of trades does; the transport then sends them with one call of the operating system."""

FRAMES_BETWEEN_DRAINS = 20
LEVELS_PER_FRAME = 10
WRITES_PER_ROUND = 100_000
BUFFER_BYTES = Limits().buffer_bytes
"""Of both kinds of sockets. Only who does not read is slow: the others are waited for long before so much waits."""

PING_S = 3_600.0
"""No ping may stand between the frames that are compared."""

FRAMES_MAX = 10_000
SLOW_RECEIVE_BYTES = 4_096
FILL_BYTES = 16 * 1_024
SPARE_FILES = 100
NAME = "btcusdt@depth20@100ms"
SUBSCRIBED = text_frame(methods.result_message(None, 1))
_ASK = json.dumps({"method": "SUBSCRIBE", "params": [NAME], "id": 1}).encode()
HELLO = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
) + bytes((0x81, 0x80 | len(_ASK))) + bytes(4) + _ASK  # fmt: skip


class Wrong(Exception):
    """A listener did not get what was sent; the text says which."""


class Round(NamedTuple):
    """One round: every frame to every listener."""

    seconds: float
    cpu_seconds: float  # of the sending thread
    publish_ns: list[int]


class Reader(asyncio.Protocol):
    """One listener in the other process: hashes and counts the bytes after the HTTP head, if there is one."""

    def __init__(self, hello: bytes) -> None:
        self._hello = hello
        self._head: bytes | None = b"" if hello else None
        self._hash = xxhash.xxh3_64()
        self._bytes = 0
        self._wanted = 0
        self._done: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        if self._hello:
            cast("asyncio.WriteTransport", transport).write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Count and hash."""
        if self._head is not None:
            _, end, data = (self._head + data).partition(b"\r\n\r\n")
            if not end:
                self._head += data
                return
            self._head = None
        self._hash.update(data)
        self._bytes += len(data)
        if self._done is not None and self._bytes >= self._wanted:
            self._done.set_result(None)
            self._done = None

    async def received(self, wanted: int) -> tuple[int, int]:
        """(bytes, hash) of what came since the last call, once it is `wanted` bytes."""
        if self._bytes < wanted:
            self._wanted = wanted
            self._done = asyncio.get_running_loop().create_future()
            await self._done
        found = self._bytes, self._hash.intdigest()
        self._bytes = 0
        self._hash.reset()
        return found


async def _sleeper(loop: asyncio.AbstractEventLoop, port: int) -> socket.socket:
    """A listener that has subscribed and never reads."""
    sleeping = socket.socket()
    sleeping.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_RECEIVE_BYTES)
    sleeping.setblocking(False)
    await loop.sock_connect(sleeping, ("127.0.0.1", port))
    await loop.sock_sendall(sleeping, HELLO)
    return sleeping


async def read_all(ports: list[int], count: int, slow: int) -> None:
    """The other process: `count` readers a port; for each line `group bytes` on stdin say what that group received."""
    loop = asyncio.get_running_loop()
    groups: list[list[Reader]] = []
    sleeping = [await _sleeper(loop, ports[0]) for _ in range(slow)]
    for port, hello in zip(ports, (HELLO, b""), strict=True):
        groups.append([Reader(hello) for _ in range(count)])
        for reader in groups[-1]:
            await loop.create_connection(lambda reader=reader: reader, "127.0.0.1", port)  # type: ignore[misc]  # a default binds the loop's variable, mypy sees a parameter
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        group, wanted = line.split()
        found = await asyncio.gather(*(reader.received(int(wanted)) for reader in groups[int(group)]))
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    for one in sleeping:
        one.close()


class Kept(asyncio.Protocol):
    """The sending end of a bare connection."""

    def __init__(self, transports: list[asyncio.WriteTransport]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it, with the buffer of the kernel that ours has."""
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self._transports.append(cast("asyncio.WriteTransport", transport))


class Bench:
    """The sending process: the stream, the bare connections and the pipe to the readers."""

    def __init__(self, listeners: int, slow: int) -> None:
        self.counts = Counts()
        self._lagging: set[ConflatedStream] = set()
        self._stream = ConflatedStream(NAME, self.counts, self._lagging, lambda: b"")
        self._joined: list[Listener] = []
        self.bare: list[asyncio.WriteTransport] = []
        self._listeners = listeners
        self._slow = slow

    def _join(self, _name: str, listener: Listener) -> None:
        self._stream.join(listener)
        self._joined.append(listener)

    async def run(self, frames: list[bytes]) -> tuple[list[Round], list[Round]]:
        """ROUNDS rounds of ours and of bare. Raises Wrong."""
        limits = Limits(
            connections_max=self._listeners + self._slow,
            connections_per_address=self._listeners + self._slow,
            ping_s=PING_S,
            handshake_s=PING_S,
        )
        market = Market(lambda *_: None, self._join, lambda: None, lambda: "", lambda: 0)
        server = StreamServer(limits, market)
        bare = await asyncio.get_running_loop().create_server(lambda: Kept(self.bare), "127.0.0.1", 0)
        ports = [await server.start("127.0.0.1", 0), bare.sockets[0].getsockname()[1]]
        self._readers = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.fanout", "--read", *map(str, ports), "--listeners", str(self._listeners),
            "--slow", str(self._slow), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24,
        )  # fmt: skip
        try:
            await self._check(0, [SUBSCRIBED])
            await self._check(1, [])
            await self._fill_up(text_frame(bytes(FILL_BYTES)))
            written = self.counts.messages_written
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(await self._round(0, self._publish, frames))
                theirs.append(await self._round(1, self._write, frames))
            written = self.counts.messages_written - written
        finally:
            self._readers.kill()
            await self._readers.wait()
        bare.close()
        await server.stop()
        if written != ROUNDS * len(frames) * self._listeners:
            raise Wrong(f"{written} messages written are not {ROUNDS} rounds of {len(frames)}.")
        if self.counts.dropped or len(self._joined) != self._listeners + self._slow:
            raise Wrong(f"{self.counts.dropped} of {len(self._joined)} listeners were dropped.")
        return ours, theirs

    async def _fill_up(self, frame: bytes) -> None:
        """Publish until those who do not read are left out; the others read along."""
        while self.counts.conflated < self._slow:
            self._publish(frame)
            await self._check(0, [frame])
        self._fast = [who for who in self._joined if who.backlog() == 0]

    def _publish(self, frame: bytes) -> None:
        self._stream.publish(frame, 1)
        for lagging in tuple(self._lagging):
            lagging.catch_up()

    def _write(self, frame: bytes) -> None:
        for transport in self.bare:
            transport.write(frame)

    async def _round(self, group: int, send: Callable[[bytes], None], frames: list[bytes]) -> Round:
        waiting = [listener.backlog for listener in self._fast]
        waiting += [transport.get_write_buffer_size for transport in self.bare]
        publish_ns = []
        started, cpu_started = time.perf_counter_ns(), time.thread_time_ns()
        for number, frame in enumerate(frames):
            before = time.perf_counter_ns()
            send(frame)
            publish_ns.append(time.perf_counter_ns() - before)
            if number % FRAMES_PER_TURN == 0:
                await asyncio.sleep(0)
            if number % FRAMES_BETWEEN_DRAINS == 0:
                while any(backlog() for backlog in waiting):  # noqa: ASYNC110  no transport tells when it has drained
                    await asyncio.sleep(0)
        cpu_seconds = (time.thread_time_ns() - cpu_started) / 1e9
        await self._check(group, frames)
        return Round((time.perf_counter_ns() - started) / 1e9, cpu_seconds, publish_ns)

    async def _check(self, group: int, frames: list[bytes]) -> None:
        """Wait until every reader of a group has got these frames and nothing else. Raises Wrong."""
        sent = b"".join(frames)
        pipe, answers = self._readers.stdin, self._readers.stdout
        if pipe is None or answers is None:
            raise Wrong("The readers have no pipe.")
        pipe.write(b"%d %d\n" % (group, len(sent)))
        line = await answers.readline()
        if not line:
            raise Wrong("The readers ended.")
        found = json.loads(line)
        if len(found) != self._listeners or any(one != [len(sent), xxhash.xxh3_64_intdigest(sent)] for one in found):
            raise Wrong(f"{len(found)} readers did not all receive the {len(sent)} bytes that were sent.")


def depth_frames(count: int) -> list[bytes]:
    """Distinct depth frames of about 400 bytes, as a busy symbol gives them."""
    pick = random.Random(count)
    frames = []
    for number in range(count):
        sides = []
        for _ in range(2):
            prices = np.array([6_000_000 + pick.randrange(9_999) for _ in range(LEVELS_PER_FRAME // 2)], dtype=np.int64)
            lots = np.array([pick.randrange(99_999_999) for _ in range(LEVELS_PER_FRAME // 2)], dtype=np.int64)
            sides.append(levels_text(prices, lots, 2, 5)[0])
        first_id = 1_000_000 + number * LEVELS_PER_FRAME
        message = messages.depth_update(
            b"BTCUSDT", 1_790_000_000_000_000_000, first_id, first_id + LEVELS_PER_FRAME - 1, sides[0], sides[1]
        )
        frames.append(text_frame(message))
    return frames


def _median_rate(rounds: list[Round], count: int) -> float:
    return count / statistics.median(one.seconds for one in rounds)


def _median_cpu(rounds: list[Round]) -> float:
    return statistics.median(one.cpu_seconds for one in rounds)


def _allow_files(count: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if count > most:
        raise Wrong(f"{count} open files are needed and {most} allowed: ask for fewer listeners, or raise `ulimit -n`.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def measure(listeners: int, slow: int, frames: int) -> dict[str, object]:
    """Run the benchmark; the figures of --json. Raises Wrong."""
    _allow_files(2 * listeners + slow + SPARE_FILES)
    ours, bare = uvloop.run(Bench(listeners, slow).run(depth_frames(frames)))
    sent = listeners * frames
    publish_ns = np.array([ns for one in ours for ns in one.publish_ns])
    p50, p99, p999 = (int(np.percentile(publish_ns, share)) for share in (50, 99, 99.9))
    return {
        "ok": True,
        "frames_per_second": round(_median_rate(ours, sent)),
        "bare_frames_per_second": round(_median_rate(bare, sent)),
        "frames_per_cpu_second": round(sent / _median_cpu(ours)),
        "cpu_ratio_to_bare": round(_median_cpu(bare) / _median_cpu(ours), 3),
        "ratio_to_bare": round(_median_rate(ours, sent) / _median_rate(bare, sent), 3),
        "listeners": listeners,
        "slow": slow,
        "frames": frames,
        "frame_bytes": len(depth_frames(1)[0]),
        "p50_ns": p50,
        "p99_ns": p99,
        "p999_ns": p999,
    }


def main() -> int:
    """Print the figures; 1 when a check failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.fanout", description="One frame to many listeners.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--listeners", type=int, default=100, help="WebSocket connections that listen and read")
    parser.add_argument("--slow", type=int, default=0, help="WebSocket connections that listen and never read")
    parser.add_argument("--frames", type=int, help=f"frames a round (default: {WRITES_PER_ROUND:,} writes)")
    parser.add_argument("--read", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        uvloop.run(read_all(arguments.read, arguments.listeners, arguments.slow))
        return 0
    try:
        frames = arguments.frames or max(WRITES_PER_ROUND // arguments.listeners, FRAMES_BETWEEN_DRAINS)
        found = measure(arguments.listeners, arguments.slow, min(frames, FRAMES_MAX))
    except Wrong as wrong:
        found = {"ok": False, "error": str(wrong)}
    if arguments.json:
        print(json.dumps(found))
    elif found["ok"]:
        print(
            f"{found['frames_per_cpu_second']:,} frames per second of the sender's CPU time, of the clock:\n"
            f"{found['frames_per_second']:,} frames/s to {found['listeners']} listeners, {found['frame_bytes']} bytes,"
            f" {found['slow']} slow ones beside them\n"
            f"  {found['ratio_to_bare']} of a bare loop of writes ({found['bare_frames_per_second']:,} frames/s)\n"
            f"  one publish: p50 {found['p50_ns']:,} ns, p99 {found['p99_ns']:,} ns, p99.9 {found['p999_ns']:,} ns"
            f" on {os.cpu_count()} cores"
        )
    else:
        print(found["error"], file=sys.stderr)
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
