"""Imports run one way: edges -> disruptor -> core; `journal` and `snapshots` know neither the exchange nor Numba."""

from __future__ import annotations

import ast
import pathlib
import sys

import pytest

from tests.style import source

_ENGINE = {"exchange.core", "exchange.disruptor", "journal", "snapshots"}
_REPLAY = {
    *{"exchange.commands", "exchange.replay", "exchange.poison", "exchange.checkpoint"},
    *{"exchange.recovery", "exchange.follower"},
}
_SERVICES = {"exchange.settings", "exchange.datadir", "exchange.timekeeper", *_REPLAY}
_PEOPLE = {"exchange.persistence", "exchange.users"}
_EDGES = {"exchange.gateway", "exchange.marketdata"}

# A module's layer is the longest prefix that it matches. It may import its own layer, and the ones named here.
LAYERS: dict[str, set[str]] = {
    "journal": set(),
    "snapshots": {"journal"},
    "exchange": set(),  # __init__: the version
    "exchange.settings": set(),
    "exchange.datadir": set(),
    "exchange.progress": set(),
    "exchange.core": set(),
    "exchange.disruptor": {"exchange.core", "journal"},
    "exchange.commands": {"exchange.core", "journal"},
    "exchange.replay": {"exchange.core", "exchange.commands", "journal"},
    "exchange.poison": {"exchange.core", "exchange.datadir"},
    "exchange.checkpoint": {"exchange.core", "snapshots"},
    "exchange.past": {
        *{"exchange.core", "journal", "snapshots"},
        *{"exchange.commands", "exchange.checkpoint", "exchange.progress"},
    },
    "exchange.forensics": {
        *{"exchange.core", "journal", "snapshots"},
        *{"exchange.past", "exchange.checkpoint", "exchange.progress"},
    },
    "exchange.recovery": {
        *{*_ENGINE, "exchange.commands", "exchange.replay", "exchange.poison", "exchange.checkpoint"},
        *{"exchange.datadir", "exchange.settings", "exchange.progress"},
    },
    "exchange.follower": {*_ENGINE, "exchange.replay", "exchange.checkpoint", "exchange.datadir", "exchange.settings"},
    "exchange.timekeeper": {"exchange.core", "exchange.disruptor"},
    "exchange.marketdata": {"exchange.core", "exchange.disruptor", "exchange.settings", "exchange.progress", "journal"},
    "exchange.persistence": {
        *{"exchange.core", "journal", "snapshots", "exchange.datadir", "exchange.progress"},
        *{"exchange.settings", "exchange.replay", "exchange.checkpoint", "exchange.past"},
    },
    "exchange.users": {
        *{"exchange.core", "exchange.disruptor"},
        *{"exchange.settings", "exchange.datadir", "exchange.persistence"},
    },
    "exchange.gateway": {
        *{
            "exchange.core",
            "exchange.disruptor",
            "exchange.marketdata",
            "exchange.settings",
            "exchange.datadir",
            "journal",
        },
        *_PEOPLE,
    },
    "exchange.control": {"exchange.users", "exchange.persistence", "exchange.settings"},
    "exchange.operator_cli": {"exchange.control", "exchange.settings", "exchange.datadir", *_PEOPLE},
    "exchange.market_replay": {"exchange.core", "exchange.disruptor"},
    "exchange.warm": {*_ENGINE, "exchange.marketdata"},
    "exchange.operating": {"exchange.core", "exchange.disruptor", "journal", *_PEOPLE},
    "exchange.venue_cli": {"exchange.operator_cli", "exchange.operating", "exchange.progress"},
    "exchange.backoffice": {
        *{*_ENGINE, *_PEOPLE, *_EDGES},
        *{"exchange.control", "exchange.operating", "exchange.settings", "exchange.datadir"},
    },
    "exchange.app": {
        *{*_ENGINE, *_SERVICES, *_PEOPLE, *_EDGES},
        *{"exchange.control", "exchange.operating", "exchange.backoffice", "exchange.progress"},
    },
    "exchange.cli": {
        *{*_ENGINE, *_SERVICES, *_PEOPLE, *_EDGES},
        *{"exchange.app", "exchange.market_replay", "exchange.warm"},
        *{"exchange.operator_cli", "exchange.venue_cli", "exchange.forensics"},
    },
    "exchange.__main__": {"exchange.cli"},
    "bench": {*_ENGINE, *_SERVICES, *_PEOPLE, *_EDGES, "exchange.app", "exchange.market_replay", "exchange.warm"},
}

# Third-party packages a layer may use; a layer that is not named may use any.
PACKAGES: dict[str, set[str]] = {
    "exchange.core": {"numpy", "numba", "llvmlite"},
    "exchange.disruptor": {"numpy", "numba"},
    "exchange.settings": set(),
    "journal": {"numpy", "xxhash", "typer", "rich"},
    "snapshots": {"numpy", "xxhash", "typer", "rich"},
}


def layer_of(module: str) -> str:
    """The layer a module of ours lies in; KeyError for a module that no layer covers."""
    parts = module.split(".")
    prefixes = [".".join(parts[:size]) for size in range(len(parts), 0, -1)]
    layer = next(prefix for prefix in prefixes if prefix in LAYERS)
    if layer == "exchange" and len(parts) > 1 and not parts[1].startswith("__version"):
        raise KeyError(f"{module} lies in no layer: name one for it in LAYERS")
    return layer


def broken_imports(name: str, tree: ast.Module, *, is_package: bool = False) -> list[str]:
    """A sentence for every line of `name` whose import runs against the layers."""
    layer = layer_of(name)
    ours = {prefix.split(".")[0] for prefix in LAYERS}
    broken: dict[int, str] = {}
    for line, target in source.imports(tree, name, is_package=is_package):
        top = target.split(".")[0]
        if top in ours:
            other = layer_of(target)
            if other not in (layer, "exchange") and other not in LAYERS[layer]:
                broken[line] = f"{name}:{line} ({layer}) imports {target} ({other})"
        elif top not in sys.stdlib_module_names and layer in PACKAGES and top not in PACKAGES[layer]:
            broken[line] = f"{name}:{line} ({layer}) imports the package {top}"
    return list(broken.values())


@pytest.mark.parametrize("path", source.modules(*source.SHIPPED), ids=str)
def test_module_imports_only_lower_layers(path: pathlib.PurePosixPath) -> None:
    name = source.module_name(path)
    assert broken_imports(name, source.tree(path), is_package=path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("exchange.core.book", "from exchange.disruptor import pipeline"),
        ("exchange.core.book", "import xxhash"),
        ("exchange.core.book", "def late():\n    import exchange.gateway.auth"),
        ("exchange.disruptor.ring", "from ..gateway import routes"),
        ("exchange.marketdata.depth", "import exchange.gateway"),
        ("journal.format", "import exchange.core.records"),
        ("journal.format", "import numba"),
        ("snapshots.store", "from numba import njit"),
        ("exchange.settings", "from exchange import app"),
    ],
)
def test_import_against_the_layers_is_found(name: str, code: str) -> None:
    assert len(broken_imports(name, ast.parse(code))) == 1


def test_layers_have_no_cycle() -> None:
    below: dict[str, set[str]] = {}

    def reach(layer: str, path: tuple[str, ...]) -> set[str]:
        assert layer not in path, f"{' -> '.join([*path, layer])} is a cycle"
        if layer not in below:
            below[layer] = {layer}.union(*(reach(other, (*path, layer)) for other in sorted(LAYERS[layer])))
        return below[layer]

    for layer in LAYERS:
        reach(layer, ())
