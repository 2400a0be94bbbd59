"""Four eyes: who may propose, who may approve, what is approved, how long, how often."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from exchange.operating.operations import StaffOperations
from exchange.operating.proposals import LIFE_S, Proposals, digest_of
from exchange.operating.staff import Staff, draw_token
from exchange.operating.staff import digest_of as token_digest
from exchange.users.errors import Conflict, NotAcceptable, NotAuthorized, NotFound
from exchange.users.local_log import LocalLog

ANN, BEN, CEM = "ann", "ben", "cem"


class Venue:
    """Three operators, of whom ann and ben are supervisors, and a list of what was done."""

    def __init__(self, path: pathlib.Path) -> None:
        self.log = LocalLog(path)
        self.log.load()
        self.staff = Staff(self.log)
        self.log.compact()
        self.now_s = 0.0
        self.proposals = Proposals(self.staff, lambda: self.now_s)
        self.members = StaffOperations(self.staff, self.proposals, None)
        self.tokens: dict[str, str] = {}
        self.done: list[tuple[Any, Any]] = []
        self.proposals.add("venue.resume", self._check, self._perform)
        self.operations = {**self.proposals.all(), **self.members.all()}

    @staticmethod
    def _check(arguments: Any) -> None:
        if "mode" not in arguments:
            raise NotAcceptable("A mode is missing.")

    async def _perform(self, arguments: Any, agreed: Any) -> Any:
        self.done.append((arguments, agreed))
        return "done"

    async def enter(self, name: str, role: str) -> Any:
        """A new operator, as far as one person can do that."""
        self.tokens[name] = draw_token()
        arguments = {"name": name, "role": role, "digest": token_digest(self.tokens[name])}
        return await self.operations["operator.add"](arguments)

    def proof(self, name: str) -> dict[str, str]:
        """Name and token as arguments."""
        return {"operator": name, "token": self.tokens[name]}

    async def propose(self, name: str = ANN, **arguments: Any) -> Any:
        return await self.operations["venue.resume"]({"mode": "OPEN", **arguments, **self.proof(name)})

    async def approve(self, proposal: Any, name: str = BEN, **other: str) -> Any:
        arguments = {"id": proposal["id"], "digest": digest_of(proposal["payload"]), **self.proof(name), **other}
        return await self.operations["proposal.approve"](arguments)


@pytest.fixture
async def venue(tmp_path: pathlib.Path) -> Venue:
    """Two supervisors, and an operator whom both agreed on."""
    made = Venue(tmp_path / "keyring.jsonl")
    for name in (ANN, BEN):
        assert await made.enter(name, "supervisor") == {"name": name, "role": "supervisor"}
    made.tokens[CEM] = draw_token()
    wanted = {"name": CEM, "role": "operator", "digest": token_digest(made.tokens[CEM])}
    proposal = await made.operations["operator.add"]({**wanted, **made.proof(ANN)})
    assert await made.approve(proposal) == {"name": CEM, "role": "operator"}
    return made


async def test_what_two_agree_on_is_done_once_and_says_who(venue: Venue) -> None:
    proposal = await venue.propose(CEM, reason="all is well")
    assert await venue.approve(proposal, BEN) == "done"
    assert venue.done == [({"mode": "OPEN", "reason": "all is well"}, {"actor": BEN, "proposer": CEM})]
    with pytest.raises(NotFound):
        await venue.approve(proposal, ANN)
    assert len(venue.done) == 1


async def test_nobody_approves_their_own_proposal_and_only_supervisors_approve(venue: Venue) -> None:
    proposal = await venue.propose(ANN)
    with pytest.raises(NotAuthorized, match="does not approve"):
        await venue.approve(proposal, ANN)
    with pytest.raises(NotAuthorized, match="Only a supervisor"):
        await venue.approve(proposal, CEM)
    with pytest.raises(NotAuthorized, match="token"):
        await venue.approve(proposal, BEN, token=venue.tokens[ANN])
    assert venue.done == []


async def test_approval_of_another_text_is_refused(venue: Venue) -> None:
    proposal = await venue.propose(ANN)
    with pytest.raises(Conflict, match="digest"):
        await venue.approve({**proposal, "payload": proposal["payload"].replace("OPEN", "CANCEL_ONLY")})
    assert venue.done == []


async def test_proposal_ends_with_time_withdrawal_and_its_proposer(venue: Venue) -> None:
    late, withdrawn, orphaned = await venue.propose(ANN), await venue.propose(ANN), await venue.propose(CEM)
    await venue.operations["proposal.withdraw"]({"id": withdrawn["id"], **venue.proof(BEN)})
    await venue.operations["operator.remove"]({"name": CEM, **venue.proof(ANN)})
    assert [one["id"] for one in await venue.operations["proposal.list"]({})] == [late["id"]]
    venue.now_s = LIFE_S
    for proposal in (late, withdrawn, orphaned):
        with pytest.raises(NotFound):
            await venue.approve(proposal)
    assert venue.done == []


async def test_third_operator_takes_two_and_a_removed_name_never_comes_back(venue: Venue) -> None:
    with pytest.raises(NotAcceptable):  # nobody says who proposes it
        await venue.enter("dan", "supervisor")
    await venue.operations["operator.remove"]({"name": BEN, **venue.proof(ANN)})
    with pytest.raises(NotAuthorized):
        venue.staff.prove(BEN, venue.tokens[BEN])
    with pytest.raises(NotAcceptable):  # fewer than two are left, and still one alone can not enter another
        await venue.enter("eve", "supervisor")
    with pytest.raises(Conflict, match="or was"):
        await venue.operations["operator.add"](
            {"name": BEN, "role": "supervisor", "digest": token_digest("x"), **venue.proof(ANN)}
        )


@pytest.mark.parametrize(
    ("field", "value"), [("name", "Ann"), ("name", "a"), ("name", "a" * 33), ("role", "chief"), ("digest", "abc")]
)
async def test_operator_that_breaks_a_rule_is_refused(tmp_path: pathlib.Path, field: str, value: str) -> None:
    venue = Venue(tmp_path / "keyring.jsonl")
    wanted = {"name": ANN, "role": "operator", "digest": token_digest("x"), field: value}
    with pytest.raises(NotAcceptable):
        await venue.operations["operator.add"](wanted)
    assert venue.staff.all() == []


async def test_operators_are_there_after_a_restart_and_tokens_are_not_in_the_file(
    venue: Venue, tmp_path: pathlib.Path
) -> None:
    await venue.operations["operator.remove"]({"name": BEN, **venue.proof(ANN)})
    venue.log.close()
    again = Venue(tmp_path / "keyring.jsonl")
    assert [member.name for member in again.staff.all()] == [ANN, CEM]
    assert again.staff.prove(ANN, venue.tokens[ANN]).role == "supervisor"
    with pytest.raises(NotAuthorized):
        again.staff.prove(BEN, venue.tokens[BEN])
    text = (tmp_path / "keyring.jsonl").read_text()
    assert not any(token in text for token in venue.tokens.values())
    again.log.close()


async def test_proposal_that_its_check_refuses_is_not_kept(venue: Venue) -> None:
    with pytest.raises(NotAcceptable):
        await venue.operations["venue.resume"](venue.proof(ANN))
    assert await venue.operations["proposal.list"]({}) == []
