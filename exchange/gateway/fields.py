"""What a parameter is: its name, what it means, what it may hold, and how it is read. One object for each.

Owns the descriptors that routes list and handlers read with, so that what is documented (`schema`, from which the
OpenAPI document is made) is what is enforced. Never knows a symbol or an account: rules that need them are the
handlers'.

    LIMIT = Integer("limit", "...", low=1, default=500)      LIMIT.read(call.params)      LIMIT.schema()
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from exchange.gateway.amounts import AMOUNT_PATTERN
from exchange.gateway.errors import (
    Refusal,
    illegal_characters,
    mandatory,
    not_valid,
    out_of_range,
    repeated_symbol,
    too_precise,
)
from exchange.gateway.parameters import CLIENT_ID_PATTERN, INT64_MAX, INTEGER_PATTERN, Params, client_id, integer

V = TypeVar("V")
_SomeTexts = Annotated[list[str], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter whose text a handler reads itself. `about` is a sentence for readers of the documentation."""

    name: str
    about: str
    required: bool = False

    def text(self, params: Params) -> str:
        """What was sent, "" for nothing. Raises Refusal -1102 for nothing where something must be."""
        found = params.get(self.name, "")
        if not found and self.required:
            raise mandatory(self.name)
        return found

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a value."""
        return {"type": "string"}

    def refusals(self) -> tuple[Refusal, ...]:
        """What a value may be refused with, an empty one apart."""
        return (mandatory(self.name),) if self.required else ()


@dataclass(frozen=True, slots=True)
class Matched(Field):
    """Text that matches a pattern, else -1100."""

    pattern: str = ""

    def read(self, params: Params) -> str:
        """The text, "" for nothing. Raises Refusal."""
        found = self.text(params)
        if found and not re.fullmatch(self.pattern.strip("^$"), found, re.ASCII):
            raise illegal_characters(self.name, self.pattern)
        return found

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a value."""
        return {"type": "string", "pattern": self.pattern}

    def refusals(self) -> tuple[Refusal, ...]:
        """What a value may be refused with."""
        return (*Field.refusals(self), illegal_characters(self.name, self.pattern))


@dataclass(frozen=True, slots=True)
class Amount(Field):
    """A decimal string; the grid of a symbol or an asset reads it."""

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a value."""
        return {"type": "string", "pattern": AMOUNT_PATTERN, "examples": ["0.01"]}

    def refusals(self) -> tuple[Refusal, ...]:
        """What a value may be refused with, by every grid; filters are the symbol's."""
        return (*Field.refusals(self), illegal_characters(self.name, AMOUNT_PATTERN), too_precise(self.name))


@dataclass(frozen=True, slots=True)
class Integer(Field):
    """A whole number in [low, high]; `default` stands for nothing, None: it must be sent where it is read."""

    low: int = 0
    high: int = INT64_MAX
    default: int | None = None

    def read(self, params: Params) -> int:
        """The number. Raises Refusal."""
        return integer(params, self.name, low=self.low, high=self.high, default=self.default)

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a value."""
        bounds = {"type": "integer", "format": "int64", "minimum": self.low, "maximum": self.high}
        return bounds | ({"default": self.default} if self.default else {})

    def refusals(self) -> tuple[Refusal, ...]:
        """What a value may be refused with."""
        needed = (mandatory(self.name),) if self.default is None else ()
        wrong = illegal_characters(self.name, INTEGER_PATTERN), out_of_range(self.name, self.low, self.high)
        return *needed, *wrong


@dataclass(frozen=True, slots=True)
class Count(Integer):
    """How many rows are wanted; more than `most` is taken as `most`."""

    most: int = INT64_MAX

    def read(self, params: Params) -> int:
        """The number, at most `most`. Raises Refusal."""
        return min(Integer.read(self, params), self.most)


@dataclass(frozen=True, slots=True)
class ClientId(Field):
    """A client order id."""

    def read(self, params: Params) -> str:
        """The id, "" for nothing. Raises Refusal."""
        return client_id(params, self.name)

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a value."""
        return {"type": "string", "pattern": CLIENT_ID_PATTERN}

    def refusals(self) -> tuple[Refusal, ...]:
        """What a value may be refused with."""
        return (*Field.refusals(self), illegal_characters(self.name, CLIENT_ID_PATTERN))


@dataclass(frozen=True, slots=True)
class Choice(Field, Generic[V]):
    """One of several words, each standing for a value. `default` is the word that stands for nothing."""

    words: Mapping[str, V] | None = None
    default: str = ""
    refusal: Callable[[str], Refusal] = not_valid

    def read(self, params: Params) -> V:
        """The value of the word that was sent. Raises Refusal."""
        word = params.get(self.name) or self.default
        if not word:
            raise mandatory(self.name)
        words = self.words or {}
        if word not in words:
            raise self.refusal(self.name)
        return words[word]

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a value."""
        return {"type": "string", "enum": list(self.words or {})} | ({"default": self.default} if self.default else {})

    def refusals(self) -> tuple[Refusal, ...]:
        """What a value may be refused with."""
        return (*Field.refusals(self), self.refusal(self.name))


@dataclass(frozen=True, slots=True)
class Words(Field):
    """A JSON array of different texts."""

    def read(self, params: Params) -> list[str]:
        """The texts. Raises Refusal."""
        try:
            names = msgspec.json.decode(self.text(params), type=_SomeTexts)
        except msgspec.DecodeError:
            raise not_valid(self.name) from None
        if len(names) != len(set(names)):
            raise repeated_symbol()
        return names

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a value; it stands in the query as JSON text."""
        return {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}

    def refusals(self) -> tuple[Refusal, ...]:
        """What a value may be refused with."""
        return (*Field.refusals(self), not_valid(self.name), repeated_symbol())


_FLAG = {"true": True, "false": False}


def flag(name: str, about: str, *, default: bool = False) -> Choice[bool]:
    """A parameter that is `true` or `false`."""
    return Choice(name, about, words=_FLAG, default="true" if default else "false")
