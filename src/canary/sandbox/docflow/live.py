"""`/ws`: pushes a message to every subscriber for each document that this process publishes."""

from __future__ import annotations

import asyncio
import contextlib
import json

import aiohttp
from aiohttp import web
from prometheus_client import Counter

WS_ROUTE = "/ws"
_MOST_UNREAD_BYTES = 65_536
_GOODBYE_SECONDS = 0.3


class Live:
    """The open sockets. A subscriber that does not read is dropped: publishing never waits for one."""

    def __init__(self, sent: Counter) -> None:
        self._sent = sent
        self._subscribers: dict[web.WebSocketResponse, asyncio.Transport] = {}

    async def subscribe(self, request: web.Request) -> web.WebSocketResponse:
        """Stays until the subscriber leaves; what it says is not listened to."""
        # Without a limit `send_str` never waits; `_push` sees to it that not too much is left unread.
        socket = web.WebSocketResponse(compress=False, writer_limit=2**62)
        await socket.prepare(request)
        transport = request.transport
        if transport is None:  # It has left already.
            return socket
        self._subscribers[socket] = transport
        try:
            async for _ in socket:
                pass
        finally:
            del self._subscribers[socket]
        return socket

    async def published(self, classified_by: str) -> None:
        """Tell all subscribers of one document."""
        if not self._subscribers:
            return
        message = json.dumps({"event": "published", "classified_by": classified_by})
        for socket, transport in tuple(self._subscribers.items()):
            await self._push(socket, transport, message)
            # Users' requests come first: one subscriber a turn of the loop.
            await asyncio.sleep(0)

    async def close(self, _: web.Application) -> None:
        """Say goodbye to all, and wait for nobody: a server's stop must not hang on its sockets."""
        going = [socket.close(code=aiohttp.WSCloseCode.GOING_AWAY) for socket in self._subscribers]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await asyncio.gather(*going)

    async def _push(self, socket: web.WebSocketResponse, transport: asyncio.Transport, message: str) -> None:
        if transport.get_write_buffer_size() > _MOST_UNREAD_BYTES:
            transport.abort()
            return
        # It may just be leaving.
        with contextlib.suppress(ConnectionError):
            await socket.send_str(message)
            self._sent.inc()
