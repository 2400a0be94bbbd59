"""Planted secrets are searched for in everything that an exchange leaves behind, and are not found."""

from __future__ import annotations

import base64
import pathlib
import string

import pytest

from exchange.users import totp
from tests.gateway.running import Exchange
from tests.users.venue import PASSWORD, Person, fetch, new_key, start, until

TABLES = """
select format('select t::text from %I.%I t', schemaname, tablename) as query from pg_tables
where schemaname like 'exchange%' order by 1
"""
HANDED_OUT = "demo-keys.env"
"""Holds the demo's own keys in the clear, for a shell; nothing that was planted."""
PIECE = 12
"""A part of a secret would be a leak too: one of twice this length has a whole piece of it."""


def forms(secret: bytes) -> set[bytes]:
    """A secret raw, in hex and in base64; the latter at each of the three places where it may begin."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            whole = encode(bytes(shift) + secret)
            found.add(whole[4 if shift else 0 : (len(secret) + shift) // 3 * 4])
    return found


def pieces(text: str) -> set[bytes]:
    """A text, cut up."""
    return {text[at : at + PIECE].encode() for at in range(0, len(text) - PIECE + 1, PIECE)}


class Leftovers:
    """Everything that an exchange wrote: files, tables, its output, what the system shows of the process."""

    def __init__(self, venue: Exchange) -> None:
        self.found: dict[str, bytes] = {}
        for row in fetch(venue.data_dir, TABLES):
            rows = fetch(venue.data_dir, row["query"])
            self.found[row["query"]] = "\n".join(one["t"] for one in rows).encode()
        fetch(venue.data_dir, "checkpoint")
        for name in ("environ", "cmdline"):
            self.found[f"/proc {name}"] = pathlib.Path(f"/proc/{venue.pid}/{name}").read_bytes()

    def add_files(self, venue: Exchange) -> None:
        """Once the exchange has stopped: what lies on the disk, and what it printed."""
        for path in venue.data_dir.rglob("*"):
            if path.is_file() and path.name != HANDED_OUT:
                self.found[str(path.relative_to(venue.data_dir))] = path.read_bytes()
        self.found["output"] = "".join(venue.lines + venue.errors).encode()

    def holding(self, needles: set[bytes]) -> list[str]:
        """Where any of these stands."""
        return [name for name, content in self.found.items() if any(needle in content for needle in needles)]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Leftovers, dict[str, set[bytes]]]:
    """What an exchange left behind after people did everything that has a secret in it; and the secrets."""
    venue = Exchange(
        tmp_path_factory.mktemp("canary") / "var",
        environ={"EXCHANGE_SNAPSHOT_EVERY": "1", "EXCHANGE_SNAPSHOT_INTERVAL": "1s"},
    )
    start(venue)
    somebody = Person(venue)
    trader = somebody.trader(permissions="trade,read")
    _, operators = new_key(venue, permissions=["trade"])
    assert trader.order("BUY", "0.1", "50000").status == 200
    seed = somebody.send("POST", "/v1/user/totp", password=PASSWORD).json["secret"]
    step = trader.public("/v1/time").json["serverTime"] // 1000 // totp.STEP_S
    confirmed = somebody.send("POST", "/v1/user/totp/confirm", code=totp.code_at(seed, step))
    recovery = confirmed.json["recoveryCodes"]
    assert somebody.send("DELETE", "/v1/user/keys", apiKey=trader.api_key).status == 200
    until(lambda: list((venue.data_dir / "snapshots").glob("*.snapshot")))
    leftovers = Leftovers(venue)
    assert venue.stop() == 0, venue.errors
    leftovers.add_files(venue)
    raw_seed = base64.b32decode(seed + "=" * (-len(seed) % 8))
    secrets = {
        "secret of a key": forms(trader.secret.encode()) | pieces(trader.secret),
        "secret of an operator's key": forms(operators.secret.encode()) | pieces(operators.secret),
        "seed": forms(raw_seed) | forms(seed.encode()) | pieces(seed),
        "password": forms(PASSWORD.encode()),
        "token": forms(somebody.token.encode()) | pieces(somebody.token),
        "recovery code": set().union(*(forms(code.encode()) for code in recovery)),
        "public": {trader.api_key.encode(), somebody.email.encode()},
    }
    return leftovers, secrets


@pytest.mark.parametrize("name", ["secret of a key", "secret of an operator's key", "seed", "password", "token"])
def test_secret_is_nowhere(planted: tuple[Leftovers, dict[str, set[bytes]]], name: str) -> None:
    leftovers, secrets = planted
    assert leftovers.holding(secrets[name]) == []


def test_recovery_code_is_nowhere(planted: tuple[Leftovers, dict[str, set[bytes]]]) -> None:
    leftovers, secrets = planted
    assert leftovers.holding(secrets["recovery code"]) == []


def test_search_looks_everywhere_and_finds_what_is_no_secret(
    planted: tuple[Leftovers, dict[str, set[bytes]]],
) -> None:
    leftovers, secrets = planted
    found = leftovers.holding(secrets["public"])
    for place in ("keyring.jsonl", "select t::text from exchange_user.users t", "postgres/base", "postgres/pg_wal"):
        assert any(name.startswith(place) for name in found), place
    for place in ("journal/commands", "journal/events", "snapshots", "output", "postgres.log", "/proc environ"):
        assert any(name.startswith(place) for name in leftovers.found), place


def test_every_form_of_a_secret_would_be_found() -> None:
    secret = (string.ascii_letters + string.digits).encode()
    for before in range(4):
        content = b"x" * before + secret + b"y" * 7
        for encoded in (content, content.hex().encode(), base64.b64encode(content), base64.urlsafe_b64encode(content)):
            assert any(form in encoded for form in forms(secret))
            assert not any(form in encoded for form in forms(secret[::-1]))
