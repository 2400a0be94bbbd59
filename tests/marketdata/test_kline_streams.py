"""The candle streams against candles made of the trades once more, with a history that is there, away, or not kept."""

from __future__ import annotations

from typing import Any

import aiohttp
import numpy as np
import pytest

from exchange.core.codes import Side
from exchange.core.compile import INTERPRETED
from exchange.gateway.candle_grid import CandleGrid
from exchange.gateway.history_reading import History
from exchange.gateway.live_candles import LiveCandles
from exchange.marketdata.candles import HistoryAway
from exchange.marketdata.connection import Limits
from exchange.marketdata.names import INTERVALS
from exchange.marketdata.windows import NS_PER_MINUTE, NS_PER_SECOND, Window
from exchange.persistence.watermark import Watermark
from tests.marketdata.candles import EVERY, Named, all_candles, candle_of
from tests.marketdata.client import CLOSE_S, Stage, on_uvloop, staged
from tests.marketdata.test_ticker_streams import heard
from tests.marketdata.trading import Trade, last_price_before, summed, trades_in
from tests.marketdata.venue import BTC_USDT

Json = dict[str, Any]
UNLIMITED = Limits(close_s=CLOSE_S, messages_per_second=1_000_000, buffer_bytes=1 << 26)
ROUNDS = 6 if INTERPRETED else 60
PACES = {
    "seconds": ((10**6, 10**8, 10**9), "1s"),
    "minutes": ((10**9, 10**10, 10**11), "1m"),
    "days": ((10**11, 10**12, 10**13), "2h"),
}
"""Steps of a command, and the shortest interval of which fewer than a hundred candles close at once."""


class Historian:
    """A history that knows every trade, unless it is away."""

    def __init__(self, trades: list[Trade]) -> None:
        self.trades = trades
        self.asked = 0
        self.away_for = 0

    def grid(self, interval: str, *, is_utc8: bool) -> CandleGrid:
        """Those of the real one."""
        return without_history().grid(interval, is_utc8=is_utc8)

    async def past(self, _symbol: int, open_ns: int, end_ns: int) -> Window | None:
        """What the trades between two whole minutes sum up to."""
        assert open_ns % NS_PER_MINUTE == end_ns % NS_PER_MINUTE == 0
        assert open_ns < end_ns
        self.asked += 1
        if self.asked <= self.away_for:
            raise HistoryAway("it is away")
        found = summed(self.trades, open_ns, end_ns)
        return found if found.trades else found._replace(close_ticks=last_price_before(self.trades, open_ns))


def without_history() -> LiveCandles:
    """What the gateway gives where no database is kept."""
    return LiveCandles(History(None, Watermark(lambda: None), 0.0), lambda: 0, ())


class Listening:
    """A client of many candle streams of one symbol, and every trade that happened."""

    def __init__(self, stage: Stage, trades: list[Trade]) -> None:
        self.stage = stage
        self.trades = trades
        self.told: dict[str, list[Json]] = {}
        self._ws: aiohttp.ClientWebSocketResponse | None = None

    async def listen(self, *names: Named) -> None:
        """Subscribe."""
        self.told |= {named.stream: [] for named in names}
        self._ws = await self.stage.connect(f"/stream?streams={'/'.join(named.stream for named in names)}")
        await self.hear()

    async def hear(self) -> None:
        """Take what has been told so far."""
        assert self._ws is not None
        for message in await heard(self._ws):
            data = message["data"]
            assert (data["e"], data["s"], data["E"]) == ("kline", "BTCUSDT", data["E"])
            self.told[message["stream"]].append(data["k"])

    async def turn(self, count: int = 1) -> None:
        """Let a second or more of the streams' time pass."""
        for _ in range(count):
            self.stage.tick()
            await self.hear()

    def trade_on(self, commands: int, step_ns: int) -> None:
        """Run random commands."""
        venue = self.stage.venue
        view = venue.run(venue.some(commands), step_ns)
        events = np.frombuffer(view, np.uint8).reshape(-1, 128)
        self.trades += [trade for trade in trades_in(events) if trade.symbol == BTC_USDT]
        self.stage.market.on_events(view, len(events))

    def closed(self, named: Named) -> list[Json]:
        """The closed candles that were told."""
        return [candle for candle in self.told[named.stream] if candle["x"]]


def not_shorter(interval: str) -> list[Named]:
    return [named for named in EVERY if INTERVALS.index(named.interval) >= INTERVALS.index(interval)]


@pytest.mark.parametrize("pace", PACES)
@on_uvloop
async def test_candles_of_every_interval_and_zone_are_closed_once_in_order_and_equal_the_trades(pace: str) -> None:
    steps_ns, shortest = PACES[pace]
    async with staged(UNLIMITED, seed=len(pace)) as stage:
        ear = Listening(stage, [])
        stage.market.candles.source = Historian(ear.trades)
        begun_ns = stage.venue.ts_ns
        names = not_shorter(shortest)
        await ear.listen(*names)
        for _ in range(ROUNDS):
            ear.trade_on(10, stage.venue.random.choice(steps_ns))
            await ear.turn(stage.venue.random.randrange(1, 3))
        await ear.turn(4)
        for named in names:
            expected = all_candles(named, ear.trades, begun_ns, stage.venue.ts_ns)
            assert ear.closed(named) == expected[:-1]
            assert ear.told[named.stream][-1] == expected[-1]
        assert len(ear.closed(names[0])) > ROUNDS // 4


@on_uvloop
async def test_candles_that_began_before_the_windows_get_their_past_from_history() -> None:
    async with staged(UNLIMITED, seed=3) as stage:
        ear = Listening(stage, [])
        for _ in range(ROUNDS // 3):
            ear.trade_on(30, 10**10)
        stage.market.seed(stage.venue.engine.state)  # a process that begins here, without the journal
        historian = stage.market.candles.source = Historian(ear.trades)
        begun_ns = stage.venue.ts_ns
        names = not_shorter("1m")
        await ear.listen(*names)
        assert [ear.told[named.stream] for named in names] == [[]] * len(names)
        for _ in range(ROUNDS):
            ear.trade_on(10, 10**9)
            await ear.turn(2)
        await ear.turn(2)
        for named in names:
            expected = all_candles(named, ear.trades, begun_ns, stage.venue.ts_ns)
            assert ear.closed(named) == expected[:-1]
            assert ear.told[named.stream][-1] == expected[-1]
        assert historian.asked <= 2 * len(names)


@on_uvloop
async def test_month_is_told_when_history_is_back_and_asked_for_anew_before_the_windows_forget() -> None:
    async with staged(UNLIMITED, seed=4) as stage:
        ear = Listening(stage, [])
        historian = stage.market.candles.source = Historian(ear.trades)
        for _ in range(12):
            ear.trade_on(20, 10**11)
        historian.away_for = 3
        month = Named("1M")
        await ear.listen(month)
        await ear.turn(2)
        assert ear.told[month.stream] == []
        await ear.turn(2)
        assert ear.told[month.stream] == [
            candle_of(month, ear.trades, month.open_ns(stage.venue.ts_ns), is_closed=False)
        ]
        assert historian.asked == 4
        for _ in range(13):
            stage.venue.ts_ns += 86_400 * NS_PER_SECOND
            ear.trade_on(20, 10**11)
            await ear.turn(2)
            assert ear.told[month.stream][-1] == candle_of(
                month, ear.trades, month.open_ns(stage.venue.ts_ns), is_closed=False
            )
        assert 5 <= historian.asked <= 8


@on_uvloop
async def test_without_history_a_candle_begins_with_what_the_windows_hold() -> None:
    async with staged(UNLIMITED, seed=5) as stage:
        ear = Listening(stage, [])
        stage.market.candles.source = without_history()
        ear.trade_on(200, 10**9)
        stage.market.seed(stage.venue.engine.state)
        seen = len(ear.trades)
        minute_end_ns = (stage.venue.ts_ns // NS_PER_MINUTE + 1) * NS_PER_MINUTE
        await ear.listen(Named("1h"))
        ear.trade_on(200, 10**9)
        await ear.turn(4)
        known = [trade for trade in ear.trades[seen:] if trade.ts_ns >= minute_end_ns]
        found = ear.told[Named("1h").stream][-1]
        assert found["n"] == len(known) > 0
        assert (found["f"], found["L"]) == (known[0].trade_id, known[-1].trade_id)


@on_uvloop
async def test_candle_is_not_closed_while_a_trade_with_an_earlier_time_may_come() -> None:
    async with staged(UNLIMITED) as stage:
        stage.market.candles.source = without_history()
        seen_ns = [stage.venue.ts_ns]
        stage.market.candles._seen_until_ns = lambda: seen_ns[0]
        ear = Listening(stage, [])
        minute = Named("1m")
        end_ns = minute.end_ns(minute.open_ns(stage.venue.ts_ns))
        await ear.listen(minute)
        seen_ns[0] = end_ns - 1
        await ear.turn(2)
        assert ear.closed(minute) == []
        stage.venue.ts_ns = end_ns - 10_000
        ear.stage.apply(stage.venue.place(Side.SELL, 5_000, 1), stage.venue.place(Side.BUY, 5_000, 1))
        await ear.turn(2)
        assert ear.closed(minute) == []
        seen_ns[0] = end_ns
        await ear.turn()
        assert [candle["n"] for candle in ear.closed(minute)] == [1]


@on_uvloop
async def test_stream_is_silent_while_its_candle_does_not_change_and_unknown_without_a_source() -> None:
    async with staged(UNLIMITED) as stage:
        ear = Listening(stage, [])
        await ear.listen(Named("1h"))
        await ear.turn(2)
        assert ear.told[Named("1h").stream] == []
        stage.market.candles.source = without_history()
        await ear.listen(Named("1h"))
        assert len(ear.told[Named("1h").stream]) == 1
        await ear.turn(4)
        assert len(ear.told[Named("1h").stream]) == 1


@on_uvloop
async def test_fields_stand_in_the_order_of_the_contract_and_times_in_the_unit_asked_for() -> None:
    async with staged(UNLIMITED) as stage:
        stage.market.candles.source = without_history()
        ws = await stage.connect("/ws/btcusdt@kline_1m@+08:00?timeUnit=MICROSECOND")
        (message,) = await heard(ws)
        assert list(message) == ["e", "E", "s", "k"]
        assert "".join(message["k"]) == "tTsifLochlvnxqVQB"
        assert message["E"] == stage.venue.ts_ns // 1_000
        assert message["k"]["T"] - message["k"]["t"] == 60_000_000 - 1
