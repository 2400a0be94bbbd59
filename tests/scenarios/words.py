"""What a line of a table is made of: its words, the command that it asks for, the names it uses.

Owns these nouns and the standard venue. Verbs and phrases stand in `language.py`, `order_words.py`, `guard_words.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from exchange.core.codes import Account, EventKind

Fields = dict[str, Any]
Expectation = tuple[EventKind, Fields]
"""A kind of event and the fields that are looked at."""

RULES: Fields = {
    "price_min_ticks": 1,
    "price_max_ticks": 1_000,
    "qty_min_lots": 1,
    "qty_max_lots": 1_000,
    "notional_min_atoms": 0,
    "notional_max_atoms": 10_000_000,
    "price_step_ticks": 1,
    "qty_step_lots": 1,
    "orders_max": 10,
    "maker_fee_ppm": 0,
    "taker_fee_ppm": 0,
}
"""What a symbol has unless its line says otherwise."""

STANDARD = """
asset BTC 1 scale 4 -> done
asset USDT 2 scale 4 -> done
asset ETH 3 scale 4 -> done
symbol BTC_USDT 1 price_scale 1 qty_scale 2 -> done
symbol ETH_USDT 2 price_scale 1 qty_scale 2 -> done
symbol ETH_BTC 3 price_scale 2 qty_scale 1 -> done
account 16 -> done
account 17 -> done
account 18 -> done
"""


@dataclass
class Line:
    """One line of a table, in words."""

    number: int
    text: str
    words: list[str]
    expected: str | None


@dataclass
class Request:
    """A command that a line asks for, as its kind (a number: it may be unknown) and its fields."""

    kind: int
    fields: Fields = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


class Names:
    """The names that a table has given to ids so far, and the rules of each symbol as last asked for."""

    def __init__(self) -> None:
        self.assets: dict[str, int] = {}
        self.symbols: dict[str, int] = {}
        self.rules: dict[str, Fields] = {}

    def account(self, word: str) -> int:
        return int(Account[word]) if word.isalpha() else int(word)

    def asset(self, word: str) -> int:
        return self.assets[word] if word in self.assets else int(word)

    def symbol(self, word: str) -> int:
        return self.symbols[word] if word in self.symbols else int(word)


def lines_of(text: str, first_number: int = 1) -> list[Line]:
    """The lines that say something; `--` begins a remark."""
    lines = []
    for number, raw in enumerate(text.splitlines(), first_number):
        said = raw.split("--")[0].strip()
        if said:
            asked, arrow, expected = said.partition("->")
            lines.append(Line(number, said, asked.split(), expected.strip() if arrow else None))
    return lines


class Words:
    """The words of a line, taken from the front; `field=value` words are set aside as raw fields."""

    def __init__(self, words: list[str]) -> None:
        self.raw: Fields = {}
        self.rest: list[str] = []
        for word in words:
            name, equals, value = word.partition("=")
            if equals:
                self.raw[name] = int(value)
            else:
                self.rest.append(word)

    def take(self) -> str:
        return self.rest.pop(0)

    def after(self, keyword: str) -> str | None:
        """The word behind a keyword, wherever it stands; both are taken."""
        if keyword not in self.rest:
            return None
        place = self.rest.index(keyword)
        _, value = self.rest.pop(place), self.rest.pop(place)
        return value

    def has(self, keyword: str) -> bool:
        if keyword in self.rest:
            self.rest.remove(keyword)
            return True
        return False
