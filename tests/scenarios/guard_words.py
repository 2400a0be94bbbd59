"""The words of the tables for guards: rules, auctions, breakers, mass cancels, countdowns, skips.

Owns the verbs and the phrases of docs/engine-guards.md; `language.py` takes them in. README.md shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exchange.core.codes import AccountRule, AuctionAction, CommandKind, EventKind, KeyRule, Scope, SymbolRule
from tests.scenarios.words import Names, Request, Words


def _scope(words: Words, names: Names) -> dict[str, Any]:
    """`venue`, `key` NUMBER, the number of an account, or a symbol; an unknown one gets a number that no symbol has."""
    word = words.take()
    if word == "venue":
        return {"scope": Scope.VENUE}
    if word == "key":
        return {"scope": Scope.KEY, "key": int(words.take())}
    if word.isdigit():
        return {"scope": Scope.ACCOUNT, "account": int(word)}
    return {"scope": Scope.SYMBOL, "symbol": names.symbols.get(word, 999)}


_RULES: dict[Scope, Any] = {Scope.SYMBOL: SymbolRule, Scope.ACCOUNT: AccountRule, Scope.KEY: KeyRule}


def _rule(_: str, words: Words, names: Names) -> Request:
    fields, asset = _scope(words, names), words.after("asset")
    fields["rule"] = _RULES[fields["scope"]][words.take().upper()]
    fields["value"] = int(words.take())
    if asset is not None:
        fields["asset"] = names.asset(asset)
    return Request(CommandKind.SET_RULE, fields)


def _auction(_: str, words: Words, names: Names) -> Request:
    fields = {"symbol": names.symbols.get(words.take(), 999), "end_ts_ns": int(words.after("until") or 0)}
    fields["action"] = AuctionAction[words.take().upper()]
    return Request(CommandKind.AUCTION, fields)


def _mass_cancel(_: str, words: Words, names: Names) -> Request:
    account, symbol = words.after("of"), words.after("on")
    fields = _scope(words, names)
    if account is not None:
        fields["account"] = names.account(account)
    if symbol is not None:
        fields["symbol"] = names.symbols.get(symbol, 999)
    return Request(CommandKind.MASS_CANCEL, fields)


def _countdown(_: str, words: Words, names: Names) -> Request:
    symbol = words.after("on")
    fields = {"key": int(words.after("key") or 0), "symbol": names.symbols.get(symbol, 999) if symbol else 0}
    fields |= {"account": names.account(words.take()), "countdown_ns": int(words.take())}
    return Request(CommandKind.COUNTDOWN, fields)


def _skip(_: str, words: Words, __: Names) -> Request:
    return Request(CommandKind.SKIP, {"at_sequence": int(words.take())}, {"name": words.after("because") or ""})


def _skipped(_: str, __: Words, ___: Names) -> Request:
    return Request(CommandKind.SKIPPED, {})


VERBS: dict[str, Callable[[str, Words, Names], Request]] = {
    "rule": _rule,
    "auction": _auction,
    "mass_cancel": _mass_cancel,
    "countdown": _countdown,
    "skip": _skip,
    "skipped": _skipped,
}

DONE = {CommandKind.SET_RULE: EventKind.RULE_SET, CommandKind.SKIP: EventKind.SKIP_NOTED}
"""The one event of each command whose result is `done`."""

PHRASES: list[tuple[str, EventKind]] = [
    (r"auction_started( until (?P<end_ts_ns>\d+))?", EventKind.AUCTION_STARTED),
    (
        r"indicated (?P<qty_lots>\d+) @ (?P<price_ticks>\d+) imbalance (?P<imbalance_lots>-?\d+)",
        EventKind.AUCTION_INDICATED,
    ),
    (
        r"auction_ended (?P<qty_lots>\d+) @ (?P<price_ticks>\d+) in (?P<trades_count>\d+)",
        EventKind.AUCTION_ENDED,
    ),
    (
        (
            r"uncrossed (?P<qty_lots>\d+) @ (?P<price_ticks>\d+) #(?P<taker_order_id>\d+) with #(?P<maker_order_id>\d+)"
            r"( fees (?P<taker_fee_atoms>\d+) (?P<maker_fee_atoms>\d+))?( releases (?P<taker_release_atoms>\d+))?"
            r"( leaves (?P<taker_leaves_lots>\d+) (?P<maker_leaves_lots>\d+))?"
        ),
        EventKind.TRADE,
    ),
    (
        (
            r"tripped @ (?P<price_ticks>\d+) low (?P<low_ticks>\d+) high (?P<high_ticks>\d+)"
            r" until (?P<end_ts_ns>\d+)"
        ),
        EventKind.BREAKER_TRIPPED,
    ),
    (r"mass_canceled (?P<canceled_count>\d+) more (?P<more>[01])", EventKind.MASS_CANCELED),
    (r"countdown due (?P<due_ts_ns>\d+)", EventKind.COUNTDOWN_SET),
    (
        r"fired (?P<account>\d+) symbol (?P<symbol>\d+) key (?P<key>\d+) due (?P<due_ts_ns>\d+)",
        EventKind.COUNTDOWN_FIRED,
    ),
]
