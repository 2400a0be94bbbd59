"""docs/streams.md shows what the streams really send."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import orjson
import pytest

from exchange.core.codes import Side
from tests.marketdata.client import on_uvloop, staged

PAGE = (pathlib.Path(__file__).parents[2] / "docs/streams.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^`<symbol>@([^`<]+)`[^\n]*\n(?:[^\n]+\n)?\n    (\{.*\})$", PAGE, re.MULTILINE)


def shape(value: Any) -> Any:
    """Names in their order, and the types of values."""
    if isinstance(value, dict):
        return [(name, shape(one)) for name, one in value.items()]
    return type(value)


def test_page_shows_every_kind_of_stream_that_needs_no_history() -> None:
    kinds = {"depth@100ms", "depth", "depth5", "bookTicker", "trade", "aggTrade"}
    assert kinds | {"ticker", "miniTicker", "ticker_1h", "avgPrice"} == {name for name, _ in SHOWN}


@pytest.mark.parametrize(("name", "example"), SHOWN, ids=[name for name, _ in SHOWN])
@on_uvloop
async def test_example_has_the_shape_of_what_is_sent(name: str, example: str) -> None:
    async with staged() as stage:
        stage.apply(stage.venue.place(Side.BUY, 4_000, 1))
        ws = await stage.connect(f"/ws/btcusdt@{name}")
        await ws.send_json({"method": "GET_PROPERTY", "params": ["combined"], "id": 1})
        while await ws.receive_json() != {"result": False, "id": 1}:
            pass
        stage.apply(stage.venue.place(Side.SELL, 5_000, 2), stage.venue.place(Side.BUY, 5_000, 1, account=17))
        stage.tick()
        assert shape(await ws.receive_json()) == shape(orjson.loads(example))
