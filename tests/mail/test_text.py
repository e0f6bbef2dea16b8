"""Text as a person sees it, in whatever character set and behind whatever CSS."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import outside_data
from gatepost.mail.charsets import decode_text
from gatepost.mail.content import Content, content_of
from gatepost.mail.html_text import read_html
from gatepost.mail.message import Message, to_crlf
from gatepost.mail.style import colour_of
from gatepost.mail.text import folded


def content(*lines: str | bytes) -> Content:
    return content_of(
        Message.parse(b"\r\n".join(line.encode() if isinstance(line, str) else line for line in lines))
    )


@pytest.mark.parametrize(
    ("charset", "python", "text"),
    [
        ("iso-2022-jp", "iso2022_jp", "請求書をご確認ください"),
        ("shift_jis", "cp932", "請求書①をご確認ください"),
        ("euc-jp", "euc_jp", "請求書をご確認ください"),
        ("ks_c_5601-1987", "cp949", "결제 정보를 확인하십시오 똠"),
        ("euc-kr", "cp949", "결제 정보를 확인하십시오 똠"),
        ("gb2312", "gb18030", "请核对您的账户信息 镕"),
        ("gb18030", "gb18030", "请核对您的账户信息 㐀"),
        ("big5", "big5hkscs", "請核對您的帳戶資料"),
        ("koi8-r", "koi8_r", "подтвердите ваш счёт"),
        ("windows-1251", "cp1251", "подтвердите ваш счёт"),
        ("utf-16", "utf-16", "please confirm"),
        ("utf-16le", "utf-16-le", "please confirm"),
        ("iso-8859-1", "cp1252", "“quoted” – €"),
        ("unicode-1-1-utf-7", "utf-7", "подтвердите"),
        ("no-such-thing", "utf-8", "Grüße"),
    ],
)
def test_character_sets(charset: str, python: str, text: str) -> None:
    assert decode_text(text.encode(python), charset).text == text


def test_vendor_characters_in_iso_2022_jp() -> None:
    # ① is in no row of JIS X 0208, and every Japanese Windows writes it.
    assert decode_text(b"\x1b$B\x2d\x21\x40\x41\x1b(B end", "iso-2022-jp").text == "①請 end"


@pytest.mark.parametrize(
    ("octets", "declared", "text", "lie"),
    [
        ("подтвердите ваш счёт в банке".encode("koi8_r"), "", "подтвердите ваш счёт в банке", "undeclared"),
        ("請求書をご確認ください。よろしくお願いします".encode("cp932"), "us-ascii", None, "not-as-declared"),
        (
            "请您确认我们公司的发票，谢谢您的支持。这是一个".encode("gb18030"),
            "utf-8",
            None,
            "not-as-declared",
        ),
        ("확인하십시오 감사합니다".encode("cp949"), "", "확인하십시오 감사합니다", "undeclared"),
        ("Grüße".encode(), "", "Grüße", "undeclared"),
        ("Grüße".encode(), "iso-8859-1", "GrÃ¼ÃŸe", "not-as-declared"),
        ("Grüße".encode("latin-1"), "iso-8859-1", "Grüße", ""),
        (b"plain", "us-ascii", "plain", ""),
    ],
)
def test_wrong_and_missing_declarations(octets: bytes, declared: str, text: str | None, lie: str) -> None:
    decoded = decode_text(octets, declared)
    assert decoded.lie == lie
    assert text is None or decoded.text == text
    assert "\ufffd" not in decoded.text


def test_the_same_japanese_and_chinese_in_all_character_sets() -> None:
    folder = outside_data("cjk-messages")
    wanted = (folder / "japanese.utf-8.txt").read_bytes().decode()
    assert decode_text((folder / "japanese.iso-2022-jp.txt").read_bytes(), "iso-2022-jp").text == wanted
    assert decode_text((folder / "japanese.shift-jis.txt").read_bytes(), "shift_jis").text == wanted
    assert decode_text((folder / "japanese.shift-jis.txt").read_bytes(), "").text == wanted
    wanted = (folder / "chinese.utf-8.txt").read_bytes().decode()
    traditional = decode_text((folder / "chinese.big5.txt").read_bytes(), "big5").text
    # That file leaves out what Big5 has no characters for.
    rest = iter(wanted)
    assert len(traditional) > len(wanted) // 2
    assert all(character in rest for character in traditional)


@pytest.mark.parametrize("name", ["big5-base64.1", "gb2312.1", "ruby-mail-ks_c_5601-1987.eml"])
def test_real_mail_of_east_asia_is_read(name: str) -> None:
    octets = (outside_data("cjk-messages") / name).read_bytes()
    shown = content_of(Message.parse(to_crlf(octets))).text
    assert sum(character >= "\u3041" for character in shown) > 2
    assert shown.count("\ufffd") < 3


@given(st.binary(max_size=300), st.sampled_from(
    ["", "utf-8", "iso-2022-jp", "shift_jis", "utf-7", "utf-16", "hz", "gb18030", "euc-kr", "big5", "us-ascii", "koi8-r", "x"]
))  # fmt: skip
def test_any_octets_become_text(octets: bytes, declared: str) -> None:
    assert isinstance(decode_text(octets, declared).text, str)


@pytest.mark.parametrize(
    ("html", "visible", "hidden", "how"),
    [
        ("<p>a<b>b</b>c</p><p>d", "abc\nd", "", ()),
        ("a<br>b<table><tr><td>c<td>d<tr><td>e</table>", "a\nb\nc d\ne", "", ()),
        ("&lt;a&gt; &amp;nbsp; &euro;&#65;", "<a> &nbsp; €A", "", ()),
        ("a<img alt='a picture' src=x>b", "a a picture b", "", ()),
        ("<script>x()</script><style>y{}</style><title>z</title>a", "a", "", ()),
        ("a<span style='display:none'>b</span>c", "ac", "b", ("display-none",)),
        ("a<span style='DISPLAY : none !important'>b", "a", "b", ("display-none",)),
        ("a<span style='visibility:hidden'>b<i style='visibility:visible'>c", "ac", "b", ("display-none",)),
        ("a<div hidden>b</div>", "a", "b", ("display-none",)),
        ("a<span style='font-size:0'>b<i style='font-size:12px'>c</i></span>", "ac", "b", ("zero-size",)),
        ("a<span style='font-size:1px'>b", "a", "b", ("zero-size",)),
        ("a<div style='max-height:0;overflow:hidden'>b", "a", "b", ("zero-size",)),
        ("a<span style='opacity:0'>b", "a", "b", ("invisible-colour",)),
        ("a<span style='opacity:0.9'>b", "ab", "", ()),
        ("a<span style='position:absolute;left:-9999px'>b", "a", "b", ("off-screen",)),
        ("a<font color=white>b", "a", "b", ("invisible-colour",)),
        ("a<font color=#fefefe>b", "a", "b", ("invisible-colour",)),
        ("<table bgcolor=black><tr><td><font color=white>b", "b", "", ()),
        ("<table bgcolor=black><tr><td style='color:rgb(0,0,0)'>b", "", "b", ("invisible-colour",)),
        ("<div style='background:url(x)'><font color=white>b", "b", "", ()),
        ("a<span style='color:transparent'>b", "a", "b", ("invisible-colour",)),
        ("<style>.x{display:none}</style>a<b class='y x'>b</b>", "a", "b", ("display-none",)),
        ("<style>@media print{.x{display:none}}</style>a<b class=x>b</b>", "ab", "", ()),
        ("a<!-- b -->c", "ac", "b", ("comment",)),
        ("pay\u200bpal", "paypal", "", ("zero-width",)),
        ("hy&shy;phen", "hyphen", "", ()),
        ("", "", "", ()),
    ],
)
def test_html_as_it_is_seen(html: str, visible: str, hidden: str, how: tuple[str, ...]) -> None:
    read = read_html(html, part=0)
    assert (read.visible, read.hidden, read.hidden_how) == (visible, hidden, how)


def test_colours() -> None:
    assert [colour_of(text) for text in ("#FFF", "ffffff", "rgb(1, 2, 3)", "rgba(1,2,3,0)", "what")] == [
        0xFFFFFF, 0xFFFFFF, 0x010203, -2, -1,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("html", "links"),
    [
        ("<a href='http://evil.example/x'>your <b>bank</b></a>", [("http://evil.example/x", "your bank", "html")]),
        ("<a href='http://e.example'><img src='http://i.example/a' alt=Bank></a>",
         [("http://e.example", "Bank", "html"), ("http://i.example/a", "", "image")]),
        ("<form action='http://e.example/f'><input type=password></form>", [("http://e.example/f", "", "form")]),
        ("<meta http-equiv=Refresh content='0; URL=\"http://e.example/\"'>", [("http://e.example/", "", "refresh")]),
        ("<base href='http://e.example/a/b'><a href=c>x</a>", [("http://e.example/a/c", "x", "html")]),
        ("<map><area href=http://e.example/></map>", [("http://e.example/", "", "html")]),
        ("<img srcset='http://a.example/1 1x, http://b.example/2 2x'>",
         [("http://a.example/1", "", "image"), ("http://b.example/2", "", "image")]),
        ("<td background=http://e.example/>", []),
        ("<table background=http://e.example/>", [("http://e.example/", "", "image")]),
        ("<p style=\"background:url('http://e.example/')\">", [("http://e.example/", "", "css")]),
        ("<style>a{background:url(http://e.example/)}</style>", [("http://e.example/", "", "css")]),
        ("<!--[if mso]><a href='http://e.example/'>x</a><![endif]-->", [("http://e.example/", "x", "html")]),
        ("<iframe src=//e.example/></iframe>", [("http://e.example/", "", "html")]),
        ("<iframe srcdoc='<a href=http://e.example/>x</a>'></iframe>", [("http://e.example/", "x", "html")]),
        ("see http://e.example/a.", [("http://e.example/a", "", "text")]),
        ("<a href='http://e.example/'>http://bank.example/</a>",
         [("http://e.example/", "http://bank.example/", "html")]),
        ("<a href=#top>x</a><a href=/y>z</a>", []),
        ("<a href='java\nscript:x()'>x</a>", [("javascript:x()", "x", "html")]),
    ],
)  # fmt: skip
def test_links_of_html(html: str, links: list[tuple[str, str, str]]) -> None:
    assert [(one.url, one.shown, one.where) for one in read_html(html, part=3).links] == links


def test_a_page_in_a_data_link_is_read_too() -> None:
    read = read_html("<a href=\"data:text/html,%3Ca href='http://e.example/'%3Ex\">y</a>", part=0)
    assert [one.scheme for one in read.links] == ["data", "http"]


def test_forms_passwords_scripts_and_pictures_are_counted() -> None:
    read = read_html(
        "<form><input type=password><input type=text></form><script></script><img src=x>", part=0
    )
    assert (read.forms, read.password_fields, read.scripts, read.images) == (1, 1, 1, 1)


SLOW: dict[str, str] = {
    "deep": "<div>" * 200_000,
    "attributes": "<a " + " ".join(f"a{number}" for number in range(200_000)) + ">",
    "attributes behind a bracket": '<a b=">" ' + " ".join(f"a{number}" for number in range(200_000)) + ">",
    "openings": "<" * 2_000_000,
    "comments": "<!--" * 500_000,
    "style sheet": "<style>display:none" + "a{" * 500_000,
    "style comments": "<style>display:none" + "/*" * 500_000,
    "at rules": "<style>display:none" + "@m{" * 500_000,
    "conditions": "<!--[if " * 7000,
    "nested links": "<a href=x><table>" * 3900,
}


@pytest.mark.parametrize("html", SLOW.values(), ids=SLOW.keys())
def test_html_made_to_be_slow_is_read_in_time(html: str) -> None:
    started = time.process_time()
    read_html(html + "<a href=http://e.example/>x</a>", part=0)
    assert time.process_time() - started < 2


def test_what_is_read_coarsely_says_so_and_shows_its_links() -> None:
    read = read_html("<div>" * 20_000 + "Hello <a href='http://e.example/'>x</a>", part=0)
    assert read.coarse
    assert "Hello" in read.visible
    assert [one.host for one in read.links] == ["e.example"]


@given(st.lists(st.sampled_from(
    ["<a href=http://e.example/>", "</a>", "<p style='color:white'>", "x", "<table>", "<td>", "<!--", "-->", "<style>", "</style>",
     ".x{display:none}", "<b class=x>", "\u200b", "&#x202e;", "<svg>", "<template>", "<base href=http://b.example/>", "'", '"', ">"]
), max_size=40))  # fmt: skip
def test_any_html_can_be_read(pieces: list[str]) -> None:
    read = read_html("".join(pieces), part=0)
    assert len(read.visible) <= sum(map(len, pieces)) * 2 + 2
    assert all(link.part == 0 for link in read.links)


def test_an_invitation_is_read_with_its_links() -> None:
    found = content(
        "Content-Type: text/calendar; charset=utf-8", "", "BEGIN:VEVENT", "SUMMARY:Pay now", "URL:http://a.example/",
        "LOCATION:https://b.example/x", "DESCRIPTION:Open http://c.exa", " mple/y\\nnow", "END:VEVENT",
    )  # fmt: skip
    assert "Pay now" in found.text
    assert [(one.host, one.where) for one in found.links] == [
        ("a.example", "calendar"), ("b.example", "calendar"), ("c.example", "calendar"),
    ]  # fmt: skip


def test_what_is_drawn_with_letters_keeps_its_blanks() -> None:
    rows = ["  █▀▀▀█  ▄ █▀▀▀█ █  ▄"] * 12
    found = content("Content-Type: text/plain; charset=utf-8", "", "Scan this:", *rows, "Thanks")
    assert [one.octets.decode().splitlines()[1:13] for one in found.within_text] == [rows]
    for page in (
        "<p>Scan</p><pre>" + "\r\n".join(rows) + "</pre>",
        "<p>Scan</p><div style='white-space: pre'>" + "<br>".join(rows) + "</div>",
        "<p>Scan</p>\r\n" + "\r\n".join(f"<div>{row.replace(' ', '&#32;')}</div>" for row in rows),
    ):
        [drawn] = content("Content-Type: text/html; charset=utf-8", "", page).within_text
        assert drawn.octets.decode().splitlines()[1:13] == rows


def test_links_of_pictures_within_a_page() -> None:
    found = content(
        "Content-Type: text/html", "", "<svg><a xlink:href='https://a.example/'><text>Pay now</text></a>",
        "<a href='https://b.example/'><text>Pay</text></a><image href='https://c.example/x.png'/>",
        "<use xlink:href='https://d.example/x.svg#y'/></svg><video poster='https://e.example/x.png'>",
    )  # fmt: skip
    hosts = {one.host: one.where for one in found.links}
    assert hosts == {
        "a.example": "html", "b.example": "html", "c.example": "image", "d.example": "image", "e.example": "image",
    }  # fmt: skip
    assert next(one.shown for one in found.links if one.host == "a.example") == "Pay now"


def test_a_line_across_a_letter_is_no_drawing() -> None:
    assert (
        content("Content-Type: text/plain; charset=utf-8", "", "█" * 40, "Hello", "■ one").within_text == ()
    )


def test_a_picture_in_the_address_of_a_picture() -> None:
    found = content(
        "Content-Type: text/html", "", '<img src="data:image/png;base64,iVBORw0K', 'Ggo=">',
        '<a href="data:text/html;base64,PGI+">x</a><img src="data:image/gif;base64,!">',
    )  # fmt: skip
    assert [(one.content_type, one.octets) for one in found.within_text] == [
        ("image/png", b"\x89PNG\r\n\x1a\n")
    ]


def test_files_are_attachments_and_bodies_are_not() -> None:
    found = content(
        "Content-Type: multipart/mixed; boundary=b", "", "--b", "", "Hello", "--b", "Content-Type: image/png", "", "x",
        "--b", "Content-Type: text/html; name=a.html", "Content-Disposition: attachment", "", "<b>hi</b>", "--b--",
    )  # fmt: skip
    assert [one.content_type for one in found.attachments] == ["image/png", "text/html"]
    assert found.text == "Hello"


def test_blanks_are_folded_as_line_by_line_splitting_would() -> None:
    blanks = [chr(code) for code in range(0x3001) if chr(code).isspace()]
    draw = random.Random(3)
    for _ in range(3000):
        written = "".join(
            draw.choices([*blanks, " ", "\n", "\r\n", "a", "ä", "字"] * 2, k=draw.randint(0, 30))
        )
        lines = [" ".join(line.split()) for line in written.split("\n")]
        assert folded(written) == "\n".join(filter(None, lines)), repr(written)
