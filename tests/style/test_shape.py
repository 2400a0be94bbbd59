"""How long a module and a function may be, that nothing is left half done, and that the engine stays deterministic."""

from __future__ import annotations

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

from tests.style import source

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
LONGER_MODULES: dict[str, str] = {}
"""path -> the reason why this one may be longer. Splitting is better than a line here."""

CODE = source.modules(*source.SHIPPED, "tests")
SHIPPED = source.modules(*source.SHIPPED)
COMPILER = pathlib.PurePosixPath("exchange/core/compile.py")
"""Sets the compiler up: it joins paths with `/` and no kernel reads anything from it."""
CORE = [path for path in source.modules("exchange") if path.parts[:2] == ("exchange", "core") and path != COMPILER]

FORBIDDEN_IN_CORE = {
    "random",
    "secrets",
    "time",
    "datetime",
    "uuid",
    "asyncio",
    "socket",
    "threading",
    "decimal",
    "fractions",
}
_UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")


def functions(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """(name, first line, number of lines) of every function; its docstring and decorators are not counted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield node.name, node.lineno, lines


def inexact(tree: ast.Module) -> Iterator[str]:
    """A sentence for everything in a module of the engine that brings floats, chance or clocks into it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield f"line {node.lineno}: the literal {node.value}"
        elif isinstance(node, ast.Name) and node.id in ("float", "complex"):
            yield f"line {node.lineno}: {node.id}"
        elif isinstance(node, ast.Attribute) and re.fullmatch(r"(float|complex)\d*", node.attr):
            yield f"line {node.lineno}: {node.attr}"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield f"line {node.lineno}: a true division"
    for line, target in source.imports(tree, "exchange.core.module"):
        if target.split(".")[0] in FORBIDDEN_IN_CORE:
            yield f"line {line}: imports {target}"


@pytest.mark.parametrize("path", CODE, ids=str)
def test_module_fits_its_length(path: pathlib.PurePosixPath) -> None:
    lines = source.text(path).count("\n")
    if str(path) in LONGER_MODULES:
        assert lines > MODULE_LINES_MAX, f"{path} has {lines} lines and needs no exception any more"
    else:
        assert lines <= MODULE_LINES_MAX, f"{path} has {lines} lines: split it"


def test_longer_modules_exist() -> None:
    assert set(LONGER_MODULES) <= {str(path) for path in CODE}


@pytest.mark.parametrize("path", CODE, ids=str)
def test_function_fits_a_screen(path: pathlib.PurePosixPath) -> None:
    long = [
        f"{name} at line {line}: {size} lines"
        for name, line, size in functions(source.tree(path))
        if size > FUNCTION_LINES_MAX
    ]
    assert long == []


@pytest.mark.parametrize("path", CODE, ids=str)
def test_module_opens_with_a_docstring(path: pathlib.PurePosixPath) -> None:
    assert ast.get_docstring(source.tree(path)) or not source.text(path).strip()


@pytest.mark.parametrize("path", CODE, ids=str)
def test_file_holds_nothing_unfinished(path: pathlib.PurePosixPath) -> None:
    assert _UNFINISHED.findall(source.text(path)) == []


@pytest.mark.parametrize("path", SHIPPED, ids=str)
def test_suppression_names_its_code_and_reason(path: pathlib.PurePosixPath) -> None:
    bare = [
        f"line {number}: {line.strip()}"
        for number, line in enumerate(source.text(path).splitlines(), 1)
        if re.search(r"#\s*type:\s*ignore(?!\[[\w-]+(, ?[\w-]+)*\]\s+\S)", line)
        or re.search(r"#\s*noqa(?!:\s*[A-Z]+\d+(, ?[A-Z]+\d+)*\s+\S)", line)
    ]
    assert bare == []


@pytest.mark.parametrize("path", CORE, ids=str)
def test_core_module_is_exact_and_deterministic(path: pathlib.PurePosixPath) -> None:
    assert list(inexact(source.tree(path))) == []


@pytest.mark.parametrize(
    "code",
    ["x = 0.5", "y = float(3)", "z = a / b", "z /= 2", "import time", "from random import choice", "t = np.float64(1)"],
)
def test_inexact_code_is_found(code: str) -> None:
    assert len(list(inexact(ast.parse(code)))) >= 1


def test_long_function_is_measured_without_its_docstring() -> None:
    body = "\n".join(f"    x = {number}" for number in range(FUNCTION_LINES_MAX))
    assert list(functions(ast.parse(f'def f():\n    """one\n    two"""\n{body}\n'))) == [
        ("f", 1, FUNCTION_LINES_MAX + 1)
    ]
