"""Synthetic order flow: a seeded stream of orders and cancels, and what any correct price-time engine makes of it.

Owns the file format and the generator. While generating, it runs a book of its own in plain Python (sorted prices, a
FIFO at each), so that every cancel hits a live order and the expected figures do not come from the engine that is
measured.

A flow file holds 16-byte little-endian records: op u1 (0 passive limit order, 1 cancel, 2 marketable limit order),
side u1 (0 buy, 1 sell), u2 zero, order id u4, price in ticks i4, quantity u4. Beside it, `<file>.json` has the
expected figures. The SHA-256 of the trades is taken over one record a trade: maker order id u4, taker order id u4,
price i4, quantity u4.

Shapes: `touch` adds 50 % orders, exponentially near a mid that steps with the chance `walk`, 40 % cancels of a
uniformly random live order and 10 % takers; `uniform` has the same mix over uniformly random prices, and starts with
`prefill` orders.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import random
import struct
import tempfile
from typing import Any

import numpy as np
from sortedcontainers import SortedDict

ADD, CANCEL, TAKE = 0, 1, 2
BUY, SELL = 0, 1
MID_TICKS = 100_000
RECORD = np.dtype(
    [("op", "u1"), ("side", "u1"), ("zero", "<u2"), ("order_id", "<u4"), ("price", "<i4"), ("qty", "<u4")]
)
TRADE = np.dtype([("maker", "<u4"), ("taker", "<u4"), ("price", "<i4"), ("qty", "<u4")])

_record = struct.Struct("<BBHIiI").pack
_trade = struct.Struct("<IIiI").pack


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a flow looks like. `uniform_ticks` zero: prices near the touch, else uniform over so many ticks a side."""

    name: str
    commands: int = 1_000_000
    seed: int = 42
    walk: float = 0.02
    uniform_ticks: int = 0
    prefill: int = 0

    @property
    def file_name(self) -> str:
        """A name that says everything the flow depends on."""
        fields = dataclasses.astuple(self)[1:]
        return f"flow_{self.name}_" + "_".join(f"{field:g}" for field in fields) + ".bin"


@dataclasses.dataclass
class Flow:
    """A flow and what must come of it."""

    path: pathlib.Path
    records: Any  # RECORD
    expected: dict[str, Any]


class Broken(Exception):
    """A flow file that can not be used; a sentence."""


class _Book:
    """A price-time book: per side a sorted map of price to the orders there, in order of arrival."""

    def __init__(self) -> None:
        self.sides: tuple[Any, Any] = (SortedDict(), SortedDict())
        self.where: dict[int, tuple[int, int]] = {}
        self.live: list[int] = []
        self._position: dict[int, int] = {}
        self.trades = self.volume = self.notional = 0
        self.digest = hashlib.sha256()

    def best(self, side: int) -> int | None:
        """The best price of a side."""
        levels = self.sides[side]
        return levels.peekitem(-1 if side == BUY else 0)[0] if levels else None

    def cancel(self, order_id: int) -> tuple[int, int, int]:
        """Take a live order away; returns its side, price and quantity."""
        side, price = self.where[order_id]
        quantity = self.sides[side][price].pop(order_id)
        if not self.sides[side][price]:
            del self.sides[side][price]
        self._forget(order_id)
        return side, price, quantity

    def submit(self, order_id: int, side: int, price: int, quantity: int) -> None:
        """Match a limit order and let the rest of it rest."""
        opposite = self.sides[1 - side]
        while quantity:
            best = self.best(1 - side)
            if best is None or (best > price if side == BUY else best < price):
                break
            queue = opposite[best]
            maker, leaves = next(iter(queue.items()))
            lots = min(leaves, quantity)
            quantity -= lots
            self.trades += 1
            self.volume += lots
            self.notional += lots * best
            self.digest.update(_trade(maker, order_id, best, lots))
            if lots < leaves:
                queue[maker] = leaves - lots
                continue
            del queue[maker]
            self._forget(maker)
            if not queue:
                del opposite[best]
        if quantity:
            self.sides[side].setdefault(price, {})[order_id] = quantity
            self.where[order_id] = (side, price)
            self._position[order_id] = len(self.live)
            self.live.append(order_id)

    def _forget(self, order_id: int) -> None:
        position = self._position.pop(order_id)
        last = self.live.pop()
        if last != order_id:
            self.live[position] = last
            self._position[last] = position
        del self.where[order_id]


def generate(shape: Shape, path: pathlib.Path) -> None:
    """Write a flow and, beside it, `<path>.json`; the file gets its name when it is complete."""
    draw = random.Random(shape.seed)
    book = _Book()
    mid = MID_TICKS
    next_id = 1
    part = path.with_suffix(".part")
    with part.open("wb") as out:
        for number in range(shape.prefill + shape.commands):
            kind = draw.random() if number >= shape.prefill else 0.0
            if draw.random() < shape.walk:
                mid += draw.choice((-1, 1))
            if 0.5 <= kind < 0.9 and book.live:
                target = book.live[draw.randrange(len(book.live))]
                side, price, quantity = book.cancel(target)
                out.write(_record(CANCEL, side, 0, target, price, quantity))
                continue
            side = draw.randrange(2)
            touch = book.best(1 - side)
            sign = 1 if side == BUY else -1
            if kind >= 0.9 and touch is not None:
                op, price, quantity = TAKE, touch + sign * 50, draw.randint(1, 50)
            else:
                away = draw.randint(1, shape.uniform_ticks) if shape.uniform_ticks else 1 + int(draw.expovariate(0.1))
                op, price, quantity = ADD, mid - sign * away, draw.randint(1, 100)
            out.write(_record(op, side, 0, next_id, price, quantity))
            book.submit(next_id, side, price, quantity)
            next_id += 1
    _write_expected(shape, path, part, book)
    part.replace(path)


def _write_expected(shape: Shape, path: pathlib.Path, part: pathlib.Path, book: _Book) -> None:
    expected = {
        "n": shape.prefill + shape.commands,
        "seed": shape.seed,
        "prefill": shape.prefill,
        "trades": book.trades,
        "volume": book.volume,
        "notional": book.notional,
        "live_end": len(book.live),
        "best_bid": book.best(BUY),
        "best_ask": book.best(SELL),
        "levels_end": [len(book.sides[BUY]), len(book.sides[SELL])],
        "trade_sha256": book.digest.hexdigest(),
        "file_sha256": hashlib.sha256(part.read_bytes()).hexdigest(),
    }
    path.with_name(path.name + ".json").write_text(json.dumps(expected, indent=1) + "\n")


def load(path: pathlib.Path) -> Flow:
    """Read a flow and its expected figures. Raises Broken."""
    beside = path.with_name(path.name + ".json")
    try:
        raw = path.read_bytes()
        expected = json.loads(beside.read_text())
    except OSError as error:
        raise Broken(f"{error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise Broken(f"{beside} is not JSON: {error}") from None
    missing = {"n", "trades", "volume", "notional", "live_end", "levels_end", "trade_sha256"} - expected.keys()
    if missing:
        raise Broken(f"{beside} does not say {', '.join(sorted(missing))}")
    if len(raw) != expected["n"] * RECORD.itemsize:
        raise Broken(f"{path} has {len(raw)} bytes, {expected['n']} records take {expected['n'] * RECORD.itemsize}")
    if hashlib.sha256(raw).hexdigest() != expected.get("file_sha256", hashlib.sha256(raw).hexdigest()):
        raise Broken(f"{path} is not the file that {beside} describes")
    return Flow(path, np.frombuffer(raw, dtype=RECORD), expected)


def cached(shape: Shape) -> Flow:
    """The flow of a shape from the folder of temporary files, generated if it is not there yet."""
    folder = pathlib.Path(tempfile.gettempdir()) / "exchange-flows"
    folder.mkdir(exist_ok=True)
    path = folder / shape.file_name
    if not path.exists():
        generate(shape, path)
    return load(path)
