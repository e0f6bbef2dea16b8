"""What an operator may say about policy: `[policy]` and its overrides."""

from __future__ import annotations

from dataclasses import dataclass, field

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
