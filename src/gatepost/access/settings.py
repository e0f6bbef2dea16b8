"""How people sign in: lives of sessions and links, cost of passwords, patience with failures."""

from __future__ import annotations

from dataclasses import dataclass, field

HOUR_S = 3600.0
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordCost:
    """What one check of a password costs (argon2id, RFC 9106 §4). New passwords take it; old ones keep theirs."""

    memory_kib: int = 65_536
    """Memory in KiB; two checks at most run at a time in each process."""
    passes: int = 3
    """How often the memory is gone over."""
    lanes: int = 1
    """Threads of one check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockoutSettings:
    """How guessing is slowed down. Who is known, or has a passkey, is never shut out by the guesses of others."""

    free: int = 5
    """Failures of one account from one network before waiting begins."""
    network_free: int = 30
    """Failures from one network, for all accounts together, before waiting begins."""
    spread_free: int = 10
    """Networks that guess at one account before other unknown networks wait, too."""
    first_s: float = 2.0
    """The first wait; it doubles with each failure."""
    longest_s: float = 900.0
    """The longest wait."""
    forgotten_s: float = DAY_S
    """Failures are forgotten after so long without another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    """How people sign in."""

    administrator_idle_s: float = 0.5 * HOUR_S
    """Somebody with an administrative role is signed out after so long without a request."""
    administrator_s: float = 12 * HOUR_S
    """And after so long in any case."""
    person_idle_s: float = 12 * HOUR_S
    """The same for everybody else."""
    person_s: float = 14 * DAY_S
    """And in any case."""
    enrolment_s: float = 0.5 * HOUR_S
    """How long somebody may take to enrol once the link or recovery code is used."""
    link_s: float = 2 * DAY_S
    """How long an enrolment link can be used."""
    challenge_s: float = 300.0
    """How long a browser may take to answer."""
    app_password_s: float = 0.0
    """App passwords end after so long where nobody says otherwise; 0: they do not."""
    known_s: float = 90 * DAY_S
    """A network that somebody signed in from counts as known for so long."""
    second_person: bool = True
    """Who gives somebody a role beyond `person`, or gets a link into, or an address of, somebody else, needs a second person
    who agrees in the console. Links that go to the person by mail do not; commands on the machine do not."""
    help_desk_sees_subjects: bool = False
    """The help desk sees subjects and file names beside the metadata."""
    password_cost: PasswordCost = field(default_factory=PasswordCost)
    lockout: LockoutSettings = field(default_factory=LockoutSettings)


def problem(settings: AccessSettings) -> tuple[str, str] | None:
    """What cannot be meant: the setting's name under ``access``, and a sentence about it; None when all can."""
    cost, lockout = settings.password_cost, settings.lockout
    cheap = cost.memory_kib < LEAST_MEMORY_KIB or cost.memory_kib * cost.passes < 2 * LEAST_MEMORY_KIB
    if cheap or not 1 <= cost.lanes <= 16:
        wanted = (
            f"wants {LEAST_MEMORY_KIB} KiB and two passes at least, or twice the memory, and 1 to 16 lanes:"
        )
        return "password_cost", f"{wanted} passwords would be cheap to guess."
    if cost.memory_kib > MOST_MEMORY_KIB or cost.passes > 20:
        return (
            "password_cost",
            f"takes at most {MOST_MEMORY_KIB} KiB and 20 passes: nobody would wait that long.",
        )
    for name in ("free", "network_free", "spread_free"):
        if not 1 <= getattr(lockout, name) <= 1000:
            return f"lockout.{name}", "is a number from 1 to 1000."
    if not 0 < lockout.first_s <= lockout.longest_s <= DAY_S:
        return "lockout", "wants a first wait, and a longest one that is not shorter, of a day at most."
    if lockout.forgotten_s < lockout.longest_s:
        return "lockout.forgotten_s", "cannot be shorter than the longest wait."
    for name in _LIVES:
        if getattr(settings, name) <= 0:
            return name, "must be longer than nothing."
    if settings.app_password_s < 0:
        return "app_password_s", "cannot be less than 0."
    return None


LEAST_MEMORY_KIB = 19_456
"""The least that OWASP names for two passes of argon2id; one pass takes twice as much."""
MOST_MEMORY_KIB = 1_048_576
_LIVES = (
    "administrator_idle_s", "administrator_s", "person_idle_s", "person_s", "enrolment_s", "link_s", "challenge_s",
    "known_s",
)  # fmt: skip
