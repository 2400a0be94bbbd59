"""Runs a table on an exchange, be it the oracle or the engine, and says in words what went otherwise.

Owns the scenarios of `tables/` and the checks `balance`, `book` and `order`. Knows neither the oracle nor the engine:
both are an `Exchange`, a thing that takes a command slot, gives event dicts, and shows its rows.
"""

from __future__ import annotations

import pathlib
import re
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from exchange.core.codes import Account, CommandKind, EventKind, Side, Stage
from exchange.core.records import fill_command, slots
from tests.scenarios.language import parse_command, parse_expected
from tests.scenarios.words import STANDARD, Line, Names, Request, lines_of

TABLES = pathlib.Path(__file__).parent / "tables"

Slot = np.ndarray[Any, Any]
Row = tuple[int, ...]


_TERMS_COLUMNS = {"held": 5, "extreme": 6, "shown": 4, "list": 11}


def _lots(order: Row, terms: Row | None) -> str:
    shown = terms[4] if terms is not None and terms[3] else order[8]
    return f"{order[8]}" if shown == order[8] else f"{shown}/{order[8]}"


class Exchange(Protocol):
    checks: bool
    """Whether it checks its invariants after each command, if it has any."""

    def apply(self, slot: Slot) -> list[dict[str, Any]]:
        """Apply one command slot (128 u1) and return its events as dicts."""

    def canonical(self) -> dict[str, list[Row]]:
        """The rows of section 7 of docs/engine.md."""


@dataclass
class Scenario:
    table: str
    title: str
    lines: list[Line]

    def __str__(self) -> str:
        return f"{self.table}: {self.title}"


def scenarios_in(table: str, text: str) -> list[Scenario]:
    """The scenarios of one table, in order."""
    found: list[Scenario] = []
    for line in lines_of(text):
        if line.words[0] == "scenario":
            found.append(Scenario(table, line.text.removeprefix("scenario").strip(), []))
        else:
            found[-1].lines.append(line)
    return found


def scenarios() -> list[Scenario]:
    """Every scenario of every table, in file order."""
    return [one for path in sorted(TABLES.glob("*.txt")) for one in scenarios_in(path.stem, path.read_text())]


class Run:
    """One scenario on one exchange."""

    def __init__(self, scenario: Scenario, exchange: Exchange) -> None:
        self.scenario, self.exchange = scenario, exchange
        self.names = Names()
        self.sequence, self.ts_ns, self.next_transfer_id = 0, 1, 1_000_000
        self.accounts_shown: set[int] = set()

    def all_lines(self) -> None:
        """Run every line, then insist that the last ones were the balances of everybody who has any."""
        for line in self.scenario.lines:
            verb, expected = line.words[0], line.expected
            if verb == "standard":
                for standard_line in lines_of(STANDARD):
                    self.command(standard_line)
            elif verb == "clock":
                self.ts_ns = int(line.words[1])
            elif verb == "fund":
                self.fund(line)
            elif verb == "arm":
                self.arm(line)
            elif verb == "balance":
                self.balance(line)
            elif verb == "book":
                self.book(line)
            elif verb == "order":
                self.order(line)
            elif expected is None:
                raise ValueError(f"line {line.number}: {line.text!r} says nothing of its result")
            else:
                self.command(line)
        owners = {row[0] for row in self.exchange.canonical()["balance"]} - {int(Account.WORLD)}
        if owners - self.accounts_shown:
            raise AssertionError(
                f"{self.scenario} does not end with balances of {sorted(owners - self.accounts_shown)}"
            )

    def command(self, line: Line) -> None:
        request = parse_command(line, self.names)
        expected = parse_expected(line, request.kind)
        events = self.apply(request)
        told = [
            (EventKind(e["kind"]), {k: e.get(k) for k in fields})
            for e, (_, fields) in zip(events, expected, strict=False)
        ]
        if told != expected or len(events) != len(expected):
            shown = "\n".join("  " + ", ".join(f"{k}={v}" for k, v in e.items() if v) for e in events)
            kinds = ", ".join(EventKind(e["kind"]).name for e in events)
            raise AssertionError(
                f"{self.scenario}, line {line.number}:\n  {line.text}\nexpected {expected}\ngot {kinds}:\n{shown}"
            )
        if events[0]["kind"] == EventKind.REJECTED:
            return
        if request.kind == CommandKind.CHANGE_SYMBOL:
            self.names.rules[line.words[1]] |= {k: v for k, v in request.fields.items() if k != "symbol"}
        elif request.kind == CommandKind.ADD_SYMBOL:
            rules = self.names.rules[line.words[1]]
            rules.update({k: v for k, v in request.fields.items() if k in rules})

    def apply(self, request: Request) -> list[dict[str, Any]]:
        self.sequence += 1
        self.accounts_shown.clear()
        slot = slots(1)[0]
        known = request.kind in list(CommandKind)
        kind = CommandKind(request.kind) if known else CommandKind.TICK
        fill_command(slot, kind, request.texts.get("client_id", ""), request.texts.get("name", ""), **request.fields)
        slot[:16] = np.array([self.sequence, self.ts_ns], dtype="<i8").view(np.uint8)
        slot[16] = request.kind
        return self.exchange.apply(slot)

    def fund(self, line: Line) -> None:
        """Deposits with ids that no line names: `fund ACCOUNT ASSET ATOMS [ASSET ATOMS ...]`."""
        account, words = line.words[1], line.words[2:]
        for asset, atoms in zip(words[::2], words[1::2], strict=True):
            self.next_transfer_id += 1
            text = f"deposit {account} {asset} {atoms} id {self.next_transfer_id}"
            self.command(Line(line.number, text, text.split(), "deposited"))

    def arm(self, line: Line) -> None:
        """Many dead man's timers, one a key from 1 on: `arm COUNT of ACCOUNT`."""
        checks, self.exchange.checks = self.exchange.checks, False  # ten thousand states that differ by a row
        for key in range(1, int(line.words[1]) + 1):
            self.apply(Request(CommandKind.COUNTDOWN, {"account": int(line.words[3]), "key": key, "countdown_ns": 1}))
        self.exchange.checks = checks

    def balance(self, line: Line) -> None:
        """All that an account has: `balance ACCOUNT ASSET AVAILABLE+LOCKED ...`, or `nothing`."""
        account, words = self.names.account(line.words[1]), line.words[2:]
        expected = {}
        if words != ["nothing"]:
            for asset, atoms in zip(words[::2], words[1::2], strict=True):
                available, locked = atoms.split("+")
                expected[self.names.asset(asset)] = (int(available), int(locked))
        shown = {row[1]: (row[2], row[3]) for row in self.exchange.canonical()["balance"] if row[0] == account}
        self.accounts_shown.add(account)
        if shown != expected:
            raise AssertionError(
                f"{self.scenario}, line {line.number}:\n  {line.text}\ngot {shown} (asset: available, locked)"
            )

    def book(self, line: Line) -> None:
        """Both sides of a book, best level first, queues in order: `book S bids 100: #1x5 #2x3; 99: #4x1 asks -`.

        Of an iceberg what it shows and what it is: `#1x5/20`.
        """
        symbol = self.names.symbol(line.words[1])
        sides = re.fullmatch(r"book \S+ bids (.*?) asks (.*)", " ".join(line.words))
        if sides is None:
            raise ValueError(f"line {line.number}: a book has bids and asks")
        shown = [self._side(symbol, side) for side in Side]
        if shown != [" ".join(said.split()) for said in sides.groups()]:
            raise AssertionError(
                f"{self.scenario}, line {line.number}:\n  {line.text}\ngot bids {shown[0]} asks {shown[1]}"
            )

    def order(self, line: Line) -> None:
        """Where an order stands: `order #ID STAGE [held ATOMS] [extreme TICKS] [shown LOTS] [list ID]`, or `gone`."""
        order_id, stage, words = int(line.words[1][1:]), line.words[2], line.words[3:]
        row = next((row for row in self.exchange.canonical()["terms"] if row[0] == order_id), None)
        shown = {"stage": "gone"}
        if row is not None:
            shown = {"stage": Stage(row[1]).name.lower()}
            shown |= {name: str(row[place]) for name, place in _TERMS_COLUMNS.items()}
        expected = {"stage": stage, **dict(zip(words[::2], words[1::2], strict=True))}
        if {name: shown.get(name) for name in expected} != expected:
            raise AssertionError(f"{self.scenario}, line {line.number}:\n  {line.text}\ngot {shown}")

    def _side(self, symbol: int, side: Side) -> str:
        terms = {row[0]: row for row in self.exchange.canonical()["terms"]}
        waiting = {order_id for order_id, row in terms.items() if row[1] != Stage.BOOK}
        rows = [
            row
            for row in self.exchange.canonical()["order"]
            if row[2] == symbol and row[3] == side and row[0] not in waiting
        ]
        following = {row[-1]: row for row in rows if row[-1]}
        levels = {}
        for first in (row for row in rows if row[-1] == 0):
            queue = [first]
            while queue[-1][0] in following:
                queue.append(following[queue[-1][0]])
            levels[first[7]] = " ".join(f"#{row[0]}x{_lots(row, terms.get(row[0]))}" for row in queue)
        best_first = sorted(levels, reverse=side is Side.BUY)
        return "; ".join(f"{price}: {levels[price]}" for price in best_first) or "-"
