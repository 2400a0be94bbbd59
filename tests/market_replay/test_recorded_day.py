"""The AMZN day of LOBSTER's sample, whole: our book equals the recorded one at every level of every row."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import zipfile

import pytest

from exchange.market_replay import day

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared"
SAMPLE = SHARED / "data" / "LOBSTER_SampleFile_AMZN_2012-06-21_5.zip"
BOOK_TRUTH = SHARED / "checks" / "book_truth.py"


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"LOBSTER's sample day is not there: {SAMPLE}")
@pytest.mark.skipif(not BOOK_TRUTH.exists(), reason=f"the comparison of books is not there: {BOOK_TRUTH}")
def test_recorded_day_gives_every_level_of_every_row(tmp_path: pathlib.Path) -> None:
    with zipfile.ZipFile(SAMPLE) as sample:
        sample.extractall(tmp_path)
    (messages,) = tmp_path.glob("*message*.csv")
    (book,) = tmp_path.glob("*orderbook*.csv")
    out = tmp_path / "ours.csv"
    report = day.replay_through_engine(messages, book, 5, out, lambda _: None)
    truth = subprocess.run([sys.executable, BOOK_TRUTH, book, out], capture_output=True, text=True, check=False)
    assert truth.returncode == 0, truth.stdout
    assert report.rows_equal == report.counts.messages == 155_935
    counts = report.counts
    assert (counts.executions, counts.front_of_queue, counts.seeded, counts.out_of_turn) == (8_974, 7_268, 1_665, 41)
    assert (counts.cancels_in_excess, counts.unmatched_lots, counts.refused) == (3, 0, 0)
    assert [one.total for one in report.sums] == [0, 0]
