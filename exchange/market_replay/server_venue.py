"""A venue behind a network: a running server's signed REST interface.

Owns the translation of a replay's actions into requests and of answers into outcomes, the signing and the two keys.
Never decides what to send, and never sends two requests at once: the order of commands is the recording's.

Prices are LOBSTER's dollars in the symbol's quote asset; one share is `share` of its base asset. The maker's key
places what the tape says was placed and what was there before our view, the taker's key executes. Other clients may
trade with either: what they took is refused when we cancel it, and counted. A halt is not a client's request, so halts
are not sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp

from exchange.core.codes import Side
from exchange.market_replay.lobster import EMPTY_PRICE, BookRow
from exchange.market_replay.replay import Action, Cancel, Fill, Outcome, Owner, Place, Reduce, SetMode

REFUSED_BY_STATE = frozenset((-2010, -2011, -2038))
"""Codes that say that the book or the account is not as we thought, because others trade too."""
RETRIES_MAX = 20
TIMEOUT_S = 30
PUBLISHED_EVERY_S = 0.1
PRICE_DECIMALS = 4


class ServerRefused(Exception):
    """A request that the server refused for a reason that will not pass, or that could not be made."""


class Credentials(NamedTuple):
    """An API key and its secret."""

    key: str
    secret: str


class ServerVenue:
    """A client of one symbol. Use as an async context manager: it cancels all open orders of both keys, first and
    last."""

    def __init__(self, url: str, symbol: str, share: Decimal, maker: Credentials, taker: Credentials) -> None:
        self.requests = 0
        self._url = url.rstrip("/")
        self._symbol = symbol
        self._share = share
        self._credentials = {Owner.SEED: maker, Owner.MAKER: maker, Owner.TAKER: taker}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> ServerVenue:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1), timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)
        )
        try:
            await self._cancel_all()
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        try:
            await self._cancel_all()
        finally:
            await self._session.close()

    async def _cancel_all(self) -> None:
        for owner in (Owner.MAKER, Owner.TAKER):
            await self._signed("DELETE", "/v1/openOrders", owner)

    async def execute(self, action: Action) -> Outcome:
        """Make one request. Raises ServerRefused."""
        match action:
            case Place():
                return await self._place(action)
            case Cancel(owner, order_id):
                answer = await self._signed("DELETE", "/v1/order", owner, orderId=str(order_id))
                return Outcome(order_id if answer else 0)
            case Reduce(owner, order, total):
                answer = await self._signed(
                    "PUT",
                    "/v1/order/amend/keepPriority",
                    owner,
                    orderId=str(order.order_id),
                    newQty=self._quantity(total),
                )
                return Outcome(order.order_id if answer else 0)
            case SetMode():
                return Outcome()

    async def _place(self, action: Place) -> Outcome:
        answer = await self._signed(
            "POST",
            "/v1/order",
            action.owner,
            side=action.side.name,
            type="LIMIT",
            timeInForce="IOC" if action.owner is Owner.TAKER else "GTC",
            quantity=self._quantity(action.size),
            price=format(Decimal(action.price).scaleb(-PRICE_DECIMALS).normalize(), "f"),
            selfTradePreventionMode="NONE",
            newOrderRespType="FULL",
        )
        if answer is None:
            return Outcome()
        fills = tuple(
            Fill(0, int(Decimal(fill["qty"]) / self._share), int(Decimal(fill["price"]).scaleb(PRICE_DECIMALS)))
            for fill in answer["fills"]
        )
        return Outcome(answer["orderId"], fills)

    def _quantity(self, size: int) -> str:
        return format((size * self._share).normalize(), "f")

    async def _signed(self, method: str, path: str, owner: Owner, **parameters: str) -> Any:
        """The answer to a signed request, None if it was refused because the book is not as we thought."""
        credentials = self._credentials[owner]
        for _ in range(RETRIES_MAX):
            query = urlencode({"symbol": self._symbol, **parameters, "timestamp": time.time_ns() // 1_000_000})
            signature = hmac.new(credentials.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
            status, answer, retry_after_s = await self._request(
                method, f"{path}?{query}&signature={signature}", {"X-MBX-APIKEY": credentials.key}
            )
            if status == 200:
                return answer
            if answer.get("code") in REFUSED_BY_STATE:
                return None
            if answer.get("outcome") != "rejected" or status != 503:
                raise ServerRefused(f"{method} {path} was answered {status}: {answer.get('msg', 'no reason given')}")
            await asyncio.sleep(retry_after_s)
        raise ServerRefused(f"{method} {path} was answered 503 {RETRIES_MAX} times")

    async def _request(self, method: str, target: str, headers: dict[str, str]) -> tuple[int, Any, float]:
        assert self._session is not None
        self.requests += 1
        try:
            async with self._session.request(method, self._url + target, headers=headers) as response:
                retry_after_s = float(response.headers.get("Retry-After", "1"))
                return response.status, await response.json(content_type=None), retry_after_s
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ServerRefused(f"{self._url} did not answer {method} {target.partition('?')[0]}: {error!r}") from None

    async def book_equals(self, expected: BookRow, levels: int, timeout_s: float = 5.0) -> bool:
        """Whether the depth that the server publishes becomes the expected row within a time."""
        deadline = time.monotonic() + timeout_s
        while True:
            _, depth, _ = await self._request("GET", f"/v1/depth?symbol={self._symbol}&limit={levels}", {})
            if self._row(depth, levels) == list(expected[: 4 * levels]):
                return True
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(PUBLISHED_EVERY_S)

    def _row(self, depth: dict[str, list[list[str]]], levels: int) -> list[int]:
        row = [EMPTY_PRICE, 0, -EMPTY_PRICE, 0] * levels
        for name, side in (("asks", Side.SELL), ("bids", Side.BUY)):
            first = 0 if side == Side.SELL else 2
            for at, (price, quantity) in enumerate(depth.get(name, [])[:levels]):
                row[4 * at + first] = int(Decimal(price).scaleb(PRICE_DECIMALS))
                row[4 * at + first + 1] = int(Decimal(quantity) / self._share)
        return row


def parse_share(text: str) -> Decimal:
    """How much of the base asset one share is. Raises ValueError for what is not a positive decimal."""
    try:
        share = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a decimal number") from None
    if not share.is_finite() or share <= 0:
        raise ValueError(f"{text!r} is not a positive number")
    return share
