"""The routes of people's own API keys: make, list, revoke.

Owns how a key looks to its owner. A secret is in the answer that made it and nowhere else. To make a key needs password
and code once more; to revoke one does not, and works while PostgreSQL is away.
"""

from __future__ import annotations

from exchange.gateway.catalogue import KEY_EXPIRES_AT, KEY_SIGNATURE
from exchange.gateway.faces import OURS
from exchange.gateway.forms import BearerCall, tells, users_of
from exchange.gateway.parameters import microseconds
from exchange.gateway.replies import Reply
from exchange.gateway.venue import Venue
from exchange.users import keys
from exchange.users.errors import NotFound
from exchange.users.keys import NEVER_US


@tells
async def create_key(venue: Venue, call: BearerCall) -> Reply:
    """POST keys: make a key for whoever asks; with `publicKey` one that signs with Ed25519."""
    permissions = keys.permissions(_pieces(call, "permissions"))
    reference = venue.faces[OURS].reference
    symbols = venue.key_guards.symbols(reference.named(name).name for name in _pieces(call, "symbols"))
    before = venue.key_guards.notional(call.optional("notionalPerDay"), call.optional("notionalAsset"))
    addresses = keys.networks(_pieces(call, "addresses"))
    sent = call.optional("publicKey")
    public_key = keys.public_key(sent) if sent else b""
    expires = KEY_EXPIRES_AT.read(call.params)
    scheme = KEY_SIGNATURE.read(call.params)
    credentials = users_of(venue).credentials
    password, code = call.text("password"), call.optional("code")
    async with credentials.prove_again(call.session, password, code) as (_, person):
        pass  # the key takes a transaction of its own, which holds withdrawals too
    key, secret = await venue.keys.create(
        person.account,
        permissions,
        addresses=addresses,
        symbols=symbols,
        before=before,
        label=call.optional("label"),
        expires_us=microseconds(expires) if expires else NEVER_US,
        public_key=public_key,
        scheme=scheme,
        totp_enabled=person.totp_enabled,
    )
    credentials.notify(person, "An API key was made")
    shown = venue.key_guards.view(key, call.unit_ns)
    return Reply({**shown, "secretKey": secret} if secret else shown)


@tells
async def get_keys(venue: Venue, call: BearerCall) -> Reply:
    """GET keys: the API keys of whoever asks, oldest first."""
    return Reply([venue.key_guards.view(key, call.unit_ns) for key in venue.keys.of(call.session.account)])


@tells
async def revoke_key(venue: Venue, call: BearerCall) -> Reply:
    """DELETE keys: revoke a key; it does not count from now on."""
    key = venue.keys.find(call.text("apiKey"))
    if key is None or key.account != call.session.account:
        raise NotFound("You have no key of this name; it may have been revoked already.")
    await venue.keys.revoke(key.api_key)
    return Reply({})


def _pieces(call: BearerCall, name: str) -> list[str]:
    """A parameter that is a list, separated by commas."""
    return [piece.strip() for piece in call.optional(name).split(",") if piece.strip()]
