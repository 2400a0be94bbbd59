"""What takes two persons: one proposes, another one, a supervisor, approves, and then it is done.

Owns the proposals, in memory: a restart voids them. An approval names the SHA-256 of the proposal's text, which the
approver's program made from what it showed, so that nobody approves what they have not seen. A proposal is done at most
once, lives for 30 minutes and dies with its proposer.

    propose(operation, arguments, who) ──► text ──► approve(id, digest, another) ──► performed, both names in the audit
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeAlias

import orjson

from exchange.operating.staff import Staff
from exchange.users.errors import Conflict, NotAuthorized, NotFound
from exchange.users.operations import Arguments, Operation, text

LIFE_S = 30 * 60.0
PROPOSALS_MAX = 100
SUPERVISOR = "supervisor"

Check: TypeAlias = Callable[[Arguments], None]
Perform: TypeAlias = Callable[[Arguments, Arguments], Awaitable[Any]]
"""Does it; the second argument says who agreed, for the audit."""
_PROOF = ("operator", "token")


class Proposal(NamedTuple):
    """Something that waits for another's consent."""

    number: str
    operation: str
    arguments: Arguments
    proposer: str
    payload: str
    """All of it as text; what is approved."""
    until_s: float

    def view(self, now_s: float) -> dict[str, Any]:
        """What an operator sees; the payload is the whole of it."""
        return {"id": self.number, "payload": self.payload, "expiresInSeconds": int(self.until_s - now_s)}


class Proposals:
    """`add` what takes two; then the operations."""

    def __init__(self, staff: Staff, clock: Callable[[], float] = time.monotonic) -> None:
        self._staff = staff
        self._clock = clock
        self._kinds: dict[str, tuple[Check, Perform]] = {}
        self._open: dict[str, Proposal] = {}

    def add(self, operation: str, check: Check, perform: Perform) -> None:
        """Let `operation` be proposed: `check` refuses what makes no sense, `perform` does it when two agree."""
        self._kinds[operation] = check, perform

    def all(self) -> dict[str, Operation]:
        """The operations by name."""

        def proposing(operation: str) -> Operation:
            async def handle(arguments: Arguments) -> dict[str, Any]:
                return self.propose(operation, arguments)

            return handle

        own: dict[str, Operation] = {
            "proposal.list": self.list,
            "proposal.approve": self.approve,
            "proposal.withdraw": self.withdraw,
        }
        return own | {operation: proposing(operation) for operation in self._kinds}

    def propose(self, operation: str, arguments: Arguments) -> dict[str, Any]:
        """Keep a proposal. Raises NotAuthorized, Conflict, and what its check raises."""
        proposer = self._staff.prove(text(arguments, "operator"), text(arguments, "token"))
        check, _ = self._kinds[operation]
        wanted = {name: value for name, value in arguments.items() if name not in _PROOF}
        check(wanted)
        self._forget()
        if len(self._open) >= PROPOSALS_MAX:
            raise Conflict(f"{PROPOSALS_MAX} proposals wait for approval; withdraw some.")
        number = secrets.token_hex(4)
        payload = orjson.dumps(
            {"id": number, "operation": operation, "arguments": wanted, "proposer": proposer.name},
            option=orjson.OPT_SORT_KEYS,
        ).decode()
        now_s = self._clock()
        self._open[number] = Proposal(number, operation, wanted, proposer.name, payload, now_s + LIFE_S)
        return self._open[number].view(now_s)

    async def list(self, _arguments: Arguments) -> list[dict[str, Any]]:
        """Every proposal that waits, oldest first."""
        self._forget()
        return [proposal.view(self._clock()) for proposal in self._open.values()]

    async def approve(self, arguments: Arguments) -> Any:
        """Do what was proposed. Raises NotAuthorized, NotFound, Conflict, and what doing it raises."""
        approver = self._staff.prove(text(arguments, "operator"), text(arguments, "token"))
        proposal = self._found(arguments)
        if approver.role != SUPERVISOR:
            raise NotAuthorized(f"Only a supervisor approves; {approver.name} is none.")
        if approver.name == proposal.proposer:
            raise NotAuthorized("Who proposes does not approve.")
        if not hmac.compare_digest(text(arguments, "digest").encode(), digest_of(proposal.payload).encode()):
            raise Conflict("The digest is that of another text: look at the proposal again.")
        del self._open[proposal.number]
        _, perform = self._kinds[proposal.operation]
        return await perform(proposal.arguments, {"actor": approver.name, "proposer": proposal.proposer})

    async def withdraw(self, arguments: Arguments) -> dict[str, Any]:
        """Take a proposal back; any operator may."""
        self._staff.prove(text(arguments, "operator"), text(arguments, "token"))
        proposal = self._found(arguments)
        del self._open[proposal.number]
        return {"id": proposal.number, "withdrawn": True}

    def _found(self, arguments: Arguments) -> Proposal:
        self._forget()
        proposal = self._open.get(text(arguments, "id"))
        if proposal is None:
            raise NotFound("There is no such proposal: it was done, was withdrawn, or is older than 30 minutes.")
        return proposal

    def _forget(self) -> None:
        """Drop what is too old, and what somebody proposed who is no operator any more."""
        names, now_s = {member.name for member in self._staff.all()}, self._clock()
        self._open = {
            number: one for number, one in self._open.items() if one.until_s > now_s and one.proposer in names
        }


def digest_of(payload: str) -> str:
    """SHA-256 of a proposal's text, in hex."""
    return hashlib.sha256(payload.encode()).hexdigest()
