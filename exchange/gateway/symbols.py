"""What the gateway knows of assets and symbols: names, grids and filters, made once from the engine's reference data.

Owns the tables that turn decimals into ticks and lots and back, and the `exchangeInfo` description of a symbol. The
engine checks every filter again; here they only keep bad input out of the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from exchange.core.codes import TradingMode
from exchange.core.readers import AssetView, SymbolView
from exchange.gateway.amounts import Grid
from exchange.gateway.errors import filter_failure, invalid_symbol

STP_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")
STP_DEFAULT = "EXPIRE_MAKER"
ORDER_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET")
_STATUS = {TradingMode.OPEN: "TRADING", TradingMode.CANCEL_ONLY: "BREAK", TradingMode.HALTED: "HALT"}


class Rules:
    """One symbol: its name, grids for price, quantity and quote amount, and the filters in ticks, lots and atoms."""

    __slots__ = ("base", "base_grid", "name", "price", "quantity", "quote", "quote_grid", "symbol", "view")

    def __init__(self, name: str, view: SymbolView, base: AssetView, quote: AssetView) -> None:
        self.name = name
        self.view = view
        self.symbol = view.symbol
        self.base = base
        self.quote = quote
        self.price = Grid(view.price_scale, quote.scale, quote.scale)
        self.quantity = Grid(view.qty_scale, base.scale, base.scale)
        self.base_grid = Grid(base.scale, base.scale, base.scale)
        self.quote_grid = Grid(quote.scale, quote.scale, quote.scale)

    def price_ticks(self, text: str) -> int:
        """The price in ticks. Raises Refusal, PRICE_FILTER included."""
        ticks = self.price.units(text, "price", "PRICE_FILTER")
        view = self.view
        if not view.price_min_ticks <= ticks <= view.price_max_ticks or ticks % view.price_step_ticks:
            raise filter_failure("PRICE_FILTER")
        return ticks

    def qty_lots(self, text: str, parameter: str = "quantity") -> int:
        """The quantity in lots. Raises Refusal, LOT_SIZE included."""
        lots = self.quantity.units(text, parameter, "LOT_SIZE")
        view = self.view
        if not view.qty_min_lots <= lots <= view.qty_max_lots or lots % view.qty_step_lots:
            raise filter_failure("LOT_SIZE")
        return lots

    def quote_atoms(self, text: str) -> int:
        """The quote amount of a MARKET order in atoms. Raises Refusal, NOTIONAL included."""
        atoms = self.quote_grid.units(text, "quoteOrderQty", "NOTIONAL")
        self.check_notional(atoms)
        return atoms

    def check_notional(self, atoms: int) -> None:
        """Refuses a notional that the filter does not let pass."""
        if not self.view.notional_min_atoms <= atoms <= self.view.notional_max_atoms or not atoms:
            raise filter_failure("NOTIONAL")

    def describe(self, mode: int, *, permission_sets: bool = True) -> dict[str, Any]:
        """The symbol as `exchangeInfo` shows it; `mode` is the strictest TradingMode that holds for it."""
        return {
            "symbol": self.name,
            "status": _STATUS[TradingMode(mode)],
            "baseAsset": self.base.name,
            "baseAssetPrecision": self.base.scale,
            "quoteAsset": self.quote.name,
            "quotePrecision": self.quote.scale,
            "quoteAssetPrecision": self.quote.scale,
            "baseCommissionPrecision": self.base.scale,
            "quoteCommissionPrecision": self.quote.scale,
            "orderTypes": list(ORDER_TYPES),
            "icebergAllowed": False,
            "ocoAllowed": False,
            "otoAllowed": False,
            "opoAllowed": False,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": False,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "pegInstructionsAllowed": False,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": self.filters(),
            "permissions": [],
            "permissionSets": [["SPOT"]] if permission_sets else [],
            "defaultSelfTradePreventionMode": STP_DEFAULT,
            "allowedSelfTradePreventionModes": list(STP_MODES),
        }

    def filters(self) -> list[dict[str, Any]]:
        """The filters that an order must pass, as `exchangeInfo` shows them."""
        view, price, quantity, quote = self.view, self.price.text, self.quantity.text, self.quote_grid.text
        lot = {
            "minQty": quantity(view.qty_min_lots),
            "maxQty": quantity(view.qty_max_lots),
            "stepSize": quantity(view.qty_step_lots),
        }
        return [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": price(view.price_min_ticks),
                "maxPrice": price(view.price_max_ticks),
                "tickSize": price(view.price_step_ticks),
            },
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {
                "filterType": "NOTIONAL",
                "minNotional": quote(view.notional_min_atoms),
                "applyMinToMarket": True,
                "maxNotional": quote(view.notional_max_atoms),
                "applyMaxToMarket": True,
                "avgPriceMins": 0,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": view.orders_max},
        ]


class Reference:
    """Every asset and symbol, by id and by name. `spelled` makes the name that a face shows of the engine's."""

    def __init__(
        self, assets: Iterable[AssetView], symbols: Iterable[SymbolView], spelled: Callable[[str], str] = str
    ) -> None:
        self.assets = {asset.asset: asset for asset in assets}
        self.grids = {asset.asset: Grid(asset.scale, asset.scale, asset.scale) for asset in self.assets.values()}
        self.by_id = {
            view.symbol: Rules(spelled(view.name), view, self.assets[view.base_asset], self.assets[view.quote_asset])
            for view in symbols
        }
        self.by_name = {rules.name: rules for rules in reversed(self.by_id.values())}

    def named(self, name: str) -> Rules:
        """The symbol of that name, exactly as written. Raises Refusal -1121."""
        rules = self.by_name.get(name)
        if rules is None:
            raise invalid_symbol()
        return rules
