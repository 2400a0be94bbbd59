"""What PostgreSQL holds, as the oracle says it."""

from __future__ import annotations

from typing import Any

from exchange.persistence.database import Connection
from exchange.persistence.schemas import Schemas
from tests.oracle.projection import Row, sorted_row


async def tables(connection: Connection, schemas: Schemas = Schemas()) -> dict[str, list[Row]]:  # noqa: B008  # a tuple
    """Every projected table's rows, sorted, as `OracleProjection.tables`."""
    lies_in = {
        schemas.order: ("assets", "symbols", "orders", "amendments", "prevented_matches", "order_lists"),
        schemas.clearing: ("balances", "entries", "postings"),
        schemas.market: ("trades", "agg_trades", "candles"),
    }
    found = {}
    for schema, names in lies_in.items():
        for name in names:
            rows = [dict(row) for row in await connection.fetch(f"select * from {schema}.{name}")]
            found[name] = sorted(rows, key=sorted_row)
    return found


def differences(expected: dict[str, list[Row]], found: dict[str, list[Row]]) -> list[str]:
    """A line for every row that only one side has."""
    lines = []
    for name, rows in expected.items():
        wanted, there = {_key(row): row for row in rows}, {_key(row): row for row in found[name]}
        lines += [f"{name}: oracle only {row}" for key, row in wanted.items() if key not in there]
        lines += [f"{name}: PostgreSQL only {row}" for key, row in there.items() if key not in wanted]
        if len(rows) != len(found[name]):
            lines.append(f"{name}: {len(found[name])} rows, expected {len(rows)}")
    return lines


def _key(row: Row) -> tuple[Any, ...]:
    return tuple((name, row[name]) for name in sorted(row))
