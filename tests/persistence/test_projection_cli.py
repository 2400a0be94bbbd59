"""`exchange projection ...` as an operator types it: beside a running server, and when nothing runs."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from exchange.datadir import DataDirectory
from exchange.persistence.database import Target
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.persistence.migrate import migrate
from exchange.settings import load
from tests.persistence.journaled import JournaledVenue, opening, traffic
from tests.persistence.projecting import project

NEW_TRADES = "to_regclass('exchange_market_rebuild.trades')"


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[JournaledVenue]:
    """Two assets, one symbol, and traffic."""
    made = JournaledVenue(tmp_path / "var")
    made.apply(opening(4))
    made.apply(traffic(400, accounts=4))
    yield made
    made.close()


@pytest.fixture
async def server_of_venue(venue: JournaledVenue) -> AsyncIterator[Target]:
    """The venue's server as a running exchange has it: under the lock of the directory, migrated."""
    with DataDirectory(venue.path):
        server = EmbeddedPostgres(venue.path / "postgres", connections=5)
        server.start()
        target = Target.of(load({}, demo=True, data_dir=venue.path), venue.path / "postgres")
        connection = await target.connect("tests")
        await migrate(connection)
        await connection.close()
        yield target
        server.stop(10.0)


def run(venue: JournaledVenue, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`exchange projection ARGUMENT...` on the venue's directory."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DB_")}
    return subprocess.run(
        [sys.executable, "-m", "exchange", "projection", *arguments, "--data-dir", str(venue.path)],
        env=clean | environ,
        capture_output=True,
        text=True,
        check=False,
    )


async def projected(venue: JournaledVenue, *damage: str) -> None:
    """Start the venue's server, project what the journal has, do damage by hand, stop the server."""
    server = EmbeddedPostgres(venue.path / "postgres", connections=5)
    server.start()
    target = Target.of(load({}, demo=True, data_dir=venue.path), venue.path / "postgres")
    connection = await target.connect("tests")
    await migrate(connection)
    await project(target, venue)
    for statement in damage:
        await connection.execute(statement)
    await connection.close()
    server.stop(10.0)


async def test_status_says_how_far_the_projection_is(venue: JournaledVenue) -> None:
    await projected(venue)
    done = run(venue, "status")
    assert done.returncode == 0
    assert f"has all of the journal: event {venue.event} (sequence {venue.sequence})" in done.stdout
    event, sequence = venue.event, venue.sequence
    venue.apply(traffic(50, seed=8, accounts=4))
    found = json.loads(run(venue, "status", "--json").stdout)
    assert found.pop("lag_s") > 0
    assert found == {
        "state": "behind",
        "first_event": 1,
        "applied_event": event,
        "applied_sequence": sequence,
        "journal_event": venue.event,
        "journal_sequence": venue.sequence,
        "lag_events": venue.event - event,
    }


async def test_status_names_lost_data(venue: JournaledVenue) -> None:
    await projected(venue, "update exchange_order.projection set applied_event = applied_event + 1")
    assert "ahead of the journal" in run(venue, "status").stdout


def test_status_of_nothing_says_so(venue: JournaledVenue) -> None:
    done = run(venue, "status")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "Nothing was projected yet.")


async def test_verify_ends_with_0_when_equal_and_1_when_not(venue: JournaledVenue) -> None:
    await projected(venue)
    done = run(venue, "verify")
    assert done.returncode == 0
    assert f"equals the engine at sequence {venue.sequence}" in done.stdout
    await projected(venue, "update exchange_order.symbols set taker_fee_ppm = 7")
    done = run(venue, "verify")
    assert done.returncode == 1
    assert "symbols:\n  Symbol 1: taker_fee_ppm is 7, not 200." in done.stdout
    found = json.loads(run(venue, "verify", "--json").stdout)
    assert list(found["differences"]) == ["symbols"]


async def test_rebuild_mends_what_verify_found(venue: JournaledVenue) -> None:
    await projected(venue, "truncate exchange_market.trades, exchange_market.candles")
    assert run(venue, "verify").returncode == 1
    done = run(venue, "rebuild")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"rebuilt up to event {venue.event}" in done.stdout
    assert run(venue, "verify").returncode == 0


async def test_rebuild_that_was_killed_leaves_the_old_one_and_is_done_by_the_next(
    server_of_venue: Target, venue: JournaledVenue
) -> None:
    await project(server_of_venue, venue)
    connection = await server_of_venue.connect("tests")
    trades = await connection.fetchval("select count(*) from exchange_market.trades")
    venue.apply(traffic(60_000, seed=8, accounts=4))
    command = (sys.executable, "-m", "exchange", "projection", "rebuild", "--data-dir", str(venue.path))
    killed = await asyncio.create_subprocess_exec(*command)
    async with asyncio.timeout(60.0):
        while not await connection.fetchval(f"select {NEW_TRADES} is not null"):
            assert killed.returncode is None
    killed.kill()
    assert await killed.wait() == -signal.SIGKILL
    assert await connection.fetchval("select count(*) from exchange_market.trades") == trades
    assert run(venue, "rebuild").returncode == 0
    assert not await connection.fetchval(f"select {NEW_TRADES} is not null")
    assert await connection.fetchval("select count(*) from exchange_market.trades") > trades
    await connection.close()
    assert run(venue, "verify").returncode == 0


async def test_running_exchange_is_asked_for_its_server(server_of_venue: Target, venue: JournaledVenue) -> None:
    await project(server_of_venue, venue)
    assert run(venue, "status").returncode == 0
    assert run(venue, "rebuild").returncode == 0


def test_server_that_is_stopped_is_a_sentence(venue: JournaledVenue) -> None:
    (venue.path / "postgres").mkdir()
    with DataDirectory(venue.path):
        done = run(venue, "status")
    assert done.returncode == 74
    assert done.stderr.startswith("exchange: PostgreSQL or the data directory can not be used: ")
    assert "Traceback" not in done.stderr


def test_directory_that_is_damaged_is_not_taken_for_one_in_use(venue: JournaledVenue) -> None:
    (venue.path / "cluster.json").write_text("{}")
    done = run(venue, "status")
    assert done.returncode == 78
    assert "does not name a cluster id" in done.stderr


def test_server_that_is_not_there_is_a_sentence(venue: JournaledVenue) -> None:
    done = run(venue, "verify", DB_HOST="127.0.0.1", DB_PORT="1")
    assert done.returncode == 74
    assert done.stderr.startswith("exchange: PostgreSQL or the data directory can not be used: ")
    assert "Traceback" not in done.stderr


def test_directory_without_an_exchange_is_a_sentence(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "exchange", "projection", "status", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"exchange: There is no exchange in {tmp_path}; name its directory with --data-dir.\n"
