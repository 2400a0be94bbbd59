"""Who listens to which account, from where on, and the way of an event to all of them.

Owns the mirrors of the accounts that somebody listens to, the subscriptions, and the count of the venue's events. All
calls come on the event loop's thread. While nobody listens, an event costs nothing. A message is encoded once a unit of
time, however many listen. A subscription that resumes gets what the journal has up to the moment it began, then what
came meanwhile, then what comes: the three meet at one event, so nothing is missing and nothing comes twice.

Never waits for a listener; never thins a stream. Who can not keep up is told where to resume from, and forgotten.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from exchange.core import readers
from exchange.core.codes import EventFlag, EventKind, Limit
from exchange.core.readers import OrderView
from exchange.core.records import RECORD_BYTES, slots
from exchange.core.state import LIMIT_MAX, State
from exchange.disruptor.interest import pick, view_events_of
from exchange.disruptor.replies import BATCH_SLOTS
from exchange.gateway.errors import Refusal, not_valid
from exchange.gateway.private import past
from exchange.gateway.private.messages import MESSAGES_PER_EVENT, Message, encode, last_sequence
from exchange.gateway.private.mirror import Mirror, accounts_of, decode, mirror_of
from exchange.gateway.private.resume import Told, closed_orders, orders_needed, tell_again
from exchange.gateway.private.subscriptions import Sink, Subscription
from exchange.gateway.symbols import Reference
from exchange.gateway.wire import FLAGS_AT, KIND_AT
from exchange.marketdata.names import wire_symbol
from journal.errors import Refused

log = logging.getLogger("exchange.gateway.private")
NS_PER_MS = 1_000_000
CAN_NOT_RESUME = -2090
_TOO_OLD = "This sequence is too old to resume from. Fetch the account and its open orders, and subscribe without it."
_BUSY = "Too many streams are being resumed. Please try again."
_FULL = "The venue has as many private streams as it may."
_UNREADABLE = "What came after this sequence can not be read now. Please try again."
_SLICE = 256
_FOUND_AT_ONCE = 16
"""Orders asked of the engine under one hold, 0.2 ms."""
_ADDING = (EventKind.ASSET_ADDED, EventKind.SYMBOL_ADDED)


class Limits(NamedTuple):
    """Bounds on everything that listeners can make grow."""

    subscriptions: int = 20_000
    backlog: int = 100_000
    """Messages that wait for one subscription to catch up."""
    resumes: int = 2
    """At the same time, each in a thread."""
    resumes_waiting: int = 64
    cancel_ids: int = 65_536
    """Client ids of cancels that are remembered."""
    reading: past.Limits = past.Limits()


DEFAULT_LIMITS = Limits()


class Statistics(NamedTuple):
    """How much there is now, and how many messages were encoded."""

    accounts: int
    subscriptions: int
    encoded: int


class _Feed:
    """The live stream of one account."""

    def __init__(self, mirror: Mirror, since: int) -> None:
        self.mirror = mirror
        self.since = since
        """The event that the mirror was copied behind; earlier ones are in it."""
        self.previous = last_sequence(since)
        self.by_unit: dict[int, list[Subscription]] = {}


def _standing(state: State, account: int) -> tuple[int, list[OrderView], list[tuple[int, int, int]]]:
    """(events so far, open orders, balances) of an account at one moment, between two commands."""
    return int(state.header[0].event_count), readers.open_orders(state, account), readers.balances(state, account)


def _spelled(state: State) -> Reference:
    """Assets and symbols as they are now, as Binance spells them."""
    return Reference(readers.assets(state), readers.symbols(state), wire_symbol)


def _event_count(state: State) -> int:
    return int(state.header[0].event_count)


class UserData:
    """The private events of a venue."""

    def __init__(
        self,
        read: Callable[..., tuple[Any, int]],
        events_dir: Path,
        event_count: int,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """`read` is the pipeline's; `event_count` is the ordinal of the last event before those `on_events` gets."""
        self._read = read
        self._reference: Reference = read(_spelled)[0]
        self._events_dir = events_dir
        self._ordinal = event_count
        self._limits = limits
        self._feeds: dict[int, _Feed] = {}
        self._told_now: dict[int, _Feed] = {}
        self._marked = np.zeros(LIMIT_MAX[Limit.ACCOUNTS] + 1, np.uint8)
        self._carried = np.zeros(1, np.int64)
        self._found = np.zeros(BATCH_SLOTS, np.int64)
        pick(view_events_of(slots(1), 1), self._marked, self._carried, self._found)  # compiled now, not for a listener
        self._cancel_ids: dict[int, str] = {}
        self._resuming = asyncio.Semaphore(limits.resumes)
        # A thread can not be stopped: that of a listener who has gone away takes a place here until it is done.
        self._threads = ThreadPoolExecutor(limits.resumes, "resume")
        self._waiting = 0
        self._subscriptions = 0
        self._encoded = 0

    def statistics(self) -> Statistics:
        """How many listen, and how much was encoded."""
        return Statistics(len(self._feeds), self._subscriptions, self._encoded)

    def name_cancel(self, sequence: int, cancel_id: str) -> None:
        """Remember the client id that the CANCEL of this sequence was sent with; right after it was submitted.

        The engine does not know it. It is remembered for the last ones only, and not across a restart: then, and for a
        cancel without one, the report has `answers.cancel_id_of` the order.
        """
        self._cancel_ids[sequence] = cancel_id
        if len(self._cancel_ids) > self._limits.cancel_ids:
            del self._cancel_ids[next(iter(self._cancel_ids))]

    # ---- events ---------------------------------------------------------------------------------------------------

    def on_events(self, view: memoryview, count: int) -> None:
        """Take a batch of events; the pipeline's listener."""
        first = self._ordinal + 1
        self._ordinal += count
        if not self._feeds:
            return
        if count > len(self._found):
            self._found = np.zeros(count, np.int64)
        found = pick(view_events_of(view, count), self._marked, self._carried, self._found)
        for index in self._found[:found].tolist():
            self._take(bytes(view[index * RECORD_BYTES : (index + 1) * RECORD_BYTES]), first + index)

    def _take(self, slot: bytes, ordinal: int) -> None:
        if slot[KIND_AT] in _ADDING:
            self._renew_reference()
        event, is_last = decode(slot), bool(slot[FLAGS_AT] & EventFlag.LAST)
        for account in accounts_of(event):
            feed = self._feeds.get(account)
            if feed is not None and ordinal > feed.since:
                self._told_now[account] = feed
                if not is_last:
                    self._publish(feed, feed.mirror.tell(event, ordinal, is_last))
        if is_last:
            told_now, self._told_now = self._told_now, {}
            for feed in told_now.values():
                self._publish(feed, feed.mirror.tell(event, ordinal, is_last))

    def _publish(self, feed: _Feed, told: list[tuple[int, Message]]) -> None:
        for sequence, message in told:
            previous, feed.previous = feed.previous, sequence
            for unit_ns, subscriptions in tuple(feed.by_unit.items()):
                payload = encode(message, unit_ns, sequence, previous)
                self._encoded += 1
                for subscription in tuple(subscriptions):
                    self._offer(subscription, payload, sequence, previous)

    def _offer(self, subscription: Subscription, payload: bytes, sequence: int, previous: int) -> None:
        if subscription.ended:
            return
        if subscription.backlog is None:
            subscription.send(payload, sequence, previous)
        elif len(subscription.backlog) < self._limits.backlog:
            subscription.backlog.append((payload, sequence, previous))
        else:
            self.terminate(subscription, "The stream is too far behind.")

    def _renew_reference(self) -> None:
        self._reference = self._read(_spelled)[0]
        for feed in self._feeds.values():
            feed.mirror.reference = self._reference

    # ---- listeners ------------------------------------------------------------------------------------------------

    async def subscribe(
        self,
        account: int,
        sink: Sink,
        *,
        from_sequence: int | None = None,
        unit_ns: int = NS_PER_MS,
        drain: Callable[[], Awaitable[object]] | None = None,
    ) -> Subscription:
        """Send `sink` everything of an account from now on, or everything behind a sequence. Raises Refusal.

        Nothing is sent before the caller waits for something: it can answer first. `drain` is awaited between slices of
        what was missed; it does not raise.
        """
        if self._subscriptions >= self._limits.subscriptions:
            raise Refusal(503, -1008, _FULL)
        if from_sequence is not None and not 0 <= from_sequence <= last_sequence(self._read(_event_count)[0]):
            raise not_valid("fromSequence")
        feed = self._feeds.get(account) or self._begin(account)
        joined = max(self._ordinal, feed.since)
        sequence = last_sequence(joined) if from_sequence is None else from_sequence
        subscription = Subscription(account, sink, unit_ns, sequence)
        feed.by_unit.setdefault(unit_ns, []).append(subscription)
        self._subscriptions += 1
        if sequence < last_sequence(joined):
            subscription.backlog = deque()
            try:
                missed = await self._missed(feed.mirror, joined, subscription)
            except BaseException:
                self.unsubscribe(subscription)
                raise
            if subscription.ended:
                raise Refusal(503, -1001, subscription.ended)
            subscription.catching_up = asyncio.create_task(self._catch_up(subscription, missed, drain))
        subscription.is_given = True
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Send it nothing more; the last one of an account takes the account's memory along."""
        if subscription.ended:
            return
        subscription.ended = "The listener has left."
        subscription.backlog = None
        if subscription.catching_up:
            subscription.catching_up.cancel()
        account, unit_ns = subscription.account, subscription.unit_ns
        feed = self._feeds[account]
        feed.by_unit[unit_ns].remove(subscription)
        self._subscriptions -= 1
        if not feed.by_unit[unit_ns]:
            del feed.by_unit[unit_ns]
        if not feed.by_unit:
            del self._feeds[account]
            self._told_now.pop(account, None)
            self._marked[account] = 0

    def terminate(self, whose: int | Subscription, reason: str) -> None:
        """Tell a listener, or everyone who listens to an account, that the stream ends, why, and where to resume."""
        if isinstance(whose, Subscription):
            of_account = [whose]
        else:
            feed = self._feeds.get(whose)
            of_account = [one for many in feed.by_unit.values() for one in many] if feed else []
        for subscription in of_account:
            if not subscription.ended:
                self.unsubscribe(subscription)
                subscription.end(reason)

    def close(self, reason: str) -> None:
        """The venue stops: tell everyone."""
        for account in tuple(self._feeds):
            self.terminate(account, reason)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, account: int) -> _Feed:
        """A live stream that begins where the engine stands, which may be ahead of the events that came here."""
        (event_count, open_orders, balances), _ = self._read(_standing, account)
        if not self._feeds:
            self._renew_reference()
        mirror = mirror_of(account, self._reference, self._cancel_ids, open_orders, balances)
        feed = self._feeds[account] = _Feed(mirror, event_count)
        self._marked[account] = 1
        return feed

    # ---- resuming -------------------------------------------------------------------------------------------------

    async def _missed(self, mirror: Mirror, joined: int, subscription: Subscription) -> Told:
        """What there was between the subscription's sequence and the end of the event `joined`. Raises Refusal."""
        first = max(1, subscription.sequence // MESSAGES_PER_EVENT)
        if joined - first >= self._limits.reading.events:
            raise Refusal(400, CAN_NOT_RESUME, _TOO_OLD)
        if self._waiting >= self._limits.resumes_waiting:
            raise Refusal(503, -1008, _BUSY)
        mirror = mirror.copy(self._read(_spelled)[0])
        in_thread = asyncio.get_running_loop().run_in_executor
        self._waiting += 1
        try:
            async with self._resuming:
                seen = await in_thread(
                    self._threads,
                    past.events_between,
                    self._events_dir,
                    mirror.account,
                    first,
                    joined,
                    self._limits.reading,
                )
                closed = await self._closed(mirror.account, orders_needed(mirror, seen))
                return await in_thread(
                    self._threads, tell_again, mirror, seen, closed, subscription.sequence, subscription.unit_ns
                )
        except past.TooOld:
            raise Refusal(400, CAN_NOT_RESUME, _TOO_OLD) from None
        except (past.NotWritten, Refused, OSError) as error:
            log.warning("A private stream of account %d can not be resumed: %r", mirror.account, error)
            raise Refusal(503, -1001, _UNREADABLE) from None
        finally:
            self._waiting -= 1

    async def _closed(self, account: int, order_ids: list[int]) -> list[OrderView]:
        """Orders that closed lately, a few at a time. Raises past.TooOld when the engine has forgotten one."""
        closed: list[OrderView] = []
        for at in range(0, len(order_ids), _FOUND_AT_ONCE):
            wanted = order_ids[at : at + _FOUND_AT_ONCE]
            found, _ = self._read(closed_orders, account, wanted)
            if len(found) < len(wanted):
                raise past.TooOld
            closed += found
            await asyncio.sleep(0)
        return closed

    async def _catch_up(
        self, subscription: Subscription, missed: Told, drain: Callable[[], Awaitable[object]] | None
    ) -> None:
        """Give a listener what it missed, then what has come meanwhile, then let the live stream take over."""
        for at in range(0, len(missed), _SLICE):
            for payload, sequence in missed[at : at + _SLICE]:
                subscription.send(payload, sequence, 0)
            await _pause(drain)
        while subscription.backlog:
            for _ in range(min(_SLICE, len(subscription.backlog))):
                subscription.send(*subscription.backlog.popleft())
            await _pause(drain)
        subscription.backlog = None


async def _pause(drain: Callable[[], Awaitable[object]] | None) -> None:
    """Give everybody else a turn, also when the listener reads as fast as it is told and need not be waited for."""
    await asyncio.sleep(0)
    if drain:
        await drain()
