"""The struct formats of the gateway and the dtypes of the engine describe the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exchange.core import event_records, records
from exchange.core.codes import CommandFlag, CommandKind, EventKind
from exchange.gateway import wire

RNG = np.random.default_rng(20261123)


@pytest.mark.parametrize(
    ("unpack", "dtype"),
    [
        (wire.order_event, event_records.ORDER_EVENT),
        (wire.trade, event_records.TRADE),
        (wire.prevented, event_records.PREVENTED),
        (wire.transfer, event_records.TRANSFER_EVENT),
        (wire.terms, event_records.ORDER_TERMS),
        (wire.list_event, event_records.LIST_EVENT),
    ],
)
def test_event_reads_the_same_as_through_its_dtype(unpack: Any, dtype: np.dtype[Any]) -> None:
    for _ in range(50):
        raw = RNG.integers(0, 256, 3 * records.RECORD_BYTES, dtype=np.uint8).tobytes()
        record = np.frombuffer(raw[128:256], dtype)[0]
        read = unpack(raw, 128)._asdict()
        read.pop("client_id", None)
        names = [name for name in dtype.names or () if not name.startswith("client_id_")]
        assert read == {name: int(record[name]) for name in names}


def test_client_id_of_an_event_lies_where_the_dtype_has_it() -> None:
    slot = records.slots(1)[0]
    slot[92:128] = np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyz", np.uint8)
    assert wire.order_event(slot.tobytes()).client_id == b"0123456789abcdefghijklmnopqrstuvwxyz"


def test_place_and_target_are_the_bytes_that_fill_command_writes() -> None:
    slot = records.slots(1)[0]
    placed = {
        "account": 16, "symbol": 3, "side": 1, "order_type": 2, "time_in_force": 4, "stp_mode": 2, "price_ticks":
        2**40 + 1, "qty_lots": 2**41 + 3, "quote_atoms": 2**42 + 5, "expire_ts_ns": 2**60 + 7, "stop_price_ticks":
        2**43 + 9, "iceberg_lots": 2**44 + 11, "key": 2**30 + 13, "trailing_bips": 9_999, "peg_type": 2,
        "peg_offset_levels": 100, "list_role": 4, "flags": 1,
    }  # fmt: skip
    records.fill_command(slot, CommandKind.PLACE, "an-order_id", "", **placed)
    assert wire.place(**placed, client_id="an-order_id") == slot.tobytes()
    aimed = {"account": 17, "symbol": 2, "order_id": 2**50 + 1, "qty_lots": 9}
    records.fill_command(slot, CommandKind.REDUCE, "x" * 36, "", **aimed, flags=3)
    assert wire.target(CommandKind.REDUCE, **aimed, client_id="x" * 36, flags=3) == slot.tobytes()


def test_place_list_is_the_bytes_that_fill_command_writes() -> None:
    slot = records.slots(1)[0]
    listed = {"account": 2**30 + 3, "symbol": 5, "list_type": 4}
    records.fill_command(slot, CommandKind.PLACE_LIST, "a-list", "", **listed, flags=CommandFlag.LINKED)
    assert wire.place_list(**listed, client_id="a-list") == slot.tobytes()


def test_countdown_and_sweep_are_the_bytes_that_fill_command_writes() -> None:
    slot = records.slots(1)[0]
    timed = {"account": 18, "symbol": 4, "key": 2**20 - 1, "countdown_ns": 2**45 + 1}
    records.fill_command(slot, CommandKind.COUNTDOWN, "", "", **timed)
    assert wire.countdown(**timed) == slot.tobytes()
    swept = {"scope": 3, "account": 19, "symbol": 5, "key": 77}
    records.fill_command(slot, CommandKind.MASS_CANCEL, "", "", **swept)
    assert wire.sweep(**swept) == slot.tobytes()


@pytest.mark.parametrize("more", [0, 1])
def test_more_of_a_mass_cancel_is_found_behind_and_before_other_events(more: int) -> None:
    slots = records.slots(3)
    swept = slots[1:2].view(event_records.MASS_CANCELED)[0]
    swept["kind"], swept["more"] = EventKind.MASS_CANCELED, more
    slots[0][wire.KIND_AT] = slots[2][wire.KIND_AT] = EventKind.ORDER_CLOSED
    slots[0][wire.MORE_AT] = slots[2][wire.MORE_AT] = 1 - more
    assert wire.mass_canceled(slots.tobytes()) is bool(more)
    assert wire.mass_canceled(slots[:1].tobytes()) is False
