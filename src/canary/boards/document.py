"""What is known of a dashboard without building one: its uid, its tag, and the variable that names its data source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canary.plan.model import Plan

TAG = "prefect-canary"
"""Dashboards with it are ours to bring up to date; so are the marks that they show."""
SOURCE = "datasource"


def uid(plan: Plan) -> str:
    """The dashboard's, the same for ever. Source: Grafana takes 40 characters of a-z, A-Z, 0-9, - and _."""
    return f"canary-{plan.name}"[:40]


def read_from(document: Mapping[str, Any], source_uid: str) -> dict[str, Any]:
    """The document, showing that data source at first."""
    chosen = {"selected": True, "text": source_uid, "value": source_uid}
    variables = [
        {**variable, "current": chosen} if variable["name"] == SOURCE else variable
        for variable in document["templating"]["list"]
    ]
    return {**document, "templating": {"list": variables}}
