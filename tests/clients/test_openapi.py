"""Requests made of the OpenAPI document by a program that knows nothing else about the exchange."""

from __future__ import annotations

from exchange.gateway.routes import ROUTES
from tests.clients.driving import day
from tests.gateway.running import Exchange

EXAMPLES = 5


def test_answers_to_generated_requests_are_documented_and_refused_ones_reach_no_engine(exchange: Exchange) -> None:
    went = day("schemathesis", "openapi_requests", exchange, str(EXAMPLES))
    assert len(went) == 2 * len(ROUTES)
    assert not any("Traceback" in line for line in exchange.errors)
