"""deployments/prefect.yaml and the blocks, with Prefect's own commands against a real server."""

from __future__ import annotations

import dataclasses
import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Place

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHASE1 = str(files("canary.plans") / "phase1.yaml")
PREFECT_YAML = str(files("canary.deployments") / "prefect.yaml")
ALL = ("rollout/phase1", "review/review", "watch/watch", "approve/approve", "abort/abort", "roll-back/roll-back")
DEPLOY = ("prefect", "--no-prompt", "deploy", "--prefect-file", PREFECT_YAML, "--all")


async def deployed_by_canary(server: Place) -> str:
    """`canary deploy` of phase 1; the plan's hash."""
    code, output = await server.run("canary", "deploy", PHASE1, "--json")
    assert code == 0, output
    return str(json.loads(output.splitlines()[-1])["hash"])


async def test_a_plan_is_deployed_with_the_shared_deployments(server: Place) -> None:
    """`canary deploy` makes all five, each parameter explained, the plan's hash filled in and the steps described."""
    plan_hash = await deployed_by_canary(server)
    for name in ALL:
        found = await server.deployment(name)
        assert found["work_pool_name"] == "canary"
        assert "Args:" not in found["description"]
        fields = found["parameter_openapi_schema"]["properties"]
        assert [field for field, schema in fields.items() if not schema.get("description")] == []
    phase1 = await server.deployment("rollout/phase1")
    assert phase1["parameters"] == {"plan": plan_hash}
    assert "2. canary: 10% of users on the candidate for 30m" in phase1["description"]


async def test_prefect_deploy_makes_what_canary_deploy_makes(server: Place, tmp_path: Path) -> None:
    """With the hash in CANARY_PLAN, from any folder: the same deployments, by module, with nothing to fetch."""
    plan_hash = await deployed_by_canary(server)
    made = {name: await server.deployment(name) for name in ALL}
    for found in made.values():
        await server.call("DELETE", f"deployments/{found['id']}")
    there = dataclasses.replace(server, env={**server.env, "CANARY_PLAN": plan_hash})
    code, output = await there.run(*DEPLOY, cwd=tmp_path)
    assert code == 0, output
    for name, before in made.items():
        found = await server.deployment(name)
        for field in ("entrypoint", "parameters", "parameter_openapi_schema", "work_pool_name", "tags"):
            assert found[field] == before[field], (name, field)
        assert not found["pull_steps"]


async def test_prefect_deploy_without_the_plans_hash_is_refused(server: Place, tmp_path: Path) -> None:
    """A rollout deployment that names no plan would fail at its first run: Prefect refuses it by the form's schema."""
    await deployed_by_canary(server)
    code, output = await server.run(*DEPLOY[:-1], "--name", "phase1", cwd=tmp_path)
    assert code == 1
    assert "Validation failed for field 'plan'" in "".join(output.split("\n"))


async def test_the_blocks_register(server: Place) -> None:
    """`prefect block register` makes every block type of the package known, so that the UI can make one."""
    code, output = await server.run("prefect", "block", "register", "-m", "canary.blocks")
    assert code == 0, output
    known = {kind["name"] for kind in await server.everything("block_types")}
    assert {"Canary: Envoy route", "Canary: Prometheus server", "Canary: API token", "Canary: terminal"} <= known
