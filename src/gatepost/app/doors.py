"""Which way a message goes: what our own people and machines hand in goes out, everything else comes in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.intake import Intake
from gatepost.mail.client import Attempt, Client, Envelope
from gatepost.smtp.dialect import Dialect
from gatepost.smtp.handler import Handler, Screened
from gatepost.smtp.reply import Reply
from gatepost.submission import Submission

SENDING = frozenset({Dialect.SUBMISSION.value, Dialect.SUBMISSIONS.value})


@dataclass(frozen=True, slots=True)
class Doors:
    """Implements `smtp.handler.Handler`. Whoever signed in has mail to send, whichever listener a front of ours uses; a
    submission listener takes no other."""

    intake: Intake
    submission: Submission

    async def screen(self, attempt: Attempt) -> Screened:
        """As its way has it."""
        return await self._way(attempt.client).screen(attempt)

    async def receive(
        self, client: Client, envelope: Envelope, octets: bytes, screened: Sequence[Screened]
    ) -> Sequence[Reply]:
        """As its way has it."""
        return await self._way(client).receive(client, envelope, octets, screened)

    def refused(
        self, client: Client, envelope: Envelope | None, reply: Reply, what: str, ref: str = ""
    ) -> str:
        """As its way has it."""
        return self._way(client).refused(client, envelope, reply, what, ref)

    def _way(self, client: Client) -> Handler:
        return self.submission if client.role in SENDING or client.account else self.intake
