"""One listener's place in the stream of one account.

Owns what a listener has and what waits for it. Never decides who listens to what. A message that the listener has is
never sent again, and none is left out.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

from exchange.gateway.private.messages import restated, terminated


class Sink(Protocol):
    """Where the messages of one subscription go."""

    def event(self, payload: bytes, sequence: int) -> None:
        """Take one message, a JSON object without envelope. Does not wait and does not raise."""


class Subscription:
    """One listener's place in the stream of one account."""

    def __init__(self, account: int, sink: Sink, unit_ns: int, sequence: int) -> None:
        self.account = account
        self.unit_ns = unit_ns
        self.sequence = sequence
        """Where the stream stood at the beginning: everything after it comes."""
        self.known = sequence
        """The last sequence that the listener has."""
        self.backlog: deque[tuple[bytes, int, int]] | None = None
        """Messages that came while the subscription is not caught up; None: it is."""
        self.ended = ""
        """Why it is no more."""
        self.catching_up: asyncio.Task[None] | None = None
        self.is_given = False
        """Whether who subscribed has it: before that, the end is a Refusal."""
        self._sink = sink

    def send(self, payload: bytes, sequence: int, previous: int) -> None:
        """Give a message to the listener, unless it has it.

        `previous` of an account's very first live message is only where its stream began. To who resumed from before
        that it is restated as what they have, or they would see a gap that is none.
        """
        if sequence > self.known and not self.ended:
            self._sink.event(restated(payload, self.known) if previous > self.known else payload, sequence)
            self.known = sequence

    def end(self, reason: str) -> None:
        """Tell the listener that nothing more comes, and why."""
        self.ended = reason
        if self.is_given:
            self._sink.event(terminated(time.time_ns(), self.unit_ns, reason, self.known), self.known)
