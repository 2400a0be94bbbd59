"""The engine's state at one sequence, computed beside a running server, as rows of the projection's tables.

Owns the translation of the engine's records into rows, and the sentences of what keeps a state from being computed
(`exchange/past.py` does that). Never writes, never locks, never asks the running engine.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from exchange import past
from exchange.core import readers
from exchange.core.codes import ListRole, ListStatus, ListType, OrderStatus, OrderType, Stage
from exchange.core.records import CLIENT_ID_BYTES
from exchange.core.state import State
from exchange.progress import ShowProgress
from journal.errors import Refused

Row = tuple[Any, ...]

ORDER_COLUMNS = (
    "order_id", "account", "symbol", "side", "order_type", "time_in_force", "stp_mode", "status", "price_ticks",
    "qty_lots", "submitted_lots", "leaves_lots", "quote_atoms", "filled_lots", "filled_quote_atoms",
    "created_ts_ns", "updated_ts_ns", "stop_price_ticks", "iceberg_lots", "trailing_bips", "peg_type",
    "peg_offset_levels", "list_role", "list_id", "close_reason", "waits", "working_ts_ns", "client_id",
)  # fmt: skip
LIST_COLUMNS = (
    "list_id", "event", "account", "symbol", "list_type", "list_status", "order_id_0", "order_id_1", "order_id_2",
    "created_ts_ns", "updated_ts_ns", "client_id",
)  # fmt: skip
SYMBOL_COLUMNS = (
    "symbol", "name", "base_asset", "quote_asset", "price_scale", "qty_scale", "base_atoms_per_lot",
    "quote_atoms_per_tick_lot", "price_step_ticks", "qty_step_lots", "maker_fee_ppm", "taker_fee_ppm",
)  # fmt: skip
_CLIENT_ID_WORDS = ("client_id_0", "client_id_1", "client_id_2", "client_id_3", "client_id_4")


class CannotCompute(Exception):
    """The engine's state at a sequence can not be had from the files; a sentence."""


def state_at(data_dir: pathlib.Path, sequence: int, progress: ShowProgress) -> State:
    """The engine's state after command `sequence`. Raises CannotCompute, OSError."""
    try:
        return past.retried(lambda: past.state_at(data_dir, sequence, progress))
    except past.BeyondEnd as error:
        raise CannotCompute(
            f"The projection has command {sequence}, the journal ends at {error.end}: acknowledged data is lost. Put "
            "the newer journal back, or rebuild the projection if losing it is what you decide."
        ) from error
    except past.ReplayDiffers as error:
        raise CannotCompute(str(error)) from error
    except (Refused, FileNotFoundError) as error:
        raise CannotCompute(
            f"The commands up to sequence {sequence} can not be replayed: {error} Wait until the projection "
            "has caught up, or put the older snapshot or segments back."
        ) from error


# ---- rows ---------------------------------------------------------------------------------------------------------


def balance_rows(state: State) -> Iterator[Row]:
    """(account, asset, available, locked) of every balance that is not zero, WORLD and FEES included."""
    stride = len(state.assets)
    table = state.balances
    at = np.flatnonzero((table.available != 0) | (table.locked != 0))
    columns = (at // stride, at % stride, table.available[at], table.locked[at])
    return zip(*(column.tolist() for column in columns), strict=True)


def asset_rows(state: State) -> Iterator[Row]:
    """(asset, name, scale) of every asset."""
    return ((asset.asset, _storable(asset.name), asset.scale) for asset in readers.assets(state))


def symbol_rows(state: State) -> Iterator[Row]:
    """SYMBOL_COLUMNS of every symbol."""
    named = (symbol._replace(name=_storable(symbol.name)) for symbol in readers.symbols(state))
    return (tuple(getattr(symbol, name) for name in SYMBOL_COLUMNS) for symbol in named)


def _storable(name: str) -> str:
    """A name without the zero character, which PostgreSQL's texts can not hold."""
    return name.replace("\0", "\ufffd")


def trade_counts(state: State) -> Iterator[Row]:
    """(symbol, id of its last trade) of every symbol."""
    return ((symbol.symbol, symbol.trades) for symbol in readers.symbols(state))


def open_order_rows(state: State) -> Iterator[Row]:
    """ORDER_COLUMNS of every open order, on the books and waiting."""
    at = np.flatnonzero(state.orders.order_id)
    order, detail = state.orders[at], state.details[at]
    terms = state.terms[detail.terms]
    called = (order.stage == Stage.PENDING) | (order.stage == Stage.DUE)
    is_stop = (order.order_type >= OrderType.STOP_LOSS) & (order.order_type <= OrderType.TAKE_PROFIT_LIMIT)
    waits = np.where(order.stage == Stage.BOOK, 0, np.where(called & is_stop, 2, 1))
    entered_ts_ns = np.where(terms.working_ts_ns > 0, terms.working_ts_ns, detail.created_ts_ns)
    working_ts_ns = np.where(waits == 0, entered_ts_ns, 0)
    status = np.where(called, OrderStatus.PENDING_NEW, OrderStatus.NEW)
    status = np.where(order.filled_lots > 0, OrderStatus.PARTIALLY_FILLED, status)
    nothing = np.zeros(len(at), np.int64)
    quantities = (order.leaves_lots, order.leaves_lots, nothing)
    fate = (state.lists[terms.list].list_id, nothing, waits, working_ts_ns)
    return _order_rows((order, detail, terms), status, quantities, fate)


def closed_order_rows(state: State) -> Iterator[Row]:
    """ORDER_COLUMNS of every order in the window of closed ones.

    Why it closed and when it went to work is not known there: zero, but of an order that did not wait.
    """
    header = state.header[0]
    at = np.arange(int(header.closed_first), int(header.closed_next)) % len(state.closed)
    closed = state.closed[at]
    nothing = np.zeros(len(at), np.int64)
    at_once = (closed.stop_price_ticks == 0) & (closed.trailing_bips == 0) & (closed.list_role <= ListRole.WORKING)
    fate = (closed.list_id, nothing, nothing, np.where(at_once, closed.created_ts_ns, 0))
    quantities = (closed.closed_lots, nothing, closed.quote_atoms)
    return _order_rows((closed, closed, closed), closed.status, quantities, fate)


def _order_rows(
    records: tuple[Any, Any, Any], status: Any, quantities: tuple[Any, Any, Any], fate: tuple[Any, ...]
) -> Iterator[Row]:
    """`records`: order, detail, terms; `quantities`: unfilled and open lots, quote atoms; `fate`: the last numbers."""
    order, detail, terms = records
    unfilled_lots, leaves_lots, quote = quantities
    columns = (
        *(order[name] for name in ORDER_COLUMNS[:7]),
        *(status, order.price_ticks, order.filled_lots + unfilled_lots, detail.submitted_lots, leaves_lots, quote),
        *(order.filled_lots, detail.filled_quote_atoms, detail.created_ts_ns, detail.updated_ts_ns),
        *(terms[name] for name in ORDER_COLUMNS[17:23]),
        *fate,
    )
    return zip(*(column.tolist() for column in columns), _client_ids(detail), strict=True)


def open_list_rows(state: State) -> Iterator[Row]:
    """LIST_COLUMNS of every open list; when it began is what its oldest open leg says, and its event is not known."""
    lists = state.lists[np.flatnonzero(state.lists.list_id)]
    legs = np.stack((lists.slot_0, lists.slot_1, lists.slot_2))
    ts_ns = np.where(legs != 0, state.details[legs].created_ts_ns, np.iinfo(np.int64).max).min(axis=0)
    has_three = (lists.list_type == ListType.OTOCO) | (lists.list_type == ListType.OPOCO)
    first = lists.first_order_id
    nothing = np.zeros(len(lists), np.int64)
    columns = (
        *(lists.list_id, nothing, lists.account, lists.symbol, lists.list_type, nothing + ListStatus.STARTED),
        *(first, first + 1, np.where(has_three, first + 2, 0), ts_ns, ts_ns),
    )
    return zip(*(column.tolist() for column in columns), _client_ids(lists), strict=True)


def _client_ids(detail: Any) -> Iterator[str | None]:
    """The client ids of records that hold them as words; None where there is none.

    What is not ASCII, or a zero within, the gateway never sends; the projection has a question mark for it.
    """
    packed = np.zeros(len(detail), np.dtype([(name, detail.dtype[name]) for name in _CLIENT_ID_WORDS]))
    for name in _CLIENT_ID_WORDS:
        packed[name] = detail[name]
    texts = (text.decode("ascii", "replace") for text in packed.view(f"S{CLIENT_ID_BYTES}").tolist())
    return (text.replace("\0", "?").replace("\ufffd", "?") or None for text in texts)
