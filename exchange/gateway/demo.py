"""Demo mode: three symbols, two funded accounts, their keys, and a first trade to copy and paste.

Owns what a demo venue consists of. Everything is made by journaled commands with fixed ids and transfer ids, so doing
it again on every start changes nothing. Keys are drawn at the first start, printed once and kept with mode 0600.
"""

from __future__ import annotations

import asyncio
import pathlib
import shlex
from collections.abc import Iterator

from exchange.core import readers
from exchange.core.codes import CommandKind, EventKind, OrderType, RejectCode, Side, TimeInForce
from exchange.core.records import fill_command, slots
from exchange.core.state import MASS_CANCEL_MAX, State
from exchange.datadir import replace_privately
from exchange.disruptor.pipeline import Pipeline
from exchange.gateway.wire import order_event, place, target
from exchange.users.keyring import Created, KeyRing

ASSETS = {1: ("BTC", 8), 2: ("ETH", 8), 3: ("USDT", 8)}
ACCOUNTS = {16: "alice", 17: "bob"}
DEPOSITS = {1: 100, 2: 2_000, 3: 10_000_000}
"""Whole coins of each asset for each account."""

_FEE_PPM = 1_000
SYMBOL_NAMES = {1: "BTC_USDT", 2: "ETH_USDT", 3: "ETH_BTC"}
SYMBOLS: dict[int, dict[str, int]] = {
    1: {
        "base_asset": 1, "quote_asset": 3, "price_scale": 2, "qty_scale": 5,
        "price_min_ticks": 1, "price_max_ticks": 10**8, "qty_min_lots": 1, "qty_max_lots": 9 * 10**8,
        "notional_min_atoms": 5 * 10**8, "notional_max_atoms": 9 * 10**14,
    },
    2: {
        "base_asset": 2, "quote_asset": 3, "price_scale": 2, "qty_scale": 4,
        "price_min_ticks": 1, "price_max_ticks": 10**7, "qty_min_lots": 1, "qty_max_lots": 9 * 10**7,
        "notional_min_atoms": 5 * 10**8, "notional_max_atoms": 9 * 10**14,
    },
    3: {
        "base_asset": 2, "quote_asset": 1, "price_scale": 5, "qty_scale": 3,
        "price_min_ticks": 1, "price_max_ticks": 10**7, "qty_min_lots": 1, "qty_max_lots": 9 * 10**6,
        "notional_min_atoms": 10**4, "notional_max_atoms": 10**12,
    },
}  # fmt: skip
_EVERY_SYMBOL = {
    "price_step_ticks": 1,
    "qty_step_lots": 1,
    "orders_max": MASS_CANCEL_MAX,  # so that CANCEL_ALL closes no more than a chunk of a mass cancel
    "maker_fee_ppm": _FEE_PPM,
    "taker_fee_ppm": _FEE_PPM,
}


class DemoImpossible(Exception):
    """The data directory holds another venue than the demo; the text is a sentence."""


def _command(kind: CommandKind, name: str = "", /, **fields: int) -> bytes:
    slot = slots(1)[0]
    fill_command(slot, kind, "", name, **fields)
    return bytes(slot)


def _what_exists(state: State) -> tuple[set[int], set[int], set[int]]:
    """Ids of assets, symbols and demo accounts."""
    return (
        {asset.asset for asset in readers.assets(state)},
        {symbol.symbol for symbol in readers.symbols(state)},
        {account for account in ACCOUNTS if readers.is_account(state, account)},
    )


def _commands(assets: set[int], symbols: set[int], accounts: set[int]) -> Iterator[bytes]:
    """What is missing, and the deposits."""
    for asset, (name, scale) in ASSETS.items():
        if asset not in assets:
            yield _command(CommandKind.ADD_ASSET, name, asset=asset, scale=scale)
    for symbol, fields in SYMBOLS.items():
        if symbol not in symbols:
            yield _command(CommandKind.ADD_SYMBOL, SYMBOL_NAMES[symbol], symbol=symbol, **fields, **_EVERY_SYMBOL)
    for account in ACCOUNTS:
        if account not in accounts:
            yield _command(CommandKind.OPEN_ACCOUNT, account=account, maker_fee_ppm=-1, taker_fee_ppm=-1)
    for account in ACCOUNTS:
        yield from _deposits(account)


def _deposits(account: int) -> Iterator[bytes]:
    """What an account begins with; again and again, because a repeated transfer id changes nothing."""
    for asset, coins in DEPOSITS.items():
        atoms = coins * 10 ** ASSETS[asset][1]
        transfer_id = account * 1_000 + asset
        yield _command(CommandKind.DEPOSIT, account=account, asset=asset, transfer_id=transfer_id, amount_atoms=atoms)


async def fund(pipeline: Pipeline, account: int) -> None:
    """Give a new account what everybody begins with. Raises PipelineError."""
    await asyncio.gather(*[pipeline.submit([command])[0] for command in _deposits(account)])


async def furnish(pipeline: Pipeline) -> None:
    """Make assets, symbols and funded accounts, as far as they are not there. Raises DemoImpossible."""
    existing, _ = pipeline.read(_what_exists)
    futures = [pipeline.submit([command])[0] for command in _commands(*existing)]
    for events in await asyncio.gather(*futures):
        event = order_event(events)
        if event.kind == EventKind.REJECTED:
            kind, code = CommandKind(event.command_kind).name, RejectCode(event.reject).name
            raise DemoImpossible(
                f"The data directory holds another venue than the demo: {kind} was refused with {code}."
            )


async def trade_with_itself(pipeline: Pipeline) -> None:
    """A sale, a purchase that meets it, an order that rests, two cancels of it; every reader once."""

    def order(account: int, side: Side, client_id: str, ticks: int) -> bytes:
        return place(account, 1, side, OrderType.LIMIT, TimeInForce.GTC, ticks, 1_000, client_id)

    alice, bob = ACCOUNTS
    await pipeline.submit([order(alice, Side.SELL, "sale", 6_000_000)])[0]
    await pipeline.submit([order(bob, Side.BUY, "purchase", 6_000_000)])[0]
    await pipeline.submit([order(bob, Side.BUY, "resting", 5_000_000)])[0]
    for account in ACCOUNTS:
        pipeline.read(readers.open_orders, account)
        pipeline.read(readers.balances, account)
        pipeline.read(readers.find_order, account, 0, "sale")
    for _ in range(2):
        await pipeline.submit([target(CommandKind.CANCEL, bob, client_id="resting")])[0]


async def draw_keys(ring: KeyRing) -> list[Created]:
    """One key for each demo account that has none; returns the new ones. Raises OSError."""
    return [
        await ring.create_demo(account, label)
        for account, label in ACCOUNTS.items()
        if not any(key.is_demo for key in ring.of(account))
    ]


def write_shell_keys(ring: KeyRing, path: pathlib.Path) -> None:
    """The demo keys as shell variables (ALICE_KEY, ALICE_SECRET, ...), mode 0600, for `first_trade` to source."""
    text = "".join(
        f"{label.upper()}_KEY={key.api_key}\n{label.upper()}_SECRET={key.secret.decode('ascii')}\n"
        for account, label in ACCOUNTS.items()
        for key in ring.of(account)
        if key.is_demo
    )
    replace_privately(path, text.encode())


def first_trade(shell_keys: pathlib.Path, url: str) -> str:
    """A POSIX shell script that needs curl and openssl: alice sells 0.01 BTC, bob buys it, bob sees his balances."""
    order = "symbol=BTC_USDT&type=LIMIT&timeInForce=GTC&quantity=0.01&price=60000"
    return f"""\
. {shlex.quote(str(shell_keys.resolve()))}
send() {{ q="${{5:+$5&}}timestamp=$(date +%s)000"; s=$(printf %s "$q" | openssl dgst -sha256 -hmac "$4" -r)
  curl -sS -X "$1" -H "X-MBX-APIKEY: $3" "{url}$2?$q&signature=${{s%% *}}"; echo; }}
send POST /v1/order "$ALICE_KEY" "$ALICE_SECRET" "{order}&side=SELL"
send POST /v1/order "$BOB_KEY" "$BOB_SECRET" "{order}&side=BUY"
send GET /v1/account "$BOB_KEY" "$BOB_SECRET" "omitZeroBalances=true"
"""


def key_lines(drawn: list[Created]) -> list[str]:
    """The keys that were just drawn, for the eyes of whoever started the demo."""
    return [
        line
        for key, secret in drawn
        for line in (f"{key.label} (account {key.account})", f"  key    {key.api_key}", f"  secret {secret}")
    ]
