"""Tries: how often somebody may be wrong, before the next try has to wait.

Owns counts of tries in memory, by whatever is tried or tries: an account, an address, its network, everybody, a known
device. A try counts before its result is known, so that many at once are no way around it, and is taken back when it
turns out right. Beyond the free ones each wrong try doubles the wait, up to a limit; waiting is enough, a refused try
does not lengthen it, and counts wear off. Nothing is ever locked for good.

That an owner is not locked out by strangers is up to the keys: a try from a known device counts on that device alone
(exchange/users/login.py). Memory is bounded: the keys that were quiet for longest are forgotten first. A restart
forgets everything.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from exchange.users.errors import TooManyTries

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
KEYS_MAX = 20_000
"""Of each kind, about 350 bytes each."""


class Rule(NamedTuple):
    """How patient a kind of key is. One try wears off in `forget_s`."""

    kind: str
    free: int
    first_s: float
    most_s: float
    forget_s: float


ACCOUNT = Rule("account", 5, 1.0, 900.0, 1800.0)
"""By the email that was sent, whether or not it is registered."""
DEVICE = Rule("device", 5, 1.0, 900.0, 1800.0)
OWNER = Rule("owner", 5, 1.0, 900.0, 1800.0)
"""Somebody who is logged in and gives password or code once more."""
ADDRESS = Rule("address", 20, 1.0, 300.0, 60.0)
NETWORK = Rule("network", 100, 1.0, 60.0, 10.0)
EVERYBODY = Rule("everybody", 1000, 1.0, 5.0, 0.1)
MAIL = Rule("mail", 3, 300.0, 3600.0, 3600.0)
"""Mails to one address that anybody may cause."""

Key: TypeAlias = tuple[Rule, bytes]


def by_text(rule: Rule, text: str) -> Key:
    """A key of bounded size for a text of any."""
    return rule, hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def by_address(address: Address) -> list[Key]:
    """The keys of whoever comes from there: the address, its /24 (IPv6: /64, which is one line, and /48), everybody."""
    packed = address.packed
    if address.version == 4:
        return [(ADDRESS, packed), (NETWORK, packed[:3]), (EVERYBODY, b"")]
    return [(ADDRESS, packed[:8]), (NETWORK, packed[:6]), (EVERYBODY, b"")]


class _Count:
    """Tries as of `at_s`, and from when on the next one is let in."""

    __slots__ = ("at_s", "open_s", "tries")

    def __init__(self, at_s: float) -> None:
        self.tries = 0.0
        self.at_s = at_s
        self.open_s = at_s


class Try:
    """One try that was let in. It stays counted unless it is taken back."""

    def __init__(self, throttle: Throttle, counted: list[tuple[Key, float]]) -> None:
        self._throttle = throttle
        self._counted = counted

    def take_back(self) -> None:
        """It was no guess: a right password without its code, or something else went wrong."""
        for key, open_s in self._counted:
            self._throttle.take_back(key, open_s)
        self._counted = []

    def succeeded(self, *cleared: Rule) -> None:
        """It was right: taken back, and the counts of the rules that are named begin anew."""
        for key, _ in self._counted:
            if key[0] in cleared:
                self._throttle.forget(key)
        self.take_back()


class Throttle:
    """The counts of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, keys_max: int = KEYS_MAX) -> None:
        self._clock = clock
        self._keys_max = keys_max
        self._tables: dict[Rule, OrderedDict[bytes, _Count]] = {}

    def check(self, keys: Iterable[Key]) -> None:
        """Raises TooManyTries when a try on one of these keys would have to wait; counts nothing."""
        now_s = self._clock()
        found = (self._tables[rule].get(name) for rule, name in keys if rule in self._tables)
        wait_s = max((count.open_s - now_s for count in found if count is not None), default=0.0)
        if wait_s > 0:
            raise TooManyTries(retry_after_s=wait_s)

    def enter(self, keys: Iterable[Key]) -> Try:
        """Count a try on every key. Raises TooManyTries, and counts nothing, when one of them has to wait."""
        keys = list(keys)
        self.check(keys)
        return Try(self, [(key, self._add(key)) for key in keys])

    def size(self) -> int:
        """Keys that are remembered."""
        return sum(len(table) for table in self._tables.values())

    def take_back(self, key: Key, open_s: float) -> None:
        """One try less on a key, and the wait until `open_s` is not due if it was this try that caused it."""
        table = self._tables.get(key[0], OrderedDict())
        count = table.get(key[1])
        if count is None:
            return
        count.tries = max(0.0, count.tries - 1)
        if count.open_s == open_s:
            count.open_s = count.at_s
        if not count.tries and count.open_s <= count.at_s:
            del table[key[1]]

    def forget(self, key: Key) -> None:
        """A key begins anew."""
        self._tables.get(key[0], OrderedDict()).pop(key[1], None)

    def _add(self, key: Key) -> float:
        """Count a try; returns when the key is open again. The key is its table's most recent then."""
        rule, name = key
        now_s = self._clock()
        table = self._tables.setdefault(rule, OrderedDict())
        count = table.get(name)
        if count is None:
            count = table[name] = _Count(now_s)
            if len(table) > self._keys_max:
                table.popitem(last=False)
        table.move_to_end(name)
        count.tries = max(0.0, count.tries - (now_s - count.at_s) / rule.forget_s) + 1
        count.at_s = count.open_s = now_s
        over = math.ceil(count.tries) - rule.free
        if over > 0:
            count.open_s += min(rule.first_s * 2.0 ** min(over - 1, 40), rule.most_s)
        return count.open_s
