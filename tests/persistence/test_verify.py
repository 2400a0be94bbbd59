"""Verification finds every sort of damage, names it, and finds nothing where there is none.

Each row of DAMAGE breaks a projection that was equal a moment before; the last test makes sure that every comparison
has a row, so none of them can be one that never fails.
"""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from exchange.persistence.comparisons import COMPARISONS
from exchange.persistence.database import Connection, Target
from exchange.persistence.engine_rows import CannotCompute
from exchange.persistence.verify import NothingProjected
from tests.core.guarded_streams import GuardedFlow
from tests.core.streams import Flow
from tests.persistence.journaled import JournaledVenue, changes, crowd, opening, traffic, waiting
from tests.persistence.projecting import assert_equal, compare, project

ORDERS, TRADES, CANDLES = "exchange_order.orders", "exchange_market.trades", "exchange_market.candles"
AGGREGATES, BALANCES = "exchange_market.agg_trades", "exchange_clearing.balances"
AMENDMENTS, PREVENTED = "exchange_order.amendments", "exchange_order.prevented_matches"
FIRST_AMENDMENT = f"(select min(event) from {AMENDMENTS})"
ENTRIES, POSTINGS = "exchange_clearing.entries", "exchange_clearing.postings"
OPEN = "(select max(order_id) from exchange_order.orders where leaves_lots > 0)"
FORGOTTEN = (
    "(select min(order_id) from exchange_order.orders where status = 3 and client_id is null and filled_lots > 1)"
)
LISTS = "exchange_order.order_lists"
REMEMBERED = "(select max(order_id) from exchange_order.orders where leaves_lots = 0 and client_id is not null)"
LAST_TRADE = "(select max(trade_id) from exchange_market.trades)"
SOME_HOLD = "(select min(event) from exchange_clearing.entries where kind = 2)"
LAST_HOLD = "(select max(event) from exchange_clearing.entries where kind = 2)"
SHIFTED = f"available_delta = available_delta + case event when {SOME_HOLD} then 1 else -1 end"

DAMAGE = [
    ("balances", f"update {BALANCES} set available = 1 where (account, asset) = (17, 2)", "Account 17, asset 2"),
    ("balances", f"update {BALANCES} set locked = locked + 1 where (account, asset) = (16, 1)", "Account 16, asset 1"),
    ("balances", f"update {BALANCES} set available = -1 where (account, asset) = (0, 1)", "Account 0, asset 1"),
    ("balances", f"delete from {BALANCES} where (account, asset) = (1, 2)", "Account 1, asset 2"),
    ("assets", "update exchange_order.assets set name = 'XBT' where asset = 1", "name is XBT, not BTC"),
    ("symbols", "update exchange_order.symbols set taker_fee_ppm = 7", "taker_fee_ppm is 7, not 200"),
    ("orders", f"update {ORDERS} set updated_ts_ns = 1 + updated_ts_ns where order_id = {OPEN}", "updated_ts_ns"),
    ("orders", f"update {ORDERS} set leaves_lots = 0 where order_id = {OPEN}", "leaves_lots is 0"),
    ("orders", f"update {ORDERS} set leaves_lots = 5 where order_id = {FORGOTTEN}", "is not in the engine"),
    ("orders", f"update {ORDERS} set client_id = 'x' where order_id = {REMEMBERED}", "client_id is x"),
    ("orders", f"update {ORDERS} set submitted_lots = 999 where order_id = {REMEMBERED}", "submitted_lots"),
    ("orders", f"delete from {ORDERS} where order_id = {OPEN}", "of the engine is missing"),
    ("order ids", f"delete from {ORDERS} where order_id = {FORGOTTEN}", "the engine has accepted"),
    ("orders", f"update {ORDERS} set stop_price_ticks = 7 where order_id = {OPEN}", "stop_price_ticks is 7"),
    ("orders", f"update {ORDERS} set waits = 1 where order_id = {OPEN}", "waits is 1"),
    ("order lists", f"insert into {LISTS} values (1, 9, 16, 1, 1, 1, 0, 0, 0, 5, 5)", "the engine none that is open"),
    ("legs of lists", f"insert into {LISTS} values (1, 9, 16, 1, 1, 2, 1, 0, 0, 5, 5)", "its leg 1 says"),
    ("amendments", f"delete from {AMENDMENTS} where event = {FIRST_AMENDMENT}", "is missing"),
    ("amendments", f"update {AMENDMENTS} set event = event - 1", "the ledger has nothing"),
    ("amendments", f"update {AMENDMENTS} set account = 17", "the amendment is"),
    ("amendments", f"update {AMENDMENTS} set ts_ns = ts_ns + 1", "the amendment is"),
    ("amendments", f"delete from {ENTRIES} where kind = 6", "the ledger has nothing"),
    ("prevented matches", f"delete from {PREVENTED} where maker_prevented_lots > 0", "is missing"),
    ("prevented matches", f"update {PREVENTED} set sequence = 7", "the prevented match is"),
    ("prevented matches", f"update {PREVENTED} set maker_order_id = 9", "the prevented match is"),
    ("prevented matches", f"update {PREVENTED} set stp_mode = 1", "the prevented match is"),
    ("amended quantities", f"update {AMENDMENTS} set new_qty_lots = 21 where new_qty_lots = 25", "Order 1, event"),
    ("amended quantities", f"update {PREVENTED} set maker_prevented_lots = 5 where maker_leaves_lots = 21", "Order 1"),
    ("quantities", f"delete from {AMENDMENTS} where event = {FIRST_AMENDMENT}", "Order 1: 30 lots were submitted"),
    ("quantities", f"update {AMENDMENTS} set old_qty_lots = 31 where old_qty_lots = 30", "Order 1: 30 lots"),
    ("quantities", f"update {ORDERS} set submitted_lots = submitted_lots + 1 where order_id = 1", "Order 1: 31 lots"),
    ("trade counts", f"delete from {TRADES} where trade_id = {LAST_TRADE}", "the engine counts"),
    ("trade counts", f"truncate {TRADES}", "0 trades"),
    ("trade ids", f"update {TRADES} set trade_id = 900000 where trade_id = 5", "after trade 4 comes trade 6"),
    ("notionals", f"update {TRADES} set quote_atoms = quote_atoms + 1 where trade_id = 5", "trade 5"),
    ("fills of orders", f"update {ORDERS} set filled_lots = 1 where order_id = {FORGOTTEN}", "filled_lots"),
    ("fills of orders", f"update {TRADES} set taker_order_id = maker_order_id where trade_id = 5", "its trades sum to"),
    ("candles of a second", f"update {CANDLES} set volume_lots = volume_lots + 1 where span = 0", "span 0"),
    ("candles of a second", f"update {TRADES} set side = 1 - side where trade_id = 5", "buys"),
    ("longer candles", f"update {CANDLES} set close_ticks = low_ticks where span = 15", "span 15"),
    ("longer candles", f"delete from {CANDLES} where span = 14", "span 14, candle at"),
    ("longer candles", f"update {CANDLES} set open_ts_ns = open_ts_ns + 1000000000 where span = 7", "span 7"),
    ("aggregate trades", f"update {AGGREGATES} set qty_lots = qty_lots + 1 where agg_id = 1", "aggregate trade 1"),
    ("aggregate trades", f"delete from {AGGREGATES} where agg_id = (select max(agg_id) from {AGGREGATES})", "lots"),
    ("aggregate trade ids", f"update {AGGREGATES} set agg_id = 900000 where agg_id = 1", "comes 900000"),
    ("aggregate trade ids", f"update {AGGREGATES} set agg_id = 1 where first_id <= 3", "after aggregate trade 1"),
    ("fees", f"update {TRADES} set taker_fee_atoms = taker_fee_atoms + 1 where trade_id = 5", "atoms of fees"),
    ("ledger per asset", f"update {POSTINGS} set available_delta = 1 where event = {SOME_HOLD}", "Asset"),
    ("ledger per event", f"update {POSTINGS} set {SHIFTED} where event in ({SOME_HOLD}, {LAST_HOLD})", "sum to"),
    ("ledger per account", f"update {POSTINGS} set account = 17 where event = {SOME_HOLD}", "the ledger sums to"),
    ("entries and postings", f"delete from {ENTRIES} where event = {SOME_HOLD}", "postings and no entry"),
    ("entries and postings", f"delete from {POSTINGS} where event = {SOME_HOLD}", "an entry and no postings"),
    ("entries of trades", f"update {ENTRIES} set trade_id = 6 where trade_id = 5", "trade 5: the ledger has"),
    ("entries of trades", f"update {ENTRIES} set command_kind = 33 where trade_id = 5", "trade 5"),
    ("watermark", "update exchange_order.projection set applied_event = applied_event - 1", "the engine at"),
    ("watermark", f"update {PREVENTED} set event = 900000 where maker_prevented_lots > 0", "The newest prevented"),
    ("watermark", f"update {ENTRIES} set event = 900000 where event = {SOME_HOLD}", "The newest ledger entry"),
]  # fmt: skip


@pytest.fixture
async def venue(tmp_path: pathlib.Path) -> AsyncIterator[JournaledVenue]:
    """Two assets, one symbol, and traffic; some orders have client ids, some are forgotten, one was amended."""
    made = JournaledVenue(tmp_path / "var")
    made.apply(opening(3))
    made.apply(changes())
    made.apply(traffic(700, accounts=3))
    yield made
    made.close()


async def test_verify_finds_nothing_where_projection_equals_engine(target: Target, venue: JournaledVenue) -> None:
    await project(target, venue)
    await assert_equal(target, venue)


@pytest.mark.parametrize("flow", [Flow, GuardedFlow, waiting])
async def test_verify_finds_nothing_after_every_kind_of_event(
    target: Target, tmp_path: pathlib.Path, flow: Callable[[int], Flow]
) -> None:
    venue = JournaledVenue(tmp_path / "var")
    for commands in np.array_split(crowd(4_000, flow=flow), 4):
        venue.apply(commands)
        await project(target, venue)
        await assert_equal(target, venue)
    venue.close()


async def test_verify_between_snapshots_finds_nothing(target: Target, venue: JournaledVenue) -> None:
    venue.snapshot()
    venue.apply(traffic(200, seed=8, accounts=3))
    await project(target, venue)
    sequence = venue.sequence
    venue.apply(traffic(200, seed=9, accounts=3))
    venue.snapshot()
    report = await compare(target, venue)
    assert report.differences == {}
    assert report.sequence == sequence


@pytest.mark.parametrize(("name", "damage", "words"), DAMAGE, ids=[f"{n}-{row[0]}" for n, row in enumerate(DAMAGE)])
async def test_damage_is_found_and_named(
    target: Target, connection: Connection, venue: JournaledVenue, name: str, damage: str, words: str
) -> None:
    await project(target, venue)
    done = await connection.execute(damage)
    assert done.startswith("TRUNCATE") or int(done.rsplit(" ", 1)[1]) > 0
    report = await compare(target, venue)
    assert name in report.differences
    assert any(words in sentence for sentence in report.differences[name]), report.differences[name]
    assert words in "\n".join(report.sentences())


def test_every_comparison_is_broken_once() -> None:
    assert {name for name, *_ in DAMAGE} == {comparison.name for comparison in COMPARISONS}


async def test_many_differences_are_not_all_listed(
    target: Target, connection: Connection, venue: JournaledVenue
) -> None:
    await project(target, venue)
    await connection.execute(f"truncate {ORDERS}")
    report = await compare(target, venue)
    assert report.differences["orders"][-1] == "And more."
    assert len(report.differences["orders"]) == 6


async def test_verify_of_nothing_is_refused(target: Target, venue: JournaledVenue) -> None:
    with pytest.raises(NothingProjected):
        await compare(target, venue)


async def test_verify_without_the_commands_is_refused(target: Target, venue: JournaledVenue) -> None:
    await project(target, venue)
    venue.roll()
    venue.apply(traffic(200, seed=8, accounts=3))
    venue.snapshot()
    venue.retire(commands=venue.sequence)
    with pytest.raises(CannotCompute, match="Wait until the projection has caught up"):
        await compare(target, venue)


async def test_projection_ahead_of_the_journal_is_lost_data(
    target: Target, connection: Connection, venue: JournaledVenue
) -> None:
    await project(target, venue)
    await connection.execute("update exchange_order.projection set applied_sequence = applied_sequence + 1")
    with pytest.raises(CannotCompute, match="acknowledged data is lost"):
        await compare(target, venue)
