"""`canary demo --providers` with a fault: the users of a bad release are taken off it by the platforms themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from canary.sandbox.state import is_running

CANARY = Path(sys.executable).parent / "canary"
SLOW = 280


def demo(home: Path, fault: str, code: int) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The outcome, what became of each platform, and what was told, of a demo that ends with that exit code."""
    argv = [str(CANARY), "demo", "--providers", "--fault", fault, "--json"]
    env = os.environ | {"CANARY_HOME": str(home)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=SLOW)
    assert done.returncode == code, done.stderr
    assert not is_running(home)
    outcome = json.loads(done.stdout.splitlines()[-1])
    return outcome, json.loads((home / "rollouts" / outcome["rollout"] / "platforms.json").read_text()), done.stderr


def test_errors_are_rolled_back_on_every_platform(tmp_path: Path) -> None:
    """Exit 3: Fly's machines, Vercel's production and the flag are as before; nothing is left running."""
    outcome, found, told = demo(tmp_path, "errors", 3)
    assert (outcome["outcome"], outcome["verified"], outcome["phase"]) == ("rolled_back", True, "canary")
    assert "Fly: 1 of 10 machines run 2.1.0; Vercel: 90% on dpl_stable, 10% on dpl_candidate" in told
    machines = found["Fly"]["state"]["machines"]
    assert [(m["image"], m["users"]) for m in machines] == [("2.0.9", True)] * 10
    assert found["Vercel"]["state"]["users"] == {"dpl_stable": 1.0}
    assert found["Global Config"]["state"]["items"]["phase1_enabled"] is False
    assert found["Grafana"]["state"]["dashboards"] == []
    assert any("http_errors on features" in m["text"] for m in found["Slack"]["state"]["messages"])


def test_a_feature_that_fails_alone_is_switched_off_alone(tmp_path: Path) -> None:
    """Exit 6: held at 10 % without it, shown to have recovered; at the end of the demo all is as before."""
    outcome, found, told = demo(tmp_path, "feature", 6)
    assert (outcome["outcome"], outcome["verified"], outcome["phase"]) == ("feature_rolled_back", True, "canary")
    assert outcome["features_off"] == ["queue_ai_enrichment"]
    assert told.count("SWITCHING OFF queue_ai_enrichment alone (NEXT_PUBLIC_ENABLE_AI_QUEUE on flags)") == 1
    assert "Vercel: 90% on dpl_stable, 10% on dpl_candidate" in told.partition("SWITCHING OFF")[2]
    assert found["Vercel"]["state"]["users"] == {"dpl_stable": 1.0}
    assert found["Global Config"]["state"]["items"]["NEXT_PUBLIC_ENABLE_AI_QUEUE"] is True
