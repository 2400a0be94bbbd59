"""The OpenAPI 3.1 document of the REST interface, made of the route table.

Owns the shape of the document. What it says of a parameter is what its descriptor enforces, what it says of an answer
is a type that tests decode real answers with, and every error in it was provoked by a test.

GET and DELETE have their parameters in the query, POST and PUT in the form body, where clients put them; the server
takes those of public and signed routes from both places, which OpenAPI can not say. The signature is a security scheme
and no parameter: it may always stand in the query.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import msgspec

import exchange
from exchange.gateway import catalogue as known
from exchange.gateway.errors import Problem
from exchange.gateway.faces import BINANCE, OURS
from exchange.gateway.fields import Field
from exchange.gateway.openapi.operations import Operation, operation
from exchange.gateway.openapi.people_answers import Error
from exchange.gateway.openapi.problems import problems
from exchange.gateway.routes import ROUTES, Access, Route

Json = dict[str, Any]
_REF = "#/components/schemas/{name}"
_FORM = "application/x-www-form-urlencoded"
_EXAMPLES = {OURS: "BTC_USDT", BINANCE: "BTCUSDT"}
_NAMED = re.compile(r"(?:GET|POST|PUT|DELETE) [^:.]+: ")
_STATUSES = {
    200: "Done.",
    202: "Taken.",
    400: "Refused: the request is wrong, or the engine does not take it. Nothing happened.",
    401: "Refused: whose request this is was not proven, or they may not do this.",
    404: "There is no such thing.",
    408: "The request came too slowly.",
    409: "It does not fit what is there; with the outcome `accepted` one half was done.",
    413: "The request is too large.",
    415: "The request is compressed.",
    418: "Banned for a while.",
    429: "Too much was asked; `Retry-After` says when to ask again.",
    503: "Not possible at the moment; the `outcome` says whether something may have happened.",
}
_ABOUT = """\
A spot exchange. Everything has two addresses with one handler: under `/v1` symbols are spelled `BTC_USDT`, under
`/api/v3`, for clients of Binance, `BTCUSDT`.

Parameters of public and signed endpoints may stand in the query, in a form body, or partly in each; here they are
shown where clients put them. Those of people stand in the form body only. Times are milliseconds, with the header
`X-MBX-TIME-UNIT: MICROSECOND` microseconds. Every path also answers HEAD where it answers GET. An answer tells with
`X-Exchange-Sequence` what it is current to.
"""
_SECURITY_SCHEMES: Json = {
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-MBX-APIKEY",
        "description": "The name of an API key. Every request with it is signed.",
    },
    "signature": {
        "type": "apiKey",
        "in": "query",
        "name": "signature",
        "description": "HMAC-SHA256 with the key's secret, in hex, or Ed25519 in base64: of the query as sent, "
        "directly followed by the body as sent, both without the signature. It may stand in the body as well.",
    },
    "session": {"type": "http", "scheme": "bearer", "description": "The token of a login."},
}


def summary(route: Route) -> str:
    """What a route does: the first line of its handler's docstring, without its name and the point."""
    first = (route.handler.__doc__ or "").partition("\n")[0]
    found = _NAMED.sub("", first, count=1).removesuffix(".")
    return found[:1].upper() + found[1:]


def document() -> Json:
    """The whole document. Raises KeyError for a route without a row in `operations.py`."""
    rows = [(route, operation(route)) for route in ROUTES]
    answers = {repr(answer): answer for _, row in rows for answer in row.answers.values()}
    schemas, components = msgspec.json.schema_components([*answers.values(), Error], ref_template=_REF)
    by_name = dict(zip(answers, schemas, strict=False))
    paths: dict[str, Json] = {}
    for route, row in rows:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, row, by_name)
    tags = dict.fromkeys(_tag(route, row) for route, row in rows)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Exchange",
            "version": exchange.__version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY_SCHEMES},
    }


def _tag(route: Route, row: Operation) -> str:
    return f"{row.group} {route.face}" if route.path.startswith(route.face) else row.group


def _operation(route: Route, row: Operation, schemas: dict[str, Json]) -> Json:
    name = re.sub(r"[^a-zA-Z0-9]+", "_", f"{route.method.lower()}{route.path}")
    made: Json = {"operationId": name, "summary": summary(route), "tags": [_tag(route, row)]}
    needed = f"Needs an API key that may `{route.permission}`. " if route.permission is not None else ""
    made["description"] = needed + _weight(route)
    fields = _shown(route)
    if route.method in ("POST", "PUT") or route.access in (Access.FORM, Access.BEARER):
        if fields:
            made["requestBody"] = _body(route, fields)
    else:
        made["parameters"] = [_parameter(route, field) for field in fields]
    if route.access is Access.SIGNED:
        made["security"] = [{"apiKey": [], "signature": []}]
    elif route.access is Access.KEYED:
        made["security"] = [{"apiKey": []}]
    elif route.access is Access.BEARER:
        made["security"] = [{"session": []}]
    made["responses"] = _responses(route, row, schemas)
    return made


def _weight(route: Route) -> str:
    """What a request counts against the limit of its address."""
    weight = route.weight
    if weight.free:
        return "Weighs nothing."
    failed = f", and {weight.failed} when it is refused" if weight.failed else ""
    return f"Weighs {weight.base}{' or more' if weight.more is not None else ''}{failed}."


def _shown(route: Route) -> list[Field]:
    """Its parameters, without those of a signature where a security scheme or nobody needs them."""
    hidden = {Access.SIGNED: (known.SIGNATURE,), Access.PUBLIC: known.SIGNED}.get(route.access, ())
    return [field for field in route.fields if field not in hidden]


def _schema(route: Route, field: Field) -> Json:
    schema = field.schema()
    if field.name == known.SYMBOL.name:
        schema |= {"examples": [_EXAMPLES[route.face]]}
    return schema


def _parameter(route: Route, field: Field) -> Json:
    made: Json = {"name": field.name, "in": "query", "description": field.about, "required": field.required}
    schema = _schema(route, field)
    if schema["type"] == "array":
        return made | {"content": {"application/json": {"schema": schema}}}
    return made | {"schema": schema}


def _body(route: Route, fields: list[Field]) -> Json:
    needed = [field.name for field in fields if field.required]
    properties = {field.name: _schema(route, field) | {"description": field.about} for field in fields}
    schema: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    if needed:
        schema["required"] = needed
    return {"required": bool(needed), "content": {_FORM: {"schema": schema}}}


def _responses(route: Route, row: Operation, schemas: dict[str, Json]) -> Json:
    made: Json = {}
    for status, answer in row.answers.items():
        content = {"application/json": {"schema": schemas[repr(answer)]}}
        made[str(status)] = {"description": _STATUSES[status], "content": content}
    for status, group in itertools.groupby(
        problems(route, row.problems, is_read=row.is_read), lambda problem: problem.status
    ):
        made[str(status)] = _error(status, list(group))
    return dict(sorted(made.items()))


def _error(status: int, group: list[Problem]) -> Json:
    rows = "\n".join(f"| {problem.code} | {problem.msg.replace('|', '&#124;')} |" for problem in group)
    codes = list(dict.fromkeys(problem.code for problem in group))
    schema = {"allOf": [{"$ref": _REF.format(name=Error.__name__)}, {"properties": {"code": {"enum": codes}}}]}
    return {
        "description": f"{_STATUSES[status]}\n\n| code | msg |\n|---|---|\n{rows}",
        "content": {"application/json": {"schema": schema}},
    }
