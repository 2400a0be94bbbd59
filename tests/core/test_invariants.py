"""`check_all` is green on what the engine makes, and red on every single field that somebody else changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from exchange.core.codes import Account, CommandKind, Limit, OrderType, Side, TimeInForce, TransferState
from exchange.core.invariants import InvariantBroken, check_all
from exchange.core.kernel import Engine
from exchange.core.records import slots
from exchange.core.state import SIDES, TINY, State, new_state
from tests.core.differential import Slot
from tests.core.plans import command
from tests.scenarios.words import RULES

BUYS = 70  # price levels on the buy side: more than one tree node holds
FAR_NS = 10**9


def _order(account: int, side: Side, price: int, lots: int, time: TimeInForce, client_id: str = "") -> Slot:
    return command(
        CommandKind.PLACE,
        client_id,
        account=account,
        symbol=1,
        side=side,
        order_type=OrderType.LIMIT,
        time_in_force=time,
        price_ticks=price,
        qty_lots=lots,
        expire_ts_ns=FAR_NS + price if time is TimeInForce.GTD else 0,
    )


def _commands() -> list[Slot]:
    """A venue with everything in it: deep buys, a queue of three, closed orders, every state of transfers."""
    rules = RULES | {"orders_max": 1_000, "maker_fee_ppm": 1_000, "taker_fee_ppm": 1_000}
    said = [command(CommandKind.ADD_ASSET, asset=asset, scale=4) for asset in (1, 2)]
    said.append(
        command(CommandKind.ADD_SYMBOL, symbol=1, base_asset=1, quote_asset=2, price_scale=1, qty_scale=2, **rules)
    )
    said.append(
        command(CommandKind.ADD_SYMBOL, symbol=2, base_asset=2, quote_asset=1, price_scale=1, qty_scale=2, **rules)
    )
    said += [command(CommandKind.OPEN_ACCOUNT, account=account) for account in (16, 17)]
    transfers = [(16, 1, 9_000_000), (16, 2, 9_000_000), (17, 1, 9_000_000), (17, 2, 9_000_000)]
    for transfer_id, (account, asset, amount) in enumerate(transfers, 1):
        fields = {"account": account, "asset": asset, "amount_atoms": amount, "transfer_id": transfer_id}
        said.append(command(CommandKind.DEPOSIT, **fields))
    for transfer_id, last in ((10, None), (11, CommandKind.WITHDRAW_SETTLE), (12, CommandKind.WITHDRAW_RELEASE)):
        fields = {"account": 16, "asset": 2, "amount_atoms": 500, "transfer_id": transfer_id}
        said += [command(kind, **fields) for kind in (CommandKind.WITHDRAW_HOLD, last) if kind is not None]
    said += [_order(16, Side.BUY, 10 + price, 5, TimeInForce.GTC, f"buy-{price}") for price in range(BUYS)]
    said += [_order(17, Side.SELL, 200, 5, time) for time in (TimeInForce.GTC, TimeInForce.GTD, TimeInForce.GTC)]
    said += [_order(17, Side.SELL, 210 + n, 7, TimeInForce.GTD, f"sell-{n}") for n in range(3)]
    said.append(_order(16, Side.BUY, 200, 2, TimeInForce.IOC, "taker"))
    said.append(_order(17, Side.SELL, 75, 6, TimeInForce.IOC, "seller"))
    said.append(command(CommandKind.CANCEL, "buy-3", account=16))
    return said


@pytest.fixture(scope="module")
def sound() -> State:
    commands = slots(len(said := _commands()))
    for sequence, slot in enumerate(said, 1):
        commands[sequence - 1] = slot
        commands[sequence - 1][:16] = np.array([sequence, 1], dtype="<i8").view(np.uint8)
    engine = Engine(new_state(TINY))
    engine.run(commands)
    return engine.state


@pytest.fixture
def state(sound: State) -> State:
    """A copy to spoil."""
    return State(*(array.copy() for array in sound))


def _slot_of(state: State, nth: int, side: Side) -> int:
    """The slot of the nth order of a side, best first."""
    level, seen = int(state.sides[SIDES + side].best), 0
    while True:
        slot = int(state.levels[level].head)
        while slot:
            if seen == nth:
                return slot
            seen, slot = seen + 1, int(state.orders[slot].next)
        level = int(state.levels[level].worse)


def _order_field(field: str, value: Any, side: Side = Side.BUY, nth: int = 1) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        record = state.orders[_slot_of(state, nth, side)]
        record[field] = value(record[field]) if callable(value) else value

    return spoil


def _level_field(field: str, value: Any, side: Side = Side.SELL) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        record = state.levels[int(state.sides[SIDES + side].best)]
        record[field] = value(record[field]) if callable(value) else value

    return spoil


def _header_field(field: str, change: int) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        state.header[0][field] += change

    return spoil


def _side_field(field: str, value: Any) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        record = state.sides[SIDES + Side.BUY]
        record[field] = value(record[field])

    return spoil


def _balance(state: State, account: int, asset: int) -> Any:
    return state.balances[account * len(state.assets) + asset]


def _available_up(state: State) -> None:
    _balance(state, 16, 1).available += 1


def _locked_up(state: State) -> None:
    _balance(state, 16, 2).locked += 1


def _atom_from_available_to_locked(state: State) -> None:
    balance = _balance(state, 16, 2)
    balance.available -= 1
    balance.locked += 1


def _atom_from_one_account_to_another(state: State) -> None:
    _balance(state, 16, 1).locked -= 1
    _balance(state, 17, 1).locked += 1


def _atom_from_the_world(state: State) -> None:
    _balance(state, Account.WORLD, 1).available -= 1
    _balance(state, 17, 1).available += 1


def _available_below_zero(state: State) -> None:
    taken = int(_balance(state, 16, 1).available) + 1
    _balance(state, 16, 1).available -= taken
    _balance(state, 17, 1).available += taken


def _first_entry(index: str) -> Callable[[State], int]:
    return lambda state: int(np.flatnonzero(getattr(state, index))[0])


def _index_entry_lost(index: str) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        getattr(state, index)[_first_entry(index)(state)] = 0

    return spoil


def _index_entry_of_another(index: str) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        table = getattr(state, index)
        first, second = np.flatnonzero(table)[:2]
        table[first] = table[second]

    return spoil


def _closed_field(field: str, change: int) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        state.closed[int(state.header[0].closed_first)][field] += change

    return spoil


def _window_beyond_its_limit(state: State) -> None:
    state.limits[Limit.CLOSED_ORDERS] = 1


def _limit_beyond_the_window(state: State) -> None:
    state.limits[Limit.CLOSED_ORDERS] = len(state.closed) + 1


def _transfer_field(field: str, value: Any) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        held = int(np.flatnonzero(state.transfers["state"] == TransferState.HELD)[0])
        state.transfers[held][field] = value(state.transfers[held][field]) if callable(value) else value

    return spoil


def _expiry_field(field: str, change: int) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        state.expiries[0][field] += change

    return spoil


def _expiries_exchanged(state: State) -> None:
    first, second = state.expiries[0].copy(), state.expiries[1].copy()
    state.expiries[0], state.expiries[1] = second, first


def _tree_key(change: int) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        state.node_keys[int(state.sides[SIDES + Side.BUY].best_leaf), 0] += change

    return spoil


def _tree_reference(state: State) -> None:
    leaf = int(state.sides[SIDES + Side.BUY].best_leaf)
    state.node_refs[leaf, 0], state.node_refs[leaf, 1] = state.node_refs[leaf, 1], state.node_refs[leaf, 0]


def _free_order_slot_in_use(state: State) -> None:
    state.orders[int(state.header[0].order_free)].order_id = 1


def _owned_field(field: str, change: int) -> Callable[[State], None]:
    def spoil(state: State) -> None:
        state.owned[16 * len(state.symbols) + 1][field] += change

    return spoil


def up(value: Any) -> Any:
    return value + 1


def down(value: Any) -> Any:
    return value - 1


SPOILED: dict[str, Callable[[State], None]] = {
    "order leaves up": _order_field("leaves_lots", up),
    "order leaves zero": _order_field("leaves_lots", 0),
    "order leaves below zero": _order_field("leaves_lots", -1),
    "order filled below zero": _order_field("filled_lots", -1),
    "order price": _order_field("price_ticks", up),
    "order id": _order_field("order_id", lambda value: value + 1_000),
    "order id of an older one": _order_field("order_id", 1, Side.SELL),
    "order account": _order_field("account", 17),
    "order symbol": _order_field("symbol", 2),
    "order side": _order_field("side", 1),
    "order type MARKET": _order_field("order_type", OrderType.MARKET),
    "order IOC at rest": _order_field("time_in_force", TimeInForce.IOC),
    "order GTC becomes GTD": _order_field("time_in_force", TimeInForce.GTD),
    "order level": _order_field("level", 0),
    "order next": _order_field("next", 0, Side.SELL),
    "order prev": _order_field("prev", 0, Side.SELL),
    "order owner_next": _order_field("owner_next", 0),
    "order owner_prev": _order_field("owner_prev", 0, Side.BUY),
    "level lots up": _level_field("lots", up),
    "level lots down": _level_field("lots", down),
    "level orders": _level_field("orders", up),
    "level price": _level_field("price_ticks", up),
    "level price on the far side": _level_field("price_ticks", 5),
    "level head": _level_field("head", 0),
    "level tail": _level_field("tail", 0),
    "level better": _level_field("better", up),
    "level worse": _level_field("worse", 0),
    "level leaf": _level_field("leaf", 0),
    "level side": _level_field("side", 2),
    "side best": _side_field("best", lambda value: 0 * value),
    "side root": _side_field("root", lambda value: 0 * value),
    "side best leaf": _side_field("best_leaf", up),
    "side orders": _side_field("orders", up),
    "tree key": _tree_key(-1_000),
    "tree references exchanged": _tree_reference,
    "open orders counter": _header_field("open_orders", 1),
    "levels counter": _header_field("levels", -1),
    "nodes counter": _header_field("nodes", 1),
    "order high-water mark": _header_field("order_high", 1),
    "level high-water mark": _header_field("level_high", 1),
    "node high-water mark": _header_field("node_high", 1),
    "next order id": _header_field("next_order_id", -20),
    "closed orders counter": _header_field("closed_first", 1),
    "window before its first order": _header_field("closed_first", -1),
    "expiries counter": _header_field("expiries", -1),
    "transfers counter": _header_field("transfers", -1),
    "free order slot in use": _free_order_slot_in_use,
    "available up": _available_up,
    "locked up": _locked_up,
    "atom moved from available to locked": _atom_from_available_to_locked,
    "atom moved between accounts": _atom_from_one_account_to_another,
    "atom moved out of the world": _atom_from_the_world,
    "available below zero": _available_below_zero,
    "order index entry lost": _index_entry_lost("order_index"),
    "order index entry of another": _index_entry_of_another("order_index"),
    "client index entry lost": _index_entry_lost("client_index"),
    "client index entry of another": _index_entry_of_another("client_index"),
    "closed order id": _closed_field("order_id", 1_000),
    "closed account": _closed_field("account", 1),
    "closed client id": _closed_field("client_id_1", 1),
    "window beyond its limit": _window_beyond_its_limit,
    "window too small for its limit": _limit_beyond_the_window,
    "transfer amount": _transfer_field("amount_atoms", up),
    "transfer account": _transfer_field("account", 17),
    "transfer asset": _transfer_field("asset", 1),
    "transfer state": _transfer_field("state", TransferState.SETTLED),
    "transfer state unknown": _transfer_field("state", 9),
    "transfer id twice": _transfer_field("transfer_id", 1),
    "transfer index entry lost": _index_entry_lost("transfer_index"),
    "transfer index entry of another": _index_entry_of_another("transfer_index"),
    "expiry time": _expiry_field("expire_ts_ns", -1),
    "expiry order": _expiry_field("order_id", 1_000),
    "expiry slot": _expiry_field("slot", 1),
    "expiries exchanged": _expiries_exchanged,
    "owned count": _owned_field("count", 1),
    "owned head": _owned_field("head", 1),
    "owned tail": _owned_field("tail", 1),
}


def test_state_with_everything_in_it_is_sound(state: State) -> None:
    header = state.header[0]
    assert int(header.nodes) > 3 and int(header.open_orders) > BUYS
    assert int(header.closed_next) == 4 and int(header.expiries) == 4 and int(header.order_free) != 0
    check_all(state)


@pytest.mark.parametrize("what", SPOILED)
def test_state_with_one_field_changed_breaks_an_invariant(what: str, state: State) -> None:
    SPOILED[what](state)
    with pytest.raises(InvariantBroken):
        check_all(state)
