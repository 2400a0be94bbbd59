"""The operations on the venue: halt, resume, cancel orders, rules, auctions. One call is one command of the engine.

Owns what one person may do alone: everything that makes trading stricter, rules, auctions, the canceling of orders.
What opens again (`resume`) is only `perform`ed here; `exchange/operating/proposals.py` sees that two agree. Modes
change one after the other, so that a halt that is under way is not taken for OPEN. The engine is told first and
PostgreSQL after that, in the background: a halt does not wait for it.

    halt ──► mode (or key revoked) ──► audit        orders.cancel ──► one MASS_CANCEL; the caller repeats while `more`
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from exchange.core.codes import (
    AccountRule,
    AuctionAction,
    CommandKind,
    EventKind,
    KeyRule,
    Scope,
    SymbolRule,
    TradingMode,
)
from exchange.core.state import State
from exchange.operating.desk import Desk
from exchange.operating.scopes import Place, mode_of, open_orders, place, shown
from exchange.persistence.database import Database
from exchange.users.errors import Conflict, NotAcceptable
from exchange.users.keyring import KeyRing
from exchange.users.operations import ACTOR, Arguments, Operation, audit, integer, text

_RULES: dict[Scope, type[SymbolRule] | type[AccountRule] | type[KeyRule]] = {
    Scope.SYMBOL: SymbolRule,
    Scope.ACCOUNT: AccountRule,
    Scope.KEY: KeyRule,
}
_ASSET_RULES = frozenset((AccountRule.LOCKED_MAX_ATOMS.name, KeyRule.NOTIONAL_DAY_MAX_ATOMS.name))
_HALTS = {"HALTED": TradingMode.HALTED, "CANCEL_ONLY": TradingMode.CANCEL_ONLY}
_RESUMES = {"CANCEL_ONLY": TradingMode.CANCEL_ONLY, "OPEN": TradingMode.OPEN}
REASON_CHARACTERS_MAX = 500
AUCTION_S_MAX = 24 * 3_600


def reason(arguments: Arguments, *, required: bool = False) -> str:
    """Why something is done, for the audit. Raises NotAcceptable."""
    found = text(arguments, "reason", None if required else "")
    if len(found) > REASON_CHARACTERS_MAX or (required and not found.strip()):
        raise NotAcceptable(f"A reason has 1 to {REASON_CHARACTERS_MAX} characters.")
    return found


def _engine_ts_ns(state: State) -> int:
    return int(state.header[0].ts_ns)


class Switches:
    """`venue.halt`, `venue.rule`, `venue.auction`, `orders.cancel`; `resume` for whoever has two persons' word."""

    def __init__(self, desk: Desk, ring: KeyRing, database: Database | None) -> None:
        self._desk = desk
        self._ring = ring
        self._database = database
        self._changing = asyncio.Lock()
        self._noting: set[asyncio.Task[None]] = set()

    def all(self) -> dict[str, Operation]:
        """The operations by name."""
        return {
            "venue.halt": self.halt,
            "venue.rule": self.rule,
            "venue.auction": self.auction,
            "orders.cancel": self.cancel_orders,
        }

    async def stop(self) -> None:
        """Return when what was done is noted, or can not be."""
        if self._noting:
            await asyncio.wait(self._noting)

    # ---- alone ----------------------------------------------------------------------------------------------------

    async def halt(self, arguments: Arguments) -> Arguments:
        """Make a scope HALTED or CANCEL_ONLY; a key is revoked, which works without PostgreSQL."""
        where, why = self._place(arguments), reason(arguments)
        if where.scope is Scope.KEY:
            await self._ring.revoke(where.api_key)
            self._note("venue.halt", where, reason=why)
            return {**shown(where), "account": where.account, "mode": "revoked", "orders": self._orders(where)}
        mode = _mode(arguments, _HALTS, "HALTED")
        if where.scope is Scope.WITHDRAWALS and mode is not TradingMode.HALTED:
            raise NotAcceptable("Withdrawals are OPEN or HALTED.")
        async with self._changing:
            present = self._mode(where)
            if present > mode:
                raise Conflict(f"The {where.subject} is {present.name}: {mode.name} would open it. That takes two.")
            sequence = await self._set_mode(where, mode)
        self._note("venue.halt", where, mode=mode.name, before=present.name, reason=why, sequence=sequence)
        return {**shown(where), "mode": mode.name, "sequence": sequence, "orders": self._orders(where)}

    async def cancel_orders(self, arguments: Arguments) -> Arguments:
        """Cancel orders in a scope, one chunk of them; repeated while `more` says that there may be more."""
        where, why = self._place(arguments), reason(arguments)
        if where.scope is Scope.WITHDRAWALS:
            raise NotAcceptable("Withdrawals have no orders.")
        told = await self._desk.send(CommandKind.MASS_CANCEL, EventKind.MASS_CANCELED, **where.fields())
        if not told["more"]:
            self._note("orders.cancel", where, reason=why, sequence=told["sequence"])
        return {
            **shown(where),
            "sequence": told["sequence"],
            "canceled": told["canceled_count"],
            "more": bool(told["more"]),
            "left": self._orders(where),
        }

    async def rule(self, arguments: Arguments) -> Arguments:
        """Set a rule of a symbol, an account or a key, in the engine's units; 0 switches it off."""
        where, why = self._place(arguments), reason(arguments)
        name, value = text(arguments, "rule"), integer(arguments, "value")
        rules = _RULES.get(where.scope)
        if rules is None:
            raise NotAcceptable("Rules are those of a symbol, an account or a key.")
        if name not in rules.__members__:
            raise NotAcceptable(f"A rule of a {where.scope.name.lower()} is one of {', '.join(rules.__members__)}.")
        fields = where.fields()
        if name in _ASSET_RULES:
            fields["asset"] = self._desk.asset(text(arguments, "asset")).asset
        elif "asset" in arguments:
            raise NotAcceptable(f"The rule {name} takes no asset.")
        rule = int(rules[name])
        told = await self._desk.send(CommandKind.SET_RULE, EventKind.RULE_SET, **fields, rule=rule, value=value)
        detail: dict[str, Any] = {"rule": name, "value": value, "sequence": told["sequence"]}
        if "asset" in arguments:
            detail["asset"] = arguments["asset"]
        self._note("venue.rule", where, **detail, reason=why)
        return {**shown(where), **detail}

    async def auction(self, arguments: Arguments) -> Arguments:
        """Start an auction of a symbol, for `seconds` or (0) until it is uncrossed; or uncross it."""
        where, why = self._place({**arguments, "scope": "symbol"}), reason(arguments)
        action = AuctionAction.__members__.get(text(arguments, "action").upper())
        if action is None:
            raise NotAcceptable("An action is start or uncross.")
        seconds = integer(arguments, "seconds", 0)
        if seconds > AUCTION_S_MAX:
            raise NotAcceptable(f"An auction takes at most {AUCTION_S_MAX} seconds.")
        end_ts_ns = 0
        if action is AuctionAction.START and seconds:
            end_ts_ns = max(time.time_ns(), self._desk.read(_engine_ts_ns)) + seconds * 10**9
        expected = EventKind.AUCTION_STARTED if action is AuctionAction.START else EventKind.AUCTION_ENDED
        told = await self._desk.send(
            CommandKind.AUCTION, expected, symbol=where.symbol, action=action, end_ts_ns=end_ts_ns
        )
        detail: dict[str, Any] = {"sequence": told["sequence"]}
        if action is AuctionAction.START:
            detail["endTime"] = told["end_ts_ns"] // 1_000_000
        else:
            detail |= {"priceTicks": told["price_ticks"], "quantityLots": told["qty_lots"]}
            detail["trades"] = told["trades_count"]
        verb = action.name.lower()
        self._note(f"auction.{verb}", where, **detail, reason=why)
        return {**shown(where), "action": verb, **detail}

    # ---- with another ---------------------------------------------------------------------------------------------

    def check_resume(self, arguments: Arguments) -> None:
        """Refuse what could never be resumed. Raises NotAcceptable, NotFound."""
        where = self._place(arguments)
        if where.scope is Scope.KEY:
            raise NotAcceptable("A revoked key does not come back: make another.")
        mode = _mode(arguments, _RESUMES, None)
        if where.scope is Scope.WITHDRAWALS and mode is not TradingMode.OPEN:
            raise NotAcceptable("Withdrawals are OPEN or HALTED.")
        reason(arguments, required=True)

    async def resume(self, arguments: Arguments, agreed: Arguments) -> Arguments:
        """Make a scope CANCEL_ONLY or OPEN; `agreed` says who agreed."""
        self.check_resume(arguments)
        where, mode = self._place(arguments), _mode(arguments, _RESUMES, None)
        async with self._changing:
            present = self._mode(where)
            sequence = await self._set_mode(where, mode)
        detail = {"mode": mode.name, "before": present.name, "sequence": sequence}
        self._note("venue.resume", where, **detail, **agreed, reason=reason(arguments))
        return {**shown(where), **detail}

    # ---- parts ----------------------------------------------------------------------------------------------------

    def _place(self, arguments: Arguments) -> Place:
        return place(arguments, self._desk, self._ring)

    def _mode(self, where: Place) -> TradingMode:
        return self._desk.read(mode_of, where.scope, where.account, where.symbol)

    def _orders(self, where: Place) -> int:
        if where.scope is Scope.WITHDRAWALS:
            return 0
        return self._desk.read(open_orders, where.scope, where.account, where.symbol)

    async def _set_mode(self, where: Place, mode: TradingMode) -> int:
        told = await self._desk.send(
            CommandKind.SET_TRADING_MODE, EventKind.TRADING_MODE_SET, **where.fields(), mode=mode
        )
        return int(told["sequence"])

    def _note(self, action: str, where: Place, **detail: Any) -> None:
        """A row of the audit, in the background."""
        actor = detail.pop("actor", ACTOR)
        task = asyncio.get_running_loop().create_task(
            audit(self._database, action, where.subject, actor=actor, **detail)
        )
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)


def _mode(arguments: Arguments, allowed: dict[str, TradingMode], default: str | None) -> TradingMode:
    mode = allowed.get(text(arguments, "mode", default).upper().replace("-", "_"))
    if mode is None:
        raise NotAcceptable(f"A mode is one of {', '.join(allowed)} here.")
    return mode
