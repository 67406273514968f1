"""One Envoy for all services: the sandbox's configuration once per service, its names put behind the service's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bench.chaos.real.proxy import LAYERS
from canary.sandbox.envoy import bootstrap
from canary.sandbox.sockets import HOST

COLOURS = ("blue", "green")
TOKEN = "chaos"
"""Opens nothing that is not on this machine's loopback for the length of a run."""


def configuration(admin: int, routers: Mapping[str, int], colours: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Ports: Envoy's admin, each service's listener, each colour's server."""
    parts = {service: _named(service, port, colours[service]) for service, port in routers.items()}
    first = next(iter(parts.values()))
    resources = [part["static_resources"] for part in parts.values()]
    static = {kind: [each for part in resources for each in part[kind]] for kind in ("listeners", "clusters")}
    address = {"address": {"socket_address": {"address": HOST, "port_value": admin}}}
    return {**first, "admin": address, "static_resources": static}


def _named(service: str, port: int, colours: Mapping[str, int]) -> Any:
    text = json.dumps(bootstrap(port, colours, TOKEN))  # type: ignore[arg-type]
    for prefix in (*LAYERS, "int"):
        text = text.replace(f'"{prefix}_', f'"{service}_{prefix}_')
    return json.loads(
        text.replace('"routing.', f'"routing.{service}.').replace('"name": "router"', f'"name": "{service}"')
    )


def block_fields(service: str, router: str, proxy: str, colours: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Block reference → its fields, of everything that the service's plan names."""
    urls = [f"http://{HOST}:{port}/metrics" for port in colours.values()]
    blocks: dict[str, dict[str, Any]] = {f"scraper/{service}": {"urls": urls}, "terminal/local": {}}
    for layer in LAYERS:
        blocks[f"envoy/{service}-{layer}"] = {
            "router_url": router,
            "admin_url": f"{proxy}/{service}",
            "admin_token": TOKEN,
            "internal_token": TOKEN,
            "runtime_prefix": f"routing.{service}.{layer}",
            "clusters": {colour: f"{service}_{layer}_{colour}" for colour in COLOURS},
            "deploy_url": f"{proxy}/{service}/deploy",
        }
    return blocks


def plan(service: str) -> dict[str, Any]:
    """A rollout of about 20 seconds: an approval that is granted, 50 % for ten blocks of a second, everybody."""
    canary = {
        "name": "canary",
        "for": "150s",
        "exposure": "50%",
        "criteria": [{"errors": "< 5%"}],
        "approval": {"by": ["owner"], "within": "60m"},
        "on_undecided": {"extend": "150s", "then": "rollback"},
    }
    staging = {"name": "staging", "for": "30s", "exposure": "0%", "checks": [{"name": "health", "get": "/healthz"}]}
    return {
        "name": service,
        "service": service,
        "targets": {layer: {"use": f"envoy/{service}-{layer}"} for layer in LAYERS},
        "mixed_versions": "ok",
        "metrics": f"scraper/{service}",
        "arms": {"canary": {"version": "{candidate}"}, "baseline": {"version": "{stable}"}},
        "signals": {"errors": {"counter": "http_requests_total", "bad": {"status": "5.."}}},
        "traffic": "errors",
        "notify": {"updates": ["terminal/local"], "page": ["terminal/local"]},
        "roles": {"owner": {"name": "Olga Owner"}},
        "announce": {"to": ["terminal/local"], "says": "It is there", "feedback": "https://example.com/f"},
        "phases": [staging, canary, {"name": "full", "exposure": "100%", "then": ["audit", "baseline", "announce"]}],
        "audit": {"error_share": {"signal": "errors", "shows": "share", "in": "percent"}},
        "rollback": {"within": "2m"},
        "time_scale": 15,
        "grant_approvals": True,
    }
