"""Every promise that is broken on purpose: the edit still fits the code."""

from __future__ import annotations

import pytest

from bench.chaos.breaks import BREAKS, ROOT, Break


@pytest.mark.parametrize("each", BREAKS, ids=lambda each: each.what.replace(" ", "-"))
def test_an_edit_stands_once_and_leaves_a_program(each: Break) -> None:
    """One that fits nowhere any more would break nothing, and would be found out only after hours of storm."""
    text = (ROOT / "src" / "canary" / each.file).read_text()
    assert text.count(each.old) == 1, f"{each.what}: {each.old!r} in {each.file}"
    compile(text.replace(each.old, each.new), each.file, "exec")
    assert each.promise in {"I1", "I2", "I3", "I4", "I6", "I7", "once"}
