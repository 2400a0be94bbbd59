"""Addresses that may not come back for a while, because they went on after they were told to stop.

Owns who is banned until when, and how often before. The first ban lasts FIRST_S, each repeat twice as long as the one
before it, up to MOST_S. One repeat is forgotten for every FORGET_S after the end of a ban without another.

Memory is bounded: of more than `addresses_max` the bans that end first are forgotten, those that have ended before all
others. So whoever would free an address from its ban must have that many others banned for longer.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

FIRST_S = 120
MOST_S = 3 * 86_400
FORGET_S = 3_600
ADDRESSES_MAX = 16_384


class Ban(NamedTuple):
    """The last ban of an address, whether or not it has ended, and the repeats that count towards the next."""

    until_s: float
    repeats: int


class Bans:
    """The bans of one process."""

    def __init__(self, addresses_max: int = ADDRESSES_MAX) -> None:
        self._addresses_max = addresses_max
        self._bans: dict[bytes, Ban] = {}
        self._ends: list[tuple[float, bytes]] = []
        """A heap. A pair that is not the address's last ban any more counts for nothing."""

    def size(self) -> int:
        """Addresses that are remembered."""
        return len(self._bans)

    def until_s(self, address: bytes) -> float:
        """When the last ban of an address ends or has ended, 0 when none is known."""
        ban = self._bans.get(address)
        return ban.until_s if ban is not None else 0.0

    def add(self, address: bytes, now_s: float) -> float:
        """Ban an address; returns until when."""
        repeats = 0
        before = self._bans.get(address)
        if before is not None:
            forgotten = int(max(0.0, now_s - before.until_s) / FORGET_S)
            repeats = max(0, before.repeats + 1 - forgotten)
        until_s = now_s + min(FIRST_S << min(repeats, 30), MOST_S)
        self._bans[address] = Ban(until_s, repeats)
        heapq.heappush(self._ends, (until_s, address))
        self._stay_small()
        return until_s

    def _stay_small(self) -> None:
        while len(self._bans) > self._addresses_max:
            until_s, address = heapq.heappop(self._ends)
            if self.until_s(address) == until_s:
                del self._bans[address]
        if len(self._ends) > 2 * self._addresses_max:
            self._ends = [(ban.until_s, address) for address, ban in self._bans.items()]
            heapq.heapify(self._ends)
