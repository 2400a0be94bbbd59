"""The JSON of private events: Binance's fields, the sequence, and the bytes.

Owns field names and their order. A message is made once, with its times in nanoseconds; `encode` writes it in a unit of
time. Equal events give equal bytes: nothing here reads a clock or draws a number.

Source: section 7 of the API contract. Differences are listed in docs/private-events.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson

from exchange.core.codes import ListStatus, OrderStatus, RejectCode, Side
from exchange.gateway.answers import (
    PEG_NAMES,
    SIDE_NAMES,
    STATUS_NAMES,
    STP_NAMES,
    TIME_IN_FORCE_NAMES,
    TYPE_NAMES,
    Json,
    expiry_reason,
)
from exchange.gateway.catalogue import PRICE_LEVEL
from exchange.gateway.list_answers import CONTINGENCIES, DONE, STARTED
from exchange.gateway.private.orders import Order
from exchange.gateway.symbols import Reference, Rules
from exchange.gateway.wire import ListEvent, OrderEvent, Prevented, Trade, Transfer

MESSAGES_PER_EVENT = 4
"""Room for numbers: sequence = 4 * ordinal of the event + number of the message. An event gives three at most."""

_PREVIOUS = b',"previousSequence":'
REJECT_REASONS = {
    RejectCode.INSUFFICIENT_BALANCE: "INSUFFICIENT_BALANCES",
    RejectCode.WOULD_TAKE: "WOULD_MATCH_IMMEDIATELY",
}
"""Binance's words; every other refusal has the name of its RejectCode."""


class Message(NamedTuple):
    """What one event tells one account. `times` are the fields of `body` that are times, in ns."""

    body: Json
    times: tuple[str, ...]


def first_sequence(ordinal: int) -> int:
    """The sequence of the first message of the event `ordinal`."""
    return MESSAGES_PER_EVENT * ordinal


def last_sequence(ordinal: int) -> int:
    """The sequence behind every message of the event `ordinal`: where a stream stands that has seen it."""
    return MESSAGES_PER_EVENT * ordinal + MESSAGES_PER_EVENT - 1


def encode(message: Message, unit_ns: int, sequence: int, previous: int) -> bytes:
    """The bytes of a message, with times in units of `unit_ns`."""
    body = message.body | {name: message.body[name] // unit_ns for name in message.times}
    body["sequence"] = sequence
    body["previousSequence"] = previous
    return orjson.dumps(body)


def restated(payload: bytes, previous: int) -> bytes:
    """The same message, with another previous sequence."""
    return b"%b%b%d}" % (payload[: payload.rindex(_PREVIOUS)], _PREVIOUS, previous)


# ---- orders -------------------------------------------------------------------------------------------------------

_OPEN = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
REJECTED = 0
"""The status of a report about an order that never was."""
_REPORT_TIMES = ("E", "T", "O", "W", "D")


def report(rules: Rules, order: Order, execution: str, status: int, ts_ns: int, ordinal: int, more: Json) -> Message:
    """An executionReport of an order as it stands; `more` replaces and adds fields.

    `status` is what the order has after the event. It is on the book while that is NEW or PARTIALLY_FILLED and it does
    not wait. `W` is told of an order that may wait when it goes to work (`more` has it), of the others always.
    """
    price, quantity, quote = rules.price.text, rules.quantity.text, rules.quote_grid.text
    no_price, no_quantity = price(0), quantity(0)
    body = {
        "e": "executionReport",
        "E": ts_ns,
        "s": rules.name,
        "c": order.client_id,
        "S": SIDE_NAMES[order.side],
        "o": TYPE_NAMES[order.order_type],
        "f": TIME_IN_FORCE_NAMES[order.time_in_force],
        "q": quantity(order.qty_lots),
        "p": price(order.price_ticks),
        "P": price(order.stop_price_ticks),
        "F": quantity(order.iceberg_lots),
        "g": order.list_id or -1,
        "C": "",
        "x": execution,
        "X": STATUS_NAMES[status] if status else "REJECTED",
        "r": "NONE",
        "i": order.order_id,
        "l": no_quantity,
        "z": quantity(order.filled_lots),
        "L": no_price,
        "n": "0",
        "N": None,
        "T": ts_ns,
        "t": -1,
        "I": ordinal,
        "w": status in _OPEN and not order.waits,
        "m": False,
        "M": False,
        "O": order.created_ts_ns,
        "Z": quote(order.filled_quote_atoms),
        "Y": quote(0),
        "Q": quote(order.quote_atoms),
        "W": order.created_ts_ns,
        "V": STP_NAMES[order.stp_mode],
    }
    if status == REJECTED or (order.may_wait and "W" not in more):
        del body["W"]
    body |= _special_fields(rules, order) | more
    return Message(body, tuple(name for name in _REPORT_TIMES if name in body))


def _special_fields(rules: Rules, order: Order) -> Json:
    """What trailing and pegged orders have besides."""
    found: Json = {}
    if order.trailing_bips:
        found["d"] = order.trailing_bips
        if not order.stop_price_ticks and not order.list_id:
            found["D"] = order.created_ts_ns
    if order.peg_type:
        found["gP"] = PEG_NAMES[order.peg_type]
        if order.peg_offset_levels:
            found |= {"gOT": PRICE_LEVEL, "gOV": order.peg_offset_levels}
        found["gp"] = rules.price.text(order.price_ticks)
    return found


def expiry_fields(order: Order, reason: int) -> Json:
    """Why an order expired."""
    return {"eR": expiry_reason(reason, order.list_role)}


def fill_fields(rules: Rules, trade: Trade, *, is_taker: bool) -> Json:
    """What a report says of one fill, from one side of it. A fee is in the asset that this side receives."""
    buys = (trade.side == Side.BUY) == is_taker
    asset, grid = (rules.base, rules.base_grid) if buys else (rules.quote, rules.quote_grid)
    return {
        "l": rules.quantity.text(trade.qty_lots),
        "L": rules.price.text(trade.price_ticks),
        "n": grid.text(trade.taker_fee_atoms if is_taker else trade.maker_fee_atoms),
        "N": asset.name,
        "t": trade.trade_id,
        "m": not is_taker,
        "M": True,
        "Y": rules.quote_grid.text(trade.quote_atoms),
    }


def prevented_fields(rules: Rules, event: Prevented, ordinal: int, *, is_taker: bool) -> Json:
    """What a report says of a match that self-trade prevention stopped, from one side of it."""
    taken_off = event.taker_prevented_lots if is_taker else event.maker_prevented_lots
    stopped_lots = min(
        event.taker_leaves_lots + event.taker_prevented_lots, event.maker_leaves_lots + event.maker_prevented_lots
    )
    quantity = rules.quantity.text
    return {
        "v": ordinal,
        "A": quantity(taken_off),
        "B": quantity(taken_off),
        "u": event.account,
        "U": event.maker_order_id if is_taker else event.taker_order_id,
        "Cs": rules.name,
        "pl": quantity(stopped_lots),
        "pL": rules.price.text(event.price_ticks),
        "pY": rules.quote_grid.text(event.price_ticks * stopped_lots * rules.view.quote_atoms_per_tick_lot),
    }


def is_showable(event: OrderEvent) -> bool:
    """Whether a refused PLACE can be told in the words of a report: no code or amount in it is out of its range."""
    codes = (
        (event.side, SIDE_NAMES),
        (event.order_type, TYPE_NAMES),
        (event.time_in_force, TIME_IN_FORCE_NAMES),
        (event.stp_mode, STP_NAMES),
    )
    return min(event.price_ticks, event.qty_lots, event.quote_atoms) >= 0 and all(
        code < len(names) and names[code] for code, names in codes
    )


def reject_fields(reject: int) -> Json:
    """What a report says of a refused PLACE: there is no order id."""
    code = RejectCode(reject)
    return {"r": REJECT_REASONS.get(code, code.name), "i": -1}


def list_status(rules: Rules, event: ListEvent, client_ids: Iterable[str]) -> Message:
    """A listStatus; `client_ids` are those of the legs."""
    status_type, order_status = STARTED if event.list_status == ListStatus.STARTED else DONE
    body = {
        "e": "listStatus",
        "E": event.ts_ns,
        "s": rules.name,
        "g": event.list_id,
        "c": CONTINGENCIES[event.list_type],
        "l": status_type,
        "L": order_status,
        "r": "NONE",
        "C": event.client_id.rstrip(b"\0").decode("ascii", "replace"),
        "T": event.ts_ns,
        "O": [{"s": rules.name, "i": leg, "c": name} for leg, name in zip(event.order_ids, client_ids, strict=True)],
    }
    return Message(body, ("E", "T"))


# ---- balances -----------------------------------------------------------------------------------------------------


def position(reference: Reference, ts_ns: int, rows: Iterable[tuple[int, int, int]]) -> Message:
    """An outboundAccountPosition of (asset, available, locked) rows."""
    assets, grids = reference.assets, reference.grids
    balances = [
        {"a": assets[asset].name, "f": grids[asset].text(available), "l": grids[asset].text(locked)}
        for asset, available, locked in rows
    ]
    return Message({"e": "outboundAccountPosition", "E": ts_ns, "u": ts_ns, "B": balances}, ("E", "u"))


def balance_update(reference: Reference, event: Transfer, change_atoms: int) -> Message:
    """A balanceUpdate: money that came in or went out."""
    amount = reference.grids[event.asset].text(abs(change_atoms))
    body = {
        "e": "balanceUpdate",
        "E": event.ts_ns,
        "a": reference.assets[event.asset].name,
        "d": f"-{amount}" if change_atoms < 0 else amount,
        "T": event.ts_ns,
    }
    return Message(body, ("E", "T"))


# ---- the stream ---------------------------------------------------------------------------------------------------


def terminated(ts_ns: int, unit_ns: int, reason: str, sequence: int) -> bytes:
    """An eventStreamTerminated; `sequence` is the one to resume from."""
    message = Message({"e": "eventStreamTerminated", "E": ts_ns, "reason": reason}, ("E",))
    return encode(message, unit_ns, sequence, sequence)
