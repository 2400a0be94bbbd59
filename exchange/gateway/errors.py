"""What a client is told when something is refused: one exception, one table over every RejectCode.

Owns codes, HTTP statuses and texts. The texts are protocol constants of the API that bots speak: clients match on them,
so they never change. `outcome` says what the request did: `rejected` had no effect and never will have one, `unknown`
was sequenced and not proven durable, `accepted` (a partly failed replacement) did something.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from exchange.core.codes import CommandKind, RejectCode

Outcome = Literal["accepted", "rejected", "unknown"]

FILTER_FAILURE = -1013
NEW_ORDER_REJECTED = -2010
CANCEL_REJECTED = -2011
AMENDMENT_REJECTED = -2038
DUPLICATE_ORDER = "Duplicate order sent."
DUPLICATE_LIST = "Duplicate order list sent."


class Refusal(Exception):
    """A request that ends with an error body. `msg` is a sentence or a protocol constant."""

    def __init__(
        self,
        status: int,
        code: int,
        msg: str,
        *,
        outcome: Outcome = "rejected",
        retry_after_s: int = 0,
        data: dict[str, Any] | None = None,
        reason: str = "",
        as_of_sequence: int = 0,
        placed_by: int = 0,
    ) -> None:
        super().__init__(msg)
        self.status = status
        self.code = code
        self.msg = msg
        self.outcome = outcome
        self.retry_after_s = retry_after_s
        self.data = data
        self.reason = reason
        self.as_of_sequence = as_of_sequence
        self.placed_by = placed_by

    def body(self) -> dict[str, Any]:
        """The error body: `code`, `msg`, `outcome`, and `data` where there is some.

        A refusal with a `reason`, a word for programs, also says how far the data behind it is.
        """
        body: dict[str, Any] = {"code": self.code, "msg": self.msg, "outcome": self.outcome}
        if self.data is not None:
            body["data"] = self.data
        if self.reason:
            body |= {"reason": self.reason, "as_of_sequence": self.as_of_sequence}
        return body


class Problem(NamedTuple):
    """How a RejectCode looks to a client."""

    status: int
    code: int
    msg: str


def _engine(msg: str, status: int = 400) -> Problem:
    """The engine refused a new order."""
    return Problem(status, NEW_ORDER_REJECTED, msg)


def _filter(name: str) -> Problem:
    return Problem(400, FILTER_FAILURE, f"Filter failure: {name}")


def _invalid(msg: str, status: int = 400) -> Problem:
    return Problem(status, -1130, msg)


_CLOSED = _engine("Market is closed.")
_NO_TRADING = _engine("This account may not place or cancel orders.")
_PRICE, _LOT, _NOTIONAL = _filter("PRICE_FILTER"), _filter("LOT_SIZE"), _filter("NOTIONAL")

PROBLEMS: dict[RejectCode, Problem] = {
    RejectCode.NONE: Problem(500, -1000, "The engine refused the command and gave no reason."),
    RejectCode.UNKNOWN_KIND: Problem(400, -1020, "This operation is not supported."),
    RejectCode.UNKNOWN_ACCOUNT: _NO_TRADING,
    RejectCode.UNKNOWN_ASSET: _invalid("Data sent for parameter 'asset' is not valid."),
    RejectCode.CLIENT_ORDER_ID_CONFLICT: _engine(DUPLICATE_ORDER, 409),
    RejectCode.LINK_FAILED: Problem(400, -2022, "Order cancel-replace failed."),
    RejectCode.UNKNOWN_SYMBOL: Problem(400, -1121, "Invalid symbol."),
    RejectCode.UNKNOWN_ORDER: Problem(400, CANCEL_REJECTED, "Unknown order sent."),
    RejectCode.VENUE_CLOSED: _CLOSED,
    RejectCode.SYMBOL_CLOSED: _CLOSED,
    RejectCode.ACCOUNT_CLOSED: _NO_TRADING,
    RejectCode.INVALID_SIDE: Problem(400, -1117, "Invalid side."),
    RejectCode.INVALID_ORDER_TYPE: Problem(400, -1116, "Invalid orderType."),
    RejectCode.INVALID_TIME_IN_FORCE: Problem(400, -1115, "Invalid timeInForce."),
    RejectCode.INVALID_STP_MODE: Problem(400, FILTER_FAILURE, "This self-trade prevention mode is not allowed."),
    RejectCode.INVALID_EXPIRY: _invalid("Data sent for parameter 'goodTillDate' is not valid."),
    RejectCode.UNSUPPORTED_FIELD: Problem(400, -1014, "Unsupported order combination"),
    RejectCode.INVALID_PRICE: _PRICE,
    RejectCode.PRICE_TOO_LOW: _PRICE,
    RejectCode.PRICE_TOO_HIGH: _PRICE,
    RejectCode.PRICE_OFF_TICK: _PRICE,
    RejectCode.INVALID_QUANTITY: _LOT,
    RejectCode.QUANTITY_TOO_LOW: _LOT,
    RejectCode.QUANTITY_TOO_HIGH: _LOT,
    RejectCode.QUANTITY_OFF_LOT: _LOT,
    RejectCode.NOTIONAL_TOO_LOW: _NOTIONAL,
    RejectCode.NOTIONAL_TOO_HIGH: _NOTIONAL,
    RejectCode.INVALID_REDUCTION: Problem(400, AMENDMENT_REJECTED, "Order amend (quantity increase) is not supported."),
    RejectCode.TOO_MANY_ORDERS: _filter("MAX_NUM_ORDERS"),
    RejectCode.VENUE_FULL: _engine("The venue holds as many open orders as it may."),
    RejectCode.TOO_MANY_LEVELS: _engine("The venue holds as many price levels as it may."),
    RejectCode.WOULD_TAKE: _engine("Order would immediately match and take."),
    RejectCode.WOULD_TRIGGER: _engine("Order would trigger immediately."),
    RejectCode.INVALID_TRAILING: _filter("TRAILING_DELTA"),
    RejectCode.INVALID_ICEBERG: _filter("ICEBERG_PARTS"),
    RejectCode.NO_REFERENCE_PRICE: _engine("The market has no price that this order could follow."),
    RejectCode.PRICE_OUT_OF_COLLAR: _filter("PERCENT_PRICE_BY_SIDE"),
    RejectCode.TOO_MANY_ALGO_ORDERS: _filter("MAX_NUM_ALGO_ORDERS"),
    RejectCode.TOO_MANY_ICEBERGS: _filter("MAX_NUM_ICEBERG_ORDERS"),
    RejectCode.POSITION_TOO_HIGH: _filter("MAX_POSITION"),
    RejectCode.INVALID_AMOUNT: _invalid("Data sent for parameter 'amount' is not valid."),
    RejectCode.TRANSFER_ID_CONFLICT: _invalid("This transfer id was used for another transfer.", 409),
    RejectCode.UNKNOWN_TRANSFER: _invalid("There is no transfer with this id."),
    RejectCode.TRANSFER_FINISHED: _invalid("This transfer has ended the other way.", 409),
    RejectCode.SUPPLY_EXCEEDED: _invalid("The venue can not hold so much of this asset."),
    RejectCode.TOO_MANY_TRANSFERS: _invalid("The venue holds as many transfers as it may."),
    RejectCode.EXPOSURE_TOO_HIGH: _engine("The account would have more locked than it may."),
    RejectCode.ORDER_RATE_TOO_HIGH: Problem(
        429, -1015, "Too many new orders; the account has placed as many as it may in its window."
    ),
    RejectCode.KEY_NOTIONAL_TOO_HIGH: _engine(
        "The orders of this API key would amount to more than they may in a day."
    ),
    RejectCode.WITHDRAWALS_CLOSED: _invalid("Withdrawals are closed.", 409),
    RejectCode.ID_OUT_OF_RANGE: _invalid("The id is outside of the range that the venue allows."),
    RejectCode.ALREADY_EXISTS: _invalid("There is one with this id already.", 409),
    RejectCode.INVALID_SCALE: _invalid("The scales do not fit the assets."),
    RejectCode.INVALID_PARAMETERS: _invalid("The parameters of the symbol contradict each other."),
    RejectCode.INVALID_FEE: _invalid("The fee is outside of the range that the venue allows."),
    RejectCode.INVALID_MODE: _invalid("There is no such trading mode or scope."),
    RejectCode.ILLEGAL_MODE_CHANGE: _invalid("HALTED goes to CANCEL_ONLY before it goes to OPEN.", 409),
    RejectCode.INVALID_LIMIT: _invalid("There is no such limit, or its value is out of range."),
    RejectCode.AUCTION_ORDER: _engine(
        "An auction takes LIMIT orders that are GTC or GTD, without a peg and not in a list."
    ),
    RejectCode.INVALID_LIST: _engine("The relationship of the prices for the orders is not correct."),
    RejectCode.INSUFFICIENT_BALANCE: _engine("Account has insufficient balance for requested action."),
    RejectCode.INVALID_RULE: _invalid("There is no such rule, or its value is out of range."),
    RejectCode.TOO_MANY_LISTS: _filter("MAX_NUM_ORDER_LISTS"),
    RejectCode.INVALID_AUCTION: _invalid("The symbol can not begin or end an auction like this now.", 409),
    RejectCode.TOO_MANY_COUNTDOWNS: _invalid("The venue holds as many countdowns as it may."),
    RejectCode.SKIPPED_BY_OPERATOR: _engine("An operator had this request passed over; it had no effect.", 409),
}
_CANCELING = frozenset(
    (CommandKind.CANCEL, CommandKind.CANCEL_ALL, CommandKind.REDUCE, CommandKind.MASS_CANCEL, CommandKind.COUNTDOWN)
)


def refused(reject: int, kind: CommandKind) -> Refusal:
    """The refusal of a rejected command. Where an order is refused with -2010, a cancel is with -2011."""
    problem = PROBLEMS[RejectCode(reject)]
    code = CANCEL_REJECTED if problem.code == NEW_ORDER_REJECTED and kind in _CANCELING else problem.code
    return Refusal(problem.status, code, problem.msg)


def filter_failure(name: str) -> Refusal:
    """A value that the symbol's filter `name` does not let pass."""
    return Refusal(400, FILTER_FAILURE, f"Filter failure: {name}")


def mandatory(name: str) -> Refusal:
    """A parameter that must be there and is not, or can not be read."""
    return Refusal(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def one_of(name: str, other: str) -> Refusal:
    """Two parameters of which one must be there, and neither is."""
    return Refusal(400, -1102, f"Param '{name}' or '{other}' must be sent, but both were empty/null!")


def not_required(name: str) -> Refusal:
    """A parameter that has no business beside the others."""
    return Refusal(400, -1106, f"Parameter '{name}' sent when not required.")


def bad_combination() -> Refusal:
    """Parameters of which each is right and that do not go together."""
    return Refusal(400, -1128, "Combination of optional parameters invalid.")


def illegal_characters(name: str, legal: str) -> Refusal:
    """A value that does not match its pattern."""
    return Refusal(400, -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def too_precise(name: str) -> Refusal:
    """An amount with more decimals than its asset has."""
    return Refusal(400, -1111, f"Parameter '{name}' has too much precision.")


def iceberg_must_rest(name: str, time_in_force: str) -> Refusal:
    """A leg of a list that shows a part at a time and may not rest."""
    return Refusal(400, -1160, f"Parameter '{name}' is not supported if '{time_in_force}' is not GTC or GTD.")


def out_of_range(name: str, low: int, high: int) -> Refusal:
    """A whole number that is too small or too large."""
    return Refusal(400, -1108, f"Parameter '{name}' must be from {low} to {high}.")


def invalid_symbol() -> Refusal:
    """A symbol that does not exist."""
    return Refusal(400, -1121, "Invalid symbol.")


def repeated_symbol() -> Refusal:
    """A list of symbols that has one of them twice."""
    return Refusal(400, -1151, "Symbol is present multiple times in the list.")


def not_valid(name: str) -> Refusal:
    """A value that is none of those that are allowed."""
    return Refusal(400, -1130, f"Data sent for parameter '{name}' is not valid.")


def unknown_outcome(why: str) -> Refusal:
    """The command was sequenced and it is not proven durable: it may or may not be there after a restart."""
    return Refusal(503, -1006, f"{why} The outcome of this request is unknown: ask for it.", outcome="unknown")
