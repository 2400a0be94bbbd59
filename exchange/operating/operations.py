"""Every operation on the venue and on its operators, for the control socket.

Owns which of them take two persons: to resume, and to enter an operator once there were two.
"""

from __future__ import annotations

from typing import Any

from exchange.operating.proposals import Proposals
from exchange.operating.staff import Member, Staff
from exchange.operating.switches import Switches
from exchange.persistence.database import Database
from exchange.users.operations import Arguments, Operation, audit, text


class StaffOperations:
    """`operator.add`, `operator.remove`, `operator.list`."""

    def __init__(self, staff: Staff, proposals: Proposals, database: Database | None) -> None:
        self._staff = staff
        self._proposals = proposals
        self._database = database
        proposals.add("operator.propose", self._check, self._enter)

    def all(self) -> dict[str, Operation]:
        """The operations by name."""
        return {"operator.add": self.add, "operator.remove": self.remove, "operator.list": self.list}

    async def add(self, arguments: Arguments) -> Any:
        """Enter an operator: at once while there were fewer than two, else as a proposal."""
        if self._staff.needs_two:
            return self._proposals.propose("operator.propose", arguments)
        return await self._enter(arguments, {})

    def _check(self, arguments: Arguments) -> None:
        self._staff.check_new(text(arguments, "name"), text(arguments, "role", "operator"), text(arguments, "digest"))

    async def _enter(self, arguments: Arguments, agreed: Arguments) -> Arguments:
        member = await self._staff.add(
            text(arguments, "name"), text(arguments, "role", "operator"), text(arguments, "digest")
        )
        await audit(self._database, "operator.add", f"operator {member.name}", role=member.role, **agreed)
        return _shown(member)

    async def remove(self, arguments: Arguments) -> Arguments:
        """Somebody is an operator no more. It takes an operator, who may be themselves."""
        actor = self._staff.prove(text(arguments, "operator"), text(arguments, "token"))
        member = await self._staff.remove(text(arguments, "name"))
        await audit(self._database, "operator.remove", f"operator {member.name}", actor=actor.name)
        return {**_shown(member), "removed": True}

    async def list(self, _arguments: Arguments) -> list[Arguments]:
        """Every operator."""
        return [_shown(member) for member in self._staff.all()]


def _shown(member: Member) -> Arguments:
    return {"name": member.name, "role": member.role}


def venue_operations(
    switches: Switches, staff: Staff, proposals: Proposals, database: Database | None
) -> dict[str, Operation]:
    """All of them by name."""
    proposals.add("venue.resume", switches.check_resume, switches.resume)
    members = StaffOperations(staff, proposals, database)
    return {**switches.all(), **members.all(), **proposals.all()}
