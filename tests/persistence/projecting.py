"""Projecting a venue's journal in a test, and holding the result against the engine.

`project` does it in this process, for tests of what is made of a projection. Tests of the projector itself start the
real process (`child.py`).
"""

from __future__ import annotations

from exchange.persistence.database import Target
from exchange.persistence.event_log import EventLog
from exchange.persistence.projection import Claimant, Projection
from exchange.persistence.schemas import Schemas
from exchange.persistence.verify import Report, verify
from tests.persistence.journaled import JournaledVenue

BATCH_EVENTS = 1_500


async def project(target: Target, venue: JournaledVenue, token: str = "tests") -> None:
    """Bring the projection of a migrated database up to the end of the venue's journal."""
    connection = await target.connect("tests")
    try:
        projection = await Projection.claim(connection, Schemas(), Claimant(venue.cluster_id, token))
        log = EventLog(venue.path / "journal" / "events", projection.position)
        while (events := log.read(BATCH_EVENTS)) is not None:
            await projection.apply(events)
        log.close()
        assert projection.position.event == venue.event
    finally:
        await connection.close()


def silent(_done: int, _total: int) -> None:
    """Nobody looks at a progress bar."""


async def compare(target: Target, venue: JournaledVenue) -> Report:
    """What `exchange projection verify` finds."""
    return await verify(target, venue.path, silent)


async def assert_equal(target: Target, venue: JournaledVenue) -> None:
    """The projection has all of the venue's journal and equals the engine."""
    report = await compare(target, venue)
    assert report.differences == {}, "\n".join(report.sentences())
    assert (report.sequence, report.event) == (venue.sequence, venue.event)
