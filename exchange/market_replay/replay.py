"""The window rule: which commands make a venue's book follow a recorded day.

Owns the decision what to send for each message; sends nothing itself: `Replay.steps` yields actions and is sent their
outcomes, so the engine in this process and a server behind a network are driven by the same code.

A recording of N levels says nothing of what happens beyond them. So we look through a window:

- The first row seeds the book: each of its levels becomes one order of unknown origin (SEEDED).
- A new order is placed. A deletion cancels it, a partial cancel reduces it. One that concerns an order from before our
  view takes off the seeded liquidity of its price; what an order (or the seeded liquidity) has too little of comes off
  the back of the level.
- An execution of a visible order is a taker: an IOC order of the opposite side at that price and size. Whom it meets
  is the venue's decision; we only count whether it is the order that the tape names.
- Executions of hidden orders and cross trades change no visible book.
- A halt leaves cancels possible and nothing else; quoting before the reopening is placed by opening for that one
  command.
- After each message: forget (cancel) what lies beyond the worst recorded level of a side, and adopt (seed) that level
  with its recorded size if it is new to us. Better levels are never taken from the recording.

Source: checked against the AMZN sample of 2012-06-21, where it gives every level of every row (docs/market-replay.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from enum import IntEnum
from typing import NamedTuple

from exchange.core.codes import Side, TradingMode
from exchange.market_replay.ledger import SEEDED, Ledger, Resting
from exchange.market_replay.lobster import EMPTY_PRICE, BookRow, HaltStage, Message, MessageType, levels_of


class Owner(IntEnum):
    """Which account an action belongs to."""

    SEED = 0
    MAKER = 1
    TAKER = 2


class Place(NamedTuple):
    """A limit order: resting (GTC) for makers and seeds, IOC for takers."""

    owner: Owner
    side: Side
    price: int
    size: int


class Cancel(NamedTuple):
    """Take an order away."""

    owner: Owner
    order_id: int


class Reduce(NamedTuple):
    """Leave an order a smaller total quantity, in its place if the venue can."""

    owner: Owner
    order: Resting
    total: int


class SetMode(NamedTuple):
    """Halt or open the symbol."""

    mode: TradingMode


Action = Place | Cancel | Reduce | SetMode


class Fill(NamedTuple):
    """A maker that a placed order met; order id zero where the venue does not name it."""

    order_id: int
    size: int
    price: int


class Outcome(NamedTuple):
    """What became of an action."""

    order_id: int = 0  # under which it rests (or rested); zero: the venue refused
    fills: tuple[Fill, ...] = ()


Steps = Generator[Action, Outcome, None]


@dataclasses.dataclass
class Counts:
    """What happened, for the report."""

    messages: int = 0
    actions: int = 0
    executions: int = 0  # of visible orders
    front_of_queue: int = 0  # the tape's order was the one our queue put first
    seeded: int = 0  # one from before our view, and seeded liquidity was first
    out_of_turn: int = 0  # another one
    makers_unnamed: int = 0  # executions whose maker the venue did not name
    cancels_in_excess: int = 0  # took away more than their order, or the seeded liquidity, had left
    unmatched_lots: int = 0  # executions and cancels of what our book did not have
    forgotten: int = 0
    adopted: int = 0
    halts: int = 0
    refused: int = 0


class Replay:
    """One pass through a recorded day. Call `steps` once for each message, in order."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.ledger = Ledger()
        self._mode = TradingMode.OPEN

    def steps(self, message: Message, recorded: BookRow) -> Steps:
        """The actions of one message; `recorded` is the book after it. Send each action's outcome back."""
        counts = self.counts
        counts.messages += 1
        if counts.messages == 1:
            yield from self._seed(recorded)
            return
        kind = message.kind
        if kind is MessageType.NEW_ORDER:
            yield from self._place(Owner.MAKER, message.order_id, message.side, message.price, message.size)
        elif kind is MessageType.DELETION or kind is MessageType.PARTIAL_CANCEL:
            yield from self._cancel(message)
        elif kind is MessageType.EXECUTION:
            yield from self._execute(message)
        elif kind is MessageType.HALT:
            yield from self._halt(HaltStage(message.price))
        for side in (Side.BUY, Side.SELL):
            yield from self._follow_window(side, recorded)

    def _seed(self, recorded: BookRow) -> Steps:
        for side in (Side.BUY, Side.SELL):
            for price, size in levels_of(recorded, side):
                yield from self._place(Owner.SEED, SEEDED, side, price, size)

    def _follow_window(self, side: Side, recorded: BookRow) -> Steps:
        levels = levels_of(recorded, side)
        worst_price, worst_size = levels[-1] if levels else (EMPTY_PRICE if side == Side.BUY else -EMPTY_PRICE, 0)
        for order in self.ledger.beyond(side, worst_price):
            self.counts.forgotten += 1
            yield from self._take_off(order, order.leaves)
        if levels and worst_price not in self.ledger.levels[side]:
            self.counts.adopted += 1
            yield from self._place(Owner.SEED, SEEDED, side, worst_price, worst_size)

    def _place(self, owner: Owner, tape_id: int, side: Side, price: int, size: int) -> Steps:
        halted = self._mode != TradingMode.OPEN
        if halted:
            yield from self._act(SetMode(TradingMode.OPEN))
        outcome = yield from self._act(Place(owner, side, price, size))
        if halted:
            yield from self._act(SetMode(self._mode))
        if outcome.order_id == 0:
            return
        leaves = size - self._settle(outcome.fills, Side.SELL if side == Side.BUY else Side.BUY)
        if leaves > 0:
            self.ledger.add(Resting(outcome.order_id, tape_id, side, price, size, leaves))

    def _cancel(self, message: Message) -> Steps:
        order = self.ledger.by_tape_id.get(message.order_id) or self.ledger.seeded(message.side, message.price)
        excess = message.size
        if order is not None:
            lots = min(order.leaves, message.size)
            excess -= lots
            yield from self._take_off(order, lots)
        self.counts.cancels_in_excess += excess > 0
        while excess > 0:
            order = self.ledger.back(message.side, message.price)
            if order is None:
                self.counts.unmatched_lots += excess
                return
            lots = min(order.leaves, excess)
            excess -= lots
            yield from self._take_off(order, lots)

    def _take_off(self, order: Resting, lots: int) -> Steps:
        """Cancel or reduce an order of ours."""
        owner = Owner.SEED if order.tape_id == SEEDED else Owner.MAKER
        if lots == order.leaves:
            yield from self._act(Cancel(owner, order.order_id))
            self.ledger.take_off(order, lots)
            return
        outcome = yield from self._act(Reduce(owner, order, order.total - lots))
        order.total -= lots
        if outcome.order_id == order.order_id:
            self.ledger.take_off(order, lots)
            return
        left = order.leaves - lots
        self.ledger.take_off(order, order.leaves)
        if outcome.order_id:
            self.ledger.add(Resting(outcome.order_id, order.tape_id, order.side, order.price, left, left))

    def _execute(self, message: Message) -> Steps:
        counts = self.counts
        counts.executions += 1
        named = self.ledger.by_tape_id.get(message.order_id)
        taker_side = Side.SELL if message.side == Side.BUY else Side.BUY
        outcome = yield from self._act(Place(Owner.TAKER, taker_side, message.price, message.size))
        first = outcome.fills[0].order_id if outcome.fills else -1
        met = self.ledger.orders.get(first)
        if first == 0:
            counts.makers_unnamed += 1
        elif met is not None and met is named:
            counts.front_of_queue += 1
        elif met is not None and named is None and met.tape_id == SEEDED:
            counts.seeded += 1
        else:
            counts.out_of_turn += 1
        counts.unmatched_lots += message.size - self._settle(outcome.fills, message.side)

    def _settle(self, fills: tuple[Fill, ...], side: Side) -> int:
        """Take fills off our orders of a side; where the venue names no maker, off our first ones at the price.

        Returns the lots filled, whoever the makers were.
        """
        total = 0
        for order_id, size, price in fills:
            total += size
            while size > 0:
                order = self.ledger.orders.get(order_id) if order_id else self.ledger.front(side, price)
                if order is None:
                    break
                lots = min(size, order.leaves)
                size -= lots
                self.ledger.take_off(order, lots)
        return total

    def _halt(self, stage: HaltStage) -> Steps:
        self.counts.halts += 1
        mode = TradingMode.OPEN if stage is HaltStage.TRADING else TradingMode.CANCEL_ONLY
        if mode != self._mode:
            self._mode = mode
            yield from self._act(SetMode(mode))

    def _act(self, action: Action) -> Generator[Action, Outcome, Outcome]:
        self.counts.actions += 1
        outcome = yield action
        if outcome.order_id == 0 and not isinstance(action, SetMode):
            self.counts.refused += 1
        return outcome
