"""Clearing: what a fill, a hold and a release do to balances.

Owns every change of `balances` but transfers'. All amounts are atoms; each function's changes sum to zero per asset.
Fees round up, against the payer (docs/rounding.md), and go to the account FEES.
"""

from __future__ import annotations

from typing import Any

from exchange.core.codes import Account, Side
from exchange.core.compile import i64, inlined, kernel
from exchange.core.slots import trade_event
from exchange.core.state import State


@inlined
def balance_of(state: State, account: int, asset: int) -> int:
    """The index of a balance."""
    return i64(account) * len(state.assets) + i64(asset)


@kernel
def fee_atoms(received_atoms: int, rate_ppm: int) -> int:
    """ceil(received * rate / 10^6) without overflow: the quotient and the remainder by 10^6 are charged apart."""
    whole = received_atoms // 1_000_000
    return whole * rate_ppm + ((received_atoms - whole * 1_000_000) * rate_ppm + 999_999) // 1_000_000


@inlined
def hold_atoms(symbol: Any, side: int, price_ticks: int, lots: int) -> int:
    """What a limit order of this size on a symbol (its row) locks, in the asset its side pays with."""
    atoms: int = price_ticks * symbol.quote_atoms_per_tick_lot if side == Side.BUY else symbol.base_atoms_per_lot
    return lots * atoms


@inlined
def payer(state: State, order: Any) -> Any:
    """The balance that an order pays from; takes an order or a PLACE."""
    symbol = state.symbols[order.symbol]
    asset = symbol.quote_asset if order.side == Side.BUY else symbol.base_asset
    return state.balances[i64(order.account) * len(state.assets) + i64(asset)]


@inlined
def hold(balance: Any, amount_atoms: int) -> None:
    """available -> locked; negative releases."""
    balance.available -= amount_atoms
    balance.locked += amount_atoms


@inlined
def settle_trade(
    state: State,
    events: Any,
    used: int,
    taker_slot: int,
    maker_slot: int,
    price_ticks: int,
    lots: int,
    release_ticks: int,
    both_rest: bool,
) -> None:
    """Move both assets and both fees of one fill, and write the amounts into the TRADE event at `used`.

    `release_ticks` is by how many ticks a lot became cheaper than what the taker holds (0 unless a BUY with a limit);
    `both_rest`: both pay their maker's rate.
    """
    taker = state.orders[taker_slot]
    maker = state.orders[maker_slot]
    symbol = state.symbols[taker.symbol]
    quote_atoms = price_ticks * lots * symbol.quote_atoms_per_tick_lot
    base_atoms = lots * symbol.base_atoms_per_lot
    release_atoms = release_ticks * lots * symbol.quote_atoms_per_tick_lot
    buys = taker.side == Side.BUY
    pay_asset = symbol.quote_asset if buys else symbol.base_asset
    get_asset = symbol.base_asset if buys else symbol.quote_asset
    paid = quote_atoms if buys else base_atoms
    got = base_atoms if buys else quote_atoms

    taker_account = state.accounts[taker.account]
    taker_ppm = i64(taker_account.maker_fee_ppm if both_rest else taker_account.taker_fee_ppm)
    symbol_ppm = symbol.maker_fee_ppm if both_rest else symbol.taker_fee_ppm
    maker_ppm = i64(state.accounts[maker.account].maker_fee_ppm)
    taker_fee = fee_atoms(got, taker_ppm if taker_ppm >= 0 else symbol_ppm)
    maker_fee = fee_atoms(paid, maker_ppm if maker_ppm >= 0 else symbol.maker_fee_ppm)

    stride = len(state.assets)
    taker_row = i64(taker.account) * stride
    maker_row = i64(maker.account) * stride
    fees_row = Account.FEES * stride
    taker_pays = state.balances[taker_row + pay_asset]
    taker_pays.locked -= paid + release_atoms
    taker_pays.available += release_atoms
    state.balances[taker_row + get_asset].available += got - taker_fee
    state.balances[maker_row + get_asset].locked -= got
    state.balances[maker_row + pay_asset].available += paid - maker_fee
    state.balances[fees_row + get_asset].available += taker_fee
    state.balances[fees_row + pay_asset].available += maker_fee

    state.details[taker_slot].filled_quote_atoms += quote_atoms
    state.details[maker_slot].filled_quote_atoms += quote_atoms
    event = trade_event(events, used)
    event.quote_atoms = quote_atoms
    event.taker_fee_atoms = taker_fee
    event.maker_fee_atoms = maker_fee
    event.taker_release_atoms = release_atoms
