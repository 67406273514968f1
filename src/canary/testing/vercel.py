"""A Vercel that can be told to misbehave: one project and its deployments, on loopback.

Its statuses and bodies are those that Vercel's own CLI and SDK accept: promotion and rollback answer 201 with
nothing, and no content type; what they start is seen by looking again.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Literal

from aiohttp import web

from canary.testing.provider import Asked, Knobs
from canary.testing.vercel_rolling import Releases
from canary.testing.vercel_state import NAME, PROJECT, STARTED, TEAM, Deployed, Moved, Shown

TOKEN = "vercelT0kenOfTheDocflowTeam"
BYPASS = "bypass-s3cret-of-docflow-0123456"
STAGES = (10.0, 50.0, 100.0)


class Vercel:
    """`provider.Provider`. Stable dpl_stable serves everybody; dpl_candidate, version 2.1.0, is staged beside it.

    stages:      percentages of the next rolling release; empty: rolling releases are off.
    move_looks:  so many looks at the project show a move of the domains as under way, and its effect not yet.
    moves_fail:  so many of the next moves fail with half of the domains moved: production is as before.
    conflicts:   so many of the next moves are answered with 409, without effect.
    stale_reads: so many of the next looks show what was before the last change.
    build_looks: so many looks at a new deployment show it as building.
    builds_fail: new deployments fail.
    env_fails:   a variable is answered with 201 and not set.
    """

    def __init__(self) -> None:
        self.knobs = Knobs()
        self.log: list[Asked] = []
        self.url = ""
        self.stages: list[dict[str, Any]] = [{"targetPercentage": p, "requireApproval": p < 100} for p in STAGES]
        self.move_looks = self.moves_fail = self.conflicts = self.stale_reads = self.build_looks = 0
        self.builds_fail = self.env_fails = False
        self.env: dict[str, dict[str, Any]] = {}
        self.deployments: dict[str, Deployed] = {}
        self.add("dpl_stable", version="2.0.9").substate = "PROMOTED"
        self.add("dpl_candidate", version="2.1.0")
        self.now = self.before = Shown("dpl_stable")

    def add(self, deployment: str, **meta: str) -> Deployed:
        """A staged production build with that metadata."""
        made = Deployed(deployment, STARTED + 1000 * len(self.deployments), meta=meta)
        self.deployments[deployment] = made
        return made

    def prune(self, deployment: str) -> None:
        """It is gone, as by the project's retention."""
        del self.deployments[deployment]

    def by_hand(self, deployment: str) -> None:
        """Somebody sends everybody to it in the dashboard."""
        self.change(Shown(deployment, self.now.rolling and replace(self.now.rolling, state="ABORTED")))

    def fields(self) -> dict[str, Any]:
        """Plain values of a VercelProject that reaches it."""
        return {
            "url": self.url,
            "token": TOKEN,
            "project_id": PROJECT,
            "team_id": TEAM,
            "bypass_secret": BYPASS,
        }

    def change(self, shown: Shown) -> None:
        """From now on users are sent so."""
        self.before, self.now = self.now, shown

    def seen(self) -> Shown:
        """What a look shows."""
        if self.stale_reads:
            self.stale_reads -= 1
            return self.before
        return self.now

    def routes(self) -> list[web.RouteDef]:
        project = f"/{{v}}/projects/{{project:{PROJECT}|{NAME}}}"
        return [
            web.get(project, self._project),
            web.post(f"{project}/promote/{{id}}", self._promote),
            web.post(f"{project}/rollback/{{id}}", self._rollback),
            web.get(f"{project}/{{verb:promote|rollback}}/aliases", self._aliases),
            web.get(f"{project}/env", self._envs),
            web.post(f"{project}/env", self._set_env),
            web.delete(f"{project}/env/{{id}}", self._unset_env),
            web.get("/{v}/deployments", self._list),
            web.post("/{v}/deployments", self._create),
            web.get("/{v}/deployments/{id}", self._deployment),
            web.get("/v2/user", self._user),
            web.get("/teams/{team}", self._team),
            web.get("/{v}/teams/{team}", self._team),
            web.get("/{v}/teams", self._teams),
            *Releases(self).routes(f"{project}/rolling-release"),
        ]

    def allows(self, request: web.Request) -> bool:
        """The bearer token, in the team's scope."""
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    def refusal(self, status: int, message: str) -> web.Response:
        """As Vercel words it."""
        code = {401: "forbidden", 403: "forbidden", 404: "not_found", 409: "conflict", 429: "rate_limited"}
        error = {"code": code.get(status, "bad_request"), "message": message}
        return web.json_response({"error": error}, status=status, headers={"x-vercel-id": "fra1::t35t-1"})

    def known(self, request: web.Request) -> Deployed:
        """The deployment of the path, by id or host. Raises web.HTTPNotFound."""
        asked = request.match_info["id"]
        found = next((d for d in self.deployments.values() if asked in (d.id, d.url)), None)
        if found is None:
            raise web.HTTPNotFound(text="The deployment could not be found")
        return found

    async def _project(self, request: web.Request) -> web.Response:
        shown = self.seen()
        moved = self.now.moved
        if moved and moved.looks:
            # Under way until it has been looked at so often; only then does it show.
            looked = replace(moved, looks=moved.looks - 1)
            self.now = replace(self.now, moved=looked)
            if not looked.looks and not looked.failed:
                self.now = replace(self.now, production=looked.to)
        return web.json_response(self._told(shown))

    def _told(self, shown: Shown) -> dict[str, Any]:
        production = self.deployments.get(shown.production)
        rolling = {"target": "production", "stages": self.stages} if self.stages else None
        return {
            "id": PROJECT,
            "name": NAME,
            "accountId": TEAM,
            "nodeVersion": "24.x",
            "directoryListing": False,
            "alias": [],
            "deploymentExpiration": {},
            "resourceConfig": _RESOURCES,
            "defaultResourceConfig": _RESOURCES,
            "targets": {"production": production.whole() if production else {"id": shown.production}},
            "rollingRelease": rolling,
            "lastAliasRequest": shown.moved.told() if shown.moved else None,
            "protectionBypass": {BYPASS: {"createdAt": STARTED, "createdBy": "u", "scope": "automation-bypass"}},
        }

    async def _promote(self, request: web.Request) -> web.Response:
        wanted = self.known(request)
        if self.now.rolling and self.now.rolling.state == "ACTIVE":
            return web.Response(status=202)
        if self.stages:
            Releases(self).begin(wanted)
            return web.Response(status=201)
        return self._move("promote", wanted)

    async def _rollback(self, request: web.Request) -> web.Response:
        wanted = self.known(request)
        if wanted.substate == "STAGED":
            raise web.HTTPUnprocessableEntity(text="The deployment was never in production")
        rolling = self.now.rolling
        if rolling and rolling.state == "ACTIVE":
            self.change(replace(self.now, rolling=replace(rolling, state="ABORTED")))
        return self._move("rollback", wanted)

    def _move(self, kind: Literal["promote", "rollback"], wanted: Deployed) -> web.Response:
        if self.conflicts:
            self.conflicts -= 1
            raise web.HTTPConflict(text="The deployment is already the current one, or another move is under way")
        failed = self.moves_fail > 0
        self.moves_fail -= failed
        asked = int(time.time() * 1000)
        moved = Moved(kind, self.now.production, wanted.id, asked, self.move_looks, failed)
        arrived = self.now.production if failed or moved.looks else wanted.id
        wanted.substate = "PROMOTED"
        self.change(replace(self.now, production=arrived, moved=moved))
        return web.Response(status=201)

    async def _aliases(self, request: web.Request) -> web.Response:
        return web.json_response({"aliases": [], "pagination": {"count": 0, "next": None, "prev": None}})

    async def _deployment(self, request: web.Request) -> web.Response:
        found = self.known(request)
        told = found.whole()
        if found.state == "BUILDING":
            self.build_looks -= 1
            if self.build_looks <= 0:
                found.state = "ERROR" if self.builds_fail else "READY"
                found.why = "Command npm run build exited with 1" if self.builds_fail else ""
        return web.json_response(told)

    async def _list(self, request: web.Request) -> web.Response:
        asked = request.query
        fits = [
            d.whole()
            for d in self.deployments.values()
            if d.project == asked.get("projectId", d.project) and d.target == asked.get("target", d.target)
        ]
        newest = sorted(fits, key=lambda told: -told["created"])[: int(asked.get("limit", 20))]
        pages = {"count": len(newest), "next": None, "prev": None}
        return web.json_response({"deployments": newest, "pagination": pages})

    async def _create(self, request: web.Request) -> web.Response:
        """A redeployment: the source again, with the environment of now."""
        body = await request.json()
        if body.get("deploymentId") not in self.deployments:
            raise web.HTTPNotFound(text="The deployment could not be found")
        made = self.add(f"dpl_built{len(self.deployments)}", **body.get("meta", {}))
        made.target = body.get("target")
        made.state = "BUILDING" if self.build_looks or self.builds_fail else "READY"
        made.env = {e["key"]: e["value"] for e in self.env.values() if "production" in e["target"]}
        if body.get("autoAssignCustomDomains", True) and not self.stages:
            self._move("promote", made)
        return web.json_response(made.whole())

    async def _envs(self, request: web.Request) -> web.Response:
        return web.json_response({"envs": list(self.env.values())})

    async def _set_env(self, request: web.Request) -> web.Response:
        body = await request.json()
        key = body["key"]
        if self.env_fails:
            error = {"code": "ENV_CONFLICT", "key": key, "message": "Another variable of that name exists"}
            return web.json_response({"created": [], "failed": [{"error": error}]}, status=201)
        if key in self.env and request.query.get("upsert") != "true":
            raise web.HTTPForbidden(text=f"A variable with the name {key} already exists")
        made = {"id": f"env_{key}", "createdAt": STARTED, "updatedAt": STARTED, **body}
        self.env[key] = made
        return web.json_response({"created": made, "failed": []}, status=201)

    async def _unset_env(self, request: web.Request) -> web.Response:
        found = next((key for key, e in self.env.items() if e["id"] == request.match_info["id"]), None)
        if found is None:
            raise web.HTTPNotFound(text="Environment variable not found")
        return web.json_response(self.env.pop(found))

    async def _user(self, request: web.Request) -> web.Response:
        user = {"id": "user_docflow", "uid": "user_docflow", "email": "team@docflow.example", "username": NAME}
        return web.json_response({"user": {**user, "name": NAME, "version": "northstar", "defaultTeamId": TEAM}})

    async def _team(self, request: web.Request) -> web.Response:
        return web.json_response(_OF_TEAM)

    async def _teams(self, request: web.Request) -> web.Response:
        pages = {"count": 1, "next": None, "prev": None}
        return web.json_response({"teams": [_OF_TEAM], "pagination": pages})


_RESOURCES = {"functionDefaultRegions": ["fra1"]}
_OF_TEAM = {"id": TEAM, "slug": NAME, "name": NAME, "billing": {"plan": "pro"}, "createdAt": STARTED}
