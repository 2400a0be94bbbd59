"""The mirror of an account against the oracle, on streams of orders that wait, hang together and meet in auctions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

from exchange.core.codes import EventKind, Stage
from exchange.core.readers import AssetView, OrderView, SymbolView
from exchange.gateway.private import messages
from exchange.gateway.private.mirror import Mirror, accounts_of, decode
from exchange.gateway.private.orders import waits_of
from exchange.gateway.private.past import Seen
from exchange.gateway.private.resume import orders_needed, tell_again
from exchange.gateway.symbols import Reference
from exchange.marketdata.names import wire_symbol
from tests.core.guarded_streams import GuardedFlow
from tests.core.plans import CONDITIONAL
from tests.core.streams import Flow
from tests.oracle.venue import Order, Venue
from tests.special_story import slots_of

COMMANDS = 900
RESUME_EVERY = 40
ADDING = (EventKind.ASSET_ADDED, EventKind.SYMBOL_ADDED, EventKind.SYMBOL_CHANGED)


def reference_of(venue: Venue) -> Reference:
    assets = [AssetView(one.asset, one.name, one.scale) for one in venue.assets.values()]
    symbols = []
    for one in venue.symbols.values():
        fields: dict[str, Any] = {name: one.rules.get(name, 0) for name in SymbolView._fields}
        fields |= {"symbol": one.symbol, "name": one.name, "mode": one.mode, "trades": one.trades}
        fields |= {"base_asset": one.base.asset, "quote_asset": one.quote.asset}
        fields |= {"price_scale": one.price_scale, "qty_scale": one.qty_scale}
        fields |= {"base_atoms_per_lot": one.base_atoms_per_lot}
        symbols.append(SymbolView(**fields | {"quote_atoms_per_tick_lot": one.quote_atoms_per_tick_lot}))
    return Reference(assets, symbols, wire_symbol)


def view_of(order: Order) -> OrderView:
    """An order as the engine's readers show it."""
    is_open = order.closed_as is None
    fields: dict[str, Any] = {name: getattr(order, name) for name in OrderView._fields if hasattr(order, name)}
    fields |= {"leaves_lots": order.leaves_lots if is_open else order.closed_lots, "is_open": is_open}
    return OrderView(**fields | ({} if is_open else {"stage": Stage.BOOK, "shown_lots": 0, "working_ts_ns": 0}))


def row_of(order: Any) -> tuple[Any, ...]:
    """What the mirror and the oracle both know of an open order."""
    names = ("order_id", "side", "order_type", "price_ticks", "filled_lots", "filled_quote_atoms", "list_id")
    terms = ("list_role", "stop_price_ticks", "iceberg_lots", "trailing_bips", "peg_type")
    return tuple(int(getattr(order, name)) for name in names + terms)


class Account:
    """One account: its mirror, what it saw, and what it was told."""

    def __init__(self, account: int, venue: Venue) -> None:
        self.mirror = Mirror(account, reference_of(venue), {}, [], [])
        self.seen: list[Seen] = []
        self.told: list[tuple[bytes, int]] = []

    def take(self, seen: Seen) -> None:
        self.seen.append(seen)
        self.told += [(messages.encode(message, 1, number, 0), number) for number, message in self.mirror.tell(*seen)]

    def agrees_with(self, venue: Venue) -> None:
        """Orders and balances are the oracle's, and each order waits as it does there."""
        mine = [order for order in venue.open_orders.values() if order.account == self.mirror.account]
        assert sorted(map(row_of, self.mirror.orders.values())) == sorted(map(row_of, mine))
        for order in mine:
            known = self.mirror.orders[order.order_id]
            assert known.qty_lots == order.total_lots
            assert known.waits == waits_of(order.order_type, order.stage)
        for asset, (available, locked) in self.mirror.balances.items():
            assert venue.ledger.balances[self.mirror.account, asset] == [available, locked]


def follow(flow: Flow, commands: int) -> Iterable[tuple[dict[int, Account], int]]:
    """(accounts that listen, events so far) after each command."""
    accounts: dict[int, Account] = {}
    ordinal = 0
    for _ in range(commands):
        told = flow.take(1)[1][0]
        for account in set(flow.oracle.venue.accounts) - set(accounts):
            accounts[account] = Account(account, flow.oracle.venue)
        if any(event["kind"] in ADDING for event in told):
            for one in accounts.values():
                one.mirror.reference = reference_of(flow.oracle.venue)
        concerned: set[int] = set()
        for slot in slots_of(told):
            ordinal += 1
            event = decode(slot.tobytes())
            is_last = bool(slot[17] & 1)
            is_foreign = event.kind == EventKind.REJECTED and slot[88] != 32
            concerned |= set() if is_foreign else set(accounts_of(event)) & accounts.keys()
            for account in concerned if is_last else concerned.intersection(accounts_of(event)):
                accounts[account].take(Seen(event, ordinal, is_last))
        yield accounts, ordinal


@pytest.mark.parametrize("flow", [Flow(51, CONDITIONAL), Flow(52, CONDITIONAL), GuardedFlow(53)])
def test_mirror_is_the_oracles_account_after_every_command(flow: Flow) -> None:
    kinds: set[int] = set()
    for accounts, _ in follow(flow, COMMANDS):
        for account in accounts.values():
            account.agrees_with(flow.oracle.venue)
    for account in accounts.values():
        kinds.update(seen.event.kind for seen in account.seen)
    assert kinds >= {EventKind.ORDER_TERMS, EventKind.ORDER_ENTERED, EventKind.ORDER_SHOWN, EventKind.LIST_CHANGED}


@pytest.mark.parametrize("flow", [Flow(61, CONDITIONAL), Flow(62, CONDITIONAL), GuardedFlow(63), GuardedFlow(64)])
def test_told_again_is_what_was_told_live(flow: Flow) -> None:
    every: dict[int, Order] = {}
    began: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, (accounts, ordinal) in enumerate(follow(flow, COMMANDS)):
        every |= flow.oracle.venue.open_orders
        every |= {order.order_id: order for _, order in flow.oracle.venue.window}
        if number % RESUME_EVERY == 0:
            for account in accounts:
                began[account].append((ordinal, len(accounts[account].seen)))
    compared = 0
    for account, one in accounts.items():
        for ordinal, first in began[account]:
            mirror, seen = one.mirror.copy(one.mirror.reference), one.seen[first:]
            needed = orders_needed(mirror, seen)
            assert all(every[order_id].closed_as is not None for order_id in needed)
            after = messages.last_sequence(ordinal)
            found = tell_again(mirror, seen, [view_of(every[order_id]) for order_id in needed], after, 1)
            wanted = [(payload, number) for payload, number in one.told if number > after]
            assert [(messages.restated(payload, 0), number) for payload, number in found] == wanted
            compared += len(needed)
    assert compared > 100
