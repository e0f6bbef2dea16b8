"""Do the message's links say what they are? Text that names another host, addresses instead of names, names before an
@, odd ports, scripts, confusable letters (UTS 39), domains inside other domains, and ways to hide where a link goes.

Nothing is fetched: a shortener stays unresolved, and a target hidden in a parameter is read and judged like any link.
Newsletters pass their links through trackers, so a link that goes to the proved author's own domain or to a well-known
sender of newsletters is none of those that name another host. Left out: what lists say (`linklists`), and look-alikes
of names we know (`lookalike`).
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

from gatepost.checks.check import BOTH_WAYS, Check, Emits
from gatepost.checks.connection.network import is_public
from gatepost.checks.content.targets import Target, address_of, domain_of, file_targets, hidden_in, targets_of
from gatepost.checks.sender.identity import proved_domain
from gatepost.mail.address import normal_domain, printable
from gatepost.mail.author import authors
from gatepost.mail.client import Mail
from gatepost.mail.content import content_of
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.known.detours import ANYBODYS_PAGES, OF_ONE_HOUSE, REDIRECTORS, SHORTENERS, TRACKERS
from gatepost.mail.urls import Link
from gatepost.tools import Tools

HERE = "configuration reference, [checks.links]"
OTHER_HOST = Emits(
    name="links.other_host",
    about="A link's text names one host, and the link goes to another.",
    reference=HERE,
    weight=1.5,
    group="links",
)
ADDRESS = Emits(
    name="links.address",
    about="A link goes to a bare network address instead of a name.",
    reference=HERE,
    weight=2.0,
    group="links",
)
ODD_ADDRESS = Emits(
    name="links.odd_address",
    about="A link goes to a network address written so that nobody recognises it.",
    reference="RFC 3986 §7.4",
    weight=2.5,
    group="links",
)
USER = Emits(
    name="links.user_before_host",
    about="A link names one host in front of an @ and goes to the one behind it.",
    reference="RFC 3986 §7.6",
    weight=3.0,
    group="links",
)
PORT = Emits(
    name="links.odd_port",
    about="A link goes to an unusual port.",
    reference=HERE,
    weight=0.5,
    group="links",
)
SCRIPT = Emits(
    name="links.script",
    about="A link holds a script or a whole page instead of a place.",
    reference=HERE,
    weight=1.0,
    group="links",
)
CONFUSABLE = Emits(
    name="links.confusable",
    about="A host is spelt with letters of several scripts, or with foreign ones that look Latin.",
    reference=HERE,
    weight=2.0,
    group="links",
)
INSIDE = Emits(
    name="links.domain_inside",
    about="A host begins with what looks like somebody else's whole domain.",
    reference=HERE,
    weight=1.5,
    group="links",
)
SHORTENER = Emits(
    name="links.shortener",
    about="A link is shortened, so that nobody sees where it goes.",
    reference=HERE,
    weight=1.0,
    group="links",
)
REDIRECTOR = Emits(
    name="links.redirector",
    about="A link uses somebody's open redirector to go to a third place.",
    reference=HERE,
    weight=1.0,
    group="links",
)
QR = Emits(
    name="links.qr",
    about="A picture holds a code that leads to a place that no link of the text names.",
    reference=HERE,
    weight=1.0,
    group="links",
)
ANYBODY = Emits(
    name="links.anybodys_page",
    about="A link goes to a place where anybody puts up a page or a form.",
    reference=HERE,
    weight=0.5,
    group="links",
)
FORM = Emits(
    name="links.form_elsewhere",
    about="A form in the mail sends what is typed to another domain than the author's.",
    reference=HERE,
    weight=0.5,
    group="links",
)
VICTIM = Emits(
    name="links.recipient_in_link",
    about="A link carries the recipient's address behind its #, as pages do that ask for a password.",
    reference=HERE,
    weight=1.0,
    group="links",
)

FACTS = {
    one.name: one
    for one in (
        OTHER_HOST, ADDRESS, ODD_ADDRESS, USER, PORT, SCRIPT, CONFUSABLE, INSIDE, SHORTENER, REDIRECTOR, QR, ANYBODY,
        FORM, VICTIM,
    )
}  # fmt: skip

UNSEEN = frozenset({"image", "css"})
"""Where links stand that nobody clicks on."""
SCRIPT_SCHEMES = frozenset({"javascript", "vbscript", "data"})
PAGE_TYPES = ("text/html", "image/svg", "application/xhtml")
USUAL_PORTS = frozenset({"80", "443", "8080", "8443", "21"})
PORT_OF = re.compile(r"^[A-Za-z]+:[/\\]+[^/?#\\]*:([0-9]{1,5})(?![^/?#\\])")
SHOWN = re.compile(
    r"(?:([Hh][Tt][Tt][Pp][Ss]?://)|//)?([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}\.?)(?::[0-9]+)?([/?#]\S*)?"
)
BASE64 = re.compile(r"[A-Za-z0-9+/]{8,400}")
GENERIC = frozenset({"com", "net", "org", "gov", "edu", "mil", "co"})
TOGETHER = frozenset({"Latin", "Han", "Hiragana", "Katakana", "Hangul", "Bopomofo"})
"""Scripts that stand in one word in Japanese, Chinese and Korean names (UTS 39 §5.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinksSettings:
    """What links hide."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    trackers: tuple[str, ...] = ()
    """More domains that wrap the links of honest mail, such as our own filter's; well-known ones need not be named."""


@dataclass(slots=True)
class _Seen:
    """One message's links while they are read."""

    author: str
    """The proved author's registered domain, or empty."""
    claimed: str
    """The author's registered domain, proved or not."""
    trackers: frozenset[str]
    recipients: tuple[str, ...]
    found: dict[str, dict[str, str]] = field(default_factory=dict)
    """By fact and host, the sentence."""

    def add(self, emits: Emits, target: Target, text: str) -> None:
        """`text` is the sentence for this host; a fact is told once a host."""
        if target.file:
            text += f", in the file {target.file}"
        if target.via:
            text += f", hidden in a link to {_name(target.via)}"
        self.found.setdefault(emits.name, {}).setdefault(target.link.host, text)


async def links(mail: Mail, tools: Tools, settings: LinksSettings) -> Sequence[Finding]:
    """What is odd about them, one finding for each kind of oddity."""
    message = mail.message
    targets = targets_of(message)
    in_files = await file_targets(mail, tools)
    scripts = [link for link in content_of(message).links if link.scheme in SCRIPT_SCHEMES]
    if not targets and not in_files and not scripts:
        return ()
    author = authors(message).addresses
    proved = proved_domain(mail)
    seen = _Seen(
        author=domain_of(proved) if proved else "",
        claimed=domain_of(author[0].domain) if author else "",
        trackers=frozenset(settings.trackers),
        recipients=tuple(one.address.key for one in mail.envelope.recipients[:20]),
    )
    for link in scripts:
        if link.where not in UNSEEN and _is_page_or_script(link):
            what = "a whole page" if link.scheme == "data" else "a script"
            seen.add(SCRIPT, Target(link, ""), f"a link holds {what} instead of a place")
    for target in targets:
        _judge(target, seen)
    in_text = {target.domain for target in targets}
    for target in in_files:
        _judge(target, seen)
        if target.link.where == "qr" and target.domain not in in_text:
            host = _name(target.link.host)
            seen.add(QR, target, f"a code in a picture leads to {host}, and no link of the text does")
    return [_told(FACTS[name], by_host) for name, by_host in seen.found.items()]


def _told(emits: Emits, by_host: dict[str, str]) -> Finding:
    """One finding for all hosts of a fact; its sentence is the first's."""
    hosts = [printable(host, 100) for host in by_host]
    text = next(iter(by_host.values()))
    if len(hosts) > 1:
        text += f" (and {len(hosts) - 1} more like it)"
    return emits.found(text, {"hosts": hosts[:10]})


def _is_page_or_script(link: Link) -> bool:
    return link.scheme != "data" or link.url[5:60].lstrip().lower().startswith(PAGE_TYPES)


def _judge(target: Target, seen: _Seen) -> None:
    link = target.link
    host = link.host
    seen_by_nobody = link.where in UNSEEN
    if not seen_by_nobody:
        if link.shown:
            _judge_text(target, seen)
        if "#" in link.url:
            _judge_fragment(target, seen)
        if link.where == "form" and target.domain not in (seen.claimed, seen.author):
            seen.add(FORM, target, f"a form in the mail sends what is typed to {_name(host)}")
    if "@" in link.user or ("." in link.user and link.scheme != "ftp"):
        text = f"a link shows {_name(link.user)} in front of an @ and goes to {_name(host)}"
        seen.add(USER, target, text)
    port = PORT_OF.search(link.url)
    if port is not None and port[1] not in USUAL_PORTS:
        seen.add(PORT, target, f"a link goes to port {port[1]} of {_name(host)}")
    kind = _kind_of(host)
    if kind.confusable:
        text = f"the host {_name(host)} is spelt with misleading letters: {kind.confusable}"
        seen.add(CONFUSABLE, target, text)
    if not seen_by_nobody:
        _judge_place(target, kind, seen)


def _judge_place(target: Target, kind: _Kind, seen: _Seen) -> None:
    """What a host is by itself."""
    host, link = target.link.host, target.link
    if kind.address:
        if kind.address not in link.url:
            seen.add(
                ODD_ADDRESS, target, f"a link hides the network address {kind.address} behind odd digits"
            )
        elif kind.public:
            seen.add(ADDRESS, target, f"a link goes to the bare network address {kind.address}")
        return
    if kind.inside:
        text = f"the host {_name(host)} begins with what looks like another's domain, {_name(kind.inside)}"
        seen.add(INSIDE, target, text)
    if kind.shortener:
        seen.add(SHORTENER, target, f"a link is shortened by {_name(host)}: where it goes cannot be seen")
    if kind.anybody and target.domain != seen.author:
        seen.add(ANYBODY, target, f"a link goes to {_name(host)}, where anybody puts up a page")
    through = domain_of(target.via) if target.via else ""
    if through in REDIRECTORS and target.domain not in (through, seen.author) and not _tracks(target, seen):
        seen.add(REDIRECTOR, target, f"a link uses {_name(target.via)} to go to {_name(host)}")


def _judge_text(target: Target, seen: _Seen) -> None:
    """Does the text name another host than the one the link goes to?"""
    shown = _host_in(target.link.shown)
    if not shown or target.via:
        return
    named = domain_of(shown)
    if target.domain in (named, seen.author) or _tracks(target, seen):
        return
    if any(one.domain == named for one in hidden_in(target.link)):
        return  # it goes there in the end, through somebody who counts
    text = f"a link's text says {_name(shown)}, and it goes to {_name(target.link.host)}"
    seen.add(OTHER_HOST, target, text)


def _tracks(target: Target, seen: _Seen) -> bool:
    return _known(target.link.host, TRACKERS) or bool(
        seen.trackers and _known(target.link.host, seen.trackers)
    )


def _judge_fragment(target: Target, seen: _Seen) -> None:
    fragment = target.link.url.partition("#")[2][:500]
    if len(fragment) < 6:
        return
    plain = unquote(fragment).lower()
    texts = [plain]
    match = BASE64.search(fragment)
    if match is not None:
        octets = match[0]
        texts.append(a2b_base64(octets[: len(octets) // 4 * 4]).decode("latin-1").lower())
    if any(address in text for address in seen.recipients for text in texts):
        seen.add(
            VICTIM,
            target,
            f"a link to {_name(target.link.host)} carries the recipient's address behind its #",
        )


@lru_cache(maxsize=4096)
def _host_in(shown: str) -> str:
    """The host that a link's text says, where the text is nothing but a URL; else empty."""
    match = SHOWN.fullmatch(shown.strip())
    if match is None:
        return ""
    scheme, host, rest = match.groups()
    host = host.lower().rstrip(".")
    if not (scheme or rest or host.startswith("www.")):
        return ""  # "Amazon.com" is a name as often as a place, and so is "readme.md"
    return normal_domain(host) or ""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What can be said of a host alone."""

    address: str = ""
    public: bool = False
    confusable: str = ""
    inside: str = ""
    shortener: bool = False
    anybody: bool = False


@lru_cache(maxsize=20_000)
def _kind_of(host: str) -> _Kind:
    ip = address_of(host)
    if ip is not None:
        return _Kind(address=str(ip), public=is_public(ip))
    domain = domain_of(host)
    return _Kind(
        confusable=_confusable(host) if "xn--" in host or not host.isascii() else "",
        inside=_inside(host, domain),
        shortener=domain in SHORTENERS and domain not in OF_ONE_HOUSE,
        anybody=_known(host, ANYBODYS_PAGES),
    )


def _known(host: str, table: frozenset[str]) -> bool:
    """Is the host, or a domain above it, in the table?"""
    while host:
        if host in table:
            return True
        host = host.partition(".")[2]
    return False


def _inside(host: str, domain: str) -> str:
    """What looks like a whole domain in front of the registered one: ``bank.com`` of ``bank.com.evil.example``."""
    before = host[: -len(domain) - 1].split(".") if len(host) > len(domain) else []
    for place in range(1, len(before)):
        if before[place] in GENERIC and len(before[place - 1]) > 2:
            return f"{before[place - 1]}.{before[place]}"
    return ""


def _confusable(host: str) -> str:
    """Why the host's letters mislead (UTS 39), or empty. Honest names in one other script are no reproach."""
    import disarm

    _, seen = disarm.is_suspicious_hostname(host[:253])
    if seen.bidi_control or seen.has_invisible:
        return "invisible ones"
    latin_end = host.rpartition(".")[2].isascii() and not host.rpartition(".")[2].startswith("xn--")
    for scripts, whole in zip(seen.label_scripts, seen.label_whole_script_confusable, strict=False):
        kinds = {one for one in scripts if one not in ("Common", "Inherited")}
        if len(kinds) > 1 and not kinds <= TOGETHER:
            return f"{' and '.join(sorted(kinds))} in one word"
        if whole and latin_end:
            return f"{' and '.join(sorted(kinds))} letters that look Latin"
    return ""


def _name(text: str) -> str:
    return printable(text, 80)


LINKS = Check(
    name="links",
    subject=Mail,
    settings=LinksSettings,
    run=links,
    ways=BOTH_WAYS,
    emits=tuple(FACTS.values()),
    timeout_s=30.0,
)
