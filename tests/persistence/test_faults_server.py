"""Servers that stop, fill up, refuse to write or come back from a backup, and rows that somebody changed by hand.

Each test has a PostgreSQL server of its own in the data directory, as the exchange has. The projector is the real
process.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest

from exchange.persistence.database import Target
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.persistence.rebuild import rebuild
from exchange.settings import load
from tests.persistence.child import Child
from tests.persistence.journaled import JournaledVenue, opening, traffic
from tests.persistence.projecting import assert_equal, silent

TABLES_DISK_BYTES = 48 << 20
WHOLE_DISK_BYTES = 400 << 20
LEFT_BYTES = 8 << 20
BACKLOG_COMMANDS = 60_000
BACKLOG_BYTES = 48 << 20
"""What a backlog of any length may cost the projector above what it takes for a short one."""


class Own:
    """A server in a data directory, as the exchange supervises it."""

    def __init__(self, data_dir: pathlib.Path) -> None:
        self.folder = data_dir / "postgres"
        self.postgres = EmbeddedPostgres(self.folder, connections=20)
        self.postgres.start()
        self.target = Target.of(load({}, demo=True, data_dir=data_dir), self.folder)

    async def execute(self, *statements: str) -> None:
        """Do something by hand, in a session that may write in any case."""
        connection = await self.target.connect("by hand", default_transaction_read_only="off")
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def applied_event(self) -> int:
        """Where the projection stands."""
        connection = await self.target.connect("by hand")
        try:
            return int(await connection.fetchval("select applied_event from exchange_order.projection"))
        finally:
            await connection.close()

    def kill(self) -> None:
        """Like `pg_ctl stop -m immediate`."""
        os.kill(self.postgres.pid, signal.SIGQUIT)

    async def until_up(self) -> None:
        """Have the supervisor look after it until it takes connections again."""
        async with asyncio.timeout(60.0):
            while True:
                self.postgres.step()
                try:
                    return await self.execute("select 1")
                except (asyncpg.PostgresError, OSError):
                    await asyncio.sleep(0.1)


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[JournaledVenue]:
    """Two assets, one symbol, and traffic."""
    made = JournaledVenue(tmp_path / "var")
    made.apply(opening(4))
    made.apply(traffic(500, accounts=4))
    yield made
    made.close()


@pytest.fixture
def own(venue: JournaledVenue) -> Iterator[Own]:
    """A running server of the venue's."""
    made = Own(venue.path)
    yield made
    made.postgres.stop(10.0)


def trade_on(venue: JournaledVenue, seed: int, count: int = 300) -> None:
    """More traffic."""
    venue.apply(traffic(count, seed=seed, accounts=4))


# ---- servers that stop --------------------------------------------------------------------------------------------


async def test_immediate_stop_under_load_loses_nothing(own: Own, venue: JournaledVenue) -> None:
    async with Child(venue.path) as child:
        for seed in range(3):
            await child.reaches(venue.event)
            trade_on(venue, 10 + seed, 3_000)
            await child.until(lambda told: told["event"] > venue.event - 4_000)
            own.kill()
            trade_on(venue, 20 + seed)
            await child.until(lambda told: told["state"] == "waiting")
            trade_on(venue, 30 + seed)
            await own.until_up()
        await child.reaches(venue.event)
    await assert_equal(own.target, venue)


async def test_projector_waits_for_a_server_that_is_not_there_yet(venue: JournaledVenue) -> None:
    (venue.path / "postgres").mkdir()
    async with Child(venue.path) as child:
        await child.until(lambda told: told["state"] == "waiting")
        (venue.path / "postgres").rmdir()
    own = Own(venue.path)
    async with Child(venue.path) as child:
        await child.reaches(venue.event)
    await assert_equal(own.target, venue)
    own.postgres.stop(10.0)


async def test_backlog_of_any_length_takes_no_memory(own: Own, venue: JournaledVenue) -> None:
    async with Child(venue.path, {"EXCHANGE_PROJECTION_EVENTS": "20000"}) as child:
        trade_on(venue, 8, 25_000)
        await child.reaches(venue.event)
        before = child.memory_bytes("VmHWM")
        own.kill()
        trade_on(venue, 9, BACKLOG_COMMANDS)
        await child.until(lambda told: told["state"] == "waiting")  # one with nothing to write would not notice
        await own.until_up()
        await child.reaches(venue.event)
        assert child.memory_bytes("VmHWM") - before < BACKLOG_BYTES
    await assert_equal(own.target, venue)


# ---- servers that do not write ------------------------------------------------------------------------------------


async def test_read_only_server_is_waited_for(own: Own, venue: JournaledVenue) -> None:
    async with Child(venue.path) as child:
        await child.reaches(venue.event)
        await own.execute("alter system set default_transaction_read_only = on", "select pg_reload_conf()")
        trade_on(venue, 8)
        await child.waits("25006")
        await own.execute("alter system reset default_transaction_read_only", "select pg_reload_conf()")
        await child.reaches(venue.event)
    await assert_equal(own.target, venue)


@contextmanager
def small_disk(place: pathlib.Path, size_bytes: int) -> Iterator[None]:
    """A tmpfs at a place. Skips where that is not allowed."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"This machine does not let the tests mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def make_space(place: pathlib.Path, like: pathlib.Path) -> pathlib.Path:
    """A folder for a tablespace that the owner of `like` may use."""
    owner, space = like.stat(), place / "space"
    space.mkdir(mode=0o700)
    for path in (place, space):
        os.chown(path, owner.st_uid, owner.st_gid)
    place.chmod(0o755)
    return space


def copy(folder: pathlib.Path, to: pathlib.Path) -> None:
    """Make `to` hold exactly what `folder` holds, with its owners; `to` stays the directory that it is."""
    to.mkdir(exist_ok=True)
    subprocess.run(["find", str(to), "-mindepth", "1", "-delete"], check=True)
    subprocess.run(["cp", "-a", f"{folder}/.", str(to)], check=True)


def fill(place: pathlib.Path) -> pathlib.Path:
    """Leave only LEFT_BYTES of a disk; returns the file that takes the rest."""
    ballast = place / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(place).free - LEFT_BYTES)
    return ballast


@pytest.mark.mount
async def test_full_disk_of_the_tables_is_waited_for(own: Own, venue: JournaledVenue) -> None:
    with tempfile.TemporaryDirectory(prefix="tables-") as name, small_disk(pathlib.Path(name), TABLES_DISK_BYTES):
        place = pathlib.Path(name)
        space = make_space(place, own.folder)
        await own.execute(
            f"create tablespace small location '{space}'",
            "alter system set default_tablespace = small",
            "select pg_reload_conf()",
        )
        async with Child(venue.path) as child:
            await child.reaches(venue.event)
            ballast = fill(place)
            trade_on(venue, 8, 12_000)
            await child.waits("53100")
            assert child.told["event"] < venue.event
            ballast.unlink()
            await child.reaches(venue.event)
        await assert_equal(own.target, venue)
        own.postgres.stop(10.0)


@pytest.mark.mount
async def test_full_disk_of_the_whole_server_is_waited_for(own: Own, venue: JournaledVenue) -> None:
    """Where the write-ahead log does not fit the server stops by itself, and does not come up until there is room."""
    own.postgres.stop(10.0)
    aside = venue.path / "aside"
    copy(own.folder, aside)
    with small_disk(own.folder, WHOLE_DISK_BYTES):
        copy(aside, own.folder)
        full = Own(venue.path)
        async with Child(venue.path) as child:
            await child.reaches(venue.event)
            ballast = fill(own.folder)
            trade_on(venue, 8, 12_000)
            await child.until(lambda told: told["state"] == "waiting")
            assert child.told["event"] < venue.event
            ballast.unlink()
            await full.until_up()
            await child.reaches(venue.event)
        await assert_equal(full.target, venue)
        full.postgres.stop(10.0)


# ---- what is there is not what was left ---------------------------------------------------------------------------

INSERT_LATER_ORDER = """
insert into exchange_order.orders
select (jsonb_populate_record(o, jsonb_build_object('order_id', order_id + 50))).*
from exchange_order.orders o order by order_id desc limit 1
"""


async def test_conflicting_row_stops_the_projector_and_skips_nothing(own: Own, venue: JournaledVenue) -> None:
    async with Child(venue.path) as child:
        await child.reaches(venue.event)
    before = await own.applied_event()
    await own.execute(INSERT_LATER_ORDER)
    trade_on(venue, 8)
    for _ in range(2):
        async with Child(venue.path) as child:
            assert await child.ended() == os.EX_DATAERR
            assert child.told["state"] == "stopped" and "23505" in child.told["sentence"]
        assert await own.applied_event() == before
    await own.execute(
        "delete from exchange_order.orders where order_id = (select max(order_id) from exchange_order.orders)"
    )
    async with Child(venue.path) as child:
        await child.reaches(venue.event)
    await assert_equal(own.target, venue)


@pytest.mark.parametrize("table", ["exchange_order.orders", "exchange_order.projection"])
async def test_truncated_table_stops_the_projector_until_a_rebuild(own: Own, venue: JournaledVenue, table: str) -> None:
    async with Child(venue.path) as child:
        await child.reaches(venue.event)
        await own.execute(f"truncate {table}")
        trade_on(venue, 8)
        assert await child.ended() == os.EX_DATAERR
        assert "skips nothing" in child.told["sentence"]
    await rebuild(own.target, venue.path, silent)
    trade_on(venue, 9)
    async with Child(venue.path) as child:
        await child.reaches(venue.event)
    await assert_equal(own.target, venue)


async def test_old_backup_is_brought_up_to_date(own: Own, venue: JournaledVenue) -> None:
    """A cold copy is put back while the projector runs on: it goes on from where the copy stands."""
    backup = venue.path / "backup"
    async with Child(venue.path) as child:
        await child.reaches(venue.event)
        own.postgres.stop(10.0)
        copy(own.folder, backup)
        own.postgres.start()
        trade_on(venue, 8, 2_000)
        await child.reaches(venue.event)
        own.postgres.stop(10.0)
        copy(backup, own.folder)
        own.postgres.start()
        trade_on(venue, 9)
        await child.reaches(venue.event)
    await assert_equal(own.target, venue)


async def test_old_backup_after_a_restart_is_brought_up_to_date(own: Own, venue: JournaledVenue) -> None:
    """The backup was made under another projector than the one that meets it."""
    backup = venue.path / "backup"
    async with Child(venue.path) as child:
        await child.reaches(venue.event)
    own.postgres.stop(10.0)
    copy(own.folder, backup)
    own.postgres.start()
    trade_on(venue, 8, 2_000)
    async with Child(venue.path) as child:
        await child.reaches(venue.event)
        own.postgres.stop(10.0)
        copy(backup, own.folder)
        own.postgres.start()
        trade_on(venue, 9)
        await child.reaches(venue.event)
    await assert_equal(own.target, venue)


async def test_live_projector_ends_when_a_rebuild_replaces_what_it_wrote(own: Own, venue: JournaledVenue) -> None:
    trade_on(venue, 8, 5_000)
    async with Child(venue.path) as child:
        await child.reaches(venue.event)
        making = asyncio.create_task(rebuild(own.target, venue.path, silent))
        for seed in range(10):
            trade_on(venue, 20 + seed, 500)
            await asyncio.wait((making,), timeout=0.1)
        await making
        trade_on(venue, 9)
        assert await child.ended() == 3
    async with Child(venue.path) as child:
        await child.reaches(venue.event)
    await assert_equal(own.target, venue)


async def test_journal_that_lost_its_end_is_refused(own: Own, venue: JournaledVenue) -> None:
    """PostgreSQL knows more than the journal of a directory that was put back from an older copy."""
    older = venue.path.with_name("older")
    shutil.copytree(venue.path / "journal", older / "journal")
    trade_on(venue, 8)
    async with Child(venue.path) as child:
        await child.reaches(venue.event)
    own.postgres.stop(10.0)
    (venue.path / "postgres").rename(older / "postgres")
    moved = Own(older)
    async with Child(older) as child:
        assert await child.ended() == os.EX_CONFIG
        assert "acknowledged data was lost" in child.told["sentence"]
    moved.postgres.stop(10.0)
