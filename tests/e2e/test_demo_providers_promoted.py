"""`canary demo --providers` without a fault. It counts on real latencies: nothing else may run meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CANARY = Path(sys.executable).parent / "canary"
SLOW = 290


def test_a_healthy_release_reaches_everybody_on_every_platform(tmp_path: Path) -> None:
    """Exit 0: the plan's platforms serve the candidate, and have what a rollout leaves behind."""
    argv = [str(CANARY), "demo", "--providers", "--json"]
    env = os.environ | {"CANARY_HOME": str(tmp_path)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=SLOW)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    found = json.loads((tmp_path / "rollouts" / outcome["rollout"] / "platforms.json").read_text())
    machines = found["Fly"]["state"]["machines"]
    assert [(m["image"], m["users"]) for m in machines] == [("2.1.0", True)] * 10, "and the extra machine is gone"
    assert found["Vercel"]["state"]["users"] == {"dpl_candidate": 1.0}
    assert found["Global Config"]["state"]["items"]["phase1_enabled"] is True
    assert found["Grafana"]["state"]["dashboards"] == ["canary-phase1"]
    assert found["Grafana"]["state"]["alert_rules"]
    assert {message["to"] for message in found["Slack"]["state"]["messages"]} >= {"slack/sre", "slack/docflow-admins"}
    assert found["Grafana"]["requests"]["POST /api/datasources/proxy/uid/{uid}/api/v1/query"] > 100
