"""Letters to people: what is sent, and the interface of whoever sends it.

Owns the interface, the sender that writes to the log, and the outbox, which sends in the background so that neither a
slow server nor the number of a person's letters can be told from outside. Secrets of a letter are written to the log
in demo mode only.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple, Protocol

log = logging.getLogger("exchange.mail")
WAITING_MAX = 1000
SEND_S = 30.0


class Mail(NamedTuple):
    """One letter. `secret` is what only its receiver may see: it belongs below the text, "" when there is none."""

    to: str
    subject: str
    text: str
    secret: str = ""


class Mailer(Protocol):
    """Whoever sends letters. It may take its time and may fail; a letter is tried once."""

    async def send(self, mail: Mail) -> None:
        """Send one letter. What it raises is logged by its class only: a message may quote the letter."""


class LogMailer:
    """Writes letters to the log: whole in demo mode, else only that no mailer is configured."""

    def __init__(self, *, demo: bool) -> None:
        self._demo = demo

    async def send(self, mail: Mail) -> None:
        """Log one letter."""
        if self._demo:
            log.info("mail to %s: %s: %s%s", mail.to, mail.subject, mail.text, mail.secret and f" {mail.secret}")
        else:
            log.warning("No mailer is configured: the letter %r was not sent.", mail.subject)


class Outbox:
    """Letters on their way."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer
        self._sending: set[asyncio.Task[None]] = set()

    def post(self, mail: Mail) -> None:
        """Send a letter in the background; beyond WAITING_MAX on their way it is dropped, and the log says so."""
        if len(self._sending) >= WAITING_MAX:
            log.error("%d letters are on their way; one more was dropped", len(self._sending))
            return
        task = asyncio.create_task(self._send(mail))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def stop(self) -> None:
        """Give letters that are on their way a moment, then give them up."""
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=1.0)
            for task in late:
                task.cancel()

    async def _send(self, mail: Mail) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await self._mailer.send(mail)
        except Exception as error:  # noqa: BLE001  # a mailer is a plug-in: nothing of ours depends on it
            log.error("The letter %r was not sent: %s.", mail.subject, type(error).__name__)
