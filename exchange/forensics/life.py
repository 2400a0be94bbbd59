"""`exchange why ORDER_ID`: the life of an order in sentences.

Owns one function a kind of event that can name an order, told from the order's side, and where an order stands after
the command that placed it. A refused command has no order; `refused` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from exchange import past
from exchange.core import readers
from exchange.core.codes import CloseReason, CommandKind, EventKind, ListStatus, OrderStatus, Side, Stage, StpMode
from exchange.core.event_records import event_dict
from exchange.core.state import State
from exchange.forensics import scanning
from exchange.forensics.command_words import command_fields, command_sentence, order_text, terms_text
from exchange.forensics.event_words import event_sentence, held_text, legs_text
from exchange.forensics.names import Fields, Names, account_text, bips_text, time_text
from exchange.forensics.reading import Moment, event_batches
from exchange.forensics.refusals import refusal_text
from exchange.forensics.scanning import Chapter, Scan
from exchange.forensics.words import CLOSED_BECAUSE, STANDS, coded, name_of
from exchange.progress import ShowProgress
from journal.errors import Refused


class Story:
    """What the telling of one order knows: names, the order's own events so far, and the chapter that is being told."""

    def __init__(self, order_id: int, names: Names) -> None:
        self.order_id = order_id
        self.names = names
        self.order: Fields = {}
        self.terms: Fields = {}
        self.list: Fields = {}
        self.stop_called = False
        self.status = 0

    def role(self, event: Fields) -> tuple[str, str]:
        """(own, other) of a TRADE or PREVENTED: taker and maker."""
        return ("taker", "maker") if event["taker_order_id"] == self.order_id else ("maker", "taker")


Telling = Callable[[Story, Chapter, int, Fields], str]


def _accepted(story: Story, _: Chapter, __: int, f: Fields) -> str:
    story.order = f
    story.status = f["status"]
    client = f", client id {f['client_id']!r}" if f["client_id"] else ""
    who = account_text(f["account"]).capitalize()
    return f"{who} placed it: {order_text(story.names, f)}{client}{held_text(story.names, f)}."


def _terms(story: Story, _: Chapter, __: int, f: Fields) -> str:
    story.terms = f
    return f"Its terms: {'; '.join(terms_text(story.names, f)) or 'none'}."


def _trade(story: Story, chapter: Chapter, _: int, f: Fields) -> str:
    names, symbol = story.names, f["symbol"]
    own, other = story.role(f)
    side = f["side"] if own == "taker" else 1 - f["side"]
    verb, way = ("bought", "from") if side == Side.BUY else ("sold", "to")
    if any(event["kind"] == EventKind.AUCTION_ENDED for event in chapter.events):
        as_what = "in the auction"
    else:
        as_what = f"as the {own}"
    left = f[f"{own}_leaves_lots"]
    story.status = OrderStatus.PARTIALLY_FILLED if left else OrderStatus.FILLED
    end = f"{names.lots(symbol, left)} left" if left else "that filled it"
    return (
        f"It {verb} {names.lots(symbol, f['qty_lots'])} {way} order {f[f'{other}_order_id']} of "
        f"{account_text(f[f'{other}_account'])} at {names.price(symbol, f['price_ticks'])} {as_what} (trade "
        f"{f['trade_id']}), for {names.quote(symbol, f['quote_atoms'])}; fee "
        f"{names.received(symbol, side, f[f'{own}_fee_atoms'])}; {end}."
    )


def _prevented(story: Story, _: Chapter, __: int, f: Fields) -> str:
    names, symbol = story.names, f["symbol"]
    own, other = story.role(f)
    lots, left = f[f"{own}_prevented_lots"], f[f"{own}_leaves_lots"]
    partner = f["maker_account"] if own == "taker" else f["account"]
    group = f["maker_account"] and f["maker_account"] != f["account"]
    whose = f"of {account_text(partner)}, of the same trade group" if group else "of the same account"
    if left == 0:
        story.status = OrderStatus.EXPIRED_IN_MATCH
    end = "that ended it (EXPIRED_IN_MATCH)" if left == 0 else f"{names.lots(symbol, left)} left"
    taken = f"{names.lots(symbol, lots)} was taken off it" if lots else "nothing was taken off it"
    return (
        f"Self-trade prevention ({name_of(StpMode, f['stp_mode'])}) kept it from trading with order "
        f"{f[f'{other}_order_id']} {whose} at {names.price(symbol, f['price_ticks'])}: {taken}; {end}."
    )


def _reduced(story: Story, _: Chapter, __: int, f: Fields) -> str:
    lots = story.names.lots(f["symbol"], f["qty_lots"])
    return f"Its owner reduced it by {lots}{held_text(story.names, f)}; it kept its place."


def _closed(story: Story, chapter: Chapter, at: int, f: Fields) -> str:
    story.status = f["status"]
    reason = f["reason"]
    because = CLOSED_BECAUSE[CloseReason(reason)] if reason in set(CloseReason) else f"reason {reason}"
    if reason == CloseReason.LIST:
        because += _list_cause(story, chapter, at)
    if reason == CloseReason.CANCELED:
        because += f" ({name_of(CommandKind, f['command_kind'])})"
    lots, status = story.names.lots(f["symbol"], f["qty_lots"]), name_of(OrderStatus, f["status"])
    return f"It ended {status} with {lots} not traded: {because}{held_text(story.names, f)}."


_DID = {
    EventKind.TRADE: "traded",
    EventKind.ORDER_CLOSED: "ended",
    EventKind.ORDER_ENTERED: "went to work",
    EventKind.PREVENTED: "was stopped by self-trade prevention",
}


def _legs(story: Story) -> set[int]:
    return {story.list[f"order_id_{leg}"] for leg in range(3)} - {0, story.order_id} if story.list else set()


def _list_cause(story: Story, chapter: Chapter, at: int) -> str:
    """Which other leg did what, just before."""
    legs = _legs(story)
    for event in reversed(chapter.events[:at]):
        if event["kind"] in _DID:
            for name in ("order_id", "taker_order_id", "maker_order_id"):
                if event.get(name) in legs:
                    return f" (order {event[name]} {_DID[EventKind(event['kind'])]})"
    waits = [event for event in chapter.events[at + 1 :] if event["kind"] == EventKind.ORDER_ENTERED]
    for event in waits:
        if event["order_id"] in legs:
            return f" (order {event['order_id']} was about to go to work)"
    return ""


def _canceled_by(_: Story, chapter: Chapter, __: int, f: Fields) -> str:
    kind = name_of(CommandKind, f["command_kind"])
    who = account_text(f["account"])
    return f"{who.capitalize()} asked to {kind} it and was refused: {event_sentence(Names(None), chapter.slots[0])}"


def _duplicate(story: Story, _: Chapter, __: int, f: Fields) -> str:
    status = name_of(OrderStatus, f["status"])
    return f"It was placed again with the same client id and content; answered with what it was, {status}."


def _entered(story: Story, chapter: Chapter, at: int, f: Fields) -> str:
    names = story.names
    call = chapter.calls.get(at)
    stop = bool(story.terms.get("stop_price_ticks") or story.terms.get("trailing_bips"))
    pending = story.terms.get("stage") == Stage.PENDING and not story.stop_called
    story.stop_called = True
    if pending:
        other = ", ".join(f"order {leg}" for leg in sorted(_legs(story))) or "the working leg"
        why = f"Its list called it ({other} did its part)"
        if stop:
            return f"{why}: now it waits for its price{held_text(names, f)}."
    elif call:
        why = f"Trade {call['trade_id']} at {names.price(f['symbol'], call['price_ticks'])} called it"
        why += f" (sequence {call['sequence']})" if call["sequence"] != f["sequence"] else ""
    else:
        why = "Its turn came"
    return f"{why} and it went to work: {order_text(names, f)}{held_text(names, f)}."


def _shown(story: Story, _: Chapter, __: int, f: Fields) -> str:
    lots, at = story.names.lots(f["symbol"], abs(f["qty_lots"])), story.names.price(f["symbol"], f["price_ticks"])
    return f"It showed {lots} {'more' if f['qty_lots'] > 0 else 'less'} on the book at {at}."


def _funded(story: Story, _: Chapter, __: int, f: Fields) -> str:
    return f"Its list changed what is held for it{held_text(story.names, f)}."


def _list_changed(story: Story, _: Chapter, __: int, f: Fields) -> str:
    is_new = f["list_status"] == ListStatus.STARTED
    story.list = f if is_new or not story.list else story.list
    if is_new:
        return f"It is a leg of list {f['list_id']} (orders {legs_text(f)})."
    return f"Its list {f['list_id']} is done."


TELLINGS: dict[EventKind, Telling] = {
    EventKind.ORDER_ACCEPTED: _accepted,
    EventKind.ORDER_DUPLICATE: _duplicate,
    EventKind.TRADE: _trade,
    EventKind.PREVENTED: _prevented,
    EventKind.ORDER_REDUCED: _reduced,
    EventKind.ORDER_CLOSED: _closed,
    EventKind.ORDER_ENTERED: _entered,
    EventKind.ORDER_SHOWN: _shown,
    EventKind.ORDER_FUNDED: _funded,
    EventKind.ORDER_TERMS: _terms,
    EventKind.LIST_CHANGED: _list_changed,
    EventKind.REJECTED: _canceled_by,
}
"""Every kind of event that names an order."""


def life(data_dir: Path, order_id: int, progress: ShowProgress) -> Fields:
    """The life of an order as plain values.

    Raises past.NotThere for an order that is nowhere, past.ReplayDiffers, Refused, OSError.
    """
    end = past.last_sequence(past.commands_of(data_dir))
    base = past.base_of(data_dir, end, lambda found: int(found.state.header[0].next_order_id) <= order_id)
    scan = Scan(order_id)
    scan.read(event_batches(data_dir, base, end, progress))
    born = next((chapter for chapter in scan.chapters if _birth(chapter, order_id)), None)
    if born is None:
        highest = max(scan.highest, int(base.state.header[0].next_order_id) - 1)
        raise past.NotThere(f"There is no order {order_id}: the last order up to sequence {end} is {highest}.")
    state, missing = _state_after(data_dir, born.sequence, progress)
    names = Names(state or past.base_of(data_dir, end).state)
    story = Story(order_id, names)
    steps: list[Fields] = []
    for chapter in scan.chapters:
        steps += [_step(chapter, TELLINGS[EventKind(f["kind"])](story, chapter, at, f), f) for at, f in _about(chapter)]
        if chapter is born:
            placed = _placed(story, state) if state is not None else missing
            steps += [_step(chapter, placed, {})] if placed else []
    is_open = not scan.ended
    status = name_of(OrderStatus, story.status)
    account, symbol = story.order["account"], names.symbol(story.order["symbol"])
    facts = {"order_id": order_id, "account": account, "symbol": symbol, "status": status, "is_open": is_open}
    return {**facts, "as_of_sequence": end, "steps": steps}


def _birth(chapter: Chapter, order_id: int) -> bool:
    return any(
        chapter.events[at]["kind"] == EventKind.ORDER_ACCEPTED and chapter.events[at]["order_id"] == order_id
        for at in chapter.about
    )


def _about(chapter: Chapter) -> list[tuple[int, Fields]]:
    return [(at, chapter.events[at]) for at in chapter.about]


def _step(chapter: Chapter, sentence: str, event: Fields) -> Fields:
    shown: dict[str, Any] = {"sequence": chapter.sequence, "ts_ns": chapter.ts_ns, "time": time_text(chapter.ts_ns)}
    return {**shown, "sentence": sentence, "event": coded(event, EventKind) if event else None}


def _state_after(data_dir: Path, sequence: int, progress: ShowProgress) -> tuple[State | None, str]:
    """The state after the command that placed the order, or a sentence why it can not be had."""
    try:
        return past.state_at(data_dir, sequence, progress), ""
    except (Refused, FileNotFoundError):
        first = past.first_sequence(past.commands_of(data_dir))
        return None, f"What stood before it is not known: commands before sequence {first} are no longer kept."


def _placed(story: Story, state: State) -> str:
    """Where the order stands after the command that placed it; empty when it ended in it."""
    order, names = story.order, story.names
    view = readers.find_order(state, order["account"], story.order_id)
    if view is None or not view.is_open:
        return ""
    stage = Stage(view.stage)
    if stage in (Stage.STOP, Stage.TRAIL):
        way = "at or above" if scanning.waits_for_rise(order) else "at or below"
        if stage is Stage.STOP:
            then = ", and then follows the price" if view.trailing_bips else ""
            return f"It waits for a trade {way} {names.price(view.symbol, view.stop_price_ticks)}{then}."
        level = int(state.levels[int(state.orders[_slot(state, view)].level)].price_ticks)
        where = f"; for now a trade {way} {names.price(view.symbol, level)} would call it" if level else ""
        return f"It follows the price at a distance of {bips_text(view.trailing_bips)}{where}."
    if stage is not Stage.BOOK:
        return f"It waits {STANDS[stage]}."
    lots, orders = _ahead(state, view)
    where = f"on the book at {names.price(view.symbol, view.price_ticks)}"
    if orders == 0:
        return f"{names.lots(view.symbol, view.leaves_lots)} of it came to rest {where}, first at its price."
    return (
        f"{names.lots(view.symbol, view.leaves_lots)} of it came to rest {where}, behind "
        f"{names.lots(view.symbol, lots)} in {orders} {'order' if orders == 1 else 'orders'}."
    )


def _slot(state: State, view: readers.OrderView) -> int:
    return int(np.flatnonzero(state.orders["order_id"] == view.order_id)[0])


def _ahead(state: State, view: readers.OrderView) -> tuple[int, int]:
    """Lots and orders that stand before an open order at its price: what a taker meets first."""
    slot = _slot(state, view)
    lots = orders = 0
    while slot := int(state.orders[slot].prev):
        before = state.orders[slot]
        other = readers.find_order(state, int(before.account), int(before.order_id))
        lots += other.shown_lots if other else 0
        orders += 1
    return lots, orders


def refused(moment: Moment) -> Fields:
    """Why a command was refused, or what it did, as plain values."""
    names = moment.names
    command = command_fields(moment.command)
    sentences = [event_sentence(names, slot) for slot in moment.events]
    [first, *_] = [event_dict(slot) for slot in moment.events]
    is_refused = first["kind"] == EventKind.REJECTED
    if is_refused:
        kind, code = name_of(CommandKind, command["kind"]), coded(first, EventKind)["reject"]
        sentences = [f"{kind} was refused, {code}: {refusal_text(moment.before, command, first)}"]
    return {
        "sequence": moment.sequence,
        "ts_ns": command["ts_ns"],
        "time": time_text(command["ts_ns"]),
        "command": command_sentence(names, command_fields(moment.journaled)),
        "refused": coded(first, EventKind)["reject"] if is_refused else None,
        "sentences": sentences,
    }
