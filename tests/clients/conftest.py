"""A demo exchange that nobody has traded on, for each client's day: so its order counts and balances are certain."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests.gateway.running import Exchange


@pytest.fixture(name="exchange")
def fixture_exchange(tmp_path: pathlib.Path) -> Iterator[Exchange]:
    """It must stop cleanly, whatever the client did to it."""
    running = Exchange(tmp_path / "var").start()
    try:
        yield running
        assert running.stop() == 0, running.errors
    finally:
        running.ensure_gone()
