"""Guards, auctions, breakers and switches: the engine against the oracle on guarded streams."""

from __future__ import annotations

import pytest

from exchange.core.codes import (
    CommandKind,
    OrderType,
    Scope,
    Side,
    TimeInForce,
)
from exchange.core.kernel import Engine
from exchange.core.records import ANY
from exchange.core.state import MASS_CANCEL_MAX, TINY, new_state
from tests.core.differential import (
    NIGHTS,
    SLOW_KERNELS,
    Differential,
    EngineExchange,
    OracleExchange,
    Slot,
    compare_states,
)
from tests.core.guarded_streams import guarded_stream
from tests.core.plans import command

SEEDS, COMMANDS = (3, 700) if SLOW_KERNELS else (20 * NIGHTS, 2_000)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_engine_on_guarded_stream_does_what_the_oracle_does(seed: int) -> None:
    commands, expected, rows = guarded_stream(seed, COMMANDS)
    Differential(seed, Engine(new_state(TINY, index_seed=seed))).follow(commands, expected, rows)


def _many_orders(count: int) -> list[Slot]:
    """A venue where one account has so many orders, at seven prices."""
    symbol = {
        "price_max_ticks": 100,
        "qty_max_lots": 9,
        "notional_max_atoms": 10**9,
        "orders_max": count,
        "price_step_ticks": 1,
        "qty_step_lots": 1,
        "price_min_ticks": 1,
        "qty_min_lots": 1,
    }
    order = {"account": 16, "symbol": 1, "side": Side.BUY, "order_type": OrderType.LIMIT, "qty_lots": 1}
    return [
        command(CommandKind.ADD_ASSET, asset=1),
        command(CommandKind.ADD_ASSET, asset=2),
        command(CommandKind.ADD_SYMBOL, symbol=1, base_asset=1, quote_asset=2, **symbol),
        command(CommandKind.OPEN_ACCOUNT, account=16, maker_fee_ppm=-1, taker_fee_ppm=-1),
        command(CommandKind.DEPOSIT, account=16, asset=2, transfer_id=1, amount_atoms=10**9),
        *(
            command(CommandKind.PLACE, time_in_force=TimeInForce.GTC, price_ticks=1 + number % 7, **order)
            for number in range(count)
        ),
    ]


def test_mass_cancel_of_more_than_it_may_close_says_that_there_is_more() -> None:
    engine, oracle = EngineExchange(), OracleExchange()
    sweep = command(CommandKind.MASS_CANCEL, scope=Scope.SYMBOL, symbol=1)
    told = []
    for sequence, slot in enumerate([*_many_orders(MASS_CANCEL_MAX + 3), sweep, sweep, sweep], 1):
        slot = slot.copy()
        slot.view(ANY)[0]["sequence"] = sequence
        events = oracle.apply(slot)
        told.append((len(events), events[-1].get("canceled_count"), events[-1].get("more")))
        assert engine.engine.run(slot.reshape(1, -1)).shape[0] == len(events)
    assert told[-3:] == [(MASS_CANCEL_MAX + 1, MASS_CANCEL_MAX, 1), (4, 3, 0), (1, 0, 0)]
    compare_states(engine, oracle, "the last sweep")
