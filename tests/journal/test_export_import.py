"""A journal as a file: what comes out goes in again, whole, and nothing else does."""

# ruff: noqa: ASYNC240

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.errors import BadUsage, JournalError, UnknownRollout
from canary.journal.exporting import export
from canary.journal.importing import take_in
from canary.journal.store import SqlJournal
from canary.journal.vault import SqlVault
from canary.ports import StoredPlan
from canary.testing.journal_conformance import LEASE, NOW, entry

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.jsonl"))
KEY = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="


def plan(name: str, version: int = 1) -> StoredPlan:
    body = json.dumps({"name": name, "version": version})
    return StoredPlan(hashlib.sha256(body.encode()).hexdigest(), name, f"the service of {name}", body)


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[SqlJournal]:
    """A second journal, empty."""
    journal = SqlJournal(f"sqlite:///{tmp_path}/other.db", answer_within=20.0)
    yield journal
    await journal.close()


async def fill(journal: SqlJournal) -> None:
    """Two rollouts of two plans, both over, under epochs 1 and 2."""
    for name, rollout, count in (("spring", "r1", 250), ("autumn", "r2", 3)):
        stored = plan(name)
        await journal.store_plan(stored)
        lock = await journal.take(stored.service, rollout, "host:1", NOW, LEASE)
        started = entry(1, plan_hash=stored.hash, service=stored.service, text="ü✓\ud800")
        await journal.append(rollout, 0, [started], lock)
        again = await journal.take(stored.service, rollout, "host:1", NOW, LEASE)
        await journal.append(rollout, 1, [entry(n) for n in range(2, count)], again)
        await journal.append(rollout, count - 1, [entry(count)])
        await journal.release(again)


@pytest.fixture
async def filled(sqlite: SqlJournal) -> SqlJournal:
    await fill(sqlite)
    return sqlite


@pytest.fixture
async def exported(filled: SqlJournal, tmp_path: Path) -> Path:
    """All of it, as a file."""
    await export(filled, tmp_path / "out.jsonl")
    return tmp_path / "out.jsonl"


async def test_what_goes_out_comes_in(filled: SqlJournal, other: SqlJournal, exported: Path) -> None:
    """Entries with their epochs, plans, the order of both: another database holds the same."""
    taken = await take_in(other, exported)
    assert (taken.rollouts, taken.entries, taken.plans) == (["r2", "r1"], 253, 2)
    assert list(await other.rollouts()) == list(await filled.rollouts())
    for rollout in ("r1", "r2"):
        assert list(await other.read(rollout)) == list(await filled.read(rollout))
    assert {line.epoch for line in await other.read("r1")} == {0, 1, 2}
    assert await other.plan(plan("spring").hash) == plan("spring")
    assert not await other.locks()


async def test_no_epoch_comes_twice_in_another_database(other: SqlJournal, exported: Path) -> None:
    """The next conductor of the service begins behind the epochs that were exported, there as here."""
    service = plan("spring").service
    await take_in(other, exported)
    assert (await other.take(service, "r9", "host:9", NOW, LEASE)).epoch == 3


async def test_what_was_there_stays_the_newest(other: SqlJournal, exported: Path) -> None:
    """An imported plan is not the one that a name stands for, an imported rollout not the newest, and an epoch that is
    further here stays so."""
    newer = plan("spring", 2)
    await other.store_plan(newer)
    for _ in range(5):
        lock = await other.take(newer.service, "r7", "host:1", NOW, LEASE)
    await other.append("r7", 0, [entry(1)], lock)
    await other.release(lock)
    await take_in(other, exported)
    assert await other.plan_named("spring") == newer
    assert list(await other.rollouts()) == ["r7", "r2", "r1"]
    assert (await other.take(newer.service, "r8", "host:1", NOW, LEASE)).epoch == 6


async def test_one_rollout_is_exported_with_what_it_needs(
    filled: SqlJournal, other: SqlJournal, tmp_path: Path
) -> None:
    """Its plan and its service, and nothing of another one."""
    end = await export(filled, tmp_path / "one.jsonl", "r2")
    assert (end.entries, end.plans, end.services) == (3, 1, 1)
    assert "spring" not in (tmp_path / "one.jsonl").read_text()
    await take_in(other, tmp_path / "one.jsonl")
    assert list(await other.rollouts()) == ["r2"]


async def test_an_unknown_rollout_leaves_no_file(filled: SqlJournal, tmp_path: Path) -> None:
    """It is named, and neither the file nor a draft of it is there."""
    with pytest.raises(UnknownRollout, match="r9"):
        await export(filled, tmp_path / "one.jsonl", "r9")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


async def test_the_file_is_for_this_user_and_holds_no_credential(filled: SqlJournal, tmp_path: Path) -> None:
    """Mode 0600, whole lines of ASCII; what is sealed is not exported, sealed or not."""
    await SqlVault(filled.database, [KEY]).seal("r1", {"fly/api": {"token": "s3cret-t0ken"}})
    file = tmp_path / "out.jsonl"
    await export(filled, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes().isascii()
    assert file.read_bytes().endswith(b"\n")
    assert "gAAAA" not in file.read_text()
    assert "s3cret" not in file.read_text()


async def test_no_file_is_overwritten(filled: SqlJournal, tmp_path: Path) -> None:
    """What stands there stays as it was."""
    file = tmp_path / "out.jsonl"
    file.write_text("precious")
    with pytest.raises(BadUsage, match="exists already"):
        await export(filled, file)
    assert file.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "out.jsonl"]


async def test_a_full_disk_leaves_no_half_export(
    filled: SqlJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused with the file's name; no draft stays."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadUsage, match=r"out\.jsonl cannot be written: No space left"):
        await export(filled, tmp_path / "out.jsonl")
    with pytest.raises(BadUsage, match="cannot be written"):
        await export(filled, tmp_path / "no" / "folder.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


async def test_a_journal_with_a_hole_is_not_exported(filled: SqlJournal, outside: Any, tmp_path: Path) -> None:
    """Damage is found while it is read, and not carried on."""
    outside.execute("DELETE FROM canary_events WHERE seq = 7")
    with pytest.raises(JournalError, match="entry 7 of rollout r1 is missing"):
        await export(filled, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


async def test_no_rollout_is_overwritten(filled: SqlJournal, exported: Path) -> None:
    """One of them is here already: nothing at all is imported."""
    before = list(await filled.read("r2"))
    with pytest.raises(BadUsage, match="rollout r2 is in this journal already"):
        await take_in(filled, exported)
    assert list(await filled.read("r2")) == before


async def test_nothing_is_imported_beside_a_running_rollout(other: SqlJournal, exported: Path) -> None:
    """An import would make its conductor wait: it is refused until the rollout has ended."""
    lock = await other.take("search", "r5", "host:1", NOW, LEASE)
    with pytest.raises(BadUsage, match="rollout r5 is under way in this journal"):
        await take_in(other, exported)
    await other.release(lock)
    await take_in(other, exported)


async def test_a_rollout_that_was_under_way_is_not_imported(
    filled: SqlJournal, other: SqlJournal, tmp_path: Path
) -> None:
    """It is still conducted where it was exported: two conductors would drive it. To read, the file is good."""
    service = plan("spring").service
    lock = await filled.take(service, "r3", "host:1", NOW, LEASE)
    await filled.append("r3", 0, [entry(1, service=service)], lock)
    await export(filled, tmp_path / "out.jsonl")
    with pytest.raises(BadUsage, match="r3 was under way"):
        await take_in(other, tmp_path / "out.jsonl")
    assert not await other.rollouts()


Change = Callable[[list[str]], list[str]]


def edited(index: int, **fields: Any) -> Change:
    """That line with other fields."""
    return lambda lines: [*lines[:index], json.dumps(json.loads(lines[index]) | fields), *lines[index + 1 :]]


def without(index: int) -> Change:
    return lambda lines: [*lines[:index], *lines[index + 1 :]]


# The head, r2's three entries, r1's 250, two plans, two services, the end.
CHANGES: dict[str, tuple[Change, str]] = {
    "the end is missing": (lambda lines: lines[:-1], "line 258 of the export: the file ends in the middle"),
    "cut within a line": (lambda lines: [*lines[:100], lines[100][:30]], "line 101 of the export: it is no JSON"),
    "nothing at all": (lambda lines: [], "line 0 of the export: the file ends in the middle"),
    "no head": (without(0), "line 1 of the export: an export begins"),
    "a head in the middle": (
        lambda lines: [*lines[:9], lines[0], *lines[9:]],
        "line 10 of the export: an export begins",
    ),
    "something behind the end": (lambda lines: [*lines, lines[1]], "line 260 of the export: it stands behind the end"),
    "an entry is missing": (without(9), "line 10 of the export: entry 6 of rollout r1 is missing"),
    "the first one is missing": (without(1), "line 2 of the export: entry 1 of rollout r2 is missing"),
    "the last one is missing": (without(253), "lines are missing before it"),
    "a plan is missing": (without(254), "lines are missing before it"),
    "twice the same entry": (lambda lines: [*lines[:9], lines[8], *lines[9:]], "line 10 of the export: entry 6 of"),
    "a rollout in two pieces": (
        lambda lines: [lines[0], *lines[4:254], *lines[1:4], lines[4], *lines[254:]],
        "the entries of rollout r1 do not stand together",
    ),
    "another format": (edited(0, format=2), "format 2; this program reads 1"),
    "an unknown field": (edited(5, note="x"), "line 6 of the export: entry.note: Extra inputs"),
    "a wrong type": (edited(5, epoch="1"), "line 6 of the export: entry.epoch: Input should be a valid integer"),
    "an unknown kind": (edited(5, kind="guess"), "line 6 of the export: Input tag 'guess'"),
    "no number": (
        lambda lines: [*lines[:5], lines[5].replace('"at":', '"at":NaN,"was":'), *lines[6:]],
        "line 6 of the export: it is no JSON",
    ),
    "a changed plan": (edited(254, body="{}"), r"line 255 of the export: plan: .* not the one that its hash"),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_file_that_was_changed_is_refused_whole(other: SqlJournal, exported: Path, name: str) -> None:
    """The line and what is wrong with it are said, its content is not quoted, and not one entry is taken in."""
    change, said = CHANGES[name]
    lines = exported.read_text().splitlines()
    exported.write_text("".join(f"{line}\n" for line in change(lines)))
    with pytest.raises(BadUsage, match=said):
        await take_in(other, exported)
    assert not await other.rollouts()
    assert await other.plan_named("autumn") is None


async def test_what_is_no_export_is_refused(other: SqlJournal, tmp_path: Path) -> None:
    """A picture, a folder, nothing: named, and none of it quoted."""
    (tmp_path / "picture").write_bytes(bytes(range(256)))
    with pytest.raises(BadUsage, match="line 1 of the export: it is no JSON"):
        await take_in(other, tmp_path / "picture")
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BadUsage, match="cannot be read"):
            await take_in(other, place)


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
async def test_exports_of_earlier_versions_are_imported(other: SqlJournal, tmp_path: Path, file: Path) -> None:
    """Every golden journal goes in, and comes out with the same entries and plans."""
    await take_in(other, file)
    await export(other, tmp_path / "again.jsonl")
    kinds = ("entry", "plan", "service", "end")
    first, again = (
        [[x for x in map(json.loads, each.read_text().splitlines()) if x["kind"] == kind] for kind in kinds]
        for each in (file, tmp_path / "again.jsonl")
    )
    assert first == again


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.dictionaries(st.text(), VALUES, max_size=4), at=st.floats(0, 2**40))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_data_survives_the_way(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, Any], at: float
) -> None:
    """Whatever JSON an entry holds, it is the same behind an export and an import."""
    folder = tmp_path_factory.mktemp("way")
    one, two = (SqlJournal(f"sqlite:///{folder}/{name}.db", answer_within=20.0) for name in ("one", "two"))
    await one.append("r1", 0, [type(entry())(at, "noted", data)])
    await export(one, folder / "out.jsonl")
    await take_in(two, folder / "out.jsonl")
    assert list(await two.read("r1")) == list(await one.read("r1"))
    await one.close()
    await two.close()
