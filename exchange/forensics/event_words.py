"""Events as sentences: what happened.

Owns one function an EventKind (a test holds that).
"""

from __future__ import annotations

from collections.abc import Callable

from exchange.core.codes import (
    CloseReason,
    CommandKind,
    EventKind,
    Limit,
    ListStatus,
    ListType,
    OrderStatus,
    RejectCode,
    Side,
    Stage,
    StpMode,
    TradingMode,
    TransferState,
)
from exchange.core.event_records import event_dict
from exchange.forensics.command_words import fees_text, on_symbol, order_text, rule_text, scope_text, terms_text
from exchange.forensics.names import Fields, Names, account_text, decimal, duration_text, time_text
from exchange.forensics.words import CLOSED_BECAUSE, PREVENTED_BY, REFUSED_BECAUSE, STANDS, name_of
from journal.format import Bytes

Sentence = Callable[[Names, Fields], str]


def _of(f: Fields) -> str:
    return f"Order {f['order_id']} of {account_text(f['account'])}"


def held_text(names: Names, f: Fields) -> str:
    """What an ORDER_EVENT did to what its account has locked, as the end of a sentence."""
    delta = f["hold_delta_atoms"]
    if delta == 0:
        return ""
    amount = names.paid(f["symbol"], f["side"], abs(delta))
    return f"; {amount} {'locked for it' if delta > 0 else 'released'}"


def _rejected(_: Names, f: Fields) -> str:
    kind = name_of(CommandKind, f["command_kind"]) if f["command_kind"] else "The command"
    code = f["reject"]
    why = REFUSED_BECAUSE[RejectCode(code)] if code in set(RejectCode) else "this build does not know why."
    return f"{kind} is refused, {name_of(RejectCode, code)}: {why}"


def _accepted(names: Names, f: Fields) -> str:
    return f"{_of(f)} is accepted: {order_text(names, f)}{held_text(names, f)}."


def _duplicate(names: Names, f: Fields) -> str:
    filled, total = (names.lots(f["symbol"], f[name]) for name in ("filled_lots", "qty_lots"))
    status = name_of(OrderStatus, f["status"])
    return f"It repeats order {f['order_id']}, which is {status} with {filled} of {total} filled; nothing changes."


def _trade(names: Names, f: Fields) -> str:
    symbol, side = f["symbol"], f["side"]
    verb, other = ("buys", "from") if side == Side.BUY else ("sells", "to")
    fees = (
        names.received(symbol, one, f[fee]) for one, fee in ((side, "taker_fee_atoms"), (1 - side, "maker_fee_atoms"))
    )
    left = [
        f"order {f[f'{role}_order_id']} has {names.lots(symbol, f[f'{role}_leaves_lots'])} left"
        if f[f"{role}_leaves_lots"]
        else f"order {f[f'{role}_order_id']} is filled"
        for role in ("taker", "maker")
    ]
    released = f"; {names.paid(symbol, side, f['taker_release_atoms'])} released" if f["taker_release_atoms"] else ""
    return (
        f"Trade {f['trade_id']} on {names.symbol(symbol)}: order {f['taker_order_id']} of "
        f"{account_text(f['taker_account'])} {verb} {names.lots(symbol, f['qty_lots'])} {other} order "
        f"{f['maker_order_id']} of {account_text(f['maker_account'])} at {names.price(symbol, f['price_ticks'])} for "
        f"{names.quote(symbol, f['quote_atoms'])}; fees {next(fees)} (taker) and {next(fees)} (maker){released}; "
        f"{' and '.join(left)}."
    )


def _prevented(names: Names, f: Fields) -> str:
    symbol = f["symbol"]
    lots = [names.lots(symbol, f[f"{role}_prevented_lots"]) for role in ("taker", "maker")]
    mode = PREVENTED_BY[StpMode(f["stp_mode"])] if f["stp_mode"] in set(StpMode) else f"mode {f['stp_mode']}"
    group = f" and {account_text(f['maker_account'])} of its trade group" if f["maker_account"] else ""
    return (
        f"Self-trade prevention of {account_text(f['account'])}{group} on {names.symbol(symbol)} at "
        f"{names.price(symbol, f['price_ticks'])}: {mode}; {lots[0]} off order {f['taker_order_id']} (taker), "
        f"{lots[1]} off order {f['maker_order_id']} (maker)."
    )


def _reduced(names: Names, f: Fields) -> str:
    return f"{_of(f)} is reduced by {names.lots(f['symbol'], f['qty_lots'])}{held_text(names, f)}."


def _closed(names: Names, f: Fields) -> str:
    why = CLOSED_BECAUSE[CloseReason(f["reason"])] if f["reason"] in set(CloseReason) else f"reason {f['reason']}"
    status, lots = name_of(OrderStatus, f["status"]), names.lots(f["symbol"], f["qty_lots"])
    return f"{_of(f)} ends {status} with {lots} not traded: {why}{held_text(names, f)}."


def _canceled_all(names: Names, f: Fields) -> str:
    return f"{f['canceled_count']} orders of {account_text(f['account'])}{on_symbol(names, f)} were canceled."


def _entered(names: Names, f: Fields) -> str:
    return f"{_of(f)} goes to work: {order_text(names, f)}{held_text(names, f)}."


def _shown(names: Names, f: Fields) -> str:
    lots = f["qty_lots"]
    verb = "shows" if lots >= 0 else "no longer shows"
    at = names.price(f["symbol"], f["price_ticks"])
    return f"{_of(f)} {verb} {names.lots(f['symbol'], abs(lots))} on the book at {at}."


def _funded(names: Names, f: Fields) -> str:
    return f"{_of(f)} has its hold changed by what its list did{held_text(names, f)}."


def _terms(names: Names, f: Fields) -> str:
    said = "; ".join(terms_text(names, f)) or "no terms"
    of_list = f"; list {f['list_id']}" if f["list_id"] else ""
    stage = STANDS[Stage(f["stage"])] if f["stage"] in set(Stage) else f"in stage {f['stage']}"
    verb = "goes to work at once" if f["stage"] == Stage.BOOK else f"waits {stage}"
    return f"Terms of order {f['order_id']}: {said}{of_list}. It {verb}."


def _staged(names: Names, f: Fields) -> str:
    return (
        f"A command of the {name_of(ListType, f['list_type'])} list of {account_text(f['account'])} on "
        f"{names.symbol(f['symbol'])} is put by until the last leg comes."
    )


def legs_text(f: Fields) -> str:
    """The order ids of a LIST_EVENT."""
    legs = [f[f"order_id_{leg}"] for leg in range(3) if f[f"order_id_{leg}"]]
    return (
        " and ".join([", ".join(map(str, legs[:-1])), str(legs[-1])]) if len(legs) > 1 else str(legs[0] if legs else 0)
    )


def _list_changed(names: Names, f: Fields) -> str:
    status = {int(ListStatus.STARTED): "has started", int(ListStatus.DONE): "is done"}
    return (
        f"List {f['list_id']}, an {name_of(ListType, f['list_type'])} of {account_text(f['account'])} on "
        f"{names.symbol(f['symbol'])} with orders {legs_text(f)}, "
        f"{status.get(f['list_status'], name_of(ListStatus, f['list_status']))}."
    )


def _mass_canceled(names: Names, f: Fields) -> str:
    more = "; there may be more" if f["more"] else ""
    return f"{f['canceled_count']} orders of {scope_text(names, f)} were canceled{more}."


_TRANSFERRED = {
    int(TransferState.DEPOSITED): "is deposited",
    int(TransferState.HELD): "is locked for a withdrawal",
    int(TransferState.SETTLED): "has left the venue",
    int(TransferState.RELEASED): "is available again: its withdrawal is off",
}


def _transferred(names: Names, f: Fields) -> str:
    state = _TRANSFERRED.get(f["transfer_state"], name_of(TransferState, f["transfer_state"]))
    amount = names.amount(f["asset"], f["amount_atoms"])
    return f"{amount} of {account_text(f['account'])} {state} (transfer {f['transfer_id']})."


def _transfer_duplicate(names: Names, f: Fields) -> str:
    state = name_of(TransferState, f["transfer_state"])
    amount = names.amount(f["asset"], f["amount_atoms"])
    return f"It repeats transfer {f['transfer_id']} of {amount}, which is {state}; nothing changes."


def _countdown_who(names: Names, f: Fields) -> str:
    key = f" with API key {f['key']}" if f["key"] else ""
    return f"{account_text(f['account'])}{on_symbol(names, f)}{key}"


def _countdown_set(names: Names, f: Fields) -> str:
    who = _countdown_who(names, f)
    if f["due_ts_ns"] == 0:
        return f"The countdown of {who} is disarmed."
    return f"The countdown of {who} runs for {duration_text(f['countdown_ns'])}, until {time_text(f['due_ts_ns'])}."


def _countdown_fired(names: Names, f: Fields) -> str:
    who, due = _countdown_who(names, f), time_text(f["due_ts_ns"])
    return f"The countdown of {who} ran out at {due}; its orders are canceled."


def _auction_started(names: Names, f: Fields) -> str:
    end = f"until {time_text(f['end_ts_ns'])}" if f["end_ts_ns"] else "until it is uncrossed by command"
    return f"An auction on {names.symbol(f['symbol'])} collects orders {end}."


def _auction_indicated(names: Names, f: Fields) -> str:
    symbol = f["symbol"]
    if f["qty_lots"] == 0:
        return f"The auction on {names.symbol(symbol)} would trade nothing now."
    over = f["imbalance_lots"]
    more = f"; {names.lots(symbol, abs(over))} more {'demand' if over > 0 else 'supply'}" if over else ""
    return (
        f"The auction on {names.symbol(symbol)} would trade {names.lots(symbol, f['qty_lots'])} at "
        f"{names.price(symbol, f['price_ticks'])} now{more}."
    )


def _auction_ended(names: Names, f: Fields) -> str:
    symbol = f["symbol"]
    if f["trades_count"] == 0:
        return f"The auction on {names.symbol(symbol)} ended without a trade; trading is continuous."
    return (
        f"The auction on {names.symbol(symbol)} ended: {names.lots(symbol, f['qty_lots'])} in {f['trades_count']} "
        f"trades at {names.price(symbol, f['price_ticks'])}; trading is continuous."
    )


def _breaker_tripped(names: Names, f: Fields) -> str:
    last, low, high = (names.price(f["symbol"], f[name]) for name in ("price_ticks", "low_ticks", "high_ticks"))
    return (
        f"The breaker of {names.symbol(f['symbol'])} tripped at {last}: the window went from {low} to {high}. Trading "
        f"pauses until {time_text(f['end_ts_ns'])}."
    )


def _limit_set(_: Names, f: Fields) -> str:
    return f"The venue's limit {name_of(Limit, f['limit'])} is {f['value']} now."


def _asset_added(_: Names, f: Fields) -> str:
    return f"Asset {f['asset']} {f['name']} exists; it has {f['scale']} decimals."


def _symbol_set(verb: str) -> Sentence:
    def sentence(_: Names, f: Fields) -> str:
        low, high = (decimal(f[name], f["price_scale"]) for name in ("price_min_ticks", "price_max_ticks"))
        return f"Symbol {f['symbol']} {f['name']} {verb}; prices from {low} to {high}."

    return sentence


def _account_opened(_: Names, f: Fields) -> str:
    return f"{account_text(f['account']).capitalize()} exists; {fees_text(f)}."


def _fees_set(_: Names, f: Fields) -> str:
    return f"{account_text(f['account']).capitalize()} has other {fees_text(f)}."


def _mode_set(names: Names, f: Fields) -> str:
    return f"The mode of {scope_text(names, f)} is {name_of(TradingMode, f['mode'])} now."


def _rule_set(names: Names, f: Fields) -> str:
    return f"A rule is set: {rule_text(names, f)} now."


def _ticked(_: Names, f: Fields) -> str:
    return f"Time has passed; {f['expired_count']} orders expired." if f["expired_count"] else "Time has passed."


def _hashed(_: Names, f: Fields) -> str:
    return f"The state at sequence {f['at_sequence']} has the hash {hash_text(f['hash_0'], f['hash_1'])}."


def _skip_noted(_: Names, f: Fields) -> str:
    return f"It is noted that command {f['at_sequence']} is passed over: {f['name']}."


EVENTS: dict[EventKind, Sentence] = {
    EventKind.REJECTED: _rejected,
    EventKind.ORDER_ACCEPTED: _accepted,
    EventKind.ORDER_DUPLICATE: _duplicate,
    EventKind.TRADE: _trade,
    EventKind.PREVENTED: _prevented,
    EventKind.ORDER_REDUCED: _reduced,
    EventKind.ORDER_CLOSED: _closed,
    EventKind.CANCELED_ALL: _canceled_all,
    EventKind.ORDER_ENTERED: _entered,
    EventKind.ORDER_SHOWN: _shown,
    EventKind.ORDER_FUNDED: _funded,
    EventKind.ORDER_TERMS: _terms,
    EventKind.STAGED: _staged,
    EventKind.LIST_CHANGED: _list_changed,
    EventKind.MASS_CANCELED: _mass_canceled,
    EventKind.TRANSFERRED: _transferred,
    EventKind.TRANSFER_DUPLICATE: _transfer_duplicate,
    EventKind.COUNTDOWN_SET: _countdown_set,
    EventKind.COUNTDOWN_FIRED: _countdown_fired,
    EventKind.AUCTION_STARTED: _auction_started,
    EventKind.AUCTION_INDICATED: _auction_indicated,
    EventKind.AUCTION_ENDED: _auction_ended,
    EventKind.BREAKER_TRIPPED: _breaker_tripped,
    EventKind.LIMIT_SET: _limit_set,
    EventKind.ASSET_ADDED: _asset_added,
    EventKind.SYMBOL_ADDED: _symbol_set("exists"),
    EventKind.SYMBOL_CHANGED: _symbol_set("has other parameters"),
    EventKind.ACCOUNT_OPENED: _account_opened,
    EventKind.FEES_SET: _fees_set,
    EventKind.TRADING_MODE_SET: _mode_set,
    EventKind.RULE_SET: _rule_set,
    EventKind.TICKED: _ticked,
    EventKind.HASHED: _hashed,
    EventKind.SKIP_NOTED: _skip_noted,
}


def hash_text(hash_0: int, hash_1: int) -> str:
    """A state hash as 32 hexadecimal digits."""
    return "".join(f"{lane % (1 << 64):016x}" for lane in (hash_0, hash_1))


def event_sentence(names: Names, slot: Bytes) -> str:
    """What one event says happened."""
    if int(slot[16]) not in set(EventKind):
        return f"An event of kind {int(slot[16])}, which this build does not know."
    return EVENTS[EventKind(int(slot[16]))](names, event_dict(slot))
