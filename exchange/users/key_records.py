"""A key at rest: as a record of the local log, and as a row of exchange_user.api_keys.

Owns both forms and the statements on the table. A secret is sealed for its key and account in either, so that it opens
nowhere else; the sealed bytes are the same in both.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from exchange.users.keys import NEVER_US, Key, KeyKind, Permission, Scheme, networks
from exchange.users.local_log import Record
from exchange.users.sealing import Sealer

KEY, REVOKED = "key", "key_revoked"

_EPOCH = "timestamptz 'epoch' + interval '1 microsecond' *"
SELECT = """
select k.api_key, account, k.kind, k.sealed_secret, k.public_key, k.permissions, k.addresses, k.label, k.scheme,
       k.symbols,
       (extract(epoch from k.created_at) * 1000000)::bigint as created_us,
       (extract(epoch from k.expires_at) * 1000000)::bigint as expires_us,
       (extract(epoch from k.revoked_at) * 1000000)::bigint as revoked_us,
       u.status = 'disabled' as is_disabled
from exchange_user.api_keys k join exchange_user.users u using (account)
"""
INSERT = f"""
insert into exchange_user.api_keys
    (api_key, account, kind, sealed_secret, public_key, permissions, addresses, label, created_at, expires_at, scheme,
     symbols)
select $1, $2, $3, $4, $5, $6, $7, $8, {_EPOCH} $9::bigint, {_EPOCH} $10::bigint, $11, $12
where exists (select from exchange_user.users where account = $2 and status <> 'disabled')
on conflict do nothing
"""
"""Adds nothing for an account that has no user, or one that was disabled."""
REVOKE = f"""
update exchange_user.api_keys k set revoked_at = {_EPOCH} r.revoked_us
from unnest($1::text[], $2::bigint[]) as r (api_key, revoked_us)
where k.api_key = r.api_key and k.revoked_at is null
"""
PRESENT = "select api_key from exchange_user.api_keys where api_key = any($1::text[])"
HOLD_WITHDRAWALS = """
update exchange_user.users
set withdrawals_frozen_until = greatest(withdrawals_frozen_until, now() + interval '24 hours') where account = $1
"""
"""What could empty an account gives its owner a day to notice."""


def _owner(api_key: str, account: int) -> str:
    return f"api_key:{api_key}:{account}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def to_record(key: Key, sealer: Sealer) -> Record:
    """The record of a key; its secret is sealed."""
    sealed = sealer.seal(key.secret, _owner(key.api_key, key.account)) if key.kind is KeyKind.HMAC else b""
    return {
        "kind": KEY,
        "api_key": key.api_key,
        "account": key.account,
        "signs": str(key.kind),
        "scheme": str(key.scheme),
        "sealed": _base64(sealed),
        "public_key": _base64(key.public_key),
        "permissions": sorted(map(str, key.permissions)),
        "addresses": list(map(str, key.addresses)),
        "symbols": sorted(key.symbols),
        "label": key.label,
        "created_us": key.created_us,
        "expires_us": key.expires_us,
    }


def from_record(record: Record, sealer: Sealer, unrestricted_us: int) -> Key:
    """The key of a record. Raises SealBroken, and ValueError for a record that is not one of a key."""
    try:
        kind, name, account = KeyKind(record["signs"]), record["api_key"], record["account"]
        sealed = base64.b64decode(record["sealed"], validate=True)
        return Key(
            api_key=name,
            account=account,
            kind=kind,
            scheme=_scheme(record),
            permissions=frozenset(map(Permission, record["permissions"])),
            secret=sealer.open(sealed, _owner(name, account)) if kind is KeyKind.HMAC else b"",
            public_key=base64.b64decode(record["public_key"], validate=True),
            addresses=networks(record["addresses"]),
            symbols=frozenset(record.get("symbols", ())),
            label=record["label"],
            created_us=record["created_us"],
            expires_us=record["expires_us"],
            unrestricted_us=unrestricted_us,
        )
    except (KeyError, TypeError, binascii.Error) as error:
        raise ValueError(f"not a key: {error}") from None


def _scheme(record: Record) -> Scheme:
    """Records from before there were schemes have none: their keys are plain."""
    return Scheme(record.get("scheme", Scheme.PLAIN))


def to_row(record: Record) -> tuple[Any, ...]:
    """The parameters of INSERT."""
    expires_us = record["expires_us"]
    return (
        *(record["api_key"], record["account"], record["signs"]),
        *(base64.b64decode(record["sealed"]) or None, base64.b64decode(record["public_key"]) or None),
        *(record["permissions"], record["addresses"], record["label"], record["created_us"]),
        None if expires_us == NEVER_US else expires_us,
        str(_scheme(record)),
        record.get("symbols", []),
    )


def from_row(row: Mapping[str, Any]) -> Record:
    """The record of a row of SELECT."""
    return {
        "kind": KEY,
        "api_key": row["api_key"],
        "account": row["account"],
        "signs": row["kind"],
        "scheme": row["scheme"],
        "sealed": _base64(row["sealed_secret"] or b""),
        "public_key": _base64(row["public_key"] or b""),
        "permissions": list(row["permissions"]),
        "addresses": list(row["addresses"]),
        "symbols": list(row["symbols"]),
        "label": row["label"],
        "created_us": row["created_us"],
        "expires_us": NEVER_US if row["expires_us"] is None else row["expires_us"],
    }
