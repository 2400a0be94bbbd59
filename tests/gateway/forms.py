"""A venue on paper: order forms that become commands without a server, and events as the engine would write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from exchange.core.codes import EventKind
from exchange.core.event_records import EVENT_DTYPES
from exchange.core.readers import AssetView, SymbolView
from exchange.core.records import command_dict
from exchange.gateway.faces import BINANCE, Face
from exchange.gateway.placing import Placement, placement
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Reference
from exchange.users.keys import Key, KeyKind

MILLISECOND_NS = 1_000_000
ALICE = 16
KEY = Key(api_key="k" * 64, account=ALICE, kind=KeyKind.HMAC, permissions=frozenset(), secret=b"s")
ASSETS = (AssetView(1, "BTC", 8), AssetView(2, "USDT", 8))
BTCUSDT = SymbolView(
    symbol=1,
    name="BTCUSDT",
    mode=1,
    base_asset=1,
    quote_asset=2,
    price_scale=2,
    qty_scale=5,
    price_min_ticks=1,
    price_max_ticks=100_000_000,
    qty_min_lots=1,
    qty_max_lots=100_000_000,
    notional_min_atoms=500_000_000,
    notional_max_atoms=900_000_000_000_000,
    price_step_ticks=1,
    qty_step_lots=1,
    orders_max=200,
    maker_fee_ppm=1_000,
    taker_fee_ppm=2_000,
    base_atoms_per_lot=1_000,
    quote_atoms_per_tick_lot=10,
    trades=0,
)
LIMIT = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "100"}


def face(*, answers_repeats: bool = False) -> Face:
    """Binance's face of the one symbol."""
    return Face(BINANCE, Reference(ASSETS, (BTCUSDT,)), answers_repeats, 0)


def form(changes: Mapping[str, str | None]) -> dict[str, str]:
    """A LIMIT form with changes; None leaves a parameter out."""
    return {name: text for name, text in {**LIMIT, **changes}.items() if text is not None}


def place(changes: Mapping[str, str | None], *, answers_repeats: bool = False) -> Placement:
    """What a form becomes. Raises Refusal."""
    call = Call(face(answers_repeats=answers_repeats), KEY, form(changes), 0, 0, MILLISECOND_NS)
    return placement(call, lambda _symbol: 0)


def fields_of(placed: Placement) -> dict[str, Any]:
    """The fields of the command."""
    return command_dict(np.frombuffer(placed.command, np.uint8))


def event(kind: EventKind, **fields: int) -> bytes:
    """One event slot, without a client id."""
    record = np.zeros(1, dtype=EVENT_DTYPES[kind])
    record["kind"] = kind
    for name, value in fields.items():
        record[name] = value
    return record.tobytes()
