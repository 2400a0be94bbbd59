"""The names of the projected schemas, and the monthly partitions of their large tables.

Owns how a partition is called and bounded: a month of engine time, by UTC. `exchange projection rebuild` fills the same
tables in schemas with a suffix. Partitions are made empty and then attached, which no reader of the table waits for.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from exchange.persistence.copying import Array
from exchange.persistence.intervals import MONTH, SPANS, floor_ns, next_ns

_MONTH = SPANS[MONTH]


class Schemas(NamedTuple):
    """Where the projection lies."""

    order: str = "exchange_order"
    clearing: str = "exchange_clearing"
    market: str = "exchange_market"

    @classmethod
    def suffixed(cls, suffix: str) -> Schemas:
        """The schemas with `suffix` behind each name."""
        return cls(*(name + suffix for name in cls()))

    @property
    def partitioned(self) -> tuple[tuple[str, str], ...]:
        """(schema, table) of those that are partitioned by month."""
        return (
            (self.clearing, "entries"),
            (self.clearing, "postings"),
            (self.market, "trades"),
            (self.market, "agg_trades"),
        )


def months_of(ts_ns: Array) -> list[int]:
    """The beginnings of the months that rising times lie in."""
    if not len(ts_ns):
        return []
    first, last = (int(month) for month in floor_ns(ts_ns[[0, -1]], _MONTH))
    if first == last:
        return [first]
    return [int(month) for month in np.unique(floor_ns(ts_ns, _MONTH))]


async def make_partitions(connection: Any, schemas: Schemas, month_ns: int) -> None:
    """Make the partitions of a month that are not there, in the transaction of the caller."""
    text = str(np.datetime64(month_ns, "ns").astype("datetime64[M]")).replace("-", "_")
    for schema, table in schemas.partitioned:
        name = f"{schema}.{table}_{text}"
        if await connection.fetchval("select to_regclass($1) is not null", name):
            continue
        await connection.execute(
            f"create table {name} (like {schema}.{table} including defaults including constraints);"
            f"alter table {schema}.{table} attach partition {name} "
            f"for values from ({month_ns}) to ({next_ns(month_ns, _MONTH)})"
        )
