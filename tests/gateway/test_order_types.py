"""Which parameters each order type takes and needs, and the command that a form becomes or what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.codes import OrderType, PegType, TimeInForce
from exchange.gateway.catalogue import TYPES
from exchange.gateway.errors import Refusal
from tests.gateway.forms import KEY, fields_of, place

Changes = dict[str, str | None]
BARE: Changes = {"timeInForce": None, "price": None}
STOP: Changes = {"type": "STOP_LOSS", **BARE, "stopPrice": "90"}
STOP_LIMIT: Changes = {"type": "STOP_LOSS_LIMIT", "stopPrice": "90"}
MAKER: Changes = {"type": "LIMIT_MAKER", "timeInForce": None}
PEGGED: Changes = {"price": None, "pegPriceType": "PRIMARY_PEG"}
MARKET: Changes = {"type": "MARKET", **BARE}
COMBINATION = (-1014, "Unsupported order combination")


def mandatory(name: str) -> tuple[int, str]:
    return -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."


def not_required(name: str) -> tuple[int, str]:
    return -1106, f"Parameter '{name}' sent when not required."


def failed(name: str) -> tuple[int, str]:
    return -1013, f"Filter failure: {name}"


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        (STOP, {"order_type": 4, "time_in_force": 2, "price_ticks": 0, "stop_price_ticks": 9_000}),
        ({**STOP, "type": "TAKE_PROFIT"}, {"order_type": 6, "stop_price_ticks": 9_000}),
        (STOP_LIMIT, {"order_type": 5, "time_in_force": 1, "price_ticks": 10_000, "stop_price_ticks": 9_000}),
        ({**STOP_LIMIT, "type": "TAKE_PROFIT_LIMIT", "timeInForce": "FOK"}, {"order_type": 7, "time_in_force": 3}),
        (
            {**STOP_LIMIT, "timeInForce": "GTD", "goodTillDate": "1800000000000"},
            {"time_in_force": TimeInForce.GTD, "expire_ts_ns": 1_800_000_000_000_000_000},
        ),
        ({**STOP, "stopPrice": None, "trailingDelta": "250"}, {"stop_price_ticks": 0, "trailing_bips": 250}),
        ({**STOP_LIMIT, "trailingDelta": "9999"}, {"stop_price_ticks": 9_000, "trailing_bips": 9_999}),
        ({**STOP_LIMIT, "icebergQty": "0.1"}, {"iceberg_lots": 10_000}),
        ({"icebergQty": "0.001"}, {"iceberg_lots": 100, "qty_lots": 100_000}),
        ({"icebergQty": "1"}, {"iceberg_lots": 100_000}),
        ({**MAKER, "icebergQty": "0.5"}, {"order_type": 3, "time_in_force": 1, "iceberg_lots": 50_000}),
        (PEGGED, {"price_ticks": 0, "peg_type": PegType.PRIMARY_PEG, "peg_offset_levels": 0}),
        (
            {**PEGGED, "pegPriceType": "MARKET_PEG", "timeInForce": "IOC"},
            {"peg_type": PegType.MARKET_PEG, "time_in_force": 2},
        ),
        (
            {**PEGGED, "pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": "100"},
            {"peg_type": PegType.PRIMARY_PEG, "peg_offset_levels": 100},
        ),
        ({**MAKER, **PEGGED}, {"order_type": OrderType.LIMIT_MAKER, "peg_type": 1}),
        ({**STOP_LIMIT, **PEGGED, "trailingDelta": "1"}, {"price_ticks": 0, "peg_type": 1, "trailing_bips": 1}),
    ],
)
def test_a_right_form_becomes_its_command(changes: Changes, fields: dict[str, int]) -> None:
    command = fields_of(place(changes))
    assert {name: command[name] for name in fields} == fields
    assert (command["key"], command["account"]) == (KEY.number, KEY.account)
    assert command["list_role"] == command["flags"] == 0


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"stopPrice": "90"}, not_required("stopPrice")),
        ({"trailingDelta": "10"}, not_required("trailingDelta")),
        ({**MAKER, "stopPrice": "90"}, not_required("stopPrice")),
        *[
            ({**MARKET, name: text}, not_required(name))
            for name, text in {
                "timeInForce": "IOC",
                "price": "100",
                "stopPrice": "90",
                "trailingDelta": "10",
                "icebergQty": "0.1",
                "pegPriceType": "MARKET_PEG",
                "goodTillDate": "1800000000000",
            }.items()
        ],
        *[
            ({**STOP, name: text}, not_required(name))
            for name, text in {
                "timeInForce": "GTC",
                "price": "100",
                "quoteOrderQty": "10",
                "icebergQty": "0.1",
                "pegPriceType": "MARKET_PEG",
            }.items()
        ],
        ({**STOP_LIMIT, "quoteOrderQty": "10"}, not_required("quoteOrderQty")),
        ({**STOP_LIMIT, "goodTillDate": "1800000000000"}, not_required("goodTillDate")),
        ({"strategyId": "1"}, not_required("strategyId")),
        ({"strategyType": "1000000"}, not_required("strategyType")),
        ({**STOP, "quantity": None}, mandatory("quantity")),
        ({**STOP_LIMIT, "price": None}, mandatory("price")),
        ({**STOP_LIMIT, "timeInForce": None}, mandatory("timeInForce")),
        (
            {**STOP, "stopPrice": None},
            (-1102, "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!"),
        ),
        ({"type": "STOP"}, (-1116, "Invalid orderType.")),
    ],
)
def test_each_type_takes_and_needs_its_parameters(changes: Changes, refusal: tuple[int, str]) -> None:
    assert refused(changes) == refusal


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({**STOP, "stopPrice": "90.001"}, failed("PRICE_FILTER")),
        ({**STOP, "stopPrice": "0"}, failed("PRICE_FILTER")),
        ({**STOP, "stopPrice": "9000000"}, failed("PRICE_FILTER")),
        ({**STOP, "stopPrice": "90.000000001"}, (-1111, "Parameter 'stopPrice' has too much precision.")),
        ({**STOP_LIMIT, "quantity": "0.00001"}, failed("NOTIONAL")),
        ({**STOP, "trailingDelta": "0"}, failed("TRAILING_DELTA")),
        ({**STOP, "trailingDelta": "10000"}, failed("TRAILING_DELTA")),
        ({"icebergQty": "0"}, failed("LOT_SIZE")),
        ({"icebergQty": "0.000001"}, failed("LOT_SIZE")),
        ({"icebergQty": "1.00001"}, (-2010, "IcebergQty exceeds QTY.")),
        ({"icebergQty": "0.00099"}, failed("ICEBERG_PARTS")),
        ({"icebergQty": "0.1", "timeInForce": "IOC"}, COMBINATION),
        ({**STOP_LIMIT, "icebergQty": "0.1", "timeInForce": "FOK"}, COMBINATION),
        ({**PEGGED, "price": "100"}, not_required("price")),
        ({**PEGGED, "timeInForce": "IOC"}, COMBINATION),
        ({**MAKER, **PEGGED, "pegPriceType": "MARKET_PEG"}, COMBINATION),
        ({**PEGGED, "pegPriceType": "MID"}, (-1210, "Invalid pegPriceType.")),
        ({**PEGGED, "pegOffsetType": "TICKS", "pegOffsetValue": "1"}, (-1211, "Invalid pegOffsetType.")),
        ({**PEGGED, "pegOffsetType": "PRICE_LEVEL"}, mandatory("pegOffsetValue")),
        ({**PEGGED, "pegOffsetValue": "1"}, mandatory("pegOffsetType")),
        (
            {**PEGGED, "pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": "101"},
            (-1108, "Parameter 'pegOffsetValue' must be from 0 to 100."),
        ),
        ({"pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": "1"}, not_required("pegOffsetType")),
    ],
)
def test_terms_are_well_formed_and_within_the_filters(changes: Changes, refusal: tuple[int, str]) -> None:
    assert refused(changes) == refusal


def refused(changes: Changes) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        place(changes)
    assert caught.value.status == 400
    return caught.value.code, caught.value.msg


@pytest.mark.parametrize(
    ("changes", "answer"),
    [({}, "FULL"), (MARKET, "FULL"), (MAKER, "ACK"), (STOP, "ACK"), (STOP_LIMIT, "ACK"), (PEGGED, "FULL")],
)
def test_how_much_is_answered_depends_on_the_type(changes: Changes, answer: str) -> None:
    assert place(changes).answer == answer
    assert place({**changes, "newOrderRespType": "RESULT"}).answer == "RESULT"


def test_every_type_of_the_engine_has_its_name() -> None:
    expected: dict[str, Any] = {order_type.name: int(order_type) for order_type in OrderType}
    assert expected == TYPES
