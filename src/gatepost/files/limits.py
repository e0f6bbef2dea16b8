"""How far a look into one attachment goes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """Bounds of one look. What lies beyond them is the fact ``truncated`` or ``bomb``, never silence."""

    max_members: int = 1000
    """Files reported for one attachment, itself and everything inside together."""
    max_depth: int = 8
    """Containers within containers that are opened."""
    max_member_octets: int = 64 * 1024 * 1024
    """Unpacked octets of one member; a larger one is cut."""
    max_total_octets: int = 192 * 1024 * 1024
    """Unpacked octets of all members together."""
    max_ratio: int = 200
    """Unpacked octets for each packed one, of whatever unpacks to more than `bomb_octets`."""
    bomb_octets: int = 16 * 1024 * 1024
    """Less than this is no bomb, however well it was packed."""
    max_text: int = 50_000
    """Characters of text reported of one file."""
    max_links: int = 200
    """Links reported of one file."""
    kept_octets: int = 32 * 1024 * 1024
    """Octets of members handed back for the virus scanner, together."""
    max_pixels: int = 40_000_000
    """Of one image; a larger one is not decoded."""
    max_pages: int = 3
    """Pages of a document that are drawn to look for codes."""
    max_passwords: int = 20
    """Passwords tried on one locked file."""
    max_seconds: float = 8.0
    """CPU time after which nothing further is opened."""
