"""A command that the engine can not survive: no crash loop, reads while it stands, a skip that every replay honours.

The poison is a real one: a HASH that carries a hash which is not the state's.
"""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from exchange import poison
from exchange.commands import CommandReader, skipped
from exchange.control import OperationRefused, ask
from exchange.core import readers
from exchange.core.codes import CommandKind
from exchange.core.compile import KERNELS
from exchange.core.records import fill_command, slots
from exchange.datadir import DataDirectory
from exchange.follower import Follower
from exchange.operating.proposals import digest_of
from exchange.operating.staff import digest_of as token_digest
from exchange.recovery import Recovered, recover
from exchange.replay import Poisoned
from journal.reader import groups
from journal.writer import Writer
from tests.gateway.running import Exchange, Trader
from tests.recovery.workload import settings_for, stream

KIND_AT = 16
BEFORE, POISON, LAST = 60, 62, 65
"""Orders, a HASH that is right (61), the poison, and three cancels that were journaled behind it."""


def poisonous(first: int, account: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A HASH, one that contradicts it, and commands behind it; stamped from sequence `first` on."""
    commands = slots(2 + LAST - POISON)
    fill_command(commands[0], CommandKind.HASH)
    fill_command(commands[1], CommandKind.HASH, at_sequence=first, hash_0=1, hash_1=2)
    for slot in commands[2:]:
        fill_command(slot, CommandKind.CANCEL_ALL, account=account)
    return stamped(commands, first)


def stamped(
    commands: np.ndarray[Any, np.dtype[np.uint8]], first: int, ts_ns: int | None = None
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The same commands with sequences and one time."""
    heads = commands.view(np.int64)
    heads[:, 0] = np.arange(first, first + len(commands))
    heads[:, 1] = time.time_ns() if ts_ns is None else ts_ns
    return commands


def append(data_dir: pathlib.Path, make: Callable[[Recovered], np.ndarray[Any, np.dtype[np.uint8]]]) -> None:
    """Write commands behind a journal, as a server does that ends before it has applied them."""
    with DataDirectory(data_dir) as directory:
        recovered = recover(directory, settings_for(data_dir))
        with Writer(directory.commands, recovered.commands) as writer:
            writer.append(make(recovered))
            writer.sync()


def poisoned_dir(data_dir: pathlib.Path) -> pathlib.Path:
    """A data directory whose journal has a poison with commands behind it."""
    append(data_dir, lambda _: stamped(stream(BEFORE), 1, 1))
    append(data_dir, lambda _: poisonous(BEFORE + 1, 16))
    return data_dir


def recovered_from(data_dir: pathlib.Path) -> Recovered:
    """One start."""
    with DataDirectory(data_dir) as directory:
        return recover(directory, settings_for(data_dir))


def skip(data_dir: pathlib.Path, recovered: Recovered) -> None:
    """Journal a SKIP of the poison, as the halted venue does."""
    slot = slots(1)
    fill_command(slot[0], CommandKind.SKIP, "", "bad hash", at_sequence=POISON)
    stamped(slot, recovered.commands.last_sequence + 1)
    with Writer(data_dir / "journal" / "commands", recovered.commands) as writer:
        writer.append(slot)
        writer.sync()


def test_third_start_stands_before_the_command_at_which_two_starts_ended(tmp_path: pathlib.Path) -> None:
    data_dir = poisoned_dir(tmp_path / "var")
    for starts in (1, 2):
        with pytest.raises(Poisoned, match=f"after sequence {POISON - 1}: HASH_MISMATCH") as caught:
            recovered_from(data_dir)
        assert (caught.value.sequence, caught.value.fault) == (POISON, "HASH_MISMATCH")
        assert len(poison.read(data_dir)) == starts
    standing = recovered_from(data_dir)
    assert standing.poison is not None
    assert standing.poison.sequence == POISON
    assert int(standing.engine.state.header[0].sequence) == POISON - 1
    assert standing.commands.last_sequence == LAST
    assert standing.events.last_sequence == int(standing.engine.state.header[0].event_count)
    assert "HALTED" in " ".join(standing.report)


def test_skip_is_honoured_by_recovery_and_follower_and_what_waited_behind_is_applied(tmp_path: pathlib.Path) -> None:
    data_dir = poisoned_dir(tmp_path / "var")
    for _ in range(2):
        with pytest.raises(Poisoned):
            recovered_from(data_dir)
    journal = data_dir / "journal" / "commands"
    skip(data_dir, recovered_from(data_dir))
    assert skipped(journal) == {POISON}
    for _ in range(2):
        recovered = recovered_from(data_dir)
        assert recovered.poison is None
        assert int(recovered.engine.state.header[0].sequence) == LAST + 1
        assert readers.open_orders(recovered.engine.state, 16) == []
    follower = Follower(data_dir, every=1, interval_s=3600, is_projected=False, events_keep_s=None)
    while follower.step():
        pass
    follower.close()
    assert (data_dir / "snapshots" / f"{LAST + 1:020d}.snapshot").exists()


def test_reader_puts_the_head_alone_in_the_place_of_what_is_passed_over(tmp_path: pathlib.Path) -> None:
    data_dir = poisoned_dir(tmp_path / "var")
    for _ in range(2):
        with pytest.raises(Poisoned):
            recovered_from(data_dir)
    skip(data_dir, recovered_from(data_dir))
    journal = data_dir / "journal" / "commands"
    on_disk = {group.first_sequence: group for group in groups(journal, POISON)}[POISON].payload[0]
    assert on_disk[KIND_AT] == CommandKind.HASH
    reader = CommandReader(journal, POISON)
    found = reader.poll_records()
    reader.close()
    assert found is not None
    assert found[0] == POISON
    slot = found[1][0]
    assert bytes(slot[:KIND_AT]) == bytes(on_disk[:KIND_AT])
    assert slot[KIND_AT] == CommandKind.SKIPPED
    assert not slot[KIND_AT + 1 :].any()


def test_skip_of_a_command_that_comes_later_means_nothing(tmp_path: pathlib.Path) -> None:
    data_dir = tmp_path / "var"
    append(data_dir, lambda _: stamped(stream(BEFORE), 1, 1))
    early = slots(1)
    fill_command(early[0], CommandKind.SKIP, "", "early", at_sequence=BEFORE + 1)
    append(data_dir, lambda _: stamped(early, BEFORE + 1))
    assert skipped(data_dir / "journal" / "commands") == frozenset()


@pytest.mark.parametrize("change", ["sequence", "kernels"])
def test_failures_that_differ_are_worth_another_try(tmp_path: pathlib.Path, change: str) -> None:
    for number in range(2):
        poison.note(tmp_path, 7, "HASH_MISMATCH", starting=True)
        if change == "sequence" and not number:
            poison.note(tmp_path, 8, "HASH_MISMATCH", starting=True)
    found = poison.poisoned(tmp_path)
    if change == "sequence":
        assert found is None
        return
    assert found is not None
    text = (tmp_path / poison.FILE_NAME).read_text()
    (tmp_path / poison.FILE_NAME).write_text(text.replace(KERNELS, "0123456789abcdef"))
    assert poison.poisoned(tmp_path) is None


def test_failure_while_it_ran_is_no_start_and_a_damaged_file_is_none(tmp_path: pathlib.Path) -> None:
    poison.note(tmp_path, 7, "HASH_MISMATCH", starting=True)
    poison.note(tmp_path, 7, "HASH_MISMATCH", starting=False)
    assert poison.poisoned(tmp_path) is None
    (tmp_path / poison.FILE_NAME).write_text('[{"sequence": 7')
    assert poison.read(tmp_path) == []


# ---- the whole process -----------------------------------------------------------------------------------------------


def until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds."""
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.05)


def refused(data_dir: pathlib.Path, operation: str, **arguments: Any) -> str:
    """The code with which the exchange refuses an operation."""
    with pytest.raises(OperationRefused) as caught:
        ask(data_dir, operation, arguments)
    return caught.value.code


def test_halted_venue_answers_reads_takes_a_skip_of_two_operators_and_opens_by_itself(tmp_path: pathlib.Path) -> None:
    exchange = Exchange(tmp_path / "var", environ={"EXCHANGE_DATABASE": "off"}).start()
    data_dir = exchange.data_dir
    alice = exchange.trader("alice")
    assert alice.order("BUY", "0.001", "50000").status == 200
    assert exchange.stop() == 0
    first: list[int] = []

    def make(recovered: Recovered) -> np.ndarray[Any, np.dtype[np.uint8]]:
        first.append(recovered.commands.last_sequence + 1)
        return poisonous(first[0], 16)

    append(data_dir, make)
    poison_at = first[0] + 1
    for _ in range(2):
        with pytest.raises(AssertionError, match=f"ended with 70.*after sequence {poison_at - 1}: HASH_MISMATCH"):
            exchange.start()
    exchange.start()
    try:
        assert any("HALTED" in line for line in exchange.lines)
        alice = exchange.trader("alice")
        health = alice.public("/health").json
        assert (health["mode"], health["sequence"]) == ("HALTED", poison_at - 1)
        assert len(alice.call("GET", "/v1/openOrders").json) == 1
        answer = alice.order("BUY", "0.001", "50000")
        assert (answer.status, answer.json["code"], answer.json["outcome"]) == (503, -1008, "rejected")
        assert str(poison_at) in answer.json["msg"]
        skip_by_two(data_dir, poison_at)
        until(lambda: is_open(exchange))
        alice = Trader(exchange.ports["http"], alice.api_key, alice.secret)
        assert alice.call("GET", "/v1/openOrders").json == []  # what waited behind the poison canceled it
        assert alice.order("BUY", "0.001", "50000").status == 200
        assert exchange.stop() == 0, exchange.errors
        assert exchange.start().stop() == 0
    finally:
        exchange.ensure_gone()


def skip_by_two(data_dir: pathlib.Path, poison_at: int) -> None:
    """Two operators are entered, one proposes, the other one approves; everything else is refused."""
    tokens = {"ann": "a" * 43, "ben": "b" * 43}
    for name, token in tokens.items():
        ask(data_dir, "operator.add", {"name": name, "role": "supervisor", "digest": token_digest(token)})
    ann, ben = ({"operator": name, "token": token} for name, token in tokens.items())
    wanted = {"sequence": poison_at, "code": "bad hash", "reason": "The hash in the log was damaged by a test."}
    assert refused(data_dir, "venue.skip", **wanted, **ann | {"token": "wrong"}) == "not_authorized"
    assert refused(data_dir, "venue.skip", **wanted | {"sequence": poison_at - 1}, **ann) == "not_acceptable"
    assert refused(data_dir, "venue.skip", **wanted | {"code": "x" * 17}, **ann) == "not_acceptable"
    proposal = ask(data_dir, "venue.skip", {**wanted, **ann})
    approval = {"id": proposal["id"], "digest": digest_of(proposal["payload"])}
    assert refused(data_dir, "proposal.approve", **approval, **ann) == "not_authorized"
    assert refused(data_dir, "proposal.approve", **approval | {"digest": "0" * 64}, **ben) == "conflict"
    done = ask(data_dir, "proposal.approve", {**approval, **ben})
    assert done["skipped"] == poison_at


def is_open(exchange: Exchange) -> bool:
    """Whether the process serves again, on whatever ports; they are noted."""
    try:
        exchange.ports = json.loads((exchange.data_dir / "ports.json").read_text())
        return bool(exchange.trader("alice").public("/health").json["mode"] == "OPEN")
    except (OSError, ValueError):
        return False
