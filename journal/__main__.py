"""`python -m journal`: look at a journal, prove it whole, mend it from a copy.

Owns arguments, printing and exit codes: 0 all is well, 2 wrong usage, 74 the disk failed, 78 the journal is refused.
Never interprets a record.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from journal import scan as scanning
from journal.errors import Refused, Unrepairable
from journal.reader import Group, groups
from journal.repair import repair as repair_journal

EXIT_IO = 74
EXIT_REFUSED = 78

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help=(
        "Look at a journal, prove it whole, mend it from a copy.\n\n"
        "A journal is a directory of segments (`00000001.journal`, ...). Each holds groups of records; a group is what "
        "one write put there, and carries a hash of its records and of everything before it. A damaged byte, a missing "
        "or foreign file and a group out of place are therefore all found, and told from a write that a stop cut "
        "short.\n\n"
        "Exit codes: **0** all is well, **2** wrong usage, **74** the disk failed, **78** the journal is refused."
    ),
)

JournalDirectory = Annotated[
    Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The directory that holds the segments.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def verify(
    directory: JournalDirectory,
    acknowledged: Annotated[
        int, typer.Option(min=0, help="A sequence that is known to have been acknowledged; refused if it is not there.")
    ] = 0,
    first: Annotated[
        int | None, typer.Option(min=1, help="The first sequence that must be there.", show_default="the oldest kept")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every byte of a journal; change nothing.

    Reports a torn tail (the next start cuts it and keeps it aside) and refuses, with file, offset, sequences and what
    to do, whatever may have lost acknowledged data. Safe beside a running writer: its half-written group shows as torn.
    Example: `python -m journal verify var/journal/commands --first 1`
    """
    marks = {"--acknowledged": acknowledged}
    with _reported(as_json), _progress("checking") as advance:
        found = scanning.scan(directory, watermarks=marks, first_needed=first, progress=advance)
    if as_json:
        _print_json({"ok": True, **_summary(found)})
        return
    torn = found.torn
    print(
        f"Whole: {found.records} records, sequences {found.first_sequence} to {found.last_sequence}, in {found.groups} "
        f"groups and {len(found.segments)} segments, epoch {found.epoch}, chain {found.chain:016x}."
    )
    if torn:
        print(
            f"A torn tail of {torn.end - torn.offset} bytes follows at offset {torn.offset} of segment "
            f"{found.segments[-1].segment_id}; no sync had confirmed it. The next start cuts it and keeps it aside."
        )


@app.command()
def inspect(
    directory: JournalDirectory,
    from_sequence: Annotated[int, typer.Option("--from", min=1, help="Begin at this sequence.")] = 1,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many groups.")] = 50,
    records: Annotated[bool, typer.Option("--records", help="Show the records of each group in hexadecimal.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print groups, and with --records what is in them.

    One line a group: segment, offset in its file, sequences, epoch, what was on disk when it was written, chain.
    With --json one object a line. Example: `python -m journal inspect var/journal/commands --from 1000 --limit 5`
    """
    table = Table("segment", "offset", "first", "last", "count", "epoch", "durable upto", "chain")
    with _reported(as_json):
        for number, group in enumerate(groups(directory, from_sequence)):
            if number == limit:
                break
            if as_json:
                _print_json(_group_object(group, records))
            elif records:
                _print_records(group)
            else:
                chain = f"{group.chain:016x}"
                cells = (group.segment_id, group.offset, group.first_sequence, group.last_sequence, group.count)
                table.add_row(*map(str, cells), str(group.epoch), str(group.durable_upto), chain)
    if table.rows:
        Console(soft_wrap=True).print(table)


@app.command()
def stat(directory: JournalDirectory, as_json: AsJson = False) -> None:
    """Print how large a journal is, segment by segment, and how records fall into groups.

    Example: `python -m journal stat var/journal/commands --json`
    """
    with _reported(as_json):
        with _progress("checking") as advance:
            found = scanning.scan(directory, first_needed=None, progress=advance)
        sizes = Counter(group.count.bit_length() - 1 for group in groups(directory, found.first_sequence))
    if as_json:
        histogram = {f"{1 << power}-{(2 << power) - 1}": sizes[power] for power in sorted(sizes)}
        _print_json({"ok": True, **_summary(found), "groups_by_records": histogram})
        return
    table = Table("segment", "epoch", "first sequence", "groups", "records", "used bytes", "file bytes")
    for segment in found.segments:
        cells = (segment.segment_id, segment.epoch, segment.first_sequence, segment.groups, segment.records)
        table.add_row(*map(str, cells), str(segment.used_bytes), str(segment.size_bytes))
    Console(soft_wrap=True).print(table)
    print(
        f"{found.records} records in {found.groups} groups; sequences {found.first_sequence} to {found.last_sequence}, "
        f"proven durable up to {found.durable_upto}."
    )
    for power in sorted(sizes):
        print(f"groups of {1 << power} to {(2 << power) - 1} records: {sizes[power]}")


@app.command()
def repair(
    directory: JournalDirectory,
    copy: Annotated[
        Path, typer.Option("--from", exists=True, file_okay=False, help="A directory with a copy of the same journal.")
    ],
    as_json: AsJson = False,
) -> None:
    """Put damaged bytes back from a copy. Stop the exchange first.

    Takes whole groups, segment headers or missing segments from the copy, and only where their checks, hashes and chain
    fit exactly. The bytes that stood there are kept in `damage-N.bin`. Afterwards the journal has been checked in full.
    Example: `python -m journal repair var/journal/commands --from /mnt/backup/journal/commands`
    """
    with _reported(as_json):
        splices, found = repair_journal(directory, copy)
    if as_json:
        _print_json({"ok": True, "splices": [asdict(splice) for splice in splices], **_summary(found)})
        return
    for splice in splices:
        kept = f"; what stood there is in {splice.aside}" if splice.aside else ""
        print(f"Put back {splice.length} bytes of {splice.path} at offset {splice.offset}{kept}.")
    print(f"Whole up to sequence {found.last_sequence}, {len(splices)} places mended.")


def _summary(found: scanning.Scan) -> dict[str, Any]:
    return {
        "records": found.records,
        "groups": found.groups,
        "first_sequence": found.first_sequence,
        "last_sequence": found.last_sequence,
        "durable_upto": found.durable_upto,
        "epoch": found.epoch,
        "chain": f"{found.chain:016x}",
        "cluster_id": (found.cluster_id or b"").hex(),
        "stream": found.stream,
        "torn": asdict(found.torn) if found.torn else None,
        "segments": [asdict(segment) for segment in found.segments],
    }


def _group_object(group: Group, records: bool) -> dict[str, Any]:
    shown = {
        "segment_id": group.segment_id,
        "offset": group.offset,
        "first_sequence": group.first_sequence,
        "last_sequence": group.last_sequence,
        "count": group.count,
        "epoch": group.epoch,
        "durable_upto": group.durable_upto,
        "chain": f"{group.chain:016x}",
    }
    return {**shown, "records": [record.tobytes().hex() for record in group.payload]} if records else shown


def _print_records(group: Group) -> None:
    print(
        f"segment {group.segment_id} offset {group.offset} sequences {group.first_sequence} to {group.last_sequence} "
        f"epoch {group.epoch} durable upto {group.durable_upto} chain {group.chain:016x}"
    )
    for sequence, record in enumerate(group.payload, group.first_sequence):
        print(f"  {sequence}")
        for offset in range(0, len(record), 32):
            print(f"    {offset:04x}  {record[offset : offset + 32].tobytes().hex(' ', 4)}")


def _print_json(shown: dict[str, Any]) -> None:
    print(json.dumps(shown, default=str))


@contextmanager
def _progress(what: str) -> Iterator[scanning.Progress]:
    """Show a bar on the error stream where that is a terminal."""
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _reported(as_json: bool) -> Iterator[None]:
    """Turn what can go wrong into a sentence and an exit code."""
    try:
        yield
    except Refused as refused:
        detail = {
            "code": refused.code,
            "path": refused.path,
            "offset": refused.offset,
            "first_sequence": refused.first_sequence,
            "last_sequence": refused.last_sequence,
            "hint": refused.hint,
        }
        _fail(as_json, EXIT_REFUSED, str(refused), refused.reason, detail)
    except Unrepairable as error:
        _fail(as_json, EXIT_REFUSED, str(error), str(error), {"code": "unrepairable"})
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        said = f"The disk failed. {where}{error.strerror or error}."
        _fail(as_json, EXIT_IO, said, said, {"code": "io"})


def _fail(as_json: bool, status: int, sentence: str, reason: str, detail: dict[str, Any]) -> NoReturn:
    if as_json:
        _print_json({"ok": False, "reason": reason, **detail})
    else:
        print(sentence, file=sys.stderr)
    raise typer.Exit(status)


if __name__ == "__main__":
    app(prog_name="python -m journal")
