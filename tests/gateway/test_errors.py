"""The table of refusals is total over the engine's RejectCodes and keeps the texts that clients match on."""

from __future__ import annotations

import pytest

from exchange.core.codes import CommandKind, RejectCode
from exchange.gateway.errors import PROBLEMS, refused


def test_every_reject_code_has_a_status_a_code_and_a_text() -> None:
    assert set(PROBLEMS) == set(RejectCode)
    for reject, problem in PROBLEMS.items():
        assert problem.code < 0
        assert problem.msg
        assert 400 <= problem.status < 500 or reject is RejectCode.NONE


@pytest.mark.parametrize(
    ("reject", "kind", "status", "code", "msg"),
    [
        (
            RejectCode.INSUFFICIENT_BALANCE,
            "PLACE",
            400,
            -2010,
            "Account has insufficient balance for requested action.",
        ),
        (RejectCode.WOULD_TAKE, "PLACE", 400, -2010, "Order would immediately match and take."),
        (RejectCode.CLIENT_ORDER_ID_CONFLICT, "PLACE", 409, -2010, "Duplicate order sent."),
        (RejectCode.UNKNOWN_ORDER, "CANCEL", 400, -2011, "Unknown order sent."),
        (RejectCode.SYMBOL_CLOSED, "PLACE", 400, -2010, "Market is closed."),
        (RejectCode.SYMBOL_CLOSED, "CANCEL", 400, -2011, "Market is closed."),
        (RejectCode.PRICE_OFF_TICK, "PLACE", 400, -1013, "Filter failure: PRICE_FILTER"),
        (RejectCode.QUANTITY_TOO_LOW, "PLACE", 400, -1013, "Filter failure: LOT_SIZE"),
        (RejectCode.NOTIONAL_TOO_LOW, "PLACE", 400, -1013, "Filter failure: NOTIONAL"),
        (RejectCode.TOO_MANY_ORDERS, "PLACE", 400, -1013, "Filter failure: MAX_NUM_ORDERS"),
        (RejectCode.UNKNOWN_SYMBOL, "PLACE", 400, -1121, "Invalid symbol."),
        (RejectCode.WOULD_TRIGGER, "PLACE", 400, -2010, "Order would trigger immediately."),
        (RejectCode.INVALID_TRAILING, "PLACE", 400, -1013, "Filter failure: TRAILING_DELTA"),
        (RejectCode.INVALID_ICEBERG, "PLACE", 400, -1013, "Filter failure: ICEBERG_PARTS"),
        (RejectCode.PRICE_OUT_OF_COLLAR, "PLACE", 400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (RejectCode.TOO_MANY_ALGO_ORDERS, "PLACE", 400, -1013, "Filter failure: MAX_NUM_ALGO_ORDERS"),
        (RejectCode.TOO_MANY_ICEBERGS, "PLACE", 400, -1013, "Filter failure: MAX_NUM_ICEBERG_ORDERS"),
        (RejectCode.POSITION_TOO_HIGH, "PLACE", 400, -1013, "Filter failure: MAX_POSITION"),
        (RejectCode.TOO_MANY_LISTS, "PLACE", 400, -1013, "Filter failure: MAX_NUM_ORDER_LISTS"),
        (
            RejectCode.INVALID_LIST,
            "PLACE",
            400,
            -2010,
            "The relationship of the prices for the orders is not correct.",
        ),
        (
            RejectCode.ORDER_RATE_TOO_HIGH,
            "PLACE",
            429,
            -1015,
            "Too many new orders; the account has placed as many as it may in its window.",
        ),
    ],
)
def test_refusal_of_the_engine_has_the_text_that_clients_match_on(
    reject: RejectCode, kind: str, status: int, code: int, msg: str
) -> None:
    refusal = refused(reject, CommandKind[kind])
    assert (refusal.status, refusal.code, refusal.msg) == (status, code, msg)
    assert refusal.body() == {"code": code, "msg": msg, "outcome": "rejected"}
