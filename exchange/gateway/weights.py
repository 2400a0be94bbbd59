"""What every request weighs, against the limit of its address.

Owns one table. A weight has a part that counts when the request comes, before anything of it is read, and a part that
depends on its parameters, which counts once they are read. Cancels have an allowance of their own of the same size, so
that whoever has used up his weight can still cancel.

Source: the API contract, sections 3 and 5; `docs/limits.md` shows the same table, and a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from exchange.gateway.parameters import Params

FACES = ("/api/v3/", "/v1/")
_DEPTH = ((100, 5), (500, 25), (1000, 50))
_DEPTH_MOST = 250
_TICKER_MOST = 200
_RULES_MOST = 40


class Weight(NamedTuple):
    """`base` counts at once, `more` once the parameters are read, `failed` when the request is refused.

    `cancels`: it counts against the allowance of cancels. `free`: it is never counted and never refused.
    """

    base: int
    more: Callable[[Params], int] | None = None
    failed: int = 0
    cancels: bool = False
    free: bool = False

    def of(self, params: Params) -> int:
        """What a request with these parameters weighs."""
        return self.base + (self.more(params) if self.more is not None else 0)


def _depth(params: Params) -> int:
    limit = params.get("limit", "100")
    if not limit.isdecimal():
        return 0
    return next((weight for most, weight in _DEPTH if int(limit[:9]) <= most), _DEPTH_MOST) - _DEPTH[0][1]


def _symbols(params: Params) -> int:
    """How many symbols are named, 0 when none is: then the answer is about all of them."""
    if "symbol" in params:
        return 1
    return params["symbols"].count(",") + 1 if "symbols" in params else 0


def _rules(params: Params) -> int:
    return min(2 * (_symbols(params) or _RULES_MOST), _RULES_MOST) - 2


def _ticker_24h(params: Params) -> int:
    symbols = _symbols(params)
    if 1 <= symbols <= 20:
        return 0
    return 38 if 21 <= symbols <= 100 else 78


def _several(params: Params) -> int:
    return 0 if "symbol" in params else 2


def _ticker(params: Params) -> int:
    return min(4 * max(1, _symbols(params)), _TICKER_MOST) - 4


def _all_open_orders(params: Params) -> int:
    return 0 if "symbol" in params else 74


def _trades_of_no_order(params: Params) -> int:
    return 0 if "orderId" in params else 15


def _computes_rates(params: Params) -> int:
    return 19 if params.get("computeCommissionRates") == "true" else 0


def _prevented_of_order(params: Params) -> int:
    return 18 if "orderId" in params else 0


FREE = Weight(0, free=True)
WEIGHTS: dict[tuple[str, str], Weight] = {
    ("GET", "ping"): Weight(1),
    ("GET", "time"): Weight(1),
    ("GET", "exchangeInfo"): Weight(20),
    ("GET", "executionRules"): Weight(2, _rules),
    ("GET", "referencePrice"): Weight(2),
    ("GET", "depth"): Weight(5, _depth),
    ("GET", "trades"): Weight(25),
    ("GET", "historicalTrades"): Weight(25),
    ("GET", "aggTrades"): Weight(4),
    ("GET", "klines"): Weight(2),
    ("GET", "uiKlines"): Weight(2),
    ("GET", "avgPrice"): Weight(2),
    ("GET", "ticker/24hr"): Weight(2, _ticker_24h),
    ("GET", "ticker"): Weight(4, _ticker),
    ("GET", "ticker/price"): Weight(2, _several),
    ("GET", "ticker/bookTicker"): Weight(2, _several),
    ("POST", "order"): Weight(0, failed=1),
    ("POST", "order/test"): Weight(1, _computes_rates),
    ("GET", "order"): Weight(4),
    ("DELETE", "order"): Weight(1, cancels=True),
    ("POST", "order/cancelReplace"): Weight(1),
    ("PUT", "order/amend/keepPriority"): Weight(4),
    ("POST", "orderList/oco"): Weight(1),
    ("POST", "orderList/oto"): Weight(1),
    ("POST", "orderList/otoco"): Weight(1),
    ("POST", "orderList/opo"): Weight(1),
    ("POST", "orderList/opoco"): Weight(1),
    ("DELETE", "orderList"): Weight(1, cancels=True),
    ("GET", "order/amendments"): Weight(4),
    ("GET", "openOrders"): Weight(6, _all_open_orders),
    ("DELETE", "openOrders"): Weight(1, cancels=True),
    ("POST", "countdownCancelAll"): Weight(1, cancels=True),
    ("GET", "allOrders"): Weight(20),
    ("GET", "myTrades"): Weight(5, _trades_of_no_order),
    ("GET", "myPreventedMatches"): Weight(2, _prevented_of_order),
    ("GET", "myAllocations"): Weight(20),
    ("GET", "myFilters"): Weight(40),
    ("GET", "account"): Weight(20),
    ("GET", "account/commission"): Weight(20),
    ("GET", "rateLimit/order"): Weight(40),
    ("GET", "ledger"): Weight(20),
    ("POST", "userDataStream"): Weight(2),
    ("PUT", "userDataStream"): Weight(2),
    ("DELETE", "userDataStream"): Weight(2),
}
"""By method and path behind the face. HEAD weighs what GET does."""

FAMILIES: dict[str, Weight] = {
    "/health": FREE,
    "/docs": FREE,
    "/v1/user": Weight(1),
    "/v1/kyc": Weight(1),
    "/sapi": Weight(1),
    "/fapi": Weight(1),
    "/dapi": Weight(1),
}
"""By the beginning of the path, whatever the method."""

UNKNOWN = Weight(1)
"""A path that does not exist, a method that it does not know, bytes that are not HTTP."""


def weight_of(method: str, path: str) -> Weight:
    """The weight of an endpoint. KeyError for one that has none in the tables."""
    for beginning, weight in FAMILIES.items():
        if path == beginning or path.startswith(beginning + "/"):
            return weight
    face = next((face for face in FACES if path.startswith(face)), "")
    return WEIGHTS["GET" if method == "HEAD" else method, path[len(face) :]]
