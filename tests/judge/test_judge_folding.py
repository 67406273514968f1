"""What a block adds to the evidence, number by number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from canary.errors import MeasurementFailed
from canary.judge.block import COUNTABLE, NONE, gather, plus, tally_data, tally_from
from canary.judge.evidence import Block, Evidence
from canary.judge.flow import Flow, Sent
from canary.ports import Arm, Increment, Scrape


def block(at: float = 15.0, canary: float | None = 3.0, sent: float | None = 5.0, **more: Any) -> Block:
    """27 of the baseline, so many of the canary, of which 1 was bad; a tenth of the users."""
    arms: dict[Arm, Increment] = {"baseline": Increment(27.0)}
    if canary is not None:
        arms["canary"] = Increment(canary, 1.0)
    routed: dict[Arm, float] | None = None if sent is None else {"canary": sent, "baseline": 99.0}
    fields: dict[str, Any] = {"at": at, "increments": {"http": arms}, "scrapes": 1, "share": 0.1, "routed": routed}
    return Block(**fields | more)


def about(value: float) -> Any:
    """The same up to rounding."""
    return pytest.approx(value)


# --- what was sent --------------------------------------------------------------------------------------------


def test_what_is_sent_settles_with_the_next_measured_block() -> None:
    """A block without a scrape lets it wait; the newest measured block's own is pending still."""
    sent = Sent().add(block(sent=5.0))
    assert sent == Sent(settled=0.0, pending=5.0, blocks=1)
    blind = sent.add(block(sent=7.0, scrapes=0))
    assert blind == Sent(settled=0.0, pending=12.0, blocks=2)
    assert blind.add(block(sent=2.0)) == Sent(settled=12.0, pending=2.0, blocks=3)
    assert blind.add(block(sent=2.0)).add(block(sent=1.0)) == Sent(settled=14.0, pending=1.0, blocks=4)


def test_a_target_that_counted_nothing_counted_all_the_same() -> None:
    """0 is a count; no count, or only the baseline's, is none."""
    assert Sent().add(block(sent=0.0)) == Sent(0.0, 0.0, 1)
    assert Sent().add(block(sent=None)) == Sent(0.0, 0.0, 0)
    assert Sent().add(block(routed={"baseline": 4.0})) == Sent(0.0, 0.0, 0)


# --- how steadily it is completed -----------------------------------------------------------------------------


def added(flow: Flow, found: Block, measured: int = 4) -> Flow:
    return flow.add(found.increments["http"], found.share, Sent(settled=10.0, pending=2.0), measured)


BEFORE = Flow(100.0, 90.0, silent=7.0, waiting=1.0, settled=8.0, sampled_at=3, seen_sent=3.0, seen_at=2)


def test_the_share_of_users_tells_what_was_due() -> None:
    """27 of the baseline's nine tenths let expect 3 of the canary's one tenth; 2 came, and so silence is over."""
    assert added(BEFORE, block(canary=2.0)) == Flow(about(104.0), 92.0, 0.0, 0.0, 10.0, 4, seen_sent=12.0, seen_at=4)


def test_what_was_due_and_did_not_come_is_silence() -> None:
    """It was scraped, and nothing had come: what was last seen stays what it was."""
    found = added(BEFORE, block(canary=0.0))
    assert found == Flow(about(104.0), 90.0, about(11.0), 0.0, 10.0, 4, seen_sent=3.0, seen_at=2)


def test_what_is_due_waits_for_the_canarys_own_scrape() -> None:
    """Only the baseline was scraped. Who has waited too long counts as scraped, with nothing done."""
    found = added(BEFORE, block(canary=None))
    assert found == replace(BEFORE, waiting=about(4.0))
    overdue = found.at_once(Sent(settled=20.0, pending=5.0), 9)
    assert overdue == Flow(about(104.0), 90.0, about(11.0), 0.0, 20.0, 9, seen_sent=3.0, seen_at=2)


@pytest.mark.parametrize("share", [None, 0.0, 1.0])
def test_where_nothing_was_due_only_completions_count(share: float | None) -> None:
    """No share, or nobody or everybody on the canary: neither side of the sum grows, but it was seen alive."""
    assert added(BEFORE, block(canary=2.0, share=share)) == Flow(101.0, 90.0, 0.0, 0.0, 10.0, 4, 12.0, 4)
    assert added(BEFORE, block(canary=0.0, share=share)) == Flow(101.0, 90.0, 8.0, 0.0, 10.0, 4, 3.0, 2)


def test_without_a_baseline_nothing_is_due() -> None:
    """It is scraped in a block of its own; what the canary completed counts all the same."""
    alone = block(increments={"http": {"canary": Increment(2.0)}})
    assert added(BEFORE, alone) == Flow(101.0, 92.0, 0.0, 0.0, 10.0, 4, 12.0, 4)


def test_a_canary_that_completes_a_little_is_not_silent() -> None:
    """One request, or the half of one that a rate makes of it."""
    assert added(BEFORE, block(canary=0.5)).silent == 0.0


def test_a_flow_begins_with_nothing() -> None:
    """So does what was sent."""
    assert Flow() == Flow(0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0)
    assert Sent() == Sent(0.0, 0.0, 0)


# --- evidence -------------------------------------------------------------------------------------------------


def test_a_block_adds_to_everything_once() -> None:
    """Tallies by measure and arm, flows with the block's own sent and number, the trail, and the counts of blocks."""
    first, blind, last = block(15.0), block(30.0, scrapes=0, increments={}, sent=4.0), block(45.0, canary=4.0, sent=6.0)
    evidence = Evidence().add(first).add(blind).add(last)
    assert evidence.tally("http", "canary") == Increment(7.0, 2.0)
    assert evidence.tally("http", "baseline") == Increment(54.0)
    assert evidence.sent == Sent(settled=9.0, pending=6.0, blocks=3)
    assert evidence.flows == {"http": Flow(about(6.0), 7.0, 0.0, 0.0, 9.0, 2, seen_sent=15.0, seen_at=2)}
    assert (evidence.blocks, evidence.measured, evidence.last_at) == (3, 2, 45.0)
    assert evidence.trail == (first, blind, last)
    assert evidence.before == ()


def test_what_was_only_watched_leaves_no_trail() -> None:
    """Everything else of its block does."""
    watched = block(watched={"memory": {"canary": Increment(0.0, last=5.0)}})
    assert Evidence().add(watched).trail == (block(),)


def test_a_block_is_newer_than_the_last_or_nothing() -> None:
    """The same end, or an earlier one, is a repetition: the very same evidence comes back."""
    evidence = Evidence().add(block(15.0))
    assert evidence.add(block(15.0, canary=9.0)) is evidence
    assert evidence.add(block(14.9, canary=9.0)) is evidence
    assert evidence.add(block(15.1, canary=9.0)).blocks == 2
    assert Evidence().add(block(0.0)).last_at == 0.0
    assert Evidence().add(block(0.0)).add(block(0.0)).blocks == 1


def test_a_former_evidence_is_not_changed_by_what_is_added_to_it() -> None:
    """Whoever holds it judges the same as before."""
    before = Evidence().add(block(15.0))
    before.add(block(30.0))
    assert before == Evidence().add(block(15.0))


def test_a_phase_begins_with_the_trails_of_those_before() -> None:
    """One each, oldest first; one that measured nothing leaves none."""
    first = Evidence().add(block(15.0))
    second = first.next_phase()
    assert second == Evidence(before=(first.trail,))
    assert second.next_phase() == second
    third = second.add(block(30.0)).next_phase()
    assert third == Evidence(before=((block(15.0),), (block(30.0),)))


def test_evidence_begins_with_nothing() -> None:
    """No measure, no block, no time."""
    assert Evidence() == Evidence({}, {}, Sent(), 0, 0, None, (), ())
    assert Evidence().tally("http", "canary") is None
    assert Evidence().add(block(canary=None)).tally("http", "canary") is None


# --- blocks ---------------------------------------------------------------------------------------------------


def test_increments_are_summed_edge_by_edge() -> None:
    """Of either one; in rising order; a gauge shows the newer value, and the older one where that has none."""
    one = Increment(3.0, 1.0, {0.2: 3.0, 0.1: 1.0}, last=5.0)
    other = Increment(4.0, 2.0, {0.5: 4.0, 0.2: 2.0})
    both = plus(one, other)
    assert both == Increment(7.0, 3.0, {0.1: 1.0, 0.2: 5.0, 0.5: 4.0}, last=5.0)
    assert list(both.buckets) == [0.1, 0.2, 0.5]
    assert plus(other, one).last == 5.0
    assert plus(one, Increment(0.0, last=0.0)).last == 0.0


def test_gathering_adds_to_the_sums_it_is_given() -> None:
    """In place; an arm that was not there comes as it is."""
    sums: dict[Arm, Increment] = {"canary": Increment(1.0)}
    more: dict[Arm, Increment] = {"canary": Increment(2.0), "baseline": Increment(5.0)}
    assert gather(sums, more) is sums
    assert sums == {"canary": Increment(3.0), "baseline": Increment(5.0)}
    assert Increment(0.0) == NONE


def test_a_block_of_scrapes_holds_all_that_they_say() -> None:
    """Its end, its share, what was routed; judged measures and watched ones apart; scrapes that hold a judged one."""
    one = Scrape(1.0, {"http": {"canary": Increment(1.0)}, "clicks": {"canary": Increment(2.0)}})
    other = Scrape(2.0, {"http": {"canary": Increment(3.0)}})
    noise = Scrape(3.0, {"clicks": {"canary": Increment(4.0)}})
    found = Block.of(15.0, [one, other, noise], 0.1, {"canary": 9.0}, {"http"})
    assert found == Block(
        15.0,
        {"http": {"canary": Increment(4.0)}},
        2,
        0.1,
        {"canary": 9.0},
        {"clicks": {"canary": Increment(6.0)}},
    )
    every = Block.of(15.0, [one, other, noise])
    assert every.increments == {"http": {"canary": Increment(4.0)}, "clicks": {"canary": Increment(6.0)}}
    assert (every.scrapes, every.share, every.routed, every.watched) == (3, None, None, {})


def test_the_json_of_a_block_is_what_old_journals_hold() -> None:
    """Numbers, with buckets as pairs; a gauge alone has `last`; no count is null."""
    gauge, histogram = Increment(0.0, last=0.0), Increment(3.0, 1.0, {0.1: 2.0})
    made = Block(15.0, {"http": {"canary": histogram}}, 1, 0.1, {"canary": 4.0}, {"memory": {"canary": gauge}})
    assert made.to_data() == {
        "at": 15.0,
        "increments": {"http": {"canary": {"total": 3.0, "bad": 1.0, "buckets": [[0.1, 2.0]]}}},
        "scrapes": 1,
        "share": 0.1,
        "routed": {"canary": 4.0},
        "watched": {"memory": {"canary": {"total": 0.0, "bad": 0.0, "buckets": [], "last": 0.0}}},
    }
    assert Block.from_data(made.to_data()) == made
    assert block(sent=None).to_data()["routed"] is None
    assert tally_from(tally_data(histogram)) == histogram


def wrong(**more: Any) -> None:
    """Makes the block; `last` and `watched_bad` put a number where the name says."""
    last, bad = more.pop("last", None), more.pop("watched_bad", 0.0)
    increments = {"http": {"canary": Increment(1.0, last=last)}}
    watched = {"clicks": {"baseline": Increment(1.0, bad)}}
    fields: dict[str, Any] = {"at": 15.0, "increments": increments, "scrapes": 1, "watched": watched}
    Block(**fields | more)


@pytest.mark.parametrize(
    ("most", "beyond", "named"),
    [
        ({"share": 1.0}, {"share": 1.0001}, "the observed share is 1.0001: it must lie between 0 and 1"),
        ({"scrapes": 0}, {"scrapes": -1}, "the number of scrapes is -1"),
        ({"scrapes": COUNTABLE}, {"scrapes": COUNTABLE * 2}, "the number of scrapes"),
        ({"at": COUNTABLE}, {"at": COUNTABLE * 2}, "the time of a block"),
        ({"at": 0.0}, {"at": -0.1}, "the time of a block is -0.1"),
        ({"routed": {"baseline": 0.0}}, {"routed": {"baseline": -1.0}}, "requests routed to the baseline is -1"),
        ({"routed": {"canary": COUNTABLE}}, {"routed": {"canary": COUNTABLE * 2}}, "requests routed to the canary"),
        ({"last": 0.0}, {"last": -1.0}, "http of the canary is -1"),
        ({"last": COUNTABLE}, {"last": COUNTABLE * 2}, "http of the canary"),
        ({"watched_bad": COUNTABLE}, {"watched_bad": COUNTABLE * 2}, "clicks of the baseline"),
    ],
)
def test_what_can_be_counted_is_taken_and_what_cannot_is_named(
    most: dict[str, Any], beyond: dict[str, Any], named: str
) -> None:
    """The border itself is inside; of what is only watched, too."""
    wrong(**most)
    with pytest.raises(MeasurementFailed, match=named):
        wrong(**beyond)


def test_a_float_counts_one_by_one_up_to_the_border() -> None:
    """One more than it is not told from it."""
    assert COUNTABLE - 1 != COUNTABLE
    assert COUNTABLE + 1 == COUNTABLE


def test_the_canarys_bad_events_are_those_of_the_measure_that_saw_most() -> None:
    """None where it is in no measure."""
    found: dict[str, dict[Arm, Increment]] = {
        "http": {"canary": Increment(9.0, 2.0)},
        "js": {"canary": Increment(9.0, 3.0), "baseline": Increment(9.0, 8.0)},
        "publish": {"baseline": Increment(9.0, 9.0)},
    }
    assert block(increments=found).bad_served == 3.0
    assert block(canary=None).bad_served == 0.0
