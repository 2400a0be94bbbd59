"""The numbers that stand in journals: kinds, modes, refusals, limits.

Owns every code of the engine. Codes are append-only: they are in journals for ever, so none is renumbered or reused
(`tests/core/test_codes.py` holds the registry). Kernels compare and store members directly; they compile to constants.
"""

from enum import IntEnum


class CommandKind(IntEnum):
    """What a command asks for; the dtype that reads its slot is named in `records.py`."""

    SET_LIMIT = 1
    ADD_ASSET = 2
    ADD_SYMBOL = 3
    CHANGE_SYMBOL = 4
    OPEN_ACCOUNT = 5
    SET_FEES = 6
    SET_TRADING_MODE = 7
    SET_RULE = 8
    AUCTION = 9
    DEPOSIT = 16
    WITHDRAW_HOLD = 17
    WITHDRAW_SETTLE = 18
    WITHDRAW_RELEASE = 19
    PLACE = 32
    CANCEL = 33
    CANCEL_ALL = 34
    REDUCE = 35
    PLACE_LIST = 36
    MASS_CANCEL = 37
    COUNTDOWN = 38
    TICK = 48
    HASH = 49
    SKIP = 50
    SKIPPED = 51


class CommandFlag(IntEnum):
    """Bits of `flags` in a command."""

    LINKED = 1
    """The next slot belongs to this command: a CANCEL followed by its replacing PLACE, a list followed by its legs."""
    ALLOW_FAILURE = 2
    """On a linked CANCEL: the PLACE is attempted even when the cancel is refused."""


class EventKind(IntEnum):
    """What happened; the dtype that reads its slot is named in `records.py`."""

    REJECTED = 1
    ORDER_ACCEPTED = 2
    ORDER_DUPLICATE = 3
    TRADE = 4
    PREVENTED = 5
    ORDER_REDUCED = 6
    ORDER_CLOSED = 7
    CANCELED_ALL = 8
    ORDER_ENTERED = 9
    ORDER_SHOWN = 10
    ORDER_FUNDED = 11
    ORDER_TERMS = 12
    STAGED = 13
    LIST_CHANGED = 14
    MASS_CANCELED = 15
    TRANSFERRED = 16
    TRANSFER_DUPLICATE = 17
    COUNTDOWN_SET = 18
    COUNTDOWN_FIRED = 19
    AUCTION_STARTED = 20
    AUCTION_INDICATED = 21
    AUCTION_ENDED = 22
    BREAKER_TRIPPED = 23
    LIMIT_SET = 31
    ASSET_ADDED = 32
    SYMBOL_ADDED = 33
    SYMBOL_CHANGED = 34
    ACCOUNT_OPENED = 35
    FEES_SET = 36
    TRADING_MODE_SET = 37
    RULE_SET = 38
    TICKED = 48
    HASHED = 49
    SKIP_NOTED = 50


class EventFlag(IntEnum):
    """Bits of `flags` in an event."""

    LAST = 1
    """The last event of its command."""
    OFF_BOOK = 2
    """Of a special order: its quantities do not speak of the public book, ORDER_SHOWN does."""


class Side(IntEnum):
    """The side of an order; also the index of a symbol's two book sides."""

    BUY = 0
    SELL = 1


class OrderType(IntEnum):
    """How an order finds its price."""

    LIMIT = 1
    MARKET = 2
    LIMIT_MAKER = 3
    STOP_LOSS = 4
    STOP_LOSS_LIMIT = 5
    TAKE_PROFIT = 6
    TAKE_PROFIT_LIMIT = 7


class TimeInForce(IntEnum):
    """How long the unfilled part of an order lives."""

    GTC = 1
    IOC = 2
    FOK = 3
    GTD = 4


class Stage(IntEnum):
    """Where an open order stands (docs/engine-orders.md, section 10)."""

    BOOK = 0
    STOP = 1
    TRAIL = 2
    DUE = 3
    PENDING = 4


class PegType(IntEnum):
    """Whose best price a pegged order takes when it enters."""

    NONE = 0
    PRIMARY_PEG = 1
    """Its own side's."""
    MARKET_PEG = 2
    """The opposite side's."""


class ListType(IntEnum):
    """How the legs of an order list hang together."""

    OCO = 1
    OTO = 2
    OTOCO = 3
    OPO = 4
    OPOCO = 5


class ListRole(IntEnum):
    """What a leg is in its list."""

    NONE = 0
    WORKING = 1
    PENDING = 2
    ABOVE = 3
    BELOW = 4


class ListStatus(IntEnum):
    """Where a list stands (LIST_CHANGED events)."""

    STARTED = 1
    DONE = 2


class StpMode(IntEnum):
    """What happens when an order would trade with another of its own account (the taker's mode decides)."""

    NONE = 0
    EXPIRE_TAKER = 1
    EXPIRE_MAKER = 2
    EXPIRE_BOTH = 3
    DECREMENT = 4


class TradingMode(IntEnum):
    """What may be done on the venue, a symbol or by an account; the strictest of the three counts."""

    OPEN = 1
    CANCEL_ONLY = 2
    HALTED = 3


class Phase(IntEnum):
    """How a symbol trades."""

    CONTINUOUS = 0
    AUCTION = 1
    """Orders are collected without matching."""
    PAUSED = 2
    """After the breaker tripped, until the auction."""


class AuctionAction(IntEnum):
    """What an AUCTION command does."""

    START = 1
    UNCROSS = 2


class Scope(IntEnum):
    """What a SET_TRADING_MODE, SET_RULE or MASS_CANCEL speaks of."""

    VENUE = 0
    SYMBOL = 1
    ACCOUNT = 2
    KEY = 3
    WITHDRAWALS = 4


class OrderStatus(IntEnum):
    """Where an order stands; the names are the API's."""

    NEW = 1
    PARTIALLY_FILLED = 2
    FILLED = 3
    CANCELED = 4
    EXPIRED = 5
    EXPIRED_IN_MATCH = 6
    PENDING_NEW = 7


class CloseReason(IntEnum):
    """Why an order left without being filled (ORDER_CLOSED events)."""

    NONE = 0
    CANCELED = 1
    IOC_REMAINDER = 2
    FOK_UNFILLABLE = 3
    NO_LIQUIDITY = 4
    GTD_EXPIRED = 5
    LIST = 6
    """Another leg of its list made it end."""
    CANNOT_PAY = 7
    NO_LEVEL = 8
    WOULD_TAKE = 9
    PRICE_RANGE = 10
    NO_PEG_PRICE = 11
    BAD_QUANTITY_OR_PRICE = 12
    MASS_CANCELED = 13
    COUNTDOWN = 14


class TransferState(IntEnum):
    """Where a transfer stands."""

    DEPOSITED = 1
    HELD = 2
    SETTLED = 3
    RELEASED = 4


class Limit(IntEnum):
    """The venue's caps; each is an index into the state's `limits` and is changed only by SET_LIMIT."""

    ASSETS = 0
    SYMBOLS = 1
    ACCOUNTS = 2
    OPEN_ORDERS = 3
    LEVELS = 4
    TRANSFERS = 5
    CLOSED_ORDERS = 6


class SymbolRule(IntEnum):
    """Guards of a symbol (docs/engine-guards.md, section 20); zero switches one off."""

    BID_UP_BIPS = 0
    BID_DOWN_BIPS = 1
    ASK_UP_BIPS = 2
    ASK_DOWN_BIPS = 3
    RANGE_UP_BIPS = 4
    RANGE_DOWN_BIPS = 5
    REFERENCE_WINDOW_NS = 6
    BREAKER_BIPS = 7
    BREAKER_WINDOW_NS = 8
    BREAKER_PAUSE_NS = 9
    AUCTION_NS = 10
    POSITION_MAX_LOTS = 11
    ALGO_ORDERS_MAX = 12
    ICEBERG_ORDERS_MAX = 13
    LISTS_MAX = 14
    ICEBERG_PARTS_MAX = 15
    TRAILING_MIN_BIPS = 16
    TRAILING_MAX_BIPS = 17


class AccountRule(IntEnum):
    """Guards of an account."""

    TRADE_GROUP = 0
    ORDERS_MAX = 1
    ORDERS_WINDOW_NS = 2
    LOCKED_MAX_ATOMS = 3


class KeyRule(IntEnum):
    """Guards of an API key."""

    NOTIONAL_DAY_MAX_ATOMS = 0


class RejectCode(IntEnum):
    """Why a command was refused. A command is refused with the lowest-numbered code that applies to it."""

    NONE = 0
    UNKNOWN_KIND = 1
    UNKNOWN_ACCOUNT = 2
    UNKNOWN_ASSET = 3
    CLIENT_ORDER_ID_CONFLICT = 4
    LINK_FAILED = 5
    UNKNOWN_SYMBOL = 6
    UNKNOWN_ORDER = 7
    VENUE_CLOSED = 8
    SYMBOL_CLOSED = 9
    ACCOUNT_CLOSED = 10
    INVALID_SIDE = 11
    INVALID_ORDER_TYPE = 12
    INVALID_TIME_IN_FORCE = 13
    INVALID_STP_MODE = 14
    INVALID_EXPIRY = 15
    UNSUPPORTED_FIELD = 16
    INVALID_PRICE = 17
    PRICE_TOO_LOW = 18
    PRICE_TOO_HIGH = 19
    PRICE_OFF_TICK = 20
    INVALID_QUANTITY = 21
    QUANTITY_TOO_LOW = 22
    QUANTITY_TOO_HIGH = 23
    QUANTITY_OFF_LOT = 24
    NOTIONAL_TOO_LOW = 25
    NOTIONAL_TOO_HIGH = 26
    INVALID_REDUCTION = 27
    TOO_MANY_ORDERS = 28
    VENUE_FULL = 29
    TOO_MANY_LEVELS = 30
    WOULD_TAKE = 31
    WOULD_TRIGGER = 32
    INVALID_TRAILING = 33
    INVALID_ICEBERG = 34
    NO_REFERENCE_PRICE = 35
    PRICE_OUT_OF_COLLAR = 36
    TOO_MANY_ALGO_ORDERS = 37
    TOO_MANY_ICEBERGS = 38
    POSITION_TOO_HIGH = 39
    INVALID_AMOUNT = 40
    TRANSFER_ID_CONFLICT = 41
    UNKNOWN_TRANSFER = 42
    TRANSFER_FINISHED = 43
    SUPPLY_EXCEEDED = 44
    TOO_MANY_TRANSFERS = 45
    EXPOSURE_TOO_HIGH = 46
    ORDER_RATE_TOO_HIGH = 47
    KEY_NOTIONAL_TOO_HIGH = 48
    WITHDRAWALS_CLOSED = 49
    ID_OUT_OF_RANGE = 50
    ALREADY_EXISTS = 51
    INVALID_SCALE = 52
    INVALID_PARAMETERS = 53
    INVALID_FEE = 54
    INVALID_MODE = 55
    ILLEGAL_MODE_CHANGE = 56
    INVALID_LIMIT = 57
    AUCTION_ORDER = 58
    INVALID_LIST = 59
    INSUFFICIENT_BALANCE = 60
    INVALID_RULE = 61
    TOO_MANY_LISTS = 62
    INVALID_AUCTION = 63
    TOO_MANY_COUNTDOWNS = 64
    SKIPPED_BY_OPERATOR = 65


class Fault(IntEnum):
    """Our own errors: the engine stops at this sequence and nothing further is acknowledged."""

    NONE = 0
    SEQUENCE_GAP = 1
    TIME_REVERSED = 2
    HASH_MISMATCH = 3


class Account(IntEnum):
    """Accounts of the venue itself; users' accounts start at FIRST_USER."""

    WORLD = 0
    """The outside: minus the sum of everything deposited and not withdrawn."""
    FEES = 1
    FIRST_USER = 16
