"""Decimal strings and grids: exact, strict, and each other's inverse."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.gateway.amounts import Grid
from exchange.gateway.errors import Refusal

NASTY = [
    "", " ", "1 ", " 1", "1\n", "\t1", "+1", "-1", "-0", "1_000", "1,5", "1.", ".5", ".", "1..2", "1.2.3", "1e5", "1E5",
    "1e-05", "0x10", "0b1", "0o7", "NaN", "nan", "inf", "Infinity", "-Infinity", "1e400", "null", "None", "true", "[1]",
    "{}", '"1"', "٣", "１", "²", "½", "१", "1\u00a0", "1\u200b", "\ufeff1", "1\x00", "\x001", "0" * 21, "9" * 21,
    "9" * 5000, "1." + "0" * 21, "1%2E5", "1;2", "1/2", "0,1", "'1'", "1$", "0x1p3", "1l", "1f", "\ud800", "--1", "1-",
    "∞", "一", "1\r\n",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_text_outside_the_pattern_is_refused_as_illegal_characters(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        Grid(2, 8, 8).units(text, "price", "PRICE_FILTER")
    assert (caught.value.status, caught.value.code) == (400, -1100)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("0", 0), ("0.00", 0), ("000", 0), ("1", 100), ("1.5", 150), ("1.50000000", 150), ("00001.25", 125),
        ("9223372036854775807", 922337203685477580700), ("18446744073709551616", 1844674407370955161600),
        ("99999999999999999999", 9999999999999999999900), ("0.01", 1), ("1.00000000000000000000", 100),
    ],
)  # fmt: skip
def test_text_on_the_grid_gives_its_exact_units(text: str, units: int) -> None:
    grid = Grid(2, 8, 8)
    assert grid.units(text, "price", "PRICE_FILTER") == units
    assert grid.units(text, "price", "PRICE_FILTER") == units  # and again, now remembered


@pytest.mark.parametrize(
    ("text", "code", "msg"),
    [
        ("0.000000001", -1111, "Parameter 'price' has too much precision."),
        ("1.00000000000000000001", -1111, "Parameter 'price' has too much precision."),
        ("0.001", -1013, "Filter failure: PRICE_FILTER"),
        ("60000.12345678", -1013, "Filter failure: PRICE_FILTER"),
    ],
)
def test_text_off_the_grid_is_precision_or_filter(text: str, code: int, msg: str) -> None:
    with pytest.raises(Refusal) as caught:
        Grid(2, 8, 8).units(text, "price", "PRICE_FILTER")
    assert (caught.value.code, caught.value.msg) == (code, msg)


@given(units=st.integers(0, 2**62), scale=st.integers(0, 18), more=st.integers(0, 8))
def test_text_of_units_reads_back_as_the_same_units(units: int, scale: int, more: int) -> None:
    grid = Grid(scale, scale + more, scale + more)
    text = grid.text(units)
    assert Fraction(text) == Fraction(units, 10**scale)
    assert len(text.partition(".")[2]) == scale + more
    if len(text.partition(".")[0]) <= 20 and scale + more <= 20:
        assert grid.units(text, "quantity", "LOT_SIZE") == units


@given(text=st.from_regex(r"\A[0-9]{1,20}(\.[0-9]{1,20})?\Z"))
def test_accepted_text_equals_its_units_exactly(text: str) -> None:
    grid = Grid(8, 8, 8)
    if len(text.partition(".")[2].rstrip("0")) > 8:
        with pytest.raises(Refusal, match="too much precision"):
            grid.units(text, "quantity", "LOT_SIZE")
    else:
        assert Fraction(grid.units(text, "quantity", "LOT_SIZE"), 10**8) == Fraction(text)


def test_remembered_texts_are_bounded() -> None:
    grid = Grid(2, 8, 8)
    for number in range(10_000):
        grid.units(str(number), "price", "PRICE_FILTER")
    assert len(grid._known) <= 4096
