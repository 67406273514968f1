"""The one process that drives a rollout: asks `decide`, journals the answer, carries it out, asks again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from canary.boards.document import TAG
from canary.errors import BadUsage, CandidateUnhealthy, Conflict, CredentialError, JournalUnavailable, ProviderError
from canary.plan.model import Phase, Plan, Step, UiCheck
from canary.ports import Access, Clock, Release, Vault, Verification
from canary.rollout import decide as d
from canary.rollout import events as e
from canary.rollout.adapters import Adapters
from canary.rollout.checks import Checks
from canary.rollout.closing import Closing
from canary.rollout.desk import Desk
from canary.rollout.effects import look_at_all, raise_all, shown
from canary.rollout.features import switched_off
from canary.rollout.judging import JudgeOf, judge_of
from canary.rollout.lease import Lease
from canary.rollout.pager import Pager
from canary.rollout.record import RETRY_EVERY, Record
from canary.rollout.retreat import Retreat
from canary.rollout.soak import Soak
from canary.rollout.state import State
from canary.rollout.thread import line, mark, mentions, opening
from canary.rollout.waiting import PROVIDER_TIMEOUT, pause, unless

NEWS_EVERY = 1.0
"""Seconds between two looks for people's entries: an abort is seen within this."""
PREPARE_TRIES = 3
PARTING = 2.0
"""Seconds for messages that wait when the conductor leaves: until then it keeps the lease from another one."""
LAST_WORDS = PROVIDER_TIMEOUT + 0.5
"""Seconds for them when the rollout has ended: nobody waits for the lease then, and how it ended should be told."""
COLLECTS_WITHIN = 2 * d.LOOK_EVERY
"""Seconds of plan time in which a metric of the candidate must have grown."""
RAISE_AGAIN_AFTER = 3.0
"""Seconds between two tries to raise: all of them together outlast the slowest published rate, 5 s (design I4)."""


class Conductor:
    """Carries out one rollout's actions on its adapters. Used by one task at a time; see `conducting`."""

    def __init__(
        self,
        plan: Plan,
        record: Record,
        lease: Lease,
        adapters: Adapters,
        vault: Vault,
        closing: Closing,
        judge_of: JudgeOf = judge_of,
    ) -> None:
        self.plan = plan
        self.record = record
        self.lease = lease
        self.adapters = adapters
        self.vault = vault
        self.closing = closing
        self.clock: Clock = record.clock
        self.news = asyncio.Event()
        told, boards = (adapters.updates, adapters.page), adapters.dashboards
        self.desk = Desk(self.clock, record.state.rollout, *told, record.tell, record.state.threads, boards)
        self.pager = Pager(record, self.desk)
        self.retreat = Retreat(plan, record, lease, adapters.targets)
        self.soak = Soak(plan, record, adapters, self.retreat, self.news, judge_of)
        self._access: dict[str, Access] = {}
        self._checks: Checks | None = None
        self._untold = False

    @property
    def state(self) -> State:
        return self.record.state

    # --- driving ----------------------------------------------------------------------------------------

    async def run_phase(self, phase: str) -> State:
        """Until the phase has passed, or exposure 0 is sent, or the rollout has ended."""
        over = (d.Done, d.FinishRollback, d.Close, d.Promote)
        return await self._drive(lambda a: isinstance(a, over) or (isinstance(a, d.StartPhase) and a.phase != phase))

    async def await_approval(self, phase: str) -> State:
        """Until everybody who must has approved the phase, or exposure 0 is sent."""
        asking = (d.AskApproval, d.GrantApproval, d.AwaitApproval, d.RollBack)
        return await self._drive(
            lambda a: not isinstance(a, asking) and not (isinstance(a, d.StartPhase) and a.phase == phase)
        )

    async def close(self, step: Step) -> State:
        """Until the step of the closing is done or given up, or exposure 0 is sent."""
        return await self._drive(lambda a: a != d.Close(step) and not isinstance(a, d.RollBack))

    async def _drive(self, over: Callable[[d.Action], bool]) -> State:
        while True:
            try:
                await self.record.refresh()
                # Whatever is folded from here on, by whichever task, is news to what is decided now.
                self.news.clear()
                if self.record.unrenewed:
                    raise JournalUnavailable("the journal can be read, and takes no line")
                action = d.decide(self.plan, self.state, self.clock.now())
                if over(action):
                    return self.state
                self.lease.check()
                await self._carry_out(action)
            except Conflict:
                continue
            except JournalUnavailable as error:
                # At full, where all was judged good, users stay, and the pager pages until the journal is back. Whoever
                # stood still until its lease had run out may have a successor that has finished: it only leaves.
                if self.record.too_silent and not self.state.at_full and not self.lease.over:
                    await self.roll_back("conductor", f"the journal does not answer: {error.what}")
                    return self.state
                await self.clock.sleep(RETRY_EVERY)

    async def _carry_out(self, action: d.Action) -> None:
        match action:
            case d.Preflight():
                raise BadUsage(
                    f"rollout {self.state.rollout} has not passed preflight: nothing is known to conduct it by",
                    "start a new one: canary start PLAN --version VERSION",
                )
            case d.StartPhase(phase):
                await self.record.decide(e.PhaseStarted(phase=phase))
            case d.Prepare(target):
                await self._prepare(target)
            case d.AskApproval() | d.GrantApproval() | d.AwaitApproval():
                await self._approval(action)
            case d.Raise(share):
                await self._raise(share)
            case d.StartSoak(phase, due):
                await self.record.decide(e.SoakStarted(phase=phase, due=due))
            case d.Look(number):
                await self._look(number)
            case d.Tick():
                await self.soak.tick()
            case d.WaitUntil(at):
                await pause(self.clock, min(NEWS_EVERY, at - self.clock.now()), self.news)
            case d.Extend(due, reason):
                await self.record.decide(e.PhaseExtended(phase=self.state.phase, due=due, reason=reason))
            case d.StartHold(until, reason):
                await self.record.decide(e.HoldStarted(phase=self.state.phase, until=until, reason=reason))
            case d.ChooseFeature(feature, why):
                await self.retreat.leave_out(switched_off(self.plan, self.state, feature, why))
            case d.SwitchOff(target, flag):
                await self.retreat.leave_out_again(target, flag)
                await pause(self.clock, RAISE_AGAIN_AFTER, self.news)
            case d.HoldWithout(feature, detail, until, reason):
                recovered = e.FeatureRecovered(feature=feature, detail=detail)
                held = e.HoldStarted(phase=self.state.phase, until=until, reason=reason)
                await self.record.decide(recovered, held)
            case d.PassPhase(phase, reason, by):
                await self.record.decide(e.PhasePassed(phase=phase, reason=reason, overridden_by=by))
            case d.RollBack(cause, reason):
                await self.roll_back(cause, reason)
            case d.Close(step):
                await self._close(step)
            case d.Promote():
                await self._promote()

    # --- people -----------------------------------------------------------------------------------------

    async def _approval(self, action: d.AskApproval | d.GrantApproval | d.AwaitApproval) -> None:
        match action:
            case d.AskApproval(phase, roles, due):
                subject = await self._subject()
                await self.record.decide(e.ApprovalAsked(phase=phase, roles=roles, due=due, subject=subject))
            case d.GrantApproval(role):
                approval = self.state.approval
                assert approval is not None
                await self.record.decide(
                    e.ApprovalGiven(
                        role=role,
                        by=self.plan.roles[role].name,
                        how="granted by the plan's overlay, nobody was asked",
                        reason="grant_approvals",
                        subject=approval.subject,
                    )
                )
            case d.AwaitApproval():
                if self.state.raised:
                    await self.soak.tick()
                else:
                    await pause(self.clock, NEWS_EVERY, self.news)

    async def _subject(self) -> str:
        """What an approval is for: the plan's hash and every line of evidence so far."""
        digest = hashlib.sha256(self.state.plan_hash.encode())
        for entry in await self.record.journal.read(self.state.rollout):
            digest.update(f"{entry.seq} {entry.type} {entry.data!r}\n".encode())
        return digest.hexdigest()

    # --- the candidate ----------------------------------------------------------------------------------

    async def _prepare(self, name: str) -> None:
        candidate = self.state.release[name].candidate
        await self.record.decide(e.PrepareIntended(target=name, candidate=candidate))
        for attempt in range(1, PREPARE_TRIES + 1):
            try:
                if await unless(self.news, self._reach(name)) is None:
                    return None
                return await self.record.tell(e.PrepareObserved(target=name, ready=True, detail=candidate))
            except CandidateUnhealthy as error:
                return await self.record.tell(e.PrepareObserved(target=name, ready=False, detail=error.what))
            except (ProviderError, CredentialError) as error:
                if attempt == PREPARE_TRIES:
                    await self.record.tell(e.PrepareObserved(target=name, ready=False, detail=error.what))
                await pause(self.clock, NEWS_EVERY, self.news)
        return None

    async def _reach(self, name: str) -> Access:
        release = self.state.release[name]
        access = await self.adapters.targets[name].prepare(Release(release.candidate, release.stable))
        self._access[name] = access
        return access

    async def _look(self, number: int) -> None:
        """Given up as soon as there is news: no check holds up an abort."""
        phase = self._phase()
        looked = await unless(self.news, self._round(phase))
        if looked is None:
            return
        failed = tuple(c.name for c in looked if c.outcome == "failed")
        passed = sum(c.outcome == "passed" for c in looked)
        done = e.ChecksLooked(phase=phase.name, round=number, passed=passed, failed=failed)
        await self.record.tell(*looked, done)

    async def _round(self, phase: Phase) -> list[e.CheckObserved]:
        try:
            if self._checks is None:
                self._checks = await self._open_checks()
        except (ProviderError, CredentialError) as error:
            return [e.CheckObserved(name=c.name, outcome="cannot tell", detail=error.what) for c in phase.checks]
        return await self._checks.round(phase.checks)

    async def _open_checks(self) -> Checks:
        """Through the first target that can be reached by URL: in the plan's order what others call comes first."""
        for name in self.plan.targets:
            access = await self._accessed(name)
            if access.url:
                break
        named = {check.target for check in self.plan.checks if isinstance(check, UiCheck) and check.target}
        pages = {name: await self._accessed(name) for name in sorted(named)}
        fresh, given = self.plan.seconds(COLLECTS_WITHIN), self.adapters
        return Checks(self.clock, given.probe, given.browser, access, pages, given.bearers, self.plan.without, fresh)

    async def _accessed(self, name: str) -> Access:
        return self._access.get(name) or await self._reach(name)

    # --- exposure ---------------------------------------------------------------------------------------

    async def _raise(self, share: float) -> None:
        if self._untold and not self.state.shown:
            # What the last raise did comes before another one is asked for, though the journal took no look at it.
            looked = await look_at_all(self.clock, self.adapters.targets, self.state.release, share)
            return await self._tell_shown(share, looked)
        if self.state.takeovers and self.state.rises(share) and (left := self.lease.settles_in) > 0:
            return await pause(self.clock, min(NEWS_EVERY, left), self.news)
        if (left := self.retreat.lands_in(share)) > 0:
            return await self._wait_for_users(left)
        if self.state.tries:
            await pause(self.clock, RAISE_AGAIN_AFTER, self.news)
            if self.news.is_set():
                return None
        await self.soak.warm(self._phase())
        targets, again = tuple(self.state.release), self.state.asked == share
        why = f"phase {self.state.phase}"
        await self.record.decide(e.ExposureIntended(share=share, targets=targets, why=why))
        looked = await raise_all(
            self.clock,
            self.adapters.targets,
            self.state.release,
            share,
            self.lease.lock.epoch,
            self._may_raise,
        )
        self.retreat.raised(share, again)
        return await self._tell_shown(share, looked)

    async def _tell_shown(self, share: float, looked: Mapping[str, Verification]) -> None:
        self._untold = True
        await self.record.tell(e.ExposureObserved(share=share, targets=shown(looked)))
        self._untold = False

    async def _wait_for_users(self, seconds: float) -> None:
        """Those who are on the candidate meanwhile are looked after."""
        if self.state.raised and self.state.shown:
            await self.soak.tick()
        else:
            await pause(self.clock, min(NEWS_EVERY, seconds), self.news)

    async def _may_raise(self) -> None:
        """The last look before each raise: nobody has said stop or taken over meanwhile, and the lease still runs.

        Raises Conflict and LeaseLost.
        """
        await self.record.refresh()
        if self.state.stop:
            raise Conflict(f"{self.state.stop.kind} by {self.state.stop.by}: no further target is raised")
        if self.state.rejected:
            raise Conflict(f"go-live was rejected by {self.state.rejected}: no further target is raised")
        if self.state.rollback:
            raise Conflict(f"on the way back ({self.state.rollback.reason}): no further target is raised")
        self.lease.check(self.state.epoch)

    async def roll_back(self, cause: e.Cause, reason: str) -> None:
        """Exposure 0, now, journal or not. Returns when it was sent and looked at."""
        await self.retreat.lower(cause, reason)

    async def finish_rollback(self) -> bool:
        """Until every target shows exposure 0 (True), or `rollback.within` is over (False, and paged)."""
        verified = await self.retreat.finish()
        if verified:
            await self._end("rolled_back", self.state.rollback.reason if self.state.rollback else "")
        return verified

    async def promote(self) -> None:
        """Every phase has passed: say so, plan the reviews, free the service.

        Raises Conflict when somebody asked for the way back first: then exposure 0 is sent, and the rollback is to
        be finished. Raises JournalUnavailable.
        """
        state = await self._drive(lambda a: isinstance(a, (d.Done, d.FinishRollback)))
        if state.rollback:
            raise Conflict(f"rollout {state.rollout} is rolled back: {state.rollback.reason}")
        await self._free()

    async def _close(self, step: Step) -> None:
        lines = partial(self.record.journal.read, self.state.rollout)
        done = await unless(self.news, self.closing.do(step, self.state, lines))
        if done is not None:
            await self.record.decide(done)

    async def _promote(self) -> None:
        now = self.clock.now()
        due = [e.ReviewDue(offset=o, due=now + o) for o in self.plan.review.after if o not in self.state.reviews]
        await self.record.decide(*due, self._ended("promoted", "every phase has passed"))

    async def _end(self, outcome: e.Outcome, reason: str) -> None:
        if not self.state.ended:
            await self.record.insist(self._ended(outcome, reason))
        await self._free()

    def _ended(self, outcome: e.Outcome, reason: str) -> e.RolloutEnded:
        return e.RolloutEnded(outcome=outcome, phase=self.state.phase or "preflight", reason=reason, verified=True)

    async def _free(self) -> None:
        """With the journal away the lock stays, and the guard frees it behind the spooled end."""
        with contextlib.suppress(JournalUnavailable):
            if self.state.rollback:
                await self.vault.drop(self.state.rollout)
            await self.lease.release()

    def _phase(self) -> Phase:
        return next(phase for phase in self.plan.phases if phase.name == self.state.phase)

    # --- beside the driving -----------------------------------------------------------------------------

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[Conductor]:
        """Looks for people's entries and delivers messages meanwhile."""
        self.record.listeners.append(self._tell_people)
        self.desk.post(opening(self.plan, self.state))
        tasks = [asyncio.create_task(work) for work in (self._watch_journal(), self.pager.watch(), self.desk.serve())]
        try:
            yield self
        finally:
            # Also when something went wrong: then above all is somebody to be told.
            await self.desk.drain(LAST_WORDS if self.state.ended else PARTING)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.record.listeners.remove(self._tell_people)

    async def _watch_journal(self) -> None:
        while True:
            await self.clock.sleep(NEWS_EVERY)
            try:
                if await self.record.newer() or self.record.unrenewed:
                    self.news.set()
            except JournalUnavailable:
                # A silence counts from its first second, however long a tick may wait.
                self.news.set()

    def _tell_people(self, state: State, event: e.Event) -> None:
        if isinstance(event, e.Decision):
            self.news.set()
        if message := line(state, event):
            self.desk.post(message, mentions(self.plan, event))
        if text := mark(state, event):
            self.desk.mark(text, (TAG, state.service, self.plan.name, state.rollout))
        self.pager.look()
