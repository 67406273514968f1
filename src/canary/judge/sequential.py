"""The judge of a rollout: verdicts that stay honest however often one looks.

Each statistical rule gathers evidence that it is broken. Its weighted sum over all rules fails the phase at 1/α, and
a rule is named only when its own part reaches that (Vovk & Wang 2021): so α is risked once a rollout, not once a
rule, a look or a phase. A rule passes when the evidence that it is kept reaches 1/β, and the phase when every rule
does; that needs no correction, since all must. `none` and `any` are literal, and so is what says `profile: literal`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from canary.judge.baseline_trial import BaselineTrial
from canary.judge.block import Block
from canary.judge.evidence import Evidence
from canary.judge.limits_trial import LimitTrial
from canary.judge.literal import literally
from canary.judge.saying import combined, settled, verdict
from canary.judge.sign_trial import SignTrial
from canary.judge.starvation import starvation
from canary.judge.terms import Terms
from canary.judge.trial import Moment, Trial
from canary.judge.verdict import Outcome, PhaseVerdict
from canary.plan.model import AnySeen, NoneSeen, OfBaseline, Rule


@dataclass(frozen=True, slots=True)
class Trials:
    """The trials of a phase's statistical rules after some blocks, and the most that each ever showed.

    together: the most that their weighted sum ever was.
    """

    running: tuple[Trial, ...]
    shares: tuple[float, ...]
    most: tuple[float, ...]
    together: float = 0.0

    @classmethod
    def start(cls, rules: Sequence[Rule], terms: Terms) -> Trials:
        weights = sum(rule.how.weight for rule in rules)
        shares = tuple(rule.how.weight / weights for rule in rules)
        running = tuple(_trial(rule, terms, share) for rule, share in zip(rules, shares, strict=True))
        return cls(running, shares, (0.0,) * len(rules))

    def add(self, block: Block, moment: Moment | None) -> Trials:
        """With one more block; without a moment it is no evidence."""
        if moment is None:
            return self
        running = tuple(trial.add(block, moment) for trial in self.running)
        harms = [trial.harm for trial in running]
        most = tuple(max(each) for each in zip(self.most, harms, strict=True))
        together = max(self.together, sum(share * harm for share, harm in zip(self.shares, harms, strict=True)))
        return Trials(running, self.shares, most, together)


def _trial(rule: Rule, terms: Terms, share: float) -> Trial:
    if not isinstance(rule, OfBaseline):
        assert not isinstance(rule, NoneSeen | AnySeen)
        return LimitTrial.start(rule)
    window = terms.windows.get(rule.measure)
    return BaselineTrial.start(rule, terms.harm / share) if window is None else SignTrial.start(rule, window)


def is_literal(rule: Rule) -> bool:
    """Whether the rule is judged as it is written."""
    return isinstance(rule, NoneSeen | AnySeen) or rule.how.profile == "literal"


@dataclass(slots=True)
class SequentialJudge:
    """Judges by `terms`. It remembers what it has folded, which never changes an answer: it is only faster so."""

    terms: Terms = field(default_factory=Terms)
    _known: dict[tuple[Rule, ...], tuple[Trials, tuple[Block, ...]]] = field(default_factory=dict)

    def judge(
        self, criteria: Sequence[Rule], triggers: Sequence[Rule], evidence: Evidence, *, traffic: str
    ) -> PhaseVerdict:
        """One verdict a rule, then what only all of them together show, then the guards' (warm-up, starvation)."""
        rules = (*criteria, *triggers)
        statistical = tuple(rule for rule in rules if not is_literal(rule))
        trials = self._folded(statistical, evidence)
        found = dict(zip(statistical, zip(trials.running, trials.shares, trials.most, strict=True), strict=True))
        verdicts = [
            literally(rule, evidence) if is_literal(rule) else verdict(rule, evidence, self.terms, *found[rule])
            for rule in rules
        ]
        if trials.together >= self.terms.harm and all(v.outcome is not Outcome.FAIL for v in verdicts):
            verdicts.append(combined(evidence, traffic, self.terms, trials.together, verdicts))
        warm = settled(evidence, traffic, self.terms)
        return PhaseVerdict.of([*verdicts, *([warm] if warm else []), starvation(evidence, traffic)])

    def _folded(self, rules: tuple[Rule, ...], evidence: Evidence) -> Trials:
        timed = [each for trail in (*evidence.before, evidence.trail) for each in self._timed(trail)]
        blocks = tuple(block for block, _ in timed)
        trials, known = self._known.get(rules, (Trials.start(rules, self.terms), ()))
        if blocks[: len(known)] != known:
            trials, known = Trials.start(rules, self.terms), ()
        for block, moment in timed[len(known) :]:
            trials = trials.add(block, moment)
        self._known = {rules: (trials, blocks)}
        return trials

    def _timed(self, trail: Sequence[Block]) -> Iterator[tuple[Block, Moment | None]]:
        """A phase's blocks and when they were; None within its warm-up, and where nothing could be measured."""
        for number, block in enumerate(trail):
            if not block.scrapes or self.terms.settling(trail[0], block):
                yield block, None
            else:
                yield block, Moment(self.terms.minute(block), max(self.terms.horizon - number, 0))
