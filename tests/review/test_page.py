"""The report as a page and as Markdown: whole, escaped, without anything from outside, readable at both widths."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.async_api import async_playwright

from canary.ports import Increment
from canary.review.answers import Answers
from canary.review.page import html, markdown
from canary.review.report import Report

from .conftest import Story, times

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
EVIL = "<script>alert(1)</script> | [x](javascript:1)"


@pytest.fixture
def report(promoted: Callable[..., Story]) -> Report:
    """Of a day, with a source that says something evil."""
    beside: dict[str, Any] = {
        "http_errors": {"canary": Increment(100.0, 1.0), "baseline": Increment(900.0)},
        "api_latency": {"canary": times(100, 90), "baseline": times(900, 800)},
    }
    after = {measure: {"canary": arms["canary"]} for measure, arms in beside.items()}
    return promoted(beside, after).report({"tickets": Answers((EVIL,))})


def test_the_page_says_first_what_matters(report: Report) -> None:
    """Title, verdict and the three lines stand before every table."""
    page = html(report)
    head = page[: page.index("<table")]
    assert report.verdict in head
    assert head.count("<li>") == 3
    assert page.index("PROMOTED") < page.index("KPIs</h2>")


def test_nothing_that_was_said_becomes_markup(report: Report) -> None:
    """A ticket's title is a text, in HTML and in Markdown."""
    page, text = html(report), markdown(report)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in text
    assert "[x](javascript" not in text
    for row in [line for line in text.splitlines() if line.startswith("| tickets")]:
        assert len(re.findall(r"(?<!\\)\|", row)) == 5


def test_the_page_needs_nothing_from_outside(report: Report) -> None:
    """It can be mailed, printed and kept: no script, no link, no image, no font from anywhere."""
    page = html(report)
    assert not re.search(r"<(script|link|img|iframe)|@import|url\((?!#)", page)


def test_every_plot_is_a_picture_with_a_line_for_each_arm(report: Report) -> None:
    """Well-formed SVG, the same each time, with both arms in its legend."""
    drawn = re.findall(r"<svg.*?</svg>", html(report), re.DOTALL)
    assert len(drawn) == len(report.curves) == 2
    for each in drawn:
        ElementTree.fromstring(each)
        assert all(name in each for name in ("candidate", "baseline", "full exposure"))
    assert html(report) == html(report)


def test_the_markdown_holds_every_kpi_and_table(report: Report) -> None:
    """An artifact is the whole report but for the plots."""
    text = markdown(report)
    assert all(f"| {row.name} |" in text for row in report.kpis)
    assert all(f"## {table.title}" in text for table in report.tables)


@pytest.mark.parametrize("width", [390, 1280])
async def test_the_page_is_readable_at_the_width_of_a_phone_and_of_a_desk(
    report: Report, tmp_path: Path, require: Callable[[str], Path], width: int
) -> None:
    """Nothing is wider than the screen, dark text stands on white, and the verdict is seen without scrolling."""
    file = tmp_path / "review.html"
    file.write_text(html(report), "utf-8")
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=require("chromium"), args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": width, "height": 800})
        await page.goto(file.as_uri())
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        box = await page.locator(".matters").bounding_box()
        cut = await page.evaluate(
            "[...document.querySelectorAll('td')].filter(c => c.scrollWidth > c.clientWidth + 1).length"
        )
        await browser.close()
    assert box is not None
    assert box["y"] + box["height"] < 800
    assert cut == 0
