"""What all sessions of one process share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from gatepost.mail.client import Client, SignedIn
from gatepost.net.limits import SessionLimits
from gatepost.net.tls import ServerTls
from gatepost.smtp.handler import Handler
from gatepost.smtp.limits import SmtpLimits
from gatepost.smtp.reply import Reply
from gatepost.smtp.sasl import Credentials, ScramKeys


class Authenticator(Protocol):
    """Verifies a finished SASL exchange."""

    mechanisms: tuple[str, ...]
    """SASL mechanisms to offer."""

    async def sign_in(self, client: Client, mechanism: str, credentials: Credentials) -> SignedIn | Reply:
        """Who signed in, or the refusing reply (535, 454 …)."""
        ...

    async def keys(self, client: Client, mechanism: str, user: str) -> ScramKeys:
        """The stored keys of this user; for one who does not exist, keys that look alike (RFC 5802 §3)."""
        ...


@dataclass(slots=True, kw_only=True)
class Service:
    """What all sessions of a process share."""

    hostname: str
    handler: Handler
    smtp_limits: SmtpLimits = field(default_factory=SmtpLimits)
    limits: SessionLimits = field(default_factory=SessionLimits)
    tls: ServerTls | None = None
    authenticator: Authenticator | None = None
    in_flight_octets: int = 0
    """Of messages coming in, in all sessions."""
    greeting: Reply = field(init=False)
    hello: Reply = field(init=False)

    def __post_init__(self) -> None:
        self.greeting = Reply(220, "", f"{self.hostname} ESMTP")
        self.hello = Reply(250, "", self.hostname)

    @property
    def check_every_s(self) -> float:
        """How often sessions are looked at for slowness: each second, or as the shortest patience asks."""
        limits = self.smtp_limits
        shortest = min(limits.command_s, limits.data_s, limits.auth_s, self.limits.session_s)
        return min(1.0, max(0.02, shortest / 8))
