"""SPF beyond the outside suite: both identities, limits as settings, DNSSEC state, odd input (RFC 7208)."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive import drive
from gatepost.dns.answer import Security
from gatepost.dns.zone import Zone
from gatepost.mail.address import Address
from gatepost.mail.authresults import SpfResult
from gatepost.mail.client import Client, Envelope
from gatepost.mailauth.spf import SpfLimits, SpfQuestion, check_both_identities, check_host
from gatepost.mailauth.spf_record import Malformed, parse_record


def checked(
    zone: str | Zone,
    domain: str = "example.com",
    *,
    ip: str = "192.0.2.1",
    sender: str | None = None,
    hello: str = "mail.example.com",
    limits: SpfLimits | None = None,
) -> SpfResult:
    question = SpfQuestion(
        ip=ip_address(ip),
        domain=domain,
        sender=sender or f"ana@{domain}",
        hello=hello,
        receiver="mx.example.net",
    )
    return drive(
        check_host(question, zone if isinstance(zone, Zone) else Zone.parse(zone), limits or SpfLimits())
    )


def test_the_result_says_what_matched() -> None:
    result = checked(
        'example.com. TXT "v=spf1 include:_spf.example.com ~all"\n_spf.example.com. TXT "v=spf1 ip4:192.0.2.0/24"'
    )
    assert (result.result, result.mechanism, result.lookups) == ("pass", "include:_spf.example.com", 1)


def test_an_ipv4_mapped_client_is_an_ipv4_client() -> None:
    assert checked('example.com. TXT "v=spf1 ip4:192.0.2.1 -all"', ip="::ffff:192.0.2.1").result == "pass"


def test_both_identities_are_kept_apart() -> None:
    zone = Zone.parse(
        'mail.example.com. TXT "v=spf1 a -all"\nmail.example.com. A 192.0.2.1\nexample.com. TXT "v=spf1 -all"'
    )
    client = Client(ip=ip_address("192.0.2.1"), hello="mail.example.com")
    envelope = Envelope(sender=Address("ana", "example.com"))
    hello, mail_from = drive(check_both_identities(client, envelope, zone, receiver="mx.example.net"))
    assert (hello.identity, hello.result, hello.domain) == ("hello", "pass", "mail.example.com")
    assert (mail_from.identity, mail_from.result, mail_from.domain) == ("mail_from", "fail", "example.com")


UNCHECKABLE = [
    "",
    "localhost",
    "[192.0.2.1]",
    "a..example.com",
    "x" * 64 + ".example.com",
    "-bad-.example.com",
    "a b.example",
]


@pytest.mark.parametrize("domain", UNCHECKABLE)
def test_what_is_no_domain_is_none(domain: str) -> None:
    assert checked("", domain).result == "none"


def test_temporary_errors_are_never_fail_or_none() -> None:
    record = 'example.com. TXT "v=spf1 a:a.example.com mx:m.example.com exists:e.example.com include:i.example.com -all"\n'
    assert checked("$TIMEOUT example.com TXT\n" + record).result == "temperror"
    assert checked("$BOGUS example.com\n" + record).result == "temperror"
    for failing in ("a", "m", "e", "i"):
        result = checked(f"$FAIL {failing}.example.com\n{record}", limits=SpfLimits(void_lookups=9))
        assert result.result == "temperror", failing


def test_ptr_never_gives_a_temporary_error() -> None:
    zone = '$FAIL 1.2.0.192.in-addr.arpa\nexample.com. TXT "v=spf1 ptr -all"'
    assert checked(zone).result == "fail"


def test_limits_are_settings() -> None:
    terms = " ".join(f"a:{n}.example.com" for n in range(5))
    zone = f'example.com. TXT "v=spf1 {terms} -all"\n' + "\n".join(
        f"{n}.example.com. A 198.51.100.1" for n in range(5)
    )
    assert checked(zone).result == "fail"
    assert checked(zone, limits=SpfLimits(terms=4)).result == "permerror"
    absent = 'example.com. TXT "v=spf1 a:x.example.com a:y.example.com a:z.example.com -all"'
    assert checked(absent).result == "permerror"
    assert checked(absent, limits=SpfLimits(void_lookups=3)).result == "fail"


def test_an_include_chain_ends() -> None:
    loop = (
        'a.example.com. TXT "v=spf1 include:b.example.com"\nb.example.com. TXT "v=spf1 include:a.example.com"'
    )
    result = checked(loop, "a.example.com")
    assert (result.result, result.lookups) == ("permerror", 11)
    again = 'a.example.com. TXT "v=spf1 redirect=a.example.com"'
    assert checked(again, "a.example.com").result == "permerror"


def test_security_is_the_weakest_lookup() -> None:
    record = 'example.com. TXT "v=spf1 include:other.example -all"\nother.example. TXT "v=spf1 ip4:192.0.2.1"'
    assert checked(record).security is Security.INSECURE
    assert checked("$SECURE example.com\n" + record).security is Security.INSECURE
    assert checked("$SECURE example.com\n$SECURE other.example\n" + record).security is Security.SECURE


def test_an_explanation_is_printable_and_bounded() -> None:
    zone = 'example.com. TXT "v=spf1 -all exp=why.example.com"\nwhy.example.com. TXT "%{h} said %{l} from %{c}, seen by %{r}"'
    assert checked(zone, hello="x").explanation == "x said ana from 192.0.2.1, seen by mx.example.net"
    assert checked(zone, hello="a\x1b[31mb").explanation.startswith("a?[31mb said")  # type: ignore[union-attr]
    assert len(checked(zone, hello="h" * 9000).explanation) == 400  # type: ignore[arg-type]


def test_an_explanation_is_for_a_fail_only() -> None:
    zone = 'example.com. TXT "v=spf1 ~all exp=why.example.com"\nwhy.example.com. TXT "because"'
    assert checked(zone).explanation is None


def test_a_local_part_beyond_ascii_matches_nothing() -> None:
    zone = 'example.com. TXT "v=spf1 exists:%{l}.example.com +all"\n*.example.com. A 127.0.0.2'
    assert checked(zone).mechanism == "exists:%{l}.example.com"
    assert checked(zone, sender="jörg@example.com").mechanism == "+all"


@pytest.mark.parametrize("hello", ["a b", "a\\b", "..", "", "x" * 300, "\x00", "é", '"'])
def test_an_odd_hello_in_a_macro_is_no_error(hello: str) -> None:
    zone = 'example.com. TXT "v=spf1 exists:%{h}.e.example.com -all"\ne.example.com. TXT "x"'
    assert checked(zone, hello=hello).result == "fail"


MALFORMED = [
    "v=spf1 a:",
    "v=spf1 ip4:192.0.2.1/33",
    "v=spf1 ip4:192.0.2.01",
    "v=spf1 ip4",
    "v=spf1 ip6:::1/129",
    "v=spf1 a/24//129",
    "v=spf1 all:x",
    "v=spf1 all/8",
    "v=spf1 unknown",
    "v=spf1 redirect=a.example redirect=b.example",
    "v=spf1 exp=a.example exp=b.example",
    "v=spf1 exists:%{x}.example",
    "v=spf1 exists:%{d0}.example",
    "v=spf1 exists:%{c}.example",
    "v=spf1 a:example",
    "v=spf1 x=%{",
    "v=spf1 \xe4",
    "v=spf1 " + "a " * 9000,
]


@pytest.mark.parametrize("record", MALFORMED)
def test_a_malformed_record_is_a_permanent_error(record: str) -> None:
    assert isinstance(parse_record(record), Malformed)


@pytest.mark.parametrize(
    "record", ["v=spf1", "V=SPF1 -ALL", "v=spf1  a  mx ", "v=spf1 x=y ra=100 moo.cow-far_out=man:dog/cat"]
)
def test_a_well_formed_record_is_read(record: str) -> None:
    assert not isinstance(parse_record(record), Malformed)


@given(st.text(max_size=120) | st.text(alphabet="a:/%{}.-+~?=ipmxl0123 ", max_size=120))
def test_records_never_raise(text: str) -> None:
    parse_record("v=spf1 " + text)


@given(st.text(alphabet="a:/%{}.-+~?=sldovhp 123", max_size=60), st.text(max_size=30), st.text(max_size=30))
def test_checking_never_raises(terms: str, sender: str, hello: str) -> None:
    zone = Zone()
    zone.add("example.com", "TXT", f"v=spf1 exists:{terms} include:{terms} ptr:{terms} -all")
    result = checked(zone, sender=f"{sender}@example.com", hello=hello)
    assert result.result in ("pass", "fail", "permerror", "temperror", "neutral", "softfail")
