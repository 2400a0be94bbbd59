"""docs/api.md and the router describe the same endpoints, parameters and codes."""

from __future__ import annotations

import pathlib
import re

from exchange.gateway.errors import PROBLEMS
from exchange.gateway.faces import BINANCE, OURS
from exchange.gateway.routes import ROUTES, SIGNATURE
from exchange.users.keys import Permission

PACKAGE = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = (PACKAGE / "docs" / "api.md").read_text(encoding="utf-8")
OURS_ONLY = [route for route in ROUTES if route.face == OURS]
_ROW = re.compile(r"^\| `(GET|POST|PUT|DELETE) (/[^`]*)` \|(.*)\|$", re.MULTILINE)


def test_page_lists_exactly_the_routes_with_their_permission() -> None:
    listed = {(method, path): rest.split("|")[0].strip() for method, path, rest in _ROW.findall(PAGE)}
    assert set(listed) == {(route.method, route.path) for route in OURS_ONLY}
    for route in OURS_ONLY:
        if route.permission is not None:
            assert Permission(listed[route.method, route.path]) is route.permission


def bare(name: str, leg: str) -> str:
    """What a parameter of a leg is called where an order comes alone."""
    own = name.removeprefix(leg)
    if own == name:
        return name
    return "newClientOrderId" if own == "ClientOrderId" else own[0].lower() + own[1:]


def test_page_names_every_parameter_of_every_route() -> None:
    rows = {(method, path): rest for method, path, rest in _ROW.findall(PAGE)}
    order_form = PAGE[PAGE.index("## 6.") : PAGE.index("## 7.")]
    for route in OURS_ONLY:
        where = rows[route.method, route.path]
        if route.path in ("/v1/order", "/v1/order/test", "/v1/order/cancelReplace") and route.method == "POST":
            where += order_form
        of_legs = re.findall(r"`([a-zA-Z]+)\*`", where) if "/orderList/" in route.path else []
        documented = {name for name in route.parameters if f"`{name}`" in where}
        documented |= {name for leg in of_legs for name in route.parameters if f"`{bare(name, leg)}`" in order_form}
        missing = sorted(route.parameters - SIGNATURE - documented)
        assert missing == [], route.path


def test_page_explains_every_code_that_the_gateway_uses() -> None:
    codes = PAGE[PAGE.index("## 7.") :]
    explained = {int(code) for code in re.findall(r"-[12][0-9]{3}\b", codes)}
    used = {problem.code for problem in PROBLEMS.values()}
    for source in (*PACKAGE.glob("exchange/gateway/*.py"), PACKAGE / "exchange" / "marketdata" / "market.py"):
        used |= {int(code) for code in re.findall(r"-[12][0-9]{3}\b", source.read_text(encoding="utf-8"))}
    assert used == explained


def test_addresses_beside_spot_trading_are_those_that_clients_of_binance_ask() -> None:
    beside = {route.path for route in ROUTES if route.face == BINANCE and not route.path.startswith(BINANCE)}
    assert all(re.match(r"/(sapi/v1|fapi/v1|dapi/v1)/", path) for path in beside)


def test_binances_face_has_the_addresses_of_ours_and_the_page_says_what_it_lacks() -> None:
    ours = {(route.method, route.path.removeprefix(OURS)) for route in OURS_ONLY}
    theirs = {(route.method, route.path.removeprefix(BINANCE)) for route in ROUTES if route.path.startswith(BINANCE)}
    assert theirs - ours == {(method, "/userDataStream") for method in ("POST", "PUT", "DELETE")}
    lacking = {path for _, path in ours - theirs}
    assert all(path.startswith(("/user", "/kyc")) or path in ("/health", "/ledger") for path in lacking), lacking
