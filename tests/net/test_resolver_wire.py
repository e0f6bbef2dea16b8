"""Our decoder of DNS messages says what dnspython says, and survives everything else."""

from __future__ import annotations

import itertools

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost.dns.names import normal, valid_query_name
from gatepost.dns.zone import record_text
from gatepost.net import dnswire

octets = st.binary(min_size=1, max_size=12)
labels = st.lists(octets, max_size=6)
names = st.one_of(
    labels.map(lambda parts: dns.name.Name([*parts, b""])),
    st.sampled_from(["a.example.", "www.a.example.", "Mail.A.Example.", "."]).map(dns.name.from_text),
)


def rdata(kind: str, wire: bytes) -> dns.rdata.Rdata:
    return dns.rdata.from_wire("IN", kind, wire, 0, len(wire))


records = st.one_of(
    st.tuples(st.just("A"), st.binary(min_size=4, max_size=4)),
    st.tuples(st.just("AAAA"), st.binary(min_size=16, max_size=16)),
    st.tuples(st.just("TXT"), st.lists(st.binary(max_size=255), min_size=1, max_size=4)).map(
        lambda pair: (pair[0], b"".join(bytes((len(part),)) + part for part in pair[1]))
    ),
    st.tuples(st.sampled_from(["PTR", "NS", "CNAME"]), names).map(lambda pair: (pair[0], pair[1].to_wire())),
    st.tuples(st.integers(0, 65535), names).map(lambda p: ("MX", p[0].to_bytes(2, "big") + p[1].to_wire())),
    st.tuples(names, names, st.binary(min_size=20, max_size=20)).map(
        lambda p: ("SOA", p[0].to_wire() + p[1].to_wire() + p[2])
    ),
    st.tuples(st.binary(min_size=2, max_size=2), st.binary(min_size=32, max_size=32)).map(
        lambda p: ("TLSA", p[0] + b"\1" + p[1])
    ),
    st.binary(min_size=3, max_size=40).map(lambda tail: ("CAA", b"\0\5issue" + tail)),
)


@given(st.lists(records, min_size=1, max_size=5), st.integers(0, 2**31 - 1), st.booleans(), st.booleans())
def test_what_dnspython_writes_we_read(
    drawn: list[tuple[str, bytes]], ttl: int, authentic: bool, through_alias: bool
) -> None:
    kind = drawn[0][0]
    datas = [rdata(kind, wire) for other, wire in drawn if other == kind]
    query = dns.message.make_query("www.a.example.", kind)
    response = dns.message.make_response(query)
    owner = dns.name.from_text("www.a.example.")
    if through_alias and kind != "CNAME":
        target = dns.name.from_text("end.A.example.")
        response.answer.append(dns.rrset.from_rdata(owner, 7, rdata("CNAME", target.to_wire())))
        owner = target
    rrset = dns.rrset.from_rdata_list(owner, ttl, datas)
    response.answer.append(rrset)
    if authentic:
        response.flags |= dns.flags.AD
    wire = response.to_wire(want_shuffle=False)
    asked = dnswire.question("www.a.example", kind)
    assert asked is not None
    assert dnswire.answers_question(wire, asked)
    read = dnswire.read(wire, asked)
    assert read is not None
    assert sorted(read.records) == sorted(record_text(data) for data in rrset)
    assert read.ttl_s == (min(ttl, 7) if owner != query.question[0].name else ttl)
    assert (read.authentic, read.rcode, read.truncated) == (authentic, 0, False)


@given(st.binary(max_size=200), st.sampled_from(sorted(dnswire.KINDS)), st.integers(0, 40))
def test_any_octets_behind_a_good_head_are_survived(tail: bytes, kind: str, count: int) -> None:
    asked = dnswire.question("a.example", kind)
    assert asked is not None
    wire = b"\0\0\x81\x80\0\1" + count.to_bytes(2, "big") + b"\0\1\0\1" + asked + tail
    read = dnswire.read(wire, asked)
    assert read is None or isinstance(read.records, tuple)


@given(st.data())
def test_a_message_with_octets_changed_is_survived(data: st.DataObject) -> None:
    asked = dnswire.question("www.a.example", "MX")
    assert asked is not None
    response = dns.message.make_response(dns.message.make_query("www.a.example.", "MX"))
    response.answer.append(
        dns.rrset.from_text("www.a.example.", 60, "IN", "MX", "10 mail.a.example.", "20 mail2.b.example.")
    )
    wire = bytearray(response.to_wire())
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(12 + len(asked), len(wire) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(12 + len(asked), len(wire)))
    dnswire.read(bytes(wire), asked)
    dnswire.read(bytes(wire[:cut]), asked)


@given(st.text(max_size=300), st.sampled_from(["A", "TXT", "AAAA"]))
@example("..", "A")
@example("a.example..", "A")
@example("\N{KELVIN SIGN}.example", "A")
def test_every_name_that_can_be_asked_is_encoded_as_dnspython_does(text: str, kind: str) -> None:
    asked = dnswire.question(normal(text), kind)
    assert (asked is not None) == valid_query_name(text)
    if asked is not None:
        parts = text.lower().removesuffix(".")
        name = dns.name.Name([*(part.encode() for part in parts.split(".") if part), b""])
        assert asked[:-4] == name.to_wire()


def test_chains_of_pointers_cost_nothing() -> None:
    """A message full of pointers to pointers must not be walked again for every record."""
    asked = dnswire.question("a.example", "A")
    assert asked is not None
    start = 12 + len(asked)
    chain = b"".join((0xC000 | (start + 2 * n - 2)).to_bytes(2, "big") for n in range(1, 6000))
    filler = b"\0" + (16).to_bytes(2, "big") + b"\0\1\0\0\0\0" + (len(chain) + 2).to_bytes(2, "big")
    wire = b"\0\0\x81\x80\0\1" + (2).to_bytes(2, "big") + b"\0\0\0\0" + asked + filler + b"\0\0" + chain
    wire += (0xC000 | (start + 9000)).to_bytes(2, "big") + b"\0\1\0\1\0\0\0\0\0\4abcd"
    assert dnswire.read(wire, asked) is None


def test_a_dot_inside_a_label_is_not_a_dot_between_labels() -> None:
    """Else the owner of ``a\\.example`` could answer for ``a.example`` (one label against two)."""
    asked = dnswire.question("a.example", "A")
    assert asked is not None
    other = b"\x09a.example\0"
    wire = b"\0\0\x81\x80\0\1\0\1\0\0\0\0" + asked + other + b"\0\1\0\1\0\0\0\x3c\0\4abcd"
    read = dnswire.read(wire, asked)
    assert read is not None
    assert read.records == ()


def message(asked: bytes, *records: bytes, authority: int = 0, rcode: int = 0) -> bytes:
    """A response with these records, the last `authority` of them in the authority section."""
    counts = (len(records) - authority).to_bytes(2, "big") + authority.to_bytes(2, "big")
    return b"\0\0\x81" + bytes((0x80 | rcode,)) + b"\0\1" + counts + b"\0\0" + asked + b"".join(records)


def record(owner: bytes, kind: int, data: bytes, *, ttl: int = 60, in_class: int = 1) -> bytes:
    fields = (kind, 2), (in_class, 2), (ttl, 4), (len(data), 2)
    return owner + b"".join(value.to_bytes(size, "big") for value, size in fields) + data


A_EXAMPLE = dnswire.question("a.example", "A")
assert A_EXAMPLE is not None
OWN = b"\xc0\x0c"


def test_a_ttl_with_the_top_bit_set_counts_as_zero() -> None:
    read = dnswire.read(message(A_EXAMPLE, record(OWN, 1, b"abcd", ttl=0x80000001)), A_EXAMPLE)
    assert read is not None
    assert (read.records, read.ttl_s) == (("97.98.99.100",), 0)


def test_records_of_another_class_are_not_taken() -> None:
    read = dnswire.read(message(A_EXAMPLE, record(OWN, 1, b"abcd", in_class=3)), A_EXAMPLE)
    assert read is not None
    assert read.records == ()


@pytest.mark.parametrize(
    ("owner", "ttl"), [(b"\7example\0", 33), (b"\0", 33), (b"\5other\0", 0), (b"\1b" + OWN, 0)]
)
def test_only_a_soa_above_the_name_says_how_long_nothing_lasts(owner: bytes, ttl: int) -> None:
    soa = record(owner, 6, b"\0\0" + (33).to_bytes(4, "big") * 5)
    read = dnswire.read(message(A_EXAMPLE, soa, authority=1, rcode=3), A_EXAMPLE)
    assert read is not None
    assert (read.rcode, read.ttl_s) == (dnswire.NXDOMAIN, ttl)


def test_aliases_in_a_ring_are_a_failure() -> None:
    there, back = record(OWN, 5, b"\1b\0"), record(b"\1b\0", 5, OWN)
    read = dnswire.read(message(A_EXAMPLE, there, back), A_EXAMPLE)
    assert read is not None
    assert read.answer(trusted=True).problem == "cname loop"


@pytest.mark.parametrize("length", [dnswire.MAX_ALIASES, dnswire.MAX_ALIASES + 1])
def test_a_chain_of_aliases_ends_somewhere(length: int) -> None:
    names = [OWN, *(bytes((1, 65 + step, 0)) for step in range(length))]
    chain = [record(name, 5, following) for name, following in itertools.pairwise(names)]
    read = dnswire.read(message(A_EXAMPLE, *chain, record(names[-1], 1, b"abcd")), A_EXAMPLE)
    assert read is not None
    assert bool(read.records) == (length <= dnswire.MAX_ALIASES)
