"""The settings of what the clock starts: alerts, metrics, rounds."""

from __future__ import annotations

from dataclasses import dataclass

REPORTS = "reports"
"""The folder below the state where reports are delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """Mail to a person when something needs one."""

    to: tuple[str, ...] = ()
    """Who is told; without anyone, alerts stand in the log and in `gatepost status` alone."""
    again_s: float = 86400.0
    """The same trouble is told again after this long."""
    queue_age_s: float = 4 * 3600.0
    """A message that has waited longer than this is a stuck queue."""
    certificate_s: float = 14 * 86400.0
    """A certificate that ends within this time is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """Figures for Prometheus."""

    address: str = ""
    """``host:port`` to serve /metrics on; empty: nowhere. Keep it on loopback or an inner network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """How often the clock starts things."""

    health_s: float = 60.0
    """Between two looks at queue, disk, certificate and resolver."""
    lists_s: float = 900.0
    """Between two probes of every block list (RFC 5782 §5)."""
    retention_s: float = 3600.0
    """Between two rounds of forgetting what is past its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningSettings:
    """What the classifier learns from, and how much one person's word is worth."""

    learn_s: float = 10.0
    """Between two looks whether something was taught."""
    mailboxes: bool = True
    """Learn from mail that people move between inbox and Junk, in Maildirs this gate delivers to."""
    mailboxes_s: float = 60.0
    """Between two looks into those Maildirs."""
    report_spam: str = ""
    """An address of ours to which our people forward what should not have reached them; empty: none."""
    report_ham: str = ""
    """The same for mail that was wrongly taken for junk."""
    reports_from: tuple[str, ...] = ()
    """Networks of our own mail servers, whose word about a report's sender is taken without further proof."""
    person_a_day: int = 100
    """Lessons of one person that are taken within a day."""
    person_in_site: int = 200
    """Lessons of one person that count fully in the model of all; with more of them each counts for less."""
    person_weight: float = 0.5
    """How much one person's lesson counts in the model of all, where the postmaster's counts 1. In the person's own it counts whole."""
    wanted_as_junk: float = 1.0
    """Wanted messages in a thousand that the classifier alone may send to Junk (0.1 to 50); more catches more. It holds from the next time
    the model is made anew: `gatepost learn again`."""
    kept: int = 20_000
    """Lessons of each kind that are kept; older ones have been learnt, but a model made anew does without them."""
