"""Signing: the vectors of the API documents, the time window, and keys that are unknown, malformed or weak."""

from __future__ import annotations

import hmac
import time

import pytest

from exchange.gateway.errors import Refusal
from exchange.gateway.keys import Key, Permission
from exchange.gateway.parameters import parse
from exchange.gateway.signing import Call, authenticate, signature_matches

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


class Keys:
    """One key that may read and trade, one that may only read."""

    def find(self, api_key: str) -> Key | None:
        """The key of that name."""
        rights = {API_KEY: frozenset(Permission), "r" * 64: frozenset((Permission.READ,))}.get(api_key)
        return None if rights is None else Key(api_key, SECRET, 16, rights)


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
    return authenticate(Keys(), [key], parse(query, b""), permission, 1_000_000)


def refusal(query: str, **options: object) -> tuple[int, int, str]:
    """(status, code, msg) of a query that is refused."""
    with pytest.raises(Refusal) as caught:
        call(query, **options)  # type: ignore[arg-type]  # options of `call`
    return caught.value.status, caught.value.code, caught.value.msg


@pytest.mark.parametrize(("payload", "signature"), VECTORS)
def test_vector_of_the_documents_matches(payload: str, signature: str) -> None:
    assert signature_matches(SECRET, payload.encode(), signature)
    assert signature_matches(SECRET, payload.encode(), signature.upper())


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
    assert not signature_matches(SECRET, VECTORS[0][0].encode(), wrong)


def test_flipping_any_character_of_payload_or_signature_breaks_it() -> None:
    payload, signature = VECTORS[0]
    for place in range(len(payload)):
        changed = payload[:place] + chr(ord(payload[place]) ^ 1) + payload[place + 1 :]
        assert not signature_matches(SECRET, changed.encode(), signature)
    for place in range(len(signature)):
        changed = signature[:place] + ("0" if signature[place] != "0" else "1") + signature[place + 1 :]
        assert not signature_matches(SECRET, payload.encode(), changed)


@pytest.mark.parametrize("split", [0, 13, 40, 95])
@pytest.mark.usefixtures("clock")
def test_parameters_split_between_query_and_body_are_signed_without_anything_between(split: int) -> None:
    pieces = ORDER.format("LTCBTC").split("&")
    cut = min(split // 13, len(pieces))
    query, body = "&".join(pieces[:cut]), "&".join(pieces[cut:])
    signature = hmac.digest(SECRET.encode(), (query + body).encode(), "sha256").hex()
    signed = parse(query, f"{body}&signature={signature}".encode() if body else f"signature={signature}".encode())
    assert authenticate(Keys(), [API_KEY], signed, Permission.TRADE, 1_000_000).key.account == 16


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
    assert refusal(query, key="r" * 64) == denied
    assert call(query, key="r" * 64, permission=Permission.READ).key.account == 16


@pytest.mark.parametrize("keys", [[], [API_KEY, API_KEY], ["short"], ["x" * 129], ["a b" * 20], ["é" * 64], [""]])
@pytest.mark.usefixtures("clock")
def test_key_header_missing_twice_or_malformed_is_refused(keys: list[str]) -> None:
    with pytest.raises(Refusal) as caught:
        authenticate(Keys(), keys, parse(f"timestamp={NOW_US}&signature=00", b""), Permission.READ, 1_000_000)
    assert (caught.value.status, caught.value.code) == (401, -2014)
