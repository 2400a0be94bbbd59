"""Every endpoint in one table: method, path, who may call it, which parameters it knows, what answers it.

`docs/api.md` describes exactly these; a test holds the two equal.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from exchange.gateway import history, orders, placing, public, reads, user_keys, users
from exchange.gateway.forms import BearerCall, FormCall
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.venue import Venue
from exchange.users.keys import Permission

Handler = Callable[[Venue, Call], Awaitable[Reply]]
FormHandler = Callable[[Venue, FormCall], Awaitable[Reply]]
BearerHandler = Callable[[Venue, BearerCall], Awaitable[Reply]]
SIGNATURE = frozenset(("timestamp", "recvWindow", "signature"))


class Access(enum.Enum):
    """Who may call an endpoint, and where its parameters may stand. There is no default: a route says it."""

    PUBLIC = "anybody; query or body"
    SIGNED = "whoever signs with an API key that has the permission; query or body"
    FORM = "anybody; in the body only, because there are secrets among them"
    BEARER = "whoever is logged in; in the body only"


class Route(NamedTuple):
    """One endpoint. `permission`: of a signed one. `parameters` holds those of the signature too."""

    method: str
    path: str
    access: Access
    permission: Permission | None
    parameters: frozenset[str]
    handler: Callable[[Venue, Any], Awaitable[Reply]]


def _public(path: str, handler: Handler, *parameters: str) -> Route:
    return Route("GET", path, Access.PUBLIC, None, frozenset(parameters), handler)


def _signed(method: str, path: str, permission: Permission, handler: Handler, *parameters: str) -> Route:
    return Route(method, path, Access.SIGNED, permission, SIGNATURE | frozenset(parameters), handler)


def _form(method: str, path: str, handler: FormHandler, *parameters: str) -> Route:
    return Route(method, path, Access.FORM, None, frozenset(parameters), handler)


def _bearer(method: str, path: str, handler: BearerHandler, *parameters: str) -> Route:
    return Route(method, path, Access.BEARER, None, frozenset(parameters), handler)


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
    _form("POST", "/v1/user/register", users.register, "email", "password"),
    _form("POST", "/v1/user/login", users.login, "email", "password", "code", "deviceToken"),
    _bearer("POST", "/v1/user/logout", users.logout),
    _bearer("POST", "/v1/user/password", users.change_password, "password", "newPassword", "code"),
    _form("POST", "/v1/user/password/reset", users.ask_reset, "email"),
    _form("POST", "/v1/user/password/reset/confirm", users.reset_password, "token", "newPassword"),
    _bearer("GET", "/v1/user", users.get_user),
    _bearer("GET", "/v1/user/sessions", users.get_sessions),
    _bearer("DELETE", "/v1/user/sessions", users.end_sessions, "sessionId"),
    _bearer("POST", "/v1/user/totp", users.begin_second_factor, "password"),
    _bearer("POST", "/v1/user/totp/confirm", users.confirm_second_factor, "code"),
    _bearer("DELETE", "/v1/user/totp", users.remove_second_factor, "password", "code"),
    _bearer("GET", "/v1/user/keys", user_keys.get_keys),
    _bearer("POST", "/v1/user/keys", user_keys.create_key, *user_keys.PARAMETERS),
    _bearer("DELETE", "/v1/user/keys", user_keys.revoke_key, "apiKey"),
    _bearer("POST", "/v1/user/kyc", users.request_kyc, "level"),
    _form(
        "POST",
        "/v1/kyc/webhook",
        users.decide_kyc,
        "reference",
        "level",
        "status",
        "timestamp",
        "signature",
    ),
)
