"""Every endpoint in one table: method, path, who may call it, which parameters it knows, what answers it.

`docs/api.md` describes exactly these; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from exchange.gateway import history, orders, placing, public, reads
from exchange.gateway.keys import Permission
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.venue import Venue

Handler = Callable[[Venue, Call], Awaitable[Reply]]
SIGNATURE = frozenset(("timestamp", "recvWindow", "signature"))


class Route(NamedTuple):
    """One endpoint. `permission` None: public, unsigned. `parameters` holds those of the signature too."""

    method: str
    path: str
    permission: Permission | None
    parameters: frozenset[str]
    handler: Handler


def _public(path: str, handler: Handler, *parameters: str) -> Route:
    return Route("GET", path, None, frozenset(parameters), handler)


def _signed(method: str, path: str, permission: Permission, handler: Handler, *parameters: str) -> Route:
    return Route(method, path, permission, SIGNATURE | frozenset(parameters), handler)


_READ, _TRADE = Permission.READ, Permission.TRADE
_TIMES = ("startTime", "endTime", "limit")

ROUTES: tuple[Route, ...] = (
    _public("/health", public.health),
    _public("/v1/ping", public.ping),
    _public("/v1/time", public.server_time),
    _public(
        "/v1/exchangeInfo",
        public.exchange_info,
        "symbol",
        "symbols",
        "permissions",
        "showPermissionSets",
        "symbolStatus",
    ),
    _public("/v1/depth", public.depth, "symbol", "limit"),
    _public("/v1/trades", history.trades, "symbol", "limit"),
    _public("/v1/historicalTrades", history.trades, "symbol", "limit", "fromId"),
    _public("/v1/aggTrades", history.agg_trades, "symbol", "fromId", *_TIMES),
    _public("/v1/klines", history.klines, "symbol", "interval", "timeZone", *_TIMES),
    _signed("POST", "/v1/order", _TRADE, orders.place, *placing.PARAMETERS),
    _signed("DELETE", "/v1/order", _TRADE, orders.cancel, "symbol", "orderId", "origClientOrderId", "newClientOrderId"),
    _signed("GET", "/v1/order", _READ, reads.get_order, "symbol", "orderId", "origClientOrderId"),
    _signed(
        "PUT",
        "/v1/order/amend/keepPriority",
        _TRADE,
        orders.reduce,
        "symbol",
        "orderId",
        "origClientOrderId",
        "newQty",
    ),
    _signed(
        "POST",
        "/v1/order/cancelReplace",
        _TRADE,
        orders.cancel_replace,
        *placing.PARAMETERS,
        "cancelReplaceMode",
        "cancelOrderId",
        "cancelOrigClientOrderId",
        "cancelNewClientOrderId",
    ),
    _signed("DELETE", "/v1/openOrders", _TRADE, orders.cancel_all, "symbol"),
    _signed("GET", "/v1/openOrders", _READ, reads.get_open_orders, "symbol"),
    _signed("GET", "/v1/account", _READ, reads.get_account, "omitZeroBalances"),
    _signed("GET", "/v1/allOrders", _READ, history.all_orders, "symbol", "orderId", *_TIMES),
    _signed("GET", "/v1/myTrades", _READ, history.my_trades, "symbol", "orderId", "fromId", *_TIMES),
    _signed("GET", "/v1/ledger", _READ, history.ledger, "asset", "orderId", "fromId", *_TIMES),
)
