"""Rows of the projection to the JSON of the API contract.

Owns field names, their order and the writing of amounts and times; amounts are written by the same grids as in answers
to commands. Rows are those of `exchange/persistence/history.py`.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator
from typing import Any

from exchange.core.codes import CommandKind, EventKind, OrderStatus, Side, Stage
from exchange.core.readers import OrderView
from exchange.gateway import answers
from exchange.gateway.amounts import Grid
from exchange.gateway.candle_grid import CandleGrid
from exchange.gateway.symbols import Reference, Rules

Json = dict[str, Any]
_SELL = int(Side.SELL)
_OPENING, _TRANSFERRED = 0, int(EventKind.TRANSFERRED)
_TYPES = {
    _OPENING: "OPENING",
    int(EventKind.ORDER_ACCEPTED): "HOLD",
    int(EventKind.ORDER_REDUCED): "RELEASE",
    int(EventKind.ORDER_CLOSED): "RELEASE",
    int(EventKind.PREVENTED): "RELEASE",
    int(EventKind.TRADE): "TRADE",
}
_EITHER_WAY = frozenset(map(int, (EventKind.ORDER_ENTERED, EventKind.ORDER_FUNDED)))
"""An order that goes to work, or a leg that is given what another bought, may need more than it held or less."""


def _is_open(row: Any) -> bool:
    """A leg that sells what another one buys is open and has no quantity yet."""
    return row["status"] in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_NEW)


def _stage(row: Any) -> Stage:
    """Where an order stands, as far as history tells: what can not be told from each other looks alike to its owner."""
    if row["working_ts_ns"] or not _is_open(row):
        return Stage.BOOK
    if row["status"] == OrderStatus.PENDING_NEW:
        return Stage.PENDING
    return Stage.TRAIL if row["trailing_bips"] and not row["stop_price_ticks"] else Stage.STOP


def order(rules: Rules, row: Any, unit_ns: int) -> Json:
    """An order as GET order shows it, without its `goodTillDate` and with its `expiryReason`."""
    view = OrderView(
        order_id=row["order_id"],
        account=row["account"],
        symbol=row["symbol"],
        side=row["side"],
        order_type=row["order_type"],
        time_in_force=row["time_in_force"],
        stp_mode=row["stp_mode"],
        status=row["status"],
        price_ticks=row["price_ticks"],
        leaves_lots=row["qty_lots"] - row["filled_lots"],
        filled_lots=row["filled_lots"],
        filled_quote_atoms=row["filled_quote_atoms"],
        quote_atoms=row["quote_atoms"],
        submitted_lots=row["submitted_lots"],
        created_ts_ns=row["created_ts_ns"],
        updated_ts_ns=row["updated_ts_ns"],
        expire_ts_ns=0,
        stage=_stage(row),
        stop_price_ticks=row["stop_price_ticks"],
        iceberg_lots=row["iceberg_lots"],
        shown_lots=0,
        trailing_bips=row["trailing_bips"],
        peg_type=row["peg_type"],
        peg_offset_levels=row["peg_offset_levels"],
        list_id=row["list_id"],
        list_role=row["list_role"],
        key=0,
        working_ts_ns=row["working_ts_ns"],
        is_open=_is_open(row),
        client_id=row["client_id"] or "",
    )
    answer = answers.order(rules, view, unit_ns)
    if row["status"] == OrderStatus.EXPIRED and row["close_reason"]:
        answer["expiryReason"] = answers.expiry_reason(row["close_reason"], row["list_role"])
    return answer


def amendment(rules: Rules, row: Any, unit_ns: int) -> Json:
    """An amendment; an order keeps its client id through it."""
    client_id = row["client_id"] or ""
    return {
        "symbol": rules.name,
        "orderId": row["order_id"],
        "executionId": row["sequence"],
        "origClientOrderId": client_id,
        "newClientOrderId": client_id,
        "origQty": rules.quantity.text(row["old_qty_lots"]),
        "newQty": rules.quantity.text(row["new_qty_lots"]),
        "time": row["ts_ns"] // unit_ns,
    }


def prevented_match(rules: Rules, row: Any, unit_ns: int) -> Json:
    """A match that self-trade prevention stopped; what it calls a trade group is the account of the taker."""
    return {
        "symbol": rules.name,
        "preventedMatchId": row["event"],
        "takerOrderId": row["taker_order_id"],
        "makerSymbol": rules.name,
        "makerOrderId": row["maker_order_id"],
        "tradeGroupId": row["account"],
        "selfTradePreventionMode": answers.STP_NAMES[row["stp_mode"]],
        "price": rules.price.text(row["price_ticks"]),
        "takerPreventedQuantity": rules.quantity.text(row["taker_prevented_lots"]),
        "makerPreventedQuantity": rules.quantity.text(row["maker_prevented_lots"]),
        "transactTime": row["ts_ns"] // unit_ns,
    }


def account_trade(rules: Rules, row: Any, unit_ns: int) -> Json:
    """One side of a trade; its commission is in the asset that this side receives."""
    asset, grid = (rules.base, rules.base_grid) if row["is_buyer"] else (rules.quote, rules.quote_grid)
    return {
        "symbol": rules.name,
        "id": row["trade_id"],
        "orderId": row["order_id"],
        "orderListId": row["list_id"] or answers.NO_LIST,
        "price": rules.price.text(row["price_ticks"]),
        "qty": rules.quantity.text(row["qty_lots"]),
        "quoteQty": rules.quote_grid.text(row["quote_atoms"]),
        "commission": grid.text(row["fee_atoms"]),
        "commissionAsset": asset.name,
        "time": row["ts_ns"] // unit_ns,
        "isBuyer": row["is_buyer"],
        "isMaker": row["is_maker"],
        "isBestMatch": True,
    }


def trade(rules: Rules, row: Any, unit_ns: int) -> Json:
    """A trade as anybody may see it."""
    return {
        "id": row["trade_id"],
        "price": rules.price.text(row["price_ticks"]),
        "qty": rules.quantity.text(row["qty_lots"]),
        "quoteQty": rules.quote_grid.text(row["quote_atoms"]),
        "time": row["ts_ns"] // unit_ns,
        "isBuyerMaker": row["side"] == _SELL,
        "isBestMatch": True,
    }


def agg_trade(rules: Rules, row: Any, unit_ns: int) -> Json:
    """Fills of one order at one price, as one."""
    return {
        "a": row["agg_id"],
        "p": rules.price.text(row["price_ticks"]),
        "q": rules.quantity.text(row["qty_lots"]),
        "f": row["first_id"],
        "l": row["last_id"],
        "T": row["ts_ns"] // unit_ns,
        "m": row["side"] == _SELL,
        "M": True,
    }


def candles(
    rules: Rules, grid: CandleGrid, numbers: range, rows: Iterable[Any], close_ticks: int, unit_ns: int
) -> Iterator[list[Any]]:
    """The candles of `numbers` from the `rows` that had a trade; the others repeat the close before them.

    `close_ticks` is the last price before the first of them; 0 when it has a trade of its own.
    """
    traded = {row["open_ts_ns"]: row for row in rows}
    price, quantity, quote = rules.price.text, rules.quantity.text, rules.quote_grid.text
    nothing, no_quote, close = quantity(0), quote(0), price(close_ticks)
    for number in numbers:
        open_ns = grid.open_ns(number)
        times = open_ns // unit_ns, grid.open_ns(number + 1) // unit_ns - 1
        row = traded.get(open_ns)
        if row is None:
            yield [times[0], close, close, close, close, nothing, times[1], no_quote, 0, nothing, no_quote, "0"]
            continue
        close = price(row["close_ticks"])
        yield [
            times[0],
            price(row["open_ticks"]),
            price(row["high_ticks"]),
            price(row["low_ticks"]),
            close,
            quantity(int(row["volume_lots"])),
            times[1],
            quote(int(row["quote_atoms"])),
            int(row["trades"]),
            quantity(int(row["taker_buy_lots"])),
            quote(int(row["taker_buy_quote_atoms"])),
            "0",
        ]


def _signed(grid: Grid, units: int) -> str:
    """A change as a decimal string, with a minus where something goes away."""
    return grid.text(units) if units >= 0 else f"-{grid.text(-units)}"


def _entry_type(row: Any) -> str:
    if row["kind"] == _TRANSFERRED:
        return CommandKind(row["command_kind"]).name
    if row["kind"] in _EITHER_WAY:
        return "HOLD" if row["locked_delta"] > 0 else "RELEASE"
    return _TYPES[row["kind"]]


def _posting(reference: Reference, row: Any) -> Json:
    grid = reference.grids[row["asset"]]
    return {
        "asset": reference.assets[row["asset"]].name,
        "available": _signed(grid, row["available_delta"]),
        "locked": _signed(grid, row["locked_delta"]),
    }


def entries(reference: Reference, rows: Iterable[Any], unit_ns: int) -> Iterator[Json]:
    """Rows of postings, in the order of their events, to one entry an event."""
    for event, postings in itertools.groupby(rows, operator.itemgetter("event")):
        row = next(postings)
        symbol = reference.by_id.get(row["symbol"])
        yield {
            "entryId": event,
            "sequence": row["sequence"],
            "time": row["ts_ns"] // unit_ns,
            "type": _entry_type(row),
            "symbol": symbol and symbol.name,
            "orderId": row["own_order_id"] or None,
            "tradeId": row["trade_id"] or None,
            "transferId": row["transfer_id"] or None,
            "postings": [_posting(reference, one) for one in (row, *postings)],
        }
