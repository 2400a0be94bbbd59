"""Keys and sessions are ended while PostgreSQL is away, by people and by the operator, and stay so."""

from __future__ import annotations

import pathlib
import signal
from collections.abc import Iterator

import pytest

from exchange.persistence.embedded import EmbeddedPostgres
from tests.gateway.running import Exchange
from tests.users.venue import Person, cli, fetch, until

GONE = (401, -2015)


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that is not the exchange's own, so that it can be stopped."""
    running = EmbeddedPostgres(tmp_path / "postgres", connections=60)
    running.start()
    yield running
    running.stop(10.0)


@pytest.fixture
def venue(tmp_path: pathlib.Path, server: EmbeddedPostgres) -> Iterator[Exchange]:
    """An exchange that uses it."""
    environ = {
        "DB_HOST": str(server.folder),
        "DB_USER": "postgres",
        "DB_NAME": "postgres",
        "DB_SSL_MODE": "disable",
        "AUTH_TOKEN_SECRET": "the-same-after-a-restart",
    }
    running = Exchange(tmp_path / "var", environ=environ)
    running.start()
    yield running
    running.ensure_gone()


def database_is(venue: Exchange, state: str) -> bool:
    """Whether the exchange says so."""
    return bool(venue.trader("alice").public("/health").json["history"].get("database") == state)


def test_revocation_while_postgresql_is_away_counts_at_once_and_for_good(
    venue: Exchange, server: EmbeddedPostgres
) -> None:
    somebody = Person(venue)
    own, other, kept = (somebody.trader(permissions="read") for _ in range(3))

    server.stop(10.0)
    until(lambda: somebody.send("GET", "/v1/user").status == 503)
    assert database_is(venue, "down")
    assert somebody.send("DELETE", "/v1/user/keys", apiKey=own.api_key).status == 200
    assert cli(venue, "key", "revoke", other.api_key)[0] == 0
    code, _, sentence = cli(venue, "key", "create", str(somebody.account))
    assert (code, sentence.count("\n")) == (1, 1)

    def check() -> None:
        for trader in (own, other):
            answer = trader.call("GET", "/v1/account")
            assert (answer.status, answer.json["code"]) == GONE
        assert kept.call("GET", "/v1/account").json["uid"] == somebody.account

    def restart() -> None:
        venue.stop(signal.SIGKILL)
        venue.start()
        for trader in (own, other, kept):
            trader.port = venue.ports["http"]

    check()
    assert venue.trader("alice").order("BUY", "0.001", "50000").status == 200
    restart()
    check()
    server.start()
    until(lambda: database_is(venue, "up"))
    check()
    query = "select api_key from exchange_user.api_keys where account = $1 and revoked_at is not null"
    until(lambda: len(fetch(server.folder.parent, query, somebody.account)) == 2)
    restart()
    check()
    until(lambda: somebody.send("GET", "/v1/user/keys").status == 200)
    names = [key["apiKey"] for key in somebody.send("GET", "/v1/user/keys").json]
    assert kept.api_key in names
    assert not {own.api_key, other.api_key} & set(names)
    assert venue.stop() == 0
