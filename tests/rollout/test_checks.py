"""What a round of checks says of a candidate that answers, half answers, or does not."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from canary.plan.model import HttpCheck, MetricsCheck
from canary.ports import Access, Response
from canary.rollout.checks import Checks
from canary.rollout.events import CheckObserved
from canary.testing.clock import FakeClock
from canary.testing.fakes import FakeBrowser, FakeProbe

METRICS = MetricsCheck(name="phase 1 metrics", metrics=("publish_latency_ms", "revenue_total_eur"))
ORDERS = MetricsCheck(name="orders", metrics=("orders_total",))
URL = "http://candidate"
WEB = Access("http://web", {"x-internal": "secret"})


@dataclass
class Candidate:
    """A candidate's /metrics as it is told to be, and the checks on it; ten minutes without growth are too many."""

    clock: FakeClock = field(default_factory=FakeClock)
    probe: FakeProbe = field(default_factory=FakeProbe)
    browser: FakeBrowser = field(default_factory=FakeBrowser)
    checks: Checks = field(init=False)

    def __post_init__(self) -> None:
        access = Access(URL, {"x-internal": "secret"})
        bearers = {"token/admin": {"authorization": "Bearer secret"}}
        self.checks = Checks(
            self.clock, self.probe, self.browser, access, {"web": WEB}, bearers, ("in a browser",), 600.0
        )

    async def look(self, published: float, revenue: float, *checks: MetricsCheck) -> list[CheckObserved]:
        """One round, with these totals, five minutes after the last one."""
        await self.clock.sleep(300.0)
        text = f"publish_latency_ms_count {published}\nrevenue_total_eur {revenue}\norders_total {published}\n"
        self.probe.answers[f"{URL}/metrics"] = Response(200, {}, text)
        return await self.checks.round(checks or (METRICS,))


@pytest.fixture
def candidate() -> Candidate:
    return Candidate()


async def test_metrics_that_grow_are_collecting(candidate: Candidate) -> None:
    """Not known at the first look; passed from the second on, with the totals."""
    (first,) = await candidate.look(5, 100)
    (second,) = await candidate.look(6, 120)
    assert (first.outcome, second.outcome) == ("cannot tell", "passed")
    assert second.detail == "collecting: publish_latency_ms at 6, revenue_total_eur at 120"


async def test_a_metric_that_stands_still_is_named(candidate: Candidate) -> None:
    """Present is not enough: the one that does not grow is named, and the other is not."""
    await candidate.look(5, 100)
    (looked,) = await candidate.look(6, 100)
    assert looked.outcome == "failed"
    assert "not collecting: revenue_total_eur (" in looked.detail


async def test_a_pause_shorter_than_the_limit_is_no_failure(candidate: Candidate) -> None:
    """The last round may come a moment after the one before it: nothing need have happened in between."""
    await candidate.look(5, 100)
    await candidate.look(6, 120)
    outcomes = [(await candidate.look(6, 120))[0].outcome for _ in range(3)]
    assert outcomes == ["passed", "passed", "failed"]


async def test_a_counter_that_restarted_has_grown(candidate: Candidate) -> None:
    """From 100 to 3: three more since the process began anew."""
    await candidate.look(5, 100)
    (looked,) = await candidate.look(6, 3)
    assert looked.outcome == "passed"


async def test_checks_on_the_same_page_do_not_mix(candidate: Candidate) -> None:
    """Each remembers its own metrics."""
    await candidate.look(5, 100, METRICS, ORDERS)
    looked = await candidate.look(6, 120, METRICS, ORDERS)
    assert [check.outcome for check in looked] == ["passed", "passed"]


async def test_an_absent_metric_is_named(candidate: Candidate) -> None:
    """Failed at the first look already."""
    candidate.probe.answers[f"{URL}/metrics"] = Response(200, {}, "revenue_total_eur 1\n")
    (looked,) = await candidate.checks.round((METRICS,))
    assert (looked.outcome, looked.detail) == ("failed", "absent: publish_latency_ms")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Response(503, {}, ""), "GET /metrics answered 503"),
        (Response(200, {}, "<html>not metrics {</html>"), "what it answers is no Prometheus exposition"),
        (None, "no answer"),
    ],
)
async def test_a_page_that_cannot_be_read_is_no_verdict(
    candidate: Candidate, answer: Response | None, said: str
) -> None:
    """Neither passed nor failed: it could not be told, and why."""
    if answer:
        candidate.probe.answers[f"{URL}/metrics"] = answer
    (looked,) = await candidate.checks.round((METRICS,))
    assert looked.outcome == "cannot tell"
    assert said in looked.detail


async def test_an_endpoint_is_asked_with_its_bearer(candidate: Candidate) -> None:
    """The status decides; neither token nor internal header is in what is journaled."""
    check = HttpCheck(name="queue", get="/api/queue", bearer="token/admin")
    candidate.probe.answers[f"{URL}/api/queue"] = Response(200, {}, "[]")
    (good,) = await candidate.checks.round((check,))
    candidate.probe.answers[f"{URL}/api/queue"] = Response(401, {}, "")
    (bad,) = await candidate.checks.round((check,))
    assert (good.outcome, bad.outcome) == ("passed", "failed")
    assert "answered 401, expected 200" in bad.detail
    assert "secret" not in f"{good}{bad}"


async def test_a_check_that_the_plan_goes_without_is_skipped(candidate: Candidate) -> None:
    """Never passed, and nothing is asked."""
    (looked,) = await candidate.checks.round((HttpCheck(name="in a browser", get="/"),))
    assert looked.outcome == "skipped"
