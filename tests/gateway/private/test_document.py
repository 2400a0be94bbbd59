"""The examples of docs/private-events.md are messages that the venue really sends."""

from __future__ import annotations

import json
import pathlib
import re
from pathlib import Path
from typing import Any

import pytest

from exchange.core.codes import CommandKind, Side, StpMode, TimeInForce
from tests.core.plans import command
from tests.gateway.private.stage import MAKER, MIDDLE_TICKS, TAKER, Ear, Stage, limit_order, small_venue, stamped

DOCUMENT = pathlib.Path(__file__).parents[3] / "docs" / "private-events.md"
BEGAN_NS = 1_800_000_000_000_000_000
MS_NS = 1_000_000


async def told(directory: Path) -> list[dict[str, Any]]:
    """What one account hears of a short day, in the order of the document."""
    stage = Stage(directory, 1)
    stage.run(stamped(stage, *small_venue()))
    stage.hand_over()
    ear = Ear()
    await stage.user_data.subscribe(MAKER, ear)
    ts_ns = BEGAN_NS
    for commands in (
        [limit_order(MAKER, Side.SELL, MIDDLE_TICKS, 1_000, "my-ask")],
        [limit_order(TAKER, Side.BUY, MIDDLE_TICKS, 400, "other")],
        [command(CommandKind.REDUCE, "my-ask", account=MAKER, qty_lots=700)],
        [limit_order(MAKER, Side.BUY, MIDDLE_TICKS, 100, "my-bid", stp_mode=StpMode.DECREMENT)],
        [command(CommandKind.CANCEL, "my-ask", account=MAKER)],
        [limit_order(MAKER, Side.BUY, MIDDLE_TICKS, 50, "my-ioc", time_in_force=TimeInForce.IOC)],
        [limit_order(MAKER, Side.BUY, MIDDLE_TICKS, 10**6 + 1, "my-big")],
        [command(CommandKind.DEPOSIT, account=MAKER, asset=3, transfer_id=900, amount_atoms=25 * 10**8)],
    ):
        ts_ns += 1_000 * MS_NS
        stage.run(stamped(stage, *commands, ts_ns=ts_ns))
        stage.hand_over()
    stage.user_data.terminate(MAKER, "The API key was deleted.")
    stage.close()
    return ear.bodies


def examples() -> list[dict[str, Any]]:
    """The messages in the document's JSON blocks."""
    blocks = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return [body for body in map(json.loads, blocks) if "e" in body]


async def test_documented_examples_are_what_is_sent(tmp_path: Path) -> None:
    bodies = await told(tmp_path)
    bodies[-1]["E"] = 1_800_000_009_000
    for example in examples():
        assert example in bodies
        (sent,) = (body for body in bodies if body == example)
        assert list(sent) == list(example), "fields in another order"


@pytest.mark.parametrize(
    "name", ["executionReport", "outboundAccountPosition", "balanceUpdate", "eventStreamTerminated"]
)
def test_every_event_has_an_example(name: str) -> None:
    assert name in {body["e"] for body in examples()}


def test_every_execution_type_has_an_example() -> None:
    shown = {body["x"] for body in examples() if body["e"] == "executionReport"}
    assert shown == {"NEW", "TRADE", "REPLACED", "TRADE_PREVENTION", "CANCELED", "EXPIRED", "REJECTED"}
