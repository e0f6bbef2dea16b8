"""A master file stands in for the whole DNS."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive import drive
from gatepost.dns.answer import Answer, Security, Status
from gatepost.dns.zone import Zone, ZoneError

ZONE = Zone.parse(
    """
$ORIGIN example.com.
$TTL 1h
@       IN SOA ns.example.com. Host.example.com. 1 7200 3600 1209600 60
        MX 10 Mx
        MX 20 Mx2.Example.NET.
        60 IN TXT "v=spf1 " "-all" ; a comment
a.b.c   IN 5m A 192.0.2.1
null    MX 0 .
_25._tcp.mx TLSA 3 1 1 ( AB
                 CD )
odd     TLSA 255 9 9 00
high    TXT "caf\\195\\169 \\"quoted\\" \\\\"
www     CNAME web
web     120 A 192.0.2.80
web     AAAA 2001:DB8::1
gone    CNAME nowhere
one     CNAME two
two     CNAME one
*.wild  A 192.0.2.7
*.wild  TXT "made"
there.wild TXT "there"
""",
    """
$SECURE signed.example
$BOGUS broken.signed.example
$INSECURE unsigned.signed.example
host.unsigned.signed.example A 192.0.2.9
$FAIL half.example TXT
$FAIL down.example
$TIMEOUT slow.example
$FAIL *.spotty.example
host.signed.example A 192.0.2.2
host.broken.signed.example A 192.0.2.3
half.example A 192.0.2.4
out.signed.example CNAME half.example
into.example CNAME host.signed.example
*.spotty.example A 192.0.2.5
""",
)


def ask(name: str, kind: str, zone: Zone = ZONE) -> Answer:
    return drive(zone.lookup(name, kind))


@pytest.mark.parametrize(
    ("name", "kind", "records"),
    [
        ("example.com", "MX", ("10 mx.example.com", "20 mx2.example.net")),
        ("EXAMPLE.com.", "mx", ("10 mx.example.com", "20 mx2.example.net")),
        ("example.com", "TXT", ("v=spf1 -all",)),
        ("example.com", "SOA", ("ns.example.com host.example.com 1 7200 3600 1209600 60",)),
        ("null.example.com", "MX", ("0 ",)),
        ("_25._tcp.mx.example.com", "TLSA", ("3 1 1 abcd",)),
        ("odd.example.com", "TLSA", ("255 9 9 00",)),
        ("high.example.com", "TXT", ('caf\xc3\xa9 "quoted" \\',)),
        ("www.example.com", "A", ("192.0.2.80",)),
        ("www.example.com", "AAAA", ("2001:db8::1",)),
        ("www.example.com", "CNAME", ("web.example.com",)),
        ("x.wild.example.com", "A", ("192.0.2.7",)),
        ("x.y.wild.example.com", "TXT", ("made",)),
    ],
)
def test_records_come_in_the_form_everyone_reads(name: str, kind: str, records: tuple[str, ...]) -> None:
    answer = ask(name, kind)
    assert (answer.status, answer.records) == (Status.FOUND, records)


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("example.com", "A", Status.NODATA),
        ("b.c.example.com", "A", Status.NODATA),
        ("com", "A", Status.NODATA),
        ("x.wild.example.com", "MX", Status.NODATA),
        ("wild.example.com", "A", Status.NODATA),
        ("nowhere.example.com", "A", Status.NXDOMAIN),
        ("gone.example.com", "A", Status.NXDOMAIN),
        ("net.invalid", "A", Status.NXDOMAIN),
        # RFC 4592 §2.2.1: a name that is there shuts the wildcard out, for itself and below itself.
        ("there.wild.example.com", "A", Status.NODATA),
        ("x.there.wild.example.com", "A", Status.NXDOMAIN),
    ],
)
def test_names_with_names_below_exist_and_the_rest_does_not(name: str, kind: str, status: Status) -> None:
    assert ask(name, kind).status is status


@pytest.mark.parametrize(
    ("name", "kind", "problem"),
    [
        ("half.example", "TXT", "servfail"),
        ("down.example", "A", "servfail"),
        ("slow.example", "MX", "timeout"),
        ("any.spotty.example", "A", "servfail"),
        ("host.broken.signed.example", "A", "bogus"),
        ("absent.broken.signed.example", "A", "bogus"),
        ("one.example.com", "A", "cname loop"),
        ("a..b", "A", "bad name"),
        ("x" * 64, "A", "bad name"),
        ("naïve.example", "A", "bad name"),
        ("\N{KELVIN SIGN}.example", "A", "bad name"),
        ("example.com..", "A", "bad name"),
    ],
)
def test_trouble_is_never_the_same_as_nothing(name: str, kind: str, problem: str) -> None:
    answer = ask(name, kind)
    assert (answer.status, answer.problem, answer.records) == (Status.FAILED, problem, ())


def test_failing_one_type_leaves_the_others() -> None:
    assert ask("half.example", "A").records == ("192.0.2.4",)


def test_security_is_the_weakest_link_of_the_chain() -> None:
    assert ask("host.signed.example", "A").security is Security.SECURE
    assert ask("absent.signed.example", "A").security is Security.SECURE
    assert ask("host.broken.signed.example", "A").security is Security.BOGUS
    assert ask("host.unsigned.signed.example", "A").security is Security.INSECURE
    assert ask("example.com", "MX").security is Security.INSECURE
    through_alias = ask("out.signed.example", "A")
    assert (through_alias.records, through_alias.security) == (("192.0.2.4",), Security.INSECURE)
    into_signed = ask("into.example", "A")
    assert (into_signed.records, into_signed.security) == (("192.0.2.2",), Security.INSECURE)


def test_times_to_live() -> None:
    assert ask("www.example.com", "A").ttl_s == 120, "the shortest of the chain"
    assert ask("a.b.c.example.com", "A").ttl_s == 300
    assert ask("nowhere.example.com", "A").ttl_s == 60, "the SOA's minimum (RFC 2308 §5)"


def test_names_may_be_absolute_throughout_and_nothing_else_is_needed() -> None:
    zone = Zone.parse(
        "example.org A 192.0.2.1\nexample.org. A 192.0.2.2\nmail.example.org. 60 MX 5 example.org"
    )
    assert ask("example.org", "A", zone).records == ("192.0.2.1", "192.0.2.2")
    assert ask("mail.example.org", "MX", zone).records == ("5 example.org",)


def test_a_long_string_is_taken_whole() -> None:
    zone = Zone.parse(f'k.example. TXT "v=DKIM1; p={"A" * 700}"')
    assert ask("k.example", "TXT", zone).records == ("v=DKIM1; p=" + "A" * 700,)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("\n\nx A 999.1.1.1", 3, "A"),
        ("x MX mail", 1, "MX"),
        ("x FOO 1", 1, "FOO"),
        ("  A 192.0.2.1", 1, "without a name"),
        ("$INCLUDE other", 1, "$INCLUDE"),
        ('x A 192.0.2.1\ny TXT "open\nz A 192.0.2.1', 2, "quoted"),
        ("x A 192.0.2.1 5", 1, "5"),
        ("x A (", 1, "parentheses"),
        (f"{'y' * 64} A 192.0.2.1", 1, "label"),
        ("x CH A 192.0.2.1", 1, "CH"),
        ("x TXT", 1, "TXT"),
        ("x MX", 1, "MX"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(ZoneError) as refused:
        Zone.parse(text, name="my.zone")
    assert str(refused.value).startswith(f"my.zone:{line}: ")
    assert says in str(refused.value)


def test_each_text_can_have_its_own_name_in_errors() -> None:
    with pytest.raises(ZoneError, match=r"^two:1: "):
        Zone.parse("x A 192.0.2.1", "x A nonsense", name=("one", "two"))


@given(st.text(alphabet='$ABFIMNTX \t\n();"\\.@*0123456789abcx', max_size=80))
def test_any_text_is_a_zone_or_a_zone_error(text: str) -> None:
    try:
        zone = Zone.parse(text)
    except ZoneError:
        return
    assert isinstance(ask("a.b", "TXT", zone), Answer)


@given(st.text(max_size=40), st.sampled_from(["A", "MX", "?", ""]))
def test_any_question_gets_an_answer(name: str, kind: str) -> None:
    assert ask(name, kind).status in (Status.NODATA, Status.NXDOMAIN, Status.FAILED)
