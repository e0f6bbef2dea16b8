"""Does the message pretend to be from somebody it is not from? Spear phishing as far as the sender shows it.

Names of protected people and of brands beside foreign addresses, our own domain in a name or unproved as author,
answers that would go elsewhere, threads that never were, and correspondents whose mail suddenly comes otherwise than it
always did. What the text asks for is judged elsewhere (`rules`); here it is only who asks.
Mail of our own users is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatepost.checks.check import Check, Emits
from gatepost.checks.connection.network import is_public
from gatepost.checks.content.targets import domain_of
from gatepost.checks.sender.brandnames import BrandNames
from gatepost.checks.sender.identity import claimed_identity, correspondent, proved_domain
from gatepost.checks.sender.networks import places_of, problem_with
from gatepost.checks.sender.personnames import ProtectedNames
from gatepost.dns.names import is_subdomain
from gatepost.mail.address import Address, printable
from gatepost.mail.author import authors, subject_text
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.known.brands import BRANDS
from gatepost.mail.known.providers import FREE_MAIL
from gatepost.mail.replyto import reply_to
from gatepost.tools import Acquaintance, Person, Tools

KNOWN = ("correspondents.known", "correspondents.replied")
HERE = "configuration reference, [checks.impersonation]"
PERSON = Emits(
    name="impersonation.protected_name",
    about="The name is a protected person's, the address is not.",
    reference=HERE,
    weight=3.5,
    group="phishing",
    excused_by=KNOWN,
)
OWN_IN_NAME = Emits(
    name="impersonation.own_domain_in_name",
    about="The author's name shows an address or domain of ours, the address is somebody else's.",
    reference=HERE,
    weight=3.0,
    group="phishing",
    excused_by=KNOWN,
)
OWN_UNPROVED = Emits(
    name="impersonation.own_domain",
    about="The author's address is at a domain of ours, and nothing proves that it comes from us.",
    reference=HERE,
    weight=2.0,
    group="phishing",
)
BRAND = Emits(
    name="impersonation.brand_name",
    about="The author's name is a brand's, the address is not.",
    reference=HERE,
    weight=2.5,
    group="phishing",
    excused_by=KNOWN,
)
BRAND_UNPROVED = Emits(
    name="impersonation.brand_unproved",
    about="The author's address is at a brand's domain, and nothing proves it.",
    reference=HERE,
    weight=1.0,
    group="phishing",
)
REPLY_FREE = Emits(
    name="impersonation.reply_to_free_mail",
    about="An answer would go to a free mail provider, though the author is elsewhere.",
    reference="RFC 5322 §3.6.2",
    weight=2.0,
    group="phishing",
    excused_by=KNOWN,
)
REPLY_ELSEWHERE = Emits(
    name="impersonation.reply_elsewhere",
    about="An answer would go to another domain than the author's.",
    reference="RFC 5322 §3.6.2",
    weight=0.8,
    group="phishing",
    excused_by=KNOWN,
)
THREAD = Emits(
    name="impersonation.forged_thread",
    about="The subject says that this answers something, and nothing else does: nobody here knows the sender.",
    reference="RFC 5322 §3.6.4",
    weight=1.5,
    group="phishing",
    excused_by=KNOWN,
)
CHANGED_PROOF = Emits(
    name="impersonation.changed_proof",
    about="Mail of this correspondent always came proved, and this does not.",
    reference=HERE,
    weight=2.0,
    group="phishing",
    excused_by=("forwarder.trusted",),
)
CHANGED_PLACE = Emits(
    name="impersonation.changed_place",
    about="Mail of this correspondent always came from elsewhere in the world.",
    reference=HERE,
    weight=0.7,
    group="phishing",
)
WEIGHTS = {"impersonation.protected_name:initials": 1.5}
ENOUGH = 5
"""Messages that make a habit."""
MOST_DOMAINS = 10
# Words before the subject of an answer, in the languages of large mail programs.
ANSWER = re.compile(
    r"\s*(?:re|aw|antw|sv|vs|rif|res|rép|odp|回复|答复|回覆|返信)\s*(?:\[\d+\])?\s*[:：]", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpersonationSettings:
    """People and brands that are not who they say. Protected people stand under [people]."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    brands: bool = True
    """Look for names of brands too."""
    networks_file: str = ""
    """A file of countries or network owners (MaxMind's format, `.mmdb`), to see when a correspondent's mail comes from elsewhere; without it nobody's place is looked at."""


async def impersonation(mail: Mail, tools: Tools, settings: ImpersonationSettings) -> Sequence[Finding]:
    """What is false about the sender."""
    if mail.client.user is not None:
        return ()
    shown = authors(mail.message)
    if not shown.addresses:
        return ()
    author = shown.addresses[0]
    proved = proved_domain(mail)
    own = tools.people.own_domains
    ours = _is_ours(author.domain, own)
    found: list[Finding] = []
    name = shown.display_names[0]
    if ours:
        if proved is None and mail.client.ip is not None and is_public(mail.client.ip):
            text = f"the author is said to be {_shown(author)}, which is one of us, and nothing proves it"
            found.append(OWN_UNPROVED.found(text, {"author": _shown(author)}))
    else:
        found += _names(name, author, tools)
        for box in reply_to(mail.message)[:1]:
            if box.name and box.name != name and not _is_ours(box.address.domain, own):
                found += _names(box.name, box.address, tools)
    if settings.brands and not ours:
        found += _brand(name, author, proved)
    found += _answers(mail, author, own)
    found += await _habits(mail, tools, settings)
    return found


def _names(name: str, author: Address, tools: Tools) -> list[Finding]:
    """A protected person's name, or our domain in the name, beside a foreign address."""
    if not name:
        return []
    found = []
    protected = names_of(tools.people.protected)
    match = protected.find(name) if protected else None
    if match is not None and author.key not in protected.addresses_of(match):
        whose = (
            f"your {match.person.role}'s"
            if match.person.role
            else f"that of {printable(match.person.name, 60)}"
        )
        nearly = "" if match.exact else ", shortened"
        text = f"The name is {whose}{nearly}, the address is not: {printable(name, 60)} <{_shown(author)}>"
        evidence = {"name": printable(name, 100), "person": match.person.name, "address": _shown(author)}
        found.append(PERSON.found(text, evidence, "" if match.exact else "initials"))
    low = name.lower()
    if "." in low:
        for domain in tools.people.own_domains[:50]:
            if domain in low and re.search(rf"(?<![\w.-])(?:[\w.-]+\.)?{re.escape(domain)}(?![\w-])", low):
                text = f"the author's name shows our domain {domain}, the address is {_shown(author)}"
                found.append(OWN_IN_NAME.found(text, {"name": printable(name, 100), "domain": domain}))
                break
    return found


def _brand(name: str, author: Address, proved: str | None) -> list[Finding]:
    known = BRAND_NAMES.owner_of(author.domain)
    if known is not None:
        if proved is None and author.domain not in FREE_MAIL:
            text = f"the author's address is of {known} ({author.domain}), and nothing proves it"
            return [BRAND_UNPROVED.found(text, {"brand": known, "domain": author.domain})]
        if author.domain not in FREE_MAIL:
            return []
    brand = BRAND_NAMES.named_in(name) if name else None
    if brand is None or known == brand:
        return []
    text = f"the author's name says {brand}, the address does not: {_shown(author)}"
    return [BRAND.found(text, {"brand": brand, "name": printable(name, 100), "address": _shown(author)})]


def _answers(mail: Mail, author: Address, own: Sequence[str]) -> list[Finding]:
    """Where an answer would go, and whether this is one."""
    found = []
    message = mail.message
    of_list = message.count(b"list-id") or message.count(b"list-post") or message.count(b"mailing-list")
    boxes = reply_to(message)
    if boxes and not of_list:
        there = [box.address for box in boxes if domain_of(box.address.domain) != domain_of(author.domain)]
        there = [address for address in there if not _is_ours(address.domain, own)]
        if len(there) == len(boxes):
            free = there[0].domain in FREE_MAIL and author.domain not in FREE_MAIL
            emits = REPLY_FREE if free else REPLY_ELSEWHERE
            text = f"an answer would go to {_shown(there[0])}, and the author is at {printable(author.domain, 80)}"
            found.append(emits.found(text, {"reply_to": _shown(there[0]), "author": _shown(author)}))
    threaded = of_list or message.count(b"in-reply-to") or message.count(b"references")
    if not threaded and not _is_ours(author.domain, own) and ANSWER.match(subject_text(message)):
        found.append(
            THREAD.found("the subject says that this is an answer, and it names no message that it answers")
        )
    return found


async def _habits(mail: Mail, tools: Tools, settings: ImpersonationSettings) -> list[Finding]:
    """Does a correspondent's mail come as it always did?"""
    domains = {recipient.address.domain for recipient in mail.envelope.recipients}
    if not domains or len(domains) > MOST_DOMAINS:
        return []
    identity = claimed_identity(mail)
    if identity is None:
        return []
    met = [one for domain in sorted(domains) if (one := await tools.correspondents.know(identity, domain))]
    habit = max(met, key=lambda one: one.messages, default=None)
    if habit is None:
        return []
    found = []
    if correspondent(mail) is None:
        unsure = mail.auth.dmarc.result == "temperror" or mail.auth.spf_mail_from.result == "temperror"
        if not unsure and habit.messages >= ENOUGH and habit.unproved * 10 <= habit.messages:
            text = f"mail of {printable(identity, 80)} came proved {habit.messages} times before, and this does not"
            found.append(CHANGED_PROOF.found(text, {"identity": identity, "before": habit.messages}))
    if settings.networks_file and mail.client.ip is not None:
        found += _place(identity, habit, places_of(mail.client.ip, settings.networks_file))
    return found


def _place(identity: str, habit: Acquaintance, now: Sequence[str]) -> list[Finding]:
    """A country never seen before; a network owner only where no country is known."""
    for kind in (now[:1], now[1:]):
        for place in kind:
            alike = {
                one: count
                for one, count in habit.places.items()
                if one.startswith("AS") == place.startswith("AS")
            }
            if sum(alike.values()) >= ENOUGH:
                if place in alike:
                    return []
                before = ", ".join(sorted(alike, key=lambda one: -alike[one])[:3])
                text = f"mail of {printable(identity, 80)} comes from {place}, and always came from {before}"
                return [CHANGED_PLACE.found(text, {"identity": identity, "place": place, "before": before})]
    return []


def _is_ours(domain: str, own: Sequence[str]) -> bool:
    return any(is_subdomain(domain, one) for one in own)


def _shown(address: Address) -> str:
    return printable(str(address), 100)


BRAND_NAMES = BrandNames(BRANDS)


class _Kept:
    """The index of names last made, and of whom."""

    def __init__(self) -> None:
        self.of: Sequence[Person] | None = None
        self.names = ProtectedNames(())


_kept = _Kept()


def names_of(people: Sequence[Person]) -> ProtectedNames:
    """The index of these people's names; made anew only for others."""
    if _kept.of is not people:
        _kept.names, _kept.of = ProtectedNames(people), people
    return _kept.names


def _weights(settings: ImpersonationSettings) -> Mapping[str, tuple[float, Mode]]:
    return {key: (weight, settings.mode) for key, weight in WEIGHTS.items()}


def _problems(settings: ImpersonationSettings) -> list[str]:
    said = problem_with(settings.networks_file)
    return [said] if said else []


IMPERSONATION = Check(
    name="impersonation",
    subject=Mail,
    settings=ImpersonationSettings,
    run=impersonation,
    emits=(
        PERSON, OWN_IN_NAME, OWN_UNPROVED, BRAND, BRAND_UNPROVED, REPLY_FREE, REPLY_ELSEWHERE, THREAD, CHANGED_PROOF,
        CHANGED_PLACE,
    ),
    timeout_s=2.0,
    problems=_problems,
    weights_of=_weights,
)  # fmt: skip
