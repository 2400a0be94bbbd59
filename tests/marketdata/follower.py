"""A client of Binance's diffs that keeps a book by the documented procedure and refuses whatever breaks it."""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.marketdata.client import NAMES, LocalBook, Stage

Event = dict[str, Any]


class Follower:
    """Buffers events, fetches a snapshot, drops what is older, applies the rest; begins again when told to."""

    def __init__(self, stage: Stage, symbol: int, speed: str) -> None:
        self._stage = stage
        self._symbol = symbol
        self.name = f"{NAMES[symbol].replace('_', '').lower()}@depth{speed}"
        self.snapshots = 0
        self.applied = 0
        self.boundaries: set[int] = set()

    async def connect(self) -> None:
        """Begin anew on a new connection."""
        self._ws: aiohttp.ClientWebSocketResponse = await self._stage.connect(f"/ws/{self.name}")
        assert await self._stage.call(self._ws, "LIST_SUBSCRIPTIONS") == [self.name]
        self.book: LocalBook | None = None
        self.last_u = 0
        self._joined_id = self._stage.update_id(self._symbol)
        self._buffer: list[Event] = []

    async def reconnect(self) -> None:
        """Lose the connection, what it had sent included."""
        await self._ws.close()
        await self.connect()

    async def read(self, boundary: int) -> None:
        """Read the events up to the one that ends on `boundary`."""
        while max(self.last_u, self._joined_id) < boundary:
            event = await self._ws.receive_json()
            assert event["e"] == "depthUpdate"
            assert event["u"] >= event["U"]
            assert self.last_u in (0, event["U"] - 1)
            self.last_u = event["u"]
            self.boundaries.add(event["u"])
            if self.book is None:
                self._buffer.append(event)
            else:
                self._apply(self.book, event)

    def synchronise(self) -> None:
        """Fetch the snapshot and apply what was buffered, once something was."""
        if self.book is None and self._buffer:
            snapshot = self._stage.cut(NAMES[self._symbol])
            assert snapshot["lastUpdateId"] >= self._buffer[0]["U"]
            self.book = LocalBook()
            self.book.restart(snapshot)
            self.snapshots += 1
            for event in self._buffer:
                self._apply(self.book, event)

    def _apply(self, book: LocalBook, event: Event) -> None:
        assert book.update_id is not None
        if event["u"] <= book.update_id:
            return
        # A snapshot lies on a boundary, so not even the first event after it reaches further back.
        assert event["U"] == book.update_id + 1
        book.update_id = event["u"]
        book.set_levels(event, may_remove_unknown=True)
        self.applied += 1
