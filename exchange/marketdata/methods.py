"""Binance's stream protocol: the calls that a client may make, and the texts of answers and errors.

Owns the reading of calls and every text that is sent back. Never touches a connection or a stream. Fields that a call
does not need are ignored, as Binance does.

Sources: Binance Spot WebSocket streams, "Live subscribing" and "Error messages".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
COMBINED = "combined"
ID_CHARACTERS_MAX = 36
NAME_CHARACTERS_MAX = 64
_INT64 = range(-(1 << 63), 1 << 63)
_UNKNOWN_PROPERTY, _INVALID_VALUE, _INVALID_REQUEST, _INVALID_JSON = range(4)

Id = int | str | None


class CallError(Exception):
    """A call that can not be served: a code of Binance's streams, a text, and the id to echo."""

    def __init__(self, code: int, text: str, call_id: Id = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.call_id = call_id


class Call(NamedTuple):
    """A well-formed call."""

    method: str
    call_id: Id
    names: list[str]  # of SUBSCRIBE and UNSUBSCRIBE
    is_combined: bool  # of SET_PROPERTY


def read_call(message: object) -> Call:
    """Read a client message; raises CallError with the first thing that is wrong with it."""
    if not isinstance(message, dict):
        raise _invalid("expected an object")
    call_id = _read_id(message.get("id"))
    method, params = message.get("method"), message.get("params")
    if "method" not in message:
        raise _invalid("missing field `method`", call_id)
    if not isinstance(method, str):
        raise _invalid("method must be a string", call_id)
    if method not in METHODS:
        shown = method[:NAME_CHARACTERS_MAX]
        raise _invalid(f"unknown variant `{shown}`, expected one of {', '.join(METHODS)}", call_id)
    if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        return Call(method, call_id, _read_names(params, call_id), is_combined=False)
    if method == "LIST_SUBSCRIPTIONS":
        return Call(method, call_id, [], is_combined=False)
    return Call(method, call_id, [], _read_property(method, params, call_id))


def _read_id(value: Any) -> Id:
    is_integer = isinstance(value, int) and not isinstance(value, bool) and value in _INT64
    if is_integer or value is None or (isinstance(value, str) and len(value) <= ID_CHARACTERS_MAX):
        return value  # type: ignore[no-any-return]  # the line above has looked at its type
    raise _invalid(f"request ID must be a 64-bit integer, a string of at most {ID_CHARACTERS_MAX} characters, or null")


def _read_names(params: Any, call_id: Id) -> list[str]:
    if not isinstance(params, list):
        raise _invalid("params must be an array of stream names", call_id)
    for name in params:
        if not isinstance(name, str):
            raise _invalid("stream name must be a string", call_id)
        if len(name) > NAME_CHARACTERS_MAX:
            raise _invalid(f"stream name must have at most {NAME_CHARACTERS_MAX} characters", call_id)
    return list(dict.fromkeys(params))


def _read_property(method: str, params: Any, call_id: Id) -> bool:
    """The value of the one property there is; False where none is sent."""
    wanted = 2 if method == "SET_PROPERTY" else 1
    if not isinstance(params, list) or len(params) < wanted:
        raise _invalid("property name must be a string" if not params else "missing property value", call_id)
    if len(params) > wanted:
        raise _invalid("too many parameters", call_id)
    if not isinstance(params[0], str):
        raise _invalid("property name must be a string", call_id)
    if params[0] != COMBINED:
        raise CallError(_UNKNOWN_PROPERTY, "Unknown property", call_id)
    if wanted == 2 and not isinstance(params[1], bool):
        raise CallError(_INVALID_VALUE, "Invalid value type: expected Boolean", call_id)
    return wanted == 2 and params[1]


def _invalid(text: str, call_id: Id = None) -> CallError:
    return CallError(_INVALID_REQUEST, f"Invalid request: {text}", call_id)


def invalid_json(error: orjson.JSONDecodeError) -> CallError:
    """What is said about a message that is not JSON."""
    return CallError(_INVALID_JSON, f"Invalid JSON: expected value at line {error.lineno} column {error.colno}")


def result_message(result: object, call_id: Id) -> bytes:
    """The answer to a call that was served."""
    return orjson.dumps({"result": result, "id": call_id})


def error_message(error: CallError) -> bytes:
    """The answer to a call that was not."""
    return orjson.dumps({"error": {"code": error.code, "msg": error.text}, "id": error.call_id})


def shutdown_message(time: int) -> bytes:
    """What every client hears before a graceful stop."""
    return b'{"e":"serverShutdown","E":%d}' % time
