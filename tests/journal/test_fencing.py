"""The rules of the lock row, each side of each of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canary.errors import Conflict, LeaseLost, ServiceBusy
from canary.journal.fencing import FREED, Row, conflict, held, lost, taken
from canary.ports import Lock

NOW = 100.0
WANTED = Lock("shop", "r1", 0, "one", NOW + 20)
ROW = Row("shop", "r1", 4, "another", NOW)


def test_a_service_that_never_had_a_lock_begins_with_epoch_1() -> None:
    """Whoever comes first has it, as it was wanted."""
    assert taken(None, WANTED, NOW) == Lock("shop", "r1", 1, "one", NOW + 20)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(ROW, id="its lease has just run out"),
        pytest.param(replace(ROW, lease_until=FREED), id="given back"),
        pytest.param(replace(ROW, holder="one", lease_until=NOW + 5), id="the same holder's lease"),
        pytest.param(replace(ROW, rollout=None, holder="", lease_until=FREED), id="free"),
        pytest.param(replace(ROW, rollout=None, lease_until=NOW + 5), id="free, whatever its lease says"),
    ],
)
def test_a_row_that_nobody_holds_is_taken_with_the_next_epoch(row: Row) -> None:
    """One more than the row's, with everything else as it was wanted."""
    assert taken(row, WANTED, NOW) == Lock("shop", "r1", 5, "one", NOW + 20)


def test_another_holders_running_lease_keeps_everybody_out() -> None:
    """It is said who conducts what, and for how long still."""
    with pytest.raises(LeaseLost, match=r"another conducts r1; its lease runs 0\.5 s more"):
        taken(replace(ROW, lease_until=NOW + 0.5), WANTED, NOW)


@pytest.mark.parametrize("holder", ["one", "another"])
@pytest.mark.parametrize("lease_until", [FREED, NOW + 5])
def test_another_rollout_keeps_its_service(holder: str, lease_until: float) -> None:
    """Whoever conducts it, and though its lease has run out: it is not over."""
    with pytest.raises(ServiceBusy) as busy:
        taken(Row("shop", "r0", 4, holder, lease_until), WANTED, NOW)
    assert busy.value.running == "r0"
    assert str(busy.value).startswith("shop is already being rolled out by r0")


@pytest.mark.parametrize(
    ("row", "is_held"),
    [
        (ROW, True),
        (replace(ROW, holder="one", lease_until=NOW + 5), True),
        (replace(ROW, epoch=5), False),
        (replace(ROW, epoch=3), False),
        (replace(ROW, rollout="r2"), False),
        (replace(ROW, rollout=None), False),
        (None, False),
    ],
)
def test_a_lock_is_held_while_rollout_and_epoch_are_the_rows(row: Row | None, is_held: bool) -> None:
    """A new taker changes the epoch, and the end of a rollout the name; the lease's end changes neither."""
    assert held(row, replace(WANTED, epoch=4)) is is_held


def test_whoever_is_fenced_off_is_told_what_is_over() -> None:
    """The holder, the service, the epoch and the rollout; an append, the number that it stood behind."""
    gone = lost(replace(WANTED, epoch=3))
    assert isinstance(gone, LeaseLost)
    assert gone.what == "one no longer holds shop: epoch 3 of r1 is over"
    late = conflict("r1", 7)
    assert isinstance(late, Conflict)
    assert late.what == "7 is not the number of the newest entry of rollout r1"


def test_a_freed_lease_lies_before_every_clock() -> None:
    """The beginning of time: a clock that was never set shows it, and a lease until then has run out."""
    assert taken(replace(ROW, lease_until=FREED), WANTED, 0.0).epoch == 5
