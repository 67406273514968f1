"""`canary blocks apply` and `canary doctor` beside a Prefect server: what is made there, and what is missing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from canary.cli.beginning import begin

if TYPE_CHECKING:
    from .conftest import Place

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "s3cret-token"
VALUES = {
    "ROUTER_URL": "http://127.0.0.1:9",
    "ADMIN_URL": "http://127.0.0.1:9",
    "ADMIN_TOKEN": SECRET,
    "INTERNAL_TOKEN": SECRET,
    "DEPLOY_URL": "http://127.0.0.1:9",
    "METRICS_BLUE": "http://127.0.0.1:9/metrics",
    "METRICS_GREEN": "http://127.0.0.1:9/metrics",
}


async def documents(new_server: Place) -> dict[str, Any]:
    """Block reference → the block document, as Prefect's API shows it."""
    found = await new_server.ask("block_documents/filter")
    return {f"{one['block_type']['slug']}/{one['name']}": one for one in found}


async def doctor(there: Place, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, findings by what they are about, and everything that was printed."""
    code, output = await there.run("canary", "doctor", "--json", *options)
    line = next(line for line in output.splitlines() if line.startswith('{"missing"'))
    return code, {finding["what"]: finding for finding in json.loads(line)["findings"]}, output


async def test_blocks_are_made_once_and_then_brought_up_to_date(new_server: Place, tmp_path: Path) -> None:
    """Applied twice there is one document of each; a new value replaces the old one; no secret is printed."""
    _, blocks = begin(tmp_path, "docflow")
    for router in ("http://127.0.0.1:9", "http://127.0.0.1:10"):
        there = dataclasses.replace(new_server, env={**new_server.env, **VALUES, "ROUTER_URL": router})
        code, output = await there.run("canary", "blocks", "apply", str(blocks))
        assert code == 0, output
        assert sorted(output.splitlines()) == [f"{ref}: applied" for ref in sorted(await documents(new_server))]
        assert SECRET not in output
    made = await documents(new_server)
    assert set(made) == {"envoy/docflow", "scraper/docflow", "terminal/local"}
    assert made["envoy/docflow"]["data"]["router_url"] == "http://127.0.0.1:10"
    assert SECRET not in json.dumps(made)


async def test_the_doctor_names_what_is_missing_until_it_is_there(new_server: Place, tmp_path: Path) -> None:
    """Before the plan is deployed, its absence; afterwards each block that is missing or does not answer."""
    plan, _ = begin(tmp_path, "shop")
    code, found, _ = await doctor(new_server)
    assert code == 1
    absent = {"work pool", "worker", "deployments", "plans"}
    assert {what for what, finding in found.items() if finding["standing"] == "missing"} == absent
    assert all(finding["fix"] for finding in found.values() if finding["standing"] == "missing")

    assert (await new_server.run("canary", "deploy", str(plan)))[0] == 0
    code, found, output = await doctor(new_server, "--notify")
    assert code == 1
    gone = {what for what, finding in found.items() if finding["standing"] == "missing"}
    assert gone == {"worker", "block envoy/shop", "block scraper/shop"}
    assert "there is no such block" in found["block envoy/shop"]["detail"]
    assert found["plan shop"]["standing"] == "warning"
    assert found["page by terminal/local"]["detail"] == "not confirmed: written"
    assert "PAGE [doctor]" in output


async def test_a_deployed_plan_that_this_journal_does_not_know_is_missing(new_server: Place, tmp_path: Path) -> None:
    """A worker with another journal would start nothing: the doctor on its machine says so."""
    plan, _ = begin(tmp_path, "elsewhere")
    assert (await new_server.run("canary", "deploy", str(plan)))[0] == 0
    there = dataclasses.replace(new_server, env={**new_server.env, "CANARY_HOME": str(tmp_path / "other")})
    code, found, _ = await doctor(there)
    assert code == 1
    assert found["plan elsewhere"]["standing"] == "missing"
    assert "this journal has no plan" in found["plan elsewhere"]["detail"]
