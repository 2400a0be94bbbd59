"""Every code has its words, and no command and no event is beyond them."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any

import numpy as np
import pytest

from exchange.core.codes import CloseReason, CommandKind, EventKind, RejectCode, Stage, StpMode
from exchange.core.event_records import EVENT_DTYPES, event_dict
from exchange.core.kernel import Engine
from exchange.core.records import COMMAND_DTYPES, slots
from exchange.forensics import life, refusals, words
from exchange.forensics.command_words import COMMANDS, command_fields, command_sentence
from exchange.forensics.event_words import EVENTS, event_sentence
from exchange.forensics.names import Names, bips_text, decimal, duration_text, time_text
from exchange.forensics.scanning import _IDS
from tests.core.streams import Flow
from tests.forensics import scenes

NOBODY = Names(None)


@pytest.mark.parametrize(
    ("table", "enum"),
    [
        (COMMANDS, CommandKind),
        (EVENTS, EventKind),
        (words.CLOSED_BECAUSE, CloseReason),
        (words.REFUSED_BECAUSE, RejectCode),
        (words.PREVENTED_BY, StpMode),
        (words.STANDS, Stage),
    ],
    ids=lambda one: one.__name__ if isinstance(one, type) else "",
)
def test_table_of_words_has_every_member(table: dict[IntEnum, Any], enum: type[IntEnum]) -> None:
    assert set(table) == set(enum)


def test_sentence_of_each_code_is_its_own() -> None:
    for table in (words.CLOSED_BECAUSE, words.REFUSED_BECAUSE):
        assert len(set(table.values())) == len(table)


def test_event_that_names_an_order_is_told_in_its_life() -> None:
    naming = {kind for kind, dtype in EVENT_DTYPES.items() if set(dtype.names or ()) & set(_IDS)}
    assert naming - set(life.TELLINGS) == {EventKind.STAGED}  # comes before the orders of its list have ids
    assert set(life.TELLINGS) <= naming


def _filled(dtype: np.dtype[Any], kind: int, value: int) -> np.ndarray[Any, Any]:
    record = np.zeros(1, dtype)
    for name in dtype.names or ():
        record[name] = value
    record["kind"] = kind
    slot: np.ndarray[Any, Any] = record.view(np.uint8)
    return slot


@pytest.mark.parametrize("value", [0, 1, 2, 100])
@pytest.mark.parametrize("kind", list(CommandKind), ids=lambda kind: str(kind.name))
def test_command_has_a_sentence_whatever_its_fields(kind: CommandKind, value: int) -> None:
    slot = _filled(COMMAND_DTYPES[kind], kind, value)
    assert _is_sentence(command_sentence(NOBODY, command_fields(slot)))


@pytest.mark.parametrize("value", [0, 1, 2, 100])
@pytest.mark.parametrize("kind", list(EventKind), ids=lambda kind: str(kind.name))
def test_event_has_a_sentence_whatever_its_fields(kind: EventKind, value: int) -> None:
    assert _is_sentence(event_sentence(NOBODY, _filled(EVENT_DTYPES[kind], kind, value)))


def _is_sentence(text: str) -> bool:
    return re.fullmatch(r"[A-Z0-9-].*\.", text, re.DOTALL) is not None


def test_command_and_event_of_unknown_kind_are_said_to_be_unknown() -> None:
    slot = slots(1)[0]
    slot[16] = 250
    assert command_sentence(NOBODY, command_fields(slot)) == ("A command of kind 250, which this build does not know.")
    assert event_sentence(NOBODY, slot) == "An event of kind 250, which this build does not know."


def test_hostile_crowd_has_words_for_every_command_event_and_refusal() -> None:
    """A stream with numbers at every edge: each sentence is made, and each refusal is explained from the state."""
    commands, _ = Flow(11).take(1_500)
    engine = Engine()
    refused = set()
    for command in commands:
        asked = command_fields(command)
        events = engine.run(command[np.newaxis])
        names = Names(engine.state)
        assert _is_sentence(command_sentence(names, asked))
        for slot in events:
            assert _is_sentence(event_sentence(names, slot))
        first = event_dict(events[0])
        if first["kind"] == EventKind.REJECTED:
            # A refused command changes sequence and time alone, so the state after it serves as that before it.
            assert _is_sentence(refusals.refusal_text(engine.state, asked, first))
            refused.add(first["reject"])
    assert len(refused) > 20


@pytest.mark.parametrize(
    ("units", "scale", "text"), [(0, 8, "0"), (5, 0, "5"), (-5, 1, "-0.5"), (1_230, 2, "12.3"), (10**18, 18, "1")]
)
def test_decimal_is_exact(units: int, scale: int, text: str) -> None:
    assert decimal(units, scale) == text


def test_times_spans_and_bips_are_said_exactly() -> None:
    assert time_text(0) == "never"
    assert time_text(1_767_052_800_000_000_001) == "2025-12-30 00:00:00.000000001 UTC"
    assert time_text(2**63 - 1) == "2262-04-11 23:47:16.854775807 UTC"
    assert [duration_text(span) for span in (0, 7, 1_500_000, 60 * 10**9, 90 * 10**9)] == [
        "0 ns", "7 ns", "1500 us", "1 min", "90 s",
    ]  # fmt: skip
    assert bips_text(125) == "1.25 %"


def test_names_of_a_state_give_amounts_in_decimals() -> None:
    engine = Engine()
    commands = np.stack(scenes.opening())
    for sequence, slot in enumerate(commands, 1):
        slot[:8] = np.array([sequence], "<i8").view(np.uint8)
    engine.run(commands)
    names = Names(engine.state)
    assert names.lots(1, 12_345) == "0.12345 BTC"
    assert names.price(1, 6_000_050) == "60000.5 USDT"
    assert names.paid(1, 0, 150_000_000) == "1.5 USDT"
    assert names.received(1, 0, 150_000_000) == "1.5 BTC"
    assert (names.symbol(1), names.symbol(9), names.amount(9, 3)) == ("BTC_USDT", "symbol 9", "3 atoms of asset 9")
