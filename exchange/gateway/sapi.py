"""What clients of Binance ask beside spot trading while they load: answered truthfully, which is mostly "none here".

Owns the addresses under /sapi, /fapi and /dapi that ccxt and Binance's own clients call with their default options.
Never pretends: there is no margin, there are no derivatives, and the wallet is not open; what is said of assets, fees
and keys is real.
"""

from __future__ import annotations

from typing import Any

from exchange.core import readers
from exchange.gateway.catalogue import ANY_SYMBOL
from exchange.gateway.errors import Refusal
from exchange.gateway.fees import commission, rates
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call
from exchange.gateway.symbols import Rules
from exchange.gateway.venue import Venue
from exchange.users.keys import NEVER_US, Permission


async def nothing(venue: Venue, call: Call) -> Reply:
    """GET margin pairs, deposits, withdrawals, delistings: there are none."""
    return Reply([])


async def no_symbols(venue: Venue, call: Call) -> Reply:
    """GET exchangeInfo of derivatives: there are none."""
    return Reply({"symbols": []})


async def no_transfers(venue: Venue, call: Call) -> Reply:
    """GET asset/transfer: there is one wallet, and so nothing between wallets."""
    return Reply({"total": 0, "rows": []})


async def system_status(venue: Venue, call: Call) -> Reply:
    """GET system/status: 0 while the venue takes orders."""
    return Reply({"status": 0, "msg": "normal"} if venue.admitting else {"status": 1, "msg": "system_maintenance"})


async def account_status(venue: Venue, call: Call) -> Reply:
    """GET account/status: whether the account may be used."""
    return Reply({"data": "Normal"})


async def wallet_is_not_open(venue: Venue, call: Call) -> Reply:
    """GET capital/deposit/address, POST capital/withdraw/apply: refused."""
    raise Refusal(400, -1020, "This operation is not supported: the venue takes no deposits and makes no withdrawals.")


async def coins(venue: Venue, call: Call) -> Reply:
    """GET capital/config/getall: every asset, what the account has of it, and no networks."""
    balances, sequence = venue.read(readers.balances, call.key.account)
    reference = call.face.reference
    return Reply(
        [_coin(reference.assets[asset].name, *map(reference.grids[asset].text, held)) for asset, *held in balances],
        sequence,
    )


def _coin(name: str, free: str, locked: str) -> dict[str, Any]:
    return {
        "coin": name,
        "name": name,
        "free": free,
        "locked": locked,
        "freeze": "0",
        "withdrawing": "0",
        "ipoing": "0",
        "ipoable": "0",
        "storage": "0",
        "isLegalMoney": False,
        "trading": True,
        "depositAllEnable": False,
        "withdrawAllEnable": False,
        "networkList": [],
    }


async def trade_fee(venue: Venue, call: Call) -> Reply:
    """GET asset/tradeFee: the account's rates on a symbol or on all."""
    view, sequence = venue.read(readers.account_view, call.key.account)
    name = ANY_SYMBOL.text(call.params)
    reference = call.face.reference
    asked: list[Rules] = [reference.named(name)] if name else list(reference.by_id.values())
    rows = []
    for rules in asked:
        maker, taker = rates(view, [rules.view])
        rows.append({"symbol": rules.name, "makerCommission": commission(maker), "takerCommission": commission(taker)})
    return Reply(rows, sequence)


async def api_restrictions(venue: Venue, call: Call) -> Reply:
    """GET account/apiRestrictions: what the key that asks may do."""
    key, unit_ns = call.key, call.unit_ns
    trade_until = key.until_us.get(Permission.TRADE, 0)
    body: dict[str, Any] = {
        "ipRestrict": bool(key.addresses),
        "createTime": key.created_us * 1000 // unit_ns,
        "enableReading": Permission.READ in key.permissions,
        "enableSpotAndMarginTrading": Permission.TRADE in key.permissions,
        "enableWithdrawals": Permission.WITHDRAW in key.permissions,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enablePortfolioMarginTrading": False,
    }
    if 0 < trade_until < NEVER_US:
        body["tradingAuthorityExpirationTime"] = trade_until * 1000 // unit_ns
    return Reply(body)
