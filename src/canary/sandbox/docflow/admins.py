"""Which admins this process has seen, and which of them have tried which feature."""

from __future__ import annotations

from canary.sandbox.docflow.versioned import Versioned
from canary.sandbox.wire import FEATURES, Feature, is_admin

ANY = "any"
"""The label of those who used at least one: the features' own numbers overlap."""


class Admins:
    """Distinct users. They cannot grow without bound: an admin's id is one of 20,000."""

    def __init__(self, metrics: Versioned) -> None:
        self._seen: set[str] = set()
        self._tried: dict[Feature, set[str]] = {feature: set() for feature in FEATURES}
        metrics.gauge("admins_seen", "Distinct admins seen").set_function(self._seen.__len__)
        by_feature = metrics.gauge("admins_seen_by_feature", "Distinct admins who used the feature", "feature")
        for feature, admins in self._tried.items():
            by_feature.labels(feature.name, metrics.version).set_function(admins.__len__)
        by_feature.labels(ANY, metrics.version).set_function(lambda: len(set().union(*self._tried.values())))

    def came(self, user: str) -> None:
        """`user` is what the request says in `x-user`; empty when it says nothing."""
        if is_admin(user):
            self._seen.add(user)

    def tried(self, feature: Feature, user: str) -> None:
        if is_admin(user):
            self._tried[feature].add(user)
