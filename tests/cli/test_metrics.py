"""The guard's /metrics: what it tells of a rollout, what it does not tell when it does not know, and the alerts."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families as families

from canary.cli import metrics
from canary.cli.metrics import Exporter, Reader, UnderWay, serving
from canary.cli.store import WallClock
from canary.errors import BadUsage, JournalUnavailable
from canary.guard import Guard
from canary.ports import Clock, Entry, Lock, NewEntry
from canary.rollout import events as e
from canary.rollout.adapters import Opener
from canary.rollout.conducting import Stores
from canary.testing.clock import FakeClock
from canary.testing.fakes import MemoryShelf
from canary.testing.journal import MemoryJournal, MemoryVault

RULES = Path(str(files("canary.deployments") / "canary-alerts.yaml"))
Samples = dict[tuple[str, ...], float]


class WatchedJournal(MemoryJournal):
    """Counts what it is asked; may be away, or never answer."""

    away: bool = False
    hangs: bool = False
    asked: int = 0
    lines_read: int = 0

    async def locks(self) -> Sequence[Lock]:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(3600)
        if self.away:
            raise JournalUnavailable("the journal is away")
        return await super().locks()

    async def read(self, rollout: str, after: int = 0) -> Sequence[Entry]:
        found = await super().read(rollout, after)
        self.lines_read += len(found)
        return found


class NoSpool:
    """Nothing waits."""

    def add(self, rollout: str, entries: Sequence[NewEntry]) -> None:
        raise AssertionError("the guard of these tests journals nothing")

    async def flush(self, journal: MemoryJournal) -> None:
        """Nothing to append."""


def guard_of(journal: MemoryJournal, clock: Clock) -> Guard:
    def never(*_: Any) -> Any:
        raise AssertionError("no adapter is opened in these tests")

    stores = Stores(journal, MemoryVault(), NoSpool(), clock, MemoryShelf())
    return Guard(stores, Opener(never, never, never, never, never))


def samples(text: str) -> Samples:
    """(name, label values in the order of their names) → value."""
    found = [sample for family in families(text) for sample in family.samples]
    return {(s.name, *(s.labels[name] for name in sorted(s.labels))): s.value for s in found}


def exposed(under_way: tuple[UnderWay, ...] | None, now: float = 0.0, looked_at: float | None = None) -> str:
    """The text that Prometheus gets."""
    registry = CollectorRegistry()
    registry.register(Exporter(lambda: under_way, lambda: now, lambda: looked_at))
    return generate_latest(registry).decode()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def journal(shop: Any, clock: FakeClock) -> WatchedJournal:
    """A rollout of `shop` in its canary, with 15 s of its conductor's lease left; `web` shows too little."""
    opened = WatchedJournal()
    await tell(opened, [*shop.until_canary(), shop.shows(0.1, 0.05)])
    await opened.take("shop", "r1", "host:1", clock.now(), 15.0)
    return opened


async def tell(journal: WatchedJournal, events: Sequence[e.Event | NewEntry]) -> None:
    after = len(await MemoryJournal.read(journal, "r1"))
    await journal.append("r1", after, [x if isinstance(x, NewEntry) else x.entry(1.0) for x in events])


async def test_a_rollout_has_phase_standing_lease_and_exposure(journal: WatchedJournal, clock: FakeClock) -> None:
    """All that is known, in Prometheus' own format."""
    told = samples(exposed(await Reader(journal, clock).read(), clock.now() + 5, looked_at=7.0))
    assert told == {
        ("canary_journal_up",): 1.0,
        ("canary_guard_last_look_timestamp_seconds",): 7.0,
        ("canary_rollouts", "canary", "shop", "judging"): 1.0,
        ("canary_conductor_lease_seconds", "shop"): 10.0,
        ("canary_exposure_share", "asked", "shop", "api"): 0.1,
        ("canary_exposure_share", "asked", "shop", "web"): 0.1,
        ("canary_exposure_share", "observed", "shop", "api"): 0.1,
        ("canary_exposure_share", "observed", "shop", "web"): 0.05,
    }


async def test_an_unknown_share_is_absent(journal: WatchedJournal, clock: FakeClock, shop: Any) -> None:
    """A target that cannot tell shows no 0."""
    await tell(journal, [shop.shows(0.1, None)])
    told = samples(exposed(await Reader(journal, clock).read()))
    assert ("canary_exposure_share", "observed", "shop", "web") not in told
    assert ("canary_exposure_share", "asked", "shop", "web") in told


async def test_a_dead_conductor_has_a_negative_lease(journal: WatchedJournal, clock: FakeClock) -> None:
    """By how long it is dead; one that gave its lease back is for ever over."""
    told = samples(exposed(await Reader(journal, clock).read(), clock.now() + 45))
    assert told["canary_conductor_lease_seconds", "shop"] == pytest.approx(-30.0)
    (lock,) = await journal.locks()
    await journal.yield_lease(lock)
    told = samples(exposed(await Reader(journal, clock).read(), clock.now()))
    assert told["canary_conductor_lease_seconds", "shop"] == -math.inf


async def test_a_service_that_is_free_has_no_series(journal: WatchedJournal, clock: FakeClock) -> None:
    """What is over is not told as if it went on."""
    (lock,) = await journal.locks()
    await journal.release(lock)
    assert samples(exposed(await Reader(journal, clock).read())) == {("canary_journal_up",): 1.0}


async def test_an_unreadable_rollout_is_said_and_hides_no_lease(journal: WatchedJournal, clock: FakeClock) -> None:
    """A line of another version: its standing is not known, its conductor's lease is."""
    await tell(journal, [NewEntry(1.0, "from_the_future", {})])
    told = samples(exposed(await Reader(journal, clock).read(), clock.now()))
    assert told["canary_rollouts", "", "shop", "unreadable"] == 1.0
    assert told["canary_conductor_lease_seconds", "shop"] == 15.0


async def test_the_journal_is_read_once_a_second_and_only_what_is_new(
    journal: WatchedJournal, clock: FakeClock, shop: Any
) -> None:
    """However many scrape at once."""
    reader = Reader(journal, clock)
    first, *others = await asyncio.gather(*(reader.read() for _ in range(5)))
    assert all(each is first for each in others)
    assert journal.asked == 1
    await tell(journal, [shop.judged(2)])
    before = journal.lines_read
    await clock.sleep(1.0)
    again = await reader.read()
    assert (journal.asked, journal.lines_read - before) == (2, 1)
    assert again is not None
    assert again[0].seen is not None
    assert again[0].seen.judged == "canary"


async def test_a_journal_that_is_away_leaves_nothing_stale(journal: WatchedJournal, clock: FakeClock) -> None:
    """Known a moment ago is not known now; when it is back everything is told again."""
    reader = Reader(journal, clock)
    assert await reader.read()
    journal.away = True
    await clock.sleep(1.0)
    assert samples(exposed(await reader.read(), looked_at=7.0)) == {
        ("canary_journal_up",): 0.0,
        ("canary_guard_last_look_timestamp_seconds",): 7.0,
    }
    journal.away = False
    await clock.sleep(1.0)
    assert await reader.read()


async def test_a_look_counts_only_when_the_journal_answered(clock: FakeClock) -> None:
    """A guard without a journal guards nothing, however busily it looks."""
    journal = WatchedJournal()
    guard = guard_of(journal, clock)
    journal.away = True
    await guard.look()
    assert guard.looked_at is None
    journal.away = False
    await guard.look()
    assert guard.looked_at == clock.now()


async def scraped(port: int) -> Samples:
    async with httpx.AsyncClient(trust_env=False, timeout=10.0) as http:
        return samples((await http.get(f"http://127.0.0.1:{port}/metrics")).text)


async def test_it_is_served_until_the_end_of_the_block(journal: WatchedJournal) -> None:
    """Over HTTP, on a free port; afterwards nobody listens there any more."""
    guard = guard_of(journal, WallClock())
    async with serving(guard, "127.0.0.1", 0) as port:
        assert (await scraped(port))["canary_rollouts", "canary", "shop", "judging"] == 1.0
    with pytest.raises(httpx.ConnectError):
        await scraped(port)


async def test_a_journal_that_never_answers_is_a_journal_that_is_away(
    journal: WatchedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scrape ends before Prometheus gives it up, and says so."""
    monkeypatch.setattr(metrics, "ANSWER_WITHIN", 0.1)
    journal.hangs = True
    async with serving(guard_of(journal, WallClock()), "127.0.0.1", 0) as port:
        assert await scraped(port) == {("canary_journal_up",): 0.0}
        journal.hangs = False
        assert (await scraped(port))["canary_journal_up",] == 1.0


async def test_a_port_that_is_taken_is_bad_usage(journal: WatchedJournal) -> None:
    """The guard does not start half: the option to change is named."""
    guard = guard_of(journal, WallClock())
    async with serving(guard, "127.0.0.1", 0) as port:
        with pytest.raises(BadUsage, match="--metrics-port"):
            async with serving(guard, "127.0.0.1", port):
                pytest.fail("two cannot listen on one port")


def test_metrics_of_a_single_look_are_refused(desk: Any) -> None:
    """Nobody could ever read them."""
    assert isinstance(desk.canary("guard", "--once", "--metrics-port", "0").exception, BadUsage)


async def test_the_command_says_where_it_serves_and_nothing_is_served_by_default(desk: Any) -> None:
    """`canary guard --metrics-port 0` on loopback, ended by Ctrl-C."""
    argv = [sys.executable, "-m", "canary", "guard", "--metrics-port", "0"]
    # Whoever started the tests in the background has it ignored, and so would the guard.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    guard = await asyncio.create_subprocess_exec(*argv, env=os.environ, stderr=subprocess.PIPE, preexec_fn=heard)
    assert guard.stderr is not None
    try:
        said = (await asyncio.wait_for(guard.stderr.readline(), 60)).decode()
        assert said.startswith("metrics: http://127.0.0.1:")
        port = int(said.rpartition(":")[2].partition("/")[0])
        told = await scraped(port)
        assert told["canary_journal_up",] == 1.0
        guard.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(guard.wait(), 30) == 130
    finally:
        if guard.returncode is None:
            guard.kill()
            await guard.wait()


def promtool(program: Path, *arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], input=text, capture_output=True, text=True, check=False, timeout=60)


async def test_promtool_finds_nothing_wrong_with_the_metrics(
    require: Callable[[str], Path], journal: WatchedJournal, clock: FakeClock
) -> None:
    """Names, help and types as Prometheus wants them; the check itself is live."""
    text = exposed(await Reader(journal, clock).read(), clock.now(), looked_at=7.0)
    done = promtool(require("promtool"), "check", "metrics", text=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert promtool(require("promtool"), "check", "metrics", text=text.replace("HELP", "X")).returncode != 0


def test_the_rules_are_rules_for_promtool(require: Callable[[str], Path]) -> None:
    """Two alerts, in Prometheus' own syntax."""
    done = promtool(require("promtool"), "check", "rules", RULES)
    assert done.returncode == 0, done.stderr
    assert "2 rules found" in done.stdout


LEASE = 'canary_conductor_lease_seconds{service="shop"}'
LOOK = "canary_guard_last_look_timestamp_seconds"


def firing(alert: str, at: int, labels: str | None) -> dict[str, Any]:
    """promtool: that the alert fires at this second with these labels, or that it does not (None)."""
    expr = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    shown = f'ALERTS{{alertname="{alert}", alertstate="firing", severity="critical"{labels}}}'
    return {
        "expr": expr,
        "eval_time": f"{at}s",
        "exp_samples": [] if labels is None else [{"labels": shown, "value": 1}],
    }


@pytest.mark.parametrize(
    ("series", "values", "expected"),
    [
        pytest.param(
            LEASE,
            "15 5 -5 -15 -25 -35 -45",
            [("CanaryConductorDead", 40, None), ("CanaryConductorDead", 60, ', service="shop"')],
            id="a conductor that dies and nobody takes over",
        ),
        pytest.param(
            LEASE, "15 5 -5 20 20 20 20 20 20 20", [("CanaryConductorDead", 90, None)], id="one that is taken over"
        ),
        pytest.param(
            LOOK,
            "0 10 20 stale",
            [("CanaryGuardGone", 60, None), ("CanaryGuardGone", 100, "")],
            id="a guard that is gone",
        ),
        pytest.param(
            LOOK,
            "0 10 20 20x20",
            [("CanaryGuardGone", 110, None), ("CanaryGuardGone", 130, "")],
            id="a guard that looks in vain",
        ),
        pytest.param(LOOK, "0+10x20", [("CanaryGuardGone", 200, None)], id="a guard that looks"),
    ],
)
def test_an_alert_fires_when_nobody_else_helps(
    require: Callable[[str], Path], tmp_path: Path, series: str, values: str, expected: list[Any]
) -> None:
    """By Prometheus' own evaluation of the rules over time."""
    case = {
        "interval": "10s",
        "input_series": [{"series": series, "values": values}],
        "promql_expr_test": [firing(*each) for each in expected],
    }
    # JSON is YAML.
    cases = tmp_path / "cases.yaml"
    cases.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "10s", "tests": [case]}))
    done = promtool(require("promtool"), "test", "rules", cases)
    assert done.returncode == 0, done.stdout + done.stderr
