"""`python -m journal` as people and scripts call it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from journal.__main__ import app
from journal.segments import retire, segment_name
from tests.journal import journals


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def place(tmpfs_path: Path) -> Path:
    made = tmpfs_path / "commands"
    made.mkdir()
    journals.write(made, [1, 20, 5, 3])
    return made


def damage(place: Path) -> None:
    journals.poke(place / segment_name(1), journals.offsets(place)[1] + 100, b"rot")


def test_module_run_as_a_program_verifies(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "journal", "verify", place, "--json"], capture_output=True, text=True, check=True
    )
    shown = json.loads(done.stdout)
    assert (shown["ok"], shown["records"], shown["groups"], shown["torn"]) == (True, 29, 4, None)


def test_verify_damaged_journal_exits_78_with_a_sentence(place: Path) -> None:
    damage(place)
    status, out, err = call("verify", place)
    assert (status, out) == (78, "")
    assert "sequences 2 to 21" in err
    assert "repair DIR --from COPY" in err
    assert "Traceback" not in err
    status, out, _ = call("verify", place, "--json")
    shown = json.loads(out)
    assert (status, shown["ok"], shown["code"]) == (78, False, "rot_in_durable_data")
    assert (shown["first_sequence"], shown["last_sequence"]) == (2, 21)


def test_verify_torn_tail_exits_0_and_changes_nothing(place: Path) -> None:
    path = place / segment_name(1)
    journals.poke(path, journals.offsets(place)[-1], b"half a group")
    before = path.read_bytes()
    status, out, _ = call("verify", place)
    assert status == 0
    assert "A torn tail of 12 bytes" in out
    assert path.read_bytes() == before


def test_verify_acknowledged_beyond_the_end_exits_78(place: Path) -> None:
    assert call("verify", place, "--acknowledged", 29)[0] == 0
    status, _, err = call("verify", place, "--acknowledged", 30)
    assert status == 78
    assert "--acknowledged at 30" in err


def test_verify_retired_start_is_refused_only_where_it_is_needed(tmpfs_path: Path) -> None:
    journals.write(tmpfs_path, [20] * 4)
    retire(tmpfs_path, 40)
    assert call("verify", tmpfs_path)[0] == 0
    assert call("stat", tmpfs_path)[0] == 0
    assert call("verify", tmpfs_path, "--first", 1)[0] == 78


@pytest.mark.parametrize("command", ["verify", "inspect", "stat", "repair"])
def test_command_without_a_directory_is_wrong_usage(command: str, tmp_path: Path) -> None:
    assert call(command)[0] == 2
    assert call(command, tmp_path / "absent", "--from", tmp_path)[0] == 2


def test_verify_disk_error_exits_74(place: Path) -> None:
    path = place / segment_name(1)
    path.unlink()
    path.mkdir()
    status, _, err = call("verify", place)
    assert status == 74
    assert "Is a directory" in err


def test_inspect_prints_groups_and_records(place: Path) -> None:
    status, out, _ = call("inspect", place, "--json", "--records", "--from", 3, "--limit", 2)
    first, second = map(json.loads, out.splitlines())
    assert status == 0
    assert (first["first_sequence"], first["last_sequence"], second["first_sequence"]) == (3, 21, 22)
    assert [bytes.fromhex(record) for record in first["records"]] == journals.expected(21, 3)
    status, out, _ = call("inspect", place)
    assert status == 0
    assert out.count("\n") >= 5
    status, out, _ = call("inspect", place, "--records", "--limit", 1)
    assert journals.records(1, 1)[0, :32].tobytes().hex(" ", 4) in out


def test_stat_counts_groups_by_size(place: Path) -> None:
    shown = json.loads(call("stat", place, "--json")[1])
    assert shown["groups_by_records"] == {"1-1": 1, "2-3": 1, "4-7": 1, "16-31": 1}
    assert shown["durable_upto"] == 26
    assert "29 records in 4 groups" in call("stat", place)[1]


def test_repair_from_a_copy_mends_and_says_so(place: Path, tmpfs_path: Path) -> None:
    copy = tmpfs_path / "copy"
    shutil.copytree(place, copy)
    damage(place)
    status, out, _ = call("repair", place, "--from", copy)
    assert status == 0
    assert "1 places mended" in out
    assert journals.read(place) == journals.expected(29)
    assert json.loads(call("repair", place, "--from", copy, "--json")[1])["splices"] == []


def test_repair_from_a_useless_copy_exits_78(place: Path, tmpfs_path: Path) -> None:
    empty = tmpfs_path / "empty"
    empty.mkdir()
    damage(place)
    status, _, err = call("repair", place, "--from", empty)
    assert status == 78
    assert "The copy has no file" in err
