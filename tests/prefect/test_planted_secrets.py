"""Promise I8: after rollouts in which everything goes wrong and every platform repeats what it was sent, each byte that
was written or printed is searched for each secret there is."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
import pytest_asyncio
from cryptography.fernet import Fernet

from canary.sandbox.control import Sandbox
from canary.testing.echoing import EchoingPlatform, echoing_platform
from canary.testing.leaks import leaked

if TYPE_CHECKING:
    from .conftest import Place, PlanIn

pytestmark = pytest.mark.asyncio(loop_scope="module")

BLOCKS = """
flags/docflow: {url: "${PLATFORM}", token: "${FLAGS_TOKEN}"}
scraper/docflow: {urls: ["${METRICS_BLUE}", "${METRICS_GREEN}"], bearer: "${SCRAPER_BEARER}"}
slack/bot: {base_url: "${PLATFORM}/api", token: "${SLACK_TOKEN}", channel: C024BE91L, oncall: [U024BE91L]}
slack/hook: {webhook_url: "${SLACK_WEBHOOK}", oncall: [U024BE91L]}
prometheus/echo: {url: "${PLATFORM}", username: ann, password: "${PROMETHEUS_PASSWORD}"}
"""
WRONG_BLOCKS = 'flags/wrong: {url: "${URL_WITH_SECRETS}", token: "${FLAGS_TOKEN}"}\n'
NOTIFIERS = "[slack/bot, slack/hook, terminal/local]"
TO_ALL = (
    ("updates: [terminal/local]", f"updates: {NOTIFIERS}"),
    ("page: [terminal/local]", f"page: {NOTIFIERS}"),
    ("within: 5m}", "within: 2s}"),
)
NOBODY = "nobody-00000000"
# What other libraries do: an error whose text is the request, or the address. In the processes of flow runs alone.
BREAKS_ONCE = """
import os
if "PREFECT__FLOW_RUN_ID" in os.environ:
    from canary.blocks.probe import HttpProbe
    from canary.rollout import people

    get, enter = HttpProbe.get, people.enter

    async def breaks(self, url, headers):
        try:
            os.close(os.open(os.environ["BREAKS_ONCE"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return await get(self, url, headers)
        raise RuntimeError(f"GET {url} failed with {dict(headers)}")

    async def enter_or_break(journal, clock, rollout, decision):
        if rollout == "nobody-00000000":
            raise RuntimeError(f"no answer from postgresql://canary:{os.environ['CANARY_VAULT_KEY']}@db")
        return await enter(journal, clock, rollout, decision)

    HttpProbe.get, people.enter = breaks, enter_or_break
"""
PLATFORMS_OWN = ("sandbox.json", "sandbox/envoy.json", "keys/")
"""Below the home: where the sandbox, which stands for the platforms, and the owner's keys keep their secrets."""
WRITTEN = ("user info in a URL", "query of a URL")
TYPED = ("user info typed into a form", "query typed into a form")
PREFECTS_OWN = {"prefect/prefect.db", "prefect/prefect.db-wal"}
"""Prefect tells in an event of its own (`prefect.block-document.created`, the column `payload`) what was typed into the
fields of a block that are no secret ones, before anybody of us is asked: an address with a password in it, too. Nothing
else is let through, and nothing else of these two files."""


def _word() -> str:
    return secrets.token_urlsafe(24)


@dataclass
class Stage:
    """Everything up; name → secret; and place → all that was printed or answered there."""

    place: Place
    platform: EchoingPlatform
    sandbox: Sandbox
    planted: dict[str, str]
    folder: Path
    said: dict[str, str] = field(default_factory=dict)

    async def run(self, *command: str) -> tuple[int, str]:
        """As `Place.run`; what it prints is kept."""
        code, output = await self.place.run(*command, cwd=self.folder)
        self.said[f"$ {' '.join(command)} ({len(self.said)})"] = output
        return code, output


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    bring_up: Callable[[Path, Mapping[str, str]], AbstractAsyncContextManager[Place]],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    """`canary up` under keys of our own, and blocks that lead to a platform which repeats what it is sent."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("work")
    (folder / "sitecustomize.py").write_text(BREAKS_ONCE)
    async with echoing_platform() as platform:
        planted = {
            "vault key": Fernet.generate_key().decode(),
            "slack token": f"xoxb-{_word()}",
            "slack webhook": _word(),
            "scraper bearer": _word(),
            "prometheus password": _word(),
            "user info in a URL": _word(),
            "query of a URL": _word(),
            "token of a block made by hand": _word(),
            "user info typed into a form": _word(),
            "query typed into a form": _word(),
        }
        settings = {
            "CANARY_VAULT_KEY": planted["vault key"],
            "BREAKS_ONCE": str(folder / "broken"),
            "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        async with bring_up(home, settings) as place:
            sandbox = Sandbox.attach(home)
            state = sandbox.state
            platform.flags_url = state.flags_url
            fields = {name: str(value) for name, value in dict(state).items() if name.endswith("_token")}
            fields["the key of Prefect's blocks"] = (home / "keys" / "prefect.key").read_text()
            yield Stage(place, platform, sandbox, {**planted, **fields}, folder)


def _variables(stage: Stage) -> dict[str, str]:
    """What the blocks files are filled in with."""
    planted, state = stage.planted, stage.sandbox.state
    return {
        "PLATFORM": stage.platform.url,
        "METRICS_BLUE": state.metrics_urls["blue"],
        "METRICS_GREEN": state.metrics_urls["green"],
        "FLAGS_TOKEN": planted["flags_token"],
        "SCRAPER_BEARER": planted["scraper bearer"],
        "SLACK_TOKEN": planted["slack token"],
        "SLACK_WEBHOOK": f"{stage.platform.url}/services/T024BE7LH/B024BE7LH/{planted['slack webhook']}",
        "PROMETHEUS_PASSWORD": planted["prometheus password"],
        "URL_WITH_SECRETS": _url_with_secrets(planted),
    }


def _url_with_secrets(planted: Mapping[str, str], where: tuple[str, str] = WRITTEN) -> str:
    user_info, query = (planted[name] for name in where)
    return f"http://ann:{user_info}@127.0.0.1:9/x?api_key={query}"


async def _blocks(stage: Stage) -> None:
    """Good ones by file; wrong ones refused; and a wrong one made in Prefect's UI, which asks nobody of us."""
    stage.place = type(stage.place)(stage.place.ui, {**stage.place.env, **_variables(stage)}, stage.place.http)
    (stage.folder / "blocks.yaml").write_text(BLOCKS)
    (stage.folder / "wrong-blocks.yaml").write_text(WRONG_BLOCKS)
    code, output = await stage.run("canary", "blocks", "apply", "blocks.yaml")
    assert code == 0, output
    code, output = await stage.run("canary", "blocks", "apply", "wrong-blocks.yaml")
    assert code == 2, output
    kind = (await stage.place.call("GET", "block_types/slug/flags")).json()
    (schema, *_) = await stage.place.ask(
        "block_schemas/filter", block_schemas={"block_type_id": {"any_": [kind["id"]]}}
    )
    data = {"url": _url_with_secrets(stage.planted, TYPED), "token": stage.planted["token of a block made by hand"]}
    ids = {"block_type_id": kind["id"], "block_schema_id": schema["id"]}
    await stage.place.ask("block_documents/", name="made-by-hand", data=data, **ids)


async def _roll_back(stage: Stage, plan: Path) -> str:
    """A rollout that breaks once, fails in the canary, and pages: angry flags do not show that it is back."""
    code, output = await stage.run("canary", "start", str(plan), "--version", "2.1.0", "--json")
    assert code == 0, output
    rollout: str = json.loads(output.splitlines()[-1])["rollout"]

    async def soaks() -> bool | None:
        if rollout not in await stage.place.rollouts():
            return None
        state, _ = await stage.place.journal(rollout)
        assert not state.ended, state.ended
        return True if state.soaking == "canary" else None

    await stage.place.until(soaks, "10 % on the candidate")
    await stage.sandbox.fault("errors")
    stage.platform.angry = True

    async def paged() -> bool | None:
        _, entries = await stage.place.journal(rollout)
        return True if any(entry.type == "paged" for entry in entries) else None

    await stage.place.until(paged, "a page about a rollback that cannot be verified")
    await stage.run("canary", "status", rollout)
    stage.platform.angry = False
    await stage.run("canary", "rollback", rollout, "--reason", "the flags answer again", "--by", "Ann")
    await _ended(stage, rollout, "rolled_back")
    return rollout


async def _ended(stage: Stage, rollout: str, outcome: str) -> None:
    async def over() -> Any:
        if rollout not in await stage.place.rollouts():
            return None
        state, _ = await stage.place.journal(rollout)
        return state.ended

    ended = await stage.place.until(over, f"the end of {rollout}")
    assert ended.outcome == outcome


async def _refused(stage: Stage, plan_in: PlanIn) -> str:
    """A rollout that is refused for the block made by hand; the doctor looks at it and at an angry Prometheus."""
    folder = stage.folder / "refused"
    folder.mkdir()
    changes = (
        ("flags: {use: flags/docflow}", "flags: {use: flags/made-by-hand}"),
        ("scraper/docflow", "prometheus/echo"),
    )
    plan = plan_in(folder, *TO_ALL, *changes)
    code, output = await stage.run("canary", "start", str(plan), "--version", "2.1.1", "--json")
    assert code == 0, output
    rollout: str = json.loads(output.splitlines()[-1])["rollout"]
    await _ended(stage, rollout, "refused")
    return rollout


async def _wrong_plans(stage: Stage, plan_in: PlanIn) -> None:
    """Plans with secrets in their URLs: refused, as a plan is stored and shown in clear."""
    url, query = _url_with_secrets(stage.planted), f"?api_key={stage.planted['query of a URL']}"
    for number, (old, new) in enumerate(
        (("https://forms.example.com/docflow-phase-1", url), ("queue?aiType=invoice", f"queue{query}"))
    ):
        folder = stage.folder / f"wrong-{number}"
        folder.mkdir()
        plan = str(plan_in(folder, (old, new)))
        commands = (("plan", "check", plan), ("start", plan, "--version", "2.1.2"))
        for code, output in await asyncio.gather(*(stage.run("canary", *command) for command in commands)):
            assert code == 2, output


async def _look_at_everything(stage: Stage, plan: Path, rollout: str) -> None:
    """Every command that shows something."""
    page, lines = stage.folder / "review.html", stage.folder / "export.jsonl"
    commands = (
        ("status",),
        ("status", rollout, "--json"),
        ("journal", rollout),
        ("journal", rollout, "--json"),
        ("journal", "export", str(lines)),
        ("review", rollout, "--html", str(page)),
        ("plan", "show", str(plan)),
        ("doctor",),
    )
    for code, output in await asyncio.gather(*(stage.run("canary", *command) for command in commands)):
        assert code in (0, 1), output
        assert "Traceback" not in output, output
    stage.said["review.html"], stage.said["export.jsonl"] = page.read_text(), lines.read_text()


async def _metrics(stage: Stage, during: asyncio.Event) -> None:
    """A guard that serves /metrics; what it serves and what it prints, until it is told to end."""
    guard = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "canary", "guard", "--metrics-port", "0"),
        env=stage.place.env,
        cwd=stage.folder,
        stderr=subprocess.PIPE,
    )
    assert guard.stderr is not None
    line = (await asyncio.wait_for(guard.stderr.readline(), 60)).decode()
    found = re.search(r"http://\S+/metrics", line)
    assert found, line
    await during.wait()
    async with httpx.AsyncClient(trust_env=False) as http:
        stage.said["/metrics"] = (await http.get(found[0])).text
    guard.terminate()
    stage.said["the guard's own words"] = line + (await guard.communicate())[1].decode()


def _files(home: Path) -> Iterator[tuple[str, bytes]]:
    """All files below the home, and each row of each table of every database: a value may be split over pages."""
    for file in sorted(home.rglob("*")):
        name = str(file.relative_to(home))
        if not file.is_file() or name.startswith(PLATFORMS_OWN):
            continue
        yield name, file.read_bytes()
        if name.startswith("prefect/storage/"):
            # A failed run's error, in base64 with line breaks.
            yield f"{name}, unbroken", file.read_bytes().replace(b"\\n", b"")
        if file.suffix == ".db":
            yield from ((f"{name}: {table}", rows) for table, rows in _tables(file))


def _tables(file: Path) -> Iterator[tuple[str, bytes]]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        tables = [str(row[0]) for row in database.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            but = " where event <> 'prefect.block-document.created'" if table == "events" else ""
            rows = database.execute(f'select * from "{table}"{but}')
            yield table, "\n".join(str(value) for row in rows for value in row).encode()


def _command_lines(home: Path) -> str:
    """What every user of this machine can read of the processes that live in the home."""
    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    folder = str(home)
    ours = [" ".join(line) for line in lines if any(folder in word or "canary" in word for word in line)]
    return "\n".join(ours)


async def test_no_secret_is_told(stage: Stage, plan_in: PlanIn, for_hours: tuple[str, str]) -> None:
    """Blocks, plans, URLs and platforms' errors: each secret is found nowhere, in clear, escaped or in base64."""
    home, done = Path(stage.place.env["CANARY_HOME"]), asyncio.Event()
    await _blocks(stage)
    good = stage.folder / "good"
    good.mkdir()
    plan = plan_in(good, *TO_ALL, for_hours)
    serving = asyncio.create_task(_metrics(stage, done))
    broken = await stage.place.start("abort/abort", rollout=NOBODY, by="Ann", reason="to see it fail")
    rollout = await _roll_back(stage, plan)
    refused, _ = await asyncio.gather(_refused(stage, plan_in), _wrong_plans(stage, plan_in))
    await _look_at_everything(stage, plan, rollout)
    assert (await stage.place.ended(broken))["type"] == "FAILED"
    stage.said["block documents"] = json.dumps(
        [one for one in await stage.place.everything("block_documents") if one["name"] != "made-by-hand"]
    )
    stage.said["command lines"] = _command_lines(home)
    done.set()
    await serving
    written = dict(_files(home))
    everything = {**written, **{name: text.encode() for name, text in stage.said.items()}}
    _was_worth_looking_at(stage, everything, rollout, refused)
    found = {(place, name) for place, content in everything.items() for name in leaked(stage.planted, content)}
    assert found - {(place, name) for place in PREFECTS_OWN for name in TYPED} == set()


def _was_worth_looking_at(stage: Stage, everything: Mapping[str, bytes], rollout: str, refused: str) -> None:
    """The secrets were sent and repeated, things went wrong, and it was written where we look."""
    sent = " ".join(stage.platform.asked)
    assert stage.planted["slack token"] in sent
    assert stage.planted["slack webhook"] in sent
    assert stage.planted["flags_token"] in sent
    assert (stage.folder / "broken").exists()
    assert any("PAGE" in text for text in stage.platform.heard)
    logs = everything["prefect/prefect.db: log"].decode()
    assert "Traceback" in logs
    assert re.search(r"Unforeseen\('RuntimeError in .*breaks", logs)
    assert re.search(r"Unforeseen: RuntimeError in .*enter_or_break", logs)
    assert b"***" in everything["data/journal.db: canary_events"]
    assert b"rollback_unverified" in everything["data/journal.db: canary_events"]
    for place in ("artifact", "flow_run", "log"):
        assert rollout.encode() in everything[f"prefect/prefect.db: {place}"], place
    assert refused.encode() in everything["data/journal.db: canary_events"]
    for file in ("prefect/worker.log", "prefect/guard.log", "up.log"):
        assert file in everything
