"""What binds a key beyond its rights: the symbols of its new orders, and what they may amount to in a day.

Owns the reading of both for a new key, and the rule that the engine is told before the key is there, so that no order
is before it. The symbols are judged at the edge, by the key; the day's notional is counted and judged by the engine
(docs/engine-guards.md, section 20), which alone knows how much it is: it is read there to be shown.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from exchange.core import readers
from exchange.core.codes import CommandKind, EventKind, KeyRule, Scope
from exchange.core.records import fill_command, slots
from exchange.core.state import MAX_ATOMS, State
from exchange.disruptor.errors import PipelineError
from exchange.disruptor.pipeline import Pipeline
from exchange.users import keys
from exchange.users.errors import Busy
from exchange.users.keys import Key, KeyRefused

ANSWER_S = 10.0
_KIND_AT = 16
_amount = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,18}))?", re.ASCII).fullmatch


def _rule_of(state: State, number: int) -> tuple[int, int]:
    """(asset, atoms) of a day's notional; zeros: no rule."""
    if number >= len(state.keys):
        return 0, 0
    row = state.keys[number]
    return int(row.asset), int(row.notional_day_max_atoms)


class KeyGuards:
    """The guards of the keys of one engine."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def symbols(self, names: Iterable[str]) -> frozenset[str]:
        """The symbols that a key is bound to, by the engine's names. Raises KeyRefused."""
        known = {view.name for view in self._pipeline.read(readers.symbols)[0]}
        return keys.symbols(names, known)

    def notional(self, amount: str, asset_name: str) -> Callable[[Key], Awaitable[None]] | None:
        """What has to be done before a key is there that may place so much a day; None for no amount.

        Raises KeyRefused.
        """
        if not amount and not asset_name:
            return None
        assets = {view.name: view for view in self._pipeline.read(readers.assets)[0]}
        asset = assets.get(asset_name)
        if asset is None:
            raise KeyRefused("The notional of a day needs an asset of the venue, such as USDT, that symbols quote in.")
        match = _amount(amount)
        decimals = (match[2] or "") if match else ""
        if match is None or len(decimals) > asset.scale:
            raise KeyRefused(f"The notional of a day is an amount with at most {asset.scale} decimals, such as 100000.")
        atoms = int(match[1] + decimals.ljust(asset.scale, "0"))
        if not 0 < atoms <= MAX_ATOMS:
            raise KeyRefused("The notional of a day is more than nothing and less than all that the venue can hold.")

        async def tell(key: Key) -> None:
            await self._set(key, asset.asset, atoms)

        return tell

    async def _set(self, key: Key, asset: int, atoms: int) -> None:
        slot = slots(1)[0]
        fill_command(
            slot,
            CommandKind.SET_RULE,
            scope=Scope.KEY,
            rule=KeyRule.NOTIONAL_DAY_MAX_ATOMS,
            account=key.account,
            key=key.number,
            asset=asset,
            value=atoms,
        )
        try:
            future = self._pipeline.submit([slot.tobytes()])[0]
            async with asyncio.timeout(ANSWER_S):
                events = await asyncio.shield(future)
        except (PipelineError, TimeoutError):
            raise Busy("The engine takes no rule at the moment; the key was not made. Try again.") from None
        if events[_KIND_AT] != EventKind.RULE_SET:
            raise KeyRefused("The engine does not take the notional of a day; the key was not made.")

    def view(self, key: Key, unit_ns: int) -> dict[str, Any]:
        """What its owner and the operator may see of a key, its guards included."""
        asset, atoms = self._pipeline.read(_rule_of, key.number)[0]
        shown = keys.view(key, unit_ns)
        named = {view.asset: view for view in self._pipeline.read(readers.assets)[0]} if atoms else {}
        guard = None
        if asset in named:
            scale = named[asset].scale
            whole, rest = divmod(atoms, 10**scale)
            guard = {"asset": named[asset].name, "amount": f"{whole}.{rest:0{scale}d}" if scale else str(whole)}
        return {**shown, "notionalPerDay": guard}
