"""The pages in a real browser: what a person sees and clicks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import BrowserContext, Page, Response, async_playwright, expect

if TYPE_CHECKING:
    from .conftest import World

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]


@asynccontextmanager
async def browser(world: World, chromium: Path, colour: str) -> AsyncIterator[BrowserContext]:
    """A browser of an internal user of a colour, signed in."""
    async with async_playwright() as play:
        launched = await play.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        headers = {**world.internal(colour), **world.signed_in}
        yield await launched.new_context(base_url=world.router, extra_http_headers=headers)
        await launched.close()


@pytest.fixture
async def green(world: World, require: Callable[[str], Path]) -> AsyncIterator[BrowserContext]:
    async with browser(world, require("chromium"), "green") as context:
        yield context


async def visit(context: BrowserContext, path: str) -> tuple[Page, list[str]]:
    """The page, and the errors that its scripts threw."""
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(path)
    return page, errors


async def test_the_features_of_the_runbook_work_in_a_browser(green: BrowserContext) -> None:
    """The AI filter filters the list, the toggle shows and hides bars, the button schedules; nothing is thrown."""
    page, queue_errors = await visit(green, "/queue")
    await expect(page.locator("#documents li")).to_have_count(12)
    await page.get_by_label("AI type").select_option("invoice")
    await expect(page.locator("#documents li")).to_have_count(4)
    assert {await item.get_attribute("data-ai-type") for item in await page.locator("#documents li").all()} == {
        "invoice"
    }
    page, analytics_errors = await visit(green, "/analytics")
    await page.get_by_label("Forecast").check()
    await expect(page.locator(".bar")).to_have_count(7)
    await page.get_by_label("Forecast").uncheck()
    await expect(page.locator(".bar")).to_have_count(0)
    page, export_errors = await visit(green, "/export")
    await page.get_by_role("button").click()
    await expect(page.get_by_role("status")).to_have_text("scheduled")
    assert queue_errors + analytics_errors + export_errors == []


async def test_a_page_says_how_it_is_used(green: BrowserContext, world: World) -> None:
    """One use beacon for each use, taken by the server; only the forecast's rendering is measured, in seconds."""
    used: list[Any] = []

    def note(answer: Response) -> None:
        sent = answer.request.post_data_json if answer.url.endswith("/beacon") else {}
        if sent.get("kind") == "use":
            used.append((answer.status, sent))

    green.on("response", note)
    page, _ = await visit(green, "/queue")
    await page.get_by_label("AI type").select_option("invoice")
    await page.get_by_label("AI type").select_option("all")
    page, _ = await visit(green, "/analytics")
    await page.get_by_label("Forecast").check()
    page, _ = await visit(green, "/export")
    await page.get_by_role("button").click()

    async def all_three() -> bool:
        return len(used) >= 3

    await world.until(all_three)
    by_use = {sent.pop("use"): (status, sent) for status, sent in used}
    assert len(used) == 3
    rendered = by_use["forecast_toggle"][1].pop("render_seconds")
    # At least the work of the API, which is never done within a millisecond.
    assert 0.001 < rendered < 10
    assert by_use == {
        "ai_filter": (204, {"kind": "use", "component": "queue"}),
        "forecast_toggle": (204, {"kind": "use", "component": "analytics"}),
        "export_schedule": (204, {"kind": "use", "component": "export"}),
    }


async def test_an_export_is_taken_at_once_with_every_version(world: World, require: Callable[[str], Path]) -> None:
    """A link downloads the file."""
    async with browser(world, require("chromium"), "blue") as context:
        page, _ = await visit(context, "/export")
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Export now").click()
        assert (await download.value).suggested_filename == "documents.csv"


async def test_a_broken_component_throws_and_says_so(world: World, green: BrowserContext) -> None:
    """The browser sees the error; the page has sent its view beacon, and the error beacon after it."""
    await world.sandbox.fault("ui")
    page = await green.new_page()
    beacons: list[Any] = []
    page.on("request", lambda sent: beacons.append(sent.post_data_json) if sent.url.endswith("/beacon") else None)
    async with page.expect_event("pageerror") as thrown:
        await page.goto("/analytics")
    assert "analytics: cannot read properties" in str(await thrown.value)

    async def both() -> bool:
        return [beacon["kind"] for beacon in beacons] == ["view", "error"]

    await world.until(both)
    assert {beacon["component"] for beacon in beacons} == {"analytics"}
    assert "cannot read properties" in beacons[1]["message"]


async def test_the_old_version_shows_the_pages_without_the_features(
    world: World, require: Callable[[str], Path]
) -> None:
    """The list is there, the filter is not; neither are toggle and button."""
    async with browser(world, require("chromium"), "blue") as context:
        page, errors = await visit(context, "/queue")
        await expect(page.locator("#documents li")).to_have_count(12)
        await expect(page.get_by_label("AI type")).to_be_hidden()
        for path, selector in (("/analytics", "#forecast"), ("/export", "#schedule")):
            page, more = await visit(context, path)
            await expect(page.locator(selector)).to_be_hidden()
            errors += more
        assert errors == []
