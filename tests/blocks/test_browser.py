"""The fake and Chromium pass the browser suite; no header leaves for another host, and no browser is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web

from canary.blocks import visiting
from canary.blocks.browser import Chromium
from canary.blocks.environment import without_secrets
from canary.blocks.own_origin import origin
from canary.errors import Refused
from canary.plan.visits import UiCheck
from canary.ports import Access, Browser, Visit
from canary.testing.browser import SECRET, BrowserConformance, script
from canary.testing.fakes import FakeBrowser

HEADERS = {"X-Internal": SECRET, "Authorization": f"Bearer {SECRET}"}
MORE = "<button class=more id=more>more</button>"
PAGE = """<!doctype html><link rel=icon href=data:,>BUTTONS<ul id=items><li>one</ul><p id=status></p><script>
document.querySelector("#more")?.addEventListener("click", () => {
  document.querySelector("#items").append(Object.assign(document.createElement("li"), {textContent: "two"}));
  document.querySelector("#status").textContent = " 2  items ";
});
EXTRA
</script>"""
FORM = """<!doctype html><link rel=icon href=data:,><select id=kind><option value=i>invoice<option value=c>contract
</select><input id=name><input type=checkbox id=on><button id=off disabled>no</button><p id=said></p><script>
const said = () => document.querySelector("#said").textContent =
  [kind.value, document.querySelector("#name").value, on.checked].join(" ");
addEventListener("input", said);
</script>"""


@dataclass
class Stage:
    """Addresses, and how a browser is made."""

    access: Access
    nobody: Access
    fake: FakeBrowser | None = None

    def open(self) -> Browser:
        return self.fake or Chromium()


class TestFakeBrowser(BrowserConformance):
    """The fake."""

    @pytest.fixture
    def stage(self) -> Stage:
        visits = {
            "/works": Visit("passed", "fine", views=1, seconds=0.1),
            "/empty": Visit("failed", "click #more: #more matches nothing", views=1),
            "/twice": Visit("failed", "click #more: #more matches 2 elements", views=1),
            "/throws": Visit("passed", "fine", ("broken for ***",), views=1),
            "/failing": Visit("failed", "the page answered 503"),
        }
        return Stage(Access("http://a"), Access("http://b"), FakeBrowser(visits))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, require: Callable[[str], Path]) -> None:
    """What never comes is waited for a second only; with a Chromium here, or not at all."""
    require("chromium")
    monkeypatch.setattr(visiting, "STEP_WITHIN", 1.0)
    monkeypatch.setattr(visiting, "LOAD_WITHIN", 1.0)


async def _page(request: web.Request) -> web.Response:
    if request.path == "/failing":
        return web.Response(status=503)
    buttons = {"/empty": "", "/twice": MORE * 2}.get(request.path, MORE)
    extra = f"throw new Error('broken for {request.headers['Authorization']}')" if request.path == "/throws" else ""
    return web.Response(text=PAGE.replace("BUTTONS", buttons).replace("EXTRA", extra), content_type="text/html")


@pytest.mark.usefixtures("quick")
class TestChromium(BrowserConformance):
    """The adapter."""

    @pytest.fixture
    async def stage(self, serve: Any, closed_port: int) -> Stage:
        return Stage(Access(await serve(_page), HEADERS), Access(f"http://127.0.0.1:{closed_port}", HEADERS))


@pytest.fixture
async def browser(quick: None) -> AsyncIterator[Chromium]:
    """Closed at the end."""
    one = Chromium()
    yield one
    await one.close()


@dataclass
class Asked:
    """A server that keeps what it was asked: path → headers."""

    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    answer: Callable[[web.Request], web.Response] = lambda _: web.Response(text="fine")

    async def serve(self, request: web.Request) -> web.Response:
        self.headers[request.path] = {name.lower(): value for name, value in request.headers.items()}
        response = self.answer(request)
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response


async def test_headers_go_to_their_own_origin_alone(browser: Chromium, serve: Any) -> None:
    """Page, its requests and a redirect on the same host carry them; another host never, redirected to or not."""
    other = Asked()
    elsewhere = await serve(other.serve)
    page = f"""<!doctype html><link rel=icon href=data:,><p id=said></p><script>
    Promise.all(["/data", "/near", "/far", "{elsewhere}/direct"].map((url) => fetch(url))).then((all) =>
      document.querySelector("#said").textContent = all.length)</script>"""

    def answer(request: web.Request) -> web.Response:
        onward = {"/start": "/page", "/near": "/end", "/far": f"{elsewhere}/redirected"}.get(request.path)
        if onward:
            return web.Response(status=302, headers={"Location": onward})
        return web.Response(text=page if request.path == "/page" else "fine", content_type="text/html")

    own = Asked(answer=answer)
    check = script("/start", do=(), expect=[{"see": "#said", "text": "4"}])
    visit = await browser.visit(Access(await serve(own.serve), HEADERS), check)
    assert visit.outcome == "passed", visit.detail
    assert set(own.headers) == {"/start", "/page", "/data", "/near", "/end", "/far"}
    assert {headers["x-internal"] for headers in own.headers.values()} == {SECRET}
    assert {headers["authorization"] for headers in own.headers.values()} == {f"Bearer {SECRET}"}
    assert set(other.headers) == {"/direct", "/redirected"}
    assert SECRET not in f"{other.headers}"


async def look(browser: Chromium, serve: Any, text: str, check: UiCheck) -> Visit:
    """The visit of a page with that text."""
    page = Asked(answer=lambda _: web.Response(text=text, content_type="text/html"))
    return await browser.visit(Access(await serve(page.serve)), check)


async def test_every_kind_of_step_is_done(browser: Chromium, serve: Any) -> None:
    """An option by its label, a field, a check box; in their order."""
    steps = [{"choose": "contract", "in": "#kind"}, {"fill": "Ann", "in": "#name"}, {"check": "#on"}]
    visit = await look(browser, serve, FORM, script("/", do=steps, expect=[{"see": "#said", "text": "c Ann true"}]))
    assert visit.outcome == "passed", visit.detail


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"do": [{"click": "#off"}]}, "click #off: not possible within 1 s (element is not enabled"),
    ({"do": [{"choose": "bill", "in": "#kind"}]}, "choose 'bill' in #kind: not possible within 1 s (did not find"),
    ({"do": [{"click": "##"}]}, "click ##: "),
    ({"do": [], "expect": [{"see": "select", "count": 3}]}, "see 3 × select: select matches 1 element"),
    ({"do": [], "expect": [{"see": "p, select, #off"}]}, "see p, select, #off: p, select, #off matches 2 elements"),
    ({"do": [], "expect": [{"see": "#off", "text": "yes"}]}, "see #off with the text 'yes': its text is 'no'"),
]


async def test_a_step_that_cannot_be_done_says_why(browser: Chromium, serve: Any) -> None:
    """Failed, with the step in its own words; what cannot be seen does not count."""
    for changes, said in IMPOSSIBLE:
        visit = await look(browser, serve, FORM, script("/", **{"expect": [{"see": "#said"}], **changes}))
        assert (visit.outcome, visit.views) == ("failed", 1)
        assert visit.detail.startswith(said), visit.detail


async def test_a_page_that_never_comes_tells_nothing(browser: Chromium, serve: Any) -> None:
    """Given up after its time; neither passed nor failed."""
    never = asyncio.Event()

    async def silent(_: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    visit = await browser.visit(Access(await serve(silent)), script("/queue?a=b"))
    assert (visit.outcome, visit.detail) == ("cannot tell", "open /queue?a=b: no answer within 1 s")
    assert visit.views == 0
    never.set()


async def test_steps_wait_for_what_the_page_loads_first(browser: Chromium, serve: Any) -> None:
    """An answer that is still on its way would overwrite what a step did."""
    page = """<!doctype html><link rel=icon href=data:,><p id=said></p><p id=done></p><button id=b>b</button><script>
    const said = (text) => document.querySelector("#said").textContent = text;
    b.addEventListener("click", () => said("clicked"));
    fetch("/slow").then(() => { said("loaded"); done.textContent = "done" });</script>"""

    async def slow(request: web.Request) -> web.Response:
        if request.path == "/slow":
            await asyncio.sleep(0.5)
        return web.Response(text=page, content_type="text/html")

    check = script("/", do=({"click": "#b"},), expect=[{"see": "#done"}, {"see": "#said", "text": "clicked"}])
    assert (await browser.visit(Access(await serve(slow)), check)).outcome == "passed"


async def test_each_visit_is_by_somebody_new(browser: Chromium, serve: Any) -> None:
    """Nothing that one visit left in the browser is there at the next."""
    page = """<p id=said></p><script>document.querySelector("#said").textContent =
    [document.cookie, sessionStorage.length, localStorage.length].join(); document.cookie = "a=b";
    sessionStorage.a = localStorage.a = "b"</script>"""
    asked = Asked(answer=lambda _: web.Response(text=page, content_type="text/html"))
    access = Access(await serve(asked.serve))
    check = script("/", do=(), expect=[{"see": "#said", "text": ",0,0"}])
    assert [(await browser.visit(access, check)).outcome for _ in range(2)] == ["passed", "passed"]


async def test_a_visit_that_is_given_up_ends_at_once(browser: Chromium, serve: Any) -> None:
    """And the next one finds the browser as it was."""
    access = Access(await serve(_page), HEADERS)
    await browser.check_connection()
    hanging = asyncio.create_task(browser.visit(access, script("/works", do=({"click": "#none"},))))
    done, _ = await asyncio.wait({hanging}, timeout=0.3)
    assert not done
    hanging.cancel()
    done, _ = await asyncio.wait({hanging}, timeout=0.3)
    assert done
    assert (await browser.visit(access, script("/works"))).outcome == "passed"


async def test_a_browser_that_died_is_replaced(browser: Chromium, serve: Any) -> None:
    """Sooner or later the next visit passes; until then nothing can be told, and nothing is raised."""
    access = Access(await serve(_page), HEADERS)
    assert (await browser.visit(access, script("/works"))).outcome == "passed"
    for process in chromiums():
        process.kill()
    outcomes = [(await browser.visit(access, script("/works"))).outcome for _ in range(2)]
    assert outcomes in (["cannot tell", "passed"], ["passed", "passed"])


async def test_no_process_is_left_behind(quick: None, serve: Any) -> None:
    """Closed is closed, with its renderers."""
    before = set(chromiums())
    browser = Chromium()
    await browser.visit(Access(await serve(_page), HEADERS), script("/works"))
    started = [process for process in chromiums() if process not in before]
    assert started
    await browser.close()
    _, alive = psutil.wait_procs(started, timeout=5)
    assert alive == []


def chromiums() -> list[psutil.Process]:
    """This process's own browsers."""
    return [each for each in psutil.Process().children(recursive=True) if "chrom" in each.name()]


async def test_where_no_chromium_is_found_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At preflight as an error, in a visit as nothing to tell."""
    monkeypatch.setenv("PATH", str(tmp_path))
    browser = Chromium()
    with pytest.raises(Refused, match="apt install chromium"):
        await browser.check_connection()
    assert (await browser.visit(Access("http://127.0.0.1:1"), script("/"))).outcome == "cannot tell"
    await browser.close()


async def test_a_chromium_that_does_not_start_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Found is not enough: it is started at preflight."""
    fake = tmp_path / "chromium"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    browser = Chromium()
    with pytest.raises(Refused, match="Chromium does not start"):
        await browser.check_connection()
    await browser.close()


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("http://Candidate.Example:80/base", "http://candidate.example"),
        ("https://a.example:443", "https://a.example"),
        ("https://a.example:8443/", "https://a.example:8443"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, written: str) -> None:
    """Else no request would match it."""
    assert origin(url) == written


def test_other_programs_see_no_secret_of_the_environment() -> None:
    """By name or by value; what is harmless stays."""
    harmless = {"PATH": "/bin", "LANG": "C", "HOME": "/x", "SITE": "https://a.example/b"}
    secret = {
        "CANARY_HOME": "x",
        "PREFECT_API_URL": "x",
        "GITHUB_TOKEN": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "PGPASSWORD": "x",
        "db_password": "x",
        "DATABASE": "postgres://u:p@h/d",
    }
    assert without_secrets({**harmless, **secret}) == harmless
