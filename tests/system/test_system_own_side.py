"""A whole gate's own side: signatures and rewritten senders where they arrive, certificates from an authority that asks
back while sessions go on, and policies as others fetch them."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import re
import signal
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_system_next_hops import scripted
from whole import Gate, config, issue, mail, run, running, tls_for, until

from gatepost.demo.run import free_port
from gatepost.dns.zone import Zone
from gatepost.mail.message import Message
from gatepost.mailauth.arc import validate_chain
from gatepost.mailauth.dkim import verify_signatures
from gatepost.net.certfiles import tlsa_of_file
from gatepost.store.store import Store
from net.acme_server import AcmeServer
from scripted_peer import Peer

MX = "127.77.1.25"
"""Where the mail host of the world outside listens, on its right port."""
ZONE = f"""
elsewhere.example.        MX  10 mx.elsewhere.example.
mx.elsewhere.example.     A   {MX}
mta-sts.example.net.      A   127.0.0.1
"""
LISTENERS = """
[[listeners]]
address = "127.0.0.1:0"
role = "mx"
xclient_from = ["127.0.0.1"]

[[listeners]]
address = "127.0.0.1:0"
role = "submission"
relay_for = ["127.0.0.1"]
"""
DOMAINS = """
[[domains]]
name = "example.net"
recipients = ["ana@example.net", "ben@example.net"]
deliver = "maildir:mail"
aliases = { "away" = "bo@elsewhere.example", "marked" = "bo@elsewhere.example" }
"""
MORE = """
[signing]
arc = true
[checks.recipients]
bounces_a_day = 3
[marking]
deliver_from = -100.0
[[marking.overrides]]
recipients = ["marked@example.net"]
deliver = {{ tag = "[outside]" }}
[outbound]
private_addresses = true
[delivery]
poll = "100ms"
[certificates]
acme = "{directory}"
agree = true
http_address = "127.0.0.1:{http}"
look = "200ms"
check = "500ms"
[mta_sts]
address = "127.0.0.1:{https}"
"""


@dataclass
class OwnSide:
    gate: Gate
    peer: Peer
    zone: Zone
    authority: AcmeServer
    https: int
    early: smtplib.SMTP
    """A session from before the first real certificate."""

    @property
    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority.root_pem.decode())

    def arrived(self, word: bytes) -> bytes:
        """The message with that word in it, once it is there."""
        until(lambda: any(word in one for one in self.peer.messages), self.gate.log)
        return next(one for one in self.peer.messages if word in one)

    def certificate(self) -> bytes | None:
        """What the next session gets, DER, when it verifies."""
        with smtplib.SMTP("127.0.0.1", self.gate.ports["mx"], timeout=20) as session:
            session.ehlo()
            session._host = "mx.example.net"  # type: ignore[attr-defined]  # who is asked for, and verified
            try:
                session.starttls(context=self.trusting)
            except ssl.SSLError:
                return None
            assert isinstance(session.sock, ssl.SSLSocket)
            return session.sock.getpeercert(binary_form=True)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnSide]:
    try:
        socket.create_server((MX, 25)).close()
    except OSError:
        pytest.skip(f"may not listen on {MX}:25")
    folder = tmp_path_factory.mktemp("gate")
    (folder / "gatepost.toml").write_text(config(dns_port=9, domains=DOMAINS))
    asyncio.run(Store.open(folder / "var").close())
    keys = run("key", "create", "example.net", config=folder / "gatepost.toml")
    zone = ZONE + keys
    peer = Peer(address=MX, port=25)
    with ExitStack() as stack:
        authority = stack.enter_context(AcmeServer())
        authority.http_port, https = free_port(0), free_port(0)
        while https == authority.http_port:
            https = free_port(0)
        stack.enter_context(scripted(peer))
        more = MORE.format(directory=authority.directory, http=authority.http_port, https=https)
        gate = stack.enter_context(
            running(folder, zone=zone, listeners=LISTENERS, domains=DOMAINS, more=more, workers="2")
        )
        early = smtplib.SMTP("127.0.0.1", gate.ports["mx"], timeout=60)
        early.ehlo()
        yield OwnSide(gate, peer, Zone.parse(zone), authority, https, early)
        early.close()


def signatures(own: OwnSide, octets: bytes) -> list[tuple[str, str | None]]:
    results, _ = asyncio.run(verify_signatures(Message.parse(octets), own.zone, time.time()))
    return [(one.result, one.algorithm) for one in results]


def letter(word: str, author: str = "ana@example.net") -> bytes:
    lines = [f"From: Ana <{author}>", "To: bo@elsewhere.example", f"Subject: {word}", "", "naïve text", ""]
    return "\r\n".join(lines).encode()


def both_keys_sign(own: OwnSide) -> bool:
    return [one["state"] for one in own.gate.rows("key", "list")] == ["signing", "signing"]


def test_what_we_send_arrives_with_two_signatures_that_pass(own: OwnSide) -> None:
    until(lambda: both_keys_sign(own), own.gate.log)
    time_there = time.monotonic() + 10
    while True:
        with smtplib.SMTP("127.0.0.1", own.gate.ports["submission1"], "laptop.lan", timeout=20) as session:
            session.ehlo()
            word = f"signed-{time.monotonic_ns()}"
            session.sendmail("ana@example.net", ["bo@elsewhere.example"], letter(word))
        octets = own.arrived(word.encode())
        found = signatures(own, octets)
        if found or time.monotonic() > time_there:  # each process looks once a second which keys sign
            break
    assert found == [("pass", "rsa-sha256"), ("pass", "ed25519-sha256")]
    header = octets.partition(b"\r\n\r\n")[0]
    assert b"\r\nMessage-ID:" in header, "added before it was signed"


def test_what_is_sent_on_comes_from_us_is_sealed_and_its_bounce_finds_back(own: OwnSide) -> None:
    until(lambda: both_keys_sign(own), own.gate.log)
    time_there = time.monotonic() + 10
    while True:
        word = f"sent-on-{time.monotonic_ns()}"
        code, said = own.gate.send(mail(word), "away@example.net")
        assert code == 250, said
        octets = own.arrived(word.encode())
        chain = asyncio.run(validate_chain(Message.parse(octets), own.zone, time.time()))
        if chain.result != "none" or time.monotonic() > time_there:  # as above
            break
    assert (chain.result, chain.sealers) == ("pass", ("example.net",))
    assert "spf=pass" in chain.authentication_results[0]
    assert not re.search(rb"^DKIM-Signature", octets, re.MULTILINE | re.IGNORECASE), "we did not write it"
    line = [one for one in own.peer.lines if one.startswith("MAIL FROM:<SRS0=")][-1]
    rewritten = line.partition("<")[2].partition(">")[0]
    assert rewritten.endswith("=good.example=ann@example.net")
    with own.gate.talk("mail.good.example", "192.0.2.10") as session:
        session.docmd("MAIL FROM:<>")
        assert session.docmd(f"RCPT TO:<{rewritten}>")[0] == 250
        assert session.docmd(f"RCPT TO:<{rewritten.replace('=ann@', '=eve@')}>")[0] == 550
        session.docmd("RSET")
        session.docmd("MAIL FROM:<ann@good.example>")
        assert session.docmd(f"RCPT TO:<{rewritten}>")[0] == 550, "it takes bounces, and nobody's mail"


def test_a_rewritten_sender_takes_a_few_bounces_a_day(own: OwnSide) -> None:
    assert own.gate.send(mail("to be counted"), "away@example.net", sender="bob@good.example")[0] == 250
    own.arrived(b"to be counted")
    line = next(one for one in own.peer.lines if one.startswith("MAIL FROM:<SRS0=") and "=bob@" in one)
    rewritten = line.partition("<")[2].partition(">")[0]
    with own.gate.talk("mail.good.example", "192.0.2.10") as session:
        said = []
        for _ in range(4):
            session.docmd("MAIL FROM:<>")
            said.append(session.docmd(f"RCPT TO:<{rewritten}>"))
            session.docmd("RSET")
    assert [code for code, _ in said] == [250, 250, 250, 450]
    assert b"4 bounces today for a sender that we rewrote, 3 are allowed" in said[-1][1]


def test_what_is_sent_on_with_a_tag_is_sealed_with_it(own: OwnSide) -> None:
    until(lambda: both_keys_sign(own), own.gate.log)

    def sealed() -> bool:  # each process looks once a second which keys sign
        word = f"marked-{time.monotonic_ns()}"
        assert own.gate.send(mail(word), "marked@example.net")[0] == 250
        octets = own.arrived(word.encode())
        assert f"Subject: [outside] {word}".encode() in octets
        assert signatures(own, octets) == [], "we did not write it"
        chain = asyncio.run(validate_chain(Message.parse(octets), own.zone, time.time()))
        return (chain.result, chain.sealers) == ("pass", ("example.net",))

    until(sealed, own.gate.log)


def test_the_certificate_is_got_and_taken_up_while_sessions_go_on(own: OwnSide) -> None:
    until(lambda: own.certificate() is not None, own.gate.log, patience_s=30)
    first = own.certificate()
    assert own.early.noop()[0] == 250
    told = own.gate.run("cert", "status")
    assert "CN=Test Authority" in told
    own.gate.run("cert", "renew")
    until(lambda: own.certificate() not in (None, first), own.gate.log, patience_s=40)
    assert own.early.noop()[0] == 250
    (record, following) = own.gate.rows("cert", "records")
    assert record["value"] == tlsa_of_file(
        own.gate.folder / "var/certificates/mx.example.net/current/fullchain.pem"
    )
    assert following["value"] != record["value"]


def test_the_accounts_key_is_changed_while_the_gate_runs(own: OwnSide) -> None:
    file = own.gate.folder / "var/certificates/account.json"
    before = file.read_bytes()
    own.gate.run("cert", "account-key")
    until(
        lambda: file.read_bytes() != before and b'"next"' not in file.read_bytes(),
        own.gate.log,
        patience_s=40,
    )
    assert "cert account-key" in own.gate.run("journal", "list")


def test_the_policy_is_fetched_by_its_own_name(own: OwnSide) -> None:
    def fetched() -> bytes:
        raw = socket.create_connection(("127.0.0.1", own.https), 10)
        with raw, own.trusting.wrap_socket(raw, server_hostname="mta-sts.example.net") as tls:
            asked = http.client.HTTPConnection("mta-sts.example.net")
            asked.sock = tls
            asked.request("GET", "/.well-known/mta-sts.txt")
            with contextlib.closing(asked), asked.getresponse() as answer:
                assert answer.status == 200
                return answer.read()

    def there() -> bool:
        try:
            return bool(fetched())
        except ssl.SSLError:  # its certificate is on the way
            return False

    until(there, own.gate.log, patience_s=30)
    assert fetched() == b"version: STSv1\r\nmode: testing\r\nmx: mx.example.net\r\nmax_age: 86400\r\n"


def test_what_is_missing_in_the_dns_is_told(own: OwnSide) -> None:
    told = own.gate.run("dns", "example.net", status=1)
    assert "missing  _mta-sts.example.net. TXT" in told
    assert "should be v=STSv1; id=" in told
    assert "ok       gate-" in told


def test_a_reload_does_not_take_a_key_that_dane_senders_would_refuse(tmp_path: Path) -> None:
    """Files that others renew: the new key's TLSA record is not published, so the old certificate stays."""
    tables = tls_for(tmp_path)
    old = tlsa_of_file(tmp_path / "certificate.pem")
    zone = f"_25._tcp.mx.example.net. 60 TLSA {old}\n"
    with running(tmp_path, zone=zone, more=tables + '[certificates]\nlook = "100ms"\n', workers="2") as gate:

        def presented() -> str:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with smtplib.SMTP("127.0.0.1", gate.port, timeout=20) as session:
                session.starttls(context=context)
                assert isinstance(session.sock, ssl.SSLSocket)
                der = session.sock.getpeercert(binary_form=True)
            assert der is not None
            (tmp_path / "seen.pem").write_text(ssl.DER_cert_to_PEM_cert(der))
            return tlsa_of_file(tmp_path / "seen.pem")

        assert presented() == old
        issue(tmp_path)
        fresh = tlsa_of_file(tmp_path / "certificate.pem")
        assert gate.process is not None
        os.kill(gate.process.pid, signal.SIGHUP)
        until(lambda: f"fits the next key; publish {fresh}" in gate.log(), gate.log)
        assert {presented() for _ in range(6)} == {old}, "whichever worker answers"
        told = gate.run("cert", "status", status=1)
        assert f"publish {fresh}" in told
        assert "_25._tcp.mx.example.net" in gate.run("status", status=None)
