"""What a proof of who somebody is amounts to: whether it lets in, what it lets do, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gatepost.access.rights import ADMINISTRATORS, Role
from gatepost.access.settings import AccessSettings


class Strength(StrEnum):
    """How somebody proved who they are."""

    PASSKEY = "passkey"
    """With user verification: what one has, and what one is or knows."""
    TWO_FACTORS = "password-and-code"
    PROVIDER = "identity-provider"
    """An identity provider's word."""
    RECOVERY = "recovery-code"
    LINK = "enrolment-link"
    DEMO = "demo"
    """A link printed by the demo, on loopback."""


class Admission(StrEnum):
    """What a proof is good for."""

    ENTER = "enter"
    ENROL = "enrol"
    """For adding a passkey, or a password with codes, and nothing else."""
    REFUSE = "refuse"


def admission(strength: Strength, roles: frozenset[Role], *, has_passkey: bool) -> Admission:
    """What this proof is good for, of an account with these roles.

    Administrators enter with a passkey only. One who has none yet may register one after password and code.
    """
    if strength in (Strength.LINK, Strength.RECOVERY):
        return Admission.ENROL
    if strength in (Strength.PASSKEY, Strength.DEMO) or not roles & ADMINISTRATORS:
        return Admission.ENTER
    if strength is Strength.TWO_FACTORS and not has_passkey:
        return Admission.ENROL
    return Admission.REFUSE


CLOCK_S = 60.0
"""So far a clock may be set back without signing people out."""


@dataclass(frozen=True, slots=True)
class Life:
    """How long a session lasts, in seconds."""

    idle_s: float
    whole_s: float


def life(admitted: Admission, roles: frozenset[Role], settings: AccessSettings) -> Life:
    """How long a session of somebody with these roles lasts."""
    if admitted is not Admission.ENTER:
        return Life(settings.enrolment_s, settings.enrolment_s)
    if roles & ADMINISTRATORS:
        return Life(settings.administrator_idle_s, settings.administrator_s)
    return Life(settings.person_idle_s, settings.person_s)


def is_over(limits: Life, *, started_at: float, seen_at: float, now: float) -> bool:
    """Has a session ended by now? One that began in the future has, too, but for a clock that was set back a little."""
    return now < started_at - CLOCK_S or now >= started_at + limits.whole_s or now >= seen_at + limits.idle_s
