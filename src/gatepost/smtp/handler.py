"""What a session asks of the flow above it: `Handler`. `net.session` speaks it, `intake` answers.

It lies here, below both, so that they stay strangers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gatepost.mail.client import Attempt, Client, Envelope
from gatepost.mail.finding import Finding
from gatepost.smtp.reply import Reply


@dataclass(frozen=True, slots=True)
class Screened:
    """The answer to one recipient at RCPT TO; kept by the session for `receive` when positive."""

    reply: Reply
    findings: tuple[Finding, ...] = ()


class Handler(Protocol):
    """The two moments of a message's life (`docs/architecture.md` §1)."""

    async def screen(self, attempt: Attempt) -> Screened:
        """Do we want to talk about this recipient at all?"""
        ...

    async def receive(
        self, client: Client, envelope: Envelope, octets: bytes, screened: Sequence[Screened]
    ) -> Sequence[Reply]:
        """Judge and carry out. `screened` runs parallel to `envelope.recipients`.

        Returns one reply for the message, or for LMTP one for each recipient. A 250 means stored and synced.
        """
        ...

    def refused(
        self, client: Client, envelope: Envelope | None, reply: Reply, what: str, ref: str = ""
    ) -> str:
        """The session itself turned something down (a violation, a limit): for history and metrics; must not block.

        Returns the reference that goes into the reply, or "" for none. `ref` is one that the client was told already.
        """
        ...
