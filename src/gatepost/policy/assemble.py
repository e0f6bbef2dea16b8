"""From settings and what the checks declare to a `Policy`, and to a `PolicyBook` with one for every recipient.

The Protocols say what policy needs to know of a check; `checks.registry.Configured` fits them without
either room knowing the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Protocol

from gatepost.mail.address import Address
from gatepost.mail.finding import Mode
from gatepost.mail.verdict import Action
from gatepost.policy.judge import FactRule, Policy
from gatepost.policy.settings import PolicyOverride, PolicySettings

CEILINGS = {"reputation": 6.0, "connection": 2.0, "sender": 2.0, "header": 3.0}
"""Defaults: how much facts that say the same thing may add up to. Being unproved and coming from a shabby host
stay below the default `junk_at` together: that alone is no reason to keep anybody's mail from the inbox."""


class FactDeclared(Protocol):
    """A fact with its default worth; `checks.check.Emits` is one."""

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def measured(self) -> bool: ...
    @property
    def group(self) -> str: ...
    @property
    def action(self) -> Action | None: ...
    @property
    def missing(self) -> tuple[str, ...]: ...
    @property
    def at_door(self) -> bool: ...
    @property
    def binding(self) -> bool: ...
    @property
    def excused_by(self) -> tuple[str, ...]: ...
    @property
    def softened_by(self) -> tuple[str, ...]: ...
    @property
    def reply(self) -> str: ...


class CheckDeclared(Protocol):
    """A check as it is configured."""

    @property
    def name(self) -> str: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def switchable(self) -> bool:
        """False for what always holds: no mode, weight or action of its facts may be set."""
        ...

    @property
    def emits(self) -> Sequence[FactDeclared]: ...
    @property
    def on_failure(self) -> str:
        """``ignore`` or ``defer``."""
        ...

    @property
    def sources(self) -> Mapping[str, tuple[float, Mode]]:
        """``name:source`` -> weight and mode, for checks with several sources."""
        ...


class PolicyProblem(ValueError):
    """A setting names something no check declares, or touches what always holds; `str()` is one sentence."""


def assemble(
    settings: PolicySettings, declared: Iterable[CheckDeclared], *, mode: Mode = Mode.ENFORCE
) -> PolicyBook:
    """All policies of an installation. `mode` is the whole gate's. Raises PolicyProblem."""
    checks = tuple(declared)
    _rising(settings)
    base = _policy(settings, checks, mode)
    for override in settings.overrides:
        theirs = _overridden(settings, override)
        _rising(theirs)
        _policy(theirs, checks, override.mode or mode)  # a bad name shows at start
    return PolicyBook(
        default=base,
        settings=settings,
        checks=checks,
        mode=mode,
        by_recipient=_by_recipient(settings.overrides),
    )


def _rising(settings: PolicySettings) -> None:
    """Mail that is bad enough to be held must not pass as not bad enough for Junk."""
    if not settings.junk_at <= settings.quarantine_at <= settings.refuse_at:
        raise PolicyProblem(
            f"thresholds must rise from junk_at to quarantine_at to refuse_at, and here they are "
            f"{settings.junk_at:g}, {settings.quarantine_at:g}, {settings.refuse_at:g}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBook:
    """The policy for each recipient: the default's, its domain's on top of that, its own on top of both."""

    default: Policy
    settings: PolicySettings
    checks: tuple[CheckDeclared, ...]
    mode: Mode = Mode.ENFORCE
    by_recipient: Mapping[str, tuple[PolicyOverride, ...]] = field(default_factory=dict)
    _made: dict[tuple[int, ...], Policy] = field(default_factory=dict, repr=False, compare=False)

    def for_recipient(self, address: Address) -> Policy:
        """The policy that holds for `address`; made once for each combination of overrides."""
        if not self.by_recipient:
            return self.default
        domain = address.domain.lower()
        overrides = (
            *self.by_recipient.get(domain, ()),
            *self.by_recipient.get(f"{address.local.lower()}@{domain}", ()),
        )
        if not overrides:
            return self.default
        key = tuple(id(one) for one in overrides)
        policy = self._made.get(key)
        if policy is None:
            settings, mode = self.settings, self.mode
            for override in overrides:
                settings, mode = _overridden(settings, override), override.mode or mode
            policy = self._made[key] = _policy(settings, self.checks, mode)
        return policy


def _by_recipient(overrides: Iterable[PolicyOverride]) -> dict[str, tuple[PolicyOverride, ...]]:
    table: dict[str, tuple[PolicyOverride, ...]] = {}
    for override in overrides:
        for recipient in override.recipients:
            key = recipient.lower().lstrip("@")
            table[key] = (*table.get(key, ()), override)
    return table


def _overridden(settings: PolicySettings, override: PolicyOverride) -> PolicySettings:
    def either(theirs: float | None, ours: float) -> float:
        return ours if theirs is None else theirs

    return replace(
        settings,
        junk_at=either(override.junk_at, settings.junk_at),
        quarantine_at=either(override.quarantine_at, settings.quarantine_at),
        refuse_at=either(override.refuse_at, settings.refuse_at),
        weights={**settings.weights, **override.weights},
        modes={**settings.modes, **override.modes},
        actions={**settings.actions, **override.actions},
    )


def _policy(settings: PolicySettings, checks: Sequence[CheckDeclared], mode: Mode) -> Policy:
    rules: dict[str, FactRule] = {}
    for check in checks:
        for fact in (*check.emits, *_failure(check)):
            rules[fact.name] = _rule(fact, check, settings)
        for key, (weight, own_mode) in check.sources.items():
            rules[key] = _source_rule(key, rules[key.partition(":")[0]], weight, own_mode, settings)
    for table in (settings.weights, settings.actions):
        for key in table:
            if key not in rules:
                name, _, source = key.partition(":")
                if name not in rules or not source:
                    raise _unknown(key, rules)
                rules[key] = _source_rule(key, rules[name], rules[name].weight, rules[name].mode, settings)
    _refuse_unknown(settings, checks, rules)
    return Policy(
        rules=rules,
        ceilings={**CEILINGS, **settings.ceilings},
        junk_at=settings.junk_at,
        quarantine_at=settings.quarantine_at,
        refuse_at=settings.refuse_at,
        mode=mode,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """``check.unavailable``: with ``on_failure = "defer"`` it may hide anything the check could have said."""

    name: str
    missing: tuple[str, ...]
    weight: float = 0.0
    group: str = ""
    action: Action | None = None
    at_door: bool = True
    binding: bool = False
    excused_by: tuple[str, ...] = ()
    softened_by: tuple[str, ...] = ()
    measured: bool = False
    reply: str = ""


def _failure(check: CheckDeclared) -> tuple[FactDeclared, ...]:
    hidden: tuple[str, ...] = ()
    if check.on_failure == "defer":
        hidden = tuple(fact.name for fact in check.emits if fact.weight > 0 or fact.action is not None)
    binding = any(fact.binding for fact in check.emits)
    return (_Failure(name=f"{check.name}.unavailable", missing=hidden, binding=binding),)


def _rule(fact: FactDeclared, check: CheckDeclared, settings: PolicySettings) -> FactRule:
    mode = settings.modes.get(fact.name) or settings.modes.get(check.name) or check.mode
    action = settings.actions.get(fact.name, fact.action)
    return FactRule(
        weight=settings.weights.get(fact.name, fact.weight),
        mode=mode,
        group=fact.group,
        action=None if action is Action.DELIVER else action,
        missing=fact.missing,
        at_door=fact.at_door,
        binding=fact.binding,
        excused_by=settings.excuses.get(fact.name, fact.excused_by),
        softened_by=fact.softened_by,
        measured=fact.measured,
        reply=fact.reply,
    )


def _source_rule(
    key: str, of_name: FactRule, weight: float, own_mode: Mode, settings: PolicySettings
) -> FactRule:
    action = settings.actions.get(key, of_name.action)
    return replace(
        of_name,
        weight=settings.weights.get(key, weight),
        mode=settings.modes.get(key, own_mode),
        action=None if action is Action.DELIVER else action,
    )


def _refuse_unknown(
    settings: PolicySettings, checks: Sequence[CheckDeclared], rules: Mapping[str, FactRule]
) -> None:
    names = {check.name for check in checks}
    for key in settings.modes:
        if key not in names and key.partition(":")[0] not in rules:
            raise _unknown(key, [*rules, *names])
    for key, excusing in settings.excuses.items():
        for name in (key, *excusing):
            if name not in rules:
                raise _unknown(name, rules)
    fixed = {check.name for check in checks if not check.switchable}
    for key in (*settings.modes, *settings.weights, *settings.actions, *settings.excuses):
        if key.partition(".")[0] in fixed:
            raise PolicyProblem(f"{key} always holds and cannot be set")


def _unknown(key: str, known: Iterable[str]) -> PolicyProblem:
    near = get_close_matches(key, list(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return PolicyProblem(f"no check reports {key}{hint}")
