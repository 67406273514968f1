"""What a rollout leaves in Grafana: a dashboard, alert rules, annotations. Each write can be asked for again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from canary.blocks.http import DEADLINE, Credential, Http, Rejected, within
from canary.boards.alerting import MARK
from canary.boards.document import TAG, read_from
from canary.errors import CredentialError, ProviderError, ProviderUnavailable
from canary.ports import AlertRule

AT_ONCE = 4
"""Rules that are written side by side."""
_API_KEEPS = {"X-Disable-Provenance": "true"}
"""Without it Grafana would not let people edit the rule any more. Source: Grafana's alerting provisioning API."""


@dataclass(frozen=True, slots=True)
class Pushes:
    """Writes below `{url}/api`, as `as_`, into one folder. Verbs raise as `Http.ask` does."""

    http: Http
    url: str
    as_: Credential
    folder: str
    datasource: str

    async def check(self) -> None:
        """Whether the folder is there and may be written; one that is missing is made later."""
        found = await self._get(f"/folders/{self.folder}")
        if found is not None and found.get("canSave") is False:
            raise CredentialError(self.http.ref, self.as_.of, f"it may not write into the folder {self.folder!r}")

    async def dashboard(self, document: Mapping[str, Any]) -> str:
        """Read, compared, written with the version that was read; once more when somebody was faster."""
        async with within(DEADLINE, f"{self.http.ref}: push dashboard"):
            await self._folder()
            wanted = read_from(document, self.datasource)
            try:
                return await self._save(wanted)
            except Rejected as error:
                if error.status != 412:
                    raise
            return await self._save(wanted)

    async def _save(self, wanted: dict[str, Any]) -> str:
        name = f"dashboard {wanted['uid']}"
        here = await self._here(f"/dashboards/uid/{wanted['uid']}")
        if here is not None and TAG not in here["tags"]:
            raise ProviderError(
                f"{self.http.ref}: {name} has lost the tag {TAG}: it is somebody's own and was left as it is",
                "give it the tag back to have it brought up to date, or give it another uid",
            )
        if here is not None and _holds(here, wanted):
            return f"{name} is as it should be"
        version = {"version": here["version"], "id": here["id"]} if here else {}
        body = {"dashboard": {**wanted, **version}, "folderUid": self.folder, "overwrite": False, "message": TAG}
        said = await self._document("POST", "/dashboards/db", body)
        written, path = (self.http.hide(str(said.get(key, ""))) for key in ("version", "url"))
        return f"{name} written as version {written}: {self.url}{path}"

    async def _here(self, path: str) -> dict[str, Any] | None:
        """The dashboard that is there, with what is read of it; None for none."""
        found = await self._get(path)
        here = found.get("dashboard") if found is not None else {}
        if not isinstance(here, dict) or (here and not {"id", "version"} <= here.keys()):
            raise self._odd("GET", path)
        tags = here.get("tags")
        return {**here, "tags": tags if isinstance(tags, list) else []} if here else None

    async def alerts(self, group: str, rules: Sequence[AlertRule]) -> str:
        """Of the rules in Grafana, those that carry our label are brought up to date, and nobody else's touched."""
        at_once = asyncio.Semaphore(AT_ONCE)
        async with within(DEADLINE, f"{self.http.ref}: push alert rules") as writing:
            await self._folder()
            known = await self._rules()
            done = [writing.create_task(self._rule(group, rule, known, at_once)) for rule in rules]
        count = {what: [task.result() for task in done].count(what) for what in ("new", "changed", "left alone")}
        more = ", ".join(f"{number} {what}" for what, number in count.items() if number)
        return f"{len(rules)} alert rules in folder {self.folder}" + (f" ({more})" if more else "")

    async def _rules(self) -> dict[str, Mapping[str, Any]]:
        """All alert rules there are, by uid."""
        path = "/v1/provisioning/alert-rules"
        said = await self._send("GET", path)
        if not isinstance(said, list) or not all(isinstance(r, dict) and isinstance(r.get("uid"), str) for r in said):
            raise self._odd("GET", path)
        return {rule["uid"]: rule for rule in said}

    async def _rule(
        self, group: str, rule: AlertRule, known: Mapping[str, Mapping[str, Any]], at_once: asyncio.Semaphore
    ) -> str:
        # The builder is loaded when something is pushed, and not with every command that opens a block.
        from canary.boards.grafana_rules import provisioned

        wanted = provisioned(rule, rule_uid(group, rule), group, self.folder, self.datasource)
        here = known.get(wanted["uid"])
        if here is not None and not _ours(here):
            return "left alone"
        if here is not None and _holds(here, wanted):
            return "unchanged"
        async with at_once:
            if here is None:
                await self._send("POST", "/v1/provisioning/alert-rules", wanted, _API_KEEPS)
                return "new"
            await self._send("PUT", f"/v1/provisioning/alert-rules/{wanted['uid']}", wanted, _API_KEEPS)
            return "changed"

    async def annotate(self, text: str, tags: Sequence[str], at: float) -> None:
        """A mark for the whole organisation at unix seconds `at`, found by its tags. Milliseconds on the wire."""
        body = {"text": text, "tags": [*tags], "time": round(at * 1000)}
        await self._send("POST", "/annotations", body)

    async def _folder(self) -> None:
        """Made when it is missing; when somebody makes it at the same time, it is there, too."""
        if await self._get(f"/folders/{self.folder}") is not None:
            return
        try:
            await self._send("POST", "/folders", {"uid": self.folder, "title": self.folder})
        except Rejected as error:
            if error.status not in (409, 412):
                raise

    async def _get(self, path: str) -> dict[str, Any] | None:
        """The document, or None for 404."""
        try:
            return await self._document("GET", path)
        except Rejected as error:
            if error.status != 404:
                raise
            return None

    async def _document(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        said = await self._send(method, path, body)
        if not isinstance(said, dict):
            raise self._odd(method, path)
        return said

    async def _send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        proof = Credential(self.as_.of, {**self.as_.headers, **(headers or {})})
        content = {} if body is None else {"json": body}
        said = await self.http.ask(method, f"{self.url}/api{path}", as_=proof, **content)
        if not isinstance(said, dict | list):
            raise self._odd(method, path)
        return said

    def _odd(self, method: str, path: str) -> ProviderUnavailable:
        return ProviderUnavailable(
            f"{self.http.ref}: {method} {self.url}/api{path} answered no such document as Grafana's",
            "check that the block's url is Grafana",
        )


def _ours(here: Mapping[str, Any]) -> bool:
    """A rule that carries our label, and that nobody provisions from files or by another API."""
    labels = here.get("labels")
    return isinstance(labels, dict) and MARK.items() <= labels.items() and not here.get("provenance")


def rule_uid(group: str, rule: AlertRule) -> str:
    """The same for ever for one rule of one plan. Source: Grafana takes 40 characters of a-z, A-Z, 0-9, - and _."""
    named = "/".join((group, rule.labels.get("severity", ""), rule.name))
    return f"canary-{hashlib.sha256(named.encode()).hexdigest()[:24]}"


def _holds(here: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether all that is wanted is there; Grafana adds keys of its own."""
    return all(here.get(key) == value for key, value in wanted.items() if key != "orgID")
