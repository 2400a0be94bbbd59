"""Section 5: what events mean in money.

Owns the ledger, and computes it from events alone: an event implies postings, the postings of an event sum to zero per
asset, and no account but WORLD is ever below zero. Decides nothing: it knows neither orders nor commands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from exchange.core.codes import Account, CommandKind, EventKind, Side
from tests.oracle.words import MAX_ATOMS, Event

if TYPE_CHECKING:
    from tests.oracle.venue import Symbol

AVAILABLE, LOCKED = 0, 1


class Posting(NamedTuple):
    account: int
    asset: int
    part: int  # AVAILABLE or LOCKED
    change_atoms: int


Postings = Iterator[Posting]
Symbols = Mapping[int, "Symbol"]


def fee_atoms(received_atoms: int, rate_ppm: int) -> int:
    """The fee on what is received: rounded up, so that the venue never gives an atom away."""
    return ceil(Fraction(received_atoms * rate_ppm, 1_000_000))


def locks(account: int, asset: int, amount_atoms: int) -> Postings:
    """Available to locked; a negative amount is the way back."""
    yield Posting(account, asset, AVAILABLE, -amount_atoms)
    yield Posting(account, asset, LOCKED, +amount_atoms)


def of_hold_change(e: Event, symbols: Symbols) -> Postings:
    """ORDER_ACCEPTED, ORDER_ENTERED, ORDER_FUNDED, ORDER_REDUCED, ORDER_CLOSED."""
    yield from locks(e["account"], symbols[e["symbol"]].payer_asset(Side(e["side"])), e["hold_delta_atoms"])


def of_trade(e: Event, symbols: Symbols) -> Postings:
    symbol = symbols[e["symbol"]]
    base, quote = symbol.base.asset, symbol.quote.asset
    taker = (e["taker_account"], e["taker_fee_atoms"])
    maker = (e["maker_account"], e["maker_fee_atoms"])
    (buyer, buyer_fee), (seller, seller_fee) = (taker, maker) if e["side"] == Side.BUY else (maker, taker)
    base_atoms = e["qty_lots"] * symbol.base_atoms_per_lot

    yield Posting(buyer, quote, LOCKED, -e["quote_atoms"])
    yield Posting(seller, quote, AVAILABLE, e["quote_atoms"] - seller_fee)
    yield Posting(Account.FEES, quote, AVAILABLE, seller_fee)

    yield Posting(seller, base, LOCKED, -base_atoms)
    yield Posting(buyer, base, AVAILABLE, base_atoms - buyer_fee)
    yield Posting(Account.FEES, base, AVAILABLE, buyer_fee)

    yield from locks(e["taker_account"], quote, -e["taker_release_atoms"])


def of_prevention(e: Event, symbols: Symbols) -> Postings:
    symbol, taker_side = symbols[e["symbol"]], Side(e["side"])
    yield from locks(e["account"], symbol.payer_asset(taker_side), -e["taker_release_atoms"])
    maker = e["maker_account"] or e["account"]
    yield from locks(maker, symbol.payer_asset(Side(1 - taker_side)), -e["maker_release_atoms"])


def of_transfer(e: Event, _: Symbols) -> Postings:
    account, asset, amount_atoms = e["account"], e["asset"], e["amount_atoms"]
    match CommandKind(e["command_kind"]):
        case CommandKind.DEPOSIT:
            yield Posting(Account.WORLD, asset, AVAILABLE, -amount_atoms)
            yield Posting(account, asset, AVAILABLE, +amount_atoms)
        case CommandKind.WITHDRAW_HOLD:
            yield from locks(account, asset, amount_atoms)
        case CommandKind.WITHDRAW_SETTLE:
            yield Posting(account, asset, LOCKED, -amount_atoms)
            yield Posting(Account.WORLD, asset, AVAILABLE, +amount_atoms)
        case CommandKind.WITHDRAW_RELEASE:
            yield from locks(account, asset, -amount_atoms)


POSTINGS_OF: dict[EventKind, Callable[[Event, Symbols], Postings]] = {
    EventKind.ORDER_ACCEPTED: of_hold_change,
    EventKind.ORDER_ENTERED: of_hold_change,
    EventKind.ORDER_FUNDED: of_hold_change,
    EventKind.ORDER_REDUCED: of_hold_change,
    EventKind.ORDER_CLOSED: of_hold_change,
    EventKind.TRADE: of_trade,
    EventKind.PREVENTED: of_prevention,
    EventKind.TRANSFERRED: of_transfer,
}
"""Every other event moves no money."""


class Ledger:
    """Balances by (account, asset): [available, locked], each the sum of its postings."""

    def __init__(self) -> None:
        self.balances: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])

    def available(self, account: int, asset: int) -> int:
        return self.balances[account, asset][AVAILABLE]

    def supply(self, asset: int) -> int:
        """Everything of the asset that is inside."""
        return -self.available(Account.WORLD, asset)

    def post(self, e: Event, symbols: Symbols) -> None:
        """Apply the postings of one event; they must sum to zero per asset and leave nobody below zero."""
        postings_of = POSTINGS_OF.get(EventKind(e["kind"]))
        if postings_of is None:
            return
        sums: defaultdict[int, int] = defaultdict(int)
        postings = list(postings_of(e, symbols))
        for account, asset, part, change_atoms in postings:
            sums[asset] += change_atoms
            self.balances[account, asset][part] += change_atoms
        if any(sums.values()):
            raise AssertionError(f"the postings of {e} do not sum to zero: {postings}")
        for account, asset, _, _ in postings:
            available, locked = self.balances[account, asset]
            if account == Account.WORLD:
                if not (-MAX_ATOMS <= available <= 0 and locked == 0):
                    raise AssertionError(f"{e} leaves the outside with {available} and {locked} of asset {asset}")
            elif available < 0 or locked < 0:
                raise AssertionError(f"{e} leaves account {account} with {available} and {locked} of asset {asset}")
