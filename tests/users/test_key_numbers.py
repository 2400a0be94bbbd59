"""The number by which the engine knows a key: it follows from the name, for ever, and no two keys have the same."""

from __future__ import annotations

import pathlib
import random

import pytest

from exchange.core.state import KEY_MAX
from exchange.users import keyring, keys
from exchange.users.keys import KeyRefused
from tests.users.rings import ALICE, Process

RANDOM = random.Random(20261123)


def draw() -> str:
    return "".join(RANDOM.choices("abcdefgh", k=64))


def twins() -> tuple[str, str]:
    """Two names with one number; among a few thousand there is such a pair."""
    seen: dict[int, str] = {}
    while True:
        name = draw()
        other = seen.setdefault(keys.number_of(name), name)
        if other != name:
            return other, name


def test_numbers_of_names_are_fixed_and_within_the_bound_of_the_engine() -> None:
    assert keys.number_of("k" * 64) == 578906
    numbers = {keys.number_of(draw()) for _ in range(2_000)}
    assert min(numbers) >= 1
    assert max(numbers) <= KEY_MAX
    assert len(numbers) > 1_980


@pytest.mark.parametrize("revoked", [False, True])
async def test_name_of_a_new_key_has_a_number_that_no_key_has_or_had(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, revoked: bool
) -> None:
    first, twin = twins()
    names = iter([first, twin, draw()])
    monkeypatch.setattr(keyring, "draw_name", lambda _prefix: next(names))
    process = Process(path, None)
    made = (await process.ring.create(ALICE)).key
    assert made.number == keys.view(made, 1_000)["number"] == keys.number_of(first)
    if revoked:
        await process.ring.revoke(first)
    await process.end()
    again = Process(path, None)
    other = (await again.ring.create(ALICE)).key
    assert other.api_key not in (first, twin)
    assert other.number != made.number
    await again.end()


async def test_a_venue_without_a_free_number_makes_no_key(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "draw_name", lambda _prefix: "k" * 64)
    process = Process(path, None)
    await process.ring.create(ALICE)
    with pytest.raises(KeyRefused, match="as many API keys as it can"):
        await process.ring.create(ALICE)
    await process.end()
