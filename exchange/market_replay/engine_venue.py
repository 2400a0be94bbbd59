"""A venue in this process: the engine itself, its book and its accounts.

Owns the commands that set up one symbol and three funded accounts, the translation of a replay's actions into commands
and of events into outcomes, and the view of the engine's book as a LOBSTER row. Never decides what to send.

The symbol is AAA_BBB with price_scale 4 (one tick is LOBSTER's dollar / 10,000) and qty_scale 0 (one lot is one share).
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from exchange.core import invariants, readers
from exchange.core.codes import (
    Account,
    CommandKind,
    EventKind,
    OrderType,
    RejectCode,
    Scope,
    Side,
    TimeInForce,
    TradingMode,
)
from exchange.core.compile import kernel
from exchange.core.event_records import view_events
from exchange.core.hashing import state_hash
from exchange.core.kernel import Engine, Status, apply
from exchange.core.records import RECORD_BYTES, fill_command, slots, view_commands
from exchange.core.state import SIDES
from exchange.market_replay.lobster import EMPTY_PRICE, LEVEL_SIZE_MAX, PRICE_MAX
from exchange.market_replay.replay import Action, Cancel, Fill, Outcome, Owner, Place, Reduce, SetMode

SHARE, DOLLAR = 1, 2
SYMBOL = 1
SHARE_SCALE, DOLLAR_SCALE = 6, 4
PRICE_SCALE, QTY_SCALE = 4, 0
MAKER_FEE_PPM, TAKER_FEE_PPM = 1_000, 2_000
DEPOSIT_ATOMS = 1 << 60
BATCH_COMMANDS = 4096
EVENT_SLOTS = 1 << 12


class AssetSum(NamedTuple):
    """What the balances of one asset add up to, in atoms; `total` is zero where nothing was made or lost."""

    name: str
    deposited: int
    held: int  # by the replay's accounts, available and locked
    fees: int
    total: int


class VenueRefused(Exception):
    """The engine refused what the recording says was accepted."""


@kernel
def _copy_top(sides: Any, levels: Any, symbol: int, row: Any) -> None:
    """Write the best levels of a symbol into a LOBSTER row of len(row) / 4 levels."""
    for side in range(2):
        first = 2 if side == Side.BUY else 0
        level = np.int64(sides[symbol * SIDES + side].best)
        for at in range(first, len(row), 4):
            if level != 0:
                row[at] = levels[level].price_ticks
                row[at + 1] = levels[level].lots
                level = np.int64(levels[level].worse)
            else:
                row[at] = -EMPTY_PRICE if side == Side.BUY else EMPTY_PRICE
                row[at + 1] = 0


class EngineVenue:
    """One engine with one symbol, driven command by command."""

    def __init__(self, levels: int) -> None:
        self.engine = Engine()
        self.commands = 0
        self._sent = bytearray()
        self._row = np.zeros(4 * levels, dtype=np.int64)
        self._slot = slots(1)
        commands = view_commands(self._slot)
        self._head = np.asarray(commands.any)[0]
        self._place = np.asarray(commands.place)[0]
        self._target = np.asarray(commands.target)[0]
        self._events = slots(EVENT_SLOTS)
        events = view_events(self._events)
        self._order_events = np.asarray(events.order)
        self._trades = np.asarray(events.trade)
        self._set_up()

    def _set_up(self) -> None:
        name = {SHARE: "AAA", DOLLAR: "BBB"}
        for asset, scale in ((SHARE, SHARE_SCALE), (DOLLAR, DOLLAR_SCALE)):
            self._send(CommandKind.ADD_ASSET, name=name[asset], asset=asset, scale=scale)
        self._send(
            CommandKind.ADD_SYMBOL,
            name="AAA_BBB",
            symbol=SYMBOL,
            base_asset=SHARE,
            quote_asset=DOLLAR,
            price_scale=PRICE_SCALE,
            qty_scale=QTY_SCALE,
            price_min_ticks=1,
            price_max_ticks=PRICE_MAX,
            price_step_ticks=1,
            qty_min_lots=1,
            qty_max_lots=LEVEL_SIZE_MAX,
            qty_step_lots=1,
            notional_max_atoms=(1 << 62) - 1,
            orders_max=1_000_000,
            maker_fee_ppm=MAKER_FEE_PPM,
            taker_fee_ppm=TAKER_FEE_PPM,
        )
        for owner in Owner:
            account = Account.FIRST_USER + owner
            self._send(CommandKind.OPEN_ACCOUNT, account=account, maker_fee_ppm=-1, taker_fee_ppm=-1)
            for asset in (SHARE, DOLLAR):
                transfer_id = 2 * owner + asset
                self._send(
                    CommandKind.DEPOSIT,
                    account=account,
                    asset=asset,
                    transfer_id=transfer_id,
                    amount_atoms=DEPOSIT_ATOMS,
                )

    def _send(self, kind: CommandKind, name: str = "", **fields: int) -> None:
        fill_command(self._slot[0], kind, client_id="", name=name, **fields)
        self._apply()
        if self._order_events[0]["kind"] == EventKind.REJECTED:
            raise VenueRefused(f"{kind.name} was refused: {RejectCode(int(self._order_events[0]['reject'])).name}")

    def _apply(self) -> int:
        """Apply the command in the slot under the next sequence; returns how many events it gave."""
        self.commands += 1
        self._head["sequence"] = self.commands
        self._sent += self._slot.data
        while True:
            done, used, status = apply(self.engine.state, self._slot, 0, 1, self._events, 0)
            if done:
                return int(used)
            if status != Status.NEEDS_ROOM:
                raise VenueRefused(f"command {self.commands} could not be applied: {Status(status).name}")
            self.engine.grow()

    def at(self, ts_ns: int) -> None:
        """The time of the commands that follow; never decreasing."""
        self._head["ts_ns"] = ts_ns

    def execute(self, action: Action) -> Outcome:
        """Send one action as a command. Raises VenueRefused where the engine rejects it."""
        match action:
            case Place():
                return self._execute_place(action)
            case Cancel(owner, order_id):
                self._aim(CommandKind.CANCEL, owner, order_id, 0)
                return Outcome(order_id)
            case Reduce(owner, order, total):
                self._aim(CommandKind.REDUCE, owner, order.order_id, total)
                return Outcome(order.order_id)
            case SetMode(mode):
                self._set_mode(mode)
                return Outcome()

    def _execute_place(self, action: Place) -> Outcome:
        place = self._place
        place["kind"] = CommandKind.PLACE
        place["side"] = action.side
        place["order_type"] = OrderType.LIMIT
        place["time_in_force"] = TimeInForce.IOC if action.owner is Owner.TAKER else TimeInForce.GTC
        place["stp_mode"] = 0
        place["account"] = Account.FIRST_USER + action.owner
        place["symbol"] = SYMBOL
        place["price_ticks"] = action.price
        place["qty_lots"] = action.size
        used = self._apply()
        first = self._order_events[0]
        if first["kind"] != EventKind.ORDER_ACCEPTED:
            raise VenueRefused(f"{action} was refused: {RejectCode(int(first['reject'])).name}")
        fills = tuple(
            Fill(int(trade["maker_order_id"]), int(trade["qty_lots"]), int(trade["price_ticks"]))
            for trade in self._trades[1:used]
            if trade["kind"] == EventKind.TRADE
        )
        return Outcome(int(first["order_id"]), fills)

    def _aim(self, kind: CommandKind, owner: Owner, order_id: int, total: int) -> None:
        """CANCEL or REDUCE an order."""
        target = self._target
        self._place["side"] = self._place["order_type"] = self._place["time_in_force"] = 0
        target["kind"] = kind
        target["account"] = Account.FIRST_USER + owner
        target["symbol"] = SYMBOL
        target["order_id"] = order_id
        target["qty_lots"] = total
        self._apply()
        first = self._order_events[0]
        if first["kind"] == EventKind.REJECTED:
            raise VenueRefused(f"{kind.name} of order {order_id} was refused: {RejectCode(int(first['reject'])).name}")

    def _set_mode(self, mode: TradingMode) -> None:
        ts_ns = int(self._head["ts_ns"])
        fill_command(self._slot[0], CommandKind.SET_TRADING_MODE, scope=Scope.SYMBOL, mode=mode, symbol=SYMBOL)
        self._head["ts_ns"] = ts_ns
        self._apply()

    def row(self) -> list[int]:
        """The best levels of the engine's own book, as a LOBSTER row."""
        state = self.engine.state
        _copy_top(state.sides, state.levels, SYMBOL, self._row)
        return self._row.tolist()

    def check(self) -> list[AssetSum]:
        """Every invariant of the state (raises InvariantBroken), and what the balances add up to."""
        state = self.engine.state
        invariants.check_all(state)
        held = {owner: _totals(state, Account.FIRST_USER + owner) for owner in Owner}
        world, fees = _totals(state, Account.WORLD), _totals(state, Account.FEES)
        return [
            AssetSum(
                asset.name,
                -world[asset.asset],
                sum(totals[asset.asset] for totals in held.values()),
                fees[asset.asset],
                world[asset.asset] + fees[asset.asset] + sum(totals[asset.asset] for totals in held.values()),
            )
            for asset in readers.assets(state)
        ]

    def in_batches(self) -> float:
        """Run the same commands again through a fresh engine, in batches; returns commands a second of CPU time.

        Raises VenueRefused when the states differ.
        """
        commands = np.frombuffer(self._sent, np.uint8).reshape(-1, RECORD_BYTES)
        engine = Engine()
        began_s = time.thread_time()
        for first in range(0, len(commands), BATCH_COMMANDS):
            engine.run(commands[first : first + BATCH_COMMANDS])
        elapsed_s = time.thread_time() - began_s
        if tuple(state_hash(engine.state)) != tuple(state_hash(self.engine.state)):
            raise VenueRefused("the same commands in batches led to another state")
        return len(commands) / elapsed_s


def _totals(state: Any, account: int) -> dict[int, int]:
    return {asset: available + locked for asset, available, locked in readers.balances(state, account)}
