"""Whose request a message is: the call that a handler gets, made of the parameters of a message.

Owns what stands in the parameters and is for no handler: `apiKey`, `signature`, `returnRateLimits`. The checks
themselves, their order and their texts are those of REST (`exchange/gateway/signing.py`). After session.logon a request
without `apiKey` and `signature` is that session's; one that has either is judged by itself. A `timestamp` is always
needed.
"""

from __future__ import annotations

import functools

from exchange.gateway.errors import mandatory, not_valid
from exchange.gateway.faces import BINANCE
from exchange.gateway.parameters import Params, check_names
from exchange.gateway.routes import Access, Route
from exchange.gateway.signing import Call, anonymous, authenticate, keyed, vouched
from exchange.gateway.strict import WS_API_PATH, strict_text
from exchange.gateway.venue import Venue, shutting_down
from exchange.gateway.ws_api.connection import Connection
from exchange.gateway.ws_api.messages import Request, signed
from exchange.users.keys import Permission

API_KEY, SIGNATURE, SHOW_LIMITS = "apiKey", "signature", "returnRateLimits"
_FLAGS = {"true": True, "false": False}


def shows_limits(params: Params, default: bool) -> bool:
    """Whether the answer to a request with these parameters says `rateLimits`. Raises Refusal."""
    text = params.get(SHOW_LIMITS)
    if text is None:
        return default
    if text not in _FLAGS:
        raise not_valid(SHOW_LIMITS)
    return _FLAGS[text]


def signed_call(
    venue: Venue, connection: Connection, request: Request, allowed: frozenset[str], permission: Permission | None
) -> Call:
    """The call of a request that is signed, or of a session. `permission` None: any right will do. Raises Refusal."""
    params, session, client = request.params, connection.session, connection.client
    face, keys, unit_ns = venue.faces[BINANCE], venue.keys, connection.unit_ns
    if session is not None and API_KEY not in params and SIGNATURE not in params:
        call = vouched(face, keys, session.key, params, permission, unit_ns, client)
    else:
        text = signed(params)
        strict = functools.partial(strict_text, request.method, connection.host, WS_API_PATH, "", text.payload)
        call = authenticate(face, keys, [_api_key(params)], text, permission, unit_ns, client, strict)
        connection.is_known = True
    check_params(params, allowed)
    return call


def route_call(venue: Venue, connection: Connection, route: Route, request: Request) -> Call:
    """The call of a method that is an endpoint. Raises Refusal."""
    params = request.params
    if route.access is Access.SIGNED:
        if not venue.admitting:
            raise shutting_down()
        return signed_call(venue, connection, request, route.parameters, route.permission)
    face, keys, unit_ns = venue.faces[BINANCE], venue.keys, connection.unit_ns
    if route.access is Access.KEYED:
        assert route.permission is not None
        call = keyed(face, keys, [_api_key(params)], params, route.permission, unit_ns, connection.client)
    else:
        call = anonymous(face, params, unit_ns)
    check_params(params, route.parameters)
    return call


def _api_key(params: Params) -> str:
    api_key = params.get(API_KEY)
    if not api_key:
        raise mandatory(API_KEY)
    return api_key


def check_params(params: Params, allowed: frozenset[str]) -> None:
    """Take out what is for no handler, and refuse what else is not known. Raises Refusal."""
    params.pop(API_KEY, None)
    params.pop(SHOW_LIMITS, None)
    check_names(params, allowed)
