"""`exchange market-replay`: recorded days of other venues on this one.

Owns the options, the progress bar, the report and the exit codes: 0 done and equal, 1 done but the book differs from
the recorded one, or the venue refused, 2 a file or an option is wrong. Never replays anything itself.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
import pathlib
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from exchange.core.invariants import InvariantBroken
from exchange.market_replay import day
from exchange.market_replay.engine_venue import VenueRefused
from exchange.market_replay.lobster import Malformed
from exchange.market_replay.replay import Counts
from exchange.market_replay.server_venue import Credentials, ServerRefused, ServerVenue, parse_share

app = typer.Typer(
    help="Replay recorded market days as real commands.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
_errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


class Through(enum.StrEnum):
    """What the commands are sent through."""

    ENGINE = "engine"
    SERVER = "server"


class OptionError(Exception):
    """An option that is missing or wrong; a sentence."""


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """Where a server is, who we are there, and how fast to go."""

    url: str
    symbol: str
    share: str
    speed: float
    maker: Credentials
    taker: Credentials

    def venue(self) -> ServerVenue:
        """A client of the server. Raises OptionError."""
        for who, credentials in (("maker", self.maker), ("taker", self.taker)):
            if not all(credentials):
                raise OptionError(f"--through server needs --{who}-key and --{who}-secret")
        try:
            return ServerVenue(self.url, self.symbol, parse_share(self.share), self.maker, self.taker)
        except ValueError as error:
            raise OptionError(f"--share {error}") from None


@app.callback()
def market_replay() -> None:
    """Replay recorded market days as real commands."""


def _key(name: str) -> Any:
    return typer.Option(envvar=f"EXCHANGE_REPLAY_{name}", help="Through a server: the one who places or executes.")


@app.command()
def lobster(
    messages: Annotated[pathlib.Path, typer.Option(help="LOBSTER message file.")],
    book: Annotated[pathlib.Path, typer.Option(help="LOBSTER book file of the same day.")],
    levels: Annotated[int, typer.Option(help="How many levels of our book to write.", min=1, max=200)],
    out: Annotated[pathlib.Path, typer.Option(help="Where our book goes, in LOBSTER's format.")],
    through: Annotated[Through, typer.Option(help="This process, or a running server.")] = Through.ENGINE,
    speed: Annotated[float, typer.Option(help="Through a server: times the recorded; 0: no waiting.", min=0)] = 1,
    url: Annotated[str, typer.Option(help="Through a server: where it is.")] = "http://127.0.0.1:8080",
    symbol: Annotated[str, typer.Option(help="Through a server: the symbol to trade.")] = "ETH_USDT",
    share: Annotated[str, typer.Option(help="Through a server: one share, in the symbol's base asset.")] = "0.025",
    maker_key: Annotated[str, _key("MAKER_KEY")] = "",
    maker_secret: Annotated[str, _key("MAKER_SECRET")] = "",
    taker_key: Annotated[str, _key("TAKER_KEY")] = "",
    taker_secret: Annotated[str, _key("TAKER_SECRET")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Replay a LOBSTER day and write the top levels of our book after each message."""
    maker, taker = Credentials(maker_key, maker_secret), Credentials(taker_key, taker_secret)
    server = ServerOptions(url, symbol, share, speed, maker, taker)
    try:
        report = _run(messages, book, levels, out, through, server)
    except (OptionError, Malformed, OSError) as error:
        _errors.print(f"market-replay: {_sentence(error)}")
        raise typer.Exit(2) from None
    except (VenueRefused, ServerRefused, InvariantBroken) as error:
        _errors.print(f"market-replay: {error}")
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(summary(report)))
    else:
        _print(report, levels, out)
    if report.first_difference or report.published_equal is False:
        raise typer.Exit(1)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _run(
    messages: pathlib.Path, book: pathlib.Path, levels: int, out: pathlib.Path, through: Through, server: ServerOptions
) -> day.Report:
    venue = server.venue() if through is Through.SERVER else None
    with messages.open("rb") as lines:
        total = sum(1 for _ in lines)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_errors, transient=True) as progress:
        task = progress.add_task("messages", total=total)

        def on_progress(done: int) -> None:
            progress.update(task, completed=done)

        if venue is None:
            return day.replay_through_engine(messages, book, levels, out, on_progress)
        return asyncio.run(day.replay_through_server(messages, book, levels, out, on_progress, venue, server.speed))


def summary(report: day.Report) -> dict[str, Any]:
    """The report as plain values, for --json."""
    rates = {"seconds": round(report.seconds, 3), "commands_per_second": round(report.commands / report.seconds)}
    return {**dataclasses.asdict(report), "sums": [one._asdict() for one in report.sums], **rates}


def _queue_rows(counts: Counts) -> list[tuple[str, str]]:
    """How often the tape and our queue agree on who was executed."""
    if counts.makers_unnamed:
        return [("  the venue did not name the maker", str(counts.makers_unnamed))]
    return [
        ("  the order the tape names was first in our queue", str(counts.front_of_queue)),
        ("  one from before our view, and such liquidity was first", str(counts.seeded)),
        ("  another order was first", str(counts.out_of_turn)),
        ("  in turn", f"{counts.front_of_queue + counts.seeded} of {counts.executions}"),
    ]


def _print(report: day.Report, levels: int, out: pathlib.Path) -> None:
    counts = report.counts
    rows: list[tuple[str, str]] = [
        ("our book", f"{out}, {counts.messages} rows of {levels} levels"),
        ("equal to the recorded one", f"{report.rows_equal} rows ({report.rows_equal / counts.messages:.4%})"),
        ("commands", f"{report.commands} in {report.seconds:.1f} s, {report.commands / report.seconds:,.0f} a second"),
        ("executions of visible orders", str(counts.executions)),
        *_queue_rows(counts),
        ("cancels of more than their order had left", str(counts.cancels_in_excess)),
        ("lots of the tape that our book did not have", str(counts.unmatched_lots)),
        ("orders forgotten beyond the window, levels adopted", f"{counts.forgotten}, {counts.adopted}"),
        ("halts and reopenings", str(counts.halts)),
        ("refused", str(counts.refused)),
    ]
    if report.batch_per_second:
        rows.append(("the same commands in batches, equal state hash", f"{report.batch_per_second:,.0f} a second"))
    rows += [
        (f"conservation, {one.name}", f"deposited {one.deposited} = held {one.held} + fees {one.fees}; sum {one.total}")
        for one in report.sums
    ]
    if report.first_difference:
        rows.append(("first row that differs", str(report.first_difference)))
    if report.published_equal is not None:
        rows.append(("the server's published depth", "equals the last row" if report.published_equal else "differs"))
    for label, value in rows:
        typer.echo(f"{label:<58}{value}")
