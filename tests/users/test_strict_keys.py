"""Strict keys in a whole exchange: made by owner and operator, kept in log and database, used over the wire."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.control import OperationRefused
from tests.gateway.running import Answer, Exchange, Trader
from tests.users.venue import ALICE, Person, cli, fetch, new_key, signature, stamp, start

PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "keys.md"
Sign = Callable[[bytes], str]
_EXAMPLE = re.compile(r"```sh\n(host=.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A demo exchange."""
    running = Exchange(tmp_path_factory.mktemp("strict") / "var")
    yield start(running)
    assert running.stop() == 0, running.errors


def strict(trader: Trader, sign: Sign, method: str, path: str, query: str, body: str = "", /, **more: str) -> Answer:
    """A request that is signed as a whole; `more` changes what is signed."""
    query = f"{query}&{stamp()}" if query else stamp()
    digest = hashlib.sha256(body.encode()).hexdigest()
    lines = {
        "form": "EXCHANGE-SIGNATURE-1",
        "method": method,
        "host": f"127.0.0.1:{trader.port}",
        "path": path,
        "query": query,
        "digest": digest,
        "timestamp": query.partition("timestamp=")[2].partition("&")[0],
        "api_key": trader.api_key,
        **more,
    }
    signed = quote(sign("\n".join(lines.values()).encode()), safe="")
    return trader.send(method, f"{path}?{query}&signature={signed}", body.encode(), {"X-MBX-APIKEY": trader.api_key})


def mac(secret: str) -> Sign:
    """HMAC-SHA256 with a secret."""
    return lambda text: hmac.digest(secret.encode(), text, "sha256").hex()


@pytest.fixture(scope="module", params=["HMAC", "ED25519"])
def signer(request: pytest.FixtureRequest, venue: Exchange) -> tuple[Trader, Sign]:
    """A strict key of alice that may trade, and how it signs."""
    arguments: dict[str, Any] = {"permissions": ["read", "trade"], "signature": "strict"}
    if request.param == "HMAC":
        _, trader = new_key(venue, **arguments)
        return trader, mac(trader.secret)
    private = Ed25519PrivateKey.generate()
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    _, trader = new_key(venue, **arguments, public_key=public)
    return trader, lambda text: base64.b64encode(private.sign(text)).decode()


def test_strict_key_reads_and_trades_on_both_faces(signer: tuple[Trader, Sign]) -> None:
    assert strict(*signer, "GET", "/v1/account", "").status == 200
    assert strict(*signer, "GET", "/api/v3/account", "omitZeroBalances=true").status == 200
    order = "side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.01&price=90000"
    placed = strict(*signer, "POST", "/v1/order", "symbol=BTC_USDT", order)
    assert placed.status == 200, placed
    order_id = placed.json["orderId"]
    assert strict(*signer, "DELETE", "/api/v3/order", "symbol=BTCUSDT", f"orderId={order_id}").status == 200
    assert strict(*signer, "HEAD", "/v1/account", "").status == 200


@pytest.mark.parametrize(
    "change",
    [
        {"form": "EXCHANGE-SIGNATURE-2"},
        {"method": "DELETE"},
        {"host": "testnet.example.org"},
        {"path": "/api/v3/order"},
        {"query": ""},
        {"digest": hashlib.sha256(b"side=BUY").hexdigest()},
        {"timestamp": "1499827319559"},
        {"api_key": "x" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_anything_else_is_refused(venue: Exchange, signer: tuple[Trader, Sign], change: dict[str, str]) -> None:
    before = venue.sequence()
    order = "side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.01&price=90000"
    answer = strict(*signer, "POST", "/v1/order", "symbol=BTC_USDT", order, **change)
    assert (answer.status, answer.json["code"]) == (400, -1022)
    assert venue.sequence() == before


def test_plain_signature_of_a_strict_key_does_not_count(signer: tuple[Trader, Sign]) -> None:
    trader, sign = signer
    query = stamp()
    target = f"/v1/account?{query}&signature={quote(sign(query.encode()), safe='')}"
    answer = trader.send("GET", target, b"", {"X-MBX-APIKEY": trader.api_key})
    assert (answer.status, answer.json["code"]) == (400, -1022)


def test_request_to_one_endpoint_is_not_one_to_another(signer: tuple[Trader, Sign]) -> None:
    for path in ("/v1/openOrders", "/v1/allOrders"):
        answer = strict(*signer, "GET", path, "symbol=BTC_USDT", path="/v1/myTrades")
        assert (answer.status, answer.json["code"]) == (400, -1022)


def test_example_of_the_page_places_an_order(venue: Exchange) -> None:
    _, trader = new_key(venue, permissions=["trade"], signature="strict")
    found = _EXAMPLE.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    script = found[1].replace("127.0.0.1:8080", f"127.0.0.1:{trader.port}")
    environ = {**os.environ, "KEY": trader.api_key, "SECRET": trader.secret}
    done = subprocess.run(["sh", "-eu", "-c", script], env=environ, capture_output=True, text=True, check=False)
    placed = json.loads(done.stdout)
    assert (placed["symbol"], placed["status"]) == ("BTC_USDT", "NEW"), done
    alice = venue.trader("alice")
    assert alice.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=placed["orderId"]).status == 200


# ---- how they are made -----------------------------------------------------------------------------------------------


def test_owner_makes_a_strict_key_and_sees_what_it_is(venue: Exchange) -> None:
    person = Person(venue)
    made = person.new_key(signature="strict")
    assert (made.status, made.json["signature"]) == (200, "strict")
    assert person.new_key().json["signature"] == "plain"
    assert [key["signature"] for key in person.send("GET", "/v1/user/keys").json] == ["strict", "plain"]
    (row,) = fetch(venue.data_dir, "select scheme from exchange_user.api_keys where api_key = $1", made.json["apiKey"])
    assert row["scheme"] == "strict"
    trader = Trader(venue.ports["http"], made.json["apiKey"], made.json["secretKey"])
    assert strict(trader, mac(trader.secret), "GET", "/v1/account", "").status == 200
    assert trader.call("GET", "/v1/account").json["code"] == -1022
    refused = person.new_key(signature="loose")
    assert (refused.status, refused.json["code"]) == (400, -1130)


def test_operator_makes_a_strict_key_and_sees_what_it_is(venue: Exchange) -> None:
    code, out, _ = cli(venue, "key", "create", str(ALICE), "--signature", "strict", "--json")
    assert (code, json.loads(out)["signature"]) == (0, "strict")
    _, listed, _ = cli(venue, "key", "list", "--account", str(ALICE))
    (line,) = (line for line in listed.splitlines() if line.startswith(json.loads(out)["apiKey"]))
    assert "HMAC     strict  read" in line
    assert "plain" in listed
    code, _, error = cli(venue, "key", "create", str(ALICE), "--signature", "loose")
    assert (code, "A signature is plain or strict." in error) == (1, True)
    with pytest.raises(OperationRefused):
        new_key(venue, signature=["strict"])


def test_demo_keys_are_plain(venue: Exchange) -> None:
    alice = venue.trader("alice")
    query = stamp()
    target = f"/v1/account?{query}&signature={signature(alice.secret, query)}"
    assert alice.send("GET", target, b"", {"X-MBX-APIKEY": alice.api_key}).status == 200
    assert strict(alice, mac(alice.secret), "GET", "/v1/account", "").json["code"] == -1022
