"""The two writers of decimals: equal to each other and to Decimal."""

from __future__ import annotations

import random
from decimal import Decimal

import numpy as np
import orjson
import pytest

from exchange.marketdata.messages import close_frame, text_frame
from exchange.marketdata.text import BINANCE_DECIMALS, LEVEL_TEXT_BYTES, binance_text, decimal_text, levels_text

VALUES = [0, 1, 9, 10, 99, 100, 12_345, 10**17, 10**18, 10**18 - 1, (1 << 62) - 1]


@pytest.mark.parametrize("scale", [0, 1, 2, 8, 17, 18])
def test_both_decimal_writers_for_every_scale_agree_with_decimal(scale: int) -> None:
    pick = random.Random(scale)
    values = VALUES + [pick.randrange(1 << pick.randrange(1, 63)) for _ in range(200)]
    prices, lots = np.array(values, dtype=np.int64), np.array(values[::-1], dtype=np.int64)
    text, starts, ends = levels_text(prices, lots, scale, 18 - scale)
    assert len(text) <= len(values) * LEVEL_TEXT_BYTES
    for price, quantity, start, end in zip(values, values[::-1], starts, ends, strict=True):
        written = orjson.loads(text[start:end])
        assert written == [decimal_text(price, scale), decimal_text(quantity, 18 - scale)]
        assert Decimal(written[0]) == Decimal(price).scaleb(-scale)
        assert len(written[0].partition(".")[2]) == scale
    assert orjson.loads(b"[" + text + b"]")[-1] == written


@pytest.mark.parametrize("scale", [0, 1, 7, 8, 9, 18])
def test_both_writers_show_at_least_binances_decimals(scale: int) -> None:
    values = np.array([*VALUES, (1 << 63) - 1], dtype=np.int64)
    text, starts, ends = levels_text(values, values[::-1].copy(), scale, 18 - scale, BINANCE_DECIMALS)
    assert len(text) <= len(values) * LEVEL_TEXT_BYTES
    for price, quantity, start, end in zip(values.tolist(), values[::-1].tolist(), starts, ends, strict=True):
        written = orjson.loads(text[start:end])
        assert written == [binance_text(price, scale).decode(), binance_text(quantity, 18 - scale).decode()]
        assert Decimal(written[0]) == Decimal(price).scaleb(-scale)
        assert len(written[0].partition(".")[2]) == max(scale, BINANCE_DECIMALS)


def test_negative_change_keeps_its_sign_when_it_is_below_one() -> None:
    assert decimal_text(-5, 2) == "-0.05"
    assert decimal_text(-512, 2) == "-5.12"


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_text_frame_of_each_size_class_has_the_length_of_rfc_6455(size: int, head: bytes) -> None:
    assert text_frame(b"x" * size) == head + b"x" * size


def test_close_frame_reason_is_cut_to_a_control_frame() -> None:
    assert len(close_frame(1_008, "x" * 500)) == 2 + 125
