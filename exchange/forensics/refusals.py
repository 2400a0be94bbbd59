"""Why a command was refused, with the numbers: the rule of its RejectCode, and what the state before it said.

Owns one function a code that has numbers to show; the rule in words is in `words.REFUSED_BECAUSE`. Reads the state
before the command, changes nothing and decides nothing: the engine has refused already.
"""

from __future__ import annotations

from collections.abc import Callable

from exchange.core import readers
from exchange.core.codes import (
    CommandKind,
    Limit,
    OrderStatus,
    RejectCode,
    Side,
    SymbolRule,
    TradingMode,
)
from exchange.core.state import MAX_ATOMS, State
from exchange.forensics.cases import Case, needs
from exchange.forensics.command_words import terms_text
from exchange.forensics.names import Fields, Names, account_text, bips_text, decimal, duration_text, time_text
from exchange.forensics.words import CODES, REFUSED_BECAUSE, name_of

_DAY_NS = 86_400 * 1_000_000_000


Numbers = Callable[[Case], str]


def _given(field: str, what: str) -> Numbers:
    def numbers(case: Case) -> str:
        value = case.command.get(field, 0)
        shown = name_of(CODES[field], value) if field in CODES else str(value)
        return f"{what} is {shown}."

    return numbers


def _mode(of: str) -> Numbers:
    def numbers(case: Case) -> str:
        state, command = case.state, case.command
        if of == "venue":
            return f"The venue is {name_of(TradingMode, int(state.header[0].mode))}."
        if of == "account":
            mode = int(state.accounts[command["account"]].mode)
            return f"{account_text(command['account']).capitalize()} is {name_of(TradingMode, mode)}."
        if case.symbol is None:
            return ""
        return f"{case.symbol.name} is {name_of(TradingMode, case.symbol.mode)}."

    return numbers


def _client_id(case: Case) -> str:
    client_id = case.command["client_id"]
    found = readers.find_order(case.state, case.command["account"], client_id=client_id)
    if found is None:
        return f"The client id is {client_id!r}."
    differs = [
        f"{name} {getattr(found, theirs)} there and {case.command[name]} here"
        for name, theirs in (
            *((same, same) for same in ("symbol", "side", "order_type", "time_in_force", "stp_mode", "price_ticks")),
            *(("qty_lots", "submitted_lots"), ("quote_atoms", "quote_atoms"), ("expire_ts_ns", "expire_ts_ns")),
        )
        if name in case.command and getattr(found, theirs) != case.command[name]
    ]
    what = f"; it has {', '.join(differs)}" if differs else ""
    return f"{client_id!r} is order {found.order_id}, {name_of(OrderStatus, found.status)}{what}."


def _unknown_order(case: Case) -> str:
    command = case.command
    found = readers.find_order(case.state, command["account"], command["order_id"], command["client_id"])
    who = account_text(command["account"])
    if found is None:
        named = f"order {command['order_id']}" if command["order_id"] else f"the client id {command['client_id']!r}"
        return f"Of {who}, {named} is neither open nor among the orders that are remembered."
    status = name_of(OrderStatus, found.status)
    if found.is_open:
        return (
            f"Order {found.order_id} is {status} on {case.names.symbol(found.symbol)}, which the command contradicts."
        )
    return f"Order {found.order_id} was {status} at {time_text(found.updated_ts_ns)}."


def _bound(field: str, bound: str, word: str) -> Numbers:
    """A value of the command beside the symbol's bound; the unit is the suffix."""

    def numbers(case: Case) -> str:
        if case.symbol is None:
            return ""
        say = case.price if field.endswith("_ticks") else case.lots
        values = [case.command[field]]
        if case.command.get("stop_price_ticks") and field == "price_ticks":
            values = [value for value in (case.command[field], case.command["stop_price_ticks"]) if value]
        return f"It is {' and '.join(map(say, values))}; {word} is {say(getattr(case.symbol, bound))}."

    return numbers


def _notional(bound: str, word: str) -> Numbers:
    def numbers(case: Case) -> str:
        symbol, command = case.symbol, case.command
        if symbol is None:
            return ""
        atoms = command["price_ticks"] * command["qty_lots"] * symbol.quote_atoms_per_tick_lot or command["quote_atoms"]
        asset = symbol.quote_asset
        limit = case.names.amount(asset, getattr(symbol, bound))
        return f"It is {case.names.amount(asset, atoms)}; {word} is {limit}."

    return numbers


def _expiry(case: Case) -> str:
    if case.command["kind"] == CommandKind.COUNTDOWN:
        return f"The countdown is {duration_text(case.command['countdown_ns'])}."
    return f"It expires {time_text(case.command['expire_ts_ns'])}; the time was {time_text(case.command['ts_ns'])}."


def _fields(case: Case) -> str:
    return f"It has {'; '.join(terms_text(case.names, case.command)) or 'no terms'}."


def _reduction(case: Case) -> str:
    command = case.command
    found = readers.find_order(case.state, command["account"], command["order_id"], command["client_id"])
    if found is None:
        return ""
    filled, total, wanted = (
        case.names.lots(found.symbol, lots) for lots in (found.filled_lots, found.qty_lots, command["qty_lots"])
    )
    return f"{filled} of {total} were filled; {wanted} was asked for."


def _limit(limit: Limit, used: str) -> Numbers:
    def numbers(case: Case) -> str:
        return f"There are {int(getattr(case.state.header[0], used))}; the limit is {int(case.state.limits[limit])}."

    return numbers


def _orders_max(case: Case) -> str:
    return f"It has {len(case.open_orders())}; the limit is {case.symbol.orders_max}." if case.symbol else ""


def _would_take(case: Case) -> str:
    best = case.best(1 - case.command["side"])
    side = "ask" if case.command["side"] == Side.BUY else "bid"
    return f"Its price is {case.price(case.command['price_ticks'])}; the best {side} was {case.price(best)}."


def _would_trigger(case: Case) -> str:
    last = int(case.state.markets[case.command["symbol"]].last_ticks)
    return f"Its stop price is {case.price(case.command['stop_price_ticks'])}; the last price was {case.price(last)}."


def _trailing(case: Case) -> str:
    low, high = case.rule(SymbolRule.TRAILING_MIN_BIPS) or 1, case.rule(SymbolRule.TRAILING_MAX_BIPS) or 9_999
    given = bips_text(case.command["trailing_bips"])
    return f"It is {given}; {bips_text(low)} to {bips_text(high)} are allowed."


def _iceberg(case: Case) -> str:
    shown, total = case.command["iceberg_lots"], case.command["qty_lots"]
    parts = case.rule(SymbolRule.ICEBERG_PARTS_MAX) or 1_000
    return f"It would show {case.lots(shown)} of {case.lots(total)} at a time; at most {parts} parts are allowed."


def _collar(case: Case) -> str:
    side = "BID" if case.command["side"] == Side.BUY else "ASK"
    up, down = (case.rule(SymbolRule[f"{side}_{way}_BIPS"]) for way in ("UP", "DOWN"))
    bounds = [f"at {word} {bips_text(value)}" for word, value in (("least", down), ("most", up)) if value]
    return (
        f"It is {case.price(case.command['price_ticks'])}; {' and '.join(bounds)} of the reference price are allowed."
    )


def _rule_max(rule: SymbolRule) -> Numbers:
    return lambda case: f"The limit is {case.rule(rule)}."


def _position(case: Case) -> str:
    symbol = case.symbol
    if symbol is None:
        return ""
    has = (case.available(symbol.base_asset) + case.locked(symbol.base_asset)) // symbol.base_atoms_per_lot
    ordered = sum(order.leaves_lots for order in case.open_orders() if order.side == Side.BUY)
    limit = case.rule(SymbolRule.POSITION_MAX_LOTS)
    return (
        f"It has {case.lots(has)}, open BUY orders for {case.lots(ordered)} and asks for "
        f"{case.lots(case.command['qty_lots'])}; the limit is {case.lots(limit)}."
    )


def _exposure(case: Case) -> str:
    asset, needed = needs(case)
    limit = int(case.state.exposures[case.command["account"] * len(case.state.assets) + asset])
    say = case.names.amount
    return (
        f"It has {say(asset, case.locked(asset))} locked and would lock {say(asset, needed)} more; the limit is "
        f"{say(asset, limit)}."
    )


def _rate(case: Case) -> str:
    guard = case.state.account_guards[case.command["account"]]
    return f"The limit is {int(guard.orders_max)} in {duration_text(int(guard.window_ns))}."


def _key_notional(case: Case) -> str:
    key = case.state.keys[case.command["key"]]
    today = int(key.day) == case.command["ts_ns"] // _DAY_NS
    used, limit = int(key.used_atoms) if today else 0, int(key.notional_day_max_atoms)
    asset = int(key.asset)
    return f"Today it has used {case.names.amount(asset, used)}; the limit is {case.names.amount(asset, limit)}."


def _transfer(case: Case) -> str:
    command = case.command
    rows = case.state.transfers
    at = (rows["transfer_id"] == command["transfer_id"]).nonzero()[0]
    if not len(at):
        return f"The transfer id is {command['transfer_id']}."
    row = rows[int(at[0])]
    amount = case.names.amount(int(row["asset"]), int(row["amount_atoms"]))
    state = name_of(CODES["transfer_state"], int(row["state"]))
    return f"Transfer {command['transfer_id']} is {amount} of {account_text(int(row['account']))}, {state}."


def _amount(case: Case) -> str:
    amount = case.names.amount(case.command["asset"], case.command["amount_atoms"])
    return f"The amount is {amount}, the transfer id {case.command['transfer_id']}."


def _supply(case: Case) -> str:
    asset = case.command["asset"]
    supply = -int(case.state.balances[asset].available)
    say = case.names.amount
    return (
        f"It holds {say(asset, supply)}, {say(asset, case.command['amount_atoms'])} more is asked for; the most is "
        f"{say(asset, MAX_ATOMS)}."
    )


def _insufficient(case: Case) -> str:
    asset, needed = needs(case)
    if not asset:
        return ""
    has = case.names.amount(asset, case.available(asset))
    if case.command.get("list_role"):
        return f"Its list needs more {case.names.asset(asset)} than the {has} that are available."
    return f"It needs {case.names.amount(asset, needed)} and has {has} available."


def _link(case: Case) -> str:
    return f"Command {case.command['sequence'] - 1} was refused."


def _id(case: Case) -> str:
    for field, limit in (("asset", Limit.ASSETS), ("symbol", Limit.SYMBOLS), ("account", Limit.ACCOUNTS)):
        if field in case.command:
            return f"The {field} id is {case.command[field]}; the highest is {int(case.state.limits[limit])}."
    return ""


def _scales(case: Case) -> str:
    return "; ".join(f"{name} {case.command[name]}" for name in _SCALES if name in case.command) + "."


_SCALES = ("scale", "price_scale", "qty_scale", "base_asset", "quote_asset")


def _fees(case: Case) -> str:
    rates = [decimal(case.command[f"{role}_fee_ppm"], 4) for role in ("maker", "taker")]
    return f"They are {rates[0]} % (maker) and {rates[1]} % (taker)."


NUMBERS: dict[RejectCode, Numbers] = {
    RejectCode.UNKNOWN_KIND: _given("kind", "Its kind"),
    RejectCode.UNKNOWN_ACCOUNT: _given("account", "The account"),
    RejectCode.UNKNOWN_ASSET: _given("asset", "The asset"),
    RejectCode.CLIENT_ORDER_ID_CONFLICT: _client_id,
    RejectCode.LINK_FAILED: _link,
    RejectCode.UNKNOWN_SYMBOL: _given("symbol", "The symbol"),
    RejectCode.UNKNOWN_ORDER: _unknown_order,
    RejectCode.VENUE_CLOSED: _mode("venue"),
    RejectCode.SYMBOL_CLOSED: _mode("symbol"),
    RejectCode.ACCOUNT_CLOSED: _mode("account"),
    RejectCode.INVALID_SIDE: _given("side", "It"),
    RejectCode.INVALID_ORDER_TYPE: _given("order_type", "It"),
    RejectCode.INVALID_TIME_IN_FORCE: _given("time_in_force", "It"),
    RejectCode.INVALID_STP_MODE: _given("stp_mode", "It"),
    RejectCode.INVALID_EXPIRY: _expiry,
    RejectCode.UNSUPPORTED_FIELD: _fields,
    RejectCode.INVALID_PRICE: _given("price_ticks", "In ticks, it"),
    RejectCode.PRICE_TOO_LOW: _bound("price_ticks", "price_min_ticks", "the lowest"),
    RejectCode.PRICE_TOO_HIGH: _bound("price_ticks", "price_max_ticks", "the highest"),
    RejectCode.PRICE_OFF_TICK: _bound("price_ticks", "price_step_ticks", "the step"),
    RejectCode.INVALID_QUANTITY: _given("qty_lots", "In lots, the quantity"),
    RejectCode.QUANTITY_TOO_LOW: _bound("qty_lots", "qty_min_lots", "the lowest"),
    RejectCode.QUANTITY_TOO_HIGH: _bound("qty_lots", "qty_max_lots", "the highest"),
    RejectCode.QUANTITY_OFF_LOT: _bound("qty_lots", "qty_step_lots", "the step"),
    RejectCode.NOTIONAL_TOO_LOW: _notional("notional_min_atoms", "the lowest"),
    RejectCode.NOTIONAL_TOO_HIGH: _notional("notional_max_atoms", "the highest"),
    RejectCode.INVALID_REDUCTION: _reduction,
    RejectCode.TOO_MANY_ORDERS: _orders_max,
    RejectCode.VENUE_FULL: _limit(Limit.OPEN_ORDERS, "open_orders"),
    RejectCode.TOO_MANY_LEVELS: _limit(Limit.LEVELS, "levels"),
    RejectCode.WOULD_TAKE: _would_take,
    RejectCode.WOULD_TRIGGER: _would_trigger,
    RejectCode.INVALID_TRAILING: _trailing,
    RejectCode.INVALID_ICEBERG: _iceberg,
    RejectCode.PRICE_OUT_OF_COLLAR: _collar,
    RejectCode.TOO_MANY_ALGO_ORDERS: _rule_max(SymbolRule.ALGO_ORDERS_MAX),
    RejectCode.TOO_MANY_ICEBERGS: _rule_max(SymbolRule.ICEBERG_ORDERS_MAX),
    RejectCode.POSITION_TOO_HIGH: _position,
    RejectCode.INVALID_AMOUNT: _amount,
    RejectCode.TRANSFER_ID_CONFLICT: _transfer,
    RejectCode.UNKNOWN_TRANSFER: _transfer,
    RejectCode.TRANSFER_FINISHED: _transfer,
    RejectCode.SUPPLY_EXCEEDED: _supply,
    RejectCode.TOO_MANY_TRANSFERS: _limit(Limit.TRANSFERS, "transfers"),
    RejectCode.EXPOSURE_TOO_HIGH: _exposure,
    RejectCode.ORDER_RATE_TOO_HIGH: _rate,
    RejectCode.KEY_NOTIONAL_TOO_HIGH: _key_notional,
    RejectCode.ID_OUT_OF_RANGE: _id,
    RejectCode.ALREADY_EXISTS: _id,
    RejectCode.INVALID_SCALE: _scales,
    RejectCode.INVALID_FEE: _fees,
    RejectCode.INVALID_LIMIT: _given("value", "The value"),
    RejectCode.INVALID_RULE: _given("value", "The value"),
    RejectCode.INVALID_LIST: _given("list_role", "The role of the leg"),
    RejectCode.INSUFFICIENT_BALANCE: _insufficient,
    RejectCode.TOO_MANY_LISTS: _rule_max(SymbolRule.LISTS_MAX),
    RejectCode.INVALID_AUCTION: _given("action", "The action"),
}


def refusal_text(state: State, command: Fields, event: Fields) -> str:
    """Why the REJECTED `event` refused a command: the rule, and the numbers in the state before it."""
    code = event["reject"]
    if code not in set(RejectCode):
        return f"The code of the refusal is {code}, which this build does not know."
    names = Names(state)
    if command["kind"] == CommandKind.PLACE:
        command = command | {name: event[name] for name in _OF_LEG}
    numbers = NUMBERS.get(RejectCode(code))
    said = numbers(Case(state, names, command)) if numbers else ""
    return f"{REFUSED_BECAUSE[RejectCode(code)]} {said}".rstrip()


_OF_LEG = ("side", "order_type", "time_in_force", "stp_mode", "price_ticks", "qty_lots", "quote_atoms")
"""What REJECTED says of an order; the last leg of a list is refused with the fields of the leg that is at fault."""
