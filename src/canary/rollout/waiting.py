"""Waiting with an end, in the clock's time: so that a simulation waits in no time at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from canary.ports import Clock

T = TypeVar("T")

PROVIDER_TIMEOUT = 6.0
"""Seconds that any one call to a platform may take."""


async def within(clock: Clock, seconds: float, work: Awaitable[T]) -> T:
    """The work's result. Raises TimeoutError after `seconds`; the work is cancelled then."""
    task = asyncio.ensure_future(work)
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        await _end(task, alarm)


async def pause(clock: Clock, seconds: float, news: asyncio.Event) -> None:
    """Wait `seconds`, or less when news arrive."""
    waits: set[asyncio.Future[Any]] = {
        asyncio.ensure_future(clock.sleep(max(0.0, seconds))),
        asyncio.ensure_future(news.wait()),
    }
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(*waits)


async def unless(news: asyncio.Event, work: Awaitable[T]) -> T | None:
    """The work's result, or None when news arrive first; the work is cancelled then."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(news.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        await _end(task, waiting)


async def at_most(clock: Clock, seconds: float, work: asyncio.Future[Any]) -> None:
    """Wait for the work, but not longer than so; the work goes on."""
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({work, alarm}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(alarm)


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
