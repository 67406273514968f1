"""What every probe must do. Subclass ProbeConformance and give it a fixture `stage`."""

from __future__ import annotations

from typing import Protocol

import pytest

from canary.errors import ProviderUnavailable
from canary.ports import Probe

SECRET = "s3cret-value"


class ProbeStage(Protocol):
    """A server with a page that answers 200 "fine" with the header X-Mood: good, and one that answers 503."""

    fine: str
    failing: str
    nobody: str

    def open(self) -> Probe:
        """A probe."""


class ProbeConformance:
    """Every status is an answer, and no answer is an error that tells no secret."""

    async def test_an_answer_is_whole(self, stage: ProbeStage) -> None:
        """Status, headers by their lower-case names, and the body come back."""
        probe = stage.open()
        response = await probe.get(stage.fine, {})
        assert (response.status, response.body, response.headers["x-mood"]) == (200, "fine", "good")
        await probe.close()

    async def test_an_error_page_is_an_answer(self, stage: ProbeStage) -> None:
        """A failing page is for the check to judge, not for the probe to raise."""
        probe = stage.open()
        assert (await probe.get(stage.failing, {})).status == 503
        await probe.close()

    async def test_no_answer(self, stage: ProbeStage) -> None:
        """Where nobody answers ProviderUnavailable is raised, without header values and query string."""
        probe = stage.open()
        with pytest.raises(ProviderUnavailable) as error:
            await probe.get(f"{stage.nobody}?token={SECRET}", {"authorization": f"Bearer {SECRET}"})
        assert SECRET not in f"{error.value!s} {error.value!r} {error.value.__cause__!r}"
        await probe.close()
