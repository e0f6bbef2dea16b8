"""A whole gate in the lab: mail handed in over submission goes out on the right ports, held to what each domain publishes,
and `explain` tells what was required and what came of it. Our own gate and Postfix are among the receivers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import smtplib
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_names import ZoneOf, names
from lab_servers import identity, make
from lab_situations import SITUATIONS, Situation
from lab_world import World

from gatepost.net.destinations import OutboundSettings
from gatepost.net.outbound import Outbound
from gatepost.net.resolver import CachingResolver, DnsSettings
from gatepost.smtp.sending import Outgoing, OutgoingRecipient
from real_servers import postfix

sys.path.append(str(Path(__file__).parent.parent / "system"))
from whole import Gate, mail, until

pytestmark = pytest.mark.peers
CHOSEN = (
    "ee-key", "ee-bad", "ta-key", "dane-stripped", "tlsa-bogus", "bogus-domain", "alias-end", "second-host", "enforced",
    "enforced-untrusted", "enforced-stripped", "spoofed-mx", "tested-name", "policy-untrusted", "dane-first", "open-plain",
    "rt-dane", "rt-not-offered", "rt-unvouched", "waived-dane",
)  # fmt: skip
OURS = "127.0.8.8"
CONFIG = """
hostname = "gate.test"
workers = 0
[[listeners]]
address = "127.0.0.1:0"
role = "submission"
relay_for = ["127.0.0.1"]
[tls]
certificate = "certificate.pem"
key = "key.pem"
[dns]
servers = ["{server}"]
trust_ad = true
[[domains]]
name = "gate.test"
recipients = ["ana@gate.test"]
deliver = "maildir:mail"
[delivery]
poll = "50ms"
[outbound]
trust_anchors = "{anchors}"
{more}
"""
RECEIVER = """
hostname = "mx.received.secure.test"
workers = 0
[[listeners]]
address = "127.0.8.8:25"
role = "mx"
[tls]
certificate = "certificate.pem"
key = "key.pem"
[dns]
servers = ["{server}"]
trust_ad = true
[[domains]]
name = "received.secure.test"
recipients = ["ben@received.secure.test"]
deliver = "maildir:mail"
[checks.rdns]
mode = "off"
[checks.hello]
mode = "off"
[checks.greylist]
mode = "off"
"""


class Loop:
    """An event loop in a thread of its own, for servers that live beside blocking tests."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    @contextlib.contextmanager
    def within(self, context: Any) -> Iterator[Any]:
        got = asyncio.run_coroutine_threadsafe(context.__aenter__(), self.loop).result(30)
        try:
            yield got
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), self.loop).result(30)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


class Lab:
    def __init__(self, world: World, sender: Gate, receiver: Gate) -> None:
        self.world, self.sender, self.receiver = world, sender, receiver

    def hand_in(self, to: str, *, options: str = "", more: bytes = b"") -> str:
        """Over submission with STARTTLS; the reference."""
        with smtplib.SMTP(
            "127.0.0.1", self.sender.port, local_hostname="desk.gate.test", timeout=30
        ) as session:
            session.ehlo()
            session._host = "gate.test"  # type: ignore[attr-defined]  # who is asked for
            session.starttls(context=ssl.create_default_context(cafile=self.world.known.file))
            session.ehlo()
            code, text = session.docmd(f"MAIL FROM:<ana@gate.test>{options}")
            assert code == 250, text
            code, text = session.docmd(f"RCPT TO:<{to}>")
            assert code == 250, text
            code, text = session.data(mail("on the wire", author="ana@gate.test", more=more))
            assert code == 250, text
        return text.decode().partition("[ref ")[2].partition("]")[0]

    def deliveries(self, ref: str) -> list[dict[str, Any]]:
        until(lambda: self.sender.rows("explain", ref)[0]["deliveries"], self.sender.log)
        found: list[dict[str, Any]] = self.sender.rows("explain", ref)[0]["deliveries"]
        return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    try:
        for port in (25, 443):
            socket.create_server((OURS, port)).close()
    except OSError:
        pytest.skip("may not listen on the ports 25 and 443")
    chosen = [one for one in SITUATIONS if one.name in CHOSEN]
    world = World(tmp_path_factory.mktemp("world"), chosen, smtp_port=25)
    world.web.port = 443
    folders = [tmp_path_factory.mktemp(name) for name in ("sender", "receiver")]
    shown = [identity("good", name, world.known) for name in ("gate.test", "mx.received.secure.test")]
    for folder, one in zip(folders, shown, strict=True):
        (folder / "certificate.pem").write_bytes(one.own.pem)
        (folder / "key.pem").write_bytes(one.own.key_pem)
    digest = hashlib.sha256(shown[1].own.spki).hexdigest()
    received = [
        "received.secure.test. 300 MX 10 mx.received.secure.test.",
        f"mx.received.secure.test. 300 A {OURS}",
        f"_25._tcp.mx.received.secure.test. 300 TLSA 3 1 1 {digest}",
        '_smtp._tls.ee-key.secure.test. 300 TXT "v=TLSRPTv1; rua=https://mta-sts.enforced.plain.test/reports"',
    ]  # fmt: skip
    zones = {
        ".": ZoneOf(),
        "test": ZoneOf(["ns.test. 300 A 127.0.0.1", "gate.test. 300 A 127.0.0.1", 'gate.test. 300 TXT "v=spf1 ip4:127.0.0.1 -all"']),
        "secure.test": ZoneOf([*world.records["secure"], *received]),
        "hosts.test": ZoneOf(world.records["hosts"]),
        "plain.test": ZoneOf(world.records["plain"], "insecure"),
        "bogus.test": ZoneOf(world.records["bogus"], "bogus"),
        **{name: ZoneOf(world.records.get(name, []), state) for name, state in world.cuts.items()},
    }  # fmt: skip
    loop = Loop()
    with contextlib.ExitStack() as stack:
        stack.callback(loop.end)
        server = stack.enter_context(names(tmp_path_factory.mktemp("names"), zones))
        stack.enter_context(loop.within(world.running()))
        sender = Gate(folders[0], CONFIG.format(server=server, anchors=world.known.file, more=""))
        receiver = Gate(folders[1], RECEIVER.format(server=server))
        for one in (receiver, sender):
            one.ports = {}
            start_gate(one)
            stack.callback(one.stop)
        yield Lab(world, sender, receiver)


def start_gate(gate: Gate) -> None:
    gate.start()


@pytest.mark.parametrize("name", CHOSEN)
def test_each_situation_is_told_as_it_was(lab: Lab, name: str) -> None:
    cast = lab.world.casts[name]
    situation: Situation = cast.situation
    options = " REQUIRETLS" if situation.message == "requiretls" else ""
    more = b"TLS-Required: No\r\n" if situation.message == "waived" else b""
    ref = lab.hand_in(f"ben@{cast.domain}", options=options, more=more)
    tried = lab.deliveries(ref)[0]
    assert tried["status"] == situation.result, tried
    assert tried["tls"]["policy"] == situation.policy, tried
    assert situation.words in f"{tried['reply']} {tried['reason']}", tried
    assert tried["reason"], tried
    taken = [bool(placed.peer and placed.peer.messages) for placed in cast.hosts]
    if situation.result == "delivered":
        assert tried["tls"]["verified"] is situation.verified, tried
        assert taken[situation.at - 1], tried
        assert tried["host"] == cast.hosts[situation.at - 1].name
    else:
        assert not any(taken), tried
    if options and situation.result == "delivered":
        lines = cast.hosts[situation.at - 1].peer.lines  # type: ignore[union-attr]
        assert any(line.startswith("MAIL") and "REQUIRETLS" in line for line in lines), lines


def test_our_own_gate_receives_under_dane(lab: Lab) -> None:
    ref = lab.hand_in("ben@received.secure.test")
    tried = lab.deliveries(ref)[0]
    assert tried["status"] == "delivered", tried
    assert tried["tls"] == {"version": "TLSv1.3", "policy": "dane", "verified": True}
    lab.receiver.wait_for("ben@received.secure.test")


def test_the_story_says_what_the_wire_was_held_to(lab: Lab) -> None:
    ref = lab.hand_in("ben@ee-key.secure.test")
    lab.deliveries(ref)
    told = " ".join(lab.sender.run("explain", ref).split())
    assert "publishes DNSSEC-secure TLSA records: TLSv1.3 with a certificate that fits them." in told


def test_an_enforced_policy_survives_a_restart_without_its_host(lab: Lab) -> None:
    domain = lab.world.casts["enforced"].domain
    lab.deliveries(lab.hand_in(f"ben@{domain}"))

    def kept() -> bool:
        import sqlite3

        with contextlib.closing(
            sqlite3.connect(f"file:{lab.sender.folder}/var/gatepost.db?mode=ro", uri=True)
        ) as base:
            return bool(base.execute("SELECT 1 FROM sts_known WHERE domain = ?", (domain,)).fetchone())

    until(kept, lab.sender.log)
    assert lab.sender.stop() == 0
    answers, lab.world.web.answers = lab.world.web.answers, {}
    try:
        lab.sender.start()
        asked = len(lab.world.web.asked)
        tried = lab.deliveries(lab.hand_in(f"ben@{domain}"))[0]
        assert (tried["status"], tried["tls"]["policy"]) == ("delivered", "mta-sts"), tried
        assert len(lab.world.web.asked) == asked, "the policy that was kept is good for a day"
    finally:
        lab.world.web.answers = answers


def test_postfix_receives_under_dane(tmp_path: Path) -> None:
    name = "mail.example.net"
    shown = make(name)
    (tmp_path / "pair.pem").write_bytes(shown.key_pem + shown.pem)
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents[:2]:
        folder.chmod(0o755)
    with postfix(smtpd_tls_security_level="may", smtpd_tls_chain_files=str(tmp_path / "pair.pem")) as server:
        zones = {
            ".": ZoneOf(),
            "test": ZoneOf(["ns.test. 300 A 127.0.0.1"]),
            "example.net": ZoneOf(
                [
                    f"example.net. 300 MX 10 {name}.",
                    f"{name}. 300 A 127.0.0.1",
                    f"_{server.port}._tcp.{name}. 300 TLSA 3 1 1 {hashlib.sha256(shown.spki).hexdigest()}",
                ]
            ),
        }
        folder = tmp_path / "names"
        folder.mkdir()

        async def go(resolver_at: str) -> Any:
            resolver = CachingResolver(DnsSettings(servers=(resolver_at,), trust_ad=True))
            out = Outbound("gate.test", resolver, OutboundSettings(), smtp_port=server.port)
            message = Outgoing(
                sender="ana@example.org",
                recipients=(OutgoingRecipient(address="ben@example.net"),),
                octets=mail("to Postfix"),
            )
            sent = await out.send_to_domain("example.net", message)
            await out.close()
            await resolver.close()
            return sent

        with names(folder, zones) as resolver_at:
            sent = asyncio.run(go(resolver_at))
        assert (sent.outcomes[0].result, sent.tls_policy, sent.tls_verified) == ("delivered", "dane", True), (
            sent
        )
        server.wait_for("ben@example.net")
