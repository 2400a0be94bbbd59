"""The signed routes that read: one order, open orders, the account, its commissions.

Every answer is a copy of the live state at one durable sequence, which the header X-Exchange-Sequence names; an order
that the engine has forgotten comes from history. Never submits a command.
"""

from __future__ import annotations

from exchange.core import readers
from exchange.core.codes import TradingMode
from exchange.core.state import State
from exchange.gateway import answers
from exchange.gateway.catalogue import OMIT_ZERO_BALANCES
from exchange.gateway.errors import Refusal
from exchange.gateway.fees import fractions, of_symbol, rates
from exchange.gateway.order_history import older_order
from exchange.gateway.orders import named_order, symbol_rules
from exchange.gateway.private.messages import last_sequence
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.turns import json_array
from exchange.gateway.venue import Venue


async def get_order(venue: Venue, call: Call) -> Reply:
    """GET order: an order, open, in the window of closed ones, or older."""
    rules = symbol_rules(call)
    order_id, named = named_order(call.params)
    view, sequence = venue.read(readers.find_order, call.key.account, order_id, named)
    if view is None or view.symbol != rules.symbol:
        return await older_order(venue, call, rules, order_id, named)
    return Reply(answers.order(rules, view, call.unit_ns), sequence)


async def get_open_orders(venue: Venue, call: Call) -> Reply:
    """GET openOrders: the open orders of one symbol or of all."""
    symbol = symbol_rules(call).symbol if "symbol" in call.params else 0
    views, sequence = venue.read(readers.each_open_order, call.key.account, symbol)
    by_id = call.face.reference.by_id
    orders = (answers.order(by_id[view.symbol], view, call.unit_ns) for view in views)
    return Reply(await json_array(orders), sequence)


def _account(state: State, account: int) -> tuple[readers.AccountView | None, list[tuple[int, int, int]], int, int]:
    """Everything of an account at one sequence, the engine's time there, and the number of its last event."""
    head = state.header[0]
    return (
        readers.account_view(state, account),
        readers.balances(state, account),
        int(head.ts_ns),
        int(head.event_count),
    )


async def get_account(venue: Venue, call: Call) -> Reply:
    """GET account: balances, fees and rights of the account."""
    omit_zero = OMIT_ZERO_BALANCES.read(call.params)
    (view, balances, ts_ns, events), sequence = venue.read(_account, call.key.account)
    if view is None:
        raise Refusal(400, -2010, "This account may not place or cancel orders.")
    reference = call.face.reference
    maker, taker = rates(view, (rules.view for rules in reference.by_id.values()))
    return Reply(
        {
            "makerCommission": maker // 100,
            "takerCommission": taker // 100,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": fractions(maker, taker),
            "canTrade": view.mode == TradingMode.OPEN,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": ts_ns // call.unit_ns,
            "accountType": "SPOT",
            "balances": [
                {
                    "asset": reference.assets[asset].name,
                    "free": reference.grids[asset].text(available),
                    "locked": reference.grids[asset].text(locked),
                }
                for asset, available, locked in balances
                if available or locked or not omit_zero
            ],
            "permissions": ["SPOT"],
            "uid": view.account,
            "sequence": last_sequence(events),
        },
        sequence,
    )


async def get_commission(venue: Venue, call: Call) -> Reply:
    """GET account/commission: what the account pays on a symbol."""
    rules = symbol_rules(call)
    view, sequence = venue.read(readers.account_view, call.key.account)
    return Reply(of_symbol(rules.name, *rates(view, (rules.view,))), sequence)


async def my_filters(venue: Venue, call: Call) -> Reply:
    """GET myFilters: the filters that an order of this account on a symbol must pass."""
    rules = symbol_rules(call)
    guards, sequence = venue.read(readers.symbol_rules, rules.symbol)
    return Reply({"exchangeFilters": [], "symbolFilters": rules.filters(guards), "assetFilters": []}, sequence)


async def get_order_counts(venue: Venue, call: Call) -> Reply:
    """GET rateLimit/order: the unfilled orders of the account, and how many it may have."""
    return Reply(venue.limits.order_counts(call.key.account))
