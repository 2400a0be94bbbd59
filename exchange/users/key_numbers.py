"""The numbers that the engine knows keys by: in PLACE, in rules and mass cancels of a key, in dead man's timers.

Owns which key has which number, and whose it is. A number is drawn once, one higher than any before, and never again:
what the engine keeps for a revoked key must not become another key's. 0 is no key.
"""

from __future__ import annotations

from typing import NamedTuple

from exchange.core.state import KEY_MAX
from exchange.users.keys import KeyRefused


class Numbered(NamedTuple):
    """How the engine knows a key. `account` is 0 for one that was revoked before it was kept."""

    account: int
    number: int


class KeyNumbers:
    """Name of a key to its number, of revoked ones too."""

    def __init__(self) -> None:
        self._known: dict[str, Numbered] = {}
        self._taken: set[int] = set()
        self._last = 0

    def owner(self, api_key: str) -> Numbered | None:
        """How the engine knows a key, also after it was revoked; None: it does not."""
        return self._known.get(api_key)

    def of(self, api_key: str) -> int:
        """The number of a key; 0: it never had one."""
        known = self._known.get(api_key)
        return known.number if known else 0

    def note(self, api_key: str, account: int, number: int) -> None:
        """Learn that a key has a number, if no other has it and the key has none."""
        if 0 < number <= KEY_MAX and number not in self._taken and api_key not in self._known:
            self._known[api_key] = Numbered(account, number)
            self._taken.add(number)
            self._last = max(self._last, number)

    def draw(self, api_key: str, account: int) -> int:
        """The number of a key, the next one if it has none. Raises KeyRefused when there is none left."""
        if api_key not in self._known:
            if self._last == KEY_MAX:
                raise KeyRefused(f"The venue has made {KEY_MAX} keys, as many as it can tell apart.")
            self.note(api_key, account, self._last + 1)
        return self._known[api_key].number
