"""The language of the tables: lines of words become commands, expectations and checks.

Owns the grammar (README.md shows it). Runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from exchange.core.codes import (
    CloseReason,
    CommandFlag,
    CommandKind,
    EventKind,
    Limit,
    ListRole,
    ListStatus,
    ListType,
    OrderStatus,
    RejectCode,
    Scope,
    Stage,
    TradingMode,
    TransferState,
)
from tests.scenarios import guard_words, order_words
from tests.scenarios.words import RULES, Expectation, Fields, Line, Names, Request, Words

# ---- commands -----------------------------------------------------------------------------------------------------


def parse_command(line: Line, names: Names) -> Request:
    """The command of a line; raises ValueError when words are left over or the verb is unknown."""
    words = Words(line.words[1:])
    verb = line.words[0]
    if verb not in _VERBS:
        raise ValueError(f"line {line.number}: no verb {verb!r}")
    request = _VERBS[verb](verb, words, names)
    if words.rest:
        raise ValueError(f"line {line.number}: {words.rest} is not understood")
    request.fields |= words.raw
    return request


def _target(verb: str, words: Words, names: Names) -> Request:
    fields: Fields = {"account": names.account(words.take())}
    symbol, total = words.after("on"), words.after("to")
    texts = {"client_id": words.after("client") or ""}
    fields["symbol"] = names.symbol(symbol) if symbol else 0
    fields["qty_lots"] = int(total or 0)
    flags = sum(flag for flag in CommandFlag if words.has(flag.name.lower()))
    if words.rest:
        fields["order_id"] = int(words.take().removeprefix("#"))
    return Request(CommandKind[verb.upper()], fields | {"flags": flags}, texts)


def _transfer(verb: str, words: Words, names: Names) -> Request:
    fields = {
        "account": names.account(words.take()),
        "asset": names.asset(words.take()),
        "amount_atoms": int(words.take()),
        "transfer_id": int(words.after("id") or 0),
    }
    return Request(CommandKind.DEPOSIT if verb == "deposit" else CommandKind[f"WITHDRAW_{verb.upper()}"], fields)


def _asset(_: str, words: Words, names: Names) -> Request:
    name, number = words.take(), int(words.take())
    names.assets[name] = number
    return Request(CommandKind.ADD_ASSET, {"asset": number, "scale": int(words.after("scale") or 0)}, {"name": name})


def _symbol(_: str, words: Words, names: Names) -> Request:
    name, number = words.take(), int(words.take())
    base, quote = name.split("_")
    names.symbols[name] = number
    names.rules.setdefault(name, dict(RULES))
    fields = {
        "symbol": number,
        "base_asset": names.asset(base),
        "quote_asset": names.asset(quote),
        "price_scale": int(words.after("price_scale") or 0),
        "qty_scale": int(words.after("qty_scale") or 0),
    }
    return Request(CommandKind.ADD_SYMBOL, fields | RULES, {"name": name})


def _change(_: str, words: Words, names: Names) -> Request:
    name = words.take()
    return Request(CommandKind.CHANGE_SYMBOL, {"symbol": names.symbol(name)} | names.rules.get(name, RULES))


def _account(verb: str, words: Words, names: Names) -> Request:
    kind = CommandKind.OPEN_ACCOUNT if verb == "account" else CommandKind.SET_FEES
    fields = {"account": names.account(words.take())}
    fields["maker_fee_ppm"] = int(words.after("maker") or -1)
    fields["taker_fee_ppm"] = int(words.after("taker") or -1)
    return Request(kind, fields)


def _mode(_: str, words: Words, names: Names) -> Request:
    scoped, mode = words.take(), words.take()
    fields: Fields = {"mode": TradingMode[mode.upper()]}
    if scoped == "venue":
        fields |= {"scope": Scope.VENUE}
    elif scoped == "withdrawals":
        fields |= {"scope": Scope.WITHDRAWALS}
    elif scoped == "account":
        raise ValueError("name the account by its number")
    elif scoped.isdigit():
        fields |= {"scope": Scope.ACCOUNT, "account": int(scoped)}
    else:
        fields |= {"scope": Scope.SYMBOL, "symbol": names.symbols.get(scoped, 999)}
    return Request(CommandKind.SET_TRADING_MODE, fields)


def _limit(_: str, words: Words, names: Names) -> Request:
    del names
    return Request(CommandKind.SET_LIMIT, {"limit": Limit[words.take()], "value": int(words.take())})


def _bare(verb: str, words: Words, names: Names) -> Request:
    del names
    return Request(CommandKind[verb.upper()] if verb != "command" else int(words.take()))


_VERBS: dict[str, Callable[[str, Words, Names], Request]] = {
    **dict.fromkeys(("buy", "sell"), order_words.order),
    "list": order_words.order_list,
    **guard_words.VERBS,
    **dict.fromkeys(("cancel", "reduce", "cancel_all"), _target),
    **dict.fromkeys(("deposit", "hold", "settle", "release"), _transfer),
    "asset": _asset,
    "symbol": _symbol,
    "change": _change,
    **dict.fromkeys(("account", "fees"), _account),
    "mode": _mode,
    "limit": _limit,
    **dict.fromkeys(("tick", "hash", "command"), _bare),
}

# ---- expectations -------------------------------------------------------------------------------------------------

_DONE = {
    CommandKind.SET_LIMIT: EventKind.LIMIT_SET,
    CommandKind.ADD_ASSET: EventKind.ASSET_ADDED,
    CommandKind.ADD_SYMBOL: EventKind.SYMBOL_ADDED,
    CommandKind.CHANGE_SYMBOL: EventKind.SYMBOL_CHANGED,
    CommandKind.OPEN_ACCOUNT: EventKind.ACCOUNT_OPENED,
    CommandKind.SET_FEES: EventKind.FEES_SET,
    CommandKind.SET_TRADING_MODE: EventKind.TRADING_MODE_SET,
    CommandKind.HASH: EventKind.HASHED,
    **guard_words.DONE,
}
"""The one event of each command whose result is `done`."""

_PHRASES: list[tuple[str, EventKind]] = [
    (r"refused (?P<reject>[A-Z_]+)", EventKind.REJECTED),
    *order_words.PHRASES,
    *guard_words.PHRASES,
    (r"canceled_all (?P<canceled_count>\d+)", EventKind.CANCELED_ALL),
    (r"ticked (?P<expired_count>\d+)", EventKind.TICKED),
    (r"already (?P<transfer_state>[a-z]+)", EventKind.TRANSFER_DUPLICATE),
    (r"(?P<transfer_state>deposited|held|settled|released)", EventKind.TRANSFERRED),
]

_CODES: dict[str, Callable[[str], int]] = {
    "reject": lambda word: RejectCode[word],
    "status": lambda word: OrderStatus[word.upper()],
    "reason": lambda word: CloseReason[word.upper()],
    "transfer_state": lambda word: TransferState[word.upper()],
    "stage": lambda word: Stage[word.upper()],
    "list_role": lambda word: ListRole[word.upper()],
    "list_type": lambda word: ListType[word.upper()],
    "list_status": lambda word: ListStatus[word.upper()],
}


def parse_expected(line: Line, kind: int) -> list[Expectation]:
    """What the line says will happen, an entry an event."""
    return [_parse_phrase(line, kind, phrase.strip()) for phrase in (line.expected or "").split(",")]


def _parse_phrase(line: Line, kind: int, phrase: str) -> Expectation:
    if phrase == "done":
        return _DONE[CommandKind(kind)], {}
    for pattern, event_kind in _PHRASES:
        found = re.fullmatch(pattern, phrase)
        if found:
            said = {name: value for name, value in found.groupdict().items() if value is not None}
            fields = {name: int(_CODES[name](value)) if name in _CODES else int(value) for name, value in said.items()}
            if "released" in fields:
                fields["hold_delta_atoms"] = -fields.pop("released")
            return event_kind, fields
    raise ValueError(f"line {line.number}: {phrase!r} is not understood")
