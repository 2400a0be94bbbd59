"""The AsyncAPI 3.0 document of the sockets, made of the tables in `sockets.py` and of the route table.

Owns the shape of the document. `send` and `receive` are from the exchange's side, as AsyncAPI has it. A method of the
WebSocket API that is an endpoint has the parameters and the answer of the endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

import exchange
from exchange.gateway import catalogue as known
from exchange.gateway.openapi import private_messages as private
from exchange.gateway.openapi import stream_messages as told
from exchange.gateway.openapi.document import summary
from exchange.gateway.openapi.operations import operation
from exchange.gateway.openapi.sockets import OWN_CHANNELS, PARAMETERS, SESSION_METHODS, STREAMS, MethodRow
from exchange.gateway.routes import ROUTES, Access, Route
from exchange.gateway.strict import WS_API_PATH
from exchange.gateway.ws_api.methods import routed

Json = dict[str, Any]
_REF = "#/components/schemas/{name}"
_OF_PRIVATE = (
    private.ExecutionReport,
    private.ListStatus,
    private.AccountPosition,
    private.BalanceUpdate,
    private.StreamTerminated,
)
_ABOUT = """\
The sockets of the exchange; both ports serve all of them. The REST interface is in `/openapi.json`. Times are
milliseconds, with `?timeUnit=MICROSECOND` in the address microseconds.
"""


def document() -> Json:
    """The whole document. Raises KeyError for a stream kind or a method without a row."""
    made = _Maker()
    made.own()
    made.streams()
    made.user_data()
    made.web_socket_api()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Exchange: sockets",
            "version": exchange.__version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "streams": {"host": "localhost:8094", "protocol": "ws", "description": "WS_PORT"},
            "rest": {"host": "localhost:8080", "protocol": "ws", "description": "HTTP_PORT"},
        },
        "channels": made.channels,
        "operations": made.operations,
        "components": {"messages": made.messages, "schemas": made.schemas()},
    }


class _Maker:
    """Gathers channels, operations and messages; types become schemas at the end."""

    def __init__(self) -> None:
        self.channels: Json = {}
        self.operations: Json = {}
        self.messages: Json = {}
        self._types: dict[str, Any] = {}
        self._places: list[tuple[Json, str, str]] = []

    def schemas(self) -> Json:
        """Every schema; the messages get their references."""
        made, components = msgspec.json.schema_components(self._types.values(), ref_template=_REF)
        by_type = dict(zip(self._types, made, strict=True))
        for place, name, key in self._places:
            place[name] = by_type[key]
        return {name: _discriminated(schema) for name, schema in components.items()}

    def own(self) -> None:
        """Our own protocol."""
        address = self._channel("own", "/ws", "Our own protocol: order books, trades and tickers.")
        self._takes(address, "request", told.OwnRequest)
        for name, kinds in OWN_CHANNELS.items():
            self._tells(address, f"own {name}", f"Channel `{name}`.", kinds)
        self._tells(address, "own answers", "The answer to a request comes first.", (told.OwnDone, told.OwnError))

    def streams(self) -> None:
        """Binance's protocol, and a channel for every kind of stream."""
        about = "Binance's protocol: subscribe by message. Streams may also stand in the address."
        address = self._channel("streams", "/stream", about)
        self._takes(address, "call", told.StreamCall)
        answers = (told.StreamResult, told.StreamError, told.Wrapped, told.Shutdown)
        self._tells(address, "stream answers", "Answers to calls, and the envelope of every message.", answers)
        for kind, row in STREAMS.items():
            channel = self._channel(kind.value, f"/ws/{row.name}", f"For example `/ws/{row.example}`.")
            self._tells(channel, kind.value, f"Stream `{row.name}`.", (row.message,))

    def user_data(self) -> None:
        """The stream that a listenKey names."""
        channel = self._channel("listenKey", "/ws/{listenKey}", "The private events of the account of a listenKey.")
        self._tells(channel, "listenKey", "Private events.", (*_OF_PRIVATE, private.ListenKeyExpired))

    def web_socket_api(self) -> None:
        """Every method, and private events in their envelope."""
        channel = self._channel("webSocketApi", WS_API_PATH, "Requests and answers, and private events.")
        events = (private.SubscribedEvent, private.ShutdownEvent)
        self._tells(channel, "user data", "Private events, behind userDataStream.subscribe.", events)
        for name, route in routed(ROUTES).items():
            result = operation(route).answers[200]
            self._method(channel, name, summary(route), _parameters(route), result)
        for name, row in SESSION_METHODS.items():
            self._method(channel, name, row.about, _named(row), row.result)

    # ---- parts ------------------------------------------------------------------------------------------------------

    def _channel(self, title: str, address: str, about: str) -> str:
        name = _identifier(title)
        made: Json = {"address": address, "title": title, "description": about, "messages": {}}
        found = re.findall(r"\{(\w+)\}", address)
        if found:
            made["parameters"] = {one: {"description": PARAMETERS[one]} for one in found}
        self.channels[name] = made
        return name

    def _message(self, channel: str, name: str, payload: Json) -> Json:
        self.messages[name] = {"name": name, "payload": payload}
        self.channels[channel]["messages"][name] = {"$ref": f"#/components/messages/{name}"}
        return {"$ref": f"#/channels/{channel}/messages/{name}"}

    def _typed(self, channel: str, kind: Any) -> Json:
        name = f"{_identifier(str(channel))}{_type_name(kind)}"
        self._types.setdefault(repr(kind), kind)
        reference = self._message(channel, name, {})
        self._places.append((self.messages[name], "payload", repr(kind)))
        return reference

    def _takes(self, channel: str, title: str, kind: Any) -> None:
        self.operations[_identifier(f"{channel} {title}")] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [self._typed(channel, kind)],
        }

    def _tells(self, channel: str, title: str, about: str, kinds: Iterable[Any]) -> None:
        self.operations[_identifier(f"tell {title}")] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": about,
            "messages": [self._typed(channel, kind) for kind in kinds],
        }

    def _method(self, channel: str, name: str, about: str, parameters: Json, result: Any) -> None:
        """A request and its answer."""
        request: Json = {
            "type": "object",
            "properties": {"id": _ID, "method": {"const": name}, "params": parameters},
            "required": ["method"],
            "additionalProperties": False,
        }
        self._types.setdefault(repr(result), result)
        for kind in (private.ApiAnswer, private.UsedLimit):
            self._types.setdefault(repr(kind), kind)
        properties: Json = {"result": {}}
        self._places.append((properties, "result", repr(result)))
        answer = {"allOf": [{"$ref": _REF.format(name="ApiAnswer")}, {"properties": properties}]}
        named = _identifier(name)
        self.operations[named] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{channel}"},
            "title": name,
            "summary": about,
            "messages": [self._message(channel, f"{named}Request", request)],
            "reply": {
                "channel": {"$ref": f"#/channels/{channel}"},
                "messages": [self._message(channel, f"{named}Answer", answer)],
            },
        }


_ID: Json = {"type": ["integer", "string", "null"], "description": "Echoed in the answer."}


def _discriminated(value: Any) -> Any:
    """A schema of OpenAPI as AsyncAPI has it: a discriminator is the name of a property."""
    if isinstance(value, dict):
        made = {name: _discriminated(inner) for name, inner in value.items()}
        if isinstance(value.get("discriminator"), dict):
            made["discriminator"] = value["discriminator"]["propertyName"]
        return made
    return [_discriminated(one) for one in value] if isinstance(value, list) else value


def _identifier(text: str) -> str:
    """Words and dots to one name: "order.amend.keepPriority" is "orderAmendKeepPriority"."""
    words: list[str] = re.findall(r"[A-Za-z0-9]+", text)
    first, *rest = words
    return first[:1].lower() + first[1:] + "".join(word[:1].upper() + word[1:] for word in rest)


def _type_name(kind: Any) -> str:
    """The name of a message of a type."""
    inner = getattr(kind, "__args__", None)
    return f"{inner[0].__name__}s" if inner else str(kind.__name__)


def _parameters(route: Route) -> Json:
    """Parameters of a method that is an endpoint: those of the endpoint, and the name of the key beside them."""
    properties: Json = {field.name: field.schema() | {"description": field.about} for field in route.fields}
    if route.access is not Access.PUBLIC:
        properties["apiKey"] = {"type": "string", "description": "The name of an API key; not needed in a session."}
    properties["returnRateLimits"] = {"type": "boolean"}
    required = [field.name for field in route.fields if field.required and field is not known.SIGNATURE]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _named(row: MethodRow) -> Json:
    fields = (known.FROM_SEQUENCE, known.SUBSCRIPTION_ID, known.ENABLED, *known.SIGNED)
    schemas = {field.name: field.schema() | {"description": field.about} for field in fields}
    schemas["apiKey"] = {"type": "string", "description": "The name of an API key."}
    properties = {name: schemas[name] for name in row.parameters} | {"returnRateLimits": {"type": "boolean"}}
    return {"type": "object", "properties": properties, "additionalProperties": False}
