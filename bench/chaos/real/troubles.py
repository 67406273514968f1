"""What befalls all rollouts of a round at once: Prefect's API away, or no room under the journal."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.chaos.real.facts import Span
from bench.chaos.real.programs import Program
from bench.chaos.real.script import Round
from bench.chaos.real.stage import Stage

if TYPE_CHECKING:
    from bench.chaos.real.play import Running

LEAVE = 4096
"""Bytes that are left free: less than a line needs."""


async def trouble(round_: Round, stage: Stage, running: list[Running]) -> Span | None:
    """Begins when every rollout has users on its candidate, and lasts as long as the round says.

    When the journal took no lines; None when it always did.
    """
    if round_.trouble == "none":
        return None
    while not all(_exposed(each) for each in running):  # noqa: ASYNC110 - the journal is polled by others
        await asyncio.sleep(0.1)
    if round_.trouble == "outage":
        await _away(stage.programs["server"], round_.lasts)
        return None
    since = time.time()
    await _full(Path(stage.home) / "data", round_.lasts)
    return since, time.time()


def _exposed(each: Any) -> bool:
    return each.over_at > 0 or any(line.type == "exposure_observed" for line in each.lines)


async def _away(server: Program, seconds: float) -> None:
    server.strike("STOP")
    try:
        await asyncio.sleep(seconds)
    finally:
        server.strike("CONT")


async def _full(folder: Path, seconds: float) -> None:
    """Every byte of the file system that the journal is on is taken, and given back."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            for size in (65536, 4096, 512):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue
        await asyncio.sleep(seconds)
    finally:
        ballast.unlink(missing_ok=True)
