"""Answers of platforms that hold a secret: the forms it has there, and the places where it stands."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from canary.blocks.fly_wire import MARK
from canary.boards.document import TAG

World = Mapping[str, Any]
"""Regular expression of "METHOD /path" → the JSON document of its good answer; the first that is found counts."""
Answers = Mapping[str, list[bytes]]
"""Regular expression of "METHOD /path" → the pieces of its answer; the first that is found counts."""

FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "bearer": lambda s: f"Authorization: Bearer {s}",
    "json": lambda s: json.dumps({"sent": {"authorization": s}}),
    "json in json": lambda s: json.dumps({"why": json.dumps({"token": s})}),
    "unicode escapes": lambda s: '{"a": "' + "".join(f"\\u{ord(c):04X}" for c in s) + '"}',
    "html": html.escape,
    "entities": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "url": lambda s: "/login?next=" + quote(s, safe=""),
    "url twice": lambda s: quote(quote(s, safe=""), safe=""),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 inside": lambda s: base64.b64encode(f"Bearer {s}!".encode()).decode(),
    "basic": lambda s: base64.b64encode(f"ann:{s}".encode()).decode(),
    "base64url": lambda s: base64.urlsafe_b64encode(f"x:{s}".encode()).decode(),
    "repr": lambda s: repr(s.encode()),
}
PLACES: dict[str, Callable[[str], str]] = {
    "alone": str,
    "page": lambda s: f"<html>\n<h1>no</h1>{s}</html>",
    "far behind": lambda s: "x" * 270 + s + "x" * 70,
    "behind spaces": lambda s: " " * 5000 + s,
    "message": lambda s: json.dumps({"message": f"no such token {s}"}),
    "error": lambda s: json.dumps({"error": {"message": s}}),
    "version": lambda s: json.dumps({"version": s}),
    "flags": lambda s: json.dumps({"phase1_enabled": True, s: False}),
    "missing flags": lambda s: json.dumps({s: False}),
    "slack refuses": lambda s: json.dumps({"ok": False, "error": s}),
    "slack says where": lambda s: json.dumps({"ok": True, "channel": f"C{s}", "ts": f"1.{s}"}),
    "runtime": lambda s: json.dumps({"entries": {"routing.api.api_blue": {"final_value": s}}}),
    "warnings": lambda s: json.dumps({"status": "success", "warnings": [s], "data": {"result": []}}),
    "series": lambda s: json.dumps({"data": {"result": [{"metric": {"__name__": s}, "values": [[s, s]]}]}}),
    "metrics": lambda s: f'http_requests_total{{version="2.1.0",token="{s}"}} {s}\n',
    "a metric's line": lambda s: f"http_requests_total {s} {s} {s}\n",
}


@dataclass(frozen=True)
class Echo:
    """How the secret comes back: with which status, in which form, and in how many pieces."""

    status: int
    form: str
    pieces: int
    in_headers: bool = False

    def said(self, secrets: Iterable[str]) -> str:
        """The secrets in that form."""
        return " ".join(FORMS[self.form](secret) for secret in secrets)

    def everywhere(self, secrets: Iterable[str], text: str) -> Answers:
        """The same to everybody, whatever was asked."""
        return {"": self.answer(secrets, text)}

    def world(self, secrets: Iterable[str], world: World) -> Answers:
        """To each its own."""
        return {asked: self.answer(secrets, json.dumps(document)) for asked, document in world.items()}

    def answer(self, secrets: Iterable[str], text: str) -> list[bytes]:
        """The pieces of a whole HTTP answer."""
        said, body = self.said(secrets), text.encode()
        one_line = quote(said, safe="!#$&'()+,-./:;=?@[]_~")
        shown = f"X-Sent: {one_line}\r\nLocation: /{one_line}\r\nWWW-Authenticate: {one_line}\r\n"
        head = f"HTTP/1.1 {self.status} {one_line if self.in_headers else 'Said'}\r\nConnection: close\r\n"
        head += f"{shown if self.in_headers else ''}Content-Length: {len(body)}\r\n\r\n"
        size = max(1, -(-len(body) // self.pieces))
        return [head.encode(), *(body[at : at + size] for at in range(0, len(body), size))]


@dataclass
class Echoing:
    """A server that says what it is told to."""

    url: str
    answers: Answers

    def to(self, head: bytes) -> list[bytes]:
        """The pieces for that request."""
        asked = head.decode().partition(" HTTP/")[0].partition("?")[0]
        return next(pieces for pattern, pieces in self.answers.items() if re.search(pattern, asked))


@asynccontextmanager
async def echoing() -> AsyncIterator[Echoing]:
    """It on a free port of loopback."""
    server = Echoing("", {})

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for piece in server.to(await reader.readuntil(b"\r\n\r\n")):
                writer.write(piece)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield server


def planted(document: Any, said: str) -> Iterator[tuple[str, Any]]:
    """Where, and the document with `said` in the place of one key, word or number: each of them once."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield f"{key}?", {(said if name == key else name): each for name, each in document.items()}
            for where, inner in planted(value, said):
                yield f"{key}.{where}", {**document, key: inner}
    elif isinstance(document, list):
        for at, value in enumerate(document):
            for where, inner in planted(value, said):
                yield f"{at}.{where}", [*document[:at], inner, *document[at + 1 :]]
    else:
        yield "", said


def planted_in(world: World, said: str) -> Iterator[tuple[str, World]]:
    """As `planted`, in one of the answers at a time."""
    for asked, document in world.items():
        for where, inner in planted(document, said):
            yield f"{asked} {where}", {**world, asked: inner}


def _deployment(name: str, version: str) -> dict[str, Any]:
    host = {"url": f"{name}.vercel.app", "name": "docflow", "projectId": "prj_docflow"}
    return {"id": name, "readyState": "READY", "target": "production", "meta": {"version": version}, **host}


_STAGES = [{"targetPercentage": 10, "requireApproval": True}, {"targetPercentage": 100}]
_ROLLING = {
    "state": "ACTIVE",
    "activeStage": {"targetPercentage": 10, "index": 0},
    "currentCanaryPercentage": 10,
    "canaryDeployment": {"id": "dpl_new"},
    "currentDeployment": {"id": "dpl_stable"},
    "stages": _STAGES,
}


def _vercel(stages: list[Any], rolling: Any, job: str) -> World:
    project = {
        "id": "prj_docflow",
        "targets": {"production": {"id": "dpl_stable"}},
        "rollingRelease": {"stages": stages},
        "lastAliasRequest": {"toDeploymentId": "dpl_stable", "jobStatus": job, "requestedAt": 1},
    }
    return {
        "/rolling-release": {"rollingRelease": rolling},
        "GET .*/deployments/dpl_stable": _deployment("dpl_stable", "2.0.9"),
        "/deployments/|POST .*/deployments": _deployment("dpl_new", "2.1.0"),
        "/deployments": {"deployments": [_deployment("dpl_new", "2.1.0"), _deployment("dpl_stable", "2.0.9")]},
        "/env": {"failed": [{"error": {"message": "no"}}]} if job == "failed" else {"failed": []},
        "": project,
    }


VERCEL = (
    _vercel(_STAGES, _ROLLING, "succeeded"),
    _vercel([], None, "succeeded"),
    _vercel([], None, "in-progress"),
    _vercel(_STAGES, None, "failed"),
)


def _machine(name: str, version: str, state: str = "started", **metadata: str) -> dict[str, Any]:
    reference = {"registry": "registry.fly.io", "repository": "docflow", "tag": version, "digest": f"sha256:{version}"}
    return {
        "id": name,
        "region": "ams",
        "state": state,
        "instance_id": f"i-{name}",
        "private_ip": "fdaa::1",
        "config": {
            "image": f"registry.fly.io/docflow:{version}",
            "metadata": {"fly_process_group": "app", **metadata},
            "dns": {"skip_registration": True},
        },
        "image_ref": reference,
        "checks": [{"name": "alive", "status": "passing" if state == "started" else "critical"}],
    }


def _fly(*machines: dict[str, Any]) -> World:
    lease = {"nonce": "n0nce", "expires_at": 1, "owner": "ann", "description": "prefect-canary epoch 1"}
    each = {f"/machines/{machine['id']}": machine for machine in machines}
    listed = {"GET .*/machines$": [*machines], "/lease": {"status": "success", "data": lease}}
    return {**listed, **each, "": machines[-1]}


FLY = (
    _fly(_machine("m1", "v2.0.9"), _machine("m2", "v2.1.0"), _machine("m3", "v2.1.0", **{MARK: "candidate"})),
    _fly(_machine("m1", "v2.0.9", "failed"), _machine("m2", "v2.1.0", "failed")),
)
CONFIG = ({"/items": [{"key": "phase1_enabled", "value": True}], "": {"digest": "d1"}},)
FLAGS = ({"": {"phase1_enabled": True}},)
_SERIES = {"__name__": "http_requests_total", "version": "2.1.0", "job": "api", "pod": "api-1"}
PROMETHEUS = (
    {"": {"status": "success", "data": {"result": [{"metric": _SERIES, "values": [[1.0, "1"], [2.0, "3"]]}]}}},
)
_COLUMNS = [{"type": "time"}, {"type": "number", "labels": _SERIES}]
_FRAME = {"schema": {"fields": _COLUMNS, "meta": {"notices": []}}, "data": {"values": [[1000, 2000], [1, 3]]}}
_WARNED = {**_FRAME, "schema": {"fields": _COLUMNS, "meta": {"notices": [{"severity": "warning", "text": "slow"}]}}}


def grafana(rule: str) -> tuple[World, ...]:
    """Without and with troubles. rule: the uid of an alert rule of ours."""
    rules = [{"uid": rule, "labels": {"managed_by": "prefect-canary"}, "provenance": ""}]
    here = {"dashboard": {"id": 1, "version": 1, "tags": [TAG]}}
    frames = {f"Q{number}": {"frames": [_FRAME] if number == 0 else []} for number in ("", *range(6))}
    good = {
        "/ds/query": {"results": frames},
        "/folders": {"uid": "f", "canSave": True},
        "/dashboards/uid/": here,
        "/dashboards/db": {"version": 2, "url": "/d/x"},
        "GET .*/alert-rules": rules,
        "/api/v1/query": PROMETHEUS[0][""],
        "": {},
    }
    return (good, {"": {"results": {"Q": {"frames": [_WARNED]}, "Q0": {"error": "timed out"}}}})
