"""Secrets at rest: AES-256-GCM under a master key that is never in the database.

Owns the sealed form, `nonce (12 bytes) + ciphertext + tag`. What a secret belongs to is associated data, so that a
sealed secret moved to another row does not open.

Source: NIST SP 800-38D; nonces are random, which is sound for far more secrets (2^32) than a venue has people.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from exchange.settings import MASTER_KEY_BYTES

_NONCE_BYTES = 12


class SealBroken(Exception):
    """A sealed secret that does not open: another master key, another owner, or changed bytes."""


class Sealer:
    """Seals and opens small secrets with one master key of MASTER_KEY_BYTES."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != MASTER_KEY_BYTES:
            raise ValueError(f"A master key has {MASTER_KEY_BYTES} bytes.")
        self._cipher = AESGCM(master_key)

    def seal(self, secret: bytes, owner: str) -> bytes:
        """`secret` for `owner`, for example `api_key:NAME` or `totp:USER_ID`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, owner.encode())

    def open(self, sealed: bytes, owner: str) -> bytes:
        """The secret that was sealed for `owner`. Raises SealBroken."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken("A sealed secret does not open with this master key for this owner.") from error
