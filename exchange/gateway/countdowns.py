"""Dead man's timers: orders are canceled unless their owner says again, in time, that all is well.

Owns POST countdownCancelAll. The engine keeps the timers and the log times them: they run on when the venue stops, and
end with the first TICK after it starts again. A timer is for an account on one symbol or on all; those of a key belong
to `exchange/gateway/ws_api/dead_man.py`.
"""

from __future__ import annotations

from exchange.core.codes import CommandKind, EventKind
from exchange.gateway.catalogue import ANY_SYMBOL, COUNTDOWN_TIME
from exchange.gateway.errors import refused
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.venue import Venue
from exchange.gateway.wire import countdown, order_event

MILLISECOND_NS = 1_000_000
_REJECTED = int(EventKind.REJECTED)


async def countdown_cancel_all(venue: Venue, call: Call) -> Reply:
    """POST countdownCancelAll: cancel every open order in so many milliseconds; 0: do not."""
    name = call.params.get(ANY_SYMBOL.name)
    symbol = 0 if name is None else call.face.reference.named(name).symbol
    milliseconds = COUNTDOWN_TIME.read(call.params)
    command = countdown(call.key.account, symbol=symbol, countdown_ns=milliseconds * MILLISECOND_NS)
    call.check_age()
    (events,) = await venue.run((command,), cancel=True)
    event = order_event(events)
    if event.kind == _REJECTED:
        raise refused(event.reject, CommandKind.COUNTDOWN)
    return Reply({"symbol": name or "", "countdownTime": str(milliseconds)}, event.sequence)
