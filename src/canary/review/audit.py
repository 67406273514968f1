"""The audit event: what an auditor is told of a rollout that reached everybody."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from canary.plan.model import Plan
from canary.review.figures import measured
from canary.rollout.state import State


def audit_event(plan: Plan, state: State, at: float) -> dict[str, Any]:
    """The event, with measured values only; `at` in unix seconds, in the event RFC 3339 in UTC.

    The canary's duration is in minutes of plan time, which are real ones unless the plan has a `time_scale`.
    """
    minutes = state.canary_seconds * plan.time_scale / 60
    return {
        "type": f"{plan.name}_rollout_complete",
        "timestamp": datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "details": {
            "canary_duration_minutes": round(minutes, 1),
            "success_metrics": measured(plan.audit, state.evidence),
            "features_deployed": [name for name in plan.features if name not in state.features_off],
            **({"features_switched_off": list(state.features_off)} if state.features_off else {}),
        },
    }
