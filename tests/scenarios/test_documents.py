"""The examples of docs/orders.md are tables: they run on the oracle and on the engine."""

from __future__ import annotations

import pathlib
import re

import pytest

from tests.core.differential import EngineExchange, OracleExchange
from tests.scenarios.runner import Run, Scenario, scenarios_in

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "orders.md"
EXAMPLES = [
    scenario
    for block in re.findall(r"^```scenario\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for scenario in scenarios_in(PAGE.stem, block)
]


@pytest.mark.parametrize("scenario", EXAMPLES, ids=str)
def test_example_gives_what_the_page_says(scenario: Scenario) -> None:
    Run(scenario, OracleExchange()).all_lines()
    Run(scenario, EngineExchange()).all_lines()


def test_page_has_an_example_in_every_section_of_a_type() -> None:
    sections = re.split(r"^## \d+\. ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert [section.splitlines()[0] for section in sections if "```scenario" not in section] == []
