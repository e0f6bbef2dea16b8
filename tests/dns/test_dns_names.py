"""Names as text: what is below what, where to ask next, what can be bought."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import outside_data
from gatepost.dns.names import (
    is_subdomain,
    parent,
    ptr_name,
    public_suffix,
    registrable_domain,
    reversed_name,
    tree_walk,
    valid_query_name,
)


def test_tree_walk_takes_at_most_eight_steps() -> None:
    """The RFC's own illustration (RFC 9989 §4.10)."""
    assert tree_walk("a.b.c.d.e.f.g.h.i.j.mail.example.com") == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]


@pytest.mark.parametrize("labels", range(1, 30))
def test_tree_walk_ends_at_the_top(labels: int) -> None:
    names = tree_walk(".".join(f"l{i}" for i in range(labels)))
    assert len(names) == min(labels, 8)
    assert names[-1] == f"l{labels - 1}"
    if labels > 1:
        assert names[1].count(".") + 1 == min(labels - 1, 7)


def test_tree_walk_of_no_name_is_empty() -> None:
    assert tree_walk("") == tree_walk(".") == tree_walk("a..b") == []
    assert tree_walk("Example.COM.") == ["example.com", "com"]


def test_reversed_names() -> None:
    assert reversed_name("127.0.0.2") == "2.0.0.127"
    assert reversed_name("::ffff:127.0.0.2") == "2.0.0.127"
    assert reversed_name("2001:db8::1") == "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
    assert ptr_name("192.0.2.1") == "1.2.0.192.in-addr.arpa"
    assert ptr_name("2001:db8::1").endswith(".8.b.d.0.1.0.0.2.ip6.arpa")
    with pytest.raises(ValueError):
        reversed_name("mail.example")


def test_above_and_below() -> None:
    assert parent("A.b.c.") == "b.c"
    assert parent("com") == ""
    assert is_subdomain("a.Example.com", "example.COM.")
    assert is_subdomain("example.com", "example.com")
    assert not is_subdomain("badexample.com", "example.com")
    assert not is_subdomain("example.com", "a.example.com")
    assert is_subdomain("example.com", "")


def test_what_can_be_asked() -> None:
    assert valid_query_name("a.b")
    assert valid_query_name("a.b.")
    assert valid_query_name("")
    assert valid_query_name("_dmarc.*.a b")
    assert valid_query_name(".".join(["x" * 63] * 3 + ["y" * 61]))
    assert not valid_query_name(".".join(["x" * 63] * 3 + ["y" * 62]))
    assert not valid_query_name("x" * 64 + ".com")
    assert not valid_query_name("a..b")
    assert not valid_query_name(".a")
    assert not valid_query_name("é.com")


def suffix_vectors() -> list[tuple[str | None, str | None]]:
    text = (outside_data("public-suffix") / "test_psl.txt").read_text(encoding="utf-8")
    pattern = re.compile(r"^checkPublicSuffix\((null|'([^']*)'), (null|'([^']*)')\);", re.MULTILINE)
    return [(m[2], m[4]) for m in pattern.finditer(text)]


def test_public_suffix_vectors() -> None:
    vectors = [(domain, expected) for domain, expected in suffix_vectors() if domain is not None]
    assert len(vectors) >= 76
    wrong = {
        domain: registrable_domain(domain)
        for domain, expected in vectors
        if registrable_domain(domain) != expected
    }
    assert wrong == {}


def test_public_suffix() -> None:
    assert public_suffix("www.example.co.uk") == "co.uk"
    assert public_suffix("co.uk") == "co.uk"
    assert public_suffix("") is None
    assert registrable_domain("Mail.Example.co.uk.") == "example.co.uk"


@given(st.text(max_size=60))
def test_any_text_is_survived(text: str) -> None:
    domain = registrable_domain(text)
    assert domain is None or is_subdomain(text.lower(), domain)
    assert len(tree_walk(text)) <= 8
    assert isinstance(valid_query_name(text), bool)
    assert isinstance(parent(text), str)
