"""Mail from domains in a really signed tree (knot behind a validating unbound): secure, insecure and bogus."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.query
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from whole import DOMAINS, LISTENERS, Gate, config, mail, until

from conftest import real_program
from gatepost.mail.message import Message
from gatepost.mailauth.dkim_sign import sign
from gatepost.net.zoneserver import _bind

pytestmark = pytest.mark.peers
KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
CHILDREN = ("plain", "broken", "keys")
SOA = "@ 3600 SOA ns.tree.example. host.tree.example. 1 3600 600 86400 300\n@ 3600 NS ns.tree.example.\n"
RECORDS = f"""
@ 3600 MX 10 mx.tree.example.
@ 3600 TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc 3600 TXT "v=DMARC1; p=reject"
k._domainkey 3600 TXT "v=DKIM1; k=ed25519; p={PUBLIC}"
"""
BROKEN_DS = "DS 12345 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
TREE = f"""
{SOA}{RECORDS}
ns 3600 A 127.0.0.1
mx 3600 A 192.0.2.10
plain 3600 NS ns
broken 3600 NS ns
broken 3600 {BROKEN_DS}
keys 3600 NS ns
half 3600 MX 10 mx
half 3600 TXT "v=spf1 -all"
_dmarc.half 3600 TXT "v=DMARC1; p=reject"
_domainkey.half 3600 NS ns
_domainkey.half 3600 {BROKEN_DS}
"""
ZONES = {
    "tree.example": TREE,
    "plain.tree.example": SOA + RECORDS,
    "broken.tree.example": SOA + RECORDS,
    "_domainkey.half.tree.example": SOA + f'k 3600 TXT "v=DKIM1; k=ed25519; p={PUBLIC}"\n',
}
SIGNED = ("tree.example", "broken.tree.example", "_domainkey.half.tree.example")
KNOT = """
server:
    rundir: {folder}
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}
policy:
  - id: simple
    algorithm: ecdsap256sha256
    single-type-signing: on
template:
  - id: default
    storage: {folder}
    file: "%s.zone"
    zonefile-sync: -1
    semantic-checks: off
zone:
{zones}
"""
UNBOUND = """
server:
    directory: "{folder}"
    pidfile: ""
    chroot: ""
    username: ""
    use-syslog: no
    do-daemonize: no
    num-threads: 1
    interface: 127.0.0.1@{port}
    do-ip6: no
    do-not-query-localhost: no
    module-config: "validator iterator"
    trust-anchor: "{anchor}"
    local-zone: "192.in-addr.arpa." static
    local-zone: "203.in-addr.arpa." static
{stubs}
remote-control:
    control-enable: no
"""


def free_port() -> int:
    stream, datagrams = _bind(0)
    with stream, datagrams:
        port: int = stream.getsockname()[1]
        return port


def asked(port: int, kind: str) -> dns.message.Message | None:
    try:
        query = dns.message.make_query("tree.example", kind)
        answer = dns.query.udp(query, "127.0.0.1", timeout=0.3, port=port)
    except (OSError, dns.exception.DNSException):
        return None
    return answer if answer.answer else None


@pytest.fixture(scope="module")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a validating resolver that knows just this tree."""
    folder: Path = tmp_path_factory.mktemp("names")
    for name, text in ZONES.items():
        (folder / f"{name}.zone").write_text(text)
    knot_port, port = free_port(), free_port()
    zones = "".join(
        f"  - domain: {name}\n"
        + ("    dnssec-signing: on\n    dnssec-policy: simple\n" if name in SIGNED else "")
        for name in ZONES
    )
    (folder / "knot.conf").write_text(KNOT.format(folder=folder, port=knot_port, zones=zones))
    knot = subprocess.Popen(
        [real_program("knotd", "knot"), "-c", str(folder / "knot.conf")], stdout=subprocess.DEVNULL
    )
    try:
        until(lambda: asked(knot_port, "DNSKEY"))
        answer = asked(knot_port, "DNSKEY")
        assert answer is not None
        anchor = dns.dnssec.make_ds(dns.name.from_text("tree.example"), answer.answer[0][0], "SHA256")
        stubs = "\n".join(
            f'stub-zone:\n    name: "{name}"\n    stub-addr: 127.0.0.1@{knot_port}' for name in ZONES
        )
        (folder / "unbound.conf").write_text(
            UNBOUND.format(folder=folder, port=port, anchor=f"tree.example. DS {anchor}", stubs=stubs)
        )
        unbound = subprocess.Popen(
            [real_program("unbound"), "-d", "-c", str(folder / "unbound.conf")], stderr=subprocess.DEVNULL
        )
        try:
            until(lambda: asked(port, "SOA"))
            yield port
        finally:
            unbound.terminate()
            unbound.wait(10)
    finally:
        knot.terminate()
        knot.wait(10)


@pytest.fixture(scope="module")
def gate(resolver: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    gate = Gate(
        tmp_path_factory.mktemp("gate"),
        config(dns_port=resolver, listeners=LISTENERS, domains=DOMAINS, more="[checks.rdns]\nmode = 'off'\n"),
    )
    gate.start()
    try:
        yield gate
    finally:
        assert gate.stop() == 0


def signed(domain: str) -> bytes:
    octets = mail("letter", author=f"ann@{domain}")
    return sign(Message.parse(octets), domain=domain, selector="k", key=KEY, now=0) + octets


def verdict(gate: Gate, domain: str, *, client: str = "192.0.2.10", sender: str = "") -> tuple[int, dict]:  # type: ignore[type-arg]
    sender = sender or f"ann@{domain}"
    code, text = gate.send(signed(domain), sender=sender, client=client, hello="mx.tree.example")
    return code, gate.story(text)


def evidence(row: dict, name: str) -> dict:  # type: ignore[type-arg]
    [found] = [one for one in row["findings"] if one["name"] == name]
    return found["evidence"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("domain", "state"), [("tree.example", "secure"), ("plain.tree.example", "insecure")]
)
def test_the_state_of_every_answer_is_kept_with_the_verdict(gate: Gate, domain: str, state: str) -> None:
    code, row = verdict(gate, domain)
    assert (code, row["action"]) == (250, "deliver")
    assert row["authentication"]["dmarc"]["result"] == "pass"
    assert row["authentication"]["dmarc"]["dnssec"] == state
    for name in ("spf.pass", "dkim.pass", "dmarc.pass"):
        assert evidence(row, name)["dnssec"] == state, name
    words = {"secure": "DNSSEC secure", "insecure": "DNS not signed"}[state]
    assert words in gate.run("explain", row["ref"])


def test_a_forger_is_refused_with_secure_evidence(gate: Gate) -> None:
    octets = mail("forged", author="ann@tree.example")
    code, text = gate.send(
        octets, sender="eve@plain.tree.example", client="203.0.113.9", hello="mx.tree.example"
    )
    assert code == 550, text
    row = gate.story(text)
    assert row["rule"].startswith("dmarc.reject")
    assert row["authentication"]["dmarc"]["dnssec"] == "secure"


def test_bogus_names_wait_and_are_never_taken_for_none(gate: Gate) -> None:
    code, row = verdict(gate, "broken.tree.example")
    assert (code, row["action"]) == (451, "defer")
    proved = row["authentication"]
    assert proved["spf"]["mail_from"]["result"] == "temperror"
    assert [one["result"] for one in proved["dkim"]] == ["temperror"]
    assert proved["dmarc"]["result"] == "temperror"
    assert proved["dmarc"]["dnssec"] == "bogus"


def test_a_bogus_key_of_a_signature_that_would_decide_waits(gate: Gate) -> None:
    code, row = verdict(gate, "half.tree.example", client="203.0.113.9")
    assert (code, row["action"]) == (451, "defer")
    assert [one["result"] for one in row["authentication"]["dkim"]] == ["temperror"]
    assert row["authentication"]["dmarc"]["result"] == "temperror"
