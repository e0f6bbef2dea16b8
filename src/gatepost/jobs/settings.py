"""The settings of what the clock starts: alerts, metrics, rounds."""

from __future__ import annotations

from dataclasses import dataclass


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
