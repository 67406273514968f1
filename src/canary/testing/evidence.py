"""What every evidence room must do. Subclass EvidenceConformance and give it a fixture `stage`."""

from __future__ import annotations

import hashlib
from typing import Protocol

from canary.ports import EvidenceRoom

SECRET = "s3cret-value-in-the-output"
CONTENT = b"what the file says\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class EvidenceStage(Protocol):
    """A room with the file docs/fine.md, which holds CONTENT, and no docs/none.md."""

    good: tuple[str, ...]
    """A command that prints CONTENT and ends with 0."""
    bad: tuple[str, ...]
    """One that prints SECRET and ends with 3."""
    endless: tuple[str, ...]
    """One that never ends."""

    def open(self) -> EvidenceRoom:
        """The room."""


class EvidenceConformance:
    """What is there is hashed, what is missing is told, and nothing is shown or raised."""

    async def test_a_file_is_kept_by_its_hash(self, stage: EvidenceStage) -> None:
        """Fulfilled, with the sha256 of its bytes."""
        found = await stage.open().file("docs/fine.md")
        assert (found.fulfilled, found.sha256) == (True, SHA256)

    async def test_a_missing_file_is_named(self, stage: EvidenceStage) -> None:
        """Not fulfilled, without a hash."""
        found = await stage.open().file("docs/none.md")
        assert (found.fulfilled, found.sha256) == (False, "")
        assert "there is no file docs/none.md" in found.detail

    async def test_a_command_is_kept_by_the_hash_of_what_it_printed(self, stage: EvidenceStage) -> None:
        """Fulfilled by exit status 0."""
        found = await stage.open().command(stage.good, 20.0)
        assert (found.fulfilled, found.sha256) == (True, SHA256)

    async def test_a_failing_command_shows_nothing_of_what_it_printed(self, stage: EvidenceStage) -> None:
        """Its status is enough; the output may hold a secret."""
        found = await stage.open().command(stage.bad, 20.0)
        assert not found.fulfilled
        assert "ended with exit status 3" in found.detail
        assert SECRET not in f"{found}"

    async def test_a_command_that_never_ends_is_killed(self, stage: EvidenceStage) -> None:
        """At its time, and told so."""
        found = await stage.open().command(stage.endless, 0.5)
        assert not found.fulfilled
        assert "did not end within 0.5 s and was killed" in found.detail

    async def test_a_program_that_is_not_there_is_told(self, stage: EvidenceStage) -> None:
        """Not raised."""
        found = await stage.open().command(("no-such-program",), 5.0)
        assert (found.fulfilled, found.sha256) == (False, "")
        assert "no-such-program cannot be run" in found.detail
