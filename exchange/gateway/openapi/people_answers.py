"""What the routes of people answer, and every error, as types. See `market_answers.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from exchange.gateway.openapi.market_answers import Id, Time


class Error(Struct, forbid_unknown_fields=True):
    """Every answer that is not a success."""

    code: Annotated[int, Meta(le=-1)]
    msg: Annotated[str, Meta(min_length=1)]
    outcome: Literal["accepted", "rejected", "unknown"]
    data: dict[str, Any] | UnsetType = UNSET
    reason: Literal["history_behind", "history_unavailable"] | UnsetType = UNSET
    as_of_sequence: int | UnsetType = UNSET


class Registered(Struct, forbid_unknown_fields=True):
    """Said whether or not the email was registered before."""

    status: Literal["registered"]


class ResetSent(Struct, forbid_unknown_fields=True):
    """Said whether or not the email is registered."""

    status: Literal["sent"]


class LoggedIn(Struct, forbid_unknown_fields=True):
    """A session; its token is shown this once."""

    token: str
    expiresAt: Time
    deviceToken: str
    uid: Id


class DeviceToken(Struct, forbid_unknown_fields=True):
    """Makes the next login one from a known device."""

    deviceToken: str


class Person(Struct, forbid_unknown_fields=True):
    """Who is logged in."""

    uid: Id
    email: str | None
    status: Literal["pending", "active", "disabled", "orphaned"]
    twoFactor: bool
    kycLevel: int
    kycStatus: Literal["none", "pending", "approved", "rejected"]
    withdrawalsFrozenUntil: Time | None
    createdAt: Time


class Session(Struct, forbid_unknown_fields=True):
    """A session of whoever asks."""

    sessionId: str
    address: str
    createdAt: Time
    usedAt: Time
    expiresAt: Time
    current: bool


class Ended(Struct, forbid_unknown_fields=True):
    """How many sessions ended."""

    ended: Annotated[int, Meta(ge=0)]


class Seed(Struct, forbid_unknown_fields=True):
    """For an authenticator; nothing changes yet."""

    secret: str
    uri: str


class RecoveryCodes(Struct, forbid_unknown_fields=True):
    """Each stands for one code; shown this once."""

    recoveryCodes: list[str]


class KycPending(Struct, forbid_unknown_fields=True):
    """An identity check is under way."""

    kycStatus: Literal["pending"]


class KycApplied(Struct, forbid_unknown_fields=True):
    """`applied` is false when the same decision was applied before."""

    applied: bool


class NotionalPerDay(Struct, forbid_unknown_fields=True):
    """What the orders of a key may amount to in a day."""

    asset: str
    amount: str


class ApiKey(Struct, forbid_unknown_fields=True):
    """An API key; `number` is what its orders carry, `tradeUntil` is when its right to trade ends."""

    apiKey: str
    number: Id
    account: Id
    type: Literal["HMAC", "ED25519"]
    signature: Literal["plain", "strict"]
    permissions: list[Literal["read", "trade", "withdraw"]]
    addresses: list[str]
    symbols: list[str]
    notionalPerDay: NotionalPerDay | None
    label: str
    createdAt: Time
    expiresAt: Time | None
    tradeUntil: Time | None


class NewApiKey(ApiKey, forbid_unknown_fields=True):
    """A new API key; one that signs with HMAC has a secret, shown this once."""

    secretKey: str | UnsetType = UNSET
