"""People while PostgreSQL is away, and after a restart: who was logged out stays out, who was not stays in."""

from __future__ import annotations

import ipaddress
import pathlib
from collections.abc import AsyncIterator

import pytest

from exchange.disruptor.pipeline import Pipeline
from exchange.gateway.errors import Refusal
from exchange.gateway.forms import bearer_session
from exchange.persistence.database import Target, Unavailable
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.settings import Settings, load
from exchange.users import totp
from exchange.users.errors import SecondFactorNeeded
from exchange.users.login import Login
from tests.disruptor.running import running
from tests.users.databases import until
from tests.users.office import ENVIRON, PASSWORD, Office, new_target, open_office, open_people, settled

HERE = ipaddress.ip_address("192.0.2.1")
EMAIL = "owner@example.org"


@pytest.fixture
async def server(tmp_path: pathlib.Path) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL that a test may stop."""
    own = EmbeddedPostgres(tmp_path / "postgres", connections=20)
    own.start()
    yield own
    own.stop(10.0)


@pytest.fixture
async def pipeline(tmp_path: pathlib.Path) -> AsyncIterator[Pipeline]:
    """An engine that outlives the people side."""
    async with running(tmp_path / "engine", ring_slots=1024, event_slots=2048) as running_pipeline:
        yield running_pipeline


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Settings:
    """Those of every start: the secret of sessions is the same."""
    return load(ENVIRON, demo=True, data_dir=tmp_path)


async def arrive(office: Office) -> Login:
    """The owner, registered and logged in."""
    await settled(office)
    await office.users.register(EMAIL, PASSWORD, HERE)
    return await office.users.login(EMAIL, PASSWORD, "", "", HERE)


async def whole(server: EmbeddedPostgres) -> Target:
    """The server's own database: it outlives a stop."""
    return Target.of(load({}, demo=True), server.folder)


async def test_without_postgresql_sessions_go_on_and_end_and_whatever_needs_it_says_so(
    tmp_path: pathlib.Path, server: EmbeddedPostgres
) -> None:
    async with open_office(await whole(server), tmp_path / "office") as office:
        person = await office.somebody().arrive()
        kept = person.token
        await person.login(deviceToken=person.device)
        server.stop(10.0)
        await until_away(office)
        assert (await person.send("GET", "/v1/user/sessions")).status == 200
        stranger = office.somebody()
        answers = [
            await person.send("GET", "/v1/user"),
            await person.login(),
            await stranger.login(),
            await stranger.register(),
            *[
                await one.send("POST", "/v1/user/password/reset", token="", email=one.email)
                for one in (person, stranger)
            ],
        ]
        assert {(one.status, one.json["code"], one.retry_after) for one in answers} == {(503, -1001, 1)}
        assert (await person.send("POST", "/v1/user/logout")).status == 200
        assert (await person.send("GET", "/v1/user/sessions")).status == 401

        server.start()
        await until(lambda: office.database.is_up)
        await settled(office)
        assert (await person.send("GET", "/v1/user")).status == 401
        assert (await person.send("GET", "/v1/user", token=kept)).status == 200
        async with office.connection() as connection:
            assert (
                await connection.fetchval("select count(*) from exchange_user.sessions where revoked_at is not null")
                == 1
            )
        assert (await person.login(deviceToken=person.device)).status == 200


async def until_away(office: Office) -> None:
    """Return when the pool has seen that PostgreSQL is not there."""
    while office.database.is_up:
        with pytest.raises(Unavailable):
            async with office.connection() as connection:
                await connection.execute("select 1")


async def test_before_postgresql_was_seen_nobody_is_told_that_their_session_has_ended(
    tmp_path: pathlib.Path, server: EmbeddedPostgres, pipeline: Pipeline, settings: Settings
) -> None:
    target = await whole(server)
    async with open_people(settings, target, pipeline, tmp_path / "log") as office:
        token = (await arrive(office)).token
    server.stop(10.0)
    async with open_people(settings, target, pipeline, tmp_path / "log", wait_s=0.1) as office:
        with pytest.raises(Refusal) as refused:
            bearer_session(office.users, [f"Bearer {token}"])
        assert (refused.value.status, refused.value.code) == (503, -1001)
        server.start()
        await settled(office)
        assert bearer_session(office.users, [f"Bearer {token}"]).account >= 16


async def test_after_a_restart_sessions_count_again_and_ended_ones_do_not_though_a_backup_says_so(
    tmp_path: pathlib.Path, people_server: EmbeddedPostgres, pipeline: Pipeline, settings: Settings
) -> None:
    async with new_target(people_server) as target:
        async with open_people(settings, target, pipeline, tmp_path / "log") as office:
            kept = await arrive(office)
            ended = await office.users.login(EMAIL, PASSWORD, "", "", HERE)
            await office.users.end_sessions(ended.session, ended.session.name)
            async with office.connection() as connection:  # an old backup
                await connection.execute("update exchange_user.sessions set revoked_at = null")
        async with open_people(settings, target, pipeline, tmp_path / "log") as office:
            await settled(office)
            session = office.users.sessions.authenticate(kept.token)
            assert session is not None
            assert (session.user_id, session.account) == (kept.session.user_id, kept.session.account)
            assert office.users.sessions.authenticate(ended.token) is None
            async with office.connection() as connection:
                rows = await connection.fetch("select digest from exchange_user.sessions where revoked_at is not null")
            assert [row["digest"] for row in rows] == [ended.session.digest]


async def test_after_a_restart_with_another_secret_no_session_counts(
    tmp_path: pathlib.Path, people_server: EmbeddedPostgres, pipeline: Pipeline, settings: Settings
) -> None:
    async with new_target(people_server) as target:
        async with open_people(settings, target, pipeline, tmp_path / "log") as office:
            kept = await arrive(office)
        other = load(ENVIRON | {"AUTH_TOKEN_SECRET": "quite-another-secret"}, demo=True, data_dir=tmp_path)
        async with open_people(other, target, pipeline, tmp_path / "log") as office:
            await settled(office)
            assert office.users.sessions.authenticate(kept.token) is None


async def test_after_a_restart_a_used_code_does_not_count_again(
    tmp_path: pathlib.Path, people_server: EmbeddedPostgres, pipeline: Pipeline, settings: Settings
) -> None:
    async with new_target(people_server) as target:
        async with open_people(settings, target, pipeline, tmp_path / "log") as office:
            login = await arrive(office)
            seed, _ = await office.users.changes.begin_second_factor(login.session, PASSWORD)
            now = int(office.clock()) // totp.STEP_S
            await office.users.changes.confirm_second_factor(login.session, totp.code_at(seed, now - 1))
            used = totp.code_at(seed, now)
            await office.users.login(EMAIL, PASSWORD, used, "", HERE)
        async with open_people(settings, target, pipeline, tmp_path / "log") as office:
            await settled(office)
            with pytest.raises(SecondFactorNeeded, match="was used"):
                await office.users.login(EMAIL, PASSWORD, used, "", HERE)
            assert (await office.users.login(EMAIL, PASSWORD, totp.code_at(seed, now + 1), "", HERE)).token


async def test_last_use_of_a_session_is_known_after_a_restart(
    tmp_path: pathlib.Path, people_server: EmbeddedPostgres, pipeline: Pipeline, settings: Settings
) -> None:
    async with new_target(people_server) as target:
        async with open_people(settings, target, pipeline, tmp_path / "log") as office:
            login = await arrive(office)
            office.set_clock(11 * 3600)
            assert office.users.sessions.authenticate(login.token) is not None
            await office.users.sessions.sweep(office.database)
        async with open_people(settings, target, pipeline, tmp_path / "log") as office:
            office.set_clock(22 * 3600)
            await settled(office)
            assert office.users.sessions.authenticate(login.token) is not None
        async with open_people(settings, target, pipeline, tmp_path / "log") as office:
            office.set_clock(23.5 * 3600)
            await settled(office)
            assert office.users.sessions.authenticate(login.token) is None
