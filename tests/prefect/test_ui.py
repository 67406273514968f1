"""What people do in the Prefect UI, done by a real browser: start, look on, cancel, approve, abort."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, async_playwright, expect

from canary.rollout import events as e
from canary.rollout.state import State

if TYPE_CHECKING:
    from .conftest import Place, PlanIn

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 60_000
Look = Callable[[], Awaitable[Any]]
COLUMNS = ("criterion", "value", "limit", "samples", "verdict")


@pytest.fixture(scope="module")
def rps() -> float:
    """Enough to be promoted after an hour of the plan."""
    return 300.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(require: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    """One tab for all tests, 1280 px wide. The plan judges real latencies: the browser yields the CPU to them."""
    program = tmp_path_factory.mktemp("browser") / "chromium"
    program.write_text(f'#!/bin/sh\nexec nice -n 19 {require("chromium")} "$@"\n')
    program.chmod(0o755)
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        opened = await browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        opened.set_default_timeout(PATIENCE_MS)
        yield opened
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def looked_away(page: Page) -> AsyncIterator[None]:
    """Nobody looks at a live page between two tests: to draw it takes half a processor."""
    yield
    await look_away(page)


async def look_away(page: Page) -> None:
    """While nothing is to be seen, nothing is drawn."""
    await page.goto("about:blank")


async def open_run(page: Page, up: Place, run: str) -> None:
    """The run's page, with the list of its task runs."""
    await page.goto(f"{up.ui}/runs/flow-run/{run}")
    await page.get_by_text("Task Runs", exact=True).click()


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def phase1(up: Place, plan_in: PlanIn, tmp_path_factory: pytest.TempPathFactory) -> None:
    """rollout/phase1 with a canary long enough to be looked at; as it is shipped for the README's pictures."""
    change = ("for: 30m\n    exposure: 10%", "for: 1h\n    exposure: 10%")
    await deploy(up, plan_in(tmp_path_factory.mktemp("plan"), change))


async def deploy(up: Place, plan: Path) -> None:
    if "SCREENSHOTS" not in os.environ:
        code, output = await up.run("canary", "deploy", str(plan))
        assert code == 0, output


async def picture(page: Page, name: str) -> None:
    """A picture for the README, when SCREENSHOTS names a folder (make screenshots)."""
    if folder := os.environ.get("SCREENSHOTS"):
        await page.wait_for_load_state("networkidle")
        await page.screenshot(path=Path(folder) / f"{name}.png")


def field(page: Page, name: str) -> Locator:
    """A parameter's part of a run form: its name, what is written below it, and where to type."""
    label = page.locator(".schema-form-property__label", has_text=re.compile(rf"^{name}( \(Optional\))?$"))
    return page.locator(".schema-form-property").filter(has=label)


async def open_form(page: Page, up: Place, deployment: str) -> None:
    found = await up.deployment(deployment)
    await page.goto(f"{up.ui}/deployments")
    await page.locator(f'a[href="/deployments/deployment/{found["id"]}"]').first.click()
    await page.get_by_role("button", name="Run", exact=True).click()
    await page.get_by_text("Custom run").click()
    await page.get_by_role("button", name="Submit").wait_for()


Act = Callable[[], Awaitable[None]]


async def until_taken(page: Page, up: Place, act: Act, seen: Look, what: str) -> Any:
    """Act until `seen` sees the effect: a busy server on SQLite answers 503, the UI says so, and people begin anew."""
    refused = page.get_by_text("Oops. Something went wrong.").first

    async def look() -> Any:
        if (effect := await seen()) is not None or not await refused.is_visible():
            return effect
        await page.reload()
        return await act()

    await act()
    return await up.until(look, what)


async def submit(page: Page, up: Place, deployment: str, **typed: str) -> Any:
    """Open the form, type into it and send it off; the flow run that came of it."""
    found = await up.deployment(deployment)

    async def act() -> None:
        await open_form(page, up, deployment)
        for name, text in typed.items():
            await field(page, name).locator("textarea").fill(text)
        await page.get_by_role("button", name="Submit").click()

    async def made() -> Any:
        runs = await up.ask("flow_runs/filter", deployments={"id": {"any_": [found["id"]]}})
        return next((run for run in runs if typed.items() <= run["parameters"].items()), None)

    return await until_taken(page, up, act, made, f"a run of {deployment} with {typed}")


async def cancel(page: Page, up: Place, run: str) -> None:
    """Cancel on the run's page, and Confirm."""

    async def act() -> None:
        await page.goto(f"{up.ui}/runs/flow-run/{run}")
        await page.get_by_role("button", name="Cancel").click()
        await page.get_by_role("button", name="Confirm").click()

    async def begun() -> bool | None:
        return True if (await up.flow_run(run))["state"]["type"] in ("CANCELLING", "CANCELLED") else None

    await until_taken(page, up, act, begun, f"run {run} to be cancelled")


async def state_when(up: Place, rollout: str, holds: Callable[[State], bool], what: str) -> State:
    async def look() -> State | None:
        if rollout not in await up.rollouts():
            return None
        state, _ = await up.journal(rollout)
        assert holds(state) or not state.ended, f"{rollout} ended before it was {what}: {state.ended}"
        return state if holds(state) else None

    return await up.until(look, f"{rollout} to be {what}")


def in_canary(state: State) -> bool:
    return state.exposed_phase == "canary" and state.soaking == "canary" and state.verdict is not None


async def artifacts(up: Place, run: str) -> dict[str, Any]:
    """Key without the rollout's name → artifact. There is one of each key."""
    found = await up.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [run]}})
    named = {re.sub(r"^(rollout|asking)-[0-9a-f]{8}-", "", artifact["key"]): artifact for artifact in found}
    assert len(named) == len(found), [artifact["key"] for artifact in found]
    return named


async def weights(up: Place) -> dict[str, int]:
    """The candidate's weight on every routed layer, of 10000."""
    code, output = await up.run("canary", "sandbox", "status", "--json")
    assert code == 0, output
    status = json.loads(output)
    return {layer: shares[status["candidate"]] for layer, shares in status["weights"].items()}


@pytest.fixture
def asking(plan_in: PlanIn, for_hours: tuple[str, str], tmp_path: Path) -> Path:
    """A plan whose go-live nobody grants but people."""
    return plan_in(tmp_path, for_hours, ("name: phase1", "name: asking"), ("grant_approvals: true", ""))


async def waiting_for_go_live(up: Place, plan: Path, version: str) -> str:
    """Start a rollout of the asking plan from the command line; its id, when it waits for people."""
    code, output = await up.run("canary", "start", str(plan), "--version", version, "--json")
    assert code == 0, output
    rollout = str(json.loads(output.splitlines()[-1])["rollout"])
    await state_when(up, rollout, lambda s: s.approval is not None, "waiting for approval")
    return rollout


async def test_a_rollout_started_in_the_form_can_be_watched_and_is_promoted(page: Page, up: Place) -> None:
    """The form explains its fields; while the canary soaks, name, table and progress tell where it stands."""
    await open_form(page, up, "rollout/phase1")
    await expect(field(page, "version")).to_contain_text("The version to roll out, such as 2.1.0.")
    await expect(field(page, "requested_by")).to_contain_text("recorded as unproven")
    await expect(field(page, "plan").locator("textarea")).to_have_value(re.compile(r"^[0-9a-f]{64}$"))
    await field(page, "version").locator("textarea").fill("2.1.0")
    await picture(page, "form")
    run = await submit(page, up, "rollout/phase1", version="2.1.0", requested_by="Ada")
    rollout = f"rollout-{run['id'][:8]}"

    await look_away(page)
    await state_when(up, rollout, lambda s: s.evidence.blocks >= 40, "well into its soak")
    await open_run(page, up, run["id"])
    await expect(page.get_by_text("docflow 2.1.0 · canary 10%").first).to_be_visible()
    await expect(page.get_by_role("link", name="docflow 2.1.0 canary", exact=True)).to_be_visible()
    await picture(page, "soak")
    shown = await artifacts(up, run["id"])
    assert 0 < shown["canary-progress"]["data"] < 100
    await page.get_by_text("Artifacts", exact=True).click()
    await page.get_by_text(shown["canary"]["key"], exact=True).first.click()
    for column in COLUMNS:
        await expect(page.get_by_role("columnheader", name=column).first).to_be_visible()
    await expect(page.get_by_text("http_errors: < 1%")).to_be_visible()
    await expect(page.get_by_text("docflow 2.1.0: canary at 10%").first).to_be_visible()
    table = page.url
    await look_away(page)

    assert (await up.ended(run["id"]))["name"] == "Promoted"
    rows = json.loads((await artifacts(up, run["id"]))["canary"]["data"])
    assert all(set(COLUMNS) <= set(row) and row["verdict"] == "PASS" for row in rows)
    await page.goto(table)
    await expect(page.get_by_text("all 8 rules hold")).to_be_visible()
    await picture(page, "criteria")
    state, _ = await up.journal(rollout)
    assert (state.requested_by, state.ended and state.ended.outcome) == ("Ada", "promoted")


async def test_cancel_in_the_ui_rolls_back(
    page: Page, up: Place, plan_in: PlanIn, for_hours: tuple[str, str], tmp_path: Path
) -> None:
    """Cancel, confirmed in the browser, is an abort: journaled as such, every target at 0, the run ended with it."""
    await deploy(up, plan_in(tmp_path, for_hours))
    run_id = await up.start("rollout/phase1", version="2.2.0")
    rollout = f"rollout-{run_id[:8]}"
    await state_when(up, rollout, in_canary, "in its canary")
    assert set((await weights(up)).values()) == {1000}
    await cancel(page, up, run_id)
    await look_away(page)

    ended = await up.ended(run_id)
    state, entries = await up.journal(rollout)
    (abort,) = [entry for entry in entries if entry.type == e.AbortAsked.type]
    assert abort.data["how"] == "cancelled in Prefect"
    assert [entry.type for entry in entries].count(e.RollbackStarted.type) == 1
    assert state.ended is not None
    assert (state.ended.outcome, state.ended.verified) == ("rolled_back", True)
    assert set((await weights(up)).values()) == {0}
    assert (ended["type"], ended["name"]) == ("CANCELLED", "RolledBack")
    assert "cancelled in the Prefect UI" in ended["message"]

    why = (await artifacts(up, run_id))["rollback"]
    await page.goto(f"{up.ui}/artifacts/artifact/{why['id']}")
    await expect(page.get_by_text("docflow 2.2.0 was rolled back").first).to_be_visible()
    await expect(page.get_by_text("Every target shows exposure 0: nobody is on the candidate.")).to_be_visible()
    await open_run(page, up, run_id)
    await expect(page.get_by_text("docflow 2.2.0 · rolled back").first).to_be_visible()
    await expect(page.get_by_role("link", name="docflow 2.2.0 canary", exact=True)).to_be_visible()
    await picture(page, "rollback")


async def test_people_approve_and_abort_from_the_ui(page: Page, up: Place, asking: Path) -> None:
    """A go-live waits for both roles, one in the UI and one on the command line; an abort in the UI ends the canary."""
    rollout = await waiting_for_go_live(up, asking, "2.3.0")
    said = {"rollout": rollout, "by": "Ada", "reason": "the numbers are good"}
    await open_form(page, up, "approve/approve")
    await expect(field(page, "role")).to_contain_text("as the plan names it")
    approval = await submit(page, up, "approve/approve", role="product_owner", **said)
    await look_away(page)
    assert (await up.ended(approval["id"]))["type"] == "COMPLETED"
    state, _ = await up.journal(rollout)
    assert state.approval is not None
    assert (state.approval.missing, state.raised) == (("technical_lead",), False)
    code, output = await up.run("canary", "approve", rollout, "--role", "technical_lead", "--reason", "ready")
    assert code == 0, output
    await state_when(up, rollout, in_canary, "in its canary")
    abort = await submit(page, up, "abort/abort", rollout=rollout, by="Ada", reason="a customer called")
    assert (await up.ended(abort["id"]))["type"] == "COMPLETED"

    state = await state_when(up, rollout, lambda s: s.ended is not None, "at its end")
    _, entries = await up.journal(rollout)
    given = [entry.data for entry in entries if entry.type == e.ApprovalGiven.type]
    assert [data["role"] for data in given] == ["product_owner", "technical_lead"]
    assert (given[0]["by"], given[0]["proven"]) == ("Ada", False)
    assert [entry.data["reason"] for entry in entries if entry.type == e.AbortAsked.type] == ["a customer called"]
    assert state.ended is not None
    assert (state.ended.outcome, state.ended.reason) == ("rolled_back", "abort by Ada: a customer called")


async def test_a_rollback_asked_through_the_api_ends_the_rollout_for_good(up: Place, asking: Path) -> None:
    """roll-back is journaled and done; Retry on the ended run afterwards says so and changes nothing."""
    rollout = await waiting_for_go_live(up, asking, "2.4.0")
    wrong = await up.start("approve/approve", rollout=rollout, role="nobody", by="Ada", reason="yes")
    assert "asks nobody as 'nobody'" in (await up.ended(wrong))["message"]
    asked = await up.start("roll-back/roll-back", rollout=rollout, by="Bob", reason="not today")
    ended = await up.ended(asked)
    assert ended["type"] == "COMPLETED", ended["message"]
    state, entries = await up.journal(rollout)
    assert [entry.data["by"] for entry in entries if entry.type == e.RollbackAsked.type] == ["Bob"]
    assert (state.ended and state.ended.outcome, set((await weights(up)).values())) == ("rolled_back", {0})

    (run,) = await up.ask("flow_runs/filter", flow_runs={"name": {"any_": ["docflow 2.4.0 · rolled back"]}})
    await up.ended(run["id"])
    await up.ask(f"flow_runs/{run['id']}/set_state", state={"type": "SCHEDULED", "name": "AwaitingRetry"}, force=True)

    async def retried() -> Any:
        state = (await up.flow_run(run["id"]))["state"]
        return state if "had ended before" in (state["message"] or "") else None

    assert (await up.until(retried, "the retried run to end"))["name"] == "RolledBack"
    assert len((await up.journal(rollout))[1]) == len(entries)


async def test_no_run_shows_a_secret(up: Place) -> None:
    """Neither parameters, logs nor artifacts of all these runs hold a token of the sandbox or the vault's key."""
    home = Path(up.env["CANARY_HOME"])
    state = json.loads((home / "sandbox.json").read_text())
    secrets = [value for name, value in state.items() if name.endswith("token")]
    secrets += [path.read_text().strip() for path in (home / "keys").iterdir()]
    assert len(secrets) >= 4
    told = [await up.everything(kind) for kind in ("flow_runs", "task_runs", "logs", "artifacts", "deployments")]
    text = json.dumps(told)
    assert "docflow 2.2.0" in text
    assert [secret for secret in secrets if secret in text] == []
