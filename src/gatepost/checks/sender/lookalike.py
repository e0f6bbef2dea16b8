"""Does a name look like ours, a partner's or a well-known brand's without being theirs?

Asked of the author's domain, of Reply-To and the envelope's sender, and of every link. The index (`nearnames`) is made
anew only when the people we write to change. What belongs to anybody known, and whoever we write to, looks like nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gatepost.checks.check import Check, Emits
from gatepost.checks.content.targets import file_targets, targets_of
from gatepost.checks.sender.nearnames import Likeness, NearNames
from gatepost.mail.address import printable
from gatepost.mail.author import authors
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.known.brands import BRANDS
from gatepost.mail.replyto import reply_to
from gatepost.tools import People, Tools

KNOWN = ("correspondents.known", "correspondents.replied")
HERE = "configuration reference, [checks.lookalike]"
GLYPHS = Emits(
    name="lookalike.glyphs",
    about="A domain is written with letters that look like those of a domain people trust.",
    reference=HERE,
    weight=3.0,
    group="lookalike",
    excused_by=KNOWN,
)
SLIP = Emits(
    name="lookalike.slip",
    about="A domain is one slip of the finger away from one that people trust.",
    reference=HERE,
    weight=1.5,
    group="lookalike",
    excused_by=KNOWN,
)
COMBINED = Emits(
    name="lookalike.combined",
    about="A domain holds a name that people trust beside other words.",
    reference=HERE,
    weight=1.5,
    group="lookalike",
    excused_by=KNOWN,
)
ENDING = Emits(
    name="lookalike.ending",
    about="A domain is a name that people trust under another ending.",
    reference=HERE,
    weight=0.7,
    group="lookalike",
    excused_by=KNOWN,
)
INSIDE = Emits(
    name="lookalike.inside",
    about="A host begins with a whole domain that people trust, and belongs to somebody else.",
    reference=HERE,
    weight=2.5,
    group="lookalike",
    excused_by=KNOWN,
)
FACTS = {"glyphs": GLYPHS, "slip": SLIP, "combined": COMBINED, "ending": ENDING, "inside": INSIDE}
MANNERS = {
    "glyphs": "is written to look like",
    "slip": "is one slip away from",
    "combined": "borrows the name of",
    "ending": "is, under another ending, the name of",
    "inside": "begins with the domain of",
}
WEIGHTS = {
    "lookalike.slip:own": 3.0,
    "lookalike.combined:own": 2.5,
    "lookalike.ending:own": 1.5,
    "lookalike.ending:partner": 0.5,
    "lookalike.glyphs:own": 4.0,
    "lookalike.inside:own": 3.5,
}
"""Where it matters whose name it is: nobody imitates ours by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookalikeSettings:
    """Names that look like trusted ones."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    brands: bool = True
    """Compare with well-known brands, not only with our own and our partners' domains."""
    more: tuple[str, ...] = ()
    """More domains whose look-alikes to find, such as a supplier's."""
    harmless: tuple[str, ...] = ()
    """Domains, with all below them, that look like one and are all right."""


async def lookalike(mail: Mail, tools: Tools, settings: LookalikeSettings) -> Sequence[Finding]:
    """Whom the names in the message look like, one finding for each manner and kind of victim."""
    index = index_of(tools.people, settings)
    found: dict[tuple[str, str], tuple[Likeness, str, str]] = {}
    hosts: set[str] = set()
    for host, where in _hosts(mail):
        if host not in hosts:
            hosts.add(host)
            like = index.look(host)
            if like is not None:
                found.setdefault((like.how, like.known.whose), (like, host, where))
    for target in await file_targets(mail, tools):
        like = index.look(target.link.host)
        if like is not None:
            where = f"a link in the file {target.file} goes to"
            found.setdefault((like.how, like.known.whose), (like, target.link.host, where))
    return [_told(*each) for each in found.values()]


def _hosts(mail: Mail) -> Iterator[tuple[str, str]]:
    """The names to look at, with how a sentence about one begins."""
    for address in authors(mail.message).addresses[:5]:
        yield address.domain, "the author is at"
    if mail.envelope.sender is not None:
        yield mail.envelope.sender.domain, "the envelope's sender is at"
    for box in reply_to(mail.message)[:5]:
        yield box.address.domain, "answers would go to"
    for target in targets_of(mail.message):
        yield target.link.host, "a link goes to"


def _told(like: Likeness, host: str, where: str) -> Finding:
    known = like.known
    whom = (
        known.domain
        if known.whose != "brand" or known.owner == known.domain
        else f"{known.owner} ({known.domain})"
    )
    ours = {"own": "our own ", "partner": "our partner's "}.get(known.whose, "")
    text = f"{where} {printable(host, 80)}, which {MANNERS[like.how]} {ours}{whom}"
    evidence = {
        "host": printable(host, 200),
        "like": known.domain,
        "owner": known.owner,
        "whose": known.whose,
    }
    return FACTS[like.how].found(text, evidence, known.whose)


class _Kept:
    """The index last made, and of what."""

    def __init__(self) -> None:
        self.of: tuple[Sequence[str], Sequence[str], LookalikeSettings] | None = None
        self.index = NearNames()


_kept = _Kept()


def index_of(people: People, settings: LookalikeSettings) -> NearNames:
    """The index of this moment; a few milliseconds when our people, or what is set, changed."""
    own, partners = people.own_domains, people.partners
    kept = _kept.of
    if kept is None or kept[0] is not own or kept[1] is not partners or kept[2] is not settings:
        _kept.index = NearNames(
            own,
            partners,
            BRANDS if settings.brands else (),
            more=settings.more,
            harmless=settings.harmless,
        )
        _kept.of = own, partners, settings
    return _kept.index


def _weights(settings: LookalikeSettings) -> Mapping[str, tuple[float, Mode]]:
    return {key: (weight, settings.mode) for key, weight in WEIGHTS.items()}


LOOKALIKE = Check(
    name="lookalike",
    subject=Mail,
    settings=LookalikeSettings,
    run=lookalike,
    emits=tuple(FACTS.values()),
    timeout_s=30.0,
    weights_of=_weights,
)
