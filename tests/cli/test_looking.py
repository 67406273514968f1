"""`canary status` and `canary journal` as a user calls them, on a journal of a file. No Prefect anywhere."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from canary.errors import BadUsage, JournalError, UnknownRollout
from canary.judge.verdict import Outcome, Verdict
from canary.ports import NewEntry
from canary.rollout import events as e
from canary.rollout.fired import FiredAlert

STRANGE = NewEntry(1.0, "from_the_future", {"x": 1})
SUMMARY = {
    "rollout",
    "service",
    "version",
    "phase",
    "standing",
    "asked_share",
    "observed",
    "verdict",
    "outcome",
}


@pytest.fixture
def judging(desk: Any, shop: Any) -> Any:
    """A rollout in its canary, judged twice."""
    desk.tell("r1", [*shop.until_canary(), shop.judged(2), shop.judged(8)])
    return desk


def test_an_empty_journal_says_how_to_begin(desk: Any) -> None:
    """Nothing is no error: exit 0, with the command to type; a machine gets an empty list."""
    done = desk.canary("status")
    assert done.exit_code == 0
    assert "canary start PLAN --version V" in done.stdout
    assert json.loads(desk.canary("status", "--json").stdout) == []


@pytest.mark.parametrize("command", [("status", "r9"), ("journal", "r9"), ("status", "r9", "--watch")])
def test_an_unknown_rollout_is_bad_usage_and_names_the_known_ones(judging: Any, command: tuple[str, ...]) -> None:
    """Exit code 2, and the ids that would have been right."""
    done = judging.canary(*command)
    assert isinstance(done.exception, UnknownRollout)
    assert done.exception.exit_code == 2
    assert "the newest are: r1" in str(done.exception)


def test_the_list_has_a_line_a_rollout(judging: Any, shop: Any) -> None:
    """Newest first: service, version and where it stands."""
    judging.tell("r2", [shop.started])
    assert judging.canary("status").stdout.splitlines() == [
        "r2  shop 2.0.0  in preflight at 0%",
        "r1  shop 2.0.0  in canary at 10%",
    ]


def test_a_rollout_that_cannot_be_read_hides_no_other(judging: Any) -> None:
    """It is named on standard error; standard output has the others, as JSON too."""
    judging.tell("r2", [STRANGE])
    done = judging.canary("status", "--json")
    assert [each["rollout"] for each in json.loads(done.stdout)] == ["r1"]
    assert "r2  cannot be read: line 1 of r2 (from_the_future)" in done.stderr


def test_the_status_of_an_unreadable_rollout_says_which_line(judging: Any) -> None:
    """Exit code 1: neither the user nor the rollout did anything wrong."""
    judging.tell("r1", [STRANGE])
    done = judging.canary("status", "r1")
    assert isinstance(done.exception, JournalError)
    assert done.exception.exit_code == 1
    assert "line 18 of r1 (from_the_future)" in str(done.exception)


def test_the_journal_shows_what_it_does_not_understand(judging: Any) -> None:
    """A line of another version is a line like any other; in JSON with all of its data."""
    judging.tell("r1", [STRANGE])
    lines = judging.canary("journal", "r1").stdout.splitlines()
    assert len(lines) == 18
    assert "from_the_future" in lines[-1]
    last = json.loads(judging.canary("journal", "r1", "--json").stdout.splitlines()[-1])
    assert last == {
        "seq": 18,
        "at": "1970-01-01T00:00:01.000+00:00",
        "epoch": 0,
        "type": "from_the_future",
        "data": {"x": 1},
    }


def test_a_line_that_something_else_wrote_is_named(judging: Any) -> None:
    """Not JSON at all: nothing is guessed, and the way out is said."""
    with closing(sqlite3.connect(judging.url.partition(":///")[2])) as file, file:
        file.execute("UPDATE canary_events SET data = 'oops' WHERE seq = 3")
    done = judging.canary("journal", "r1")
    assert isinstance(done.exception, JournalError)
    assert "entry 3 of rollout r1" in str(done.exception)


def test_the_status_shows_everything_a_person_asks_for(judging: Any) -> None:
    """Phase, time, targets asked and observed, approvals and how they are known, values against limits, last line."""
    told = judging.canary("status", "r1").stdout
    assert "r1: shop 2.0.0, judging in canary at 10%" in told
    assert "canary approved by Olga as owner (Slack, identity unproven)" in told
    assert "canary approved by Lars as lead (Slack)" in told
    (criterion,) = [line.split() for line in told.splitlines() if line.startswith("errors: < 1%")]
    assert criterion == ["errors:", "<", "1%", "criterion", "0.40%", "1.00%", "2,000", "PASS", "▃█"]
    assert any(line.split()[:5] == ["web", "10%", "10%", "yes", "seen"] for line in told.splitlines())
    assert told.splitlines()[-1].endswith("canary: PASS, all 3 rules hold")


def test_the_json_of_one_rollout_adds_to_the_summary(judging: Any) -> None:
    """Every key of the list's summary with the same value, and the details beside them, on one line."""
    (listed,) = json.loads(judging.canary("status", "--json").stdout)
    (line,) = judging.canary("status", "r1", "--json").stdout.splitlines()
    told = json.loads(line)
    assert set(listed) == SUMMARY
    assert {key: told[key] for key in SUMMARY} == listed
    assert set(told) - SUMMARY == {
        "time_left",
        "approvals",
        "waits_for",
        "judged",
        "rules",
        "hold",
        "features_off",
        "alerts",
    }
    assert [row["kind"] for row in told["rules"]] == ["criterion", "trigger", "guard"]
    assert told["time_left"]["of"] == "soak"
    assert told["approvals"][1] == {"phase": "canary", "role": "lead", "by": "Lars", "how": "Slack", "proven": True}


def test_the_status_of_a_promoted_rollout_shows_the_alerts_that_fire(judging: Any) -> None:
    """What the last look of the watch found: a line each with its reason, and all of it in JSON."""
    promoted = e.RolloutEnded(outcome="promoted", phase="full", reason="done", verified=True)
    verdict = {"outcome": "NO_DATA", "reason": "quiet", "verdicts": [quiet()]}
    alert = FiredAlert(severity="warning", rule="sure p10 < 0.5", reason="40 % at or below 50 %")
    block = {"at": 1_800_000_100.0, "increments": {}, "scrapes": 0, "share": None, "routed": None}
    judging.tell("r1", [promoted, e.Watched(number=1, block=block, verdict=verdict, seconds=300.0, alerts=(alert,))])
    told = judging.canary("status", "r1").stdout.splitlines()
    assert "  warning alert sure p10 < 0.5: 40 % at or below 50 %" in [line.rstrip() for line in told]
    assert json.loads(judging.canary("status", "r1", "--json").stdout)["alerts"] == [alert.model_dump()]


def quiet() -> dict[str, Any]:
    """A verdict on nothing."""
    return Verdict("any", "errors", Outcome.NO_DATA, None, 0.0, "events", None, None, "quiet").to_data()


def test_a_plan_that_cannot_be_read_hides_no_rollout(judging: Any) -> None:
    """Only what the plan alone tells is missing: which rule is a criterion."""
    with closing(sqlite3.connect(judging.url.partition(":///")[2])) as file, file:
        file.execute("UPDATE canary_plans SET body = '{}'")
    told = json.loads(judging.canary("status", "r1", "--json").stdout)
    assert {row["kind"] for row in told["rules"]} == {"rule"}


def test_people_cannot_command_the_terminal(judging: Any, shop: Any) -> None:
    """A reason is text: neither escape sequences nor rich's markup of it reach the terminal as commands."""
    judging.tell("r1", [e.HoldAsked(by="Eve", how="a test", reason="\x1b[2J[bold]gone[/bold]\r")])
    told = judging.canary("status", "r1").stdout
    assert "\x1b" not in told
    assert "\r" not in told
    assert "[bold]gone[/bold]" in told


def test_watching_in_a_pipe_is_lines_of_text(judging: Any) -> None:
    """Each line on standard error until the end, nothing drawn; with --json the status comes last."""
    judging.tell("r1", [e.RolloutEnded(outcome="rolled_back", phase="canary", reason="why", verified=True)])
    done = judging.canary("status", "r1", "--watch")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.splitlines()[-1].endswith("rolled back: why")
    (line,) = judging.canary("status", "r1", "--watch", "--json").stdout.splitlines()
    assert json.loads(line)["outcome"] == "rolled_back"


def test_to_watch_all_is_refused(desk: Any) -> None:
    """What would be right is said."""
    done = desk.canary("status", "--watch")
    assert isinstance(done.exception, BadUsage)
    assert "canary status ID --watch" in str(done.exception)
