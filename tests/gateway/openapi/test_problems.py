"""Every documented error of every route is provoked, and says what the document says; no other error appears."""

from __future__ import annotations

import re

import pytest

from exchange.gateway.openapi.operations import operation
from exchange.gateway.openapi.problems import problems
from exchange.gateway.routes import ROUTES, Route
from tests.gateway.openapi.provoking import answers_of
from tests.gateway.openapi.stage import Answer, Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


def pattern(text: str) -> re.Pattern[str]:
    """A documented text, in which {...} stands for anything."""
    return re.compile(".+".join(map(re.escape, re.split(r"\{[^}0-9]*\}", text))))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_documented_errors_are_those_that_a_route_gives(stage: Stage, route: Route) -> None:
    row = operation(route)
    documented = problems(route, row.problems, is_read=row.is_read)
    patterns: dict[tuple[int, int], list[re.Pattern[str]]] = {}
    for problem in documented:
        patterns.setdefault((problem.status, problem.code), []).append(pattern(problem.msg))
    missing = set(patterns)
    unknown: list[Answer] = []
    async for answer in answers_of(stage, route, missing):
        if answer.status in row.answers:
            continue
        if not any(known.fullmatch(answer.json["msg"]) for known in patterns.get(answer.kind, ())):
            unknown.append(answer)
        missing.discard(answer.kind)
    assert unknown == [], "these errors are not documented, or their text is another"
    assert missing == set(), "nothing provokes these documented errors"
