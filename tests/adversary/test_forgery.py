"""Sender forgeries from end to end: the attacker's own SPF and DKIM always pass; the victim is never proved.

What mail programs make of such fields differs (see "Weak Links in Authentication Chains", USENIX Security 2021,
and "Composition Kills", 2020), so where one might show the victim, the gate either names no author or says whom
it judged.
"""

from __future__ import annotations

import asyncio
import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from forging import (
    ACCEPTED,
    KEY,
    NOW,
    SEALER_KEY,
    US,
    VICTIM_KEY,
    Kept,
    assert_nobody_is_fooled,
    client,
    envelope,
    examined,
    gate,
    signed,
)

from gatepost.mail.authresults import ArcResult
from gatepost.mail.message import Message
from gatepost.mail.verdict import Action
from gatepost.mailauth.arc_seal import seal

V, A = b"ceo@victim.example", b"x@attacker.example"
ENCODED = b"=?utf-8?b?" + base64.b64encode(V) + b"?="
HEADERS: dict[str, bytes] = {
    "plain": b"From: " + V + b"\r\n",
    "two fields, victim first": b"From: " + V + b"\r\nFrom: " + A + b"\r\n",
    "two fields, victim last": b"From: " + A + b"\r\nFrom: " + V + b"\r\n",
    "three fields": b"From: " + A + b"\r\nFrom: " + V + b"\r\nFrom: " + A + b"\r\n",
    "two fields in two cases": b"From: " + A + b"\r\nfROM: " + V + b"\r\n",
    "two addresses, victim first": b"From: " + V + b", " + A + b"\r\n",
    "two addresses, victim last": b"From: " + A + b", " + V + b"\r\n",
    "two addresses, one in brackets": b"From: " + V + b", <" + A + b">\r\n",
    "addresses parted by a semicolon": b"From: " + A + b"; " + V + b"\r\n",
    "addresses parted by a NUL": b"From: " + V + b"\0" + A + b"\r\n",
    "route through us": b"From: <@attacker.example:" + V + b">\r\n",
    "route through the victim": b"From: <@victim.example:" + A + b">\r\n",
    "route of two": b"From: <@attacker.example,@victim.example:" + A + b">\r\n",
    "route without brackets": b"From: @victim.example:" + A + b"\r\n",
    "group named like the victim": b"From: " + V + b":" + A + b";\r\n",
    "victim in a group": b"From: friends: " + V + b";\r\n",
    "group and address": b"From: friends:" + V + b";, " + A + b"\r\n",
    "empty group": b"From: " + V + b":;\r\n",
    "comment before": b"From: (" + V + b") " + A + b"\r\n",
    "comment after": b"From: " + A + b" (" + V + b")\r\n",
    "comment with brackets": b"From: (<" + V + b">) " + A + b"\r\n",
    "comment in the domain": b"From: ceo@victim.example(.)attacker.example\r\n",
    "comment after the at sign": b"From: x@(victim.example)attacker.example\r\n",
    "comment before the at sign": b"From: ceo(@victim.example)@attacker.example\r\n",
    "nested comments": b"From: ((<" + V + b">)) <" + A + b">\r\n",
    "open comment": b"From: " + A + b" (" + V + b"\r\n",
    "comment with an escape": b"From: (\\) <" + V + b">) " + A + b"\r\n",
    "quoted local part": b'From: "' + V + b'"@attacker.example\r\n',
    "quoted local part with brackets": b'From: "<' + V + b'>"@attacker.example\r\n',
    "quoted local part with a comma": b'From: "' + V + b',"@attacker.example\r\n',
    "quoted name": b'From: "' + V + b'" <' + A + b">\r\n",
    "quoted name with brackets": b'From: "<' + V + b'>" <' + A + b">\r\n",
    "quoted name with an escaped quote": b'From: "a\\" <' + V + b'>" <' + A + b">\r\n",
    "open quote": b'From: "' + V + b" <" + A + b">\r\n",
    "unquoted name": b"From: " + V + b" <" + A + b">\r\n",
    "two pairs of brackets": b"From: <" + V + b"> <" + A + b">\r\n",
    "brackets inside brackets": b"From: <<" + V + b">" + A + b">\r\n",
    "address behind brackets": b"From: <" + A + b"> " + V + b"\r\n",
    "no brackets closed": b"From: <" + V + b"\r\n",
    "encoded address alone": b"From: " + ENCODED + b"\r\n",
    "encoded address as name": b"From: " + ENCODED + b" <" + A + b">\r\n",
    "encoded brackets as name": b"From: =?utf-8?b?" + base64.b64encode(b"<" + V + b">") + b"?= <" + A + b">\r\n",
    "encoded local part": b"From: =?utf-8?b?" + base64.b64encode(V + b"\0") + b"?=@attacker.example\r\n",
    "encoded with a comma": b"From: =?utf-8?q?ceo=40victim.example=2C?= <" + A + b">\r\n",
    "encoded in two words": b"From: =?utf-8?q?ceo=40vic?= =?utf-8?q?tim.example?= <" + A + b">\r\n",
    "encoded inside quotes": b'From: "' + ENCODED + b'" <' + A + b">\r\n",
    "encoded line end": b"From: =?utf-8?q?x=0D=0AFrom:_ceo=40victim.example=0D=0A?= <" + A + b">\r\n",
    "encoded in an unknown character set": b"From: =?x-none?q?ceo=40victim.example?= <" + A + b">\r\n",
    "encoded in UTF-16": b"From: =?utf-16-be?b?" + base64.b64encode(V.decode().encode("utf-16-be")) + b"?= <" + A + b">\r\n",
    "blank before the colon": b"From : " + V + b"\r\n",
    "blank before the colon, ours too": b"From : " + V + b"\r\nFrom: " + A + b"\r\n",
    "blank before the colon, ours first": b"From: " + A + b"\r\nFrom : " + V + b"\r\n",
    "tab before the colon": b"From\t: " + V + b"\r\nFrom: " + A + b"\r\n",
    "folded before the colon": b"From\r\n : " + V + b"\r\nFrom: " + A + b"\r\n",
    "name folded in the middle": b"Fr\r\n om: " + V + b"\r\nFrom: " + A + b"\r\n",
    "leading continuation": b" From: " + V + b"\r\nFrom: " + A + b"\r\n",
    "leading tab continuation": b"\tFrom: " + V + b"\r\nFrom: " + A + b"\r\n",
    "value on the next line": b"From:\r\n " + V + b"\r\n",
    "blank line of blanks": b"From: " + A + b"\r\n \r\nX: y\r\nFrom: " + V + b"\r\n",
    "NUL in the name": b"Fr\0om: " + V + b"\r\nFrom: " + A + b"\r\n",
    "NUL behind the name": b"From\0: " + V + b"\r\nFrom: " + A + b"\r\n",
    "NUL before the name": b"\0From: " + V + b"\r\nFrom: " + A + b"\r\n",
    "NUL in the value": b"From: " + V + b"\0 <" + A + b">\r\n",
    "bare CR in a value": b"X: y\rFrom: " + V + b"\r\nFrom: " + A + b"\r\n",
    "bare LF in a value": b"X: y\nFrom: " + V + b"\r\nFrom: " + A + b"\r\n",
    "bare CR in From": b"From: " + A + b"\rFrom: " + V + b"\r\n",
    "bare LF in From": b"From: " + V + b"\nx: " + A + b"\r\n",
    "bare CR before the colon": b"From\r: " + V + b"\r\nFrom: " + A + b"\r\n",
    "byte order mark": "\ufeffFrom: ".encode() + V + b"\r\nFrom: " + A + b"\r\n",
    "zero-width space": "\u200bFrom: ".encode() + V + b"\r\nFrom: " + A + b"\r\n",
    "no-break space": "\u00a0From: ".encode() + V + b"\r\nFrom: " + A + b"\r\n",
    "full-width letters": "\uff26rom: ".encode() + V + b"\r\nFrom: " + A + b"\r\n",
    "mbox From line": b"From ceo@victim.example Mon Sep 21 14:13:20 2026\r\nFrom: " + A + b"\r\n",
    "mbox From line quoted": b">From: " + V + b"\r\nFrom: " + A + b"\r\n",
    "final dot": b"From: ceo@victim.example.\r\n",
    "two final dots": b"From: ceo@victim.example..\r\n",
    "percent hack": b"From: ceo%victim.example@attacker.example\r\n",
    "bang path": b"From: victim.example!ceo@attacker.example\r\n",
    "two at signs": b"From: ceo@victim.example@attacker.example\r\n",
    "two at signs, victim last": b"From: x@attacker.example@victim.example\r\n",
    "blank in the domain": b"From: ceo@victim.example .attacker.example\r\n",
    "fold in the domain": b"From: ceo@victim.example\r\n .attacker.example\r\n",
    "full-width at sign": "From: ceo\uff20victim.example <x@attacker.example>\r\n".encode(),
    "small at sign in the local part": "From: ceo\ufe6bvictim.example@attacker.example\r\n".encode(),
    "right-to-left override": "From: \u202eelpmaxe.mitciv@oec <x@attacker.example>\r\n".encode(),
    "soft hyphen": "From: ceo@vic\u00adtim.example\r\n".encode(),
    "full-width dot": "From: ceo@victim\uff0eexample\r\n".encode(),
    "ideographic dot": "From: ceo@victim\u3002example\r\n".encode(),
    "full-width domain": "From: ceo@\uff56ictim.example\r\n".encode(),
    "address literal": b"From: ceo@[203.0.113.5]\r\n",
    "octets that are not UTF-8": b"From: ceo@victim\xff.example <" + A + b">\r\n",
    "no From": b"Sender: " + V + b"\r\n",
    "empty From": b"From:\r\nSender: " + V + b"\r\n",
    "Resent-From of ours": b"From: " + V + b"\r\nResent-From: " + A + b"\r\n",
    "Sender of ours": b"From: " + V + b"\r\nSender: " + A + b"\r\n",
    "very long name": b'From: "' + V + b" " * 2000 + b'" <' + A + b">\r\n",
    "very long encoded name": b"From: =?utf-8?q?" + b"_" * 3000 + b"?= <" + V + b">, " + A + b"\r\n",
    "very long name of harmless letters": b"From: victim.example " + b"x" * 600 + b" <" + A + b">\r\n",
    "hundreds of addresses": b"From: " + b", ".join([A] * 300) + b", " + V + b"\r\n",
    "huge field": b"From: (" + b"x" * 70_000 + b") " + V + b", " + A + b"\r\n",
    "thousands of fields before": b"X: y\r\n" * 2500 + b"From: " + V + b"\r\n",
    "a From behind thousands of fields": b"From: " + A + b"\r\n" + b"X: y\r\n" * 2500 + b"From: " + V + b"\r\n",
    "deep comments": b"From: " + b"(" * 5000 + b")" * 5000 + V + b", " + A + b"\r\n",
    "subdomain that does not exist": b"From: ceo@mail.victim.example\r\n",
}  # fmt: skip


@pytest.mark.parametrize("trick", HEADERS)
def test_from_fields(trick: str) -> None:
    assert_nobody_is_fooled(examined(signed(HEADERS[trick])))


@pytest.mark.parametrize("trick", HEADERS)
def test_from_fields_with_the_null_sender(trick: str) -> None:
    assert_nobody_is_fooled(examined(signed(HEADERS[trick]), sender=None))


def test_the_attacker_itself_passes() -> None:
    """Or else nothing above would mean anything."""
    entry = examined(signed(b"From: " + A + b"\r\n"))
    assert entry.auth.dmarc.result == "pass"
    assert entry.auth.dmarc.aligned_by == ("dkim", "spf")
    assert entry.judged[0].verdict.action is Action.DELIVER


def test_the_victim_itself_passes() -> None:
    octets = signed(b"From: " + V + b"\r\n", domain="victim.example", key=VICTIM_KEY)
    entry = examined(octets, sender="ceo@victim.example", ip="203.0.113.5", hello="victim.example")
    assert entry.auth.dmarc.result == "pass"
    assert entry.judged[0].verdict.action is Action.DELIVER


SIGNED = signed(b"From: " + V + b"\r\n")
SIGNATURES: dict[str, tuple[bytes, bytes]] = {
    # what is replaced in the attacker's signature, by what
    "d= of the victim": (b"d=attacker.example", b"d=victim.example"),
    "d= with quotes": (b"d=attacker.example", b'd="victim.example"'),
    "d= twice": (b"d=attacker.example", b"d=attacker.example; d=victim.example"),
    "d= with a blank": (b"d=attacker.example", b"d=victim.example attacker.example"),
    "d= with a NUL": (b"d=attacker.example", b"d=victim.example\0.attacker.example"),
    "d= with a comment": (b"d=attacker.example", b"d=victim.example(.attacker.example"),
    "d= with a final dot": (b"d=attacker.example", b"d=victim.example."),
    "d= is a top level": (b"d=attacker.example", b"d=example"),
    "d= is empty": (b"d=attacker.example", b"d="),
    "s= with a NUL": (b"s=s;", b"s=s._domainkey.attacker.example.\0;"),
    "s= reaches the attacker's zone": (b"d=attacker.example;\r\n\ts=s;", b"d=victim.example; s=s._domainkey.attacker.example\0;"),
    "s= with dots": (b"s=s;", b"s=s._domainkey.attacker.example.;"),
    "s= with a hash": (b"d=attacker.example;\r\n\ts=s;", b"d=victim.example; s=s._domainkey.attacker.example.#;"),
    "s= with a blank": (b"s=s;", b"s=s ._domainkey;"),
    "i= of the victim": (b"d=attacker.example;", b"d=attacker.example; i=ceo@victim.example;"),
    "i= looks below the victim": (b"d=attacker.example;", b"d=attacker.example; i=@victim.example.attacker.example;"),
    "i= with two at signs": (b"d=attacker.example;", b"d=attacker.example; i=ceo@victim.example@attacker.example;"),
    "i= is quoted printable": (b"d=attacker.example;", b"d=attacker.example; i==63eo=40victim.example@attacker.example;"),
    "q= is another method": (b"d=attacker.example;", b"d=attacker.example; q=dns/evil;"),
    "a= is none": (b"a=ed25519-sha256", b"a=none"),
    "b= is empty": (b"v=1;", b"v=1; b=;"),
}  # fmt: skip


@pytest.mark.parametrize("trick", SIGNATURES)
def test_signature_tags(trick: str) -> None:
    old, new = SIGNATURES[trick]
    assert old in SIGNED
    assert_nobody_is_fooled(examined(SIGNED.replace(old, new, 1)))


def test_a_signature_without_from_proves_nothing() -> None:
    octets = signed(b"From: " + V + b"\r\n", headers=["subject", "to"])
    assert_nobody_is_fooled(examined(octets))
    own = examined(signed(b"From: " + A + b"\r\n", headers=["subject", "to"]), ip="203.0.113.99")
    assert own.auth.dmarc.result == "fail"


@pytest.mark.parametrize("position", ["above", "below"])
@pytest.mark.parametrize("headers", [["from"], ["from", "from"], ["from", "from", "from"]])
def test_a_from_added_to_the_victims_own_signed_message(position: str, headers: list[str]) -> None:
    """A replay of what the victim really signed, with another From to be shown."""
    names = [*headers, "subject", "date"]
    octets = signed(b"From: " + V + b"\r\n", domain="victim.example", key=VICTIM_KEY, headers=names)
    added = b"From: boss@victim.example\r\n"
    changed = added + octets if position == "above" else octets.replace(b"Subject:", added + b"Subject:", 1)
    entry = examined(changed)
    assert entry.auth.dmarc.result != "pass"
    assert entry.judged[0].verdict.action is not Action.DELIVER


def test_a_body_appended_behind_l_is_not_proved() -> None:
    body = b"\r\nHello.\r\n"
    octets = signed(
        b"From: " + V + b"\r\n", body, domain="victim.example", key=VICTIM_KEY, body_length=len(body) - 2
    )
    entry = examined(octets + b"Pay to this account instead.\r\n")
    assert entry.auth.dkim[0].result == "pass"
    assert not entry.auth.dkim[0].covers_all
    assert entry.auth.dmarc.result == "fail"
    assert entry.judged[0].verdict.action is not Action.DELIVER


def test_an_l_of_nothing_is_not_proved() -> None:
    octets = signed(b"From: " + V + b"\r\n", domain="victim.example", key=VICTIM_KEY, body_length=0)
    assert examined(octets).auth.dmarc.result == "fail"


SENDERS = [
    '"ceo@victim.example"@attacker.example',
    '"<ceo@victim.example>"@attacker.example',
    '"x(ceo@victim.example)"@attacker.example',
    '"x\\"@victim.example"@attacker.example',
    "ceo%victim.example@attacker.example",
    "ceo=victim.example@attacker.example",
]


@pytest.mark.parametrize("sender", SENDERS)
def test_envelope_senders(sender: str) -> None:
    assert envelope(sender).sender is not None
    assert_nobody_is_fooled(examined(signed(b"From: " + V + b"\r\n"), sender=sender))


@pytest.mark.parametrize(
    "hello", ["victim.example", "[203.0.113.5]", "x(victim.example", "victim.example)from", "-"]
)
def test_hello_names(hello: str) -> None:
    octets = signed(b"From: " + V + b"\r\n")
    assert_nobody_is_fooled(examined(octets, hello=hello))
    assert_nobody_is_fooled(examined(octets, hello=hello, sender=None))


HOMOGRAPHS = [
    "v\u0456ctim.example",
    "victim\u2024example",
    "vict\u0131m.example",
    "\u03bdictim.example",
    "xn--vctim-2nf.example",
]


@pytest.mark.parametrize("domain", HOMOGRAPHS)
def test_look_alike_domains_are_judged_by_their_own_name(domain: str) -> None:
    entry = examined(signed(f"From: ceo@{domain}\r\n".encode()))
    dmarc = entry.auth.dmarc
    assert dmarc.result != "pass"
    assert dmarc.author_domain != "victim.example" or entry.judged[0].verdict.action is Action.REFUSE
    if dmarc.author_domain not in (None, "victim.example"):
        assert dmarc.author_domain.startswith("xn--")
        assert any(dmarc.author_domain in one.text for one in entry.findings)


@pytest.mark.parametrize("written", ["victim.example", "VICTIM.Example", "\uff36ictim.example"])
def test_one_domain_in_all_its_forms_is_held_to_its_policy(written: str) -> None:
    entry = examined(signed(f"From: ceo@{written}\r\n".encode()))
    assert entry.auth.dmarc.author_domain == "victim.example"
    assert entry.judged[0].verdict.rule == "dmarc.reject"


RESULTS = [
    b"Authentication-Results: mx.gate.example; dmarc=pass header.from=victim.example\r\n",
    b"authentication-results: MX.GATE.EXAMPLE; dmarc=pass header.from=victim.example\r\n",
    b"Authentication-Results : mx.gate.example 1; dmarc=pass\r\n",
    b'Authentication-Results: "mx.gate.example"; dmarc=pass\r\n',
    b"Authentication-Results: (c) mx.gate.example (d); dmarc=pass\r\n",
    b"Authentication-Results:\r\n mx.gate.example;\r\n dmarc=pass\r\n",
    b"Authentication-Results: mx.gate.example.; dmarc=pass\r\n",
    b"Authentication-Results: mx.gate.example dmarc=pass\r\n",
    b"Authentication-Results: mx.gate.example\r\n",
    b'Authentication-Results: mx.gate.example; dmarc=pass "\r\n',
    b"Authentication-Results: mx.gate.example; dmarc=pass (\r\n",
    b"Authentication-Results: ; mx.gate.example; dmarc=pass\r\n",
]


@pytest.mark.parametrize("field", RESULTS)
def test_results_under_our_name_are_taken_out(field: bytes) -> None:
    kept = Kept()
    message = field + signed(b"From: " + A + b"\r\n")
    replies = asyncio.run(
        gate(store=kept).receive(client(), envelope("x@attacker.example"), message, [ACCEPTED])
    )
    assert [reply.code for reply in replies] == [250]
    (acceptance,) = kept.acceptances
    removed = [message[start:end] for start, end in acceptance.removed_fields]
    assert field in removed
    ours = Message.parse(acceptance.added_header + b"\r\n")
    assert not ours.defects
    assert ours.count(b"authentication-results") == 1


def test_our_verdict_field_cannot_be_brought_along() -> None:
    """Sieve scripts go by it."""
    kept = Kept()
    forged = b"X-Gatepost: ref=R; score=-9.0; rule=default.deliver\r\n"
    message = forged + signed(b"From: " + A + b"\r\n")
    asyncio.run(gate(store=kept).receive(client(), envelope("x@attacker.example"), message, [ACCEPTED]))
    (acceptance,) = kept.acceptances
    assert forged in [message[start:end] for start, end in acceptance.removed_fields]


PASS = f"{US}; dmarc=pass header.from=victim.example"


def sealed(octets: bytes, domain: str, key: Ed25519PrivateKey, results: str, status: str = "none") -> bytes:
    fields = seal(
        Message.parse(octets),
        chain=ArcResult(result=status),
        results=results,
        domain=domain,
        selector="s",
        key=key,
        now=NOW,
    )
    assert fields
    return fields + octets


def test_a_trusted_forwarder_is_believed() -> None:
    """Or else the forged chains below would prove nothing."""
    octets = sealed(signed(b"From: " + V + b"\r\n"), "sealer.example", SEALER_KEY, PASS)
    entry = examined(octets, sender="list@sealer.example", ip="203.0.113.7", hello="sealer.example")
    assert entry.auth.arc.result == "pass"
    assert "forwarder.trusted" in {one.name for one in entry.findings}
    assert entry.judged[0].verdict.action is Action.DELIVER


def forged_chains() -> dict[str, bytes]:
    plain = signed(b"From: " + V + b"\r\n")
    by_attacker = sealed(plain, "attacker.example", KEY, PASS)
    honest = sealed(
        signed(b"From: " + A + b"\r\n"),
        "sealer.example",
        SEALER_KEY,
        f"{US}; dmarc=fail header.from=attacker.example",
    )
    trusted = sealed(plain, "sealer.example", SEALER_KEY, PASS)
    return {
        "sealed by the attacker": by_attacker,
        "d= says the sealer, the key is the attacker's": sealed(plain, "sealer.example", KEY, PASS),
        "d= of the seal changed": by_attacker.replace(b"d=attacker.example", b"d=sealer.example", 1),
        "d= of both changed": by_attacker.replace(b"d=attacker.example", b"d=sealer.example", 2),
        "two d= in the seal": by_attacker.replace(
            b"d=attacker.example", b"d=attacker.example; d=sealer.example", 1
        ),
        "d= below the attacker": by_attacker.replace(
            b"d=attacker.example", b"d=sealer.example.attacker.example", 1
        ),
        "results of an honest seal changed": honest.replace(
            b"dmarc=fail header.from=attacker.example", b"dmarc=pass header.from=victim.example"
        ).replace(b"From: " + A, b"From: " + V),
        "From of an honest seal changed": honest.replace(b"From: " + A, b"From: " + V),
        "body of a true seal changed": trusted.replace(b"Please pay", b"Please PAY"),
        "From added to a true seal": b"From: boss@victim.example\r\n" + trusted,
        "a true chain, then the attacker's seal": sealed(trusted, "attacker.example", KEY, PASS, "pass"),
        "the attacker's seal, then an honest one that saw a failure": sealed(
            by_attacker, "sealer.example", SEALER_KEY, f"{US}; dmarc=fail header.from=victim.example", "pass"
        ),
        "a true seal about another author": sealed(
            plain, "sealer.example", SEALER_KEY, f"{US}; dmarc=pass header.from=attacker.example"
        ),
        "a true seal with the pass in a comment": sealed(
            plain, "sealer.example", SEALER_KEY, f"{US}; dmarc=fail (dmarc=pass header.from=victim.example)"
        ),
        "a true seal with the pass in a quoted reason": sealed(
            plain,
            "sealer.example",
            SEALER_KEY,
            f'{US}; dmarc=fail reason="; dmarc=pass header.from=victim.example"',
        ),
        "only results": b"ARC-Authentication-Results: i=1; " + PASS.encode() + b"\r\n" + plain,
        "instance nought": by_attacker.replace(b"i=1", b"i=0"),
        "instance written with a nought before": by_attacker.replace(b"i=1", b"i=01"),
    }


@pytest.mark.parametrize("trick", forged_chains())
def test_forged_chains(trick: str) -> None:
    entry = examined(forged_chains()[trick])
    assert "forwarder.trusted" not in {one.name for one in entry.findings}
    assert_nobody_is_fooled(entry)
