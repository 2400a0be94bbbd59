"""Candles from the stream equal candles from `klines` equal candles made of the trades; real PostgreSQL.

The market data begins in the middle of a venue's life and knows the newest part of its journal only, so that candles of
every interval but a second get their past from history.
"""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from exchange.core import readers
from exchange.gateway import history as routes
from exchange.gateway import history_answers
from exchange.gateway.candle_grid import CandleGrid
from exchange.gateway.history_reading import History
from exchange.gateway.live_candles import LiveCandles
from exchange.gateway.symbols import Rules
from exchange.marketdata.connection import Limits
from exchange.marketdata.market import MarketData
from exchange.marketdata.warmup import load_windows
from exchange.persistence.database import Connection, Database, Target
from exchange.persistence.intervals import SPANS
from exchange.persistence.watermark import Watermark
from exchange.settings import load
from journal.reader import records
from tests.marketdata.candles import EVERY, MS_NS, UTC8_NS, Named, all_candles
from tests.marketdata.test_ticker_streams import heard
from tests.marketdata.trading import Trade
from tests.persistence.journaled import SYMBOL, JournaledVenue, opening, traffic
from tests.persistence.projecting import project

NAMES = [named for named in EVERY if named.interval != "1s"]
BEFORE, AFTER, PIECES = 6_000, 3_000, 12
QTY_SCALE = SYMBOL["qty_scale"]
LONG_S = 30.0


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[JournaledVenue]:
    """A venue with three hours of trades."""
    journaled = JournaledVenue(tmp_path / "venue", 1 << 17)
    journaled.apply(opening())
    journaled.apply(traffic(BEFORE))
    yield journaled
    journaled.close()


@pytest.fixture
async def database(target: Target, tmp_path: pathlib.Path) -> AsyncIterator[Database]:
    """A pool on the migrated database."""
    opened = Database(target, load({"DB_MAX_OPEN_CONNS": "8"}, demo=True, data_dir=tmp_path), "tests")
    assert await opened.start(LONG_S)
    yield opened
    await opened.stop()


def now_ns(venue: JournaledVenue) -> int:
    """The engine's time."""
    return int(venue.engine.state.header[0].ts_ns)


async def trades_of(connection: Connection) -> list[Trade]:
    """All that `trades` can tell."""
    rows = await connection.fetch(
        "select symbol, trade_id, ts_ns, side, price_ticks, qty_lots from exchange_market.trades order by trade_id"
    )
    return [Trade(*row) for row in rows]


async def klines_of(
    connection: Connection, venue: JournaledVenue, named: Named, first_ns: int, last_ns: int
) -> list[list[Any]]:
    """What `klines` answers."""
    grid = CandleGrid(SPANS[named.interval], UTC8_NS if named.zone else 0)
    assets = {view.asset: view for view in readers.assets(venue.engine.state)}
    view = readers.symbols(venue.engine.state)[0]
    rules = Rules("BTCUSDT", view, assets[view.base_asset], assets[view.quote_asset])
    numbers = range(grid.number(first_ns), grid.number(last_ns) + 1)
    rows, close_ticks = await routes._candle_rows(connection, view.symbol, grid, numbers)
    return list(history_answers.candles(rules, grid, numbers, rows, close_ticks, MS_NS))


def as_kline(candle: dict[str, Any]) -> list[Any]:
    """A candle of the stream in the order of `klines`; the assets have eight decimals."""
    return [candle[letter] for letter in "tohlcvTqnVQB"]


async def test_candles_from_the_stream_equal_candles_from_klines_equal_candles_of_the_trades(
    target: Target, database: Database, connection: Connection, venue: JournaledVenue
) -> None:
    watermark = Watermark(lambda: None)
    await project(target, venue)
    watermark.move(venue.sequence)
    market = MarketData(
        interval_s=3_600.0,
        limits=Limits(close_s=0.2, messages_per_second=1_000_000, buffer_bytes=1 << 26),
        clock_ns=lambda: now_ns(venue),
        seen_until_ns=lambda: now_ns(venue),
    )
    events = venue.path / "journal" / "events"
    read = load_windows(market._tables, events, venue.engine.state, now_ns(venue), events_max=2_000, older_events_max=0)
    assert read < venue.event // 2
    market.seed(venue.engine.state)
    symbols = readers.symbols(venue.engine.state)
    market.candles.source = LiveCandles(History(database, watermark, LONG_S), lambda: venue.sequence, symbols)
    begun_ns = now_ns(venue)
    told: dict[str, list[dict[str, Any]]] = {named.stream: [] for named in NAMES}
    port = await market.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/stream?streams={'/'.join(told)}"
        ws = await session.ws_connect(url, max_msg_size=0)

        async def turn() -> None:
            market._registry.tick(1.0)
            for message in await heard(ws):
                told[message["stream"]].append(message["data"]["k"])

        pieces = traffic(AFTER, seed=8).reshape(PIECES, -1, 128)
        for piece in pieces:
            event = venue.event
            venue.apply(piece)
            for _, batch in records(events, event + 1):
                market.on_events(memoryview(batch.tobytes()), len(batch))
            await project(target, venue)
            watermark.move(venue.sequence)
            await turn()
        async with asyncio.timeout(LONG_S):
            while not all(candles and candles[-1]["L"] == symbols_now(venue) for candles in told.values()):
                await turn()
    await market.stop()
    trades = await trades_of(connection)
    for named in NAMES:
        expected = all_candles(named, trades, begun_ns, now_ns(venue), qty_scale=QTY_SCALE)
        closed = [candle for candle in told[named.stream] if candle["x"]]
        assert closed == expected[:-1]
        assert told[named.stream][-1] == expected[-1]
        klines = await klines_of(connection, venue, named, begun_ns, now_ns(venue))
        assert klines == [as_kline(candle) for candle in (*closed, told[named.stream][-1])]
    assert sum(candle["x"] for candle in told["btcusdt@kline_1m"]) > 60


def symbols_now(venue: JournaledVenue) -> int:
    """The last trade id."""
    return readers.symbols(venue.engine.state)[0].trades
