"""The rolling releases of a pretended Vercel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from canary.testing.vercel_state import STARTED, Deployed, Rolled, Shown

if TYPE_CHECKING:
    from canary.testing.vercel import Vercel


class Releases:
    """Start, approve, complete; what ends one early is the rollback."""

    def __init__(self, vercel: Vercel) -> None:
        self._vercel = vercel

    def routes(self, at: str) -> list[web.RouteDef]:
        return [
            web.get(at, self._get),
            web.post(f"{at}/start", self._start),
            web.post(f"{at}/approve-stage", self._approve),
            web.post(f"{at}/complete", self._complete),
            web.get(f"{at}/config", self._config),
            web.patch(f"{at}/config", self._configure),
        ]

    def begin(self, canary: Deployed) -> None:
        """Its first stage serves. Raises web.HTTPConflict while another one rolls."""
        now = self._vercel.now
        if now.rolling and now.rolling.state == "ACTIVE":
            if now.rolling.canary != canary.id:
                raise web.HTTPConflict(text="A rolling release is already in progress")
            return
        canary.substate = "ROLLING"
        rolled = Rolled(canary.id, now.production, tuple(self._vercel.stages))
        self._vercel.change(replace(now, rolling=rolled))

    async def _get(self, request: web.Request) -> web.Response:
        rolling = self._vercel.seen().rolling
        asked = request.query.get("state")
        return self._answer(rolling if rolling and asked in (None, rolling.state) else None)

    async def _start(self, request: web.Request) -> web.Response:
        wanted = (await request.json())["canaryDeploymentId"]
        found = self._vercel.deployments.get(wanted)
        if found is None:
            raise web.HTTPNotFound(text="The deployment could not be found")
        if not self._vercel.stages:
            raise web.HTTPUnprocessableEntity(text="Rolling releases are not enabled for this project")
        if found.state != "READY" or found.target != "production":
            raise web.HTTPUnprocessableEntity(text="The deployment is no ready production deployment")
        self.begin(found)
        return self._answer(self._vercel.now.rolling)

    async def _approve(self, request: web.Request) -> web.Response:
        body = await request.json()
        rolling = self._active(body)
        if body["nextStageIndex"] != rolling.at + 1:
            raise web.HTTPBadRequest(text="The stage is not the next one")
        if rolling.stage(rolling.at + 2) is None:
            return self._done(rolling)
        self._vercel.change(replace(self._vercel.now, rolling=replace(rolling, at=rolling.at + 1)))
        return self._answer(self._vercel.now.rolling)

    async def _complete(self, request: web.Request) -> web.Response:
        return self._done(self._active(await request.json()))

    def _done(self, rolling: Rolled) -> web.Response:
        canary = self._vercel.deployments[rolling.canary]
        canary.substate = "PROMOTED"
        ended = replace(rolling, state="COMPLETE", at=len(rolling.stages) - 1)
        self._vercel.change(Shown(rolling.canary, ended, self._vercel.now.moved))
        return self._answer(ended)

    def _active(self, body: dict[str, Any]) -> Rolled:
        rolling = self._vercel.now.rolling
        if rolling is None or rolling.state != "ACTIVE" or rolling.canary != body["canaryDeploymentId"]:
            raise web.HTTPNotFound(text="There is no such rolling release")
        return rolling

    async def _config(self, request: web.Request) -> web.Response:
        stages = self._vercel.stages
        told = {"target": "production", "stages": stages} if stages else None
        return web.json_response({"rollingRelease": told})

    async def _configure(self, request: web.Request) -> web.Response:
        """For the next rolling release: one that rolls goes on as it began."""
        body = await request.json()
        manual = body.get("advancementType") == "manual-approval"
        stages = body.get("stages", []) if body.get("enabled") else []
        self._vercel.stages = [{"requireApproval": manual and s["targetPercentage"] < 100, **s} for s in stages]
        return await self._config(request)

    def _answer(self, rolling: Rolled | None) -> web.Response:
        return web.json_response({"rollingRelease": self._told(rolling) if rolling else None})

    def _told(self, rolling: Rolled) -> dict[str, Any]:
        active = rolling.state == "ACTIVE"
        waits = bool(rolling.stages[0].get("requireApproval"))
        return {
            "state": rolling.state,
            "substate": None,
            "currentDeployment": self._brief(rolling.current),
            "canaryDeployment": self._brief(rolling.canary),
            "queuedDeploymentId": None,
            "advancementType": "manual-approval" if waits else "automatic",
            "stages": [rolling.stage(index) for index in range(len(rolling.stages))],
            "activeStage": None if rolling.state == "ABORTED" else rolling.stage(rolling.at),
            "nextStage": rolling.stage(rolling.at + 1) if active else None,
            "startedAt": STARTED,
            "updatedAt": STARTED,
        }

    def _brief(self, deployment: str) -> dict[str, Any] | None:
        """A deployment that was deleted under it is still named by its id."""
        found = self._vercel.deployments.get(deployment)
        return (found or Deployed(deployment, STARTED, state="ERROR")).brief()
