"""Lines and ends of data: only CR LF counts, and every octet is looked at once."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.smtp.framing import (
    Content,
    DataReader,
    Fault,
    Incoming,
    as_data,
    fault_in,
    has_line_beyond,
    stuff,
    unstuff,
    with_crlf,
)

DOTTY = st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"a", b"..", b"\0"]), max_size=30).map(
    b"".join
)


@given(DOTTY | st.binary(max_size=200))
def test_unstuffing_undoes_stuffing(octets):
    assert unstuff(stuff(octets)) == octets


@given(DOTTY)
def test_stuffed_octets_hold_no_end(octets):
    assert b"\r\n.\r\n" not in b"\r\n" + stuff(octets)


@given(DOTTY, st.integers(1, 7))
def test_a_message_sent_is_the_message_read(octets, piece):
    wire = as_data(octets) + b"QUIT\r\n"
    incoming, reader, content = Incoming(), DataReader(1000), None
    for start in range(0, len(wire), piece):
        incoming.feed(wire[start : start + piece])
        content = content or reader.read(incoming)
    assert content is not None
    ended = octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"
    assert unstuff(content.octets) == ended
    assert incoming.octets == b"QUIT\r\n"


@given(
    DOTTY.filter(lambda octets: b"\r\n.\r\n" not in b"\r\n" + octets + b"\r\n"),
    st.integers(1, 7),
    st.integers(0, 20),
)
def test_pieces_make_no_difference_even_beyond_the_limit(octets, piece, limit):
    wire = octets + b"\r\n.\r\n"
    whole, pieces = Incoming(), Incoming()
    whole.feed(wire)
    expected = DataReader(limit).read(whole)
    reader, content = DataReader(limit), None
    for start in range(0, len(wire), piece):
        pieces.feed(wire[start : start + piece])
        content = content or reader.read(pieces)
    assert content == expected
    assert content is not None
    assert content.size == len(octets) + 2
    assert content.fault == fault_in(octets + b"\r\n")


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (b"a\r\nb\r\n", None),
        (b"a\nb\r\n", Fault.BARE_LF),
        (b"\n", Fault.BARE_LF),
        (b"a\rb\r\n", Fault.BARE_CR),
        (b"a\r\r\n", Fault.BARE_CR),
        (b"a\0\r\n", Fault.NUL),
        (b"\r\n\n\r", Fault.BARE_CR),
    ],
)
def test_faults(octets, fault):
    assert fault_in(octets) == fault


@given(DOTTY)
def test_bare_lf_becomes_crlf_and_nothing_else_changes(octets):
    text = with_crlf(octets)
    assert text.count(b"\n") == text.count(b"\r\n") == octets.count(b"\n")
    assert text.replace(b"\r\n", b"\n") == octets.replace(b"\r\n", b"\n")


@given(st.lists(st.integers(0, 12), max_size=8), st.integers(0, 12), st.booleans())
def test_longest_line(lengths, limit, ended):
    octets = b"\r\n".join(b"x" * length for length in lengths) + (b"\r\n" if ended else b"")
    assert has_line_beyond(octets, limit) == any(length > limit for length in lengths)


@pytest.mark.parametrize(
    ("octets", "line"),
    [
        (b"", None),
        (b"QUIT\r", None),
        (b"QUIT\r\n", b"QUIT"),
        (b"QUIT\n", Fault.BARE_LF),
        (b"\n", Fault.BARE_LF),
        (b"QU\rIT\r\n", Fault.BARE_CR),
        (b"QUIT\r\r\n", Fault.BARE_CR),
        (b"QU\0IT\r\n", Fault.NUL),
        (b"x" * 20 + b"\r\n", b"x" * 20),
        (b"x" * 21 + b"\r\n", Fault.TOO_LONG),
        (b"x" * 22, Fault.TOO_LONG),
    ],
)
def test_lines(octets, line):
    incoming = Incoming()
    incoming.feed(octets)
    assert incoming.line(20) == line


def test_beyond_the_limit_nothing_is_kept():
    incoming, reader = Incoming(), DataReader(1000)
    for _ in range(100):
        incoming.feed(b"x" * 10_000)
        assert reader.read(incoming) is None
        assert len(incoming) <= 80_000
    assert reader.dropped > 900_000
    incoming.feed(b"\r\n.\r\n")
    assert reader.read(incoming) == Content(b"", 1_000_002, None)


def test_what_is_thrown_away_is_not_copied_first() -> None:
    incoming, reader = Incoming(), DataReader(limit=8_000_000)
    incoming.feed(b"x" * 60 + b"\r\n")
    tracemalloc.start()
    try:
        line = b"x" * 998 + b"\r\n"
        while not reader.dropped:
            incoming.feed(line * 100)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            assert reader.read(incoming) is None
            assert tracemalloc.get_traced_memory()[1] - before < 1_000_000
    finally:
        tracemalloc.stop()
