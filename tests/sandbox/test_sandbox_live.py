"""`/ws`: what subscribers are told, and that they hold up nobody."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from canary.sandbox.docflow.live import WS_ROUTE, Live

if TYPE_CHECKING:
    from .conftest import World

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@asynccontextmanager
async def subscribed(world: World, colour: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Through the router, as an internal user of a colour."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{world.router}/ws", headers=world.internal(colour)) as socket,
    ):
        yield socket


async def publish(world: World, colour: str) -> None:
    answer = await world.http.post(f"{world.router}/api/publish", headers=world.internal(colour))
    assert answer.status_code == 200


async def test_every_subscriber_of_a_colour_gets_one_message_for_each_document(world: World) -> None:
    """Through the router; each message counts, for each subscriber; the other colour's documents are not told."""
    before = await world.total("websocket_messages_total", "blue", direction="sent")
    async with subscribed(world, "blue") as one, subscribed(world, "blue") as two:
        await publish(world, "green")
        for _ in range(3):
            await publish(world, "blue")
        for socket in (one, two):
            heard = [json.loads(await socket.receive_str(timeout=5)) for _ in range(3)]
            assert heard == [{"event": "published", "classified_by": "manual"}] * 3
    assert await world.total("websocket_messages_total", "blue", direction="sent") == before + 6


async def test_a_socket_that_only_waits_is_not_ended_by_the_routers_time_out(world: World) -> None:
    """The route gives up on a request after 5 s; a subscriber is told of what comes later too."""
    async with subscribed(world, "blue") as socket:
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=6)
        await publish(world, "blue")
        assert json.loads(await socket.receive_str(timeout=5))["event"] == "published"


async def test_a_deployment_sends_subscribers_away_and_does_not_wait_for_them(world: World) -> None:
    """The old server closes its sockets with 1001; one that never answers holds up nothing."""
    loop = asyncio.get_running_loop()
    port = int(world.router.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    extra = "".join(f"{name}: {value}\r\n" for name, value in world.internal().items()).encode()
    writer.write(HANDSHAKE.replace(b"Host:", extra + b"Host:"))
    assert b" 101 " in await reader.readline()
    async with subscribed(world, "green") as socket:
        body = {"colour": "green", "version": "2.1.8"}
        start = loop.time()
        deploying = asyncio.create_task(world.http.post(world.sandbox.state.deploy_url, json=body, headers=world.admin))
        async for _ in socket:
            pass
        assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
        assert (await deploying).status_code == 202
        # SIGKILL would come after 3 s.
        assert loop.time() - start < 2.5
    writer.close()
    await world.until(lambda: world.runs("2.1.8", "green"))


@pytest.fixture
def sent() -> Counter:
    return Counter("sent", "Messages", registry=CollectorRegistry())


@pytest.fixture
async def live(sent: Counter) -> AsyncIterator[tuple[Live, int]]:
    """The endpoint alone, and its port."""
    live = Live(sent)
    app = web.Application()
    app.add_routes([web.get(WS_ROUTE, live.subscribe)])
    app.on_shutdown.append(live.close)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield live, runner.addresses[0][1]
    await runner.cleanup()


def value(counter: Counter) -> float:
    (metric,) = counter.collect()
    return metric.samples[0].value


async def test_a_subscriber_who_does_not_read_is_dropped_and_delays_nobody(
    live: tuple[Live, int], sent: Counter
) -> None:
    """Publishing goes on at once; the others hear everything; what is kept for the deaf one is bounded."""
    speaker, port = live
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    writer.write(HANDSHAKE)
    await reader.readexactly(1)
    long = "x" * 50_000
    async with (
        asyncio.timeout(20),
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{port}/ws") as socket,
    ):
        for number in range(400):
            await speaker.published(f"{number}{long}")
            assert json.loads(await socket.receive_str())["classified_by"] == f"{number}{long}"
    assert 400 <= value(sent) < 800
    writer.close()


def kept() -> int:
    gc.collect()
    return sum(isinstance(each, web.WebSocketResponse) for each in gc.get_objects())


async def test_a_subscriber_who_leaves_is_forgotten(live: tuple[Live, int], sent: Counter) -> None:
    """Told until then; after that neither counted nor kept in memory."""
    speaker, port = live
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(f"http://127.0.0.1:{port}/ws")
        await speaker.published("ai")
        assert json.loads(await socket.receive_str())["classified_by"] == "ai"
        assert kept() == 1
        await socket.close()
    for _ in range(100):
        if not kept():
            break
        await asyncio.sleep(0.02)
    assert kept() == 0
    await speaker.published("ai")
    assert value(sent) == 1


async def test_publishing_while_the_server_says_goodbye_fails_nobody(live: tuple[Live, int], sent: Counter) -> None:
    """The sockets that are closing are passed over."""
    speaker, port = live
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"http://127.0.0.1:{port}/ws") as socket:
            closing = asyncio.create_task(speaker.close(web.Application()))
            # Its first step: the goodbye is on its way, and not answered yet.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await speaker.published("ai")
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        await closing
    assert value(sent) == 0
