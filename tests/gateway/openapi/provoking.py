"""Ways to provoke errors: for any route, then by field, then by hand where a story is needed.

Everything is tried until nothing is missing; what was answered is the test's to judge.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from urllib.parse import urlencode

from exchange.gateway.limits import PATIENCE, Limits, Rates
from exchange.gateway.routes import SIGNATURE, Access, Route
from tests.gateway.openapi import people_stories, trading_stories
from tests.gateway.openapi.stage import Answer, Stage, base, changed

Kind = tuple[int, int]
_NOBODYS_KEY = "n" * 64
_BAD = (
    "",
    "nope",
    "0",
    "1",
    "99999999999999999999",
    "0.0000000000001",
    "0.000000001",
    "0.001",
    "+15:00",
    "not/legal",
    '["X","X"]',
)
_TOGETHER = (
    {"symbol": "ETH_BTC", "symbols": '["ETH_BTC"]'},
    {"startTime": "1", "endTime": "90000001"},
    {"fromId": "1", "startTime": "1"},
    {"origClientOrderId": ""},
    {"newClientOrderId": ""},
    {"timeInForce": "GTD", "goodTillDate": "0"},
    {"timeInForce": "IOC", "icebergQty": "0.01"},
    {"pegPriceType": "PRIMARY_PEG", "pegOffsetType": "nope", "pegOffsetValue": "1"},
    {"workingTimeInForce": "GTD", "workingGoodTillDate": "0"},
    {"workingTimeInForce": "IOC", "workingIcebergQty": "0.01"},
    {"workingPegPriceType": "PRIMARY_PEG", "workingPegOffsetType": "nope", "workingPegOffsetValue": "1"},
    {"belowTimeInForce": "IOC", "belowIcebergQty": "0.01"},
    {"belowPegPriceType": "PRIMARY_PEG", "belowPegOffsetType": "nope", "belowPegOffsetValue": "1"},
    {"pendingAboveIcebergQty": "0.00001"},
)


async def answers_of(stage: Stage, route: Route, missing: set[Kind]) -> AsyncIterator[Answer]:
    """Answers to all sorts of requests, until `missing`, from which the reader takes, is empty."""
    stage.office.patience.now_s += 100_000  # nobody's tries count any more
    async for answer in _of_any(stage, route, missing):
        yield answer
    async for answer in _of_fields(stage, route, missing):
        yield answer
    is_of_people = route.access in (Access.FORM, Access.BEARER)
    stories = people_stories.STORIES if is_of_people else trading_stories.STORIES
    for story in stories:
        if not missing:
            return
        async for answer in story(stage, route, frozenset(missing)):
            yield answer


async def _of_any(stage: Stage, route: Route, missing: set[Kind]) -> AsyncIterator[Answer]:
    """What a route refuses whatever it is about."""
    in_body = route.access in (Access.FORM, Access.BEARER)

    async def pairs(text: str) -> Answer:
        return await stage.send(route, "" if in_body else text, text.encode() if in_body else b"")

    yield await stage.send(route, headers={"X-MBX-TIME-UNIT": "NANOSECOND"})
    yield await stage.send(route, body=b"a" * 20_000)
    yield await stage.send(route, body=b"a=b", headers={"Content-Encoding": "gzip"})
    head = f"{route.method} {route.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
    yield await stage.raw(head + b"Content-Length: 10\r\n\r\nabc")
    yield await stage.raw(head + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n")
    for text in ("a=%zz", "=", "a=%01", "a=%ff", "a=1&a=2"):
        yield await pairs(text)
    if in_body:
        yield await stage.send(route, "email=in-an-address")
    yield await stage.ask(route, {**base(stage, route), "nobodyKnowsThis": "1"})
    for count in (1, PATIENCE + 1):
        limits = Limits(Rates(weight_per_minute=1))
        with changed(stage.venue, limits=limits):
            await stage.ask(route, {"nobodyKnowsThis": "1"})
            for usage in limits._usages.values():
                usage.weight = usage.cancels = 100
                usage.refused = count - 1
            yield await stage.ask(route, {})
    if route.access in (Access.SIGNED, Access.KEYED):
        yield await stage.ask(route, {}, headers={"X-MBX-APIKEY": "short"})
        yield await stage.ask(route, {}, headers={"X-MBX-APIKEY": _NOBODYS_KEY})
    if route.access is Access.SIGNED:
        yield await stage.ask(route, {"timestamp": "1"})
        yield await stage.ask(route, {"timestamp": str(time.time_ns() // 1_000_000 + 3_600_000)})
        yield await stage.ask(route, {"recvWindow": "x"})
        yield await stage.ask(route, {"recvWindow": "60001"})
        stamp = urlencode({"timestamp": time.time_ns() // 1_000_000})
        yield await stage.send(route, f"{stamp}&signature={'0' * 64}")
        yield await stage.send(route, stamp)
    if route.access is Access.BEARER:
        yield await stage.ask(route, {}, token="nobodys")
    if route.access is not Access.PUBLIC:
        with changed(stage.venue, admitting=False):
            yield await stage.ask(route, {})


async def _of_fields(stage: Stage, route: Route, missing: set[Kind]) -> AsyncIterator[Answer]:
    """Every field left out, and with every bad value; then some that do not go together."""
    form = base(stage, route)
    names = [field.name for field in route.fields if field.name not in SIGNATURE or route.access is Access.FORM]
    tries: list[dict[str, str]] = [form]
    tries += [{other: value for other, value in form.items() if other != name} for name in form]
    tries += [{**form, name: value} for value in _BAD for name in names]
    tries += [{**form, **together} for together in _TOGETHER if together.keys() <= route.parameters]
    tries += [{name: value for value in _BAD for name in names if name == "symbols"}, form]
    if route.access is Access.PUBLIC and "timestamp" in route.parameters:
        tries.append({"timestamp": ""})
    for one in tries:
        if not missing:
            return
        if not route.path.endswith("/logout"):
            yield await stage.ask(route, one)
