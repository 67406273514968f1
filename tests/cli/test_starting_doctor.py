"""`canary doctor` without a Prefect server: what this machine, its journal and its vault tell."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from canary.cli.doctor import orchestration, routes, stores
from canary.cli.doctor.finding import Finding, Standing, as_text, looked
from canary.cli.main import app
from canary.errors import JournalUnavailable
from canary.journal.keys import vault_keys
from canary.journal.neighbours import PREFECTS
from canary.journal.spool import Spool
from canary.journal.store import SqlJournal, open_journal
from canary.ports import NewEntry, Receipt
from canary.settings import Settings

HIDDEN = "s3cret"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A home of our own, a key, and no Prefect."""
    kept = {"CANARY_HOME": str(tmp_path / "home"), "CANARY_VAULT_KEY": Fernet.generate_key().decode()}
    for name in ("PREFECT_API_URL", "CANARY_JOURNAL_URL", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    return kept


async def look(env: Mapping[str, str]) -> dict[str, Finding]:
    """The findings about this machine."""
    settings = Settings.from_env(env)
    journal = open_journal(settings.journal_url)
    try:
        return {finding.what: finding for finding in await stores.stores(journal, settings, env)}
    finally:
        await journal.close()


def test_on_a_fresh_machine_prefect_alone_is_missing(env: dict[str, str]) -> None:
    """Exit 1, what to set, and no word about plans that nobody could read."""
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    standing = {finding["what"]: finding["standing"] for finding in told["findings"]}
    assert told["missing"] == 1
    assert [what for what, stands in standing.items() if stands == "missing"] == ["Prefect API"]
    assert standing["guard"] == standing["plans and blocks"] == "not known"
    assert [finding["fix"] for finding in told["findings"] if finding["standing"] == "missing"] != [""]


def test_the_table_ends_with_the_sum_and_puts_each_fix_under_its_line() -> None:
    """For people: one line a finding, the remedy below it."""
    text = as_text([Finding("worker", "missing", "nobody polls", "start one"), Finding("spool", "ok", "empty")])
    lines = text.splitlines()
    assert lines[0] == "missing    worker  nobody polls"
    assert lines[1].strip() == "→ start one"
    assert lines[-1] == "1 missing"
    assert as_text([Finding("spool", "ok", "empty")]).endswith("nothing is missing")


async def test_all_is_well_with_a_key_from_the_environment(env: dict[str, str]) -> None:
    """Everything but the guard, of whom nothing is known; and the vault is left as it was."""
    found = await look(env)
    assert {what for what, finding in found.items() if finding.standing != "ok"} == {"guard"}
    assert found["vault key"].detail == "from environment"
    with closing(sqlite3.connect(Path(env["CANARY_HOME"], "data", "journal.db"))) as database:
        assert database.execute("select count(*) from canary_vault").fetchone() == (0,)


async def test_the_local_default_key_is_a_warning_that_names_the_setting(env: dict[str, str]) -> None:
    """It is good enough to play with, and nobody else's guard has it."""
    del env["CANARY_VAULT_KEY"]
    key = (await look(env))["vault key"]
    assert key.standing == "warning"
    assert "CANARY_VAULT_KEY is not set" in key.detail
    (written,) = vault_keys(env=env)
    assert written not in f"{key}"


async def test_a_key_that_is_none_is_missing_and_not_shown(env: dict[str, str]) -> None:
    """The vault cannot be opened: said where, never with the value."""
    found = await look(env | {"CANARY_VAULT_KEY": HIDDEN})
    assert found["vault key"].standing == found["vault"].standing == "missing"
    assert HIDDEN not in f"{found}"


async def test_a_systemd_credential_is_said_to_be_one(env: dict[str, str], tmp_path: Path) -> None:
    """The unit's way of giving the key."""
    (tmp_path / "canary_vault_key").write_text(env.pop("CANARY_VAULT_KEY"))
    assert (await look(env | {"CREDENTIALS_DIRECTORY": str(tmp_path)}))["vault key"].detail == "from systemd"


async def test_a_journal_that_is_away_is_one_finding_without_its_password(env: dict[str, str]) -> None:
    """What stands in it is not known, rather than missing five times."""
    found = await look(env | {"CANARY_JOURNAL_URL": f"postgresql://u:{HIDDEN}@127.0.0.1:9/x"})
    assert [what for what, finding in found.items() if finding.standing == "missing"] == ["journal"]
    assert {what for what, finding in found.items() if finding.standing == "not known"} == {
        "journal's place",
        "vault",
        "guard",
    }
    assert HIDDEN not in f"{found}"


def garble(file: Path, table: str) -> None:
    """Overwrites the table's first page."""
    with closing(sqlite3.connect(file)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
    content = bytearray(file.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"?" * 4096
    file.write_bytes(content)


async def test_a_damaged_journal_is_found_before_anything_reads_it(env: dict[str, str]) -> None:
    """A page that no verb has met yet: the doctor goes through all of them, and says what can be done."""
    assert (await look(env))["journal"].standing == "ok"
    file = Path(env["CANARY_HOME"], "data", "journal.db")
    garble(file, "canary_vault")
    found = (await look(env))["journal"]
    assert found.standing == "missing"
    assert f"{file} is damaged" in found.detail
    assert "restore it from a backup" in found.fix


def test_a_journal_url_that_is_none_does_not_end_the_look(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting is named, and Prefect is looked at all the same."""
    monkeypatch.setenv("CANARY_JOURNAL_URL", f"mysql://u:{HIDDEN}@h/d")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "mysql is not a known driver" in done.stdout
    assert "PREFECT_API_URL is not set" in done.stdout
    assert HIDDEN not in done.output


async def test_a_journal_in_prefects_database_is_a_warning(env: dict[str, str]) -> None:
    """Whatever the addresses say: Prefect's tables stand in it."""
    assert (await look(env))["journal's place"].standing == "ok"
    with closing(sqlite3.connect(Path(env["CANARY_HOME"], "data", "journal.db"))) as database:
        for table in PREFECTS:
            database.execute(f"create table {table} (id integer)")
    assert "database that Prefect uses" in (await look(env))["journal's place"].detail


@pytest.mark.parametrize(
    ("api", "standing"),
    [
        ("https://prefect.example/api", "warning"),
        ("http://127.0.0.1:4200/api", "ok"),
        ("http://localhost:4200/api", "ok"),
    ],
)
async def test_a_file_that_workers_may_not_see_is_a_warning(env: dict[str, str], api: str, standing: str) -> None:
    """Prefect is on another host, and so may its workers be: a SQLite journal is seen from here alone."""
    with temporary_settings({PREFECT_API_URL: api}):
        found = (await look(env))["journal's place"]
    assert found.standing == standing
    assert ("prefect.example" in found.detail) == (standing == "warning")


async def test_lines_in_the_spool_are_missing_from_the_journal(env: dict[str, str]) -> None:
    """Named by rollout and number, with the command that appends them."""
    Spool(Settings.from_env(env).spool).add("phase1-1", [NewEntry(1.0, "abort_asked", {})] * 2)
    spool = (await look(env))["spool"]
    assert (spool.standing, spool.fix) == ("missing", "canary guard --once")
    assert "phase1-1 (2)" in spool.detail


@pytest.mark.parametrize(
    ("lease", "standing"),
    [
        (20.0, "not known"),  # its conductor lives
        (-10.0, "not known"),  # a guard may be about to act
        (-60.0, "missing"),  # a guard would have acted long ago
    ],
)
async def test_a_rollout_left_alone_shows_that_no_guard_looks(
    env: dict[str, str], lease: float, standing: Standing
) -> None:
    """A guard acts five seconds after a lease's end: what lies there for longer nobody watches."""
    journal = open_journal(Settings.from_env(env).journal_url)
    await journal.take("docflow", "phase1-1", "here:1", time.time(), lease)
    await journal.close()
    guard = (await look(env))["guard"]
    assert guard.standing == standing
    assert ("phase1-1" in guard.detail) is (standing == "missing")


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (JournalUnavailable("the journal did not answer", "start it"), "the journal did not answer"),
        (RuntimeError(f"http://u:{HIDDEN}@h"), "failed with RuntimeError"),
        (TimeoutError(), "no answer within 5 s"),
    ],
)
async def test_whatever_a_look_raises_is_a_finding(error: Exception, detail: str) -> None:
    """Ours in its own words; a foreign one by its kind alone, for its message may hold anything."""

    async def fails() -> Finding:
        raise error

    found = await looked("it", 5.0, fails)
    assert (found.what, found.standing, found.detail) == ("it", "missing", detail)
    assert found.fix


async def test_a_prefect_api_that_never_answers_is_given_up(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and is silent: bounded, said, and the plans are not known."""
    silent = asyncio.Event()

    async def mute(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setattr(orchestration, "WITHIN", 1.0)
    with temporary_settings({PREFECT_API_URL: f"http://u:{HIDDEN}@127.0.0.1:{port}/api"}):
        told = await asyncio.wait_for(orchestration.orchestration(), 20.0)
    silent.set()
    server.close()
    assert [finding.standing for finding in told.findings] == ["missing", "not known"]
    assert "no answer within 1 s" in told.findings[0].detail
    assert HIDDEN not in f"{told}"


@pytest.mark.parametrize(
    ("ref", "confirmed", "standing"),
    [
        ("slack/oncall", True, "ok"),
        ("slack/oncall", False, "missing"),
        ("terminal/local", False, "warning"),
    ],
)
async def test_a_page_that_should_have_been_confirmed_and_is_not_is_missing(
    monkeypatch: pytest.MonkeyPatch, ref: str, confirmed: bool, standing: Standing
) -> None:
    """A terminal cannot tell; Slack can, so that its silence means that nobody would be woken."""

    class Route:
        async def page(self, incident: str, summary: str) -> Receipt:
            assert "nothing is wrong" in summary
            return Receipt(ref, confirmed, "said")

    @asynccontextmanager
    async def opened(_ref: str) -> Any:
        yield Route()

    monkeypatch.setattr(routes, "opened", opened)
    found = await routes._page(ref)
    assert found.standing == standing
    assert "said" in found.detail


async def test_a_read_only_journal_is_found_by_writing(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers every question, and a rollout would fail at its first line: the vault's look writes."""
    await look(env)

    async def refused(self: SqlJournal, verb: str, _work: object) -> None:
        raise JournalUnavailable(f"the journal did not answer ({verb}): read-only")

    monkeypatch.setattr("canary.journal.database.Database.write", refused)
    found = await look(env)
    assert found["journal"].standing == "ok"
    assert found["vault"].standing == "missing"
