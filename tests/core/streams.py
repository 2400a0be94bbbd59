"""Seeded streams of commands: a small, busy, partly hostile venue, a wide one whose pools must grow, and one full of
orders that wait, hide, follow and hang together.

Owns the crowd that sends commands. It looks at the oracle's state to aim (which orders are open, which transfers
exist), so that most commands meet something; what they do is for the oracle and the engine to find out.

Half of the small venue is realistic: prices close together, several symbols on the same assets, few accounts, so that
orders meet, prevent each other and run out of money. The other half is not: repeats, wrong references, caps that are
hit, modes that close, and numbers at the edges of 31, 32, 53, 62 and 63 bits.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

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
from exchange.core.records import COMMAND_DTYPES, slots
from tests.core.conditional import Conditional
from tests.core.differential import Dicts, Rows, Slot, hash_rows, told
from tests.core.plans import (
    BUSY,
    DEPOSITS,
    EDGES,
    LIMITS,
    SCALES,
    SYMBOLS,
    USERS,
    WEIGHTS,
    SymbolPlan,
    command,
)
from tests.oracle import Oracle
from tests.oracle.venue import Order


class Flow(Conditional):
    """A stream and what the oracle makes of it.

    `take(n)` gives the next n commands, shape (n, 128) u1, and the events of each; `rows()` is where that leads.
    """

    def __init__(self, seed: int, kind: str = BUSY) -> None:
        self.random = random.Random(seed)
        self.oracle = Oracle(hash_rows)
        self.ts_ns = 1
        self.kind = kind
        self.symbols = SYMBOLS[kind]
        self.accounts = USERS[kind]
        self.waiting: list[Slot] = []  # commands that must come next
        self.placed: list[Slot] = []  # recent PLACE commands with a client id
        self.transfers: list[Slot] = []
        self.next_transfer_id = 1
        self._open_venue()
        self.makers: list[Callable[[], Slot]] = []
        for maker, weight in WEIGHTS[kind].items():
            self.makers += [getattr(self, maker)] * weight

    def take(self, count: int) -> tuple[Slot, list[Dicts]]:
        commands = slots(count)
        expected = []
        for slot in commands:
            self.ts_ns += self.random.choice((0, 0, 1, 3, 20))
            slot[:] = self.waiting.pop(0) if self.waiting else self._next()
            slot[:16] = np.array([self.oracle.venue.sequence + 1, self.ts_ns], dtype="<i8").view(np.uint8)
            expected.append(self.oracle.apply(told(slot)))
        return commands, expected

    def rows(self) -> Rows:
        return self.oracle.canonical()

    # ---- the venue before trading ---------------------------------------------------------------------------------

    def _open_venue(self) -> None:
        add = self.waiting.append
        for asset, scale in SCALES.items():
            add(command(CommandKind.ADD_ASSET, name=f"A{asset}", asset=asset, scale=scale))
        for plan in self.symbols:
            add(self._symbol_command(CommandKind.ADD_SYMBOL, plan))
        for account in self.accounts:
            maker, taker = (-1, -1) if account % 3 else (500, 0)
            add(command(CommandKind.OPEN_ACCOUNT, account=account, maker_fee_ppm=maker, taker_fee_ppm=taker))
            for asset in {1, 2, 3} | {plan.base for plan in self.symbols if self.kind != BUSY}:
                add(self._deposit(account, asset, DEPOSITS[self.kind]))
        if self.kind == BUSY:
            add(self._deposit(16, 2, 2**61))
            add(self._deposit(17, 2, 2**60))
            add(self._deposit(18, 4, 2**62 - 1))
        for limit, values in LIMITS[self.kind].items():
            add(command(CommandKind.SET_LIMIT, limit=limit, value=values[-2]))

    def _symbol_command(self, kind: CommandKind, plan: SymbolPlan, **changed: int) -> Slot:
        return command(
            kind,
            name=f"S{plan.symbol}",
            symbol=plan.symbol,
            base_asset=plan.base,
            quote_asset=plan.quote,
            price_scale=plan.price_scale,
            qty_scale=plan.qty_scale,
            **plan.rules | changed,
        )

    def _transfer(self, kind: CommandKind, account: int, asset: int, amount: int) -> Slot:
        self.next_transfer_id += 1
        fields = {"account": account, "asset": asset, "amount_atoms": amount}
        return command(kind, transfer_id=self.next_transfer_id, **fields)

    def _deposit(self, account: int, asset: int, amount: int) -> Slot:
        return self._transfer(CommandKind.DEPOSIT, account, asset, amount)

    # ---- one command ----------------------------------------------------------------------------------------------

    def _next(self) -> Slot:
        venue, chance = self.oracle.venue, self.random.random
        if venue.mode is not TradingMode.OPEN and chance() < 0.3:
            return self._mode_towards_open(Scope.VENUE, 0, venue.mode)
        for symbol in venue.symbols.values():
            if symbol.mode is not TradingMode.OPEN and chance() < 0.06:
                return self._mode_towards_open(Scope.SYMBOL, symbol.symbol, symbol.mode)
        for account in venue.accounts.values():
            if account.mode is not TradingMode.OPEN and chance() < 0.06:
                return self._mode_towards_open(Scope.ACCOUNT, account.account, account.mode)
        return self.random.choice(self.makers)()

    def _mode_towards_open(self, scope: Scope, of: int, mode: TradingMode) -> Slot:
        target = {"account": of} if scope is Scope.ACCOUNT else {"symbol": of}
        return command(CommandKind.SET_TRADING_MODE, scope=scope, mode=mode - 1, **target)

    def place(self) -> Slot:
        """An order that a sane client might send."""
        pick, chance, plan = (
            self.random.choice,
            self.random.random,
            self.random.choice(self.symbols[:1] * 3 + self.symbols),
        )
        order_type = pick((OrderType.LIMIT,) * 8 + (OrderType.MARKET,) * 2 + (OrderType.LIMIT_MAKER,) * 2)
        fields: dict[str, Any] = {
            "account": pick(self.accounts if plan.quote != 2 or plan.base != 4 else self.accounts[:3]),
            "symbol": plan.symbol,
            "side": pick(list(Side)),
            "order_type": order_type,
            "stp_mode": pick(list(StpMode)),
        }
        rules = self.oracle.venue.symbols[plan.symbol].rules if plan.symbol in self.oracle.venue.symbols else plan.rules
        step = rules["qty_step_lots"]
        lots = max(step, self.random.randint(1, pick((plan.lots, plan.lots, rules["qty_max_lots"]))) // step * step)
        if order_type is OrderType.MARKET:
            fields["time_in_force"] = TimeInForce.IOC
            if chance() < 0.5:
                wanted = plan.middle_ticks * lots * pick((1, 3, 10)) - self.random.randint(0, 40)
                fields["quote_atoms"] = min(max(1, wanted), 2**63 - 1)
            else:
                fields["qty_lots"] = lots
        else:
            fields["price_ticks"] = self._price(plan, Side(fields["side"]), rules["price_step_ticks"])
            fields["qty_lots"] = lots
            resting = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTD)
            takers = (TimeInForce.IOC, TimeInForce.FOK)
            fields["time_in_force"] = pick(resting + (takers if order_type is OrderType.LIMIT else ()))
        if fields["time_in_force"] == TimeInForce.GTD:
            fields["expire_ts_ns"] = self.ts_ns + self.random.randint(1, 300)
        client_id = f"order-{self.random.randint(0, 40)}" if chance() < 0.4 else ""
        slot = command(CommandKind.PLACE, client_id, **fields)
        if client_id:
            self.placed = [*self.placed[-15:], slot]
        return slot

    def _price(self, plan: SymbolPlan, side: Side, step: int) -> int:
        """Around the middle, a little more often on the own side of it, so that books grow and still meet."""
        away = self.random.randint(1 - plan.spread_ticks, plan.spread_ticks)
        ticks = plan.middle_ticks - away if side is Side.BUY else plan.middle_ticks + away
        return max(step, ticks // step * step)

    def place_again(self) -> Slot:
        """The same bytes once more, or the same client id with other content."""
        if not self.placed:
            return self.place()
        slot = self.random.choice(self.placed).copy()
        return self._spoiled(slot) if self.random.random() < 0.3 else slot

    def place_spoiled(self) -> Slot:
        return self._spoiled(self.place())

    def special_spoiled(self) -> Slot:
        return self._spoiled(self.special())

    def _open_order(self) -> Order | None:
        orders = list(self.oracle.venue.open_orders.values())
        return self.random.choice(orders) if orders else None

    def _named(self, order: Order, by_client_id: float = 0.4) -> dict[str, Any]:
        if order.client_id and self.random.random() < by_client_id:
            return {"account": order.account, "client_id": order.client_id}
        return {"account": order.account, "order_id": order.order_id}

    def cancel(self) -> Slot:
        order = self._open_order()
        if order is None:
            return self.place()
        return command(CommandKind.CANCEL, **self._named(order))

    def replace(self) -> Slot:
        """A linked run: CANCEL, of an order that may be long gone, then PLACE."""
        flags = self.random.choice((CommandFlag.LINKED, CommandFlag.LINKED | CommandFlag.ALLOW_FAILURE))
        order = self._open_order()
        self.waiting.append(self.place_again() if self.random.random() < 0.2 else self.place())
        if order is None or self.random.random() < 0.4:
            gone = self.random.randint(0, self.oracle.venue.next_order_id)
            return command(CommandKind.CANCEL, account=self.random.choice(self.accounts), order_id=gone, flags=flags)
        return command(CommandKind.CANCEL, flags=flags, **self._named(order))

    def reduce(self) -> Slot:
        order = self._open_order()
        if order is None:
            return self.place()
        total = self.random.randint(order.filled_lots, order.filled_lots + order.leaves_lots)
        return command(CommandKind.REDUCE, qty_lots=total, **self._named(order))

    def cancel_all(self) -> Slot:
        symbol = self.random.choice((0, 0, *(plan.symbol for plan in self.symbols)))
        return command(CommandKind.CANCEL_ALL, account=self.random.choice(self.accounts), symbol=symbol)

    def transfer(self) -> Slot:
        """A new deposit or withdrawal, or the next step of an old one, or an old one again."""
        kinds = (
            CommandKind.DEPOSIT,
            CommandKind.WITHDRAW_HOLD,
            CommandKind.WITHDRAW_SETTLE,
            CommandKind.WITHDRAW_RELEASE,
        )
        if self.transfers and self.random.random() < 0.7:
            slot = self.random.choice(self.transfers[-20:]).copy()
            slot[16] = self.random.choice(kinds)
            return self._spoiled(slot) if self.random.random() < 0.1 else slot
        self.next_transfer_id += 1
        slot = command(
            self.random.choice(kinds[:2]),
            account=self.random.choice(self.accounts),
            asset=self.random.choice((1, 2, 3)),
            transfer_id=self.next_transfer_id,
            amount_atoms=self.random.randint(1, 30_000),
        )
        self.transfers.append(slot)
        return slot

    def tick(self) -> Slot:
        return command(CommandKind.TICK)

    def hash(self) -> Slot:
        return command(CommandKind.HASH)

    def mode(self) -> Slot:
        scope = self.random.choice((Scope.VENUE, Scope.SYMBOL, Scope.ACCOUNT))
        of = {
            Scope.VENUE: {},
            Scope.SYMBOL: {"symbol": self.random.choice(self.symbols).symbol},
            Scope.ACCOUNT: {"account": self.random.choice(self.accounts)},
        }[scope]
        return command(CommandKind.SET_TRADING_MODE, scope=scope, mode=self.random.choice(list(TradingMode)), **of)

    def limit(self) -> Slot:
        values = {
            Limit.ASSETS: (4, 5),
            Limit.SYMBOLS: (4, 6),
            Limit.ACCOUNTS: (20, 22),
            Limit.TRANSFERS: (40, 10_000, 10_000),
            **LIMITS[self.kind],
        }
        limit = self.random.choice(list(values))
        return command(CommandKind.SET_LIMIT, limit=limit, value=self.random.choice(values[limit]))

    def reference(self) -> Slot:
        pick, plan = self.random.choice, self.random.choice(self.symbols)
        rates = {"maker_fee_ppm": pick((-1, 0, 1, 777, 100_000)), "taker_fee_ppm": pick((-1, 0, 1, 777, 100_000))}
        match self.random.randint(0, 5):
            case 0:
                return command(CommandKind.ADD_ASSET, name="NEW", asset=self.random.randint(1, 7), scale=pick((0, 18)))
            case 1:
                moved = SymbolPlan(**vars(plan) | {"symbol": self.random.randint(1, 7), "base": pick((1, 2, 3, 4, 5))})
                return self._symbol_command(CommandKind.ADD_SYMBOL, moved)
            case 2:
                return command(CommandKind.OPEN_ACCOUNT, account=self.random.randint(14, 24), **rates)
            case 3:
                return command(CommandKind.SET_FEES, account=pick(self.accounts), **rates)
            case _:
                return self._symbol_command(CommandKind.CHANGE_SYMBOL, plan, **self._changed_rule(plan))

    def _changed_rule(self, plan: SymbolPlan) -> dict[str, int]:
        return self.random.choice(
            [
                {},
                {},
                {"orders_max": 2},
                {"qty_step_lots": 2},
                {"price_step_ticks": 3},
                {"price_min_ticks": plan.middle_ticks - 1},
                {"price_max_ticks": plan.middle_ticks + 1},
                {"price_max_ticks": 2 * plan.middle_ticks, "qty_max_lots": 2 * plan.lots},
                {"notional_min_atoms": 1_000},
                {"maker_fee_ppm": 99_999, "taker_fee_ppm": 1},
            ]
        )

    def unknown(self) -> Slot:
        slot = self.place().copy()
        slot[16] = self.random.choice((0, 10, 20, 39, 52, 99, 255))
        return slot

    def hostile(self) -> Slot:
        """Any command of the others with one to three fields at an edge."""
        slot = self.random.choice(
            (
                self.place,
                self.cancel,
                self.reduce,
                self.cancel_all,
                self.transfer,
                self.mode,
                self.limit,
                self.reference,
            )
        )()
        for _ in range(self.random.randint(1, 3)):
            slot = self._spoiled(slot)
        return slot

    def _spoiled(self, slot: Slot) -> Slot:
        """The command with one field, any but the kind, set to something at an edge, or close to what it was."""
        spoiled = slot.copy()
        dtype = COMMAND_DTYPES[CommandKind(int(slot[16]))]
        names = [
            n for n in dtype.names or () if n not in ("sequence", "ts_ns", "kind") and not n.startswith("client_id")
        ]
        if not names:
            return spoiled
        name = self.random.choice(names)
        record = spoiled.view(dtype)[0]
        info = np.iinfo(record[name].dtype)
        near = [int(record[name]) + off for off in (-1, 1)]
        values = [v for v in [0, 1, -1, *near, *near, *EDGES] if info.min <= v <= info.max]
        if name.startswith("name_"):
            values = [0x41414141]
        record[name] = self.random.choice(values)
        return spoiled


def stream(seed: int, count: int, kind: str = BUSY) -> tuple[Slot, list[Dicts], Rows]:
    """One stream: its commands, shape (count, 128) u1, the events of each, and the rows at its end."""
    flow = Flow(seed, kind)
    commands, expected = flow.take(count)
    return commands, expected, flow.rows()
