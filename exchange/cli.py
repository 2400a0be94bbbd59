"""The `exchange` command: options, exit codes, and sentences where others print stack traces.

Owns the exit codes: 0 done, 2 a wrong setting or option, 70 our own error, 74 an I/O fault, 78 refused (the data can
not be used safely). Heavy imports happen inside the commands, so that --help is quick.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import pathlib
import sys
import traceback
from typing import Annotated, NoReturn

import typer

import exchange
from exchange import operator_cli, venue_cli
from exchange import settings as settings_module
from exchange.forensics import cli as forensics
from exchange.persistence.cli import projection

EXIT_USAGE, EXIT_SOFTWARE, EXIT_IO, EXIT_REFUSED = 2, 70, 74, 78

app = typer.Typer(
    help="A spot exchange in one process.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(operator_cli.user, name="user")
app.add_typer(operator_cli.key, name="key")
app.add_typer(venue_cli.operator, name="operator")
app.add_typer(projection, name="projection")


def _fail(code: int, sentence: str) -> NoReturn:
    print(f"exchange: {sentence}", file=sys.stderr, flush=True)
    raise typer.Exit(code)


def _say(line: str) -> None:
    """Print a line for whoever started it; nobody may be reading any more, which is no reason to stop."""
    with contextlib.suppress(BrokenPipeError):
        print(line, flush=True)


def _version(asked: bool) -> None:
    if asked:
        print(f"exchange {exchange.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """A spot exchange in one process."""


def _settings_help() -> str:
    """The table of settings, as the end of `serve --help`."""
    lines = [f"  {name:<27} {default:<10} {meaning}" for name, default, meaning in settings_module.table()]
    return "Settings, from the environment (name, default, meaning):\n\n\b\n" + "\n".join(lines)


@app.command(epilog=_settings_help())
def serve(
    demo: Annotated[
        bool, typer.Option("--demo", help="Three symbols and two funded accounts; for trying it out.")
    ] = False,
    data_dir: Annotated[
        pathlib.Path | None, typer.Option("--data-dir", help="Overrides EXCHANGE_DATA_DIR.", show_default=False)
    ] = None,
) -> None:
    """Start the exchange and serve until SIGTERM or Ctrl-C."""
    try:
        settings = settings_module.load(os.environ, demo=demo, data_dir=data_dir)
    except settings_module.SettingError as error:
        _fail(EXIT_USAGE, str(error))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    code = _serve(settings)
    if code:
        raise typer.Exit(code)


def _serve(settings: settings_module.Settings) -> int:
    from exchange.app import CannotListen, serve
    from exchange.datadir import DirectoryRefused
    from exchange.disruptor.errors import PipelineFault
    from exchange.gateway.demo import DemoImpossible
    from exchange.persistence.witness import ForeignDatabase
    from exchange.replay import HistoryDiffers, Poisoned
    from exchange.users.keys import KeysUnusable
    from journal.errors import Refused

    try:
        return serve(settings, _say)
    except CannotListen as error:
        _fail(EXIT_USAGE, str(error))
    except Poisoned as error:
        _fail(EXIT_SOFTWARE, str(error))
    except (
        DirectoryRefused,
        ForeignDatabase,
        KeysUnusable,
        DemoImpossible,
        HistoryDiffers,
        Refused,
    ) as error:
        _fail(EXIT_REFUSED, str(error))
    except PipelineFault as error:
        _fail(error.exit_code, f"{error.detail} {error.hint}")
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _fail(EXIT_IO, f"The data directory can not be used: {os.strerror(error.errno or errno.EIO)}{where}.")


@app.command(hidden=True)
def follow(
    data_dir: Annotated[pathlib.Path, typer.Option("--data-dir", help="The server's data directory.")],
    server_pid: Annotated[int, typer.Option("--server-pid", help="Ends when this parent does.")],
) -> None:
    """Replay the journal of a running server and write snapshots; the server starts it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    from exchange.follower import Follower
    from exchange.follower import follow as follow_journal
    from exchange.replay import HistoryDiffers
    from journal.errors import Refused

    try:
        settings = settings_module.load(os.environ, demo=True, data_dir=data_dir)
        begin = functools.partial(
            Follower,
            data_dir,
            every=settings.snapshot_every,
            interval_s=settings.snapshot_interval_s,
            is_projected=settings.database == "on",
            events_keep_s=settings.events_keep_s,
        )
        follow_journal(begin, server_pid=server_pid)
    except settings_module.SettingError as error:
        _fail(EXIT_USAGE, str(error))
    except (HistoryDiffers, Refused) as error:
        _fail(EXIT_REFUSED, str(error))
    except OSError as error:
        _fail(EXIT_IO, f"The journal can not be followed: {error}.")


@app.command(hidden=True)
def project(
    data_dir: Annotated[pathlib.Path, typer.Option("--data-dir", help="The server's data directory.")],
) -> None:
    """Write what the event journal says into PostgreSQL until standard input ends; the server starts it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    from exchange.persistence.projector import project as project_events

    try:
        code = project_events(settings_module.load(os.environ, demo=True, data_dir=data_dir))
    except settings_module.SettingError as error:
        _fail(EXIT_USAGE, str(error))
    if code:
        raise typer.Exit(code)


@app.command("warm-kernels")
def warm_kernels() -> None:
    """Compile every kernel into the cache, so that the next start is quick."""
    from exchange.app import warm

    warm()
    print("The kernels are compiled.")


@app.command(
    "market-replay",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)
def market_replay(context: typer.Context) -> None:
    """Replay recorded market days as real commands."""
    from exchange.market_replay import app as recorded_days

    recorded_days(args=context.args, prog_name="exchange market-replay")


forensics.register(app)


def main() -> None:
    """Entry point. Whatever was not foreseen becomes a sentence, exit code 70, and details in a file."""
    try:
        app(prog_name="exchange")
    except Exception as error:  # noqa: BLE001  # the last place that can keep a stack trace from the user
        path = pathlib.Path(os.environ.get("EXCHANGE_DATA_DIR") or "var") / "crash.log"
        try:
            path.write_text(traceback.format_exc(), encoding="utf-8")
            details = f"The details are in {path}."
        except OSError:
            details = "The details could not be written to a file."
        print(f"exchange: An unexpected error ended the process: {type(error).__name__}. {details}", file=sys.stderr)
        sys.exit(EXIT_SOFTWARE)
