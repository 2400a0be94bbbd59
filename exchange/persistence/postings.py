"""The ledger: what each event did to balances, as entries, postings and conflated balances.

Owns the table of docs/engine.md, section 5, read as arrays. An event that changes no balance gives no entry; an entry
has one posting an account and asset. The postings of an entry sum to zero per asset, because each leg below is written
beside the leg that it comes from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from exchange.core.codes import Account, CommandKind, EventKind, Side, TransferState
from exchange.persistence.copying import Array, Columns, Table
from exchange.persistence.reference import Reference
from exchange.persistence.slots import Groups, Slots

ENTRIES = Table(
    "entries",
    (
        ("event", "i8"), ("ts_ns", "i8"), ("sequence", "i8"), ("kind", "i2"), ("command_kind", "i2"), ("symbol", "i4"),
        ("order_id", "i8"), ("maker_order_id", "i8"), ("trade_id", "i8"), ("transfer_id", "i8"),
    ),
)  # fmt: skip
POSTINGS = Table(
    "postings",
    (
        ("account", "i4"), ("asset", "i4"), ("event", "i8"), ("ts_ns", "i8"), ("available_delta", "i8"),
        ("locked_delta", "i8"),
    ),
)  # fmt: skip
BALANCES = Table(
    "projection_balance_changes",
    (("account", "i4"), ("asset", "i4"), ("available_delta", "i8"), ("locked_delta", "i8")),
)
"""Differences, one row an account and asset that the batch touched."""

_HOLDING = (
    EventKind.ORDER_ACCEPTED,
    EventKind.ORDER_REDUCED,
    EventKind.ORDER_CLOSED,
    EventKind.ORDER_ENTERED,
    EventKind.ORDER_FUNDED,
)


class _Leg(NamedTuple):
    """One change of one account and asset, for each event of some set."""

    event: Array
    ts_ns: Array
    account: Array
    asset: Array
    available: Array
    locked: Array


def _entry(records: Array, ordinals: Array, kind: EventKind, fields: dict[str, str]) -> dict[str, Array]:
    """Columns of ENTRIES; `fields` names the event's field for a column that is not zero."""
    count = len(records)
    rows = {name: np.zeros(count, np.int64) for name in ENTRIES.names}
    rows |= {"event": ordinals, "ts_ns": records["ts_ns"], "sequence": records["sequence"]}
    rows["kind"] = np.full(count, int(kind))
    rows["command_kind"] = np.full(count, int(CommandKind.PLACE))
    return rows | {column: records[field] for column, field in fields.items()}


class _Ledger:
    """Entries and legs as they are gathered, sort by sort."""

    def __init__(self, slots: Slots, reference: Reference) -> None:
        self._slots = slots
        self._reference = reference
        self.entries: list[dict[str, Array]] = []
        self.legs: list[_Leg] = []

    def holds(self, kind: EventKind) -> None:
        """The events of _HOLDING: between available and locked of who pays."""
        records, ordinals = self._slots.of(kind), self._slots.ordinals(kind)
        moved = records["hold_delta_atoms"] != 0
        records, ordinals = records[moved], ordinals[moved]
        fields = {"command_kind": "command_kind", "symbol": "symbol", "order_id": "order_id"}
        self.entries.append(_entry(records, ordinals, kind, fields))
        asset = self._pays(records["symbol"], records["side"] == Side.BUY)
        self._move(records, ordinals, (records["account"], asset), records["hold_delta_atoms"])

    def trades(self) -> None:
        """Both assets change hands and both fees are paid; a BUY taker that got a better price has a part released."""
        kind = EventKind.TRADE
        records, ordinals = self._slots.of(kind), self._slots.ordinals(kind)
        fields = {"order_id": "taker_order_id"}
        fields |= {name: name for name in ("symbol", "maker_order_id", "trade_id")}
        self.entries.append(_entry(records, ordinals, kind, fields))
        symbol, buys = records["symbol"], records["side"] == Side.BUY
        base, quote = self._reference.base_asset[symbol], self._reference.quote_asset[symbol]
        base_atoms = records["qty_lots"] * self._reference.base_atoms_per_lot[symbol]
        quote_atoms, released = records["quote_atoms"], records["taker_release_atoms"]
        buyer, seller = _by_side(records, buys, "account")
        buyer_fee, seller_fee = _by_side(records, buys, "fee_atoms")
        # One who trades with himself has one posting an asset: what the seller gets and gives joins the buyer's.
        same = buyer == seller
        income = quote_atoms - seller_fee
        nothing = np.zeros(len(records), np.int64)

        def leg(account: Array, asset: Array, available: Array, locked: Array) -> None:
            self.legs.append(_Leg(ordinals, records["ts_ns"], account, asset, available, locked))

        leg(buyer, quote, released + np.where(same, income, 0), -quote_atoms - released)
        leg(buyer, base, base_atoms - buyer_fee, np.where(same, -base_atoms, 0))
        leg(seller, base, nothing, np.where(same, 0, -base_atoms))
        leg(seller, quote, np.where(same, 0, income), nothing)
        fees = np.full(len(records), int(Account.FEES))
        leg(fees, base, buyer_fee, nothing)
        leg(fees, quote, seller_fee, nothing)

    def prevented(self) -> None:
        """What either order no longer needs becomes available again; the two sides pay with different assets."""
        kind = EventKind.PREVENTED
        records, ordinals = self._slots.of(kind), self._slots.ordinals(kind)
        moved = (records["taker_release_atoms"] != 0) | (records["maker_release_atoms"] != 0)
        records, ordinals = records[moved], ordinals[moved]
        fields = {"symbol": "symbol", "order_id": "taker_order_id", "maker_order_id": "maker_order_id"}
        self.entries.append(_entry(records, ordinals, kind, fields))
        buys = records["side"] == Side.BUY
        taker, maker = records["account"], maker_accounts(records)
        for role, account, side in (("taker", taker, buys), ("maker", maker, ~buys)):
            of = (account, self._pays(records["symbol"], side))
            self._move(records, ordinals, of, -records[f"{role}_release_atoms"])

    def transfers(self) -> None:
        """Money that comes in and goes out, with WORLD on the other side, and withdrawals that are held."""
        kind = EventKind.TRANSFERRED
        records, ordinals = self._slots.of(kind), self._slots.ordinals(kind)
        fields = {"command_kind": "command_kind", "transfer_id": "transfer_id"}
        self.entries.append(_entry(records, ordinals, kind, fields))
        state, amount = records["transfer_state"], records["amount_atoms"]
        deposited, held, settled, released = (np.where(state == one, amount, 0) for one in TransferState)
        available, locked = deposited - held + released, held - settled - released
        ts_ns, asset = records["ts_ns"], records["asset"]
        world = np.full(len(records), int(Account.WORLD))
        self.legs.append(_Leg(ordinals, ts_ns, records["account"], asset, available, locked))
        self.legs.append(_Leg(ordinals, ts_ns, world, asset, settled - deposited, np.zeros(len(records), np.int64)))

    def _pays(self, symbol: Array, buys: Array) -> Array:
        """The asset that a side pays with."""
        return np.where(buys, self._reference.quote_asset[symbol], self._reference.base_asset[symbol])

    def _move(self, records: Array, ordinals: Array, of: tuple[Array, Array], amount: Array) -> None:
        """Available to locked."""
        self.legs.append(_Leg(ordinals, records["ts_ns"], *of, -amount, amount))


def maker_accounts(prevented: Array) -> Array:
    """The maker's account of PREVENTED events, which name it only where it is not the taker's."""
    return np.where(prevented["maker_account"] != 0, prevented["maker_account"], prevented["account"])


def _by_side(records: Array, buys: Array, field: str) -> tuple[Array, Array]:
    """A field of taker and maker, as that of (buyer, seller)."""
    taker, maker = records[f"taker_{field}"], records[f"maker_{field}"]
    return np.where(buys, taker, maker), np.where(buys, maker, taker)


def fold_ledger(slots: Slots, reference: Reference) -> tuple[Columns, Columns, Columns]:
    """The columns of ENTRIES, POSTINGS and BALANCES."""
    ledger = _Ledger(slots, reference)
    for kind in _HOLDING:
        ledger.holds(kind)
    ledger.trades()
    ledger.prevented()
    ledger.transfers()
    entries = {name: np.concatenate([part[name] for part in ledger.entries]) for name in ENTRIES.names}
    legs = _Leg(*(np.concatenate(columns) for columns in zip(*ledger.legs, strict=True)))
    real = (legs.available != 0) | (legs.locked != 0)
    legs = _Leg(*(column[real] for column in legs))
    # In the order of the primary keys, neighbours go to the same page of the index.
    in_order = np.argsort(entries["event"], kind="stable")
    by_key = np.lexsort((legs.event, legs.asset, legs.account))
    legs = _Leg(*(column[by_key] for column in legs))
    postings = {"account": legs.account, "asset": legs.asset, "event": legs.event, "ts_ns": legs.ts_ns}
    postings |= {"available_delta": legs.available, "locked_delta": legs.locked}
    groups = Groups(legs.account, legs.asset)
    balances = {name: groups.first(postings[name]) for name in BALANCES.names[:2]}
    balances |= {name: groups.sum(postings[name]) for name in BALANCES.names[2:]}
    return {name: column[in_order] for name, column in entries.items()}, postings, balances
