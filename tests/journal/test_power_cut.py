"""Power cuts at any operation of the writer and of recovery, on a disk that keeps any part of what was not synced."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.errors import Refused
from journal.recovery import begin_epoch
from journal.segments import retire
from journal.writer import Writer
from tests.journal import journals, sim_disk
from tests.journal.sim_disk import PowerCut, SimDisk

SEGMENT_BYTES = 2048


def run(disk: SimDisk, random_: random.Random, acknowledged: list[int]) -> None:
    """Recover, then append and sync until the power goes; note every sequence that a sync has confirmed."""
    recovered = journals.recover(disk, acknowledged=acknowledged[0])
    position = begin_epoch(disk, recovered, segment_bytes=SEGMENT_BYTES)
    with Writer(disk, position) as writer:
        for _ in range(random_.randrange(12)):
            for _ in range(random_.choice((1, 1, 1, 2))):
                writer.append(journals.records(writer.position.last_sequence + 1, random_.randrange(1, 7)))
            writer.sync()
            acknowledged[0] = writer.position.durable_upto


def lives(seed: int, cuts: list[int]) -> None:
    """Live through power cuts after `cuts` operations each; nothing acknowledged is missing, nothing is invented."""
    disk, random_, acknowledged = SimDisk(seed), random.Random(seed), [0]
    for cut in cuts:
        disk.cut_at = disk.operations + cut
        try:
            run(disk, random_, acknowledged)
        except PowerCut:
            disk.crash()
        disk.cut_at = None
    last = journals.recover(disk, acknowledged=acknowledged[0]).last_sequence
    assert last >= acknowledged[0]
    assert journals.read(disk) == journals.expected(last)


@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_journal_after_any_power_cuts_has_everything_acknowledged(seed: int, cuts: list[int]) -> None:
    lives(seed, cuts)


def test_journal_power_cut_at_each_operation_in_turn_is_whole() -> None:
    for cut in range(1, 80):
        for seed in range(4):
            lives(seed, [40, cut, cut])


@pytest.mark.parametrize("forgotten", ["file", "directory"])
def test_disk_that_ignores_syncs_loses_acknowledged_data(forgotten: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is sharp: without the sync of files, or of the directory, some cut loses what was acknowledged."""

    def ignored(self: object) -> None:
        """Says that all is on disk."""

    monkeypatch.setattr(sim_disk.SimFile if forgotten == "file" else sim_disk.SimDisk, "sync", ignored)

    def many_lives() -> None:
        for seed in range(50):
            lives(seed, [30, 30, 30])

    with pytest.raises((Refused, AssertionError)):
        many_lives()


def test_retire_power_cut_at_each_removal_leaves_no_gap() -> None:
    for cut, seed in itertools.product(range(1, 14), range(4)):
        disk = SimDisk(seed)
        journals.write(disk, [5] * 12, segment_bytes=SEGMENT_BYTES)
        disk.cut_at = disk.operations + cut
        try:
            retire(disk, 40)
        except PowerCut:
            disk.crash()
        disk.cut_at = None
        assert journals.recover(disk, first_needed=41).last_sequence == 60
        assert journals.read(disk, 41) == journals.expected(60, 41)
