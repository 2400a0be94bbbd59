"""session.cancelOnDisconnect: when a connection ends, the orders of its key are canceled.

Owns which connections ask for that, and with which keys. When the last one that asks for a key ends, however it ends, a
countdown of GRACE_NS for the orders of that key goes to the engine, so that the log times it; a client that is back
within it and asks again disarms it. What a full ring refuses is sent again every second; where the engine has no timer
left, the orders are canceled at once.

Never survives the process: after a crash of the venue nobody's connection has ended, for all that the log knows.
"""

from __future__ import annotations

import asyncio
import logging

from exchange.core.codes import CommandKind, EventKind, Scope
from exchange.gateway.catalogue import ENABLED, SIGNED
from exchange.gateway.errors import Refusal, refused
from exchange.gateway.replies import Reply
from exchange.gateway.venue import Venue
from exchange.gateway.wire import countdown, mass_canceled, order_event, sweep
from exchange.gateway.ws_api.calls import signed_call
from exchange.gateway.ws_api.connection import Connection
from exchange.gateway.ws_api.messages import Request
from exchange.users.keys import Key, Permission

log = logging.getLogger("exchange.gateway")
GRACE_NS = 1_000_000_000
_ALLOWED = frozenset(field.name for field in (*SIGNED, ENABLED))
_REJECTED = int(EventKind.REJECTED)


class DeadMan:
    """The method; `leave` at the end of a connection; `sweep` once a second."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._asking: dict[Key, set[Connection]] = {}
        self._unsent: set[Key] = set()
        self._sending: set[asyncio.Task[None]] = set()

    async def set(self, connection: Connection, request: Request) -> Reply:
        """session.cancelOnDisconnect: cancel the orders of this key when this connection ends, or do not."""
        key = signed_call(self._venue, connection, request, _ALLOWED, Permission.TRADE).key
        is_enabled = ENABLED.read(request.params)
        if is_enabled:
            self._asking.setdefault(key, set()).add(connection)
        else:
            self._forget(key, connection)
        self._unsent.discard(key)
        (events,) = await self._venue.run((countdown(key.account, key=key.number),), cancel=True)
        event = order_event(events)
        if event.kind == _REJECTED:
            raise refused(event.reject, CommandKind.COUNTDOWN)
        grace = GRACE_NS // connection.unit_ns
        return Reply({"apiKey": key.api_key, "enabled": is_enabled, "graceTime": grace}, event.sequence)

    def leave(self, connection: Connection) -> None:
        """The connection is over."""
        for key in [key for key, asking in self._asking.items() if connection in asking]:
            self._forget(key, connection)
            if key not in self._asking:
                self._unsent.add(key)
        self.sweep()

    def sweep(self) -> None:
        """Send what is not sent yet."""
        while self._unsent:
            task = asyncio.get_running_loop().create_task(self._arm(self._unsent.pop()))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def stop(self) -> None:
        """Return when what was sent is answered."""
        if self._sending:
            await asyncio.wait(self._sending)

    def _forget(self, key: Key, connection: Connection) -> None:
        asking = self._asking.get(key, set())
        asking.discard(connection)
        if not asking:
            self._asking.pop(key, None)

    async def _arm(self, key: Key) -> None:
        try:
            (events,) = await self._venue.run(
                (countdown(key.account, key=key.number, countdown_ns=GRACE_NS),), cancel=True
            )
            if order_event(events).kind == _REJECTED:
                await self._cancel(key)
        except Refusal as refusal:
            log.error("the orders of a key whose connection ended are not canceled yet: %s", refusal.msg)
            if refusal.outcome == "rejected" and self._venue.admitting and key not in self._asking:
                self._unsent.add(key)

    async def _cancel(self, key: Key) -> None:
        """There is no timer left: cancel at once."""
        command, more = sweep(Scope.KEY, key.account, key=key.number), True
        while more:
            (events,) = await self._venue.run((command,), cancel=True)
            more = mass_canceled(events)
