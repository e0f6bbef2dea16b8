"""Run all checks of a subject at once; a failure becomes a finding like any other.

Each is begun here and now. Checks that only read their subject end there, and so do most that ask, because
the answer is remembered; those that must wait get a task each, under one timer. No check may fail silently.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, cast

from gatepost.begin import Done, begin
from gatepost.checks.check import Check, Emits
from gatepost.mail.client import Attempt, Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.tools import Tools, Unavailable

OnBug = Callable[[str, BaseException], None]


@dataclass(frozen=True, slots=True)
class Configured:
    """A check with its settings: what `run` runs, and what `policy.assemble` reads (its `CheckDeclared`)."""

    check: Check
    settings: Any
    policy_mode: Mode | None = None
    """What `[policy.modes]` says of the whole check, over its own settings."""

    @property
    def name(self) -> str:
        """The check's."""
        return self.check.name

    @property
    def mode(self) -> Mode:
        """Of the check as a whole; its facts and sources may differ."""
        if not self.switchable:
            return Mode.ENFORCE
        return self.policy_mode or cast("Mode", getattr(self.settings, "mode", Mode.ENFORCE))

    @property
    def switchable(self) -> bool:
        """False for what always holds: its settings know no mode."""
        return hasattr(self.settings, "mode")

    @property
    def emits(self) -> tuple[Emits, ...]:
        """What it may report under these settings."""
        under = self.check.emits_under
        return self.check.emits if under is None else under(self.settings)

    @property
    def on_failure(self) -> str:
        """The operator's choice where there is one, else the check's."""
        return str(getattr(self.settings, "on_failure", None) or self.check.on_failure)

    @property
    def sources(self) -> dict[str, tuple[float, Mode]]:
        """``name:source`` -> weight and mode."""
        weights_of = self.check.weights_of
        return {} if weights_of is None else dict(weights_of(self.settings))

    @property
    def wanted(self) -> bool:
        """Is there anything to run?"""
        idle = self.check.idle
        return self.mode is not Mode.OFF and not (idle is not None and idle(self.settings))


async def run(
    checks: Sequence[Configured],
    subject: Attempt | Mail,
    tools: Tools,
    *,
    deadline_s: float,
    on_bug: OnBug | None = None,
) -> list[Finding]:
    """What all of `checks` see, in their order. `deadline_s` is what remains of the message's budget in seconds.

    Each check has the smaller of its own timeout and that. Unavailable, running out of time, or a bug (which
    also goes to `on_bug`, or else to the event loop's exception handler) is a ``<name>.unavailable`` finding.
    """
    on_bug = on_bug or _tell_the_loop
    results: list[Sequence[Finding]] = []
    waiting: dict[int, asyncio.Task[Sequence[Finding]]] = {}
    for place, one in enumerate(checks):
        coroutine = cast(
            "Coroutine[Any, Any, Sequence[Finding]]", one.check.run(subject, tools, one.settings)
        )
        seen = _begun(one, coroutine, on_bug)
        if isinstance(seen, Coroutine):
            waiting[place] = asyncio.create_task(seen)
            seen = ()
        results.append(seen)
    if waiting:
        try:
            await _wait(checks, waiting, deadline_s)
            for place, task in waiting.items():
                results[place] = _outcome(checks[place].name, task, on_bug)
        finally:
            for task in waiting.values():
                task.cancel()
    return [finding for found in results for finding in found]


def _begun(
    one: Configured, coroutine: Coroutine[Any, Any, Sequence[Finding]], on_bug: OnBug
) -> Sequence[Finding] | Coroutine[Any, Any, Sequence[Finding]]:
    """What the check sees, or the rest of a check that has to wait."""
    name = one.name
    try:
        begun = begin(coroutine)
    except Unavailable as why:
        return (_unavailable(name, str(why)),)
    except Exception as bug:  # noqa: BLE001 - a bug in a check must not lose the message
        on_bug(name, bug)
        return (_unavailable(name, "the check failed"),)
    if isinstance(begun, Done):
        return begun.result
    if one.check.asks:
        return begun
    begun.close()
    coroutine.close()
    on_bug(name, RuntimeError("suspended, though the check says that it asks nobody"))
    return (_unavailable(name, "the check failed"),)


async def _wait(
    checks: Sequence[Configured], waiting: dict[int, asyncio.Task[Sequence[Finding]]], deadline_s: float
) -> None:
    """Until all are done or out of time; checks with the same timeout share a wait."""
    limits = {place: max(0.0, min(checks[place].check.timeout_s, deadline_s)) for place in waiting}
    waited = 0.0
    for limit in sorted(set(limits.values())):
        patient = [
            waiting[place] for place in waiting if limits[place] >= limit and not waiting[place].done()
        ]
        if not patient:
            return
        await asyncio.wait(patient, timeout=limit - waited)
        waited = limit
        for place, task in waiting.items():
            if limits[place] == limit:
                task.cancel()


def _outcome(name: str, task: asyncio.Task[Sequence[Finding]], on_bug: OnBug) -> Sequence[Finding]:
    if not task.done() or task.cancelled():
        return (_unavailable(name, "no answer in time"),)
    problem = task.exception()
    if problem is None:
        return task.result()
    if isinstance(problem, Unavailable):
        return (_unavailable(name, str(problem)),)
    on_bug(name, problem)
    return (_unavailable(name, "the check failed"),)


def _tell_the_loop(name: str, bug: BaseException) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": f"bug in check {name}", "exception": bug})


def _unavailable(name: str, why: str) -> Finding:
    return Finding(f"{name}.unavailable", f"{name} could not say: {why}", {"reason": why})
