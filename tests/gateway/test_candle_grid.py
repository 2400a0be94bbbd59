"""Candles are counted without a hole, in every zone, and begin where the projector's do."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.gateway.candle_grid import CandleGrid, zone_offset_ns
from exchange.gateway.errors import Refusal
from exchange.persistence.intervals import INTERVALS, SECOND_NS, SPANS, floor_ns, next_ns

HOUR_NS = 3_600 * SECOND_NS
NOW_NS = 1_800_000_000 * SECOND_NS
spans = st.integers(0, len(INTERVALS) - 1)
moments = st.integers(0, 2 * NOW_NS)
offsets = st.integers(-12 * 60, 14 * 60).map(lambda minutes: minutes * 60 * SECOND_NS)


def utc_ns(text: str) -> int:
    """A moment as nanoseconds since 1970."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()) * SECOND_NS


@given(span=spans, ts_ns=moments)
def test_candle_of_a_moment_in_utc_is_the_projectors(span: int, ts_ns: int) -> None:
    grid = CandleGrid(span, 0)
    opened = int(floor_ns(ts_ns, span))
    assert grid.open_ns(grid.number(ts_ns)) == opened
    assert grid.open_ns(grid.number(ts_ns) + 1) == next_ns(opened, span)
    assert not grid.is_folded


@given(span=spans, ts_ns=moments, offset_ns=offsets)
def test_moment_lies_in_its_candle_and_sources_lie_whole_in_candles(span: int, ts_ns: int, offset_ns: int) -> None:
    grid = CandleGrid(span, offset_ns)
    number = grid.number(ts_ns)
    assert grid.open_ns(number) <= ts_ns < grid.open_ns(number + 1)
    for edge_ns in (grid.open_ns(number), grid.open_ns(number + 1)):
        assert int(floor_ns(edge_ns, grid.source)) == edge_ns
    small_s = INTERVALS[grid.source][1]
    if grid.is_folded:
        assert (grid.open_ns(number + 1) - grid.open_ns(number)) // SECOND_NS <= grid.folds * small_s


@pytest.mark.parametrize(
    ("interval", "zone", "source", "moment", "opened"),
    [
        ("1m", "+05:30", "1m", "2026-03-01T10:00:30", "2026-03-01T10:00:00"),
        ("30m", "+05:45", "15m", "2026-03-01T10:00:00", "2026-03-01T09:45:00"),
        ("1h", "8", "1h", "2026-03-01T10:59:00", "2026-03-01T10:00:00"),
        ("1h", "+05:30", "30m", "2026-03-01T10:59:00", "2026-03-01T10:30:00"),
        ("4h", "+08:00", "4h", "2026-03-01T10:00:00", "2026-03-01T08:00:00"),
        ("6h", "+08:00", "2h", "2026-03-01T10:00:00", "2026-03-01T10:00:00"),
        ("1d", "-5:00", "1h", "2026-03-01T04:59:59", "2026-02-28T05:00:00"),
        ("1d", "14", "2h", "2026-03-01T10:00:00", "2026-03-01T10:00:00"),
        ("1d", "-12:00", "12h", "2026-03-01T11:00:00", "2026-02-28T12:00:00"),
        ("1w", "+08:00", "8h", "2026-03-01T15:59:59", "2026-02-22T16:00:00"),
        ("1w", "+08:00", "8h", "2026-03-01T16:00:00", "2026-03-01T16:00:00"),  # a Monday there
        ("1M", "-03:00", "1h", "2026-03-01T02:00:00", "2026-02-01T03:00:00"),
        ("1M", "+00:07", "1m", "2025-12-31T23:53:00", "2025-12-31T23:53:00"),
    ],
)
def test_candle_begins_by_the_clock_of_its_zone(
    interval: str, zone: str, source: str, moment: str, opened: str
) -> None:
    grid = CandleGrid(SPANS[interval], zone_offset_ns(zone))
    assert INTERVALS[grid.source][0] == source
    assert grid.open_ns(grid.number(utc_ns(moment))) == utc_ns(opened)


@pytest.mark.parametrize(
    ("text", "hours"), [("0", 0), ("8", 8), ("08:00", 8), ("+14:00", 14), ("-12", -12), ("05:30", 5.5), ("-3:30", -3.5)]
)
def test_zone_is_hours_or_hours_and_minutes(text: str, hours: float) -> None:
    assert zone_offset_ns(text) == round(hours * HOUR_NS)


@pytest.mark.parametrize(
    ("text", "code"),
    [("14:01", -1130), ("-12:01", -1130), ("99", -1130), ("05:60", -1130), ("5:3", -1100), (" 08:00", -1100),
     ("UTC", -1100), ("+", -1100), ("1:000", -1100), ("\u0668", -1100), ("--1", -1100), ("8:00\n", -1100)],
)  # fmt: skip
def test_zone_that_is_none_is_refused(text: str, code: int) -> None:
    with pytest.raises(Refusal) as caught:
        zone_offset_ns(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("times", "newest", "limit", "hours"),
    [
        ((0, 10**19), True, 500, range(2, 11)),  # from the first trade to now
        ((0, 10**19), True, 3, range(8, 11)),
        ((0, 10**19), False, 3, range(2, 5)),
        ((3 * HOUR_NS, 10**19), False, 3, range(3, 6)),
        ((3 * HOUR_NS + 1, 10**19), False, 3, range(4, 7)),  # a candle that began before startTime is not shown
        ((3 * HOUR_NS, 4 * HOUR_NS), False, 500, range(3, 5)),  # one that begins at endTime is
        ((3 * HOUR_NS, 4 * HOUR_NS - 1), False, 500, range(3, 4)),
        ((0, 5 * HOUR_NS - 1), True, 2, range(3, 5)),
        ((0, 2 * HOUR_NS - 1), True, 500, range(0)),  # before the first trade
        ((11 * HOUR_NS, 10**19), False, 500, range(0)),  # after now
        ((10**18, 10**19), False, 500, range(0)),
        ((5 * HOUR_NS, 4 * HOUR_NS), False, 500, range(0)),
    ],
)
def test_candles_of_a_page_are_the_newest_or_the_oldest_between_its_times(
    times: tuple[int, int], newest: bool, limit: int, hours: range
) -> None:
    extent = (2 * HOUR_NS, 10 * HOUR_NS + HOUR_NS // 2)
    chosen = CandleGrid(SPANS["1h"], 0).chosen(extent, times, newest=newest, limit=limit)
    assert list(chosen) == list(hours)


def test_offset_makes_every_longer_interval_a_folded_one() -> None:
    folded = {name for name, span in SPANS.items() if CandleGrid(span, zone_offset_ns("+05:30")).is_folded}
    assert folded == {"1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"}
