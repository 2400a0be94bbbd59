"""docs/binance.md judges every piece of Binance's contract, and its verdicts are those of the server.

The pieces are listed here, because the contract is Binance's and not ours to keep.
"""

from __future__ import annotations

import pathlib
import re
from typing import NamedTuple

import pytest

from exchange.gateway.routes import ROUTES
from exchange.gateway.ws_api.methods import ENDPOINTS as METHODS_THAT_ARE_ENDPOINTS
from exchange.marketdata.names import parse_name
from tests.style import source

PAGE = pathlib.PurePosixPath("docs/binance.md")
VERDICTS = ("same", "different", "absent")


def words(text: str) -> set[str]:
    """The words of a text."""
    return set(text.split())


ENDPOINTS = {
    *(f"GET /api/v3/{path}" for path in words("ping time exchangeInfo depth trades historicalTrades aggTrades")),
    *(f"GET /api/v3/{path}" for path in words("klines uiKlines avgPrice ticker ticker/24hr ticker/price")),
    *(f"GET /api/v3/{path}" for path in words("ticker/bookTicker order openOrders allOrders myTrades account")),
    *(f"GET /api/v3/{path}" for path in words("account/commission rateLimit/order myFilters order/amendments")),
    *(f"GET /api/v3/{path}" for path in words("myPreventedMatches myAllocations openOrderList")),
    *(f"GET /api/v3/{path}" for path in words("executionRules referencePrice referencePrice/calculation")),
    *(f"POST /api/v3/{path}" for path in words("order order/test order/cancelReplace userDataStream")),
    *(f"POST /api/v3/orderList/{path}" for path in words("oco oto otoco opo opoco")),
    *(f"DELETE /api/v3/{path}" for path in words("order openOrders orderList userDataStream")),
    *(f"PUT /api/v3/{path}" for path in words("order/amend/keepPriority userDataStream")),
    *(f"GET /sapi/v1/{path}" for path in words("system/status capital/config/getall capital/deposit/address")),
    *(f"GET /sapi/v1/{path}" for path in words("capital/deposit/hisrec capital/withdraw/history asset/tradeFee")),
    *(f"GET /sapi/v1/{path}" for path in words("account/status account/apiRestrictions spot/delist-schedule")),
    *(f"GET /sapi/v1/{path}" for path in words("margin/allPairs margin/isolated/allPairs asset/transfer")),
    *words("POST_/sapi/v1/capital/withdraw/apply GET_/fapi/v1/exchangeInfo GET_/dapi/v1/exchangeInfo"),
}
ENDPOINTS = {endpoint.replace("_/", " /") for endpoint in ENDPOINTS}
STREAMS = {
    *(f"<symbol>@{name}" for name in words("depth depth@100ms depth5 depth10 depth20 depth5@100ms depth10@100ms")),
    *(f"<symbol>@{name}" for name in words("depth20@100ms trade aggTrade kline_<interval> kline_<interval>@+08:00")),
    *(f"<symbol>@{name}" for name in words("ticker miniTicker bookTicker avgPrice ticker_<window> referencePrice")),
    *words("!miniTicker@arr !ticker@arr !ticker_<window>@arr <listenKey>"),
}
METHODS = {
    *words("ping time exchangeInfo depth order.place order.test order.cancel order.status order.cancelReplace"),
    *words("order.amend.keepPriority openOrders.status openOrders.cancelAll account.status myTrades allOrders"),
    *words("session.logon session.subscriptions userDataStream.subscribe userDataStream.subscribe.signature"),
    *words("userDataStream.unsubscribe klines avgPrice ticker.24hr ticker.price ticker.book trades.recent"),
    *words("executionRules referencePrice referencePrice.calculation"),
    *words("trades.historical trades.aggregate ticker uiKlines account.commission account.rateLimits.orders"),
}
EVENTS = words(
    "executionReport outboundAccountPosition balanceUpdate listStatus eventStreamTerminated externalLockUpdate"
    " listenKeyExpired serverShutdown"
)
FILTERS = {
    *words("PRICE_FILTER PERCENT_PRICE PERCENT_PRICE_BY_SIDE LOT_SIZE MARKET_LOT_SIZE MIN_NOTIONAL NOTIONAL"),
    *words("ICEBERG_PARTS MAX_POSITION TRAILING_DELTA MAX_ASSET MAX_NUM_ORDERS MAX_NUM_ALGO_ORDERS"),
    *words("MAX_NUM_ICEBERG_ORDERS MAX_NUM_ORDER_LISTS MAX_NUM_ORDER_AMENDS EXCHANGE_MAX_NUM_ORDERS"),
    *words("EXCHANGE_MAX_NUM_ALGO_ORDERS EXCHANGE_MAX_NUM_ICEBERG_ORDERS EXCHANGE_MAX_NUM_ORDER_LISTS"),
}
_CODES = (
    *(1000, 1001, 1002, 1003, 1006, 1007, 1008, 1013, 1014, 1015, 1016, 1020, 1021, 1022),
    *range(1100, 1107), *(1108, 1111, 1112), *range(1114, 1123), *(1125, 1127, 1128, 1130),
    *(1134, 1135, 1139, 1145, 1151, *range(1158, 1169), 1194, *range(1196, 1200)),
    *(1210, 1211, *range(1220, 1226)),
    *(2010, 2011, 2013, 2014, 2015, 2016, 2021, 2022, 2026, 2035, 2036, 2038, 2039, 2042, 2043),
)  # fmt: skip
CODES = {f"-{code}" for code in _CODES}


OURS = {"-2090"}
"""Codes that Binance does not have, among those that look like its own."""


class Row(NamedTuple):
    """What the page says of one piece."""

    verdict: str
    why: str


def rows(section: str) -> dict[str, Row]:
    """The pieces of a section; a piece that stands twice fails."""
    text = source.text(PAGE)
    body = text.split(f"\n## {section}", 1)[1].split("\n## ", 1)[0]
    found: dict[str, Row] = {}
    for first, verdict, why in re.findall(r"^\| (.+?) \| (.*?) \|(.*)\|$", body, re.MULTILINE):
        for piece in re.findall(r"`([^`]+)`", first):
            assert piece not in found, f"{piece} stands twice"
            found[piece] = Row(verdict, why.strip())
    return found


REST = {**rows("3. "), **rows("4. "), **rows("5. ")}
SECTIONS = {
    "endpoints": (REST, ENDPOINTS),
    "streams": (rows("6. "), STREAMS),
    "methods": (rows("7. "), METHODS),
    "events": (rows("8. "), EVENTS),
    "filters": (rows("9. "), FILTERS),
    "codes": (rows("10. "), CODES),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_page_judges_every_piece_of_the_contract(name: str) -> None:
    judged, contract = SECTIONS[name]
    assert contract - judged.keys() == set()
    assert {piece: row.verdict for piece, row in judged.items() if row.verdict not in VERDICTS} == {}
    assert [piece for piece, row in judged.items() if row.verdict != "same" and not row.why] == []


def test_page_finds_the_endpoints_that_the_server_has() -> None:
    served = {f"{route.method} {route.path}" for route in ROUTES if not route.path.startswith(("/v1", "/health"))}
    assert {endpoint for endpoint, row in REST.items() if row.verdict != "absent"} == served


def test_page_finds_the_codes_that_the_server_gives() -> None:
    code = re.compile(r"(?<![\w.])-(?:1\d{3}|20\d{2})\b")
    given = {text for path in source.modules("exchange") for text in code.findall(source.text(path))}
    judged = SECTIONS["codes"][0]
    assert {text for text, row in judged.items() if row.verdict != "absent"} == given - OURS


def literals() -> set[str]:
    """Every string in the code of the exchange, docstrings aside."""
    found: set[str] = set()
    for path in source.modules("exchange"):
        prose = source.docstrings(source.tree(path))
        found |= {value for _, value in source.strings(source.tree(path)) if value not in prose}
    return found


def test_page_finds_the_streams_that_the_server_has() -> None:
    judged = SECTIONS["streams"][0]
    names = {
        stream: stream.replace("<symbol>", "btcusdt").replace("<interval>", "1m").replace("<window>", "1h")
        for stream in judged.keys() - {"<listenKey>"}
    }
    served = {stream for stream, name in names.items() if parse_name(name) is not None}
    assert {stream for stream in names if judged[stream].verdict != "absent"} == served


def test_page_finds_the_methods_that_the_server_has() -> None:
    judged = SECTIONS["methods"][0]
    served = set(METHODS_THAT_ARE_ENDPOINTS)
    served |= {text for text in literals() if re.fullmatch(r"(session|userDataStream)\.[a-zA-Z.]+", text)}
    assert {method for method, row in judged.items() if row.verdict != "absent"} == served


def test_page_finds_the_events_that_the_server_sends() -> None:
    judged, code = SECTIONS["events"][0], "\n".join(literals())
    named = {event for event in judged if re.search(rf"\b{event}\b", code)}
    assert {event for event, row in judged.items() if row.verdict != "absent"} == named


def test_page_finds_the_filters_that_the_server_has() -> None:
    judged = SECTIONS["filters"][0]
    assert {name for name, row in judged.items() if row.verdict != "absent"} == judged.keys() & literals()
