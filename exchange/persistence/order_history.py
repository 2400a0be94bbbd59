"""What became of an order, as it is read: the order itself, its amendments, its prevented matches.

Owns these statements, as `history.py` owns the others, and by the same rules. Never writes, never judges how far the
projection is.
"""

from __future__ import annotations

from typing import Any

from exchange.persistence.database import Connection
from exchange.persistence.history import INT64_MAX, ORDER_COLUMNS, Page, Rows

ORDER = f"""
select {ORDER_COLUMNS}
from exchange_order.orders
where order_id = $3 and account = $1 and symbol = $2
"""
ORDER_OF_CLIENT = f"""
select {ORDER_COLUMNS}
from exchange_order.orders
where (account, client_id, symbol, order_id) >= ($1, $3, $2, 0)
  and (account, client_id, symbol, order_id) <= ($1, $3, $2, {INT64_MAX}) and client_id is not null
order by account desc, client_id desc, symbol desc, order_id desc
limit 1
"""
# The id of an order names one account and one symbol, so that they are only looked at afterwards.
AMENDMENTS = """
select order_id, sequence, ts_ns, old_qty_lots, new_qty_lots,
       (select client_id from exchange_order.orders where order_id = $3) as client_id
from (select * from exchange_order.amendments
      where order_id = $3 and sequence >= $4
      order by sequence limit $5) as own
where account = $1 and symbol = $2
order by sequence
"""
_MATCH_COLUMNS = """event, ts_ns, account, symbol, stp_mode, taker_order_id, maker_order_id, price_ticks,
    taker_prevented_lots, maker_prevented_lots"""
PREVENTED_MATCH = f"""
select {_MATCH_COLUMNS}
from exchange_order.prevented_matches
where event = $3 and $1 in (account, maker_account) and symbol = $2
"""
ORDER_PREVENTED = f"""
select * from (
    (select {_MATCH_COLUMNS}, account as owner
     from exchange_order.prevented_matches
     where taker_order_id = $3 and event >= $4
     order by event limit $5)
    union all
    (select {_MATCH_COLUMNS}, maker_account as owner
     from exchange_order.prevented_matches
     where maker_order_id = $3 and event >= $4
     order by event limit $5)
) as own
where owner = $1 and symbol = $2
order by event
limit $5
"""
DETAILS_FILLED = "select details_filled from exchange_order.projection"


async def order(connection: Connection, account: int, symbol: int, order_id: int, client_id: str) -> Any | None:
    """An order of an account on a symbol by its id, by its client id (the newest), or by both; None: there is none."""
    if not order_id:
        return await connection.fetchrow(ORDER_OF_CLIENT, account, symbol, client_id)
    row = await connection.fetchrow(ORDER, account, symbol, order_id)
    return row if row is None or client_id in ("", row["client_id"]) else None


async def details_filled(connection: Connection) -> bool:
    """Whether amendments and prevented matches are as complete as they will ever be."""
    return bool(await connection.fetchval(DETAILS_FILLED))


async def amendments(connection: Connection, account: int, symbol: int, order_id: int, page: Page) -> Rows:
    """Amendments of an order, oldest first; ids are the sequences of their commands."""
    rows: Rows = await connection.fetch(AMENDMENTS, account, symbol, order_id, page.first_id, page.limit)
    return rows


async def prevented_match(connection: Connection, account: int, symbol: int, event: int) -> Rows:
    """The prevented match of that id, the ordinal of its event; no row when there is none."""
    rows: Rows = await connection.fetch(PREVENTED_MATCH, account, symbol, event)
    return rows


async def order_prevented(connection: Connection, account: int, symbol: int, order_id: int, page: Page) -> Rows:
    """Prevented matches of an order, whichever side it was on, oldest first."""
    rows: Rows = await connection.fetch(ORDER_PREVENTED, account, symbol, order_id, page.first_id, page.limit)
    return rows
