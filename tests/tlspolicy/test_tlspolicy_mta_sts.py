"""MTA-STS records and policy files: what counts, what does not, and that nothing raises (RFC 8461 §3, §4.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.tlspolicy.mta_sts import (
    MAX_AGE_MOST_S,
    POLICY_MOST,
    Malformed,
    StsMode,
    StsPolicy,
    knows,
    policy_id,
    read_policy,
)

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("records", "found"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=a"], "a"),
        (["v=STSv1 ; more=x; id = b ;"], "b"),
        (["v=spf1 -all", "v=STSv1; id=c"], "c"),
        (["v=STSv1; id=a", "v=STSv1; id=a"], None),
        (["v=STSv1; id="], None),
        (["v=STSv1; id=has space"], None),
        ([f"v=STSv1; id={'a' * 33}"], None),
        (["v=STSv1"], None),
        (["v=STSv10; id=a"], None),
        ([" v=STSv1; id=a"], None),
        ([], None),
    ],
)
def test_one_good_record_counts(records: list[str], found: str | None) -> None:
    assert policy_id(records) == found


def test_a_policy_is_read() -> None:
    policy = read_policy(GOOD)
    assert policy == StsPolicy(
        mode=StsMode.ENFORCE, max_age_s=604800, mx=("mail.example.org", "*.example.net")
    )
    assert read_policy(GOOD.replace(b"\r\n", b"\n")) == policy
    assert read_policy("\r\n".join(policy.lines).encode()) == policy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "version"),
        (GOOD.replace(b"STSv1", b"STSv2"), "version"),
        (GOOD.replace(b"enforce", b"strict"), "mode"),
        (GOOD.replace(b"max_age: 604800\r\n", b""), "max_age"),
        (GOOD.replace(b"604800", b"-1"), "max_age"),
        (GOOD.replace(b"604800", "١".encode()), "max_age"),
        (b"version: STSv1\nmode: enforce\nmax_age: 1\n", "no mx"),
        (GOOD.replace(b"mail.example.org", b"mail..example.org"), "host name"),
        (GOOD.replace(b"*.example.net", b"*.*.example.net"), "host name"),
        (GOOD + b"just words\r\n", "key and value"),
        (GOOD + b"\xff\xfe", "UTF-8"),
        (GOOD + b"x: " + b"y" * POLICY_MOST, "octets"),
        (GOOD.replace(b"enforce\r\n", b"enforce\rmode: none\r\n"), "mode"),
        (GOOD.replace(b"\r\n", b"\r"), "version"),
        (GOOD.replace(b"\r\n", b"\r\r\n"), "host name"),
        (GOOD.replace(b"mail.example.org", b"mail.example.org\rmx: *.evil.example"), "host name"),
        (GOOD.replace(b"mail.example.org", b"mail.example.org\x00"), "host name"),
        (GOOD.replace(b"mail.example.org", b"mail.example.org, *.evil.example"), "host name"),
        (GOOD + b"x: y\r\n" * 2_000, "lines"),
        (b"<html><body>version: STSv1</body></html>", "version"),
    ],
)
def test_what_is_no_policy_says_why(text: bytes, words: str) -> None:
    found = read_policy(text)
    assert isinstance(found, Malformed)
    assert words in found.words


def test_the_first_of_a_key_counts_unknown_keys_do_not_and_age_is_capped() -> None:
    found = read_policy(GOOD.replace(b"604800", b"9999999999") + b"mode: none\r\nfuture: thing\r\n")
    assert isinstance(found, StsPolicy)
    assert (found.mode, found.max_age_s) == (StsMode.ENFORCE, MAX_AGE_MOST_S)


def test_what_other_programs_take_for_the_end_of_a_line_is_none() -> None:
    """A second line hidden in one of an unknown key stays hidden."""
    for end in ("\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"):
        found = read_policy(f"future: thing{end}mode: none{end}mx: *.evil.example\r\n".encode() + GOOD)
        assert found == read_policy(GOOD), repr(end)


def test_as_much_as_a_policy_may_be_is_read() -> None:
    line = b"future: " + b"y" * 90 + b"\r\n"
    whole = GOOD + line * ((POLICY_MOST - len(GOOD)) // len(line))
    assert read_policy(whole.ljust(POLICY_MOST, b" ")) == read_policy(GOOD)


def test_mode_none_needs_no_mx() -> None:
    assert isinstance(read_policy(b"version: STSv1\nmode: none\nmax_age: 1\n"), StsPolicy)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("mail.example.org", True),
        ("MAIL.Example.org.", True),
        ("a.example.net", True),
        ("example.net", False),
        ("a.b.example.net", False),
        ("xmail.example.org", False),
        ("mail.example.org.evil.test", False),
        ("", False),
    ],
)
def test_which_hosts_a_policy_knows(host: str, *, known: bool) -> None:
    policy = read_policy(GOOD)
    assert isinstance(policy, StsPolicy)
    assert knows(policy, host) is known


@given(st.binary(max_size=400))
def test_whatever_a_web_server_sends_is_a_policy_or_not(octets: bytes) -> None:
    for text in (octets, GOOD + octets, octets + GOOD, GOOD.replace(b"enforce", octets)):
        found = read_policy(text)
        if isinstance(found, StsPolicy):
            assert 0 <= found.max_age_s <= MAX_AGE_MOST_S
            assert read_policy("\n".join(found.lines).encode()) == found
            assert found.mx or found.mode is StsMode.NONE
        else:
            assert found.words.isprintable()


@given(st.lists(st.text(max_size=60).map(lambda text: "v=STSv1;" + text), max_size=3))
def test_whatever_a_record_says_is_an_id_or_none(records: list[str]) -> None:
    found = policy_id(records)
    assert found is None or (found.isalnum() and found.isascii() and len(found) <= 32)
