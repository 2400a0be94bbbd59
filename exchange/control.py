"""The operator's door into a running exchange: a socket in the data directory that only its owner can open.

Owns `control.sock` (mode 0600, whoever may open it is the operator), one JSON line there, one JSON line back, and both
ends of that conversation. What an operation does belongs to its handler. No stack trace leaves the process: what nobody
expected is logged and answered with a sentence.

    {"operation": "key.revoke", "arguments": {...}}  ──►  {"ok": true, "result": ...}
                                                          {"ok": false, "code": "not_found", "sentence": "..."}

The socket is reached through a descriptor of its folder, `/proc/self/fd/N/control.sock`: the path of a data directory
may be longer than the 107 bytes of a socket's name.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pathlib
import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import orjson

from exchange.persistence.database import Unavailable
from exchange.users.errors import UserError

log = logging.getLogger("exchange.control")

Handler: TypeAlias = Callable[[dict[str, Any]], Awaitable[Any]]
FILE_NAME = "control.sock"
LINE_BYTES_MAX = 1 << 20
CONNECTIONS_MAX = 16
REQUEST_S = 5.0
"""How long a request may take to arrive."""
ANSWER_S = 60.0
"""How long an operation may take; the operator's end waits a little longer."""


class NotRunning(Exception):
    """Nobody listens; a sentence that names the data directory."""


class OperationRefused(Exception):
    """An operation that was not done, as the operator sees it."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@contextlib.contextmanager
def _address(directory: pathlib.Path) -> Iterator[str]:
    """A name of the socket that is short, valid inside the block."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{FILE_NAME}"
    finally:
        os.close(fd)


class Control:
    """The exchange's end: `add` the operations, `start`, `stop`."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._path = directory / FILE_NAME
        self._handlers: dict[str, Handler] = {}
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    def add(self, operation: str, handler: Handler) -> None:
        """Let `handler` answer an operation. It gets the arguments and returns what JSON can hold, or raises
        OperationRefused, UserError or Unavailable."""
        self._handlers[operation] = handler

    async def start(self) -> None:
        """Listen. A socket that was left behind is replaced: the data directory is locked by us. Raises OSError."""
        self._server = await asyncio.start_unix_server(
            self._converse, sock=self._bound(), limit=LINE_BYTES_MAX, backlog=CONNECTIONS_MAX
        )

    def _bound(self) -> socket.socket:
        bound = socket.socket(socket.AF_UNIX)
        os.fchmod(bound.fileno(), 0o600)  # before it has a name, so that it never is open to others
        self._path.unlink(missing_ok=True)
        with _address(self._path.parent) as name:
            bound.bind(name)
        return bound

    async def stop(self) -> None:
        """Listen no more, and leave no conversation and no socket behind."""
        if self._server is None:
            return
        self._server.close()
        for task in self._conversations:
            task.cancel()
        if self._conversations:
            await asyncio.wait(self._conversations)
        self._path.unlink(missing_ok=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request and its answer."""
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)
        try:
            if len(self._conversations) <= CONNECTIONS_MAX:
                writer.write(await self._answer(reader) + b"\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(REQUEST_S):
                line = await reader.readuntil(b"\n")
            request = orjson.loads(line)
            operation, arguments = request["operation"], request["arguments"]
            if not isinstance(arguments, dict):
                raise TypeError(arguments)
        except (TimeoutError, ValueError, TypeError, KeyError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return _refused("bad_request", "The request is not a line of JSON with an operation and its arguments.")
        handler = self._handlers.get(operation) if isinstance(operation, str) else None
        if handler is None:
            return _refused("unknown_operation", "The exchange, perhaps another version, does not know this operation.")
        try:
            async with asyncio.timeout(ANSWER_S):
                return orjson.dumps({"ok": True, "result": await handler(arguments)})
        except OperationRefused as error:
            return _refused(error.code, error.sentence)
        except UserError as error:
            return _refused(_snake(type(error).__name__), error.detail)
        except Unavailable as error:
            return _refused("database_unavailable", str(error))
        except TimeoutError:
            return _refused("timeout", f"The operation took longer than {ANSWER_S:g} s; it may have been done.")
        except Exception:
            log.exception("the operation %s failed unexpectedly", operation)
            return _refused("internal", "The operation failed; the exchange's log says why.")


def _refused(code: str, sentence: str) -> bytes:
    return orjson.dumps({"ok": False, "code": code, "sentence": sentence})


def _snake(name: str) -> str:
    """NotFound: not_found."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def ask(directory: pathlib.Path, operation: str, arguments: dict[str, Any]) -> Any:
    """The operator's end: have an operation done by the exchange that runs on `directory`; returns its result.

    Raises NotRunning, OperationRefused.
    """
    try:
        request = orjson.dumps({"operation": operation, "arguments": arguments}) + b"\n"
    except TypeError:
        raise OperationRefused("bad_request", "The arguments hold bytes that are not UTF-8.") from None
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(ANSWER_S + REQUEST_S)
            with _address(directory) as name:
                client.connect(name)
            client.sendall(request)
            with client.makefile("rb") as stream:
                answer = orjson.loads(stream.readline())
    except PermissionError:
        raise OperationRefused("not_permitted", f"Only the user who runs the exchange may use {directory}.") from None
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise NotRunning(f"No exchange runs on the data directory {directory}: start it, or name another.") from None
    except (OSError, ValueError):
        raise NotRunning(f"The exchange on {directory} did not answer; it may have ended meanwhile.") from None
    if answer["ok"]:
        return answer["result"]
    raise OperationRefused(answer["code"], answer["sentence"])
