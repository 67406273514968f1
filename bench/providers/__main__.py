"""The platforms' blocks against their stateful local servers, in process and in virtual time.

    python -m bench.providers [--json FILE] [--runs N] [--calls N] [--cpu SECONDS] [--seed N]

rollback: web, api (20 machines in 3 regions) and flags, brought back at once. Each request takes 80–300 ms; the servers
          have the vendors' published limits. Seconds from sending exposure 0 to all until every target is verified.
once:     effective mutations of one operation while 30 % of all answers are lost.
spending: requests of one hour of a canary against the published limits.
Machines, networks and vendors are simulated: what is measured is how the blocks and the conductor's verbs go about it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from bench.providers import once, rollback, spending


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.providers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, help="where to write the results, too")
    parser.add_argument("--runs", type=int, default=10, help="rollbacks of each kind")
    parser.add_argument("--calls", type=int, default=1_000_000, help="requests while answers are lost")
    parser.add_argument("--cpu", type=float, default=180.0, help="processor seconds for them at most")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    spent = spending.measured()
    print("\n".join(spending.shown(spent)), end="\n\n", flush=True)
    backs = rollback.measured(asked.runs)
    print("\n".join(rollback.shown(backs)), end="\n\n", flush=True)
    counted = once.measured(asked.calls, asked.cpu, asked.seed)
    print("\n".join(once.shown(counted)))
    if asked.json:
        found = {
            "rollback": rollback.as_data(backs),
            "once": [asdict(each) for each in counted],
            "spending": [asdict(each) for each in spent],
        }
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
