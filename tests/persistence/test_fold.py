"""The fold and the merges against the oracle: every row of every table, for any cut into batches."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from exchange.core.codes import EventFlag
from exchange.core.kernel import Engine
from exchange.core.records import event_dict
from exchange.persistence.database import Connection
from exchange.persistence.projection import Claimant, Projection
from exchange.persistence.schemas import Schemas
from tests.core.plans import BUSY, WIDE
from tests.core.streams import stream
from tests.oracle.projection import OracleProjection
from tests.persistence.reading import differences, tables

CLUSTER = bytes(range(16))
DAY_NS = 86_400 * 10**9
Events = np.ndarray[Any, np.dtype[np.uint8]]


def events_of(seed: int, kind: str, stretch_ns: int, count: int = 3_000) -> Events:
    """The engine's events of a seeded stream, whose clock goes `stretch_ns` times as fast from 2025-12-30 on."""
    commands, _, _ = stream(seed, count, kind)
    events = Engine().run(commands).copy()
    ts_ns = events[:, 8:16].view("<i8")
    ts_ns *= stretch_ns
    ts_ns += 20_452 * DAY_NS + 7
    return events


def batches(events: Events, chosen: random.Random, longest: int) -> list[Events]:
    """The events in batches of random length that end with a command."""
    ends = np.flatnonzero(events[:, 17] & EventFlag.LAST) + 1
    found, first = [], 0
    while first < len(events):
        least = min(first + chosen.randint(1, longest), len(events))
        end = int(ends[np.searchsorted(ends, least)])
        found.append(events[first:end])
        first = end
    return found


def oracle_of(events: Events) -> OracleProjection:
    oracle = OracleProjection()
    for slot in events:
        oracle.apply(event_dict(slot))
    return oracle


@pytest.mark.parametrize("longest", [3, 60, 100_000])
@pytest.mark.parametrize(("kind", "stretch_ns"), [(BUSY, 1), (BUSY, 10**11), (WIDE, 3 * 10**12)])
async def test_projection_of_a_stream_is_what_the_oracle_says(
    connection: Connection, kind: str, stretch_ns: int, longest: int
) -> None:
    events = events_of(longest, kind, stretch_ns)
    projection = await Projection.claim(connection, Schemas(), Claimant(CLUSTER, "test"))
    rows = 0
    for batch in batches(events, random.Random(longest), longest):
        rows += await projection.apply(batch)
    expected, found = oracle_of(events).tables(), await tables(connection)
    assert differences(expected, found) == []
    assert all(expected.values())
    assert rows >= sum(len(rows) for rows in expected.values())
    row = await connection.fetchrow("select * from exchange_order.projection")
    assert row["applied_event"] == len(events)
    assert [row["applied_sequence"], row["applied_ts_ns"]] == events[-1, :16].view("<i8").tolist()
