"""`python -m bench.wsapi`: durable orders over the WebSocket API, against a bare aiohttp echo in the same run.

As `bench.rest`, whose load generator, checks and figures these are, with another wire: 256 connections to `/ws-api/v3`,
one signed `order.place` in flight on each, beside an aiohttp application that answers every message with itself. What
clients send is masked, with a mask of zeros: servers can not tell, and the load generator need not work for it.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import socket

from bench.rest import BenchFailed, Client, Sender, Wire, main

_BARE = """
import asyncio, sys, uvloop
from aiohttp import WSMsgType, web
async def echo(request):
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data)
    return ws
async def main():
    app = web.Application()
    app.router.add_get("/ws-api/v3", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()
uvloop.run(main())
"""
_TEXT, _MASKED = 0x81, 0x80


def _frame(payload: bytes) -> bytes:
    """A masked text frame of 126 to 65,535 bytes."""
    return bytes((_TEXT, _MASKED | 126)) + len(payload).to_bytes(2, "big") + bytes(4) + payload


def requests(sender: Sender, count: int) -> list[bytes]:
    """`count` frames with an order.place, signed now."""
    made = []
    for number in range(count):
        key, secret, order = sender.next_order()
        params = {"apiKey": key, "symbol": "BTCUSDT", **order}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params)).encode()
        params["signature"] = hmac.digest(secret, payload, "sha256").hex()
        message = {"id": str(number), "method": "order.place", "params": params}
        made.append(_frame(json.dumps(message, separators=(",", ":")).encode()))
    return made


class WsClient(Client):
    """One WebSocket with one request in flight."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /ws-api/v3 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = self._read_head()
        if not head.startswith(b"HTTP/1.1 101 "):
            raise BenchFailed(f"A handshake was refused: {head[:200]!r}")

    def _read_head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1, socket.MSG_WAITALL)
            if not byte:
                raise BenchFailed("The server closed a connection.")
            head += byte
        return head

    @staticmethod
    def is_complete(received: bytes) -> bool:
        """Whether a whole frame has come; its length is in its head."""
        if len(received) < 4:
            return False
        size = received[1]
        if size == 126:
            size = 2 + int.from_bytes(received[2:4], "big")
        return len(received) >= 2 + size

    @staticmethod
    def is_good(answer: bytes) -> bool:
        """Whether an answer is that of a request that was done (an echo is)."""
        return b'"status":200' in answer[:80] or b'"method":"order.place"' in answer[:80]


if __name__ == "__main__":
    main(Wire(_BARE, requests, WsClient), "the WebSocket API", "aiohttp WebSocket echo", 256)
