"""The repository as the style tests see it: its files, their syntax trees, and small questions about them.

Owns no rule. Sources are the files that git would commit, so a stray file in a working copy judges nobody.
"""

from __future__ import annotations

import ast
import functools
import pathlib
import subprocess
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHIPPED = ("exchange", "journal", "snapshots", "bench")


@functools.cache
def files() -> tuple[pathlib.PurePosixPath, ...]:
    """Every file of the repository, relative to its root: git's list, or the tree itself where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    else:
        names = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()]
    return tuple(sorted(pathlib.PurePosixPath(name) for name in names))


def modules(*packages: str) -> list[pathlib.PurePosixPath]:
    """The Python files below the named top folders."""
    return [path for path in files() if path.suffix == ".py" and path.parts[0] in packages]


def documents() -> list[pathlib.PurePosixPath]:
    """The Markdown files that people read."""
    return [path for path in files() if path.suffix == ".md"]


@functools.cache
def text(path: pathlib.PurePosixPath) -> str:
    """The text of one file."""
    return (ROOT / path).read_text(encoding="utf-8")


@functools.cache
def tree(path: pathlib.PurePosixPath) -> ast.Module:
    """The syntax tree of one module."""
    return ast.parse(text(path), filename=str(path))


def module_name(path: pathlib.PurePosixPath) -> str:
    """`exchange/core/book.py` -> `exchange.core.book`; a package is its `__init__`."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: ast.Module, name: str, *, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """(line, absolute module) of every import statement, wherever it stands; relative ones are resolved from `name`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".") if is_package else name.split(".")[:-1]
                kept = package[: len(package) - (node.level - 1)]
                base = ".".join([*kept, *([base] if base else [])])
            yield node.lineno, base
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def strings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, value) of every string literal, the parts of f-strings included."""
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def docstrings(module: ast.Module) -> set[str]:
    """The docstrings of a module, its classes, functions and documented names."""
    return {
        node.value.value
        for node in ast.walk(module)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
