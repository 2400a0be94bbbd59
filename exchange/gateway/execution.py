"""The routes about the range of execution: which bounds symbols have, and the price that they are measured from.

Never submits a command.
"""

from __future__ import annotations

import time
from typing import Any

import orjson

from exchange.core import readers
from exchange.core.codes import SymbolRule
from exchange.core.state import State
from exchange.gateway.catalogue import SYMBOL_STATUS
from exchange.gateway.errors import Refusal, bad_combination
from exchange.gateway.orders import symbol_rules
from exchange.gateway.public import TURN_SYMBOLS, asked_symbols, standings
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Guards, multiplier, status_of
from exchange.gateway.turns import json_array
from exchange.gateway.venue import Venue

_BOUNDS = {
    SymbolRule.RANGE_UP_BIPS: ("bidLimitMultUp", "askLimitMultUp"),
    SymbolRule.RANGE_DOWN_BIPS: ("bidLimitMultDown", "askLimitMultDown"),
}
"""The fields of PRICE_RANGE that show a rule; both sides have the same bounds."""


def _reference(state: State, symbol: int) -> tuple[int, int]:
    """The reference price as it is now, and now: never before the command that was the last."""
    now_ns = max(time.time_ns(), int(state.header[0].ts_ns))
    return readers.reference_ticks(state, symbol, now_ns), now_ns


def range_rules(guards: Guards) -> list[dict[str, Any]]:
    """The rules of execution of a symbol, as `executionRules` shows them. A bound that is off is left out."""
    bounds = {field: multiplier(guards[rule]) for rule, fields in _BOUNDS.items() if rule in guards for field in fields}
    return [{"ruleType": "PRICE_RANGE", **bounds}] if bounds else []


async def execution_rules(venue: Venue, call: Call) -> Reply:
    """GET executionRules: the range around the reference price in which a symbol trades."""
    status = SYMBOL_STATUS.read(call.params) if SYMBOL_STATUS.name in call.params else None
    if status is not None and len(call.params) > 1:
        raise bad_combination()
    asked = asked_symbols(call)
    (venue_mode, standing), sequence = venue.read(standings)

    def is_asked(symbol: int) -> bool:
        one = standing[symbol]
        return status in (None, status_of(max(venue_mode, one.mode), one.phase))

    shown = (
        {"symbol": rules.name, "rules": range_rules(standing[rules.symbol].guards)}
        for rules in asked
        if is_asked(rules.symbol)
    )
    return Reply(b'{"symbolRules":%b}' % await json_array(shown, TURN_SYMBOLS), sequence)


async def reference_price(venue: Venue, call: Call) -> Reply:
    """GET referencePrice: what collars and the range of execution are measured from."""
    rules = symbol_rules(call)
    (ticks, now_ns), sequence = venue.read(_reference, rules.symbol)
    if not ticks:
        raise Refusal(400, -2043, "This symbol doesn't have a reference price.")
    body = {
        "symbol": rules.name,
        "referencePrice": rules.price.text(ticks),
        "timestamp": now_ns // call.unit_ns,
    }
    return Reply(orjson.dumps(body), sequence)
