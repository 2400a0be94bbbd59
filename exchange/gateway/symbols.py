"""What the gateway knows of assets and symbols: names, grids and filters, made once from the engine's reference data.

Owns the tables that turn decimals into ticks and lots and back, and the `exchangeInfo` description of a symbol. The
engine checks every filter again; here they only keep bad input out of the journal.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from exchange.core.codes import OrderType, Phase, SymbolRule, TradingMode
from exchange.core.readers import AssetView, SymbolView
from exchange.gateway.amounts import Grid
from exchange.gateway.errors import filter_failure, invalid_symbol

STP_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")
STP_DEFAULT = "EXPIRE_MAKER"
ORDER_TYPES = tuple(order_type.name for order_type in OrderType)
ICEBERG_PARTS_MAX = 1_000
TRAILING_BIPS_MAX = 9_999
"""What holds where the symbol has no rule of its own."""
_STATUS = {TradingMode.OPEN: "TRADING", TradingMode.CANCEL_ONLY: "BREAK", TradingMode.HALTED: "HALT"}
_PHASE_STATUS = {Phase.CONTINUOUS: "TRADING", Phase.AUCTION: "AUCTION_MATCH", Phase.PAUSED: "BREAK"}
"""The status of a symbol whose mode is OPEN."""
_NO_BOUND_BIPS = 10**10
_MINUTE_NS = 60 * 10**9

Guards = Mapping[SymbolRule, int]
"""The rules of a symbol that are not zero."""
NO_GUARDS: Guards = types.MappingProxyType({})


def multiplier(bips: int) -> str:
    """Ten-thousandths as filters show them."""
    return f"{bips // 10_000}.{bips % 10_000:04d}"


def status_of(mode: int, phase: int) -> str:
    """The status of a symbol: `mode` is the strictest TradingMode that holds for it, `phase` its Phase."""
    return _PHASE_STATUS[Phase(phase)] if mode == TradingMode.OPEN else _STATUS[TradingMode(mode)]


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

    def price_ticks(self, text: str, parameter: str = "price") -> int:
        """The price in ticks. Raises Refusal, PRICE_FILTER included."""
        ticks = self.price.units(text, parameter, "PRICE_FILTER")
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

    def describe(self, status: str, guards: Guards = NO_GUARDS, *, permission_sets: bool = True) -> dict[str, Any]:
        """The symbol as `exchangeInfo` shows it."""
        return {
            "symbol": self.name,
            "status": status,
            "baseAsset": self.base.name,
            "baseAssetPrecision": self.base.scale,
            "quoteAsset": self.quote.name,
            "quotePrecision": self.quote.scale,
            "quoteAssetPrecision": self.quote.scale,
            "baseCommissionPrecision": self.base.scale,
            "quoteCommissionPrecision": self.quote.scale,
            "orderTypes": list(ORDER_TYPES),
            "icebergAllowed": True,
            "ocoAllowed": True,
            "otoAllowed": True,
            "opoAllowed": True,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": True,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "pegInstructionsAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": self.filters(guards),
            "permissions": [],
            "permissionSets": [["SPOT"]] if permission_sets else [],
            "defaultSelfTradePreventionMode": STP_DEFAULT,
            "allowedSelfTradePreventionModes": list(STP_MODES),
        }

    def filters(self, guards: Guards = NO_GUARDS) -> list[dict[str, Any]]:
        """The filters that an order must pass, as `exchangeInfo` shows them: those that always hold, and `guards`."""
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
            {"filterType": "ICEBERG_PARTS", "limit": guards.get(SymbolRule.ICEBERG_PARTS_MAX, ICEBERG_PARTS_MAX)},
            _trailing_delta(guards),
            *self._guard_filters(guards),
        ]

    def _guard_filters(self, guards: Guards) -> Iterable[dict[str, Any]]:
        """The filters that are there only where a rule is set."""
        if not _COLLAR.keys().isdisjoint(guards):
            bounds = {name: multiplier(guards.get(rule, off)) for rule, (name, off) in _COLLAR.items()}
            window_ns = guards.get(SymbolRule.REFERENCE_WINDOW_NS, 0)
            yield {"filterType": "PERCENT_PRICE_BY_SIDE", **bounds, "avgPriceMins": -(-window_ns // _MINUTE_NS)}
        for rule, (filter_type, field) in _COUNTS.items():
            if rule in guards:
                yield {"filterType": filter_type, field: guards[rule]}
        if SymbolRule.POSITION_MAX_LOTS in guards:
            position = self.quantity.text(guards[SymbolRule.POSITION_MAX_LOTS])
            yield {"filterType": "MAX_POSITION", "maxPosition": position}


_COLLAR = {
    SymbolRule.BID_UP_BIPS: ("bidMultiplierUp", _NO_BOUND_BIPS),
    SymbolRule.BID_DOWN_BIPS: ("bidMultiplierDown", 0),
    SymbolRule.ASK_UP_BIPS: ("askMultiplierUp", _NO_BOUND_BIPS),
    SymbolRule.ASK_DOWN_BIPS: ("askMultiplierDown", 0),
}
"""The rules of PERCENT_PRICE_BY_SIDE: the field of each, and what stands there when it is off and another is on."""
_COUNTS = {
    SymbolRule.ALGO_ORDERS_MAX: ("MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders"),
    SymbolRule.ICEBERG_ORDERS_MAX: ("MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders"),
    SymbolRule.LISTS_MAX: ("MAX_NUM_ORDER_LISTS", "maxNumOrderLists"),
}


def _trailing_delta(guards: Guards) -> dict[str, Any]:
    low = guards.get(SymbolRule.TRAILING_MIN_BIPS, 1)
    high = guards.get(SymbolRule.TRAILING_MAX_BIPS, TRAILING_BIPS_MAX)
    return {
        "filterType": "TRAILING_DELTA",
        "minTrailingAboveDelta": low,
        "maxTrailingAboveDelta": high,
        "minTrailingBelowDelta": low,
        "maxTrailingBelowDelta": high,
    }


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
