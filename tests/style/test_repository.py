"""What the lock files, the build and the records promise."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pytest

from exchange.core import event_records, records
from tests.style import source

PYPROJECT = tomllib.loads((source.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("requirements/run.txt", "requirements/dev.txt", "requirements/build.txt")
CLIENTS = sorted(group for group in PYPROJECT["dependency-groups"] if group.startswith("client-"))


def _pins(name: str) -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([a-z0-9-]+)==(\S+)", (source.ROOT / name).read_text(encoding="utf-8"), re.MULTILINE
    ):
        pins.setdefault(package, set()).add(version)
    return pins


def _packages(requirements: list[str]) -> set[str]:
    return {match[0] for match in (re.match(r"[a-z0-9-]+", line) for line in requirements) if match}


def _client_lock(group: str) -> str:
    return f"requirements/clients/{group.removeprefix('client-')}.txt"


@pytest.mark.parametrize("name", [*LOCKS, *map(_client_lock, CLIENTS)])
def test_lock_pins_every_requirement_with_hashes(name: str) -> None:
    text = (source.ROOT / name).read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert blocks
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert "://" not in text


def test_lock_covers_what_the_project_declares() -> None:
    project = PYPROJECT["project"]
    groups = PYPROJECT["dependency-groups"]
    run, dev, build = (_pins(name) for name in LOCKS)
    assert _packages(project["dependencies"]) <= run.keys()
    assert _packages([line for line in groups["dev"] if isinstance(line, str)]) <= dev.keys()
    assert _packages(groups["build"]) <= build.keys()
    assert {package: versions for package, versions in dev.items() if package in run} == run


@pytest.mark.parametrize("group", CLIENTS)
def test_client_is_locked_at_the_version_that_its_tests_are_about(group: str) -> None:
    [requirement] = PYPROJECT["dependency-groups"][group]
    package, version = requirement.split("==")
    assert _pins(_client_lock(group))[package] == {version}


def test_client_that_is_declared_is_installed_for_the_tests() -> None:
    makefile = (source.ROOT / "Makefile").read_text(encoding="utf-8")
    [installed] = re.findall(r"^CLIENTS := (.*)$", makefile, re.MULTILINE)
    assert {f"client-{name}" for name in installed.split()} == set(CLIENTS)


def test_wheel_ships_every_package() -> None:
    assert set(PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(source.SHIPPED)


@pytest.mark.parametrize("registry", [records.COMMAND_DTYPES, event_records.EVENT_DTYPES], ids=["commands", "events"])
def test_record_is_two_cache_lines_of_aligned_integers(registry: dict[int, np.dtype[np.void]]) -> None:
    for kind, dtype in registry.items():
        assert dtype.itemsize == records.RECORD_BYTES == 128
        for name in dtype.names or ():
            field, offset = dtype.fields[name][:2]  # type: ignore[index]  # a record dtype has fields
            assert field.kind in "iu", f"{kind}.{name} is not an integer"
            assert offset % field.itemsize == 0, f"{kind}.{name} is not aligned"
