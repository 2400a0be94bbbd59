"""Every private event field by field, as docs/private-events.md shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exchange.core import readers
from exchange.core.codes import (
    CloseReason,
    CommandFlag,
    CommandKind,
    OrderType,
    RejectCode,
    Scope,
    Side,
    StpMode,
    TimeInForce,
    TradingMode,
)
from exchange.gateway import wire
from exchange.gateway.private import messages, orders
from exchange.gateway.private.user_data import Limits
from tests.core.differential import Slot
from tests.core.plans import command
from tests.gateway.private.stage import MAKER, MIDDLE_TICKS, TAKER, Ear, Stage, limit_order, small_venue, stamped

NOT_ASKED = {"sequence", "previousSequence", "E", "T", "O", "W", "u", "I"}
NEW = {
    "e": "executionReport", "s": "BTCUSDT", "c": "ask", "S": "SELL", "o": "LIMIT", "f": "GTC", "q": "0.00100000",
    "p": "50.00000000", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "", "x": "NEW", "X": "NEW", "r": "NONE",
    "i": 1, "l": "0.00000000", "z": "0.00000000", "L": "0.00000000", "n": "0", "N": None, "t": -1, "w": True,
    "m": False, "M": False, "Z": "0.00000000", "Y": "0.00000000", "Q": "0.00000000", "V": "EXPIRE_MAKER",
}  # fmt: skip


class Scene:
    """A small venue in which both accounts listen; `does` gives what they hear of commands, without the times."""

    def __init__(self, stage: Stage, ears: dict[int, Ear]) -> None:
        self.stage = stage
        self.ears = ears

    def does(self, *commands: Slot) -> None:
        for ear in self.ears.values():
            ear.heard.clear()
        self.stage.run(stamped(self.stage, *commands))
        self.stage.hand_over()

    def reports(self, account: int) -> list[dict[str, Any]]:
        return [body for body in self.ears[account].bodies if body["e"] == "executionReport"]

    def report(self, account: int, number: int = -1) -> dict[str, Any]:
        """One report without what is asked elsewhere."""
        return {key: value for key, value in self.reports(account)[number].items() if key not in NOT_ASKED}

    def balances(self, account: int) -> list[dict[str, str]]:
        """Of the position that came last."""
        body = self.ears[account].bodies[-1]
        assert body["e"] == "outboundAccountPosition"
        rows: list[dict[str, str]] = body["B"]
        return rows


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    stage = Stage(tmp_path, 1, limits=Limits(cancel_ids=2))
    stage.run(stamped(stage, *small_venue()))
    stage.hand_over()
    ears = {MAKER: Ear(), TAKER: Ear()}
    for account, ear in ears.items():
        await stage.user_data.subscribe(account, ear, unit_ns=1)
    return Scene(stage, ears)


def ask(lots: int = 10, name: str = "ask", *, side: int = Side.SELL, **more: Any) -> Slot:
    return limit_order(MAKER, side, MIDDLE_TICKS, lots, name, **more)


def bid(lots: int = 10, name: str = "bid", ticks: int = MIDDLE_TICKS, **more: Any) -> Slot:
    return limit_order(TAKER, Side.BUY, ticks, lots, name, **more)


async def test_new_order_is_reported_and_its_hold_is_shown(scene: Scene) -> None:
    scene.does(ask())
    assert scene.report(MAKER) == NEW
    assert scene.balances(MAKER) == [{"a": "BTC", "f": "9999999.99900000", "l": "0.00100000"}]
    assert scene.ears[TAKER].heard == []
    body = scene.reports(MAKER)[0]
    sequence, ordinal = int(scene.stage.engine.state.header[0].sequence), scene.stage.event_count()
    assert {key: body[key] for key in ("E", "T", "O", "W", "I")} == dict.fromkeys("ETOW", sequence) | {"I": ordinal}
    assert list(body)[-2:] == ["sequence", "previousSequence"]


async def test_trade_is_reported_to_both_with_their_own_fee(scene: Scene) -> None:
    scene.does(ask())
    scene.does(bid(4, ticks=MIDDLE_TICKS + 100))
    trade = {"x": "TRADE", "l": "0.00040000", "L": "50.00000000", "t": 1, "M": True, "Y": "0.02000000"}
    trade |= {"z": "0.00040000", "Z": "0.02000000"}
    assert scene.report(MAKER) == NEW | trade | {
        "X": "PARTIALLY_FILLED", "m": True, "n": "0.00000200", "N": "USDT",
    }  # fmt: skip
    assert scene.report(TAKER) == NEW | trade | {
        "c": "bid", "S": "BUY", "q": "0.00040000", "p": "51.00000000", "X": "FILLED", "w": False, "i": 2,
        "n": "0.00000008", "N": "BTC",
    }  # fmt: skip
    assert scene.balances(MAKER) == [
        {"a": "BTC", "f": "9999999.99900000", "l": "0.00060000"},
        {"a": "USDT", "f": "10000000.01999800", "l": "0.00000000"},
    ]
    assert scene.balances(TAKER) == [
        {"a": "BTC", "f": "10000000.00039992", "l": "0.00000000"},
        {"a": "USDT", "f": "9999999.98000000", "l": "0.00000000"},
    ]
    assert [body["x"] for body in scene.reports(TAKER)] == ["NEW", "TRADE"]


async def test_trade_with_oneself_is_two_reports_and_one_position(scene: Scene) -> None:
    scene.does(ask())
    scene.does(limit_order(MAKER, Side.BUY, MIDDLE_TICKS, 10, "bid", stp_mode=StpMode.NONE))
    bodies = scene.ears[MAKER].bodies
    assert [(body.get("x"), body.get("i"), body.get("m")) for body in bodies] == [
        ("NEW", 2, False),
        ("TRADE", 2, False),
        ("TRADE", 1, True),
        (None, None, None),
    ]
    ordinal = scene.stage.event_count()
    assert [body["sequence"] for body in bodies] == [4 * ordinal - 4, 4 * ordinal, 4 * ordinal + 1, 4 * ordinal + 2]


@pytest.mark.parametrize("named", ["mine", ""])
async def test_cancel_has_its_own_id_and_the_original_one(scene: Scene, named: str) -> None:
    scene.does(ask())
    if named:
        scene.stage.user_data.name_cancel(int(scene.stage.engine.state.header[0].sequence) + 1, named)
    scene.does(command(CommandKind.CANCEL, "ask", account=MAKER))
    assert scene.report(MAKER) == NEW | {
        "c": named or "cancel-1", "C": "ask", "x": "CANCELED", "X": "CANCELED", "w": False,
    }  # fmt: skip
    assert scene.balances(MAKER) == [{"a": "BTC", "f": "10000000.00000000", "l": "0.00000000"}]


async def test_only_the_last_cancel_ids_are_remembered(scene: Scene) -> None:
    sequence = int(scene.stage.engine.state.header[0].sequence)
    for number in range(3):
        scene.stage.user_data.name_cancel(sequence + 4 + number, f"mine-{number}")
    scene.does(*(ask(name=f"ask-{number}") for number in range(3)))
    scene.does(*(command(CommandKind.CANCEL, f"ask-{number}", account=MAKER) for number in range(3)))
    assert [body["c"] for body in scene.reports(MAKER)] == ["cancel-1", "mine-1", "mine-2"]


async def test_cancel_all_reports_every_order_and_one_position(scene: Scene) -> None:
    scene.does(ask(name="one"), ask(name="two"))
    scene.does(command(CommandKind.CANCEL_ALL, account=MAKER))
    bodies = scene.ears[MAKER].bodies
    assert [(body.get("c"), body.get("C")) for body in bodies] == [
        ("cancel-1", "one"),
        ("cancel-2", "two"),
        (None, None),
    ]
    assert bodies[-1]["sequence"] == 4 * scene.stage.event_count()


async def test_reduction_is_reported_as_replaced(scene: Scene) -> None:
    scene.does(ask())
    scene.does(command(CommandKind.REDUCE, account=MAKER, order_id=1, qty_lots=7))
    assert scene.report(MAKER) == NEW | {"x": "REPLACED", "q": "0.00070000"}
    assert scene.balances(MAKER) == [{"a": "BTC", "f": "9999999.99930000", "l": "0.00070000"}]


@pytest.mark.parametrize(
    ("order", "reason", "kind"),
    [
        ({"time_in_force": TimeInForce.IOC}, "UNFILLED_IOC_QUANTITY_EXPIRED", {"f": "IOC"}),
        ({"time_in_force": TimeInForce.FOK}, "UNFILLED_FOK_ORDER_EXPIRED", {"f": "FOK"}),
        (
            {"time_in_force": TimeInForce.IOC, "order_type": OrderType.MARKET, "price_ticks": 0},
            "INSUFFICIENT_LIQUIDITY",
            {"f": "IOC", "o": "MARKET", "p": "0.00000000"},
        ),
    ],
)
async def test_order_that_may_not_rest_expires_with_the_reason(
    scene: Scene, order: dict[str, Any], reason: str, kind: dict[str, str]
) -> None:
    scene.does(ask(**order))
    assert [body["x"] for body in scene.reports(MAKER)] == ["NEW", "EXPIRED"]
    assert scene.report(MAKER, 0) == NEW | kind
    assert scene.report(MAKER) == NEW | kind | {"x": "EXPIRED", "X": "EXPIRED", "eR": reason, "w": False}


async def test_good_till_date_expires_at_a_tick(scene: Scene) -> None:
    expire = int(scene.stage.engine.state.header[0].ts_ns) + 2
    scene.does(ask(time_in_force=TimeInForce.GTD, expire_ts_ns=expire))
    scene.does(command(CommandKind.TICK))
    assert scene.report(MAKER) == NEW | {
        "f": "GTD", "x": "EXPIRED", "X": "EXPIRED", "eR": "GOOD_TILL_DATE_REACHED", "w": False,
    }  # fmt: skip


async def test_market_order_by_quote_amount_shows_the_amount(scene: Scene) -> None:
    scene.does(ask())
    order = {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC, "quote_atoms": 2_600_000}
    scene.does(limit_order(TAKER, Side.BUY, 0, 0, "spend", **order))
    first, last = scene.report(TAKER, 0), scene.report(TAKER)
    assert (first["Q"], first["q"]) == ("0.02600000", "0.00050000")
    assert (last["X"], last["z"], last["Z"], last["Q"]) == ("FILLED", "0.00050000", "0.02500000", "0.02600000")


async def test_prevented_match_names_the_counter_order_and_what_was_taken_off(scene: Scene) -> None:
    scene.does(ask(10))
    scene.does(limit_order(MAKER, Side.BUY, MIDDLE_TICKS, 4, "own", stp_mode=StpMode.DECREMENT))
    stopped: dict[str, Any] = {
        "A": "0.00040000",
        "B": "0.00040000",
        "Cs": "BTCUSDT",
        "pl": "0.00040000",
        "pL": "50.00000000",
    }
    stopped |= {"pY": "0.02000000", "x": "TRADE_PREVENTION", "v": scene.stage.event_count()}
    assert [body["u"] for body in scene.reports(MAKER)[1:]] == [MAKER, MAKER]
    taker, maker = scene.report(MAKER, 1), scene.report(MAKER, 2)
    assert maker == NEW | stopped | {"q": "0.00060000", "U": 2}
    assert taker == NEW | stopped | {
        "c": "own", "S": "BUY", "q": "0.00040000", "i": 2, "V": "DECREMENT", "X": "EXPIRED_IN_MATCH", "U": 1,
        "w": False,
    }  # fmt: skip


async def test_order_that_prevention_ends_shows_the_quantity_it_was_sent_with(scene: Scene) -> None:
    scene.does(ask(10), command(CommandKind.REDUCE, "ask", account=MAKER, qty_lots=7))
    scene.does(limit_order(MAKER, Side.BUY, MIDDLE_TICKS, 9, "own", stp_mode=StpMode.EXPIRE_MAKER))
    report = scene.report(MAKER)
    assert (report["i"], report["X"], report["q"], report["B"]) == (1, "EXPIRED_IN_MATCH", "0.00100000", "0.00070000")


async def test_order_that_loses_nothing_by_prevention_has_no_report_of_it(scene: Scene) -> None:
    scene.does(ask(10))
    scene.does(limit_order(MAKER, Side.BUY, MIDDLE_TICKS, 4, "own", stp_mode=StpMode.EXPIRE_TAKER))
    assert [(body["i"], body["x"], body["X"]) for body in scene.reports(MAKER)] == [
        (2, "NEW", "NEW"),
        (2, "TRADE_PREVENTION", "EXPIRED_IN_MATCH"),
    ]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"qty_lots": 10**6, "price_ticks": 10_000_000, "side": Side.BUY}, "INSUFFICIENT_BALANCES"),
        ({"qty_lots": 10**6 + 1}, "QUANTITY_TOO_HIGH"),
        ({"order_type": OrderType.LIMIT_MAKER, "side": Side.BUY}, "WOULD_MATCH_IMMEDIATELY"),
    ],
)
async def test_refused_order_is_reported_without_an_order(scene: Scene, order: dict[str, Any], reason: str) -> None:
    withdrawal = {"account": MAKER, "asset": 3, "transfer_id": 900, "amount_atoms": 1}
    scene.does(
        limit_order(TAKER, Side.SELL, MIDDLE_TICKS, 1, "resting"), command(CommandKind.WITHDRAW_HOLD, **withdrawal)
    )
    scene.does(ask(**order))
    (body,) = scene.ears[MAKER].bodies
    assert (body["x"], body["X"], body["r"], body["i"], body["c"]) == ("REJECTED", "REJECTED", reason, -1, "ask")
    assert "W" not in body
    assert body["w"] is False


async def test_refusals_that_concern_another_order_are_silent(scene: Scene) -> None:
    """A client that takes the report of a second order with a taken client id for the first one would lose it."""
    scene.does(ask())
    scene.does(ask(11), command(CommandKind.CANCEL, account=MAKER, order_id=99))
    assert scene.ears[MAKER].heard == []
    linked = command(CommandKind.CANCEL, account=MAKER, order_id=99, flags=CommandFlag.LINKED)
    scene.does(linked, ask(name="not attempted"))
    assert scene.ears[MAKER].heard == []
    scene.does(ask())  # the same once more: ORDER_DUPLICATE
    assert scene.ears[MAKER].heard == []


async def test_refused_order_that_has_no_words_is_silent(scene: Scene) -> None:
    scene.does(ask(side=7))
    for field in ("order_type", "time_in_force", "stp_mode", "symbol"):
        scene.does(ask(10, "ask", **{field: 99}))
    scene.does(ask(price_ticks=-1))
    assert scene.ears[MAKER].heard == []


async def test_client_id_that_is_no_text_is_shown_as_the_readers_show_it(scene: Scene) -> None:
    order = ask()
    order[92:96] = [0xC3, 0x28, 0x00, 0x41]
    scene.does(order)
    (view,) = readers.open_orders(scene.stage.engine.state, MAKER)
    assert scene.report(MAKER)["c"] == view.client_id


async def test_reasons_cover_every_way_to_close() -> None:
    order = orders.of_event(wire.order_event(bytes(128)))
    told = [messages.expiry_fields(order, reason)["eR"] for reason in set(CloseReason) - {CloseReason.NONE}]
    assert len(told) == len(set(told))
    assert set(messages.REJECT_REASONS) < set(RejectCode)


@pytest.mark.parametrize(
    ("steps", "change", "rows"),
    [
        ([CommandKind.DEPOSIT], "5.00000000", ("10000005.00000000", "0.00000000")),
        ([CommandKind.WITHDRAW_HOLD], None, ("9999995.00000000", "5.00000000")),
        ([CommandKind.WITHDRAW_HOLD, CommandKind.WITHDRAW_SETTLE], "-5.00000000", ("9999995.00000000", "0.00000000")),
        ([CommandKind.WITHDRAW_HOLD, CommandKind.WITHDRAW_RELEASE], None, ("10000000.00000000", "0.00000000")),
    ],
)
async def test_transfer_tells_the_change_and_then_the_position(
    scene: Scene, steps: list[CommandKind], change: str | None, rows: tuple[str, str]
) -> None:
    for step in steps:
        scene.does(command(step, account=MAKER, asset=3, transfer_id=900, amount_atoms=5 * 10**8))
    bodies = scene.ears[MAKER].bodies
    if change:
        update = bodies.pop(0)
        assert {key: update[key] for key in ("e", "a", "d")} == {"e": "balanceUpdate", "a": "USDT", "d": change}
        assert update["E"] == update["T"] == int(scene.stage.engine.state.header[0].ts_ns)
    assert [body["e"] for body in bodies] == ["outboundAccountPosition"]
    assert bodies[0]["B"] == [{"a": "USDT", "f": rows[0], "l": rows[1]}]
    assert bodies[0]["u"] == bodies[0]["E"]


async def test_symbol_that_is_added_later_is_known(scene: Scene) -> None:
    added = command(CommandKind.ADD_ASSET, asset=4, scale=8, name="SOL")
    fields = {"price_scale": 2, "qty_scale": 4, "price_min_ticks": 1, "price_max_ticks": 10**6, "qty_min_lots": 1}
    fields |= {"qty_max_lots": 10**6, "notional_max_atoms": 1 << 61, "price_step_ticks": 1, "qty_step_lots": 1}
    symbol = command(
        CommandKind.ADD_SYMBOL, name="SOL_USDT", symbol=9, base_asset=4, quote_asset=3, orders_max=9, **fields
    )
    scene.does(added, symbol, bid(symbol=9))
    assert scene.report(TAKER)["s"] == "SOLUSDT"
    scene.does(command(CommandKind.DEPOSIT, account=TAKER, asset=4, transfer_id=901, amount_atoms=1))
    assert scene.balances(TAKER) == [{"a": "SOL", "f": "0.00000001", "l": "0.00000000"}]


async def test_commands_about_nobody_are_silent(scene: Scene) -> None:
    mode = {"scope": Scope.SYMBOL, "symbol": 1}
    scene.does(
        command(CommandKind.TICK),
        command(CommandKind.HASH),
        command(CommandKind.SET_TRADING_MODE, mode=TradingMode.CANCEL_ONLY, **mode),
        command(CommandKind.SET_TRADING_MODE, mode=TradingMode.OPEN, **mode),
        command(CommandKind.CANCEL_ALL, account=MAKER),
        command(CommandKind.SET_FEES, account=MAKER, maker_fee_ppm=1, taker_fee_ppm=1),
    )
    assert scene.ears[MAKER].heard == scene.ears[TAKER].heard == []
