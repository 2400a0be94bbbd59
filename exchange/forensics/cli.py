"""`exchange replay`, `inspect`, `diff`, `why`, `audit`: options, exit codes and errors as sentences.

Owns nothing of what they find out. Heavy imports happen inside the commands, so that --help is quick.

    0 done, equal, all well    1 differs, broken    2 a wrong option    66 what was asked for is not there
    74 an I/O fault            78 the files can not be used: damaged, or replay gives something else
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from exchange.progress import progress

if TYPE_CHECKING:
    from exchange.forensics.names import Fields

EXIT_DIFFERS, EXIT_USAGE, EXIT_NOT_THERE, EXIT_IO, EXIT_REFUSED = 1, 2, 66, 74, 78
_CODES = "2 a wrong option, 66 what was asked for is not there, 74 an I/O fault, 78 damaged, or replay differs."

DataDir = Annotated[
    pathlib.Path | None,
    typer.Option("--data-dir", help="Data directory: default EXCHANGE_DATA_DIR or ./var.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
FromGenesis = Annotated[
    bool, typer.Option("--from-genesis", help="Replay every command since the first one; use no snapshot.")
]
Until = Annotated[
    int | None, typer.Option("--until", min=0, help="The sequence to stop at.", show_default="the last command")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the `exchange` program."""
    done, equal = "Exit codes: 0 done, ", "Exit codes: 0 equal, 1 differs, "
    well = "Exit codes: 0 all is well, 1 an invariant is broken, "
    app.command(epilog=f"Example: exchange replay --until 4711 --hash\n\n{done}{_CODES}")(replay)
    app.command(epilog=f"Example: exchange inspect 4711 --levels 10\n\n{done}{_CODES}")(inspect)
    app.command(epilog=f"Example: exchange diff var /mnt/backup/var\n\n{equal}{_CODES}")(diff)
    app.command(epilog=f"Example: exchange why 17, or: exchange why --command 4711\n\n{done}{_CODES}")(why)
    app.command(epilog=f"Example: exchange audit --until 4711 --every 1000\n\n{well}{_CODES}")(audit)


def replay(
    until: Until = None,
    with_hash: Annotated[bool, typer.Option("--hash", help="Print the hash of the state.")] = False,
    from_genesis: FromGenesis = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild the state at a sequence from the journal, and check every HASH record on the way.

    Starts from the nearest usable snapshot at or before the sequence. Reads only, also beside a running server.
    """
    directory = _directory(data_dir)
    with _reported(), progress("replaying", "commands") as shown:
        from exchange.forensics import reporting

        found = reporting.replay(directory, until, shown, with_hash=with_hash, from_genesis=from_genesis)
    _print(found, as_json, _facts)


def inspect(
    sequence: Annotated[int, typer.Argument(min=1, help="The sequence of the command.", show_default=False)],
    levels: Annotated[int, typer.Option(min=1, max=100, help="Price levels of the book to show.")] = 5,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one command: what it asked, its events, and balances, book and orders before and after it."""
    directory = _directory(data_dir)
    with _reported(), progress("replaying", "commands") as shown:
        from exchange.forensics import reporting

        found = reporting.inspect(directory, sequence, levels, shown)
    _print(found, as_json, _inspection)


def diff(
    a: Annotated[pathlib.Path, typer.Argument(metavar="A", help="A data directory.", show_default=False)],
    b: Annotated[pathlib.Path, typer.Argument(metavar="B", help="Another one.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Compare two data directories down to the first sequence whose command or events differ."""
    sides = _directory(a), _directory(b)
    with _reported(), progress("comparing", "records") as shown:
        from exchange.forensics import differing

        found = differing.diff(*sides, shown)
    _print(found, as_json, lambda one: differing.sentences(one, *sides))
    if not found["equal"]:
        raise typer.Exit(EXIT_DIFFERS)


def why(
    order_id: Annotated[int | None, typer.Argument(min=1, help="The id of the order.", show_default=False)] = None,
    command: Annotated[
        int | None, typer.Option("--command", min=1, help="Instead: why the command at this sequence was refused.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Tell the life of an order in sentences, or why a command was refused."""
    if (order_id is None) == (command is None):
        _fail(EXIT_USAGE, "Name an order, or a command with --command.")
    directory = _directory(data_dir)
    with _reported(), progress("reading", "events") as shown:
        from exchange.forensics import reporting

        if order_id is not None:
            found = reporting.life(directory, order_id, shown)
        else:
            found = reporting.refused(directory, command or 0, shown)
    _print(found, as_json, _life if order_id is not None else _refused)


def audit(
    until: Until = None,
    every: Annotated[int, typer.Option(min=0, help="Check also after every so many commands; 0: not.")] = 0,
    from_genesis: FromGenesis = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check every invariant of the state at a sequence, the sums of all assets, and the HASH records on the way."""
    directory = _directory(data_dir)
    with _reported(), progress("auditing", "commands") as shown:
        from exchange.forensics import reporting

        found = reporting.audit(directory, until, every, shown, from_genesis=from_genesis)
    _print(found, as_json, _audit)
    if found["broken"]:
        raise typer.Exit(EXIT_DIFFERS)


# ---- errors -------------------------------------------------------------------------------------------------------


def _fail(code: int, sentence: str) -> NoReturn:
    typer.echo(f"exchange: {sentence}", err=True)
    raise typer.Exit(code)


def _directory(given: pathlib.Path | None) -> pathlib.Path:
    directory = given or pathlib.Path(os.environ.get("EXCHANGE_DATA_DIR") or "var")
    if not (directory / "journal" / "commands").is_dir():
        _fail(EXIT_NOT_THERE, f"There is no journal of an exchange in {directory}; name its data directory.")
    return directory


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Turn what can go wrong into a sentence and an exit code."""
    from exchange.past import NotThere, ReplayDiffers
    from journal.errors import RefusalCode, Refused
    from journal.format import Corrupt

    try:
        yield
    except NotThere as error:
        _fail(EXIT_NOT_THERE, str(error))
    except Refused as error:
        _fail(EXIT_NOT_THERE if error.code == RefusalCode.START_MISSING else EXIT_REFUSED, str(error))
    except (ReplayDiffers, Corrupt) as error:
        _fail(EXIT_REFUSED, str(error))
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _fail(EXIT_IO, f"The data directory can not be read: {error.strerror or error}{where}.")


# ---- text ---------------------------------------------------------------------------------------------------------


def _print(found: Fields, as_json: bool, text: Callable[[Fields], Iterator[str]]) -> None:
    if as_json:
        typer.echo(json.dumps(found))
        return
    for line in text(found):
        typer.echo(line)


_FACTS_OF_PROGRAMS = ("ts_ns", "replayed_s")


def _facts(found: Fields) -> Iterator[str]:
    for name, value in found.items():
        if name not in _FACTS_OF_PROGRAMS:
            yield f"{name.replace('_', ' '):<16} {value}"


def _table(title: str, header: list[str], rows: list[list[Any]]) -> Iterator[str]:
    """Columns as wide as their widest cell, under a title; nothing without rows."""
    if not rows:
        return
    cells = [header, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    yield ""
    yield title
    for row in cells:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _inspection(found: Fields) -> Iterator[str]:
    yield f"{found['sequence']}  {found['time']}"
    yield found["command"]["sentence"]
    if found["passed_over"]:
        yield f"It was: {found['passed_over']}"
    meanings = found["meanings"]
    fields = [
        [name, value, meanings.get(name, "")]
        for name, value in found["command"].items()
        if name != "sentence" and value not in ("", 0, "NONE")
    ]
    yield from _table("Command (fields that are not zero)", ["field", "value", "meaning"], fields)
    yield ""
    yield "Events"
    yield from (f"  {event['kind']:<16} {event['sentence']}" for event in found["events"])
    balances = [
        [
            ("* " if row["changed"] else "  ") + row["name"],
            row["asset"],
            *(row[f"{part}_{when}"] for part in ("available", "locked") for when in ("before", "after")),
        ]
        for row in found["balances"]
    ]
    header = ["  account", "asset", "available before", "after", "locked before", "after"]
    yield from _table("Balances (* changed)", header, balances)
    for book in found["books"]:
        yield from _book(book)
    orders = [[row["order_id"], *(_order(row[when]) for when in ("before", "after"))] for row in found["orders"]]
    yield from _table("Orders (-: not open and not remembered)", ["order", "before", "after"], orders)


def _book(book: Fields) -> Iterator[str]:
    """Asks from the far one to the best, then bids, each before and after."""
    rows = []
    for name, order in (("asks", -1), ("bids", 1)):
        before, after = book[f"{name}_before"], book[f"{name}_after"]
        count = max(len(before), len(after))
        for level in range(count)[::order]:
            cells = [" x ".join(side[level]) if level < len(side) else "" for side in (before, after)]
            rows.append([name[:-1], *cells])
    yield from _table(f"Book of {book['symbol']}", ["", "before", "after"], rows)


def _order(shown: Fields | None) -> str:
    if shown is None:
        return "-"
    price = f" at {shown['price']}" if shown["price"] else ""
    rest = f", {shown['left']} {'left' if shown['is_open'] else 'not traded'}" if shown["status"] != "FILLED" else ""
    return f"{shown['status']} {shown['side']}{price}, {shown['filled']} filled{rest}"


def _life(found: Fields) -> Iterator[str]:
    state = "open" if found["is_open"] else "ended"
    who = f"account {found['account']} on {found['symbol']}"
    yield f"Order {found['order_id']} of {who}: {found['status']}, {state} (as of sequence {found['as_of_sequence']})."
    last = 0
    for step in found["steps"]:
        if step["sequence"] != last:
            yield f"{step['sequence']}  {step['time']}"
        last = step["sequence"]
        yield f"    {step['sentence']}"


def _refused(found: Fields) -> Iterator[str]:
    yield f"{found['sequence']}  {found['time']}"
    yield found["command"]
    if found["refused"] is None:
        yield "It was not refused:"
    yield from (f"    {sentence}" for sentence in found["sentences"])


def _audit(found: Fields) -> Iterator[str]:
    rows = [
        [row[name] for name in ("asset", "supply", "available", "locked", "fees", "total")] for row in found["ledger"]
    ]
    if found["broken"]:
        broken = found["broken"]
        yield f"Broken at sequence {broken['sequence']}: it does not hold that {broken['sentence']}."
    else:
        checks = "1 check" if found["checks"] == 1 else f"{found['checks']} checks"
        yield f"All invariants hold from sequence {found['first']} to {found['last']}: {checks}."
    yield f"HASH records that were checked on the way: {found['hashes']}."
    header = ["asset", "came in", "available", "locked", "fees", "sum over all accounts"]
    yield from _table(f"Ledger at sequence {found['last']}", header, rows)
