"""What a message says, and the bytes that are signed: the contract's vector, raw numbers, ids, everything malformed."""

from __future__ import annotations

import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.gateway.errors import Refusal
from exchange.gateway.ws_api.messages import Unreadable, read, refusal_answer, signed
from tests.gateway.ws_api.client import payload_of

SECRET = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
VECTOR = (
    '{"id":"4885f793-e5ad-4c3b-8f6c-55d891472b71","method":"order.place","params":{"symbol":"BTCUSDT","side":"SELL",'
    '"type":"LIMIT","timeInForce":"GTC","quantity":"0.01000000","price":"52000.00","recvWindow":100,'
    '"timestamp":1645423376532,"apiKey":"vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",'
    '"signature":"aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"}}'
)


def params(text: str) -> dict[str, str]:
    """The parameters of a message whose `params` are written like this."""
    return read('{"id":1,"method":"m","params":' + text + "}").params


def unreadable(message: str) -> tuple[bytes, int]:
    """(id to answer with, code)."""
    with pytest.raises(Unreadable) as caught:
        read(message)
    return caught.value.id, caught.value.refusal.code


def test_vector_of_the_contract_is_signed_like_there() -> None:
    request = read(VECTOR)
    found = signed(request.params)
    assert request.id == b'"4885f793-e5ad-4c3b-8f6c-55d891472b71"'
    assert hmac.digest(SECRET, found.payload, "sha256").hex() == found.signature
    assert found.payload.startswith(b"apiKey=vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A&price=5")


@pytest.mark.parametrize(
    "number", ["0.001", "0.10", "1e-05", "1E5", "0", "-0", "-0.0", "1.0", "12345678901234567890123456789", "-7"]
)
def test_number_keeps_its_text(number: str) -> None:
    assert params(f'{{"quantity":{number}}}') == {"quantity": number}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("true", "true"),
        ("false", "false"),
        ('["BTCUSDT","ETHUSDT"]', '["BTCUSDT","ETHUSDT"]'),
        ('[ "BTCUSDT" ]', '[ "BTCUSDT" ]'),
        ('{"a":1.50}', '{"a":1.50}'),
        ('"текст"', "текст"),
        ('"\\u0442"', "т"),
        ('"50%"', "50%"),
    ],
)
def test_value_that_is_no_number_is_its_text(value: str, text: str) -> None:
    found = params(f'{{"timestamp":5,"a":{value},"z":0}}')
    assert found == {"timestamp": "5", "a": text, "z": "0"}
    assert signed(found).payload == f"a={text}&timestamp=5&z=0".encode()


def test_signature_covers_names_in_order_and_nothing_else() -> None:
    assert signed({"b": "2", "signature": "x", "a": "1", "B": "3"}).payload == b"B=3&a=1&b=2"
    assert signed({"signature": "x"}).payload == b""
    assert signed({"a%s": "%d"}).payload == b"a%s=%d"
    assert signed({}).signature == ""


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20),
        st.one_of(
            st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20),
            st.integers(-(10**30), 10**30),
            st.booleans(),
            st.lists(st.integers(0, 9), max_size=3),
        ),
        max_size=8,
    )
)
def test_whatever_is_sent_is_signed_as_the_client_signs_it(sent: dict[str, object]) -> None:
    sent.pop("signature", None)
    found = params(json.dumps(sent, ensure_ascii=False))
    assert signed(found).payload.decode() == payload_of(sent)


@pytest.mark.parametrize(
    "named",
    ["1", "0", "-1", "9223372036854775807", "-9223372036854775808", '"1"', '"a-b"', '""', f'"{"é" * 36}"', "null"],
)
def test_id_is_echoed_unchanged(named: str) -> None:
    assert read(f'{{"id":{named},"method":"ping"}}').id == named.encode()


@pytest.mark.parametrize(
    "named", ["9223372036854775808", "-9223372036854775809", "1.0", "1e3", "true", "[]", "{}", f'"{"a" * 37}"']
)
def test_id_of_another_kind_is_refused(named: str) -> None:
    assert unreadable(f'{{"id":{named},"method":"ping"}}') == (b"null", -1130)


def test_message_without_an_id_is_answered_without_one() -> None:
    assert read('{"method":"ping"}').id == b"null"


@pytest.mark.parametrize(
    ("message", "named", "code"),
    [
        ("", b"null", -1135),
        ("{", b"null", -1135),
        ('{"id":1,"method":"ping"} x', b"null", -1135),
        ('{"id":1,"method":"ping","params":{"a":01}}', b"null", -1135),
        ('{"id":1,"method":"ping","params":{"a":NaN}}', b"null", -1135),
        ('{"id":1,"method":"ping","params":{"a":"\n"}}', b"null", -1135),
        ('{"id":1,"method":"ping","params":{"a":"\\ud800"}}', b"null", -1135),
        ('{"id":1,"method":"m","params":{"a":' + "[" * 6000 + "]" * 6000 + "}}", b"null", -1135),
        ("[]", b"null", -1135),
        ("null", b"null", -1135),
        ("17", b"null", -1135),
        ('{"id":1}', b"1", -1102),
        ('{"id":"x","params":{}}', b'"x"', -1102),
        ('{"id":1,"method":5}', b"1", -1135),
        ('{"id":1,"method":null}', b"1", -1135),
        ('{"id":1,"method":"ping","params":[]}', b"1", -1135),
        ('{"id":1,"method":"ping","params":null}', b"1", -1135),
        ('{"id":1,"method":"ping","more":1}', b"1", -1135),
        ('{"id":1.5,"method":"ping","more":1}', b"null", -1135),
        ('{"id":1,"method":"ping","params":{"a":null}}', b"1", -1102),
        ('{"id":1,"method":"ping","params":{"a":"\\n"}}', b"1", -1100),
        ('{"id":1,"method":"ping","params":{"a\\u0000":"b"}}', b"1", -1100),
        ('{"id":1,"method":"ping","params":{"a":"\x7f"}}', b"1", -1100),
    ],
)
def test_malformed_message_is_refused_under_its_id(message: str, named: bytes, code: int) -> None:
    assert unreadable(message) == (named, code)


def test_escape_that_is_no_control_character_is_allowed() -> None:
    assert params('{"a":"\\u0041\\/"}') == {"a": "A/"}


def test_of_a_name_that_stands_twice_the_last_counts_for_both() -> None:
    found = params('{"a":"1","a":2}')
    assert found == {"a": "2"}
    assert signed(found).payload == b"a=2"


def test_refusal_that_says_when_to_come_back_has_data() -> None:
    answer = json.loads(refusal_answer(b"7", Refusal(429, -1003, "Too much.", retry_after_s=30), b""))
    data = answer["error"].pop("data")
    assert answer == {"id": 7, "status": 429, "error": {"code": -1003, "msg": "Too much.", "outcome": "rejected"}}
    assert data["retryAfter"] - data["serverTime"] == 30_000
