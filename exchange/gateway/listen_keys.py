"""listenKeys: the old way to a user data stream, for bots that still ask for one. POST, PUT, DELETE userDataStream.

Owns which names there are, whose they are and until when. A name lives 60 minutes from its last POST or PUT, belongs to
one API key and ends with it. Whoever knows it may listen, so it is as secret as what it shows; it can do nothing else.
Memory only, one name for each API key: a restart forgets them, as a client must expect of a name that expires.

The sockets themselves belong to the market data server, which asks `find` for a name that is no stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from aiohttp import WSCloseCode

from exchange.gateway.errors import Refusal
from exchange.gateway.private.subscriptions import Subscription
from exchange.gateway.private.user_data import UserData
from exchange.marketdata.private_streams import Attach, Close, Detach, Send
from exchange.users.keyring import KeyRing
from exchange.users.keys import Key, draw_secret

NAME_CHARACTERS = 60
LIFE_S = 3600.0
REVOKED = "The API key was revoked."
ENDED = "the listenKey has ended; make a new one"


class _Stream:
    """One socket that listens by a name."""

    def __init__(self, send: Send, close: Close, unit_ns: int) -> None:
        self.send = send
        self.close = close
        self.unit_ns = unit_ns
        self.subscription: Subscription | None = None

    def event(self, payload: bytes, sequence: int) -> None:
        """A message of the account."""
        self.send(payload)


class _Name:
    """A listenKey."""

    def __init__(self, text: str, key: Key, until_s: float) -> None:
        self.text = text
        self.key = key
        self.until_s = until_s
        self.streams: set[_Stream] = set()


class ListenKeys:
    """The names of one process; `sweep` once a second. `clock` is monotonic, in seconds."""

    def __init__(self, keys: KeyRing, user_data: UserData, clock: Callable[[], float] = time.monotonic) -> None:
        self._user_data = user_data
        self._clock = clock
        self._names: dict[str, _Name] = {}
        self._by_key: dict[str, _Name] = {}
        keys.on_revoked(self._revoked)

    def start(self, key: Key) -> str:
        """The name of a key, which lives from now on for `LIFE_S`; a new one if there is none."""
        name = self._by_key.get(key.api_key)
        if name is None:
            text = draw_secret()[:NAME_CHARACTERS]
            name = self._names[text] = self._by_key[key.api_key] = _Name(text, key, 0.0)
        name.until_s = self._clock() + LIFE_S
        return name.text

    def refresh(self, key: Key, text: str) -> None:
        """The name lives for `LIFE_S` more. Raises Refusal -1125."""
        self._of(key, text).until_s = self._clock() + LIFE_S

    def stop(self, key: Key, text: str) -> None:
        """The name is no more, and whoever listens by it is told. Raises Refusal -1125."""
        self._expire(self._of(key, text))

    def find(self, text: str) -> Attach | None:
        """How a socket listens by that name; None: there is no such name, or not any more."""
        name = self._names.get(text)
        if name is None or self._is_over(name):
            return None

        async def attach(send: Send, close: Close, unit_ns: int) -> Detach:
            stream = _Stream(send, close, unit_ns)
            if self._names.get(text) is not name:  # it has ended since it was found
                close(WSCloseCode.POLICY_VIOLATION, ENDED)
                return lambda: None
            try:
                stream.subscription = await self._user_data.subscribe(name.key.account, stream, unit_ns=unit_ns)
            except Refusal as refusal:
                close(WSCloseCode.TRY_AGAIN_LATER, refusal.msg)
            else:
                name.streams.add(stream)

            def detach() -> None:
                name.streams.discard(stream)
                if stream.subscription is not None:
                    self._user_data.unsubscribe(stream.subscription)

            return detach

        return attach

    def sweep(self) -> None:
        """End what has lived long enough. Called once a second."""
        for name in [name for name in self._names.values() if self._is_over(name)]:
            self._expire(name)

    def _is_over(self, name: _Name) -> bool:
        return name.until_s <= self._clock() or time.time_ns() // 1000 >= name.key.expires_us

    def _of(self, key: Key, text: str) -> _Name:
        name = self._names.get(text)
        if name is None or name.key.account != key.account or self._is_over(name):
            raise Refusal(400, -1125, "This listenKey does not exist.")
        return name

    def _forget(self, name: _Name) -> list[_Stream]:
        del self._names[name.text], self._by_key[name.key.api_key]
        streams, name.streams = list(name.streams), set()
        return streams

    def _expire(self, name: _Name) -> None:
        now_ns, text = time.time_ns(), name.text.encode("ascii")
        for stream in self._forget(name):
            if stream.subscription is not None:
                self._user_data.unsubscribe(stream.subscription)
            stream.send(b'{"e":"listenKeyExpired","E":%d,"listenKey":"%b"}' % (now_ns // stream.unit_ns, text))
            stream.close(WSCloseCode.POLICY_VIOLATION, ENDED)

    def _revoked(self, key: Key) -> None:
        name = self._by_key.get(key.api_key)
        if name is None:
            return
        for stream in self._forget(name):
            if stream.subscription is not None:
                self._user_data.terminate(stream.subscription, REVOKED)
            stream.close(WSCloseCode.POLICY_VIOLATION, REVOKED)
