"""One function a parser: octets in, nothing may be raised but AssertionError, which says what is wrong.

Used three times: by hypothesis in every `./check` (test_fuzz_targets), with what once felled a target
(corpus/), and by atheris for as long as one likes (tools/fuzz.sh).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tomllib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

import fuzz_peers
import fuzz_people
import msgspec

from drive import drive
from gatepost.access.codes import fitting_step
from gatepost.access.oidc import (
    NotProved,
    ProviderSettings,
    bearer_of,
    claims_of,
    identity_of,
    looks_signed,
    public_keys,
)
from gatepost.access.passwords import weakness
from gatepost.access.tokens import read_app_password, recovery_digest
from gatepost.checks.content.targets import MOST_HIDDEN, WEB, hidden_in
from gatepost.config.load import ConfigError
from gatepost.config.schema import settle
from gatepost.dns.answer import Answer, Status
from gatepost.dns.zone import Zone, ZoneError
from gatepost.files.inflate64 import Damaged, inflate64
from gatepost.files.inspect import FileLimits, inspect_file
from gatepost.files.rar import MAGIC as MAGIC_OF_RAR
from gatepost.files.rar import Broken, WrongPassword, locked_members, unlocked
from gatepost.mail.address import Address, parse_address, printable
from gatepost.mail.author import authors, displayed_author, message_id, subject_text
from gatepost.mail.authresults import AuthResults
from gatepost.mail.client import Client, Envelope
from gatepost.mail.content import MAX_LINKS, MAX_TEXT, content_of
from gatepost.mail.encoded_words import decode_words
from gatepost.mail.filereport import FileFact, FileReport
from gatepost.mail.hosts import normal_host
from gatepost.mail.html_text import read_html
from gatepost.mail.marking import CannotChange, changed
from gatepost.mail.message import Message
from gatepost.mail.text import MAX_VISIBLE
from gatepost.mail.tnef import SIGNATURE, read_tnef
from gatepost.mail.trace import client_behind, read_from_clause, topmost_client
from gatepost.mail.transfer import MOST_BINHEX, decode_transfer
from gatepost.mail.urls import link_of, links_in_text
from gatepost.mail.verdict import Change
from gatepost.mailauth.authenticate import authenticate
from gatepost.mailauth.dmarc_record import is_policy_record, parse_policy_record
from gatepost.mailauth.header import (
    authentication_results,
    foreign_fields,
    parse_authentication_results,
    received_field,
)
from gatepost.mailauth.keys import read_key
from gatepost.mailauth.spf import SpfQuestion, check_host
from gatepost.mailauth.spf_record import parse_record
from gatepost.mailauth.srs import restored, rewritten
from gatepost.mailauth.taglist import parse_tags, read_base64
from gatepost.net.dnswire import answers_question, question, read
from gatepost.net.sandbox_wire import MAX_DEPTH, MAX_SENTENCE, MAX_URL, UNREADABLE, reports_of, to_wire
from gatepost.net.sandbox_wire import Answer as Answer_of_child
from gatepost.net.xclient import client_named
from gatepost.office.office import Impossible
from gatepost.office.passkeys import RelyingParty, registered, uses_after
from gatepost.office.sessions import SignInRefused
from gatepost.rules.brands import Brands
from gatepost.rules.compiling import Scope, compile_condition
from gatepost.rules.facts import Facts, TooMuch, Unknown
from gatepost.rules.language import RuleError
from gatepost.rules.numbers import cards, ibans, my_numbers
from gatepost.rules.patterns import Patterns
from gatepost.scan.source import split_mailbox, why_no_message
from gatepost.smtp.client import NEED_REPLY, Finished, Ready, SmtpClient, TlsWanted
from gatepost.smtp.dialect import Dialect, Offers
from gatepost.smtp.events import (
    CLOSED,
    NEED_DATA,
    AuthRequest,
    BodyEnd,
    BodyStart,
    Event,
    KeysWanted,
    StartTls,
    XClient,
)
from gatepost.smtp.framing import fault_in
from gatepost.smtp.grammar import parse_mail, parse_rcpt
from gatepost.smtp.limits import SmtpLimits
from gatepost.smtp.proxy import Incomplete, NotProxy, parse_proxy
from gatepost.smtp.reply import (
    AUTHENTICATED,
    DATA_PIPELINED,
    OK,
    START_DATA,
    TLS_INJECTION,
    TLS_READY,
    Reply,
    ReplyParser,
)
from gatepost.smtp.sasl import Exchange, KeysFor, ScramKeys
from gatepost.smtp.sending import Outgoing, OutgoingRecipient, Protocol, TlsUse
from gatepost.smtp.server import SmtpServer
from gatepost.store.accounts import Passkey
from gatepost.store.journalhead import read_heads, trusted
from gatepost.store.messages import copy_for_delivery
from gatepost.submitting.header import Trace, prepare
from gatepost.submitting.repeated import ONCE, repeated
from gatepost.tlspolicy.dane import in_use, judge, names_in, read_tlsa
from gatepost.tlspolicy.mta_sts import StsPolicy, policy_id, read_policy
from gatepost.tlspolicy.reportreading import read_report
from gatepost.tlspolicy.tlsrpt import wanted

NOW = 1_700_000_000.0
LIMITS = SmtpLimits(message_octets=20_000, discard_octets=40_000, errors=8, refusals=8, recipients=5)
CLIENT = Client(ip=ip_address("192.0.2.1"), hello="client.example")
SENDER = parse_address("ana@a.example")


@lru_cache(maxsize=1)
def scram_keys() -> ScramKeys:
    return ScramKeys.of_password("secret", salt=b"salt" * 4, iterations=1, nonce="3rfcNHYJY1ZVvWVs7j")


def server(octets: bytes) -> None:
    """A dialogue fed whole and fed in pieces gives the same events and the same replies."""
    if not octets:
        return
    way, octets = octets[0], octets[1:]
    dialect = list(Dialect)[way & 3]
    offers = Offers(
        starttls=bool(way & 4),
        auth=("PLAIN", "LOGIN", "SCRAM-SHA-256", "OAUTHBEARER") if way & 8 else (),
        auth_without_tls=bool(way & 8),
        auth_excused=bool(way & 16),
        xclient=bool(way & 32),
        binarymime=bool(way & 64),
        allow_bare_lf=bool(way & 128),
    )
    whole = dialogue(dialect, offers, [octets])
    whole = dialogue(dialect, offers, [octets])
    split = dialogue(dialect, offers, [octets[at : at + 1] for at in range(len(octets))])
    # Two things depend on when octets come: what follows STARTTLS at once is an injection, and what follows a
    # DATA that was refused was sent without waiting.
    if not any(reply.text.encode() in whole[1] for reply in (TLS_INJECTION, DATA_PIPELINED)):
        assert whole == split, (whole, split)


def dialogue(dialect: Dialect, offers: Offers, pieces: list[bytes]) -> tuple[list[Event], bytes]:
    machine = SmtpServer(dialect, LIMITS, hostname="mx.example.net", offers=offers)
    machine.greet(Reply(220, "", "mx.example.net ESMTP"))
    events: list[Event] = []
    said: list[bytes] = []
    for piece in pieces:
        machine.receive(piece)
        step(machine, events, said)
        said.append(machine.outgoing())
    machine.eof()
    step(machine, events, said)
    said.append(machine.outgoing())
    return events, b"".join(said)


def step(machine: SmtpServer, events: list[Event], said: list[bytes]) -> None:
    while (event := machine.next_event()) not in (NEED_DATA, CLOSED):
        events.append(event)
        assert len(events) < 100_000
        if isinstance(event, BodyEnd) and machine.envelope and machine.envelope.body != "BINARYMIME":
            assert fault_in(event.octets) is None
        if machine.awaiting:
            answer(machine, event, said)


def answer(machine: SmtpServer, event: Event, said: list[bytes]) -> None:
    match event:
        case KeysWanted():
            machine.keys(scram_keys())
        case StartTls():
            machine.reply(TLS_READY)
            said.append(machine.outgoing())  # as plain text, before the handshake
            if not machine.closed:
                machine.tls_started()
        case AuthRequest():
            machine.reply(AUTHENTICATED)
        case BodyStart():
            machine.reply(START_DATA)
        case BodyEnd() if machine.dialect is Dialect.LMTP:
            envelope = machine.envelope
            assert envelope is not None
            machine.reply_each([OK] * len(envelope.recipients))
        case XClient():
            client_named(CLIENT, event.attributes)
            machine.reply(Reply(220, "", "again"))
        case _:
            machine.reply(OK)


def reply_parser(octets: bytes) -> None:
    """Whole and octet by octet alike; what comes out can be said again and stays one reply."""
    whole, single = ReplyParser(), ReplyParser()
    whole.feed(octets)
    found = []
    while (reply := whole.next_reply()) is not None:
        found.append(reply)
        if not isinstance(reply, Reply):
            break
        rendered = reply.render()
        assert rendered.endswith(b"\r\n")
        assert all(line[:3] == rendered[:3] for line in rendered[:-2].split(b"\r\n"))
    again = []
    for at in range(len(octets)):
        single.feed(octets[at : at + 1])
        while (reply := single.next_reply()) is not None:
            again.append(reply)
            if not isinstance(reply, Reply):
                break
        if again and not isinstance(again[-1], Reply):
            break
    assert found == again, (found, again)


def client(octets: bytes) -> None:
    """Whatever a server says: every recipient has an outcome, and nothing but our words is sent."""
    if not octets:
        return
    way, octets = octets[0], octets[1:]
    machine = SmtpClient(
        hello="mx.example.net",
        protocol=Protocol.LMTP if way & 1 else Protocol.SMTP,
        tls=TlsUse.REQUIRED if way & 2 else TlsUse.OPPORTUNISTIC,
    )
    message = Outgoing(
        sender="a@b.example",
        recipients=tuple(OutgoingRecipient(address=f"r{n}@b.example") for n in range(1 + (way >> 2 & 3))),
        octets=None if way & 16 else b"Subject: x\r\n\r\n.body\r\n",
    )
    size = 1 if way & 32 else max(1, len(octets))
    sent = 0
    for at in range(0, len(octets), size):
        machine.receive(octets[at : at + size])
        while (event := machine.next_event()) is not NEED_REPLY:
            if isinstance(event, Ready) and machine.idle and sent < 20:
                sent += 1
                machine.send(message)
            elif isinstance(event, TlsWanted) and not machine.ended:
                machine.tls_started(verified=bool(way & 64))
            elif isinstance(event, Finished):
                assert len(event.outcomes) == len(message.recipients)
        while machine.outgoing():
            pass
        assert machine.patience_s is None or machine.patience_s > 0
    machine.fail("gone")


def proxy(octets: bytes) -> None:
    """A prefix of a header is never taken for something else, and a header says how long it is."""
    read_whole = parse_proxy(octets)
    if not isinstance(read_whole, (Incomplete, NotProxy)):
        assert 0 < read_whole.length <= len(octets)
        for cut in range(0, read_whole.length, 7):
            assert isinstance(parse_proxy(octets[:cut]), Incomplete)
        assert parse_proxy(octets + b"EHLO x\r\n") == read_whole


def message(octets: bytes) -> None:
    """Fields lie in order within the octets; nothing read from them has a control character in it."""
    parsed = Message.parse(octets)
    assert 0 <= parsed.body_start <= len(octets)
    end = 0
    for each in parsed.fields:
        assert end <= each.start < each.colon < each.end <= parsed.body_start
        end = each.end
        assert parsed.raw(each)[: len(each.name)].lower() == each.name
    found = authors(parsed)
    if found.domain is not None:
        assert len({box.domain for box in found.addresses}) == 1
        assert found.field_count == 1
    for text in (displayed_author(parsed), subject_text(parsed), message_id(parsed)):
        assert text.isprintable()
    client_behind(CLIENT, parsed, [])
    topmost_client(parsed, [])
    foreign_fields(parsed, "mx.example.net")


def author(octets: bytes) -> None:
    """One From field of any octets."""
    message(b"From: " + octets + b"\r\n\r\n")


def authentication_results_field(octets: bytes) -> None:
    """Reading never raises, and a field under our name is always among the foreign ones."""
    parsed = parse_authentication_results(octets)
    value = octets.replace(b"\n", b" ").replace(b"\r", b" ")
    parsed = parse_authentication_results(value)
    one = Message.parse(b"Authentication-Results: " + value + b"\r\n\r\n")
    found = foreign_fields(one, "mx.example.net")
    if parsed is not None and parsed.authserv_id.strip().casefold() == "mx.example.net":
        assert found


def tag_list(octets: bytes) -> None:
    text = octets.decode("utf-8", "surrogateescape")
    for lenient in (False, True):
        tags = parse_tags(text, lenient=lenient)
        if isinstance(tags, dict):
            for value in tags.values():
                read_base64(value)
    read_key(text)
    if is_policy_record(text):
        parse_policy_record(text)


class Hostile:
    """Answers every question with the same records: whatever kind is asked for, as text and as an address."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.texts = texts
        self.asked = 0

    async def lookup(self, name: str, kind: str) -> Answer:
        self.asked += 1
        records = {
            "TXT": self.texts,
            "A": ("192.0.2.1",),
            "AAAA": ("2001:db8::1",),
            "MX": ("10 a.example",) * 12,
            "PTR": ("a.example", "b.example"),
        }.get(kind, ())
        if self.asked % 7 == 0:
            return Answer(Status.FAILED)
        return Answer(Status.FOUND, records) if records else Answer(Status.NODATA)


def proved(octets: bytes) -> None:
    """A message and the TXT record that everybody publishes, parted by a NUL: bounded questions, a sound header."""
    record, _, mail = octets.partition(b"\0")
    resolver = Hostile((record.decode("utf-8", "surrogateescape"),))
    parsed = Message.parse(mail)
    auth = drive(
        authenticate(CLIENT, Envelope(sender=SENDER), parsed, resolver, NOW, receiver="mx.example.net")
    )
    assert resolver.asked < 300
    header = authentication_results("mx.example.net", auth) + received_field(
        CLIENT, receiver="mx.example.net", ref="R", now=NOW, recipient=None
    )
    again = Message.parse(header + b"\r\n")
    assert not again.defects
    assert [each.name for each in again.fields] == [b"authentication-results", b"received"]
    read_back = parse_authentication_results(again.value(again.fields[0]))
    assert read_back is not None
    assert read_back.authserv_id == "mx.example.net"
    assert [one.result for one in read_back.results if one.method == "dmarc"] == [auth.dmarc.result]


def spf(octets: bytes) -> None:
    """Any record, published everywhere: ten terms, two void lookups, an RFC word as result."""
    sender, _, record = octets.partition(b"\0")
    text = record.decode("utf-8", "surrogateescape")
    parse_record(text)
    address = sender.decode("utf-8", "surrogateescape") or "ana@a.example"
    for texts in ((text,), (f"v=spf1 {text}",), (text, "v=spf1 -all")):
        resolver = Hostile(texts)
        asked = SpfQuestion(
            ip=CLIENT.ip, domain="a.example", sender=address, hello="client.example",
            identity="mail_from", receiver="mx.example.net", now=NOW,
        )  # fmt: skip
        result = drive(check_host(asked, resolver))
        assert result.result in {"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"}
        assert result.lookups <= 11
        assert resolver.asked <= 250


def words(octets: bytes) -> None:
    decode_words(octets.decode("utf-8", "surrogateescape"))
    shown = printable(octets.decode("utf-8", "replace"), 80)
    assert len(shown) <= 80
    assert shown.isprintable()


def dns_message(octets: bytes) -> None:
    for kind in ("A", "AAAA", "MX", "TXT", "PTR", "TLSA", "SOA", "CNAME"):
        asked = question("a.example", kind)
        assert asked is not None
        for wire in (octets, octets[:12] + asked + octets[12:]):
            if answers_question(wire, asked):
                response = read(wire, asked)
                if response is not None:
                    for record in response.answer(trusted=True).records:
                        assert record.isprintable() or kind == "TXT"


def zone(octets: bytes) -> None:
    try:
        parsed = Zone.parse(octets.decode("utf-8", "replace"))
    except ZoneError:
        return
    for kind in ("A", "TXT", "MX", "NS"):
        drive(parsed.lookup("a.example", kind))


def path(octets: bytes) -> None:
    """An address survives being written and read again, and can be said in SMTP."""
    text = octets.decode("utf-8", "replace")
    for smtputf8 in (False, True):
        address = parse_address(text, smtputf8=smtputf8)
        if address is not None:
            assert "\r" not in str(address)
            assert "\n" not in str(address)
            assert parse_address(str(address), smtputf8=True) == address
        parse_mail(f"FROM:<{text}>", binarymime=True, requiretls=True)
        parse_mail(text, binarymime=True, requiretls=True)
        parse_rcpt(f"TO:<{text}>", smtputf8=smtputf8)
        parse_rcpt(text, smtputf8=smtputf8)


def config(octets: bytes) -> None:
    """Any TOML is a configuration or a ConfigError."""
    try:
        table = tomllib.loads(octets.decode("utf-8", "replace"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    try:
        settle(table, file="fuzz", path=None, folder=Path("/nonexistent"))
        settle({"hostname": "mx.example.net", **table}, file="fuzz", path=None, folder=Path("/nonexistent"))
    except ConfigError:
        return


def mailbox(octets: bytes) -> None:
    """No octet of an mbox is lost to a message that was not there."""
    for start in (b"", b"From a@b Thu Jan  1 00:00:00 1970\n"):
        found = list(split_mailbox(start + octets))
        assert found
        assert sum(map(len, found)) <= len(start) + len(octets)
        for one in found:
            why_no_message(one)


def received(octets: bytes) -> None:
    read_from_clause(octets)
    read_from_clause(b"from " + octets)


def sasl(octets: bytes) -> None:
    """Lines of an exchange: credentials, a challenge or None."""
    if not octets:
        return
    mechanism = ("PLAIN", "LOGIN", "SCRAM-SHA-256", "OAUTHBEARER")[octets[0] & 3]
    lines = octets[1:].decode("utf-8", "replace").split("\n")
    exchange = Exchange(mechanism)
    step = exchange.start(None if octets[0] & 4 else lines.pop(0))
    for line in [*lines, "", ""]:
        if isinstance(step, KeysFor):
            step = exchange.keys(scram_keys())
        elif isinstance(step, bytes):
            step = exchange.respond(line)
        else:
            assert "secret" not in repr(step)
            return


def attached(octets: bytes) -> None:
    """A name and a file: at least one report, within the bounds, all of it printable."""
    name, _, content = octets.partition(b"\0")
    limits = FileLimits(max_members=50, max_depth=4, max_member_octets=1 << 20, max_total_octets=4 << 20)
    reports = inspect_file(
        name.decode("utf-8", "replace"), "", content, 0, passwords=("x",), limits=limits, scratch=None
    )
    assert 1 <= len(reports) <= limits.max_members
    for one in reports:
        assert one.shown.isprintable()
        assert len(one.text) <= limits.max_text
        assert len(one.links) <= limits.max_links
        assert all(fact.text.isprintable() for fact in one.facts)


def condition(octets: bytes) -> None:
    """A rule's condition is refused with a place inside it, or can be asked of any message."""
    text = octets.decode("utf-8", "replace")
    patterns = Patterns()
    ready, at = None, 0
    try:
        ready = compile_condition(text, Scope(patterns))
    except RuleError as fault:
        at = fault.at
    assert -1 <= at <= len(text)
    if ready is None:
        return
    message = Message.parse(b"From: a@b.example\r\n\r\nhttps://c.example/d\r\n")
    facts = Facts(Client(ip=None), Envelope(sender=None), message, AuthResults(), patterns, Brands(()))
    try:
        ready.condition(facts)
    except (Unknown, TooMuch):
        return


def wire_policy(octets: bytes) -> None:
    """What others publish about TLS: a policy file, records, TLSA records and a certificate, parted by NUL."""
    parts = (*octets.split(b"\0", 3), b"", b"", b"")
    policy = read_policy(parts[0])
    if isinstance(policy, StsPolicy):
        assert read_policy("\n".join(policy.lines).encode()) == policy
    texts = parts[1].decode("latin-1").split("\n")
    policy_id(texts)
    assert all(one.startswith("https://") for one in wanted(texts).post)
    records = in_use(read_tlsa(parts[2].decode("latin-1").split("\n")))
    assert all(one.usable for one in records)
    names_in(parts[3])
    judge([parts[3]], records, names=("mx.example.org",), now=0.0)


def content(octets: bytes) -> None:
    """Any message: parts within their source, bounded text and links, nothing raised."""
    whole = content_of(Message.parse(octets))
    for place, part in enumerate(whole.parts):
        assert part.index == place
        assert 0 <= part.start <= part.end <= len(part.source)
        assert isinstance(part.octets, bytes)
    assert len(whole.text) <= MAX_TEXT
    assert len(whole.links) <= MAX_LINKS
    assert all(link.host.isascii() for link in whole.links)
    assert isinstance(whole.hidden_text, str)
    assert len(whole.attachments) <= len(whole.parts)


def html(octets: bytes) -> None:
    """An HTML part: bounded text, links of this part only."""
    read = read_html(octets.decode("utf-8", "replace"), part=1)
    assert len(read.visible) <= MAX_VISIBLE
    assert all(link.part == 1 for link in read.links)


def url(octets: bytes) -> None:
    """A host in its normal form, and the same once more."""
    link = link_of(octets.decode("utf-8", "replace"), base="https://base.example/a/b")
    if link is not None and link.scheme in ("http", "https"):
        assert link.host
        assert normal_host(link.host) in (link.host, "")
    links_in_text(octets.decode("utf-8", "replace"))


def tnef(octets: bytes) -> None:
    """A winmail.dat."""
    assert sum(len(one.octets) for one in read_tnef(SIGNATURE + octets)) <= 250_000 + 210 * len(octets)


def sandbox_wire(octets: bytes) -> None:
    """Whatever a child says: bounded reports of printable words, or no answer at all."""
    try:
        answer = msgspec.msgpack.decode(octets, type=Answer_of_child)
    except UNREADABLE:
        return
    for one in reports_of(answer, (), part=1, declared="a/b"):
        assert len(one.path) <= MAX_DEPTH
        assert all(name == printable(name, 200) for name in one.path)
        assert one.size >= 0
        assert one.octets is None
        assert all(fact.text == printable(fact.text, MAX_SENTENCE) for fact in one.facts)
        assert all(link == printable(link, MAX_URL) for link in one.links)


def marking(octets: bytes) -> None:
    """A tag, a banner and a part less: the subject begins with the tag, the part is gone, or nothing is delivered."""
    before = Message.parse(octets)
    parts = content_of(before).parts
    strip = Change(kind="strip", text="taken out", parts=(len(parts) - 1,))
    try:
        gone = changed(octets, [strip])
    except CannotChange:
        pass
    else:
        if parts[-1].octets and not parts[-1].is_multipart:
            assert all(
                one.octets != parts[-1].octets
                for one in content_of(Message.parse(gone)).parts
                if not one.is_multipart
            )
    after = changed(octets, [Change(kind="tag", text="[Junk?]"), Change(kind="banner", text="Take care")])
    assert len(after) < 10 * len(octets) + 10_000
    if not before.defects:
        assert subject_text(Message.parse(after)).startswith("[Junk?]")


def targets(octets: bytes) -> None:
    """A link, and those it hides: never more than a few, each on the web."""
    link = link_of(octets.decode("utf-8", "replace"))
    if link is None:
        return
    found = list(hidden_in(link))
    assert len(found) <= MOST_HIDDEN + MOST_HIDDEN**2 + MOST_HIDDEN**3
    assert all(one.link.scheme in WEB and one.link.host and one.domain for one in found)


def binhex(octets: bytes) -> None:
    """A file in BinHex is never longer than its own header says, nor than repetitions may make it."""
    assert len(decode_transfer(octets, "x-binhex")) <= MOST_BINHEX + 255


def deflate64(octets: bytes) -> None:
    """No more than there is room for, whatever the octets."""
    try:
        out, used, _ = inflate64(octets, 10_000)
    except Damaged:
        return
    assert len(out) <= 10_000
    assert used <= len(octets)


def submitted(octets: bytes) -> None:
    """What goes out has no Bcc, one Date and Message-ID where it had none, and otherwise what came."""
    before = Message.parse(octets)
    client = Client(ip=ip_address("192.0.2.1"), user="ana@example.net", role="submission")
    done = prepare(
        before, client, Envelope(sender=parse_address("ana@example.net")), hostname="mx.example.net", ref="2N5RCX5Y1THAB",
        now=1e9, trace=Trace.WITHHOLD,
    )  # fmt: skip
    whole = copy_for_delivery(octets, done.added, done.removed)
    after = Message.parse(whole)
    if "too-many-fields" in (*before.defects, *after.defects):
        return
    assert not after.count(b"bcc")
    assert after.count(b"from") == before.count(b"from")
    clashing = {one.lower().encode() for one in repeated(before).clashing}
    for name in ONCE:
        assert after.count(name) == before.count(name) if name in clashing else after.count(name) <= 1
    assert after.count(b"date") > 0
    assert after.count(b"message-id") > 0
    # A list that was made of several ends where they ended.
    assert not any(
        one in ("To", "Cc", "Reply-To")
        for one in repeated(after).clashing
        if one.lower().encode() not in clashing
    )
    assert octets[before.body_start :] == whole[after.body_start :]
    for found in (cards, my_numbers, ibans):
        found(octets.decode("utf-8", "replace"))


def rewritten_sender(octets: bytes) -> None:
    """Nobody makes us pass mail on, and what we rewrote leads back."""
    local = octets.decode("utf-8", "replace")
    for start in ("", "SRS0=", "SRS1="):
        assert restored(Address(start + local, "example.net"), secrets=[b"s" * 32], now=0.0) is None
    sender = parse_address(local, smtputf8=True)
    if sender is not None and not sender.domain.startswith("["):
        changed_to = rewritten(sender, domain="example.net", secret=b"s" * 32, now=0.0)
        if changed_to is not None:
            assert len(changed_to.local.encode()) <= 64
            back = restored(changed_to, secrets=[b"s" * 32], now=0.0)
            assert back is not None
            assert back.key == sender.key or sender.local.upper().startswith("SRS")


def locked_rar(octets: bytes) -> None:
    """Locks are found and opened, or it is said that they are not."""
    for one in (octets, MAGIC_OF_RAR + octets):
        members = locked_members(one)
        assert members is None or all(size >= 0 for _, size in members)
        with suppress(Broken, WrongPassword):
            assert unlocked(one, "s").startswith(MAGIC_OF_RAR)


def tls_report(octets: bytes) -> None:
    for one in read_report(octets):
        assert one.good >= 0
        assert one.bad >= 0
        assert one.detail.isprintable()


def passkey(octets: bytes) -> None:
    """A browser's answer, and what lies in a well-formed one: nothing is registered or proved by what nobody made."""
    party, challenge = RelyingParty("https://mail.example.net"), b"c" * 32
    kept = Passkey(
        id=1, account=1, credential=b"id", public_key=octets[:200], uses=0, name="", synced=False, made_at=0.0,
        made_in=0, used_at=None,
    )  # fmt: skip
    inside = _browsers_answer(octets, challenge)
    for answer in (octets.decode("utf-8", "replace"), inside):
        try:
            uses_after(party, answer, challenge, kept)
        except SignInRefused:
            pass
        else:
            raise AssertionError("proved with nothing")
        with contextlib.suppress(Impossible):
            made = registered(party, answer, challenge)
            assert made.credential
            assert len(made.public_key) <= len(octets)


def _browsers_answer(octets: bytes, challenge: bytes) -> str:
    """Right in all but what the authenticator says."""

    def b64(part: bytes) -> str:
        return urlsafe_b64encode(part).decode().rstrip("=")

    def client(kind: str) -> bytes:
        told = {"type": kind, "challenge": b64(challenge), "origin": "https://mail.example.net"}
        return json.dumps(told).encode()

    kind = "webauthn.create" if len(octets) % 2 else "webauthn.get"
    response = {
        "clientDataJSON": b64(client(kind)),
        "attestationObject": b64(octets),
        "authenticatorData": b64(hashlib.sha256(b"mail.example.net").digest() + octets),
        "signature": b64(octets[-72:]),
    }
    return json.dumps({"id": "aWQ", "rawId": "aWQ", "type": "public-key", "response": response})


def typed_secrets(octets: bytes) -> None:
    """What people type as a code, a recovery code or an app password."""
    text = octets.decode("utf-8", "replace")
    found = read_app_password(text)
    assert found is None or read_app_password(str(found)) == found
    assert len(recovery_digest(1, text)) == 32
    assert fitting_step(b"s" * 20, text, now=1e9, after=10**9) is None
    weakness(text, text, "ana@example.net")


def provider_word(octets: bytes) -> None:
    """What an identity provider says: tokens, keys and claims raise nothing but that they prove nothing."""
    settings = ProviderSettings(issuer="https://id.example", client_id="c", mail_audience="m", mail_scope="s")
    text = octets.decode("utf-8", "replace")
    try:
        said = json.loads(octets)
    except (ValueError, RecursionError):
        said = {}
    keys = public_keys(said if isinstance(said, dict) else {"keys": said})
    try:
        claims_of(text, keys)
    except NotProved:
        looks_signed(text)
    else:
        raise AssertionError("a token that nobody signed holds")
    claims = said if isinstance(said, dict) else {}
    try:
        identity = identity_of(claims, settings, nonce="n", now=NOW)
    except NotProved:
        pass
    else:
        assert claims["nonce"] == "n" and 0 < len(identity.subject) <= 255  # noqa: PT018
    for introspected in (False, True):
        try:
            names, subject, _ = bearer_of(claims, settings, now=NOW, introspected=introspected)
        except NotProved:
            continue
        assert all("@" in one for one in names)
        assert len(subject) <= 255


def journal_heads(octets: bytes) -> None:
    """Heads in any text; none that our key did not sign is trusted."""
    found = read_heads(octets.decode("utf-8", "replace"))
    heads, problem = trusted(found, bytes(32))
    assert not heads or problem is None
    assert not found or problem is not None


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        condition, server, reply_parser, client, proxy, message, author, authentication_results_field, tag_list, proved,
        spf, words, dns_message, zone, path, config, mailbox, received, sasl, attached, content, html, url, tnef,
        sandbox_wire, marking, targets, binhex, deflate64, submitted, rewritten_sender, tls_report, locked_rar,
        passkey, typed_secrets, provider_word, journal_heads, wire_policy,
    )
} | fuzz_peers.TARGETS | fuzz_people.TARGETS  # fmt: skip

# What a coverage-guided or random run starts from: octets near what each parser reads.
SEEDS: dict[str, tuple[bytes, ...]] = {
    **fuzz_peers.SEEDS,
    **fuzz_people.SEEDS,
    "wire_policy": (
        b"version: STSv1\r\nmode: enforce\r\nmx: *.example.org\r\nmax_age: 604800\r\n\0v=STSv1; id=1;\n"
        b"v=TLSRPTv1; rua=mailto:a@b.example,https://c.example/x\0"
        b"3 1 1 " + b"ab" * 32 + b"\n2 0 0 3003020101\0\x30\x03\x02\x01\x01",
        b"\0v=STSv1\0 3 1 0 30\n\0",
    ),
    "provider_word": (
        b'{"iss":"https://id.example","aud":["c","m"],"azp":"c","nonce":"n","sub":"u","iat":1700000000,"exp":1700000300}',
        b'{"iss":"https://id.example","aud":"m","scope":"s","active":true,"email":"a@b.example","email_verified":true,"exp":2e9}',
        b'{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"k"},{"kty":"RSA","n":"AQAB","e":"AQAB"}]}',
        b"eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.",
    ),
    "journal_heads": (
        b'x {"kind": "gatepost journal head 1", "host": "a", "number": 1, "chain": "00", "at": 1.5, "key": "AA==", "signature": "AA=="}',
    ),
    "locked_rar": (
        bytes.fromhex("526172211a0701003392b5e50a01050600050101808000"),
        bytes.fromhex("526172211a07010079a5e4c22104000001") + b"\x0f" + bytes(28),
    ),
    "rewritten_sender": (
        b"sam@example.org",
        b"SRS0=ABCDEF=AB=example.org=sam@first.example",
        b"SRS1=ABCDEF=first.example==ABCDEF=AB=example.org=sam@second.example",
        b"ABCDEF=AB=example.org=sam",
    ),
    "tls_report": (
        (
            b'{"organization-name":"x","date-range":{"start-datetime":"2026-11-23T00:00:00Z"},"policies":[{"policy":'
            b'{"policy-type":"sts","policy-domain":"example.net"},"summary":{"total-successful-session-count":3,'
            b'"total-failure-session-count":1},"failure-details":[{"result-type":"a","failed-session-count":1}]}]}'
        ),
    ),
    "submitted": (
        b"From: a@b\r\nBcc: c@d,\r\n e@f\r\nReceived: from x (y [10.0.0.1]) by z; t\r\n\r\n4111 1111 1111 1111\r\n",
        b'From: a@b\r\nTo: "x, y" <c@d>,\r\nTo: g: e@f;\r\nCc: (open\r\nCc: i@j\r\nReferences: <1>\r\nReferences: <2>\r\nSubject: 1\r\nSubject: 2\r\n\r\n',
        b"Date: x\r\nMessage-ID: <1>\r\nbcc : y\r\n\r\nDE89 3704 0044 0532 0130 00",
    ),
    "sandbox_wire": (
        msgspec.msgpack.encode(
            to_wire(
                [
                    FileReport(
                        path=("a.zip", "b\x1b.exe"),
                        part=1,
                        kind="pe",
                        size=3,
                        facts=(FileFact("macro", "x", {"a": ["b", "c"], "d": 1.5}),),
                        links=("http://a.example/",),
                        text="x",
                        octets=b"abc",
                    )
                ]
            )
        ),
        msgspec.msgpack.encode({"reports": [{"path": [], "kind": "../x", "size": -1, "octets": 1 << 40}]}),
    ),
    "marking": (
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: a/b; name=c\r\n\r\nfile\r\n--b--\r\n",
        b"Content-Type: text/html; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+eDwvYj4=",
        b"Subject: a\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nx=\r\ny",
    ),
    "targets": (
        b"https://a.example/?u=https%253A%252F%252Fb.example%2Fc&v=aHR0cHM6Ly9jLmV4YW1wbGUv",
        b"http://a.example/http://b.example/http://c.example/http://d.example/",
    ),
    "binhex": (
        b'(This file must be converted with BinHex 4.0)\n\n:#@0dE@4-C`"548)X)!`!N"d!*!%!!"\'*!!!:\n',
        b":!*!$!*!$:",
    ),
    "deflate64": (
        b"\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x27\x00",
        b"\x01\x03\x00\xfc\xffabc",
        b"\x05\xc0\x81\x08\x00\x00\x00\x00\x20\x7f\xeb\x03",
    ),
    "content": (
        b"Content-Type: multipart/mixed; boundary=b; boundary*0=c\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<a href=x>y\r\n--b--\r\n",
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQ29udGVudC1UeXBlOiB0ZXh0L3BsYWluCgp4Cg==",
        b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B\x40\x41\x1b(B\r\nbegin 644 a\r\n#86%A\r\n`\r\nend\r\n",
        b"Content-Type: text/calendar\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nURL:http://a.example/=3D\r\n",
    ),
    "html": (
        b"<style>.x{display:none}</style><p class=x style='color:#fff;font-size:0'>a<a href='//b.example'>c</a><!--[if mso]><img src=x>",
        b"<base href=http://a.example/><form action=b><input type=password><iframe srcdoc='<a href=c>'><meta http-equiv=refresh content='0;url=d'>",
    ),
    "url": (
        b"http:\\\\0x7f.1\\a",
        b"https://a@\xc3\xa4.example:80/b?c#d",
        b"www.a.com b.org/c mailto:x@y.z http://[::1]/",
    ),
    "tnef": (
        b"\x01\x00\x02\x02\x90\x06\x00\x00\x00\x00\x00\x00\x00\x02\x10\x80\x01\x00\x02\x00\x00\x00a\x00\x00\x00\x02\x0f\x80\x06\x00\x01\x00\x00\x00x\x00\x00",
        b"\x01\x00\x01\x03\x90\x06\x00\x18\x00\x00\x00\x01\x00\x00\x00\x02\x01\x09\x10\x01\x00\x00\x00\x04\x00\x00\x00LZFu\x00\x00",
    ),
    "server": (
        b"\x00EHLO a\r\nMAIL FROM:<a@b.example> SIZE=10\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx: y\r\n\r\n..\r\n.\r\nQUIT\r\n",
        b"\x13LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@d>\r\nBDAT 3\r\nabcBDAT 0 LAST\r\n",
        b"\x0dEHLO a\r\nSTARTTLS\r\nAUTH PLAIN AGEAYg==\r\nAUTH LOGIN\r\nYQ==\r\nYg==\r\n*\r\nRSET\r\n",
        b"\x0dEHLO a\r\nAUTH SCRAM-SHA-256 biwsbj1hLHI9Yg==\r\n=\r\nAUTH OAUTHBEARER bixhPXg=\r\n",
        b"\x20XCLIENT ADDR=192.0.2.9 LOGIN=a\r\nEHLO b\r\nVRFY a\r\nNOOP\r\nHELP\r\nGET / HTTP/1.1\r\n",
    ),
    "reply_parser": (b"250-2.1.0 a\r\n250 2.1.0 b\r\n", b"220 x\n5", b"354 \r\n"),
    "client": (
        b"\x0c220 a\r\n250-b\r\n250-PIPELINING\r\n250-DSN\r\n250 SIZE 10000\r\n250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n250 ok\r\n",
        b"\x00220 a\r\n250-b\r\n250 STARTTLS\r\n220 go\r\n250 b\r\n250 s\r\n250 r\r\n354 go\r\n250 ok\r\n421 bye\r\n",
        b"\x07220 a\r\n250 b\r\n250 s\r\n250 r\r\n250 r\r\n354 go\r\n250 a\r\n450 b\r\n",
    ),
    "proxy": (
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 25\r\n",
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x03\xe8\x00\x19",
    ),
    "message": (
        b"From: A <a@b.example>\r\nTo: c\r\n d\r\nReceived: from x (y [192.0.2.1])\r\n by z\r\n\r\nbody",
        b" lead\r\nFrom : \0=?utf-8?q?a?= <a@b.example>\rSubject: x\r\n\r\n",
    ),
    "author": (
        b'"a\\"b" (c) <@r.example:a@b.example>, g: x@y.example;',
        b"=?utf-8?b?YUBiLmV4YW1wbGU=?= <a@xn--bcher-kva.example>",
    ),
    "authentication_results_field": (
        b'mx.example.net 1; spf=pass (c (d)) smtp.mailfrom="a b"@c; dkim=fail reason="x" header.d=e',
        b"(c)MX.example.net; none",
    ),
    "tag_list": (b"v=DKIM1; k=rsa; p=MTIz; t=s:y", b"v=DMARC1; p=reject; sp=none; rua=mailto:a@b!10m"),
    "proved": (
        (
            b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\0DKIM-Signature: v=1; a=ed25519-sha256;"
            b" c=relaxed/simple; d=a.example; s=s; h=From:To; bh=AAAA; b=AAAA; l=3; i=@a.example\r\nFrom: a@a.example\r\n\r\nx\r\n"
        ),
        (
            b"v=spf1 a mx -all\0ARC-Seal: i=1; a=rsa-sha256; cv=none; d=a.example; s=s; b=AA\r\nARC-Message-Signature: i=1;"
            b" a=rsa-sha256; d=a.example; s=s; h=from; bh=AA; b=AA\r\nARC-Authentication-Results: i=1; x; spf=pass\r\nFrom: a@b.example\r\n\r\n"
        ),
        b"v=DMARC1; p=reject\0From: a@a.example\r\n\r\n",
    ),
    "spf": (
        b"a@b\0v=spf1 a:%{l1r-}.%{d2}.a.example/24//64 mx ptr exists:%{i}.x ip4:192.0.2.0/24 include:b.example redirect=%{o}.c exp=x.%{h}",
        b"\0include:a.example ip6:2001:db8::/32 ?all",
    ),
    "words": (b"=?utf-8?q?a=20b?= =?iso-2022-jp*en?b?GyRCJCIbKEI=?=", b"=?utf-7?b?AA?="),
    "dns_message": (
        b"\x00\x01\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01",
        b"\x00\x01\x81\x80\x00\x01\x00\x01\x00\x01\x00\x01\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x03\x02ab\xc0\x0c\x00\x06\x00\x01",
    ),
    "zone": (
        b'$ORIGIN a.example.\n@ 60 IN SOA ns h 1 2 3 4 5\n@ TXT "v=spf1" "b"\n* A 192.0.2.1\n$FAIL b.example\n',
        b"$TTL 5m\n$SECURE a.example\nwww CNAME a.example.\na MX 10 b.example.\n$TIMEOUT x TXT\n$BOGUS y\n",
    ),
    "path": (
        b'"a b\\"c"@[IPv6:2001:db8::1]',
        "jörg@bücher.example".encode(),
        b"@a,@b:c%d@e.example",
        b"a@[192.0.2.1]",
    ),
    "condition": (
        b"wording.has(['a*']) and links.any(host.ends_with('.example') and not is_address) or size > 3",
        b"not (header.get('a').matches('b|c') and text.length() < 5) # d",
    ),
    "config": (
        (
            b'hostname = "a.example"\n[[domains]]\nname = "b.example"\nrecipients = ["x@b.example"]\ndeliver = "maildir:m"\n'
            b'[domains.aliases]\nx = "y@b.example"\n[[listeners]]\naddress = "127.0.0.1:25"\n'
        ),
        b'[policy]\njunk_at = 1\n[policy.weights]\n"a.b" = 1.0\n[[policy.overrides]]\nrecipients = ["b.example"]\n[dns]\nservers = ["127.0.0.1:53"]\n',
        b'trusted_relays = ["10.0.0.0/8"]\n[[checks.dnsbl.lists]]\nzone = "x"\nmode = "observe"\n[outbound]\nretry_first = "60s"\n',
    ),
    "mailbox": (b"A: b\n\n>From x\n\nFrom c@d Thu Jan  1 00:00:00 1970\nB: c\r\n\r\n",),
    "received": (b"mail.example (helo=x) (y [IPv6:2001:db8::1]) by z", b"a ([192.0.2.1]:25)"),
    "passkey": (
        b'{"rawId": "aWQ", "response": {"clientDataJSON": "e30"}}',
        b"\xa3cfmtdnonegattStmt\xa0hauthDataX\xa4"
        + hashlib.sha256(b"mail.example.net").digest()
        + b"\x45\0\0\0\0"
        + bytes(16)
        + b"\0\x20"
        + bytes(32)
        + b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"
        + bytes(32)
        + b"\x22\x58\x20"
        + bytes(32),
        b"\x05\0\0\0\x01",
    ),
    "typed_secrets": (b"3f9a1c2b-abcd-efgh-ijkl-mnop-qrst-uvwx", b"abcd-efgh-ijkl-mnop", b"123456"),
    "sasl": (
        b"\x00AGEAYg==",
        b"\x05\nYQ==\nYg==",
        b"\x02biwsbj1hLHI9Yg==\nYz1iaXdzLHI9Yg==",
        b"\x03bixhPWIsAWF1dGg9QmVhcmVyIGMBAQ==",
    ),
    "attached": (
        b"a.html\0<html><script>new Blob([atob('TVqQAAMAAAAEAAAA')])</script><form action=x><input type=password>",
        b"a.pdf\0%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(x)>>>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        b"a.zip\0PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0axPK\5\6" + bytes(18),
        b"a.rtf\0{\\rtf1{\\object{\\*\\objdata 01050000020000000b0000004571756174696f6e2e33}}}",
        b"a.lnk\0L\0\0\0\1\x14\2\0\0\0\0\0\xc0\0\0\0\0\0\0F\xa2\0\0\0" + bytes(60),
        b"a.doc\0\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        b"a.7z\0" + b"7z\xbc\xaf\x27\x1c\0\4" + bytes(40),
        b"a.ics\0BEGIN:VCALENDAR\r\nATTACH;ENCODING=BASE64:TVqQ\r\n",
    ),
}
