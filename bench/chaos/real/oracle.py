"""Facts → broken promises and figures. The promises are those of docs/reliability.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from bench.chaos.real.facts import Facts, Struck
from bench.chaos.real.proxy import LAYERS
from bench.chaos.real.server import BAD
from canary.rollout.lease import LEASE
from canary.rollout.waiting import PROVIDER_TIMEOUT

SETTLED = 2.0
"""Seconds before the last look in which every answer was of the one version."""
ON_ITS_WAY = 0.25
"""Seconds after a stop was journaled in which a raise was on its way already."""
LOWERED_WITHIN = 8.0
"""Seconds for a raise that lands late, of a process that stood still or whose answer was held up: seen, and lowered."""
PAGED_WITHIN = 60.0
JUST_BEFORE = 1.0
"""Seconds: the longest that stands between two blocks of the plan."""
ALL_NEW, ALL_OLD = ("promoted",), ("rolled_back", "refused", "never begun")
OBSERVES = {"sampled", "rollback_verified", "rollout_ended", "hold_started", "measurement_failed"}


@dataclass(frozen=True, slots=True)
class Violation:
    """Which promise, when (seconds since the rollout began), and what was seen."""

    promise: str
    at: float
    what: str


def violations(facts: Facts) -> Iterator[Violation]:
    for rule in (_ended, _one_version, _users, _bad, _raises, _told, _silence):
        for promise, at, what in rule(facts):
            yield Violation(promise, round(at - facts.began_at, 2), what)


Found = Iterator[tuple[str, float, str]]


def _ended(facts: Facts) -> Found:
    if facts.outcome not in (*ALL_NEW, *ALL_OLD):
        yield (
            "I1",
            facts.over_at,
            f"{facts.outcome}: its last line is {facts.lines[-1].type if facts.lines else 'none'}",
        )


def _one_version(facts: Facts) -> Found:
    """All new or all old, as Envoy routes."""
    wanted = 1.0 if facts.outcome in ALL_NEW else 0.0
    for layer in LAYERS:
        share = facts.share(layer, facts.looked_at)
        if share != wanted:
            yield "I1", facts.looked_at, f"{facts.outcome}, and {layer} sends {share:.0%} to the candidate"


def _users(facts: Facts) -> Found:
    """All new or all old, as users see it."""
    wanted = facts.version if facts.outcome in ALL_NEW else facts.stable
    for answers in facts.answers:
        if facts.looked_at - SETTLED < answers.at - 1 and answers.at <= facts.looked_at:
            strangers = {each for each in answers.seen if each.partition(" ")[2] != wanted}
            if strangers:
                yield "I1", answers.at, f"{facts.outcome}, and users got {', '.join(sorted(strangers))}"


def _bad(facts: Facts) -> Found:
    if facts.version.endswith(BAD) and facts.outcome in ALL_NEW:
        yield "I3", facts.over_at, "a bad candidate was promoted"


def stopped_at(facts: Facts) -> float | None:
    """When the first line that forbids raises was committed."""
    stops = facts.of_type("rollback_started", "abort_asked", "rollback_asked")
    return facts.told_at.get(stops[0].seq, stops[0].at) if stops else None


def late_raises(facts: Facts) -> list[float]:
    """When Envoy took a higher share although a stop had been journaled."""
    stop, before, late = stopped_at(facts), dict.fromkeys(LAYERS, 0.0), []
    for weight in facts.weights:
        if stop is not None and weight.share > before[weight.layer] and weight.at > stop + ON_ITS_WAY:
            late.append(weight.at)
        before[weight.layer] = weight.share
    return late


def _raises(facts: Facts) -> Found:
    """None after a stop, but for what a process sent that stood still between its last look and then."""
    stood = [s for s in facts.struck if s.kill.signal == "STOP" or s.kill.boundary.startswith("expose")]
    for at in late_raises(facts):
        if not stood:
            yield "I2", at, "a raise was sent after the rollback had been journaled"
        elif max(facts.share(layer, at + LOWERED_WITHIN) for layer in LAYERS) > 0:
            yield "I2", at, f"a raise that landed late was not lowered within {LOWERED_WITHIN:.0f} s"


def _told(facts: Facts) -> Found:
    """A FAIL takes everybody off, or somebody is paged."""
    seconds = fail_to_zero(facts)
    if seconds is not None and seconds > PAGED_WITHIN:
        failed = _failed_at(facts)
        pages = [line for line in facts.of_type("paged") if line.at <= failed + PAGED_WITHIN]
        if not pages:
            yield "I1", failed, f"users were on a failed candidate for {seconds:.0f} s, and nobody was paged"


def _silence(facts: Facts) -> Found:
    """A journal that takes no lines takes the users off, or somebody conducts who is not there: a dead flow."""
    for since, until in facts.silent:
        by = since + LEASE + PROVIDER_TIMEOUT
        exposed = [facts.share(layer, since) for layer in LAYERS]
        conducted = not any(s.kill.victim in ("flow", "worker") and s.at < by for s in facts.struck)
        if until >= by and max(exposed) > 0 and min(exposed) < 1 and conducted:
            left = max(facts.share(layer, by) for layer in LAYERS)
            if left > 0:
                yield "I6", by, f"the journal took no line for {by - since:.0f} s, and {left:.0%} are on the candidate"


def _failed_at(facts: Facts) -> float:
    fails = [line for line in facts.of_type("rollback_started") if line.data.get("cause") == "fail"]
    return fails[0].at if fails else float("inf")


def fail_to_zero(facts: Facts) -> float | None:
    """Seconds from the FAIL's line until no layer has users of the candidate; None without a FAIL."""
    failed = _failed_at(facts)
    if failed == float("inf"):
        return None
    moments = [failed, *(weight.at for weight in facts.weights if weight.at > failed)]
    down = [at for at in moments if all(facts.share(layer, at) == 0 for layer in LAYERS)]
    return round((down[0] if down else facts.looked_at) - failed, 3)


def struck_on_the_way(facts: Facts) -> bool:
    """Whether anything was struck between the last look before the FAIL and exposure 0."""
    failed, seconds = _failed_at(facts), fail_to_zero(facts)
    return seconds is not None and any(failed - JUST_BEFORE <= s.at <= failed + seconds for s in facts.struck)


def recovered_after(facts: Facts, struck: Struck) -> float | None:
    """Seconds until a live epoch has observed every target, the rollback is verified, or the rollout has ended.

    None where there was nothing to recover: what was struck was not conducting, or the rollout had ended.
    """
    if struck.kill.victim in ("worker", "server", "guard") or facts.outcome == "never begun":
        return None
    before = [line for line in facts.lines if line.seq <= struck.seq]
    if any(line.type == "rollout_ended" for line in before):
        return None
    epoch = max((line.epoch for line in before), default=0)
    anew = struck.kill.victim == "flow" and struck.kill.signal != "STOP"
    for line in facts.lines:
        if (
            line.seq > struck.seq
            and line.at >= struck.at
            and (line.epoch > epoch or not anew)
            and _observes(line.type, line.data)
        ):
            return round(line.at - struck.at, 2)
    return None if facts.outcome in (*ALL_NEW, *ALL_OLD) else round(facts.over_at - struck.at, 2)


def _observes(type_: str, data: Any) -> bool:
    if type_ == "exposure_observed":
        return all(shown["answer"] == "yes" for shown in data["targets"].values())
    # Before any user is on the candidate, there is nothing to see on the targets but that the candidate is there.
    return type_ in OBSERVES or type_ in ("prepare_observed", "checks_looked", "approval_asked", "approval_given")


def told(facts: Facts) -> dict[str, Any]:
    """What a result file keeps of it."""
    return {
        "rollout": facts.rollout,
        "bad": facts.version.endswith(BAD),
        "outcome": facts.outcome,
        "seconds": round(facts.over_at - facts.began_at, 1),
        "overran": facts.overran,
        "fail_to_zero": fail_to_zero(facts),
        "struck_on_the_way": struck_on_the_way(facts),
        "late_raises": len(late_raises(facts)),
        "pages": len(facts.of_type("paged")),
        "epochs": max((line.epoch for line in facts.lines), default=0),
        "kills": [
            {**asdict(s.kill), "at": round(s.at - facts.began_at, 2), "recovered": recovered_after(facts, s)}
            for s in facts.struck
        ],
        "violations": [asdict(each) for each in violations(facts)],
    }
