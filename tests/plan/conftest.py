"""A small sound plan as a document, and a way to break it: JSON is YAML, so edits are plain data."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

PLANS = Path(__file__).parents[2] / "plans"

SOUND: dict[str, Any] = {
    "name": "spring",
    "service": "shop",
    "targets": {
        "api": {"use": "envoy/shop-api"},
        "flags": {"use": "flags/shop", "set": {"spring": True}, "read_by": ["api"]},
    },
    "metrics": "scraper/shop",
    "arms": {"canary": {"version": "{candidate}"}, "baseline": {"version": "{stable}"}},
    "signals": {
        "errors": {"counter": "http_requests_total", "bad": {"status": "5.."}, "endpoint": "route"},
        "latency": {"histogram": "request_seconds", "endpoint": "route"},
        "ui": {"counter": "js_errors_total", "of": "page_views_total", "component": "component"},
    },
    "traffic": "errors",
    "notify": {"updates": ["terminal/local"], "page": ["terminal/local"]},
    "roles": {"owner": {"name": "Olga Owner"}},
    "features": {
        "cart": {"flag": "CART", "endpoints": ["/cart", "/cart.v2"], "components": ["cart"]},
        "search": {"endpoints": ["/search"]},
    },
    "phases": [
        {
            "name": "staging",
            "for": "10m",
            "exposure": "0%",
            "checks": [
                {"name": "home", "get": "/", "bearer": "token/shop"},
                {"name": "numbers", "metrics": ["orders_total"]},
            ],
        },
        {
            "name": "canary",
            "for": "30m",
            "exposure": "10%",
            "approval": {"by": ["owner"], "within": "1h"},
            "criteria": [{"errors": "< 1%"}, {"latency": "p95 < 200ms"}],
            "triggers": [{"errors": "any", "on": "features"}, {"latency": "> 20% over baseline"}],
        },
        {"name": "full", "exposure": "100%"},
    ],
}

GONE = object()
Edits = Mapping[str, Any]


def edited(edits: Edits, document: dict[str, Any] = SOUND) -> dict[str, Any]:
    """The document with values put at dotted paths; GONE deletes."""
    result = copy.deepcopy(document)
    for path, value in edits.items():
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place: Any = result
        for part in parents:
            place = place[part]
        if value is GONE:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(copy.deepcopy(value))
        else:
            place[last] = copy.deepcopy(value)
    return result


@pytest.fixture
def plans() -> Path:
    """The folder with the plans that are shipped."""
    return PLANS


@pytest.fixture
def gone() -> object:
    """The value that makes an edit delete its key."""
    return GONE


@pytest.fixture
def plan_body() -> Callable[[Edits], str]:
    """A maker of stored bodies: the sound plan with edits."""
    return lambda edits: json.dumps(edited(edits))


@pytest.fixture
def plan_file(tmp_path: Path) -> Callable[[Edits], Path]:
    """A maker of plan files: the sound plan with edits."""

    def write(edits: Edits) -> Path:
        file = tmp_path / "plan.yaml"
        file.write_text(json.dumps(edited(edits), indent=1), "utf-8")
        return file

    return write
