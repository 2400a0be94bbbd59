"""Identity checks: the operator's, and those of a service that is called and calls back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import pytest
import pytest_asyncio
from aiohttp import web

from exchange.persistence.embedded import EmbeddedPostgres
from exchange.users.signatures import is_genuine, sign, signed_form
from tests.users.office import Answer, Office, new_target, open_office

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECRET = "the-secret-of-the-identity-service"


class Service:
    """The identity service: notes what it is asked, and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.bodies: asyncio.Queue[bytes] = asyncio.Queue()
        self.url = ""
        self._runner: web.AppRunner

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/checks", self._asked)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/checks"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _asked(self, request: web.Request) -> web.Response:
        await self.bodies.put(await request.read())
        return web.Response(status=self.status)

    async def reference(self, level: int) -> str:
        """The reference of the next request, which is for `level` and genuine."""
        async with asyncio.timeout(30):
            payload, _, signature = (await self.bodies.get()).rpartition(b"&signature=")
        fields = {name: values[0] for name, values in parse_qs(payload.decode()).items()}
        assert is_genuine(SECRET, payload, signature.decode(), int(fields["timestamp"]))
        assert fields["level"] == str(level)
        return fields["reference"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service() -> AsyncIterator[Service]:
    """One that runs."""
    running = Service()
    await running.start()
    yield running
    await running.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def venue(
    people_server: EmbeddedPostgres, service: Service, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    """A venue that asks the service."""
    environ = {"EXCHANGE_KYC_PROVIDER": "webhook", "EXCHANGE_KYC_URL": service.url, "EXCHANGE_KYC_SECRET": SECRET}
    async with new_target(people_server) as target, open_office(target, tmp_path_factory.mktemp("kyc"), environ) as one:
        yield one


async def call_back(venue: Office, body: bytes) -> Answer:
    """What the service sends."""
    async with venue.http.post(f"{venue.url}/v1/kyc/webhook", data=body) as answer:
        return Answer(answer.status, await answer.json(), 0)


def decision(reference: str, level: int, status: str) -> bytes:
    """A genuine decision, made now."""
    return signed_form(SECRET, {"reference": reference, "level": level, "status": status})


async def test_webhook_decision_sets_level_and_status_once(venue: Office, service: Service) -> None:
    person = await venue.somebody().arrive()
    asked = await person.send("POST", "/v1/user/kyc", level=2)
    assert (asked.status, asked.json) == (202, {"kycStatus": "pending"})
    assert (await person.send("POST", "/v1/user/kyc", level=3)).json["code"] == -2104
    approval = decision(await service.reference(2), 2, "approved")
    assert (await call_back(venue, approval)).json == {"applied": True}
    shown = (await person.send("GET", "/v1/user")).json
    assert (shown["kycLevel"], shown["kycStatus"]) == (2, "approved")
    assert (await call_back(venue, approval)).json == {"applied": False}
    assert (await person.send("POST", "/v1/user/kyc", level=2)).json["code"] == -2104
    async with venue.connection() as connection:
        audited = await connection.fetch(
            "select actor, action from exchange_admin.audit where subject = $1",
            f"user {(await person.row())['user_id']}",
        )
    assert [tuple(row) for row in audited] == [("kyc webhook", "kyc decision")]


async def test_webhook_decision_can_not_be_replayed_after_another_request(venue: Office, service: Service) -> None:
    person = await venue.somebody().arrive()
    await person.send("POST", "/v1/user/kyc", level=1)
    approval = decision(await service.reference(1), 1, "approved")
    await call_back(venue, approval)
    await person.send("POST", "/v1/user/kyc", level=2)
    second = await service.reference(2)
    assert (await call_back(venue, approval)).json["code"] == -2103
    assert (await call_back(venue, decision(second, 2, "rejected"))).json == {"applied": True}
    assert (await call_back(venue, decision(second, 2, "approved"))).json["code"] == -2104
    row = await person.row()
    assert (row["kyc_level"], row["kyc_status"]) == (1, "rejected")


async def test_webhook_call_that_is_not_genuine_or_not_of_now_is_refused(venue: Office, service: Service) -> None:
    person = await venue.somebody().arrive()
    await person.send("POST", "/v1/user/kyc", level=2)
    fields = {"reference": await service.reference(2), "level": 2, "status": "approved"}
    genuine = signed_form(SECRET, fields)
    forged = [
        signed_form("another-secret-than-that", fields),
        signed_form(SECRET, fields, now_s=time.time() - 301),
        signed_form(SECRET, fields, now_s=time.time() + 61),
        genuine.replace(b"level=2", b"level=9"),
        genuine[:-1] + (b"0" if genuine[-1:] != b"0" else b"1"),
        genuine.partition(b"&signature=")[0] + b"&signature=zz",
        genuine.partition(b"&signature=")[0],
    ]
    answers = [await call_back(venue, body) for body in forged]
    assert [(answer.status, answer.json["code"]) for answer in answers] == [(401, -1022)] * len(forged)
    assert (await person.row())["kyc_status"] == "pending"
    assert (await call_back(venue, genuine)).json == {"applied": True}


async def test_webhook_provider_that_refuses_leaves_things_as_they_were(venue: Office, service: Service) -> None:
    person = await venue.somebody().arrive()
    service.status = 500
    try:
        answer = await person.send("POST", "/v1/user/kyc", level=1)
    finally:
        service.status = 200
    assert (answer.status, answer.retry_after) == (503, 60)
    failed = await service.reference(1)
    assert (await person.row())["kyc_status"] == "none"
    assert (await call_back(venue, decision(failed, 1, "approved"))).json["code"] == -2103
    assert (await person.send("POST", "/v1/user/kyc", level=1)).status == 202
    await service.reference(1)


async def test_manual_check_is_decided_by_the_operator_and_has_no_webhook(office: Office) -> None:
    person = await office.somebody().arrive()
    assert (await person.send("POST", "/v1/user/kyc", level=1)).status == 202
    assert (await person.send("GET", "/v1/user")).json["kycStatus"] == "pending"
    await office.users.operators.set_kyc(person.email, 1, "approved", actor="test")
    shown = (await person.send("GET", "/v1/user")).json
    assert (shown["kycLevel"], shown["kycStatus"]) == (1, "approved")
    body = signed_form("", {"reference": "x", "level": 1, "status": "approved"})
    assert (await call_back(office, body)).status == 404


async def test_signature_is_hmac_sha256_over_the_form() -> None:
    assert sign("key", b"The quick brown fox jumps over the lazy dog") == (
        "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    )
