"""The rule of diffs: books kept by the documented procedure are the engine's, at both paces, whatever happens."""

from __future__ import annotations

import pytest

from exchange.core.codes import Side
from exchange.core.compile import INTERPRETED
from tests.marketdata.client import HOUR_S, NAMES, Stage, on_uvloop, staged
from tests.marketdata.follower import Follower
from tests.marketdata.venue import BTC_USDT, event_count

COMMANDS = 2_000 if INTERPRETED else 100_000
BATCH = 60
FAST, SLOW = "@100ms", ""


class Story:
    """Two symbols, both paces, one follower each; and when each of their streams told something last."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.followers = {(s, speed): Follower(stage, s, speed) for s in NAMES for speed in (FAST, SLOW)}
        self.told = {key: stage.update_id(key[0]) for key in self.followers}
        self.cuts: list[tuple[int, int]] = []

    def trade(self, count: int) -> None:
        """Run commands and publish."""
        self.stage.trade_on(count)
        for symbol in NAMES:
            self.told[symbol, FAST] = self.stage.update_id(symbol)

    def tick(self) -> None:
        """A second has passed."""
        self.stage.tick()
        for symbol in NAMES:
            self.told[symbol, SLOW] = self.stage.update_id(symbol)

    def cut(self, symbol: int) -> None:
        """Somebody fetches a snapshot."""
        self.cuts.append((symbol, self.stage.cut(NAMES[symbol], 5)["lastUpdateId"]))
        self.told[symbol, SLOW] = self.stage.update_id(symbol)

    async def read(self) -> None:
        """Everybody reads what was told."""
        for key, follower in self.followers.items():
            await follower.read(self.told[key])

    async def synchronise(self, key: tuple[int, str]) -> None:
        """One of them fetches its snapshot; the others read what that made us tell."""
        before = self.followers[key].snapshots
        self.followers[key].synchronise()
        if self.followers[key].snapshots > before:
            self.told[key[0], SLOW] = self.stage.update_id(key[0])
            await self.read()

    def check(self, symbol: int) -> None:
        """Every book of a symbol that is up to date is the engine's."""
        wanted = self.stage.venue.book(symbol)
        for (of, _), follower in self.followers.items():
            if of == symbol and follower.book and follower.book.update_id == self.stage.update_id(symbol):
                assert follower.book.levels() == wanted


@on_uvloop
async def test_books_kept_by_the_documented_procedure_are_the_engines_after_all_commands() -> None:
    async with staged(seed=4) as stage:
        story, pick = Story(stage), stage.venue.random
        for follower in story.followers.values():
            await follower.connect()
        for _ in range(COMMANDS // (BATCH // 2)):
            story.trade(pick.randrange(1, BATCH))
            if pick.random() < 0.2:
                story.tick()
            if pick.random() < 0.1:
                story.cut(pick.choice(list(NAMES)))
            await story.read()
            if pick.random() < 0.3:
                await story.synchronise(pick.choice(list(story.followers)))
            if pick.random() < 0.05:
                story.check(pick.choice(list(NAMES)))
            if pick.random() < 0.02:
                await pick.choice(list(story.followers.values())).reconnect()
        story.trade(BATCH)
        story.tick()
        await story.read()
        for key, follower in story.followers.items():
            await story.synchronise(key)
            assert follower.book is not None
            assert follower.book.update_id == stage.update_id(key[0])
            assert follower.book.levels() == stage.venue.book(key[0])
            assert follower.snapshots > 1
            assert follower.applied > 50
        for symbol in NAMES:
            fast, slow = (story.followers[symbol, speed].boundaries for speed in (FAST, SLOW))
            assert len(slow) < len(fast) / 2


@on_uvloop
async def test_slow_boundaries_and_cuts_are_boundaries_of_the_fast_stream() -> None:
    async with staged(seed=9) as stage:
        story, pick = Story(stage), stage.venue.random
        for follower in story.followers.values():
            await follower.connect()
        for _ in range(20 if INTERPRETED else 300):
            story.trade(pick.randrange(1, 12))
            if pick.random() < 0.2:
                story.tick()
            if pick.random() < 0.2:
                story.cut(BTC_USDT)
            await story.read()
        for symbol in NAMES:
            fast, slow = (story.followers[symbol, speed].boundaries for speed in (FAST, SLOW))
            assert slow < fast
        told = story.followers[BTC_USDT, SLOW].boundaries
        cuts = [cut for _, cut in story.cuts if cut >= min(told)]
        assert len(set(cuts)) > 2
        assert set(cuts) <= told


@on_uvloop
async def test_both_names_of_the_slow_stream_and_later_listeners_hear_the_same_diffs() -> None:
    async with staged() as stage:
        first = await stage.connect("/ws/btcusdt@depth")
        await stage.call(first, "LIST_SUBSCRIPTIONS")
        stage.apply(stage.venue.place(Side.BUY, 4_000, 1))
        second = await stage.connect("/ws/btcusdt@depth/btcusdt@depth@1000ms")
        await stage.call(second, "LIST_SUBSCRIPTIONS")
        stage.apply(stage.venue.place(Side.BUY, 4_001, 1), stage.venue.place(Side.BUY, 4_000, 2))
        stage.tick()
        told = await first.receive_json()
        assert told["b"] == [["40.01000000", "0.00010000"], ["40.00000000", "0.00030000"]]
        assert told["u"] - told["U"] == 2
        assert await second.receive_json() == told
        other_name = await second.receive_json()
        assert (other_name["U"], other_name["u"], other_name["b"]) == (told["U"] + 1, told["u"], told["b"])


@on_uvloop
async def test_level_that_came_and_went_within_a_second_is_told_as_gone() -> None:
    async with staged() as stage:
        ws = await stage.connect("/ws/btcusdt@depth")
        await stage.call(ws, "LIST_SUBSCRIPTIONS")
        at = stage.update_id(BTC_USDT)
        stage.apply(stage.venue.place(Side.BUY, 4_000, 1))
        stage.apply(stage.venue.place(Side.SELL, 4_000, 1, account=17))
        stage.tick()
        stage.tick()
        told = await ws.receive_json()
        assert (told["U"], told["u"], told["b"], told["a"]) == (at + 1, at + 2, [["40.00000000", "0.00000000"]], [])
        stage.apply(stage.venue.place(Side.BUY, 4_000, 1))
        stage.tick()
        assert (await ws.receive_json())["U"] == at + 3


@on_uvloop
async def test_timers_tell_both_paces_without_being_told() -> None:
    async with staged(interval_s=0.001) as stage:
        sockets = [await stage.connect(f"/ws/btcusdt@depth{speed}") for speed in (FAST, SLOW)]
        for ws in sockets:
            await stage.call(ws, "LIST_SUBSCRIPTIONS")
        view = stage.venue.run([stage.venue.place(Side.BUY, 4_000, 1)])
        stage.market.on_events(view, event_count(view))
        fast, slow = [await ws.receive_json() for ws in sockets]
        assert fast == slow


@pytest.mark.parametrize("path", ["/ws/btcusdt@depth5@100ms", "/ws/btcusdt@bookTicker"])
@on_uvloop
async def test_stream_of_the_latest_tells_how_things_are_when_joined(path: str) -> None:
    async with staged(interval_s=HOUR_S) as stage:
        stage.apply(stage.venue.place(Side.BUY, 4_000, 1))
        ws = await stage.connect(path)
        at = stage.update_id(BTC_USDT)
        assert await ws.receive_json() in (
            {"lastUpdateId": at, "bids": [["40.00000000", "0.00010000"]], "asks": []},
            {"u": at, "s": "BTCUSDT", "b": "40.00000000", "B": "0.00010000", "a": "0.00000000", "A": "0.00000000"},
        )
