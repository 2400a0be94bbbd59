"""`exchange replay`: any state of the past, from snapshots and from genesis, beside a running server too."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from exchange.core.codes import CommandKind
from exchange.core.hashing import state_hash
from exchange.core.kernel import Engine
from exchange.datadir import DataDirectory
from exchange.forensics.event_words import hash_text
from tests.core.plans import command
from tests.forensics import scenes
from tests.persistence.journaled import traffic


def hash_at(commands: np.ndarray, sequence: int) -> str:
    """The hash of a fresh engine after so many commands."""
    engine = Engine()
    engine.run(scenes.stamped(commands[:sequence]))
    return hash_text(*map(int, state_hash(engine.state)))


@pytest.mark.parametrize("sequence", [0, 1, 13, 25])
def test_replay_until_a_sequence_has_the_hash_of_the_engine_there(tmp_path: pathlib.Path, sequence: int) -> None:
    path = scenes.told(tmp_path / "var")
    found = scenes.asked("replay", "--until", str(sequence), "--hash", "--data-dir", str(path))
    assert (found["sequence"], found["replayed_from"]) == (sequence, 0)
    assert found["hash"] == hash_at(scenes.story(), sequence)


def test_replay_without_until_goes_to_the_last_command_and_says_where_it_stands(tmp_path: pathlib.Path) -> None:
    path = scenes.told(tmp_path / "var")
    code, output = scenes.run("replay", "--data-dir", str(path))
    assert code == 0
    shown = dict(line.split(maxsplit=1) for line in output.splitlines() if " " in line)
    assert shown["sequence"] == "25"
    assert shown["time"] == "2025-12-30 00:00:42.5 UTC"
    assert "hash " not in output


def test_replay_starts_at_the_nearest_snapshot_unless_told_otherwise(tmp_path: pathlib.Path) -> None:
    venue = scenes.venue(tmp_path / "var", scenes.story()[:15])
    venue.snapshot()
    venue.apply(scenes.story()[15:20])
    venue.snapshot()
    venue.apply(scenes.story()[20:])
    venue.close()
    where = ("--hash", "--data-dir", str(tmp_path / "var"))
    for until, base in ((14, 0), (15, 15), (19, 15), (25, 20)):
        found = scenes.asked("replay", "--until", str(until), *where)
        again = scenes.asked("replay", "--until", str(until), "--from-genesis", *where)
        assert (found["replayed_from"], again["replayed_from"]) == (base, 0)
        assert found["hash"] == again["hash"] == hash_at(scenes.story(), until)


def test_replay_of_many_commands_goes_in_batches_to_the_same_state(tmp_path: pathlib.Path) -> None:
    commands = np.concatenate([np.stack(scenes.opening()), traffic(20_000, accounts=3)])
    path = scenes.told(tmp_path / "var", commands)
    found = scenes.asked("replay", "--hash", "--until", "15000", "--data-dir", str(path))
    assert found["hash"] == hash_at(commands, 15_000)


def test_replay_beside_a_running_server_takes_no_lock_and_writes_nothing(tmp_path: pathlib.Path) -> None:
    venue = scenes.venue(tmp_path / "var")
    with DataDirectory(tmp_path / "var"):
        before = _files(tmp_path)
        assert scenes.asked("replay", "--data-dir", str(tmp_path / "var"))["sequence"] == 25
        assert scenes.asked("inspect", "13", "--data-dir", str(tmp_path / "var"))["sequence"] == 13
        assert scenes.asked("why", "3", "--data-dir", str(tmp_path / "var"))["order_id"] == 3
        assert scenes.asked("audit", "--data-dir", str(tmp_path / "var"))["broken"] is None
        assert _files(tmp_path) == before
    venue.close()


def _files(path: pathlib.Path) -> dict[str, tuple[int, int]]:
    return {str(one): (one.stat().st_mtime_ns, one.stat().st_size) for one in path.rglob("*")}


def test_replay_counts_hash_records_and_refuses_one_that_is_wrong(tmp_path: pathlib.Path) -> None:
    first = [*scenes.opening(), command(CommandKind.HASH)]
    engine = Engine()
    engine.run(scenes.stamped(np.stack(first)))
    hashes = {f"hash_{lane}": int(value) for lane, value in enumerate(state_hash(engine.state))}
    right = np.stack([*first, command(CommandKind.HASH, at_sequence=11, **hashes)])
    path = scenes.told(tmp_path / "right", right)
    assert scenes.asked("replay", "--data-dir", str(path))["hashes_checked"] == 1

    hashes["hash_1"] += 1
    wrong = np.stack([*first, command(CommandKind.HASH, at_sequence=11, **hashes)])
    scenes.journaled_only(tmp_path / "wrong", wrong)
    code, output = scenes.run("replay", "--data-dir", str(tmp_path / "wrong"))
    assert code == 78
    assert output.startswith("exchange: The HASH record at sequence 12 says that the state at sequence 11 had another")


def test_command_that_is_passed_over_is_passed_over(tmp_path: pathlib.Path) -> None:
    rows = [*scenes.story()[:13], command(CommandKind.SKIP, name="broken", at_sequence=13)]
    scenes.journaled_only(tmp_path / "var", np.stack(rows))
    found = scenes.asked("inspect", "13", "--data-dir", str(tmp_path / "var"))
    assert found["command"]["kind"] == "SKIPPED"
    assert found["passed_over"].startswith("Account 17 places LIMIT GTC BUY 0.6 BTC")
    assert [event["kind"] for event in found["events"]] == ["REJECTED"]
    assert found["events"][0]["reject"] == "SKIPPED_BY_OPERATOR"
    assert scenes.asked("replay", "--data-dir", str(tmp_path / "var"))["trades"] == 0


@pytest.mark.parametrize(
    "arguments",
    [("replay", "--until", "26"), ("inspect", "26"), ("audit", "--until", "26"), ("why", "--command", "26")],
)
def test_sequence_beyond_the_end_is_a_sentence_and_exit_66(tmp_path: pathlib.Path, arguments: tuple[str, ...]) -> None:
    path = scenes.told(tmp_path / "var")
    code, output = scenes.run(*arguments, "--data-dir", str(path))
    assert code == 66
    assert output == "exchange: Sequence 26 is beyond the end: the last command is 25.\n"


@pytest.mark.parametrize("arguments", [("replay",), ("inspect", "1"), ("why", "1"), ("audit",), ("diff", ".")])
def test_directory_without_a_journal_is_a_sentence_and_exit_66(
    tmp_path: pathlib.Path, arguments: tuple[str, ...]
) -> None:
    where = (str(tmp_path),) if arguments[0] == "diff" else ("--data-dir", str(tmp_path))
    code, output = scenes.run(*arguments, *where)
    assert code == 66
    assert output.startswith("exchange: There is no journal of an exchange in ")
    assert output.count("\n") == 1


def test_journal_that_was_retired_is_a_sentence_and_exit_66(tmp_path: pathlib.Path) -> None:
    venue = scenes.venue(tmp_path / "var")
    venue.roll()
    venue.snapshot()
    venue.retire(commands=25, events=0)
    venue.close()
    where = ("--data-dir", str(tmp_path / "var"))
    assert scenes.asked("replay", *where)["replayed_from"] == 25
    code, output = scenes.run("replay", "--from-genesis", *where)
    assert (code, "begins at sequence 26; 1 is no longer there" in output) == (66, True)
    code, output = scenes.run("inspect", "13", *where)
    assert (code, "13 is no longer there" in output) == (66, True)


def test_damaged_journal_is_a_sentence_and_exit_78(tmp_path: pathlib.Path) -> None:
    venue = scenes.venue(tmp_path / "var")
    venue.roll()
    venue.apply(np.stack([command(CommandKind.TICK)]))
    venue.close()
    segment = min((tmp_path / "var" / "journal" / "commands").iterdir())
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 1
    segment.write_bytes(raw)
    code, output = scenes.run("replay", "--data-dir", str(tmp_path / "var"))
    assert code == 78
    assert output.count("\n") == 1
