"""Mail from domains in a really signed tree (knot behind a validating unbound): secure, insecure and bogus."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from whole import DOMAINS, LISTENERS, Gate, config, mail

from gatepost.mail.message import Message
from gatepost.mailauth.dkim_sign import sign
from signed_names import ZoneOf, names

pytestmark = pytest.mark.peers
KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
RECORDS = [
    "@ 3600 MX 10 mx.tree.example.",
    '@ 3600 TXT "v=spf1 ip4:192.0.2.10 -all"',
    '_dmarc 3600 TXT "v=DMARC1; p=reject"',
]
KEY_RECORD = f'3600 TXT "v=DKIM1; k=ed25519; p={PUBLIC}"'
HALF = [
    "mx 3600 A 192.0.2.10",
    "half 3600 MX 10 mx",
    'half 3600 TXT "v=spf1 -all"',
    '_dmarc.half 3600 TXT "v=DMARC1; p=reject"',
]
"""A domain whose mail is proved by nothing but a key below a zone cut that is bogus."""
WHOLE = [*RECORDS, f"k._domainkey {KEY_RECORD}"]
ZONES = {
    "tree.example": ZoneOf([*WHOLE, *HALF]),
    "plain.tree.example": ZoneOf(WHOLE, "insecure"),
    "broken.tree.example": ZoneOf(WHOLE, "bogus"),
    "_domainkey.half.tree.example": ZoneOf([f"k {KEY_RECORD}"], "bogus"),
}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """One that asks a validating resolver which knows just this tree."""
    with names(tmp_path_factory.mktemp("names"), ZONES) as resolver:
        text = config(
            dns_port=int(resolver.partition(":")[2]),
            listeners=LISTENERS,
            domains=DOMAINS,
            more="[checks.rdns]\nmode = 'off'\n",
        )
        gate = Gate(tmp_path_factory.mktemp("gate"), text)
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
