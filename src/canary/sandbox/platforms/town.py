"""The five platforms as one team's accounts: what is there before a rollout, and what they show at any moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from canary.blocks.clock import SystemClock
from canary.ports import Clock
from canary.sandbox.platforms.asked import counted
from canary.sandbox.platforms.wire import Platform
from canary.sandbox.wire import INITIAL_FLAGS, STABLE_VERSION, Layer
from canary.testing.fly import FlyServer
from canary.testing.fly_machines import FakeMachine, Fates
from canary.testing.global_config import GlobalConfigs
from canary.testing.grafana import Grafana
from canary.testing.provider import Provider
from canary.testing.slack import SlackServer
from canary.testing.vercel import Vercel

CANDIDATE = "2.1.0"
REGIONS = {"ams": 5, "fra": 5}
"""Region → machines: ten in all, so that 10 % is one of them."""
ANSWERS_AFTER = 0.05
"""Seconds that every request takes."""
BOOT_SECONDS, HEALTH_SECONDS = 0.6, 0.4
GRAFANA_TOKEN = "glsa_local-t0ken"
CHANNELS = {"slack/sre": "C0SRE", "slack/sre-oncall": "C0ONCALL", "slack/docflow-admins": "C0ADMINS"}


def image(version: str) -> str:
    """The reference by which the registry has that version."""
    return f"registry.fly.io/docflow:{version}"


def _fly(clock: Clock) -> FlyServer:
    images = {image(version): f"sha256:{n:064x}" for n, version in enumerate((STABLE_VERSION, CANDIDATE), 1)}
    fly = FlyServer(clock, images, fates=Fates(BOOT_SECONDS, HEALTH_SECONDS, unhealthy={image(CANDIDATE)}))
    for region, machines in REGIONS.items():
        for _ in range(machines):
            fly.add(region, image(STABLE_VERSION))
    return fly


def _configs() -> GlobalConfigs:
    configs = GlobalConfigs()
    configs.items = dict(INITIAL_FLAGS)
    return configs


@dataclass
class Town:
    """`slack` is served already; the others are by `serving` of canary.testing.provider.

    The candidate's image is in the registry, and its deployment is built: what a team does before it starts a rollout.
    """

    slack: SlackServer
    clock: Clock = field(default_factory=SystemClock)
    fly: FlyServer = field(init=False)
    vercel: Vercel = field(default_factory=Vercel)
    configs: GlobalConfigs = field(default_factory=_configs)
    grafana: Grafana = field(default_factory=lambda: Grafana(tokens={GRAFANA_TOKEN: "Editor"}))

    def __post_init__(self) -> None:
        self.fly = _fly(self.clock)
        for provider in self.providers().values():
            provider.knobs.slow_seconds = ANSWERS_AFTER
        self.slack.slow(ANSWERS_AFTER)
        self.slack.channels = set(CHANNELS.values())

    def providers(self) -> dict[str, Provider]:
        """By the platform's name; all but Slack, which is served in its own way."""
        return {"Fly": self.fly, "Vercel": self.vercel, "Global Config": self.configs, "Grafana": self.grafana}

    def blocks(self, private_url: str) -> dict[str, dict[str, Any]]:
        """Block reference → fields. private_url: where the machines are reached by their ids."""
        told = {ref: {**self.slack.fields(), "channel": channel} for ref, channel in CHANNELS.items()}
        return {
            "fly/docflow-api": {**self.fly.fields(), "private_url": f"{private_url}/{{machine}}"},
            "vercel/docflow": self.vercel.fields(),
            "global-config/docflow": self.configs.fields(),
            "grafana/docflow": {"url": self.grafana.url, "token": GRAFANA_TOKEN, "datasource": "prom"},
            **told,
        }

    def candidates(self) -> dict[Layer, float]:
        """Layer → the share of its users, 0–1, that is not on stable. A layer of which nothing serves is absent."""
        api = self.fly.shares()
        stable = f"{image(STABLE_VERSION)}@{self.fly.images[image(STABLE_VERSION)]}"
        web = 1.0 - self.vercel.now.shares().get("dpl_stable", 0.0)
        return {**({"api": 1.0 - api.get(stable, 0.0)} if api else {}), "web": web}

    def flags(self) -> dict[str, bool]:
        """What deployments read."""
        return {key: value for key, value in self.configs.items.items() if isinstance(value, bool)}

    def launched(self) -> bool:
        """Whether any machine was told to run the candidate."""
        return any(self._runs_candidate(machine) for machine in self.fly.machines.values())

    def healthy(self) -> None:
        """The candidate has answered: machines that run it pass their checks from now on."""
        self.fly.fates.unhealthy.clear()

    def _runs_candidate(self, machine: FakeMachine) -> bool:
        return machine.image.tag == CANDIDATE and not machine.resting

    # --- for people -------------------------------------------------------------------------------------------

    def look(self) -> dict[str, Platform]:
        """Each platform, what it was asked, and how it stands."""
        states = dict(self._states())
        asked = {name: (p.url, counted(p.log, p.routes())) for name, p in self.providers().items()}
        asked["Slack"] = (self.slack.url, counted(self.slack.log, self.slack.routes()))
        return {n: Platform(url=url, requests=requests, state=states[n]) for n, (url, requests) in asked.items()}

    def _states(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        now = self.clock.now()
        machines = [
            {"id": m.id, "region": m.region, "image": m.image.tag, "state": self.fly.fates.state(m, now)}
            | {"users": m.registered and self.fly.fates.healthy(m, now)}
            for m in self.fly.machines.values()
        ]
        yield "Fly", {"machines": machines}
        shown = self.vercel.now
        rolling = {"state": shown.rolling.state, "stage": shown.rolling.at} if shown.rolling else None
        yield "Vercel", {"production": shown.production, "users": shown.shares(), "rolling_release": rolling}
        yield "Global Config", {"items": self.configs.items}
        rules = [rule["title"] for rule in self.grafana.rules.values()]
        marks = [mark["text"] for mark in self.grafana.annotations]
        yield "Grafana", {"dashboards": [*self.grafana.dashboards], "alert_rules": rules, "annotations": marks}
        names = {channel: ref for ref, channel in CHANNELS.items()}
        told = [
            {"to": names[told.channel], "text": told.shown, "in_thread": bool(told.thread)} for told in self.slack.told
        ]
        yield "Slack", {"messages": told}
