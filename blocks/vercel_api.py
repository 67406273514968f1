"""The requests to Vercel's API that a rollout needs, each one call. Source: Vercel's REST API, SDK and CLI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from canary.blocks import vercel_wire as wire
from canary.blocks.http import Credential, Http, within
from canary.errors import ProviderError

LISTED = 100
"""Production deployments, newest first, among which one is looked for. The platform's own limit of a page."""


@dataclass(frozen=True, slots=True)
class Api:
    """One project behind one token. Raises as `http.Http` does. team: team_…, or "" for the token's own."""

    http: Http
    url: str
    as_: Credential
    project: str
    team: str

    async def look(self) -> wire.Seen:
        """Project and rolling release, asked side by side."""
        async with within(4.0, f"{self.http.ref}: look at the project") as group:
            project = group.create_task(self.ask("GET", f"/v9/projects/{self.project}", rollbackInfo="true"))
            rolling = group.create_task(self.rolling())
        seen = wire.project(project.result())
        self._no_echo("the project", seen.told())
        return wire.Seen(seen, rolling.result())

    async def rolling(self) -> wire.Rolling | None:
        """The active rolling release. A project that never had rolling releases may answer 404."""
        said = await self.ask_or_none(f"/v1/projects/{self.project}/rolling-release", state="ACTIVE")
        return self._rolling(said) if said is not None else None

    async def start(self, canary: str) -> wire.Rolling | None:
        """At the first stage. Again for the same canary it changes nothing."""
        return await self._rolling_verb("start", canaryDeploymentId=canary)

    async def approve(self, canary: str, stage: int) -> wire.Rolling | None:
        """To the stage of that index, which must be the next one."""
        return await self._rolling_verb("approve-stage", nextStageIndex=stage, canaryDeploymentId=canary)

    async def complete(self, canary: str) -> None:
        """The canary serves everybody."""
        await self._rolling_verb("complete", canaryDeploymentId=canary)

    async def promote(self, deployment: str) -> None:
        """Accepted means that the domains will be moved. The answer is empty."""
        await self._move(f"v10/projects/{self.project}/promote", deployment)

    async def rollback(self, deployment: str) -> None:
        """Accepted as `promote` is. Ends an active rolling release."""
        await self._move(f"v1/projects/{self.project}/rollback", deployment)

    async def build(self, deployment: str) -> wire.Build | None:
        """The deployment, or None when there is none (any more)."""
        said = await self.ask_or_none(f"/v13/deployments/{quote(deployment, safe='')}")
        return self._build(wire.build(said)) if said is not None else None

    async def builds(self) -> list[wire.Build]:
        """The newest production deployments of the project."""
        asked = {"projectId": self.project, "target": "production", "limit": LISTED}
        return [self._build(build) for build in wire.builds(await self.ask("GET", "/v7/deployments", **asked))]

    async def redeploy(self, source: wire.Build, meta: Mapping[str, str]) -> wire.Build:
        """The same source built anew with today's environment, for production, no domain assigned to it."""
        body = {
            "deploymentId": source.id,
            "name": source.name,
            "target": "production",
            "meta": {"action": "redeploy", **meta},
            "autoAssignCustomDomains": False,
        }
        asked = {"forceNew": "1", "skipAutoDetectionConfirmation": "1"}
        return self._build(wire.build(await self.ask("POST", "/v13/deployments", body, **asked)))

    async def set_env(self, key: str, value: str) -> None:
        """For production. Raises ProviderError when the platform did not take it."""
        body = {"key": key, "value": value, "type": "plain", "target": ["production"]}
        said = await self.ask("POST", f"/v10/projects/{self.project}/env", body, upsert="true")
        failed = said.get("failed") if isinstance(said, dict) else None
        if failed:
            why = self.http.hide(json.dumps(failed))
            raise ProviderError(f"{self.http.ref}: {key} was not set: {why}", "set it in the project's settings")

    async def ask(self, method: str, path: str, json: Any = None, **params: Any) -> Any:
        """The JSON document of a 2xx answer."""
        content = {} if json is None else {"json": json}
        return await self.http.ask(method, self._at(path), as_=self.as_, params=self._scoped(params), **content)

    async def ask_or_none(self, path: str, **params: Any) -> Any:
        """As `ask` with GET; None for 404."""
        answer = await self.http.send("GET", self._at(path), as_=self.as_, params=self._scoped(params))
        return None if answer.status == 404 else self.http.document(answer, f"GET {self._at(path)}", self.as_.of)

    async def _move(self, verb: str, deployment: str) -> None:
        where = self._at(f"/{verb}/{deployment}")
        answer = await self.http.send("POST", where, as_=self.as_, params=self._scoped({}))
        # Accepted is empty; a page with 200 from something in front of the API is no answer of it.
        if answer.status not in (201, 202) or answer.body.strip():
            self.http.document(answer, f"POST {where}", self.as_.of)

    async def _rolling_verb(self, verb: str, **body: Any) -> wire.Rolling | None:
        said = await self.ask("POST", f"/v1/projects/{self.project}/rolling-release/{verb}", body)
        return self._rolling(said)

    def _rolling(self, said: Any) -> wire.Rolling | None:
        rolling = wire.rolling(said)
        self._no_echo("the rolling release", rolling.told() if rolling else ())
        return rolling

    def _build(self, build: wire.Build) -> wire.Build:
        self._no_echo("a deployment", build.told())
        return build

    def _no_echo(self, what: str, told: tuple[str, ...]) -> None:
        """Ids are journaled, and stand in errors: one that repeats the token is none."""
        self.http.no_echo(f"a request for {what}", told)

    def _at(self, path: str) -> str:
        return f"{self.url}{path}"

    def _scoped(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {**params, **({"teamId": self.team} if self.team else {})}
