"""Every command that docs/guards.md and docs/orders.md show is one that `exchange` understands."""

from __future__ import annotations

import pathlib
import re
import shlex

import pytest
from typer.testing import CliRunner

from exchange.cli import app
from exchange.core.codes import AccountRule, KeyRule, SymbolRule
from exchange.operator_cli import EXIT_NOT_RUNNING

DOCS = pathlib.Path(__file__).parents[2] / "docs"
TEXT = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("guards.md", "orders.md"))
COMMANDS = re.findall(r"^    exchange (.+)$", TEXT, re.MULTILINE)
RULES = {"symbol": SymbolRule, "account": AccountRule, "key": KeyRule}


@pytest.mark.parametrize("command", COMMANDS)
def test_command_on_the_page_comes_as_far_as_the_exchange(command: str, tmp_path: pathlib.Path) -> None:
    words = shlex.split(command)
    (tmp_path / "token").write_text("a token\n")
    if "--as" in words:
        words += ["--token-file", str(tmp_path / "token")]
    asked = CliRunner().invoke(app, [*words, "--data-dir", str(tmp_path)])
    assert asked.exit_code == EXIT_NOT_RUNNING, asked.output


def test_rules_on_the_page_exist() -> None:
    asked = [shlex.split(command)[2:] for command in COMMANDS if command.startswith("operator rule ")]
    assert len(asked) > 10
    assert [words for words in asked if words[2] not in RULES[words[0]].__members__] == []
