"""What a rehearsal leaves behind: the audit event, the drafts, the review and the Slack thread, for docs/examples.

    python -m bench.examples [--out docs/examples] [--images docs/images]

The demo's plan on this machine, with its messages to a local server that speaks Slack's wire. The review's pictures
need the system's Chromium; without it they are left as they are, and that is said.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

from canary.testing.slack import SlackServer, slack_server

CANARY = str(Path(sys.executable).with_name("canary"))
VERSION = "2.1.0"
WIDTHS = {"phone": 390, "desk": 1280}
PATIENCE = 300.0
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@asynccontextmanager
async def up(home: Path) -> AsyncIterator[str]:
    """`canary up`; the address of its Prefect UI."""
    environment = os.environ | {"CANARY_HOME": str(home)}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(CANARY, "up", "--json", env=environment, stdout=pipe)
    assert process.stdout is not None
    try:
        yield json.loads(await asyncio.wait_for(process.stdout.readline(), PATIENCE))["ui"]
    finally:
        process.terminate()
        await process.wait()


def on_slack(folder: Path) -> Path:
    """The demo's overlay, with its messages to Slack."""
    plans = files("canary.plans")
    overlay = (plans / "demo.yaml").read_text()
    (folder / "phase1.yaml").write_text((plans / "phase1.yaml").read_text())
    (folder / "demo.yaml").write_text(overlay.replace("terminal/local", "slack/examples"))
    return folder / "demo.yaml"


async def rehearse(folder: Path, slack: SlackServer) -> Path:
    """One rollout, and its reviews; the folder of its documents."""
    home = folder / "home"
    async with up(home) as ui:
        os.environ |= {"PREFECT_API_URL": f"{ui}/api", "CANARY_HOME": str(home)}
        # Prefect reads its settings when it is imported.
        from canary.blocks.registry import save

        await save("slack/examples", slack.fields())
        argv = [CANARY, "start", str(on_slack(folder)), "--version", VERSION, "--by", "Ada", "--wait", "--json"]
        started = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
        told, _ = await asyncio.wait_for(started.communicate(), PATIENCE)
        outcome = json.loads(told.decode().splitlines()[-1])
        if outcome["outcome"] != "promoted":
            raise SystemExit(f"the rehearsal was not promoted: {outcome}")
        documents: Path = home / "rollouts" / str(outcome["rollout"])
        async with asyncio.timeout(PATIENCE):
            while not (documents / "review-30s.html").exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.5)
        return documents


def thread(slack: SlackServer) -> str:
    """Every thread of the channel, as people read it."""
    told = [f"# The Slack thread of a rehearsal\n\nMade by `make docs-examples` from rollout of docflow {VERSION}.\n"]
    for first, *replies in slack.threads().values():
        told.append(f"> {first}\n" + "".join(f">\n> ↳ {reply}\n" for reply in replies))
    return "\n".join(told)


def pictures(page: Path, images: Path) -> None:
    """The review at the width of a phone and of a desk."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        print("no Chromium: the review's pictures are left as they are; apt install chromium")
        return
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=CHROMIUM)
        for name, width in WIDTHS.items():
            tab = browser.new_page(viewport={"width": width, "height": 900})
            tab.goto(page.as_uri())
            tab.screenshot(path=images / f"review-{name}.png", full_page=True)
        browser.close()


async def told(folder: Path) -> tuple[Path, str]:
    """The folder of a rehearsal's documents, and its Slack thread."""
    async with slack_server() as slack:
        return await rehearse(folder, slack), thread(slack)


def make(out: Path) -> None:
    """All documents into the folder."""
    with tempfile.TemporaryDirectory(prefix="canary-examples-") as name:
        documents, said = asyncio.run(told(Path(name)))
        out.mkdir(parents=True, exist_ok=True)
        for file in documents.iterdir():
            (out / file.name).write_text(file.read_text().replace(f"{name}/home", "$CANARY_HOME"))
        (out / "slack-thread.md").write_text(said.replace(f"{name}/home", "$CANARY_HOME"))
        for early in ("review-0s.html", "review-15s.html"):
            (out / early).unlink()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.examples", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/examples"))
    parser.add_argument("--images", type=Path, default=Path("docs/images"))
    asked = parser.parse_args()
    make(asked.out)
    pictures((asked.out / "review-30s.html").resolve(), asked.images)
    print("\n".join(sorted(str(file) for file in asked.out.iterdir())))


if __name__ == "__main__":
    main()
