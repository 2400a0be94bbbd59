"""Errors of trading and of market data that need more than one request, or a part that is not well."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator

from exchange.core.codes import CommandFlag, CommandKind, Limit, ListRole, ListType, OrderType, Side, TimeInForce
from exchange.core.kernel import Engine
from exchange.disruptor.errors import Refused
from exchange.disruptor.pipeline import Pipeline
from exchange.gateway.history_reading import History
from exchange.gateway.routes import ROUTES, Route
from exchange.gateway.unfilled import UnfilledOrders
from exchange.gateway.wire import target
from exchange.persistence.watermark import Watermark
from journal.format import Stream
from tests.core.plans import command
from tests.disruptor.running import begin
from tests.gateway.openapi.stage import LIMIT, WAIT_S, Answer, Stage, base, changed

Kinds = frozenset[tuple[int, int]]
Story = Callable[[Stage, Route, Kinds], AsyncIterator[Answer]]
_CANCEL = target(CommandKind.CANCEL, 16, order_id=1)


def standing_pipeline(stage: Stage, *, is_full: bool) -> Pipeline:
    """A pipeline that was not started: it takes commands, as long as there is room, and answers none."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=stage.venue.settings.data_dir))
    pipeline = Pipeline(
        Engine(),
        begin(folder / "commands", Stream.COMMANDS),
        begin(folder / "events", Stream.EVENTS),
        sync=True,
        loop=asyncio.get_running_loop(),
        ring_slots=64,
        event_slots=256,
    )
    with contextlib.suppress(Refused):
        while is_full:
            pipeline.submit((_CANCEL,), cancel=True)
    return pipeline


async def _place(stage: Stage, route: Route, **changes: str) -> Answer:
    """An order on the face of a route."""
    order = next(one for one in ROUTES if (one.method, one.path) == ("POST", f"{route.face}/order"))
    return await stage.ask(order, {**LIMIT, "symbol": stage.symbol(route), **changes})


async def not_well(stage: Stage, route: Route, missing: Kinds) -> AsyncIterator[Answer]:
    """History and market data that can not be had, a crowd that reads or trades, a pipeline that is silent."""
    venue, form, read = stage.venue, base(stage, route), stage.venue.pipeline.read
    if (route.method, route.path.removeprefix(route.face)) == ("GET", "/order"):
        form = {"symbol": form["symbol"], "origClientOrderId": "forgotten"}
    if route.path.endswith("/orderList") and route.method == "GET":
        form = {"origClientOrderId": "forgotten"}
    if route.path.lower().endswith("orderlist") and missing & {(503, -1001), (503, -1008)}:
        await leave_list(stage)
    if (route.method, route.path.removeprefix(route.face)) == ("DELETE", "/orderList"):
        listed = next(one for one in ROUTES if one.path == f"{route.face}/orderList/oco")
        placed = await stage.ask(listed, base(stage, listed))
        form = {"symbol": form["symbol"], "orderListId": str(placed.json["orderListId"])}
    if (503, -1001) in missing:
        nothing = History(None, Watermark(lambda: None), 0.0)
        with changed(venue, history=nothing), changed(venue.market_data, fault="It stopped."), has_forgotten(stage):
            yield await stage.ask(route, form)
    if (503, -1008) in missing:
        async with every_place(venue.history):
            if route.method == "GET":
                with has_forgotten(stage):
                    yield await stage.ask(route, form)
            else:
                with changed(venue, pipeline=standing_pipeline(stage, is_full=True), read=read):
                    yield await stage.ask(route, form)
    if (503, -1006) in missing:
        with changed(venue, pipeline=standing_pipeline(stage, is_full=False), read=read):
            asked = asyncio.create_task(stage.ask(route, form))
            async with asyncio.timeout(WAIT_S):
                while not asked.done():
                    venue.give_up_on_late()
                    await asyncio.sleep(0.01)
            yield await asked


async def leave_list(stage: Stage) -> None:
    """Alice has an open list, one leg of which was filled so long ago that the engine has forgotten it."""
    whose = {"account": 16, "symbol": 1}
    order = {**whose, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, "qty_lots": 1_000}
    buy, sell = ({**order, "side": side, "price_ticks": 5_000_000} for side in (Side.BUY, Side.SELL))
    remembered = int(stage.venue.pipeline._engine.state.limits[Limit.CLOSED_ORDERS])
    linked = CommandFlag.LINKED
    for run in (
        (command(CommandKind.SET_LIMIT, limit=Limit.CLOSED_ORDERS, value=1),),
        (
            command(CommandKind.PLACE_LIST, **whose, list_type=ListType.OTO, flags=linked),
            command(CommandKind.PLACE, **buy, list_role=ListRole.WORKING, flags=linked),
            command(CommandKind.PLACE, **sell | {"list_role": ListRole.PENDING, "price_ticks": 9_000_000}),
        ),
        (command(CommandKind.PLACE, **sell),),
        (command(CommandKind.SET_LIMIT, limit=Limit.CLOSED_ORDERS, value=remembered),),
    ):
        await stage.venue.run([one.tobytes() for one in run])


@contextlib.contextmanager
def has_forgotten(stage: Stage) -> Iterator[None]:
    """The engine knows that it has forgotten closed orders."""
    header = stage.venue.pipeline._engine.state.header
    before = int(header[0].closed_first)
    header[0].closed_first = 1
    try:
        yield
    finally:
        header[0].closed_first = before


@contextlib.asynccontextmanager
async def every_place(history: History) -> AsyncIterator[None]:
    """All readers of history are busy."""
    held = [gate._places for gate in (history._anybody, history._owners) for _ in range(gate._places._value)]
    for places in held:
        await places.acquire()
    try:
        yield
    finally:
        for places in held:
            places.release()


async def of_orders(stage: Stage, route: Route, missing: Kinds) -> AsyncIterator[Answer]:
    """An id that is used twice, two ids of different orders, an amendment that is none, half a replacement."""
    if (409, -2010) in missing:
        await _place(stage, route, newClientOrderId="twice")
        yield await _place(stage, route, newClientOrderId="twice", price="10001")
    form = base(stage, route)
    if (400, -2039) in missing:
        await _place(stage, route, newClientOrderId="one")
        other = await _place(stage, route)
        form |= {"orderId": str(other.json["orderId"]), "origClientOrderId": "one"}
        yield await stage.ask(route, form)
    if (400, -2038) in missing:
        placed = await _place(stage, route)
        yield await stage.ask(route, form | {"orderId": str(placed.json["orderId"]), "newQty": "5"})
    if (409, -2021) in missing:
        placed = await _place(stage, route)
        beyond = {"side": "SELL", "quantity": "101", "price": "50000"}
        yield await stage.ask(route, form | beyond | {"cancelOrderId": str(placed.json["orderId"])})


def _typed(above: str, below: str, **more: str) -> dict[str, str]:
    """Both types of a pair, under both names that they have."""
    return {"aboveType": above, "pendingAboveType": above, "belowType": below, "pendingBelowType": below, **more}


_BUY = {"side": "BUY", "pendingSide": "BUY"}
_PAIRS = (
    _typed("LIMIT_MAKER", "LIMIT_MAKER"),
    _typed("TAKE_PROFIT", "LIMIT_MAKER"),
    _typed("STOP_LOSS", "STOP_LOSS"),
    _typed("LIMIT_MAKER", "TAKE_PROFIT"),
    _typed("LIMIT_MAKER", "STOP_LOSS", **_BUY),
    _typed("STOP_LOSS", "STOP_LOSS", **_BUY),
    _typed("TAKE_PROFIT", "LIMIT_MAKER", **_BUY),
)


async def of_lists(stage: Stage, route: Route, missing: Kinds) -> AsyncIterator[Answer]:
    """A list that is there already, legs that are not where they belong, a peg of one that may not rest."""
    form = base(stage, route)
    if "/orderList/" not in route.path:
        return
    if (409, -2010) in missing:
        for _ in range(2):
            yield await stage.ask(route, {**form, "listClientOrderId": "twice"})
    for pair in _PAIRS:
        yield await stage.ask(route, {**form, **{name: text for name, text in pair.items() if name in form}})
    for leg in ("working", "below"):
        changes = {f"{leg}TimeInForce": "IOC", f"{leg}PegPriceType": "PRIMARY_PEG"}
        if changes.keys() <= route.parameters:
            without_price = {name: text for name, text in form.items() if name != f"{leg}Price"}
            yield await stage.ask(route, {**without_price, **changes})


async def too_many(stage: Stage, route: Route, missing: Kinds) -> AsyncIterator[Answer]:
    """The account has as many unfilled orders as it may."""
    form = base(stage, route)
    if (429, -1015) in missing:
        placed = await _place(stage, route)
        with changed(stage.venue.limits, orders=UnfilledOrders(0, 0)):
            yield await stage.ask(route, form)
            if "orderRateLimitExceededMode" in route.parameters:
                form["orderRateLimitExceededMode"] = "CANCEL_ONLY"
                yield await stage.ask(route, form)
                yield await stage.ask(route, form | {"cancelOrderId": str(placed.json["orderId"])})


STORIES: tuple[Story, ...] = (not_well, of_orders, of_lists, too_many)
