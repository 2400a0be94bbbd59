"""Query and body become one strict set of parameters; the signed bytes are those that came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.gateway.errors import Refusal
from exchange.gateway.parameters import check_names, integer, parse


@pytest.mark.parametrize(
    ("query", "body", "payload"),
    [
        ("a=1&b=2&signature=ff", b"", b"a=1&b=2"),
        ("signature=ff&a=1", b"", b"a=1"),
        ("a=1&signature=ff&b=2", b"", b"a=1&b=2"),
        ("", b"a=1&b=2&signature=ff", b"a=1&b=2"),
        ("", b"signature=ff&a=1&b=2", b"a=1&b=2"),
        ("a=1", b"b=2&signature=ff", b"a=1b=2"),
        ("a=1&signature=ff", b"b=2", b"a=1b=2"),
        ("signature=ff", b"a=1", b"a=1"),
        ("a=1&b=%F0%9F%98%80", b"signature=ff", b"a=1&b=%F0%9F%98%80"),
        ("a=x+y&signature=ff", b"", b"a=x+y"),
    ],
)
def test_payload_is_query_then_body_without_the_signature(query: str, body: bytes, payload: bytes) -> None:
    signed = parse(query, body)
    assert signed.payload == payload
    assert signed.signature == "ff"


@given(
    names=st.lists(st.from_regex(r"\A[a-z]{1,8}\Z"), min_size=1, max_size=8, unique=True),
    values=st.lists(st.text(min_size=1, max_size=12), min_size=8, max_size=8),
    cut=st.integers(0, 8),
    at=st.integers(0, 8),
)
def test_any_split_and_place_of_the_signature_gives_the_same_parameters(
    names: list[str], values: list[str], cut: int, at: int
) -> None:
    from urllib.parse import quote_plus

    pairs = [f"{name}={quote_plus(value)}" for name, value in zip(names, values, strict=False) if name != "signature"]
    expected = {name: value for name, value in zip(names, values, strict=False) if name != "signature"}
    if any(ord(sign) < 32 or ord(sign) == 127 for value in expected.values() for sign in value):
        with pytest.raises(Refusal):
            parse("&".join(pairs), b"")
        return
    payload = "&".join(pairs[:cut]) + "&".join(pairs[cut:])
    pieces = [*pairs[:cut], None, *pairs[cut:]]
    pieces.insert(min(at, len(pieces)), "signature=00")
    split = pieces.index(None)
    query, body = ("&".join(piece for piece in part if piece) for part in (pieces[:split], pieces[split + 1 :]))
    signed = parse(query, body.encode())
    assert signed.params == {**expected, "signature": "00"}
    assert signed.payload.decode() == payload


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("a=1&a=1", b"", -1101),
        ("a=1", b"a=1", -1101),
        ("a=1", b"%61=2", -1101),
        ("signature=1&signature=2", b"", -1101),
        ("signature=1", b"signature=2", -1101),
        ("a", b"", -1100),
        ("=1", b"", -1100),
        ("a=1&", b"", -1100),
        ("&a=1", b"", -1100),
        ("a=1&&b=2", b"", -1100),
        ("a=%", b"", -1100),
        ("a=%zz", b"", -1100),
        ("a=%ff", b"", -1100),
        ("a=%ed%a0%80", b"", -1100),
        ("a=%00", b"", -1100),
        ("a=%0a", b"", -1100),
        ("a%0d=1", b"", -1100),
        ("a=1", b"\xff=1", -1100),
        ("a=\u0663", b"", -1100),
        ("", b"a=1\n", -1100),
        ("", b'{"a": 1}', -1100),
        ("", b"\x00", -1100),
    ],
)
def test_anything_but_name_and_value_once_is_refused(query: str, body: bytes, code: int) -> None:
    with pytest.raises(Refusal) as caught:
        parse(query, body)
    assert (caught.value.status, caught.value.code) == (400, code)


def test_names_of_an_endpoint_are_all_it_takes() -> None:
    check_names({"a": "1"}, frozenset("ab"))
    with pytest.raises(Refusal, match=r"^An unknown parameter was sent: 'c'\.$"):
        check_names({"a": "1", "c": "1"}, frozenset("ab"))
    with pytest.raises(Refusal, match=r"'\?'"):
        check_names({"<script>": "1"}, frozenset("ab"))


@pytest.mark.parametrize(("name", "code"), [("a", -1105), ("newClientOrderId", -1118), ("origClientOrderId", -1119)])
def test_empty_value_is_refused_with_the_code_of_its_parameter(name: str, code: int) -> None:
    with pytest.raises(Refusal) as caught:
        check_names({name: ""}, frozenset((name,)))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [("0", -1108), ("9223372036854775808", -1108), ("1" * 21, -1100), ("-1", -1100), ("1.0", -1100), ("٣", -1100)],
)
def test_integer_outside_its_range_or_pattern_is_refused(text: str, code: int) -> None:
    with pytest.raises(Refusal) as caught:
        integer({"orderId": text}, "orderId", low=1)
    assert caught.value.code == code
