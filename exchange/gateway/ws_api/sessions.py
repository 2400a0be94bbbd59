"""Who a connection is: session.logon, session.status, session.logout, and the end of a key.

Owns which connections stand for which key, by a session or by a user data stream. When a key is revoked, in this
process and at once (PostgreSQL is not asked), or expires (`sweep`), its sessions and its streams end; a connection that
has nothing else is closed with the reason.

Only an Ed25519 key opens a session: its secret never leaves its owner, so a connection is worth nothing to whoever sees
one signature. An HMAC key is told -2015 after its signature was checked.
"""

from __future__ import annotations

import time

from aiohttp import WSCloseCode

from exchange.gateway.catalogue import SIGNED
from exchange.gateway.errors import mandatory
from exchange.gateway.replies import Reply
from exchange.gateway.signing import denied
from exchange.gateway.venue import Venue
from exchange.gateway.ws_api.calls import API_KEY, check_params, signed_call
from exchange.gateway.ws_api.connection import Connection, Session
from exchange.gateway.ws_api.messages import Request
from exchange.users.keys import Key, KeyKind

_SIGNED = frozenset(field.name for field in SIGNED)
_PLAIN: frozenset[str] = frozenset()


class Sessions:
    """The connections that stand for keys, and the methods of a session."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._holders: dict[Key, set[Connection]] = {}
        venue.keys.on_revoked(lambda key: self._end(key, "The API key was revoked."))

    # ---- methods --------------------------------------------------------------------------------------------------

    async def logon(self, connection: Connection, request: Request) -> Reply:
        """session.logon: from here on requests need no key and no signature."""
        if API_KEY not in request.params:
            raise mandatory(API_KEY)
        key = signed_call(self._venue, connection, request, _SIGNED, None).key
        if key.kind is not KeyKind.ED25519:
            raise denied()
        self._end_session(connection)
        connection.session = Session(key, time.time_ns())
        self.hold(key, connection)
        return self._status(connection)

    async def status(self, connection: Connection, request: Request) -> Reply:
        """session.status: who the connection is."""
        check_params(request.params, _PLAIN)
        return self._status(connection)

    async def logout(self, connection: Connection, request: Request) -> Reply:
        """session.logout: forget it; the streams of the session end, those that were signed for go on."""
        check_params(request.params, _PLAIN)
        self._end_session(connection)
        return self._status(connection)

    def _status(self, connection: Connection) -> Reply:
        session, unit_ns = connection.session, connection.unit_ns
        return Reply(
            {
                "apiKey": session.key.api_key if session is not None else None,
                "authorizedSince": session.since_ns // unit_ns if session is not None else None,
                "connectedSince": connection.since_ns // unit_ns,
                "returnRateLimits": connection.shows_limits,
                "serverTime": time.time_ns() // unit_ns,
                "userDataStream": bool(connection.channels),
            }
        )

    # ---- the ends of keys -----------------------------------------------------------------------------------------

    def hold(self, key: Key, connection: Connection) -> None:
        """From here on `connection` stands for `key`, by its session or by one of its channels."""
        self._holders.setdefault(key, set()).add(connection)

    def release(self, key: Key, connection: Connection) -> None:
        """Forget it, unless the connection has something else by that key."""
        session = connection.session
        if (session is not None and session.key is key) or any(one.key is key for one in connection.channels.values()):
            return
        holders = self._holders.get(key, set())
        holders.discard(connection)
        if not holders:
            self._holders.pop(key, None)

    def leave(self, connection: Connection) -> None:
        """The connection is over."""
        for channel in tuple(connection.channels.values()):
            channel.end("The connection has ended.")
            self.release(channel.key, connection)
        self._end_session(connection)

    def sweep(self) -> None:
        """End what keys that have expired had open. Called once a second."""
        now_us = time.time_ns() // 1000
        for key in [key for key in self._holders if now_us >= key.expires_us]:
            self._end(key, "The API key has expired.")

    def _end_session(self, connection: Connection) -> None:
        session, connection.session = connection.session, None
        if session is None:
            return
        for channel in [channel for channel in connection.channels.values() if channel.is_of_session]:
            channel.end("The session has ended.")
        self.release(session.key, connection)

    def _end(self, key: Key, reason: str) -> None:
        for connection in tuple(self._holders.get(key, ())):
            for channel in [channel for channel in connection.channels.values() if channel.key is key]:
                channel.end(reason)
            if connection.session is not None and connection.session.key is key:
                self._end_session(connection)
            if connection.session is None and not connection.channels:
                connection.close(WSCloseCode.POLICY_VIOLATION, reason)
        self._holders.pop(key, None)
