"""What is left of a visit that failed: words, a picture and a trace, and no secret in any of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from aiohttp import web

from canary.blocks import visiting
from canary.blocks.browser import Chromium
from canary.ports import Access
from canary.testing.browser import SECRET, script

HEADERS = {"X-Internal": SECRET, "Authorization": f"Bearer {SECRET}"}
PAGE = """<!doctype html><link rel=icon href=data:,><button id=more>more</button><p>SAID</p><script>
fetch("/api/admin/queue?x=1").then(() => fetch("/api/lost")).catch(() => 0);
console.error("the queue is broken for", "SECRET");
EXTRA
</script>"""


async def _answer(request: web.Request) -> web.Response:
    if request.path == "/api/lost":
        assert request.transport is not None
        request.transport.abort()
    if request.path.startswith("/api/"):
        return web.json_response({"you": request.headers["Authorization"]}, status=500)
    said = request.headers["X-Internal"] if request.path == "/shows" else "fine"
    extra = "Promise.reject(new Error('nobody catches this'))" if request.path == "/rejects" else ""
    page = PAGE.replace("SAID", said).replace("SECRET", "nobody").replace("EXTRA", extra)
    return web.Response(text=page, content_type="text/html")


@pytest.fixture
async def browser(
    tmp_path: Path, require: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    """One that keeps below the test's folder, and waits a second for what never comes."""
    require("chromium")
    monkeypatch.setattr(visiting, "STEP_WITHIN", 1.0)
    one = Chromium(tmp_path / "visits")
    yield one
    await one.close()


@pytest.fixture
async def access(serve: Any) -> Access:
    return Access(await serve(_answer), HEADERS)


async def test_a_failure_is_pictured_and_traced_and_names_both(
    browser: Chromium, access: Access, tmp_path: Path
) -> None:
    """The picture is a PNG, the trace opens, and no text in it holds the headers that the page was asked with."""
    visit = await browser.visit(access, script("/broken"))
    assert visit.outcome == "failed"
    found = re.search(r"\(seen: (\S+\.png); trace: (\S+\.zip)\)$", visit.detail)
    assert found is not None, visit.detail
    picture, trace = map(Path, found.groups())
    assert {picture, trace} == set((tmp_path / "visits").iterdir())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "visits").stat().st_mode & 0o077 == 0
    with ZipFile(trace) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    assert b"click" in members["trace.trace"]
    assert b"/api/admin/queue" in members["trace.network"]
    assert b"***" in members["trace.network"]
    assert [name for name, content in members.items() if SECRET.encode() in content] == []


async def test_console_and_requests_explain_a_failure(browser: Chromium, access: Access) -> None:
    """Errors of the console, answers that are errors, and requests without one: each once, without query or secret."""
    visit = await browser.visit(access, script("/broken"))
    meanwhile = visit.detail.partition("; meanwhile: ")[2]
    assert "console: the queue is broken for nobody" in meanwhile
    assert "GET /api/admin/queue answered 500" in meanwhile
    assert "GET /api/lost: net::ERR" in meanwhile
    assert "x=1" not in meanwhile
    assert SECRET not in visit.detail


async def test_a_rejection_that_nobody_catches_is_an_error(browser: Chromium, access: Access, tmp_path: Path) -> None:
    """As what is thrown; the visit passed its steps, and is kept all the same."""
    visit = await browser.visit(access, script("/rejects", do=[], expect=[{"see": "#more", "count": 1}]))
    assert (visit.outcome, visit.errors) == ("passed", ("nobody catches this",))
    assert len(list((tmp_path / "visits").glob("*.png"))) == 1


async def test_what_passes_leaves_nothing(browser: Chromium, access: Access, tmp_path: Path) -> None:
    """Neither files nor words, whatever its console said."""
    visit = await browser.visit(access, script("/fine", do=[], expect=[{"see": "#more", "count": 1}]))
    assert (visit.outcome, visit.detail) == ("passed", "/fine did as expected")
    assert not (tmp_path / "visits").exists()


async def test_a_page_that_shows_a_secret_is_not_pictured(browser: Chromium, access: Access, tmp_path: Path) -> None:
    """And that is said."""
    visit = await browser.visit(access, script("/shows"))
    assert visit.detail.endswith("(not pictured: the page shows a secret)")
    assert not (tmp_path / "visits").exists()


async def test_a_folder_that_cannot_be_written_fails_no_visit(
    browser: Chromium, access: Access, tmp_path: Path
) -> None:
    """What was seen of the page is told without them."""
    (tmp_path / "visits").write_text("a file")
    visit = await browser.visit(access, script("/broken"))
    assert visit.outcome == "failed"
    assert "seen:" not in visit.detail
