"""Which database is opened, and that no message shows its password."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from canary.errors import BadUsage, JournalUnavailable
from canary.journal.address import address
from canary.journal.store import SqlJournal, open_journal
from canary.settings import Settings
from canary.testing.journal_conformance import entry

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("given", "opened"),
    [
        ("postgresql://u:hunter2@db/canary", "postgresql+asyncpg://u:hunter2@db/canary"),
        ("postgres://u:hunter2@db:5/canary", "postgresql+asyncpg://u:hunter2@db:5/canary"),
        ("postgresql+asyncpg://db/canary?sslmode=require", "postgresql+asyncpg://db/canary?ssl=require"),
    ],
)
def test_urls_are_completed(given: str, opened: str) -> None:
    """A URL without its async driver is accepted; what is shown of it has no password."""
    found = address(given)
    assert found.url.render_as_string(hide_password=False) == opened
    assert SECRET not in found.shown
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "given",
    [
        "hunter2",
        "postgresql://u:hunter2",
        "postgresql://u:pa@hunter2@db/canary",
        "postgresql://u:hunter2@db",
        "postgresql://u@db/canary?password=hunter2",
        "postgresql+psycopg://u:hunter2@db/canary",
        "mysql://u:hunter2@db/canary",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x.db?uri=true",
        "sqlite:///x.db?mode=ro",
    ],
)
def test_a_bad_url_is_bad_usage(given: str) -> None:
    """The setting is named, no part of a password is shown, and nothing is chained that would show it."""
    with pytest.raises(BadUsage, match="CANARY_JOURNAL_URL") as caught:
        open_journal(given)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
def test_the_path_of_a_sqlite_url(scheme: str) -> None:
    """The path is decoded once; a path may stand there as it is, too."""
    assert address(f"{scheme}:////x/a%20b ü%25.db").file == Path("/x/a b ü%.db")


def test_sqlite_makes_no_file() -> None:
    """A file that is missing when a connection is made is an error: a new one would be an empty journal."""
    assert address("sqlite:////x.db").url.query["mode"] == "rw"


def test_a_relative_path_is_fixed_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that changes its folder later goes on with the same file."""
    monkeypatch.chdir(tmp_path)
    assert address("sqlite:///here.db").file == tmp_path / "here.db"


async def test_the_default_is_a_file_below_home(tmp_path: Path) -> None:
    """Without a URL the journal is <home>/data/journal.db, and nothing is made before the first verb."""
    home = tmp_path / "a%20b?"
    journal = open_journal(home=home, env={})
    assert not home.exists()
    await journal.append("r1", 0, [entry(1)])
    await journal.close()
    assert (home / "data/journal.db").is_file()


def test_the_environment_names_the_journal(tmp_path: Path) -> None:
    """CANARY_JOURNAL_URL goes before the home's default, and an argument before both."""
    env = {"CANARY_JOURNAL_URL": f"sqlite:///{tmp_path}/env.db"}
    assert open_journal(env=env).database.address.file == tmp_path / "env.db"
    assert open_journal(f"sqlite:///{tmp_path}/arg.db", env=env).database.address.file == tmp_path / "arg.db"


def test_settings_from_the_environment(tmp_path: Path) -> None:
    """CANARY_HOME is made absolute; without it the user's folder is used; a URL is never in the repr."""
    assert Settings.from_env({"CANARY_HOME": "~/x"}).home == Path.home() / "x"
    assert Settings.from_env({"CANARY_HOME": " "}).home == Path.home() / ".canary"
    settings = Settings.from_env({"CANARY_HOME": str(tmp_path), "CANARY_JOURNAL_URL": "postgresql://u:hunter2@d/c"})
    assert (settings.keys, settings.spool) == (tmp_path / "keys", tmp_path / "spool")
    assert settings.journal_url == "postgresql://u:hunter2@d/c"
    assert SECRET not in repr(settings)


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no home folder can be found, the setting to use is named."""

    def nowhere(_: Path) -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "expanduser", nowhere)
    with pytest.raises(BadUsage, match="CANARY_HOME"):
        Settings.from_env({})


@pytest.mark.parametrize("server", ["silent", "closed"])
async def test_a_server_that_does_not_answer(server: str) -> None:
    """A Postgres that accepts and never answers, or is not there, is unavailable within the bound."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if server == "closed":
            listener.close()
        journal = SqlJournal(f"postgresql://u:{SECRET}@127.0.0.1:{port}/canary", answer_within=0.5)
        with pytest.raises(JournalUnavailable, match=f"u:\\*\\*\\*@127.0.0.1:{port}/canary") as caught:
            await journal.read("r1")
        await journal.close()
    assert SECRET not in str(caught.value)
