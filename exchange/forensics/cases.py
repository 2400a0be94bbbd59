"""A refused command beside the state that refused it: the numbers that rules speak of.

Owns reading them, changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from exchange.core import readers
from exchange.core.codes import OrderType, Side, SymbolRule
from exchange.core.readers import SymbolView
from exchange.core.state import SYMBOL_RULES, State
from exchange.forensics.names import Fields, Names

_ALL_LEVELS = 1 << 30


class Case(NamedTuple):
    """A refused command, with the state before it."""

    state: State
    names: Names
    command: Fields
    """Its fields; of a list, those of the leg that was refused."""

    @property
    def symbol(self) -> SymbolView | None:
        """The symbol it is about."""
        return self.names.symbols.get(self.command.get("symbol", 0))

    def price(self, ticks: int) -> str:
        """A price of the symbol."""
        return self.names.price(self.command["symbol"], ticks)

    def lots(self, lots: int) -> str:
        """A quantity of the symbol."""
        return self.names.lots(self.command["symbol"], lots)

    def available(self, asset: int) -> int:
        """What the account can spend of an asset."""
        return self._balance(asset)[0]

    def locked(self, asset: int) -> int:
        """What the account has under holds of an asset."""
        return self._balance(asset)[1]

    def _balance(self, asset: int) -> tuple[int, int]:
        held = {one: rest for one, *rest in readers.balances(self.state, self.command["account"])}
        available, locked = held.get(asset, (0, 0))
        return available, locked

    def rule(self, rule: SymbolRule) -> int:
        """The value of a symbol's rule."""
        return int(self.state.rules[self.command["symbol"] * SYMBOL_RULES + rule])

    def open_orders(self) -> list[readers.OrderView]:
        """The account's open orders on the symbol."""
        return readers.open_orders(self.state, self.command["account"], self.command["symbol"])

    def best(self, side: int) -> int:
        """The best price of a side, zero if there is none."""
        found = readers.depth(self.state, self.command["symbol"], side, 1)
        return found[0][0] if found else 0


def needs(case: Case) -> tuple[int, int]:
    """The asset that an order or a withdrawal pays with, and how much of it, atoms."""
    command, symbol = case.command, case.symbol
    if "asset" in command:
        return command["asset"], command["amount_atoms"]
    if symbol is None:
        return 0, 0
    lots, quote = command["qty_lots"], command["quote_atoms"]
    if command["side"] == Side.SELL:
        return symbol.base_asset, (lots or _bought_by(case, symbol, quote)) * symbol.base_atoms_per_lot
    if quote:
        return symbol.quote_asset, quote
    if command["order_type"] == OrderType.MARKET:
        return symbol.quote_asset, _costs(case, symbol, lots)
    return symbol.quote_asset, command["price_ticks"] * lots * symbol.quote_atoms_per_tick_lot


def _costs(case: Case, symbol: SymbolView, lots: int) -> int:
    """What the best offers of the book ask for a quantity, quote atoms."""
    atoms = 0
    for price_ticks, offered in readers.depth(case.state, symbol.symbol, Side.SELL, _ALL_LEVELS):
        taken = min(lots, offered)
        atoms += taken * price_ticks * symbol.quote_atoms_per_tick_lot
        lots -= taken
        if lots == 0:
            break
    return atoms


def _bought_by(case: Case, symbol: SymbolView, quote_atoms: int) -> int:
    """The lots that have to be sold to the best bids to receive an amount."""
    lots = 0
    for price_ticks, wanted in readers.depth(case.state, symbol.symbol, Side.BUY, _ALL_LEVELS):
        taken = min(wanted, quote_atoms // (price_ticks * symbol.quote_atoms_per_tick_lot))
        lots += taken
        quote_atoms -= taken * price_ticks * symbol.quote_atoms_per_tick_lot
        if taken < wanted:
            break
    return lots
