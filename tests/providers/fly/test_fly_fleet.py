"""K of N machines: which of them, in which order, and what counts as done. Pure, so all of it is searched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.blocks.fly_fleet import Fleet, Images, chosen, compare, count, fleet_of, moves, shares
from canary.blocks.fly_image import Image
from canary.blocks.fly_wire import MARK, Machine

OLD, NEW = (Image("registry.fly.io", "docflow", tag, f"sha256:{n:064x}") for n, tag in enumerate(("v1", "v2")))
IMAGES = Images(NEW, OLD)


def machine(number: int, image: Image = OLD, region: str = "fra", state: str = "started", ill: bool = False) -> Machine:
    ref = {"registry": image.registry, "repository": image.repository, "tag": image.tag, "digest": image.digest}
    checks = [{"name": "http", "status": "critical" if ill else "passing"}]
    said = {"id": f"m{number:03}", "region": region, "state": state, "instance_id": f"i{number}", "config": {}}
    return Machine.model_validate({**said, "image_ref": ref, "checks": checks})


machines = st.builds(
    machine,
    number=st.integers(0, 999),
    image=st.sampled_from([OLD, NEW]),
    region=st.sampled_from(["ams", "fra", "iad"]),
    state=st.sampled_from(["started", "started", "stopped"]),
)
fleets = st.lists(machines, min_size=1, max_size=25, unique_by=lambda m: m.id).map(lambda all: Fleet(tuple(all)))
shares_ = st.sampled_from([0.0, 0.005, 0.1, 0.25, 0.5, 0.75, 0.999, 1.0])


@given(st.integers(1, 60), st.floats(0, 1))
def test_a_share_is_whole_machines(machines: int, share: float) -> None:
    """Nobody at 0, everybody at 1; in between at least one, never all of several, and never off by a machine."""
    k = count(share, machines)
    assert (k == 0) is (share == 0)
    assert (k == machines) is (share == 1 or (machines == 1 and share > 0))
    assert abs(k - share * machines) <= 1


@given(fleets, shares_)
def test_the_chosen_are_spread_over_the_regions(fleet: Fleet, share: float) -> None:
    """As many as the share is; no region is ahead of its part by a whole machine, unless it is one at the least."""
    ids = chosen(fleet, IMAGES, share)
    assert len(ids) == count(share, len(fleet.members))
    for region in fleet.regions():
        here = sum(m.id in ids for m in region)
        assert abs(here - len(ids) * len(region) / len(fleet.members)) <= 1.0 + 1e-9


@given(fleets, shares_, shares_)
def test_a_higher_share_keeps_who_was_chosen(fleet: Fleet, one: float, other: float) -> None:
    """Raising lowers nobody on the way."""
    low, high = sorted((one, other))
    assert chosen(fleet, IMAGES, low) <= chosen(fleet, IMAGES, high)


@given(fleets, shares_)
def test_moves_lead_there_and_stop(fleet: Fleet, share: float) -> None:
    """Doing what may be done, again and again, ends with the share shown, and then nothing is left to do."""
    for _ in range(len(fleet.members) + 1):
        found = moves(fleet, IMAGES, share, frozenset())
        for move in found:
            changed = machine(int(move.machine.id[1:]), move.to, move.machine.region, move.machine.state)
            fleet = fleet.with_(changed)
    on = {m.id for m in fleet.members if IMAGES.side(m) == "candidate"}
    assert moves(fleet, IMAGES, share, frozenset()) == []
    # Only a candidate that sleeps holds up others: it is not known to serve.
    if all(m.serving for m in fleet.members):
        assert on == chosen(fleet, IMAGES, share)
        assert compare(fleet, IMAGES, share).answer == "yes"


@given(fleets, shares_)
def test_in_a_region_one_machine_at_a_time_goes_up(fleet: Fleet, share: float) -> None:
    """Of those that serve, at most one in each region; and at most half of what serves there goes down at once."""
    found = moves(fleet, IMAGES, share, frozenset())
    for region in fleet.regions():
        here = [m for m in found if m.machine in region and m.machine.serving]
        assert sum(m.to == NEW for m in here) <= 1
        down = sum(m.to == OLD for m in here)
        assert down <= 1 or 2 * down <= len(region)


def test_nothing_goes_up_beside_a_candidate_that_does_not_serve() -> None:
    """A bad candidate takes one machine of a region, not one after the other."""
    fleet = Fleet((machine(1, NEW, ill=True), machine(2), machine(3), machine(4, region="iad")))
    assert [m.machine.id for m in moves(fleet, IMAGES, 1.0, frozenset())] == ["m004"]


def test_at_full_a_region_goes_down_machine_by_machine_while_it_serves() -> None:
    """The next one only when the last is back; what serves nobody goes at once; the last half goes together."""
    fleet = Fleet(tuple(machine(i, NEW) for i in range(5)))
    assert [m.machine.id for m in moves(fleet, IMAGES, 0.0, frozenset())] == ["m000"]
    assert moves(fleet.with_(machine(0, OLD, ill=True)), IMAGES, 0.0, frozenset({"m000"})) == []
    ill = Fleet(tuple(machine(i, NEW, ill=i > 0) for i in range(5)))
    assert [m.machine.id for m in moves(ill, IMAGES, 0.0, frozenset())] == ["m001", "m002", "m003", "m004", "m000"]


def test_another_image_is_left_alone_and_never_right() -> None:
    """What somebody put there by hand is said, by machine, and not overwritten."""
    hand = Image("registry.fly.io", "docflow", "hotfix", "sha256:" + "f" * 64)
    fleet = Fleet((machine(1), machine(2, hand)))
    for share in (0.0, 1.0):
        looked = compare(fleet, IMAGES, share)
        assert looked.answer == "no"
        assert "machine m002 (fra) runs hotfix, which is neither" in looked.detail
        assert all(m.machine.id != "m002" for m in moves(fleet, IMAGES, share, frozenset()))


def test_sleepers_go_last_and_are_right_at_full_alone() -> None:
    """A sleeping machine takes its image along; as a canary it would serve nobody."""
    fleet = Fleet((machine(1, state="stopped"), machine(2), machine(3)))
    assert chosen(fleet, IMAGES, 0.3) == {"m002"}
    assert [m.machine.id for m in moves(fleet, IMAGES, 1.0, frozenset())] == ["m002"]
    awake = fleet.with_(machine(2, NEW)).with_(machine(3, NEW))
    assert [m.machine.id for m in moves(awake, IMAGES, 1.0, frozenset())] == ["m001"]
    asleep = awake.with_(machine(1, NEW, state="stopped"))
    assert compare(asleep, IMAGES, 1.0).answer == "yes"
    crashed = Fleet((machine(1, NEW, state="stopped"), machine(2), machine(3)))
    assert "machine m001 (fra) does not serve: it is stopped" in compare(crashed, IMAGES, 0.3).detail


def test_the_share_is_of_who_serves() -> None:
    """A machine that is ill or asleep serves nobody; where none serves, all of them count."""
    fleet = Fleet((machine(1, NEW), machine(2), machine(3, state="stopped"), machine(4, ill=True)))
    assert shares(fleet) == {str(NEW): 0.5, str(OLD): 0.5}
    assert compare(fleet, IMAGES, 0.3).observed == pytest.approx(0.5)
    assert shares(Fleet((machine(1, state="stopped"), machine(2, NEW, state="failed")))) == {
        str(OLD): 0.5,
        str(NEW): 0.5,
    }


def test_a_machine_on_its_way_back_is_not_back() -> None:
    """Exposure 0 holds when nothing runs the candidate and nothing is still being replaced."""
    fleet = Fleet((machine(1), machine(2, state="replacing")))
    assert (compare(fleet, IMAGES, 0.0).answer, compare(fleet.with_(machine(2)), IMAGES, 0.0).answer) == ("no", "yes")
    assert "is still replacing" in compare(fleet, IMAGES, 0.0).detail


def test_only_the_group_belongs_to_the_fleet() -> None:
    """Other groups, Fly's own machines and what is gone are left out; the marked one is the extra machine."""

    def of(number: int, state: str = "started", **metadata: str) -> Machine:
        return machine(number, state=state).model_copy(update={"config": {"metadata": metadata}})

    web, worker = of(1, fly_process_group="web"), of(2, fly_process_group="worker")
    release, gone, plain = of(3, fly_process_group="fly_app_release_command"), of(4, "destroyed"), of(5)
    extra = of(6, fly_process_group="web", **{MARK: "candidate"})
    everything = [web, worker, release, gone, plain, extra]
    assert fleet_of(everything, "web") == Fleet((web,), extra)
    assert fleet_of(everything, "app").members == (plain,)


@pytest.mark.parametrize(
    ("reference", "whole"),
    [
        ("registry.fly.io/docflow:v2.1.0", "registry.fly.io/docflow:v2.1.0"),
        ("registry.fly.io/a/b:v1@sha256:abc", "registry.fly.io/a/b:v1@sha256:abc"),
        ("registry.fly.io/docflow@sha256:abc", "registry.fly.io/docflow@sha256:abc"),
        ("localhost:5000/docflow", "localhost:5000/docflow:latest"),
        ("localhost/docflow", "localhost/docflow:latest"),
        ("nginx", "registry-1.docker.io/library/nginx:latest"),
        ("flyio/fastify:1", "registry-1.docker.io/flyio/fastify:1"),
        ("docker.io/flyio/fastify:1", "registry-1.docker.io/flyio/fastify:1"),
    ],
)
def test_references_are_read_as_docker_does(reference: str, whole: str) -> None:
    """Registry, repository, tag and digest, with what Docker adds in silence; and back."""
    assert str(Image.parse(reference)) == whole
    assert Image.parse(whole) == Image.parse(reference)


@pytest.mark.parametrize(
    ("reported", "wanted", "same"),
    [
        ("r.io/a:v1@sha256:1", "r.io/a:v1", True),
        ("r.io/a:v2@sha256:1", "r.io/a:v1", False),
        ("r.io/a:v1@sha256:2", "r.io/a:v1@sha256:1", False),
        ("r.io/a:moved@sha256:1", "r.io/a:v1@sha256:1", True),
        ("r.io/a@sha256:1", "r.io/a@sha256:1", True),
        ("r.io/b:v1@sha256:1", "r.io/a:v1@sha256:1", False),
        ("other.io/a:v1", "r.io/a:v1", False),
        ("r.io/a:v1", "r.io/a:v1@sha256:1", True),
    ],
)
def test_digests_decide_where_both_have_one(reported: str, wanted: str, same: bool) -> None:
    """A tag may be moved; the platform resolves it once."""
    assert Image.parse(reported).shows(Image.parse(wanted)) is same


def test_a_moved_tag_is_told_from_what_it_was() -> None:
    """With the same tag for both releases stable is known by its digest, and the candidate is pinned to what it is."""
    images = Images(Image.parse("r.io/a:latest"), Image.parse("r.io/a:latest@sha256:1"))
    old, new = (Image("r.io", "a", "latest", f"sha256:{n}") for n in (1, 2))
    assert (images.side(machine(1, old)), images.side(machine(2, new))) == ("stable", "candidate")
    assert images.pinned(Fleet((machine(1, old),), machine(9, new))).candidate == new
