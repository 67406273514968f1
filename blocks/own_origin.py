"""Headers for the requests of a page to its own origin, so that no secret leaves for another host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import CDPSession, Page
from playwright.async_api import Error as BrowserError

from canary.ports import Access


@asynccontextmanager
async def own_headers(page: Page, access: Access) -> AsyncIterator[None]:
    """Until the end of the block, every request of the page to the access's origin carries its headers.

    By the browser's own protocol and not by Playwright's routes or extra headers: those would carry the headers
    along when the server redirects to another host. Source: Chrome DevTools Protocol, Fetch.continueRequest
    ("the overrides do not extend to subsequent redirect hops"; each hop is paused anew).
    """
    if not access.headers:
        yield
        return
    session = await page.context.new_cdp_session(page)
    going_on: set[asyncio.Task[None]] = set()

    def paused(event: dict[str, Any]) -> None:
        task = asyncio.create_task(_go_on(session, event, access))
        going_on.add(task)
        task.add_done_callback(going_on.discard)

    session.on("Fetch.requestPaused", paused)
    await session.send("Fetch.enable", {"patterns": [{"urlPattern": f"{origin(access.url)}/*"}]})
    try:
        yield
    finally:
        for task in going_on:
            task.cancel()


async def _go_on(session: CDPSession, event: dict[str, Any], access: Access) -> None:
    named = {name.lower() for name in access.headers}
    kept = {name: value for name, value in event["request"]["headers"].items() if name.lower() not in named}
    headers = [{"name": name, "value": value} for name, value in {**kept, **access.headers}.items()]
    try:
        await session.send("Fetch.continueRequest", {"requestId": event["requestId"], "headers": headers})
    except BrowserError:
        return  # the page was left, and its requests with it


def origin(url: str) -> str:
    """Scheme, host and port as the browser writes them: small letters, no default port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, usual) else "")
