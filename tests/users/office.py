"""A venue whose people are real: PostgreSQL, pipeline, hashing workers, and the gateway on a real socket.

Clients come from addresses of their own, by way of a proxy that the gateway trusts: that is the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pathlib
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp

from exchange.disruptor.pipeline import Pipeline
from exchange.gateway.private.user_data import UserData
from exchange.gateway.server import Gateway
from exchange.gateway.venue import Venue
from exchange.marketdata.market import MarketData
from exchange.persistence.database import Connection, Database, Target
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.settings import Settings, load
from exchange.users import totp
from exchange.users.keyring import KeyRing
from exchange.users.local_log import LocalLog
from exchange.users.mailer import Mail
from exchange.users.sealing import Sealer
from exchange.users.service import Users
from tests.disruptor.running import running

PASSWORD = "correct horse battery"
MASTER_KEY = bytes(range(32))
ENVIRON = {"EXCHANGE_TRUSTED_PROXIES": "127.0.0.0/8", "AUTH_TOKEN_SECRET": "a secret of this test".replace(" ", "-")}
_numbers = itertools.count(1)


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    json: Any
    retry_after: int


class Letters:
    """Whoever sends letters: keeps them, and can be waited for."""

    def __init__(self) -> None:
        self._sent: list[Mail] = []
        self._news = asyncio.Condition()

    async def send(self, mail: Mail) -> None:
        async with self._news:
            self._sent.append(mail)
            self._news.notify_all()

    def to(self, email: str) -> list[Mail]:
        return [mail for mail in self._sent if mail.to == email]

    async def wait(self, email: str, subject: str) -> Mail:
        """The letter with this subject, once it has come."""
        async with asyncio.timeout(30), self._news:
            while True:
                for mail in self.to(email):
                    if mail.subject == subject:
                        return mail
                await self._news.wait()


class Clock:
    """The wall clock, put forward or back."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


class StillClock:
    """A clock that stands until it is moved: how fast a test runs decides nothing."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


class Somebody:
    """A person with an email of their own, at an address of their own."""

    def __init__(self, office: Office) -> None:
        number = next(_numbers)
        self.office = office
        self.email = f"person{number}@example.org"
        self.address = f"10.{number // 250}.{number % 250}.1"
        self.token = ""
        self.device = ""
        self.seed = ""

    async def send(self, method: str, path: str, /, *, token: str | None = None, **form: object) -> Answer:
        """A request with this person's token, or with another one ("": none)."""
        bearer = self.token if token is None else token
        headers = {"X-Forwarded-For": self.address} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        return await self.office.send(method, path, form, headers)

    async def register(self, password: str = PASSWORD) -> Answer:
        return await self.send("POST", "/v1/user/register", token="", email=self.email, password=password)

    async def login(self, password: str = PASSWORD, **more: str) -> Answer:
        """Log in; a success is remembered."""
        answer = await self.send("POST", "/v1/user/login", token="", email=self.email, password=password, **more)
        if answer.status == 200:
            self.token, self.device = answer.json["token"], answer.json["deviceToken"]
        return answer

    async def arrive(self) -> Somebody:
        """Register and log in."""
        assert (await self.register()).status == 202
        answer = await self.login()
        assert answer.status == 200, answer
        return self

    async def turn_on_second_factor(self) -> list[str]:
        """Returns the recovery codes. The code of the step before this one is used up."""
        answer = await self.send("POST", "/v1/user/totp", password=PASSWORD)
        self.seed = answer.json["secret"]
        answer = await self.send("POST", "/v1/user/totp/confirm", code=self.code(-1))
        assert answer.status == 200, answer
        return list(answer.json["recoveryCodes"])

    def code(self, steps: int = 0) -> str:
        """The code of a step, counted from the office's present one."""
        return totp.code_at(self.seed, int(self.office.clock()) // totp.STEP_S + steps)

    async def row(self) -> Any:
        """What PostgreSQL has of them."""
        async with self.office.database.connection() as connection:
            return await connection.fetchrow("select * from exchange_user.users where email = $1", self.email)

    async def frozen(self) -> bool:
        """Whether withdrawals rest for about a day; that they did is forgotten."""
        async with self.office.database.connection() as connection:
            return bool(
                await connection.fetchval(
                    "with old as (select user_id, withdrawals_frozen_until as until from exchange_user.users "
                    "where email = $1) update exchange_user.users u set withdrawals_frozen_until = null from old "
                    "where u.user_id = old.user_id returning "
                    "old.until between now() + interval '23 hours' and now() + interval '24 hours'",
                    self.email,
                )
            )


class Office:
    """The parts, and who talks to them."""

    def __init__(
        self,
        settings: Settings,
        users: Users,
        keys: KeyRing,
        database: Database,
        pipeline: Pipeline,
        letters: Letters,
        clock: Clock,
        patience: StillClock,
    ) -> None:
        self.settings = settings
        self.users = users
        self.keys = keys
        self.database = database
        self.pipeline = pipeline
        self.letters = letters
        self.clock = clock
        self.patience = patience
        """The clock of the throttle."""
        self.url = ""
        self.http: aiohttp.ClientSession

    async def send(self, method: str, path: str, form: dict[str, object], headers: dict[str, str]) -> Answer:
        """Exactly this request, with a form body."""
        body = aiohttp.FormData({name: str(value) for name, value in form.items()})
        async with self.http.request(method, self.url + path, data=body, headers=headers) as answer:
            return Answer(answer.status, await answer.json(), int(answer.headers.get("Retry-After", 0)))

    def somebody(self) -> Somebody:
        """Somebody new."""
        return Somebody(self)

    def connection(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A connection to PostgreSQL."""
        return self.database.connection()

    def set_clock(self, ahead_s: float) -> None:
        """Put the clock of sessions and second factors forward."""
        self.clock.ahead_s = ahead_s


@contextlib.asynccontextmanager
async def new_target(server: EmbeddedPostgres, options: str = "") -> AsyncIterator[Target]:
    """An empty database on a server that runs; it is dropped afterwards. `options`: of `create database`."""
    root = Target.of(load({}, demo=True), server.folder)
    name = f"office_{next(_numbers)}"
    admin = await root.connect("tests")
    await admin.execute(f"create database {name} {options}")
    try:
        yield Target(root.arguments | {"database": name}, name)
    finally:
        await admin.execute(f"drop database {name} with (force)")
        await admin.close()


@contextlib.asynccontextmanager
async def open_people(
    settings: Settings, target: Target, pipeline: Pipeline, local: pathlib.Path, *, wait_s: float = 60.0
) -> AsyncIterator[Office]:
    """The people side alone, on a pipeline that runs."""
    database = Database(target, settings, "tests")
    log = LocalLog(local)
    log.load()
    letters, clock, sealer = Letters(), Clock(), Sealer(MASTER_KEY)
    keys = KeyRing(log, sealer, database, demo=True, unrestricted_key_ttl_s=settings.unrestricted_key_ttl_s)
    users = Users(settings, database, pipeline, sealer, log, letters)
    users.operators.on_disabled(keys.revoke_all)
    users.sessions._clock = users.second_factor._clock = clock
    users.throttle._clock = patience = StillClock()
    log.compact()
    await users.start()
    await database.start(wait_s)
    try:
        yield Office(settings, users, keys, database, pipeline, letters, clock, patience)
    finally:
        await users.stop()
        await keys.stop()
        await database.stop()
        log.close()


@contextlib.asynccontextmanager
async def open_office(
    target: Target, folder: pathlib.Path, environ: dict[str, str] | None = None
) -> AsyncIterator[Office]:
    """Everything, settled and listening."""
    settings = load(ENVIRON | (environ or {}), demo=True, data_dir=folder)
    async with (
        running(folder, ring_slots=1024, event_slots=2048) as pipeline,
        open_people(settings, target, pipeline, folder / "keyring.jsonl") as office,
        aiohttp.ClientSession() as http,
    ):
        await settled(office)
        office.http = http
        user_data = UserData(pipeline.read, folder, 0)
        venue = Venue(settings, pipeline, office.keys, MarketData(interval_s=1.0), user_data, users=office.users)
        gateway = Gateway(venue)
        office.url = f"http://127.0.0.1:{await gateway.start('127.0.0.1', 0)}"
        try:
            yield office
        finally:
            await gateway.stop(5.0)


async def settled(office: Office) -> None:
    """Return when PostgreSQL, memory and engine agree."""
    async with asyncio.timeout(60):
        while not office.users._settled:  # noqa: ASYNC110  # what it waits for has no event
            await asyncio.sleep(0.01)
