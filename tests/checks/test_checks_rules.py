"""What holds for every check, and how checks are run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path

import pytest

from gatepost.checks.check import Check, Emits, OnFailure
from gatepost.checks.registry import ALL_CHECKS, at_door, configure, on_mail
from gatepost.checks.run import Configured, run
from gatepost.mail.client import Attempt, Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.policy import PolicyProblem, PolicySettings, assemble, decide
from gatepost.tools import Tools, Unavailable
from judging import World, attempt, mail, names

CHECKS = pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.name)


@CHECKS
def test_the_name_prefixes_what_it_emits(check: Check) -> None:
    assert check.emits
    for emits in check.emits:
        assert emits.name.startswith(f"{check.name}.")
        assert emits.about.endswith(".")
        assert emits.reference.startswith(("RFC ", "configuration reference, [", "operating guide, "))


def test_every_declared_fact_of_a_module_belongs_to_a_check() -> None:
    for check in ALL_CHECKS:
        module = __import__(check.run.__module__, fromlist=["x"])
        belonging = {
            emits.name for one in ALL_CHECKS if one.run.__module__ == module.__name__ for emits in one.emits
        }
        declared = {value.name for value in vars(module).values() if isinstance(value, Emits)}
        assert declared <= belonging


@CHECKS
def test_settings_have_defaults_and_docstrings(check: Check) -> None:
    settings = check.settings()
    assert is_dataclass(settings)
    source = Path(__import__(check.settings.__module__, fromlist=["x"]).__file__).read_text()
    for field in fields(settings):
        after = source.split(f"    {field.name}:", 1)[1].split("\n", 2)[1]
        assert after.strip().startswith('"""'), f"{check.settings.__name__}.{field.name} has no docstring"


@CHECKS
def test_it_has_a_test(check: Check) -> None:
    module = check.run.__module__.rpartition(".")[2]
    here = Path(__file__).parent
    assert list(here.glob(f"test_checks_{module}*.py")), f"tests/checks/test_checks_{module}.py is missing"


@CHECKS
def test_a_failure_is_a_finding_that_policy_knows(check: Check) -> None:
    async def broken(subject: object, tools: Tools, settings: object) -> Sequence[Finding]:
        raise Unavailable("the world is away")

    one = Configured(replace(check, run=broken), check.settings())
    subject = attempt() if check.subject is Attempt else mail()
    found = asyncio.run(run([one], subject, World(), deadline_s=5.0))
    assert names(found) == [f"{check.name}.unavailable"]
    assert "the world is away" in found[0].text
    policy = assemble(PolicySettings(), configure({})).default
    waits = check.on_failure is OnFailure.DEFER and one.mode is Mode.ENFORCE
    expected = Action.DEFER if waits else Action.DELIVER
    assert decide(found, policy).action is expected


def test_names_are_unique() -> None:
    every = [emits.name for check in ALL_CHECKS for emits in check.emits]
    assert len(every) == len(set(every))
    assert len({check.name for check in ALL_CHECKS}) == len(ALL_CHECKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    mode: Mode = Mode.ENFORCE


def made(name: str, run_it: object, *, asks: bool = True, timeout_s: float = 5.0) -> Configured:
    emits = (Emits(name=f"{name}.seen", about="Seen."),)
    check = Check(
        name=name, subject=Attempt, settings=Plain, run=run_it, emits=emits, asks=asks, timeout_s=timeout_s
    )  # type: ignore[arg-type]
    return Configured(check, Plain())


async def sees(subject: object, tools: Tools, settings: object) -> Sequence[Finding]:
    return (Finding("a.seen", "seen"),)


async def hangs(subject: object, tools: Tools, settings: object) -> Sequence[Finding]:
    await asyncio.Event().wait()
    return ()


async def fails(subject: object, tools: Tools, settings: object) -> Sequence[Finding]:
    raise ZeroDivisionError


@pytest.mark.parametrize("asks", [True, False])
def test_a_bug_is_reported_and_costs_nobody_else_anything(asks: bool) -> None:
    bugs: list[str] = []
    checks = [made("b", fails, asks=asks), made("a", sees, asks=asks)]
    found = asyncio.run(
        run(
            checks,
            attempt(),
            World(),
            deadline_s=5.0,
            on_bug=lambda name, bug: bugs.append(f"{name} {bug!r}"),
        )
    )
    assert names(found) == ["b.unavailable", "a.seen"]
    assert bugs == ["b ZeroDivisionError()"]
    assert "Zero" not in found[0].text


def test_late_checks_are_given_up_at_their_own_time_or_the_budgets() -> None:
    checks = [made("c", hangs, timeout_s=0.01), made("a", sees), made("d", hangs)]
    found = asyncio.run(run(checks, attempt(), World(), deadline_s=0.02))
    assert names(found) == ["c.unavailable", "a.seen", "d.unavailable"]


def test_nothing_is_asked_when_no_time_is_left() -> None:
    found = asyncio.run(run([made("c", hangs)], attempt(), World(), deadline_s=-1.0))
    assert names(found) == ["c.unavailable"]


def test_a_check_that_asks_nobody_must_not_suspend() -> None:
    bugs: list[str] = []
    one = made("c", hangs, asks=False)
    found = asyncio.run(
        run([one], attempt(), World(), deadline_s=1.0, on_bug=lambda name, bug: bugs.append(str(bug)))
    )
    assert names(found) == ["c.unavailable"]
    assert "suspended" in bugs[0]


def test_off_and_idle_checks_do_not_run_and_no_dns_leaves_out_what_needs_it() -> None:
    configured = configure({}, {"headers": Mode.OFF})
    door = {one.name for one in at_door(configured)}
    assert {"recipients", "rdns", "hello"} <= door
    assert door.isdisjoint({"greylist", "dnsbl", "tlsrequired"})
    content = {one.name for one in on_mail(configured)}
    assert "headers" not in content
    assert "dmarc" in content
    assert "dmarc" not in {one.name for one in on_mail(configured, dns=False)}
    assert all(one.check.subject is Mail for one in on_mail(configured))


def test_an_unknown_name_in_policy_is_refused_with_the_nearest() -> None:
    with pytest.raises(PolicyProblem, match=r"did you mean dmarc\.reject"):
        assemble(PolicySettings(weights={"dmarc.rejekt": 1.0}), configure({}))
    with pytest.raises(PolicyProblem, match="dnsbll"):
        assemble(PolicySettings(modes={"dnsbll": Mode.OFF}), configure({}))


def test_the_rule_against_relaying_cannot_be_turned_off() -> None:
    for key in ("recipients", "recipients.not_ours"):
        with pytest.raises(PolicyProblem, match="always holds"):
            assemble(PolicySettings(modes={key: Mode.OBSERVE}), configure({}))
    with pytest.raises(PolicyProblem, match="always holds"):
        assemble(PolicySettings(actions={"recipients.not_ours": Action.DELIVER}), configure({}))
