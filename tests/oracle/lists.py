"""Section 15 of docs/engine-orders.md: how an order list comes about.

Owns PLACE_LIST, the staging of legs, what a list is refused with, and what its legs hold. What legs do to each other
afterwards is `closing.py`, how a leg that is due goes to work is `turns.py`.
"""

from __future__ import annotations

from collections import defaultdict

from exchange.core.codes import (
    CommandFlag,
    EventKind,
    ListRole,
    ListStatus,
    ListType,
    OrderType,
    RejectCode,
    Side,
    Stage,
    SymbolRule,
    TradingMode,
)
from tests.oracle.closing import FUNDED_BY_WORKING, PAIR
from tests.oracle.guards import count_accepted
from tests.oracle.judging import Judged, Place, judge, refuse_if_closed
from tests.oracle.placing import accept, begin, number, place
from tests.oracle.telling import tell_list
from tests.oracle.turns import take_turns
from tests.oracle.venue import Order, OrderList, Venue
from tests.oracle.words import Command, Refused, names_an_order, refuse_if

LEGS = {
    ListType.OCO: (ListRole.ABOVE, ListRole.BELOW),
    ListType.OTO: (ListRole.WORKING, ListRole.PENDING),
    ListType.OTOCO: (ListRole.WORKING, ListRole.ABOVE, ListRole.BELOW),
    ListType.OPO: (ListRole.WORKING, ListRole.PENDING),
    ListType.OPOCO: (ListRole.WORKING, ListRole.ABOVE, ListRole.BELOW),
}
STOP_LOSSES = {OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT}
PROFITS = {OrderType.LIMIT_MAKER, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT}
ALLOWED_TYPES = {
    (ListRole.WORKING, Side.BUY): {OrderType.LIMIT, OrderType.LIMIT_MAKER},
    (ListRole.WORKING, Side.SELL): {OrderType.LIMIT, OrderType.LIMIT_MAKER},
    (ListRole.PENDING, Side.BUY): set(OrderType),
    (ListRole.PENDING, Side.SELL): set(OrderType),
    (ListRole.ABOVE, Side.SELL): PROFITS,
    (ListRole.BELOW, Side.SELL): STOP_LOSSES,
    (ListRole.ABOVE, Side.BUY): STOP_LOSSES,
    (ListRole.BELOW, Side.BUY): PROFITS,
}


# ---- staging ------------------------------------------------------------------------------------------------------


def place_list(venue: Venue, command: Command) -> None:
    account, client_id = command["account"], command["client_id"]
    refuse_if(account not in venue.accounts, RejectCode.UNKNOWN_ACCOUNT)
    mine = [one for one in venue.lists.values() if one.account == account]
    taken = names_an_order(client_id) and any(one.client_id == client_id for one in mine)
    refuse_if(taken, RejectCode.CLIENT_ORDER_ID_CONFLICT)
    refuse_if(command["symbol"] not in venue.symbols, RejectCode.UNKNOWN_SYMBOL)
    symbol = venue.symbols[command["symbol"]]
    refuse_if_closed(venue, symbol, venue.accounts[account], {TradingMode.OPEN})
    refuse_if(command["list_type"] not in list(ListType), RejectCode.INVALID_LIST)
    refuse_if(not command["flags"] & CommandFlag.LINKED, RejectCode.INVALID_LIST)
    most = symbol.guard.rules[SymbolRule.LISTS_MAX]
    here = sum(one.symbol == symbol.symbol for one in mine)
    refuse_if(0 < most <= here, RejectCode.TOO_MANY_LISTS)
    _stage(venue, [], command)


def place_order_or_leg(venue: Venue, command: Command) -> None:
    """PLACE: the next leg of what is staged, or an order of its own."""
    refuse_if(command["account"] not in venue.accounts, RejectCode.UNKNOWN_ACCOUNT)
    if not venue.unfinished:
        place(venue, command)
        return
    opening, *legs = venue.unfinished
    roles = LEGS[ListType(opening["list_type"])]
    if command["list_role"] != roles[len(legs)]:
        place(venue, command)
    elif len(legs) + 1 < len(roles):
        linked = command["flags"] & CommandFlag.LINKED
        refuse_if(not linked or _is_elsewhere(opening, command), RejectCode.INVALID_LIST)
        _stage(venue, venue.unfinished, command)
    else:
        _decide(venue, opening, [*legs, command])


def _is_elsewhere(opening: Command, leg: Command) -> bool:
    return bool(leg["account"] != opening["account"] or leg["symbol"] != opening["symbol"])


def _stage(venue: Venue, before: list[Command], command: Command) -> None:
    venue.staged = [*before, command]
    venue.emit(
        EventKind.STAGED,
        list_type=venue.staged[0]["list_type"],
        account=command["account"],
        symbol=command["symbol"],
        client_id=command["client_id"],
    )


# ---- the last leg decides -----------------------------------------------------------------------------------------


def _decide(venue: Venue, opening: Command, legs: list[Command]) -> None:
    list_type = ListType(opening["list_type"])
    judged: list[Judged] = []
    for leg in legs:
        try:
            judged.append(_judge_leg(venue, opening, legs, leg, judged))
        except Refused as refused:
            raise Refused(refused.code, leg) from refused
    symbol = venue.symbols[opening["symbol"]]
    its_list = OrderList(
        venue.next_list_id,
        list_type,
        opening["account"],
        opening["symbol"],
        opening["client_id"],
        [one.order for one in judged],
    )
    holds = _holds(its_list, judged)
    needed: defaultdict[int, int] = defaultdict(int)
    for one, hold_atoms in zip(judged, holds, strict=True):
        needed[symbol.payer_asset(one.order.side)] += hold_atoms
    for asset, atoms in needed.items():
        if atoms > venue.ledger.available(its_list.account, asset):
            raise Refused(RejectCode.INSUFFICIENT_BALANCE, legs[0])

    venue.next_list_id += 1
    venue.lists[its_list.list_id] = its_list
    for order in its_list.legs:
        order.list_id = its_list.list_id
        number(venue, order)
    tell_list(venue, its_list, ListStatus.STARTED)
    for one, hold_atoms in zip(judged, holds, strict=True):
        accept(venue, symbol, one.order, hold_atoms)
        count_accepted(venue, symbol, one.order, one.notional_atoms)
    for order in [leg for leg in its_list.legs if leg.stage is not Stage.PENDING]:
        begin(venue, symbol, order)
    take_turns(venue, [symbol])


def _judge_leg(venue: Venue, opening: Command, legs: list[Command], leg: Command, before: list[Judged]) -> Judged:
    """One leg, on the venue as it was before the list."""
    list_type = ListType(opening["list_type"])
    client_id = leg["client_id"]
    if names_an_order(client_id):
        given = (leg["account"], client_id)
        taken = given in venue.by_client_id
        given_twice = any(given == (one.order.account, one.order.client_id) for one in before)
        refuse_if(taken or given_twice, RejectCode.CLIENT_ORDER_ID_CONFLICT)
    pending = list_type is not ListType.OCO and leg["list_role"] != ListRole.WORKING
    judged = judge(venue, leg, Place(list_type, pending, before))
    is_last = leg is legs[-1]
    out_of_place = is_last and (leg["flags"] & CommandFlag.LINKED or _is_elsewhere(opening, leg))
    sound = not out_of_place and _is_sound_leg(list_type, judged, before)
    refuse_if(not sound, RejectCode.INVALID_LIST)
    return judged


def _is_sound_leg(list_type: ListType, judged: Judged, before: list[Judged]) -> bool:
    """Whether the leg is what its list wants there; a breach of two legs is the second one's."""
    order = judged.order
    if order.order_type not in ALLOWED_TYPES[order.list_role, order.side]:
        return False
    if list_type in FUNDED_BY_WORKING:
        wanted = Side.BUY if order.list_role is ListRole.WORKING else Side.SELL
        if order.side is not wanted:
            return False
    if order.list_role is ListRole.BELOW:
        above = before[-1].order
        if (order.side, order.submitted_lots) != (above.side, above.submitted_lots):
            return False
        levels = [_level(above), _level(order)]
        return 0 in levels or levels[0] > levels[1]
    return True


def _level(order: Order) -> int:
    """Where the leg would trade; zero: that is not known."""
    if order.order_type is OrderType.LIMIT_MAKER:
        return 0 if order.peg_type else order.price_ticks
    return order.stop_price_ticks


def _holds(its_list: OrderList, judged: list[Judged]) -> list[int]:
    """What each leg holds: legs that WORKING funds nothing, of a pair one what it needs beyond the other."""
    alone = {one.order.list_role: one.hold.hold_atoms for one in judged}
    lead = its_list.lead
    holds = []
    for order in its_list.legs:
        hold_atoms = alone[order.list_role]
        if order.list_role is not ListRole.WORKING and its_list.list_type in FUNDED_BY_WORKING:
            hold_atoms = 0
        elif order.list_role in PAIR and order is not lead:
            hold_atoms = max(0, hold_atoms - alone[lead.list_role])
        holds.append(hold_atoms)
    return holds
