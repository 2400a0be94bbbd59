"""`exchange projection status|verify|rebuild`: the operator's view of the history in PostgreSQL.

Owns the options, the exit codes and how the database is reached: DB_HOST, else the embedded server of a running
exchange, else that server started for as long as the command takes, under the data directory's lock.

    0 done or equal    1 differs    2 a wrong setting    74 an I/O fault    78 refused
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from exchange.progress import progress

if TYPE_CHECKING:
    from exchange.persistence.database import Target
    from exchange.settings import Settings

Result = TypeVar("Result")
EXIT_DIFFERS, EXIT_USAGE, EXIT_IO, EXIT_REFUSED = 1, 2, 74, 78
STOP_TIMEOUT_S = 30.0

projection = typer.Typer(
    help="The history in PostgreSQL: how far it is, whether it is right, and making it anew.",
    epilog="Exit codes: 0 done or equal, 1 differs, 2 a wrong setting, 74 an I/O fault, 78 refused.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
DataDir = Annotated[
    pathlib.Path | None, typer.Option("--data-dir", help="Overrides EXCHANGE_DATA_DIR.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of sentences.")]


@projection.command()
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print how far the projection is, in events and seconds."""
    from exchange.persistence.status import status as read_status

    settings = _settings(data_dir)
    found = _run(settings, lambda target: read_status(target, settings.data_dir))
    if as_json:
        typer.echo(json.dumps(found._asdict()))
        return
    for sentence in found.sentences():
        typer.echo(sentence)


@projection.command()
def verify(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Compare the projection with the engine at one sequence; exit code 1 when they differ."""
    from exchange.persistence.verify import verify as compare

    settings = _settings(data_dir)
    with progress("replaying", "commands") as shown:
        report = _run(settings, lambda target: compare(target, settings.data_dir, shown))
    if as_json:
        typer.echo(json.dumps(report._asdict()))
    else:
        for sentence in report.sentences():
            typer.echo(sentence)
    if report.differences:
        raise typer.Exit(EXIT_DIFFERS)


@projection.command()
def rebuild(
    data_dir: DataDir = None,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Also when PostgreSQL knows more than the journal: give that up.")
    ] = False,
) -> None:
    """Make the projection anew from the event journal, check it, and put it in the place of the present one."""
    from exchange.persistence.rebuild import rebuild as make_anew

    settings = _settings(data_dir)
    with progress("projecting", "events") as shown:
        made = _run(settings, lambda target: make_anew(target, settings.data_dir, shown, accept_loss=accept_loss))
    for sentence in made.sentences():
        typer.echo(sentence)


def _settings(data_dir: pathlib.Path | None) -> Settings:
    from exchange.settings import SettingError, load

    try:
        settings = load(os.environ, demo=True, data_dir=data_dir)
    except SettingError as error:
        _fail(EXIT_USAGE, str(error))
    if not (settings.data_dir / "cluster.json").exists():
        _fail(EXIT_USAGE, f"There is no exchange in {settings.data_dir}; name its directory with --data-dir.")
    return settings


def _fail(code: int, sentence: str) -> NoReturn:
    typer.echo(f"exchange: {sentence}", err=True)
    raise typer.Exit(code)


def _run(settings: Settings, task: Callable[[Target], Coroutine[Any, Any, Result]]) -> Result:
    """Run a task against the database; what it raises becomes a sentence and an exit code."""
    import asyncpg

    from exchange.datadir import DirectoryRefused
    from exchange.persistence.embedded import PostgresUnusable
    from exchange.persistence.engine_rows import CannotCompute
    from exchange.persistence.fold_orders import OrdersDiffer
    from exchange.persistence.migrate import SchemaRefused
    from exchange.persistence.opening import NoBeginning
    from exchange.persistence.projection import Moved, ProjectionDiffers, ProjectionRefused
    from exchange.persistence.rebuild import RebuildRefused
    from exchange.persistence.sqlstate import explain
    from exchange.persistence.verify import NothingProjected
    from journal.errors import Refused
    from journal.format import Corrupt

    try:
        with _reached(settings) as target:
            return asyncio.run(task(target))
    except (DirectoryRefused, CannotCompute, NothingProjected, SchemaRefused, Refused, Corrupt) as error:
        _fail(EXIT_REFUSED, str(error))
    except (RebuildRefused, NoBeginning, ProjectionRefused, ProjectionDiffers, OrdersDiffer, Moved) as error:
        _fail(EXIT_REFUSED, str(error))
    except PostgresUnusable as error:
        _fail(EXIT_IO, str(error))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        _fail(EXIT_IO, f"PostgreSQL or the data directory can not be used: {explain(error)}.")


@contextlib.contextmanager
def _reached(settings: Settings) -> Iterator[Target]:
    """The database of the settings; an embedded server that nobody runs is run meanwhile."""
    from exchange.datadir import DataDirectory, DirectoryInUse
    from exchange.persistence.database import Target
    from exchange.persistence.embedded import EmbeddedPostgres

    directory = DataDirectory(settings.data_dir)
    with contextlib.ExitStack() as stack:
        if not settings.db_host:
            try:
                stack.enter_context(directory)
            except DirectoryInUse:
                pass  # the exchange runs, and its server with it
            else:
                server = EmbeddedPostgres(directory.postgres, connections=settings.db_max_open_conns)
                stack.callback(server.stop, STOP_TIMEOUT_S)
                server.start()
        yield Target.of(settings, directory.postgres)
