"""The routes that anybody may ask: health, ping, time, exchangeInfo, depth.

Never needs a key, never submits a command.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

import exchange
from exchange.core import readers
from exchange.core.codes import TradingMode
from exchange.core.state import State
from exchange.gateway.errors import Refusal, not_valid
from exchange.gateway.orders import symbol_rules
from exchange.gateway.parameters import integer
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Rules
from exchange.gateway.venue import RETRY_AFTER_S, Venue
from exchange.marketdata.market import MarketDataError

DEPTH_DEFAULT = 100
DEPTH_MAX = 5000
_STATUSES = ("TRADING", "BREAK", "HALT")


def _modes(state: State) -> tuple[int, dict[int, int]]:
    """The venue's trading mode, and every symbol's."""
    return int(state.header[0].mode), {view.symbol: view.mode for view in readers.symbols(state)}


async def health(venue: Venue, call: Call) -> Reply:
    """GET /health: 200 while the venue takes commands, 503 while it stops."""
    (mode, _), sequence = venue.read(_modes)
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
    """GET ping."""
    return Reply({})


async def server_time(venue: Venue, call: Call) -> Reply:
    """GET time: the gateway's wall clock, by which signed requests are judged."""
    return Reply({"serverTime": time.time_ns() // call.unit_ns})


def _asked_symbols(venue: Venue, call: Call) -> list[Rules]:
    """The symbols of `symbol` or `symbols`, all of them when neither was sent."""
    params, reference = call.params, venue.reference
    if "symbol" in params and "symbols" in params:
        raise Refusal(400, -1128, "Combination of optional parameters invalid.")
    if "symbol" in params:
        return [reference.named(params["symbol"])]
    if "symbols" not in params:
        return list(reference.by_id.values())
    try:
        names = msgspec.json.decode(params["symbols"], type=list[str])
    except msgspec.DecodeError:
        raise not_valid("symbols") from None
    if len(names) != len(set(names)):
        raise Refusal(400, -1151, "Symbol is present multiple times in the list.")
    return [reference.named(name) for name in names]


async def exchange_info(venue: Venue, call: Call) -> Reply:
    """GET exchangeInfo: what may be traded, and by which rules."""
    rules = _asked_symbols(venue, call)
    status = call.params.get("symbolStatus")
    if status is not None and status not in _STATUSES:
        raise Refusal(400, -1122, "Invalid symbolStatus.")
    shown = call.params.get("showPermissionSets", "true")
    if shown not in ("true", "false"):
        raise not_valid("showPermissionSets")
    if call.params.get("permissions", "SPOT") not in ("SPOT", '["SPOT"]'):
        raise not_valid("permissions")
    (venue_mode, modes), sequence = venue.read(_modes)
    symbols: list[dict[str, Any]] = []
    for one in rules:
        described = one.describe(max(venue_mode, modes[one.symbol]), permission_sets=shown == "true")
        if status in (None, described["status"]):
            symbols.append(described)
    return Reply(
        {
            "timezone": "UTC",
            "serverTime": time.time_ns() // call.unit_ns,
            "rateLimits": [],
            "exchangeFilters": [],
            "symbols": symbols,
        },
        sequence,
    )


async def depth(venue: Venue, call: Call) -> Reply:
    """GET depth: the published book; `lastUpdateId` is a boundary of the WebSocket diffs."""
    rules = symbol_rules(venue, call.params)
    limit = integer(call.params, "limit", low=1, default=DEPTH_DEFAULT)
    try:
        return Reply(venue.market_data.depth_snapshot(rules.view.name, min(limit, DEPTH_MAX)))
    except MarketDataError as error:
        raise Refusal(503, error.code, f"{error.detail} {error.hint}", retry_after_s=RETRY_AFTER_S) from None
