"""The oracle refuses to be wrong about money: its ledger is computed from events, and checks each."""

from __future__ import annotations

from fractions import Fraction

import pytest

from exchange.core.codes import Account, CommandKind, EventKind, Side
from tests.oracle.clearing import Ledger, Posting, fee_atoms, of_trade
from tests.oracle.reference import RULES
from tests.oracle.venue import Asset, Symbol
from tests.oracle.words import event

BTC, USDT = Asset(1, 4, "BTC"), Asset(2, 4, "USDT")
SYMBOLS = {1: Symbol(1, BTC, USDT, 1, 2, "BTC_USDT", dict.fromkeys(RULES, 1), 1_000, 1_000)}


def _deposit(account: int, asset: int, amount_atoms: int) -> dict[str, int]:
    fields = {"account": account, "asset": asset, "amount_atoms": amount_atoms}
    return event(EventKind.TRANSFERRED, command_kind=int(CommandKind.DEPOSIT), **fields)


def _trade(**fields: int) -> dict[str, int]:
    usual = {
        "side": Side.SELL,
        "symbol": 1,
        "taker_account": 17,
        "maker_account": 16,
        "qty_lots": 2,
        "quote_atoms": 2_000,
    }
    return event(EventKind.TRADE, **usual | fields)


def test_deposit_is_owed_to_the_outside() -> None:
    ledger = Ledger()
    ledger.post(_deposit(16, 2, 500), SYMBOLS)
    assert ledger.available(16, 2) == 500 == ledger.supply(2)
    assert ledger.available(Account.WORLD, 2) == -500


def test_trade_postings_pay_both_fees_to_the_venue() -> None:
    postings = list(of_trade(_trade(taker_fee_atoms=7, maker_fee_atoms=3), SYMBOLS))
    assert Posting(17, 2, 0, 1_993) in postings
    assert Posting(16, 1, 0, 197) in postings
    assert {p for p in postings if p.account == Account.FEES} == {Posting(1, 2, 0, 7), Posting(1, 1, 0, 3)}
    for asset in (1, 2):
        assert sum(p.change_atoms for p in postings if p.asset == asset) == 0


def test_trade_of_what_nobody_locked_is_an_error() -> None:
    ledger = Ledger()
    ledger.post(_deposit(16, 2, 5_000), SYMBOLS)
    ledger.post(_deposit(17, 1, 5_000), SYMBOLS)
    with pytest.raises(AssertionError, match="leaves account"):
        ledger.post(_trade(), SYMBOLS)


def test_deposit_beyond_the_highest_supply_is_an_error() -> None:
    ledger = Ledger()
    ledger.post(_deposit(16, 2, 2**62 - 1), SYMBOLS)
    with pytest.raises(AssertionError, match="outside"):
        ledger.post(_deposit(16, 2, 1), SYMBOLS)


@pytest.mark.parametrize("received_atoms", [1, 99, 100, 101, 10**6, 2**62 - 1])
@pytest.mark.parametrize("rate_ppm", [0, 1, 10_000, 99_999, 100_000])
def test_fee_is_the_smallest_whole_number_that_is_not_below_the_share(received_atoms: int, rate_ppm: int) -> None:
    share = Fraction(received_atoms) * Fraction(rate_ppm, 10**6)
    assert share <= fee_atoms(received_atoms, rate_ppm) < share + 1


def test_event_with_a_field_that_its_kind_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError, match="TICKED has no"):
        event(EventKind.TICKED, price_ticks=1)
