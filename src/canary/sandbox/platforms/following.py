"""The sandbox follows the platforms: users go where they show, and what is measured comes back to Grafana."""

from __future__ import annotations

import sys

from prometheus_client.parser import text_string_to_metric_families

from canary.errors import ProviderUnavailable
from canary.ports import Clock
from canary.sandbox.platforms.street import CANDIDATE_COLOUR, Street, gathered
from canary.sandbox.platforms.town import CANDIDATE, Town
from canary.sandbox.wire import COLOURS, INITIAL_FLAGS, Layer
from canary.testing.samples import Samples

FOLLOWS_EVERY = 0.1
"""Seconds between two looks at the platforms: machines become healthy by themselves, without any request."""
SCRAPES_EVERY = 0.5
KEPT_SECONDS = 30.0
"""How long samples are kept. Every read gets all that there are, and asks for those of its last seconds."""


class Follower:
    """Remembers what it has set, so that only a change is a request."""

    def __init__(self, town: Town, street: Street) -> None:
        self._town = town
        self._street = street
        self._shares: dict[Layer, float] = {"api": 0.0, "web": 0.0}
        self._flags = dict(INITIAL_FLAGS)
        self._deployed = self._answered = False

    async def follow(self) -> None:
        """For ever. A part that does not answer is asked again."""
        while True:
            try:
                await self.step()
            except ProviderUnavailable as error:
                sys.stderr.write(f"{error}\n")
            await self._town.clock.sleep(FOLLOWS_EVERY)

    async def step(self) -> None:
        """Whatever differs is set. Raises ProviderUnavailable; what was not set is set by the next step."""
        await self._run_candidate()
        for layer, share in self._town.candidates().items():
            if share != self._shares[layer]:
                await self._street.send(layer, share)
                self._shares[layer] = share
        flags = self._town.flags()
        if flags != self._flags:
            await self._street.set_flags(flags)
            self._flags = flags

    async def _run_candidate(self) -> None:
        """One process stands for all machines with that image. They pass their checks once it has answered."""
        if not self._deployed and self._town.launched():
            await self._street.deploy(CANDIDATE)
            self._deployed = True
        if self._deployed and not self._answered and await self._street.answers(CANDIDATE_COLOUR):
            self._town.healthy()
            self._answered = True


async def scrape(street: Street, samples: Samples, clock: Clock) -> None:
    """For ever. What does not answer leaves a gap, as in a Prometheus."""
    while True:
        at = clock.now()
        for colour, text in (await gathered(street, COLOURS)).items():
            take(samples, colour, text, at)
        samples.forget(at - KEPT_SECONDS)
        await clock.sleep(SCRAPES_EVERY)


def take(samples: Samples, instance: str, text: str, at: float) -> None:
    """One exposition, at unix seconds; series get the label `instance`, as in Prometheus."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.add(sample.name, {**sample.labels, "instance": instance}, at, sample.value)
