"""Commands as sentences: who asks for what.

Owns one function a CommandKind (a test holds that). Says what was asked, never what came of it.
"""

from __future__ import annotations

from collections.abc import Callable

from exchange.core.codes import (
    CommandFlag,
    CommandKind,
    Limit,
    ListRole,
    ListType,
    OrderType,
    PegType,
    Scope,
    Side,
    StpMode,
    TimeInForce,
    TradingMode,
)
from exchange.core.records import command_dict
from exchange.forensics.names import Fields, Names, account_text, bips_text, decimal, duration_text, time_text
from exchange.forensics.words import RULES, name_of
from journal.format import Bytes

Sentence = Callable[[Names, Fields], str]

_IN_BIPS = "_BIPS"
_IN_NS = "_NS"


def _who(f: Fields) -> str:
    text = account_text(f["account"])
    return text[0].upper() + text[1:]


def _name(f: Fields) -> str:
    return f"client id {f['client_id']!r}" if f["client_id"] else ""


def order_text(names: Names, f: Fields) -> str:
    """An order of a PLACE or of an ORDER_EVENT: type, side, quantity, symbol and price."""
    symbol, side = f["symbol"], name_of(Side, f["side"])
    kind = f"{name_of(OrderType, f['order_type'])} {name_of(TimeInForce, f['time_in_force'])} {side}"
    if f["quote_atoms"] and not f["qty_lots"]:
        what = f"for {names.quote(symbol, f['quote_atoms'])}"
    else:
        what = f"{names.lots(symbol, f['qty_lots'])}"
    price = f" at {names.price(symbol, f['price_ticks'])}" if f["price_ticks"] else ""
    return f"{kind} {what} on {names.symbol(symbol)}{price}"


def terms_text(names: Names, f: Fields) -> list[str]:
    """What a PLACE or ORDER_TERMS has beyond a plain order, as phrases."""
    symbol = f["symbol"]
    said = []
    if f["stop_price_ticks"]:
        said.append(f"stop price {names.price(symbol, f['stop_price_ticks'])}")
    if f["trailing_bips"]:
        said.append(f"trailing by {bips_text(f['trailing_bips'])}")
    if f["iceberg_lots"]:
        said.append(f"showing {names.lots(symbol, f['iceberg_lots'])} at a time")
    if f["peg_type"]:
        said.append(f"{name_of(PegType, f['peg_type'])}, {f['peg_offset_levels']} levels behind the best")
    if f["list_role"]:
        said.append(f"{name_of(ListRole, f['list_role'])} leg of its list")
    if f["expire_ts_ns"]:
        said.append(f"until {time_text(f['expire_ts_ns'])}")
    if f["key"]:
        said.append(f"API key {f['key']}")
    return said


def _place(names: Names, f: Fields) -> str:
    said = terms_text(names, f)
    if f["stp_mode"]:
        said.append(f"self-trade prevention {name_of(StpMode, f['stp_mode'])}")
    said += [_name(f)] if f["client_id"] else []
    more = f" ({'; '.join(said)})" if said else ""
    return f"{_who(f)} places {order_text(names, f)}{more}."


def _target(f: Fields) -> str:
    return f"order {f['order_id']}" if f["order_id"] else f"the order with {_name(f) or 'no client id'}"


def _cancel(names: Names, f: Fields) -> str:
    return f"{_who(f)} cancels {_target(f)}{on_symbol(names, f)}."


def on_symbol(names: Names, f: Fields) -> str:
    """Where, when a symbol is named."""
    return f" on {names.symbol(f['symbol'])}" if f["symbol"] else ""


def _reduce(names: Names, f: Fields) -> str:
    total = names.lots(f["symbol"], f["qty_lots"])
    return f"{_who(f)} reduces {_target(f)}{on_symbol(names, f)} to {total} in all."


def _cancel_all(names: Names, f: Fields) -> str:
    return f"{_who(f)} cancels all its orders{on_symbol(names, f) or ' on all symbols'}."


def _place_list(names: Names, f: Fields) -> str:
    more = f" ({_name(f)})" if f["client_id"] else ""
    return f"{_who(f)} begins an {name_of(ListType, f['list_type'])} list on {names.symbol(f['symbol'])}{more}."


def scope_text(names: Names, f: Fields) -> str:
    """Whom a switch, a rule or a mass cancel speaks of."""
    scope = f["scope"]
    if scope == Scope.SYMBOL:
        return names.symbol(f["symbol"])
    key = f"API key {f['key']}" if f.get("key") else ""
    who = account_text(f["account"])
    if scope == Scope.ACCOUNT:
        return f"{who}{on_symbol(names, f)}"
    if scope == Scope.KEY:
        return f"{key} of {who}{on_symbol(names, f)}" if f["account"] else key
    return {int(Scope.VENUE): "the venue", int(Scope.WITHDRAWALS): "withdrawals"}.get(scope, f"scope {scope}")


def _mass_cancel(names: Names, f: Fields) -> str:
    return f"An operator cancels all orders of {scope_text(names, f)}."


def _countdown(names: Names, f: Fields) -> str:
    key = f" with API key {f['key']}" if f["key"] else ""
    where = f"{on_symbol(names, f) or ' on all symbols'}{key}"
    if f["countdown_ns"] == 0:
        return f"{_who(f)} disarms the countdown of its orders{where}."
    return (
        f"{_who(f)} has its orders{where} canceled unless it says so again within {duration_text(f['countdown_ns'])}."
    )


def _transfer(verb: str) -> Sentence:
    def sentence(names: Names, f: Fields) -> str:
        amount = names.amount(f["asset"], f["amount_atoms"])
        return f"{verb} of {amount} for {account_text(f['account'])} (transfer {f['transfer_id']})."

    return sentence


def _add_asset(_: Names, f: Fields) -> str:
    return f"Asset {f['asset']} {f['name']} is added; it has {f['scale']} decimals."


def _symbol(verb: str) -> Sentence:
    def sentence(names: Names, f: Fields) -> str:
        known = names.symbols.get(f["symbol"])
        called = known.name if known else f["name"]
        prices, lots = (known.price_scale, known.qty_scale) if known else (f["price_scale"], f["qty_scale"])
        return (
            f"Symbol {f['symbol']} {called} is {verb}: prices {decimal(f['price_min_ticks'], prices)} to "
            f"{decimal(f['price_max_ticks'], prices)} in steps of {decimal(f['price_step_ticks'], prices)}, quantities "
            f"{decimal(f['qty_min_lots'], lots)} to {decimal(f['qty_max_lots'], lots)} in steps of "
            f"{decimal(f['qty_step_lots'], lots)}, fees {decimal(f['maker_fee_ppm'], 4)} % for makers and "
            f"{decimal(f['taker_fee_ppm'], 4)} % for takers."
        )

    return sentence


def fees_text(f: Fields) -> str:
    """The fee overrides of an account."""
    rates = ((f["maker_fee_ppm"], "makers"), (f["taker_fee_ppm"], "takers"))
    said = [f"{decimal(ppm, 4)} % as {who[:-1]}" if ppm >= 0 else f"the symbol's as {who[:-1]}" for ppm, who in rates]
    return f"fees {said[0]} and {said[1]}"


def _open_account(_: Names, f: Fields) -> str:
    return f"{_who(f)} is opened; {fees_text(f)}."


def _set_fees(_: Names, f: Fields) -> str:
    return f"{_who(f)} gets other {fees_text(f)}."


def _set_mode(names: Names, f: Fields) -> str:
    return f"The mode of {scope_text(names, f)} is set to {name_of(TradingMode, f['mode'])}."


def rule_text(names: Names, f: Fields) -> str:
    """A rule and its value."""
    enum = RULES.get(f["scope"])
    rule = name_of(enum, f["rule"]) if enum else f"rule {f['rule']}"
    value = f["value"]
    if value == 0:
        shown = "off"
    elif rule.endswith(_IN_BIPS):
        shown = bips_text(value)
    elif rule.endswith(_IN_NS):
        shown = duration_text(value)
    elif rule.endswith("_ATOMS"):
        shown = names.amount(f["asset"], value)
    elif rule.endswith("_LOTS"):
        shown = names.lots(f["symbol"], value)
    else:
        shown = str(value)
    return f"{rule} of {scope_text(names, f)} is {shown}"


def _set_rule(names: Names, f: Fields) -> str:
    return f"A rule is set: {rule_text(names, f)}."


def _auction(names: Names, f: Fields) -> str:
    symbol = names.symbol(f["symbol"])
    if f["action"] == 1:
        end = f", until {time_text(f['end_ts_ns'])}" if f["end_ts_ns"] else ", until it is uncrossed by command"
        return f"An auction on {symbol} is to start{end}."
    return f"The auction on {symbol} is to be uncrossed."


def _set_limit(_: Names, f: Fields) -> str:
    return f"The venue's limit {name_of(Limit, f['limit'])} is set to {f['value']}."


def _hash(_: Names, f: Fields) -> str:
    if f["at_sequence"] == 0:
        return "The state is hashed."
    return f"The state is hashed; the hash at sequence {f['at_sequence']} is repeated, to be checked."


def _tick(_: Names, __: Fields) -> str:
    return "Time passes."


def _skip(_: Names, f: Fields) -> str:
    return f"An operator pair has command {f['at_sequence']} passed over: {f['name']}."


def _skipped(_: Names, __: Fields) -> str:
    return "The command that stood here is passed over."


COMMANDS: dict[CommandKind, Sentence] = {
    CommandKind.SET_LIMIT: _set_limit,
    CommandKind.ADD_ASSET: _add_asset,
    CommandKind.ADD_SYMBOL: _symbol("added"),
    CommandKind.CHANGE_SYMBOL: _symbol("changed"),
    CommandKind.OPEN_ACCOUNT: _open_account,
    CommandKind.SET_FEES: _set_fees,
    CommandKind.SET_TRADING_MODE: _set_mode,
    CommandKind.SET_RULE: _set_rule,
    CommandKind.AUCTION: _auction,
    CommandKind.DEPOSIT: _transfer("Deposit"),
    CommandKind.WITHDRAW_HOLD: _transfer("Hold for a withdrawal"),
    CommandKind.WITHDRAW_SETTLE: _transfer("Settlement of a withdrawal"),
    CommandKind.WITHDRAW_RELEASE: _transfer("Release of a withdrawal"),
    CommandKind.PLACE: _place,
    CommandKind.CANCEL: _cancel,
    CommandKind.CANCEL_ALL: _cancel_all,
    CommandKind.REDUCE: _reduce,
    CommandKind.PLACE_LIST: _place_list,
    CommandKind.MASS_CANCEL: _mass_cancel,
    CommandKind.COUNTDOWN: _countdown,
    CommandKind.TICK: _tick,
    CommandKind.HASH: _hash,
    CommandKind.SKIP: _skip,
    CommandKind.SKIPPED: _skipped,
}


def command_fields(slot: Bytes) -> Fields:
    """The fields of a command; of one that this build does not know, what all have."""
    try:
        return dict(command_dict(slot))
    except ValueError:
        words = slot[:16].copy().view("<i8")
        return {"sequence": int(words[0]), "ts_ns": int(words[1]), "kind": int(slot[16]), "flags": int(slot[17])}


def command_sentence(names: Names, fields: Fields) -> str:
    """What a command asks for."""
    kind = fields["kind"]
    if kind not in set(CommandKind):
        return f"A command of kind {kind}, which this build does not know."
    said = COMMANDS[CommandKind(kind)](names, fields)
    return f"{said} It is linked to the command after it." if fields["flags"] & CommandFlag.LINKED else said
