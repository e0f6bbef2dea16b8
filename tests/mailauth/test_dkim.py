"""DKIM as a postmaster sees it: which mail passes, which does not, and why."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from drive import drive
from gatepost.dns.answer import Security
from gatepost.dns.zone import Zone
from gatepost.mail.authresults import DkimResult
from gatepost.mail.message import Message
from gatepost.mailauth.canonical import Canonical
from gatepost.mailauth.dkim import DkimLimits, verify_signatures
from gatepost.mailauth.dkim_sign import PrivateKey, sign

NOW = 1_700_000_000.0
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED25519 = Ed25519PrivateKey.generate()
MAIL = b"From: Ana <ana@example.org>\r\nTo: ben@example.net\r\nSubject: Minutes\r\n\r\nIt was  decided.\r\n"


def spki(key: PrivateKey) -> str:
    if isinstance(key, Ed25519PrivateKey):
        octets = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    else:
        octets = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(octets).decode()


def zone_with(*records: str, name: str = "s._domainkey.example.org") -> Zone:
    zone = Zone()
    for record in records:
        zone.add(name, "TXT", record)
    return zone


ZONE = zone_with(f"v=DKIM1; k=rsa; p={spki(RSA)}")
ZONE.add("e._domainkey.example.org", "TXT", f"v=DKIM1; k=ed25519; p={spki(ED25519)}")


def signed(octets: bytes = MAIL, key: PrivateKey = RSA, **options: Any) -> bytes:
    message = Message.parse(octets)
    wanted = {"domain": "example.org", "selector": "s", "now": NOW} | options
    return sign(message, key=key, **wanted) + octets


def verify(octets: bytes, zone: Zone = ZONE, now: float = NOW) -> DkimResult:
    (result,), ignored = drive(verify_signatures(Message.parse(octets), zone, now))
    assert ignored == 0
    return result


def resign(
    octets: bytes, old: bytes, new: bytes, key: rsa.RSAPrivateKey = RSA, hash_name: str = "sha256"
) -> bytes:
    """Change the signature field and sign the header again, as a signer with other habits would."""
    assert old in octets
    message = Message.parse(octets.replace(old, new, 1))
    own = message.fields[0]
    form = Canonical(message)
    value = message.value(own).decode("latin-1")
    names = next(part for part in value.split(";") if part.strip().startswith("h="))
    listed = [name.strip().lower().encode("latin-1") for name in names.partition("=")[2].split(":")]
    data = b"".join(form.signed_fields(listed, own, relaxed=True)) + form.unsigned_field(own, relaxed=True)
    algorithm = hashes.SHA1() if hash_name == "sha1" else hashes.SHA256()
    signature = base64.b64encode(key.sign(data, padding.PKCS1v15(), algorithm))
    before, _, _ = message.raw(own).partition(b"\tb=")
    return before + b"\tb=" + signature + b"\r\n" + message.octets[own.end :]


def test_a_pass_tells_who_signed() -> None:
    octets = signed()
    assert verify(octets) == DkimResult(
        result="pass",
        domain="example.org",
        selector="s",
        identity="@example.org",
        algorithm="rsa-sha256",
        bits=2048,
        signature=octets.partition(b"\tb=")[2][:8].decode(),
        security=Security.INSECURE,
    )


def test_ed25519() -> None:
    result = verify(signed(key=ED25519, selector="e"))
    assert (result.result, result.algorithm, result.bits) == ("pass", "ed25519-sha256", None)


def test_key_kind_must_fit_the_algorithm() -> None:
    assert verify(signed(key=ED25519, selector="s")).result == "permerror"


def test_lines_of_the_signature_are_short() -> None:
    assert max(map(len, signed().partition(b"From:")[0].split(b"\r\n"))) <= 78


def test_changed_body_and_changed_header_fail() -> None:
    assert "body" in (verify(signed().replace(b"decided", b"dropped")).reason or "")
    assert verify(signed().replace(b"Minutes", b"Hours")).result == "fail"
    assert verify(signed().replace(b"Minutes", b"Hours")).bits == 2048


@pytest.mark.parametrize("name", [b"From", b"Subject", b"To", b"Date", b"Reply-To", b"Content-Type"])
def test_no_field_that_a_reader_sees_can_be_added(name: bytes) -> None:
    assert verify(name + b": mallory@example.com\r\n" + signed()).result in ("fail", "permerror")


def test_each_from_must_be_signed() -> None:
    octets = signed(headers=["from", "subject"])
    assert verify(octets).result == "pass"
    found = verify(b"From: mallory@example.com\r\n" + octets)
    assert (found.result, found.reason) == ("permerror", "there are more From fields than were signed")
    assert verify(signed(headers=["subject"])).reason == "From is not signed"


def test_fields_that_are_not_looked_at_forbid_a_pass() -> None:
    octets = b"X: y\r\n" * 20_000 + signed()
    assert drive(verify_signatures(Message.parse(octets), ZONE, NOW)) == ((), 0)
    assert verify(signed(b"X: y\r\n" * 20_000 + MAIL, headers=["from"])).result == "permerror"


def test_length_leaves_the_rest_of_the_body_uncovered() -> None:
    octets = signed(body_length=10)
    assert (verify(octets).result, verify(octets).covers_all) == ("pass", False)
    assert verify(octets + b"more\r\n").result == "pass"
    whole = signed(body_length=17)
    assert (verify(whole).result, verify(whole).covers_all) == ("pass", True)
    assert verify(whole + b"more\r\n").covers_all is False
    assert verify(signed(body_length=1000)).reason == "l= is larger than the body"
    assert verify(signed(body_length=0)).covers_all is False


def test_expiry_and_dates() -> None:
    octets = signed(expires_s=60)
    assert verify(octets, now=NOW + 60).result == "pass"
    late = verify(octets, now=NOW + 61)
    assert (late.result, late.reason) == ("fail", "the signature has expired")
    assert verify(signed(now=NOW + 3000)).result == "pass"
    assert verify(signed(now=NOW + 4000)).result == "policy"
    assert verify(signed(now=NOW + 4000).replace(b"Minutes", b"Hours")).result == "fail"
    assert verify(signed(expires_s=-1)).result == "neutral"


class ShortKey:
    """An RSA key of 767 bits, which cryptography uses but does not make."""

    def __init__(self) -> None:
        q = 2**255 - 19
        p = rsa.generate_private_key(public_exponent=65537, key_size=1024).private_numbers().p
        self.n, self.d = p * q, pow(65537, -1, (p - 1) * (q - 1))

    def public_key(self) -> rsa.RSAPublicKey:
        return rsa.RSAPublicNumbers(65537, self.n).public_key()

    def sign(self, data: bytes, _padding: object, _hash: object) -> bytes:
        size = (self.n.bit_length() + 7) // 8
        info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(data).digest()
        block = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
        return pow(int.from_bytes(block), self.d, self.n).to_bytes(size)


def test_a_short_key_is_policy_and_still_verified() -> None:
    short: Any = ShortKey()
    octets = resign(signed(), b"", b"", key=short)
    zone = zone_with(f"p={spki(short)}")
    result = verify(octets, zone)
    assert (result.result, result.bits) == ("policy", short.n.bit_length())
    assert "valid" in (result.reason or "")
    assert verify(octets.replace(b"Minutes", b"Hours"), zone).result == "fail"


def test_sha1_is_policy_and_still_verified() -> None:
    body_sha1 = base64.b64encode(hashlib.sha1(b"It was decided.\r\n").digest())
    body_sha256 = base64.b64encode(hashlib.sha256(b"It was decided.\r\n").digest())
    octets = signed().replace(body_sha256, body_sha1)
    octets = resign(octets, b"rsa-sha256", b"rsa-sha1", hash_name="sha1")
    result = verify(octets)
    assert (result.result, result.algorithm) == ("policy", "rsa-sha1")
    assert "valid" in (result.reason or "")
    assert verify(octets.replace(b"Minutes", b"Hours")).result == "fail"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"v=1", b"v=2"),
        (b"v=1; ", b""),
        (b"a=rsa-sha256", b"a=rsa-md5"),
        (b"c=relaxed/relaxed", b"c=nofws"),
        (b"c=relaxed/relaxed", b"c=relaxed/relaxed; q=http"),
        (b"c=relaxed/relaxed", b"c=relaxed/relaxed; l=-1"),
        (b"c=relaxed/relaxed", b"c=relaxed/relaxed; l=" + b"9" * 77),
        (b"c=relaxed/relaxed", b"c=relaxed/relaxed; c=relaxed/relaxed"),
        (b"c=relaxed/relaxed", b"c=relaxed/relaxed; x=soon"),
        (b"d=example.org", b"d=org"),
        (b"d=example.org", b"d=example.org."),
        (b"d=example.org", b'd="example.org"'),
        (b"d=example.org", b"d=exa mple.org"),
        (b"d=example.org", b"d=example..org"),
        (b"d=example.org", b"d=*.org"),
        (b"d=example.org", b"d=-example.org"),
        (b"d=example.org", b"d=example.org\0"),
        (b"d=example.org", b"d=example.org\n"),
        (b"d=example.org", b"d=\xff.org"),
        (b"d=example.org", b"d=" + b"a" * 64 + b".org"),
        (b"d=example.org", b"d=" + b"a.b." * 70 + b"org"),
        (b"s=s;", b"s=;"),
        (b"s=s;", b"s=s/../x;"),
        (b"s=s;", b""),
        (b"h=from", b"h=fr om"),
        (b"bh=", b"bh=!"),
    ],
    ids=repr,
)
def test_signatures_that_cannot_be_used_are_neutral_and_ask_nothing(old: bytes, new: bytes) -> None:
    class Silent:
        async def lookup(self, name: str, kind: str) -> Any:
            raise AssertionError(f"asked for {kind} of {name!r}")

    octets = resign(signed(), old, new)
    (result,), _ = drive(verify_signatures(Message.parse(octets), Silent(), NOW))
    assert result.result == "neutral"
    assert result.reason
    assert result.reason.isprintable()
    assert result.domain in ("example.org", "org", "")


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (b"c=relaxed/relaxed", b"c=relaxed/relaxed; i=ana@example.org", "ana@example.org"),
        (b"c=relaxed/relaxed", b"c=relaxed/relaxed; i=@mail.EXAMPLE.org", "@mail.example.org"),
        (b"c=relaxed/relaxed", b"c=relaxed/relaxed; unknown=tag; i=@example.org", "@example.org"),
        (b"c=relaxed/relaxed", b"c=relaxed/relaxed; q=http : dns/txt", "@example.org"),
        (b"d=example.org", b"d=EXAMPLE.org", "@example.org"),
        (b"s=s;", b"s=S;", "@example.org"),
        (b"h=from:", b"h=From : ", "@example.org"),
        (b"a=rsa-sha256", b"a=\r\n rsa-sha256\r\n\t", "@example.org"),
    ],
    ids=repr,
)
def test_other_ways_to_write_the_same(old: bytes, new: bytes, wanted: str) -> None:
    result = verify(resign(signed(), old, new))
    assert (result.result, result.identity) == ("pass", wanted), result.reason


@pytest.mark.parametrize(
    "identity", [b"example.org", b"@example.com", b"@xample.org", b"@bexample.org", b"@org", b"a@"]
)
def test_an_identity_outside_the_domain_is_no_pass(identity: bytes) -> None:
    octets = resign(signed(), b"c=relaxed/relaxed", b"c=relaxed/relaxed; i=" + identity)
    assert verify(octets).result == "permerror"


def test_international_domains() -> None:
    zone = zone_with(f"p={spki(RSA)}", name="s._domainkey.xn--mnchen-3ya.example")
    octets = resign(signed(), b"d=example.org", "d=münchen.example".encode())
    result = verify(octets, zone)
    assert (result.result, result.domain) == ("pass", "xn--mnchen-3ya.example")


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ("p={key}", "pass"),
        ("v=DKIM1; h=sha1:sha256; k=rsa; n=note; s=email; t=; p={key};", "pass"),
        ("v=DKIM1; p={key}; s=*; x=unknown", "pass"),
        ("v=DKIM1; t=s; p={key}", "pass"),
        ("v=DKIM1; p={key[:40]} {key[40:]}", "pass"),
        ("v=DKIM1; h=sha1; p={key}", "permerror"),
        ("v=DKIM1; k=dsa; p={key}", "permerror"),
        ("v=DKIM1; k=ed25519; p={key}", "permerror"),
        ("v=DKIM1; s=tlsrpt; p={key}", "permerror"),
        ("v=DKIM2; p={key}", "permerror"),
        ("p={key}; v=DKIM1", "permerror"),
        ("v=DKIM1; p=", "permerror"),
        ("v=DKIM1", "permerror"),
        ("v=DKIM1; p={key}; p={key}", "permerror"),
        ("v=DKIM1; p={key}!", "permerror"),
        ("v=DKIM1; p=AAAA", "permerror"),
        ("v=spf1 -all", "permerror"),
        ("", "permerror"),
    ],
)
def test_key_records(record: str, wanted: str) -> None:
    key = spki(RSA)
    text = record.replace("{key[:40]}", key[:40]).replace("{key[40:]}", key[40:]).replace("{key}", key)
    result = verify(signed(), zone_with(text))
    assert result.result == wanted, result.reason


def test_a_key_for_the_domain_only_takes_no_subdomain_in_i() -> None:
    octets = resign(signed(), b"c=relaxed/relaxed", b"c=relaxed/relaxed; i=@mail.example.org")
    assert verify(octets, zone_with(f"t=y:s; p={spki(RSA)}")).result == "permerror"
    assert verify(octets, zone_with(f"p={spki(RSA)}")).result == "pass"
    assert verify(signed(), zone_with(f"t=y:s; p={spki(RSA)}")).testing is True


def test_a_pkcs1_key_is_read_too() -> None:
    octets = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert verify(signed(), zone_with(f"p={base64.b64encode(octets).decode()}")).result == "pass"


def test_a_key_with_a_slow_exponent_is_refused() -> None:
    numbers = rsa.RSAPublicNumbers(2**63 + 1, RSA.public_key().public_numbers().n)
    octets = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    result = verify(signed(), zone_with(f"p={base64.b64encode(octets).decode()}"))
    assert (result.result, result.reason) == ("permerror", "the key is too large")


def test_several_records_at_one_selector() -> None:
    other = spki(rsa.generate_private_key(public_exponent=65537, key_size=1024))
    assert verify(signed(), zone_with("v=spf1 -all", f"p={other}", f"p={spki(RSA)}")).result == "pass"
    assert verify(signed(), zone_with("v=spf1 -all", f"p={other}")).result == "fail"
    assert (
        verify(signed(), zone_with(*(f"p={other}; n={n}" for n in range(4)), f"p={spki(RSA)}")).result
        == "fail"
    )


def test_dns_failure_is_temporary_and_absence_is_not() -> None:
    broken = Zone()
    broken.trouble("s._domainkey.example.org", "TXT", "servfail")
    assert verify(signed(), broken).result == "temperror"
    assert verify(signed(), Zone()).result == "permerror"
    assert verify(signed(), zone_with("x", name="below.s._domainkey.example.org")).result == "permerror"


def test_the_weakest_security_state_is_reported() -> None:
    zone = zone_with(f"p={spki(RSA)}")
    zone.trust("example.org", Security.SECURE)
    assert verify(signed(), zone).security is Security.SECURE


def test_signatures_beyond_the_limit_are_counted() -> None:
    octets = signed().partition(b"From:")[0] * 100 + MAIL
    results, ignored = drive(verify_signatures(Message.parse(octets), ZONE, NOW))
    assert [each.result for each in results] == ["pass"] * 10
    assert ignored == 90
    limits = DkimLimits(max_signatures=3)
    assert drive(verify_signatures(Message.parse(octets), ZONE, NOW, limits))[1] == 97


def test_one_signature_may_cover_another() -> None:
    once = signed()
    twice = signed(once, headers=["from", "dkim-signature"], key=ED25519, selector="e")
    results, _ = drive(verify_signatures(Message.parse(twice), ZONE, NOW))
    assert [each.result for each in results] == ["pass", "pass"]


TEXT = st.text(alphabet="ab \t=;\xe9", max_size=12).map(lambda text: text.encode("latin-1"))
FIELDS = st.lists(
    st.tuples(st.sampled_from([b"Subject", b"To", b"X-Y", b"Date", b"CC"]), TEXT, TEXT), max_size=5
)
BODIES = st.lists(st.one_of(TEXT, st.just(b""), st.just(b"  a\t b ")), max_size=6).map(b"\r\n".join)
MODES = st.sampled_from(["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"])


def mail_of(fields: list[tuple[bytes, bytes, bytes]], body: bytes) -> bytes:
    header = b"".join(b"%b: %b\r\n %b\r\n" % each for each in fields)
    return b"From: ana@example.org\r\n" + header + b"\r\n" + body


@given(FIELDS, BODIES, MODES, st.sampled_from([(ED25519, "e"), (RSA, "s")]))
@settings(max_examples=60)
def test_what_was_signed_verifies(
    fields: list[tuple[bytes, bytes, bytes]], body: bytes, mode: str, by: tuple[PrivateKey, str]
) -> None:
    octets = signed(mail_of(fields, body), key=by[0], selector=by[1], canonicalization=mode)
    assert verify(octets).result == "pass"


@given(FIELDS, BODIES, MODES, st.data())
@settings(max_examples=150)
def test_any_changed_octet_fails_unless_canonicalization_forgives(
    fields: list[tuple[bytes, bytes, bytes]], body: bytes, mode: str, data: st.DataObject
) -> None:
    octets = mail_of(fields, body)
    signature = signed(octets, key=ED25519, selector="e", canonicalization=mode).removesuffix(octets)
    at = data.draw(st.integers(0, len(octets) - 1))
    changed = octets[:at] + data.draw(st.sampled_from([b"", b"z", b" ", b"Q;"])) + octets[at + 1 :]
    relaxed_header, relaxed_body = (part == "relaxed" for part in mode.split("/"))

    def form(text: bytes) -> object:
        message = Message.parse(text)
        canonical = Canonical(message)
        named = {
            name: [canonical.field(each, relaxed=relaxed_header) for each in message.named(name)]
            for name in (b"from", b"subject", b"to", b"date", b"cc")
        }
        return named, canonical.body_hash(relaxed=relaxed_body, algorithm="sha256")

    result = verify(signature + changed).result
    assert (result == "pass") == (form(changed) == form(octets))


WORDS = b"v=1 ; = a=rsa-sha256 b=QQ== bh=QQ== d=example.org s=s h=from c=relaxed l=1 t=1 x=2 i=@example.org q=dns/txt :"
GARBAGE = st.lists(st.sampled_from([*WORDS.split(), b" ", b"\xff", b"\0", b"\r\n\t"]), max_size=30).map(
    b"".join
)


@given(GARBAGE)
def test_no_signature_field_raises_or_passes(value: bytes) -> None:
    octets = b"DKIM-Signature: " + value + b"\r\nARC-Seal: " + value + b"\r\n" + MAIL
    for result in drive(verify_signatures(Message.parse(octets), ZONE, NOW))[0]:
        assert result.result != "pass"
        assert (result.identity + result.signature + result.domain + (result.reason or "")).isprintable()


@given(
    st.text(max_size=80) | st.sampled_from(["p=", "k=rsa; p=MA==", "k=ed25519; p=QQ==", "v=DKIM1; p=\xff"])
)
def test_no_key_record_raises(record: str) -> None:
    assert verify(signed(), zone_with(record)).result == "permerror"


@pytest.mark.parametrize(
    "piece", [b" ", b"\t", b"=", b";", b"a=1;", b"b=", b":", b"\r\n ", b"\xc3\xbc.", b"A"], ids=repr
)
@pytest.mark.parametrize("tag", [b"", b"b=", b"h=", b"d=", b"i=@", b"bh="])
def test_huge_signature_fields_take_no_long_time(piece: bytes, tag: bytes) -> None:
    field = b"DKIM-Signature: v=1; a=rsa-sha256; " + tag + piece * (1_000_000 // len(piece)) + b"\r\n"
    short = b"DKIM-Signature: v=1; a=rsa-sha256; " + tag + piece * (60_000 // len(piece)) + b"\r\n"
    start = time.process_time()
    for result in drive(verify_signatures(Message.parse(field + short + MAIL), ZONE, NOW))[0]:
        assert result.result == "neutral"
    assert time.process_time() - start < 1
