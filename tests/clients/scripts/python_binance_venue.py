"""Points python-binance here: it has no argument for the address of a venue, so its classes are told where it is."""

from __future__ import annotations

from typing import Any

from binance import AsyncClient, BinanceSocketManager, Client

from tests.clients.scripts.scenes import answer, venue

AT = venue()


class LocalClient(Client):  # type: ignore[misc]  # untyped outside its own environment
    """The synchronous client."""

    API_URL = f"{AT.http}/api"
    MARGIN_API_URL = f"{AT.http}/sapi"
    WS_API_URL = f"{AT.ws}/ws-api/v3"


class LocalAsyncClient(AsyncClient):  # type: ignore[misc]  # untyped outside its own environment
    """The asynchronous client."""

    API_URL = f"{AT.http}/api"
    MARGIN_API_URL = f"{AT.http}/sapi"
    WS_API_URL = f"{AT.ws}/ws-api/v3"


# Set on the class, because the managers of depth caches make their own socket managers.
BinanceSocketManager.STREAM_URL = f"{AT.ws}/"


async def client(kind: str, credentials: tuple[str, str]) -> Any:
    """One that is connected: both kinds ask for ping and time first."""
    return await answer(LocalClient(*credentials) if kind == "sync" else LocalAsyncClient.create(*credentials))
