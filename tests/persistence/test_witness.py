"""PostgreSQL as a witness: what it says of this venue and of others, and that nobody waits long for its silence."""

from __future__ import annotations

import pathlib

import pytest

from exchange.persistence import witness
from exchange.persistence.database import Target
from exchange.persistence.embedded import PORT, EmbeddedPostgres
from exchange.persistence.migrate import migrate
from exchange.persistence.witness import ForeignDatabase, projected_sequence
from exchange.settings import Settings
from tests.persistence.chaos import Action, Fault, Proxy


async def test_witness_says_what_the_projection_has_seen_and_whose_it_is(empty_target: Target) -> None:
    ours = bytes(range(16))
    assert await projected_sequence(empty_target, ours) == 0
    connection = await empty_target.connect("test")
    await migrate(connection)
    assert await projected_sequence(empty_target, ours) == 0
    await connection.execute("insert into exchange_order.projection values (true, $1, 1, 9, 4, 1, 1, 'me', 1)", ours)
    await connection.close()
    assert await projected_sequence(empty_target, ours) == 4
    with pytest.raises(ForeignDatabase, match="of another venue"):
        await projected_sequence(empty_target, bytes(16))


async def test_witness_that_falls_silent_is_not_waited_for(
    server: EmbeddedPostgres, empty_target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and answers no question."""
    monkeypatch.setattr(witness, "CONNECT_S", 1.0)
    async with Proxy(server.folder / f".s.PGSQL.{PORT}") as proxy:
        proxy.faults.append(Fault(Action.STALL, up=False, behind=b"to_regclass"))
        through = empty_target._replace(
            arguments=empty_target.arguments | {"host": "127.0.0.1", "port": proxy.port, "ssl": False}
        )
        assert await projected_sequence(through, bytes(16)) == 0
        assert proxy.struck == 1


async def test_witness_that_may_not_be_asked_says_nothing(empty_target: Target) -> None:
    connection = await empty_target.connect("test")
    await migrate(connection)
    await connection.execute("create role stranger login")
    await connection.close()
    stranger = empty_target._replace(arguments=empty_target.arguments | {"user": "stranger"})
    assert await projected_sequence(stranger, bytes(16)) == 0


async def test_witness_that_can_not_be_reached_says_nothing(settings: Settings, tmp_path: pathlib.Path) -> None:
    assert await projected_sequence(Target.of(settings, tmp_path), bytes(16)) == 0
