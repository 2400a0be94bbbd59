"""Section 7, and sections 17 and 25 of the pages after it: the state as rows of integers, the inputs of the state hash.

Owns the order of the columns and how a text becomes words. Reads only.
"""

from __future__ import annotations

import struct

from exchange.core.codes import Limit, Stage
from tests.oracle.guard_rows import guard_rows
from tests.oracle.rules import rule_rows
from tests.oracle.venue import Order, OrderList, Symbol, Venue

Row = tuple[int, ...]


def client_id_words(client_id: str) -> Row:
    """36 characters as the record holds them: one i4 and four i8."""
    return struct.unpack("<i4q", client_id.encode("ascii").ljust(36, b"\0"))


def name_words(name: str) -> Row:
    return struct.unpack("<2q", name.encode("ascii").ljust(16, b"\0"))


def canonical(venue: Venue) -> dict[str, list[Row]]:
    """Every table of section 7, sorted."""
    tables: dict[str, list[Row]] = {
        "venue": [_venue_row(venue)],
        "asset": [(a.asset, a.scale, *name_words(a.name)) for a in venue.assets.values()],
        "symbol": _symbol_rows(venue),
        "account": [(a.account, a.mode, a.maker_fee_ppm, a.taker_fee_ppm) for a in venue.accounts.values()],
        "balance": [(*key, *parts) for key, parts in venue.ledger.balances.items() if any(parts)],
        "order": [_order_row(order) for order in venue.open_orders.values()],
        "closed": [_closed_row(ordinal, order) for ordinal, order in venue.window],
        "transfer": [(t.transfer_id, t.account, t.asset, t.amount_atoms, t.state) for t in venue.transfers.values()],
        "terms": [_terms_row(venue, o) for o in venue.open_orders.values() if o.is_special or o.key],
        "closed_terms": [(ordinal, *row) for ordinal, order in venue.window if any(row := _closed_terms(order))],
        "list": [_list_row(one) for one in venue.lists.values()],
        "lists": [(venue.next_list_id,)] if venue.next_list_id != 1 else [],
        "staged": _staged_rows(venue),
        "market": [_market_row(symbol) for symbol in venue.symbols.values() if symbol.watched],
        "rule": rule_rows(venue),
        **guard_rows(venue),
    }
    return {table: sorted(tuple(int(value) for value in row) for row in rows) for table, rows in tables.items()}


def _venue_row(venue: Venue) -> Row:
    return (
        venue.sequence,
        venue.ts_ns,
        venue.mode,
        venue.next_order_id,
        venue.link_failed_sequence,
        venue.next_ordinal,
        *(venue.limits[limit] for limit in Limit),
    )


def _symbol_rows(venue: Venue) -> list[Row]:
    return [
        (
            s.symbol,
            s.mode,
            s.base.asset,
            s.quote.asset,
            s.price_scale,
            s.qty_scale,
            s.rules["price_min_ticks"],
            s.rules["price_max_ticks"],
            s.rules["qty_min_lots"],
            s.rules["qty_max_lots"],
            s.rules["notional_min_atoms"],
            s.rules["notional_max_atoms"],
            s.rules["price_step_ticks"],
            s.rules["qty_step_lots"],
            s.rules["orders_max"],
            s.rules["maker_fee_ppm"],
            s.rules["taker_fee_ppm"],
            s.price_ceiling,
            s.qty_ceiling,
            s.trades,
            *name_words(s.name),
        )
        for s in venue.symbols.values()
    ]


def _order_row(o: Order) -> Row:
    return (
        o.order_id,
        o.account,
        o.symbol,
        o.side,
        o.order_type,
        o.time_in_force,
        o.stp_mode,
        o.price_ticks,
        o.leaves_lots,
        o.filled_lots,
        o.filled_quote_atoms,
        o.submitted_lots,
        o.created_ts_ns,
        o.updated_ts_ns,
        o.expire_ts_ns,
        *client_id_words(o.client_id),
        o.stands_in.ahead_of(o) if o.stands_in is not None else 0,
    )


def _closed_row(ordinal: int, o: Order) -> Row:
    return (
        ordinal,
        o.order_id,
        o.account,
        o.symbol,
        o.side,
        o.order_type,
        o.time_in_force,
        o.stp_mode,
        o.price_ticks,
        o.closed_lots,
        o.filled_lots,
        o.filled_quote_atoms,
        o.submitted_lots,
        o.quote_atoms,
        o.created_ts_ns,
        o.updated_ts_ns,
        o.expire_ts_ns,
        o.status,
        *client_id_words(o.client_id),
    )


def _terms_row(venue: Venue, o: Order) -> Row:
    trailing = [other.order_id for other in venue.symbols[o.symbol].trailing]
    place = trailing.index(o.order_id) if o.stage is Stage.TRAIL else 0
    return (
        o.order_id,
        o.stage,
        o.stop_price_ticks,
        o.iceberg_lots,
        o.shown_lots,
        o.held_atoms,
        o.extreme_ticks,
        o.working_ts_ns,
        o.trailing_bips,
        o.peg_type,
        o.peg_offset_levels,
        o.list_id,
        o.list_role,
        o.key,
        trailing[place - 1] if place else 0,
    )


def _closed_terms(o: Order) -> Row:
    return (
        o.stop_price_ticks,
        o.iceberg_lots,
        o.trailing_bips,
        o.peg_type,
        o.peg_offset_levels,
        o.list_id,
        o.list_role,
        o.key,
    )


def _list_row(one: OrderList) -> Row:
    ids = [leg.order_id if leg.closed_as is None else 0 for leg in one.legs]
    ids += [0] * (3 - len(ids))
    return (one.list_id, one.list_type, one.account, one.symbol, *ids, *client_id_words(one.client_id))


def _staged_rows(venue: Venue) -> list[Row]:
    return [
        (place, venue.staged[0]["list_type"], c["account"], c["symbol"], *client_id_words(c["client_id"]))
        for place, c in enumerate(venue.staged)
    ]


def _market_row(s: Symbol) -> Row:
    return (
        s.symbol,
        s.last_ticks,
        s.passed_low_ticks,
        s.passed_high_ticks,
        s.phase,
        s.phase_end_ts_ns,
        s.indicative_price_ticks,
        s.indicative_lots,
    )
