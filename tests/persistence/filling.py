"""A projection made by SQL alone: a million rows over four months, as a busy venue would leave them.

Account 16 has a third of everything, which is where a plan that fetches and sorts would show.
"""

from __future__ import annotations

from exchange.persistence.database import Connection
from exchange.persistence.schemas import Schemas, make_partitions

DAY_NS = 86_400 * 10**9
FIRST_NS = 1_767_225_600 * 10**9
"""2026-01-01."""
MONTHS_NS = (FIRST_NS, FIRST_NS + 31 * DAY_NS, FIRST_NS + 59 * DAY_NS, FIRST_NS + 90 * DAY_NS)
SPAN_NS = 120 * DAY_NS
ORDERS, TRADES, AGG_TRADES, EVENTS = 250_000, 250_000, 125_000, 250_000
LISTS = 50_000
CANDLES = 100_000
ACCOUNT = "case when i % 3 = 0 then 16 else 16 + i % 1000 end"

REFERENCE = """
insert into exchange_order.assets values (1, 'BTC', 8), (2, 'ETH', 8), (3, 'USDT', 8);
insert into exchange_order.symbols values
    (1, 'BTC_USDT', 1, 3, 2, 5, 1000, 10, 1, 1, 1000, 1000),
    (2, 'ETH_USDT', 2, 3, 2, 4, 10000, 100, 1, 1, 1000, 1000);
insert into exchange_order.projection values (true, decode(repeat('00', 16), 'hex'), 1, 0, 0, 0, 0, '', 1);
"""


async def make_months(connection: Connection) -> None:
    """The partitions of MONTHS_NS."""
    for month_ns in MONTHS_NS:
        await make_partitions(connection, Schemas(), month_ns)


async def fill(connection: Connection) -> None:
    """Rows in every table, and the statistics that PostgreSQL would have gathered by itself in time."""
    await connection.execute(
        "set statement_timeout = 0; set synchronous_commit = off; set maintenance_work_mem = '256MB'"
    )
    await connection.execute(REFERENCE)
    await make_months(connection)
    step = SPAN_NS // EVENTS
    await connection.execute(f"""
        insert into exchange_order.orders
        select i, {ACCOUNT}, 1 + i % 2, i % 2, 1, 1, 0, 3, 100, 10, 10, 0, 0, 10, 1000,
               {FIRST_NS} + i * {step}::bigint, {FIRST_NS} + i * {step}::bigint, 'c' || i
        from generate_series(1::bigint, {ORDERS - 1}) i;
        insert into exchange_clearing.balances
        select account, asset, 1000, 0 from generate_series(16, 1015) account, generate_series(1, 3) asset;
        insert into exchange_clearing.entries
        select i, {FIRST_NS} + i * {step}::bigint, i, 4, 32, 1 + i % 2, i, i - 1, i / 2, 0
        from generate_series(1::bigint, {EVENTS - 1}) i;
        insert into exchange_clearing.postings
        select {ACCOUNT}, asset, i, {FIRST_NS} + i * {step}::bigint, 1, -1
        from generate_series(1::bigint, {EVENTS - 1}) i, unnest(array[1 + i::integer % 2, 3]) asset;
        insert into exchange_order.amendments
        select 1 + i / 1000, i, i, {FIRST_NS} + i * {step}::bigint, 16, 1, 1001 - i % 1000, 1000 - i % 1000
        from generate_series(1::bigint, {EVENTS - 1}) i;
        insert into exchange_order.prevented_matches
        select i, {FIRST_NS} + i * {step}::bigint, i, 16, 1, i % 2, 1, 1 + i / 1000, 1000 + i / 1000, 100, 1, 1,
               1, 1, 16
        from generate_series(1::bigint, {EVENTS - 1}) i;
        insert into exchange_order.order_lists
        select i, i, {ACCOUNT}, 1 + i % 2, 1, 2, i, i + 1, 0, {FIRST_NS} + i * {step}::bigint,
               {FIRST_NS} + i * {step}::bigint, 'l' || i
        from generate_series(1::bigint, {LISTS}) i;
        insert into exchange_market.trades
        select 1 + i % 2, i / 2 + 1, {FIRST_NS} + i * {step}::bigint, i, i, i / 2 % 2, 100, 10, 1000,
               {ACCOUNT}, 17, i, i - 1, 1, 1
        from generate_series(1::bigint, {TRADES - 1}) i;
        insert into exchange_market.agg_trades
        select 1 + i % 2, i / 2 + 1, {FIRST_NS} + i * {2 * step}::bigint, i % 2, 100, 10, i, i
        from generate_series(1::bigint, {AGG_TRADES - 1}) i;
        insert into exchange_market.candles
        select 1 + i % 2, span, {FIRST_NS} + i / 2 * 60000000000, 100, 110, 90, 105, 10, 1000, 5, 5, 500
        from generate_series(0::bigint, {CANDLES // 2 - 1}) i, generate_series(1, 2) span
    """)
    await connection.execute("analyze")
