"""The routes that read order lists: one by its id or its client id, the open ones, all of an account.

An open list is a copy of the live state at one durable sequence; one that is done comes from history, and so do the
client ids of closed legs that the engine has forgotten. Never submits a command, never answers from a projection that
is behind.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from exchange.core import readers
from exchange.core.codes import ListStatus
from exchange.core.readers import OrderView
from exchange.core.state import State
from exchange.gateway.answers import Json
from exchange.gateway.catalogue import ORDER_LIST_ID, ORIG_LIST_CLIENT_ORDER_ID
from exchange.gateway.errors import Refusal, bad_combination
from exchange.gateway.history import answer_from, page, within_a_day
from exchange.gateway.list_answers import list_head
from exchange.gateway.open_lists import OpenList, Rows, each_list, list_rows
from exchange.gateway.orders import named_order
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Reference
from exchange.gateway.turns import in_turns, json_array
from exchange.gateway.venue import Venue
from exchange.persistence import history, list_history
from exchange.persistence.database import Connection


def _orders(state: State, account: int, order_ids: Iterable[int]) -> list[OrderView]:
    """Those of the orders that the engine knows, open or closed."""
    found = (readers.find_order(state, account, order_id) for order_id in order_ids)
    return [view for view in found if view is not None]


def _one(state: State, account: int, list_id: int, client_id: str) -> tuple[list[OpenList], list[OrderView], int]:
    """The open list that has the ids which are given, its legs, and the id that the next list will have."""
    lists = list(each_list(list_rows(state, account, list_id, client_id)))
    legs = _orders(state, account, itertools.chain.from_iterable(one.order_ids for one in lists))
    return lists, legs, int(state.header[0].next_list_id)


def _every_one(state: State, account: int) -> tuple[Rows, Iterator[OrderView]]:
    """The open lists, and the open orders, of an account."""
    rows = list_rows(state, account)
    return rows, readers.each_open_order(state, account) if len(rows) else iter(())


async def _names_of(venue: Venue, order_ids: list[int], sequence: int) -> dict[int, str]:
    """The client ids of orders that the engine has forgotten."""

    async def query(connection: Connection) -> history.Rows:
        return await list_history.leg_names(connection, order_ids)

    def make(rows: history.Rows) -> Iterator[tuple[int, str]]:
        return ((row["order_id"], row["client_id"]) for row in rows)

    found, _ = await venue.history.read(sequence, query, make, is_public=False)
    return dict(found)


async def _open_answers(
    venue: Venue, call: Call, lists: list[OpenList], legs: Iterator[OrderView], sequence: int
) -> Iterator[Json]:
    """Open lists; `legs` are orders of the account among which the open legs are.

    A closed leg is looked up later than the others: its client id does not change.
    """
    names: dict[int, str] = {}
    begun_ts_ns: dict[int, int] = {}

    def closed() -> Iterator[int]:
        return (order_id for one in lists for order_id in one.order_ids if order_id not in names)

    async for some in in_turns(legs):
        names |= {leg.order_id: leg.client_id for leg in some if leg.list_id}
        begun_ts_ns |= {leg.list_id: leg.created_ts_ns for leg in some}
    async for ids in in_turns(iter(list(closed()))):
        known, _ = venue.read(_orders, call.key.account, ids)
        names |= {leg.order_id: leg.client_id for leg in known}
    if forgotten := list(closed()):
        names = dict.fromkeys(forgotten, "") | await _names_of(venue, forgotten, sequence) | names
    by_id = call.face.reference.by_id
    return (
        list_head(
            by_id[one.symbol],
            one.list_id,
            one.list_type,
            one.client_id,
            begun_ts_ns[one.list_id] // call.unit_ns,
            [(order_id, names[order_id]) for order_id in one.order_ids],
            is_done=False,
        )
        for one in lists
    )


def _row_answer(reference: Reference, row: Any, unit_ns: int) -> Json:
    ids = itertools.takewhile(bool, (row["order_id_0"], row["order_id_1"], row["order_id_2"]))
    return list_head(
        reference.by_id[row["symbol"]],
        row["list_id"],
        row["list_type"],
        row["client_id"] or "",
        row["updated_ts_ns"] // unit_ns,
        zip(ids, row["leg_client_ids"], strict=False),
        is_done=row["list_status"] == ListStatus.DONE,
    )


async def get_order_list(venue: Venue, call: Call) -> Reply:
    """GET orderList: a list, open or done."""
    account, reference = call.key.account, call.face.reference
    list_id, named = named_order(call.params, ORDER_LIST_ID, ORIG_LIST_CLIENT_ORDER_ID)
    (lists, legs, next_list_id), sequence = venue.read(_one, account, list_id, named)
    for answer in await _open_answers(venue, call, lists, iter(legs), sequence):
        return Reply(answer, sequence)
    if list_id >= next_list_id or next_list_id == 1:
        raise _no_such_list()  # history can not know more than the engine

    async def query(connection: Connection) -> history.Rows:
        row = await list_history.order_list(connection, account, list_id, named)
        return [] if row is None or named not in ("", row["client_id"]) else [row]

    reply = await answer_from(venue, query, lambda rows: (_row_answer(reference, row, call.unit_ns) for row in rows))
    if not reply.body:
        raise _no_such_list()
    return reply._replace(body=reply.body[0])


def _no_such_list() -> Refusal:
    return Refusal(400, -2018, "Order list does not exist.")


async def get_open_order_lists(venue: Venue, call: Call) -> Reply:
    """GET openOrderList: the open lists of the account, on all symbols, oldest first."""
    (rows, legs), sequence = venue.read(_every_one, call.key.account)
    lists = [one async for some in in_turns(each_list(rows)) for one in some]
    return Reply(await json_array(await _open_answers(venue, call, lists, legs, sequence)), sequence)


async def all_order_lists(venue: Venue, call: Call) -> Reply:
    """GET allOrderList: lists of the account on all symbols, open and done."""
    params, reference = call.params, call.face.reference
    if "fromId" in params and ("startTime" in params or "endTime" in params):
        raise bad_combination()
    wanted = page(params, within_a_day(params))

    async def query(connection: Connection) -> history.Rows:
        return await list_history.order_lists(connection, call.key.account, wanted)

    return await answer_from(venue, query, lambda rows: (_row_answer(reference, row, call.unit_ns) for row in rows))
