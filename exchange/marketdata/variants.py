"""A stream in up to four variants: times in ms or us, payloads raw or wrapped; each is encoded once, if it is heard.

Owns the encodings of a message. A message is an `Encode`: a function from the unit of time (in ns) to the payload. It
is called once a unit that somebody listens to; the wrapped payload is the raw one between two constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from exchange.marketdata.aggregate import Tables
from exchange.marketdata.candles import Candles
from exchange.marketdata.feed import Feed
from exchange.marketdata.messages import text_frame
from exchange.marketdata.streams import ConflatedStream, Counts, Listener, Stream, Variant
from exchange.marketdata.tickers import Tickers

Encode = Callable[[int], bytes]
"""From NS_PER_MS or NS_PER_US to a JSON payload. What it encodes must not change once it is published."""


class Finishing(Protocol):
    """A stream that gathers until a batch of events ends."""

    def finish(self, is_whole: bool) -> None:
        """The batch has ended; `is_whole` tells whether the last command has ended too."""


class Source(NamedTuple):
    """What streams are made from. The dictionaries grow when a symbol is added."""

    feeds: dict[str, Feed]
    """By the symbol of stream names, "btcusdt", in the order of symbol ids."""
    tables: Tables
    counts: Counts
    lagging: set[ConflatedStream]
    unfinished: set[Finishing]
    """Streams that wait for the end of a command, or of a batch of events."""
    tickers: Tickers
    candles: Candles


class VariantStream:
    """A stream of facts: nothing is left out, a reader that is too slow is closed with a reason.

    Between `open` (before the first listener) and `close` (after the last) it may be fed.
    """

    period_s: float | None = None
    """How often `tick` is called; zero: with every published book; None: never."""

    def __init__(self, name: str, source: Source) -> None:
        self.name = name
        self.on_empty: Callable[[], None] = lambda: None
        self._source = source
        self._prefix = b'{"stream":"%b","data":' % name.encode()
        self._variants: dict[Variant, Stream] = {}

    def open(self) -> None:
        """The first listener is about to come."""

    def close(self) -> None:
        """The last listener has gone."""

    def tick(self) -> None:
        """A period has passed."""

    @property
    def has_listeners(self) -> bool:
        """Whether anybody hears any variant."""
        return any(stream.has_listeners for stream in self._variants.values())

    def join(self, listener: Listener) -> None:
        """Send `listener` everything from now on, in its variant."""
        self._variant(listener.variant).join(listener)

    def leave(self, listener: Listener) -> None:
        """Send `listener` nothing more."""
        if stream := self._variants.get(listener.variant):
            stream.leave(listener)

    def move(self, listener: Listener, variant: Variant) -> None:
        """Send `listener` what follows in another variant, without a hole; the caller sets `listener.variant`."""
        self._variant(variant).join(listener)
        self.leave(listener)

    def _variant(self, variant: Variant) -> Stream:
        if variant not in self._variants:
            self._variants[variant] = self._new_variant(variant)
        return self._variants[variant]

    def publish(self, messages: Sequence[Encode]) -> None:
        """Tell these messages to everybody: one write a listener however many they are."""
        encoded: dict[int, list[bytes]] = {}
        for variant, stream in self._variants.items():
            if stream.listeners:
                payloads = encoded.get(variant.unit_ns)
                if payloads is None:
                    payloads = encoded[variant.unit_ns] = [encode(variant.unit_ns) for encode in messages]
                frames = b"".join([self._frame(payload, variant) for payload in payloads])
                stream.publish(frames, len(payloads))

    def _frame(self, payload: bytes, variant: Variant) -> bytes:
        return text_frame(self._prefix + payload + b"}" if variant.is_wrapped else payload)

    def _new_variant(self, _variant: Variant) -> Stream:
        return Stream(self.name, self._source.counts, self._left)

    def _left(self) -> None:
        if not self.has_listeners:
            self.on_empty()


class PacedStream(VariantStream):
    """A stream of the latest: every `period_s`, if it has one, it tells what `make` returns.

    `make` returns None when nothing changed since it last returned a message; the first message tells how things are,
    None where there is nothing to tell yet. Who comes later, or was too slow, gets the last message once it has room.
    """

    def __init__(self, name: str, source: Source, period_s: float | None, make: Callable[[], Encode | None]) -> None:
        super().__init__(name, source)
        self.period_s = period_s
        self._make = make
        self._latest: Encode | None = None
        self._fresh_frames: dict[Variant, bytes] = {}

    def open(self) -> None:
        """Make the message that the first listener gets."""
        self._latest = self._make()

    def tick(self) -> None:
        """Tell what is new."""
        message = self._make()
        if message is not None:
            self.tell([message], message)

    def tell(self, messages: Sequence[Encode], latest: Encode) -> None:
        """Tell these messages; `latest` makes up for all of them where they were not heard."""
        self._latest = latest
        self._fresh_frames.clear()
        self.publish(messages)

    def _new_variant(self, variant: Variant) -> Stream:
        def fresh() -> bytes:
            return self._fresh(variant)

        return ConflatedStream(self.name, self._source.counts, self._source.lagging, fresh, self._left)

    def _fresh(self, variant: Variant) -> bytes:
        if self._latest is None:
            return b""
        if variant not in self._fresh_frames:
            self._fresh_frames[variant] = self._frame(self._latest(variant.unit_ns), variant)
            self._source.counts.messages_encoded += 1
        return self._fresh_frames[variant]
