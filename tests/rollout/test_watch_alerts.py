"""The plan's alerts after full exposure: told once when they begin and when they end, and a critical one wakes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.judge.evidence import Block
from canary.plan.load import parse_plan
from canary.ports import Arm, Increment, NewEntry, Receipt, Scrape
from canary.rollout import events as e
from canary.rollout.alerting import alerts_at
from canary.rollout.fired import FiredAlert, changes
from canary.rollout.folding import fold
from canary.rollout.history import begin_story
from canary.rollout.state import State
from canary.rollout.view import view
from canary.rollout.watching import watch_once
from canary.rollout.words import say
from canary.testing.fakes import FakeNotifier
from canary.testing.journal import MemoryJournal

from .conftest import edited

PLAN: dict[str, Any] = {
    "watch": {"for": "1h", "every": "5m"},
    "signals.crashes": {"counter": "crashes_total", "of": "views_total"},
    "signals.sure": {"histogram": "ai_confidence", "unit": "ratio"},
    "signals.off": {"histogram": "forecast_error_ratio", "unit": "ratio"},
    "alerts": {
        "critical": [{"crashes": "any"}],
        "warning": [{"sure": "p10 < 0.5"}],
        "info": [{"off": "p50 > 20%"}],
    },
}
SURE = Increment(100.0, buckets={0.5: 2.0, 1.0: 100.0})
UNSURE = Increment(100.0, buckets={0.5: 40.0, 1.0: 100.0})
GOOD: dict[str, Increment] = {
    "crashes": Increment(100.0),
    "sure": SURE,
    "off": Increment(100.0, buckets={0.2: 90.0, 1.0: 100.0}),
}
WARNED = "warning alert sure p10 < 0.5"


class Live:
    """A rollout that everybody has got, and looks at it, each five minutes after the one before."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.number = 0
        self.shown: dict[str, Increment] = {}
        self.read = world.metrics.read

    async def begin(self) -> Live:
        """Promoted, with what is watched in order so far."""
        task = self.world.start()
        await self.world.approve("owner", "lead")
        assert (await task).ended.outcome == "promoted"
        self.world.metrics.read = self._read
        self.world.updates.posts.clear()
        return self

    async def _read(self, *asked: Any) -> list[Scrape]:
        found: Sequence[Scrape] = await self.read(*asked)
        watched = {name: {"canary": increment} for name, increment in self.shown.items() if name in asked[0]}
        return [Scrape(scrape.at, {"errors": scrape.signals["errors"], **watched}) for scrape in found]  # type: ignore[dict-item]

    async def look(self, without: str = "", **shown: Increment) -> State:
        """Five minutes in which every scrape of the candidate shows this, and all else is good."""
        self.number += 1
        self.shown = {name: found for name, found in {**GOOD, **shown}.items() if name != without}
        await self.world.clock.sleep(300)
        return await watch_once(self.world.stores, "r1", self.number, self.world.opener)

    @property
    def told(self) -> list[str]:
        return [message for _, message in self.world.updates.posts]

    @property
    def pages(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = self.world.oncall.pages
        return found

    async def lines(self) -> list[Mapping[str, Any]]:
        return [line.data for line in await self.world.lines() if line.type == "watched"]


@pytest.fixture
async def live(make_world: Any) -> Live:
    return await Live(make_world(PLAN)).begin()


async def test_a_healthy_release_fires_no_alert(live: Live) -> None:
    """Nobody is told and nobody is woken."""
    state = await live.look()
    assert (live.told, live.pages, state.alerts, state.watch_bad) == ([], [], (), False)


async def test_an_unsure_ai_is_told_in_the_thread_when_it_begins_and_when_it_ends(live: Live) -> None:
    """Confidence below 0.5 for more than 10 % of the documents: one message with its numbers, silence while it lasts,
    one message at its end, in the rollout's thread; nobody is woken."""
    for sure in (UNSURE, UNSURE, SURE):
        await live.look(sure=sure)
    fired, over = live.told
    assert fired.startswith(f"watch 1: fired: {WARNED}: sure p10 ")
    assert "of 2,000 canary observations 40 % at or below 50 %" in fired
    assert over == f"watch 3: over: {WARNED}"
    assert len(set(live.world.updates.refs)) == 1
    assert live.pages == []


async def test_a_forecast_that_is_off_is_told_in_the_thread(live: Live) -> None:
    """The median deviates by more than 20 %: told as information, and nobody is woken."""
    await live.look(off=Increment(100.0, buckets={0.2: 40.0, 1.0: 100.0}))
    assert [message.partition(": off p50")[0] for message in live.told] == ["watch 1: fired: info alert off p50 > 20%"]
    assert live.pages == []


async def test_each_change_of_the_set_is_told(live: Live) -> None:
    """A second alert while the first lasts, then both ways in one message."""
    far_off = Increment(100.0, buckets={0.2: 40.0, 1.0: 100.0})
    await live.look(sure=UNSURE)
    await live.look(sure=UNSURE, off=far_off)
    await live.look(off=far_off)
    await live.look(sure=UNSURE)
    assert "info alert" in live.told[1]
    assert WARNED not in live.told[1]
    assert live.told[2] == f"watch 3: over: {WARNED}"
    assert live.told[3].startswith(f"watch 4: fired: {WARNED}")
    assert live.told[3].endswith("; over: info alert off p50 > 20%")


async def test_silence_ends_no_alert(live: Live) -> None:
    """Nothing measured, too little measured, or metrics that cannot be read: it goes on as fired, and is no news."""
    await live.look(sure=UNSURE)
    state = await live.look(without="sure")
    assert [(alert.name, alert.now) for alert in state.alerts] == [(WARNED, False)]
    state = await live.look(sure=Increment(1.0, buckets={0.5: 0.0, 1.0: 1.0}))
    assert "too few to tell" in state.alerts[0].reason
    live.world.metrics.fails = "the disk is full"
    assert len((await live.look()).alerts) == 1
    live.world.metrics.fails = ""
    await live.look(sure=UNSURE)
    assert len(live.told) == 1
    assert (await live.look()).alerts == ()
    assert len(live.told) == 2


async def test_what_never_fired_is_not_begun_by_silence(live: Live) -> None:
    """An alert whose measure nobody shows is neither told nor kept."""
    assert ((await live.look(without="crashes")).alerts, live.told, live.pages) == ((), [], [])


async def test_a_critical_alert_wakes_somebody(live: Live) -> None:
    """One crash, though no limit of the canary is broken: paged with its numbers and the way back, not posted."""
    state = await live.look(crashes=Increment(100.0, 1.0))
    ((incident, summary),) = live.pages
    assert incident == "r1:watch"
    assert "critical alert crashes any: crashes: 20 in 2,000 canary opportunities" in summary
    assert "canary rollback r1" in summary
    assert (state.watch_bad, live.told) == (True, [])


async def test_a_critical_alert_pages_at_each_look_until_somebody_has_seen_it(live: Live, person: Any) -> None:
    """Twice, then it is acknowledged; once it was over it wakes again. What a look cannot tell wakes nobody."""
    crashed = Increment(100.0, 1.0)
    await live.look(crashes=crashed)
    await live.look(crashes=crashed)
    await live.world.clock.sleep(1)
    await live.world.says(e.PageAcknowledged(**person("Olga", "on it")))
    await live.look(crashes=crashed)
    assert len(live.pages) == 2
    await live.look()
    await live.look(crashes=crashed)
    assert len(live.pages) == 3
    await live.look(without="crashes")
    assert len(live.pages) == 3


async def test_an_alert_never_rolls_back(make_world: Any) -> None:
    """The plan goes back on a broken limit; every alert fires, no limit is broken, and users stay."""
    live = await Live(make_world({**PLAN, "watch": {"for": "1h", "every": "5m", "then": "rollback"}})).begin()
    far_off = Increment(100.0, buckets={0.2: 40.0, 1.0: 100.0})
    state = await live.look(crashes=Increment(100.0, 50.0), sure=UNSURE, off=far_off)
    assert [alert.severity for alert in state.alerts] == ["critical", "warning", "info"]
    assert (state.ended and state.ended.outcome, live.world.shares()) == ("promoted", [1.0, 1.0])


async def test_an_alert_on_a_judged_measure_is_held_against_it(make_world: Any) -> None:
    """The same 5xx as the canary's limit: the limit pages, and the alert is named without repeating its numbers."""
    alerts = {"critical": [{"errors": "any"}, {"errors": "> 4%"}]}
    live = await Live(make_world({**PLAN, "alerts": alerts, "phases.1.triggers": [{"errors": "any"}]})).begin()
    live.world.metrics.bad = 0.05
    state = await live.look()
    assert [alert.rule for alert in state.alerts] == ["errors any", "errors > 4%"]
    ((_, summary),) = live.pages
    assert "; critical alert errors any; " in summary
    assert summary.count("not one is allowed") == 1
    assert "critical alert errors > 4%: errors 5 %" in summary


async def test_the_journal_keeps_severity_rule_and_reason_with_the_look(live: Live) -> None:
    """Of each alert, beside the block it was held against."""
    await live.look(crashes=Increment(100.0, 1.0), sure=UNSURE)
    (line,) = await live.lines()
    assert [(a["severity"], a["rule"], a["now"]) for a in line["alerts"]] == [
        ("critical", "crashes any", True),
        ("warning", "sure p10 < 0.5", True),
    ]
    assert all(alert["reason"] for alert in line["alerts"])
    assert line["verdict"]["outcome"] == "PASS"


async def test_a_post_that_fails_changes_nothing(live: Live) -> None:
    """The route is down: the look is journaled, whoever must be woken is, and the next looks go on."""
    live.world.updates.down = True
    await live.look(crashes=Increment(100.0, 1.0), sure=UNSURE)
    assert (len(await live.lines()), len(live.pages)) == (1, 1)
    live.world.updates.down = False
    assert (await live.look()).alerts == ()
    assert live.told == [f"watch 2: over: {WARNED}"]


async def test_a_post_that_never_ends_delays_no_page(live: Live) -> None:
    """A route that hangs is given up after its limit; the page had gone out before it was asked."""
    pages_before: list[int] = []
    clock, oncall = live.world.clock, live.world.oncall

    class Hangs(FakeNotifier):
        async def post(self, thread: str, message: str, ref: str = "", mentions: Sequence[str] = ()) -> Receipt:
            pages_before.append(len(oncall.pages))
            await clock.sleep(1e7)
            raise AssertionError

    live.world.updates = Hangs()
    began = clock.now()
    await live.look(crashes=Increment(100.0, 1.0), sure=UNSURE)
    assert (pages_before, len(await live.lines())) == ([1], 1)
    assert clock.now() - began < 310


async def test_a_thread_that_the_journal_does_not_take_fails_no_look(live: Live) -> None:
    """It begins anew and its line gets no answer: the look, which is journaled, ends as any other."""
    journal = live.world.journal

    class Elsewhere(FakeNotifier):
        async def post(self, thread: str, message: str, ref: str = "", mentions: Sequence[str] = ()) -> Receipt:
            journal.lose_answers = 1
            return await super().post(thread, message, "another-thread", mentions)

    live.world.updates = Elsewhere()
    state = await live.look(sure=UNSURE)
    assert (len(state.alerts), len(live.told), len(await live.lines())) == (1, 1, 1)
    assert journal.lose_answers == 0


async def test_a_comparison_is_made_with_the_past_where_there_is_one(make_world: Any) -> None:
    """More than 20 % over what the rollout before recorded: told so, labelled; at the old pace it is over."""
    slower = {"alerts": {"warning": [{"api": "> 20% over baseline"}]}, "signals.api": {"histogram": "api_seconds"}}
    world = make_world({**PLAN, **slower})
    former = e.Baseline(rollout="r0", version="1.0.0", figures={"api": {"total": 9.0, "p95": 0.1}})
    started = e.RolloutStarted(
        plan="spring", plan_hash="a" * 64, service="shop", version="1.0.0", requested_by="Ann", how="a test"
    )
    done = e.ClosingDone(step="baseline", ok=True, detail="recorded", data=former.model_dump(mode="json"))
    ended = e.RolloutEnded(outcome="promoted", phase="full", reason="done", verified=True)
    await world.journal.append("r0", 0, [event.entry(1.0) for event in (started, done, ended)])
    live = await Live(world).begin()
    await live.look(api=Increment(100.0, buckets={0.1: 0.0, 0.2: 100.0}))
    await live.look(without="api")
    await live.look(api=Increment(100.0, buckets={0.1: 100.0, 0.2: 100.0}))
    assert live.told[0].startswith(
        "watch 1: fired: warning alert api > 20% over baseline: against the past: api p95 195"
    )
    assert live.told[1:] == ["watch 3: over: warning alert api > 20% over baseline"]


async def test_a_comparison_without_a_past_is_left_out(make_world: Any) -> None:
    """No rollout before recorded a baseline: however slow, there is nothing that it would be slower than."""
    slower = {"alerts": {"warning": [{"api": "> 20% over baseline"}]}, "signals.api": {"histogram": "api_seconds"}}
    live = await Live(make_world({**PLAN, **slower})).begin()
    state = await live.look(api=Increment(100.0, buckets={0.1: 0.0, 9.0: 100.0}))
    assert (state.alerts, live.told) == ((), [])


async def test_the_old_version_fires_nothing(live: Live) -> None:
    """Its last instances still count: what they show is not what users meet."""
    read = live._read

    async def with_old(*asked: Any) -> list[Scrape]:
        old = Increment(100.0, 50.0)
        return [Scrape(s.at, {**s.signals, "crashes": {"baseline": old}}) for s in await read(*asked)]

    live.world.metrics.read = with_old
    assert (await live.look()).alerts == ()
    (line,) = await live.lines()
    assert "crashes" not in line["block"]["watched"]


async def test_a_line_of_before_there_were_alerts_is_folded(live: Live) -> None:
    """A journal of an older version: no alert fired, as far as it knows, and the next look begins them."""
    await live.look(sure=UNSURE)
    journal, entries = MemoryJournal(), await live.world.lines()
    old = [NewEntry(x.at, x.type, {key: value for key, value in x.data.items() if key != "alerts"}) for x in entries]
    state = fold(State("r1"), await journal.append("r1", 0, old))
    assert (state.alerts, state.watched, state.watch_bad) == ((), frozenset({1}), False)
    assert fold(State("r1"), entries).alerts[0].name == WARNED


async def test_the_status_shows_what_fires_until_it_is_over_or_goes_back(live: Live, person: Any) -> None:
    """In the last line and in a list of its own; on the way back an alert of the candidate is no news any more."""
    await live.look(sure=UNSURE)
    story = await begin_story(live.world.journal, "r1")
    seen = view(story, live.world.plan, live.world.clock.now())
    assert [alert.name for alert in seen.alerts] == [WARNED]
    (line,) = await live.lines()
    told = say(story.state, e.Watched.model_validate(line)) or ""
    assert told.startswith("watch 1: PASS")
    assert f"; {WARNED}: sure p10" in told
    await live.world.says(e.RollbackAsked(**person()))
    back = await begin_story(live.world.journal, "r1")
    assert view(back, live.world.plan, live.world.clock.now()).alerts == ()


LOOKS = st.lists(st.none() | st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12)


@given(LOOKS)
def test_what_is_told_is_what_fires(looks: list[tuple[int, int] | None]) -> None:
    """Over any course of looks: one bad event begins it, clean ones end it, nothing leaves it, and only a change is
    told; the told ones add up to what fires."""
    plan = parse_plan(json.dumps(edited({**PLAN, "alerts": {"warning": [{"crashes": "any"}]}})))
    state, fires, heard = State("r1"), False, False
    for at, found in enumerate(looks):
        good, bad = found or (0, 0)
        counted: dict[Arm, Increment] = {"canary": Increment(good + bad, bad)}
        after = alerts_at(plan, state, Block(float(at), {}, 1, watched={"crashes": counted} if found else {}))
        fires = bad > 0 or (fires and not good)
        assert bool(after) is fires
        told = changes(state.alerts, after)
        assert bool(told) is (fires is not heard)
        heard = told.startswith("fired") if told else heard
        state = State("r1", alerts=after)


@given(st.sampled_from(["critical", "warning", "info"]), st.booleans(), st.text(min_size=1, max_size=20))
def test_only_a_critical_alert_that_fires_now_wakes(severity: Any, now: bool, reason: str) -> None:
    """Whoever is woken is not told in the thread as well, and a reason that was said is not said again."""
    alert = FiredAlert(severity=severity, rule="crashes any", reason=reason, now=now)
    assert alert.wakes is (severity == "critical" and now)
    assert bool(changes((), (alert,))) is (severity != "critical")
    assert alert.words(said=f"first {reason}").startswith(f"{severity} alert crashes any")
    assert not alert.words(said=reason).endswith(f": {reason}")
