"""The same plan, measured by a real Prometheus instead of the built-in scraper."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from canary.blocks.opener import CLOCK, OPENER
from canary.journal.shelf import FolderShelf
from canary.journal.spool import Spool
from canary.journal.store import open_journal
from canary.journal.vault import open_vault
from canary.plan.load import load_plan
from canary.plan.model import UiCheck
from canary.ports import StoredPlan
from canary.rollout.conducting import Start, Stores, begin, conducting, pass_preflight, taking
from canary.rollout.state import State
from canary.sandbox.control import Sandbox
from canary.sandbox.sockets import port_of, reserve

PLANS = Path(__file__).parents[2] / "plans"
READY_WITHIN = 30.0


def _plan(folder: Path) -> Path:
    """The demo's plan, faster, with its metrics from Prometheus, and without what needs a browser."""
    text = (PLANS / "demo.yaml").read_text()
    bound = text.replace("scraper/docflow", "prometheus/docflow").replace("time_scale: 60", "time_scale: 120")
    assert bound.count("prometheus/docflow") == 1
    phase1 = (PLANS / "phase1.yaml").read_text()
    (folder / "phase1.yaml").write_text(phase1.replace("for: 30m", "for: 10m", 1))
    pages = [check.name for check in load_plan(PLANS / "demo.yaml").plan.checks if isinstance(check, UiCheck)]
    (folder / "demo.yaml").write_text(f"{bound}\nwithout: {json.dumps(pages)}\n")
    return folder / "demo.yaml"


@asynccontextmanager
async def _prometheus(binary: Path, folder: Path, sandbox: Sandbox) -> AsyncIterator[str]:
    """A real one that looks at both servers every 200 ms; its address."""
    hosts = [url.removeprefix("http://").partition("/")[0] for url in sandbox.state.metrics_urls.values()]
    targets = ", ".join(f"'{host}'" for host in hosts)
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs: [{{job_name: docflow, static_configs: [{{targets: [{targets}]}}]}}]\n"
    )
    with reserve() as reserved:
        address = f"127.0.0.1:{port_of(reserved)}"
    process = await asyncio.create_subprocess_exec(
        binary,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={address}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _ready(f"http://{address}/-/ready")
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()


async def _ready(url: str) -> None:
    deadline = CLOCK.monotonic() + READY_WITHIN
    async with httpx.AsyncClient(trust_env=False) as client:
        while CLOCK.monotonic() < deadline:
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    pytest.fail("Prometheus did not become ready")


async def _conduct(home: Path, fields: Mapping[str, Mapping[str, Any]], broken: Callable[[], Any] | None) -> State:
    loaded = load_plan(_plan(home))
    journal = open_journal(home=home, env={})
    stores = Stores(
        journal, open_vault(journal, home, {}), Spool(home / "spool"), CLOCK, FolderShelf(home / "rollouts")
    )

    async def load(ref: str) -> Mapping[str, Any]:
        return fields[ref]

    try:
        await journal.store_plan(StoredPlan(loaded.hash, loaded.plan.name, loaded.plan.service, loaded.body))
        await begin(stores, Start("r1", loaded.hash, "2.1.0", "test", "a test"))
        async with (
            taking(stores, "r1") as seat,
            conducting(seat, await pass_preflight(seat, load, OPENER)) as conductor,
        ):
            for phase in conductor.plan.phases:
                await conductor.await_approval(phase.name)
                if broken and phase.name == "canary":
                    await broken()
                if (await conductor.run_phase(phase.name)).rollback:
                    await conductor.finish_rollback()
                    return conductor.state
            await conductor.promote()
            return conductor.state
    finally:
        await journal.close()


async def test_a_real_prometheus_promotes_and_sees_errors(
    tmp_path: Path, require: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Healthy: promoted on its samples. With 5xx on the features: rolled back for them, both arms having been seen."""
    monkeypatch.setenv("CANARY_EVIDENCE", str(PLANS / "evidence"))
    binary = require("prometheus")
    sandbox = await Sandbox.start(tmp_path)
    try:
        async with _prometheus(binary, tmp_path, sandbox) as url:
            fields = {**sandbox.block_fields(), "prometheus/docflow": {"url": url}}
            (tmp_path / "broken").mkdir()
            broken = await _conduct(tmp_path / "broken", fields, lambda: sandbox.fault("errors"))
            await sandbox.fault("none")
            (tmp_path / "healthy").mkdir()
            healthy = await _conduct(tmp_path / "healthy", fields, None)
    finally:
        await sandbox.stop()
    assert broken.ended is not None
    assert broken.ended.outcome == "rolled_back"
    assert "http_errors" in broken.ended.reason
    assert healthy.ended is not None
    assert healthy.ended.outcome == "promoted"
    tally = healthy.evidence.tally("http_errors", "baseline")
    assert tally is not None
    assert tally.total > healthy.evidence.tallies["http_errors"]["canary"].total > 0
