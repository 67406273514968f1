"""The rule of Kayenta's NetflixACAJudge, to compare our judge with; no plan and no command uses it.

Written after the source of spinnaker/spinnaker, folder kayenta/, commit f8b98eba (Apache-2.0): MannWhitney.scala,
BrentSolver.java, MannWhitneyClassifier.scala, MeanInequalityClassifier.scala, EffectSizes.scala, Transforms.scala
and NetflixACAJudge.scala. Kayenta's test is the asymptotic one at every sample size: it has no exact branch.

Where it differs, on purpose:
- Two constant arms get no random noise but its expected values, so that the same numbers get the same label; their
  effect size is that of the numbers as given.
- What Kayenta labels Error (every observation tied) raises MeasurementFailed, and so do infinite values.
- An unknown direction, strategy or measure raises BadUsage; Kayenta silently takes its default.
"""

from canary.judge.kayenta.rule import Classification, Label, classify

__all__ = ["Classification", "Label", "classify"]
