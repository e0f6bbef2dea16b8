"""A whole gate in the lab: mail handed in over submission goes out on the right ports, held to what each domain publishes,
and `explain` tells what was required and what came of it. Our own gate and Postfix are among the receivers."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import gzip
import hashlib
import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lab_gate import CHOSEN, Lab, whole_lab
from lab_servers import make
from lab_situations import Situation
from pysqlite3 import dbapi2
from whole import mail, until

from gatepost.net.destinations import OutboundSettings
from gatepost.net.outbound import Outbound
from gatepost.net.resolver import CachingResolver, DnsSettings
from gatepost.smtp.sending import Outgoing, OutgoingRecipient
from real_servers import postfix
from scripted_peer import Peer
from signed_names import ZoneOf, names

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with whole_lab(tmp_path_factory) as found:
        yield found


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
        with contextlib.closing(
            dbapi2.connect(f"file:{lab.sender.folder}/var/gatepost.db?mode=ro", uri=True)
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


@pytest.mark.parametrize(
    ("domain", "status", "words"),
    [
        ("null", "5.1.10", "says that it takes no mail (null MX)"),
        ("self", "5.4.6", "its best MX is ourselves"),
    ],
)
def test_mail_that_can_go_nowhere_comes_back_at_once(lab: Lab, domain: str, status: str, words: str) -> None:
    tried = lab.deliveries(lab.hand_in(f"ben@{domain}.secure.test"))[0]
    assert tried["status"] == "failed", tried
    assert words in f"{tried['reply']} {tried['reason']}", tried

    def returned() -> bool:
        return any(
            f"ben@{domain}.secure.test".encode() in one and status.encode() in one
            for one in lab.sender.boxes("ana@gate.test")
        )

    until(returned, lab.sender.log)


def test_a_host_that_has_only_an_ipv6_address_is_reached_under_dane(lab: Lab) -> None:
    peer = Peer(address="::1", port=25, tls=lab.shown.context())
    try:
        socket.create_server(("::1", 25), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("may not listen on [::1]:25")
    with lab.loop.within(peer.serve()):
        tried = lab.deliveries(lab.hand_in("ben@six.secure.test"))[0]
    assert (tried["status"], tried["address"]) == ("delivered", "::1"), tried
    assert tried["tls"] == {"version": "TLSv1.3", "policy": "dane", "verified": True}
    assert len(peer.messages) == 1


def reads_again(peer: Peer, lab: Lab, ref: str) -> list[str]:
    """Two tries with a crash between them; the MAIL lines of the second."""
    tried = lab.deliveries(ref)
    assert [one["status"] for one in tried] == ["deferred"], tried
    lab.sender.kill()
    peer.answer = lambda verb, line: None
    seen = len(peer.lines)
    lab.sender.start()
    lab.sender.run("queue", "retry", ref, status=None)
    tried = lab.deliveries(ref, 2)
    assert tried[1]["status"] == "delivered", tried
    return [line for line in peer.lines[seen:] if line.startswith("MAIL")]


@pytest.mark.parametrize("name", ["rt-dane", "waived-dane"])
def test_what_a_message_says_of_tls_survives_the_queue_and_a_crash(lab: Lab, name: str) -> None:
    """Handed in by a machine that need not sign in (`relay_for`), put off once, delivered by another process."""
    cast = lab.world.casts[name]
    peer = cast.hosts[cast.situation.at - 1].peer
    assert peer is not None
    requires = cast.situation.message == "requiretls"
    peer.answer = lambda verb, line: "451 4.3.0 not now" if verb == "message" else None
    ref = lab.hand_in(
        f"ben@{cast.domain}",
        options=" REQUIRETLS" if requires else "",
        more=b"" if requires else b"TLS-Required: No\r\n",
    )
    (line,) = reads_again(peer, lab, ref)
    assert ("REQUIRETLS" in line) is requires
    assert (b"TLS-Required: No" in peer.messages[-1]) is not requires
    told = lab.deliveries(ref, 2)[1]
    assert told["tls"]["policy"] == cast.situation.policy
    assert told["tls"]["verified"] is cast.situation.verified


def test_reports_about_the_wire_reach_who_asked_for_them(lab: Lab) -> None:
    """A day's sessions, good and bad; the day after, the clock sends the reports by mail and by POST, and tells what failed."""
    domains = (
        "ee-key.secure.test",
        "ee-bad.secure.test",
        "enforced-untrusted.plain.test",
        "enforced-stripped.plain.test",
        "tested-name.plain.test",
    )
    until(lambda: [one["state"] for one in lab.sender.rows("key", "list")] == ["signing"] * 2, lab.sender.log)
    assert lab.sender.stop() == 0
    lab.sql("DELETE FROM tls_sessions", "DELETE FROM tls_reports")
    lab.world.web.posted.clear()
    lab.sender.start()
    for domain in domains:
        lab.deliveries(lab.hand_in(f"ben@{domain}"))
    assert lab.sender.stop() == 0
    assert set(lab.sender.run("tls-reports", "list").split()) >= set(domains)
    lab.sql("UPDATE tls_sessions SET day = day - 2")
    lab.sender.start()
    until(
        lambda: all(one in lab.reported() and lab.reported()[one]["tries"] for one in domains), lab.sender.log
    )

    posted = {  # a DANE policy is its mail host's (RFC 8460 §1.1)
        json.loads(gzip.decompress(body))["policies"][0]["policy"]["policy-domain"].removeprefix("mx1."): body
        for _, body in lab.world.web.posted
    }
    assert {host for host, _ in lab.world.web.posted} == {"mta-sts.enforced.plain.test"}
    assert set(posted) == set(domains[:2])
    until(lambda: len(lab.receiver.boxes("tls@received.secure.test")) == 2, lab.sender.log)
    mailed = {}
    for octets in lab.receiver.boxes("tls@received.secure.test"):
        message = email.message_from_bytes(octets, policy=email.policy.default)
        results = str(message["Authentication-Results"])
        assert results.count("dkim=pass") == 2, results
        assert "dmarc=pass" in results
        assert message["TLS-Report-Submitter"] == "gate.test"
        assert (message.get_content_type(), message.get_param("report-type")) == (
            "multipart/report",
            "tlsrpt",
        )
        part = list(message.iter_parts())[1]
        assert part.get_content_type() == "application/tlsrpt+gzip"
        mailed[message["TLS-Report-Domain"]] = part.get_payload(decode=True)
        start = (int(time.time()) // 86_400 - 2) * 86_400
        assert str(part.get_filename()).startswith(
            f"gate.test!{message['TLS-Report-Domain']}!{start}!{start + 86_399}!"
        )
    assert set(mailed) == {domains[1], domains[2]}
    assert mailed[domains[1]] == posted[domains[1]], "the same report, whichever way"
    day = f"{datetime.fromtimestamp(start, UTC):%Y-%m-%d}"
    shown = lab.sender.run("tls-reports", "show", domains[1], "--day", day)
    assert json.loads(shown) == json.loads(gzip.decompress(mailed[domains[1]])), "and as the operator sees it"

    def told(octets: bytes) -> tuple[Any, ...]:
        report = json.loads(gzip.decompress(octets))
        assert set(report) == {"organization-name", "date-range", "contact-info", "report-id", "policies"}
        assert (report["organization-name"], report["contact-info"]) == ("gate.test", "postmaster@gate.test")
        assert report["date-range"]["start-datetime"][10:] == "T00:00:00Z"
        (policy,) = report["policies"]
        summary, details = policy["summary"], policy.get("failure-details", [])
        counts = summary["total-successful-session-count"], summary["total-failure-session-count"]
        for one in details:
            assert one["receiving-mx-hostname"].startswith("mx1.")
            assert one["receiving-ip"].startswith("127.0.21.")
            assert one["sending-mta-ip"].startswith("127.0.")
        failed = [(one["result-type"], one["failed-session-count"]) for one in details]
        assert policy["policy"]["policy-string"]
        return (policy["policy"]["policy-type"], *counts, failed, policy["policy"].get("mx-host"))

    assert told(posted[domains[0]]) == ("tlsa", 1, 0, [], None)
    kind, good, bad, failed, _ = told(mailed[domains[1]])
    assert (kind, good, failed) == ("tlsa", 0, [("tlsa-invalid", bad)])
    kind, good, bad, failed, hosts = told(mailed[domains[2]])
    assert (kind, good, failed) == ("sts", 0, [("certificate-not-trusted", bad)])
    assert hosts == ["mx1.enforced-untrusted.plain.test"]

    fails = lab.reported()[domains[3]]
    assert (fails["tries"], fails["done"]) == (1, False)
    assert fails["outcome"].startswith("not sent to https://mta-sts.policy-untrusted.plain.test/r (")
    assert "not sent to https://mta-sts.policy-untrusted.plain.test/r" in lab.sender.log()
    assert all(lab.reported()[one]["done"] for one in domains[:3])

    def nobody_there() -> bool:
        return "(failed: 550 5.1.1" in lab.reported()["tested-name.plain.test"]["outcome"]

    until(nobody_there, lab.sender.log)
    assert not [one for one in lab.sender.rows("queue", "list") if "nobody@" in one["to"]], (
        "it is not kept for a person"
    )
    assert lab.sender.stop() == 0
    lab.sql("UPDATE tls_reports SET at = at - 6000")
    lab.world.web.posted.clear()
    lab.sender.start()
    until(lambda: lab.reported()[domains[3]]["tries"] == 2, lab.sender.log)
    assert lab.world.web.posted == [], "what was sent is not sent again"


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
