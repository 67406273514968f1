"""Tests are collected once; each mutant is a fork of that process, and dies with the first test that fails."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import resource
import select
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from coverage import Coverage

from bench.mutants.installing import functions, install
from bench.mutants.operators import Mutant

ROOT = Path(__file__).resolve().parents[2]
SURVIVED, KILLED, BROKEN = 0, 1, 3
ASLEEP_FOR = 5.0
"""Seconds without any computing after which a mutant is taken to wait for ever. Time is virtual in these tests."""
EXTRA, TIMES = 5.0, 4.0
"""CPU seconds that a mutant gets for a test, and how many times those of the test without it besides."""
GIGABYTE = 2**30


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tests do without a mutant. seconds: test → CPU. lines: file → line → tests that run it."""

    seconds: Mapping[str, float]
    lines: Mapping[str, Mapping[int, Sequence[str]]]

    def tests(self, file: str, lines: range | None) -> list[str]:
        """Those that run one of the lines; all, for what runs at import alone. The quickest first."""
        here = self.lines.get(file, {})
        found = self.seconds if lines is None else {name for line in lines for name in here.get(line, ())}
        return sorted(found, key=lambda name: (self.seconds[name], name))


Told = Callable[[str, Mutant, bool], None]
"""File, mutant, whether it was killed."""


@dataclass(eq=False)
class Mutating:
    """The plugin. Given file → mutants, it tells of each what became of it."""

    wanted: Mapping[str, Sequence[Mutant]]
    told: Told
    most: float
    failed: bool = False
    modules: dict[str, ModuleType] = field(default_factory=dict)

    def pytest_configure(self) -> None:
        """A failing example is enough: nobody reads the shortest one."""
        # Pytest warns of plugins that were imported before it.
        from hypothesis import Phase, settings

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutants", settings(), derandomize=True, deadline=None, database=None, phases=phases)
        settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        self.modules = {file: _imported(file) for file in self.wanted}
        for module in self.modules.values():
            functions(module)
        facts = self._facts(items)
        for file, every in self.wanted.items():
            for mutant in every:
                tests = list(_within(self.most, facts.tests(file, mutant.lines), facts.seconds))
                self.told(file, mutant, self._killed(file, mutant, [items[name] for name in tests], facts))
        return True

    def _facts(self, items: Mapping[str, pytest.Item]) -> Facts:
        """All tests once, in a fork that leaves nothing behind. Raises RuntimeError when one fails."""
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / "facts.json"
            child = os.fork()
            if child == 0:
                _alone(lambda: self._measure(items, kept))
            if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != SURVIVED:
                raise RuntimeError("a test fails without any mutant: run pytest")
            found = json.loads(kept.read_text())
        lines = {file: {int(line): names for line, names in here.items()} for file, here in found["lines"].items()}
        return Facts(found["seconds"], lines)

    def _measure(self, items: Mapping[str, pytest.Item], kept: Path) -> int:
        covered = Coverage(data_file=None, config_file=False, include=[str(ROOT / file) for file in self.wanted])
        seconds = {}
        covered.start()
        for name, item, following in _in_order(list(items.values())):
            began = time.process_time()
            covered.switch_context(name)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            seconds[name] = time.process_time() - began
        covered.stop()
        data = covered.get_data()
        lines = {file: data.contexts_by_lineno(str(ROOT / file)) for file in self.wanted}
        kept.write_text(json.dumps({"seconds": seconds, "lines": lines}))
        return KILLED if self.failed else SURVIVED

    def _killed(self, file: str, mutant: Mutant, items: Sequence[pytest.Item], facts: Facts) -> bool:
        if not items:
            return False
        child = os.fork()
        if child == 0:
            _alone(lambda: self._try(self.modules[file], mutant, items, facts.seconds))
        ended = _end_of(child)
        if ended == BROKEN:
            raise RuntimeError(f"{file}: {mutant.name}: the mutant could not be tried")
        return ended != SURVIVED

    def _try(
        self, module: ModuleType, mutant: Mutant, items: Sequence[pytest.Item], seconds: Mapping[str, float]
    ) -> int:
        resource.setrlimit(resource.RLIMIT_DATA, (3 * GIGABYTE, 3 * GIGABYTE))
        install(module, mutant.code)
        for name, item, following in _in_order(items):
            _limit(EXTRA + TIMES * seconds[name])
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return KILLED
        return SURVIVED


def run(tests: Iterable[str], wanted: Mapping[str, Sequence[Mutant]], told: Told, most: float) -> None:
    """Every mutant against the tests that run its lines; of these, the quickest `most` CPU seconds.

    Raises RuntimeError when a test fails without a mutant, or nothing is collected.
    """
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        os.environ["CANARY_HOME"] = folder
        options = ["-q", "-s", "-p", "no:cacheprovider", f"--basetemp={folder}/tests", "--rootdir", str(ROOT)]
        ended = pytest.main([*options, *tests], plugins=[Mutating(wanted, told, most)])
    if ended != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with {ended!r}")


def _imported(file: str) -> ModuleType:
    return importlib.import_module(file.removeprefix("src/").removesuffix(".py").replace("/", "."))


def _within(most: float, tests: Sequence[str], seconds: Mapping[str, float]) -> Iterator[str]:
    spent = 0.0
    for name in tests:
        spent += seconds[name]
        if spent > most:
            return
        yield name


def _in_order(items: Sequence[pytest.Item]) -> Iterator[tuple[str, pytest.Item, pytest.Item | None]]:
    for item, following in zip(items, [*items[1:], None], strict=True):
        yield item.nodeid, item, following


def _limit(seconds: float) -> None:
    """This process is ended when it has computed for so long from now."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), most))


def _alone(work: Callable[[], int]) -> Any:
    """The rest of a forked process: silent, and over with the work."""
    status = BROKEN
    with contextlib.suppress(BaseException):
        os.setpgrp()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        status = work()
    os._exit(status)


def _end_of(child: int) -> int:
    """Its exit status; one that sleeps for too long is ended."""
    computed, since, ended = -1, time.monotonic(), os.pidfd_open(child)
    while not select.select([ended], [], [], 0.5)[0]:
        now = _computed(child)
        if now != computed:
            computed, since = now, time.monotonic()
        elif time.monotonic() - since > ASLEEP_FOR:
            os.killpg(child, signal.SIGKILL)
    os.close(ended)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _computed(child: int) -> int:
    """Its clock ticks so far; one that could compute, and is not let, counts on."""
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) if fields[0] != "R" else time.monotonic_ns()
