"""What an account is told on a socket, and the envelopes of the WebSocket API, as types. See `market_answers.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from exchange.gateway.openapi.account_answers import ExpiryReason, ListId, SideName, StatusName, TimeInForceName
from exchange.gateway.openapi.market_answers import (
    AssetName,
    Change,
    Decimal,
    Id,
    OrderTypeName,
    StpModeName,
    SymbolName,
    Time,
)
from exchange.gateway.openapi.people_answers import Error
from exchange.gateway.openapi.stream_messages import Shutdown
from exchange.gateway.parameters import CLIENT_ID_PATTERN
from exchange.gateway.ws_api.messages import ID_CHARACTERS_MAX

RequestId = int | Annotated[str, Meta(max_length=ID_CHARACTERS_MAX)] | None
Sequence = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
ClientIdOrNone = Annotated[str, Meta(pattern=f"^$|{CLIENT_ID_PATTERN}")]
Execution = Literal["NEW", "CANCELED", "REPLACED", "REJECTED", "TRADE", "EXPIRED", "TRADE_PREVENTION"]
ListStatusName = Literal["EXEC_STARTED", "ALL_DONE"]
ListOrderStatus = Literal["EXECUTING", "ALL_DONE"]


class Told(Struct, forbid_unknown_fields=True, tag_field="e"):
    """What every private event has: a gap is where `previousSequence` is greater than the last sequence you have."""

    time: Time = field(name="E")
    sequence: Sequence
    previous_sequence: Sequence = field(name="previousSequence")


class ExecutionReport(Told, forbid_unknown_fields=True, tag="executionReport"):
    """An order was accepted, filled, reduced, closed or refused. `l`, `L`, `Y` are of this fill, `z` and `Z` of all."""

    symbol: SymbolName = field(name="s")
    client_order_id: ClientIdOrNone = field(name="c")
    side: SideName = field(name="S")
    order_type: OrderTypeName = field(name="o")
    time_in_force: TimeInForceName = field(name="f")
    quantity: Decimal = field(name="q")
    price: Decimal = field(name="p")
    stop_price: Decimal = field(name="P")
    iceberg_quantity: Decimal = field(name="F")
    order_list_id: ListId = field(name="g")
    original_client_order_id: ClientIdOrNone = field(name="C")
    execution: Execution = field(name="x")
    status: StatusName | Literal["REJECTED"] = field(name="X")
    reject_reason: str = field(name="r")
    order_id: Annotated[int, Meta(ge=-1, description="-1 of an order that was refused.")] = field(name="i")
    last_quantity: Decimal = field(name="l")
    filled_quantity: Decimal = field(name="z")
    last_price: Decimal = field(name="L")
    commission: Decimal = field(name="n")
    commission_asset: AssetName | None = field(name="N")
    transaction_time: Time = field(name="T")
    trade_id: Annotated[int, Meta(ge=-1, description="-1 where there was no trade.")] = field(name="t")
    execution_id: Id = field(name="I")
    is_on_book: bool = field(name="w")
    is_maker: bool = field(name="m")
    is_best_match: bool = field(name="M")
    created_time: Time = field(name="O")
    filled_quote: Decimal = field(name="Z")
    last_quote: Decimal = field(name="Y")
    quote_order_quantity: Decimal = field(name="Q")
    self_trade_prevention: StpModeName = field(name="V")
    working_time: Time | UnsetType = field(name="W", default=UNSET)
    trailing_delta: Count | UnsetType = field(name="d", default=UNSET)
    trailing_time: Time | UnsetType = field(name="D", default=UNSET)
    peg_price_type: Literal["PRIMARY_PEG", "MARKET_PEG"] | UnsetType = field(name="gP", default=UNSET)
    peg_offset_type: Literal["PRICE_LEVEL"] | UnsetType = field(name="gOT", default=UNSET)
    peg_offset_value: Count | UnsetType = field(name="gOV", default=UNSET)
    pegged_price: Decimal | UnsetType = field(name="gp", default=UNSET)
    expiry_reason: ExpiryReason | UnsetType = field(name="eR", default=UNSET)
    prevented_match_id: Id | UnsetType = field(name="v", default=UNSET)
    prevented_quantity: Decimal | UnsetType = field(name="A", default=UNSET)
    last_prevented_quantity: Decimal | UnsetType = field(name="B", default=UNSET)
    trade_group_id: Id | UnsetType = field(name="u", default=UNSET)
    counter_order_id: Id | UnsetType = field(name="U", default=UNSET)
    counter_symbol: SymbolName | UnsetType = field(name="Cs", default=UNSET)
    prevented_execution_quantity: Decimal | UnsetType = field(name="pl", default=UNSET)
    prevented_execution_price: Decimal | UnsetType = field(name="pL", default=UNSET)
    prevented_execution_quote: Decimal | UnsetType = field(name="pY", default=UNSET)


class Leg(Struct, forbid_unknown_fields=True):
    """An order of a list. `c` is empty for one that ended in an earlier command."""

    symbol: SymbolName = field(name="s")
    order_id: Id = field(name="i")
    client_order_id: ClientIdOrNone = field(name="c")


class ListStatus(Told, forbid_unknown_fields=True, tag="listStatus"):
    """An order list began, or none of its orders is open any more."""

    symbol: SymbolName = field(name="s")
    order_list_id: Id = field(name="g")
    contingency: Literal["OCO", "OTO"] = field(name="c")
    status: ListStatusName = field(name="l")
    order_status: ListOrderStatus = field(name="L")
    reject_reason: Literal["NONE"] = field(name="r")
    client_id: ClientIdOrNone = field(name="C")
    transaction_time: Time = field(name="T")
    orders: list[Leg] = field(name="O")


class BalanceNow(Struct, forbid_unknown_fields=True):
    """What there is of an asset."""

    asset: AssetName = field(name="a")
    free: Decimal = field(name="f")
    locked: Decimal = field(name="l")


class AccountPosition(Told, forbid_unknown_fields=True, tag="outboundAccountPosition"):
    """The balances that a command touched, as they are behind it."""

    update_time: Time = field(name="u")
    balances: list[BalanceNow] = field(name="B")


class BalanceUpdate(Told, forbid_unknown_fields=True, tag="balanceUpdate"):
    """Money came in or went out; `d` is the change of free and locked together."""

    asset: AssetName = field(name="a")
    change: Change = field(name="d")
    transaction_time: Time = field(name="T")


class StreamTerminated(Told, forbid_unknown_fields=True, tag="eventStreamTerminated"):
    """Nothing more comes; `sequence` is the one to resume from."""

    reason: str


PrivateEvent = ExecutionReport | ListStatus | AccountPosition | BalanceUpdate | StreamTerminated


class ListenKeyExpired(Struct, forbid_unknown_fields=True, tag_field="e", tag="listenKeyExpired"):
    """The listenKey has ended; the connection is closed next."""

    time: Time = field(name="E")
    listen_key: str = field(name="listenKey")


class ApiRequest(Struct, forbid_unknown_fields=True):
    """A request. Those that are signed have `apiKey`, `timestamp` and `signature` among the parameters."""

    id: RequestId
    method: str
    params: dict[str, Any] = {}


class UsedLimit(Struct, forbid_unknown_fields=True):
    """A limit, and how much of it is used."""

    rateLimitType: Literal["REQUEST_WEIGHT", "ORDERS"]
    interval: Literal["SECOND", "MINUTE", "HOUR", "DAY"]
    intervalNum: int
    limit: int
    count: int


class ApiAnswer(Struct, forbid_unknown_fields=True):
    """What a request was answered: `result` or `error`. `rateLimits` unless it was turned off."""

    id: RequestId
    status: Annotated[int, Meta(ge=200, le=599)]
    result: Raw | UnsetType = UNSET
    error: Error | UnsetType = UNSET
    rateLimits: list[UsedLimit] | UnsetType = UNSET


class SubscribedEvent(Struct, forbid_unknown_fields=True):
    """The envelope of an event of a user data stream."""

    subscriptionId: Annotated[int, Meta(ge=0)]
    event: PrivateEvent


class ShutdownEvent(Struct, forbid_unknown_fields=True):
    """The exchange stops; the connection is closed next."""

    event: Shutdown


class SessionStatus(Struct, forbid_unknown_fields=True):
    """Who the connection is."""

    apiKey: str | None
    authorizedSince: Time | None
    connectedSince: Time
    returnRateLimits: bool
    serverTime: Time
    userDataStream: bool


class CancelOnDisconnect(Struct, forbid_unknown_fields=True):
    """What happens to the orders of a key when the connection ends; `graceTime`: how long after it."""

    apiKey: str
    enabled: bool
    graceTime: Annotated[int, Meta(ge=0)]


class Subscription(Struct, forbid_unknown_fields=True):
    """A user data stream of the connection."""

    subscriptionId: Annotated[int, Meta(ge=0)]


class NewSubscription(Subscription, forbid_unknown_fields=True):
    """A user data stream, and the sequence where it stands."""

    sequence: Sequence
