"""An event journal that recovery set aside and computed anew: the projection goes on wherever it stood."""

from __future__ import annotations

import pathlib

import pytest

from exchange.datadir import DataDirectory
from exchange.persistence.database import Target
from exchange.persistence.witness import projected_sequence
from exchange.recovery import recover
from exchange.settings import load
from journal.errors import Refused
from tests.persistence.journaled import JournaledVenue, opening, traffic
from tests.persistence.projecting import assert_equal, project

STRETCHES = 4
SNAPSHOT_AFTER = 2


async def damaged(target: Target, path: pathlib.Path, projected_after: int, *, retired: bool) -> JournaledVenue:
    """A venue whose event journal has rot in it, with a snapshot in the middle, and projected so far."""
    venue = JournaledVenue(path)
    venue.apply(opening(4))
    for stretch in range(STRETCHES):
        if stretch == SNAPSHOT_AFTER:
            venue.snapshot()
            covered = venue.sequence
        if stretch == projected_after:
            await project(target, venue)
        venue.roll()
        venue.apply(traffic(200, seed=stretch, accounts=4))
    venue.close()
    if retired:
        venue.retire(commands=covered)
    segments = sorted((path / "journal" / "events").glob("*.journal"))
    raw = bytearray(segments[-2].read_bytes())
    raw[5000] ^= 4
    segments[-2].write_bytes(raw)
    return venue


async def recovered(target: Target, venue: JournaledVenue) -> str:
    """Recover as the server does at its start; returns the report."""
    with DataDirectory(venue.path) as directory:
        seen = await projected_sequence(target, directory.cluster_id)
        return " ".join(recover(directory, load({}, demo=True, data_dir=venue.path), seen).report)


@pytest.mark.parametrize("projected_after", range(STRETCHES))
async def test_projection_goes_on_in_a_journal_computed_from_the_first_command(
    target: Target, tmp_path: pathlib.Path, projected_after: int
) -> None:
    venue = await damaged(target, tmp_path / "var", projected_after, retired=False)
    assert "events-aside-1" in await recovered(target, venue)
    await project(target, venue)
    await assert_equal(target, venue)


@pytest.mark.parametrize("projected_after", [SNAPSHOT_AFTER, SNAPSHOT_AFTER + 1], ids=["at it", "behind it"])
async def test_projection_goes_on_in_a_journal_computed_from_a_snapshot(
    target: Target, tmp_path: pathlib.Path, projected_after: int
) -> None:
    venue = await damaged(target, tmp_path / "var", projected_after, retired=True)
    assert "events-aside-1" in await recovered(target, venue)
    await project(target, venue)
    await assert_equal(target, venue)


async def test_projection_before_the_oldest_snapshot_is_refused(target: Target, tmp_path: pathlib.Path) -> None:
    """The follower keeps a snapshot at or before the projection; somebody deleted it."""
    venue = await damaged(target, tmp_path / "var", SNAPSHOT_AFTER - 1, retired=True)
    assert "events-aside-1" in await recovered(target, venue)
    with pytest.raises(Refused, match="no longer there"):
        await project(target, venue)
