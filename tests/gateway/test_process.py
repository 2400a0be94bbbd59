"""The process as its operator sees it: exit codes, sentences, keys, restarts, and the first trade of the banner."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys

import pytest

from exchange.datadir import DataDirectory
from tests.gateway.running import Exchange

SECRETS = {
    "INTERNAL_TOKEN": "0123456789abcdef",
    "AUTH_TOKEN_SECRET": "fedcba9876543210",
    "EXCHANGE_MASTER_KEY": "0f" * 32,
}


def run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of the `exchange` command."""
    done = subprocess.run(
        [sys.executable, "-m", "exchange", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def assert_one_sentence(stderr: str) -> None:
    """One line that names the program and is no stack trace."""
    assert stderr.startswith("exchange: ")
    assert stderr.count("\n") == 1
    assert "Traceback" not in stderr


def test_version_and_help_need_no_heavy_import() -> None:
    script = (
        "import sys; sys.argv[1:] = [sys.argv[1]] if sys.argv[1] != 'serve' else ['serve', '--help']\n"
        "from exchange.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'numba', 'aiohttp', 'uvloop'} & set(sys.modules)))"
    )
    for argument, word in (("--version", "exchange 0."), ("--help", "market-replay"), ("serve", "EXCHANGE_SYNC")):
        done = subprocess.run([sys.executable, "-c", script, argument], capture_output=True, text=True, check=True)
        assert word in done.stdout
        assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("arguments", "environ", "word"),
    [
        (("serve", "--demo"), {"HTTP_PORT": "eighty"}, "HTTP_PORT must be"),
        (("serve", "--demo"), {"EXCHANGE_SYNC": "maybe"}, "EXCHANGE_SYNC must be one of always, off"),
        (("serve",), {"INTERNAL_TOKEN": "", "AUTH_TOKEN_SECRET": ""}, "INTERNAL_TOKEN is not set"),
    ],
)
def test_wrong_setting_is_a_sentence_and_exit_2(arguments: tuple[str, ...], environ: dict[str, str], word: str) -> None:
    code, stdout, stderr = run(*arguments, **environ)
    assert (code, stdout) == (2, "")
    assert_one_sentence(stderr)
    assert word in stderr


def test_unknown_option_is_exit_2() -> None:
    assert run("serve", "--nonsense")[0] == 2


def test_second_process_on_a_data_directory_is_refused(tmp_path: pathlib.Path) -> None:
    with DataDirectory(tmp_path / "var"):
        code, _, stderr = run("serve", "--demo", "--data-dir", str(tmp_path / "var"))
    assert code == 78
    assert_one_sentence(stderr)
    assert "is in use by another process" in stderr


def test_port_in_use_is_a_sentence_and_exit_2(tmp_path: pathlib.Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, stderr = run("serve", "--demo", EXCHANGE_DATA_DIR=str(tmp_path), HTTP_PORT=str(port), WS_PORT="0")
    assert code == 2
    *logged, last = stderr.splitlines(keepends=True)
    assert_one_sentence(last)
    assert f"HTTP_PORT={port}" in last
    assert all(" INFO " in line or " WARNING " in line for line in logged)
    assert not (tmp_path / "control.sock").exists()


def test_data_directory_that_can_not_be_made_is_exit_74(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, stderr = run("serve", "--demo", EXCHANGE_DATA_DIR=str(tmp_path / "file" / "var"))
    assert code == 74
    assert_one_sentence(stderr)


def test_cluster_id_that_is_lost_while_there_are_journals_is_refused(tmp_path: pathlib.Path) -> None:
    with DataDirectory(tmp_path) as directory:
        (directory.commands / "00000001.journal").write_bytes(b"x")
    (tmp_path / "cluster.json").unlink()
    code, _, stderr = run("serve", "--demo", EXCHANGE_DATA_DIR=str(tmp_path))
    assert code == 78
    assert_one_sentence(stderr)


def test_keys_that_others_can_read_are_refused(tmp_path: pathlib.Path) -> None:
    keys = tmp_path / "keyring.jsonl"
    keys.write_text("")
    keys.chmod(0o644)
    code, _, stderr = run("serve", "--demo", EXCHANGE_DATA_DIR=str(tmp_path), HTTP_PORT="0", WS_PORT="0")
    assert code == 78
    assert f"chmod 600 {keys}" in stderr


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl")
def test_first_trade_of_the_banner_works_in_a_shell(tmp_path: pathlib.Path) -> None:
    exchange = Exchange(tmp_path / "a 'quoted' var").start()
    lines = exchange.lines
    first = next(number for number, line in enumerate(lines) if line.startswith(". "))
    script = "\n".join(lines[first : lines.index("", first)])
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True)
    sale, purchase, account = (json.loads(line) for line in done.stdout.splitlines())
    assert (sale["status"], purchase["status"]) == ("NEW", "FILLED")
    assert {row["asset"]: row["free"] for row in account["balances"]}["USDT"] == "9999400.00000000"
    assert exchange.stop() == 0


def test_restart_keeps_keys_orders_and_balances_and_prints_no_secret_again(tmp_path: pathlib.Path) -> None:
    exchange = Exchange(tmp_path / "var").start()
    printed = "\n".join(exchange.lines)
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    assert alice.secret in printed
    assert stat.S_IMODE((tmp_path / "var" / "keyring.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "var" / "demo-keys.env").stat().st_mode) == 0o600
    alice.order("SELL", "0.5", "60000", newClientOrderId="kept")
    bob.order("BUY", "0.2", "60000")
    balances = alice.balances(), bob.balances()
    order = alice.call("GET", "/v1/order", symbol="BTC_USDT", origClientOrderId="kept").json
    exchange.stop(signal.SIGKILL)
    exchange.start()
    assert alice.secret not in "\n".join([*exchange.lines, *exchange.errors])
    again, bob = exchange.trader("alice"), exchange.trader("bob")
    assert again.secret == alice.secret
    assert (again.balances(), bob.balances()) == balances
    assert again.call("GET", "/v1/order", symbol="BTC_USDT", origClientOrderId="kept").json == order
    assert again.order("SELL", "0.5", "60000", newClientOrderId="kept").json["duplicate"] is True
    assert exchange.stop(signal.SIGINT) == 0
    assert exchange.lines[-1].startswith("Stopped at sequence")


def test_demo_keys_are_refused_outside_demo_mode(tmp_path: pathlib.Path) -> None:
    exchange = Exchange(tmp_path / "var").start()
    assert exchange.stop() == 0
    strict = Exchange(tmp_path / "var", demo=False, environ=SECRETS).start()
    denied = strict.trader("alice").call("GET", "/v1/account")
    assert (denied.status, denied.json["code"]) == (401, -2015)
    assert strict.trader("alice").public("/health").json["demo"] is False
    assert strict.stop() == 0
    assert any("2 demo keys" in line for line in strict.errors)


def test_sync_off_is_said_by_banner_and_health(tmp_path: pathlib.Path) -> None:
    exchange = Exchange(tmp_path / "var", environ={"EXCHANGE_SYNC": "off"}).start()
    assert any("sync       OFF" in line for line in exchange.lines)
    health = exchange.trader("alice").public("/health").json
    assert (health["sync"], health["durable"]) == ("off", False)
    assert exchange.stop() == 0


def test_ports_are_recorded_while_it_runs_and_forgotten_after(tmp_path: pathlib.Path) -> None:
    exchange = Exchange(tmp_path / "var").start()
    assert json.loads((tmp_path / "var" / "ports.json").read_text())["pid"] == exchange.pid
    assert exchange.stop() == 0
    assert not (tmp_path / "var" / "ports.json").exists()
