"""Every table runs on the oracle and on the engine, and the two give the same events and the same state."""

from __future__ import annotations

import re

import pytest

from exchange.core.codes import CloseReason, RejectCode, StpMode, TimeInForce
from tests.core.differential import SLOW_KERNELS, EngineExchange, OracleExchange, compare_states
from tests.scenarios.runner import TABLES, Run, Scenario, scenarios

SCENARIOS = scenarios()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_oracle_on_table_gives_what_its_lines_say(scenario: Scenario) -> None:
    Run(scenario, OracleExchange()).all_lines()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_engine_on_table_gives_what_its_lines_say(scenario: Scenario) -> None:
    if SLOW_KERNELS and any(line.words[0] == "arm" for line in scenario.lines):
        pytest.skip("10,000 timers take minutes where kernels are plain Python; the compiled runs arm them.")
    engine = EngineExchange()
    Run(scenario, engine).all_lines()
    oracle = OracleExchange()
    Run(scenario, oracle).all_lines()
    assert engine.told == oracle.told
    compare_states(engine, oracle, str(scenario))


def _said_in_tables(pattern: str) -> set[str]:
    return {found for path in TABLES.glob("*.txt") for found in re.findall(pattern, path.read_text())}


def test_tables_name_every_reject_code() -> None:
    assert _said_in_tables(r"-> refused ([A-Z_]+)") == {code.name for code in RejectCode if code is not RejectCode.NONE}


def test_tables_name_every_reason_for_a_close() -> None:
    reasons = {reason.name.lower() for reason in CloseReason if reason is not CloseReason.NONE}
    assert _said_in_tables(r"closed #\d+ ([a-z_]+) \d") == reasons


def test_tables_use_every_self_trade_mode_and_time_in_force() -> None:
    assert _said_in_tables(r"stp ([a-z_]+)") == {mode.name.lower() for mode in StpMode}
    assert _said_in_tables(r" x \d+ ([a-z]{3})\b") >= {time.name.lower() for time in TimeInForce}


def test_table_with_a_wrong_expectation_is_refused() -> None:
    scenario = next(s for s in SCENARIOS if "do not meet rest" in s.title)
    for line in scenario.lines:
        if line.expected is not None:
            wrong = Scenario("wrong", "one number changed", [*scenario.lines])
            place = wrong.lines.index(line)
            changed = line.text.replace("holds 5000", "holds 5001").replace("holds 200", "holds 201")
            wrong.lines[place] = type(line)(line.number, changed, line.words, changed.partition("->")[2].strip())
            with pytest.raises(AssertionError, match="expected"):
                Run(wrong, OracleExchange()).all_lines()


def test_table_that_hides_a_balance_is_refused() -> None:
    scenario = next(s for s in SCENARIOS if "do not meet rest" in s.title)
    hidden = Scenario("wrong", "the last balance is missing", scenario.lines[:-1])
    with pytest.raises(AssertionError, match="does not end with balances"):
        Run(hidden, OracleExchange()).all_lines()
