"""What waits in files for a journal that is away is appended once, whole and in order, whatever crashes."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.errors import Conflict, JournalError, JournalUnavailable
from canary.journal.spool import Spool
from canary.ports import Entry, Lock, NewEntry
from canary.testing.journal import MemoryJournal
from canary.testing.journal_conformance import entry, numbers


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


class LostAnswers(MemoryJournal):
    """A journal whose appends are stored while their answers get lost."""

    async def append(
        self, rollout: str, after: int, entries: Sequence[NewEntry], fence: Lock | None = None
    ) -> Sequence[Entry]:
        await super().append(rollout, after, entries, fence)
        raise JournalUnavailable("no answer")


class Busy(MemoryJournal):
    """A journal to which somebody else always appends first, `times` times."""

    times = 3

    async def append(
        self, rollout: str, after: int, entries: Sequence[NewEntry], fence: Lock | None = None
    ) -> Sequence[Entry]:
        if self.times:
            self.times -= 1
            await super().append(rollout, after, [entry(100)])
        return await super().append(rollout, after, entries, fence)


class Closed(MemoryJournal):
    """A journal that another is always writing r1 of, and whose r2 is damaged."""

    async def append(
        self, rollout: str, after: int, entries: Sequence[NewEntry], fence: Lock | None = None
    ) -> Sequence[Entry]:
        if rollout == "r1":
            raise Conflict("somebody was faster")
        if rollout == "r2":
            raise JournalError("its lines have a hole")
        return await super().append(rollout, after, entries, fence)


async def test_what_was_spooled_is_appended_and_forgotten(spool: Spool) -> None:
    """Entries follow the newest one in the order added, marked as spooled; afterwards nothing is pending."""
    journal = MemoryJournal()
    await journal.append("r1", 0, [entry(1)])
    spool.add("r1", [entry(2), entry(3, text="ü✓")])
    spool.add("r1", [entry(4)])
    spool.add("r/../2", [entry(5)])
    assert {rollout: len(entries) for rollout, entries in spool.pending().items()} == {"r1": 3, "r/../2": 1}
    await spool.flush(journal)
    assert numbers(await journal.read("r1")) == [1, 2, 3, 4]
    assert [line.data.get("spooled") for line in await journal.read("r1")] == [None, True, True, True]
    assert (await journal.read("r1"))[2].data["text"] == "ü✓"
    assert numbers(await journal.read("r/../2")) == [5]
    assert not spool.pending()


async def test_an_empty_spool(spool: Spool) -> None:
    """A folder that was never made has nothing pending, and flushing makes nothing."""
    assert not spool.pending()
    await spool.flush(MemoryJournal())


def test_only_this_user_reads_the_spool(spool: Spool, tmp_path: Path) -> None:
    """The folder has mode 0700, the file 0600 and the rollout's name."""
    spool.add("r1", [entry(1)])
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "spool", tmp_path / "spool/r1.jsonl")]
    assert modes == [0o700, 0o600]


async def test_a_lost_answer_appends_nothing_twice(spool: Spool) -> None:
    """A flush that was stored but not confirmed is tried again, and finds its entries by their ids."""
    journal = LostAnswers()
    spool.add("r1", [entry(1), entry(1)])
    with pytest.raises(JournalUnavailable):
        await spool.flush(journal)
    assert len(spool.pending()["r1"]) == 2
    await spool.flush(journal)
    assert numbers(await journal.read("r1")) == [1, 1]
    assert not spool.pending()


async def test_a_conflict_is_read_and_tried_again(spool: Spool) -> None:
    """Others may append meanwhile; the spooled entries come behind theirs."""
    journal = Busy()
    spool.add("r1", [entry(1)])
    await spool.flush(journal)
    assert numbers(await journal.read("r1")) == [100, 100, 100, 1]


async def test_a_journal_that_always_conflicts(spool: Spool) -> None:
    """A rollout that is written to without end, or is damaged, stops no other; what it did not take stays."""
    journal = Closed()
    spool.add("r1", [entry(1)])
    spool.add("r2", [entry(2)])
    spool.add("r3", [entry(3)])
    await spool.flush(journal)
    assert numbers(await journal.read("r3")) == [3]
    assert list(spool.pending()) == ["r1", "r2"]


async def test_what_is_added_during_a_flush_stays(spool: Spool) -> None:
    """An entry that comes between the append and the removal is not removed unread."""

    class Adding(MemoryJournal):
        async def append(
            self, rollout: str, after: int, entries: Sequence[NewEntry], fence: Lock | None = None
        ) -> Sequence[Entry]:
            if after == 0:
                spool.add("r1", [entry(2)])
            return await super().append(rollout, after, entries, fence)

    journal = Adding()
    spool.add("r1", [entry(1)])
    await spool.flush(journal)
    assert numbers(await journal.read("r1")) == [1]
    await spool.flush(journal)
    assert numbers(await journal.read("r1")) == [1, 2]
    assert not spool.pending()


async def test_two_flushes_at_once_append_once(spool: Spool, tmp_path: Path) -> None:
    """Guard and conductor may flush the same folder together."""
    journal = MemoryJournal()
    spool.add("r1", [entry(1), entry(2)])
    await asyncio.gather(spool.flush(journal), Spool(tmp_path / "spool").flush(journal))
    assert numbers(await journal.read("r1")) == [1, 2]


@given(cut=st.integers(min_value=1, max_value=150), later=st.booleans())
def test_a_torn_line_takes_no_other_with_it(tmp_path_factory: pytest.TempPathFactory, cut: int, later: bool) -> None:
    """A file cut off anywhere loses the lines that the cut touched, tells of it, and goes on with the next."""
    folder = tmp_path_factory.mktemp("spool")
    spool, journal = Spool(folder), MemoryJournal()
    for number in range(3):
        spool.add("r1", [entry(number)])
    file = folder / "r1.jsonl"
    kept = file.read_bytes()[:-cut]
    file.write_bytes(kept)
    if later:
        spool.add("r1", [entry(9)])
    asyncio.run(spool.flush(journal))
    # A line that lost nothing but its end is whole.
    whole = len([line for line in kept.split(b"\n") if line.endswith(b"}}")])
    torn = len([line for line in kept.split(b"\n") if line and not line.endswith(b"}}")])
    lines = asyncio.run(journal.read("r1"))
    assert numbers(lines) == [*range(whole), *([9] if later else [])]
    assert [line.data.get("torn_lines") for line in lines][-1] == (torn or None)


async def test_a_file_of_torn_lines_only_is_left_alone(spool: Spool, tmp_path: Path) -> None:
    """Without an entry to tell of it there is nothing to append, and nothing is thrown away."""
    spool.add("r1", [entry(1)])
    file = tmp_path / "spool/r1.jsonl"
    file.write_bytes(b'{"at": 1')
    journal = MemoryJournal()
    await spool.flush(journal)
    assert not await journal.rollouts()
    assert not spool.pending()
    assert file.read_bytes() == b'{"at": 1'


def test_what_is_not_json_is_refused(spool: Spool) -> None:
    """NaN is refused when it is added, not when it is too late; nothing of its batch is kept."""
    with pytest.raises(JournalError, match="noted"):
        spool.add("r1", [entry(1), entry(2, share=float("nan"))])
    assert not spool.pending()


def test_a_full_disk_keeps_nothing_half(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk does not confirm, the caller is told, and what it may now try again is not kept twice."""
    spool.add("r1", [entry(1)])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(JournalUnavailable, match=r"r1\.jsonl.*No space left"):
            spool.add("r1", [entry(2)])
    spool.add("r1", [entry(2)])
    assert [line.data["number"] for line in spool.pending()["r1"]] == [1, 2]


def test_a_spool_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in place of the folder is an error that names it."""
    (tmp_path / "spool").touch()
    spool = Spool(tmp_path / "spool")
    with pytest.raises(JournalUnavailable, match="spool"):
        spool.add("r1", [entry(1)])
    with pytest.raises(JournalUnavailable, match="spool"):
        spool.pending()
