"""The settings of what the office does by itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Every(StrEnum):
    """How often a digest is sent."""

    DAILY = "daily"
    WEEKLY = "weekly"
    NEVER = "never"


class ByLink(StrEnum):
    """What a link in a digest can do."""

    RELEASE = "release"
    REQUEST = "request"
    DELETE = "delete"
    BLOCK = "block"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestSettings:
    """Mail to people about what is held for them, with links to the console. Nothing is sent when nothing is new."""

    every: Every = Every.DAILY
    """daily, weekly or never, where a person has not chosen; sent only where `[console] url` is set."""
    hour: int = 8
    """From this hour of the day on (UTC), 0 to 23."""
    link_s: float = 7 * 86_400.0
    """How long the links in it can be used."""
    listed: int = 50
    """Messages named in one digest; the rest is counted."""
    without: tuple[str, ...] = ()
    """Categories that are never named in it, beside malware and what waits for approval."""
    by_link: tuple[ByLink, ...] = (ByLink.RELEASE, ByLink.REQUEST)
    """What a link does without sign-in where the mailbox's person has an account; what is not named asks them to sign in.
    Whoever has none uses every link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacySettings:
    """Who answers for the processing; printed in the record of processing."""

    controller: str = ""
    """Name and contact of the controller."""
    representative: str = ""
    """The controller's representative, where there is one."""
    officer: str = ""
    """Name and contact of the data protection officer."""
    transfers: str = ""
    """What is to be said of transfers to third countries, where any recipient is in one."""
