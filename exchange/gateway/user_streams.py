"""The routes of listenKeys: make one, refresh it, end it. They want the name of an API key and no signature.

Never a socket: those belong to the market data server, which asks `exchange/gateway/listen_keys.py`.
"""

from __future__ import annotations

from exchange.gateway.catalogue import LISTEN_KEY
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.venue import Venue


async def start(venue: Venue, call: Call) -> Reply:
    """POST userDataStream: the listenKey of an API key."""
    return Reply({"listenKey": venue.listen_keys.start(call.key)})


async def refresh(venue: Venue, call: Call) -> Reply:
    """PUT userDataStream: let the listenKey live for another 60 minutes."""
    venue.listen_keys.refresh(call.key, LISTEN_KEY.text(call.params))
    return Reply({})


async def stop(venue: Venue, call: Call) -> Reply:
    """DELETE userDataStream: end the listenKey."""
    venue.listen_keys.stop(call.key, LISTEN_KEY.text(call.params))
    return Reply({})
