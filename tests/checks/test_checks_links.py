"""What links hide, and which oddities are nobody's fault."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest

from drive import drive
from file_samples import code_in_letters, code_picture
from gatepost.checks.content.links import LINKS, LinksSettings
from gatepost.checks.content.targets import hidden_in
from gatepost.files.inspect import FileLimits, inspect_file
from gatepost.files.selection import worth_a_look
from gatepost.mail.authresults import AuthResults, DmarcResult
from gatepost.mail.client import Mail
from gatepost.mail.content import content_of
from gatepost.mail.filereport import FileReport
from gatepost.mail.finding import Finding
from gatepost.mail.message import Message
from gatepost.mail.urls import link_of
from gatepost.scan.nothing import NOTHING
from judging import World, mail, names


def html_mail(body: str, *, author: str = "shop.example", proved: bool = False) -> Mail:
    auth = AuthResults(dmarc=DmarcResult(result="pass" if proved else "none", author_domain=author))
    header = (
        f"From: Shop <news@{author}>", "Date: Tue, 14 Nov 2023 22:13:20 +0000", "Message-ID: <1@x>",
        "MIME-Version: 1.0", "Content-Type: text/html; charset=utf-8",
    )  # fmt: skip
    one = mail(*header, auth=auth)
    return replace(one, message=Message.parse("\r\n".join([*header, "", body, ""]).encode()))


def seen(one: Mail, settings: LinksSettings | None = None) -> list[Finding]:
    world = World()
    world.unpacker = world.people = NOTHING  # type: ignore[attr-defined]
    return list(drive(LINKS.run(one, world, settings or LinksSettings())))  # type: ignore[arg-type]


class Looking:
    """Looks into what is worth it as the child does, but here."""

    async def inspect(self, message: Message) -> list[FileReport]:
        limits = FileLimits()
        return [
            report
            for part in worth_a_look(content_of(message))
            for report in inspect_file(
                part.filename,
                part.content_type,
                part.octets,
                part.index,
                passwords=(),
                limits=limits,
                scratch=None,
            )
        ]


CODE = "https://codes.example/verify"


@pytest.mark.parametrize(
    "body",
    [
        "<p>Scan this</p><pre>" + code_in_letters(CODE) + "</pre>",
        "<p>Scan this</p><pre>" + code_in_letters(CODE, half=True) + "</pre>",
        "<p>Scan this</p><code style='white-space:pre'>" + code_in_letters(CODE, half=True).replace("\n", "<br>") + "</code>",
        "<p>Scan this</p><div>" + code_in_letters(CODE, half=True).replace(" ", "&nbsp;").replace("\n", "</div><div>") + "</div>",
        '<p>Scan this</p><img src="data:image/png;base64,' + b64encode(code_picture(CODE)).decode() + '">',
    ],
    ids=["whole blocks", "half blocks", "half blocks in code", "half blocks in divs", "data address"],
)  # fmt: skip
def test_a_code_that_only_the_text_holds_is_a_link(body: str) -> None:
    world = World()
    world.unpacker, world.people = Looking(), NOTHING  # type: ignore[attr-defined]
    found = list(drive(LINKS.run(html_mail(body), world, LinksSettings())))  # type: ignore[arg-type]
    assert "codes.example" in {
        host for one in found if one.name == "links.qr" for host in one.evidence["hosts"]
    }  # type: ignore[union-attr]


def link(href: str, text: str = "Click here") -> Mail:
    return html_mail(f'<html><body><p>Hello</p><a href="{href}">{text}</a></body></html>')


@pytest.mark.parametrize(
    ("href", "text", "expected"),
    [
        ("https://www.shop.example/a", "Click here", []),
        ("https://evil.example/a", "https://www.bank.example/login", ["links.other_host"]),
        ("https://www.bank.example/a", "www.bank.example", []),
        ("https://evil.example/a", "Report.md", []),
        ("https://shop.list-manage.com/track?u=1", "www.shop.example", []),
        ("http://203.0.113.9/x", "Pay", ["links.address"]),
        ("http://3405803785/x", "Pay", ["links.odd_address"]),
        ("https://www.bank.example@evil.example/", "Pay", ["links.user_before_host"]),
        ("https://evil.example:4443/", "Pay", ["links.odd_port"]),
        ("javascript:alert(1)", "Pay", ["links.script"]),
        ("data:text/html;base64,PGh0bWw+", "Pay", ["links.script"]),
        ("https://www.bank.com.evil.example/", "Pay", ["links.domain_inside"]),
        ("https://bit.ly/3xYz", "Pay", ["links.shortener"]),
        ("https://xn--pypal-4ve.com/", "Pay", ["links.confusable"]),
        ("https://xn--mnchen-3ya.de/", "Pay", []),
        ("https://xn--e1afmkfd.xn--p1ai/", "Pay", []),
        ("https://login.pages.dev/", "Pay", ["links.anybodys_page"]),
        ("https://www.google.com/url?q=https%3A%2F%2Fevil.example%2Fa&amp;sa=D", "Pay", ["links.redirector"]),
        ("https://www.google.com/url?q=https%3A%2F%2Fmail.google.com%2Fa", "Pay", []),
        ("https://evil.example/#ben@example.net", "Pay", ["links.recipient_in_link"]),
        ("https://evil.example/#YmVuQGV4YW1wbGUubmV0", "Pay", ["links.recipient_in_link"]),
    ],
)
def test_a_link(href: str, text: str, expected: list[str]) -> None:
    assert names(seen(link(href, text))) == expected


def test_the_proved_author_may_pass_links_through_its_own_tracker() -> None:
    body = '<a href="https://click.shop.example/x1">www.partner.example</a>'
    assert names(seen(html_mail(body))) == ["links.other_host"]
    assert seen(html_mail(body, proved=True)) == []
    other = html_mail('<a href="https://wrap.example/x">www.partner.example</a>')
    assert seen(other, LinksSettings(trackers=("wrap.example",))) == []


def test_a_form_that_sends_elsewhere_and_one_that_does_not() -> None:
    form = '<form action="https://{}/post"><input type="password"></form>'
    assert names(seen(html_mail(form.format("evil.example")))) == ["links.form_elsewhere"]
    assert seen(html_mail(form.format("www.shop.example"))) == []


def test_one_finding_for_many_links_of_a_kind() -> None:
    (found,) = seen(html_mail("".join(f'<a href="http://203.0.113.{n}/">x</a>' for n in range(1, 40))))
    assert "38 more" in found.text
    assert len(found.evidence["hosts"]) == 10  # type: ignore[arg-type]


def test_targets_hidden_in_parameters() -> None:
    def hosts(url: str) -> list[str]:
        one = link_of(url)
        assert one is not None
        return [target.link.host for target in hidden_in(one)]

    assert hosts("https://a.example/?u=https://b.example/?v=https%253A%252F%252Fc.example") == [
        "b.example",
        "c.example",
    ]
    assert hosts("https://a.example/?u=aHR0cHM6Ly9iLmV4YW1wbGUvcGF0aA") == ["b.example"]
    assert hosts("https://a.example/?u=aHR0cHM6Ly9iLmV4YW1wbGU") == ["b.example"]
    assert hosts("https://www.bing.com/ck/a?!&&p=1&u=a1aHR0cHM6Ly9iLmV4YW1wbGUv&ntb=1") == ["b.example"]
    assert hosts("https://web.archive.org/web/2020/http://b.example/x") == ["b.example"]
    assert hosts("https://a.example/?u=nothing") == []
    assert len(hosts("https://a.example/?" + "&".join(["u=https://b.example"] * 99))) <= 3
