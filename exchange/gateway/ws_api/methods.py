"""Which method of the WebSocket API is which endpoint: one table.

A method that is an endpoint has its handler, its parameters and its permission from `exchange/gateway/routes.py`; one
whose endpoint does not exist is not a method. Those of the session and of the user data stream have handlers of their
own (`sessions.py`, `user_data.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from exchange.gateway.faces import BINANCE
from exchange.gateway.routes import Route

ENDPOINTS: dict[str, tuple[str, str]] = {
    "ping": ("GET", "/ping"),
    "time": ("GET", "/time"),
    "exchangeInfo": ("GET", "/exchangeInfo"),
    "executionRules": ("GET", "/executionRules"),
    "referencePrice": ("GET", "/referencePrice"),
    "depth": ("GET", "/depth"),
    "trades.recent": ("GET", "/trades"),
    "trades.historical": ("GET", "/historicalTrades"),
    "trades.aggregate": ("GET", "/aggTrades"),
    "klines": ("GET", "/klines"),
    "uiKlines": ("GET", "/uiKlines"),
    "avgPrice": ("GET", "/avgPrice"),
    "ticker.24hr": ("GET", "/ticker/24hr"),
    "ticker": ("GET", "/ticker"),
    "ticker.price": ("GET", "/ticker/price"),
    "ticker.book": ("GET", "/ticker/bookTicker"),
    "order.place": ("POST", "/order"),
    "order.test": ("POST", "/order/test"),
    "order.status": ("GET", "/order"),
    "order.cancel": ("DELETE", "/order"),
    "order.cancelReplace": ("POST", "/order/cancelReplace"),
    "order.amend.keepPriority": ("PUT", "/order/amend/keepPriority"),
    "order.amendments": ("GET", "/order/amendments"),
    "orderList.place.oco": ("POST", "/orderList/oco"),
    "orderList.place.oto": ("POST", "/orderList/oto"),
    "orderList.place.otoco": ("POST", "/orderList/otoco"),
    "orderList.place.opo": ("POST", "/orderList/opo"),
    "orderList.place.opoco": ("POST", "/orderList/opoco"),
    "orderList.cancel": ("DELETE", "/orderList"),
    "openOrders.status": ("GET", "/openOrders"),
    "openOrders.cancelAll": ("DELETE", "/openOrders"),
    "countdownCancelAll": ("POST", "/countdownCancelAll"),
    "allOrders": ("GET", "/allOrders"),
    "account.status": ("GET", "/account"),
    "account.commission": ("GET", "/account/commission"),
    "account.rateLimits.orders": ("GET", "/rateLimit/order"),
    "myTrades": ("GET", "/myTrades"),
    "myFilters": ("GET", "/myFilters"),
    "myPreventedMatches": ("GET", "/myPreventedMatches"),
    "userDataStream.start": ("POST", "/userDataStream"),
    "userDataStream.ping": ("PUT", "/userDataStream"),
    "userDataStream.stop": ("DELETE", "/userDataStream"),
}

AT_ONCE = frozenset(
    (
        *("ping", "time"),
        *("order.place", "order.test", "order.cancel", "order.cancelReplace", "order.amend.keepPriority"),
        *("orderList.place.oco", "orderList.place.oto", "orderList.place.otoco"),
        *("orderList.place.opo", "orderList.place.opoco", "orderList.cancel"),
        *("openOrders.cancelAll", "countdownCancelAll"),
    )
)
"""Methods that wait for the pipeline or for nothing, and need no task."""


def routed(routes: Iterable[Route]) -> dict[str, Route]:
    """The methods that are endpoints, by name."""
    known = {(route.method, route.path): route for route in routes}
    found = {name: known.get((method, BINANCE + path)) for name, (method, path) in ENDPOINTS.items()}
    return {name: route for name, route in found.items() if route is not None}
