"""SMTP replies as values (RFC 5321 §4.2, RFC 3463), and the ones we send, by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """Code, enhanced code ("5.7.1", empty for 3xx and greetings) and text lines; `render` makes the octets."""

    code: int
    enhanced: str
    text: str
    """May hold line feeds: each line becomes one reply line."""
    close: bool = False
    """Close the connection once it is sent (421, 221)."""

    @property
    def positive(self) -> bool:
        """2xx or 3xx."""
        return self.code < 400
