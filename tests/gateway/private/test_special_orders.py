"""What an account hears of orders that wait, hide, hang together and meet in auctions, from a story written by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from exchange.core.codes import Stage
from exchange.core.event_records import event_dict
from exchange.core.readers import AssetView, OrderView, SymbolView
from exchange.disruptor.interest import pick, view_events_of
from exchange.gateway.openapi.private_messages import PrivateEvent
from exchange.gateway.private import messages
from exchange.gateway.private.mirror import Mirror, accounts_of, decode
from exchange.gateway.private.past import Seen
from exchange.gateway.private.resume import orders_needed, tell_again
from exchange.gateway.symbols import Reference
from exchange.marketdata.names import wire_symbol
from tests.marketdata.venue import START_NS, symbol_fields
from tests.oracle.projection import OracleProjection
from tests.special_story import BTC, BTC_USDT, BUYER, SECOND_NS, SELLER, USDT, Story

Body = dict[str, Any]
COMMANDS = Story().commands


def reference() -> Reference:
    assets = [AssetView(asset, name, 8) for asset, name in ((BTC, "BTC"), (2, "ETH"), (USDT, "USDT"))]
    fields = symbol_fields(BTC_USDT, BTC, USDT) | {"name": "BTC_USDT", "mode": 1, "trades": 0, "notional_min_atoms": 0}
    fields |= {"base_atoms_per_lot": 10**4, "quote_atoms_per_tick_lot": 100}
    return Reference(assets, [SymbolView(**fields)], wire_symbol)


def seen_by(account: int, first: int = 0) -> list[Seen]:
    """The events that concern an account, from a command on; as they are picked out of the journal."""
    events = np.ascontiguousarray(np.concatenate([command.events for command in COMMANDS]))
    skipped = sum(len(command.events) for command in COMMANDS[:first])
    marked, carried, found = np.zeros(account + 1, np.uint8), np.zeros(1, np.int64), np.zeros(len(events), np.int64)
    marked[account] = 1
    indexes = found[: pick(view_events_of(events, len(events)), marked, carried, found)].tolist()
    return [
        Seen(decode(events[index].tobytes()), index + 1, bool(events[index, 17] & 1))
        for index in indexes
        if index >= skipped and events[index, 16] not in (32, 33)
    ]


def heard_by(account: int) -> dict[str, list[Body]]:
    """What an account hears, by the words of the command; times count seconds of the story."""
    mirror = Mirror(account, reference(), {}, [], [])
    found: dict[str, list[Body]] = {}
    words = {1 + number: command.words for number, command in enumerate(COMMANDS)}
    for one in seen_by(account):
        for sequence, message in mirror.tell(*one):
            body = message.body | {name: (message.body[name] - START_NS) // SECOND_NS for name in message.times}
            found.setdefault(words[one.event.sequence], []).append(body | {"sequence": sequence})
    return found


def told(body: Body, *names: str) -> tuple[Any, ...]:
    return tuple(body.get(name) for name in names)


def number_of(words: str) -> int:
    return 1 + next(at for at, command in enumerate(COMMANDS) if command.words == words)


def test_stop_is_new_when_it_waits_and_again_when_it_goes_to_work() -> None:
    heard = heard_by(BUYER)
    (waits,) = heard["a stop waits"]
    assert told(waits, "x", "X", "o", "P", "p", "w", "W", "g") == (
        *("NEW", "NEW", "STOP_LOSS", "50.05000000", "0.00000000", False, None, -1),
    )
    called = [body for body in heard["a taker triggers the stop"] if body.get("i") == 3]
    at = number_of("a taker triggers the stop")
    assert [told(body, "x", "X", "w", "W", "l") for body in called] == [
        ("NEW", "NEW", True, at, "0.00000000"),
        ("TRADE", "FILLED", False, None, "0.00050000"),
    ]
    assert heard["a taker triggers the stop"][-1]["e"] == "outboundAccountPosition"


def test_iceberg_tells_its_part_and_its_fills() -> None:
    heard = heard_by(SELLER)
    new = heard["an iceberg shows a part"][0]
    assert told(new, "x", "F", "q", "w", "W") == ("NEW", "0.00100000", "0.00300000", True, new["O"])
    (fill, _) = heard["the next part"]
    assert told(fill, "x", "X", "l", "z") == ("TRADE", "PARTIALLY_FILLED", "0.00030000", "0.00100000")
    assert told(heard["less than a part is left"][0], "x", "q", "w") == ("REPLACED", "0.00160000", True)


def test_legs_of_a_list_are_told_and_then_the_list() -> None:
    heard = heard_by(BUYER)
    at = number_of("what the first leg buys the second one will sell")
    bodies = heard["what the first leg buys the second one will sell"]
    reports = [told(body, "i", "x", "X", "w", "q", "g") for body in bodies if body["e"] == "executionReport"]
    assert reports == [
        (6, "NEW", "NEW", True, "0.00040000", 1),
        (7, "NEW", "PENDING_NEW", False, "0.00000000", 1),
        (6, "TRADE", "FILLED", False, "0.00040000", 1),
        (7, "NEW", "NEW", False, "0.00030000", 1),
    ]
    (started,) = (body for body in bodies if body["e"] == "listStatus")
    legs = [{"s": "BTCUSDT", "i": 6, "c": "working"}, {"s": "BTCUSDT", "i": 7, "c": "pending"}]
    assert started == {
        "e": "listStatus", "E": at, "s": "BTCUSDT", "g": 1, "c": "OTO", "l": "EXEC_STARTED", "L": "EXECUTING",
        "r": "NONE", "C": "list1", "T": at, "O": legs, "sequence": started["sequence"],
    }  # fmt: skip
    triggered = [body for body in heard["the second leg is triggered"] if body.get("i") == 7]
    assert [told(body, "x", "w", "W", "p") for body in triggered] == [
        ("NEW", True, number_of("the second leg is triggered"), "49.00000000")
    ]
    ended = heard["it is canceled, and the list ends"]
    assert [told(body, "e", "X", "l") for body in ended[:2]] == [
        ("executionReport", "CANCELED", "0.00000000"),
        ("listStatus", None, "ALL_DONE"),
    ]
    assert ended[1]["O"] == [legs[0] | {"c": ""}, legs[1]]


def test_leg_that_ends_with_the_other_one_is_canceled_with_it() -> None:
    bodies = heard_by(SELLER)["one leg is canceled, and the other one goes with it"]
    assert [told(body, "i", "x", "X", "C", "c", "eR") for body in bodies[:2]] == [
        (10, "CANCELED", "CANCELED", "above", "cancel-10", None),
        (11, "CANCELED", "CANCELED", "below", "cancel-11", None),
    ]
    assert told(bodies[2], "e", "l", "c", "C") == ("listStatus", "ALL_DONE", "OCO", "list2")


def test_prevented_match_of_two_accounts_tells_each_its_own_order() -> None:
    words = "two of one group do not trade"
    found = {
        account: [told(body, "i", "x", "X", "U", "A", "u") for body in heard_by(account)[words] if "x" in body]
        for account in (SELLER, BUYER)
    }
    assert found == {
        SELLER: [
            (13, "NEW", "NEW", None, None, None),
            (13, "TRADE_PREVENTION", "EXPIRED_IN_MATCH", 12, "0.00020000", SELLER),
        ],
        BUYER: [(12, "TRADE_PREVENTION", "PARTIALLY_FILLED", 13, "0.00020000", SELLER)],
    }


def test_mass_cancel_is_a_cancel() -> None:
    (report, position) = heard_by(BUYER)["a mass cancel"]
    assert told(report, "x", "X", "C", "eR") == ("CANCELED", "CANCELED", "crossing", None)
    assert [row["l"] for row in position["B"]] == ["0.00000000"]


@pytest.mark.parametrize("account", [SELLER, BUYER])
def test_every_message_has_the_fields_of_its_type(account: int) -> None:
    mirror, kinds = Mirror(account, reference(), {}, [], []), set()
    for one in seen_by(account):
        for sequence, message in mirror.tell(*one):
            decoded = msgspec.json.decode(messages.encode(message, 1, sequence, 0), type=PrivateEvent)
            kinds.add(type(decoded).__name__)
    assert kinds == {"ExecutionReport", "ListStatus", "AccountPosition", "BalanceUpdate"}


@pytest.mark.parametrize("account", [SELLER, BUYER])
def test_nothing_is_locked_and_no_order_open_at_the_end(account: int) -> None:
    mirror = Mirror(account, reference(), {}, [], [])
    sequences = [sequence for one in seen_by(account) for sequence, _ in mirror.tell(*one)]
    assert sequences == sorted(set(sequences))
    assert mirror.orders == {}
    assert {locked for _, locked in mirror.balances.values()} == {0}


def closed_view(row: dict[str, Any]) -> OrderView:
    """A closed order as the engine remembers it."""
    same = {name: row[name] for name in OrderView._fields if name in row}
    same |= {"leaves_lots": row["qty_lots"] - row["filled_lots"], "client_id": row["client_id"] or ""}
    same |= {"stage": Stage.BOOK, "shown_lots": 0, "key": 0, "working_ts_ns": 0, "expire_ts_ns": 0, "is_open": False}
    return OrderView(**same)


@pytest.mark.parametrize("account", [SELLER, BUYER])
def test_told_again_from_any_command_on_is_what_was_told_live(account: int) -> None:
    oracle = OracleProjection()
    for command in COMMANDS:
        for slot in command.events:
            oracle.apply(event_dict(slot))
    live, at_end = [], Mirror(account, reference(), {}, [], [])
    for one in seen_by(account):
        live += [(messages.encode(message, 1, number, 0), number) for number, message in at_end.tell(*one)]
    compared = 0
    for first in range(len(COMMANDS)):
        seen, mirror = seen_by(account, first), at_end.copy(reference())
        after = messages.last_sequence(sum(len(command.events) for command in COMMANDS[:first]))
        closed = [closed_view(oracle.orders[order_id]) for order_id in orders_needed(mirror, seen)]
        found = tell_again(mirror, seen, closed, after, 1)
        wanted = [(payload, number) for payload, number in live if number > after]
        assert [(messages.restated(payload, 0), number) for payload, number in found] == wanted
        compared += bool(closed) and bool(wanted)
    assert compared > 8


def test_every_event_names_the_accounts_that_hear_of_it() -> None:
    for command in COMMANDS:
        for slot in command.events:
            fields = event_dict(slot)
            if fields["kind"] in range(1, 15) and fields["kind"] != 13:
                owners = {fields.get(name, 0) for name in ("account", "taker_account", "maker_account")} - {0}
                assert set(accounts_of(decode(slot.tobytes()))) == owners, command.words
