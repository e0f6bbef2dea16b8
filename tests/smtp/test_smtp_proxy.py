"""PROXY headers of both versions: what fronts send is read, whatever else is refused, in any pieces."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.smtp.proxy import (
    INCOMPLETE,
    LONGEST_V1,
    LONGEST_V2,
    SIGNATURE_V2,
    Incomplete,
    NotProxy,
    ProxyHeader,
    parse_proxy,
)


def v2(source: str, port: int, *, command: int = 1, tlv: bytes = b"") -> bytes:
    ip = ip_address(source)
    other = ip_address("192.0.2.25") if ip.version == 4 else ip_address("2001:db8::25")
    body = ip.packed + other.packed + struct.pack("!HH", port, 25) + tlv
    return (
        SIGNATURE_V2
        + struct.pack("!BBH", 0x20 | command, 0x11 if ip.version == 4 else 0x21, len(body))
        + body
    )


def v1(source: str, port: int) -> bytes:
    ip = ip_address(source)
    family, other = ("TCP4", "192.0.2.25") if ip.version == 4 else ("TCP6", "2001:db8::25")
    return f"PROXY {family} {source} {other} {port} 25\r\n".encode()


addresses = st.ip_addresses().map(str).filter(lambda text: "%" not in text)
good = st.one_of(
    st.builds(v1, addresses, st.integers(0, 65535)),
    st.builds(
        v2, addresses, st.integers(0, 65535), command=st.sampled_from([0, 1]), tlv=st.binary(max_size=40)
    ),
    st.just(b"PROXY UNKNOWN\r\n"),
    st.just(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"),
)
nearly = st.one_of(
    st.binary(max_size=300),
    st.binary(max_size=300).map(lambda octets: b"PROXY TCP4 " + octets),
    st.binary(max_size=300).map(lambda octets: SIGNATURE_V2 + octets),
    st.tuples(good, st.integers(0, 60), st.integers(0, 255)).map(
        lambda change: change[0][: change[1]] + bytes([change[2]]) + change[0][change[1] + 1 :]
    ),
)


@pytest.mark.parametrize("source", ["198.51.100.7", "2001:db8:1::7"])
@pytest.mark.parametrize("make", [v1, v2])
def test_a_header_names_the_client(make, source):
    octets = make(source, 40321)
    assert parse_proxy(octets + b"EHLO x\r\n") == ProxyHeader(len(octets), ip_address(source), 40321)


def test_a_mapped_address_is_the_ipv4_client():
    found = parse_proxy(v1("::ffff:198.51.100.7", 1))
    assert isinstance(found, ProxyHeader)
    assert found.ip == ip_address("198.51.100.7")


def test_a_front_speaking_for_itself_names_nobody():
    assert parse_proxy(v2("198.51.100.7", 1, command=0)) == ProxyHeader(28, None)
    assert parse_proxy(b"PROXY UNKNOWN\r\n") == ProxyHeader(15, None)
    unix = SIGNATURE_V2 + struct.pack("!BBH", 0x21, 0x31, 216) + bytes(216)
    assert parse_proxy(unix) == ProxyHeader(232, None)


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO x\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.25 1 25\n\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.25 1\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.25 65536 25\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.25 01 25\r\n",
        b"PROXY TCP4 2001:db8::1 192.0.2.25 1 25\r\n",
        b"PROXY TCP6 198.51.100.7 192.0.2.25 1 25\r\n",
        b"PROXY TCP4  198.51.100.7 192.0.2.25 1 25\r\n",
        b"PROXY TCP4 198.51.100.300 192.0.2.25 1 25\r\n",
        b"PROXY " + b"x" * LONGEST_V1,
        SIGNATURE_V2 + b"\x11\x11\x00\x0c" + bytes(12),
        SIGNATURE_V2 + b"\x22\x11\x00\x0c" + bytes(12),
        SIGNATURE_V2 + b"\x21\x11\x00\x0b" + bytes(11),
        SIGNATURE_V2 + b"\x21\x21\x00\x0c" + bytes(12),
        SIGNATURE_V2 + b"\x21\x11\xff\xff",
    ],
)
def test_anything_else_is_refused(octets):
    assert isinstance(parse_proxy(octets), NotProxy)


@given(good, st.binary(max_size=20))
def test_byte_by_byte_equals_whole(header, rest):
    whole = parse_proxy(header + rest)
    assert isinstance(whole, ProxyHeader)
    assert whole.length == len(header)
    assert all(parse_proxy(header[:end]) is INCOMPLETE for end in range(len(header)))


@given(nearly)
def test_never_raises_and_never_changes_its_mind(octets):
    final = parse_proxy(octets)
    for end in range(len(octets) + 1):
        early = parse_proxy(octets[:end])
        if not isinstance(early, Incomplete):
            assert type(early) is type(final)
            assert isinstance(early, NotProxy) or early == final
            break


@pytest.mark.parametrize("start", [b"PROXY ", SIGNATURE_V2, SIGNATURE_V2 + b"\x21\x11\x20\x00"])
@pytest.mark.parametrize("filler", [b"\0", b"\r", b"\n", b"x", b"\xff"])
def test_it_ends_within_bounds(start, filler):
    assert not isinstance(parse_proxy(start + filler * LONGEST_V2), Incomplete)
