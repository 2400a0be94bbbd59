"""What is said of every route beside its parameters: its group, the type of its answer, the errors of its handler.

Owns one row a route, by method and path without the face. A route without a row fails a test, which says what to write.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from exchange.gateway.errors import Problem
from exchange.gateway.openapi import account_answers as account
from exchange.gateway.openapi import beside_answers as beside
from exchange.gateway.openapi import list_answers as lists
from exchange.gateway.openapi import market_answers as market
from exchange.gateway.openapi import people_answers as people
from exchange.gateway.openapi import problems as told
from exchange.gateway.routes import Route


class Operation(NamedTuple):
    """A row. `answers`: HTTP status -> type of the answer. `is_read`: whether the handler looks at its parameters."""

    group: str
    answers: dict[int, Any]
    problems: tuple[Problem, ...] = ()
    is_read: bool = True


def _market(answer: Any, *problems: Problem) -> Operation:
    return Operation("market", {200: answer}, problems)


def _account(answer: Any, *problems: Problem) -> Operation:
    return Operation("account", {200: answer}, problems)


def _list(*problems: Problem) -> Operation:
    return _account(lists.PlacedList, *told.LIST, *told.UNFILLED, *problems)


def _people(answer: Any, *problems: Problem, status: int = 200) -> Operation:
    return Operation("people", {status: answer}, problems)


def _beside(answer: Any, *problems: Problem, is_read: bool = False) -> Operation:
    answers = {} if answer is None else {200: answer}
    return Operation("beside spot trading", answers, problems, is_read)


_NO_ORDER = Problem(400, -2013, "Order does not exist.")
_NO_LIST = Problem(400, -2018, "Order list does not exist.")
_NO_LISTEN_KEY = Problem(400, -1125, "This listenKey does not exist.")
_NO_WALLET = Problem(
    400, -1020, "This operation is not supported: the venue takes no deposits and makes no withdrawals."
)
_NOTHING = Annotated[list[market.Nothing], Meta(max_length=0)]
_NOT_MADE = Problem(503, -1001, "The key was not made: the exchange can not write to its disk.")

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/health"): Operation("venue", {200: market.Health, 503: market.Health}),
    ("GET", "/ping"): _market(market.Nothing),
    ("GET", "/time"): _market(market.ServerTime),
    ("GET", "/exchangeInfo"): _market(market.ExchangeInfo, *told.COMBINATION),
    ("GET", "/executionRules"): _market(market.ExecutionRules, *told.COMBINATION),
    ("GET", "/referencePrice"): _market(
        market.ReferencePrice, Problem(400, -2043, "This symbol doesn't have a reference price.")
    ),
    ("GET", "/depth"): _market(market.Depth, *told.MARKET_DATA),
    ("GET", "/trades"): _market(list[market.Trade], *told.HISTORY),
    ("GET", "/historicalTrades"): _market(list[market.Trade], *told.HISTORY),
    ("GET", "/aggTrades"): _market(list[market.AggTrade], *told.HISTORY, *told.COMBINATION),
    ("GET", "/klines"): _market(list[market.Candle], *told.HISTORY, *told.NOT_VALID),
    ("GET", "/uiKlines"): _market(list[market.Candle], *told.HISTORY, *told.NOT_VALID),
    ("GET", "/avgPrice"): _market(market.AveragePrice, *told.MARKET_DATA),
    ("GET", "/ticker/24hr"): _market(market.Ticker | list[market.Ticker], *told.MARKET_DATA, *told.COMBINATION),
    ("GET", "/ticker"): _market(
        market.Ticker | list[market.Ticker],
        *(*told.MARKET_DATA, *told.COMBINATION, *told.MANDATORY),
        Problem(400, -1101, "Too many parameters sent for this endpoint."),
        Problem(400, -2016, "No trading window could be found for the symbol. Try ticker/24hrs instead."),
    ),
    ("GET", "/ticker/price"): _market(market.Price | list[market.Price], *told.MARKET_DATA, *told.COMBINATION),
    ("GET", "/ticker/bookTicker"): _market(
        market.BookTicker | list[market.BookTicker], *told.MARKET_DATA, *told.COMBINATION
    ),
    ("POST", "/order"): _account(account.Placed, *told.ORDER_FORM, *told.PLACE, *told.UNFILLED),
    ("POST", "/order/test"): _account(account.Tested, *told.ORDER_FORM),
    ("DELETE", "/order"): _account(account.Canceled, *told.CANCEL, *told.TWO_IDS),
    ("GET", "/order"): _account(account.Order, *told.ONE_OF, _NO_ORDER, *told.HISTORY),
    ("PUT", "/order/amend/keepPriority"): _account(
        account.Amended, *told.CANCEL, *told.refused("INVALID_REDUCTION", "QUANTITY_OFF_LOT")
    ),
    ("POST", "/order/cancelReplace"): _account(
        account.Replaced,
        *(*told.ORDER_FORM, *told.COMMAND, *told.UNFILLED),
        Problem(429, -2021, "Order cancel-replace partially failed."),
        Problem(429, -2022, "Order cancel-replace failed."),
        Problem(409, -2021, "Order cancel-replace partially failed."),
        Problem(400, -2022, "Order cancel-replace failed."),
    ),
    ("POST", "/orderList/oco"): _list(*told.PAIR),
    ("POST", "/orderList/oto"): _list(),
    ("POST", "/orderList/otoco"): _list(*told.PAIR),
    ("POST", "/orderList/opo"): _list(),
    ("POST", "/orderList/opoco"): _list(*told.PAIR_THAT_SELLS),
    ("DELETE", "/orderList"): _account(lists.CanceledList, *told.CANCEL_LIST),
    ("DELETE", "/openOrders"): _account(list[lists.CanceledOrList], *told.CANCEL_ALL),
    ("GET", "/openOrders"): _account(list[account.Order]),
    ("POST", "/countdownCancelAll"): _account(account.Countdown, *told.COMMAND, *told.SYMBOL),
    ("GET", "/account"): _account(account.Account),
    ("GET", "/account/commission"): _account(account.Commission),
    ("GET", "/rateLimit/order"): _account(list[account.OrderCount]),
    ("GET", "/order/amendments"): _account(list[account.Amendment], *told.HISTORY),
    ("GET", "/myPreventedMatches"): _account(list[account.PreventedMatch], *told.HISTORY, *told.COMBINATION),
    ("GET", "/myAllocations"): _account(_NOTHING, *told.SYMBOL)._replace(is_read=False),
    ("GET", "/orderList"): _account(lists.OrderList, *told.ONE_OF, _NO_LIST, *told.HISTORY),
    ("GET", "/openOrderList"): _account(list[lists.OrderList], *told.HISTORY),
    ("GET", "/allOrderList"): _account(list[lists.OrderList], *told.HISTORY, *told.WINDOW, *told.COMBINATION),
    ("POST", "/userDataStream"): _account(account.ListenKey),
    ("PUT", "/userDataStream"): _account(market.Nothing, _NO_LISTEN_KEY),
    ("DELETE", "/userDataStream"): _account(market.Nothing, _NO_LISTEN_KEY),
    ("GET", "/myFilters"): _account(account.MyFilters),
    ("GET", "/allOrders"): _account(list[account.Order], *told.HISTORY, *told.WINDOW),
    ("GET", "/myTrades"): _account(list[account.AccountTrade], *told.HISTORY, *told.WINDOW, *told.COMBINATION),
    ("GET", "/ledger"): _account(list[account.Entry], *told.HISTORY, *told.NOT_VALID),
    ("POST", "/user/register"): _people(
        people.Registered,
        *(*told.NOT_ACCEPTABLE, *told.TRIES, *told.CROWD),
        *told.conflict("The venue takes no more accounts."),
        status=202,
    ),
    ("POST", "/user/login"): _people(people.LoggedIn, *told.PASSWORD_AND_CODE),
    ("POST", "/user/logout"): _people(market.Nothing),
    ("POST", "/user/password"): _people(people.DeviceToken, *told.NOT_ACCEPTABLE, *told.PASSWORD_AND_CODE),
    ("POST", "/user/password/reset"): _people(people.ResetSent, *told.TRIES, *told.CROWD, status=202),
    ("POST", "/user/password/reset/confirm"): _people(
        people.DeviceToken,
        *(*told.NOT_ACCEPTABLE, *told.TRIES, *told.CROWD),
        Problem(400, -2102, "The token is not valid: it is unknown, was used, or is too old."),
    ),
    ("GET", "/user"): _people(people.Person),
    ("GET", "/user/sessions"): _people(list[people.Session]),
    ("DELETE", "/user/sessions"): _people(people.Ended, *told.not_found("You have no session of this name.")),
    ("POST", "/user/totp"): _people(
        people.Seed, *told.PASSWORD, *told.conflict("The second factor is on; turn it off first.")
    ),
    ("POST", "/user/totp/confirm"): _people(
        people.RecoveryCodes,
        *(*told.SECOND_FACTOR, *told.TRIES),
        *told.conflict("There is no second factor to confirm; ask for a new one."),
    ),
    ("DELETE", "/user/totp"): _people(
        market.Nothing, *told.PASSWORD_AND_CODE, *told.conflict("There is no second factor to turn off.")
    ),
    ("GET", "/user/keys"): _people(list[people.ApiKey]),
    ("POST", "/user/keys"): _people(people.NewApiKey, *told.NOT_ACCEPTABLE, *told.PASSWORD_AND_CODE, _NOT_MADE),
    ("DELETE", "/user/keys"): _people(
        market.Nothing, *told.not_found("You have no key of this name; it may have been revoked already.")
    ),
    ("POST", "/user/kyc"): _people(
        people.KycPending,
        *told.conflict("An identity check is under way."),
        *told.conflict("Level {level} is approved already."),
        Problem(503, -1008, "The identity service can not be reached; try again later."),
        status=202,
    ),
    ("POST", "/kyc/webhook"): _people(
        people.KycApplied,
        Problem(401, -1022, "Signature for this request is not valid."),
        Problem(404, -1020, "There is no endpoint at this path."),
        *(*told.NOT_VALID, *told.not_found("There is no identity check with this reference.")),
        *told.conflict("This identity check was decided otherwise."),
    ),
    ("GET", "/sapi/v1/system/status"): _beside(beside.SystemStatus),
    ("GET", "/sapi/v1/margin/allPairs"): _beside(_NOTHING),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): _beside(_NOTHING),
    ("GET", "/sapi/v1/spot/delist-schedule"): _beside(_NOTHING),
    ("GET", "/fapi/v1/exchangeInfo"): _beside(beside.NoSymbols),
    ("GET", "/dapi/v1/exchangeInfo"): _beside(beside.NoSymbols),
    ("GET", "/sapi/v1/capital/config/getall"): _beside(list[beside.Coin]),
    ("GET", "/sapi/v1/asset/tradeFee"): _beside(list[beside.TradeFee], is_read=True),
    ("GET", "/sapi/v1/account/status"): _beside(beside.AccountStatus),
    ("GET", "/sapi/v1/account/apiRestrictions"): _beside(beside.ApiRestrictions),
    ("GET", "/sapi/v1/capital/deposit/hisrec"): _beside(_NOTHING),
    ("GET", "/sapi/v1/capital/withdraw/history"): _beside(_NOTHING),
    ("GET", "/sapi/v1/asset/transfer"): _beside(beside.NoTransfers),
    ("GET", "/sapi/v1/capital/deposit/address"): _beside(None, _NO_WALLET),
    ("POST", "/sapi/v1/capital/withdraw/apply"): _beside(None, _NO_WALLET),
}


def operation(route: Route) -> Operation:
    """The row of a route. Raises KeyError."""
    row = OPERATIONS[route.method, route.path.removeprefix(route.face)]
    if (route.method, route.path) == ("POST", f"{route.face}/order"):
        return row._replace(problems=(*row.problems, *told.DUPLICATES[route.face]))
    if route.method == "POST" and route.path.startswith(f"{route.face}/orderList/"):
        return row._replace(problems=(*row.problems, *told.DUPLICATE_LISTS[route.face]))
    return row
