"""What is mutated, and which tests look."""

from __future__ import annotations

FILES = (
    "src/canary/rollout/folding.py",
    "src/canary/rollout/decide.py",
    "src/canary/rollout/state.py",
    "src/canary/journal/fencing.py",
    "src/canary/rollout/lease.py",
    "src/canary/guard.py",
    "src/canary/rollout/reviving.py",
    "src/canary/judge/block.py",
    "src/canary/judge/evidence.py",
    "src/canary/judge/flow.py",
    "src/canary/judge/sequential.py",
)

TESTS = (
    "tests/judge/test_judge_evidence.py",
    "tests/judge/test_judge_folding.py",
    "tests/judge/test_judge_sequential.py",
    "tests/judge/test_judge_starvation.py",
    "tests/judge/test_judge_trials.py",
    "tests/journal/test_fencing.py",
    "tests/journal/test_journal_conformance.py",
    "tests/rollout/test_asking_runs.py",
    "tests/rollout/test_decide.py",
    "tests/rollout/test_decide_exactly.py",
    "tests/rollout/test_features.py",
    "tests/rollout/test_folding.py",
    "tests/rollout/test_folding_rules.py",
    "tests/rollout/test_guard.py",
    "tests/rollout/test_guard_looks.py",
    "tests/rollout/test_lease.py",
    "tests/rollout/test_outcome.py",
    "tests/rollout/test_record.py",
    "tests/rollout/test_reviving.py",
    "tests/rollout/test_state.py",
)
"""The quick ones that are nearest to the targets, in virtual time: what only a whole rollout notices is not counted."""
AIM = 0.9
"""The share of a file's mutants that some test must notice."""
