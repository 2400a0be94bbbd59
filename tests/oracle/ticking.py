"""Section 4.5 and the pages after it: what time does, in its order.

Owns TICK: orders expire, dead man's timers run out, pauses and auctions end, and what is due has its turn.
"""

from __future__ import annotations

from exchange.core.codes import CloseReason, EventKind, TimeInForce
from tests.oracle.auction import tick_phases
from tests.oracle.sweeping import fire_countdowns
from tests.oracle.turns import take_turns
from tests.oracle.venue import Venue
from tests.oracle.withdrawing import close_each
from tests.oracle.words import Command

EXPIRIES_PER_TICK = 1_000


def tick(venue: Venue, _: Command) -> None:
    due = [
        o for o in venue.open_orders.values() if o.time_in_force is TimeInForce.GTD and o.expire_ts_ns <= venue.ts_ns
    ]
    due.sort(key=lambda o: (o.expire_ts_ns, o.order_id))
    expired_count = close_each(venue, due, CloseReason.GTD_EXPIRED, EXPIRIES_PER_TICK)
    fire_countdowns(venue, EXPIRIES_PER_TICK - expired_count)
    tick_phases(venue)
    take_turns(venue, [venue.symbols[number] for number in sorted(venue.symbols)])
    venue.emit(EventKind.TICKED, expired_count=expired_count)
