"""The data directory: who may use it, which venue it belongs to, and where the parts of it lie.

Owns the lock (one process at a time), `cluster.json` (the random id that every journal segment carries) and
`ports.json` (where the running process listens). Never touches journals or snapshots. The directory is made with mode
0700.

    LOCK             flock of the running process      keyring.jsonl    API keys, revocations; sealed, mode 0600
    cluster.json     the venue's random id             master.key       what seals them, demo mode only, mode 0600
    ports.json       ports and pid of the process      demo-keys.env    demo keys for a shell, mode 0600
    control.sock     for the operator's commands       crash.log        details of an unexpected error
    projected.json   what PostgreSQL has for certain   postgres, postgres.log   the embedded server
    poison.json      where the engine stopped, and how often (`exchange/poison.py`)
    journal/commands, journal/events, snapshots
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import secrets
from typing import NamedTuple

CLUSTER_ID_BYTES = 16
_PROJECTED = "projected.json"


class DirectoryRefused(Exception):
    """The data directory can not be used; a sentence that names it."""


class DirectoryInUse(DirectoryRefused):
    """Another process has the data directory."""


class DataDirectory:
    """An open, locked data directory. Use as a context manager; leaving it gives the lock back."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.commands = path / "journal" / "commands"
        self.events = path / "journal" / "events"
        self.snapshots = path / "snapshots"
        self.keyring = path / "keyring.jsonl"
        self.master_key = path / "master.key"
        self.postgres = path / "postgres"
        self.shell_keys = path / "demo-keys.env"
        self.cluster_id = b""
        self._lock = -1

    def __enter__(self) -> DataDirectory:
        """Raises DirectoryInUse, DirectoryRefused, and OSError when it can not be made."""
        for directory in (self.path, self.commands.parent, self.commands, self.events, self.snapshots):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self.path / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise DirectoryInUse(
                f"The data directory {self.path} is in use by another process; stop that one or name another directory."
            ) from None
        try:
            self.cluster_id = self._cluster_id()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        (self.path / "ports.json").unlink(missing_ok=True)
        os.close(self._lock)

    def _cluster_id(self) -> bytes:
        """The id of this venue, drawn when the directory is new."""
        path = self.path / "cluster.json"
        try:
            found = bytes.fromhex(json.loads(path.read_text(encoding="utf-8"))["cluster_id"])
        except FileNotFoundError:
            if any(self.commands.iterdir()):
                raise DirectoryRefused(
                    f"{path} is missing and {self.commands} is not empty; put the file back from a backup."
                ) from None
            found = secrets.token_bytes(CLUSTER_ID_BYTES)
            _replace_json(path, {"cluster_id": found.hex()})
        except (ValueError, KeyError, TypeError):
            found = b""
        if len(found) != CLUSTER_ID_BYTES:
            raise DirectoryRefused(f"{path} does not name a cluster id; put the file back from a backup.")
        return found

    def record_ports(self, http_port: int, ws_port: int) -> None:
        """Tell others on this machine where the process listens."""
        _replace_json(self.path / "ports.json", {"http": http_port, "ws": ws_port, "pid": os.getpid()})


class Projected(NamedTuple):
    """The last event, and its command, that PostgreSQL has on its disk: journals are kept from there on."""

    event: int
    sequence: int


def read_projected(data_dir: pathlib.Path) -> Projected:
    """What `write_projected` noted last; zeros when there is nothing, or nothing that can be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads((data_dir / _PROJECTED).read_text(encoding="utf-8"))
        return Projected(int(noted["event"]), int(noted["sequence"]))
    return Projected(0, 0)


def write_projected(data_dir: pathlib.Path, projected: Projected) -> None:
    """Note what the database has for certain. The file appears whole or not at all. Raises OSError."""
    _replace_json(data_dir / _PROJECTED, dict(projected._asdict()))


def _replace_json(path: pathlib.Path, content: dict[str, object]) -> None:
    replace_privately(path, json.dumps(content).encode() + b"\n")


def replace_privately(path: pathlib.Path, content: bytes) -> None:
    """Replace a file as a whole by one of mode 0600; content and name are on the disk then. Raises OSError."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # on a full disk the room is needed
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
