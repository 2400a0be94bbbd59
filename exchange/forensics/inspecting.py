"""`exchange inspect N`: one command, its events, and what they changed.

Owns the choice of what is looked at: the accounts, symbols and orders that the command and its events name, before and
after. Computes nothing that the engine did not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core import readers
from exchange.core.codes import Account, CommandKind, EventKind, OrderStatus, Side
from exchange.core.event_records import event_dict
from exchange.core.state import State
from exchange.forensics.command_words import command_fields, command_sentence
from exchange.forensics.event_words import event_sentence
from exchange.forensics.names import Fields, Names, account_text, decimal, time_text
from exchange.forensics.reading import Moment
from exchange.forensics.refusals import refusal_text
from exchange.forensics.words import coded, name_of

LEVELS = 5
_ACCOUNTS = ("account", "taker_account", "maker_account")
_ORDERS = ("order_id", "taker_order_id", "maker_order_id", "order_id_0", "order_id_1", "order_id_2")
_FEE_OR_WORLD = {
    EventKind.TRADE: int(Account.FEES),
    EventKind.TRANSFERRED: int(Account.WORLD),
}


def inspection(moment: Moment, levels: int = LEVELS) -> Fields:
    """Everything about one command as plain values; amounts are decimals as text."""
    names = moment.names
    command = command_fields(moment.command)
    events = [event_dict(slot) for slot in moment.events]
    told = [*events, command]
    symbols = sorted({f["symbol"] for f in told if f.get("symbol") in names.symbols})
    return {
        "sequence": moment.sequence,
        "ts_ns": command["ts_ns"],
        "time": time_text(command["ts_ns"]),
        "command": {"sentence": command_sentence(names, command), **coded(command, CommandKind)},
        "passed_over": _passed_over(moment, names),
        "meanings": {field: text for field in command if (text := names.meaning(command, field))},
        "events": [_event(moment, names, command, slot, f) for slot, f in zip(moment.events, events, strict=True)],
        "balances": _balances(moment, names, _accounts(told), symbols),
        "books": [_book(moment, names, symbol, levels) for symbol in symbols],
        "orders": _orders(moment, names, told),
    }


def _passed_over(moment: Moment, names: Names) -> str | None:
    """What the command was before an operator pair had it passed over."""
    if np.array_equal(moment.command, moment.journaled):
        return None
    return command_sentence(names, command_fields(moment.journaled))


def _event(moment: Moment, names: Names, command: Fields, slot: Any, f: Fields) -> Fields:
    sentence = event_sentence(names, slot)
    if f["kind"] == EventKind.REJECTED:
        sentence = f"{sentence.split(': ')[0]}: {refusal_text(moment.before, command, f)}"
    return {"sentence": sentence, **coded(f, EventKind)}


def _accounts(told: list[Fields]) -> list[int]:
    found = {f[name] for f in told for name in _ACCOUNTS if f.get(name)}
    own = {_FEE_OR_WORLD[EventKind(f["kind"])] for f in told[:-1] if f["kind"] in _FEE_OR_WORLD}
    return sorted(found | own)


def _balances(moment: Moment, names: Names, accounts: list[int], symbols: list[int]) -> list[Fields]:
    """Balances of accounts in the assets of symbols, and in all assets that changed."""
    views = [names.symbols[symbol] for symbol in symbols]
    concerned = {asset for view in views for asset in (view.base_asset, view.quote_asset)}
    rows = []
    for account in accounts:
        before, after = (
            {asset: held for asset, *held in readers.balances(state, account)}
            for state in (moment.before, moment.after)
        )
        for asset, held in after.items():
            had = before.get(asset, [0, 0])
            if had == held and (asset not in concerned or held == [0, 0]):
                continue
            scale = names.assets[asset].scale
            shown = {
                f"{name}_{when}": decimal(atoms[part], scale)
                for when, atoms in (("before", had), ("after", held))
                for part, name in enumerate(("available", "locked"))
            }
            who = {"account": account, "name": account_text(account), "asset": names.asset(asset)}
            rows.append({**who, **shown, "changed": had != held})
    return rows


def _side(state: State, names: Names, symbol: int, side: int, levels: int) -> list[list[str]]:
    if symbol not in Names(state).symbols:
        return []
    view = names.symbols[symbol]
    return [
        [decimal(price, view.price_scale), decimal(lots, view.qty_scale)]
        for price, lots in readers.depth(state, symbol, side, levels)
    ]


def _book(moment: Moment, names: Names, symbol: int, levels: int) -> Fields:
    """The best levels of a symbol, before and after: [price, quantity], best first."""
    return {
        "symbol": names.symbol(symbol),
        **{
            f"{name}_{when}": _side(state, names, symbol, side, levels)
            for when, state in (("before", moment.before), ("after", moment.after))
            for name, side in (("bids", Side.BUY), ("asks", Side.SELL))
        },
    }


def _orders(moment: Moment, names: Names, told: list[Fields]) -> list[Fields]:
    """The orders that were named, as they were and as they are; null where there is none or it is forgotten."""
    ids = sorted({f[name] for f in told for name in _ORDERS if f.get(name)})
    accounts = sorted({f[name] for f in told for name in _ACCOUNTS if f.get(name)})
    rows = []
    for order_id in ids:
        before, after = (
            next((view for account in accounts if (view := readers.find_order(state, account, order_id))), None)
            for state in (moment.before, moment.after)
        )
        rows.append({"order_id": order_id, "before": _order(names, before), "after": _order(names, after)})
    return rows


def _order(names: Names, view: readers.OrderView | None) -> Fields | None:
    if view is None:
        return None
    return {
        "account": view.account,
        "symbol": names.symbol(view.symbol),
        "side": name_of(Side, view.side),
        "status": name_of(OrderStatus, view.status),
        "price": names.price(view.symbol, view.price_ticks) if view.price_ticks else None,
        "filled": names.lots(view.symbol, view.filled_lots),
        "left": names.lots(view.symbol, view.leaves_lots),
        "is_open": view.is_open,
    }
