"""Signing: vectors, HMAC-SHA256 and Ed25519, the time window, and keys that are unknown, malformed or weak."""

from __future__ import annotations

import base64
import hmac
import time
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.gateway.errors import Refusal
from exchange.gateway.faces import OURS, faces
from exchange.gateway.parameters import parse
from exchange.gateway.signing import Call, authenticate, signature_matches
from exchange.users.keys import Address, Key, KeyKind, Permission

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
ORDER = "symbol={}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
WS = (
    f"apiKey={API_KEY}&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT"
    "&timeInForce=GTC&timestamp=1645423376532&type=LIMIT"
)
VECTORS = [
    (ORDER.format("LTCBTC"), "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
    (
        ORDER.format("%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96"),
        "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
    ),
    (WS, "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"),
]
NOW_US = 1_499_827_319_559_000
FACE = faces((), ())[OURS]


READER = "r" * 64
SIGNER = "e" * 64
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def hmac_key(api_key: str, *permissions: Permission) -> Key:
    """A key with the secret of the documents."""
    return Key(
        api_key=api_key,
        account=16,
        kind=KeyKind.HMAC,
        permissions=frozenset(permissions),
        secret=SECRET.encode(),
    )


KEY = hmac_key(API_KEY, Permission.READ, Permission.TRADE)
ED25519 = Key(
    api_key=SIGNER,
    account=17,
    kind=KeyKind.ED25519,
    permissions=frozenset((Permission.READ, Permission.TRADE)),
    public_key=PRIVATE.public_key().public_bytes_raw(),
)


class Keys:
    """One key that may read and trade, one that may only read, and one that signs with Ed25519."""

    KEYS = (KEY, hmac_key(READER, Permission.READ), ED25519)

    def find(self, api_key: str) -> Key | None:
        """The key of that name."""
        return next((key for key in self.KEYS if key.api_key == api_key), None)


def nowhere() -> Address:
    """Fails: only keys with addresses may ask where a request comes from."""
    raise AssertionError("nobody needs the address")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The gateway's wall clock: [microseconds]."""
    now = [NOW_US]
    monkeypatch.setattr(time, "time_ns", lambda: now[0] * 1000)
    return now


def call(query: str, *, key: str = API_KEY, permission: Permission = Permission.TRADE, sign: bool = True) -> Call:
    """Authenticate a query; `sign` appends the right signature."""
    if sign:
        query += "&signature=" + hmac.digest(SECRET.encode(), query.encode(), "sha256").hex()
    return authenticate(FACE, Keys(), [key], parse(query, b""), permission, 1_000_000, nowhere)


def refusal(query: str, **options: object) -> tuple[int, int, str]:
    """(status, code, msg) of a query that is refused."""
    with pytest.raises(Refusal) as caught:
        call(query, **options)  # type: ignore[arg-type]  # options of `call`
    return caught.value.status, caught.value.code, caught.value.msg


@pytest.mark.parametrize(("payload", "signature"), VECTORS)
def test_vector_of_the_documents_matches(payload: str, signature: str) -> None:
    assert signature_matches(KEY, payload.encode(), signature)
    assert signature_matches(KEY, payload.encode(), signature.upper())


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "00",
        "zz" * 32,
        "é" * 64,
        "\u0663" * 64,
        "c8" * 31,
        "c8" * 33,
        "c8" * 32,
        " " * 64,
        "\ud800",
        "0x" + "c8" * 31,
    ],
)
def test_wrong_signature_never_matches_and_never_raises(wrong: str) -> None:
    assert not signature_matches(KEY, VECTORS[0][0].encode(), wrong)


def test_flipping_any_character_of_payload_or_signature_breaks_it() -> None:
    payload, signature = VECTORS[0]
    for place in range(len(payload)):
        changed = payload[:place] + chr(ord(payload[place]) ^ 1) + payload[place + 1 :]
        assert not signature_matches(KEY, changed.encode(), signature)
    for place in range(len(signature)):
        changed = signature[:place] + ("0" if signature[place] != "0" else "1") + signature[place + 1 :]
        assert not signature_matches(KEY, payload.encode(), changed)


@pytest.mark.parametrize("split", [0, 13, 40, 95])
@pytest.mark.usefixtures("clock")
def test_parameters_split_between_query_and_body_are_signed_without_anything_between(split: int) -> None:
    pieces = ORDER.format("LTCBTC").split("&")
    cut = min(split // 13, len(pieces))
    query, body = "&".join(pieces[:cut]), "&".join(pieces[cut:])
    signature = hmac.digest(SECRET.encode(), (query + body).encode(), "sha256").hex()
    signed = parse(query, f"{body}&signature={signature}".encode() if body else f"signature={signature}".encode())
    assert authenticate(FACE, Keys(), [API_KEY], signed, Permission.TRADE, 1_000_000, nowhere).key.account == 16


@pytest.mark.parametrize(
    ("late_us", "window", "msg"),
    [
        (0, "", None),
        (5_000_000, "", None),
        (5_001_000, "", "Timestamp for this request is outside of the recvWindow."),
        (60_000_000, "&recvWindow=60000", None),
        (100_000, "&recvWindow=99.999", "Timestamp for this request is outside of the recvWindow."),
        (99_999, "&recvWindow=99.999", None),
        (1_000, "&recvWindow=0", "Timestamp for this request is outside of the recvWindow."),
        (-999_999, "", None),
        (-1_000_000, "", "Timestamp for this request was 1000ms ahead of the server's time."),
        (-3_600_000_000, "", "Timestamp for this request was 1000ms ahead of the server's time."),
    ],
)
def test_age_is_judged_to_the_microsecond(clock: list[int], late_us: int, window: str, msg: str | None) -> None:
    clock[0] = NOW_US + late_us
    query = f"timestamp={NOW_US}{window}"
    if msg is None:
        assert call(query).sent_us == NOW_US
    else:
        assert refusal(query) == (400, -1021, msg)


def test_request_that_grows_old_before_the_ring_is_refused(clock: list[int]) -> None:
    made = call(f"timestamp={NOW_US // 1000}")
    made.check_age()
    clock[0] += 5_000_001
    with pytest.raises(Refusal) as caught:
        made.check_age()
    assert caught.value.code == -1021


@pytest.mark.parametrize("stamp", ["", "&timestamp=", "&timestamp=-1", "&timestamp=1e12", "&timestamp=" + "9" * 19])
@pytest.mark.usefixtures("clock")
def test_timestamp_missing_or_malformed_is_a_mandatory_parameter(stamp: str) -> None:
    assert refusal(f"symbol=A{stamp}")[:2] == (400, -1102)


@pytest.mark.parametrize(("window", "code"), [("60001", -1130), ("1.2345", -1100), ("-1", -1100), ("1e3", -1100)])
@pytest.mark.usefixtures("clock")
def test_recv_window_out_of_range_or_malformed_is_refused(window: str, code: int) -> None:
    assert refusal(f"timestamp={NOW_US}&recvWindow={window}")[1] == code


@pytest.mark.usefixtures("clock")
def test_signature_missing_wrong_or_of_another_key_is_refused() -> None:
    query = f"timestamp={NOW_US}"
    assert refusal(query, sign=False)[:2] == (400, -1102)
    assert refusal(query + "&signature=" + "0" * 64, sign=False) == (
        400,
        -1022,
        "Signature for this request is not valid.",
    )
    assert refusal(query + "&signature=" + "é" * 64, sign=False)[:2] == (400, -1100)


@pytest.mark.usefixtures("clock")
def test_unknown_key_and_missing_permission_are_refused_alike() -> None:
    query = f"timestamp={NOW_US}"
    denied = (401, -2015, "Invalid API-key, IP, or permissions for action.")
    assert refusal(query, key="u" * 64) == denied
    assert refusal(query, key=READER) == denied
    assert call(query, key=READER, permission=Permission.READ).key.account == 16


@pytest.mark.parametrize("keys", [[], [API_KEY, API_KEY], ["short"], ["x" * 129], ["a b" * 20], ["é" * 64], [""]])
@pytest.mark.usefixtures("clock")
def test_key_header_missing_twice_or_malformed_is_refused(keys: list[str]) -> None:
    with pytest.raises(Refusal) as caught:
        authenticate(
            FACE, Keys(), keys, parse(f"timestamp={NOW_US}&signature=00", b""), Permission.READ, 1_000_000, nowhere
        )
    assert (caught.value.status, caught.value.code) == (401, -2014)


# RFC 8032, section 7.1, tests 1 to 3: secret key, public key, message, signature.
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


def signed_by_ed25519(query: str) -> str:
    """A query with its signature, percent-encoded as the contract wants it."""
    return f"{query}&signature={quote(base64.b64encode(PRIVATE.sign(query.encode())).decode(), safe='')}"


@pytest.mark.parametrize(("public_key", "message", "signature"), RFC_8032)
def test_vector_of_rfc_8032_matches(public_key: str, message: str, signature: str) -> None:
    key = Key(
        api_key=SIGNER,
        account=16,
        kind=KeyKind.ED25519,
        permissions=frozenset(),
        public_key=bytes.fromhex(public_key),
    )
    sent = base64.b64encode(bytes.fromhex(signature)).decode()
    assert signature_matches(key, bytes.fromhex(message), sent)
    assert not signature_matches(key, bytes.fromhex(message) + b"x", sent)
    assert not signature_matches(ED25519, bytes.fromhex(message), sent)


@pytest.mark.usefixtures("clock")
def test_ed25519_signature_covers_query_and_body_without_anything_between() -> None:
    query, body = f"symbol=%41&timestamp={NOW_US}", "side=BUY&quantity=1"
    signature = quote(base64.b64encode(PRIVATE.sign((query + body).encode())).decode(), safe="")
    for signed in (
        parse(query, f"{body}&signature={signature}".encode()),
        parse(f"signature={signature}&{query}", body.encode()),
        parse(f"{query}&signature={signature}", body.encode()),
    ):
        assert authenticate(FACE, Keys(), [SIGNER], signed, Permission.TRADE, 1_000_000, nowhere).key is ED25519


@pytest.mark.usefixtures("clock")
def test_flipping_any_byte_of_an_ed25519_request_is_refused_and_never_raises() -> None:
    payload = f"symbol=A&timestamp={NOW_US}"
    signature = base64.b64encode(PRIVATE.sign(payload.encode())).decode()
    assert signature_matches(ED25519, payload.encode(), signature)
    for place in range(len(payload)):
        changed = payload[:place] + chr(ord(payload[place]) ^ 1) + payload[place + 1 :]
        assert not signature_matches(ED25519, changed.encode(), signature)
    for place in range(len(signature)):
        for other in "A=+ \x00é":
            if signature[place] != other:
                changed = signature[:place] + other + signature[place + 1 :]
                assert not signature_matches(ED25519, payload.encode(), changed)


@pytest.mark.parametrize(
    "wrong",
    ["00", "0" * 64, "A" * 88, "A" * 86 + "==", "A" * 85 + "===", "é" * 88, "\ud800", " ", "=", "%", "A" * 10_000],
)
def test_malformed_ed25519_signature_never_matches_and_never_raises(wrong: str) -> None:
    assert not signature_matches(ED25519, b"", wrong)


@pytest.mark.usefixtures("clock")
def test_ed25519_key_takes_no_hmac_and_hmac_key_no_ed25519() -> None:
    query = f"timestamp={NOW_US}"
    assert call(signed_by_ed25519(query), key=SIGNER, sign=False).key is ED25519
    assert refusal(query, key=SIGNER)[:2] == (400, -1022)
    assert refusal(signed_by_ed25519(query), sign=False)[:2] == (400, -1022)
    # HMAC under the public key, which everybody may know: the confusion of kinds that must not work.
    forged = hmac.digest(ED25519.public_key, query.encode(), "sha256").hex()
    assert refusal(f"{query}&signature={forged}", key=SIGNER, sign=False)[:2] == (400, -1022)


@pytest.mark.usefixtures("clock")
def test_base64_whose_plus_is_not_percent_encoded_is_a_wrong_signature() -> None:
    stamps = (NOW_US + number for number in range(1000))
    query = next(q for q in (f"timestamp={stamp}" for stamp in stamps) if "%2B" in signed_by_ed25519(q))
    assert call(signed_by_ed25519(query), key=SIGNER, sign=False).key is ED25519
    assert refusal(signed_by_ed25519(query).replace("%2B", "+"), key=SIGNER, sign=False)[:2] == (400, -1022)


@pytest.mark.parametrize("signature", ["0" * 64, "A" * 86 + "==", "00", "z"])
@pytest.mark.usefixtures("clock")
def test_unknown_key_is_refused_alike_whatever_its_signature(signature: str) -> None:
    query = f"timestamp={NOW_US}&signature={quote(signature)}"
    assert refusal(query, key="u" * 64, sign=False)[:2] == (401, -2015)
