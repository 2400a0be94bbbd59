"""The routes that tell statistics: tickers of a day or of any window, last prices, best prices, the average price.

Owns field names, their order and which of them a client asked for; numbers come from market data, which sums them up in
whole ticks and lots. Never reads history, never submits a command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exchange.gateway.catalogue import TICKER_TYPE, WINDOW_SIZE
from exchange.gateway.errors import Refusal, mandatory
from exchange.gateway.orders import symbol_rules
from exchange.gateway.public import asked_symbols
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Rules
from exchange.gateway.turns import json_array
from exchange.gateway.venue import RETRY_AFTER_S, Venue
from exchange.marketdata.market import MarketDataError
from exchange.marketdata.tickers import AVERAGE_MINUTES, Ticker, Tickers
from exchange.marketdata.windows import DAY_MINUTES

Json = dict[str, Any]
WINDOW_SYMBOLS_MAX = 100
TURN_SYMBOLS = 20
"""As many are described in about 1 ms."""
_UNIT_MINUTES = {"m": 1, "h": 60, "d": DAY_MINUTES}


def _tickers(venue: Venue) -> Tickers:
    try:
        return venue.market_data.tickers
    except MarketDataError as error:
        raise Refusal(503, error.code, f"{error.detail} {error.hint}", retry_after_s=RETRY_AFTER_S) from None


async def _answer(call: Call, describe: Callable[[Rules], Json]) -> Reply:
    """An object for `symbol`, an array for `symbols` and for all."""
    asked = asked_symbols(call)
    if "symbol" in call.params:
        return Reply(describe(asked[0]))
    return Reply(await json_array(map(describe, asked), TURN_SYMBOLS))


def _change(rules: Rules, ticker: Ticker) -> Json:
    """How the price changed."""
    change = ticker.change_ticks
    return {
        "priceChange": f"{'-' if change < 0 else ''}{rules.price.text(abs(change))}",
        "priceChangePercent": ticker.change_percent,
        "weightedAvgPrice": rules.price.text(ticker.average_ticks),
    }


def _extent(rules: Rules, ticker: Ticker, unit_ns: int) -> Json:
    """What was traded, when, and in which trades."""
    window = ticker.window
    return {
        "volume": rules.quantity.text(window.lots),
        "quoteVolume": rules.quote_grid.text(window.tick_lots * rules.view.quote_atoms_per_tick_lot),
        "openTime": ticker.open_ts_ns // unit_ns,
        "closeTime": ticker.close_ts_ns // unit_ns,
        "firstId": window.first_trade_id,
        "lastId": window.last_trade_id,
        "count": window.trades,
    }


def _range(rules: Rules, ticker: Ticker) -> Json:
    price, window = rules.price.text, ticker.window
    return {
        "openPrice": price(window.open_ticks),
        "highPrice": price(window.high_ticks),
        "lowPrice": price(window.low_ticks),
    }


def _day(rules: Rules, ticker: Ticker, unit_ns: int) -> Json:
    """A ticker of ticker/24hr."""
    price, quantity, best = rules.price.text, rules.quantity.text, ticker.best
    return {
        "symbol": rules.name,
        **_change(rules, ticker),
        "prevClosePrice": price(ticker.previous_close_ticks),
        "lastPrice": price(ticker.last_price_ticks),
        "lastQty": quantity(ticker.last_lots),
        "bidPrice": price(best.bid_ticks),
        "bidQty": quantity(best.bid_lots),
        "askPrice": price(best.ask_ticks),
        "askQty": quantity(best.ask_lots),
        **_range(rules, ticker),
        **_extent(rules, ticker, unit_ns),
    }


def _mini(rules: Rules, ticker: Ticker, unit_ns: int) -> Json:
    """A ticker of type MINI."""
    return {
        "symbol": rules.name,
        **_range(rules, ticker),
        "lastPrice": rules.price.text(ticker.last_price_ticks),
        **_extent(rules, ticker, unit_ns),
    }


def _rolling(rules: Rules, ticker: Ticker, unit_ns: int) -> Json:
    """A ticker of any window."""
    mini = _mini(rules, ticker, unit_ns)
    return {"symbol": mini.pop("symbol"), **_change(rules, ticker), **mini}


async def day_ticker(venue: Venue, call: Call) -> Reply:
    """GET ticker/24hr: statistics of the last 24 hours."""
    write = _mini if TICKER_TYPE.read(call.params) else _day
    tickers = _tickers(venue)
    return await _answer(call, lambda rules: write(rules, tickers.ticker(rules.symbol, DAY_MINUTES), call.unit_ns))


async def window_ticker(venue: Venue, call: Call) -> Reply:
    """GET ticker: statistics of a window of 1 minute to 7 days."""
    write = _mini if TICKER_TYPE.read(call.params) else _rolling
    size = WINDOW_SIZE.read(call.params) or "1d"
    minutes = int(size[:-1]) * _UNIT_MINUTES[size[-1]]
    asked = asked_symbols(call)
    if not {"symbol", "symbols"} & call.params.keys():
        raise mandatory("symbol")
    if len(asked) > WINDOW_SYMBOLS_MAX:
        raise Refusal(400, -1101, "Too many parameters sent for this endpoint.")
    tickers = _tickers(venue)

    def describe(rules: Rules) -> Json:
        ticker = tickers.ticker(rules.symbol, minutes)
        if "symbol" in call.params and not ticker.window.trades:
            raise Refusal(400, -2016, "No trading window could be found for the symbol. Try ticker/24hrs instead.")
        return write(rules, ticker, call.unit_ns)

    return await _answer(call, describe)


async def last_price(venue: Venue, call: Call) -> Reply:
    """GET ticker/price: the price of the last trade."""
    tickers = _tickers(venue)

    def describe(rules: Rules) -> Json:
        return {"symbol": rules.name, "price": rules.price.text(tickers.last_price_ticks(rules.symbol))}

    return await _answer(call, describe)


async def book_ticker(venue: Venue, call: Call) -> Reply:
    """GET ticker/bookTicker: the best prices of the published book."""
    tickers = _tickers(venue)

    def describe(rules: Rules) -> Json:
        price, quantity, best = rules.price.text, rules.quantity.text, tickers.best(rules.symbol)
        return {
            "symbol": rules.name,
            "bidPrice": price(best.bid_ticks),
            "bidQty": quantity(best.bid_lots),
            "askPrice": price(best.ask_ticks),
            "askQty": quantity(best.ask_lots),
        }

    return await _answer(call, describe)


async def average_price(venue: Venue, call: Call) -> Reply:
    """GET avgPrice: the average price of the last minutes, weighted by quantity."""
    rules = symbol_rules(call)
    average = _tickers(venue).average(rules.symbol)
    return Reply(
        {
            "mins": AVERAGE_MINUTES,
            "price": rules.price.text(average.price_ticks),
            "closeTime": average.last_ts_ns // call.unit_ns,
        }
    )
