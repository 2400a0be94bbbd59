"""The examples of docs/orders.md and docs/guards.md are tables: they run on the oracle and on the engine."""

from __future__ import annotations

import pathlib
import re

import pytest

from tests.core.differential import EngineExchange, OracleExchange
from tests.scenarios.runner import Run, Scenario, scenarios_in

DOCS = pathlib.Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("orders", "guards")}
EXAMPLES = [
    scenario
    for name, text in PAGES.items()
    for block in re.findall(r"^```scenario\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    for scenario in scenarios_in(name, block)
]


@pytest.mark.parametrize("scenario", EXAMPLES, ids=str)
def test_example_gives_what_the_page_says(scenario: Scenario) -> None:
    Run(scenario, OracleExchange()).all_lines()
    Run(scenario, EngineExchange()).all_lines()


@pytest.mark.parametrize("page", PAGES)
def test_page_has_an_example_in_every_section(page: str) -> None:
    sections = re.split(r"^## \d+\. ", PAGES[page], flags=re.MULTILINE)[1:]
    assert len(sections) > 1
    assert [section.splitlines()[0] for section in sections if "```scenario" not in section] == []
