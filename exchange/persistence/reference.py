"""What a fold must remember between batches: assets and symbols.

Owns these few arrays. They are loaded from the tables when the projection is claimed and move on with each batch; after
a batch that failed they are loaded anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core.codes import EventKind, Limit
from exchange.core.state import LIMIT_MAX
from exchange.persistence.slots import Slots

Row = tuple[Any, ...]
_ASSETS = LIMIT_MAX[Limit.ASSETS] + 1
_SYMBOLS = LIMIT_MAX[Limit.SYMBOLS] + 1
SYMBOL_COLUMNS = (
    "symbol", "name", "base_asset", "quote_asset", "price_scale", "qty_scale", "base_atoms_per_lot",
    "quote_atoms_per_tick_lot", "price_step_ticks", "qty_step_lots", "maker_fee_ppm", "taker_fee_ppm",
)  # fmt: skip


class Reference:
    """Arrays by asset or symbol id."""

    def __init__(self) -> None:
        self.scale = np.zeros(_ASSETS, np.int64)
        self.base_asset = np.zeros(_SYMBOLS, np.int64)
        self.quote_asset = np.zeros(_SYMBOLS, np.int64)
        self.base_atoms_per_lot = np.zeros(_SYMBOLS, np.int64)

    def know_symbol(self, symbol: int, base_asset: int, quote_asset: int, base_atoms_per_lot: int) -> None:
        """Remember a symbol."""
        self.base_asset[symbol] = base_asset
        self.quote_asset[symbol] = quote_asset
        self.base_atoms_per_lot[symbol] = base_atoms_per_lot

    def take(self, slots: Slots) -> tuple[list[Row], list[Row]]:
        """Learn what a batch adds and changes; returns rows of assets (new ones) and of symbols (new or changed)."""
        assets: list[Row] = []
        for event in slots.of(EventKind.ASSET_ADDED):
            asset, scale = int(event["asset"]), int(event["scale"])
            self.scale[asset] = scale
            assets.append((asset, _name(event), scale))
        rows: dict[int, Row] = {}
        for kind in (EventKind.SYMBOL_ADDED, EventKind.SYMBOL_CHANGED):
            for event in slots.of(kind):
                row = self._symbol_row(event)
                rows[row[0]] = row
        return assets, list(rows.values())

    def _symbol_row(self, event: Any) -> Row:
        symbol, base, quote = (int(event[field]) for field in ("symbol", "base_asset", "quote_asset"))
        price_scale, qty_scale = int(event["price_scale"]), int(event["qty_scale"])
        base_atoms = 10 ** (int(self.scale[base]) - qty_scale)
        quote_atoms = 10 ** (int(self.scale[quote]) - price_scale - qty_scale)
        self.know_symbol(symbol, base, quote, base_atoms)
        rules = (int(event[field]) for field in SYMBOL_COLUMNS[8:])
        return symbol, _name(event), base, quote, price_scale, qty_scale, base_atoms, quote_atoms, *rules


def _name(event: Any) -> str:
    """A name as readers show it; a text in PostgreSQL holds no zero character."""
    raw = int(event["name_0"]).to_bytes(8, "little", signed=True) + int(event["name_1"]).to_bytes(
        8, "little", signed=True
    )
    return raw.rstrip(b"\0").decode("ascii", "replace").replace("\0", "\ufffd")
