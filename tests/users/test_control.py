"""The control socket: strict input, sentences, limits, and a socket that was left behind."""

from __future__ import annotations

import asyncio
import json
import pathlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exchange import control
from exchange.control import Control, NotRunning, OperationRefused, ask
from exchange.persistence.database import Unavailable
from exchange.users.errors import NotFound


async def echo(arguments: dict[str, Any]) -> Any:
    """What came."""
    return arguments


async def fail(arguments: dict[str, Any]) -> Any:
    """Raises what is asked for."""
    raise {
        "user": NotFound("There is no such thing."),
        "away": Unavailable("PostgreSQL is not reachable."),
        "own": OperationRefused("busy", "Not now."),
        "bug": RuntimeError("a secret of the inside"),
        "unfit": TypeError("a result that JSON can not hold"),
    }[arguments["how"]]


@pytest.fixture
async def directory(tmp_path: pathlib.Path) -> AsyncIterator[pathlib.Path]:
    """A data directory on which a control socket listens."""
    running = Control(tmp_path)
    running.add("echo", echo)
    running.add("fail", fail)
    await running.start()
    yield tmp_path
    await running.stop()
    assert not (tmp_path / control.FILE_NAME).exists()


async def asked(directory: pathlib.Path, operation: str, **arguments: Any) -> Any:
    """`ask` from another thread, as the operator's program is another process."""
    return await asyncio.to_thread(ask, directory, operation, arguments)


async def said(directory: pathlib.Path, request: bytes) -> dict[str, Any]:
    """The answer to exactly these bytes."""
    reader, writer = await asyncio.open_unix_connection(str(directory / control.FILE_NAME))
    writer.write(request)
    writer.write_eof()
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return dict(json.loads(line))


async def test_operation_gets_its_arguments_and_gives_a_result(directory: pathlib.Path) -> None:
    assert await asked(directory, "echo", text="é\n\u2028", number=2**62) == {"text": "é\n\u2028", "number": 2**62}


async def test_argument_that_is_no_text_is_refused_before_it_is_sent(directory: pathlib.Path) -> None:
    with pytest.raises(OperationRefused, match="not UTF-8"):
        await asked(directory, "echo", text="\udc80")


@pytest.mark.parametrize(
    ("how", "code", "sentence"),
    [
        ("user", "not_found", "There is no such thing."),
        ("away", "database_unavailable", "PostgreSQL is not reachable."),
        ("own", "busy", "Not now."),
        ("bug", "internal", "The operation failed; the exchange's log says why."),
        ("unfit", "internal", "The operation failed; the exchange's log says why."),
    ],
)
async def test_operation_that_fails_is_a_code_and_a_sentence(
    directory: pathlib.Path, how: str, code: str, sentence: str
) -> None:
    with pytest.raises(OperationRefused) as caught:
        await asked(directory, "fail", how=how)
    assert (caught.value.code, caught.value.sentence) == (code, sentence)


@pytest.mark.parametrize(
    "request_line",
    [
        b"",
        b"\n",
        b"{",
        b"[]\n",
        b"null\n",
        b'{"operation": "echo"}\n',
        b'{"operation": "echo", "arguments": []}\n',
        b'{"operation": "echo", "arguments": {}}',
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        b"x" * (control.LINE_BYTES_MAX + 1),
    ],
    ids=range(11),
)
async def test_request_that_is_malformed_is_refused(directory: pathlib.Path, request_line: bytes) -> None:
    answer = await said(directory, request_line)
    assert (answer["ok"], answer["code"]) == (False, "bad_request")


@pytest.mark.parametrize("operation", ["none", "", 1, None, ["echo"]])
async def test_operation_that_nobody_knows_is_refused(directory: pathlib.Path, operation: object) -> None:
    line = json.dumps({"operation": operation, "arguments": {}}).encode() + b"\n"
    assert (await said(directory, line))["code"] == "unknown_operation"


async def test_request_that_does_not_end_is_given_up(directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "REQUEST_S", 0.01)
    reader, writer = await asyncio.open_unix_connection(str(directory / control.FILE_NAME))
    writer.write(b'{"operation"')
    assert json.loads(await reader.readline())["code"] == "bad_request"
    writer.close()
    await writer.wait_closed()


async def test_more_conversations_than_allowed_are_closed_and_do_no_harm(
    directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "CONNECTIONS_MAX", 1)
    reader, writer = await asyncio.open_unix_connection(str(directory / control.FILE_NAME))
    writer.write(b'{"operation": "echo", ')
    with pytest.raises(NotRunning, match="did not answer"):
        await asked(directory, "echo")
    writer.write(b'"arguments": {}}\n')
    assert json.loads(await reader.readline())["ok"] is True
    writer.close()
    await writer.wait_closed()


async def test_socket_that_was_left_behind_is_replaced(tmp_path: pathlib.Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / control.FILE_NAME))
    left.close()
    with pytest.raises(NotRunning):
        await asked(tmp_path, "echo")
    running = Control(tmp_path)
    running.add("echo", echo)
    await running.start()
    assert await asked(tmp_path, "echo") == {}
    await running.stop()
    with pytest.raises(NotRunning):
        await asked(tmp_path, "echo")
