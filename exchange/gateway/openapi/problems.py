"""Which errors a route can give: those that follow from who may call it and from its parameters, and those of its own.

Owns the deduction from a `Route`; what a handler adds stands in `operations.py`. Texts are those that clients get, with
`{...}` where one depends on the request or on a setting. A test provokes every (route, HTTP status, code) that is
derived here, and compares the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from exchange.gateway import catalogue as known
from exchange.gateway.errors import (
    CANCEL_REJECTED,
    DUPLICATE_LIST,
    DUPLICATE_ORDER,
    NEW_ORDER_REJECTED,
    PROBLEMS,
    Problem,
    Refusal,
    bad_combination,
    filter_failure,
    iceberg_must_rest,
    illegal_characters,
    invalid_symbol,
    mandatory,
    not_required,
    not_valid,
    one_of,
)
from exchange.gateway.faces import BINANCE, OURS
from exchange.gateway.fields import Amount, Field
from exchange.gateway.routes import Access, Route


def told(*refusals: Refusal) -> tuple[Problem, ...]:
    """Refusals as clients see them."""
    return tuple(Problem(refusal.status, refusal.code, refusal.msg) for refusal in refusals)


def refused(*names: str) -> tuple[Problem, ...]:
    """What the engine says with these reject codes."""
    by_name = {code.name: problem for code, problem in PROBLEMS.items()}
    return tuple(by_name[name] for name in names)


_REQUEST = (
    Problem(400, -1130, "The request is not well-formed HTTP."),
    Problem(400, -1130, "The body is not well-formed HTTP."),
    Problem(408, -1130, "The body did not arrive within {seconds} s."),
    Problem(413, -1130, "The body is larger than {bytes} bytes."),
    Problem(415, -1130, "A body with a Content-Encoding is not accepted."),
    Problem(400, -1194, "Invalid time unit; expected either MICROSECOND or MILLISECOND."),
    Problem(400, -1100, "Illegal characters found in {the} {parameters}; {rule}."),
    Problem(400, -1101, "Duplicate values for a parameter detected."),
    Problem(400, -1103, "An unknown parameter was sent: '{name}'."),
)
_EMPTY = Problem(400, -1105, "Parameter '{name}' was empty.")
_EMPTY_IDS = {
    "newClientOrderId": Problem(400, -1118, "New client order ID was empty."),
    "origClientOrderId": Problem(400, -1119, "Original client order ID was empty."),
}
_STOPPING = Problem(503, -1016, "This service is shutting down.")
_LIMITED = (
    *(
        Problem(429, -1003, text)
        for text in (
            "Too much request weight used; {current limit}",
            "Too many requests; {current limit}",
        )
    ),
    Problem(418, -1003, "Way too much request weight used; IP banned until {time}. {what to do}"),
)
_KEYED = (
    Problem(401, -2014, "API-key format invalid."),
    Problem(401, -2015, "Invalid API-key, IP, or permissions for action."),
)
_SIGNED = (
    *_KEYED,
    Problem(400, -1021, "Timestamp for this request is outside of the recvWindow."),
    Problem(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time."),
    Problem(400, -1022, "Signature for this request is not valid."),
    *told(mandatory("{name}")),
    *told(illegal_characters("{name}", known.RECV_WINDOW.pattern)),
    *told(not_valid("{name}")),
)
_FORM = (
    Problem(400, -1101, "This endpoint takes no query: send the parameters as a form body."),
    Problem(503, -1001, "This venue keeps no users: it runs without a database."),
    Problem(503, -1001, "PostgreSQL is not there at the moment; trading with API keys goes on."),
)

MANDATORY = told(mandatory("{name}"))
ONE_OF = told(one_of("{name}", "{name}"))
SYMBOL = (*MANDATORY, *told(invalid_symbol()))
NOT_VALID = told(not_valid("{name}"))
COMBINATION = told(bad_combination())
HISTORY = (
    Problem(503, -1001, "There is no PostgreSQL here, and so no history."),
    Problem(503, -1001, "History is not available at the moment; trading goes on."),
    Problem(503, -1001, "This part of history took too long to read; ask for less of it."),
    Problem(
        503, -1001, "Older amendments and prevented matches are still being read from the journal; ask again later."
    ),
    Problem(503, -1001, "History has come to sequence {sequence} and not yet to {sequence}; ask again."),
    Problem(503, -1008, "Too many requests ask for history; ask again later."),
)
WINDOW = (Problem(400, -1127, "More than 24 hours between startTime and endTime."),)
COMMAND = (
    Problem(503, -1006, "{why} The outcome of this request is unknown: ask for it."),
    Problem(503, -1008, "Server is currently overloaded with other requests. Please try again in a few minutes."),
    Problem(503, -1008, "{what is low} {what to do}"),
)
_MODES = refused("VENUE_CLOSED", "UNKNOWN_ACCOUNT")
ORDER_FORM = (
    *MANDATORY,
    *ONE_OF,
    *told(not_required("{name}")),
    Problem(400, -2010, "IcebergQty exceeds QTY."),
    *refused("UNSUPPORTED_FIELD", "NOTIONAL_TOO_LOW", "INVALID_TRAILING", "INVALID_ICEBERG"),
)
PLACE = (
    *COMMAND,
    *_MODES,
    *refused(
        *("VENUE_FULL", "TOO_MANY_LEVELS", "WOULD_TAKE", "WOULD_TRIGGER", "NO_REFERENCE_PRICE", "AUCTION_ORDER"),
        *("INSUFFICIENT_BALANCE", "EXPOSURE_TOO_HIGH", "KEY_NOTIONAL_TOO_HIGH"),
        *("TOO_MANY_ORDERS", "TOO_MANY_ALGO_ORDERS", "TOO_MANY_ICEBERGS", "POSITION_TOO_HIGH", "PRICE_OUT_OF_COLLAR"),
        *("INVALID_EXPIRY", "ORDER_RATE_TOO_HIGH"),
    ),
)
PAIR = (
    Problem(400, -1165, "A limit order in a buy OCO must be below."),
    Problem(400, -1166, "A limit order in a sell OCO must be above."),
    Problem(400, -1168, "At least one OCO order must be contingent."),
    Problem(400, -1196, "A stop loss order in a buy OCO must be above."),
    Problem(400, -1197, "A stop loss order in a sell OCO must be below."),
    Problem(400, -1198, "A take profit order in a buy OCO must be below."),
    Problem(400, -1199, "A take profit order in a sell OCO must be above."),
)
"""Legs of a pair whose types are not those of their side and place."""
PAIR_THAT_SELLS = tuple(problem for problem in PAIR if "buy" not in problem.msg)
LIST = (
    *(*ORDER_FORM, *PLACE, *refused("INVALID_LIST", "TOO_MANY_LISTS")),
    *told(iceberg_must_rest("{name}", "{name}")),
)
UNFILLED = (Problem(429, -1015, "Too many new orders; {current limit}"),)
MARKET_DATA = (Problem(503, -1001, "{what happened} {what to do}"),)
DUPLICATES = {
    OURS: refused("CLIENT_ORDER_ID_CONFLICT"),
    BINANCE: (Problem(400, NEW_ORDER_REJECTED, DUPLICATE_ORDER),),
}
"""What a placement sent again is refused with: by ours only when its content is another."""
DUPLICATE_LISTS = {face: (problem, problem._replace(msg=DUPLICATE_LIST)) for face, (problem,) in DUPLICATES.items()}
"""What a list is refused with whose client id is that of an open one, or with a leg whose client id is taken."""
_CANCELING = (*COMMAND, *(problem._replace(code=CANCEL_REJECTED) for problem in _MODES))
CANCEL_ALL = (*_CANCELING, *refused("UNKNOWN_ORDER"))
CANCEL = (*CANCEL_ALL, *ONE_OF)
CANCEL_LIST = (*_CANCELING, *ONE_OF, Problem(400, CANCEL_REJECTED, "Unknown order list sent."))
TWO_IDS = (Problem(400, -2039, "Cancel order is invalid. Check origClOrdId and orderId."),)
UNAUTHORIZED = (Problem(401, -1002, "Not authorized: the email, the password or the session is not valid."),)
TRIES = (Problem(429, -1003, "Too many tries; wait before the next one."),)
CROWD = (Problem(503, -1008, "Too many people log in at this moment; try again in a few seconds."),)
SECOND_FACTOR = (
    Problem(401, -2101, "A code of the second factor is needed."),
    Problem(401, -2101, "{why the code does not count}"),
)
PASSWORD = (*UNAUTHORIZED, *TRIES, *CROWD)
PASSWORD_AND_CODE = (*PASSWORD, *SECOND_FACTOR)
"""Of whatever needs the password, and the code where the second factor is on."""
NOT_ACCEPTABLE = (Problem(400, -1130, "{what is wrong with a value}"),)


def conflict(text: str) -> tuple[Problem, ...]:
    """It does not fit what is there."""
    return (Problem(409, -2104, text),)


def not_found(text: str) -> tuple[Problem, ...]:
    """There is nothing of this name."""
    return (Problem(404, -2103, text),)


def _of_field(field: Field) -> Iterator[Problem]:
    """What a value of the parameter may be refused with."""
    for problem in told(*field.refusals()):
        yield problem._replace(msg=problem.msg.replace(f"'{field.name}'", "'{name}'"))
    if field.name in _EMPTY_IDS:
        yield _EMPTY_IDS[field.name]
    if field.name in ("symbol", "symbols"):
        yield from told(invalid_symbol())
    if isinstance(field, Amount):
        is_price = field.name.lower().endswith("price")
        name = "PRICE_FILTER" if is_price else "NOTIONAL" if field is known.QUOTE_ORDER_QTY else "LOT_SIZE"
        yield from told(filter_failure(name))


def _deduced(route: Route, *, is_read: bool) -> Iterator[Problem]:
    yield from _REQUEST
    own = [field for field in route.fields if field not in known.SIGNED]
    if any(field.name not in _EMPTY_IDS for field in own or (route.fields if route.access is Access.PUBLIC else ())):
        yield _EMPTY
    for field in own if is_read else ():
        yield from _of_field(field)
    if route.access is not Access.PUBLIC:
        yield _STOPPING
    if not route.weight.free:
        yield from _LIMITED
    if route.access is Access.SIGNED:
        yield from _SIGNED
    elif route.access is Access.KEYED:
        yield from _KEYED
    elif route.access is not Access.PUBLIC:
        yield from _FORM
    if route.access is Access.BEARER:
        yield from UNAUTHORIZED


def problems(route: Route, own: Iterable[Problem], *, is_read: bool = True) -> list[Problem]:
    """Every error of a route, `own` ones included: by status, then by code, each once.

    `is_read`: whether the handler looks at its parameters.
    """
    return sorted({*_deduced(route, is_read=is_read), *own}, key=lambda one: (one.status, -one.code, one.msg))
