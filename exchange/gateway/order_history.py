"""The routes that read what became of orders: amendments, prevented matches, and an order that the engine forgot.

Owns the two lists, and what GET order does when the engine does not know the order. Never submits a command, never
answers from a projection that is behind, nor from one whose older amendments are still being read from the journal.
"""

from __future__ import annotations

from exchange.core.state import State
from exchange.gateway import history_answers
from exchange.gateway.catalogue import (
    AMENDED_ORDER_ID,
    FROM_EXECUTION_ID,
    FROM_PREVENTED_MATCH_ID,
    LIMIT,
    ONE_ORDER_ID,
    PREVENTED_MATCH_ID,
)
from exchange.gateway.errors import Refusal, bad_combination
from exchange.gateway.history import answer_from, each
from exchange.gateway.history_reading import HISTORY_BEHIND, RETRY_AFTER_S
from exchange.gateway.orders import symbol_rules
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Rules
from exchange.gateway.venue import Venue
from exchange.persistence import order_history
from exchange.persistence.database import Connection
from exchange.persistence.history import Page, Rows

_MATCH_COMBINATIONS: tuple[set[str], ...] = (
    {"preventedMatchId"},
    {"orderId"},
    {"orderId", "fromPreventedMatchId"},
)
_MATCH_FILTERS = set.union(*_MATCH_COMBINATIONS)


async def _check_filled(connection: Connection) -> None:
    if not await order_history.details_filled(connection):
        raise Refusal(
            503,
            -1001,
            "Older amendments and prevented matches are still being read from the journal; ask again later.",
            retry_after_s=RETRY_AFTER_S,
            reason=HISTORY_BEHIND,
        )


async def amendments(venue: Venue, call: Call) -> Reply:
    """GET order/amendments: how the quantity of an order became smaller."""
    rules, params = symbol_rules(call), call.params
    order_id = AMENDED_ORDER_ID.read(params)
    wanted = Page(LIMIT.read(params), newest=False, first_id=FROM_EXECUTION_ID.read(params))

    async def query(connection: Connection) -> Rows:
        await _check_filled(connection)
        return await order_history.amendments(connection, call.key.account, rules.symbol, order_id, wanted)

    return await answer_from(venue, query, each(history_answers.amendment, rules, call.unit_ns))


async def prevented_matches(venue: Venue, call: Call) -> Reply:
    """GET myPreventedMatches: matches within the account or its trade group that were stopped; one, or an order's."""
    rules, params = symbol_rules(call), call.params
    if params.keys() & _MATCH_FILTERS not in _MATCH_COMBINATIONS:
        raise bad_combination()
    match_id, order_id = PREVENTED_MATCH_ID.read(params), ONE_ORDER_ID.read(params)
    wanted = Page(LIMIT.read(params), newest=False, first_id=FROM_PREVENTED_MATCH_ID.read(params))

    async def query(connection: Connection) -> Rows:
        await _check_filled(connection)
        account = call.key.account
        if match_id:
            return await order_history.prevented_match(connection, account, rules.symbol, match_id)
        return await order_history.order_prevented(connection, account, rules.symbol, order_id, wanted)

    return await answer_from(venue, query, each(history_answers.prevented_match, rules, call.unit_ns))


async def allocations(venue: Venue, call: Call) -> Reply:
    """GET myAllocations: none, because orders are not routed anywhere else."""
    symbol_rules(call)
    return Reply([])


def _memory(state: State) -> tuple[int, bool]:
    """The id that the next order will have, and whether the engine has forgotten any."""
    header = state.header[0]
    return int(header.next_order_id), bool(header.closed_first)


async def older_order(venue: Venue, call: Call, rules: Rules, order_id: int, client_id: str) -> Reply:
    """An order of a symbol that the engine does not know; -2013 when history has none either. Raises Refusal."""
    (next_order_id, has_forgotten), _ = venue.read(_memory)
    if order_id >= next_order_id or not has_forgotten:
        raise _no_order()  # history can not know more than the engine

    async def query(connection: Connection) -> Rows:
        row = await order_history.order(connection, call.key.account, rules.symbol, order_id, client_id)
        return [] if row is None else [row]

    reply = await answer_from(venue, query, each(history_answers.order, rules, call.unit_ns))
    if not reply.body:
        raise _no_order()
    return reply._replace(body=reply.body[0])


def _no_order() -> Refusal:
    return Refusal(400, -2013, "Order does not exist.")
