"""The settings of delivery: domains, the retry schedule, how much at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatepost.smtp.sending import TlsUse

MOST_PROCESSES = 32
"""That deliver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSettings:
    """One domain that mail is taken for, and where its mail goes."""

    name: str
    """The domain, or ``.example.net`` for everything below example.net."""
    recipients: str | tuple[str, ...] | dict[str, str] = "*"
    """``"*"`` for everyone, a list of addresses, ``{ file = "…" }`` with one address a line, or ``{ callout = "smtp:HOST:PORT" }``."""
    deliver: str = ""
    """``maildir:PATH``, ``lmtp:HOST:PORT``, ``lmtp:/path/of.sock`` or ``smtp:HOST:PORT``."""
    tls: TlsUse = TlsUse.OPPORTUNISTIC
    """TLS towards the next hop: none, opportunistic, or required (name and chain verified)."""
    aliases: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    """Address (or local part, or ``*`` for every unknown one) and the addresses its mail goes to, here or elsewhere."""
    plus_addresses: str = "+"
    """What separates a mailbox's name from a detail of the sender's choosing (RFC 5233); empty: nothing does."""
    postmaster: str = ""
    """Who reads postmaster@ this domain; empty: the installation's postmaster, else its own mailbox, else the first listed recipient."""
    abuse: bool = True
    """Is abuse@ taken as well, for the postmaster (RFC 2142 §2)?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSettings:
    """When what did not go out is tried again; how soon at first is a setting of `[outbound]`."""

    retry_longest_s: float = 4 * 3600.0
    """No wait is longer."""
    give_up_s: float = 5 * 86400.0
    """After this the sender gets the message back (RFC 5321 §4.5.4.1: four to five days)."""
    delay_notice_s: float = 4 * 3600.0
    """After this the sender is told that the message still waits."""
    destination_pause_s: float = 30.0
    """A destination that cannot be reached rests so long, each time twice as long, up to `destination_pause_longest_s`."""
    destination_pause_longest_s: float = 1800.0
    """The longest rest of a destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """How mail is got out."""

    processes: int = 1
    """Processes that deliver, each its part of the messages: one delivers more than nearly anybody receives, and each takes memory. 0: two
    where the machine has more than one processor, else one."""
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    """When to try again."""
    at_once: int = 300
    """Transactions at the same time; those that have lasted for over a second count no more, up to a bound of their own."""
    at_once_per_destination: int = 20
    """The most towards one destination; it begins with few, and learns how many the other side takes."""
    recipients_per_transaction: int = 100
    """RFC 5321 §4.5.3.1.8."""
    in_hand: int = 1000
    """Copies claimed from the queue at the same time; three quarters of them may wait for one destination."""
    lease_s: float = 3600.0
    """For how long a copy is claimed; a try that lasts longer is broken off."""
    poll_s: float = 1.0
    """How often the queue is looked at when nobody pokes."""
    postmaster: str = ""
    """Who reads postmaster@ every domain of ours, and the notices of undeliverable mail."""
    received_most: int = 100
    """Received fields beyond which mail is in a loop (RFC 5321 §6.3)."""
    returned_octets: int = 64 * 1024
    """A larger message is not sent back whole with a DSN, only its header."""
    notices_per_hour: int = 20
    """Notices of undeliverable mail that the postmaster gets at most, or one from each delivering process."""
