"""Order lists as they are read, with the client ids of their legs.

Owns these statements, as `history.py` owns the others, and by the same rules. Never writes, never judges how far the
projection is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exchange.persistence.database import Connection
from exchange.persistence.history import Both, Page, Rows

_COLUMNS = """list_id, account, symbol, list_type, list_status, order_id_0, order_id_1, order_id_2, created_ts_ns,
    updated_ts_ns, client_id,
    array(select coalesce((select o.client_id from exchange_order.orders o where o.order_id = leg.order_id), '')
          from unnest(array[order_id_0, order_id_1, order_id_2]) with ordinality as leg (order_id, place)
          order by leg.place) as leg_client_ids"""
ORDER_LIST = f"select {_COLUMNS} from exchange_order.order_lists where list_id = $2 and account = $1"
ORDER_LIST_OF_CLIENT = f"""
select {_COLUMNS}
from exchange_order.order_lists
where account = $1 and client_id = $2
order by account desc, client_id desc, list_id desc
limit 1
"""
ORDER_LIST_BOUNDS = """
select (select list_id from exchange_order.order_lists where created_ts_ns >= $1
        order by created_ts_ns, list_id limit 1) as first_id,
       (select list_id from exchange_order.order_lists where created_ts_ns <= $2
        order by created_ts_ns desc, list_id desc limit 1) as last_id
"""
LEG_NAMES = """
select order_id, coalesce(client_id, '') as client_id
from exchange_order.orders
where order_id = any($1::bigint[])
"""
ORDER_LISTS = Both.of(f"""
select {_COLUMNS}
from exchange_order.order_lists
where (account, list_id) >= ($1, $2) and (account, list_id) <= ($1, $3)
order by account {{order}}, list_id {{order}}
limit $4
""")


async def order_list(connection: Connection, account: int, list_id: int = 0, client_id: str = "") -> Any | None:
    """A list of an account by its id, or by its client id (the newest); None: there is none."""
    if list_id:
        return await connection.fetchrow(ORDER_LIST, account, list_id)
    return await connection.fetchrow(ORDER_LIST_OF_CLIENT, account, client_id)


async def leg_names(connection: Connection, order_ids: Sequence[int]) -> Rows:
    """The client ids of orders."""
    rows: Rows = await connection.fetch(LEG_NAMES, order_ids)
    return rows


async def order_lists(connection: Connection, account: int, page: Page) -> Rows:
    """Lists of an account on all symbols; ids are list ids, times are when they began."""
    first_id, last_id = page.first_id, page.last_id
    if page.is_timed:
        row = await connection.fetchrow(ORDER_LIST_BOUNDS, page.start_ns, page.end_ns)
        if row["first_id"] is None or row["last_id"] is None:
            return []
        first_id, last_id = max(first_id, row["first_id"]), min(last_id, row["last_id"])
    return await ORDER_LISTS.fetch(connection, page, account, first_id, last_id, page.limit)
