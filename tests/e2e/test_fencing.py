"""A conductor that is stopped at the worst moment: its raise is on the way to a real Envoy, past every check."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from canary.blocks.opener import CLOCK, OPENER
from canary.errors import JournalUnavailable
from canary.guard import Guard
from canary.journal.shelf import FolderShelf
from canary.journal.spool import Spool
from canary.journal.store import open_journal
from canary.journal.vault import open_vault
from canary.plan.load import load_plan
from canary.plan.model import UiCheck
from canary.rollout.conducting import Stores
from canary.rollout.people import read_state
from canary.rollout.state import State
from canary.sandbox.control import Sandbox

PLANS = Path(__file__).parents[2] / "plans"
CONDUCTS = Path(__file__).with_name("conducting_process.py")
PATIENCE = 150.0
RAISES = "routing.api.api_green"
"""The key of Envoy's runtime that gives the api's candidate its users."""


@dataclass
class Gate:
    """Stands in front of Envoy's admin API. The first raise of the api waits in it until `open` is set.

    sent: the weight asked for the api's candidate, of each change that reached Envoy, in order.
    """

    admin: str
    held: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    landed: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[int] = field(default_factory=list)

    async def pass_on(self, request: web.Request) -> web.Response:
        weight = int(request.query.get(RAISES, -1))
        late = weight > 0 and not self.held.is_set()
        if late:
            self.held.set()
            await self.open.wait()
        headers = {"authorization": request.headers.get("authorization", "")}
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.request(
                request.method, f"{self.admin}{request.path}", params=list(request.query.items()), headers=headers
            )
        if weight >= 0:
            self.sent.append(weight)
        if late:
            self.landed.set()
        return web.Response(status=answer.status_code, body=answer.content)


@asynccontextmanager
async def standing(gate: Gate) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", gate.pass_on)
    # A client that is stopped, or gone, does not take its request back: it is past its check.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def plan_in(folder: Path) -> Path:
    """The demo's plan with a staging of 20 s, and without what needs a browser."""
    phase1 = (PLANS / "phase1.yaml").read_text().replace("for: 30m", "for: 20m", 1)
    (folder / "phase1.yaml").write_text(phase1)
    pages = [check.name for check in load_plan(PLANS / "demo.yaml").plan.checks if isinstance(check, UiCheck)]
    (folder / "demo.yaml").write_text(f"{(PLANS / 'demo.yaml').read_text()}\nwithout: {json.dumps(pages)}\n")
    return folder / "demo.yaml"


@asynccontextmanager
async def conductor(home: Path, fields: dict[str, Any]) -> AsyncIterator[asyncio.subprocess.Process]:
    log = (home / "conductor.log").open("w")
    process = await asyncio.create_subprocess_exec(
        sys.executable, CONDUCTS, home, plan_in(home), stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(fields).encode())
    process.stdin.close()
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        log.close()


async def until(look: Callable[[], Any], what: str) -> Any:
    """What `look` finds first. A journal on a disk too busy to answer is looked into again."""
    ends = CLOCK.monotonic() + PATIENCE
    while CLOCK.monotonic() < ends:
        with suppress(JournalUnavailable):
            if found := await look():
                return found
        await asyncio.sleep(0.1)
    return pytest.fail(f"waited {PATIENCE:.0f} s in vain for {what}")


async def test_a_raise_that_lands_after_the_way_back_is_reversed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP while its first raise is under way; the guard takes over and goes back; then the raise lands, and the
    process goes on: it sends nothing more, and the guard lowers what landed before it calls the way back verified."""
    monkeypatch.setenv("CANARY_EVIDENCE", str(PLANS / "evidence"))
    sandbox = await Sandbox.start(tmp_path, rps=100)
    gate = Gate(sandbox.state.admin_url)
    journal = open_journal(home=tmp_path, env={})
    vault = open_vault(journal, tmp_path, {})
    stores = Stores(journal, vault, Spool(tmp_path / "spool"), CLOCK, FolderShelf(tmp_path / "rollouts"))

    async def state() -> State:
        return await read_state(journal, "r1")

    async def held() -> bool:
        ended = (tmp_path / "conductor.log").exists() and process.returncode is not None
        assert not ended, (tmp_path / "conductor.log").read_text()
        return gate.held.is_set()

    async def gone_back() -> bool:
        return (await state()).rollback is not None and gate.sent[-1:] == [0]

    async def ended() -> State | None:
        now = await state()
        return now if now.ended else None

    try:
        async with standing(gate) as address:
            fields = sandbox.block_fields()
            for layer in ("api", "web"):
                fields[f"envoy/docflow-{layer}"]["admin_url"] = address
            async with conductor(tmp_path, fields) as process:
                await until(held, "the first raise")
                os.kill(process.pid, signal.SIGSTOP)
                guard = asyncio.create_task(Guard(stores, OPENER).watch())
                await until(gone_back, "the guard to go back")
                gate.open.set()
                await asyncio.wait_for(gate.landed.wait(), PATIENCE)
                os.kill(process.pid, signal.SIGCONT)
                end = await until(ended, "the end")
                await asyncio.wait_for(process.wait(), PATIENCE)
                guard.cancel()
                await asyncio.gather(guard, return_exceptions=True)
        assert (end.ended.outcome, end.ended.verified, end.rollback.cause) == ("rolled_back", True, "guard")
        raises = [place for place, weight in enumerate(gate.sent) if weight > 0]
        assert len(raises) == 1
        assert 0 in gate.sent[: raises[0]]
        assert 0 in gate.sent[raises[0] :]
        assert "send nothing more from this process" in (tmp_path / "conductor.log").read_text()
        lines = await journal.read("r1")
        assert [line.epoch for line in lines if line.type == "rollback_verified"] == [2]
    finally:
        await journal.close()
        await sandbox.stop()
