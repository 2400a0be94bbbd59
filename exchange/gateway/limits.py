"""How much an address may ask for: request weight, raw requests, WebSocket connections, and what happens beyond.

Owns the counts of each address in windows that are aligned to the clock, a minute for weight and five for the rest,
and the refusals: 429 until the window ends, and 418, a ban, for whoever goes on after PATIENCE of them. An address is
an IPv4 address or the /64 of an IPv6 one. A refused request counts like any other. Never looks at a request itself.

Memory is bounded. ADDRESSES_MAX addresses are counted one by one; those that come later in the same five minutes share
counts by network (IPv4 /16, IPv6 /32, SHARED_MAX counts), which are limited like one address and never banned, because
they are many. Bans outlive the windows (`bans.py`), so a flood of addresses neither grows anything nor frees a banned
one. Invariant: at most ADDRESSES_MAX + SHARED_MAX + the bans' own bound are remembered.
"""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from exchange.gateway.bans import Bans
from exchange.gateway.errors import Refusal
from exchange.gateway.unfilled import UnfilledOrders
from exchange.gateway.weights import Weight
from exchange.settings import Settings

ADDRESSES_MAX = 65_536
SHARED_MAX = 4_096
PATIENCE = 50
"""Requests of one minute that are answered 429; the next one is a ban."""
CONNECTION = Weight(2)
MINUTE_S, LONG_MINUTES = 60, 5
_UNLIMITED = sys.maxsize
_TOO_MUCH = (
    "Too much request weight used; current limit is {} request weight per 1 MINUTE. "
    "Please use WebSocket Streams for live updates to avoid polling the API."
)
_TOO_MANY = (
    "Too many requests; current limit is {} requests per 5 MINUTE. "
    "Please use WebSocket Streams for live updates to avoid polling the API."
)
_TOO_MANY_CONNECTIONS = "Too many connections; current limit is {} connections per 5 MINUTE."
_BANNED = (
    "Way too much request weight used; IP banned until {}. Please use WebSocket Streams for live updates to avoid bans."
)


class Rates(NamedTuple):
    """The limits, 0 for none. Not `enforced`: everything is counted and shown, nobody is refused."""

    weight_per_minute: int = 6_000
    raw_requests_per_5m: int = 300_000
    orders_per_10s: int = 100
    orders_per_day: int = 200_000
    ws_connections_per_5m: int = 300
    enforced: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Rates:
        """The limits that the settings ask for."""
        return cls(
            settings.weight_per_minute,
            settings.raw_requests_per_5m,
            settings.orders_per_10s,
            settings.orders_per_day,
            settings.ws_connections_per_5m,
            settings.limits_enforced,
        )

    def most(self, rate: int) -> int:
        """The highest count that a rate lets pass."""
        return rate if rate and self.enforced else _UNLIMITED


class Usage:
    """What one address (or the share of a network, `is_shared`) has used. `banned_until_s`: 0 when it is not banned."""

    __slots__ = (
        *("address", "banned_until_s", "is_shared", "minute"),
        *("cancels", "connections", "raw", "refused", "weight"),
    )

    def __init__(self, address: bytes, minute: int, banned_until_s: float, *, is_shared: bool = False) -> None:
        self.address = address
        self.is_shared = is_shared
        self.banned_until_s = banned_until_s
        self.raw = self.connections = 0
        self.begin(minute)

    def begin(self, minute: int) -> None:
        """A new minute begins."""
        self.minute = minute
        self.weight = self.cancels = self.refused = 0


class Limits:
    """The counts of one process. `clock` tells seconds since the epoch."""

    def __init__(
        self, rates: Rates, clock: Callable[[], float] = time.time, *, addresses_max: int = ADDRESSES_MAX
    ) -> None:
        self.rates = rates
        self.orders = UnfilledOrders(rates.most(rates.orders_per_10s), rates.most(rates.orders_per_day), clock)
        self.bans = Bans()
        self._weight_max = rates.most(rates.weight_per_minute)
        self._raw_max = rates.most(rates.raw_requests_per_5m)
        self._connections_max = rates.most(rates.ws_connections_per_5m)
        self._clock = clock
        self._addresses_max = addresses_max
        self._minute = -1
        self._from_s = self._until_s = 0.0
        self._usages: dict[bytes, Usage] = {}
        self._shares: dict[int, Usage] = {}

    def size(self) -> int:
        """How much is remembered, bans aside."""
        return len(self._usages) + len(self._shares)

    def of(self, address: bytes) -> Usage:
        """What an address (`exchange/gateway/address.py`) has used in the current windows. Good for one request."""
        now_s = self._clock()
        if not self._from_s <= now_s < self._until_s:
            self._turn(now_s)
        usage = self._usages.get(address)
        if usage is None:
            usage = self._first(address, now_s)
        if usage.minute != self._minute:
            usage.begin(self._minute)
        return usage

    def enter(self, usage: Usage, weight: Weight) -> None:
        """A request has come, of which nothing was read but its path. Raises Refusal."""
        base, _, _, cancels, free = weight
        if free:
            return
        usage.raw += 1
        if usage.banned_until_s:
            self._check_ban(usage, weight)
        if cancels:
            usage.cancels += base
            if usage.cancels > self._weight_max:
                raise self._refusal(usage, _TOO_MUCH.format(self._weight_max), MINUTE_S)
            return
        usage.weight += base
        if usage.weight > self._weight_max:
            raise self._refusal(usage, _TOO_MUCH.format(self._weight_max), MINUTE_S)
        if usage.raw > self._raw_max:
            raise self._refusal(usage, _TOO_MANY.format(self._raw_max), LONG_MINUTES * MINUTE_S)

    def add(self, usage: Usage, weight: int) -> None:
        """The request turned out to weigh so much more. Raises Refusal."""
        usage.weight += weight
        if usage.weight > self._weight_max:
            raise self._refusal(usage, _TOO_MUCH.format(self._weight_max), MINUTE_S)

    def admit_connection(self, usage: Usage) -> None:
        """Somebody opens a WebSocket. Raises Refusal."""
        self.enter(usage, CONNECTION)
        usage.connections += 1
        if usage.connections > self._connections_max:
            text = _TOO_MANY_CONNECTIONS.format(self._connections_max)
            raise self._refusal(usage, text, LONG_MINUTES * MINUTE_S)

    def describe(self) -> list[dict[str, Any]]:
        """`rateLimits` of exchangeInfo."""
        rates = self.rates
        every = (
            _limit("REQUEST_WEIGHT", "MINUTE", 1, rates.weight_per_minute),
            _limit("ORDERS", "SECOND", 10, rates.orders_per_10s),
            _limit("ORDERS", "DAY", 1, rates.orders_per_day),
            _limit("RAW_REQUESTS", "MINUTE", LONG_MINUTES, rates.raw_requests_per_5m),
        )
        return [limit for limit in every if limit["limit"]]

    def order_counts(self, account: int) -> list[dict[str, Any]]:
        """The unfilled orders of an account, as `GET rateLimit/order` answers."""
        short, day = self.orders.counts(account)
        every = (
            {**_limit("ORDERS", "SECOND", 10, self.rates.orders_per_10s), "count": short},
            {**_limit("ORDERS", "DAY", 1, self.rates.orders_per_day), "count": day},
        )
        return [limit for limit in every if limit["limit"]]

    def _turn(self, now_s: float) -> None:
        """A new minute begins, perhaps with it new five minutes, perhaps because the clock was set."""
        minute = int(now_s // MINUTE_S)
        if minute // LONG_MINUTES != self._minute // LONG_MINUTES:
            self._usages, self._shares = {}, {}
        self._minute = minute
        self._from_s, self._until_s = minute * MINUTE_S, (minute + 1) * MINUTE_S

    def _first(self, address: bytes, now_s: float) -> Usage:
        """An address that was not seen in these five minutes."""
        until_s = self.bans.until_s(address)
        banned_until_s = until_s if until_s > now_s else 0.0
        if len(self._usages) < self._addresses_max or banned_until_s:
            usage = self._usages[address] = Usage(address, self._minute, banned_until_s)
            return usage
        number = hash(address[: len(address) // 2]) % SHARED_MAX
        share = self._shares.get(number)
        if share is None:
            share = self._shares[number] = Usage(b"", self._minute, 0.0, is_shared=True)
        return share

    def _check_ban(self, usage: Usage, weight: Weight) -> None:
        """A ban that has ended is over; one that has not lets cancels pass, as long as they have an allowance."""
        now_s = self._clock()
        if now_s >= usage.banned_until_s:
            usage.banned_until_s = 0.0
        elif not weight.cancels or usage.cancels >= self._weight_max:
            raise _banned(usage, now_s)

    def _refusal(self, usage: Usage, text: str, window_s: int) -> Refusal:
        now_s = self._clock()
        usage.refused += 1
        if usage.refused > PATIENCE and not usage.is_shared:
            usage.refused = 0
            usage.banned_until_s = self.bans.add(usage.address, now_s)
            return _banned(usage, now_s)
        return Refusal(429, -1003, text, retry_after_s=math.ceil(window_s - now_s % window_s))


@functools.lru_cache(maxsize=8192)
def weight_lines(weight: int) -> bytes:
    """The header lines that every answer to an address carries which has used that weight."""
    return b"X-MBX-USED-WEIGHT: %d\r\nX-MBX-USED-WEIGHT-1M: %d\r\n" % (weight, weight)


def _banned(usage: Usage, now_s: float) -> Refusal:
    until_s = usage.banned_until_s
    return Refusal(418, -1003, _BANNED.format(int(until_s * 1000)), retry_after_s=math.ceil(until_s - now_s))


def _limit(kind: str, interval: str, number: int, limit: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
