"""Whom the guard pages is kept sealed, for this user, and found again by the keys that there are."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from canary.errors import VaultError
from canary.journal.routes import KeptRoutes, open_routes

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
ROUTES = {"r1": {"slack/sre": {"token": "s3cret-value"}}, "r2": {"slack/sre": {"token": "s3cret-value"}}}


async def test_what_is_kept_is_found_by_the_next_process(tmp_path: Path) -> None:
    """Each time the newest, whole; nothing before the first time."""
    file = tmp_path / "home" / "routes.sealed"
    assert await KeptRoutes(file, [OLD]).kept() == {}
    for routes in (ROUTES, {"r2": ROUTES["r2"]}, {}):
        await KeptRoutes(file, [OLD]).keep(routes)
        assert await KeptRoutes(file, [NEW, OLD]).kept() == routes
    assert [each.name for each in file.parent.iterdir()] == ["routes.sealed"]


async def test_nothing_of_it_is_read_by_others(tmp_path: Path) -> None:
    """The file is this user's, and no secret is in it in clear."""
    file = tmp_path / "routes.sealed"
    await KeptRoutes(file, [OLD]).keep(ROUTES)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"s3cret" not in file.read_bytes()


async def test_what_no_key_opens_is_left_out(tmp_path: Path) -> None:
    """A key that was replaced, and a text that was moved to another rollout's name, which is refused."""
    file = tmp_path / "routes.sealed"
    await KeptRoutes(file, [OLD]).keep(ROUTES)
    assert await KeptRoutes(file, [NEW]).kept() == {}
    file.write_text(file.read_text().replace('"r1"', '"r3"'))
    with pytest.raises(VaultError, match="r3"):
        await KeptRoutes(file, [OLD]).kept()


async def test_they_are_in_the_home_under_the_vaults_keys(tmp_path: Path) -> None:
    """Two processes of one home understand each other without a setting."""
    await open_routes(tmp_path, {}).keep(ROUTES)
    assert await open_routes(tmp_path, {}).kept() == ROUTES
    assert (tmp_path / "routes.sealed").is_file()
