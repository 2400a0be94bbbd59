"""The numbers that the engine knows keys by: in PLACE, in rules and mass cancels of a key, in dead man's timers.

Owns which key has which number. A number is drawn once, one higher than any before, and never again: what the engine
keeps for a revoked key must not become another key's. 0 is no key.
"""

from __future__ import annotations

from exchange.core.state import KEY_MAX
from exchange.users.keys import KeyRefused


class KeyNumbers:
    """Name of a key to its number, of revoked ones too."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._taken: set[int] = set()
        self._last = 0

    def of(self, api_key: str) -> int:
        """The number of a key; 0: it never had one."""
        return self._numbers.get(api_key, 0)

    def is_free(self, number: int) -> bool:
        """Whether it is a number that no key has."""
        return 0 < number <= KEY_MAX and number not in self._taken

    def note(self, api_key: str, number: int) -> None:
        """Learn that a key has a number, if that is free and the key has none."""
        if self.is_free(number) and api_key not in self._numbers:
            self._numbers[api_key] = number
            self._taken.add(number)
            self._last = max(self._last, number)

    def draw(self, api_key: str) -> int:
        """The number of a key, the next one if it has none. Raises KeyRefused when there is none left."""
        if api_key not in self._numbers:
            if self._last == KEY_MAX:
                raise KeyRefused(f"The venue has made {KEY_MAX} keys, as many as it can tell apart.")
            self.note(api_key, self._last + 1)
        return self._numbers[api_key]
