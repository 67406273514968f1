"""A local Grafana: a Prometheus data source to read, and dashboards, folders, alert rules and annotations to write.

Statuses and bodies are those of Grafana's HTTP API and its published specification. It evaluates no PromQL: behind
the data source are `samples`, or a real Prometheus at `upstream`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from aiohttp import web

from canary.testing.grafana_frames import response
from canary.testing.provider import Asked, Knobs
from canary.testing.samples import Samples

Role = Literal["Viewer", "Editor"]
Body = dict[str, Any]


@dataclass(slots=True)
class Saved:
    """A dashboard as it stands: every save raises the version."""

    document: Body
    folder: str
    version: int = 1


@dataclass
class Grafana:
    """A `Provider`. Beside the common knobs:

    tokens:       token of a service account → its role.
    datasources:  uids; one that is removed is pruned.
    samples:      what Prometheus has; upstream: the address of a real one that is asked instead.
    multi_status: a failed query answers 207 (a feature toggle of Grafana's) in place of 400.
    stale_reads:  so many of the next reads of a dashboard show it as it was before its last save.
    races:        before so many of the next saves of a dashboard somebody else saves it.
    rules_before: so many more rules are written, and then every one gets 500: a push that is half done.
    """

    knobs: Knobs = field(default_factory=Knobs)
    log: list[Asked] = field(default_factory=list)
    url: str = ""
    tokens: dict[str, Role] = field(default_factory=dict)
    datasources: set[str] = field(default_factory=lambda: {"prom"})
    samples: Samples = field(default_factory=Samples)
    upstream: str = ""
    multi_status: bool = True
    stale_reads: int = 0
    races: int = 0
    rules_before: int | None = None
    folders: dict[str, str] = field(default_factory=dict)
    dashboards: dict[str, Saved] = field(default_factory=dict)
    rules: dict[str, Body] = field(default_factory=dict)
    annotations: list[Body] = field(default_factory=list)
    _before: dict[str, Saved] = field(default_factory=dict)

    def routes(self) -> list[web.RouteDef]:
        """The paths that are spoken here; every other one is 404, as there."""
        return [
            web.post("/api/ds/query", self._query),
            web.post("/api/datasources/proxy/uid/{uid}/api/v1/query", self._proxied),
            web.get("/api/folders/{uid}", self._folder),
            web.post("/api/folders", self._make_folder),
            web.get("/api/dashboards/uid/{uid}", self._dashboard),
            web.post("/api/dashboards/db", self._save),
            web.get("/api/v1/provisioning/alert-rules", self._rules),
            web.post("/api/v1/provisioning/alert-rules", self._make_rule),
            web.put("/api/v1/provisioning/alert-rules/{uid}", self._change_rule),
            web.post("/api/annotations", self._annotate),
        ]

    def allows(self, request: web.Request) -> bool:
        """A token that was given out."""
        return self._role(request) is not None

    def refusal(self, status: int, message: str) -> web.Response:
        """`{"message": …}`, without a request's id: Grafana sends none."""
        return web.json_response({"message": message}, status=status)

    def changed_by_hand(self, uid: str, **changes: Any) -> None:
        """Somebody edits a dashboard in the browser, and saves."""
        saved = self.dashboards[uid]
        self._put(uid, Saved({**saved.document, **changes}, saved.folder, saved.version + 1))

    # --- reading --------------------------------------------------------------------------------------------

    async def _query(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if not asked.get("queries"):
            return self.refusal(400, "No queries found")
        results: Body = {}
        for query in asked["queries"]:
            if query["datasource"]["uid"] not in self.datasources:
                return self.refusal(404, "Data source not found")
            status, said = await self._ask(query["expr"], int(asked["to"]) / 1000)
            results[query["refId"]] = response(query["refId"], status, said)
        failed = any("error" in result for result in results.values())
        return web.json_response({"results": results}, status=(207 if self.multi_status else 400) if failed else 200)

    async def _proxied(self, request: web.Request) -> web.Response:
        if request.match_info["uid"] not in self.datasources:
            return self.refusal(404, "Unable to find datasource: Data source not found")
        asked = await request.post()
        status, said = await self._ask(str(asked["query"]), float(str(asked["time"])))
        return web.json_response(said, status=status)

    async def _ask(self, query: str, at: float) -> tuple[int, Body]:
        if not self.upstream:
            return self.samples.answer(query, at)
        async with httpx.AsyncClient(trust_env=False) as client:
            asked = {"query": query, "time": f"{at:.3f}"}
            said = await client.post(f"{self.upstream}/api/v1/query", data=asked)
        return said.status_code, said.json()

    # --- folders and dashboards -----------------------------------------------------------------------------

    async def _folder(self, request: web.Request) -> web.Response:
        uid = request.match_info["uid"]
        if uid not in self.folders:
            return self.refusal(404, "folder not found")
        may = self._role(request) == "Editor"
        return web.json_response({"id": 1, "uid": uid, "title": self.folders[uid], "canSave": may, "canEdit": may})

    async def _make_folder(self, request: web.Request) -> web.Response:
        self._only_editors(request, "folders:create")
        asked = await request.json()
        if asked["uid"] in self.folders:
            return self.refusal(412, "a folder with the same uid already exists")
        self.folders[asked["uid"]] = asked["title"]
        return web.json_response({"id": 1, "uid": asked["uid"], "title": asked["title"], "canSave": True})

    async def _dashboard(self, request: web.Request) -> web.Response:
        uid = request.match_info["uid"]
        saved = self.dashboards.get(uid)
        if self.stale_reads:
            self.stale_reads -= 1
            saved = self._before.get(uid)
        if saved is None:
            return self.refusal(404, "Dashboard not found")
        shown = {**saved.document, "id": 1, "version": saved.version}
        return web.json_response({"dashboard": shown, "meta": {"folderUid": saved.folder, "version": saved.version}})

    async def _save(self, request: web.Request) -> web.Response:
        self._only_editors(request, "dashboards:write")
        asked = await request.json()
        document, folder = asked["dashboard"], asked.get("folderUid", "")
        uid = document["uid"]
        if folder and folder not in self.folders:
            return self.refusal(404, "folder not found")
        self._race(uid, document, folder)
        here = self.dashboards.get(uid)
        if here and not asked.get("overwrite") and document.get("version") != here.version:
            stale = {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
            return web.json_response(stale, status=412)
        kept = {key: value for key, value in document.items() if key not in ("id", "version")}
        version = here.version + 1 if here else 1
        self._put(uid, Saved(kept, folder, version))
        said: Body = {
            "id": 1,
            "uid": uid,
            "slug": uid,
            "status": "success",
            "version": version,
            "url": f"/d/{uid}/{uid}",
        }
        return web.json_response(said)

    def _race(self, uid: str, document: Body, folder: str) -> None:
        if not self.races:
            return
        self.races -= 1
        if uid in self.dashboards:
            self.changed_by_hand(uid, description=f"changed {self.races + 1} more times")
        else:
            self._put(uid, Saved({"uid": uid, "title": "a draft", "tags": document["tags"]}, folder))

    def _put(self, uid: str, saved: Saved) -> None:
        if uid in self.dashboards:
            self._before[uid] = copy.deepcopy(self.dashboards[uid])
        self.dashboards[uid] = saved

    # --- alert rules and annotations ------------------------------------------------------------------------

    async def _rules(self, request: web.Request) -> web.Response:
        return web.json_response([*self.rules.values()])

    async def _make_rule(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked["uid"] in self.rules:
            return self.refusal(409, "a conflicting alert rule is found: rule UID under the same organisation")
        return self._write_rule(request, asked, 201)

    async def _change_rule(self, request: web.Request) -> web.Response:
        if request.match_info["uid"] not in self.rules:
            return self.refusal(404, "alert rule not found")
        return self._write_rule(request, await request.json(), 200)

    def _write_rule(self, request: web.Request, asked: Body, status: int) -> web.Response:
        self._only_editors(request, "alert.provisioning:write")
        if asked["folderUID"] not in self.folders:
            return self.refusal(400, "folder not found")
        titles = {rule["title"]: uid for uid, rule in self.rules.items() if rule["folderUID"] == asked["folderUID"]}
        if titles.get(asked["title"], asked["uid"]) != asked["uid"]:
            return self.refusal(
                409, "a conflicting alert rule is found: rule title under the same organisation and folder"
            )
        if self.rules_before is not None:
            if not self.rules_before:
                return self.refusal(500, "database is locked")
            self.rules_before -= 1
        mine = "" if "X-Disable-Provenance" in request.headers else "api"
        self.rules[asked["uid"]] = {**asked, "id": len(self.rules) + 1, "orgID": 1, "provenance": mine}
        return web.json_response(self.rules[asked["uid"]], status=status)

    async def _annotate(self, request: web.Request) -> web.Response:
        self._only_editors(request, "annotations:create")
        self.annotations.append(await request.json())
        return web.json_response({"id": len(self.annotations), "message": "Annotation added"})

    # --- who asks -------------------------------------------------------------------------------------------

    def _role(self, request: web.Request) -> Role | None:
        return self.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))

    def _only_editors(self, request: web.Request, permission: str) -> None:
        if self._role(request) != "Editor":
            said = f"You'll need additional permissions to perform this action. Permissions needed: {permission}"
            raise web.HTTPForbidden(text=said)
