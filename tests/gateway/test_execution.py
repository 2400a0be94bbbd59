"""The reference price as clients read it is the one that the engine's twin computes; what executionRules shows."""

from __future__ import annotations

import random

import pytest

from exchange.core.codes import SymbolRule
from exchange.core.readers import reference_ticks
from exchange.gateway.execution import range_rules
from tests.core.differential import EngineExchange, OracleExchange
from tests.oracle.guards import reference_price
from tests.scenarios.language import parse_command
from tests.scenarios.runner import Run, Scenario
from tests.scenarios.words import STANDARD, lines_of

BTC_USDT = 1
FUNDS = """
deposit 16 USDT 1000000000 id 1
deposit 17 BTC 1000000000 id 2
"""


class Pair:
    """The standard venue with rich accounts, on the engine and on the oracle."""

    def __init__(self) -> None:
        self.engine, self.oracle = EngineExchange(), OracleExchange()
        self.runs = [Run(Scenario("", "", []), exchange) for exchange in (self.engine, self.oracle)]
        self.say(STANDARD + FUNDS)

    def say(self, text: str, ts_ns: int = 1) -> None:
        """Commands, whatever comes of them."""
        for run in self.runs:
            run.ts_ns = ts_ns
            for line in lines_of(text):
                run.apply(parse_command(line, run.names))

    def trade(self, price: int, lots: int, ts_ns: int) -> None:
        """A trade, if nothing else stands in its way."""
        order = f"BTC_USDT limit {price} x {lots} gtc"
        self.say(f"sell 17 {order}\nbuy 16 {order}", ts_ns)

    def reference_ticks(self, ts_ns: int) -> int:
        """As clients read it."""
        return reference_ticks(self.engine.engine.state, BTC_USDT, ts_ns)


@pytest.mark.parametrize("window_ns", [0, 5, 160, 1_000])
def test_reference_price_is_that_of_the_oracle(window_ns: int) -> None:
    draw, pair, ts_ns, seen = random.Random(window_ns), Pair(), 1, set()
    pair.say(f"rule BTC_USDT reference_window_ns {window_ns}")
    for _ in range(60):
        ts_ns += draw.choice((0, 1, 7, 60, 900))
        pair.say("tick", ts_ns)
        venue = pair.oracle.oracle.venue
        told = pair.reference_ticks(ts_ns)
        assert told == (reference_price(venue, venue.symbols[BTC_USDT]) or 0)
        seen.add(told)
        pair.trade(draw.randint(1, 1_000), draw.randint(1, 9), ts_ns)
    assert len(seen) > 20


def test_reference_price_moves_on_while_no_command_comes() -> None:
    pair = Pair()
    pair.say("rule BTC_USDT reference_window_ns 160")
    pair.trade(100, 1, 1_000)
    pair.trade(110, 1, 1_100)
    assert [pair.reference_ticks(ts_ns) for ts_ns in (1_100, 1_159, 1_160, 9_999)] == [105, 105, 110, 110]


def test_symbol_that_never_traded_has_no_reference_price() -> None:
    assert Pair().reference_ticks(5) == 0


def test_range_is_shown_for_both_sides_and_a_bound_that_is_off_is_not() -> None:
    assert range_rules({SymbolRule.BID_UP_BIPS: 11_000}) == []
    assert range_rules({SymbolRule.RANGE_UP_BIPS: 10_500}) == [
        {"ruleType": "PRICE_RANGE", "bidLimitMultUp": "1.0500", "askLimitMultUp": "1.0500"}
    ]
    both_bounds = range_rules({SymbolRule.RANGE_UP_BIPS: 20_000, SymbolRule.RANGE_DOWN_BIPS: 5_000})
    assert both_bounds[0]["bidLimitMultDown"] == both_bounds[0]["askLimitMultDown"] == "0.5000"
