"""Mail to people about what is held for them: in their language, with signed links that open a page which asks first.

Malware is never named, nor what waits for approval on its way out; nothing is sent when nothing is new. A link does one thing for one copy, ends, and is spent as
soon as the copy has changed. What it opens only shows; the act is a form. Letters are passed on: so the page says whose link it
is, and who has an account signs in for what could do them harm (`by_link`); what is done without is in the journal with the
network it came from, and the next letter tells it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from functools import partial

from gatepost.access.links import Link, read, written
from gatepost.access.rights import Actor, Right
from gatepost.mail.address import Address, parse_address
from gatepost.office.digestletter import Done, Row, letter
from gatepost.office.holding import Decided, Holding, May
from gatepost.office.office import Impossible, NotAllowed, Office
from gatepost.office.senders import Senders
from gatepost.office.settings import ByLink, DigestSettings, Every
from gatepost.store import accounts, digests, history, identities, journal
from gatepost.store.approvals import CATEGORY as APPROVAL
from gatepost.store.database import Connection
from gatepost.store.digests import Standing
from gatepost.store.postmaster import MALWARE
from gatepost.store.records import Held, Notice

HOUR_S, DAY_S = 3600.0, 86_400.0
LONGEST_WAIT_S = 8 * DAY_S
"""Between two letters, where what links did is to be told."""
ALL = 500
"""Addresses looked at in one go."""
PURPOSES = tuple(one.value for one in ByLink)
BY_LINK = "by the link in the digest"
FROM = ", not signed in, from "
"""How the reason goes on where nobody signed in: the owner of the mailbox is told of those."""
SIGN_IN = "This takes a sign-in: the mailbox's owner has an account here."
SPENT = "This link has ended or is used up. Sign in to see what is held for you."


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a link leads to."""

    link: Link
    token: str
    copy: Held | None
    """None for the link that ends the digests."""
    author: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """Made, sent, and what comes back by their links."""

    office: Office
    holding: Holding
    key: bytes = field(repr=False)
    """Signs the links."""
    origin: Callable[[], str]
    """The console's URL without a slash at the end; empty: no digests are sent."""
    settings: Callable[[], DigestSettings]
    language: Callable[[str], str]
    """en or ja, by address."""
    new_ref: Callable[[float], str]

    # Sending

    async def send(self) -> int:
        """What is due at this moment; returns how many letters. Called again and again by the clock."""
        settings, now = self.settings(), self.office.clock()
        if not self.origin() or datetime.fromtimestamp(now, UTC).hour < settings.hour:
            return 0
        letters, after = 0, ""
        while True:
            addresses = self.office.store.database.read(
                partial(
                    digests.waiting,
                    without=self._without(),
                    by_link=f"{BY_LINK}{FROM}",
                    since=now - LONGEST_WAIT_S,
                    after=after,
                    limit=ALL,
                )
            )
            for address in addresses:
                letters += await self._send_to(address, now)
            if len(addresses) < ALL:
                return letters
            after = addresses[-1]

    def standing(self, actor: Actor) -> list[Standing]:
        """What each of the actor's own addresses wishes and was told. Raises NotAllowed."""
        self.office.insist(actor, Right.OWN)
        return [
            self.office.store.database.read(partial(digests.standing, address=one)) for one in actor.addresses
        ]

    async def wish(self, actor: Actor, address: str, every: Every) -> None:
        """How often one of the actor's own addresses wants one. Raises NotAllowed."""
        if not actor.owns(address):
            raise NotAllowed("This is not your address.")
        await self._wish(actor.who, address, every)

    def last_sent(self) -> float | None:
        """When the newest went out to anybody."""
        return self.office.store.database.read(digests.last_sent)

    async def _send_to(self, address: str, now: float) -> int:
        settings = self.settings()
        stand = self.office.store.database.read(partial(digests.standing, address=address))
        every = Every(stand.every) if stand.every in list(Every) else settings.every
        wait = {Every.DAILY: DAY_S, Every.WEEKLY: 7 * DAY_S}.get(every)
        # An hour of grace, so that a letter a day stays one, whenever the clock strikes.
        if wait is None or (stand.sent_at is not None and now < stand.sent_at + wait - HOUR_S):
            return 0
        to = parse_address(address, smtputf8=True)
        copies, many = self.office.store.database.read(
            partial(
                digests.news_for,
                address=address,
                after=stand.told,
                without=self._without(),
                limit=settings.listed,
            )
        )
        since = max(stand.sent_at or 0.0, now - LONGEST_WAIT_S)
        done = self.office.store.database.read(
            partial(
                digests.done_by_link,
                address=address,
                by_link=f"{BY_LINK}{FROM}",
                since=since,
                limit=settings.listed,
            )
        )
        if to is None or not (copies or done):
            return 0
        notice = self._notice(to, copies, done, many, now)
        await self.office.store.enqueue_notice(notice)
        await self.office.store.database.commit(
            partial(
                digests.sent, address=address, at=now, told=max([stand.told, *(one.id for one in copies)])
            )
        )
        return 1

    def _notice(self, to: Address, copies: list[Held], done: list[Held], many: int, now: float) -> Notice:
        ref, whose = self.new_ref(now), str(to).lower()
        rows = [self._row(copy, whose, now) for copy in copies]
        octets = letter(
            rows, done=[self._did(copy) for copy in done], more=many - len(rows), to=whose, hostname=self.office.hostname, ref=ref, date=formatdate(now),
            language=self.language(whose), console=f"{self.origin()}/me/quarantine",
            stop=self._url("never", whose, 0, 0.0, now),
        )  # fmt: skip
        return Notice(ref=ref, recipient=to, octets=octets, at=now)

    def _row(self, copy: Held, whose: str, now: float) -> Row:
        author, subject = self._facts(copy)
        may = May.RELEASE if copy.category in self.holding.people_may_release else May.REQUEST
        url = partial(self._url, whose=whose, about=copy.id, stamp=copy.changed_at, now=now)
        return Row(
            author=author or copy.sender, sender=copy.sender, subject=subject, held_at=copy.held_at,
            category=copy.category, asked=copy.state == "requested", may=may.value, go=url(may.value),
            block=url("block"), delete=url("delete"),
        )  # fmt: skip

    def _did(self, copy: Held) -> Done:
        author, subject = self._facts(copy)
        return Done(
            author=author or copy.sender, subject=subject, state=copy.state, at=copy.changed_at,
            network=copy.changed_why.partition(FROM)[2],
        )  # fmt: skip

    def _facts(self, copy: Held) -> tuple[str, str]:
        entry = self.office.store.database.read(lambda connection: history.entry(connection, copy.ref))
        return (entry.author, entry.subject) if entry is not None else ("", "")

    def _url(self, purpose: str, whose: str, about: int, stamp: float, now: float) -> str:
        link = Link(
            purpose=purpose,
            whose=whose,
            about=about,
            stamp=stamp,
            ends_at=float(int(now + self.settings().link_s)),
        )
        return f"{self.origin()}/link/{written(link, self.key)}"

    def _without(self) -> tuple[str, ...]:
        return (MALWARE, APPROVAL, *self.settings().without)

    # Coming back

    def open(self, token: str) -> Opened:
        """What a link leads to; changes nothing. Raises Impossible for one that is forged, ended or spent."""
        link = read(token, self.key, now=self.office.clock())
        if link is None or link.purpose not in PURPOSES:
            raise Impossible(SPENT)
        if link.purpose == "never":
            if self.office.store.database.read(partial(digests.is_taken, token=token)):
                raise Impossible(SPENT)
            return Opened(link=link, token=token, copy=None)
        found = self.office.store.database.read(partial(_numbered, number=link.about))
        if (
            found is None
            or found.to.lower() != link.whose
            or found.changed_at != link.stamp
            or found.state not in ("held", "requested")
            or found.category in self._without()
        ):
            raise Impossible(SPENT)
        author, subject = self._facts(found)
        return Opened(link=link, token=token, copy=found, author=author or found.sender, subject=subject)

    def takes_sign_in(self, opened: Opened) -> bool:
        """Does its owner have a way to sign in, and is it more than a link does alone?"""
        if opened.link.purpose in self.settings().by_link:
            return False

        def can(connection: Connection) -> bool:
            owner = accounts.owner_of(connection, opened.link.whose)
            return owner is not None and owner.usable and (
                owner.has_codes or bool(accounts.passkeys(connection, owner.id)) or identities.is_linked(connection, owner.id)
            )  # fmt: skip

        return self.office.store.database.read(can)

    def is_anothers(self, opened: Opened, actor: Actor) -> bool:
        """Was it sent to an address that is somebody else's own? Then it was passed on; the journal would name the wrong one."""
        owner = self.office.store.database.read(partial(accounts.owner_of, address=opened.link.whose))
        return owner is not None and owner.id != actor.account

    async def use(self, token: str, actor: Actor | None = None, *, network: str = "") -> Decided:
        """Do what the link is for, as its owner where they are signed in, else as whoever holds it, in `network`.

        Raises Impossible as `open` does, and NotAllowed where its owner has to sign in for it.
        """
        opened = self.open(token)
        link, copy = opened.link, opened.copy
        reason = BY_LINK
        if actor is None or not actor.owns(link.whose):
            if self.takes_sign_in(opened):
                raise NotAllowed(SIGN_IN)
            actor, reason = bearer(link), f"{BY_LINK}{FROM}{network or 'nowhere known'}"
        if copy is None:
            await self._wish(actor.who, link.whose, Every.NEVER, reason=reason, once=token)
            return Decided()
        match link.purpose:
            case "release":
                return await self.holding.release(actor, [copy.id], reason)
            case "request":
                return await self.holding.request(actor, [copy.id], reason)
            case "block":
                if copy.sender:
                    await Senders(office=self.office).add(
                        actor,
                        copy.sender,
                        allow=False,
                        recipient=link.whose,
                        reason=reason,
                    )
        return await self.holding.delete(actor, [copy.id], reason)

    async def _wish(self, who: str, address: str, every: Every, *, reason: str = "", once: str = "") -> None:
        now = self.office.clock()

        def work(connection: Connection) -> None:
            if once and not digests.take(connection, once, now=now, ends_at=now + self.settings().link_s):
                raise Impossible(SPENT)
            digests.wish(connection, address, every.value)
            journal.append(
                connection, at=now, who=who, what=f"digest {every.value} <{address.lower()}>", why=reason
            )

        await self.office.store.database.commit(work)


def bearer(link: Link) -> Actor:
    """Whoever reads the mailbox the link was sent to: it is theirs, and nothing else is."""
    return Actor(
        account=-1, login=link.whose, rights=frozenset({Right.OWN}), addresses=(link.whose,), via="link"
    )


def _numbered(connection: Connection, number: int) -> Held | None:
    from gatepost.store.quarantine import numbered

    return next(iter(numbered(connection, [number])), None)
