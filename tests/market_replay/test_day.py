"""Small recorded days through the engine: our book, the counts and the money."""

from __future__ import annotations

import pathlib

import pytest

from exchange.core.codes import TradingMode
from exchange.market_replay import day
from exchange.market_replay.engine_venue import EngineVenue
from exchange.market_replay.lobster import Malformed
from exchange.market_replay.replay import Replay, SetMode
from tests.market_replay import days
from tests.market_replay.days import Files


def replay(files: Files, levels: int = 2) -> day.Report:
    return day.replay_through_engine(files.messages, files.book, levels, files.out, lambda _: None)


@pytest.mark.parametrize("name", ["ORDINARY", "OUT_OF_TURN", "HALTED"])
def test_day_through_engine_gives_the_recorded_book(tmp_path: pathlib.Path, name: str) -> None:
    files = days.write(tmp_path, getattr(days, name))
    report = replay(files)
    assert files.out.read_text() == files.book.read_text()
    assert (report.rows_equal, report.first_difference) == (len(getattr(days, name)), 0)
    assert report.counts.unmatched_lots == report.counts.refused == 0


def test_ordinary_day_counts_what_happened(tmp_path: pathlib.Path) -> None:
    counts = replay(days.write(tmp_path, days.ORDINARY)).counts
    assert (counts.executions, counts.front_of_queue, counts.seeded, counts.out_of_turn) == (3, 2, 1, 0)
    assert (counts.forgotten, counts.adopted, counts.cancels_in_excess) == (1, 1, 0)


def test_execution_out_of_turn_is_counted_and_the_excess_comes_off_the_level(tmp_path: pathlib.Path) -> None:
    counts = replay(days.write(tmp_path, days.OUT_OF_TURN)).counts
    assert (counts.executions, counts.front_of_queue, counts.out_of_turn, counts.cancels_in_excess) == (1, 0, 1, 1)


def test_halt_sets_cancel_only_until_trading_resumes(tmp_path: pathlib.Path) -> None:
    files = days.write(tmp_path, days.HALTED)
    assert replay(files).counts.halts == 3
    plan = Replay()
    venue = EngineVenue(2)
    modes = []
    for message, recorded in day.recorded_day(files.messages, files.book, 2):
        steps = plan.steps(message, recorded)
        action = next(steps, None)
        while action is not None:
            if isinstance(action, SetMode):
                modes.append(action.mode)
            try:
                action = steps.send(venue.execute(action))
            except StopIteration:
                break
    bracket = [TradingMode.OPEN, TradingMode.CANCEL_ONLY]
    assert modes == [TradingMode.CANCEL_ONLY, *bracket, *bracket, TradingMode.OPEN]


def test_money_is_neither_made_nor_lost(tmp_path: pathlib.Path) -> None:
    report = replay(days.write(tmp_path, days.ORDINARY))
    assert [one.total for one in report.sums] == [0, 0]
    assert all(one.fees > 0 and one.deposited == one.held + one.fees for one in report.sums)


def test_fewer_levels_than_recorded_are_the_top_ones(tmp_path: pathlib.Path) -> None:
    files = days.write(tmp_path, days.ORDINARY)
    report = replay(files, levels=1)
    recorded = [",".join(line.split(",")[:4]) for line in files.book.read_text().splitlines()]
    assert files.out.read_text().splitlines() == recorded
    assert report.rows_equal == len(recorded)


def test_book_that_disagrees_is_reported_with_its_row(tmp_path: pathlib.Path) -> None:
    wrong = list(days.ORDINARY)
    wrong[4] = (wrong[4][0], wrong[4][1].replace("2005000,40", "2005000,41"))
    report = replay(days.write(tmp_path, wrong))
    assert (report.rows_equal, report.first_difference) == (len(wrong) - 1, 5)


def test_more_levels_than_recorded_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Malformed, match="line 1: the recording has 2 levels, 3 were asked for"):
        replay(days.write(tmp_path, days.ORDINARY), levels=3)


@pytest.mark.parametrize(
    ("cut", "where"), [("messages", "line 12: .* this file has a row more"), ("book", "line 12: ")]
)
def test_files_of_different_length_are_refused(tmp_path: pathlib.Path, cut: str, where: str) -> None:
    files = days.write(tmp_path, days.ORDINARY)
    path: pathlib.Path = getattr(files, cut)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(Malformed, match=where):
        replay(files)
    assert not files.out.exists()
    assert list(tmp_path.glob("*.part")) == []
