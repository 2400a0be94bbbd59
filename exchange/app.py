"""The composition root: starts the parts in order, keeps time, stops them in the opposite order.

    lock ─► PostgreSQL ─► recovery ─► pipeline ─► back office ─► market data (WS_PORT) ─► gateway (HTTP_PORT)

Owns the order, the once-a-second loop, the signals and the exit code. Never handles a request. A graceful stop takes
nothing new, answers what is in flight, syncs, and ends with 0; a fault ends the process at once with the fault's own
code.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import pathlib
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import uvloop

from exchange.backoffice import Backoffice
from exchange.core import readers
from exchange.core.compile import kernels_are_cached
from exchange.datadir import DataDirectory
from exchange.disruptor.errors import PipelineFault
from exchange.disruptor.pipeline import Pipeline
from exchange.disruptor.still import StillPipeline
from exchange.follower import FollowerProcess
from exchange.gateway import demo
from exchange.gateway.live_candles import LiveCandles
from exchange.gateway.private.user_data import UserData
from exchange.gateway.server import Gateway
from exchange.gateway.venue import Venue
from exchange.marketdata.market import MarketData
from exchange.operating.skipping import Skipping
from exchange.poison import note
from exchange.progress import progress
from exchange.recovery import Recovered, recover
from exchange.settings import Settings, load
from exchange.timekeeper import Timekeeper
from exchange.users.keyring import Created

log = logging.getLogger("exchange.app")
Say = Callable[[str], None]
FAULT_GRACE_S = 0.2
"""After a fault, time for answers that say "unknown" to leave the process."""
AGAIN = -1
"""In place of an exit code: recover and serve once more."""
GC_THRESHOLDS = (50_000, 50, 100)
"""Python's own, 700 new objects, looks through all that is in flight every ten orders or so: 62 us of CPU an order over
the WebSocket API, 56 with these (medians of 12 alternating rounds)."""


class CannotListen(Exception):
    """A port that can not be had; a sentence that names the variable."""


class Parts(NamedTuple):
    """What runs."""

    pipeline: Pipeline
    market_data: MarketData
    user_data: UserData
    gateway: Gateway
    timekeeper: Timekeeper
    backoffice: Backoffice


async def _listen(variable: str, host: str, port: int, start: Callable[[str, int], object]) -> int:
    try:
        bound = await start(host, port)  # type: ignore[misc]  # both edges return an awaitable port
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CannotListen(f"{variable}={port} on EXCHANGE_HOST={host} can not be listened on: {reason}.") from None
    return int(bound)


def _pipeline(settings: Settings, recovered: Recovered) -> Pipeline:
    """The pipeline of an engine that may go on; one that stands still before a command that it can not survive."""
    sync = settings.sync == "always"
    if recovered.poison is not None:
        why = f"The venue stands HALTED before command {recovered.poison.sequence}, which its engine did not survive."
        return StillPipeline(recovered.engine, sync=sync, why=why)
    return Pipeline(
        recovered.engine,
        recovered.commands,
        recovered.events,
        sync=sync,
        loop=asyncio.get_running_loop(),
        ring_slots=settings.ring_slots,
    )


async def _start(
    directory: DataDirectory,
    settings: Settings,
    recovered: Recovered,
    backoffice: Backoffice,
    say: Say,
    on_fault: Callable[[PipelineFault], None],
    skipping: Skipping | None = None,
) -> Parts:
    """Start every part; returns when both ports are open."""
    pipeline = _pipeline(settings, recovered)
    market_data = MarketData(interval_s=settings.depth_interval_s, seen_until_ns=lambda: pipeline.told_until_ns)
    with progress("loading tickers", "events") as show:
        market_data.load_windows(directory.events, recovered.engine.state, show)
    market_data.seed(recovered.engine.state)
    user_data = UserData(pipeline.read, directory.events, recovered.events.last_sequence)
    pipeline.on_events(market_data.on_events)
    pipeline.on_events(user_data.on_events)
    pipeline.on_fault(on_fault)
    pipeline.start()
    await backoffice.start(pipeline, skipping)
    venue = Venue(
        settings,
        pipeline,
        backoffice.keys,
        market_data,
        user_data,
        history=backoffice.history,
        users=backoffice.users,
        history_health=backoffice.health,
    )
    symbols, _ = venue.read(readers.symbols)
    market_data.candles.source = LiveCandles(backoffice.history, lambda: pipeline.last_sequence, symbols)
    gateway = Gateway(venue)
    streams = functools.partial(market_data.start, door=gateway.door, private=venue.listen_keys.find)
    try:
        ws_port = await _listen("WS_PORT", settings.host, settings.ws_port, streams)
        http_port = await _listen("HTTP_PORT", settings.host, settings.http_port, gateway.start)
    except CannotListen:
        await backoffice.stop()
        raise
    directory.record_ports(http_port, ws_port)
    for line in _banner(directory, settings, pipeline.last_sequence, http_port, ws_port, backoffice.drawn):
        say(line)
    timekeeper = Timekeeper(pipeline, hash_every=settings.hash_every, hash_interval_s=settings.hash_interval_s)
    if not pipeline.is_still:
        timekeeper.start()
    return Parts(pipeline, market_data, user_data, gateway, timekeeper, backoffice)


def _banner(
    directory: DataDirectory, settings: Settings, sequence: int, http_port: int, ws_port: int, drawn: list[Created]
) -> Iterable[str]:
    """What whoever started it needs to know."""
    url = f"http://{settings.host}:{http_port}"
    yield f"{settings.service_name} is open at sequence {sequence}."
    yield f"  REST       {url}/v1/exchangeInfo"
    yield f"  WebSocket  ws://{settings.host}:{ws_port}/ws"
    yield f"  pages      {url}/docs"
    yield f"  data       {directory.path.resolve()}"
    if settings.sync == "always":
        yield "  sync       always: what is acknowledged is on the disk"
    else:
        yield "  sync       OFF: acknowledged after the write; a power cut may lose what was acknowledged"
    if not settings.demo:
        return
    if drawn:
        yield f"Demo keys, shown this once and kept in {directory.shell_keys} (mode 0600):"
        for line in demo.key_lines(drawn):
            yield f"  {line}"
    else:
        yield f"Demo keys are in {directory.shell_keys}."
    yield "A first trade, to copy and paste into another terminal (needs curl and openssl):"
    yield ""
    yield demo.first_trade(directory.shell_keys, url)
    yield f'Watch it: {{"action":"subscribe","channel":"trades","symbol":"BTC_USDT"}} to ws://{settings.host}:{ws_port}/ws'
    yield "Stop with Ctrl-C."


async def _stop(parts: Parts, settings: Settings) -> None:
    """Take nothing new, answer what is in flight, sync. Raises PipelineFault when that takes longer than allowed."""
    deadline_s = time.monotonic() + settings.stop_timeout_s
    parts.timekeeper.stop()
    try:
        parts.gateway.close()
        parts.user_data.close("The venue stops.")
        # At the same time: each port serves sockets of both.
        goodbye_s = settings.stop_timeout_s / 2
        await asyncio.gather(parts.market_data.stop(goodbye_s), parts.gateway.stop(goodbye_s))
    finally:
        await parts.pipeline.stop(max(0.1, deadline_s - time.monotonic()))
        await parts.backoffice.stop()


async def run(
    directory: DataDirectory, settings: Settings, recovered: Recovered, backoffice: Backoffice, say: Say
) -> int:
    """Serve until a signal (0), a fault (its exit code) or a SKIP (AGAIN).

    Raises CannotListen, KeysUnusable, DemoImpossible.
    """
    loop = asyncio.get_running_loop()
    stop_asked: asyncio.Future[PipelineFault | None] = loop.create_future()
    is_skipped = False

    def ask_stop(fault: PipelineFault | None = None) -> None:
        if not stop_asked.done():
            stop_asked.set_result(fault)

    def start_anew() -> None:
        nonlocal is_skipped
        is_skipped = True
        ask_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask_stop)
    skipping = _skipping(directory, recovered, start_anew)
    parts = await _start(directory, settings, recovered, backoffice, say, ask_stop, skipping)
    gc.collect()
    gc.freeze()  # what is there now stays; no collection has to look at it again
    gc.set_threshold(*GC_THRESHOLDS)
    follower = FollowerProcess(directory.path)
    while not stop_asked.done():
        parts.gateway.sweep()
        parts.backoffice.step()
        if not parts.pipeline.is_still:
            parts.timekeeper.step()
            follower.step()
        await asyncio.wait((stop_asked,), timeout=1.0)
    fault = stop_asked.result()
    if fault is None:
        say("Stopping: nothing new is taken, what is in flight is answered.")
        try:
            await _stop(parts, settings)
            await asyncio.to_thread(follower.stop)
        except PipelineFault as raised:
            fault = raised
    if fault is not None:
        sys.stderr.write(f"exchange: {fault.detail} {fault.hint}\n")
        if fault.sequence:
            note(directory.path, fault.sequence, fault.fault, starting=False)
        await asyncio.sleep(FAULT_GRACE_S)
        return fault.exit_code
    if is_skipped:
        return AGAIN
    say(f"Stopped at sequence {parts.pipeline.last_sequence}; everything acknowledged is on the disk.")
    return 0


def _skipping(directory: DataDirectory, recovered: Recovered, on_skipped: Callable[[], None]) -> Skipping | None:
    """What a venue that stands before a command can be told; None for one that does not."""
    if recovered.poison is None:
        return None
    return Skipping(directory.commands, recovered.commands, recovered.poison.sequence, recovered.last_ts_ns, on_skipped)


async def _warm(directory: DataDirectory, settings: Settings) -> None:
    """One demo exchange from start to stop, with a trade, a refusal, a cancel, a tick and a hash in between."""
    backoffice = Backoffice(directory, settings)
    recovered = recover(directory, settings, backoffice.open())
    parts = await _start(directory, settings, recovered, backoffice, lambda _line: None, lambda _fault: None)
    await demo.trade_with_itself(parts.pipeline)
    parts.timekeeper.step()
    await _stop(parts, settings)


def warm() -> None:
    """Run every kernel of a live exchange once, in a folder that is thrown away: fills the cache of kernels."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            "HTTP_PORT": "0",
            "WS_PORT": "0",
            "EXCHANGE_HASH_EVERY": "1",
            "EXCHANGE_SEGMENT_BYTES": str(1 << 20),
            "EXCHANGE_DATABASE": "off",
        }
        settings = load(environ, demo=True, data_dir=pathlib.Path(folder))
        with (
            DataDirectory(settings.data_dir) as directory,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(_warm(directory, settings))


def serve(settings: Settings, say: Say) -> int:
    """Recover, serve, stop; returns the exit code. Raises what `run` and recovery raise, DirectoryRefused, OSError."""
    for sentence in settings.notes:
        log.warning("%s", sentence)
    if not kernels_are_cached():
        say("Compiling the engine; this takes about a minute, once for each version.")
    with DataDirectory(settings.data_dir) as directory:
        while (code := _serve_once(directory, settings, say)) == AGAIN:
            say("A command is passed over; the venue starts anew.")
        return code


def _serve_once(directory: DataDirectory, settings: Settings, say: Say) -> int:
    backoffice = Backoffice(directory, settings)
    try:
        recovered = recover(directory, settings, backoffice.open())
        for line in recovered.report:
            say(line)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(run(directory, settings, recovered, backoffice, say))
            if code > 0:
                # Threads of a faulty pipeline may hang in the disk; nothing of them is worth waiting for. The
                # embedded server is told by the kernel that we have ended.
                sys.stdout.flush()
                os._exit(code)
            return code
    finally:
        backoffice.close()
