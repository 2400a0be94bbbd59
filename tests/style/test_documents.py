"""The documents tell the truth: settings, refusals and files they name exist, and what exists is named."""

from __future__ import annotations

import pathlib
import re

import pytest

from exchange import settings
from exchange.core.codes import CloseReason, CommandKind, EventKind, Fault, Limit, RejectCode
from tests.style import source

README = pathlib.PurePosixPath("README.md")
REFERENCE = [path for path in source.documents() if path == README or path.parts[0] == "docs"]
_VARIABLE = re.compile(r"\bEXCHANGE_[A-Z0-9_]*[A-Z0-9]\b")
_FILTERS = "EXCHANGE_MAX_NUM_"
"""How Binance's filters of the whole venue begin; they look like variables and are none."""
_FAMILY = re.compile(r"^EXCHANGE_[A-Z0-9_]*_$")
"""The beginning of an f-string that names one variable of several: EXCHANGE_REPLAY_ and a name."""
_TOP = "exchange|journal|snapshots|bench|tests|docs|requirements"
_PATH = re.compile(rf"(?<![\w./-])(?:{_TOP})/[\w./*{{}}-]*[\w}}*]")
_LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
_MODULE = re.compile(rf"python -m ((?:{_TOP})[\w.]*)")
_RUNTIME = re.compile(r"journal/(?:commands|events)\b|snapshots/[^\s]*\.snapshot\b")
"""Paths below the data directory look like paths of the repository; they are made at run time."""


def variables_in_code() -> set[str]:
    """Every EXCHANGE_* name that stands in a string of the shipped code (docstrings aside) or in a build file."""
    found: set[str] = set()
    for path in source.modules(*source.SHIPPED):
        prose = source.docstrings(source.tree(path))
        found |= {
            name
            for _, value in source.strings(source.tree(path))
            if value not in prose
            for name in _VARIABLE.findall(value)
        }
    for path in source.files():
        if path.name in ("Dockerfile", "Makefile"):
            found |= set(_VARIABLE.findall(source.text(path)))
    return found


def families_in_code() -> set[str]:
    """Every beginning that an f-string of the shipped code completes to the name of a variable."""
    return {
        value
        for path in source.modules(*source.SHIPPED)
        for _, value in source.strings(source.tree(path))
        if _FAMILY.match(value)
    }


def dangling(path: pathlib.PurePosixPath, text: str) -> list[str]:
    """What a text names and the repository does not have: paths, relative links, modules to run."""
    known = {str(file) for file in source.files()}
    known |= {str(parent) for file in source.files() for parent in file.parents}

    def exists(name: str) -> bool:
        name = name.rstrip("/").rstrip(".")
        return name in known or any(pathlib.PurePosixPath(file).match(name) for file in known if "*" in name)

    missing = [
        name for name in _PATH.findall(text) if not exists(name) and not _RUNTIME.match(name) and "{" not in name
    ]
    for link in _LINK.findall(text):
        target = (source.ROOT / path.parent / link).resolve()
        if not target.exists():
            missing.append(link)
    for module in _MODULE.findall(text):
        name = module.rstrip(".").replace(".", "/")
        if f"{name}.py" not in known and f"{name}/__main__.py" not in known:
            missing.append(module)
    return missing


def test_setting_in_code_is_documented() -> None:
    documented = {name for path in REFERENCE for name in _VARIABLE.findall(source.text(path))}
    assert variables_in_code() - documented == set()
    assert {family for family in families_in_code() if not any(name.startswith(family) for name in documented)} == set()


def test_setting_in_documents_exists() -> None:
    known = variables_in_code()
    families = tuple(families_in_code())
    unknown = {
        (str(path), name)
        for path in source.documents()
        for name in _VARIABLE.findall(source.text(path))
        if name not in known and not name.startswith((*families, _FILTERS))
    }
    assert unknown == set()


def test_readme_table_lists_every_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \| ([^|]+?) \|", source.text(README), re.MULTILINE))
    assert {name: value.strip("`") for name, value in rows.items()} == {
        name: default for name, default, _ in settings.table()
    }


@pytest.mark.parametrize(
    "registry", [RejectCode, CommandKind, EventKind, Limit, CloseReason, Fault], ids=lambda r: str(r.__name__)
)
def test_code_is_documented(registry: type[RejectCode]) -> None:
    words = set(re.findall(r"[A-Z][A-Z0-9_]+", " ".join(source.text(path) for path in REFERENCE)))
    # The engine's page shortens names that share a beginning: ORDER_ACCEPTED, REDUCED, CLOSED.
    missing = [code.name for code in registry if code.name != "NONE" and code.name not in words]
    assert missing == []


@pytest.mark.parametrize("path", source.documents(), ids=str)
def test_document_names_only_what_exists(path: pathlib.PurePosixPath) -> None:
    assert dangling(path, source.text(path)) == []


@pytest.mark.parametrize("path", source.modules(*source.SHIPPED, "tests"), ids=str)
def test_docstring_names_only_files_that_exist(path: pathlib.PurePosixPath) -> None:
    assert [name for prose in sorted(source.docstrings(source.tree(path))) for name in dangling(path, prose)] == []


@pytest.mark.parametrize(
    "text",
    ["see `docs/gone.md`", "[page](gone.md)", "run `python -m bench.gone`", "`exchange/core/gone.py` does"],
)
def test_dangling_name_is_found(text: str) -> None:
    assert len(dangling(README, text)) == 1


def test_project_speaks_of_itself_alone() -> None:
    """Nothing points at a place to install from or at somebody's home."""
    outside = re.compile(r"--index-url|--extra-index|--find-links|/root/|/home/[a-z]")
    named = [
        str(path)
        for path in source.files()
        if path.parts[0] != "tests" and path.suffix not in (".png", ".gz") and outside.search(source.text(path))
    ]
    assert named == []
