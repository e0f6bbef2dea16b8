"""Targets: what people give the gate to read (rules, policies, what is typed), and what it shows them of hostile mail."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from gatepost.access import links
from gatepost.app.wiring import build_intake
from gatepost.classify.features import Features, features
from gatepost.cli.story import tell
from gatepost.config.load import ConfigError
from gatepost.config.overlay import parsed, with_setting
from gatepost.config.schema import settle
from gatepost.dns.answer import Answer, Status
from gatepost.files.inspect import FileLimits, inspect_file
from gatepost.files.selection import worth_a_look
from gatepost.intake import Intake
from gatepost.mail.address import Address
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.mail.content import content_of
from gatepost.mail.filereport import FileReport
from gatepost.mail.message import Message
from gatepost.office.preview import preview_of
from gatepost.rules.ruleset import load_rules
from gatepost.scan.nothing import EverybodyKnown, Forgetful, KeepsNothing
from gatepost.scan.report import story_json
from gatepost.smtp.handler import Screened
from gatepost.smtp.reply import Reply
from gatepost.store.records import HistoryEntry
from gatepost.web import paging
from gatepost.web.visit import own_path

NOW = 1_700_000_000.0


def rule_file(octets: bytes) -> None:
    """A rule or a file of shared lists is compiled, or told in a sentence; the rule beside it works."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "own"
        (folder / "attack").mkdir(parents=True)
        (folder / "attack" / "sound.toml").write_text("finding = 'x'\ncondition = 'size > 3'\n")
        (folder / "attack" / "any.toml").write_bytes(octets)
        for shared in ("shared.toml", "brands.toml"):
            (folder / shared).write_bytes(octets)
        loaded = load_rules([folder], shipped=False)
    assert "sound" in [one.name for one in loaded.rules]
    assert all(one.text for one in loaded.problems)
    if loaded.named("any") is None:
        assert any(one.path.name == "any.toml" for one in loaded.problems)


def console_policy(octets: bytes) -> None:
    """A candidate, a key and a value: refused with a sentence, or a candidate that says what it said and the setting."""
    text, _, setting = octets.decode("utf-8", "replace").partition("\0")
    key, _, value = setting.partition("=")
    base = {"hostname": "mx.example.net"}
    try:
        settle({**base, **parsed(text)}, file="fuzz", path=None, folder=Path("/nonexistent"))
        changed = with_setting(text, key, value)
        taken_out = with_setting(changed, key, None)
    except ConfigError:
        return
    parsed(taken_out)
    assert value in json.dumps(parsed(changed), ensure_ascii=False, default=str) or not value.isalnum()


def typed(octets: bytes) -> None:
    """What stands in the console's URLs and in links of its letters: our own paths, no place that is none, no forged link."""
    text = octets.decode("utf-8", "replace")
    path = own_path(text)
    assert re.match(r"/(?![/\\])", path)
    assert "\\" not in path
    found = paging.read(text)
    assert found is None or paging.read(paging.written(found)) == found
    assert links.read(text, b"k" * 32, now=0.0) is None


SAFE_TAG = re.compile(
    r"</?[a-z][a-z0-9]*>|<(?:em class=\"picture\"|span class=\"link\"|code class=\"target\")>"
)


def preview(octets: bytes) -> None:
    """What the console shows of a message: of markup, nothing but elements without attributes of the sender's."""
    seen = preview_of(octets)
    assert "<" not in SAFE_TAG.sub("", seen.html)
    assert not re.search(
        r"<(?:script|style|iframe|object|svg|math|form|input|link|meta|base|a|img)\b", seen.html
    )
    assert all(value.isprintable() for _, value in seen.fields)
    assert all(one.url.isprintable() and one.shown.isprintable() for one in seen.links)
    assert all(one.name.isprintable() for one in seen.files)


def classifier(octets: bytes) -> None:
    """What the classifier sees of a message can be kept, and shown."""
    message = Message.parse(octets)
    found = features(content_of(message), message)
    kept = Features.from_bytes(found.to_bytes())
    assert kept is not None
    assert kept.words.tolist() == found.words.tolist()
    assert all(name.isprintable() for name in found.names(found.all_words))


class Everywhere:
    """Each name has these texts and addresses; each seventh question has no answer."""

    def __init__(self) -> None:
        self.asked = 0

    async def lookup(self, name: str, kind: str) -> Answer:
        self.asked += 1
        if self.asked % 7 == 0:
            return Answer(Status.FAILED)
        records = {
            "TXT": ("v=spf1 a mx -all",),
            "A": ("127.0.0.2",),
            "MX": ("10 a.example",),
            "PTR": ("a.example",),
        }
        return Answer(Status.FOUND, records[kind]) if kind in records else Answer(Status.NODATA)


class InHere:
    """Attachments are looked into in this process."""

    async def inspect(self, message: Message) -> Sequence[FileReport]:
        limits = FileLimits(max_members=20, max_depth=3, max_member_octets=1 << 18, max_total_octets=1 << 20)
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


@lru_cache(maxsize=1)
def gate() -> Intake:
    loaded = settle({"hostname": "mx.example.net"}, file="fuzz", path=None, folder=Path("/nonexistent"))
    forgetful = Forgetful()
    made = build_intake(
        loaded, store=KeepsNothing(), resolver=Everywhere(), memory=forgetful, recipients=EverybodyKnown(),
        correspondents=forgetful, expand=lambda address: (str(address),), acquaint=lambda _: None, announce=lambda _: None,
        unpacker=InHere(), clock=lambda: NOW,
    )  # fmt: skip
    return replace(made, on_bug=broke)


def broke(check: str, bug: BaseException) -> None:
    raise AssertionError(f"the check {check} failed") from bug


CLIENT = Client(ip=ip_address("192.0.2.1"), hello="client.example")
TO = Envelope(
    sender=Address("ana", "a.example"), recipients=(Recipient(address=Address("ben", "example.net")),)
)
PASSED = (Screened(Reply(250, "2.1.5", "ok")),)


def verdict(octets: bytes) -> None:
    """Every check on any message: no check fails, there is a verdict for the recipient, and its story can be told."""

    async def judged() -> HistoryEntry:
        return await gate().examine(CLIENT, TO, Message.parse(octets), PASSED, now=NOW, ref="2N5RCX5Y1THAB")

    entry = asyncio.run(judged())
    assert len(entry.judged) == 1
    assert not [one for one in entry.findings if one.evidence.get("reason") == "the check failed"]
    assert all(one.text.isprintable() for one in entry.findings)
    assert all(line.isprintable() for _, line in tell(entry, []))
    json.dumps(story_json(entry, []), allow_nan=False)


MESSAGES = (
    (b'From: "PayPal" <x@gmail.com>\r\nReply-To: y@z.example\r\nTo: ben@example.net\r\nSubject: =?utf-8?q?Your_account_!?=\r\n'
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@x>\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b"<p style='color:#fff;font-size:0'>Dear customer</p><a href='https://xn--pypal-4ve.com/a?u=https://b.example'>https://paypal.com</a><img src=x alt='\"><b>'>"),
    (b"From: Boss <b@a.example>\r\nSubject: gift cards\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nbuy, IBAN DE89 3704 0044 0532 0130 00\r\n"
    b"--b\r\nContent-Type: application/octet-stream; name=a.html\r\nContent-Transfer-Encoding: base64\r\n\r\nPHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==\r\n--b--\r\n"),
    b"From: =?iso-2022-jp?b?GyRCJCIbKEI=?= <a@b.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    + "お客様 重要なお知らせ V1AGRA $99 FREE!!\r\n-- \r\nliste\r\n".encode(),
)  # fmt: skip
TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (rule_file, console_policy, typed, preview, classifier, verdict)
}
SEEDS: dict[str, tuple[bytes, ...]] = {
    "rule_file": (
        b"finding = 'a program'\nseverity = 'high'\nbudget = 0.01\ncondition = \"wording.has(own) and files.any(kind == 'pe')\"\n[lists]\nown = ['a*', 'b']\n",
        b"[lists]\na = ['x']\n[conditions]\nb = 'size > 3'\n",
        b"[a]\nnames = ['A Bank']\ndomains = ['a.example']\n",
    ),
    "console_policy": (
        b'mode = "observe"\n[policy]\njunk_at = 3.0\n[policy.weights]\n"spf.fail" = 2.0\n\0policy.modes."spf.fail"=observe',
        b'[[policy.overrides]]\nrecipients = ["b.example"]\nmode = "enforce"\n\0policy.junk_at=x',
    ),
    "typed": (b"/messages?after=1700000000.5-12", b"1700000000.25-7", b"//evil.example", b"WyJhIl0.AAAA"),
    "preview": MESSAGES,
    "classifier": MESSAGES,
    "verdict": MESSAGES,
}
