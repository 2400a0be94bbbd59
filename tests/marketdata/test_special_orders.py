"""Market data of orders that wait, hide, hang together and meet in an auction, from events written by hand."""

from __future__ import annotations

from typing import Any

import aiohttp
import numpy as np
import pytest

from exchange.core.codes import EventKind, Phase, Side
from exchange.core.event_records import AUCTION_EVENT
from exchange.core.state import new_state
from exchange.marketdata import auctions
from exchange.marketdata.auctions import Auction
from exchange.marketdata.market import MarketData
from exchange.persistence.fold_market import fold_market
from exchange.persistence.slots import Slots
from tests.core.guarded_streams import GuardedFlow
from tests.core.plans import CONDITIONAL
from tests.core.streams import Flow
from tests.marketdata.client import on_uvloop
from tests.marketdata.venue import START_NS
from tests.oracle.queues import BookSide
from tests.special_story import BTC_USDT, SECOND_NS, Command, Story, slots_of

ROUNDS = 700
SYMBOL_KNOWN = 4
"""Commands until the symbol is there."""


def take(market: MarketData, command: Command) -> None:
    market.on_events(memoryview(command.events.tobytes()), len(command.events))


def levels_of(market: MarketData) -> list[dict[int, int]]:
    return [dict(market._feeds[BTC_USDT].book.levels(side)) for side in Side]


@pytest.mark.parametrize("is_cut", [False, True])
def test_book_after_each_command_shows_what_rests_for_all_to_see(is_cut: bool) -> None:
    market = MarketData()
    for command in Story().commands:
        for at in range(0, len(command.events), 1 if is_cut else len(command.events)):
            take(market, command._replace(events=command.events[at : at + 1] if is_cut else command.events))
        market.publish()
        if BTC_USDT in market._feeds:
            assert levels_of(market) == [command.bids, command.asks], command.words
    assert market.fault == ""
    assert (market.statistics().levels, market.statistics().trades) == (0, 7)


@pytest.mark.parametrize("flow", [Flow(41, CONDITIONAL), Flow(42, CONDITIONAL), GuardedFlow(43), GuardedFlow(44)])
def test_book_of_a_stream_of_orders_that_wait_is_the_oracles_after_every_command(flow: Flow) -> None:
    market = MarketData()
    kinds: set[int] = set()
    for _ in range(ROUNDS):
        told = [event for events in flow.take(1)[1] for event in events]
        kinds.update(event["kind"] for event in told)
        slots = slots_of(told)
        market.on_events(memoryview(slots.tobytes()), len(slots))
        market.publish()
        for symbol, feed in market._feeds.items():
            for side, shown in flow.oracle.venue.symbols[symbol].sides.items():
                assert feed.book.levels(side) == levels_shown(shown)
            phase = flow.oracle.venue.symbols[symbol].phase
            assert feed.auction.phase == phase
    assert market.fault == ""
    assert not isinstance(flow, GuardedFlow) or EventKind.AUCTION_ENDED in kinds
    assert kinds >= {EventKind.ORDER_ENTERED, EventKind.ORDER_SHOWN, EventKind.PREVENTED, EventKind.TRADE}


def levels_shown(side: BookSide) -> list[tuple[int, int]]:
    found: dict[int, int] = {}
    for order in side.in_matching_order():
        found[order.price_ticks] = found.get(order.price_ticks, 0) + order.shown_lots
    return list(found.items())


async def heard(streams: list[str], last: dict[str, Any]) -> list[dict[str, Any]]:
    """What a listener to these streams hears of the story, up to the message that has the fields of `last`."""
    market, commands = MarketData(), Story().commands
    for command in commands[:SYMBOL_KNOWN]:
        take(market, command)
    port = await market.start("127.0.0.1", 0)
    found: list[dict[str, Any]] = []
    path = f"http://127.0.0.1:{port}/ws/{'/'.join(streams)}"
    async with aiohttp.ClientSession() as session, session.ws_connect(path) as ws:
        if "btcusdt@auction" in streams:
            found.append(await ws.receive_json())
        for command in commands[SYMBOL_KNOWN:]:
            take(market, command)
        while not found or found[-1].items() & last.items() != last.items():
            found.append(await ws.receive_json(timeout=30))
    await market.stop()
    return found


@on_uvloop
async def test_trades_of_several_orders_in_one_command_are_aggregated_by_order_as_in_history() -> None:
    found = await heard(["btcusdt@aggTrade"], {"l": 7})
    assert [(one["a"], one["l"], one["p"], one["q"]) for one in found[:3]] == [
        (1, 1, "50.00000000", "0.00100000"),
        (2, 2, "50.10000000", "0.00020000"),
        (3, 3, "50.10000000", "0.00050000"),
    ]
    _, aggregates, _ = fold_market(Slots(np.concatenate([one.events for one in Story().commands]), 1))
    columns = (aggregates[name].tolist() for name in ("first_id", "last_id", "qty_lots"))
    assert [(one["f"], one["l"], round(float(one["q"]) * 10**4)) for one in found] == list(zip(*columns, strict=True))


@on_uvloop
async def test_auction_stream_tells_every_change_of_the_phase() -> None:
    found = await heard(["btcusdt@auction"], {"phase": "PAUSED"})
    times = {one["T"] for one in found if one["phase"] == "AUCTION"}
    assert times == {(START_NS + 100 * SECOND_NS) // 1_000_000}
    nothing = "0.00000000"
    assert [(one["phase"], one["p"], one["q"], one["i"]) for one in found] == [
        ("CONTINUOUS", nothing, nothing, nothing),
        ("AUCTION", nothing, nothing, nothing),
        ("AUCTION", "50.10000000", "0.00020000", "0.00030000"),
        ("CONTINUOUS", "50.10000000", "0.00020000", nothing),
        ("PAUSED", "50.10000000", nothing, nothing),
    ]
    assert {(one["e"], one["s"]) for one in found} == {("auction", "BTCUSDT")}
    assert (found[0]["T"], found[3]["T"]) == (0, 0)


def test_auction_of_a_state_is_what_its_events_said() -> None:
    state = new_state()
    assert auctions.seeded(state, 1) == Auction()
    market = state.markets[1]
    market.phase, market.phase_end_ts_ns = Phase.AUCTION, 7
    market.indicative_price_ticks, market.indicative_lots = 90, 4
    resting = [(0, 90, 5), (0, 89, 100), (1, 90, 1), (1, 80, 3), (1, 91, 50)]
    for slot, (side, price_ticks, lots) in enumerate(resting, 1):
        order = state.orders[slot]
        order.order_id, order.symbol, order.side = slot, 1, side
        order.price_ticks, order.leaves_lots = price_ticks, lots
    told = np.zeros(1, AUCTION_EVENT)
    told["kind"], told["price_ticks"] = EventKind.AUCTION_INDICATED, 90
    told["qty_lots"], told["imbalance_lots"] = 4, 1
    assert auctions.seeded(state, 1) == auctions.after(Auction(end_ts_ns=7), told[0])
