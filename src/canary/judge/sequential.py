"""The judge of a rollout: verdicts that stay honest however often one looks.

Each statistical rule gathers evidence that it is broken. Its weighted sum over all rules fails the phase at 1/α, and
a rule is named only when its own part reaches that (Vovk & Wang 2021): so α is risked once a rollout, not once a
rule, a look or a phase. A rule passes when the evidence that it is kept reaches 1/β, and the phase when every rule
does; that needs no correction, since all must. `none` and `any` are literal, and so is what says `profile: literal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
from canary.plan.rules import is_literal


@dataclass(frozen=True, slots=True)
class Trials:
    """The trials of a phase's statistical rules after `folded` blocks, and the most that each ever showed.

    together: the most that their weighted sum ever was.
    """

    running: tuple[Trial, ...]
    shares: tuple[float, ...]
    most: tuple[float, ...]
    together: float = 0.0
    folded: int = 0
    last: Block | None = None

    @classmethod
    def start(cls, rules: Sequence[Rule], terms: Terms) -> Trials:
        weights = sum(rule.how.weight for rule in rules)
        shares = tuple(rule.how.weight / weights for rule in rules)
        running = tuple(_trial(rule, terms, share) for rule, share in zip(rules, shares, strict=True))
        return cls(running, shares, (0.0,) * len(rules))

    def add(self, block: Block, moment: Moment | None) -> Trials:
        """With one more block; without a moment it is no evidence, and only counts as folded."""
        if moment is None:
            return replace(self, folded=self.folded + 1, last=block)
        running = tuple(trial.add(block, moment) for trial in self.running)
        harms = [trial.harm for trial in running]
        most = tuple(max(each) for each in zip(self.most, harms, strict=True))
        together = max(self.together, sum(share * harm for share, harm in zip(self.shares, harms, strict=True)))
        return Trials(running, self.shares, most, together, self.folded + 1, block)


def _trial(rule: Rule, terms: Terms, share: float) -> Trial:
    if not isinstance(rule, OfBaseline):
        assert not isinstance(rule, NoneSeen | AnySeen)
        return LimitTrial.start(rule)
    window = terms.windows.get(rule.measure)
    return BaselineTrial.start(rule, terms.harm / share) if window is None else SignTrial.start(rule, window)


@dataclass(slots=True)
class SequentialJudge:
    """Judges by `terms`. It remembers what it has folded, which never changes an answer: it is only faster so."""

    terms: Terms = field(default_factory=Terms)
    _known: dict[tuple[Rule, ...], Trials] = field(default_factory=dict)

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
        blocks = (*evidence.before, *evidence.trail)
        trials = self._known.get(rules)
        goes_on = (
            trials and trials.folded <= len(blocks) and (not trials.folded or blocks[trials.folded - 1] is trials.last)
        )
        if not (trials and goes_on):
            trials = Trials.start(rules, self.terms)
        for number in range(trials.folded, len(blocks)):
            trials = trials.add(blocks[number], self._moment(evidence, blocks, number))
        self._known = {rules: trials}
        return trials

    def _moment(self, evidence: Evidence, blocks: Sequence[Block], number: int) -> Moment | None:
        """None within the warm-up, and for a block in which nothing could be measured."""
        block, before = blocks[number], len(evidence.before)
        if not block.scrapes or (number >= before and self.terms.settling(blocks[before], block)):
            return None
        return Moment(self.terms.minute(block), max(self.terms.horizon - (number - before), 0))
