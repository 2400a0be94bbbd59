"""Names and decimal units: how the engine's integers are said to people.

Owns the way from ids, ticks, lots, atoms and nanoseconds to text. Every number is exact: no float, no rounding. An id
that nobody defined is said as an id.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from exchange.core import readers
from exchange.core.codes import Account, Side
from exchange.core.state import State

Fields = dict[str, Any]
"""A record as `command_dict` or `event_dict` gives it."""
_NS = 1_000_000_000
_UNITS = ((86_400 * _NS, "d"), (3_600 * _NS, "h"), (60 * _NS, "min"), (_NS, "s"), (1_000_000, "ms"), (1_000, "us"))


def decimal(units: int, scale: int) -> str:
    """`units` of 10^-scale, without zeros at the end."""
    sign = "-" if units < 0 else ""
    whole, part = divmod(abs(units), 10**scale)
    decimals = f"{part:0{scale}d}".rstrip("0") if scale else ""
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def time_text(ts_ns: int) -> str:
    """A moment as UTC with the digits that it needs; `never` for zero."""
    if ts_ns == 0:
        return "never"
    seconds, rest = divmod(ts_ns, _NS)
    try:
        shown = dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{ts_ns} ns after 1970"
    return f"{shown}{f'.{rest:09d}'.rstrip('0') if rest else ''} UTC"


def duration_text(span_ns: int) -> str:
    """A span of time in the largest unit that says it exactly."""
    unit, word = next(((unit, word) for unit, word in _UNITS if span_ns and span_ns % unit == 0), (1, "ns"))
    return f"{span_ns // unit} {word}"


def account_text(account: int) -> str:
    """`account 16`, or the venue's own by name."""
    own = {int(Account.WORLD): "WORLD", int(Account.FEES): "FEES"}
    return own.get(account, f"account {account}")


def bips_text(bips: int) -> str:
    """Hundredths of a percent as percent."""
    return f"{decimal(bips, 2)} %"


class Names:
    """What assets and symbols are called, and their units, in one state. None: nothing is known."""

    def __init__(self, state: State | None) -> None:
        self.assets = {one.asset: one for one in readers.assets(state)} if state else {}
        self.symbols = {one.symbol: one for one in readers.symbols(state)} if state else {}

    def asset(self, asset: int) -> str:
        """The name of an asset."""
        known = self.assets.get(asset)
        return known.name if known and known.name else f"asset {asset}"

    def symbol(self, symbol: int) -> str:
        """The name of a symbol."""
        known = self.symbols.get(symbol)
        return known.name if known and known.name else f"symbol {symbol}"

    def amount(self, asset: int, atoms: int) -> str:
        """An amount of an asset with its name."""
        known = self.assets.get(asset)
        return f"{decimal(atoms, known.scale)} {self.asset(asset)}" if known else f"{atoms} atoms of asset {asset}"

    def lots(self, symbol: int, lots: int) -> str:
        """A quantity of a symbol in its base asset."""
        known = self.symbols.get(symbol)
        return f"{decimal(lots, known.qty_scale)} {self.asset(known.base_asset)}" if known else f"{lots} lots"

    def price(self, symbol: int, ticks: int) -> str:
        """A price of a symbol in its quote asset."""
        known = self.symbols.get(symbol)
        return f"{decimal(ticks, known.price_scale)} {self.asset(known.quote_asset)}" if known else f"{ticks} ticks"

    def quote(self, symbol: int, atoms: int) -> str:
        """An amount of a symbol's quote asset."""
        known = self.symbols.get(symbol)
        return self.amount(known.quote_asset, atoms) if known else f"{atoms} quote atoms"

    def meaning(self, record: Fields, field: str) -> str:
        """What a number in a field means, by its unit; empty for one that means itself or is zero."""
        value, symbol = record[field], record.get("symbol", 0)
        if not isinstance(value, int) or value == 0:
            return ""
        if field == "account":
            return account_text(value)
        if field in ("symbol", "asset"):
            return self.symbol(value) if field == "symbol" else self.asset(value)
        unit = field.rpartition("_")[2]
        if unit == "ticks":
            return self.price(symbol, value)
        if unit == "lots":
            return self.lots(symbol, value)
        if unit == "bips":
            return bips_text(value)
        if unit == "ppm":
            return f"{decimal(value, 4)} %"
        if unit == "atoms":
            return self.amount(record["asset"], value) if "asset" in record else self.quote(symbol, value)
        if unit == "ns":
            return time_text(value) if field.endswith("ts_ns") else duration_text(value)
        return ""

    def paid(self, symbol: int, side: int, atoms: int) -> str:
        """An amount of what a side pays with."""
        known = self.symbols.get(symbol)
        if known is None:
            return f"{atoms} atoms"
        return self.amount(known.quote_asset if side == Side.BUY else known.base_asset, atoms)

    def received(self, symbol: int, side: int, atoms: int) -> str:
        """An amount of what a side receives."""
        return self.paid(symbol, Side.SELL if side == Side.BUY else Side.BUY, atoms)
