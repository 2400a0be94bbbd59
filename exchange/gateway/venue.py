"""What every route works with: the pipeline, the reference data, the keys, and the watch over unanswered commands.

Owns the way of a command to the pipeline and back, and the translation of what the pipeline raises into what a client
is told. A command that was submitted is never withdrawn: not when the client goes away, not when it is late. A late one
is told that its outcome is unknown, never that it was rejected.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from exchange.core import readers
from exchange.disruptor.errors import Halted, OutcomeUnknown, Refused, Stopped, StorageLow
from exchange.disruptor.pipeline import Pipeline
from exchange.gateway.errors import Refusal, unknown_outcome
from exchange.gateway.faces import faces
from exchange.gateway.history_reading import History
from exchange.gateway.limits import Limits, Rates
from exchange.gateway.listen_keys import ListenKeys
from exchange.gateway.private.user_data import UserData
from exchange.marketdata.market import MarketData, MarketDataError
from exchange.persistence.watermark import Watermark
from exchange.settings import Settings
from exchange.users.key_guards import KeyGuards
from exchange.users.keyring import KeyRing
from exchange.users.service import Users

T = TypeVar("T")
RETRY_AFTER_S = 1
OVERLOADED = "Server is currently overloaded with other requests. Please try again in a few minutes."
_LATE = "The venue did not answer in time."


def shutting_down() -> Refusal:
    """What everyone is told from the moment a stop was asked for."""
    return Refusal(503, -1016, "This service is shutting down.", retry_after_s=RETRY_AFTER_S)


class Venue:
    """The parts behind the routes. `admitting` is False from the moment a stop was asked for.

    `users` None: the venue runs without a database and keeps nobody.
    """

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        keys: KeyRing,
        market_data: MarketData,
        user_data: UserData,
        history: History | None = None,
        users: Users | None = None,
        history_health: Callable[[], dict[str, Any]] = dict,
        limits: Limits | None = None,
    ) -> None:
        self.settings = settings
        self.pipeline = pipeline
        self.keys = keys
        self.key_guards = KeyGuards(pipeline)
        self.market_data = market_data
        self.user_data = user_data
        self.listen_keys = ListenKeys(keys, user_data)
        self.history = history or History(None, Watermark(lambda: None), 0.0)
        self.users = users
        self.history_health = history_health
        self.admitting = True
        self.limits = limits or Limits(Rates.of(settings))
        pipeline.on_events(self.limits.orders.on_events)
        self.read(readers.compile_now)
        self.faces = faces(self.read(readers.assets)[0], self.read(readers.symbols)[0])
        self._timeout_s = settings.order_timeout_s
        self._waiting: deque[tuple[float, asyncio.Future[bytes]]] = deque()

    def read(self, function: Callable[..., T], *args: Any) -> tuple[T, int]:
        """A reader of `exchange/core/readers.py` on the live state, and the sequence that its result is current to."""
        return self.pipeline.read(function, *args)

    def last_price_ticks(self, symbol: int) -> int:
        """The price of the last trade that market data knows of; 0: there was none, or market data is not there."""
        try:
            return self.market_data.tickers.last_price_ticks(symbol)
        except MarketDataError:
            return 0

    async def run(
        self,
        commands: Sequence[bytes],
        *,
        cancel: bool = False,
        cancel_id: str = "",
        places_for: int = 0,
        orders: int = 1,
    ) -> list[bytes]:
        """The event slots of each command of one linked run, once durable. Raises Refusal.

        `cancel` lets it take a slot of the share that is reserved for cancels. `cancel_id` is the client id that the
        first command, a CANCEL, was sent with. `places_for`: the account whose new orders, `orders` of them, are among
        them.
        """
        entered = 0
        try:
            while places_for and entered < orders:
                self.limits.orders.enter(places_for)
                entered += 1
            futures = self._submit(commands, cancel)
            if cancel_id:
                self.user_data.name_cancel(self.pipeline.last_sequence - len(commands) + 1, cancel_id)
            self._waiting.append((time.monotonic() + self._timeout_s, futures[-1]))
            last = await futures[-1]  # a run is answered in order, and it is the last one that is told when it is late
            return [last] if len(futures) == 1 else [future.result() for future in futures]
        except OutcomeUnknown as error:
            raise unknown_outcome(error.detail) from None
        finally:
            for _ in range(entered):
                self.limits.orders.leave(places_for)
            self._forget_answered()

    def _submit(self, commands: Sequence[bytes], cancel: bool) -> list[asyncio.Future[bytes]]:
        try:
            return self.pipeline.submit(commands, cancel=cancel)
        except (StorageLow, Halted) as error:
            raise Refusal(503, -1008, f"{error.detail} {error.hint}", retry_after_s=RETRY_AFTER_S) from None
        except Stopped:
            raise shutting_down() from None
        except Refused:
            raise Refusal(503, -1008, OVERLOADED, retry_after_s=RETRY_AFTER_S) from None

    def _forget_answered(self) -> None:
        """Keep nothing that is answered: kept for a second it costs 11 us an order, in caches and in collections."""
        waiting = self._waiting
        while waiting and waiting[0][1].done():
            waiting.popleft()

    def give_up_on_late(self) -> None:
        """Tell whoever has waited too long that the outcome is unknown. Called once a second."""
        waiting, now = self._waiting, time.monotonic()
        while waiting and (waiting[0][1].done() or waiting[0][0] <= now):
            future = waiting.popleft()[1]
            if not future.done():
                future.set_exception(OutcomeUnknown(_LATE))
                future.exception()  # a client that has gone away leaves no warning behind
