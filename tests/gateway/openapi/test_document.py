"""The OpenAPI document says of every route what the route table says, and is one that programs can read."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest

from exchange.gateway.openapi.document import document, summary
from exchange.gateway.openapi.operations import OPERATIONS, Operation, operation
from exchange.gateway.routes import ROUTES, SIGNATURE, Access, Route

Json = dict[str, Any]
FORM = "application/x-www-form-urlencoded"
MADE: Json = orjson.loads(orjson.dumps(document()))
EVERY_ROUTE = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")


def described(route: Route) -> Json:
    """What the document says of a route."""
    made = MADE["paths"][route.path][route.method.lower()]
    assert isinstance(made, dict)
    return made


@EVERY_ROUTE
def test_route_has_a_row_that_says_what_it_answers(route: Route) -> None:
    key = route.method, route.path.removeprefix(route.face)
    assert key in OPERATIONS, (
        f"Nobody has said what {route.method} {route.path} answers: add {key} with the type of its answer and the "
        "errors of its handler to OPERATIONS in exchange/gateway/openapi/operations.py."
    )
    assert isinstance(operation(route), Operation)


def test_rows_without_a_route_are_gone() -> None:
    assert OPERATIONS.keys() == {(route.method, route.path.removeprefix(route.face)) for route in ROUTES}


def test_document_has_exactly_the_routes() -> None:
    listed = {(method.upper(), path) for path, methods in MADE["paths"].items() for method in methods}
    assert listed == {(route.method, route.path) for route in ROUTES}


@EVERY_ROUTE
def test_summary_is_a_sentence_of_its_own(route: Route) -> None:
    found = summary(route)
    assert found == described(route)["summary"]
    assert len(found) > 3, f"The docstring of {route.handler.__name__} does not say what the route does."
    assert not found.startswith(("GET ", "POST ", "PUT ", "DELETE ")), f"{route.handler.__name__} says only its name."


@EVERY_ROUTE
def test_parameters_are_the_descriptors_that_validate_requests(route: Route) -> None:
    made = described(route)
    shown = {parameter["name"]: parameter["required"] for parameter in made.get("parameters", ())}
    if "requestBody" in made:
        schema = made["requestBody"]["content"][FORM]["schema"]
        shown |= {name: name in schema.get("required", ()) for name in schema["properties"]}
    assert set(shown) - SIGNATURE == route.parameters - SIGNATURE
    for field in route.fields:
        if field.name in shown:
            assert shown[field.name] is field.required
    is_signed = route.access is Access.SIGNED
    assert ("timestamp" in shown) >= is_signed
    assert (
        made.get("security", [])
        == {
            Access.PUBLIC: [],
            Access.SIGNED: [{"apiKey": [], "signature": []}],
            Access.KEYED: [{"apiKey": []}],
            Access.FORM: [],
            Access.BEARER: [{"session": []}],
        }[route.access]
    )


def references(value: object) -> set[str]:
    """Every $ref in a value."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    schemas = MADE["components"]["schemas"]
    assert references(MADE) == {f"#/components/schemas/{name}" for name in schemas}


def test_operation_names_are_identifiers_and_unique() -> None:
    names = [made["operationId"] for methods in MADE["paths"].values() for made in methods.values()]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


def test_arrays_of_several_types_are_written_as_json_schema_2020_has_it() -> None:
    # In OpenAPI 3.1 a list of schemas is `prefixItems`; `items` is one schema, or false.
    def check(value: object) -> None:
        if isinstance(value, dict):
            assert not isinstance(value.get("items"), list), value
            for inner in value.values():
                check(inner)
        elif isinstance(value, list):
            for inner in value:
                check(inner)

    check(MADE)
    candle = MADE["components"]["schemas"]["Candle"]
    assert len(candle["prefixItems"]) == candle["minItems"] == 12


def test_answers_are_types_that_refuse_what_they_do_not_know() -> None:
    for row in OPERATIONS.values():
        for answer in row.answers.values():
            for struct in structs(answer):
                assert struct.__struct_config__.forbid_unknown_fields, struct


def structs(answer: Any) -> set[type[msgspec.Struct]]:
    """Every Struct that a type is made of."""
    found: set[type[msgspec.Struct]] = set()

    def walk(info: msgspec.inspect.Type) -> None:
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls not in found:
                found.add(info.cls)
                for field in info.fields:
                    walk(field.type)
        elif isinstance(info, msgspec.inspect.UnionType):
            for one in info.types:
                walk(one)
        elif isinstance(info, msgspec.inspect.ListType):
            walk(info.item_type)
        elif isinstance(info, msgspec.inspect.Metadata):
            walk(info.type)

    walk(msgspec.inspect.type_info(answer))
    return found
