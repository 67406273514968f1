"""A SQLite journal is for the processes of one host: elsewhere it is refused before anything is touched."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from canary.errors import BadUsage
from canary.journal import place
from canary.journal.store import SqlJournal
from canary.testing.journal_conformance import entry, numbers

HERE, ELSEWHERE = "1c9f7a52-0000-4000-8000-000000000001", "1c9f7a52-0000-4000-8000-000000000002"
LINE = "36 35 98:0 /mnt1 {point} rw,noatime master:1 - {kind} {source} rw,errors=continue"

Mount = Callable[..., None]


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mount:
    """Sets what this machine has mounted: pairs of mount point and type."""

    def mounted(*pairs: tuple[str, str]) -> None:
        source = "//server/share with - a dash"
        lines = [LINE.format(point=point, kind=kind, source=source) for point, kind in pairs]
        (tmp_path / "mountinfo").write_text("\n".join(lines) + "\n")
        monkeypatch.setattr(place, "MOUNTS", tmp_path / "mountinfo")

    return mounted


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """From now on journals are opened on the host with that kernel."""
    monkeypatch.setattr(place, "KERNEL", tmp_path / "boot_id")

    def moved(kernel: str) -> None:
        (tmp_path / "boot_id").write_text(f"{kernel}\n")

    moved(HERE)
    return moved


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "fuse.sshfs", "ceph"])
async def test_a_network_file_system_is_refused(sqlite: SqlJournal, file: Path, mount: Mount, kind: str) -> None:
    """Exit 2 with its type and the way out; neither the file nor a folder is made there."""
    mount(("/", "ext4"), (str(file.parents[2]), kind))
    with pytest.raises(BadUsage, match=rf"journal\.db is on a network file system \({kind}\)") as caught:
        await sqlite.append("r1", 0, [entry(1)])
    assert "Postgres" in caught.value.fix
    assert not file.parents[1].exists()


@pytest.mark.parametrize("kind", ["ext4", "overlay", "9p", "virtiofs", "fuse.grpcfuse", "tmpfs"])
async def test_a_disk_of_this_host_is_none(sqlite: SqlJournal, file: Path, mount: Mount, kind: str) -> None:
    """Containers and virtual machines see their host's disk in many ways; a network elsewhere does not matter."""
    mount(("/", "nfs4"), (str(file.parents[2]), kind), (f"{file.parents[2]}/other", "nfs4"), ("/proc", "proc"))
    await sqlite.append("r1", 0, [entry(1)])


async def test_the_mount_above_counts(sqlite: SqlJournal, file: Path, mount: Mount) -> None:
    """Of two on the same point the later one, and of two above the file the deeper one."""
    mount((str(file.parents[2]), "ext4"), (str(file.parents[2]), "nfs4"), ("/", "ext4"))
    with pytest.raises(BadUsage, match="nfs4"):
        await sqlite.read("r1")


async def test_a_mount_point_with_a_blank_and_a_link_to_it(tmp_path: Path, mount: Mount) -> None:
    """The kernel writes blanks as octal numbers; a link is followed to where the file really lies."""
    (tmp_path / "my share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "my share")
    mount(("/", "ext4"), (f"{tmp_path}/my\\040share", "nfs"))
    journal = SqlJournal(f"sqlite:///{tmp_path}/link/journal.db")
    with pytest.raises(BadUsage, match="nfs"):
        await journal.read("r1")
    await journal.close()


@pytest.mark.parametrize("content", [None, "", "36 35\n", "nonsense - \n"])
async def test_where_the_mounts_are_not_told_nothing_is_refused(
    sqlite: SqlJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """No such file, as on a Mac, or one of another form: what is not known is not held against anybody."""
    monkeypatch.setattr(place, "MOUNTS", tmp_path / "mountinfo")
    if content is not None:
        (tmp_path / "mountinfo").write_text(content)
    await sqlite.append("r1", 0, [entry(1)])


async def conducted(journal: SqlJournal, seconds: float = 20.0) -> None:
    """Somebody on this journal's host conducts r1 and will for so long."""
    lock = await journal.take("docs", "r1", "host:1", time.time(), seconds)
    await journal.append("r1", 0, [entry(1)], lock)


async def test_a_process_of_another_host_is_refused(sqlite: SqlJournal, file: Path, on: Callable[[str], None]) -> None:
    """While a conductor here holds its lease, who opens the same file under another kernel is told so, exit 2."""
    await conducted(sqlite)
    on(ELSEWHERE)
    other = SqlJournal(f"sqlite:///{file}")
    with pytest.raises(BadUsage, match=r"host:1, on another host, conducts r1 in this SQLite journal") as caught:
        await other.read("r1")
    assert "Postgres" in caught.value.fix
    await other.close()


async def test_a_conductor_of_another_host_is_refused(
    sqlite: SqlJournal, file: Path, on: Callable[[str], None]
) -> None:
    """It had opened the file before anybody conducted: the lock of another service is not given to it either."""
    on(ELSEWHERE)
    other = SqlJournal(f"sqlite:///{file}")
    await other.read("r1")
    on(HERE)
    here = SqlJournal(f"sqlite:///{file}")
    await conducted(here)
    with pytest.raises(BadUsage, match="on another host"):
        await other.take("search", "r2", "host2:7", time.time(), 20.0)
    assert [lock.rollout for lock in await here.locks()] == ["r1"]
    await here.close()
    await other.close()


async def test_containers_of_one_host_share_a_journal(
    sqlite: SqlJournal, file: Path, on: Callable[[str], None]
) -> None:
    """Other host names, other process numbers, the same kernel: a guard in its own container finds everything."""
    await conducted(sqlite)
    guard = SqlJournal(f"sqlite:///{file}")
    assert numbers(await guard.read("r1")) == [1]
    with pytest.raises(BadUsage, match="already being rolled out"):
        await guard.take("docs", "r2", "container-7:1", time.time(), 20.0)
    await guard.close()


async def test_a_host_that_was_started_anew_goes_on(sqlite: SqlJournal, file: Path, on: Callable[[str], None]) -> None:
    """Its kernel is another one, and the lease of before has run out: the rollout is taken over."""
    await conducted(sqlite, seconds=-1.0)
    on(ELSEWHERE)
    again = SqlJournal(f"sqlite:///{file}")
    lock = await again.take("docs", "r1", "host:2", time.time(), 20.0)
    assert lock.epoch == 2
    await again.append("r1", 1, [entry(2)], lock)
    await again.close()


async def test_a_lock_that_an_older_program_took_tells_no_host(
    sqlite: SqlJournal, file: Path, on: Callable[[str], None], outside: sqlite3.Connection
) -> None:
    """It left the kernel of an epoch before: that is not held against anybody."""
    await conducted(sqlite)
    outside.execute("UPDATE canary_locks SET epoch = epoch + 1")
    on(ELSEWHERE)
    other = SqlJournal(f"sqlite:///{file}")
    assert numbers(await other.read("r1")) == [1]
    await other.close()


async def test_where_the_kernel_is_not_told_nothing_is_refused(
    sqlite: SqlJournal, file: Path, on: Callable[[str], None], tmp_path: Path
) -> None:
    """On either side: who does not know where it runs neither signs nor refuses."""
    await conducted(sqlite)
    (tmp_path / "boot_id").unlink()
    other = SqlJournal(f"sqlite:///{file}")
    assert numbers(await other.read("r1")) == [1]
    await other.take("search", "r2", "host2:7", time.time(), 20.0)
    await other.close()
