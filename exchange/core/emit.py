"""Writing event slots.

Owns the common part of every event. An event slot is zeroed first, so that the event journal is the same byte for byte
whenever it is rebuilt.
"""

from __future__ import annotations

from typing import Any

from exchange.core.codes import CommandKind, EventFlag, EventKind, OrderStatus, RejectCode, Stage
from exchange.core.compile import inlined, part
from exchange.core.records import RECORD_BYTES
from exchange.core.slots import (
    account_command,
    any_command,
    any_event,
    auction_command,
    list_command,
    list_event,
    mode_command,
    order_event,
    place_command,
    rule_command,
    symbol_command,
    target_command,
    terms_event,
    transfer_command,
)


@inlined
def begin_event(header: Any, events: Any, used: int, kind: int) -> None:
    """Zero the slot `used` and write sequence, time and kind of the command being applied."""
    for byte in range(RECORD_BYTES):
        events[used, byte] = 0
    head = any_event(events, used)
    head.sequence = header.sequence
    head.ts_ns = header.ts_ns
    head.kind = kind


@inlined
def copy_client_id(target: Any, source: Any) -> None:
    """Copy the 36 characters of a client id from one record to another."""
    target.client_id_0 = source.client_id_0
    target.client_id_1 = source.client_id_1
    target.client_id_2 = source.client_id_2
    target.client_id_3 = source.client_id_3
    target.client_id_4 = source.client_id_4


@inlined
def copy_order_codes(target: Any, source: Any) -> None:
    """Copy side, type, time in force and STP mode from one record to another."""
    target.side = source.side
    target.order_type = source.order_type
    target.time_in_force = source.time_in_force
    target.stp_mode = source.stp_mode


@part
def emit_rejected(header: Any, commands: Any, i: int, events: Any, used: int, reject: int) -> int:
    """REJECTED for command slot `i`; returns the next free event slot."""
    begin_event(header, events, used, EventKind.REJECTED)
    event = order_event(events, used)
    event.reject = reject
    kind = any_command(commands, i).kind
    if reject != RejectCode.UNKNOWN_KIND:
        event.command_kind = kind
    if kind == CommandKind.PLACE:
        place = place_command(commands, i)
        event.account = place.account
        event.symbol = place.symbol
        event.price_ticks = place.price_ticks
        event.qty_lots = place.qty_lots
        event.quote_atoms = place.quote_atoms
        copy_order_codes(event, place)
        copy_client_id(event, place)
    elif kind == CommandKind.CANCEL or kind == CommandKind.REDUCE or kind == CommandKind.CANCEL_ALL:
        target = target_command(commands, i)
        event.account = target.account
        event.symbol = target.symbol
        event.order_id = target.order_id
        event.qty_lots = target.qty_lots
        copy_client_id(event, target)
    elif kind == CommandKind.PLACE_LIST:
        place_list = list_command(commands, i)
        event.account = place_list.account
        event.symbol = place_list.symbol
        copy_client_id(event, place_list)
    elif kind == CommandKind.SET_TRADING_MODE:
        event.account = mode_command(commands, i).account
        event.symbol = mode_command(commands, i).symbol
    elif kind == CommandKind.ADD_SYMBOL or kind == CommandKind.CHANGE_SYMBOL:
        event.symbol = symbol_command(commands, i).symbol
    elif CommandKind.DEPOSIT <= kind <= CommandKind.WITHDRAW_RELEASE:
        event.account = transfer_command(commands, i).account
    elif kind == CommandKind.OPEN_ACCOUNT or kind == CommandKind.SET_FEES:
        event.account = account_command(commands, i).account
    elif kind == CommandKind.SET_RULE:
        event.account = rule_command(commands, i).account
        event.symbol = rule_command(commands, i).symbol
    elif kind == CommandKind.AUCTION:
        event.symbol = auction_command(commands, i).symbol
    elif kind == CommandKind.MASS_CANCEL or kind == CommandKind.COUNTDOWN:
        # both have account and symbol where a target has them
        event.account = target_command(commands, i).account
        event.symbol = target_command(commands, i).symbol
    return used + 1


@inlined
def emit_order(
    header: Any,
    order: Any,
    detail: Any,
    events: Any,
    used: int,
    kind: int,
    command_kind: int,
    qty_lots: int,
    hold_delta_atoms: int,
) -> int:
    """ORDER_ACCEPTED, ORDER_REDUCED or ORDER_CLOSED of an order and its detail; the caller sets status and reason."""
    begin_event(header, events, used, kind)
    event = order_event(events, used)
    copy_order_codes(event, order)
    event.account = order.account
    event.symbol = order.symbol
    event.order_id = order.order_id
    event.price_ticks = order.price_ticks
    event.qty_lots = qty_lots
    event.hold_delta_atoms = hold_delta_atoms
    event.filled_lots = order.filled_lots
    event.filled_quote_atoms = detail.filled_quote_atoms
    event.command_kind = command_kind
    if order.special != 0:
        event["flags"] = EventFlag.OFF_BOOK
    copy_client_id(event, detail)
    return used + 1


@inlined
def open_status(order: Any) -> int:
    """The status of an open order; only legs that wait for their list, or were called by it, are PENDING or DUE."""
    if order.filled_lots > 0:
        return OrderStatus.PARTIALLY_FILLED
    return OrderStatus.PENDING_NEW if order.stage >= Stage.DUE else OrderStatus.NEW


@part
def emit_shown(
    header: Any, order: Any, detail: Any, events: Any, used: int, command_kind: int, change_lots: int
) -> int:
    """ORDER_SHOWN: so much more of an order stands on the public book, or less of it."""
    used = emit_order(header, order, detail, events, used, EventKind.ORDER_SHOWN, command_kind, change_lots, 0)
    order_event(events, used - 1)["flags"] = EventFlag.OFF_BOOK
    order_event(events, used - 1).status = open_status(order)
    return used


@part
def emit_terms(header: Any, order: Any, detail: Any, terms: Any, events: Any, used: int) -> int:
    """ORDER_TERMS of an order that was just accepted."""
    begin_event(header, events, used, EventKind.ORDER_TERMS)
    event = terms_event(events, used)
    event["flags"] = EventFlag.OFF_BOOK
    event.account = order.account
    event.symbol = order.symbol
    event.order_id = order.order_id
    event.stage = order.stage
    event.list_id = terms.list_id
    event.key = detail.key
    event.list_role = terms.list_role
    event.peg_type = terms.peg_type
    event.stop_price_ticks = terms.stop_price_ticks
    event.iceberg_lots = terms.iceberg_lots
    event.expire_ts_ns = terms.expire_ts_ns
    event.trailing_bips = terms.trailing_bips
    event.peg_offset_levels = terms.peg_offset_levels
    return used + 1


@part
def emit_list(header: Any, record: Any, legs: int, status: int, events: Any, used: int) -> int:
    """LIST_CHANGED of a list with so many legs."""
    begin_event(header, events, used, EventKind.LIST_CHANGED)
    event = list_event(events, used)
    event.list_type = record.list_type
    event.list_status = status
    event.account = record.account
    event.symbol = record.symbol
    event.list_id = record.list_id
    event.order_id_0 = record.first_order_id
    event.order_id_1 = record.first_order_id + 1
    if legs == 3:
        event.order_id_2 = record.first_order_id + 2
    copy_client_id(event, record)
    return used + 1


@part
def emit_staged(header: Any, list_type: int, command: Any, events: Any, used: int) -> int:
    """STAGED of a PLACE_LIST or of a leg."""
    begin_event(header, events, used, EventKind.STAGED)
    event = list_event(events, used)
    event.list_type = list_type
    event.account = command.account
    event.symbol = command.symbol
    copy_client_id(event, command)
    return used + 1
