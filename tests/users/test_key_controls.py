"""Keys: the controls that the venue promises, one test (or one table of cases) for each, against a whole exchange.

Where each row of the checklist "gateway and keys" is shown:

    signature input       here; method, host and path are signed by strict keys: test_strict_keys.py
    compare               here; tests/gateway/test_signing.py
    unknown key           here; its steps in test_key_judgement.py
    window, replay        here; to the microsecond in tests/gateway/test_signing.py
    key scopes            here; symbols: tests/operating/test_guarded_venue.py; a day: tests/core/test_guards.py
    IP allowlist          here; proxies and lapsing rights in test_key_judgement.py and tests/gateway/test_address.py
    secret storage        test_secrets_at_rest.py; swapped rows in test_keyring.py
    never in the journal  test_key_judgement.py, test_registration.py, test_secrets_at_rest.py
    revocation            test_revocation.py, test_revocation_live.py; private streams: tests/gateway/private
    rate limits           of logins: test_throttle.py, test_login_controls.py; tests/gateway/test_limits_http.py
    WS                    public: tests/marketdata/test_server.py; authentication: tests/gateway/ws_api
    errors, logs          here
    pre-trade             foreign ids here; self-trade, quantities, order counts, collars: tests/scenarios
"""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from exchange.control import ask
from exchange.gateway.routes import ROUTES, SIGNATURE, Access, Route
from exchange.users.keys import Permission
from tests.gateway.running import Exchange, Trader
from tests.users.venue import ALICE, BOB, Person, new_key, signature, stamp, start

DENIED = (401, -2015, "Invalid API-key, IP, or permissions for action.")
SIGNED = [route for route in ROUTES if route.access is Access.SIGNED]


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A demo exchange."""
    running = Exchange(tmp_path_factory.mktemp("keys") / "var")
    yield start(running)
    assert running.stop() == 0, running.errors


def outcome(trader: Trader, route: Route, **params: object) -> tuple[int, int]:
    """(status, code) of a signed request; 0 for no error code."""
    answer = trader.call(route.method, route.path, **params)
    return answer.status, answer.json["code"] if isinstance(answer.json, dict) and "code" in answer.json else 0


def send(trader: Trader, method: str, query: str, body: str = "", **headers: str) -> tuple[int, int]:
    """(status, code) of exactly this request to /v1/order."""
    head = {"X-MBX-APIKEY": trader.api_key, **headers}
    answer = trader.send(method, f"/v1/order?{query}" if query else "/v1/order", body.encode(), head)
    return answer.status, answer.json.get("code", 0)


# ---- signature input -------------------------------------------------------------------------------------------------


def test_signature_covers_every_byte_of_query_and_body(venue: Exchange) -> None:
    alice = venue.trader("alice")
    query, body = f"symbol=BTC_USDT&{stamp()}", "side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=90000"
    signed = f"{body}&signature={signature(alice.secret, query + body)}"
    for place in range(len(query + signed)):
        whole = query + signed
        changed = whole[:place] + chr(ord(whole[place]) ^ 1) + whole[place + 1 :]
        if changed.lower() != whole.lower():
            status, code = send(alice, "POST", changed[: len(query)], changed[len(query) :])
            assert (status, code < 0) == (400, True), changed
    assert alice.call("GET", "/v1/openOrders").json == []
    assert send(alice, "POST", query, signed) == (200, 0)
    assert alice.call("DELETE", "/v1/openOrders", symbol="BTC_USDT").status == 200


def test_signature_is_over_what_was_sent_not_over_what_it_means(venue: Exchange) -> None:
    alice = venue.trader("alice")
    time_part = stamp()
    for sent, meant in (
        (f"symbol=BTC%5FUSDT&orderId=999999999&{time_part}", f"symbol=BTC_USDT&orderId=999999999&{time_part}"),
        (f"symbol=BTC%5fUSDT&orderId=999999999&{time_part}", f"symbol=BTC%5FUSDT&orderId=999999999&{time_part}"),
        (f"orderId=999999999&symbol=BTC_USDT&{time_part}", f"symbol=BTC_USDT&orderId=999999999&{time_part}"),
    ):
        assert send(alice, "GET", f"{sent}&signature={signature(alice.secret, sent)}") == (400, -2013)
        assert send(alice, "GET", f"{sent}&signature={signature(alice.secret, meant)}") == (400, -1022)


def test_signature_of_another_venue_or_key_does_not_count(venue: Exchange) -> None:
    alice, bob = venue.trader("alice"), venue.trader("bob")
    query = f"symbol=BTC_USDT&orderId=999999999&{stamp()}"
    assert send(alice, "GET", f"{query}&signature={signature(bob.secret, query)}") == (400, -1022)


# ---- comparison ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "0",
        "00",
        "z" * 64,
        "%C3%A9" * 32,
        "%00" * 64,
        "%D9%A3" * 64,
        "0" * 62,
        "0" * 66,
        "0" * 4096,
        "%ED%A0%80",
        "%",
    ],
)
def test_malformed_signature_is_refused_and_never_our_error(venue: Exchange, wrong: str) -> None:
    _, signer = new_key(venue, public_key=public_key())
    for trader in (venue.trader("alice"), signer):
        status, code = send(trader, "GET", f"symbol=BTC_USDT&orderId=999999999&{stamp()}&signature={wrong}")
        assert (status, code in (-1022, -1100, -1102, -1105)) == (400, True)


def test_case_of_a_hex_signature_does_not_matter(venue: Exchange) -> None:
    alice = venue.trader("alice")
    query = f"symbol=BTC_USDT&orderId=999999999&{stamp()}"
    for sent in (signature(alice.secret, query), signature(alice.secret, query).upper()):
        assert send(alice, "GET", f"{query}&signature={sent}") == (400, -2013)


def public_key() -> str:
    """A fresh Ed25519 public key as an operator would give it."""
    return base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


# ---- unknown key -----------------------------------------------------------------------------------------------------


def test_unknown_revoked_and_powerless_keys_are_told_the_same(venue: Exchange) -> None:
    _, revoked = new_key(venue)
    venue_revoke(venue, revoked.api_key)
    _, powerless = new_key(venue)
    unknown = Trader(venue.ports["http"], "u" * 64, "s" * 64)
    for trader, method in ((unknown, "GET"), (revoked, "GET"), (powerless, "POST")):
        answer = trader.call(method, "/v1/order", symbol="BTC_USDT", orderId=999999999)
        assert (answer.status, answer.json["code"], answer.json["msg"]) == DENIED


def venue_revoke(venue: Exchange, api_key: str) -> None:
    """Revoke a key as the operator does."""
    ask(venue.data_dir, "key.revoke", {"api_key": api_key})


# ---- window and replay -----------------------------------------------------------------------------------------------


def test_request_counts_within_its_window_and_a_replayed_order_is_the_first_one(venue: Exchange) -> None:
    alice = venue.trader("alice")
    now_ms = time.time_ns() // 1_000_000
    account = next(route for route in SIGNED if route.path == "/v1/account")
    for timestamp, window, code in (
        (now_ms - 6_000, 5_000, -1021),
        (now_ms + 3_600_000, 60_000, -1021),
        (now_ms, 60_001, -1130),
        (now_ms - 6_000, 60_000, 0),
    ):
        assert outcome(alice, account, timestamp=timestamp, recvWindow=window)[1] == code
    form = "symbol=BTC_USDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.1&price=90000&newClientOrderId=once"
    body = alice.signed(f"{form}&{stamp()}").encode()
    headers = {"X-MBX-APIKEY": alice.api_key}
    first, second = (alice.send("POST", "/v1/order", body, headers).json for _ in range(2))
    assert second["orderId"] == first["orderId"]
    assert second["duplicate"] is True
    assert len(alice.call("GET", "/v1/openOrders").json) == 1
    alice.call("DELETE", "/v1/openOrders", symbol="BTC_USDT")


# ---- rights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("permissions", [[], ["read"], ["trade"], ["read", "trade"]], ids=" ".join)
def test_key_reaches_exactly_the_routes_of_its_permissions(venue: Exchange, permissions: list[str]) -> None:
    made, trader = new_key(venue, permissions=permissions)
    assert made["permissions"] == (permissions or ["read"])
    for route in SIGNED:
        assert route.permission is not None, route.path
        status, code = outcome(trader, route)
        assert (code == -2015) == (route.permission not in made["permissions"]), route.path
        assert status < 500 or code == -1001, route.path  # history may be a moment behind


def test_every_route_says_who_may_call_it() -> None:
    for route in ROUTES:
        assert (route.permission is not None) == (route.access in (Access.SIGNED, Access.KEYED))
        is_beside = not route.path.startswith(route.face)  # clients of Binance sign what is public there
        is_signed = route.access is Access.SIGNED or (is_beside and route.path != "/health")
        assert (route.parameters >= SIGNATURE) == is_signed


def test_key_that_may_withdraw_needs_addresses_and_a_second_factor(venue: Exchange) -> None:
    somebody = Person(venue)
    for form, word in (
        ({"permissions": "withdraw"}, "list of addresses"),
        ({"permissions": "read,withdraw", "addresses": "127.0.0.1"}, "two-factor"),
    ):
        answer = somebody.new_key(**form)
        assert (answer.status, answer.json["code"]) == (400, -1130)
        assert word in answer.json["msg"]
    assert somebody.send("GET", "/v1/user/keys").json == []


def test_key_of_ones_own_needs_the_password_again(venue: Exchange) -> None:
    somebody = Person(venue)
    answer = somebody.new_key(password="another battery")
    assert (answer.status, answer.json["code"]) == (401, -1002)
    assert somebody.send("GET", "/v1/user/keys").json == []
    trader = somebody.trader(permissions="trade,read", label="mine")
    assert trader.call("GET", "/v1/account").json["uid"] == somebody.account
    (shown,) = somebody.send("GET", "/v1/user/keys").json
    assert (shown["apiKey"], shown["label"], "secretKey" in shown) == (trader.api_key, "mine", False)
    assert shown["tradeUntil"] - shown["createdAt"] == 30 * 24 * 3_600_000


def test_ed25519_key_of_ones_own_trades_until_its_expiry(venue: Exchange) -> None:
    private = Ed25519PrivateKey.generate()
    sent = base64.b64encode(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    somebody = Person(venue)
    expires_ms = time.time_ns() // 1_000_000 + 3_600_000
    made = somebody.new_key(publicKey=sent, permissions="trade", expiresAt=expires_ms).json
    assert (made["type"], made["expiresAt"], made["tradeUntil"]) == ("ED25519", expires_ms, expires_ms)
    assert "secretKey" not in made
    trader = Trader(venue.ports["http"], made["apiKey"], "")
    body = f"symbol=BTC_USDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=10000&{stamp()}"
    proof = urlencode({"signature": base64.b64encode(private.sign(body.encode())).decode()})
    assert send(trader, "POST", "", f"{body}&{proof}") == (200, 0)
    assert send(trader, "POST", "", f"{body.replace('10000', '10001')}&{proof}") == (400, -1022)
    answer = somebody.new_key(publicKey="bm90IGEga2V5")
    assert (answer.status, answer.json["code"]) == (400, -1130)
    assert somebody.new_key(expiresAt=1).status == 400


# ---- addresses and time ----------------------------------------------------------------------------------------------


def test_key_counts_from_its_addresses_and_no_header_changes_that(venue: Exchange) -> None:
    _, inside = new_key(venue, addresses=["10.0.0.0/8", "127.0.0.1"])
    _, outside = new_key(venue, addresses=["10.0.0.0/8", "::1", "fd00::/8"])
    for spoofed in ({}, {"X-Forwarded-For": "10.0.0.1"}, {"Forwarded": "for=10.0.0.1"}, {"X-Real-IP": "10.0.0.1"}):
        query = f"symbol=BTC_USDT&orderId=999999999&{stamp()}"
        assert send(inside, "GET", inside.signed(query), **spoofed) == (400, -2013)
        assert send(outside, "GET", outside.signed(query), **spoofed) == (401, -2015)
        # What is wrong first is told first: nobody learns by trying which addresses a key has.
        assert send(outside, "GET", f"{query}&signature={'0' * 64}", **spoofed) == (400, -1022)


# ---- errors and logs -------------------------------------------------------------------------------------------------


def test_what_a_client_sends_neither_forges_nor_enters_the_log(venue: Exchange) -> None:
    alice, canary = venue.trader("alice"), "canary-7f3a"
    forged = f"x\r\n2026-01-01 00:00:00 ERROR exchange.gateway: {canary}"
    answers = [
        alice.call("GET", "/v1/order", symbol=forged, origClientOrderId=canary),
        alice.send("GET", f"/v1/{canary}%0d%0aERROR", b"", {}),
        alice.send("GET", "/v1/account", b"", {"X-MBX-APIKEY": canary * 4, "User-Agent": canary}),
        alice.send("POST", "/v1/user/login", urlencode({"email": forged, "password": canary}).encode(), {}),
        alice.send("GET", "/v1/user", b"", {"Authorization": f"Bearer {canary}"}),
        Person(venue).new_key(label=forged),
    ]
    for answer in answers:
        assert 400 <= answer.status < 500
        assert canary not in str(answer.json)
        assert "Traceback" not in str(answer.json)
    log = "".join(venue.errors)
    assert "exchange." in log
    for secret in (canary, alice.secret, alice.api_key):
        assert secret not in log


# ---- foreign ids -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["account", "accountId", "uid", "userId", "user", "asset_id", "apiKey", "subAccount"])
@pytest.mark.parametrize("route", SIGNED, ids=lambda route: f"{route.method} {route.path}")
def test_no_signed_route_lets_the_request_say_whose_it_is(venue: Exchange, route: Route, name: str) -> None:
    assert name not in route.parameters
    may = route.permission is not Permission.WITHDRAW  # a demo key may not
    assert outcome(venue.trader("bob"), route, **{name: ALICE}) == ((400, -1103) if may else (401, -2015))


def test_order_of_somebody_else_can_not_be_seen_changed_or_canceled_by_any_id(venue: Exchange) -> None:
    alice, bob = venue.trader("alice"), venue.trader("bob")
    order = alice.order("SELL", "0.5", "90000", newClientOrderId="alices").json
    before = alice.call("GET", "/v1/order", symbol="BTC_USDT", orderId=order["orderId"]).json
    replacement = {
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.1",
        "price": "91000",
        "cancelReplaceMode": "STOP_ON_FAILURE",
    }
    routes = {(route.method, route.path): route for route in SIGNED}
    tried = 0
    for (method, path), ours in itertools.product(routes, ("orderId", "origClientOrderId")):
        named = {name for name in routes[method, path].parameters if name.lower().endswith(ours.lower())}
        for name in named - {"newClientOrderId"}:
            value = order["orderId"] if ours == "orderId" else "alices"
            extra = replacement if path.endswith("cancelReplace") else {}
            extra = {"newQty": "0.1"} if path.endswith("keepPriority") else extra
            symbol = {} if path == "/v1/ledger" else {"symbol": "BTC_USDT"}
            answer = bob.call(method, path, **symbol, **extra, **{name: value})
            assert answer.status >= 400 or answer.json == [], (method, path, name, answer)
            tried += 1
    assert tried >= 10
    assert alice.call("GET", "/v1/order", symbol="BTC_USDT", orderId=order["orderId"]).json == before
    assert bob.call("GET", "/v1/openOrders").json == []
    alice.call("DELETE", "/v1/openOrders", symbol="BTC_USDT")


def test_key_and_session_of_somebody_else_can_not_be_ended(venue: Exchange) -> None:
    one, other = Person(venue), Person(venue)
    trader = one.trader()
    (session,) = one.send("GET", "/v1/user/sessions").json
    for path, form in (
        ("/v1/user/keys", {"apiKey": trader.api_key}),
        ("/v1/user/keys", {"apiKey": venue.trader("alice").api_key}),
        ("/v1/user/sessions", {"sessionId": session["sessionId"]}),
    ):
        answer = other.send("DELETE", path, **form)
        assert (answer.status, answer.json["code"]) == (404, -2103)
    assert trader.call("GET", "/v1/account").status == 200
    assert one.send("DELETE", "/v1/user/keys", apiKey=trader.api_key).status == 200
    assert trader.call("GET", "/v1/account").json["code"] == -2015
    assert BOB != one.account != other.account
