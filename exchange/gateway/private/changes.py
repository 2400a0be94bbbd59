"""What one event does to the balances of one account: docs/engine.md, section 5, for a single event.

Owns nothing; a test holds it equal to the postings of the projection (exchange/persistence/postings.py), which folds
whole batches as arrays. For the three events of a small command that takes 300 us, more than all the rest of telling
them (`python -m bench.private`).
"""

from __future__ import annotations

from exchange.core.codes import Side, TransferState
from exchange.gateway.symbols import Rules
from exchange.gateway.wire import OrderEvent, Prevented, Trade, Transfer

Changes = tuple[tuple[int, int, int], ...]
"""(asset, change of available, change of locked), atoms. A row may be zero."""

_STATES = {
    TransferState.DEPOSITED: (1, 0),
    TransferState.HELD: (-1, 1),
    TransferState.SETTLED: (0, -1),
    TransferState.RELEASED: (1, -1),
}


def _pays(rules: Rules, side: int) -> int:
    """The asset that a side pays with."""
    return rules.view.quote_asset if side == Side.BUY else rules.view.base_asset


def of_order(rules: Rules, event: OrderEvent) -> Changes:
    """An ORDER_EVENT that was not refused: between available and locked."""
    held = event.hold_delta_atoms
    return ((_pays(rules, event.side), -held, held),)


def of_trade(rules: Rules, event: Trade, *, is_taker: bool) -> Changes:
    """One side of a fill."""
    base, quote = rules.view.base_asset, rules.view.quote_asset
    base_atoms = event.qty_lots * rules.view.base_atoms_per_lot
    fee_atoms = event.taker_fee_atoms if is_taker else event.maker_fee_atoms
    if (event.side == Side.BUY) == is_taker:
        released = event.taker_release_atoms if is_taker else 0
        return (base, base_atoms - fee_atoms, 0), (quote, released, -event.quote_atoms - released)
    return (base, 0, -base_atoms), (quote, event.quote_atoms - fee_atoms, 0)


def of_prevented(rules: Rules, event: Prevented, *, is_taker: bool) -> Changes:
    """One order of a prevented match."""
    released = event.taker_release_atoms if is_taker else event.maker_release_atoms
    return ((_pays(rules, event.side if is_taker else event.side ^ 1), released, -released),)


def of_transfer(event: Transfer) -> Changes:
    """A deposit, or a step of a withdrawal."""
    available, locked = _STATES[TransferState(event.transfer_state)]
    return ((event.asset, available * event.amount_atoms, locked * event.amount_atoms),)
