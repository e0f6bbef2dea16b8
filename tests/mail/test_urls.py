"""Links as browsers and mail clients read them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.hosts import normal_host
from gatepost.mail.urls import link_of, links_in_text


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("http://example.com/a?b#c", "example.com", "/a?b"),
        ("HTTP://EXAMPLE.com", "example.com", ""),
        ("http:/evil.com/x", "evil.com", "/x"),
        ("https:evil.com", "evil.com", ""),
        ("http:////evil.com/", "evil.com", "/"),
        ("http:\\\\evil.com\\x", "evil.com", "/x"),
        ("ht\ntp://ev\til.com", "evil.com", ""),
        ("  http://evil.com\x00 ", "evil.com", ""),
        ("http://0x7f.1/", "127.0.0.1", "/"),
        ("http://2130706433", "127.0.0.1", ""),
        ("http://017700000001/x", "127.0.0.1", "/x"),
        ("http://[::1]:80/", "[::1]", "/"),
        ("http://[::ffff:1.2.3.4]", "[::ffff:102:304]", ""),
        ("http://ex%61mple.com", "example.com", ""),
        ("http://ex%41mple.com", "example.com", ""),
        ("http://münchen.example", "xn--mnchen-3ya.example", ""),
        ("http://xn--mnchen-3ya.example", "xn--mnchen-3ya.example", ""),
        ("http://example.com.:8080/x", "example.com", "/x"),
        ("http://１２７.0.0.1", "127.0.0.1", ""),
        ("http://ex\u00adample.com/", "example.com", "/"),
        ("http://example。com", "example.com", ""),
        ("http://ＧＯＯＧＬＥ.com", "google.com", ""),
        ("http://a_b.example", "a_b.example", ""),
        ("//evil.com/x", "evil.com", "/x"),
    ],
)
def test_hosts_as_browsers_read_them(url: str, host: str, path: str) -> None:
    link = link_of(url)
    assert link is not None
    assert (link.host, link.path) == (host, path)


@pytest.mark.parametrize(
    "url",
    ["", "/x", "x", "#x", "http://", "http://exa mple.com", "http://1.2.3.4.5", "http://a.0xz1g.256.1.1"],
)
def test_what_no_client_opens(url: str) -> None:
    assert link_of(url) is None


def test_what_stands_before_an_at_sign_is_no_host() -> None:
    link = link_of("http://bank.example@evil.example:8080/")
    assert link is not None
    assert (link.user, link.host) == ("bank.example", "evil.example")


@pytest.mark.parametrize(
    ("url", "scheme", "host"),
    [("mailto:a@B.example?x", "mailto", "b.example"), ("tel:+1", "tel", ""), ("JavaScript:x", "javascript", ""),
     ("file://host/x", "file", "host"), ("data:text/html,x", "data", "")],
)  # fmt: skip
def test_other_schemes(url: str, scheme: str, host: str) -> None:
    link = link_of(url)
    assert link is not None
    assert (link.scheme, link.host) == (scheme, host)


@pytest.mark.parametrize(
    ("url", "resolved"),
    [("a", "http://x.example/c/a"), ("/a", "http://x.example/a"), ("?q", "http://x.example/c/d?q"),
     ("//y.example/", "http://y.example/"), ("https://z.example/", "https://z.example/"), ("http:a", "http://x.example/c/a")],
)  # fmt: skip
def test_relative_links(url: str, resolved: str) -> None:
    link = link_of(url, base="http://x.example/c/d?e/f")
    assert link is not None
    assert link.url == resolved


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("See http://a.com/x(y).", ["http://a.com/x(y)"]),
        ("(https://b.com), <http://c.com>;", ["https://b.com", "http://c.com"]),
        ("www.c.org/foo, WWW.D.ORG", ["http://www.c.org/foo", "http://WWW.D.ORG"]),
        ("bare.com and foo.co.uk/bar?x", ["http://bare.com", "http://foo.co.uk/bar?x"]),
        ("x.com:8080/a", ["http://x.com:8080/a"]),
        ("joe@e.com", []),
        ("readme.md file.py node.js e.g. a.b 3.14 etc.and", []),
        ("hxxps://z.com/", ["https://z.com/"]),
        ("http:\\\\z.com", ["http:\\\\z.com"]),
        ("mailto:x@y.com tel:+1234", ["mailto:x@y.com", "tel:+1234"]),
        ("https://日本.jp/あ。次", ["https://日本.jp/あ"]),
        ("見てhttp://a.com/、", ["http://a.com/"]),
    ],
)
def test_what_clients_make_clickable(text: str, urls: list[str]) -> None:
    assert [link.url for link in links_in_text(text)] == urls


@pytest.mark.parametrize(
    "text",
    ["://" * 700_000, "www." * 500_000, "a." * 1_000_000, "a.com " * 300_000, "." * 2_000_000, "http://" * 300_000, "-.com" * 400_000,
     "http://a.com/" + ")" * 1_000_000],
    ids=["schemes", "www", "dots", "domains", "only dots", "http", "hyphens", "brackets"],
)  # fmt: skip
def test_time_is_linear_in_the_text(text: str) -> None:
    started = time.process_time()
    assert len(links_in_text(text)) <= 500
    assert time.process_time() - started < 3


@given(st.text(max_size=200))
def test_any_text_is_a_link_or_none(text: str) -> None:
    link = link_of(text)
    assert link is None or link.scheme == link.scheme.lower()
    links_in_text(text)


@given(st.text(alphabet="aä.-_%0123456789xX[]:\u3002\uff0e\u00ad@/", max_size=40))
def test_a_normal_host_stays_as_it_is(written: str) -> None:
    host = normal_host(written)
    assert host == "" or normal_host(host) in (host, "")
    assert host.isascii()
