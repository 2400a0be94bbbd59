"""The named operators, of whom two must agree where one is not enough; kept in the local log, so that PostgreSQL may be
away.

Owns names, roles and the digests of their tokens. A token is drawn by the program of its owner, is shown to nobody
else, and proves who somebody is: the control socket only proves that they are on the machine. The first two operators
are entered by whoever has the socket; from then on another one takes two, so that nobody approves themselves by a
second name. Who was removed is never entered again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from typing import NamedTuple

from exchange.users.errors import Conflict, NotAcceptable, NotAuthorized, NotFound
from exchange.users.local_log import LocalLog, Record

OPERATOR = "operator"
ROLES = ("operator", "supervisor")
"""A supervisor may approve; everybody may propose."""
OPERATORS_MAX = 100
ALONE_MAX = 2
"""So many are entered without another's consent."""
_name = re.compile(r"[a-z][a-z0-9._-]{1,31}", re.ASCII).fullmatch
_is_digest = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch


class Member(NamedTuple):
    """One operator."""

    name: str
    role: str
    digest: str
    is_removed: bool

    def record(self) -> Record:
        """As it is kept."""
        return {"kind": OPERATOR, **self._asdict()}


class Staff:
    """Everybody who ever was an operator. Made before the local log is compacted."""

    def __init__(self, local: LocalLog) -> None:
        self._log = local
        self._members: dict[str, Member] = {}
        for record in local.take((OPERATOR,), self._live):
            member = Member(record["name"], record["role"], record["digest"], record["is_removed"])
            self._members[member.name] = member

    def _live(self) -> Iterator[Record]:
        for member in self._members.values():
            yield member.record()

    @property
    def needs_two(self) -> bool:
        """Whether another operator is entered with two persons' consent only."""
        return len(self._members) >= ALONE_MAX

    def check_new(self, name: str, role: str, digest: str) -> None:
        """Refuse an operator who can not be entered. Raises NotAcceptable, Conflict."""
        if not _name(name):
            raise NotAcceptable("A name has 2 to 32 of a-z, 0-9, dot, dash and underscore, a letter first.")
        if role not in ROLES:
            raise NotAcceptable(f"A role is one of {', '.join(ROLES)}.")
        if not _is_digest(digest):
            raise NotAcceptable("A digest is the SHA-256 of a token, 64 characters of hex.")
        if name in self._members:
            raise Conflict(f"There is, or was, an operator {name}.")
        if len(self._members) >= OPERATORS_MAX:
            raise Conflict(f"There may be {OPERATORS_MAX} operators, removed ones included.")

    async def add(self, name: str, role: str, digest: str) -> Member:
        """Enter somebody, by the digest of their token. Raises NotAcceptable, Conflict, OSError."""
        self.check_new(name, role, digest)
        await self._keep(Member(name, role, digest, is_removed=False))
        return self._members[name]

    async def remove(self, name: str) -> Member:
        """Somebody is an operator no more, at once. Raises NotFound, OSError."""
        await self._keep(self.find(name)._replace(is_removed=True))
        return self._members[name]

    async def _keep(self, member: Member) -> None:
        self._members[member.name] = member
        await self._log.append(member.record())

    def find(self, name: str) -> Member:
        """An operator. Raises NotFound."""
        member = self._members.get(name)
        if member is None or member.is_removed:
            raise NotFound(f"There is no operator {name}.")
        return member

    def all(self) -> list[Member]:
        """Every operator, by name."""
        return sorted(member for member in self._members.values() if not member.is_removed)

    def prove(self, name: str, token: str) -> Member:
        """The operator of that name and token. Raises NotAuthorized."""
        member = self._members.get(name)
        known = member.digest if member else ""
        if not hmac.compare_digest(digest_of(token), known) or member is None or member.is_removed:
            raise NotAuthorized("The operator or the token is not valid.")
        return member


def draw_token() -> str:
    """43 random characters, which hold 256 bits: nobody guesses one, so that a plain digest keeps it."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """SHA-256 of a token, in hex."""
    return hashlib.sha256(token.encode()).hexdigest()
