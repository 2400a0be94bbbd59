"""A stream told again, from a sequence on: the account wound back to there, and its events once more.

Owns the order of the steps. The account is known as it stands behind some event; the journal has what happened before.
An order that closed since is asked of the engine, which remembers the last ones; the events that changed it are then
taken off again. What comes out is what a listener got who was there, to the byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exchange.core import readers
from exchange.core.readers import OrderView
from exchange.core.state import State
from exchange.gateway.private import orders
from exchange.gateway.private.messages import encode
from exchange.gateway.private.mirror import Mirror, accounts_of, ended_waiting, orders_changed
from exchange.gateway.private.past import Seen

Told = list[tuple[bytes, int]]
"""(payload, sequence), in order."""


def closed_orders(state: State, account: int, order_ids: Iterable[int]) -> list[OrderView]:
    """Those of the orders that the engine still knows."""
    found = (readers.find_order(state, account, order_id) for order_id in order_ids)
    return [view for view in found if view is not None]


def orders_needed(mirror: Mirror, seen: Sequence[Seen]) -> list[int]:
    """The orders that `seen` changes, that it does not begin, and that are not open at its end."""
    own = (one.event for one in seen if mirror.account in accounts_of(one.event))
    changed, begun = orders_changed(own, mirror.account)
    return sorted(changed - begun - mirror.orders.keys())


def tell_again(mirror: Mirror, seen: Sequence[Seen], closed: Iterable[OrderView], after: int, unit_ns: int) -> Told:
    """Every message behind the sequence `after`. `mirror` stands at the end of `seen`, and does again afterwards."""
    own = [one.event for one in seen if mirror.account in accounts_of(one.event)]
    for view in closed:
        order = mirror.orders[view.order_id] = orders.of_view(view)
        order.waits = int(order.may_wait and ended_waiting(own, order))
    mirror.rewind(own)
    told: Told = []
    previous = after
    for one in seen:
        for sequence, message in mirror.tell(*one):
            if sequence > after:
                told.append((encode(message, unit_ns, sequence, previous), sequence))
                previous = sequence
    return told
