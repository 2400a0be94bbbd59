"""The operator's commands, as a shell runs them against an exchange in a process of its own."""

from __future__ import annotations

import json
import pathlib
import stat
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from exchange.users import totp
from tests.gateway.running import Exchange, Trader
from tests.users.venue import ALICE, PASSWORD, Person, cli, fetch, start


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A demo exchange whose data directory has a longer path than the name of a socket may be."""
    running = Exchange(tmp_path_factory.mktemp("operator") / ("long" * 30) / "var")
    yield start(running)
    assert running.stop() == 0, running.errors
    assert not (running.data_dir / "control.sock").exists()


def done(venue: Exchange, *arguments: str, stdin: str = "") -> Any:
    """The JSON that a command printed; it must have succeeded."""
    code, stdout, stderr = cli(venue, *arguments, "--json", stdin=stdin)
    assert (code, stderr) == (0, ""), stderr
    return json.loads(stdout)


def refused(venue: Exchange, code: int, *arguments: str, stdin: str = "") -> str:
    """The one sentence of a command that was not done."""
    got, stdout, stderr = cli(venue, *arguments, stdin=stdin)
    assert (got, stdout) == (code, ""), stderr
    assert stderr.startswith("exchange: ")
    assert stderr.count("\n") == 1
    return stderr


def audited(venue: Exchange, subject: str) -> list[tuple[str, str]]:
    """(actor, action) of the audit rows about a subject."""
    rows = fetch(
        venue.data_dir,
        "select actor, action from exchange_admin.audit where subject = $1 order by audit_id",
        subject,
    )
    return [tuple(row) for row in rows]


def test_user_who_was_created_logs_in_trades_with_a_key_and_is_shut_out_when_disabled(venue: Exchange) -> None:
    made = done(venue, "user", "create", "Carol@Example.org", "--password-file", "-", stdin=PASSWORD + "\nrest\n")
    assert (made["email"], made["status"]) == ("carol@example.org", "active")
    account = str(made["account"])
    ask = Trader(venue.ports["http"], "", "")
    form = f"email=carol@example.org&password={PASSWORD.replace(' ', '+')}".encode()
    login = ask.send("POST", "/v1/user/login", form, {})
    assert login.status == 200
    bearer = {"Authorization": f"Bearer {login.json['token']}"}

    key = done(venue, "key", "create", account, "--permission", "trade", "--permission", "read", "--label", "bot")
    trader = Trader(venue.ports["http"], key["apiKey"], key["secret"])
    assert trader.order("BUY", "0.001", "50000").status == 200
    assert [one["label"] for one in ask.send("GET", "/v1/user/keys", b"", bearer).json] == ["bot"]

    assert done(venue, "user", "disable", "carol@example.org")["status"] == "disabled"
    assert trader.call("GET", "/v1/account").json["code"] == -2015
    assert ask.send("GET", "/v1/user/keys", b"", bearer).status == 401
    assert ask.send("POST", "/v1/user/login", form, {}).status == 401
    assert done(venue, "key", "list", "--account", account) == []
    assert audited(venue, key["apiKey"]) == [("operator", "key.create")]
    assert audited(venue, f"user {made['userId']}") == [("operator", "user create"), ("operator", "user disable")]
    assert "account" in refused(venue, 1, "key", "create", account)


def test_second_factor_that_is_lost_is_reset_and_identity_is_decided(venue: Exchange) -> None:
    somebody = Person(venue)
    seed = somebody.send("POST", "/v1/user/totp", password=PASSWORD).json["secret"]
    step = int(somebody.exchange.trader("alice").public("/v1/time").json["serverTime"]) // 1000 // totp.STEP_S
    code = totp.code_at(seed, step)
    assert somebody.send("POST", "/v1/user/totp/confirm", code=code).status == 200
    assert done(venue, "user", "reset-2fa", somebody.email)["twoFactor"] is False
    assert somebody.send("GET", "/v1/user").status == 401
    login = somebody.send("POST", "/v1/user/login", email=somebody.email, password=PASSWORD)
    assert login.status == 200
    somebody.token = login.json["token"]
    assert somebody.send("GET", "/v1/user").json["twoFactor"] is False
    decided = done(venue, "user", "kyc", somebody.email, "--level", "2")
    assert (decided["kycLevel"], decided["kycStatus"]) == (2, "approved")
    assert somebody.send("GET", "/v1/user").json["kycLevel"] == 2
    assert "one of none, pending" in refused(venue, 1, "user", "kyc", somebody.email, "--level", "1", "--status", "x")


def test_key_is_made_listed_for_people_too_and_revoked_once(venue: Exchange) -> None:
    code, shown, _ = cli(venue, "key", "create", str(ALICE), "--address", "127.0.0.0/8", "--expires", "90d")
    assert code == 0
    fields = dict(line.split(maxsplit=1) for line in shown.splitlines())
    assert (fields["permissions"], fields["addresses"], fields["tradeUntil"]) == ("read", "127.0.0.0/8", "never")
    trader = Trader(venue.ports["http"], fields["apiKey"], fields["secret"])
    assert trader.call("GET", "/v1/account").status == 200
    listed = cli(venue, "key", "list", "--account", str(ALICE))[1]
    assert fields["apiKey"] in listed
    assert fields["secret"] not in listed
    assert done(venue, "key", "revoke", fields["apiKey"])["apiKey"] == fields["apiKey"]
    assert trader.call("GET", "/v1/account").json["code"] == -2015
    assert "no such key" in refused(venue, 1, "key", "revoke", fields["apiKey"])
    assert audited(venue, fields["apiKey"]) == [("operator", "key.create"), ("operator", "key.revoke")]


def test_ed25519_key_is_made_from_a_pem_file_and_shows_no_secret(venue: Exchange, tmp_path: pathlib.Path) -> None:
    public = Ed25519PrivateKey.generate().public_key()
    pem = tmp_path / "public.pem"
    pem.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    made = done(venue, "key", "create", str(ALICE), "--public-key", str(pem))
    assert made["type"] == "ED25519"
    assert "secret" not in made
    pem.write_text("-----BEGIN PUBLIC KEY-----\nbm90IGEga2V5\n-----END PUBLIC KEY-----\n")
    assert "Ed25519" in refused(venue, 1, "key", "create", str(ALICE), "--public-key", str(pem))


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("key", "create", "999"), 1, "There is no account 999."),
        (("key", "create", "16", "--permission", "fly"), 1, "read, trade, withdraw"),
        (("key", "create", "16", "--permission", "withdraw"), 1, "list of addresses"),
        (("key", "create", "16", "--permission", "withdraw", "--address", "10.0.0.1"), 1, "two-factor"),
        (("key", "create", "16", "--address", "10.0.0.1/8"), 1, "is not an address"),
        (("key", "create", "16", "--expires", "soon"), 2, "12h or 90d"),
        (("key", "create", "16", "--public-key", "/nonexistent"), 2, "can not be read"),
        (("user", "disable", "nobody@example.org"), 1, "There is no such user."),
        (("user", "create", "no email", "--password-file", "-"), 1, "email"),
        (("user", "create", "a@example.org", "--password-file", "/nonexistent"), 2, "can not be read"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(
    venue: Exchange, arguments: tuple[str, ...], code: int, word: str
) -> None:
    assert word in refused(venue, code, *arguments, stdin=PASSWORD + "\n")


def test_password_is_never_an_argument(venue: Exchange) -> None:
    assert cli(venue, "user", "create", "dora@example.org", "--password", PASSWORD)[0] == 2
    assert cli(venue, "user", "create", "dora@example.org", PASSWORD)[0] == 2


def test_socket_is_open_to_its_owner_only(venue: Exchange) -> None:
    assert len(str(venue.data_dir / "control.sock")) > 107
    assert stat.S_IMODE((venue.data_dir / "control.sock").stat().st_mode) == 0o600


@pytest.mark.parametrize("arguments", [("user", "disable", "x@example.org"), ("key", "list")])
def test_exchange_that_does_not_run_is_exit_69(tmp_path: pathlib.Path, arguments: tuple[str, ...]) -> None:
    assert "No exchange runs on the data directory" in refused(Exchange(tmp_path), 69, *arguments)


def test_password_that_is_no_text_is_a_wrong_option(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "exchange", "user", "create", "dora@example.org", "--password-file", "-"]
    done = subprocess.run([*command, "--data-dir", str(tmp_path)], input=b"\xff\n", capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (2, b"exchange: The password file - can not be read.\n")


@pytest.mark.parametrize("command", [("user",), ("user", "create"), ("key",), ("key", "revoke")])
def test_exit_codes_are_in_the_help(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "exchange", *command, "--help"], capture_output=True, text=True, check=True
    )
    assert "69 no exchange runs" in " ".join(done.stdout.split())
