"""The routes that anybody may ask: health, ping, time, exchangeInfo, depth.

Never needs a key, never submits a command.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import orjson

import exchange
from exchange.core import readers
from exchange.core.codes import TradingMode
from exchange.core.state import State
from exchange.gateway.catalogue import LEVELS, PERMISSIONS, SHOW_PERMISSION_SETS, SYMBOL_STATUS, SYMBOLS
from exchange.gateway.errors import Refusal, bad_combination
from exchange.gateway.orders import symbol_rules
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Guards, Rules, status_of
from exchange.gateway.turns import json_array
from exchange.gateway.venue import RETRY_AFTER_S, Venue
from exchange.marketdata.market import MarketDataError

TURN_SYMBOLS = 20
"""As many are described in less than 1 ms."""


class Standing(NamedTuple):
    """How a symbol trades right now."""

    mode: int
    phase: int
    guards: Guards


def _venue_mode(state: State) -> int:
    return int(state.header[0].mode)


def standings(state: State) -> tuple[int, dict[int, Standing]]:
    """The venue's trading mode, and what holds for each symbol."""
    return _venue_mode(state), {
        view.symbol: Standing(
            view.mode, readers.market(state, view.symbol).phase, readers.symbol_rules(state, view.symbol)
        )
        for view in readers.symbols(state)
    }


async def health(venue: Venue, call: Call) -> Reply:
    """GET /health: whether the venue takes commands (200) or stops (503)."""
    mode, sequence = venue.read(_venue_mode)
    settings = venue.settings
    body = {
        "status": "ok" if venue.admitting else "stopping",
        "service": settings.service_name,
        "version": exchange.__version__,
        "mode": TradingMode(mode).name,
        "sync": settings.sync,
        "durable": settings.sync == "always",
        "demo": settings.demo,
        "sequence": sequence,
        "history": venue.history_health(),
    }
    return Reply(body, sequence, 200 if venue.admitting else 503)


async def ping(venue: Venue, call: Call) -> Reply:
    """GET ping: an empty answer, to see that somebody is there."""
    return Reply({})


async def server_time(venue: Venue, call: Call) -> Reply:
    """GET time: the gateway's wall clock, by which signed requests are judged."""
    return Reply({"serverTime": time.time_ns() // call.unit_ns})


def asked_symbols(call: Call) -> list[Rules]:
    """The symbols of `symbol` or `symbols`, all of them when neither was sent."""
    params, reference = call.params, call.face.reference
    if "symbol" in params and "symbols" in params:
        raise bad_combination()
    if "symbol" in params:
        return [reference.named(params["symbol"])]
    if "symbols" not in params:
        return list(reference.by_id.values())
    return [reference.named(name) for name in SYMBOLS.read(params)]


async def exchange_info(venue: Venue, call: Call) -> Reply:
    """GET exchangeInfo: what may be traded, and by which rules."""
    rules = asked_symbols(call)
    status = SYMBOL_STATUS.read(call.params) if SYMBOL_STATUS.name in call.params else None
    is_shown = SHOW_PERMISSION_SETS.read(call.params)
    PERMISSIONS.read(call.params)
    (venue_mode, standing), sequence = venue.read(standings)

    def described(one: Rules) -> dict[str, Any]:
        mode, phase, guards = standing[one.symbol]
        return one.describe(status_of(max(venue_mode, mode), phase), guards, permission_sets=is_shown)

    symbols = await json_array((one for one in map(described, rules) if status in (None, one["status"])), TURN_SYMBOLS)
    head = {
        "timezone": "UTC",
        "serverTime": time.time_ns() // call.unit_ns,
        "rateLimits": venue.limits.describe(),
        "exchangeFilters": [],
    }
    return Reply(b'%b,"symbols":%b}' % (orjson.dumps(head)[:-1], symbols), sequence)


async def depth(venue: Venue, call: Call) -> Reply:
    """GET depth: the published book; `lastUpdateId` is a boundary of the WebSocket diffs."""
    rules = symbol_rules(call)
    try:
        levels = LEVELS.read(call.params)
        return Reply(venue.market_data.depth_snapshot(rules.view.name, levels, call.face.book_decimals_min))
    except MarketDataError as error:
        raise Refusal(503, error.code, f"{error.detail} {error.hint}", retry_after_s=RETRY_AFTER_S) from None
