"""Section 5, transfers: money that comes in and goes out, each transfer exactly once.

Owns the four transfer commands: the table below says which states a command makes and which it meets as its own repeat.
Moves nothing itself: the ledger posts TRANSFERRED.
"""

from __future__ import annotations

from exchange.core.codes import CommandKind, EventKind, Limit, RejectCode, TradingMode, TransferState
from tests.oracle.venue import Transfer, Venue
from tests.oracle.words import MAX_ATOMS, Command, refuse_if

D, H, S, R = TransferState.DEPOSITED, TransferState.HELD, TransferState.SETTLED, TransferState.RELEASED

MAKES = {
    CommandKind.DEPOSIT: D,
    CommandKind.WITHDRAW_HOLD: H,
    CommandKind.WITHDRAW_SETTLE: S,
    CommandKind.WITHDRAW_RELEASE: R,
}
REPEATS = {
    CommandKind.DEPOSIT: {D},
    CommandKind.WITHDRAW_HOLD: {H, S, R},
    CommandKind.WITHDRAW_SETTLE: {S},
    CommandKind.WITHDRAW_RELEASE: {R},
}
"""The states in which a command finds its work already done."""


def transfer(venue: Venue, command: Command) -> None:
    kind = CommandKind(command["kind"])
    transfer_id, account, asset = command["transfer_id"], command["account"], command["asset"]
    amount_atoms = command["amount_atoms"]
    refuse_if(account not in venue.accounts, RejectCode.UNKNOWN_ACCOUNT)
    refuse_if(asset not in venue.assets, RejectCode.UNKNOWN_ASSET)
    refuse_if(amount_atoms <= 0 or transfer_id <= 0, RejectCode.INVALID_AMOUNT)

    known = venue.transfers.get(transfer_id)
    if known is not None:
        same = (known.account, known.asset, known.amount_atoms) == (account, asset, amount_atoms)
        same_sort = (known.state is D) == (kind is CommandKind.DEPOSIT)
        refuse_if(not same or not same_sort, RejectCode.TRANSFER_ID_CONFLICT)
        if known.state in REPEATS[kind]:
            _tell(venue, EventKind.TRANSFER_DUPLICATE, kind, known)
            return
        refuse_if(known.state is not H, RejectCode.TRANSFER_FINISHED)
        known.state = MAKES[kind]
        _tell(venue, EventKind.TRANSFERRED, kind, known)
        return

    refuse_if(kind in (CommandKind.WITHDRAW_SETTLE, CommandKind.WITHDRAW_RELEASE), RejectCode.UNKNOWN_TRANSFER)
    if kind is CommandKind.DEPOSIT:
        refuse_if(venue.ledger.supply(asset) + amount_atoms > MAX_ATOMS, RejectCode.SUPPLY_EXCEEDED)
    refuse_if(len(venue.transfers) >= venue.limits[Limit.TRANSFERS], RejectCode.TOO_MANY_TRANSFERS)
    if kind is CommandKind.WITHDRAW_HOLD:
        refuse_if(venue.withdrawals is TradingMode.HALTED, RejectCode.WITHDRAWALS_CLOSED)
        refuse_if(amount_atoms > venue.ledger.available(account, asset), RejectCode.INSUFFICIENT_BALANCE)
    venue.transfers[transfer_id] = Transfer(transfer_id, account, asset, amount_atoms, MAKES[kind])
    _tell(venue, EventKind.TRANSFERRED, kind, venue.transfers[transfer_id])


def _tell(venue: Venue, event_kind: EventKind, command_kind: CommandKind, told: Transfer) -> None:
    venue.emit(
        event_kind,
        command_kind=int(command_kind),
        transfer_state=int(told.state),
        account=told.account,
        asset=told.asset,
        transfer_id=told.transfer_id,
        amount_atoms=told.amount_atoms,
    )
