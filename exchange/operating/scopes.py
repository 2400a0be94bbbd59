"""What an operator's command speaks of: the venue, a symbol, an account, a key, withdrawals.

Owns the reading of a scope from arguments, and the mode that holds in it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from exchange.core import readers
from exchange.core.codes import Account, Scope, TradingMode
from exchange.core.state import State
from exchange.operating.desk import Desk
from exchange.users.errors import NotAcceptable, NotFound
from exchange.users.keyring import KeyRing
from exchange.users.keys import number_of
from exchange.users.operations import Arguments, integer, text

SCOPES = {scope.name.lower(): scope for scope in Scope}


class Place(NamedTuple):
    """A scope with what it names; zeros for what it does not."""

    scope: Scope
    subject: str
    """For people and the audit."""
    account: int = 0
    symbol: int = 0
    key: int = 0
    api_key: str = ""

    def fields(self) -> dict[str, int]:
        """As a command has them."""
        named = {"account": self.account, "symbol": self.symbol, "key": self.key}
        return {"scope": int(self.scope), **{name: value for name, value in named.items() if value}}


def place(arguments: Arguments, desk: Desk, ring: KeyRing) -> Place:
    """The scope of `scope` and `symbol`, `account` or `api_key`. Raises NotAcceptable, NotFound."""
    scope = SCOPES.get(text(arguments, "scope"))
    if scope is None:
        raise NotAcceptable(f"A scope is one of {', '.join(SCOPES)}.")
    if scope is Scope.SYMBOL:
        view = desk.symbol(text(arguments, "symbol"))
        return Place(scope, f"symbol {view.name}", symbol=view.symbol)
    if scope is Scope.ACCOUNT:
        account = integer(arguments, "account")
        if account < Account.FIRST_USER or not desk.read(readers.is_account, account):
            raise NotFound(f"There is no account {account}.")
        return Place(scope, f"account {account}", account=account)
    if scope is Scope.KEY:
        return _of_key(text(arguments, "api_key"), integer(arguments, "account", 0), ring)
    return Place(scope, scope.name.lower())


def _of_key(api_key: str, account: int, ring: KeyRing) -> Place:
    """A key that counts; with `account` also one that was revoked and whose orders may still rest."""
    key = ring.find(api_key)
    if key is not None:
        account = key.account
    if not account:
        raise NotFound("There is no such key. The account of one that was revoked must be named with it.")
    return Place(Scope.KEY, f"key {api_key}", account=account, key=number_of(api_key), api_key=api_key)


def mode_of(state: State, scope: int, account: int, symbol: int) -> TradingMode:
    """What holds in a scope by itself, whatever holds around it."""
    if scope == Scope.SYMBOL:
        return TradingMode(int(state.symbols[symbol].mode))
    if scope == Scope.ACCOUNT:
        return TradingMode(int(state.accounts[account].mode))
    if scope == Scope.WITHDRAWALS:
        return TradingMode(int(state.header[0].withdrawals_mode) or TradingMode.OPEN)
    return TradingMode(int(state.header[0].mode))


def open_orders(state: State, scope: int, account: int, symbol: int) -> int:
    """How many orders rest in a scope; of a key: those of its account."""
    if scope == Scope.SYMBOL:
        return int(state.owned[symbol :: len(state.symbols)]["count"].sum())
    if scope in (Scope.ACCOUNT, Scope.KEY):
        stride = len(state.symbols)
        return int(state.owned[account * stride : (account + 1) * stride]["count"].sum())
    return int(state.header[0].open_orders)


def shown(place_: Place) -> dict[str, Any]:
    """How an answer names a scope."""
    return {"scope": place_.scope.name.lower(), "subject": place_.subject}
