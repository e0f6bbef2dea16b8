"""What an operator may say about policy: `[policy]` and its overrides."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gatepost.mail.finding import Mode
from gatepost.mail.verdict import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOverride:
    """What differs for some recipients; whatever is left out stays as it is for everyone."""

    recipients: tuple[str, ...]
    """Domains (``example.net``) or addresses (``ana@example.net``); an address is more specific than its domain."""
    mode: Mode | None = None
    """observe: deliver to these recipients whatever the gate would have done, and record it."""
    junk_at: float | None = None
    """As in `[policy]`."""
    quarantine_at: float | None = None
    """As in `[policy]`."""
    refuse_at: float | None = None
    """As in `[policy]`."""
    weights: dict[str, float] = field(default_factory=dict)
    """As in `[policy]`, key by key."""
    modes: dict[str, Mode] = field(default_factory=dict)
    """As in `[policy]`, key by key; a check that is off for everyone cannot be turned on for some."""
    actions: dict[str, Action] = field(default_factory=dict)
    """As in `[policy]`, key by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """What facts are worth. Weights and thresholds are log-odds of being unwanted: 2.3 is ten to one."""

    junk_at: float = 4.0
    """The score from which mail is delivered out of the inbox: 55 to 1."""
    quarantine_at: float = 7.0
    """The score from which mail is held: 1,100 to 1."""
    refuse_at: float = 10.0
    """The score from which mail is refused: 22,000 to 1."""
    weights: dict[str, float] = field(default_factory=dict)
    """Other weights than the defaults, by fact (`"rdns.missing" = 0.5`) or by source (`"dnsbl.listed:bl.example.org" = 4.0`)."""
    modes: dict[str, Mode] = field(default_factory=dict)
    """off, observe or enforce, by check (`dnsbl`), fact (`dnsbl.listed`) or source; the most specific wins."""
    actions: dict[str, Action] = field(default_factory=dict)
    """Facts that decide by themselves (`"antivirus.found" = "quarantine"`); `"deliver"` takes a default decision away."""
    ceilings: dict[str, float] = field(default_factory=dict)
    """How much the facts of a group may add up to (`reputation = 6.0`); one fact alone always counts whole."""
    excuses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Facts that other facts explain away (`"spf.fail" = ["forwarder.trusted"]`); replaces the default of that fact."""
    overrides: tuple[PolicyOverride, ...] = ()
    """What differs for some domains and recipients."""


class Language(StrEnum):
    """What a recipient reads in a banner or a note."""

    EN = "en"
    JA = "ja"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How a copy is marked."""

    tag: str = ""
    """Put in front of the subject, such as ``[Junk?]``; empty: none."""
    banner: bool = False
    """A warning above the text, in plain text and HTML."""
    despite_signatures: bool = False
    """Also where it breaks a valid signature of the author's domain, or a seal: for mail that nobody verifies behind us. Never in mail sent on elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkOverride:
    """What differs for some recipients."""

    recipients: tuple[str, ...]
    """Domains or addresses; an address is more specific than its domain."""
    junk: Mark | None = None
    """As in `[marking]`."""
    deliver: Mark | None = None
    """As in `[marking]`."""
    language: Language | None = None
    """As in `[marking]`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkingSettings:
    """What recipients and their programs see of a verdict in the mail itself. The original is never changed."""

    language: Language = Language.EN
    """en or ja: of the banner, and of the note in place of an attachment."""
    junk: Mark = field(default_factory=Mark)
    """Mail that goes to Junk."""
    deliver: Mark = field(default_factory=Mark)
    """Mail that is delivered, where its score reaches `deliver_from` or one of `deliver_facts` was found."""
    deliver_from: float = 2.0
    """The score (log-odds) from which delivered mail is marked."""
    deliver_facts: tuple[str, ...] = ()
    """Facts that mark delivered mail whatever its score."""
    banner_text: str = ""
    """Another text than ours for the banner, one line."""
    junk_headers: tuple[str, ...] = ("X-Gatepost-Verdict: junk",)
    """Header fields in front of junk mail for the next hop's Sieve (``"X-Spam-Flag: YES"``); foreign ones of these names are removed."""
    overrides: tuple[MarkOverride, ...] = ()
    """What differs for some domains and recipients."""
