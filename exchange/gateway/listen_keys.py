"""listenKeys: the old way to a user data stream, for bots that still ask for one. POST, PUT, DELETE userDataStream.

Owns which names there are, whose they are and until when. A name lives 60 minutes from its last POST or PUT, belongs to
one API key and ends with it. Whoever knows it may listen, so it is as secret as what it shows; it may never do anything.
Memory only, one name for each API key: a restart forgets them, as a client must expect of a name that expires.

The sockets themselves belong to the market data server, which asks `find` for a name that is no stream.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from aiohttp import WSCloseCode

from exchange.gateway.catalogue import LISTEN_KEY
from exchange.gateway.errors import Refusal
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.venue import Venue
from exchange.users.keys import Key, draw_secret

NAME_CHARACTERS = 60
LIFE_S = 3600.0
NS_PER_MS = 1_000_000
Send = Callable[[bytes], None]
Close = Callable[[int, str], None]
Detach = Callable[[], None]
Attach = Callable[[Send, Close], Awaitable[Detach]]
