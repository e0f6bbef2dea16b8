"""Which identity signs which message, and the settings of signing.

Signed is what our people and we ourselves write: the one author domain of the From field is one of ours, and who hands
the message in may send out. A signature is made once, when the message is queued, and kept with it; a copy that is
changed on its way out gets another over what it has become. Mail that comes in from elsewhere is never signed,
whatever its From says: sent on, it may be sealed. Left out: keys (`store.signingkeys`) and their life.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from gatepost.mail.address import normal_domain
from gatepost.mail.author import authors
from gatepost.mail.client import Client, Recipient
from gatepost.mail.message import Message
from gatepost.mailauth.arc_seal import seal
from gatepost.mailauth.dkim_sign import SigningKey, sign_with_all
from gatepost.mailauth.header import fold_results, results_clauses
from gatepost.mailauth.keylife import ALGORITHMS, KeyPace
from gatepost.mailauth.keyrecord import key_name
from gatepost.store.messages import copy_for_delivery
from gatepost.store.records import Acceptance, HistoryEntry, QueueItem

UNSIGNABLE = frozenset({"bare-cr", "bare-lf", "too-many-fields", "leading-continuation", "not-a-field"})
"""Defects of a header that others may read, or repair, in another way than we do."""
SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
KEEP_LEAST_S = 5 * 86_400.0
AT_ONCE_OCTETS = 256 * 1024
"""Larger messages are signed in a thread: the loop has others to attend to."""
SRS_DAYS_MOST = 60
FRONT_MOST = 32 * 1024
"""Octets at the beginning of a message among which our own signatures are."""
DOMAINS_MOST = 6
"""Labels cut off the author domain in search of a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningSettings:
    """DKIM signatures on what goes out, keys and their rotation, and what forwarded mail gets."""

    enabled: bool = True
    """Sign with the keys that `gatepost key create` made and that are published."""
    algorithms: tuple[str, ...] = ALGORITHMS
    """What a domain signs with: rsa-sha256, ed25519-sha256, or both."""
    selector: str = "gate"
    """How selectors begin; where several installations sign for one domain, each needs its own."""
    rotate: bool = True
    """Make the next key in time, switch to it once it is published, and retire the old one."""
    rotate_s: float = 180 * 86_400.0
    """How long a key signs before the next one is made."""
    settle_s: float = 3_600.0
    """How long a new key's record must have been seen before the key takes over from another."""
    keep_s: float = 14 * 86_400.0
    """How long the record of a retired key must stay; longer than mail is tried."""
    check_s: float = 900.0
    """Between two looks whether the records are published."""
    expires_s: float = 0.0
    """Signatures end after this (x=); 0: they do not."""
    delegate: str = ""
    """A zone of ours that domains point their selectors to with CNAMEs, once and for all; empty: they publish keys themselves."""
    arc: bool = False
    """Seal mail that is forwarded elsewhere with ARC (RFC 8617)."""
    srs: bool = True
    """Rewrite the sender of mail that is forwarded elsewhere, so that SPF holds and bounces come back."""
    srs_valid_s: float = 10 * 86_400.0
    """For how long bounces to a rewritten sender find back; whole days count."""
    srs_domain: str = ""
    """A domain of ours that rewritten senders are at; empty: the domain of the address that forwards."""

    @property
    def pace(self) -> KeyPace:
        """For `mailauth.keylife`."""
        return KeyPace(rotate_s=self.rotate_s, settle_s=self.settle_s, keep_s=self.keep_s)


def signing_problems(settings: SigningSettings) -> Iterator[str]:
    """What is wrong with the settings, each one sentence."""
    for one in settings.algorithms:
        if one not in ALGORITHMS:
            yield f'algorithms names "{one}"; there are {" and ".join(ALGORITHMS)}.'
    if not settings.algorithms:
        yield "algorithms names none: to sign nothing, set enabled = false."
    if not SELECTOR.fullmatch(settings.selector):
        yield f'selector is "{settings.selector}"; letters, digits and hyphens are wanted, such as "gate".'
    for name in ("delegate", "srs_domain"):
        text = getattr(settings, name)
        if text and normal_domain(text.strip(".")) is None:
            yield f'{name} is "{text}", which is no domain.'
    if not 1 <= settings.srs_valid_s / 86_400.0 <= SRS_DAYS_MOST:
        yield f"srs_valid must be between a day and {SRS_DAYS_MOST} days: bounces come within ten."
    if settings.keep_s < KEEP_LEAST_S:
        yield "keep is shorter than five days: mail that waits in a queue could not be verified any more."


class Keys(Protocol):
    """What is needed of `store.signingkeys.KeysInUse`."""

    def of(self, domain: str) -> tuple[SigningKey, ...]:
        """The keys that sign for exactly this domain now; never raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Signs what may be signed under the present configuration."""

    keys: Keys
    ours: Callable[[str], bool]
    """Is it one of our domains?"""
    settings: SigningSettings
    hostname: str = "localhost"
    """Our name in what a seal says."""

    async def signed(self, acceptance: Acceptance) -> Acceptance:
        """An accepted message with our signatures in front, when it is ours to sign, or a seal when it is sent on."""
        forwarder = next(
            (
                found
                for copy in acceptance.deliveries
                if not copy.held and (found := self._forwarder(copy.recipient, copy.to)) is not None
            ),
            None,
        )
        if not (goes_out(acceptance.entry.client) or forwarder is not None):
            return acceptance
        octets = copy_for_delivery(acceptance.octets, acceptance.added_header, acceptance.removed_fields)
        front, keys = await self._covered(octets, acceptance.entry, forwarder)
        if not front:
            return acceptance
        names = tuple(key_name(one.domain, one.selector) for one in keys)
        return replace(
            acceptance,
            entry=replace(acceptance.entry, signed_by=names),
            added_header=front + acceptance.added_header,
        )

    async def signed_again(
        self, octets: bytes, item: QueueItem, entry_of: Callable[[str], HistoryEntry | None]
    ) -> bytes:
        """A copy that was changed at delivery: what covered it before is taken off, and what it is now is covered.

        The same octets at every try, as long as the same keys sign. Without the entry of its message it goes uncovered.
        """
        octets = octets[front_end(octets) :]
        forwarder = self._forwarder(item.recipient, item.to)
        entry = entry_of(item.ref) if item.account or forwarder is not None else None
        if entry is None:
            return octets
        front, _ = await self._covered(octets, entry, forwarder)
        return front + octets

    async def _covered(
        self, octets: bytes, entry: HistoryEntry, forwarder: str | None
    ) -> tuple[bytes, Sequence[SigningKey]]:
        """The fields that cover a message as it goes out, and the keys they were made with; empty when nothing does."""
        if not self.settings.enabled:
            return b"", ()
        keys, work = self._work(Message.parse(octets), entry, forwarder)  # keys are read here, in the loop
        if not keys:
            return b"", ()
        large = len(octets) > AT_ONCE_OCTETS
        return (await asyncio.to_thread(work) if large else work()), keys

    def _work(
        self, message: Message, entry: HistoryEntry, forwarder: str | None
    ) -> tuple[Sequence[SigningKey], Callable[[], bytes]]:
        """The keys, and what makes the fields with them."""
        if goes_out(entry.client):
            keys, expires_s = list(self.identity(message)), self.settings.expires_s or None
            return keys, partial(sign_with_all, message, keys, now=entry.at, expires_s=expires_s)
        own = [one for one in self.of(forwarder or "") if isinstance(one.private, RSAPrivateKey)][:1]
        return own, partial(sealed, message, own, entry, self.hostname)

    def _forwarder(self, recipient: Recipient, to: str) -> str | None:
        """The domain of ours that sends a copy on elsewhere, where that is to be sealed."""
        if not self.settings.arc or self.ours(to.rpartition("@")[2].lower()):
            return None
        return recipient.address.domain

    def front(self, octets: bytes, now: float) -> bytes:
        """The signatures to put in front of a message as it is delivered; empty when nothing signs it. Never raises."""
        if not self.settings.enabled:
            return b""
        message = Message.parse(octets)
        keys = self.identity(message)
        if not keys:
            return b""
        return sign_with_all(message, keys, now=now, expires_s=self.settings.expires_s or None)

    def identity(self, message: Message) -> Sequence[SigningKey]:
        """The keys of the author domain, or of the nearest domain of ours above it; none when that is not clear."""
        if not UNSIGNABLE.isdisjoint(message.defects):
            return ()
        domain = authors(message).domain
        return self.of(domain) if domain else ()

    def of(self, domain: str) -> Sequence[SigningKey]:
        """The keys that sign for this author domain."""
        for name in above(domain):
            keys = self.keys.of(name)
            # The domain itself, everything below it, or the gate's own host name below it.
            if keys and (self.ours(name) or self.ours(domain)):
                return keys
        return ()


def goes_out(client: Client) -> bool:
    """Is it one of our people, or a machine of ours?"""
    return bool(client.account)


COVERING = (b"dkim-signature", b"arc-seal", b"arc-message-signature", b"arc-authentication-results")


def front_end(octets: bytes) -> int:
    """Where our own signatures or seal end: they stand above our Received field, those of others below it."""
    fields = Message.parse(octets[:FRONT_MOST]).fields
    return next((one.start for one in fields if one.name not in COVERING), 0)


def sealed(message: Message, keys: Sequence[SigningKey], entry: HistoryEntry, hostname: str) -> bytes:
    """An ARC set that says what we saw of the message when it came in; empty where none can be added."""
    (key,) = keys
    results = fold_results("X", hostname, results_clauses(entry.auth)).partition(b":")[2]
    return seal(
        message,
        chain=entry.auth.arc,
        results=results.strip().decode("utf-8", "replace"),
        domain=key.domain,
        selector=key.selector,
        key=key.private,
        now=entry.at,
    )


def above(domain: str) -> Iterator[str]:
    """The domain and those above it, which are aligned with it as long as no public suffix is crossed."""
    for _ in range(DOMAINS_MOST):
        if "." not in domain:
            return
        yield domain
        domain = domain.partition(".")[2]
