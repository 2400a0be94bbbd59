"""What each page of history holds: tables of pages and the ids that are on them, on rows made by SQL.

Times are written in hours after HOUR_0: order n, trade n and aggregate n of a symbol happen at hour n.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exchange.persistence import history
from exchange.persistence.database import Connection, Target
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.persistence.history import INT64_MAX, Page
from exchange.persistence.intervals import SPANS
from exchange.persistence.migrate import migrate
from exchange.settings import load
from tests.persistence.filling import FIRST_NS, MONTHS_NS, REFERENCE, make_months

HOUR_NS = 3_600 * 10**9
HOUR_0 = MONTHS_NS[1] - 4 * HOUR_NS
"""Four hours before a partition ends, so that pages reach over its end."""
ALICE, BOB = 16, 17

# Orders 1 to 9: odd ones are alice's, even ones bob's; order 9 is on another symbol. Trade n: bob buys from alice, but
# 4, where alice trades with herself. Trades 5 and 6 happen at once. Symbol 2 has trade 1 alone.
ROWS = f"""
insert into exchange_order.orders
select i, 16 + (i + 1) % 2, 1 + i / 9, i % 2, 1, 1, 0, 1, 100, 10, 10, 10, 0, 0, 0, {HOUR_0} + i * {HOUR_NS},
       {HOUR_0} + i * {HOUR_NS}, 'c' || i
from generate_series(1, 9) i;
insert into exchange_market.trades
select 1, i, {HOUR_0} + (i - i / 6) * {HOUR_NS}, 100 + i, i, 0, 100, 10, 1000,
       case i when 4 then 16 else 17 end, 16, case i when 4 then 3 else 2 end, 1, 1, 2
from generate_series(1, 6) i;
insert into exchange_market.trades values (2, 1, {HOUR_0}, 90, 1, 0, 100, 10, 1000, 17, 16, 9, 8, 1, 2);
insert into exchange_market.agg_trades
select 1, i, {HOUR_0} + i * {HOUR_NS}, 0, 100, 10, i, i + i / 5 from generate_series(1, 5) i;
"""


@pytest.fixture(scope="module")
def filled(server: EmbeddedPostgres) -> Target:
    """A database with ROWS, CANDLES and LEDGER, which every test of this module only reads."""
    return asyncio.run(_fill(Target.of(load({}, demo=True), server.folder)))


async def _fill(whole: Target) -> Target:
    maintenance = await whole.connect("tests")
    await maintenance.execute("create database filled")
    await maintenance.close()
    target = whole._replace(arguments=whole.arguments | {"database": "filled"})
    connection = await target.connect("tests")
    await migrate(connection)
    await connection.execute(REFERENCE)
    await make_months(connection)
    await connection.execute(ROWS + CANDLES + LEDGER)
    await connection.close()
    return target


@pytest.fixture
async def rows(filled: Target) -> AsyncIterator[Connection]:
    """A connection to the filled database."""
    connection = await filled.connect("tests")
    yield connection
    await connection.close()


def hour(first: int, last: int) -> dict[str, int]:
    """The bounds of a page: from one hour to another, both included."""
    return {"start_ns": HOUR_0 + first * HOUR_NS, "end_ns": HOUR_0 + last * HOUR_NS}


def ids(found: history.Rows, column: str) -> list[Any]:
    """One column of the rows."""
    return [row[column] for row in found]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (Page(500), [1, 3, 5, 7]),
        (Page(2), [5, 7]),
        (Page(2, newest=False), [1, 3]),
        (Page(2, newest=False, first_id=2), [3, 5]),
        (Page(2, newest=False, first_id=3), [3, 5]),
        (Page(500, newest=False, first_id=8), []),
        (Page(500, newest=False, first_id=INT64_MAX), []),
        (Page(500, newest=False, **hour(3, 5)), [3, 5]),
        (Page(500, newest=False, **hour(4, 4)), []),  # an order of bob lies there
        (Page(1, newest=False, **hour(2, 99)), [3]),
        (Page(1, newest=True, **hour(0, 6)), [5]),
        (Page(500, newest=False, first_id=4, **hour(1, 5)), [5]),
        (Page(500, newest=False, **hour(10, 99)), []),  # after the last order of the venue
        (Page(500, newest=True, **hour(-9, 0)), []),  # before the first
        (Page(500, newest=False, **hour(5, 3)), []),
    ],
)
async def test_page_of_orders(rows: Connection, page: Page, expected: list[int]) -> None:
    assert ids(await history.orders(rows, ALICE, 1, page), "order_id") == expected


async def test_orders_are_those_of_the_account_and_the_symbol(rows: Connection) -> None:
    assert ids(await history.orders(rows, BOB, 1, Page(500)), "order_id") == [2, 4, 6, 8]
    assert ids(await history.orders(rows, ALICE, 2, Page(500)), "order_id") == [9]
    assert await history.orders(rows, 99, 1, Page(500)) == []


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (Page(500), [1, 2, 3, 4, 5, 6]),
        (Page(2), [5, 6]),
        (Page(2, newest=False), [1, 2]),
        (Page(2, newest=False, first_id=5), [5, 6]),
        (Page(2, newest=False, first_id=7), []),
    ],
)
async def test_page_of_trades(rows: Connection, page: Page, expected: list[int]) -> None:
    assert ids(await history.trades(rows, 1, page), "trade_id") == expected


OWN = [(1, True), (2, True), (3, True), (4, False), (4, True), (5, True), (6, True)]
"""(trade id, whether alice was the maker)."""


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (Page(500), OWN),
        (Page(2), OWN[5:]),
        (Page(3), OWN[3:]),  # one row more: the two sides of a trade with oneself stay together
        (Page(4), OWN[3:]),
        (Page(4, newest=False), OWN[:5]),
        (Page(3, newest=False), OWN[:3]),
        (Page(1, newest=False, first_id=4), OWN[3:5]),
        (Page(500, newest=False, first_id=5), OWN[5:]),
        (Page(500, newest=False, **hour(3, 4)), OWN[2:5]),
        (Page(1, newest=False, **hour(2, 99)), OWN[1:2]),
        (Page(2, newest=True, **hour(0, 5)), OWN[5:]),  # both trades of that hour
        (Page(1, newest=True, **hour(0, 4)), OWN[3:5]),
        (Page(500, newest=False, **hour(6, 99)), []),
        (Page(500, newest=True, **hour(-9, 0)), []),
    ],
)
async def test_page_of_an_accounts_trades(rows: Connection, page: Page, expected: list[tuple[int, bool]]) -> None:
    found = await history.account_trades(rows, ALICE, 1, page)
    assert [(row["trade_id"], row["is_maker"]) for row in found] == expected


async def test_sides_of_a_trade_have_their_own_order_and_fee(rows: Connection) -> None:
    maker = (await history.account_trades(rows, ALICE, 1, Page(1, newest=False)))[0]
    taker = (await history.account_trades(rows, BOB, 1, Page(1, newest=False)))[0]
    assert (maker["order_id"], maker["fee_atoms"], maker["is_buyer"], maker["is_maker"]) == (1, 2, False, True)
    assert (taker["order_id"], taker["fee_atoms"], taker["is_buyer"], taker["is_maker"]) == (2, 1, True, False)


@pytest.mark.parametrize(
    ("account", "order_id", "page", "expected"),
    [
        (BOB, 2, Page(500), [1, 2, 3, 5, 6]),
        (BOB, 2, Page(2), [5, 6]),
        (BOB, 2, Page(2, newest=False, first_id=3), [3, 5]),
        (ALICE, 1, Page(500), [1, 2, 3, 4, 5, 6]),
        (ALICE, 3, Page(500), [4]),
        (ALICE, 2, Page(500), []),  # bob's order
        (ALICE, 99, Page(500), []),
    ],
)
async def test_page_of_an_orders_trades(
    rows: Connection, account: int, order_id: int, page: Page, expected: list[int]
) -> None:
    assert ids(await history.order_trades(rows, account, 1, order_id, page), "trade_id") == expected
    assert await history.order_trades(rows, account, 2, order_id, page) == []


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (Page(500), [1, 2, 3, 4, 5]),
        (Page(2), [4, 5]),
        (Page(2, newest=False), [1, 2]),
        (Page(2, newest=False, first_id=3), [3, 4]),
        (Page(2, newest=False, **hour(2, 9)), [2, 3]),
        (Page(2, newest=True, **hour(0, 3)), [2, 3]),
        (Page(500, newest=False, **hour(2, 3)), [2, 3]),
        (Page(500, newest=False, **hour(6, 9)), []),
    ],
)
async def test_page_of_aggregated_trades(rows: Connection, page: Page, expected: list[int]) -> None:
    assert ids(await history.agg_trades(rows, 1, page), "agg_id") == expected


# ---- candles ------------------------------------------------------------------------------------------------------

MINUTE_NS = 60 * 10**9
CANDLES = f"""
insert into exchange_market.candles
select 1, 1, {FIRST_NS} + i * {MINUTE_NS}, 100 + i, 110 + i, 90 + i, 105 + i, 10, 9223372036854775807, 2, 3, 7
from unnest(array[0, 1, 5, 60, 61]) i;
"""


async def test_candles_of_a_range_and_what_lies_before_it(rows: Connection) -> None:
    span = SPANS["1m"]
    assert await history.candle_extent(rows, 1, span) == (FIRST_NS, FIRST_NS + 61 * MINUTE_NS)
    assert await history.candle_extent(rows, 2, span) is None
    found = await history.candles(rows, 1, span, FIRST_NS + MINUTE_NS, FIRST_NS + 60 * MINUTE_NS)
    assert ids(found, "open_ticks") == [101, 105, 160]
    assert await history.close_before(rows, 1, span, FIRST_NS) == 0
    assert await history.close_before(rows, 1, span, FIRST_NS + MINUTE_NS) == 105
    assert await history.close_before(rows, 1, span, FIRST_NS + 59 * MINUTE_NS) == 110


async def test_folded_candles_have_the_ends_extremes_and_sums_of_what_they_are_made_of(rows: Connection) -> None:
    opens = [FIRST_NS - 30 * MINUTE_NS, FIRST_NS + 30 * MINUTE_NS, FIRST_NS + 90 * MINUTE_NS]
    found = await history.folded_candles(rows, 1, SPANS["1m"], opens, FIRST_NS + 150 * MINUTE_NS)
    big = INT64_MAX
    assert [tuple(row) for row in found] == [
        (opens[0], 100, 115, 90, 110, 30, 3 * big, 6, 9, 21),
        (opens[1], 160, 171, 150, 166, 20, 2 * big, 4, 6, 14),
    ]
    assert len(await history.folded_candles(rows, 1, SPANS["1m"], opens, FIRST_NS + 61 * MINUTE_NS)) == 2


# ---- ledger -------------------------------------------------------------------------------------------------------

# Event 1: alice deposits; 2: her hold (order 1); 3: bob's hold (order 2); 4: their trade; 5: alice trades with herself
# (orders 3 and 1); 6: her release (order 1).
LEDGER = f"""
insert into exchange_clearing.balances select account, asset, 0, 0
from unnest(array[0, 1, 16, 17]) account, unnest(array[1, 3]) asset;
insert into exchange_clearing.entries
select event, {HOUR_0} + event * {HOUR_NS}, event, kind, command, symbol, taker, maker, trade, transfer
from (values (1, 16, 16, 0, 0, 0, 0, 7), (2, 2, 32, 1, 1, 0, 0, 0), (3, 2, 32, 1, 2, 0, 0, 0),
             (4, 4, 32, 1, 2, 1, 1, 0), (5, 4, 32, 1, 3, 1, 2, 0), (6, 7, 33, 1, 1, 0, 0, 0))
     as v (event, kind, command, symbol, taker, maker, trade, transfer);
insert into exchange_clearing.postings
select account, asset, event, {HOUR_0} + event * {HOUR_NS}, available, locked
from (values (0, 1, 1, -10, 0), (16, 1, 1, 10, 0), (16, 1, 2, -10, 10), (17, 3, 3, -50, 50), (16, 1, 4, 0, -5),
             (17, 1, 4, 4, 0), (1, 1, 4, 1, 0), (17, 3, 4, 0, -50), (16, 3, 4, 49, 0), (1, 3, 4, 1, 0),
             (16, 1, 5, 1, -2), (1, 1, 5, 1, 0), (16, 3, 5, -1, 0), (1, 3, 5, 1, 0), (16, 1, 6, 3, -3))
     as v (account, asset, event, available, locked);
"""
POSTED = {ALICE: {1: [1, 2, 4, 5, 6], 3: [4, 5]}, BOB: {1: [4], 3: [3, 4]}}
"""account -> asset -> the events that posted to it."""


def events(found: history.Rows) -> list[int]:
    """The entries of the rows, each once; their order and postings are looked at too."""
    for row in found:
        assert row["available_delta"] or row["locked_delta"]
    keys = [(row["event"], row["asset"]) for row in found]
    assert keys == sorted(set(keys))
    return sorted(set(ids(found, "event")))


@pytest.mark.parametrize(
    ("account", "asset", "page", "expected"),
    [
        (ALICE, 0, Page(500), [1, 2, 4, 5, 6]),
        (ALICE, 0, Page(2), [5, 6]),
        (ALICE, 0, Page(3, newest=False), [1, 2, 4]),
        (ALICE, 0, Page(2, newest=False, first_id=3), [4, 5]),
        (ALICE, 0, Page(2, newest=False, first_id=4), [4, 5]),
        (ALICE, 0, Page(500, newest=False, first_id=7), []),
        (ALICE, 0, Page(500, newest=False, **hour(2, 4)), [2, 4]),
        (ALICE, 0, Page(1, newest=True, **hour(0, 5)), [5]),
        (ALICE, 0, Page(500, newest=False, first_id=5, **hour(2, 9)), [5, 6]),
        (ALICE, 0, Page(500, newest=False, first_id=2, **hour(4, 9)), [4, 5, 6]),
        (ALICE, 3, Page(500), [4, 5]),
        (ALICE, 3, Page(1), [5]),
        (ALICE, 2, Page(500), []),
        (BOB, 0, Page(500), [3, 4]),
        (BOB, 1, Page(500), [4]),
        (99, 0, Page(500), []),
    ],
)
async def test_page_of_the_ledger(rows: Connection, account: int, asset: int, page: Page, expected: list[int]) -> None:
    found = await history.ledger(rows, account, asset, page)
    assert events(found) == expected
    posted = [(event, one) for one, at in POSTED.get(account, {}).items() for event in at if asset in (0, one)]
    assert [(row["event"], row["asset"]) for row in found] == sorted(key for key in posted if key[0] in expected)


@pytest.mark.parametrize(
    ("account", "asset", "order_id", "page", "expected"),
    [
        (ALICE, 0, 1, Page(500), [2, 4, 5, 6]),
        (ALICE, 0, 1, Page(2), [5, 6]),
        (ALICE, 0, 1, Page(2, newest=False), [2, 4]),
        (ALICE, 0, 1, Page(2, newest=False, first_id=3), [4, 5]),
        (ALICE, 0, 1, Page(500, newest=False, **hour(4, 5)), [4, 5]),
        (ALICE, 3, 1, Page(1, newest=False), [4]),
        (ALICE, 2, 1, Page(500), []),
        (ALICE, 0, 3, Page(500), [5]),
        (BOB, 0, 2, Page(500), [3, 4]),
        (BOB, 0, 1, Page(500), []),  # alice's order, though bob traded with it
        (ALICE, 0, 99, Page(500), []),
    ],
)
async def test_page_of_the_ledger_of_an_order(
    rows: Connection, account: int, asset: int, order_id: int, page: Page, expected: list[int]
) -> None:
    found = await history.order_ledger(rows, account, asset, order_id, page)
    assert events(found) == expected
    assert set(ids(found, "own_order_id")) <= {order_id}


async def test_entry_names_the_accounts_own_order_and_never_the_others(rows: Connection) -> None:
    def named(found: history.Rows) -> dict[int, int]:
        return {row["event"]: row["own_order_id"] for row in found}

    assert named(await history.ledger(rows, ALICE, 0, Page(500))) == {1: 0, 2: 1, 4: 1, 5: 3, 6: 1}
    assert named(await history.ledger(rows, BOB, 0, Page(500))) == {3: 2, 4: 2}


# ---- how far ------------------------------------------------------------------------------------------------------


async def test_applied_is_the_projections_sequence_and_zero_without_one(connection: Connection) -> None:
    assert await history.applied(connection) == 0
    await connection.execute(REFERENCE)
    await connection.execute("update exchange_order.projection set applied_sequence = 42")
    assert await history.applied(connection) == 42


async def test_every_page_is_the_same_inside_a_history_transaction(rows: Connection) -> None:
    async def everything() -> list[history.Rows]:
        page = Page(3)
        return [
            await history.orders(rows, ALICE, 1, page),
            await history.trades(rows, 1, page),
            await history.account_trades(rows, ALICE, 1, page),
            await history.order_trades(rows, BOB, 1, 2, page),
            await history.agg_trades(rows, 1, page),
            await history.ledger(rows, ALICE, 0, page),
            await history.order_ledger(rows, ALICE, 0, 1, page),
        ]

    before = await everything()
    assert all(before)
    async with rows.transaction(isolation="repeatable_read", readonly=True):
        await history.applied(rows)
        assert await everything() == before
