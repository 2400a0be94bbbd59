"""The Python of the documents, pasted as it stands into a folder where a demo exchange runs: it prints what it says."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.clients.driving import python_of
from tests.gateway.running import Exchange
from tests.style import source

ADDRESS, KEYS = "127.0.0.1:8080", "var/demo-keys.env"
_PRINTED = re.compile(r"print\(.*\)  # (.+)$", re.MULTILINE)
SNIPPETS = [
    (path, block)
    for path in source.documents()
    for block in re.findall(r"^```python\n(.*?)^```", source.text(path), re.MULTILINE | re.DOTALL)
    if "import ccxt" in block
]


@pytest.mark.parametrize("block", [block for _, block in SNIPPETS], ids=[str(path) for path, _ in SNIPPETS])
def test_snippet_prints_what_it_says(exchange: Exchange, block: str) -> None:
    assert ADDRESS in block and KEYS in block
    done = subprocess.run(
        [python_of("ccxt"), "-c", block.replace(ADDRESS, f"127.0.0.1:{exchange.ports['http']}")],
        cwd=exchange.data_dir.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = _PRINTED.findall(block)
    assert expected
    assert done.stdout.splitlines() == expected


def test_documents_have_a_snippet() -> None:
    assert SNIPPETS
