"""A progress bar on standard error, for what takes longer than a moment; silent where that is no terminal.

Owns how it looks. Its library is imported when a bar is shown: `--help` does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

ShowProgress = Callable[[int, int], None]
"""Called with what is done and with all there is."""


@contextmanager
def progress(title: str, unit: str) -> Iterator[ShowProgress]:
    """Show a bar while the body runs; the body says how far it is."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show
