"""Every statement of history on a million rows: along indexes, and not far along them.

EXPLAIN ANALYZE runs each in every shape that a request can give it, as a history request would: after APPLIED, with
values. There is no sequential scan of a table that grows, and no more rows are read than a page is made of.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest

from exchange.persistence import history, list_history, order_history
from exchange.persistence.database import Connection, Target
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.persistence.history import INT64_MAX, Both
from exchange.persistence.migrate import migrate
from exchange.settings import load
from tests.persistence import filling
from tests.persistence.filling import DAY_NS, FIRST_NS, SPAN_NS

LIMIT = 500
SMALL = {"projection", "assets", "symbols", "balances"}
BUSY, QUIET, NOBODY = 16, 17 + 333, 1_000_000
MIDDLE_NS = FIRST_NS + SPAN_NS // 2
ALWAYS, DAY, FROM, UNTIL = (0, INT64_MAX), (MIDDLE_NS, MIDDLE_NS + DAY_NS), (MIDDLE_NS, INT64_MAX), (0, MIDDLE_NS)
TIMES = (ALWAYS, DAY, FROM, UNTIL)
IDS = ((0, INT64_MAX), (filling.TRADES // 4, INT64_MAX), (100, 5_000))
ORDERS = ((3, 0), (3, 2_900), (1_003, 0), (10**9, 0))
"""Of which there are a thousand amendments and prevented matches each, and the id that a page begins with."""
MINUTE_NS = 60 * 10**9


def ids_of(times: tuple[int, int]) -> tuple[int, int]:
    """The trade ids between two times, which TRADE_BOUNDS finds out."""
    return tuple(max(0, at - FIRST_NS) * filling.TRADES // SPAN_NS // 2 for at in times)  # type: ignore[return-value]  # two of them


SHAPES: dict[str, list[tuple[Any, ...]]] = {
    "APPLIED": [()],
    "ORDER_BOUNDS": [*TIMES],
    "ORDERS": [(account, 1, *ids, LIMIT) for account in (BUSY, QUIET, NOBODY) for ids in IDS],
    "ORDER": [(BUSY, 1, order) for order in (300, 10**9)],
    "ORDER_OF_CLIENT": [(account, 1, name) for account in (BUSY, NOBODY) for name in ("c300", "c301", "nothing")],
    "AMENDMENTS": [(account, 1, order, first, LIMIT) for account in (BUSY, NOBODY) for order, first in ORDERS],
    "PREVENTED_MATCH": [(BUSY, 1, event) for event in (300, 10**9)],
    "ORDER_PREVENTED": [(account, 1, order, first, LIMIT) for account in (BUSY, NOBODY) for order, first in ORDERS],
    "DETAILS_FILLED": [()],
    "ORDER_LIST": [(BUSY, one) for one in (300, 10**9)],
    "ORDER_LIST_OF_CLIENT": [(account, name) for account in (BUSY, NOBODY) for name in ("l300", "l301", "nothing")],
    "ORDER_LIST_BOUNDS": [*TIMES],
    "LEG_NAMES": [([300, 301, 10**9],), (list(range(1, LIMIT)),)],
    "ORDER_LISTS": [(account, *ids, LIMIT) for account in (BUSY, QUIET, NOBODY) for ids in IDS],
    "TRADES": [(1, first, LIMIT) for first in (0, filling.TRADES // 4, INT64_MAX)],
    "TRADE_BOUNDS": [(1, *times) for times in TIMES],
    "ACCOUNT_TRADES": [
        *((account, 1, *ids, *ALWAYS, LIMIT) for account in (BUSY, QUIET, NOBODY) for ids in IDS),
        *((account, 1, *ids_of(times), *times, LIMIT) for account in (BUSY, QUIET, NOBODY) for times in TIMES),
        (17, 1, 0, INT64_MAX, *ALWAYS, LIMIT),  # a maker in every trade
    ],
    "ORDER_TRADES": [(BUSY, 1, order, first, LIMIT) for order in (3, 300, 10**9) for first in (0, 10**6)],
    "AGG_TRADES_FROM": [(1, first, LIMIT) for first in (0, filling.AGG_TRADES // 4, INT64_MAX)],
    "AGG_TRADES": [(1, *times, LIMIT) for times in TIMES],
    "CANDLE_EXTENT": [(1, 1), (99, 1)],
    "CANDLES": [(1, 1, FIRST_NS + 10 * DAY_NS, FIRST_NS + 10 * DAY_NS + (LIMIT - 1) * MINUTE_NS), (99, 1, *ALWAYS)],
    "CLOSE_BEFORE": [(1, 1, at) for at in (0, FIRST_NS + 10 * DAY_NS, INT64_MAX)],
    "FOLDED_CANDLES": [(1, 1, [FIRST_NS + at * 90 * MINUTE_NS for at in range(5)], FIRST_NS + 450 * MINUTE_NS)],
    "EVENT_TIME": [(event,) for event in (0, filling.EVENTS // 2, INT64_MAX)],
    "LEDGER": [
        (account, *assets, *times, event, LIMIT)
        for account in (BUSY, QUIET, NOBODY)
        for assets in ((0, history.INT32_MAX), (3, 3))
        for times in TIMES
        for event in (0, 10)
    ],
    "ORDER_ASSETS": [(300, BUSY), (10**9, BUSY)],
    "ORDER_LEDGER": [
        (BUSY, order, assets, *times, 0, LIMIT) for order in (300, 10**9) for assets in ([1, 3], [3]) for times in TIMES
    ],
}  # fmt: skip
MOST_ROWS = {"LEDGER": 8 * LIMIT, "ORDER_LEDGER": 8 * LIMIT, "ACCOUNT_TRADES": 3 * LIMIT, "ORDER_PREVENTED": 2 * LIMIT}
MOST_ROWS |= {"ORDER_LISTS": 4 * LIMIT, "ORDER_TRADES": 2 * LIMIT}
"""How many rows a page may read where that is more than a page has: a walk for each of three assets, an entry and an
order for each posting of the page; two roles, and the order of each trade; three legs of a list."""

FIRST_ROWS = 32
"""The first row of each of four partitions, which a merge in the order of ids looks at, in a few branches."""


class Statement(NamedTuple):
    """One text of history.py, order_history.py or list_history.py."""

    name: str
    text: str


def statements() -> Iterator[Statement]:
    """Every statement, those that go both ways as two."""
    for name, value in (vars(history) | vars(order_history) | vars(list_history)).items():
        if isinstance(value, Both):
            for end, text in value._asdict().items():
                yield Statement(f"{name}.{end}", text)
        elif isinstance(value, str) and "select" in value and not name.startswith("_"):
            yield Statement(name, value)


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a plan that read a table."""
    if "Relation Name" in plan:
        yield plan
    for child in plan.get("Plans", ()):
        yield from scans(child)


def rows_read(scan: dict[str, Any]) -> int:
    """How many rows a scan has looked at."""
    rows = scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    return int(rows * scan["Actual Loops"] + 0.5)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedPostgres, pathlib.Path]]:
    """A server of its own, which the million rows leave with it."""
    folder = tmp_path_factory.mktemp("plans")
    server = EmbeddedPostgres(folder / "postgres", connections=5)
    server.start()
    yield server, folder
    server.stop(10.0)


@pytest.fixture
async def connection(filled: tuple[EmbeddedPostgres, pathlib.Path]) -> AsyncIterator[Connection]:
    """A connection to the filled database; the first one fills it."""
    server, folder = filled
    opened = await Target.of(load({}, demo=True, data_dir=folder), server.folder).connect("tests")
    await migrate(opened)
    if not await opened.fetchval("select exists (select from exchange_market.trades)"):
        await filling.fill(opened)
    yield opened
    await opened.close()


async def explain(connection: Connection, text: str, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """The plan as it was carried out."""
    answer = await connection.fetchval(f"explain (analyze, timing off, buffers off, format json) {text}", *arguments)
    plan: dict[str, Any] = json.loads(answer)[0]["Plan"]
    return plan


def test_every_statement_has_its_shapes() -> None:
    assert {statement.name.partition(".")[0] for statement in statements()} == set(SHAPES)


@pytest.fixture
async def as_read(connection: Connection, analyzed: bool) -> AsyncIterator[Connection]:
    """The connection inside a history transaction; not `analyzed`: as if all partitions had been made an hour ago."""
    transaction = connection.transaction()
    await transaction.start()
    if not analyzed:
        await connection.execute("delete from pg_statistic; update pg_class set reltuples = -1 where relkind = 'r'")
    await history.applied(connection)
    yield connection
    await transaction.rollback()


@pytest.mark.parametrize("statement", list(statements()), ids=lambda statement: statement.name)
@pytest.mark.parametrize("analyzed", [True, False])
async def test_statement_on_a_million_rows_walks_indexes_and_reads_a_page(
    as_read: Connection, statement: Statement
) -> None:
    name = statement.name.partition(".")[0]
    for arguments in SHAPES[name]:
        plan = await explain(as_read, statement.text, arguments)
        read = {scan["Relation Name"]: 0 for scan in scans(plan)}
        for scan in scans(plan):
            table = scan["Relation Name"]
            assert scan["Node Type"] != "Seq Scan" or table in SMALL, (arguments, plan)
            read[table] += rows_read(scan)
        assert sum(read.values()) <= MOST_ROWS.get(name, LIMIT) + FIRST_ROWS, (arguments, read)
