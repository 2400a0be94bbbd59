"""The fold and the merges against the oracle: every row of every table, for any cut into batches."""

from __future__ import annotations

import random

import numpy as np
import pytest

from exchange.core import readers
from exchange.core.codes import CloseReason, EventKind, OrderStatus
from exchange.core.event_records import TRADE
from exchange.core.kernel import Engine
from exchange.core.records import RECORD_BYTES
from exchange.persistence.database import Connection
from exchange.persistence.fold_market import fold_market
from exchange.persistence.intervals import SPANS
from exchange.persistence.projection import Claimant, Projection
from exchange.persistence.schemas import Schemas
from exchange.persistence.slots import Slots
from tests.core.guarded_streams import GuardedFlow
from tests.core.plans import BUSY, CONDITIONAL, WIDE
from tests.core.streams import Flow, stream
from tests.persistence.event_journal import Events, ends_of, events_of, oracle_of
from tests.persistence.reading import differences, tables
from tests.special_story import Story, slots_of

CLUSTER = bytes(range(16))


def batches(events: Events, chosen: random.Random, longest: int) -> list[Events]:
    """The events in batches of random length that end with a command."""
    ends = ends_of(events)
    found, first = [], 0
    while first < len(events):
        least = min(first + chosen.randint(1, longest), len(events))
        end = int(ends[np.searchsorted(ends, least)])
        found.append(events[first:end])
        first = end
    return found


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
    assert all(rows for name, rows in expected.items() if name != "order_lists")
    assert rows >= sum(len(rows) for rows in expected.values())
    row = await connection.fetchrow("select * from exchange_order.projection")
    assert row["applied_event"] == len(events)
    assert [row["applied_sequence"], row["applied_ts_ns"]] == events[-1, :16].view("<i8").tolist()


@pytest.mark.parametrize("longest", [1, 3, 7, 1_000])
async def test_projection_of_orders_that_wait_is_what_the_oracle_says(connection: Connection, longest: int) -> None:
    events = np.concatenate([command.events for command in Story().commands])
    projection = await Projection.claim(connection, Schemas(), Claimant(CLUSTER, "test"))
    for batch in batches(events, random.Random(longest), longest):
        await projection.apply(batch)
    expected = oracle_of(events).tables()
    assert differences(expected, await tables(connection)) == []
    assert all(expected.values())
    orders = {row["order_id"]: row for row in expected["orders"]}
    pending = orders[7]
    assert (pending["qty_lots"], pending["submitted_lots"], pending["status"]) == (3, 0, OrderStatus.CANCELED)
    assert 0 < pending["created_ts_ns"] < pending["working_ts_ns"] < pending["updated_ts_ns"]
    assert (orders[11]["waits"], orders[11]["working_ts_ns"], orders[11]["close_reason"]) == (1, 0, CloseReason.LIST)
    assert not any(balance["locked"] for balance in expected["balances"])


@pytest.mark.parametrize("longest", [2, 50, 100_000])
@pytest.mark.parametrize("flow", [Flow, GuardedFlow])
async def test_projection_of_a_stream_of_orders_that_wait_is_what_the_oracle_says(
    connection: Connection, flow: type[Flow], longest: int
) -> None:
    made = flow(70 + longest % 7, *[CONDITIONAL] * (flow is Flow))
    events = slots_of([event for told in made.take(1_500)[1] for event in told])
    projection = await Projection.claim(connection, Schemas(), Claimant(CLUSTER, "test"))
    for batch in batches(events, random.Random(longest), longest):
        await projection.apply(batch)
    expected = oracle_of(events).tables()
    assert differences(expected, await tables(connection)) == []
    assert len(expected["order_lists"]) > 1
    assert {row["close_reason"] for row in expected["orders"]} >= {CloseReason.CANCELED, CloseReason.LIST}


async def test_both_sides_of_a_month_and_a_leap_of_years_fit_in_one_batch(connection: Connection) -> None:
    events = events_of(1)
    ends = ends_of(events)
    march_ns, later_ns = (int(np.datetime64(day, "ns").astype(np.int64)) for day in ("2026-03-01", "2041-12-31"))
    ts_ns = events[:, 8:16].view("<i8")
    first, second = (int(ends[len(ends) * part // 3]) for part in (1, 2))
    ts_ns[:first], ts_ns[first:second], ts_ns[second:] = march_ns - 1, march_ns, later_ns
    projection = await Projection.claim(connection, Schemas(), Claimant(CLUSTER, "test"))
    await projection.apply(events)
    assert differences(oracle_of(events).tables(), await tables(connection)) == []
    parts = "select inhrelid::regclass::text from pg_inherits where inhparent = 'exchange_market.trades'::regclass"
    partitions = sorted(row[0] for row in await connection.fetch(parts))
    assert partitions == [f"exchange_market.trades_{month}" for month in ("2026_02", "2026_03", "2041_12")]


@pytest.mark.parametrize("kind", [BUSY, CONDITIONAL])
async def test_order_rows_are_what_the_engine_shows(connection: Connection, kind: str) -> None:
    """A client must not see another order in its history than it saw while the engine remembered it."""
    commands, _, _ = stream(11, 2_000, kind)
    engine = Engine()
    projection = await Projection.claim(connection, Schemas(), Claimant(CLUSTER, "test"))
    compared, closed = 0, set()
    for first in range(0, len(commands), 20):
        events = engine.run(commands[first : first + 20]).copy()
        await projection.apply(events)
        ts_ns = int(events[0, 8:16].view("<i8")[0])
        rows = await connection.fetch("select * from exchange_order.orders where updated_ts_ns >= $1", ts_ns)
        for row in rows:
            view = readers.find_order(engine.state, row["account"], row["order_id"])
            if view is None:
                continue
            shown = view._asdict()
            same = shown.keys() & set(row.keys()) - {"leaves_lots", "client_id", "working_ts_ns"}
            assert {name: row[name] for name in same} == {name: shown[name] for name in same}
            assert view.working_ts_ns in (0, row["working_ts_ns"])
            assert row["qty_lots"] == view.qty_lots
            assert row["leaves_lots"] == (view.leaves_lots if view.is_open else 0)
            assert row["client_id"] == (view.client_id or None)
            compared += 1
            closed.add(row["status"])
    assert compared > 300
    assert closed == set(OrderStatus) - ({OrderStatus.PENDING_NEW} if kind == BUSY else set())


def test_candle_sums_pass_63_bits() -> None:
    events = events_of(5, stretch_ns=1)
    trades = events[events[:, 16] == EventKind.TRADE].view(TRADE).reshape(-1)
    trades["qty_lots"] = (1 << 61) + np.arange(len(trades))
    trades["quote_atoms"] = (1 << 62) - 1
    _, _, candles = fold_market(Slots(trades.view(np.uint8).reshape(-1, RECORD_BYTES), 1))
    months = candles["span"] == SPANS["1M"]

    def sum_of(name: str) -> int:
        high, low = (int(candles[f"{name}_{word}"][months].sum()) for word in ("high", "low"))
        return (high << 32) + low

    assert sum_of("volume_lots") == sum(trades["qty_lots"].tolist()) > 1 << 63
    assert sum_of("quote_atoms") == len(trades) * ((1 << 62) - 1)
