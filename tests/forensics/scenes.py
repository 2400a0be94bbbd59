"""Data directories with a small story in them, and the `exchange` program on one.

Owns the cast: account 16 makes, 17 takes, 18 is poor. BTC has 8 decimals and 5 in quantities, USDT 8 and 2 in prices;
fees are 0.01 % for makers and 0.02 % for takers.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
from typer.testing import CliRunner

from exchange.cli import app
from exchange.core.codes import CommandKind, OrderType, PegType, Side, StpMode, TimeInForce
from exchange.core.kernel import Engine
from exchange.core.records import slots
from tests.core.plans import command
from tests.persistence.journaled import BEGIN_NS, GROUP, STEP_NS, SYMBOL, Commands, JournaledVenue

MAKER, TAKER, POOR = 16, 17, 18
BTC, USDT = 1, 2
LIMIT = {"symbol": 1, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC}


def place(account: int, side: Side, price: int, lots: int, client_id: str = "", **fields: Any) -> np.ndarray[Any, Any]:
    """A PLACE; `price` in whole USDT, `lots` of 0.00001 BTC, LIMIT GTC unless fields say otherwise."""
    order = {**LIMIT, "account": account, "side": side, "price_ticks": price * 100, "qty_lots": lots, **fields}
    return command(CommandKind.PLACE, client_id=client_id, **order)


def cancel(account: int, order_id: int) -> np.ndarray[Any, Any]:
    """A CANCEL."""
    return command(CommandKind.CANCEL, account=account, order_id=order_id)


def opening() -> list[np.ndarray[Any, Any]]:
    """Ten commands: the venue, and money for the makers; 18 has 3000 USDT."""
    rows = [
        command(CommandKind.ADD_ASSET, asset=BTC, scale=8, name="BTC"),
        command(CommandKind.ADD_ASSET, asset=USDT, scale=8, name="USDT"),
        command(CommandKind.ADD_SYMBOL, **SYMBOL),
    ]
    accounts = (MAKER, TAKER, POOR)
    rows += [command(CommandKind.OPEN_ACCOUNT, account=who, maker_fee_ppm=-1, taker_fee_ppm=-1) for who in accounts]
    for transfer_id, (account, asset, amount) in enumerate(
        [(MAKER, BTC, 10), (MAKER, USDT, 1_000_000), (TAKER, USDT, 1_000_000), (POOR, USDT, 3_000)], 1
    ):
        rows.append(
            command(
                CommandKind.DEPOSIT, account=account, asset=asset, transfer_id=transfer_id, amount_atoms=amount * 10**8
            )
        )
    return rows


def story() -> Commands:
    """The commands of the story, after the ten of the opening; the comment is the sequence."""
    gtd: dict[str, Any] = {"time_in_force": TimeInForce.GTD, "expire_ts_ns": BEGIN_NS + 19 * STEP_NS}
    market: dict[str, Any] = {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC}
    rows = [
        *opening(),
        place(MAKER, Side.SELL, 60_000, 50_000, "first"),  # 11: order 1
        place(MAKER, Side.SELL, 60_000, 20_000, "second"),  # 12: order 2, behind order 1
        place(TAKER, Side.BUY, 60_000, 60_000, "taker"),  # 13: order 3 fills 1 and half of 2
        cancel(MAKER, 2),  # 14
        place(POOR, Side.BUY, 50_000, 10_000),  # 15: refused, needs 5000 USDT
        place(MAKER, Side.SELL, 61_000, 10_000, **gtd),  # 16: order 4
        place(TAKER, Side.BUY, 62_000, 4_000, time_in_force=TimeInForce.FOK),  # 17: order 5 takes of order 4
        place(TAKER, Side.BUY, 62_000, 9_000, time_in_force=TimeInForce.FOK),  # 18: order 6 can not be filled
        command(CommandKind.TICK),  # 19: order 4 expires
        place(MAKER, Side.BUY, 59_000, 1_000),  # 20: order 7
        place(MAKER, Side.SELL, 59_000, 3_000, stp_mode=StpMode.EXPIRE_MAKER),  # 21: order 8 ends order 7 and rests
        command(CommandKind.REDUCE, account=MAKER, order_id=8, symbol=1, qty_lots=2_000),  # 22
        command(CommandKind.HASH),  # 23
        place(TAKER, Side.BUY, 0, 5_000, **market),  # 24: order 9 takes order 8 and finds no more
        place(TAKER, Side.BUY, 100, 100, "waits"),  # 25: order 10 stays open
    ]
    return np.stack(rows)


def waiting() -> Commands:
    """Orders that wait, hide and follow, after the ten of the opening; the comment is the sequence."""
    stop: dict[str, Any] = {"order_type": OrderType.STOP_LOSS_LIMIT}
    market: dict[str, Any] = {"order_type": OrderType.STOP_LOSS, "time_in_force": TimeInForce.IOC}
    rows = [
        *opening(),
        place(MAKER, Side.SELL, 60_000, 1_000),  # 11: order 1
        place(TAKER, Side.BUY, 60_000, 1_000),  # 12: order 2; the last price is 60 000
        place(TAKER, Side.BUY, 61_500, 500, "stop", **stop, stop_price_ticks=6_100_000),  # 13: order 3 waits
        place(MAKER, Side.SELL, 0, 700, "trail", **market, trailing_bips=100),  # 14: order 4 follows
        place(MAKER, Side.SELL, 61_000, 5_000, "iceberg", iceberg_lots=1_000),  # 15: order 5 shows a fifth
        place(TAKER, Side.BUY, 61_000, 2_500),  # 16: order 6 trades at 61 000 and calls order 3
        place(TAKER, Side.BUY, 60_000, 2_000),  # 17: order 7
        place(MAKER, Side.SELL, 60_000, 500),  # 18: order 8 trades at 60 000 and calls order 4
        place(TAKER, Side.BUY, 0, 300, peg_type=PegType.PRIMARY_PEG),  # 19: order 9 stands behind order 7
        place(TAKER, Side.BUY, 0, 300, **stop, stop_price_ticks=5_900_000),  # 20: refused, has no price
        place(TAKER, Side.BUY, 62_000, 300, **stop, stop_price_ticks=5_900_000),  # 21: refused, would trigger
    ]
    return np.stack(rows)


def venue(path: pathlib.Path, commands: Commands | None = None) -> JournaledVenue:
    """A data directory in which commands were applied; close it."""
    found = JournaledVenue(path)
    found.apply(story() if commands is None else commands)
    return found


def told(path: pathlib.Path, commands: Commands | None = None) -> pathlib.Path:
    """The same, closed."""
    venue(path, commands).close()
    return path


def stamped(commands: Commands) -> Commands:
    """The commands with sequences from 1 and the times that `venue` gives them."""
    found = commands.copy()
    heads = np.arange(1, len(found) + 1, dtype=np.int64)
    found[:, :8] = heads.view(np.uint8).reshape(-1, 8)
    found[:, 8:16] = (BEGIN_NS + heads * STEP_NS).view(np.uint8).reshape(-1, 8)
    return found


def events_of(commands: Commands) -> Commands:
    """The events of a fresh engine."""
    return Engine().run(stamped(commands)).copy()


def journaled_only(path: pathlib.Path, commands: Commands, events: Commands | None = None) -> None:
    """A data directory whose journals hold this, whatever the engine would say to it."""
    found = JournaledVenue(path, 1 << 23)
    for writer, rows in zip(found._writers, (stamped(commands), slots(0) if events is None else events), strict=True):
        for first in range(0, len(rows), GROUP):
            writer.append(rows[first : first + GROUP])
    found.close()


def run(*arguments: str) -> tuple[int, str]:
    """(exit code, output) of the `exchange` program; on an error its sentence is the output."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def asked(*arguments: str, code: int = 0) -> dict[str, Any]:
    """The JSON that the program prints."""
    found, output = run(*arguments, "--json")
    assert found == code, output
    answer: dict[str, Any] = json.loads(output)
    return answer
