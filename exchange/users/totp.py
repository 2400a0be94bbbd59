"""The second factor: codes of an authenticator (TOTP), each of them once, and recovery codes for who has lost it.

Owns seeds, codes and the compare-and-set that uses one up. A code counts in its own 30 s step and in the ones beside
it, and only when it is of a later step than the last code that was taken: one statement says both, so of many equal
codes at once, also after a restart, one counts. The seed lies in PostgreSQL under the master key; recovery codes as
digests.

Source: RFC 6238.
"""

from __future__ import annotations

import base64
import enum
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable

import pyotp

from exchange.persistence.database import Connection
from exchange.users.errors import Conflict, SecondFactorNeeded
from exchange.users.sealing import SealBroken, Sealer
from exchange.users.store import Person, digest_of

log = logging.getLogger("exchange.users")
STEP_S = 30
STEPS_BESIDE = 1
RECOVERY_CODES = 10
_RECOVERY_BYTES = 10
"""80 bits: nobody guesses one, so a plain digest of it can be stored."""
_SEED_BYTES = 20
_code = re.compile(r"[0-9]{6}", re.ASCII).fullmatch
_REFUSED = "The code is wrong, was used, or is not of this time."


class Factor(enum.Enum):
    """What was shown beside the password."""

    NONE = "none"
    CODE = "code"
    RECOVERY = "recovery"


def new_seed() -> str:
    """A seed for an authenticator, base32."""
    return base64.b32encode(secrets.token_bytes(_SEED_BYTES)).decode()


def uri(seed: str, email: str, issuer: str) -> str:
    """The otpauth address that an authenticator reads from a picture."""
    return str(pyotp.TOTP(seed).provisioning_uri(name=email, issuer_name=issuer))


def code_at(seed: str, step: int) -> str:
    """The code of one step."""
    return str(pyotp.TOTP(seed).at(step * STEP_S))


def new_recovery_codes() -> list[str]:
    """Codes of 16 letters and digits in groups of four."""
    texts = [base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    return ["-".join(text[at : at + 4] for at in range(0, len(text), 4)) for text in texts]


def _recovery_digest(code: str) -> bytes:
    return digest_of(code.replace("-", "").replace(" ", "").upper())


class SecondFactor:
    """Checks codes inside transactions of others; see the module's docstring."""

    def __init__(self, sealer: Sealer, clock: Callable[[], float] = time.time) -> None:
        self._sealer = sealer
        self._clock = clock

    async def require(self, connection: Connection, person: Person, code: str) -> Factor:
        """Use up the code of a person whose row is locked. Raises SecondFactorNeeded when it does not count."""
        if not person.totp_enabled:
            return Factor.NONE
        if not code:
            raise SecondFactorNeeded
        if _code(code):
            if await self._use_code(connection, person, code):
                return Factor.CODE
        elif await self._use_recovery_code(connection, person, code):
            return Factor.RECOVERY
        raise SecondFactorNeeded(_REFUSED)

    async def begin(self, connection: Connection, person: Person) -> str:
        """A new seed of a person who has no second factor; it does not count before `confirm`."""
        seed = new_seed()
        await connection.execute(
            "update exchange_user.users set totp_sealed = $2, totp_last_step = 0 "
            "where user_id = $1 and not totp_enabled",
            person.user_id,
            self._sealer.seal(seed.encode(), _owner(person)),
        )
        return seed

    async def confirm(self, connection: Connection, person: Person, code: str) -> list[str]:
        """Turn it on with the first code of the seed; returns the recovery codes. The person's row is locked.

        Raises Conflict, SecondFactorNeeded.
        """
        if person.totp_enabled or person.totp_sealed is None:
            raise Conflict("There is no second factor to confirm; ask for a new one.")
        if not _code(code) or not await self._use_code(connection, person, code):
            raise SecondFactorNeeded(_REFUSED)
        await connection.execute(
            "update exchange_user.users set totp_enabled = true where user_id = $1", person.user_id
        )
        codes = new_recovery_codes()
        await _forget_recovery_codes(connection, person.user_id)
        await connection.executemany(
            "insert into exchange_user.recovery_codes (user_id, digest) values ($1, $2)",
            [(person.user_id, _recovery_digest(one)) for one in codes],
        )
        return codes

    async def _use_code(self, connection: Connection, person: Person, code: str) -> bool:
        seed = self._seed(person)
        if seed is None:
            return False
        now = int(self._clock()) // STEP_S
        steps = range(now - STEPS_BESIDE, now + STEPS_BESIDE + 1)
        matching = [step for step in steps if hmac.compare_digest(code_at(seed, step), code)]
        if not matching:
            return False
        return await _one(
            connection,
            "update exchange_user.users set totp_last_step = $2 where user_id = $1 and totp_last_step < $2",
            person.user_id,
            matching[-1],
        )

    async def _use_recovery_code(self, connection: Connection, person: Person, code: str) -> bool:
        return await _one(
            connection,
            "update exchange_user.recovery_codes set used_at = now() "
            "where user_id = $1 and digest = $2 and used_at is null",
            person.user_id,
            _recovery_digest(code),
        )

    def _seed(self, person: Person) -> str | None:
        if person.totp_sealed is None:
            return None
        try:
            return self._sealer.open(person.totp_sealed, _owner(person)).decode()
        except SealBroken:
            log.error("The seed of user %d does not open: is EXCHANGE_MASTER_KEY another one?", person.user_id)
            return None


async def turn_off(connection: Connection, user_id: int) -> None:
    """Forget seed and recovery codes."""
    await connection.execute(
        "update exchange_user.users set totp_enabled = false, totp_sealed = null where user_id = $1", user_id
    )
    await _forget_recovery_codes(connection, user_id)


async def _forget_recovery_codes(connection: Connection, user_id: int) -> None:
    await connection.execute("delete from exchange_user.recovery_codes where user_id = $1", user_id)


async def _one(connection: Connection, statement: str, *arguments: object) -> bool:
    """Whether an update found its one row."""
    return str(await connection.execute(statement, *arguments)) == "UPDATE 1"


def _owner(person: Person) -> str:
    return f"totp:{person.user_id}"
