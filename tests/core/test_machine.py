"""The engine against the oracle under Hypothesis: it looks for the shortest sequence that tells them apart."""

from __future__ import annotations

import copy
import functools

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from exchange.core.codes import (
    CommandFlag,
    CommandKind,
    Limit,
    OrderType,
    Scope,
    Side,
    StpMode,
    TimeInForce,
    TradingMode,
)
from exchange.core.state import State
from tests.core.differential import (
    NIGHTS,
    SLOW_KERNELS,
    EngineExchange,
    OracleExchange,
    Slot,
    compare_hashes,
    compare_states,
)
from tests.core.plans import EDGES, command
from tests.scenarios.runner import Run, Scenario
from tests.scenarios.words import STANDARD, lines_of

EDGE = st.sampled_from([v for v in EDGES if -(2**63) <= v < 2**63])
ACCOUNT = st.sampled_from((16, 17, 18))
SYMBOL = st.sampled_from((1, 1, 1, 2, 3))
CLIENT_ID = st.sampled_from(("", "", "", "a", "b", "c", "\0\0\0\0late", "x" * 36))
PRICE = st.integers(1, 12) | st.integers(95, 105) | EDGE
LOTS = st.integers(1, 9) | st.integers(-1, 2_000) | EDGE
CODES = st.sampled_from((0, 1, 2, 3, 4, 5, 7, 8, 255))

OPENING = """
change BTC_USDT orders_max=3 maker_fee_ppm=1000 taker_fee_ppm=20000 -> done
change ETH_USDT qty_step_lots=2 price_step_ticks=5 notional_min_atoms=200 -> done
limit CLOSED_ORDERS 3 -> done
limit OPEN_ORDERS 8 -> done
limit LEVELS 5 -> done
limit TRANSFERS 20 -> done
fund 16 BTC 3000 USDT 100000 ETH 3000
fund 17 BTC 3000 USDT 20000 ETH 3000
fund 18 BTC 500 USDT 100000 ETH 300
"""


@functools.cache
def _opened(opening: str) -> tuple[State, OracleExchange, int]:
    """The engine's state, the oracle and the sequence after the commands that every example begins with."""
    scenario = Scenario("machine", "opening", lines_of(STANDARD + opening))
    engine, oracle = EngineExchange(), OracleExchange()
    for exchange in (engine, oracle):
        run = Run(scenario, exchange)
        for line in scenario.lines:
            run.fund(line) if line.words[0] == "fund" else run.command(line)
    return engine.engine.state, oracle, run.sequence


class Both(RuleBasedStateMachine):
    """An engine and an oracle that get the same commands, and the rules for the usual ones."""

    opening = OPENING

    def __init__(self) -> None:
        super().__init__()
        self.engine, self.oracle = EngineExchange(), OracleExchange()
        self.sequence, self.ts_ns, self.linked = 0, 1, False

    def open(self) -> None:
        state, oracle, self.sequence = _opened(self.opening)
        self.engine = EngineExchange(State(*(array.copy() for array in state)))
        self.oracle = copy.deepcopy(oracle)

    def send(self, slot: Slot) -> None:
        self.sequence += 1
        slot[:16] = np.array([self.sequence, self.ts_ns], dtype="<i8").view(np.uint8)
        assert self.engine.apply(slot) == self.oracle.apply(slot)

    def an_order_id(self, choice: int) -> int:
        """The id of an open order, if there is one, or one that was or will be."""
        known = sorted(self.oracle.oracle.venue.open_orders)
        return known[choice % len(known)] if known and choice % 5 else choice

    @rule(
        account=ACCOUNT,
        symbol=SYMBOL,
        side=st.sampled_from(list(Side)),
        order_type=st.sampled_from((OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT_MAKER)),
        time_in_force=st.sampled_from((TimeInForce.GTC, TimeInForce.GTC, *TimeInForce)),
        stp_mode=st.sampled_from(list(StpMode)),
        price=PRICE,
        lots=LOTS,
        lives_ns=st.integers(1, 60),
        client_id=CLIENT_ID,
    )
    def place(self, time_in_force: int, price: int, lots: int, lives_ns: int, client_id: str, **codes: int) -> None:
        expire_ts_ns = self.ts_ns + lives_ns if time_in_force == TimeInForce.GTD else 0
        fields = codes | {"time_in_force": time_in_force, "price_ticks": price, "qty_lots": lots}
        self.send(command(CommandKind.PLACE, client_id, expire_ts_ns=expire_ts_ns, **fields))

    @rule(
        account=ACCOUNT,
        symbol=SYMBOL,
        side=st.sampled_from(list(Side)),
        stp_mode=st.sampled_from(list(StpMode)),
        amount=LOTS | st.integers(0, 20_000),
        by_quote=st.booleans(),
        client_id=CLIENT_ID,
    )
    def place_market(self, amount: int, by_quote: bool, client_id: str, **codes: int) -> None:
        wanted = {"quote_atoms" if by_quote else "qty_lots": amount}
        fields = codes | {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC} | wanted
        self.send(command(CommandKind.PLACE, client_id, **fields))

    @rule(
        kind=st.sampled_from((CommandKind.CANCEL, CommandKind.REDUCE)),
        account=ACCOUNT,
        choice=st.integers(0, 40),
        client_id=CLIENT_ID,
        symbol=st.sampled_from((0, 0, 0, 1, 2)),
        lots=st.integers(0, 9) | EDGE,
        flags=st.sampled_from((0, CommandFlag.LINKED, CommandFlag.LINKED | CommandFlag.ALLOW_FAILURE)),
    )
    def take_back(self, kind: CommandKind, choice: int, client_id: str, lots: int, account: int, **rest: int) -> None:
        order_id = 0 if client_id and choice % 2 else self.an_order_id(choice)
        order = self.oracle.oracle.venue.open_orders.get(order_id)
        owner = order.account if order is not None and choice % 3 else account
        named = client_id if order_id == 0 or choice % 7 == 0 else ""
        self.send(command(kind, named, account=owner, order_id=order_id, qty_lots=lots, **rest))

    @rule(account=ACCOUNT, symbol=st.sampled_from((0, 1, 2, 9)))
    def cancel_all(self, account: int, symbol: int) -> None:
        self.send(command(CommandKind.CANCEL_ALL, account=account, symbol=symbol))

    @rule(
        kind=st.sampled_from(
            (
                CommandKind.DEPOSIT,
                CommandKind.WITHDRAW_HOLD,
                CommandKind.WITHDRAW_SETTLE,
                CommandKind.WITHDRAW_RELEASE,
            )
        ),
        account=ACCOUNT,
        asset=st.sampled_from((1, 2)),
        transfer_id=st.integers(0, 9) | EDGE,
        amount=st.sampled_from((100, 100, 100, 200)) | EDGE,
    )
    def transfer(self, kind: CommandKind, account: int, asset: int, transfer_id: int, amount: int) -> None:
        fields = {"account": account, "asset": asset, "transfer_id": transfer_id, "amount_atoms": amount}
        self.send(command(kind, **fields))

    @rule(passes_ns=st.integers(0, 40))
    def tick(self, passes_ns: int) -> None:
        self.ts_ns += passes_ns
        self.send(command(CommandKind.TICK))

    @rule(limit=st.sampled_from(list(Limit)), value=st.integers(0, 12) | EDGE)
    def set_limit(self, limit: int, value: int) -> None:
        self.send(command(CommandKind.SET_LIMIT, limit=limit, value=value))

    @invariant()
    def states_are_equal(self) -> None:
        """By hash; row by row at the end."""
        if self.sequence:
            compare_hashes(self.engine.engine.state, self.oracle.canonical(), f"sequence {self.sequence}")

    def teardown(self) -> None:
        compare_states(self.engine, self.oracle, f"sequence {self.sequence}")


class TwoExchanges(Both):
    """Orders, money, modes and limits, hashes, and nonsense."""

    @initialize()
    def open_the_venue(self) -> None:
        self.open()

    @rule(
        account=ACCOUNT,
        side=CODES,
        order_type=CODES,
        time_in_force=CODES,
        stp_mode=CODES,
        reserved=st.sampled_from(("list_role", "iceberg_lots", "trailing_bips")),
        value=st.integers(0, 1),
    )
    def place_wrong_codes(self, reserved: str, value: int, **codes: int) -> None:
        fields = codes | {"symbol": 1, "price_ticks": 5, "qty_lots": 5, reserved: value}
        self.send(command(CommandKind.PLACE, **fields))

    @rule()
    def hash(self) -> None:
        self.send(command(CommandKind.HASH))

    @rule(
        scope=st.sampled_from((Scope.VENUE, Scope.SYMBOL, Scope.ACCOUNT)),
        mode=st.sampled_from((1, 1, 1, *TradingMode, 7)),
        account=ACCOUNT,
        symbol=SYMBOL,
    )
    def set_trading_mode(self, **fields: int) -> None:
        self.send(command(CommandKind.SET_TRADING_MODE, **fields))

    @rule(kind=st.integers(0, 60), content=st.binary(min_size=111, max_size=111))
    def send_any_bytes(self, kind: int, content: bytes) -> None:
        slot = command(CommandKind.TICK)
        slot[17:] = np.frombuffer(content, np.uint8)
        slot[92:] &= 0x7F  # texts are ASCII
        slot[16] = kind
        self.send(slot)


SETTINGS = settings(
    settings(),
    stateful_step_count=25 if SLOW_KERNELS else 50,
    max_examples=10 if SLOW_KERNELS else settings().max_examples // NIGHTS,
)
"""A night's examples come in parts: Hypothesis remembers what a test drew, 3 GB for 1,000 of the larger machine."""


@pytest.mark.parametrize("part", range(NIGHTS))
def test_engine_does_what_the_oracle_does(part: int) -> None:
    run_state_machine_as_test(TwoExchanges, settings=SETTINGS)
