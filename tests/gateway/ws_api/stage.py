"""A venue in this process, with the gateway on a real socket: keys can be made and revoked, limits can be small."""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import urlencode

import aiohttp
import yarl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.core.kernel import Engine
from exchange.core.state import TINY, new_state
from exchange.disruptor.pipeline import Pipeline
from exchange.gateway import demo
from exchange.gateway.private.user_data import UserData
from exchange.gateway.server import Gateway
from exchange.gateway.venue import Venue
from exchange.gateway.ws_api.connection import Limits
from exchange.gateway.ws_api.server import DEFAULTS, WsApi
from exchange.marketdata.market import MarketData
from exchange.settings import load
from exchange.users.keyring import KeyRing
from exchange.users.keys import NEVER_US, Key, Permission, networks
from exchange.users.local_log import LocalLog
from exchange.users.sealing import Sealer
from tests.disruptor.running import running
from tests.gateway.ws_api.client import Client, Identity, Json, connected

ALICE, BOB = 16, 17


class Stage(NamedTuple):
    """What a test may touch."""

    gateway: Gateway
    ws_api: WsApi
    keys: KeyRing
    pipeline: Pipeline
    url: str

    def connect(self, query: str = "", **headers: str) -> contextlib.AbstractAsyncContextManager[Client]:
        """A connection."""
        return connected(self.url, query, **headers)

    async def key(
        self, account: int = ALICE, *rights: Permission, addresses: str = "", expires_us: int = NEVER_US
    ) -> tuple[Key, Identity]:
        """An HMAC key that may read and trade, unless `rights` say otherwise."""
        made = await self.keys.create(
            account,
            rights or (Permission.READ, Permission.TRADE),
            addresses=networks(addresses.split()),
            expires_us=expires_us,
        )
        return made.key, Identity(made.key.api_key, made.secret)

    async def ed25519(self, account: int = ALICE, *rights: Permission) -> tuple[Key, Identity]:
        """An Ed25519 key."""
        private = Ed25519PrivateKey.generate()
        made = await self.keys.create(
            account,
            rights or (Permission.READ, Permission.TRADE),
            public_key=private.public_key().public_bytes_raw(),
        )
        return made.key, Identity(made.key.api_key, private)

    async def rest(self, identity: Identity | None, method: str, path: str, params: Json) -> tuple[int, Json]:
        """A REST request of /api/v3 with the same parameters: (status, body)."""
        sent = {"timestamp": time.time_ns() // 1_000_000, "recvWindow": 60_000} | params if identity else params
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in sent.items()}
        query = urlencode(texts)
        headers = {}
        if identity is not None:
            query += "&" + urlencode({"signature": identity.signature(query.encode())})
            headers["X-MBX-APIKEY"] = identity.api_key
        return await self._request(method, f"{path}?{query}", headers)

    async def keyed(self, method: str, path: str, api_key: str, params: dict[str, str]) -> tuple[int, Json]:
        """A REST request that names a key and is not signed."""
        return await self._request(method, f"{path}?{urlencode(params)}", {"X-MBX-APIKEY": api_key})

    async def _request(self, method: str, target: str, headers: dict[str, str]) -> tuple[int, Json]:
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, yarl.URL(self.url + target, encoded=True), headers=headers) as answer,
        ):
            return answer.status, await answer.json()


@contextlib.asynccontextmanager
async def opened(
    folder: pathlib.Path, limits: Limits = DEFAULTS, environ: dict[str, str] | None = None
) -> AsyncIterator[Stage]:
    """A demo venue without PostgreSQL."""
    settings = load(environ or {}, demo=True, data_dir=folder)
    log = LocalLog(folder / "keyring.jsonl")
    keys = KeyRing(log, Sealer(bytes(32)), None, demo=True, unrestricted_key_ttl_s=3600.0)
    engine = Engine(new_state(TINY))
    market_data = MarketData(interval_s=1.0)
    market_data.seed(engine.state)
    async with running(folder, engine=engine, sync=False, ring_slots=1024, event_slots=4096) as pipeline:
        user_data = UserData(pipeline.read, folder / "events", 0)
        pipeline.on_events(market_data.on_events)
        pipeline.on_events(user_data.on_events)
        await demo.furnish(pipeline)
        await market_data.start("127.0.0.1", 0)
        venue = Venue(settings, pipeline, keys, market_data, user_data)
        ws_api = WsApi(venue, limits)
        gateway = Gateway(venue, ws_api)
        url = f"http://127.0.0.1:{await gateway.start('127.0.0.1', 0)}"
        try:
            yield Stage(gateway, ws_api, keys, pipeline, url)
        finally:
            await ws_api.stop(5.0)
            await gateway.stop(5.0)
            await market_data.stop()
            log.close()
