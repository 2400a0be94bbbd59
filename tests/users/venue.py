"""A whole exchange in a process of its own, people who talk to it, and what the operator can see of it."""

from __future__ import annotations

import asyncio
import hmac
import itertools
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from exchange.control import ask
from exchange.persistence.database import Target
from exchange.settings import load
from tests.gateway.running import Answer, Exchange, Trader

PASSWORD = "correct horse battery"
ALICE, BOB = 16, 17
WAIT_S = 60.0
_numbers = itertools.count(1)


def fetch(data_dir: pathlib.Path, query: str, *arguments: object) -> list[Any]:
    """Rows out of the embedded database of an exchange that runs."""

    async def ask_it() -> list[Any]:
        connection = await Target.of(load({}, demo=True), data_dir / "postgres").connect("tests")
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    return asyncio.run(ask_it())


def until(condition: Callable[[], object]) -> None:
    """Return when a condition holds."""
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.02)


def start(exchange: Exchange) -> Exchange:
    """Start a demo exchange; returns when alice and bob have their rows, so that keys can be made for them."""
    exchange.start()
    count = "select from exchange_user.users where account in (16, 17)"
    until(lambda: len(fetch(exchange.data_dir, count)) == 2)
    return exchange


def cli(exchange: Exchange, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of an operator's command."""
    command = [sys.executable, "-m", "exchange", *arguments, "--data-dir", str(exchange.data_dir)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def new_key(exchange: Exchange, account: int = ALICE, **arguments: object) -> tuple[dict[str, Any], Trader]:
    """A key that the operator makes, and a trader who signs with it."""
    made = ask(exchange.data_dir, "key.create", {"account": account, **arguments})
    return made, Trader(exchange.ports["http"], made["apiKey"], made.get("secret", ""))


def signature(secret: str, payload: str) -> str:
    """HMAC-SHA256 in hex."""
    return hmac.digest(secret.encode(), payload.encode(), "sha256").hex()


def stamp() -> str:
    """timestamp and the longest window, as parameters."""
    return f"timestamp={time.time_ns() // 1_000_000}&recvWindow=60000"


class Person:
    """Somebody with an email of their own, registered and logged in."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.email = f"somebody{next(_numbers)}@example.org"
        self.token = ""
        assert self.send("POST", "/v1/user/register", email=self.email, password=PASSWORD).status == 202
        answer = self.send("POST", "/v1/user/login", email=self.email, password=PASSWORD)
        assert answer.status == 200, answer
        self.token, self.account = answer.json["token"], answer.json["uid"]

    def send(self, method: str, path: str, /, **form: object) -> Answer:
        """A request with a form body and this person's token."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        body = urlencode(form).encode()
        return Trader(self.exchange.ports["http"], "", "").send(method, path, body, headers)

    def new_key(self, **form: object) -> Answer:
        """Ask for a key of one's own."""
        return self.send("POST", "/v1/user/keys", **{"password": PASSWORD, **form})

    def trader(self, **form: object) -> Trader:
        """A trader with a new key of this person."""
        made = self.new_key(**form)
        assert made.status == 200, made
        return Trader(self.exchange.ports["http"], made.json["apiKey"], made.json["secretKey"])
