"""The language of the tables: lines of words become commands, expectations and checks.

Owns the grammar (README.md shows it) and the standard venue's numbers. Runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from exchange.core.codes import (
    Account,
    CloseReason,
    CommandFlag,
    CommandKind,
    EventKind,
    Limit,
    OrderStatus,
    OrderType,
    RejectCode,
    Scope,
    Side,
    StpMode,
    TimeInForce,
    TradingMode,
    TransferState,
)

Fields = dict[str, Any]
Expectation = tuple[EventKind, Fields]
"""A kind of event and the fields that are looked at."""

RULES: Fields = {
    "price_min_ticks": 1,
    "price_max_ticks": 1_000,
    "qty_min_lots": 1,
    "qty_max_lots": 1_000,
    "notional_min_atoms": 0,
    "notional_max_atoms": 10_000_000,
    "price_step_ticks": 1,
    "qty_step_lots": 1,
    "orders_max": 10,
    "maker_fee_ppm": 0,
    "taker_fee_ppm": 0,
}
"""What a symbol has unless its line says otherwise."""

STANDARD = """
asset BTC 1 scale 4 -> done
asset USDT 2 scale 4 -> done
asset ETH 3 scale 4 -> done
symbol BTC_USDT 1 price_scale 1 qty_scale 2 -> done
symbol ETH_USDT 2 price_scale 1 qty_scale 2 -> done
symbol ETH_BTC 3 price_scale 2 qty_scale 1 -> done
account 16 -> done
account 17 -> done
account 18 -> done
"""


@dataclass
class Line:
    """One line of a table, in words."""

    number: int
    text: str
    words: list[str]
    expected: str | None


@dataclass
class Request:
    """A command that a line asks for, as its kind (a number: it may be unknown) and its fields."""

    kind: int
    fields: Fields = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


class Names:
    """The names that a table has given to ids so far, and the rules of each symbol as last asked for."""

    def __init__(self) -> None:
        self.assets: dict[str, int] = {}
        self.symbols: dict[str, int] = {}
        self.rules: dict[str, Fields] = {}

    def account(self, word: str) -> int:
        return int(Account[word]) if word.isalpha() else int(word)

    def asset(self, word: str) -> int:
        return self.assets[word] if word in self.assets else int(word)

    def symbol(self, word: str) -> int:
        return self.symbols[word] if word in self.symbols else int(word)


def lines_of(text: str, first_number: int = 1) -> list[Line]:
    """The lines that say something; `--` begins a remark."""
    lines = []
    for number, raw in enumerate(text.splitlines(), first_number):
        said = raw.split("--")[0].strip()
        if said:
            asked, arrow, expected = said.partition("->")
            lines.append(Line(number, said, asked.split(), expected.strip() if arrow else None))
    return lines


# ---- commands -----------------------------------------------------------------------------------------------------


class _Words:
    """The words of a line, taken from the front; `field=value` words are set aside as raw fields."""

    def __init__(self, words: list[str]) -> None:
        self.raw: Fields = {}
        self.rest: list[str] = []
        for word in words:
            name, equals, value = word.partition("=")
            if equals:
                self.raw[name] = int(value)
            else:
                self.rest.append(word)

    def take(self) -> str:
        return self.rest.pop(0)

    def after(self, keyword: str) -> str | None:
        """The word behind a keyword, wherever it stands; both are taken."""
        if keyword not in self.rest:
            return None
        place = self.rest.index(keyword)
        _, value = self.rest.pop(place), self.rest.pop(place)
        return value

    def has(self, keyword: str) -> bool:
        if keyword in self.rest:
            self.rest.remove(keyword)
            return True
        return False


def parse_command(line: Line, names: Names) -> Request:
    """The command of a line; raises ValueError when words are left over or the verb is unknown."""
    words = _Words(line.words[1:])
    verb = line.words[0]
    if verb not in _VERBS:
        raise ValueError(f"line {line.number}: no verb {verb!r}")
    request = _VERBS[verb](verb, words, names)
    if words.rest:
        raise ValueError(f"line {line.number}: {words.rest} is not understood")
    request.fields |= words.raw
    return request


_ORDER_TYPES = {"limit": OrderType.LIMIT, "market": OrderType.MARKET, "maker": OrderType.LIMIT_MAKER}


def _order(verb: str, words: _Words, names: Names) -> Request:
    fields: Fields = {"side": Side[verb.upper()], "account": names.account(words.take())}
    fields["symbol"] = names.symbol(words.take())
    order_type = words.take()
    fields["order_type"] = _ORDER_TYPES[order_type]
    fields["qty_lots"] = int(words.after("x") or 0)
    fields["quote_atoms"] = int(words.after("quote") or 0)
    fields["expire_ts_ns"] = int(words.after("until") or 0)
    fields["stp_mode"] = StpMode[(words.after("stp") or "none").upper()]
    texts = {"client_id": words.after("client") or ""}
    if order_type == "market":
        fields["time_in_force"] = TimeInForce.IOC
    else:
        fields["price_ticks"] = int(words.take())
        fields["time_in_force"] = TimeInForce[words.take().upper()]
    return Request(CommandKind.PLACE, fields, texts)


def _target(verb: str, words: _Words, names: Names) -> Request:
    fields: Fields = {"account": names.account(words.take())}
    symbol, total = words.after("on"), words.after("to")
    texts = {"client_id": words.after("client") or ""}
    fields["symbol"] = names.symbol(symbol) if symbol else 0
    fields["qty_lots"] = int(total or 0)
    flags = sum(flag for flag in CommandFlag if words.has(flag.name.lower()))
    if words.rest:
        fields["order_id"] = int(words.take().removeprefix("#"))
    return Request(CommandKind[verb.upper()], fields | {"flags": flags}, texts)


def _transfer(verb: str, words: _Words, names: Names) -> Request:
    fields = {
        "account": names.account(words.take()),
        "asset": names.asset(words.take()),
        "amount_atoms": int(words.take()),
        "transfer_id": int(words.after("id") or 0),
    }
    return Request(CommandKind.DEPOSIT if verb == "deposit" else CommandKind[f"WITHDRAW_{verb.upper()}"], fields)


def _asset(_: str, words: _Words, names: Names) -> Request:
    name, number = words.take(), int(words.take())
    names.assets[name] = number
    return Request(CommandKind.ADD_ASSET, {"asset": number, "scale": int(words.after("scale") or 0)}, {"name": name})


def _symbol(_: str, words: _Words, names: Names) -> Request:
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


def _change(_: str, words: _Words, names: Names) -> Request:
    name = words.take()
    return Request(CommandKind.CHANGE_SYMBOL, {"symbol": names.symbol(name)} | names.rules.get(name, RULES))


def _account(verb: str, words: _Words, names: Names) -> Request:
    kind = CommandKind.OPEN_ACCOUNT if verb == "account" else CommandKind.SET_FEES
    fields = {"account": names.account(words.take())}
    fields["maker_fee_ppm"] = int(words.after("maker") or -1)
    fields["taker_fee_ppm"] = int(words.after("taker") or -1)
    return Request(kind, fields)


def _mode(_: str, words: _Words, names: Names) -> Request:
    scoped, mode = words.take(), words.take()
    fields: Fields = {"mode": TradingMode[mode.upper()]}
    if scoped == "venue":
        fields |= {"scope": Scope.VENUE}
    elif scoped == "account":
        raise ValueError("name the account by its number")
    elif scoped.isdigit():
        fields |= {"scope": Scope.ACCOUNT, "account": int(scoped)}
    else:
        fields |= {"scope": Scope.SYMBOL, "symbol": names.symbols.get(scoped, 999)}
    return Request(CommandKind.SET_TRADING_MODE, fields)


def _limit(_: str, words: _Words, names: Names) -> Request:
    del names
    return Request(CommandKind.SET_LIMIT, {"limit": Limit[words.take()], "value": int(words.take())})


def _bare(verb: str, words: _Words, names: Names) -> Request:
    del names
    return Request(CommandKind[verb.upper()] if verb != "command" else int(words.take()))


_VERBS: dict[str, Callable[[str, _Words, Names], Request]] = {
    **dict.fromkeys(("buy", "sell"), _order),
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
}
"""The one event of each command whose result is `done`."""

_PHRASES: list[tuple[str, EventKind]] = [
    (r"refused (?P<reject>[A-Z_]+)", EventKind.REJECTED),
    (r"accepted #(?P<order_id>\d+)( x (?P<qty_lots>\d+))? holds (?P<hold_delta_atoms>\d+)", EventKind.ORDER_ACCEPTED),
    (
        r"duplicate #(?P<order_id>\d+) (?P<status>[a-z_]+) x (?P<qty_lots>\d+)( filled (?P<filled_lots>\d+))?",
        EventKind.ORDER_DUPLICATE,
    ),
    (
        (
            r"trade (?P<qty_lots>\d+) @ (?P<price_ticks>\d+) with #(?P<maker_order_id>\d+)( for (?P<quote_atoms>\d+))?"
            r"( fees (?P<taker_fee_atoms>\d+) (?P<maker_fee_atoms>\d+))?( releases (?P<taker_release_atoms>\d+))?"
            r"( leaves (?P<taker_leaves_lots>\d+) (?P<maker_leaves_lots>\d+))?( as (?P<trade_id>\d+))?"
        ),
        EventKind.TRADE,
    ),
    (
        (
            r"prevented with #(?P<maker_order_id>\d+) takes (?P<taker_prevented_lots>\d+) (?P<maker_prevented_lots>\d+)"
            r" releases (?P<taker_release_atoms>\d+) (?P<maker_release_atoms>\d+)"
            r" leaves (?P<taker_leaves_lots>\d+) (?P<maker_leaves_lots>\d+)"
        ),
        EventKind.PREVENTED,
    ),
    (r"reduced #(?P<order_id>\d+) by (?P<qty_lots>\d+) releases (?P<released>\d+)", EventKind.ORDER_REDUCED),
    (
        (
            r"closed #(?P<order_id>\d+) (?P<reason>[a-z_]+) (?P<qty_lots>\d+) releases (?P<released>\d+)"
            r"( (?P<status>canceled|expired))?"
        ),
        EventKind.ORDER_CLOSED,
    ),
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
