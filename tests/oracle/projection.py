"""The projection a second time: what PostgreSQL must hold after a list of events, in dicts, one event after the other.

It shares with `exchange/persistence` the names of the columns and of the intervals, and nothing else. `tables()` gives
{table: sorted rows}, each row a dict by column.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from exchange.core.codes import CommandKind, EventKind, ListStatus, OrderStatus, OrderType, Side, Stage
from exchange.persistence.intervals import INTERVALS
from tests.oracle.clearing import AVAILABLE, POSTINGS_OF
from tests.oracle.venue import Asset, Symbol
from tests.oracle.words import Event

Row = dict[str, Any]
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECOND_NS = 10**9
TERMS = ("stop_price_ticks", "iceberg_lots", "trailing_bips", "peg_type", "peg_offset_levels", "list_id", "list_role")


def storable(name: str) -> str:
    """A name as PostgreSQL can hold it: its texts have no zero character."""
    return name.replace("\0", "\ufffd")


def begin_of(ts_ns: int, name: str, seconds: int) -> int:
    """When the candle of an interval begins that holds `ts_ns`."""
    moment = _EPOCH + dt.timedelta(seconds=ts_ns // _SECOND_NS)
    if name == "1M":
        begin = moment.replace(day=1, hour=0, minute=0, second=0)
    elif name == "1w":
        begin = moment.replace(hour=0, minute=0, second=0) - dt.timedelta(days=moment.weekday())
    else:
        begin = moment - dt.timedelta(seconds=int((moment - _EPOCH).total_seconds()) % seconds)
    return round((begin - _EPOCH).total_seconds()) * _SECOND_NS


class OracleProjection:
    """What the tables hold. `apply` event after event; the first has the ordinal `first_event`."""

    def __init__(self, first_event: int = 1) -> None:
        self.event = first_event - 1
        self.assets: dict[int, Asset] = {}
        self.symbols: dict[int, Symbol] = {}
        self.orders: dict[int, Row] = {}
        self.amendments: list[Row] = []
        self.prevented_matches: list[Row] = []
        self.order_lists: dict[int, Row] = {}
        self.balances: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        self.entries: list[Row] = []
        self.postings: list[Row] = []
        self.trades: list[Row] = []
        self.agg_trades: list[Row] = []
        self.candles: dict[tuple[int, int, int], Row] = {}
        self._run: tuple[int, ...] | None = None  # (sequence, symbol, taker, price) of the last trade
        self._readers: dict[EventKind, Callable[[Event], None]] = {
            EventKind.ASSET_ADDED: self._asset,
            EventKind.SYMBOL_ADDED: self._symbol,
            EventKind.SYMBOL_CHANGED: self._symbol,
            EventKind.ORDER_ACCEPTED: self._accepted,
            EventKind.ORDER_TERMS: self._terms,
            EventKind.ORDER_ENTERED: self._entered,
            EventKind.LIST_CHANGED: self._list,
            EventKind.ORDER_REDUCED: self._reduced,
            EventKind.ORDER_CLOSED: self._closed,
            EventKind.PREVENTED: self._prevented,
            EventKind.TRADE: self._trade,
        }

    def apply(self, e: Event) -> None:
        self.event += 1
        kind = EventKind(e["kind"])
        if kind in self._readers:
            self._readers[kind](e)
        if kind in POSTINGS_OF:
            self._post(e)

    def tables(self) -> dict[str, list[Row]]:
        """Every table's rows, sorted."""
        balances = [
            {"account": account, "asset": asset, "available": available, "locked": locked}
            for (account, asset), (available, locked) in self.balances.items()
        ]
        assets = [{"asset": one.asset, "name": one.name, "scale": one.scale} for one in self.assets.values()]
        tables = {
            "assets": assets,
            "symbols": [self._symbol_row(one) for one in self.symbols.values()],
            "orders": list(self.orders.values()),
            "amendments": self.amendments,
            "prevented_matches": self.prevented_matches,
            "order_lists": list(self.order_lists.values()),
            "balances": balances,
            "entries": self.entries,
            "postings": self.postings,
            "trades": self.trades,
            "agg_trades": self.agg_trades,
            "candles": list(self.candles.values()),
        }
        return {name: sorted(rows, key=sorted_row) for name, rows in tables.items()}

    # ---- reference data -------------------------------------------------------------------------------------------

    def _asset(self, e: Event) -> None:
        self.assets[e["asset"]] = Asset(e["asset"], e["scale"], storable(e["name"]))

    def _symbol(self, e: Event) -> None:
        base, quote = self.assets[e["base_asset"]], self.assets[e["quote_asset"]]
        scales = (e["price_scale"], e["qty_scale"])
        self.symbols[e["symbol"]] = Symbol(e["symbol"], base, quote, *scales, storable(e["name"]), dict(e), 0, 0)

    def _symbol_row(self, symbol: Symbol) -> Row:
        same = ("price_step_ticks", "qty_step_lots", "maker_fee_ppm", "taker_fee_ppm", "price_scale", "qty_scale")
        return {name: symbol.rules[name] for name in same} | {
            "symbol": symbol.symbol,
            "name": symbol.name,
            "base_asset": symbol.base.asset,
            "quote_asset": symbol.quote.asset,
            "base_atoms_per_lot": symbol.base_atoms_per_lot,
            "quote_atoms_per_tick_lot": symbol.quote_atoms_per_tick_lot,
        }

    # ---- orders ---------------------------------------------------------------------------------------------------

    def _accepted(self, e: Event) -> None:
        same = ("order_id", "account", "symbol", "side", "order_type", "time_in_force", "stp_mode", "price_ticks")
        self.orders[e["order_id"]] = {name: e[name] for name in (*same, "qty_lots", "quote_atoms")} | {
            "status": OrderStatus.NEW,
            "submitted_lots": 0 if e["quote_atoms"] else e["qty_lots"],
            "leaves_lots": e["qty_lots"],
            "filled_lots": 0,
            "filled_quote_atoms": 0,
            "created_ts_ns": e["ts_ns"],
            "updated_ts_ns": e["ts_ns"],
            "client_id": e["client_id"] or None,
            **dict.fromkeys((*TERMS, "close_reason", "waits"), 0),
            "working_ts_ns": e["ts_ns"],
        }

    def _terms(self, e: Event) -> None:
        order = self.orders[e["order_id"]]
        order |= {name: e[name] for name in TERMS}
        if e["stage"] == Stage.BOOK:
            return
        order |= {"waits": 1, "working_ts_ns": 0}
        if e["stage"] == Stage.PENDING:
            order["status"] = OrderStatus.PENDING_NEW
            if order["order_type"] not in (OrderType.LIMIT, OrderType.MARKET, OrderType.LIMIT_MAKER):
                order["waits"] = 2  # for its list, then for its price

    def _entered(self, e: Event) -> None:
        order = self.orders[e["order_id"]]
        order |= {"status": OrderStatus.NEW, "price_ticks": e["price_ticks"], "updated_ts_ns": e["ts_ns"]}
        order["qty_lots"] = order["leaves_lots"] = e["qty_lots"]
        order["waits"] -= 1
        if order["waits"] == 0:
            order["working_ts_ns"] = e["ts_ns"]

    def _list(self, e: Event) -> None:
        if e["list_status"] == ListStatus.DONE:
            self.order_lists[e["list_id"]] |= {"list_status": ListStatus.DONE, "updated_ts_ns": e["ts_ns"]}
            return
        same = ("list_id", "list_type", "list_status", "account", "symbol", "order_id_0", "order_id_1", "order_id_2")
        self.order_lists[e["list_id"]] = {name: e[name] for name in same} | {
            "event": self.event,
            "created_ts_ns": e["ts_ns"],
            "updated_ts_ns": e["ts_ns"],
            "client_id": e["client_id"] or None,
        }

    def _reduced(self, e: Event) -> None:
        order = self.orders[e["order_id"]]
        old_qty_lots = order["qty_lots"]
        order["qty_lots"] -= e["qty_lots"]
        same = {name: e[name] for name in ("order_id", "ts_ns", "sequence", "account", "symbol")}
        quantities = {"old_qty_lots": old_qty_lots, "new_qty_lots": order["qty_lots"]}
        self.amendments.append(same | quantities | {"event": self.event})
        order["leaves_lots"] -= e["qty_lots"]
        order["updated_ts_ns"] = e["ts_ns"]

    def _closed(self, e: Event) -> None:
        order = self.orders[e["order_id"]]
        order |= {"leaves_lots": 0, "status": e["status"], "close_reason": e["reason"], "updated_ts_ns": e["ts_ns"]}
        order |= {"price_ticks": e["price_ticks"], "qty_lots": e["filled_lots"] + e["qty_lots"]}

    def _prevented(self, e: Event) -> None:
        same = ("ts_ns", "sequence", "account", "symbol", "side", "stp_mode", "price_ticks")
        of_role = ("order_id", "prevented_lots", "leaves_lots")
        names = (*same, *(f"{role}_{name}" for role in ("taker", "maker") for name in of_role))
        more = {"event": self.event, "maker_account": e["maker_account"] or e["account"]}
        self.prevented_matches.append({name: e[name] for name in names} | more)
        for role in ("taker", "maker"):
            order, off, left = self.orders[e[f"{role}_order_id"]], e[f"{role}_prevented_lots"], e[f"{role}_leaves_lots"]
            if not off:
                continue
            order["leaves_lots"], order["updated_ts_ns"] = left, e["ts_ns"]
            if left:
                order["qty_lots"] -= off
            else:
                order["status"] = OrderStatus.EXPIRED_IN_MATCH

    # ---- trades ---------------------------------------------------------------------------------------------------

    def _trade(self, e: Event) -> None:
        for role in ("taker", "maker"):
            order, left = self.orders[e[f"{role}_order_id"]], e[f"{role}_leaves_lots"]
            order["leaves_lots"], order["updated_ts_ns"] = left, e["ts_ns"]
            order["filled_lots"] += e["qty_lots"]
            order["filled_quote_atoms"] += e["quote_atoms"]
            order["status"] = OrderStatus.PARTIALLY_FILLED if left else OrderStatus.FILLED
        same = (
            *("symbol", "trade_id", "ts_ns", "sequence", "side", "price_ticks", "qty_lots", "quote_atoms"),
            *("taker_account", "maker_account", "taker_order_id", "maker_order_id"),
            *("taker_fee_atoms", "maker_fee_atoms"),
        )
        self.trades.append({name: e[name] for name in same} | {"event": self.event})
        self._aggregate(e)
        for span, (name, seconds) in enumerate(INTERVALS):
            self._candle(e, span, begin_of(e["ts_ns"], name, seconds))

    def _aggregate(self, e: Event) -> None:
        run = (e["sequence"], e["symbol"], e["taker_order_id"], e["price_ticks"])
        if run == self._run:
            self.agg_trades[-1]["qty_lots"] += e["qty_lots"]
            self.agg_trades[-1]["last_id"] = e["trade_id"]
            return
        self._run = run
        same = {name: e[name] for name in ("symbol", "ts_ns", "side", "price_ticks", "qty_lots")}
        self.agg_trades.append(same | dict.fromkeys(("agg_id", "first_id", "last_id"), e["trade_id"]))

    def _candle(self, e: Event, span: int, open_ts_ns: int) -> None:
        price = e["price_ticks"]
        new: Row = {"symbol": e["symbol"], "span": span, "open_ts_ns": open_ts_ns, "open_ticks": price}
        new |= {"high_ticks": price, "low_ticks": price, "volume_lots": 0, "quote_atoms": 0, "trades": 0}
        new |= {"taker_buy_lots": 0, "taker_buy_quote_atoms": 0}
        candle = self.candles.setdefault((e["symbol"], span, open_ts_ns), new)
        candle["high_ticks"] = max(candle["high_ticks"], price)
        candle["low_ticks"] = min(candle["low_ticks"], price)
        candle["close_ticks"] = price
        candle["trades"] += 1
        candle["volume_lots"] += e["qty_lots"]
        candle["quote_atoms"] += e["quote_atoms"]
        if e["side"] == Side.BUY:
            candle["taker_buy_lots"] += e["qty_lots"]
            candle["taker_buy_quote_atoms"] += e["quote_atoms"]

    # ---- the ledger -----------------------------------------------------------------------------------------------

    def _post(self, e: Event) -> None:
        changes: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        for account, asset, part, change_atoms in POSTINGS_OF[EventKind(e["kind"])](e, self.symbols):
            changes[int(account), asset][part] += change_atoms
        changes = defaultdict(list, {key: change for key, change in changes.items() if any(change)})
        if not changes:
            return
        entry = {"event": self.event, "command_kind": e.get("command_kind", CommandKind.PLACE)}
        entry |= {name: e[name] for name in ("ts_ns", "sequence", "kind")}
        entry["order_id"] = e.get("order_id", e.get("taker_order_id", 0))
        for name in ("symbol", "maker_order_id", "trade_id", "transfer_id"):
            entry[name] = e.get(name, 0)
        self.entries.append(entry)
        for (account, asset), (available, locked) in changes.items():
            posting = {"account": account, "asset": asset, "event": self.event, "ts_ns": e["ts_ns"]}
            self.postings.append(posting | {"available_delta": available, "locked_delta": locked})
            self.balances[account, asset][AVAILABLE] += available
            self.balances[account, asset][1 - AVAILABLE] += locked


def sorted_row(row: Row) -> list[tuple[str, Any]]:
    """A row as something that compares: by column, nothing before everything."""
    return [(name, (row[name] is not None, row[name])) for name in sorted(row)]
