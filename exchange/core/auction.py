"""Auctions: orders are collected without matching, then meet all at once at the price at which most trades.

    CONTINUOUS ──(START)──► AUCTION ──(UNCROSS, or its end and a TICK)──► CONTINUOUS
         └──(breaker)──► PAUSED ──(its end and a TICK)──► AUCTION

Owns the phases, the price and the uncross. The rules are section 21 of docs/engine-guards.md. Each function that tells
events returns the next free event slot. While a symbol is in AUCTION its book may be crossed; the uncross ends that.
"""

from __future__ import annotations

from typing import Any

from exchange.core.book import leave_level, leave_owned
from exchange.core.breaker import begin_anew
from exchange.core.clearing import hold, hold_atoms, payer
from exchange.core.codes import (
    AuctionAction,
    CommandKind,
    EventFlag,
    EventKind,
    OrderStatus,
    Phase,
    RejectCode,
    Side,
    StpMode,
    SymbolRule,
    TradingMode,
)
from exchange.core.compile import i64, kernel, part
from exchange.core.emit import begin_event, emit_rejected, emit_shown
from exchange.core.lists import follow_match
from exchange.core.matching import fill, show_next_part, tell_prevented
from exchange.core.pool import leave_pool
from exchange.core.reference_price import count_trade
from exchange.core.risk import is_same_owner, is_symbol
from exchange.core.rules import mark_guarded, symbol_rule
from exchange.core.slots import any_event, auction_command, auction_event
from exchange.core.state import ICEBERG, SIDES, TURNS_PER_COMMAND, State
from exchange.core.terms import list_of, shown_lots, terms_of
from exchange.core.triggers import observe
from exchange.core.turns import take_turns


@part
def _leaves_of(state: State, symbol: int, level: int) -> int:
    """The leaves of all orders at a level, whatever they show."""
    lots = i64(state.levels[level].lots)
    if state.markets[symbol].parts != 0:
        slot = i64(state.levels[level].head)
        while slot != 0:
            order = state.orders[slot]
            if order.special & ICEBERG:
                lots += order.leaves_lots - shown_lots(state, slot)
            slot = i64(order.next)
    return lots


@kernel
def auction_price(state: State, symbol: int) -> tuple[int, int, int]:
    """The price at which most would trade: (price_ticks, lots, demand less supply); zeros if nothing can.

    One pass from the best ask up to the best bid: what is offered rises, what is wanted falls.
    """
    ask = i64(state.sides[symbol * SIDES + Side.SELL].best)
    top = i64(state.sides[symbol * SIDES + Side.BUY].best)
    found = found_lots = found_gap = i64(0)
    if ask == 0 or top == 0:
        return found, found_lots, found_gap
    lowest = state.levels[ask].price_ticks
    highest = state.levels[top].price_ticks
    last = state.markets[symbol].last_ticks
    demand = supply = bid = i64(0)
    level = top
    while level != 0 and state.levels[level].price_ticks >= lowest:
        demand += _leaves_of(state, symbol, level)
        bid = level
        level = i64(state.levels[level].worse)
    while bid != 0 or (ask != 0 and state.levels[ask].price_ticks <= highest):
        price = i64(highest)
        if bid != 0:
            price = min(price, i64(state.levels[bid].price_ticks))
        if ask != 0:
            price = min(price, i64(state.levels[ask].price_ticks))
        if ask != 0 and state.levels[ask].price_ticks == price:
            supply += _leaves_of(state, symbol, ask)
            ask = i64(state.levels[ask].worse)
        lots = min(demand, supply)
        gap = demand - supply
        better = lots > found_lots
        if lots == found_lots and found != 0:
            better = abs(gap) < abs(found_gap)
            if abs(gap) == abs(found_gap) and last != 0:
                better = abs(price - last) < abs(found - last)
        if better:
            found = price
            found_lots = lots
            found_gap = gap
        if bid != 0 and state.levels[bid].price_ticks == price:
            demand -= _leaves_of(state, symbol, bid)
            bid = i64(state.levels[bid].better)
    return found, found_lots, found_gap


@part
def _hide(state: State, slot: int, lots: int, command_kind: int, events: Any, used: int) -> int:
    """ORDER_SHOWN: an order shows so much less from here on."""
    if lots != 0:
        state.levels[state.orders[slot].level].lots -= lots
        if state.orders[slot].special != 0:
            terms_of(state, slot).shown_lots -= lots
        used = emit_shown(state.header[0], state.orders[slot], state.details[slot], events, used, command_kind, -lots)
    return used


@part
def _go_on(
    state: State,
    taker_slot: int,
    maker_slot: int,
    off_taker: int,
    off_maker: int,
    command_kind: int,
    events: Any,
    used: int,
) -> int:
    """After the match in the event slot before `used`, each for the maker first: what has no leaves closes, icebergs
    show their next parts, lists follow.

    `off_*` is what a prevention took away; zero: nothing, or it was a trade.
    """
    matched = used - 1
    any_event(events, matched)["flags"] = EventFlag.OFF_BOOK
    taker_list = list_of(state, taker_slot)
    maker_list = list_of(state, maker_slot)
    traded = any_event(events, matched).kind == EventKind.TRADE
    status = i64(OrderStatus.FILLED if traded else OrderStatus.EXPIRED_IN_MATCH)
    for is_taker in range(2):
        slot = taker_slot if is_taker else maker_slot
        off = off_taker if is_taker else off_maker
        if traded or off != 0:
            state.details[slot].updated_ts_ns = state.header[0].ts_ns
        if state.orders[slot].leaves_lots == 0:
            leave_owned(state, slot)
            leave_level(state, slot, i64(0))
            leave_pool(state, slot, status, off, 0)
    for is_taker in range(2):
        slot = taker_slot if is_taker else maker_slot
        if state.orders[slot].leaves_lots != 0 and state.orders[slot].special != 0:
            used = show_next_part(state, slot, i64(0), command_kind, events, used)
    if taker_list != 0 or maker_list != 0:
        used = follow_match(state, taker_slot, maker_slot, taker_list, maker_list, matched, command_kind, events, used)
    return used


@part
def _trade(state: State, bid: int, ask: int, price_ticks: int, command_kind: int, events: Any, used: int) -> int:
    """TRADE of the smaller shown part of two orders; returns the next free event slot."""
    lots = min(shown_lots(state, bid), shown_lots(state, ask))
    used = _hide(state, ask, lots, command_kind, events, used)
    used = _hide(state, bid, lots, command_kind, events, used)
    symbol = i64(state.orders[bid].symbol)
    fill(state, bid, ask, price_ticks, lots, state.orders[bid].price_ticks - price_ticks, True, events, used)
    state.markets[symbol].last_ticks = price_ticks
    count_trade(state, symbol, price_ticks, lots)
    return _go_on(state, bid, ask, i64(0), i64(0), command_kind, events, used + 1)


@part
def _prevent(state: State, younger: int, older: int, command_kind: int, events: Any, used: int) -> int:
    """PREVENTED of two orders of one owner, by the younger's STP mode; returns the next free event slot."""
    taker = state.orders[younger]
    maker = state.orders[older]
    mode = taker.stp_mode
    off_taker = off_maker = i64(0)
    if mode == StpMode.DECREMENT:
        off_taker = off_maker = min(shown_lots(state, younger), shown_lots(state, older))
    if mode == StpMode.EXPIRE_TAKER or mode == StpMode.EXPIRE_BOTH:
        off_taker = i64(taker.leaves_lots)
    if mode == StpMode.EXPIRE_MAKER or mode == StpMode.EXPIRE_BOTH:
        off_maker = i64(maker.leaves_lots)
    used = _hide(state, older, min(off_maker, shown_lots(state, older)), command_kind, events, used)
    used = _hide(state, younger, min(off_taker, shown_lots(state, younger)), command_kind, events, used)
    symbol = state.symbols[taker.symbol]
    taker_release = hold_atoms(symbol, taker.side, taker.price_ticks, off_taker)
    maker_release = hold_atoms(symbol, maker.side, maker.price_ticks, off_maker)
    hold(payer(state, taker), -taker_release)
    hold(payer(state, maker), -maker_release)
    taker.leaves_lots -= off_taker
    maker.leaves_lots -= off_maker
    tell_prevented(state, younger, older, off_taker, off_maker, taker_release, maker_release, events, used)
    return _go_on(state, younger, older, off_taker, off_maker, command_kind, events, used + 1)


@part
def _match_at(
    state: State, symbol: int, price_ticks: int, command_kind: int, events: Any, used: int
) -> tuple[int, int, int]:
    """Let the first orders of both sides meet until one side has none left at a price.

    Returns (trades, lots, next free event slot).
    """
    trades = state.symbols[symbol].trades
    lots = i64(0)
    bids = state.sides[symbol * SIDES + Side.BUY]
    asks = state.sides[symbol * SIDES + Side.SELL]
    while (
        bids.best != 0
        and asks.best != 0
        and state.levels[bids.best].price_ticks >= price_ticks
        and state.levels[asks.best].price_ticks <= price_ticks
    ):
        bid = i64(state.levels[bids.best].head)
        ask = i64(state.levels[asks.best].head)
        younger = bid if state.orders[bid].order_id > state.orders[ask].order_id else ask
        older = ask if younger == bid else bid
        own = is_same_owner(state, state.orders[bid].account, state.orders[ask].account)
        if own and state.orders[younger].stp_mode != StpMode.NONE:
            used = _prevent(state, younger, older, command_kind, events, used)
        else:
            lots += min(shown_lots(state, bid), shown_lots(state, ask))
            used = _trade(state, bid, ask, price_ticks, command_kind, events, used)
    return state.symbols[symbol].trades - trades, lots, used


@part
def _uncross(state: State, symbol: int, command_kind: int, events: Any, used: int) -> int:
    """End an auction: match all that can, AUCTION_ENDED, continuous trading."""
    market = state.markets[symbol]
    trades = lots = first_ticks = last_ticks = i64(0)
    price_ticks, volume_lots, _ = auction_price(state, symbol)
    while volume_lots != 0:
        round_trades, round_lots, used = _match_at(state, symbol, price_ticks, command_kind, events, used)
        trades += round_trades
        lots += round_lots
        if round_trades != 0:
            last_ticks = price_ticks
            if first_ticks == 0:
                first_ticks = price_ticks
        price_ticks, volume_lots, _ = auction_price(state, symbol)
    market.phase = Phase.CONTINUOUS
    market.phase_end_ts_ns = 0
    market.indicative_price_ticks = 0
    market.indicative_lots = 0
    mark_guarded(state, symbol)
    if last_ticks != 0:
        if market.specials != 0:
            observe(state, symbol, first_ticks)
            if last_ticks != first_ticks:
                observe(state, symbol, last_ticks)
        begin_anew(state, symbol, first_ticks, last_ticks)
    begin_event(state.header[0], events, used, EventKind.AUCTION_ENDED)
    event = auction_event(events, used)
    event.symbol = symbol
    event.price_ticks = last_ticks
    event.qty_lots = lots
    event.trades_count = trades
    return used + 1


@part
def _start(state: State, symbol: int, end_ts_ns: int, events: Any, used: int) -> int:
    """The symbol collects from now on: AUCTION_STARTED."""
    market = state.markets[symbol]
    market.phase = Phase.AUCTION
    market.phase_end_ts_ns = end_ts_ns
    market.watched = 1
    market.guarded = 1
    begin_event(state.header[0], events, used, EventKind.AUCTION_STARTED)
    event = auction_event(events, used)
    event.symbol = symbol
    event.end_ts_ns = end_ts_ns
    return used + 1


@part
def _may_uncross(state: State, symbol: int) -> bool:
    return (  # type: ignore[no-any-return]  # fields
        state.markets[symbol].phase == Phase.AUCTION
        and state.header[0].mode == TradingMode.OPEN
        and state.symbols[symbol].mode == TradingMode.OPEN
    )


@part
def auction(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """AUCTION: START or UNCROSS."""
    command = auction_command(commands, i)
    header = state.header[0]
    code: int = RejectCode.NONE
    if not is_symbol(state, command.symbol):
        code = RejectCode.UNKNOWN_SYMBOL
    elif command.action == AuctionAction.START:
        ends_early = command.end_ts_ns != 0 and command.end_ts_ns <= header.ts_ns
        if ends_early or state.markets[command.symbol].phase == Phase.AUCTION:
            code = RejectCode.INVALID_AUCTION
    elif command.action != AuctionAction.UNCROSS or not _may_uncross(state, i64(command.symbol)):
        code = RejectCode.INVALID_AUCTION
    if code != RejectCode.NONE:
        return emit_rejected(header, commands, i, events, used, code)
    symbol = i64(command.symbol)
    if command.action == AuctionAction.START:
        return _start(state, symbol, i64(command.end_ts_ns), events, used)
    used = _uncross(state, symbol, CommandKind.AUCTION, events, used)
    _, used = take_turns(state, symbol, i64(TURNS_PER_COMMAND), i64(CommandKind.AUCTION), events, used)
    return used


@part
def _indicate(state: State, symbol: int, events: Any, used: int) -> int:
    """AUCTION_INDICATED, if the auction would end otherwise than was told last."""
    market = state.markets[symbol]
    price_ticks, lots, imbalance_lots = auction_price(state, symbol)
    if price_ticks == market.indicative_price_ticks and lots == market.indicative_lots:
        return used
    market.indicative_price_ticks = price_ticks
    market.indicative_lots = lots
    begin_event(state.header[0], events, used, EventKind.AUCTION_INDICATED)
    event = auction_event(events, used)
    event.symbol = symbol
    event.price_ticks = price_ticks
    event.qty_lots = lots
    event.imbalance_lots = imbalance_lots
    return used + 1


@part
def pass_phases(state: State, events: Any, used: int) -> int:
    """TICK: pauses and auctions whose time has come end, at most one auction; the others tell what they would give."""
    header = state.header[0]
    ended = False
    for one in range(1, len(state.symbols)):
        symbol = i64(one)
        market = state.markets[symbol]
        over = market.phase_end_ts_ns <= header.ts_ns
        if market.phase == Phase.PAUSED and over:
            end_ts_ns = header.ts_ns + max(i64(1), symbol_rule(state, symbol, SymbolRule.AUCTION_NS))
            used = _start(state, symbol, end_ts_ns, events, used)
        elif market.phase == Phase.AUCTION and not (
            over and market.phase_end_ts_ns != 0 and _may_uncross(state, symbol)
        ):
            used = _indicate(state, symbol, events, used)
        elif market.phase == Phase.AUCTION and not ended:
            used = _uncross(state, symbol, CommandKind.TICK, events, used)
            ended = True
    return used
