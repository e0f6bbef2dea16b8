"""What is signed and what is not, as the next host sees it: mail of our people, our notices, forwarded mail."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from delivery_bench import bench, parsed, queue_mail
from drive import drive
from gatepost.app.parts import Keeper
from gatepost.delivery.directory import Directory
from gatepost.delivery.forwarding import Forwarding
from gatepost.delivery.routes import Routes
from gatepost.delivery.settings import DomainSettings
from gatepost.delivery.signing import Signer, SigningSettings
from gatepost.dns.zone import Zone
from gatepost.mail.address import Address
from gatepost.mail.authresults import AuthResults, SpfResult
from gatepost.mail.client import Client
from gatepost.mail.marking import Change
from gatepost.mail.message import Message
from gatepost.mailauth.arc import validate_chain
from gatepost.mailauth.dkim import verify_signatures
from gatepost.mailauth.dkim_sign import SigningKey
from gatepost.mailauth.keyrecord import key_name, key_record
from gatepost.store.failures import StoreFailed
from gatepost.store.records import Acceptance
from gatepost.store.secretfile import SecretFile
from gatepost.store.store import Store
from gatepost.tools import Standing
from scripted_peer import Peer
from store_samples import acceptance

NOW = 1_750_000_000.0
KEYS = (
    SigningKey("example.net", "r", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    SigningKey("example.net", "e", Ed25519PrivateKey.generate()),
)
ZONE = Zone()
for _key in KEYS:
    ZONE.add(key_name(_key.domain, _key.selector), "TXT", key_record(_key.private.public_key()))
OURS = Client(ip=ip_address("192.0.2.7"), user="ana@example.net", role="submission")
STRANGER = Client(ip=ip_address("192.0.2.7"))
MAIL = b"From: Ana <ana@example.net>\r\nTo: sam@example.org\r\nSubject: hello\r\n\r\nwords\r\n"


class Known:
    def of(self, domain: str) -> tuple[SigningKey, ...]:
        return KEYS if domain == "example.net" else ()


def signer(**settings: object) -> Signer:
    return Signer(
        keys=Known(), ours=lambda domain: domain == "example.net", settings=SigningSettings(**settings),  # type: ignore[arg-type]
        hostname="mx.example.net",
    )  # fmt: skip


def mail(octets: bytes = MAIL, client: Client = OURS, **more: object) -> Acceptance:
    found = acceptance("AAAA", at=NOW, octets=octets, recipients=("sam@example.org",), **more)  # type: ignore[arg-type]
    return replace(found, entry=replace(found.entry, client=client, auth=AuthResults()))


def signed_by(octets: bytes) -> list[tuple[str, str]]:
    results, _ = drive(verify_signatures(Message.parse(octets), ZONE, NOW))
    return [(one.result, one.selector) for one in results]


ELSEWHERE = "example.org. MX 10 mx.example.org.\nmx.example.org. A 127.0.0.1\n"
BOTH = [("pass", "r"), ("pass", "e")]


def kept(story: Acceptance, folder: Path, **settings: object) -> bytes:
    """What is delivered of it."""

    async def go() -> bytes:
        store = Store.open(folder)
        try:
            await Keeper(store, signer(**settings)).carry_out(story)
            return store.delivered_copy("AAAA")
        finally:
            await store.close()

    return asyncio.run(go())


def test_the_signature_is_over_what_is_delivered(tmp_path: Path) -> None:
    octets = b"Authentication-Results: mx.example.net; spf=pass\r\n" + MAIL
    front = b"Received: from x\r\n\tby mx.example.net\r\nMessage-ID: <1@example.net>\r\n"
    copy = kept(mail(octets, added_header=front, removed_fields=((0, len(octets) - len(MAIL)),)), tmp_path)
    assert copy.endswith(front + MAIL)
    assert signed_by(copy) == BOTH
    assert b"message-id:" in copy.partition(b"Received:")[0], "a field that we added is signed as well"


def test_a_large_message_is_signed_as_well(tmp_path: Path) -> None:
    assert signed_by(kept(mail(MAIL + b"line of words\r\n" * 40_000), tmp_path)) == BOTH


@pytest.mark.parametrize(
    ("octets", "client"),
    [
        pytest.param(MAIL, STRANGER, id="it only says that it is ours"),
        pytest.param(MAIL.replace(b"ana@example.net", b"ana@example.org"), OURS, id="another author"),
        pytest.param(b"From: <eve@example.org>\r\n" + MAIL, OURS, id="two authors"),
        pytest.param(MAIL.replace(b"To:", b"To\x0d:"), OURS, id="a header that is read in two ways"),
        pytest.param(MAIL.replace(b"example.net>", b"example.net.example.org>"), OURS, id="a longer name"),
    ],
)
def test_what_is_not_ours_is_not_signed(octets: bytes, client: Client, tmp_path: Path) -> None:
    assert kept(mail(octets, client), tmp_path) == octets


TAG = (Change(kind="tag", text="[x]"),)


def delivered(story: Acceptance, folder: Path, **settings: object) -> dict[str, bytes]:
    """What the next host gets, by recipient."""

    async def go() -> dict[str, bytes]:
        async with (
            Peer().serve() as peer,
            bench(folder, zone=ELSEWHERE, smtp_port=peer.port) as it,
        ):
            signs = signer(**settings)
            it.runner.carrier.signed_again = lambda octets, item: signs.signed_again(
                octets, item, it.store.entry
            )
            await Keeper(it.store, signs).carry_out(story)
            await it.until_idle()
        to = [line.partition("<")[2].partition(">")[0] for line in peer.lines if line.startswith("RCPT")]
        return dict(zip(to, peer.messages, strict=True))

    return asyncio.run(go())


def tagged(story: Acceptance, *, last: bool = False) -> Acceptance:
    """Its copies tagged, all or the last one."""
    *rest, end = story.deliveries
    first = rest if last else [replace(one, changes=TAG) for one in rest]
    return replace(story, deliveries=(*first, replace(end, changes=TAG)))


def test_a_copy_that_is_changed_on_the_way_is_signed_as_it_leaves(tmp_path: Path) -> None:
    story = replace(
        mail(added_header=b"Received: from x\r\n\tby mx.example.net\r\n"), account="ana@example.net"
    )
    (copy,) = delivered(tagged(story), tmp_path).values()
    assert b"Subject: [x] hello" in copy
    assert signed_by(copy) == BOTH, "these two, and none that fails"


def test_each_copy_is_signed_as_it_is(tmp_path: Path) -> None:
    found = acceptance("AAAA", at=NOW, octets=MAIL, recipients=("sam@example.org", "tom@example.org"),
                       added_header=b"Received: from x\r\n\tby mx.example.net\r\n")  # fmt: skip
    story = replace(
        found, entry=replace(found.entry, client=OURS, auth=AuthResults()), account="ana@example.net"
    )
    copies = delivered(tagged(story, last=True), tmp_path)
    assert {to: b"[x]" in copy for to, copy in copies.items()} == {
        "sam@example.org": False,
        "tom@example.org": True,
    }
    assert [signed_by(copy) for copy in copies.values()] == [BOTH, BOTH]


@pytest.mark.parametrize("arc", [False, True])
@pytest.mark.parametrize(
    "author", ["sam@example.com", "ana@example.net"], ids=["others", "who says to be ours"]
)
def test_what_is_sent_on_changed_is_sealed_as_it_leaves_and_never_signed(
    author: str, arc: bool, tmp_path: Path
) -> None:
    octets = MAIL.replace(b"ana@example.net", author.encode())
    story = mail(octets, STRANGER, added_header=b"Received: from x\r\n\tby mx.example.net\r\n")
    sent_on = tuple(
        replace(one, recipient=replace(one.recipient, address=parsed("ana@example.net")))
        for one in story.deliveries
    )
    (copy,) = delivered(tagged(replace(story, deliveries=sent_on)), tmp_path, arc=arc).values()
    assert b"Subject: [x] hello" in copy
    assert signed_by(copy) == []
    chain = drive(validate_chain(Message.parse(copy), ZONE, NOW))
    assert (chain.result, chain.sealers) == (("pass", ("example.net",)) if arc else ("none", ()))


def test_a_signature_of_somebody_else_stays_where_it_is(tmp_path: Path) -> None:
    theirs = b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=x; h=from; bh=; b=\r\n"
    trace = b"Received: from x\r\n\tby mx.example.net\r\n"
    story = replace(mail(theirs + MAIL, added_header=trace), account="ana@example.net")
    (copy,) = delivered(tagged(story), tmp_path).values()
    assert theirs in copy
    assert [result for result, selector in signed_by(copy) if selector in ("r", "e")] == ["pass", "pass"]


def test_an_author_below_our_domain_is_signed_for_by_it(tmp_path: Path) -> None:
    octets = MAIL.replace(b"ana@example.net", b"mailer-daemon@mx.example.net")
    assert signed_by(kept(mail(octets), tmp_path)) == BOTH


def test_switched_off_nothing_is_signed(tmp_path: Path) -> None:
    assert kept(mail(), tmp_path, enabled=False) == MAIL


def test_each_try_sends_the_same_signature(tmp_path: Path) -> None:
    async def go() -> None:
        replies = ["451 4.3.0 not now", "451 4.3.0 not yet"]

        def answer(verb: str, _: str) -> str | None:
            return replies.pop() if verb == "message" and replies else None

        async with (
            Peer(answer=answer).serve() as peer,
            bench(tmp_path, zone=ELSEWHERE, smtp_port=peer.port) as it,
        ):
            await Keeper(it.store, signer()).carry_out(mail())
            for _ in range(3):
                await it.until_idle()
                it.now += 7200
        assert len(peer.messages) == 3
        assert len(set(peer.messages)) == 1
        assert signed_by(peer.messages[0]) == BOTH

    asyncio.run(go())


def test_history_says_who_signed(tmp_path: Path) -> None:
    async def go() -> tuple[str, ...]:
        store = Store.open(tmp_path)
        try:
            await Keeper(store, signer()).carry_out(mail())
            entry = store.entry("AAAA")
            assert entry is not None
            return entry.signed_by
        finally:
            await store.close()

    assert asyncio.run(go()) == ("r._domainkey.example.net", "e._domainkey.example.net")


def test_our_own_notices_are_signed(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path, zone="example.org. MX 0 .\n") as it:
            it.store.front = signer().front
            await queue_mail(it.store, "AAAA", to=("gone@example.org",), sender="ana@example.net")
            await it.until_idle()
            (told,) = (tmp_path / "mail/example.net/ana/new").glob("*")
        octets = told.read_bytes().replace(b"\n", b"\r\n")
        assert b"From: Mail Delivery System" in octets or b"mailer-daemon@mx.example.net" in octets.lower()
        assert signed_by(octets) == BOTH

    asyncio.run(go())


def forwarding(**settings: object) -> Forwarding:
    return Forwarding(
        settings=lambda: SigningSettings(**settings),  # type: ignore[arg-type]
        ours=lambda domain: domain == "example.net",
        secrets=lambda: (b"s" * 32,),
        clock=lambda: NOW,
    )


@pytest.mark.parametrize(
    ("sender", "rewritten"),
    [
        ("sam@example.com", True),
        ("", False),
        ("ana@example.net", False),
    ],
)
def test_mail_sent_on_elsewhere_comes_from_us_and_its_bounce_goes_back(
    sender: str, rewritten: bool, tmp_path: Path
) -> None:
    async def go() -> None:
        async with Peer().serve() as peer:
            async with bench(tmp_path, zone=ELSEWHERE, smtp_port=peer.port) as it:
                it.runner.carrier.forwarded_from = forwarding().sender
                await queue_mail(it.store, "AAAA", final=("ana@example.org",), sender=sender)
                await it.until_idle()
                routes = it.runner.routes
            (line,) = [one for one in peer.lines if one.startswith("MAIL FROM")]
            used = line.partition("<")[2].partition(">")[0]
            if not rewritten:
                assert used == sender
                return
            assert used.startswith("SRS0=")
            assert used.endswith("@example.net")
            directory = Directory(routes=routes, clock=lambda: 0.0, rewritten=forwarding())
            answer = await directory.find(parsed(used))
            assert (answer.standing, answer.only_bounces) == (Standing.KNOWN, True)
            assert directory.expand(parsed(used)) == (sender,)
            forged = Address(parsed(used).local.replace("sam", "eve"), "example.net")
            assert (await directory.find(forged)).standing is Standing.UNKNOWN
            assert directory.expand(forged) == (str(forged),)

    asyncio.run(go())


def test_a_mailbox_that_is_called_so_is_one() -> None:
    settings = DomainSettings(
        name="example.net", deliver="maildir:mail", recipients=("srs0-team@example.net", "ana@example.net")
    )
    directory = Directory(routes=Routes([settings]), clock=lambda: 0.0, rewritten=forwarding())
    team = parsed("srs0-team@example.net")
    assert asyncio.run(directory.find(team)).standing is Standing.KNOWN
    assert directory.expand(team) == ("srs0-team@example.net",)
    assert asyncio.run(directory.find(parsed("srs0-more@example.net"))).standing is Standing.UNKNOWN


def test_a_secret_is_made_once_kept_and_closed_to_others(tmp_path: Path) -> None:
    file = SecretFile(tmp_path / "keys" / "srs.secret", "for a test")
    (secret,) = file.secrets()
    assert SecretFile(tmp_path / "keys" / "srs.secret", "").secrets() == (secret,)
    assert file.path.stat().st_mode & 0o777 == 0o600
    text = file.path.read_text()
    file.path.write_text(base64.b64encode(b"n" * 32).decode() + "\n" + text)
    assert file.secrets() == (b"n" * 32, secret)
    for damaged in ("", "# nothing\n", "!!!\n", "YQ==\n"):
        file.path.write_text(damaged)
        with pytest.raises(StoreFailed, match="is damaged"):
            file.secrets()
        sent_on = replace(forwarding(), secrets=file.secrets)
        assert sent_on.sender("sam@example.com", parsed("ana@example.net")) == "sam@example.com"


def test_mail_that_stays_with_us_keeps_its_sender(tmp_path: Path) -> None:
    async def go() -> None:
        async with Peer().serve() as peer:
            async with bench(tmp_path, deliver=f"smtp:127.0.0.1:{peer.port}") as it:
                it.runner.carrier.forwarded_from = forwarding().sender
                await queue_mail(it.store, "AAAA", final=("ben@example.net",), sender="sam@example.com")
                await it.until_idle()
            assert [one for one in peer.lines if one.startswith("MAIL FROM:<sam@example.com>")]

    asyncio.run(go())


def test_sealing_is_off_and_can_be_switched_on(tmp_path: Path) -> None:
    octets = b"From: Sam <sam@example.com>\r\nTo: ana@example.net\r\nSubject: x\r\n\r\nHello\r\n"
    story = mail(octets, STRANGER)
    sent_on = tuple(
        replace(one, recipient=replace(one.recipient, address=parsed("ana@example.net")))
        for one in story.deliveries
    )
    asked = AuthResults(spf_mail_from=SpfResult(result="none", identity="mail_from", domain="example.com"))
    story = replace(story, deliveries=sent_on, entry=replace(story.entry, auth=asked))
    assert kept(story, tmp_path / "off") == octets
    copy = kept(story, tmp_path / "on", arc=True)
    chain = drive(validate_chain(Message.parse(copy), ZONE, NOW))
    assert (chain.result, chain.sealers) == ("pass", ("example.net",))
    assert "mx.example.net" in chain.authentication_results[0]
    assert "spf=none" in chain.authentication_results[0]
    assert signed_by(copy) == [], "we did not write it"
