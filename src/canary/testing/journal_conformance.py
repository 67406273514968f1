"""What every journal and every vault must do. Subclass a suite and give it the fixture it names."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from canary.errors import Conflict, JournalError, LeaseLost, ServiceBusy, VaultError
from canary.ports import BACKTESTS, Entry, Journal, Lock, NewEntry, StoredPlan, Vault

NOW = 1_700_000_000.0
LEASE = 20.0
FREE_AT = NOW + LEASE
"""When a lease taken at NOW has run out."""
FIELDS: Mapping[str, Mapping[str, Any]] = {
    "fly/api": {"token": "s3cret", "timeout": 6},
    "slack/sre": {"urls": ["ü✓", None]},
}


def entry(number: int = 0, **data: Any) -> NewEntry:
    """An entry, recognisable by its number."""
    return NewEntry(NOW + number, "noted", {"number": number, **data})


def numbers(entries: Sequence[Entry]) -> list[int]:
    """The numbers of entries made by `entry`."""
    return [line.data["number"] for line in entries]


async def taken_over(journal: Journal) -> tuple[Lock, Lock]:
    """The lock of a conductor that fell silent, and that of the one that took its rollout."""
    old = await journal.take("docs", "r1", "first", NOW, LEASE)
    return old, await journal.take("docs", "r1", "second", FREE_AT, LEASE)


class JournalConformance:
    """Needs a fixture `journal`: an empty one, closed after the test."""

    async def test_entries_come_back_as_they_were_appended(self, journal: Journal) -> None:
        """Sequence numbers start at 1 without a gap; what append returns is what read returns."""
        first = await journal.append("r1", 0, [entry(1), entry(2)])
        second = await journal.append("r1", 2, [entry(3)])
        assert list(await journal.read("r1")) == [*first, *second]
        assert [line.seq for line in [*first, *second]] == [1, 2, 3]
        assert first[0] == Entry("r1", 1, NOW + 1, 0, "noted", {"number": 1})

    async def test_read_goes_on_behind_a_number(self, journal: Journal) -> None:
        """Only entries with a higher number are read; none are left behind the newest."""
        await journal.append("r1", 0, [entry(n) for n in range(5)])
        assert numbers(await journal.read("r1", 3)) == [3, 4]
        assert not await journal.read("r1", 5)

    @pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
    async def test_lines_are_what_read_gives(self, journal: Journal, count: int) -> None:
        """One by one, in order, each once, however many there are, and behind a number, too."""
        await journal.append("other", 0, [entry(n) for n in range(150)])
        await journal.append("r1", 0, [entry(n, text="ü✓\ud800") for n in range(count)])
        assert [line async for line in journal.lines("r1")] == list(await journal.read("r1"))
        assert [line async for line in journal.lines("r1", 70)] == list(await journal.read("r1", 70))

    async def test_lines_that_are_appended_meanwhile_break_nothing(self, journal: Journal) -> None:
        """Whoever goes through a journal holds nobody up: appends are stored, and what comes stays in order."""
        await journal.append("r1", 0, [entry(n) for n in range(250)])
        seen: list[int] = []
        async for line in journal.lines("r1"):
            seen.append(line.seq)
            if line.seq == 120:
                await journal.append("r1", 250, [entry(n) for n in range(10)])
        assert seen[:250] == list(range(1, 251))
        assert seen[250:] in ([], list(range(251, 261)))

    async def test_an_unknown_rollout_is_empty(self, journal: Journal) -> None:
        """Reading what never was is no error."""
        assert not await journal.read("never")
        assert not [line async for line in journal.lines("never")]
        assert not await journal.rollouts()

    async def test_rollouts_do_not_mix(self, journal: Journal) -> None:
        """Each rollout counts its own entries; the list of rollouts has the newest first."""
        for rollout in ("b", "c", "a"):
            await journal.append(rollout, 0, [entry(1)])
        await journal.append("b", 1, [entry(2)])
        assert numbers(await journal.read("b")) == [1, 2]
        assert numbers(await journal.read("a")) == [1]
        assert list(await journal.rollouts()) == ["a", "c", "b"]

    async def test_backtests_are_no_rollouts(self, journal: Journal) -> None:
        """They are read and appended to like rollouts, and never listed as one."""
        await journal.append("r1", 0, [entry(1)])
        await journal.append(f"{BACKTESTS}{'a' * 64}", 0, [entry(2)])
        assert numbers(await journal.read(f"{BACKTESTS}{'a' * 64}")) == [2]
        assert list(await journal.rollouts()) == ["r1"]

    @pytest.mark.parametrize("after", [0, 1, 3, -1])
    async def test_only_the_newest_number_can_be_appended_to(self, journal: Journal, after: int) -> None:
        """Behind an older number, or one that is not there yet, nothing is appended."""
        await journal.append("r1", 0, [entry(1), entry(2)])
        with pytest.raises(Conflict, match="r1"):
            await journal.append("r1", after, [entry(3)])
        assert numbers(await journal.read("r1")) == [1, 2]

    async def test_an_append_of_nothing_only_compares(self, journal: Journal) -> None:
        """Without entries nothing is written, not even the rollout's name; a wrong number still conflicts."""
        assert not await journal.append("r1", 0, [])
        assert not await journal.rollouts()
        with pytest.raises(Conflict):
            await journal.append("r1", 1, [])

    async def test_of_racing_appends_one_wins(self, journal: Journal) -> None:
        """Twenty append behind the same number, at once: one is stored, nineteen are told of the conflict."""
        racers = [journal.append("r1", 0, [entry(n), entry(n)]) for n in range(20)]
        outcomes = await asyncio.gather(*racers, return_exceptions=True)
        won = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        assert [type(outcome) for outcome in outcomes if outcome not in won] == [Conflict] * 19
        assert list(await journal.read("r1")) == list(won[0])

    async def test_racing_rollouts_all_win(self, journal: Journal) -> None:
        """Appends to different rollouts do not conflict with each other."""
        await asyncio.gather(*(journal.append(f"r{n}", 0, [entry(n)]) for n in range(20)))
        assert sorted(await journal.rollouts()) == sorted(f"r{n}" for n in range(20))

    async def test_data_survives_as_json(self, journal: Journal) -> None:
        """Unicode, control characters, lone surrogates, exact floats, big integers and nesting come back."""
        data = {
            "text": "Überprüft ✓ 🚀\x00\ud800'\"\\",
            "share": 0.1 + 0.2,
            "big": 2**70,
            "deep": [{"": [None, True]}],
        }
        await journal.append("r-ü✓", 0, [NewEntry(NOW, "naïve", data)])
        assert (await journal.read("r-ü✓"))[0].data == data

    async def test_large_data_survives(self, journal: Journal) -> None:
        """An entry of a few megabytes is an entry like any other."""
        text = "0123456789" * 300_000
        await journal.append("r1", 0, [entry(1, text=text), entry(2)])
        assert (await journal.read("r1"))[0].data["text"] == text

    async def test_what_was_read_is_the_readers_own(self, journal: Journal) -> None:
        """Changing the data given or returned changes nothing in the journal."""
        given: dict[str, Any] = {"list": [1]}
        returned = await journal.append("r1", 0, [NewEntry(NOW, "noted", given)])
        given["list"].append(2)
        returned[0].data["list"].append(3)
        (await journal.read("r1"))[0].data["list"].append(4)
        assert (await journal.read("r1"))[0].data == {"list": [1]}

    @pytest.mark.parametrize(
        "value", [float("nan"), float("inf"), object(), {1, 2}], ids=["nan", "inf", "object", "set"]
    )
    async def test_what_is_not_json_is_refused_whole(self, journal: Journal, value: object) -> None:
        """One entry that JSON cannot hold keeps its neighbours out; the error names the entry's type."""
        with pytest.raises(JournalError, match="noted"):
            await journal.append("r1", 0, [entry(1), entry(2, value=[value])])
        assert not await journal.read("r1")

    async def test_a_time_must_be_finite(self, journal: Journal) -> None:
        """NaN is no time."""
        with pytest.raises(JournalError, match="noted"):
            await journal.append("r1", 0, [replace(entry(1), at=float("nan"))])

    async def test_the_newest_plan_of_a_name(self, journal: Journal) -> None:
        """Plans are found by hash and by name; storing one again makes it the newest of its name."""
        old, new, other = (StoredPlan(name * 64, "p", "docs", "{}") for name in "abc")
        for plan in (old, new, replace(other, name="q"), new):
            await journal.store_plan(plan)
        assert await journal.plan(old.hash) == old
        assert await journal.plan_named("p") == new
        await journal.store_plan(old)
        assert await journal.plan_named("p") == old

    async def test_a_plan_that_is_not_there(self, journal: Journal) -> None:
        """An unknown hash or name is None."""
        assert await journal.plan("f" * 64) is None
        assert await journal.plan_named("p") is None

    async def test_the_first_lock(self, journal: Journal) -> None:
        """The first epoch of a service is 1; the lease runs from now; the service is listed as busy."""
        lock = await journal.take("docs", "r1", "first", NOW, LEASE)
        assert lock == Lock("docs", "r1", 1, "first", NOW + LEASE)
        assert list(await journal.locks()) == [lock]

    async def test_a_running_lease_keeps_others_out(self, journal: Journal) -> None:
        """Up to the lease's last moment another holder is refused; from then on it gets the next epoch."""
        await journal.take("docs", "r1", "first", NOW, LEASE)
        with pytest.raises(LeaseLost, match="first"):
            await journal.take("docs", "r1", "second", FREE_AT - 0.001, LEASE)
        assert (await journal.take("docs", "r1", "second", FREE_AT, LEASE)).epoch == 2

    async def test_the_same_holder_may_take_again(self, journal: Journal) -> None:
        """A holder that forgot its lock gets it back under a new epoch, its old one is over."""
        old = await journal.take("docs", "r1", "first", NOW, LEASE)
        new = await journal.take("docs", "r1", "first", NOW + 1, LEASE)
        assert (new.epoch, new.lease_until) == (2, NOW + 1 + LEASE)
        with pytest.raises(LeaseLost):
            await journal.renew(old, NOW + 2, LEASE)

    async def test_a_busy_service_names_its_rollout(self, journal: Journal) -> None:
        """Another rollout is refused, even when the lease has long run out, and is told which one runs."""
        await journal.take("docs", "r1", "first", NOW, LEASE)
        with pytest.raises(ServiceBusy) as caught:
            await journal.take("docs", "r2", "first", FREE_AT + 1000, LEASE)
        assert caught.value.running == "r1"

    async def test_services_do_not_hinder_each_other(self, journal: Journal) -> None:
        """Each service has its own lock and its own epochs."""
        first = await journal.take("docs", "r1", "first", NOW, LEASE)
        second = await journal.take("web", "r2", "first", NOW, LEASE)
        assert list(await journal.locks()) == [first, second]
        assert second.epoch == 1

    async def test_renewing_lengthens_the_lease(self, journal: Journal) -> None:
        """A renewed lease keeps others out for longer; renewing twice changes nothing more."""
        lock = await journal.take("docs", "r1", "first", NOW, LEASE)
        renewed = await journal.renew(lock, NOW + 4, LEASE)
        assert renewed == replace(lock, lease_until=NOW + 4 + LEASE)
        assert await journal.renew(lock, NOW + 4, LEASE) == renewed
        assert list(await journal.locks()) == [renewed]
        with pytest.raises(LeaseLost):
            await journal.take("docs", "r1", "second", FREE_AT, LEASE)

    async def test_a_late_renewal_counts_while_nobody_took(self, journal: Journal) -> None:
        """A lease that ran out unnoticed may still be renewed: the epoch decides, not the clock."""
        lock = await journal.take("docs", "r1", "first", NOW, LEASE)
        assert (await journal.renew(lock, FREE_AT + 60, LEASE)).lease_until == FREE_AT + 60 + LEASE

    async def test_an_old_epoch_is_fenced_off(self, journal: Journal) -> None:
        """Once another conductor took the rollout, the old one can neither append nor renew; the new can."""
        old, new = await taken_over(journal)
        with pytest.raises(LeaseLost, match="first"):
            await journal.append("r1", 0, [entry(1)], fence=old)
        with pytest.raises(LeaseLost, match="first"):
            await journal.renew(old, FREE_AT, LEASE)
        assert (await journal.append("r1", 0, [entry(2)], fence=new))[0].epoch == new.epoch
        assert numbers(await journal.read("r1")) == [2]

    async def test_an_old_epoch_gives_nothing_back(self, journal: Journal) -> None:
        """To yield or release under an old epoch is nothing: the new conductor keeps its lease."""
        old, new = await taken_over(journal)
        await journal.yield_lease(old)
        await journal.release(old)
        assert list(await journal.locks()) == [new]

    async def test_lost_goes_before_conflict(self, journal: Journal) -> None:
        """A conductor that lost the lease learns that, not that it should read and try again."""
        old, _ = await taken_over(journal)
        with pytest.raises(LeaseLost):
            await journal.append("r1", 7, [entry(1)], fence=old)

    async def test_a_fence_is_good_for_its_own_rollout(self, journal: Journal) -> None:
        """The lock of one rollout does not allow an append to another one."""
        lock = await journal.take("docs", "r1", "first", NOW, LEASE)
        with pytest.raises(LeaseLost):
            await journal.append("r2", 0, [entry(1)], fence=lock)

    async def test_entries_carry_the_fences_epoch(self, journal: Journal) -> None:
        """A conductor's entries have its epoch, a person's have 0, in one sequence."""
        old, new = await taken_over(journal)
        await journal.append("r1", 0, [entry(1)], fence=new)
        await journal.append("r1", 1, [entry(2)])
        assert [line.epoch for line in await journal.read("r1")] == [old.epoch + 1, 0]

    async def test_yielding_frees_the_lease_only(self, journal: Journal) -> None:
        """After a yield another holder may take the rollout at once; another rollout may not."""
        lock = await journal.take("docs", "r1", "first", NOW, LEASE)
        await journal.yield_lease(lock)
        await journal.yield_lease(lock)
        with pytest.raises(ServiceBusy):
            await journal.take("docs", "r2", "second", NOW, LEASE)
        assert (await journal.take("docs", "r1", "second", NOW, LEASE)).epoch == 2

    async def test_releasing_frees_the_service(self, journal: Journal) -> None:
        """A released service is not listed and may be taken by another rollout; releasing twice is once."""
        lock = await journal.take("docs", "r1", "first", NOW, LEASE)
        await journal.release(lock)
        await journal.release(lock)
        assert not await journal.locks()
        assert (await journal.take("docs", "r2", "second", NOW, LEASE)).rollout == "r2"

    async def test_a_released_lock_is_over(self, journal: Journal) -> None:
        """Who released can neither renew nor append under the lock."""
        lock = await journal.take("docs", "r1", "first", NOW, LEASE)
        await journal.release(lock)
        with pytest.raises(LeaseLost):
            await journal.renew(lock, NOW, LEASE)
        with pytest.raises(LeaseLost):
            await journal.append("r1", 0, [entry(1)], fence=lock)

    async def test_an_epoch_never_comes_twice(self, journal: Journal) -> None:
        """Epochs of a service go on rising over releases, holders and rollouts."""
        epochs = []
        for number in range(6):
            lock = await journal.take("docs", f"r{number // 2}", f"h{number}", NOW, LEASE)
            epochs.append(lock.epoch)
            await (journal.release(lock) if number % 2 else journal.yield_lease(lock))
        assert epochs == [1, 2, 3, 4, 5, 6]

    async def test_of_racing_takers_one_wins(self, journal: Journal) -> None:
        """Twenty holders take the same free rollout at once: one gets it, nineteen are refused."""
        racers = [journal.take("docs", "r1", f"h{n}", NOW, LEASE) for n in range(20)]
        outcomes = await asyncio.gather(*racers, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(LeaseLost) == 19
        assert [lock.epoch for lock in await journal.locks()] == [1]


class VaultConformance:
    """Needs a fixture `vault`: an empty one."""

    async def test_fields_come_back(self, vault: Vault) -> None:
        """Every field of every block is opened as it was sealed, for its own rollout only."""
        await vault.seal("r1", FIELDS)
        await vault.seal("r2", {})
        assert await vault.open("r1") == FIELDS
        assert await vault.open("r2") == {}

    async def test_sealing_replaces(self, vault: Vault) -> None:
        """A block that is not sealed again is gone."""
        await vault.seal("r1", FIELDS)
        await vault.seal("r1", {"fly/api": {"token": "new"}})
        assert await vault.open("r1") == {"fly/api": {"token": "new"}}

    async def test_what_was_dropped_or_never_sealed_is_missing(self, vault: Vault) -> None:
        """Opening names the rollout; dropping twice, or what is not there, is no error."""
        await vault.seal("r1", FIELDS)
        await vault.drop("r1")
        await vault.drop("r1")
        with pytest.raises(VaultError, match="r1"):
            await vault.open("r1")

    @pytest.mark.parametrize("value", [float("nan"), object()], ids=["nan", "object"])
    async def test_what_is_not_json_is_refused(self, vault: Vault, value: object) -> None:
        """The error names the block and shows no value; what was sealed before stays."""
        await vault.seal("r1", FIELDS)
        with pytest.raises(VaultError, match="fly/api") as caught:
            await vault.seal("r1", {"fly/api": {"token": "s3cret", "other": value}})
        assert "s3cret" not in str(caught.value)
        assert await vault.open("r1") == FIELDS
