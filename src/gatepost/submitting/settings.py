"""What an operator may say about mail that our own people and machines send: `[submission]`."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatepost.mail.finding import Mode
from gatepost.mail.verdict import Action
from gatepost.submitting.header import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingPolicySettings:
    """What facts are worth in mail that goes out. Weights and thresholds are log-odds, as in `[policy]`."""

    mode: Mode | None = None
    """observe: send everything and record what would have happened; empty: as the whole gate. Malware is refused in any case."""
    hold_at: float = 7.0
    """The score from which mail is held until a postmaster approves it."""
    refuse_at: float = 14.0
    """The score from which mail is refused."""
    account_hold_at: float = 6.0
    """From how much evidence on that an account was hijacked all its mail is held; 0: never."""
    weights: dict[str, float] = field(default_factory=dict)
    """Other weights than the defaults, by fact or source; those of `[policy]` do not count here."""
    modes: dict[str, Mode] = field(default_factory=dict)
    """off, observe or enforce, by check, fact or source."""
    actions: dict[str, Action] = field(default_factory=dict)
    """Facts that decide by themselves: "quarantine" holds for approval, "refuse" refuses, "deliver" takes a default decision away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionSettings:
    """Mail that our own people and machines send, over submission listeners."""

    policy: OutgoingPolicySettings = field(default_factory=OutgoingPolicySettings)
    earlier_received: Trace = Trace.WITHHOLD
    """withhold: Received fields that show a private address or an inner host are left out; keep: they stay."""
    machines_send_as: tuple[str, ...] = ()
    """Addresses, or whole domains (``@example.net``), that machines in `relay_for` write as; empty: any address of our domains."""
