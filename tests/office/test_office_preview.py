"""What is left of hostile HTML: words, order, and where links lead; nothing that acts."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.office.preview import ALLOWED, preview_of, safe_html


class Left(HTMLParser):
    """Elements and attributes of a fragment."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def left(source: str) -> Left:
    found = Left()
    found.feed(safe_html(source))
    found.close()
    return found


MAY_STAY = (ALLOWED - {"a", "img"}) | {"span", "code", "em"}


def harmless(found: Left) -> bool:
    return set(found.tags) <= MAY_STAY and {name for name, _ in found.attributes} <= {"class"}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<script>alert(1)</script><p>Hi</p>", "Hi"),
        ('<a href="https://evil.example/?a=1&amp;b=2">your bank</a>', "your bankhttps://evil.example/?a=1&b=2"),
        ('<a href="javascript:alert(1)">x</a>', "x"),
        ('<a href="https://a.example">one<a href="https://b.example">two', "onehttps://a.exampletwohttps://b.example"),
        ('<img src="http://evil.example/p.gif" alt="A <b>pixel</b>" onerror="alert(1)">', "[A <b>pixel</b>]"),
        ('<p style="background:url(http://evil.example)" onclick="x()" class="chart" id="main">Hi', "Hi"),
        ("<style>p{color:red}</style><title>t</title><textarea>x</textarea><p>Hi</p>", "Hi"),
        ('<form action="http://evil.example"><input value="v"><button>Send</button></form>', "Send"),
        ('<meta http-equiv="refresh" content="0;url=http://evil.example"><base href="//evil.example">Hi', "Hi"),
        ("<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>", None),
        ("<svg><p><style><g title='</style><img src onerror=alert(1)>'>", None),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),
        ("<!--[if IE]><script>x</script><![endif]-->Hi", "Hi"),
        ("<div>" * 5000 + "deep", "deep"),
    ],
)  # fmt: skip
def test_only_words_and_order_are_left(source, words):
    found = left(source)
    assert harmless(found)
    if words is not None:
        assert found.text == words


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="<>/=\"'&;!-ab script img svg onload href style x:\x00\u202e", max_size=200))
def test_whatever_is_written_nothing_acts(source):
    assert harmless(left(source))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_whatever_comes_is_shown_somehow(octets):
    shown = preview_of(b"Content-Type: text/html\r\n\r\n" + octets)
    assert harmless(left(shown.html))
    preview_of(octets)


def test_links_that_deceive_are_named():
    octets = b'Content-Type: text/html\r\n\r\n<a href="https://evil.example/x">www.bank.example</a><a href="https://www.bank.example/">bank.example</a>'
    first, second = preview_of(octets).links
    assert (first.host, first.deceives) == ("evil.example", True)
    assert not second.deceives


def test_fields_are_printable():
    octets = (
        b"From: =?utf-8?q?a=0Ab=E2=80=AEc?= <x@example.org>\r\nSubject: =?utf-8?q?=1B[31mred?=\r\n\r\nHi\r\n"
    )
    for _, value in preview_of(octets).fields:
        assert value.isprintable()
        assert not re.search("[\u202a-\u202e\x1b\n]", value)


@pytest.mark.parametrize(
    "source",
    [
        "<div>" * 150_000,
        "<p>" + "".join(f"<b id={n}>" for n in range(20_000)) + "</p><p>x" * 20_000,
        "<a href='x'>" * 80_000,
        "<!--" * 200_000,
        "<b '" * 200_000,
        '<b x="' * 150_000,
        "<div><style></div></style>" * 30_000,
    ],
    ids=["deep", "formatting", "links", "comments", "quotes", "values", "raw"],
)
def test_html_made_to_take_long_is_looked_at_in_a_moment(source: str) -> None:
    began = time.process_time()
    shown = safe_html("<p>Dear Ana</p>" + source)
    assert time.process_time() - began < 5.0, "the square of what was sent would be minutes"
    assert shown.startswith("<p>Dear Ana</p>")
    assert len(shown) < 3_000_000


def test_attributes_that_are_left_out_first_hide_and_change_nothing() -> None:
    assert safe_html('<!--<b--><p class="x">seen</p>') == "<p>seen</p>"
    assert safe_html("<!--<b --!>seen") == "seen"
    link = safe_html("""<A TITLE="t" HREF='https://a.example/?q="x&amp;y=1'>go</A>""")
    assert (
        link == '<span class="link">go</span><code class="target">https://a.example/?q=&quot;x&amp;y=1</code>'
    )
    assert "[a chart]" in safe_html('<img src="data:x" alt="a chart">')
