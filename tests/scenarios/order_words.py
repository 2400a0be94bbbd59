"""The words of the tables for orders and order lists, and the phrases of what happens to them.

Owns the verbs `buy`, `sell` and `list`; `language.py` takes them in. README.md shows them.
"""

from __future__ import annotations

from exchange.core.codes import (
    CommandFlag,
    CommandKind,
    EventKind,
    ListRole,
    ListType,
    OrderType,
    PegType,
    Side,
    StpMode,
    TimeInForce,
)
from tests.scenarios.words import Fields, Names, Request, Words

_ORDER_TYPES = {
    "limit": OrderType.LIMIT,
    "market": OrderType.MARKET,
    "maker": OrderType.LIMIT_MAKER,
    "stop": OrderType.STOP_LOSS,
    "stop_limit": OrderType.STOP_LOSS_LIMIT,
    "profit": OrderType.TAKE_PROFIT,
    "profit_limit": OrderType.TAKE_PROFIT_LIMIT,
}
_WITHOUT_PRICE = ("market", "stop", "profit")
_PEGS = {"primary": PegType.PRIMARY_PEG, "market": PegType.MARKET_PEG}


def _price(word: str) -> Fields:
    """A number, or a peg: `primary` or `market`, with `+` and the levels behind the best one."""
    peg, _, offset = word.partition("+")
    if peg in _PEGS:
        return {"peg_type": _PEGS[peg], "peg_offset_levels": int(offset or 0)}
    return {"price_ticks": int(word)}


def order(verb: str, words: Words, names: Names) -> Request:
    """PLACE, `buy` or `sell`."""
    fields: Fields = {"side": Side[verb.upper()], "account": names.account(words.take())}
    fields["symbol"] = names.symbol(words.take())
    order_type = words.take()
    fields["order_type"] = _ORDER_TYPES[order_type]
    fields["qty_lots"] = int(words.after("x") or 0)
    for keyword, name in (
        ("quote", "quote_atoms"),
        ("until", "expire_ts_ns"),
        ("at", "stop_price_ticks"),
        ("trail", "trailing_bips"),
        ("iceberg", "iceberg_lots"),
        ("key", "key"),
    ):
        fields[name] = int(words.after(keyword) or 0)
    fields["stp_mode"] = StpMode[(words.after("stp") or "none").upper()]
    fields["list_role"] = ListRole[(words.after("as") or "none").upper()]
    fields["flags"] = CommandFlag.LINKED if words.has("linked") else 0
    texts = {"client_id": words.after("client") or ""}
    if order_type in _WITHOUT_PRICE:
        fields["time_in_force"] = TimeInForce.IOC
    else:
        fields |= _price(words.take())
        fields["time_in_force"] = TimeInForce[words.take().upper()]
    return Request(CommandKind.PLACE, fields, texts)


def order_list(_: str, words: Words, names: Names) -> Request:
    """PLACE_LIST: its legs are the lines that follow."""
    fields: Fields = {"flags": CommandFlag.LINKED, "account": names.account(words.take())}
    fields["symbol"] = names.symbols.get(words.take(), 999)
    fields["list_type"] = ListType[words.take().upper()]
    return Request(CommandKind.PLACE_LIST, fields, {"client_id": words.after("client") or ""})


PHRASES: list[tuple[str, EventKind]] = [
    (
        (
            r"accepted #(?P<order_id>\d+)( x (?P<qty_lots>\d+))?( @ (?P<price_ticks>\d+))?"
            r" holds (?P<hold_delta_atoms>\d+)( (?P<status>new|pending_new))?"
        ),
        EventKind.ORDER_ACCEPTED,
    ),
    (
        r"duplicate #(?P<order_id>\d+) (?P<status>[a-z_]+) x (?P<qty_lots>\d+)( filled (?P<filled_lots>\d+))?",
        EventKind.ORDER_DUPLICATE,
    ),
    (
        (
            r"trade (?P<qty_lots>\d+) @ (?P<price_ticks>\d+)( of #(?P<taker_order_id>\d+))?"
            r" with #(?P<maker_order_id>\d+)( for (?P<quote_atoms>\d+))?"
            r"( fees (?P<taker_fee_atoms>\d+) (?P<maker_fee_atoms>\d+))?( releases (?P<taker_release_atoms>\d+))?"
            r"( leaves (?P<taker_leaves_lots>\d+) (?P<maker_leaves_lots>\d+))?( as (?P<trade_id>\d+))?"
        ),
        EventKind.TRADE,
    ),
    (
        (
            r"prevented with #(?P<maker_order_id>\d+)( of (?P<maker_account>\d+))?"
            r" takes (?P<taker_prevented_lots>\d+) (?P<maker_prevented_lots>\d+)"
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
    (
        (
            r"terms #(?P<order_id>\d+) (?P<stage>book|stop|trail|pending)"
            r"( (?P<list_role>working|pending|above|below) of (?P<list_id>\d+))?"
        ),
        EventKind.ORDER_TERMS,
    ),
    (
        (
            r"entered #(?P<order_id>\d+) x (?P<qty_lots>\d+)( @ (?P<price_ticks>\d+))?"
            r" holds (?P<hold_delta_atoms>[+-]\d+)"
        ),
        EventKind.ORDER_ENTERED,
    ),
    (r"shown #(?P<order_id>\d+) (?P<qty_lots>[+-]\d+)( @ (?P<price_ticks>\d+))?", EventKind.ORDER_SHOWN),
    (r"funded #(?P<order_id>\d+) (?P<hold_delta_atoms>[+-]\d+)", EventKind.ORDER_FUNDED),
    (r"staged( (?P<list_type>oco|oto|otoco|opo|opoco))?", EventKind.STAGED),
    (
        (
            r"list (?P<list_id>\d+) (?P<list_status>started|done)"
            r" #(?P<order_id_0>\d+) #(?P<order_id_1>\d+)( #(?P<order_id_2>\d+))?"
        ),
        EventKind.LIST_CHANGED,
    ),
]
