"""Every endpoint in one table: method, path, who may call it, which parameters it knows, what answers it.

Most endpoints have two addresses, one for each face (`exchange/gateway/faces.py`), and one handler. `docs/api.md`
describes exactly these; a test holds the two equal.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from exchange.gateway import catalogue as known
from exchange.gateway import (
    countdowns,
    execution,
    history,
    list_reading,
    order_history,
    order_lists,
    orders,
    public,
    reads,
    sapi,
    tickers,
    user_keys,
    user_streams,
    users,
)
from exchange.gateway.faces import BINANCE, OURS
from exchange.gateway.fields import Field
from exchange.gateway.forms import BearerCall, FormCall
from exchange.gateway.order_forms import LISTS
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.venue import Venue
from exchange.gateway.weights import Weight, weight_of
from exchange.users.keys import Permission

Handler = Callable[[Venue, Call], Awaitable[Reply]]
FormHandler = Callable[[Venue, FormCall], Awaitable[Reply]]
BearerHandler = Callable[[Venue, BearerCall], Awaitable[Reply]]
SIGNATURE = frozenset(field.name for field in known.SIGNED)


class Access(enum.Enum):
    """Who may call an endpoint, and where its parameters may stand. There is no default: a route says it."""

    PUBLIC = "anybody; query or body"
    SIGNED = "whoever signs with an API key that has the permission; query or body"
    KEYED = "whoever names an API key that has the permission; nothing is signed; query or body"
    FORM = "anybody; in the body only, because there are secrets among them"
    BEARER = "whoever is logged in; in the body only"


class Route(NamedTuple):
    """One endpoint. `permission`: of a signed one. `fields` and `parameters` hold those of the signature too."""

    method: str
    face: str
    path: str
    access: Access
    permission: Permission | None
    fields: tuple[Field, ...]
    parameters: frozenset[str]
    weight: Weight
    handler: Callable[[Venue, Any], Awaitable[Reply]]


def _route(
    method: str,
    face: str,
    path: str,
    access: Access,
    permission: Permission | None,
    handler: Callable[[Venue, Any], Awaitable[Reply]],
    fields: tuple[Field, ...],
) -> Route:
    names = frozenset(field.name for field in fields)
    weight = weight_of(method, face + path)
    return Route(method, face, face + path, access, permission, fields, names, weight, handler)


def _public(path: str, handler: Handler, *fields: Field) -> tuple[Route, ...]:
    return tuple(_route("GET", face, path, Access.PUBLIC, None, handler, fields) for face in (OURS, BINANCE))


def _signed(
    method: str,
    path: str,
    permission: Permission,
    handler: Handler,
    *fields: Field,
    faces: tuple[str, ...] = (OURS, BINANCE),
) -> tuple[Route, ...]:
    everything = (*fields, *known.SIGNED)
    return tuple(_route(method, face, path, Access.SIGNED, permission, handler, everything) for face in faces)


def _form(method: str, path: str, handler: FormHandler, *fields: Field) -> tuple[Route, ...]:
    return (_route(method, OURS, path, Access.FORM, None, handler, fields),)


def _bearer(method: str, path: str, handler: BearerHandler, *fields: Field) -> tuple[Route, ...]:
    return (_route(method, OURS, path, Access.BEARER, None, handler, fields),)


def _keyed(method: str, path: str, permission: Permission, handler: Handler, *fields: Field) -> tuple[Route, ...]:
    return (_route(method, BINANCE, path, Access.KEYED, permission, handler, fields),)


_READ, _TRADE = Permission.READ, Permission.TRADE
_ONE_LIST = (known.SYMBOL, known.ORDER_LIST_ID, known.LIST_CLIENT_ORDER_ID)
_ONE_ORDER = (known.SYMBOL, known.ORDER_ID, known.ORIG_CLIENT_ORDER_ID)

_MARKET: tuple[tuple[Route, ...], ...] = (
    _public("/ping", public.ping),
    _public("/time", public.server_time),
    _public(
        "/exchangeInfo",
        public.exchange_info,
        *(known.ANY_SYMBOL, known.SYMBOLS, known.PERMISSIONS, known.SHOW_PERMISSION_SETS, known.SYMBOL_STATUS),
    ),
    _public("/executionRules", execution.execution_rules, *known.SOME_SYMBOLS, known.SYMBOL_STATUS),
    _public("/referencePrice", execution.reference_price, known.SYMBOL),
    _public("/depth", public.depth, known.SYMBOL, known.LEVELS),
    _public("/trades", history.trades, known.SYMBOL, known.LIMIT),
    _public("/historicalTrades", history.trades, known.SYMBOL, known.LIMIT, known.FROM_ID),
    _public("/aggTrades", history.agg_trades, known.SYMBOL, known.FROM_ID, *known.TIMES),
    _public("/klines", history.klines, known.SYMBOL, known.INTERVAL, known.TIME_ZONE, *known.TIMES),
    _public("/uiKlines", history.klines, known.SYMBOL, known.INTERVAL, known.TIME_ZONE, *known.TIMES),
    _public("/avgPrice", tickers.average_price, known.SYMBOL),
    _public("/ticker/24hr", tickers.day_ticker, *known.SOME_SYMBOLS, known.TICKER_TYPE),
    _public("/ticker", tickers.window_ticker, *known.SOME_SYMBOLS, known.WINDOW_SIZE, known.TICKER_TYPE),
    _public("/ticker/price", tickers.last_price, *known.SOME_SYMBOLS),
    _public("/ticker/bookTicker", tickers.book_ticker, *known.SOME_SYMBOLS),
)
_ACCOUNT: tuple[tuple[Route, ...], ...] = (
    _signed("POST", "/order", _TRADE, orders.place, *known.NEW_ORDER),
    _signed("POST", "/order/test", _TRADE, orders.check, *known.NEW_ORDER, known.COMPUTE_COMMISSION_RATES),
    _signed("DELETE", "/order", _TRADE, orders.cancel, *_ONE_ORDER, known.CANCEL_NAME),
    _signed("GET", "/order", _READ, reads.get_order, *_ONE_ORDER),
    _signed("PUT", "/order/amend/keepPriority", _TRADE, orders.reduce, *_ONE_ORDER, known.NEW_QTY),
    _signed(
        "POST",
        "/order/cancelReplace",
        _TRADE,
        orders.cancel_replace,
        *known.NEW_ORDER,
        *(known.CANCEL_REPLACE_MODE, known.ORDER_RATE_LIMIT_EXCEEDED_MODE, known.CANCEL_ORDER_ID),
        *(known.CANCEL_ORIG_CLIENT_ORDER_ID, known.CANCEL_NEW_CLIENT_ORDER_ID),
    ),
    _signed("POST", "/orderList/oco", _TRADE, order_lists.place_oco, *LISTS["oco"].fields),
    _signed("POST", "/orderList/oto", _TRADE, order_lists.place_oto, *LISTS["oto"].fields),
    _signed("POST", "/orderList/otoco", _TRADE, order_lists.place_otoco, *LISTS["otoco"].fields),
    _signed("POST", "/orderList/opo", _TRADE, order_lists.place_opo, *LISTS["opo"].fields),
    _signed("POST", "/orderList/opoco", _TRADE, order_lists.place_opoco, *LISTS["opoco"].fields),
    _signed("DELETE", "/orderList", _TRADE, order_lists.cancel, *_ONE_LIST, known.CANCEL_NAME),
    _signed("DELETE", "/openOrders", _TRADE, order_lists.cancel_all, known.SYMBOL),
    _signed("GET", "/openOrders", _READ, reads.get_open_orders, known.ANY_SYMBOL),
    _signed(
        *("POST", "/countdownCancelAll", _TRADE, countdowns.countdown_cancel_all),
        *(known.ANY_SYMBOL, known.COUNTDOWN_TIME),
    ),
    _signed("GET", "/account", _READ, reads.get_account, known.OMIT_ZERO_BALANCES),
    _signed("GET", "/rateLimit/order", _READ, reads.get_order_counts),
    _signed("GET", "/myFilters", _READ, reads.my_filters, known.SYMBOL),
    _signed("GET", "/allOrders", _READ, history.all_orders, known.SYMBOL, known.FIRST_ORDER_ID, *known.TIMES),
    _signed(
        "GET", "/myTrades", _READ, history.my_trades, known.SYMBOL, known.ONE_ORDER_ID, known.FROM_ID, *known.TIMES
    ),
    _signed(
        "GET", "/orderList", _READ, list_reading.get_order_list, known.ORDER_LIST_ID, known.ORIG_LIST_CLIENT_ORDER_ID
    ),
    _signed("GET", "/openOrderList", _READ, list_reading.get_open_order_lists),
    _signed("GET", "/allOrderList", _READ, list_reading.all_order_lists, known.FROM_ID, *known.TIMES),
    _signed("GET", "/account/commission", _READ, reads.get_commission, known.SYMBOL),
    _signed(
        "GET",
        "/order/amendments",
        _READ,
        order_history.amendments,
        *(known.SYMBOL, known.AMENDED_ORDER_ID, known.FROM_EXECUTION_ID, known.LIMIT),
    ),
    _signed(
        "GET",
        "/myPreventedMatches",
        _READ,
        order_history.prevented_matches,
        *(known.SYMBOL, known.PREVENTED_MATCH_ID, known.ONE_ORDER_ID, known.FROM_PREVENTED_MATCH_ID, known.LIMIT),
    ),
    _signed(
        "GET",
        "/myAllocations",
        _READ,
        order_history.allocations,
        *(known.SYMBOL, known.ONE_ORDER_ID, known.FROM_ALLOCATION_ID, *known.TIMES),
    ),
    _signed(
        "GET",
        "/ledger",
        _READ,
        history.ledger,
        *(known.ASSET, known.ONE_ORDER_ID, known.FROM_ID, *known.TIMES),
        faces=(OURS,),
    ),
    _keyed("POST", "/userDataStream", _READ, user_streams.start),
    _keyed("PUT", "/userDataStream", _READ, user_streams.refresh, known.LISTEN_KEY),
    _keyed("DELETE", "/userDataStream", _READ, user_streams.stop, known.LISTEN_KEY),
)
_PEOPLE: tuple[tuple[Route, ...], ...] = (
    _form("POST", "/user/register", users.register, known.EMAIL, known.PASSWORD),
    _form("POST", "/user/login", users.login, known.EMAIL, known.PASSWORD, known.CODE_IF_ON, known.DEVICE_TOKEN),
    _bearer("POST", "/user/logout", users.logout),
    _bearer("POST", "/user/password", users.change_password, known.PASSWORD, known.NEW_PASSWORD, known.CODE_IF_ON),
    _form("POST", "/user/password/reset", users.ask_reset, known.EMAIL),
    _form("POST", "/user/password/reset/confirm", users.reset_password, known.TOKEN, known.NEW_PASSWORD),
    _bearer("GET", "/user", users.get_user),
    _bearer("GET", "/user/sessions", users.get_sessions),
    _bearer("DELETE", "/user/sessions", users.end_sessions, known.SESSION_ID),
    _bearer("POST", "/user/totp", users.begin_second_factor, known.PASSWORD),
    _bearer("POST", "/user/totp/confirm", users.confirm_second_factor, known.CODE),
    _bearer("DELETE", "/user/totp", users.remove_second_factor, known.PASSWORD, known.CODE),
    _bearer("GET", "/user/keys", user_keys.get_keys),
    _bearer("POST", "/user/keys", user_keys.create_key, *known.NEW_KEY),
    _bearer("DELETE", "/user/keys", user_keys.revoke_key, known.API_KEY),
    _bearer("POST", "/user/kyc", users.request_kyc, known.LEVEL),
    _form("POST", "/kyc/webhook", users.decide_kyc, *known.KYC_DECISION),
)


def _beside(method: str, path: str, permission: Permission | None, handler: Handler, *fields: Field) -> Route:
    """An address of Binance's that is not of spot trading. Clients sign even what is public."""
    access = Access.PUBLIC if permission is None else Access.SIGNED
    everything = (*fields, *known.SIGNED)
    names = frozenset(field.name for field in everything)
    return Route(method, BINANCE, path, access, permission, everything, names, weight_of(method, path), handler)


_BESIDE: tuple[Route, ...] = (
    _beside("GET", "/sapi/v1/system/status", None, sapi.system_status),
    _beside("GET", "/sapi/v1/margin/allPairs", None, sapi.nothing),
    _beside("GET", "/sapi/v1/margin/isolated/allPairs", _READ, sapi.nothing),
    _beside("GET", "/sapi/v1/spot/delist-schedule", None, sapi.nothing),
    _beside("GET", "/fapi/v1/exchangeInfo", None, sapi.no_symbols),
    _beside("GET", "/dapi/v1/exchangeInfo", None, sapi.no_symbols),
    _beside("GET", "/sapi/v1/capital/config/getall", _READ, sapi.coins),
    _beside("GET", "/sapi/v1/asset/tradeFee", _READ, sapi.trade_fee, known.ANY_SYMBOL),
    _beside("GET", "/sapi/v1/account/status", _READ, sapi.account_status),
    _beside("GET", "/sapi/v1/account/apiRestrictions", _READ, sapi.api_restrictions),
    _beside("GET", "/sapi/v1/capital/deposit/hisrec", _READ, sapi.nothing, *known.TRANSFERS),
    _beside("GET", "/sapi/v1/capital/withdraw/history", _READ, sapi.nothing, *known.TRANSFERS),
    _beside("GET", "/sapi/v1/asset/transfer", _READ, sapi.no_transfers, *known.TRANSFERS),
    _beside("GET", "/sapi/v1/capital/deposit/address", _READ, sapi.wallet_is_not_open, *known.DEPOSIT_ADDRESS),
    _beside("POST", "/sapi/v1/capital/withdraw/apply", Permission.WITHDRAW, sapi.wallet_is_not_open, *known.WITHDRAWAL),
)
_HEALTH = Route(
    "GET", OURS, "/health", Access.PUBLIC, None, (), frozenset(), weight_of("GET", "/health"), public.health
)

_FACED = (*_MARKET, *_ACCOUNT, *_PEOPLE)

ROUTES: tuple[Route, ...] = (_HEALTH, *(route for faces in _FACED for route in faces), *_BESIDE)
