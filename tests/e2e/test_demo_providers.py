"""`canary demo --providers` with a fault: the users of a bad release are taken off it by the platforms themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from canary.sandbox.state import is_running

CANARY = Path(sys.executable).parent / "canary"
SLOW = 280


def test_errors_are_rolled_back_on_every_platform(tmp_path: Path) -> None:
    """Exit 3: Fly's machines, Vercel's production and the flag are as before; nothing is left running."""
    argv = [str(CANARY), "demo", "--providers", "--fault", "errors", "--json"]
    env = os.environ | {"CANARY_HOME": str(tmp_path)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=SLOW)
    assert done.returncode == 3, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert (outcome["outcome"], outcome["verified"], outcome["phase"]) == ("rolled_back", True, "canary")
    assert "Fly: 1 of 10 machines run 2.1.0; Vercel: 90% on dpl_stable, 10% on dpl_candidate" in done.stderr
    found = json.loads((tmp_path / "rollouts" / outcome["rollout"] / "platforms.json").read_text())
    machines = found["Fly"]["state"]["machines"]
    assert [(m["image"], m["users"]) for m in machines] == [("2.0.9", True)] * 10
    assert found["Vercel"]["state"]["users"] == {"dpl_stable": 1.0}
    assert found["Global Config"]["state"]["items"]["phase1_enabled"] is False
    assert found["Grafana"]["state"]["dashboards"] == []
    told = [m["text"] for m in found["Slack"]["state"]["messages"]]
    assert any("http_errors on features" in text for text in told)
    assert not is_running(tmp_path)


def test_a_feature_that_fails_alone_is_switched_off_alone(tmp_path: Path) -> None:
    """Exit 6: held at 10 % without it, shown to have recovered; at the end of the demo all is as before."""
    argv = [str(CANARY), "demo", "--providers", "--fault", "feature", "--json"]
    env = os.environ | {"CANARY_HOME": str(tmp_path)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=SLOW)
    assert done.returncode == 6, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert (outcome["outcome"], outcome["verified"], outcome["phase"]) == ("feature_rolled_back", True, "canary")
    assert outcome["features_off"] == ["queue_ai_enrichment"]
    assert done.stderr.count("SWITCHING OFF queue_ai_enrichment alone (NEXT_PUBLIC_ENABLE_AI_QUEUE on flags)") == 1
    assert "Vercel: 90% on dpl_stable, 10% on dpl_candidate" in done.stderr.partition("SWITCHING OFF")[2]
    found = json.loads((tmp_path / "rollouts" / outcome["rollout"] / "platforms.json").read_text())
    assert found["Vercel"]["state"]["users"] == {"dpl_stable": 1.0}
    assert found["Global Config"]["state"]["items"]["NEXT_PUBLIC_ENABLE_AI_QUEUE"] is True
    assert not is_running(tmp_path)
