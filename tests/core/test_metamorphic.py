"""What must hold between runs, whatever the right answer of either is."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from exchange.core.codes import (
    Account,
    CommandKind,
    EventKind,
    Limit,
    OrderType,
    Scope,
    Side,
    StpMode,
    TimeInForce,
    TradingMode,
    TransferState,
)
from exchange.core.compile import INTERPRETED
from exchange.core.hashing import canonical, state_hash
from exchange.core.invariants import check_all
from exchange.core.kernel import Engine
from exchange.core.prefetch import SCATTERED_ORDERS
from exchange.core.records import slots
from exchange.core.state import TINY, Capacity, State, new_state
from tests.core.differential import SLOW_KERNELS, Rows, Slot, event_dicts
from tests.core.plans import BUSY, WIDE, command
from tests.core.streams import stream
from tests.scenarios.words import RULES

SEEDS = range(1 if SLOW_KERNELS else 6)
COMMANDS = 300 if SLOW_KERNELS else 2_000


def _numbered(commands: list[Slot], times: list[int] | None = None) -> Slot:
    """Commands as one batch from genesis, at the times given or all at 1."""
    batch = slots(len(commands))
    for place, slot in enumerate(commands):
        batch[place] = slot
        ts_ns = times[place] if times else 1
        batch[place][:16] = np.array([place + 1, ts_ns], dtype="<i8").view(np.uint8)
    return batch


def _run(commands: Slot, state: State | None = None) -> tuple[list[dict[str, Any]], State]:
    engine = Engine(new_state(TINY) if state is None else state)
    events = event_dicts(engine.run(commands))
    check_all(engine.state)
    return events, engine.state


def _in_groups(commands: Slot, lengths: list[int], engine: Engine) -> bytes:
    """The event bytes of commands that come in groups of these lengths, over and over."""
    told, first, nth = b"", 0, 0
    while first < len(commands):
        count = lengths[nth % len(lengths)]
        told += engine.run(commands[first : first + count]).tobytes()
        first, nth = first + count, nth + 1
    return told


# ---- the same stream, run otherwise -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [BUSY, WIDE])
@pytest.mark.parametrize("seed", SEEDS)
def test_stream_in_other_groups_gives_the_same_bytes(seed: int, kind: str) -> None:
    commands, _, _ = stream(seed + 100, COMMANDS, kind)
    whole = Engine()
    told, wanted = whole.run(commands).tobytes(), state_hash(whole.state)
    for lengths in ([1], [7, 1, 64], [999]):
        engine = Engine(new_state(TINY))
        assert _in_groups(commands, lengths, engine) == told
        assert state_hash(engine.state) == wanted


@pytest.mark.parametrize("kind", [BUSY, WIDE])
def test_stream_from_any_capacity_and_index_seed_gives_the_same_bytes(kind: str) -> None:
    commands, _, _ = stream(200, COMMANDS, kind)
    results = set()
    sizes = (TINY, Capacity(), Capacity(3, 5, 20, 3, 17, 9, 5, 3), Capacity(64, 64, 40, 100, 100, 100, 100, 100))
    for index_seed, size in enumerate(sizes):
        engine = Engine(new_state(size, index_seed=index_seed * 0x9E3779B97F4A7C15 % 2**63))
        results.add((engine.run(commands).tobytes(), state_hash(engine.state)))
        check_all(engine.state)
    assert len(results) == 1


def test_engine_whose_events_do_not_fit_gives_the_same_bytes() -> None:
    commands, _, _ = stream(201, COMMANDS, BUSY)
    roomy, cramped = Engine(event_slots=1 << 16), Engine(event_slots=1)
    assert cramped.run(commands).tobytes() == roomy.run(commands).tobytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_stream_continued_on_a_copy_of_the_state_gives_the_same_bytes(seed: int) -> None:
    commands, _, _ = stream(seed + 300, COMMANDS, BUSY)
    engine, half = Engine(), len(commands) // 2
    engine.run(commands[:half])
    copied = Engine(State(*(array.copy() for array in engine.state)))
    assert copied.run(commands[half:]).tobytes() == engine.run(commands[half:]).tobytes()
    assert state_hash(copied.state) == state_hash(engine.state)


@pytest.mark.parametrize("seed", SEEDS)
def test_commands_with_an_id_sent_twice_count_once(seed: int) -> None:
    """Every transfer, and every PLACE with a client id, at once sent again."""
    commands, _, _ = stream(seed + 400, COMMANDS, WIDE)
    repeated = (
        CommandKind.DEPOSIT,
        CommandKind.WITHDRAW_HOLD,
        CommandKind.WITHDRAW_SETTLE,
        CommandKind.WITHDRAW_RELEASE,
    )
    once, twice, times = [], [], []
    for slot in commands:
        if int(slot[16]) == CommandKind.CANCEL:
            slot[17] = 0  # unlinked: a refusal of the first PLACE for its link would not hold for the second
        once.append(slot)
        again = int(slot[16]) in repeated or (int(slot[16]) == CommandKind.PLACE and bool(slot[92:].any()))
        twice += [slot] * (1 + again)
        times += [int(slot[8:16].view("<i8")[0])] * (1 + again)
    _, single = _run(_numbered(once, [int(slot[8:16].view("<i8")[0]) for slot in once]))
    events, double = _run(_numbered(twice, times))
    assert sum(e["kind"] == EventKind.ORDER_DUPLICATE for e in events) > len(commands) // 10
    rows, rows_twice = canonical(single), canonical(double)
    del rows["venue"], rows_twice["venue"]
    assert rows == rows_twice


# ---- money --------------------------------------------------------------------------------------------------------


def _opened(*symbols: dict[str, int], accounts: tuple[int, ...], atoms: int = 10**12, **rules: int) -> list[Slot]:
    """Assets 1 to 4 of scale 4, the symbols given, and accounts with plenty of each asset."""
    said = [command(CommandKind.ADD_ASSET, asset=asset, scale=4) for asset in (1, 2, 3, 4)]
    plenty = RULES | {"orders_max": 10_000, "notional_max_atoms": 10**15, "maker_fee_ppm": 300, "taker_fee_ppm": 700}
    rules = plenty | rules | {"price_scale": 1, "qty_scale": 2}
    said += [command(CommandKind.ADD_SYMBOL, **symbol, **rules) for symbol in symbols]
    for account in accounts:
        said.append(command(CommandKind.OPEN_ACCOUNT, account=account, maker_fee_ppm=-1, taker_fee_ppm=-1))
        for asset in (1, 2, 3, 4):
            fields = {"account": account, "asset": asset, "amount_atoms": atoms, "transfer_id": account * 10 + asset}
            said.append(command(CommandKind.DEPOSIT, **fields))
    return said


def _locked(rows: Rows) -> int:
    return sum(row[3] for row in rows["balance"])


@pytest.mark.parametrize("seed", SEEDS)
def test_cancel_all_leaves_no_order_and_nothing_locked_but_withdrawals(seed: int) -> None:
    commands, _, rows = stream(seed + 500, COMMANDS, BUSY)
    assert rows["order"]
    last_ts_ns = int(commands[-1][8:16].view("<i8")[0])
    said = []
    scoped: list[tuple[Scope, dict[str, int]]] = [(Scope.VENUE, {})]
    scoped += [(Scope.SYMBOL, {"symbol": row[0]}) for row in rows["symbol"]]
    scoped += [(Scope.ACCOUNT, {"account": row[0]}) for row in rows["account"]]
    for scope, of in scoped:
        said.append(command(CommandKind.SET_TRADING_MODE, scope=scope, mode=TradingMode.CANCEL_ONLY, **of))
    said += [command(CommandKind.CANCEL_ALL, account=row[0]) for row in rows["account"]]
    times = [int(slot[8:16].view("<i8")[0]) for slot in commands] + [last_ts_ns] * len(said)
    _, state = _run(_numbered([*commands, *said], times))
    after = canonical(state)
    assert after["order"] == []
    assert _locked(after) == sum(row[3] for row in after["transfer"] if row[4] == TransferState.HELD)
    assert all(int(side.best) == 0 for side in state.sides)


def test_deposit_then_withdrawal_of_the_same_amount_is_the_identity() -> None:
    commands, _, rows = stream(600, COMMANDS, WIDE)
    last_ts_ns = int(commands[-1][8:16].view("<i8")[0])
    said = []
    for account in (16, 17, 18):
        for asset, amount in ((1, 1), (2, 2**61), (3, 12_345)):
            fields = {"account": account, "asset": asset, "amount_atoms": amount}
            transfer_id = 10**9 + account * 10 + asset
            said.append(command(CommandKind.DEPOSIT, transfer_id=transfer_id, **fields))
            fields["transfer_id"] = transfer_id + 10**9
            said += [command(kind, **fields) for kind in (CommandKind.WITHDRAW_HOLD, CommandKind.WITHDRAW_SETTLE)]
    times = [int(slot[8:16].view("<i8")[0]) for slot in commands] + [last_ts_ns] * len(said)
    events, state = _run(_numbered([*commands, *said], times))
    assert all(event["kind"] == EventKind.TRANSFERRED for event in events[-len(said) :])
    assert canonical(state)["balance"] == rows["balance"]


def test_fees_and_users_share_what_the_outside_gave() -> None:
    commands, _, rows = stream(601, COMMANDS, BUSY)
    _, state = _run(commands)
    for asset in (1, 2, 3):
        parts = {row[0]: row[2] + row[3] for row in canonical(state)["balance"] if row[1] == asset}
        inside = sum(atoms for account, atoms in parts.items() if account != Account.WORLD)
        deposited = sum(row[3] for row in rows["transfer"] if row[2:5:2] == (asset, TransferState.DEPOSITED))
        withdrawn = sum(row[3] for row in rows["transfer"] if row[2:5:2] == (asset, TransferState.SETTLED))
        assert inside == deposited - withdrawn == -parts[Account.WORLD]


# ---- symmetries of the book ---------------------------------------------------------------------------------------


def _trader(seed: int, symbol: int, accounts: tuple[int, ...], count: int, prefix: str) -> list[Slot]:
    """Orders by quantity around tick 500, cancels and reductions by client id."""
    rng = random.Random(seed)
    said: list[Slot] = []
    ids: list[tuple[int, str]] = []
    for number in range(count):
        account, order_type = (
            rng.choice(accounts),
            rng.choice((OrderType.LIMIT,) * 6 + (OrderType.MARKET, OrderType.LIMIT_MAKER)),
        )
        draw = rng.random()
        if draw < 0.2 and ids:
            owner, client_id = rng.choice(ids)
            said.append(command(CommandKind.CANCEL, client_id, account=owner))
        elif draw < 0.3 and ids:
            owner, client_id = rng.choice(ids)
            said.append(command(CommandKind.REDUCE, client_id, account=owner, qty_lots=rng.randint(1, 5)))
        elif draw < 0.31:
            said.append(command(CommandKind.CANCEL_ALL, account=account, symbol=symbol))
        else:
            ids.append((account, f"{prefix}-{number}"))
            may_take = [TimeInForce.IOC, TimeInForce.FOK] if order_type is OrderType.LIMIT else []
            times = [TimeInForce.GTC] * 3 + may_take
            fields: dict[str, Any] = {"account": account, "symbol": symbol, "order_type": order_type}
            fields |= {
                "side": rng.choice(list(Side)),
                "stp_mode": rng.choice(list(StpMode)),
                "qty_lots": rng.randint(1, 9),
            }
            if order_type is OrderType.MARKET:
                fields["time_in_force"] = TimeInForce.IOC
            else:
                fields |= {"time_in_force": rng.choice(times), "price_ticks": rng.randint(492, 508)}
            said.append(command(CommandKind.PLACE, ids[-1][1], **fields))
    return said


def _mirrored(slot: Slot) -> Slot:
    """The same PLACE on the other side, its price as far on the other side of 500; any other command as it is."""
    mirrored = slot.copy()
    if int(slot[16]) == CommandKind.PLACE:
        mirrored[18] = 1 - slot[18]
        price = mirrored[32:40].view("<i8")
        price[0] = 1_000 - price[0] if price[0] else 0
    return mirrored


@pytest.mark.parametrize("seed", SEEDS)
def test_mirrored_commands_give_mirrored_trades_and_books(seed: int) -> None:
    opening = _opened(
        {"symbol": 1, "base_asset": 1, "quote_asset": 2}, accounts=(16, 17, 18), maker_fee_ppm=0, taker_fee_ppm=0
    )
    flow = _trader(seed, 1, (16, 17, 18), COMMANDS, "m")
    events, state = _run(_numbered(opening + flow))
    mirrored_events, mirrored_state = _run(_numbered(opening + [_mirrored(slot) for slot in flow]))
    shape = {EventKind.TRADE: "qty_lots", EventKind.PREVENTED: "taker_prevented_lots"}
    assert sum(event["kind"] in shape for event in events) > COMMANDS // 10

    def told(event: dict[str, Any], middle: int) -> tuple[Any, ...]:
        kind = EventKind(event["kind"])
        if kind in shape:
            ids = (
                event["taker_order_id"],
                event["maker_order_id"],
                event["taker_leaves_lots"],
                event["maker_leaves_lots"],
            )
            return kind, middle + (-1 if middle else 1) * event["price_ticks"], event[shape[kind]], *ids
        return kind, event.get("order_id"), event.get("qty_lots"), event.get("status"), event.get("reject")

    assert [told(event, 0) for event in events] == [told(event, 1_000) for event in mirrored_events]
    rows, mirrored = canonical(state)["order"], canonical(mirrored_state)["order"]
    assert [(*row[:3], 1 - row[3], *row[4:7], 1_000 - row[7], *row[8:10], *row[11:]) for row in rows] == [
        (*row[:10], *row[11:]) for row in mirrored
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_commands_on_unshared_accounts_and_assets_commute(seed: int) -> None:
    symbols = ({"symbol": 1, "base_asset": 1, "quote_asset": 2}, {"symbol": 2, "base_asset": 3, "quote_asset": 4})
    opening = _opened(*symbols, accounts=(16, 17, 18, 20, 21))
    flows = [_trader(seed, 1, (16, 17, 18), COMMANDS // 2, "l"), _trader(seed + 50, 2, (20, 21), COMMANDS // 2, "r")]
    rng, results = random.Random(seed), []
    for _ in range(3):
        left, right = (list(flow) for flow in flows)
        woven: list[Slot] = []
        while left or right:
            woven.append((left if left and (not right or rng.random() < 0.5) else right).pop(0))
        events, state = _run(_numbered(opening + woven))
        rows = canonical(state)
        books = [tuple(row[1:14]) + tuple(row[15:20]) for row in rows["order"]]
        trades = [
            [
                (e["trade_id"], e["price_ticks"], e["qty_lots"], e["taker_fee_atoms"])
                for e in events
                if e["kind"] == EventKind.TRADE and e["symbol"] == symbol
            ]
            for symbol in (1, 2)
        ]
        assert all(len(told) > COMMANDS // 20 for told in trades)
        results.append((rows["balance"], sorted(books), trades, rows["symbol"]))
    assert results[0] == results[1] == results[2]


# ---- more orders than small streams have ---------------------------------------------------------------------------


def _deep_book(orders: int, count: int) -> list[Slot]:
    """So many orders that rest, then cancels of any of them, by either id, some twice, and orders between."""
    pick = random.Random(1)
    usual = {"symbol": 1, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, "qty_lots": 2}

    def place(number: int, price_ticks: int) -> Slot:
        side = Side.BUY if price_ticks < 500 else Side.SELL
        name = f"n{number}" if number % 3 == 0 else ""
        return command(CommandKind.PLACE, name, account=16 + number % 5, side=side, price_ticks=price_ticks, **usual)

    said = [place(number, pick.choice((300, 700)) + pick.randrange(99)) for number in range(orders)]
    for number in range(orders, orders + count):
        any_order = pick.choice((pick.randrange(number), pick.randrange(number), number, -1, 2**63 - 2))
        if pick.random() < 0.2:
            said.append(place(number, pick.randrange(300, 800)))
        elif any_order % 3 == 0:
            said.append(command(CommandKind.CANCEL, f"n{any_order}", account=16 + any_order % 5))
        else:
            said.append(command(CommandKind.CANCEL, account=16 + any_order % 5, order_id=any_order + 1))
    return said


@pytest.mark.skipif(INTERPRETED, reason="nothing is fetched ahead where kernels are plain Python")
def test_fetching_ahead_in_a_deep_book_changes_nothing() -> None:
    opening = _opened({"symbol": 1, "base_asset": 1, "quote_asset": 2}, accounts=tuple(range(16, 21)))
    commands = _numbered([*opening, *_deep_book(SCATTERED_ORDERS + 2_000, 2_500)])
    alone, together = Engine(), Engine()
    told = together.run(commands)
    kinds = [event["kind"] for event in event_dicts(told[-2_500:])]
    assert min(kinds.count(EventKind.ORDER_CLOSED), kinds.count(EventKind.REJECTED)) > 500
    assert _in_groups(commands, [1], alone) == told.tobytes()
    assert state_hash(alone.state) == state_hash(together.state)
    assert together.state.header[0].open_orders > SCATTERED_ORDERS
    check_all(together.state)


DEFAULT, LARGE, SMALL = 100_000, 150_000, 99_000


def _closing_orders(first: int, count: int) -> list[Slot]:
    """IOC orders that fill nothing, with client ids that are their numbers."""
    fields = {"account": 16, "symbol": 1, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.IOC}
    batch = np.tile(command(CommandKind.PLACE, "-" * 36, price_ticks=1, qty_lots=1, **fields), (count, 1))
    for place in range(count):
        batch[place, 92:100] = np.frombuffer(f"{first + place:08d}".encode(), np.uint8)
    return list(batch)


def _window(value: int) -> Slot:
    return command(CommandKind.SET_LIMIT, limit=Limit.CLOSED_ORDERS, value=value)


@pytest.mark.skipif(SLOW_KERNELS, reason="100,000 orders are for compiled kernels")
def test_window_raised_beyond_its_first_room_remembers_as_many_as_it_says() -> None:
    opening = _opened({"symbol": 1, "base_asset": 1, "quote_asset": 2}, accounts=(16,))
    engine = Engine()
    repeated = _closing_orders(0, 3) + _closing_orders(DEFAULT + 47, 3)
    commands = _numbered([*opening, _window(LARGE), *_closing_orders(0, DEFAULT + 50), *repeated])
    told = event_dicts(engine.run(commands)[-6:])
    assert [(event["kind"], event["client_id"][:8]) for event in told] == [
        (EventKind.ORDER_DUPLICATE, f"{number:08d}") for number in (0, 1, 2, DEFAULT + 47, DEFAULT + 48, DEFAULT + 49)
    ]
    check_all(engine.state)


@pytest.mark.skipif(SLOW_KERNELS, reason="100,000 orders are for compiled kernels")
def test_window_enlarged_after_it_wrapped_around_is_the_window_that_was_large_from_the_start() -> None:
    opening = _opened({"symbol": 1, "base_asset": 1, "quote_asset": 2}, accounts=(16,))
    orders, results = _closing_orders(0, DEFAULT + 50), []
    for first in (DEFAULT, LARGE):
        engine = Engine()
        commands = _numbered(
            [*opening, _window(first), *orders, _window(SMALL), _window(LARGE), *orders[-9:], orders[0]]
        )
        results.append((event_dicts(engine.run(commands)[-11:]), state_hash(engine.state)))
        check_all(engine.state)
    assert results[0] == results[1]
    duplicates = [event["kind"] == EventKind.ORDER_DUPLICATE for event in results[0][0]]
    assert duplicates == [True] * 9 + [False] * 2
