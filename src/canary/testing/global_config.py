"""A Vercel Global Config that can be told to misbehave: the API that changes it, and what deployments read."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from aiohttp import web

from canary.testing.provider import Asked, Knobs

CONFIG = "ecfg_docflow"
TEAM = "team_docflow"
TOKEN = "vercel-t0ken-of-the-config"
READ_TOKEN = "read-t0ken-of-a-deployment"
MADE = 1_760_000_000_000


class GlobalConfigs:
    """`provider.Provider`. One document under both names of the API, old and new.

    stale_reads: so many of the next reads by the API show what was before the last change.
    drops:       so many of the next changes are accepted and have no effect.
    halves:      so many of the next changes set their first item only.
    """

    def __init__(self) -> None:
        self.knobs = Knobs()
        self.log: list[Asked] = []
        self.url = ""
        self.items: dict[str, Any] = {"phase1_enabled": False, "NEXT_PUBLIC_ENABLE_FORECAST": True, "greeting": "hi"}
        self._before = dict(self.items)
        self.stale_reads = self.drops = self.halves = 0

    def fields(self) -> dict[str, Any]:
        """Plain values of a GlobalConfig that reaches it."""
        return {"url": self.url, "token": TOKEN, "config_id": CONFIG, "team_id": TEAM}

    def change(self, **items: Any) -> None:
        """Somebody sets items by hand."""
        self._before, self.items = self.items, {**self.items, **items}

    def routes(self) -> list[web.RouteDef]:
        at = f"/v1/{{api:global-config|edge-config}}/{CONFIG}"
        return [
            web.get(at, self._config),
            web.get(f"{at}/items", self._items),
            web.patch(f"{at}/items", self._patch),
            web.get(f"/{CONFIG}/digest", self._read_digest),
            web.get(f"/{CONFIG}/items", self._read_items),
            web.get(f"/{CONFIG}/item/{{key}}", self._read_item),
        ]

    def allows(self, request: web.Request) -> bool:
        """The account's token for the API, the document's own for what deployments read."""
        token = TOKEN if request.path.startswith("/v1/") else READ_TOKEN
        return request.headers.get("Authorization") == f"Bearer {token}"

    def refusal(self, status: int, message: str) -> web.Response:
        """As Vercel words it."""
        error = {"code": "not_found" if status == 404 else "bad_request", "message": message}
        return web.json_response({"error": error}, status=status, headers={"x-vercel-id": "fra1::t35t-2"})

    async def _config(self, request: web.Request) -> web.Response:
        shown = self._shown()
        told = {
            "id": CONFIG,
            "slug": "docflow",
            "ownerId": TEAM,
            "createdAt": MADE,
            "updatedAt": MADE,
            "digest": _digest(shown),
            "sizeInBytes": len(json.dumps(shown)),
            "itemCount": len(shown),
        }
        return web.json_response(told)

    async def _items(self, request: web.Request) -> web.Response:
        frame = {"edgeConfigId": CONFIG, "createdAt": MADE, "updatedAt": MADE}
        return web.json_response([{"key": key, "value": value, **frame} for key, value in self._shown().items()])

    async def _patch(self, request: web.Request) -> web.Response:
        """All or nothing: a wrong item refuses the others too."""
        asked = (await request.json())["items"]
        after = dict(self.items)
        for item in asked[:1] if self.halves else asked:
            _apply(after, item)
        self.halves -= self.halves > 0
        if self.drops:
            self.drops -= 1
        else:
            self._before, self.items = self.items, after
        return web.json_response({"status": "ok"})

    def _shown(self) -> dict[str, Any]:
        if self.stale_reads:
            self.stale_reads -= 1
            return self._before
        return self.items

    async def _read_digest(self, request: web.Request) -> web.Response:
        return web.json_response(_digest(self.items))

    async def _read_items(self, request: web.Request) -> web.Response:
        return web.json_response(self.items, headers={"x-edge-config-digest": _digest(self.items)})

    async def _read_item(self, request: web.Request) -> web.Response:
        digest, key = {"x-edge-config-digest": _digest(self.items)}, request.match_info["key"]
        if key not in self.items:
            return web.json_response({"error": {"code": "edge_config_item_not_found"}}, status=404, headers=digest)
        return web.json_response(self.items[key], headers=digest)


def _apply(items: dict[str, Any], item: dict[str, Any]) -> None:
    key, operation = item["key"], item["operation"]
    if operation == "create" and key in items:
        raise web.HTTPConflict(text=f"The item {key} exists already")
    if operation in ("update", "delete") and key not in items:
        raise web.HTTPNotFound(text=f"There is no item {key}")
    if operation == "delete":
        del items[key]
    elif "value" in item:
        items[key] = item["value"]


def _digest(items: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(items, sort_keys=True).encode()).hexdigest()
