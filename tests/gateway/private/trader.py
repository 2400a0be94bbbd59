"""A trader who knows nothing but what private events say, and is compared with what the engine's readers say.

Owns a second reading of Binance's fields: it adds up fills itself and believes a position. Never sees an engine event.
"""

from __future__ import annotations

from typing import Any

from exchange.core import readers
from exchange.core.state import State
from exchange.gateway.symbols import Reference
from tests.gateway.private.stage import reference_of

OPEN = ("NEW", "PARTIALLY_FILLED")


class Trader:
    """Folds messages, beginning with the account as it stood when the stream began."""

    def __init__(self, state: State, account: int, sequence: int) -> None:
        self.account = account
        self.sequence = sequence
        self.orders = told_orders(state, account)
        self.balances = told_balances(state, account)

    def hear(self, body: dict[str, Any]) -> None:
        assert self.sequence >= body["previousSequence"], "a gap"
        assert self.sequence < body["sequence"], "a repetition"
        self.sequence = body["sequence"]
        if body["e"] == "executionReport":
            self._report(body)
        elif body["e"] == "outboundAccountPosition":
            assert body["B"], "a position that says nothing"
            for row in body["B"]:
                self.balances[row["a"]] = (row["f"], row["l"])
        else:
            assert body["e"] == "balanceUpdate"

    def agrees_with(self, state: State) -> None:
        """What was heard is what the engine's readers tell."""
        assert self.orders == told_orders(state, self.account)
        for name, row in told_balances(state, self.account).items():
            # An asset that was added since the stream began is named once there is some of it.
            assert self.balances.get(name, row if number(row[0]) == number(row[1]) == 0 else None) == row

    def _report(self, body: dict[str, Any]) -> None:
        if body["x"] == "REJECTED":
            assert body["X"] == "REJECTED"
            assert body["r"] != "NONE"
            return
        before = self.orders.pop(body["i"], None)
        assert (before is None) == (body["x"] == "NEW"), "an order begins with NEW"
        if before is not None:
            assert_adds_up(before, body)
        assert body["w"] == (body["X"] in OPEN)
        if body["X"] in OPEN:
            self.orders[body["i"]] = order_row(body)
        if body["X"] == "FILLED":
            assert body["z"] == body["q"]
        assert (body["t"] != -1) == (body["x"] == "TRADE") == (number(body["l"]) > 0)
        assert body["C"] == (before["c"] if before and body["x"] == "CANCELED" else "")
        if body["x"] != "CANCELED" and before:
            assert body["c"] == before["c"]


def assert_adds_up(before: dict[str, Any], body: dict[str, Any]) -> None:
    """Fills sum to what is filled; nothing but a reduction and a prevention changes the quantity."""
    assert number(body["z"]) == number(before["z"]) + number(body["l"])
    assert number(body["Z"]) == number(before["Z"]) + number(body["Y"])
    if body["x"] in ("TRADE", "CANCELED", "EXPIRED"):
        assert body["q"] == before["q"]
    if body["x"] == "REPLACED":
        assert number(body["z"]) < number(body["q"]) < number(before["q"])


def number(text: str) -> int:
    """A decimal as an integer of its last digit; texts of one kind have as many decimals."""
    return int(text.replace(".", ""))


def order_row(body: dict[str, Any]) -> dict[str, Any]:
    return {key: body[key] for key in ("s", "c", "S", "o", "f", "q", "p", "X", "z", "O", "Z", "V")}


def told_orders(state: State, account: int) -> dict[int, dict[str, Any]]:
    """The open orders of an account in the words of a report, from the engine's readers."""
    reference = reference_of(state)
    rows = {}
    for view in readers.open_orders(state, account):
        rules = reference.by_id[view.symbol]
        rows[view.order_id] = {
            "s": rules.view.name.replace("_", ""),
            "c": view.client_id,
            "S": ("BUY", "SELL")[view.side],
            "o": ("", "LIMIT", "MARKET", "LIMIT_MAKER")[view.order_type],
            "f": ("", "GTC", "IOC", "FOK", "GTD")[view.time_in_force],
            "q": rules.quantity.text(view.filled_lots + view.leaves_lots),
            "p": rules.price.text(view.price_ticks),
            "X": "PARTIALLY_FILLED" if view.filled_lots else "NEW",
            "z": rules.quantity.text(view.filled_lots),
            "O": view.created_ts_ns // 1_000,
            "Z": rules.quote_grid.text(view.filled_quote_atoms),
            "V": ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")[view.stp_mode],
        }
    return rows


def told_balances(state: State, account: int) -> dict[str, tuple[str, str]]:
    """asset -> (free, locked) of an account, from the engine's readers."""
    reference: Reference = reference_of(state)
    return {
        reference.assets[asset].name: (reference.grids[asset].text(available), reference.grids[asset].text(locked))
        for asset, available, locked in readers.balances(state, account)
    }
