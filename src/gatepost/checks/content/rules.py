"""What the rules say: detection as code, each rule a source of one fact with a weight and a mode of its own.

Rules come with Gatepost (`gatepost.rules`), and from a folder of the operator's. Files are looked into, and memory is
asked about the sender, only when a rule could not be decided without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost.checks.check import BOTH_WAYS, Check, Emits
from gatepost.checks.sender.identity import correspondent, proved_domain
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.rules.facts import Facts, Told
from gatepost.rules.language import nearest
from gatepost.rules.ruleset import Outcome, RuleSet, load_rules, shipped_listing, shipped_rules
from gatepost.tools import Acquaintance, Tools, Unavailable

if TYPE_CHECKING:
    from gatepost.rules.rulefile import Rule

MATCHED = Emits(
    name="rules.matched",
    about="A rule matched: its condition, its worth and its examples stand in a file of its name.",
    reference="operating guide, “Rules”",
    group="phishing",
)
STOPPED = Emits(
    name="rules.stopped",
    about="The message would have taken more steps than rules may take; some were not asked.",
    reference="operating guide, “Rules”",
    weight=0.5,
    group="phishing",
)
KNOWN_FROM = 3
"""Delivered messages from which on a proved sender is known."""
MOST_DOMAINS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesSettings:
    """Detection as code: rules in TOML files, see the manual's page on rules."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce; each rule has its own mode besides."""
    shipped: bool = True
    """Use the rules that come with Gatepost."""
    rules_folder: str = ""
    """Own rules: a folder with a folder for each attack; one of the same name takes a shipped one's place."""
    disabled: tuple[str, ...] = ()
    """Names of rules that are not asked at all."""
    modes: dict[str, Mode] = field(default_factory=dict)
    """off, observe or enforce by rule, over what its file says."""
    weights: dict[str, float] = field(default_factory=dict)
    """Other weights than the files say, by rule."""


_LOADED: dict[tuple[str, bool], RuleSet] = {}


def rules_of(settings: RulesSettings) -> RuleSet:
    """The rules under these settings, read when the configuration was."""
    if not settings.rules_folder and settings.shipped:
        return shipped_rules()
    key = (settings.rules_folder, settings.shipped)
    if key not in _LOADED:
        folders = [Path(settings.rules_folder)] if settings.rules_folder else []
        _LOADED[key] = load_rules(folders, shipped=settings.shipped, data_loss=False)
    return _LOADED[key]


def rules_written(settings: RulesSettings) -> Sequence[Rule]:
    """The same as written; shipped ones need not be compiled for that."""
    if not settings.rules_folder and settings.shipped:
        return shipped_listing()
    return rules_of(settings).rules


async def matched(mail: Mail, tools: Tools, settings: RulesSettings) -> Sequence[Finding]:
    """A finding for each rule that matches, in the words of the rule."""
    rules = rules_of(settings)
    facts = Facts(
        mail.client, mail.envelope, mail.message, mail.auth, rules.patterns, rules.brands,
        Told(proved=proved_domain(mail) is not None),
    )  # fmt: skip
    outcome = rules.judge(facts)
    if outcome.unknown:
        outcome = await _asked(mail, tools, rules, facts, outcome)
    found = [
        MATCHED.found(
            f"{one.finding} (rule {one.name})", {"rule": one.name, "attack": one.attack, "severity": one.severity}, one.name
        )
        for one in outcome.matched
        if one.name not in settings.disabled and settings.modes.get(one.name, one.mode) is not Mode.OFF
    ]  # fmt: skip
    if outcome.stopped:
        found.append(STOPPED.found("the message is so intricate that some rules were not asked"))
    return found


async def _asked(mail: Mail, tools: Tools, rules: RuleSet, facts: Facts, before: Outcome) -> Outcome:
    """What the rules say once those who can be asked were asked; who cannot say leaves the rest undecided."""
    if "known_correspondent" in before.why_unknown:
        facts.with_known(await _known(mail, tools))
    if "files" in before.why_unknown:
        try:
            facts.with_files(await tools.unpacker.inspect(mail.message))
        except Unavailable:
            facts.with_files(())  # said by the check of attachments, once
    after = rules.judge(facts, [one.name for one in before.unknown])
    return Outcome(
        (*before.matched, *after.matched), after.unknown, after.why_unknown, before.stopped or after.stopped
    )


async def _known(mail: Mail, tools: Tools) -> bool:
    """Do all recipients' domains know this sender?"""
    identity = correspondent(mail)
    if identity is None:
        return False
    domains = sorted({one.address.domain for one in mail.envelope.recipients})
    if not domains or len(domains) > MOST_DOMAINS:
        return False
    for domain in domains:
        if not _is_known(await tools.correspondents.know(identity, domain)):
            return False
    return True


def _is_known(met: Acquaintance | None) -> bool:
    return met is not None and (met.replied or met.messages >= KNOWN_FROM)


def _weights(settings: RulesSettings) -> Mapping[str, tuple[float, Mode]]:
    """Each rule is a source."""
    return {
        f"{MATCHED.name}:{one.name}": (settings.weights.get(one.name, one.weight), _mode(one, settings))
        for one in rules_written(settings)
    }


def _mode(rule: Rule, settings: RulesSettings) -> Mode:
    if rule.name in settings.disabled:
        return Mode.OFF
    own = settings.modes.get(rule.name, rule.mode)
    return settings.mode if settings.mode is not Mode.ENFORCE else own


def _problems(settings: RulesSettings) -> list[str]:
    """Reads own rules anew, so that a reload finds what was changed."""
    _LOADED.pop((settings.rules_folder, settings.shipped), None)
    if settings.mode is Mode.OFF:
        return []
    own = bool(settings.rules_folder)
    said = [f"{one.path}: {one.text}" for one in rules_of(settings).problems] if own else []
    names = [one.name for one in rules_written(settings)]
    said += [
        f"there is no rule {name}{nearest(name, names)}"
        for name in (*settings.disabled, *settings.modes, *settings.weights)
        if name not in names
    ]
    return said


RULES = Check(
    name="rules",
    subject=Mail,
    settings=RulesSettings,
    run=matched,
    ways=BOTH_WAYS,
    emits=(MATCHED, STOPPED),
    timeout_s=15.0,
    weights_of=_weights,
    problems=_problems,
    idle=lambda settings: not settings.shipped and not settings.rules_folder,
)
