"""Does something leave that should not? Rules on what goes out: card numbers, My Number, IBAN, private keys, own patterns.

The rules are those of the language of `gatepost.rules`, in the folder ``data-loss``. Each is noted, held for approval
or refused; by default all of them only observe. What was found is never written down, only how it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

from gatepost.checks.check import OUTGOING, Check, Emits, OnFailure
from gatepost.mail.client import Mail
from gatepost.mail.finding import ONLY_FOR, Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.rules.facts import Facts, Told
from gatepost.rules.language import nearest
from gatepost.rules.rulefile import Rule
from gatepost.rules.ruleset import RuleSet, load_rules, shipped_listing
from gatepost.tools import Standing, Tools, Unavailable

HERE = "operating guide, “Sending”"
NOTED = Emits(name="dataloss.noted", about="A rule on data loss matched, and is only noted.", reference=HERE)
HELD = Emits(
    name="dataloss.held",
    about="A rule on data loss matched: the mail waits until somebody approves it.",
    reference=HERE,
    action=Action.QUARANTINE,
)
REFUSED = Emits(
    name="dataloss.refused",
    about="A rule on data loss matched: the mail is refused.",
    reference=HERE,
    action=Action.REFUSE,
    reply="550 5.7.1",
)
STOPPED = Emits(
    name="dataloss.stopped",
    about="The message would have taken more steps than rules may take; some were not asked.",
    reference=HERE,
)


class Handling(StrEnum):
    """What becomes of mail that a rule matches."""

    NOTE = "note"
    HOLD = "hold"
    """Held until a postmaster approves it."""
    REFUSE = "refuse"


BY_HANDLING = {Handling.NOTE: NOTED, Handling.HOLD: HELD, Handling.REFUSE: REFUSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class DatalossSettings:
    """Rules on what must not leave by mistake."""

    mode: Mode = Mode.OBSERVE
    """off, observe or enforce; of all rules that `modes` does not name."""
    rules_folder: str = ""
    """Own rules: a folder that holds a folder ``data-loss``; one of the same name takes a shipped one's place."""
    modes: dict[str, Mode] = field(default_factory=dict)
    """off, observe or enforce by rule."""
    handling: dict[str, Handling] = field(default_factory=dict)
    """note, hold or refuse by rule; hold, where nothing is said."""
    inside: bool = False
    """Look at copies for our own domains as well; otherwise only what goes to others waits."""


@cache
def loaded(folder: str = "") -> RuleSet:
    """The shipped rules and those of the operator's folder, compiled once in a process."""
    return load_rules([Path(folder)] if folder else [], data_loss=True)


def _written(settings: DatalossSettings) -> Sequence[Rule]:
    """The same as written; shipped ones need not be compiled for that."""
    return loaded(settings.rules_folder).rules if settings.rules_folder else shipped_listing(data_loss=True)


async def dataloss(mail: Mail, tools: Tools, settings: DatalossSettings) -> Sequence[Finding]:
    """A finding for each rule that matches, in the words of the rule."""
    if not mail.client.account:
        return ()
    others = await _others(mail, tools)
    if not (others or settings.inside):
        return ()
    rules = loaded(settings.rules_folder)
    told = Told(proved=True, known_correspondent=False)
    facts = Facts(mail.client, mail.envelope, mail.message, mail.auth, rules.patterns, rules.brands, told)
    outcome = rules.judge(facts)
    matched, stopped = outcome.matched, outcome.stopped
    if outcome.unknown and not stopped:
        try:
            facts.with_files(await tools.unpacker.inspect(mail.message))
        except Unavailable:
            if Mode.ENFORCE in (settings.mode, *settings.modes.values()):
                raise  # what nobody could look into does not go out unseen
            facts.with_files(())
        after = rules.judge(facts, [one.name for one in outcome.unknown])
        matched, stopped = (*matched, *after.matched), after.stopped
    whose: dict[str, list[str]] = {}
    if not settings.inside and len(others) < len(mail.envelope.recipients):
        whose[ONLY_FOR] = others
    found = [
        _emits(one.name, settings).found(
            f"the message {one.finding} (rule {one.name})", {"rule": one.name, **whose}, one.name
        )
        for one in matched
        if settings.modes.get(one.name, settings.mode) is not Mode.OFF
    ]
    if stopped:
        found.append(STOPPED.found("the message is so intricate that some rules on data loss were not asked"))
    return found


async def _others(mail: Mail, tools: Tools) -> list[str]:
    """The recipients that are none of ours, by `Address.key`."""
    return [
        one.address.key
        for one in mail.envelope.recipients
        if (await tools.recipients.find(one.address)).standing is Standing.NOT_OURS
    ]


def _emits(rule: str, settings: DatalossSettings) -> Emits:
    return BY_HANDLING[settings.handling.get(rule, Handling.HOLD)]


def _weights(settings: DatalossSettings) -> Mapping[str, tuple[float, Mode]]:
    """Each rule is a source of the fact that says how it is handled."""
    return {
        f"{_emits(one.name, settings).name}:{one.name}": (0.0, settings.modes.get(one.name, settings.mode))
        for one in _written(settings)
    }


def _problems(settings: DatalossSettings) -> list[str]:
    """Reads own rules anew, so that a reload finds what was changed."""
    said: list[str] = []
    if settings.rules_folder:
        loaded.cache_clear()
        said += [f"{one.path}: {one.text}" for one in loaded(settings.rules_folder).problems]
    names = [one.name for one in _written(settings)]
    said += [
        f"there is no rule {name} on data loss{nearest(name, names)}"
        for name in (*settings.modes, *settings.handling)
        if name not in names
    ]
    return said


DATALOSS = Check(
    name="dataloss",
    subject=Mail,
    settings=DatalossSettings,
    run=dataloss,
    ways=OUTGOING,
    emits=(NOTED, HELD, REFUSED, STOPPED),
    on_failure=OnFailure.DEFER,
    timeout_s=15.0,
    weights_of=_weights,
    problems=_problems,
    idle=lambda settings: settings.mode is Mode.OFF and not settings.modes,
)
