"""What the README and docs/orders.md show, pasted into a shell as it stands, against a demo exchange."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KEYS_LINE = ". ./var/demo-keys.env"
URL_LINE = "URL=http://127.0.0.1:8080"


@pytest.fixture(name="venue")
def fixture_venue(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """The data directory of a demo exchange that answers; it is stopped by SIGTERM and must end with 0."""
    environ = {**os.environ, "HTTP_PORT": "0", "WS_PORT": "0", "EXCHANGE_DATA_DIR": str(tmp_path / "var")}
    with subprocess.Popen(
        [sys.executable, "-m", "exchange", "serve", "--demo"],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            printed = []
            for line in server.stdout:
                printed.append(line)
                if "Ctrl-C" in line:
                    break
            assert server.poll() is None, "".join(printed)
            yield tmp_path / "var"
        finally:
            server.send_signal(signal.SIGTERM)
            server.stdout.read()
    assert server.returncode == 0


def _script(data_dir: pathlib.Path) -> str:
    """The pages' blocks, with nothing changed but where the keys lie and where the exchange listens."""
    pages = [(ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/orders.md")]
    blocks = re.findall(r"^```sh\n(.*?)^```", "\n".join(pages), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    port = json.loads((data_dir / "ports.json").read_text(encoding="utf-8"))["http"]
    script = "\n".join(blocks)
    assert KEYS_LINE in script
    assert URL_LINE in script
    return script.replace(KEYS_LINE, f". {data_dir}/demo-keys.env").replace(URL_LINE, f"URL=http://127.0.0.1:{port}")


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl")
def test_blocks_of_the_pages_pasted_into_a_shell_do_what_the_pages_say(venue: pathlib.Path) -> None:
    done = subprocess.run(["sh", "-eu"], input=_script(venue), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    answers = [json.loads(line) for line in done.stdout.splitlines() if line]
    sell, buy, account, depth = answers[:4]
    assert (sell["side"], sell["status"]) == ("SELL", "NEW")
    assert (buy["side"], buy["status"], buy["executedQty"]) == ("BUY", "FILLED", "0.01000000")
    balances: dict[str, dict[str, Any]] = {balance["asset"]: balance for balance in account["balances"]}
    # 100 BTC and 10,000,000 USDT to begin with; 0.01 BTC bought at 60,000 with a fee of 0.1 % in BTC.
    assert (balances["BTC"]["free"], balances["BTC"]["locked"]) == ("100.00999000", "0.00000000")
    assert (balances["USDT"]["free"], balances["USDT"]["locked"]) == ("9999400.00000000", "0.00000000")
    assert depth["bids"] == []
    _assert_carol_sees_her_trade(answers[4:9])
    _assert_what_waits_is_placed_and_taken_back(answers[9:])
    _wait_until_the_book_is_empty(venue)


def _assert_carol_sees_her_trade(answers: list[Any]) -> None:
    """What the second block prints: a registration, two orders, her trade, her ledger in BTC."""
    registered, sell, buy, trades, ledger = answers
    assert registered == {"status": "registered"}
    assert (sell["status"], buy["status"]) == ("NEW", "FILLED")
    assert [(trade["orderId"], trade["qty"], trade["commission"]) for trade in trades] == [
        (buy["orderId"], "0.01000000", "0.00001000")
    ]
    changes = [(entry["type"], posting["available"]) for entry in ledger for posting in entry["postings"]]
    assert changes == [("DEPOSIT", "100.00000000"), ("TRADE", "0.00999000")]


def _assert_what_waits_is_placed_and_taken_back(answers: list[Any]) -> None:
    """What the block of docs/orders.md prints."""
    stop, iceberg, pair, _, canceled = answers
    assert (stop["type"], stop["stopPrice"], stop["workingTime"]) == ("STOP_LOSS", "59000.00000000", -1)
    assert (iceberg["icebergQty"], iceberg["origQty"], iceberg["status"]) == ("0.10000000", "0.50000000", "NEW")
    assert (pair["contingencyType"], pair["listOrderStatus"]) == ("OCO", "EXECUTING")
    *orders, ended = canceled
    assert [order["orderId"] for order in orders] == [stop["orderId"], iceberg["orderId"]]
    assert (ended["orderListId"], ended["listOrderStatus"]) == (pair["orderListId"], "ALL_DONE")
    assert [leg["orderId"] for leg in ended["orderReports"]] == [leg["orderId"] for leg in pair["orders"]]


def _wait_until_the_book_is_empty(data_dir: pathlib.Path) -> None:
    """Returns when the published book, which is up to an interval old, has no orders left."""
    port = json.loads((data_dir / "ports.json").read_text(encoding="utf-8"))["http"]
    deadline_s = time.monotonic() + 30
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/depth?symbol=BTC_USDT") as answer:
            book = json.load(answer)
        if book["asks"] == book["bids"] == []:
            return
        assert time.monotonic() < deadline_s, book
