"""Section 3: what may be traded, by whom, at which fees, and up to which limits.

Owns the handlers of the seven commands of reference data and of the trading modes. Never touches orders or money,
except that a smaller window forgets closed orders.
"""

from __future__ import annotations

from exchange.core.codes import Account as AccountId
from exchange.core.codes import EventKind, Limit, RejectCode, Scope, TradingMode
from tests.oracle.venue import Account, Asset, Symbol, Venue
from tests.oracle.words import MAX_ATOMS, Command, as_event, refuse_if

LIMIT_MAX = {
    Limit.ASSETS: 1_024,
    Limit.SYMBOLS: 1_024,
    Limit.ACCOUNTS: 16_777_216,
    Limit.OPEN_ORDERS: 67_108_864,
    Limit.LEVELS: 67_108_864,
    Limit.TRANSFERS: 268_435_456,
    Limit.CLOSED_ORDERS: 16_777_216,
}
SCALE_MAX = 18
FEE_MAX_PPM = 100_000
SYMBOLS_RATE = -1

RULES = (
    "price_min_ticks",
    "price_max_ticks",
    "qty_min_lots",
    "qty_max_lots",
    "notional_min_atoms",
    "notional_max_atoms",
    "price_step_ticks",
    "qty_step_lots",
    "orders_max",
    "maker_fee_ppm",
    "taker_fee_ppm",
)
"""The fields of a symbol that CHANGE_SYMBOL changes."""


def set_limit(venue: Venue, command: Command) -> None:
    known = command["limit"] in list(Limit)
    refuse_if(not known or not 1 <= command["value"] <= LIMIT_MAX[Limit(command["limit"])], RejectCode.INVALID_LIMIT)
    venue.limits[Limit(command["limit"])] = command["value"]
    venue.forget_closed_orders()
    venue.emit(EventKind.LIMIT_SET, **as_event(command))


def add_asset(venue: Venue, command: Command) -> None:
    asset = command["asset"]
    refuse_if(not 1 <= asset <= venue.limits[Limit.ASSETS], RejectCode.ID_OUT_OF_RANGE)
    refuse_if(asset in venue.assets, RejectCode.ALREADY_EXISTS)
    refuse_if(command["scale"] > SCALE_MAX, RejectCode.INVALID_SCALE)
    venue.assets[asset] = Asset(asset, command["scale"], command["name"])
    venue.emit(EventKind.ASSET_ADDED, **as_event(command))


def add_symbol(venue: Venue, command: Command) -> None:
    number = command["symbol"]
    base, quote = venue.assets.get(command["base_asset"]), venue.assets.get(command["quote_asset"])
    if base is None or quote is None:
        refuse_if(True, RejectCode.UNKNOWN_ASSET)
        return
    refuse_if(not 1 <= number <= venue.limits[Limit.SYMBOLS], RejectCode.ID_OUT_OF_RANGE)
    refuse_if(number in venue.symbols, RejectCode.ALREADY_EXISTS)
    price_scale, qty_scale = command["price_scale"], command["qty_scale"]
    refuse_if(base is quote, RejectCode.INVALID_SCALE)
    refuse_if(qty_scale > base.scale or price_scale + qty_scale > quote.scale, RejectCode.INVALID_SCALE)
    rules = {name: command[name] for name in RULES}
    symbol = Symbol(number, base, quote, price_scale, qty_scale, command["name"], rules, 0, 0)
    _accept_rules(symbol, rules)
    venue.symbols[number] = symbol
    venue.emit(EventKind.SYMBOL_ADDED, **as_event(command))


def change_symbol(venue: Venue, command: Command) -> None:
    symbol = venue.symbols.get(command["symbol"])
    if symbol is None:
        refuse_if(True, RejectCode.UNKNOWN_SYMBOL)
        return
    _accept_rules(symbol, {name: command[name] for name in RULES})
    venue.emit(
        EventKind.SYMBOL_CHANGED,
        symbol=symbol.symbol,
        base_asset=symbol.base.asset,
        quote_asset=symbol.quote.asset,
        price_scale=symbol.price_scale,
        qty_scale=symbol.qty_scale,
        name=symbol.name,
        **symbol.rules,
    )


def _accept_rules(symbol: Symbol, rules: dict[str, int]) -> None:
    """Give a symbol its rules, after proving that no product on its book can pass MAX_ATOMS."""
    price_ceiling = max(symbol.price_ceiling, rules["price_max_ticks"])
    qty_ceiling = max(symbol.qty_ceiling, rules["qty_max_lots"])
    sound = (
        1 <= rules["price_min_ticks"] <= rules["price_max_ticks"]
        and 1 <= rules["qty_min_lots"] <= rules["qty_max_lots"]
        and rules["price_step_ticks"] >= 1
        and rules["qty_step_lots"] >= 1
        and 0 <= rules["notional_min_atoms"] <= rules["notional_max_atoms"] <= MAX_ATOMS
        and rules["orders_max"] >= 1
        and symbol.notional_atoms(price_ceiling, qty_ceiling) <= MAX_ATOMS
        and qty_ceiling * symbol.base_atoms_per_lot <= MAX_ATOMS
    )
    refuse_if(not sound, RejectCode.INVALID_PARAMETERS)
    for rate in ("maker_fee_ppm", "taker_fee_ppm"):
        refuse_if(not 0 <= rules[rate] <= FEE_MAX_PPM, RejectCode.INVALID_FEE)
    symbol.rules, symbol.price_ceiling, symbol.qty_ceiling = rules, price_ceiling, qty_ceiling


def _refuse_bad_override(command: Command) -> None:
    for rate in ("maker_fee_ppm", "taker_fee_ppm"):
        refuse_if(not SYMBOLS_RATE <= command[rate] <= FEE_MAX_PPM, RejectCode.INVALID_FEE)


def open_account(venue: Venue, command: Command) -> None:
    account = command["account"]
    refuse_if(not AccountId.FIRST_USER <= account <= venue.limits[Limit.ACCOUNTS], RejectCode.ID_OUT_OF_RANGE)
    refuse_if(account in venue.accounts, RejectCode.ALREADY_EXISTS)
    _refuse_bad_override(command)
    venue.accounts[account] = Account(account, command["maker_fee_ppm"], command["taker_fee_ppm"])
    venue.emit(EventKind.ACCOUNT_OPENED, **as_event(command))


def set_fees(venue: Venue, command: Command) -> None:
    refuse_if(command["account"] not in venue.accounts, RejectCode.UNKNOWN_ACCOUNT)
    _refuse_bad_override(command)
    account = venue.accounts[command["account"]]
    account.maker_fee_ppm, account.taker_fee_ppm = command["maker_fee_ppm"], command["taker_fee_ppm"]
    venue.emit(EventKind.FEES_SET, **as_event(command))


def set_trading_mode(venue: Venue, command: Command) -> None:
    if command["scope"] == Scope.WITHDRAWALS:
        refuse_if(command["mode"] not in (TradingMode.OPEN, TradingMode.HALTED), RejectCode.INVALID_MODE)
        venue.withdrawals = TradingMode(command["mode"])
        venue.emit(EventKind.TRADING_MODE_SET, **as_event(command))
        return
    refuse_if(command["scope"] not in (Scope.VENUE, Scope.SYMBOL, Scope.ACCOUNT), RejectCode.INVALID_MODE)
    scoped: Venue | Symbol | Account = venue
    match Scope(command["scope"]):
        case Scope.ACCOUNT:
            refuse_if(command["account"] not in venue.accounts, RejectCode.UNKNOWN_ACCOUNT)
            scoped = venue.accounts[command["account"]]
        case Scope.SYMBOL:
            refuse_if(command["symbol"] not in venue.symbols, RejectCode.UNKNOWN_SYMBOL)
            scoped = venue.symbols[command["symbol"]]
    refuse_if(command["mode"] not in list(TradingMode), RejectCode.INVALID_MODE)
    mode = TradingMode(command["mode"])
    refuse_if(scoped.mode is TradingMode.HALTED and mode is TradingMode.OPEN, RejectCode.ILLEGAL_MODE_CHANGE)
    scoped.mode = mode
    venue.emit(EventKind.TRADING_MODE_SET, **as_event(command))
