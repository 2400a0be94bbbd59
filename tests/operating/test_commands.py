"""`exchange operator ...`, as a shell runs it against an exchange in a process of its own, without PostgreSQL."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.running import Exchange
from tests.users.venue import cli


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A demo exchange."""
    running = Exchange(tmp_path_factory.mktemp("operator") / "var", environ={"EXCHANGE_DATABASE": "off"})
    yield running.start()
    assert running.stop() == 0, running.errors


def done(exchange: Exchange, *arguments: str, stdin: str = "") -> Any:
    """The JSON that a command printed; it must have succeeded."""
    code, stdout, stderr = cli(exchange, "operator", *arguments, "--json", stdin=stdin)
    assert code == 0, stderr
    return json.loads(stdout)


def refused(exchange: Exchange, code: int, *arguments: str, stdin: str = "") -> str:
    """The one sentence of a command that was not done."""
    got, stdout, stderr = cli(exchange, "operator", *arguments, stdin=stdin)
    assert (got, stdout) == (code, ""), stderr
    assert stderr.startswith("exchange: ")
    assert stderr.count("\n") == 1
    return stderr


def mode(exchange: Exchange) -> str:
    """Of the venue, as anybody sees it."""
    return str(exchange.trader("alice").public("/health").json["mode"])


def test_halt_by_one_and_resume_by_two(exchange: Exchange, tmp_path: pathlib.Path) -> None:
    tokens = {}
    for name in ("ann", "ben"):
        tokens[name] = done(exchange, "add", name, "--role", "supervisor")["token"]
        (tmp_path / name).write_text(tokens[name] + "\n")
    assert [one["name"] for one in done(exchange, "list")] == ["ann", "ben"]
    assert done(exchange, "halt", "venue", "--reason", "a test")["mode"] == "HALTED"
    assert mode(exchange) == "HALTED"
    assert exchange.trader("alice").order("BUY", "0.001", "50000").json["msg"] == "Market is closed."

    resume = ("resume", "venue", "--reason", "checked", "--as", "ann", "--token-file", str(tmp_path / "ann"))
    for wanted, becomes in (("cancel-only", "CANCEL_ONLY"), ("open", "OPEN")):
        proposal = done(exchange, *resume, "--mode", wanted)
        assert [one["id"] for one in done(exchange, "proposals")] == [proposal["id"]]
        own = ("approve", proposal["id"], "--yes", "--as", "ann", "--token-file", "-")
        code, _, stderr = cli(exchange, "operator", *own, stdin=tokens["ann"])
        assert code == 1
        assert "Who proposes does not approve" in stderr
        assert mode(exchange) != becomes
        approve = ("approve", proposal["id"], "--yes", "--as", "ben", "--token-file", "-")
        assert done(exchange, *approve, stdin=tokens["ben"])["mode"] == becomes
        assert mode(exchange) == becomes
    assert exchange.trader("alice").order("BUY", "0.001", "50000").status == 200


def test_sentences_of_what_is_refused(exchange: Exchange) -> None:
    assert "must be named" in refused(exchange, 2, "halt", "symbol")
    assert "must be named" in refused(exchange, 2, "halt", "venue", "BTC_USDT")
    assert "An account is a number" in refused(exchange, 2, "halt", "account", "alice")
    assert "no symbol NO_SUCH" in refused(exchange, 1, "halt", "symbol", "NO_SUCH")
    assert "A scope is one of" in refused(exchange, 1, "halt", "planet")
    withdraw = ("withdraw", "00000000", "--as", "nobody", "--token-file", "-")
    assert "the token is not valid" in refused(exchange, 1, *withdraw, stdin="x")
    assert "one of BID_UP_BIPS" in refused(exchange, 1, "rule", "symbol", "BTC_USDT", "NO_SUCH", "1")


def test_key_that_is_halted_does_not_count_any_more(exchange: Exchange) -> None:
    bob = exchange.trader("bob")
    assert bob.order("BUY", "0.001", "40000").status == 200
    assert done(exchange, "halt", "key", bob.api_key)["mode"] == "revoked"
    assert bob.call("GET", "/v1/account").json["code"] == -2015
