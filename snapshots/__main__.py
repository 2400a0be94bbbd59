"""`python -m snapshots`: prove snapshot files whole, look at what is in them.

Owns arguments, printing and exit codes: 0 all is well, 2 wrong usage, 74 the disk failed, 78 a snapshot is damaged.
Never interprets an array.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from snapshots import store
from snapshots.format import Corrupt, describe

EXIT_IO = 74
EXIT_REFUSED = 78

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help=(
        "Prove snapshot files whole, look at what is in them.\n\n"
        "A snapshot is the state at one sequence of the journal, in one file that is named by the sequence. It saves "
        "replaying the journal from its beginning; it never replaces the journal. A damaged snapshot is never used: "
        "the one before it and a longer replay give the same state.\n\n"
        "Exit codes: **0** all is well, **2** wrong usage, **74** the disk failed, **78** a snapshot is damaged."
    ),
)

SnapshotPath = Annotated[
    Path, typer.Argument(metavar="PATH", exists=True, help="A snapshot file, or a directory of them.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a snapshot.")]


@app.command()
def verify(path: SnapshotPath, as_json: AsJson = False) -> None:
    """Check whole files against their digests, newest first; change nothing.

    Example: `python -m snapshots verify var/snapshots`
    """
    damaged = 0
    for snapshot in _paths(path):
        try:
            with _io_reported(), _progress(snapshot.name) as advance:
                header, _ = store.verify(snapshot, advance)
        except Corrupt as error:
            damaged += 1
            _say(as_json, {"ok": False, "path": str(snapshot), "reason": str(error)}, str(error))
        else:
            shown = {"ok": True, "path": str(snapshot), "sequence": header.sequence, "file_bytes": header.file_bytes}
            _say(as_json, shown, f"Whole: {snapshot}, sequence {header.sequence}, {header.file_bytes} bytes.")
    if damaged:
        raise typer.Exit(EXIT_REFUSED)


@app.command()
def inspect(path: SnapshotPath, as_json: AsJson = False) -> None:
    """Print what is in a snapshot (of a directory: the newest): its meta data and its arrays.

    Example: `python -m snapshots inspect var/snapshots --json`
    """
    paths = _paths(path)[:1]
    for snapshot in paths:
        try:
            with _io_reported():
                header, index = store.verify(snapshot)
        except Corrupt as error:
            _say(as_json, {"ok": False, "path": str(snapshot), "reason": str(error)}, str(error))
            raise typer.Exit(EXIT_REFUSED) from error
        arrays = [{**at._asdict(), "dtype": describe(at.dtype)} for at in index.arrays]
        shown = {"ok": True, "path": str(snapshot), "sequence": header.sequence, "meta": index.meta, "arrays": arrays}
        if as_json:
            print(json.dumps(shown))
            continue
        print(f"{snapshot}: sequence {header.sequence}, {header.file_bytes} bytes")
        for key, value in index.meta.items():
            print(f"  {key} = {value}")
        table = Table("array", "shape", "row bytes", "rows stored", "stored bytes", "xxh3-128")
        for at in index.arrays:
            cells = (at.name, at.shape, at.dtype.itemsize, at.rows_stored, at.stored_bytes, at.digest)
            table.add_row(*map(str, cells))
        Console(soft_wrap=True).print(table)


def _paths(path: Path) -> list[Path]:
    paths = [path] if path.is_file() else store.list_snapshots(path)
    if not paths:
        print(f"There is no snapshot in {path}.", file=sys.stderr)
    return paths


def _say(as_json: bool, shown: dict[str, Any], sentence: str) -> None:
    if as_json:
        print(json.dumps(shown))
    else:
        print(sentence, file=sys.stdout if shown["ok"] else sys.stderr)


@contextmanager
def _io_reported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        print(f"The disk failed. {error.filename or ''}: {error.strerror or error}.", file=sys.stderr)
        raise typer.Exit(EXIT_IO) from error


@contextmanager
def _progress(what: str) -> Iterator[store.Progress]:
    """Show a bar on the error stream where that is a terminal."""
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


if __name__ == "__main__":
    app(prog_name="python -m snapshots")
