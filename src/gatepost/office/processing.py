"""The record of processing activities (GDPR Art. 30), from the configuration as it is: what is off is not in it.

The sentences are keys of the catalogues: English here, filled in and translated where they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gatepost.office.settings import PrivacySettings

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence, with what is filled in."""

    text: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the record."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What of a configuration the record tells."""

    hostname: str
    settings: PrivacySettings
    domains: Sequence[str]
    periods: Mapping[str, float]
    """Setting of [retention] -> seconds."""
    recipients: Sequence[Line]
    measures: Sequence[Line]
    outgoing: bool
    """Our own people hand mail in here."""
    accounts: bool
    """There is a console, or people sign in to send."""


@dataclass(frozen=True, slots=True)
class Processing:
    """What a console is given: the configuration as it is now."""

    installation: Callable[[], Installation]


PERIODS = {
    "history_s": "Facts about messages, refusals and deliveries",
    "held_s": "Held mail that nobody decided about",
    "journal_s": "The journal, and who looked at whose mail",
    "correspondents_s": "Who writes to whom",
    "numbers_s": "Counts by the hour, which name nobody",
    "lessons_s": "What the classifier was taught",
    "sign_ins_s": "Sign-ins, and app passwords and tokens that ended",
}
NOT_GIVEN = "not given yet: set it in [privacy] of the configuration file"


def record(here: Installation) -> list[Section]:
    """Everything Article 30(1) asks for, in its order."""
    settings = here.settings
    return [
        Section("Controller, representative and data protection officer (a)", tuple(_who(settings))),
        Section("Purposes (b)", tuple(_purposes(here))),
        Section("Whose data, and which (c)", tuple(_categories(here))),
        Section("Recipients (d)", tuple(here.recipients) or (Line("None but the mail's own recipients."),)),
        Section(
            "Transfers to third countries (e)",
            (Line("%(text)s", {"text": settings.transfers}) if settings.transfers else Line(
                "Whether any recipient named above is in a third country is for the controller to say: set transfers in [privacy]."
            ),),
        ),
        Section("Periods after which data is erased (f)", tuple(_periods(here.periods))),
        Section("Technical and organisational measures that are on (g)", tuple(here.measures)),
    ]  # fmt: skip


def _who(settings: PrivacySettings) -> list[Line]:
    found = [
        Line("Controller: %(who)s", {"who": settings.controller or NOT_GIVEN}),
        Line("Data protection officer: %(who)s", {"who": settings.officer or NOT_GIVEN}),
    ]
    if settings.representative:
        found.insert(1, Line("Representative: %(who)s", {"who": settings.representative}))
    return found


def _purposes(here: Installation) -> list[Line]:
    found = [
        Line("Taking in, checking and delivering mail for %(domains)s.", {"domains": ", ".join(here.domains) or "—"}),
        Line("Keeping spam, fraud and malware from recipients and systems: network and information security."),
        Line("Showing what became of a message and why, and correcting wrong decisions."),
        Line("Proving who did what with held mail, accounts and settings."),
    ]  # fmt: skip
    if here.outgoing:
        found.insert(
            1, Line("Sending mail of our own people and machines, and noticing accounts in wrong hands.")
        )
    if here.accounts:
        found.append(Line("Letting people sign in to see their own held mail and settings."))
    return found


def _categories(here: Installation) -> list[Line]:
    found = [
        Line("People with a mailbox here, and people outside who write to them or get mail from them."),
        Line("Of every message: addresses, names and subject of the header, size, the address it came from, what the checks saw and what was decided."),
        Line("Of messages that are held or wait for delivery: the whole content."),
        Line("Who writes to whom how often, from which networks and countries."),
        Line("What people taught the classifier, as digests and numbers."),
    ]  # fmt: skip
    if here.accounts:
        found.append(
            Line(
                "Of people with an account: login, name, roles, sign-ins with network and program, devices, and their acts."
            )
        )
    return found


def _periods(periods: Mapping[str, float]) -> list[Line]:
    return [
        Line("%(what)s: %(days)s days", {"what": about, "days": f"{periods[name] / DAY_S:g}"})
        for name, about in PERIODS.items()
        if name in periods
    ]


Say = Callable[..., str]


def said(line: Line, say: Say) -> str:
    """One sentence in a language; values that are sentences of ours are translated too."""
    if not line.values:
        return say(line.text)
    return say(line.text, **{name: say(value) for name, value in line.values.items()})


def markdown(sections: Sequence[Section], here: Installation, say: Say, day: str) -> str:
    """As a document."""
    lines = [f"# {say('Record of processing activities (GDPR Article 30)')}", ""]
    lines += [
        say("Mail gateway %(host)s, from its configuration of %(day)s.", host=here.hostname, day=day),
        "",
    ]
    for one in sections:
        lines += [f"## {say(one.title)}", "", *(f"- {said(line, say)}" for line in one.lines), ""]
    return "\n".join(lines)


def as_json(sections: Sequence[Section], here: Installation, say: Say, day: str) -> dict[str, object]:
    """For programs."""
    return {
        "hostname": here.hostname, "day": day, "retention_seconds": dict(here.periods),
        "sections": [{"title": say(one.title), "lines": [said(line, say) for line in one.lines]} for one in sections],
    }  # fmt: skip
