"""Recovery and the follower over whole data directories: snapshots, both journals, what is missing or damaged."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

import snapshots
from exchange import checkpoint
from exchange.core.hashing import state_hash
from exchange.core.kernel import Engine
from exchange.datadir import DataDirectory, DirectoryRefused, Projected, write_projected
from exchange.follower import Follower, FollowerProcess
from exchange.recovery import Recovered, recover
from exchange.replay import HistoryDiffers
from journal.errors import RefusalCode, Refused
from journal.segments import list_segments, read_header, segment_name
from journal.storage import Directory
from journal.writer import Writer
from tests.recovery.workload import COUNT, assert_same_state, check, settings_for, stream


def _stamped(first: int, upto: int) -> np.ndarray:
    """Commands `first` .. `upto` of the stream (from 1) with sequence and time."""
    commands = stream()[first - 1 : upto]
    commands[:, :8] = np.arange(first, upto + 1, dtype=np.int64).view(np.uint8).reshape(-1, 8)
    commands[:, 8:16] = (np.arange(first, upto + 1, dtype=np.int64) * 1000).view(np.uint8).reshape(-1, 8)
    return commands


def _write(data_dir: pathlib.Path, upto: int) -> Recovered:
    """Recover, append the stream up to `upto` to both journals as a server would, and end."""
    with DataDirectory(data_dir) as directory:
        recovered = recover(directory, settings_for(data_dir))
        with (
            Writer(directory.commands, recovered.commands) as commands,
            Writer(directory.events, recovered.events) as events,
        ):
            for first in range(recovered.commands.last_sequence + 1, upto + 1, 100):
                part = _stamped(first, min(first + 99, upto))
                commands.append(part)
                commands.sync()
                events.append(recovered.engine.run(part).copy())
    return recovered


def _follow(data_dir: pathlib.Path, *, is_projected: bool = False, events_keep_s: float | None = 0.0) -> None:
    follower = Follower(data_dir, every=1, interval_s=3600, is_projected=is_projected, events_keep_s=events_keep_s)
    try:
        while follower.step():
            pass
    finally:
        follower.close()


@pytest.fixture
def data_dir(tmp_path: pathlib.Path) -> pathlib.Path:
    """A venue that stopped twice and has two snapshots, at sequences 300 and 600, and 100 commands after them."""
    return _stopped_twice(tmp_path / "var")


def _stopped_twice(
    path: pathlib.Path, *, is_projected: bool = False, events_keep_s: float | None = 0.0
) -> pathlib.Path:
    for upto in (300, 600):
        _write(path, upto)
        _follow(path, is_projected=is_projected, events_keep_s=events_keep_s)
    _write(path, COUNT)
    return path


def test_recovery_starts_from_the_newest_snapshot(data_dir: pathlib.Path) -> None:
    report = " ".join(check_all_commands(data_dir).report)
    assert "00000000000000000600.snapshot is proven" in report
    assert "Replayed 100 commands from sequence 601" in report


def check_all_commands(data_dir: pathlib.Path) -> Recovered:
    """Recover and compare with a fresh engine that ran the whole stream."""
    with DataDirectory(data_dir) as directory:
        recovered = recover(directory, settings_for(data_dir))
    fresh = Engine()
    fresh.run(_stamped(1, COUNT))
    assert_same_state(fresh, recovered.engine)
    return recovered


def test_snapshots_two_are_kept_and_older_segments_retired(data_dir: pathlib.Path) -> None:
    _follow(data_dir)
    names = [path.name for path in snapshots.list_snapshots(data_dir / "snapshots")]
    assert names == [f"{sequence:020d}.snapshot" for sequence in (COUNT, 600)]
    assert 1 not in list_segments(data_dir / "journal" / "commands")
    check_all_commands(data_dir)


def _first_sequence(journal: pathlib.Path) -> int:
    storage = Directory(journal)
    return read_header(storage, list_segments(storage)[0]).first_sequence


def test_segments_that_the_database_does_not_have_are_kept_with_a_snapshot_before_them(tmp_path: pathlib.Path) -> None:
    """Recovery needs neither; a damaged event journal could not be computed anew without them."""
    data_dir = _stopped_twice(tmp_path / "var", is_projected=True)
    commands, events = data_dir / "journal" / "commands", data_dir / "journal" / "events"
    first = checkpoint.load(snapshots.list_snapshots(data_dir / "snapshots")[-1])
    write_projected(data_dir, Projected(first.event_count + 1, first.sequence + 1))
    _follow(data_dir, is_projected=True)
    kept = [checkpoint.load(path).sequence for path in snapshots.list_snapshots(data_dir / "snapshots")]
    assert kept == [COUNT, 600, first.sequence]
    assert 1 < _first_sequence(commands) <= first.sequence + 1
    assert 1 < _first_sequence(events) <= first.event_count + 1

    write_projected(data_dir, Projected(10**6, COUNT))
    _retire(data_dir)
    assert len(snapshots.list_snapshots(data_dir / "snapshots")) == 2
    assert _first_sequence(commands) > first.sequence
    check_all_commands(data_dir)


def _retire(data_dir: pathlib.Path, events_keep_s: float = 0.0) -> None:
    follower = Follower(data_dir, every=1, interval_s=3600, is_projected=True, events_keep_s=events_keep_s)
    follower._retire()
    follower.close()


def test_nothing_is_retired_while_the_database_has_nothing(tmp_path: pathlib.Path) -> None:
    data_dir = _stopped_twice(tmp_path / "var", is_projected=True)
    _follow(data_dir, is_projected=True)
    assert _first_sequence(data_dir / "journal" / "commands") == _first_sequence(data_dir / "journal" / "events") == 1


@pytest.mark.parametrize("keep_s", [None, 3600.0])
def test_event_segments_stay_as_long_as_they_shall_be_kept(tmp_path: pathlib.Path, keep_s: float | None) -> None:
    data_dir = _stopped_twice(tmp_path / "var", events_keep_s=keep_s)
    _follow(data_dir, events_keep_s=keep_s)
    events = data_dir / "journal" / "events"
    assert _first_sequence(events) == 1
    assert _first_sequence(data_dir / "journal" / "commands") > 1
    write_projected(data_dir, Projected(10**6, COUNT))
    for path in events.iterdir():
        os.utime(path, (0, 0))
    _retire(data_dir, 3600.0)
    assert _first_sequence(events) > 1


def test_journal_behind_what_the_database_saw_is_refused(data_dir: pathlib.Path) -> None:
    with DataDirectory(data_dir) as directory:
        assert recover(directory, settings_for(data_dir), COUNT).commands.last_sequence == COUNT
        with pytest.raises(Refused, match=f"PostgreSQL at {COUNT + 1}") as refused:
            recover(directory, settings_for(data_dir), COUNT + 1)
    assert refused.value.code == RefusalCode.ACKNOWLEDGED_TAIL_LOST


def test_snapshot_damaged_newest_falls_back_to_the_one_before(data_dir: pathlib.Path) -> None:
    newest = snapshots.list_snapshots(data_dir / "snapshots")[0]
    raw = bytearray(newest.read_bytes())
    raw[len(raw) // 2] ^= 1
    newest.write_bytes(raw)
    report = " ".join(check_all_commands(data_dir).report)
    assert "An older one is used instead" in report
    assert "Replayed 400 commands from sequence 301" in report


def test_snapshots_all_gone_replays_from_genesis_while_the_journal_reaches_back(tmp_path: pathlib.Path) -> None:
    _write(tmp_path / "var", 300)
    _follow(tmp_path / "var")
    shutil.rmtree(tmp_path / "var" / "snapshots")
    recovered = check(tmp_path / "var", 300)
    assert recovered.commands.last_sequence == 300


def test_snapshots_all_gone_and_segments_retired_is_refused(data_dir: pathlib.Path) -> None:
    _follow(data_dir)
    shutil.rmtree(data_dir / "snapshots")
    with DataDirectory(data_dir) as directory, pytest.raises(Refused) as refused:
        recover(directory, settings_for(data_dir))
    assert refused.value.code == RefusalCode.START_MISSING


@pytest.mark.parametrize("witness", ["snapshots", "event journal"])
def test_journal_behind_what_others_saw_is_refused(data_dir: pathlib.Path, witness: str) -> None:
    _follow(data_dir)
    commands = data_dir / "journal" / "commands"
    (commands / segment_name(list_segments(commands)[-1])).unlink()
    if witness == "snapshots":
        shutil.rmtree(data_dir / "journal" / "events")
    else:
        snapshots.list_snapshots(data_dir / "snapshots")[0].unlink()
    with DataDirectory(data_dir) as directory, pytest.raises(Refused, match=witness[:8]) as refused:
        recover(directory, settings_for(data_dir))
    assert refused.value.code == RefusalCode.ACKNOWLEDGED_TAIL_LOST


def test_event_journal_lost_is_computed_anew_byte_for_byte(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "var"
    _write(path, 400)
    events = path / "journal" / "events"
    before = b"".join(bytes(group.payload) for group in _groups(events))
    shutil.rmtree(events)
    check(path, 400)
    assert b"".join(bytes(group.payload) for group in _groups(events)) == before


def _groups(directory: pathlib.Path):  # type: ignore[no-untyped-def]  # an iterator of journal.reader.Group
    from journal.reader import groups

    return groups(directory)


def test_event_journal_damaged_is_set_aside_and_computed_anew(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "var"
    _write(path, 400)
    segment = path / "journal" / "events" / segment_name(1)
    raw = bytearray(segment.read_bytes())
    raw[5000] ^= 4
    segment.write_bytes(raw)
    report = " ".join(check(path, 400).report)
    assert "events-aside-1" in report


def test_event_journal_of_another_history_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "var"
    _write(path, 200)
    other = tmp_path / "other"
    with DataDirectory(other) as directory:
        recovered = recover(directory, settings_for(other))
        shutil.copy(path / "cluster.json", other / "cluster.json")
        part = _stamped(1, 200)
        events = recovered.engine.run(part).copy()
        events[150, 60] ^= 1
    with DataDirectory(other) as directory:
        shutil.rmtree(path / "journal" / "events")
        (path / "journal" / "events").mkdir()
        from journal import recovery as journals

        empty = journals.recover(path / "journal" / "events", stream=2, cluster_id=directory.cluster_id, watermarks={})
        position = journals.begin_epoch(path / "journal" / "events", empty, segment_bytes=1 << 16)
        with Writer(path / "journal" / "events", position) as writer:
            writer.append(events)
            writer.sync()
    with DataDirectory(path) as directory, pytest.raises(HistoryDiffers, match="another event"):
        recover(directory, settings_for(path))


def test_follower_meeting_another_event_stops(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "var"
    with DataDirectory(path) as directory:
        recovered = recover(directory, settings_for(path))
        with (
            Writer(directory.commands, recovered.commands) as commands,
            Writer(directory.events, recovered.events) as events,
        ):
            commands.append(_stamped(1, 50))
            commands.sync()
            wrong = recovered.engine.run(_stamped(1, 50)).copy()
            wrong[20, 48] ^= 1
            events.append(wrong)
    follower = Follower(path, every=1, interval_s=3600, is_projected=False, events_keep_s=None)
    with pytest.raises(HistoryDiffers):
        follower.step()
    follower.close()
    assert snapshots.list_snapshots(path / "snapshots") == []


def test_checkpoint_with_a_lost_order_is_not_usable(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    engine.run(_stamped(1, 300))
    hashed = state_hash(engine.state)

    def forgetful(directory: pathlib.Path, sequence: int, arrays: dict, meta: dict) -> pathlib.Path:  # type: ignore[type-arg]  # as snapshots.write
        orders = arrays["orders"].copy()
        orders[int(np.flatnonzero(orders["order_id"])[0])] = 0
        return real(directory, sequence, {**arrays, "orders": orders}, meta)

    real = snapshots.write
    monkeypatch.setattr(snapshots, "write", forgetful)
    with pytest.raises(checkpoint.Unusable, match="hash"):
        checkpoint.save(tmp_path, engine.state)
    assert snapshots.list_snapshots(tmp_path) == []
    assert state_hash(engine.state) == hashed


def test_data_directory_in_use_is_refused_to_a_second_process(tmp_path: pathlib.Path) -> None:
    with DataDirectory(tmp_path / "var"), pytest.raises(DirectoryRefused), DataDirectory(tmp_path / "var"):
        raise AssertionError("two processes had one data directory")


def test_data_directory_that_is_refused_is_let_go_of(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "var"
    with DataDirectory(path):
        pass
    (path / "cluster.json").rename(path / "aside.json")
    (path / "cluster.json").write_text("{}")
    with pytest.raises(DirectoryRefused, match="does not name a cluster id"), DataDirectory(path):
        raise AssertionError("it was taken")
    (path / "aside.json").rename(path / "cluster.json")
    with DataDirectory(path):
        pass


def test_follower_that_can_not_be_started_is_tried_again_later(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No memory for another process is no reason to stop trading."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    follower = FollowerProcess(tmp_path)
    follower.step()
    assert "can not be started" in caplog.text
    follower.stop()


def test_follower_whose_server_was_gone_before_it_started_ends(tmp_path: pathlib.Path) -> None:
    _write(tmp_path / "var", 10)
    another = str(os.getppid())
    arguments = ["--data-dir", str(tmp_path / "var"), "--server-pid", another]
    ended = subprocess.run(
        [sys.executable, "-m", "exchange", "follow", *arguments], capture_output=True, check=False, timeout=120
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
