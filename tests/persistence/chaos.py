"""A TCP proxy before PostgreSQL that breaks connections where a test says.

Owns the sockets between a client and a server. Each connection takes the next fault of `faults`; one without a fault
is carried unharmed. Knows just enough of PostgreSQL's protocol to begin to count at a statement and to find the reply
to COMMIT. TLS does not go through it.

    client ──► port ──► up ────► server        a fault breaks one direction after so many bytes
           ◄──────────  down ◄──
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
DEADLINE_S = 120.0
_CHUNK_BYTES = 65_536
_COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"
"""CommandComplete of a COMMIT: kind, length, tag."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST."""


class Action(Enum):
    """What happens at the place of a fault."""

    RESET = "both sides get RST"
    HALF_CLOSE = "the receiver sees the end, the sender does not, and nothing is carried any more in this direction"
    STALL = "nothing is read any more in this direction"
    DELAY = "what follows in this direction comes late"
    LOSE_COMMIT_REPLY = "COMMIT took place; its reply is lost and both sides get RST"


@dataclass(frozen=True)
class Fault:
    """Where and how one connection breaks.

    Bytes count from the connection's begin, or from the client's first message with `behind` in it (both directions).
    """

    action: Action
    up: bool = True
    """The direction: client to server, or back."""
    after_bytes: int = 0
    behind: bytes = b""
    delay_s: float = 0.0


class Proxy:
    """An async context manager; `port` is where clients connect."""

    def __init__(self, upstream: pathlib.Path | tuple[str, int]) -> None:
        self.port = 0
        self.faults: deque[Fault] = deque()
        self.connections = 0
        """How many there have been."""
        self.struck = 0
        """How many faults have happened."""
        self.carried_bytes = (0, 0)
        """Up and down, over all connections."""
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self.reset_all()
        await self._until(lambda: not self._links)

    def reset_all(self) -> None:
        """Break every connection there is."""
        for link in self._links:
            link.reset()

    def hang_all(self) -> None:
        """Carry nothing back any more over the connections there are; new ones work."""
        for link in self._links:
            link.hang()

    async def struck_more_than(self, count: int) -> None:
        """Wait until more than `count` faults have happened. Raises TimeoutError."""
        await self._until(lambda: self.struck > count)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def on_struck(self) -> None:
        """A link's fault has happened."""
        self.struck += 1
        self._changed.set()

    def on_carried(self, count: int, *, up: bool) -> None:
        """A link has carried so many bytes."""
        ups, downs = self.carried_bytes
        self.carried_bytes = (ups + count, downs) if up else (ups, downs + count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if isinstance(self._upstream, pathlib.Path):
                far = await asyncio.open_unix_connection(self._upstream)
            else:
                far = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()
            return
        link = _Link((reader, writer), far, self.faults.popleft() if self.faults else None, self)
        self._links.add(link)
        self.connections += 1
        self._changed.set()
        try:
            await link.carry()
        finally:
            self._links.discard(link)
            self._changed.set()


class _Link:
    """One client, one connection to the server, at most one fault."""

    def __init__(self, near: Ends, far: Ends, fault: Fault | None, proxy: Proxy) -> None:
        self._near, self._far = near, far
        self._fault = fault
        self._proxy = proxy
        self._counts = fault is not None and not fault.behind
        self._left = fault.after_bytes if fault else 0
        self._replied = b""
        self._over = asyncio.Event()

    async def carry(self) -> None:
        """Both directions, until both have ended."""
        pumps = (
            asyncio.create_task(self._pump(self._near[0], self._far[1], up=True)),
            asyncio.create_task(self._pump(self._far[0], self._near[1], up=False)),
        )
        try:
            await asyncio.gather(*pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            self.reset()

    def reset(self) -> None:
        """End both sides at once, by RST where the socket has it."""
        self._over.set()
        for _, writer in (self._near, self._far):
            sock = writer.get_extra_info("socket")
            if sock is not None and sock.family != socket.AF_UNIX:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()

    def hang(self) -> None:
        """Stall at the next byte from the server."""
        self._fault, self._counts, self._left = Fault(Action.STALL, up=False), True, 0

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        """Carry one direction to its end; a side that breaks ends both."""
        try:
            while data := await reader.read(_CHUNK_BYTES):
                passing, strikes = self._judge(data, up=up)
                writer.write(passing)
                self._proxy.on_carried(len(passing), up=up)
                await writer.drain()
                if strikes and not await self._strike(writer, data[len(passing) :]):
                    return
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            self.reset()

    def _judge(self, data: bytes, *, up: bool) -> tuple[bytes, bool]:
        """What of `data` may pass before the fault, and whether the fault happens now."""
        fault = self._fault
        if fault is None:
            return data, False
        begin = 0
        if up and not self._counts:
            found = data.find(fault.behind)
            self._counts = found >= 0
            begin = max(found, 0)
        if not self._counts or up != fault.up:
            return data, False
        if fault.action is Action.LOSE_COMMIT_REPLY:
            self._replied = (self._replied + data)[-(_CHUNK_BYTES + len(_COMMITTED)) :]
            strikes = _COMMITTED in self._replied
            return (b"" if strikes else data), strikes
        end = begin + self._left
        self._left -= min(self._left, len(data) - begin)
        return data[:end], end <= len(data)

    async def _strike(self, writer: asyncio.StreamWriter, rest: bytes) -> bool:
        """Let the fault happen; returns whether this direction goes on."""
        fault, self._fault = self._fault, None
        if fault is None:
            return True
        self._proxy.on_struck()
        if fault.action is Action.DELAY:
            await asyncio.sleep(fault.delay_s)
            writer.write(rest)
            return True
        if fault.action is Action.HALF_CLOSE:
            writer.write_eof()
        elif fault.action is Action.STALL:
            await self._over.wait()
        else:
            self.reset()
        return False
