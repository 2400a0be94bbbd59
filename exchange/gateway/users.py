"""The routes of people: registration, login, sessions, password, second factor, identity.

Never sees what the people side compares: it hands parameters over and writes answers. Secrets that are shown once
(tokens, seeds, recovery codes) go into the answer and nowhere else.
"""

from __future__ import annotations

from exchange.gateway.catalogue import KYC_TIMESTAMP, LEVEL
from exchange.gateway.errors import Refusal, not_valid
from exchange.gateway.forms import BearerCall, FormCall, tells, users_of
from exchange.gateway.replies import Reply
from exchange.gateway.venue import Venue
from exchange.users.kyc import Decision
from exchange.users.signatures import is_genuine

_ACCEPTED = 202
_DECISIONS: dict[str, Decision] = {"approved": "approved", "rejected": "rejected"}


@tells
async def register(venue: Venue, call: FormCall) -> Reply:
    """POST register: register somebody; the same answer whether or not the email is registered."""
    await users_of(venue).register(call.text("email"), call.text("password"), call.address)
    return Reply({"status": "registered"}, status=_ACCEPTED)


@tells
async def login(venue: Venue, call: FormCall) -> Reply:
    """POST login: log in; the tokens of session and device are shown this once."""
    done = await users_of(venue).login(
        call.text("email"), call.text("password"), call.optional("code"), call.optional("deviceToken"), call.address
    )
    return Reply(
        {
            "token": done.token,
            "expiresAt": call.time(done.session.expires_at),
            "deviceToken": done.device_token,
            "uid": done.session.account,
        }
    )


@tells
async def logout(venue: Venue, call: BearerCall) -> Reply:
    """POST logout: end this session, also while PostgreSQL is away."""
    await users_of(venue).end_sessions(call.session, call.session.name)
    return Reply({})


@tells
async def change_password(venue: Venue, call: BearerCall) -> Reply:
    """POST password: change the password; all other sessions end."""
    token = await users_of(venue).changes.change_password(
        call.session, call.text("password"), call.optional("code"), call.text("newPassword")
    )
    return Reply({"deviceToken": token})


@tells
async def ask_reset(venue: Venue, call: FormCall) -> Reply:
    """POST password/reset: ask for a token; the same answer whether or not the email is registered."""
    await users_of(venue).ask_reset(call.text("email"), call.address)
    return Reply({"status": "sent"}, status=_ACCEPTED)


@tells
async def reset_password(venue: Venue, call: FormCall) -> Reply:
    """POST password/reset/confirm: set a password with a token; all sessions end."""
    token = await users_of(venue).changes.reset_password(call.text("token"), call.text("newPassword"), call.address)
    return Reply({"deviceToken": token})


@tells
async def get_user(venue: Venue, call: BearerCall) -> Reply:
    """GET user: who is logged in."""
    person = await users_of(venue).person(call.session)
    frozen = person.withdrawals_frozen_until
    return Reply(
        {
            "uid": person.account,
            "email": person.email,
            "status": person.status,
            "twoFactor": person.totp_enabled,
            "kycLevel": person.kyc_level,
            "kycStatus": person.kyc_status,
            "withdrawalsFrozenUntil": call.time(frozen.timestamp()) if frozen else None,
            "createdAt": call.time(person.created_at.timestamp()),
        }
    )


@tells
async def get_sessions(venue: Venue, call: BearerCall) -> Reply:
    """GET sessions: the sessions of whoever asks, oldest first."""
    return Reply(
        [
            {
                "sessionId": session.name,
                "address": session.address,
                "createdAt": call.time(session.created_at),
                "usedAt": call.time(session.used_at),
                "expiresAt": call.time(session.expires_at),
                "current": session is call.session,
            }
            for session in users_of(venue).sessions.of_user(call.session.user_id)
        ]
    )


@tells
async def end_sessions(venue: Venue, call: BearerCall) -> Reply:
    """DELETE sessions: end the named session, or all but the one that asks."""
    return Reply({"ended": await users_of(venue).end_sessions(call.session, call.optional("sessionId"))})


@tells
async def begin_second_factor(venue: Venue, call: BearerCall) -> Reply:
    """POST totp: a seed for an authenticator."""
    seed, uri = await users_of(venue).changes.begin_second_factor(call.session, call.text("password"))
    return Reply({"secret": seed, "uri": uri})


@tells
async def confirm_second_factor(venue: Venue, call: BearerCall) -> Reply:
    """POST totp/confirm: turn the second factor on; from now on a code is needed."""
    codes = await users_of(venue).changes.confirm_second_factor(call.session, call.text("code"))
    return Reply({"recoveryCodes": codes})


@tells
async def remove_second_factor(venue: Venue, call: BearerCall) -> Reply:
    """DELETE totp: turn the second factor off."""
    await users_of(venue).changes.remove_second_factor(call.session, call.text("password"), call.text("code"))
    return Reply({})


@tells
async def request_kyc(venue: Venue, call: BearerCall) -> Reply:
    """POST kyc: ask for an identity check."""
    await users_of(venue).kyc.request(call.session, LEVEL.read(call.params))
    return Reply({"kycStatus": "pending"}, status=_ACCEPTED)


@tells
async def decide_kyc(venue: Venue, call: FormCall) -> Reply:
    """POST kyc/webhook: the identity service calls back with a signed form."""
    secret = venue.settings.kyc_secret
    if venue.settings.kyc_provider != "webhook":
        raise Refusal(404, -1020, "There is no endpoint at this path.")
    if not is_genuine(secret, call.signed.payload, call.signed.signature, KYC_TIMESTAMP.read(call.params)):
        raise Refusal(401, -1022, "Signature for this request is not valid.")
    decision = _DECISIONS.get(call.text("status"))
    if decision is None:
        raise not_valid("status")
    level = LEVEL.read(call.params)
    applied = await users_of(venue).kyc.decide(call.text("reference"), level, decision)
    return Reply({"applied": applied})
