"""`exchange market-replay lobster`: exit codes, sentences and the report."""

from __future__ import annotations

import json
import pathlib

from typer.testing import CliRunner, Result

from exchange.market_replay import app
from tests.market_replay import days
from tests.market_replay.days import Files


def run(files: Files, *more: str) -> Result:
    options = ["--messages", str(files.messages), "--book", str(files.book), "--out", str(files.out), "--levels", "2"]
    return CliRunner().invoke(app, ["lobster", *options, *more])


def test_replay_of_a_day_reports_and_exits_0(tmp_path: pathlib.Path) -> None:
    result = run(days.write(tmp_path, days.ORDINARY))
    assert result.exit_code == 0
    assert "12 rows (100.0000%)" in result.stdout
    assert "3 of 3" in result.stdout
    assert "sum 0" in result.stdout


def test_report_as_json_is_one_object(tmp_path: pathlib.Path) -> None:
    result = run(days.write(tmp_path, days.OUT_OF_TURN), "--json")
    report = json.loads(result.stdout)
    assert report["rows_equal"] == 5
    assert report["counts"]["out_of_turn"] == 1
    assert report["commands_per_second"] > 0


def test_book_that_differs_exits_1(tmp_path: pathlib.Path) -> None:
    wrong = [days.SEED, ("5,0,1,2000000,1", days.ORDINARY[1][1])]
    result = run(days.write(tmp_path, wrong))
    assert result.exit_code == 1
    assert "first row that differs" in result.stdout


def test_missing_file_exits_2_with_a_sentence(tmp_path: pathlib.Path) -> None:
    files = days.write(tmp_path, days.ORDINARY)
    result = run(files._replace(book=tmp_path / "nowhere.csv"))
    assert result.exit_code == 2
    assert "nowhere.csv: No such file or directory" in result.stderr


def test_malformed_row_exits_2_and_leaves_no_output(tmp_path: pathlib.Path) -> None:
    files = days.write(tmp_path, days.ORDINARY)
    files.messages.write_text(files.messages.read_text().replace("34203.5,2,", "34203.5,two,"))
    result = run(files)
    assert result.exit_code == 2
    assert "messages.csv, line 4: the type 'two' is not one of" in result.stderr
    assert not files.out.exists()


def test_server_without_keys_exits_2_and_names_the_option(tmp_path: pathlib.Path) -> None:
    result = run(days.write(tmp_path, days.ORDINARY), "--through", "server", "--maker-key", "k", "--maker-secret", "s")
    assert result.exit_code == 2
    assert "--through server needs --taker-key and --taker-secret" in result.stderr


def test_share_that_is_no_number_exits_2(tmp_path: pathlib.Path) -> None:
    keys = [f"--{who}-{what}=x" for who in ("maker", "taker") for what in ("key", "secret")]
    result = run(days.write(tmp_path, days.ORDINARY), "--through", "server", "--share", "-1", *keys)
    assert result.exit_code == 2
    assert "--share '-1' is not a positive number" in result.stderr
