"""Every parameter that an endpoint knows: one object each, read by handlers, listed by routes, shown by the documents.

Parameters that mean different things in different places are different objects, whatever their name.
"""

from __future__ import annotations

from exchange.core.codes import OrderType, PegType, Side, StpMode, TimeInForce
from exchange.gateway.candle_grid import ZONE_PATTERN
from exchange.gateway.errors import Refusal
from exchange.gateway.fields import Amount, Choice, ClientId, Count, Field, Integer, Matched, Words, flag
from exchange.gateway.parameters import INT64_MAX
from exchange.gateway.symbols import STP_DEFAULT, STP_MODES
from exchange.persistence.intervals import SPANS
from exchange.users.keys import Scheme
from exchange.users.kyc import LEVEL_MAX

PEG_LEVELS_MAX = 100

# ---- symbols and pages ----------------------------------------------------------------------------------------------

SYMBOL = Field("symbol", "A symbol, as `exchangeInfo` spells it.", required=True)
ANY_SYMBOL = Field("symbol", "One symbol; all symbols without it.")
SYMBOLS = Words("symbols", "Several symbols, as a JSON array. Not together with `symbol`.")
SOME_SYMBOLS: tuple[Field, ...] = (ANY_SYMBOL, SYMBOLS)
STATUSES = ("TRADING", "BREAK", "HALT", "AUCTION_MATCH")
SYMBOL_STATUS = Choice(
    "symbolStatus",
    "Only symbols of this status.",
    words=dict(zip(STATUSES, STATUSES, strict=True)),
    refusal=lambda _name: Refusal(400, -1122, "Invalid symbolStatus."),
)
PERMISSIONS = Choice("permissions", "SPOT is the only one.", words={"SPOT": "SPOT", '["SPOT"]': "SPOT"}, default="SPOT")
SHOW_PERMISSION_SETS = flag("showPermissionSets", "Whether `permissionSets` is filled.", default=True)

LEVELS = Count("limit", "Price levels a side.", low=1, default=100, most=5000)
LIMIT = Count("limit", "Rows of a page.", low=1, default=500, most=1000)
FROM_ID = Integer("fromId", "From this id on, oldest first.", default=0)
START_TIME = Integer("startTime", "From this time on, in milliseconds or microseconds.", default=0)
END_TIME = Integer("endTime", "Up to this time, itself included.", default=INT64_MAX)
TIMES = (START_TIME, END_TIME, LIMIT)
INTERVAL = Choice(
    "interval",
    "The length of a candle.",
    required=True,
    words=SPANS,
    refusal=lambda _name: Refusal(400, -1120, "Invalid interval."),
)
TIME_ZONE = Matched("timeZone", "Where days begin, east of UTC; -12:00 to +14:00.", pattern=ZONE_PATTERN)
TICKER_TYPE = Choice(
    "type",
    "How much is told of each symbol.",
    words={"FULL": False, "MINI": True},
    default="FULL",
    refusal=lambda _name: Refusal(400, -1139, "Invalid ticker type."),
)
WINDOW_SIZE = Matched(
    "windowSize",
    "How long the window is: 1m to 59m, 1h to 23h, 1d to 7d; 1d without it.",
    pattern="^(([1-9]|[1-5][0-9])m|([1-9]|1[0-9]|2[0-3])h|[1-7]d)$",
)
ASSET = Field("asset", "Only what happened to this asset.")
OMIT_ZERO_BALANCES = flag("omitZeroBalances", "Leave out assets of which there is nothing.")

# ---- orders ---------------------------------------------------------------------------------------------------------

ORDER_ID = Integer("orderId", "The order's id; this or the client's must be there.", low=1, default=0)
ORIG_CLIENT_ORDER_ID = ClientId("origClientOrderId", "The order's client id.")
CANCEL_NAME = ClientId("newClientOrderId", "A name for the cancel, echoed.")
FIRST_ORDER_ID = Integer("orderId", "From this order on, oldest first.", default=0)
ONE_ORDER_ID = Integer("orderId", "Only of this order.", low=1, default=0)
NEW_QTY = Amount("newQty", "The new total quantity, filled part included; smaller than before.", required=True)

AMENDED_ORDER_ID = Integer("orderId", "The order's id.", required=True, low=1)
FROM_EXECUTION_ID = Integer("fromExecutionId", "From this execution on.", default=0)
PREVENTED_MATCH_ID = Integer("preventedMatchId", "Only this one.", low=1, default=0)
FROM_PREVENTED_MATCH_ID = Integer("fromPreventedMatchId", "With `orderId`: from this one on.", default=0)
FROM_ALLOCATION_ID = Integer("fromAllocationId", "From this id on.", default=0)

SIDE = Choice(
    "side",
    "Which way.",
    required=True,
    words={side.name: int(side) for side in Side},
    refusal=lambda _name: Refusal(400, -1117, "Invalid side."),
)
TYPES = {order_type.name: int(order_type) for order_type in OrderType}
TYPE = Choice(
    "type",
    "How the order finds its price.",
    required=True,
    words=TYPES,
    refusal=lambda _name: Refusal(400, -1116, "Invalid orderType."),
)
TIME_IN_FORCE = Choice(
    "timeInForce",
    "How long what is not filled lives. Types with a limit price need one, LIMIT_MAKER takes GTD, the others none.",
    words={time_in_force.name: int(time_in_force) for time_in_force in TimeInForce},
    refusal=lambda _name: Refusal(400, -1115, "Invalid timeInForce."),
)
QUANTITY = Amount("quantity", "How much of the base asset.")
QUOTE_ORDER_QTY = Amount("quoteOrderQty", "MARKET only: how much of the quote asset to spend or receive.")
PRICE = Amount("price", "The limit. MARKET, STOP_LOSS, TAKE_PROFIT and pegged orders take none.")
STOP_PRICE = Amount(
    "stopPrice", "Of stops: the price of a trade that sends the order to the book, or starts it trailing."
)
TRAILING_DELTA = Integer(
    "trailingDelta", "Of stops: how far the price must come back, in 1/10,000 of its best; 1 to 9999.", default=0
)
ICEBERG_QTY = Amount("icebergQty", "How much of a GTC or GTD order shows at a time.")
PEG_PRICE_TYPE = Choice(
    "pegPriceType",
    "Whose best price the order takes instead of `price`: its own side's or the opposite one's.",
    words={peg_type.name: int(peg_type) for peg_type in (PegType.PRIMARY_PEG, PegType.MARKET_PEG)},
    refusal=lambda _name: Refusal(400, -1210, "Invalid pegPriceType."),
)
PRICE_LEVEL = "PRICE_LEVEL"
PEG_OFFSET_TYPE = Choice(
    "pegOffsetType",
    "With `pegOffsetValue`: what it counts.",
    words={PRICE_LEVEL: PRICE_LEVEL},
    refusal=lambda _name: Refusal(400, -1211, "Invalid pegOffsetType."),
)
PEG_OFFSET_VALUE = Integer("pegOffsetValue", "How many price levels behind the best one.", high=PEG_LEVELS_MAX)
NEW_CLIENT_ORDER_ID = ClientId("newClientOrderId", "The client's id of the order; unpredictable if absent.")
ACK, RESULT, FULL = "ACK", "RESULT", "FULL"
NEW_ORDER_RESP_TYPE = Choice(
    "newOrderRespType",
    "How much is answered; FULL without it for LIMIT and MARKET, ACK for the others.",
    words={ACK: ACK, RESULT: RESULT, FULL: FULL},
)
STP_MODE = Choice(
    "selfTradePreventionMode",
    "What happens when the order would trade with one of the same account.",
    words={name: int(StpMode[name]) for name in STP_MODES},
    default=STP_DEFAULT,
)
GOOD_TILL_DATE = Integer(
    "goodTillDate", "With GTD: the first second after it ends the order.", low=1, high=INT64_MAX // 1_000
)
COMPUTE_COMMISSION_RATES = flag("computeCommissionRates", "Whether the answer tells what would be charged.")
NOT_YET: tuple[Field, ...] = tuple(
    Field(name, "Known, and not supported: nothing keeps it.") for name in ("strategyId", "strategyType")
)
NEW_ORDER: tuple[Field, ...] = (
    *(SYMBOL, SIDE, TYPE, TIME_IN_FORCE, QUANTITY, QUOTE_ORDER_QTY, PRICE, STOP_PRICE, TRAILING_DELTA, ICEBERG_QTY),
    *(PEG_PRICE_TYPE, PEG_OFFSET_TYPE, PEG_OFFSET_VALUE),
    *(NEW_CLIENT_ORDER_ID, NEW_ORDER_RESP_TYPE, STP_MODE, GOOD_TILL_DATE),
    *NOT_YET,
)
STOP_ON_FAILURE, ALLOW_FAILURE = "STOP_ON_FAILURE", "ALLOW_FAILURE"
CANCEL_REPLACE_MODE = Choice(
    "cancelReplaceMode",
    "Whether the new order is tried although the cancel failed.",
    required=True,
    words={STOP_ON_FAILURE: STOP_ON_FAILURE, ALLOW_FAILURE: ALLOW_FAILURE},
)
DO_NOTHING, CANCEL_ONLY = "DO_NOTHING", "CANCEL_ONLY"
ORDER_RATE_LIMIT_EXCEEDED_MODE = Choice(
    "orderRateLimitExceededMode",
    "What is done when the account has too many unfilled orders for a new one.",
    default=DO_NOTHING,
    words={DO_NOTHING: DO_NOTHING, CANCEL_ONLY: CANCEL_ONLY},
)
CANCEL_ORDER_ID = Integer("cancelOrderId", "The order to cancel; this or the client's must be there.", low=1, default=0)
CANCEL_ORIG_CLIENT_ORDER_ID = ClientId("cancelOrigClientOrderId", "The client id of the order to cancel.")
CANCEL_NEW_CLIENT_ORDER_ID = ClientId("cancelNewClientOrderId", "A name for the cancel, echoed.")

ORDER_LIST_ID = Integer("orderListId", "The list's id; this or the client's must be there.", low=1, default=0)
LIST_CLIENT_ORDER_ID = ClientId("listClientOrderId", "The list's client id.")
ORIG_LIST_CLIENT_ORDER_ID = ClientId("origClientOrderId", "The list's client id.")
NEW_LIST_CLIENT_ORDER_ID = ClientId("listClientOrderId", "The client's id of the list; unpredictable if absent.")
LIST_RESP_TYPE = Choice(
    "newOrderRespType",
    "How much is answered of each leg.",
    words={ACK: ACK, RESULT: RESULT, FULL: FULL},
    default=RESULT,
)
NEW_LIST: tuple[Field, ...] = (SYMBOL, NEW_LIST_CLIENT_ORDER_ID, LIST_RESP_TYPE, STP_MODE)
"""What the legs of a list share; their own parameters are in `exchange/gateway/order_forms.py`."""

COUNTDOWN_TIME = Integer(
    "countdownTime",
    "In how many milliseconds open orders are canceled; 0: not at all.",
    required=True,
    high=100_000_000,
)

# ---- user data streams ----------------------------------------------------------------------------------------------

ENABLED = Choice("enabled", "`true` or `false`.", words={"true": True, "false": False}, required=True)
LISTEN_KEY = Field("listenKey", "What POST userDataStream answered.", required=True)
FROM_SEQUENCE = Integer("fromSequence", "The last sequence that is known; what came after it comes first.", default=0)
SUBSCRIPTION_ID = Integer("subscriptionId", "One user data stream; all of the connection without it.", default=0)

# ---- signatures -----------------------------------------------------------------------------------------------------

TIMESTAMP = Integer(
    "timestamp", "When the request was made, milliseconds or microseconds.", required=True, high=10**18 - 1
)
RECV_WINDOW = Matched(
    "recvWindow",
    "How old the request may be on arrival, milliseconds; 5000 without it, at most 60000.",
    pattern=r"^([0-9]{1,9})(\.[0-9]{1,3})?$",
)
SIGNATURE = Field("signature", "HMAC-SHA256 in hex or Ed25519 in base64, of query and body as sent.", required=True)
SIGNED = (TIMESTAMP, RECV_WINDOW, SIGNATURE)

# ---- beside spot trading --------------------------------------------------------------------------------------------

_COIN = Field("coin", "An asset.")
_NETWORK = Field("network", "A chain.")
TRANSFERS = (
    *(_COIN, _NETWORK, START_TIME, END_TIME, LIMIT, Field("type", "A kind of transfer."), Field("status", "A state.")),
    *(Field("offset", "How many to skip."), Field("current", "Which page."), Field("size", "Rows of a page.")),
)
DEPOSIT_ADDRESS = (_COIN, _NETWORK, Field("amount", "How much."))
WITHDRAWAL = (
    *(_COIN, _NETWORK, Field("amount", "How much."), Field("address", "Where to."), Field("addressTag", "A memo.")),
    *(Field("name", "For people."), Field("withdrawOrderId", "The client's id."), Field("walletType", "0 is spot.")),
    Field("transactionFeeFlag", "Who pays the fee."),
)

# ---- people ---------------------------------------------------------------------------------------------------------

EMAIL = Field("email", "The person's address.", required=True)
PASSWORD = Field("password", "8 to 128 characters.", required=True)
NEW_PASSWORD = Field("newPassword", "The password from now on.", required=True)
CODE = Field("code", "Of the second factor, or a recovery code.", required=True)
CODE_IF_ON = Field("code", "Of the second factor where it is on, or a recovery code.")
DEVICE_TOKEN = Field("deviceToken", "What an earlier login on this device gave.")
TOKEN = Field("token", "From the letter.", required=True)
SESSION_ID = Field("sessionId", "One session; all others without it.")
LEVEL = Integer("level", "Of identity check.", required=True, low=1, high=LEVEL_MAX)
API_KEY = Field("apiKey", "The key's name.", required=True)
KEY_LABEL = Field("label", "For people.")
KEY_PERMISSIONS = Field("permissions", "read, trade, withdraw, with commas; read without it.")
KEY_ADDRESSES = Field("addresses", "Addresses and networks, with commas; anywhere without it.")
KEY_SYMBOLS = Field("symbols", "What its new orders may be on, as BTC_USDT, with commas; every symbol without it.")
KEY_NOTIONAL = Field("notionalPerDay", "What its orders may amount to in a day (UTC), on symbols quoted in an asset.")
KEY_NOTIONAL_ASSET = Field("notionalAsset", "The asset of `notionalPerDay`.")
KEY_EXPIRES_AT = Integer("expiresAt", "When the key ends.", low=1, default=0)
KEY_PUBLIC_KEY = Field("publicKey", "Of an Ed25519 key: PEM without its line ends, or base64.")
KEY_SIGNATURE = Choice(
    "signature",
    "What its signatures cover: the parameters, or the whole request.",
    words={str(scheme): scheme for scheme in Scheme},
    default=str(Scheme.PLAIN),
)
NEW_KEY = (
    *(KEY_LABEL, KEY_PERMISSIONS, KEY_ADDRESSES, KEY_SYMBOLS, KEY_NOTIONAL, KEY_NOTIONAL_ASSET),
    *(KEY_EXPIRES_AT, KEY_PUBLIC_KEY, KEY_SIGNATURE),
    *(PASSWORD, CODE_IF_ON),
)
KYC_REFERENCE = Field("reference", "Which check.", required=True)
KYC_STATUS = Field("status", "approved or rejected.", required=True)
KYC_TIMESTAMP = Integer("timestamp", "When it was decided, milliseconds.", required=True)
KYC_DECISION = (KYC_REFERENCE, LEVEL, KYC_STATUS, KYC_TIMESTAMP, SIGNATURE)
