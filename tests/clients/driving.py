"""Runs a client's program in the client's own environment against a running exchange, and reads how it went.

The environments are made by `make clients`; without one, its test is skipped and says so. A program that plays fewer
scenes than the test expects has failed, whatever its exit code.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.gateway.running import Exchange

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DAY_S = 400
"""A whole day must be over by then, however slow the machine."""


def python_of(client: str) -> pathlib.Path:
    """The interpreter of a client's environment; skips the test where there is none."""
    python = pathlib.Path(sys.prefix, "clients", client, "bin", "python")
    if not python.with_name("pip").exists():
        pytest.skip(f"{client} is not installed: make clients")
    return python


def day(client: str, program: str, exchange: Exchange, *arguments: str, ws_port: str = "http") -> list[str]:
    """Play a day and return the names of its scenes; fails with the traceback of every scene that failed."""
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    done = subprocess.run(
        [python_of(client), "-m", f"tests.clients.scripts.{program}", *arguments],
        cwd=ROOT,
        env={
            **{name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "HOME") if name in os.environ},
            "HTTP_URL": f"http://127.0.0.1:{exchange.ports['http']}",
            "WS_URL": f"ws://127.0.0.1:{exchange.ports[ws_port]}",
            "ALICE_KEY": alice.api_key,
            "ALICE_SECRET": alice.secret,
            "BOB_KEY": bob.api_key,
            "BOB_SECRET": bob.secret,
        },
        capture_output=True,
        text=True,
        timeout=DAY_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    went: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    failed = [f"--- {scene}\n{trace}" for scene, trace in went.items() if trace is not None]
    assert not failed, "\n".join(failed) + done.stderr
    return list(went)
