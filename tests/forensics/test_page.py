"""docs/forensics.md: what the commands print is what the page says."""

from __future__ import annotations

import pathlib
import re

import pytest

from tests.forensics import scenes
from tests.style import source

PAGE = source.text(pathlib.PurePosixPath("docs/forensics.md"))
BLOCKS = [
    block.split("\n", 1) for block in re.findall(r"^```text\n\$ exchange (.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
]


@pytest.fixture(name="path", scope="module")
def fixture_path(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The story of the page."""
    return scenes.told(tmp_path_factory.mktemp("page") / "var")


def test_page_shows_all_but_diff() -> None:
    assert [arguments.split()[0] for arguments, _ in BLOCKS] == ["why", "inspect", "why", "replay", "audit"]


@pytest.mark.parametrize(("arguments", "shown"), BLOCKS)
def test_output_is_that_of_the_page(path: pathlib.Path, arguments: str, shown: str) -> None:
    code, output = scenes.run(*arguments.split(), "--data-dir", str(path))
    assert (code, output.rstrip("\n")) == (0, shown)
