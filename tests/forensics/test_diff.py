"""`exchange diff A B`: equal, longer, another command, other events."""

from __future__ import annotations

import pathlib
import shutil

import numpy as np
import pytest

from exchange.core.codes import Side
from tests.forensics import scenes


def test_same_commands_are_equal(tmp_path: pathlib.Path) -> None:
    a, b = scenes.told(tmp_path / "a"), scenes.told(tmp_path / "b")
    code, output = scenes.run("diff", str(a), str(b))
    assert (code, output) == (0, "Equal: both end at sequence 25.\n")


@pytest.mark.parametrize(("short", "said"), [("a", "B goes on to 25"), ("b", "A goes on to 25")])
def test_one_that_goes_on_differs_by_its_end_alone(tmp_path: pathlib.Path, short: str, said: str) -> None:
    paths = {name: tmp_path / name for name in "ab"}
    for name, path in paths.items():
        scenes.told(path, scenes.story()[: 20 if name == short else 25])
    code, output = scenes.run("diff", str(paths["a"]), str(paths["b"]))
    assert (code, output) == (1, f"Equal up to sequence 20; {said}.\n")


def test_command_that_differs_is_told_in_words_with_what_it_does(tmp_path: pathlib.Path) -> None:
    other = scenes.story()
    other[12] = scenes.place(scenes.TAKER, Side.BUY, 60_000, 50_000, "taker")
    a, b = scenes.told(tmp_path / "a"), scenes.told(tmp_path / "b", other)
    code, output = scenes.run("diff", str(a), str(b))
    assert code == 1
    lines = output.splitlines()
    assert lines[0] == "Equal up to sequence 12; the commands of sequence 13 differ."
    assert lines[1].endswith("Account 17 places LIMIT GTC BUY 0.6 BTC on BTC_USDT at 60000 USDT (client id 'taker').")
    assert "    Trade 2 on BTC_USDT" in output
    assert lines[-1] == "The fields that differ: qty_lots."
    found = scenes.asked("diff", str(a), str(b), code=1)
    assert (found["equal"], found["equal_upto"], found["at_sequence"]) == (False, 12, 13)
    assert (found["a"]["fields"]["qty_lots"], found["b"]["fields"]["qty_lots"]) == (60_000, 50_000)
    assert (len(found["a"]["events"]), len(found["b"]["events"])) == (3, 2)


def test_first_command_that_differs_has_no_state_before_it(tmp_path: pathlib.Path) -> None:
    other = scenes.story()
    other[0] = other[1]
    scenes.journaled_only(tmp_path / "b", other)
    found = scenes.asked("diff", str(scenes.told(tmp_path / "a")), str(tmp_path / "b"), code=1)
    assert (found["equal_upto"], found["at_sequence"], found["differs"]) == (0, 1, "commands")


def test_events_of_another_build_differ_and_the_right_one_is_named(tmp_path: pathlib.Path) -> None:
    a, b = scenes.told(tmp_path / "a"), tmp_path / "b"
    events = scenes.events_of(scenes.story())
    at = 21
    events[at, 60] ^= 1
    sequence = int.from_bytes(events[at, :8].tobytes(), "little")
    scenes.journaled_only(b, scenes.story(), events)
    found = scenes.asked("diff", str(a), str(b), code=1)
    assert (found["differs"], found["at_sequence"], found["event"]) == ("events", sequence, at + 1)
    assert found["equal_upto"] == sequence - 1
    assert found["notes"] == ["The commands up to here are equal; of the two events this build computes that of A."]


def test_journal_that_begins_later_is_compared_from_there(tmp_path: pathlib.Path) -> None:
    a = scenes.told(tmp_path / "a")
    venue = scenes.venue(tmp_path / "b", scenes.story()[:15])
    venue.roll()
    venue.apply(scenes.story()[15:])
    venue.retire(commands=15, events=0)
    venue.close()
    code, output = scenes.run("diff", str(a), str(tmp_path / "b"))
    assert code == 0
    assert output.startswith("Compared from sequence 16 on; older commands are no longer kept by both.\n")


def test_lost_events_are_said_and_are_no_difference(tmp_path: pathlib.Path) -> None:
    a, b = scenes.told(tmp_path / "a"), scenes.told(tmp_path / "b")
    shutil.rmtree(b / "journal" / "events")
    code, output = scenes.run("diff", str(a), str(b))
    assert code == 0
    assert "The recorded events were not compared" in output


def test_long_journals_differ_at_the_only_byte(tmp_path: pathlib.Path) -> None:
    commands = np.concatenate([np.stack(scenes.opening())] + [scenes.story()[24:25]] * 40_000)
    other = commands.copy()
    other[33_333, 127] ^= 1
    for name, rows in (("a", commands), ("b", other)):
        scenes.journaled_only(tmp_path / name, rows)
    found = scenes.asked("diff", str(tmp_path / "a"), str(tmp_path / "b"), code=1)
    assert (found["equal_upto"], found["at_sequence"]) == (33_333, 33_334)
