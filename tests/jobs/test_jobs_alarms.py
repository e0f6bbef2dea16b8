"""An alarm is told once, again after a while, at once when it gets worse, and once more when it is over."""

from __future__ import annotations

from email import message_from_bytes, policy

from gatepost.jobs.alarms import CALM_S, News, Told, alarm_mail, news, read_told, write_told
from gatepost.jobs.concerns import Concern, Level
from gatepost.mail.address import Address

DISK = Concern("disk", Level.WARNING, "The disk is nearly full.", "Make room.")
FULL = Concern("disk", Level.CRITICAL, "The disk is full.", "Make room.")
QUEUE = Concern("queue-stuck", Level.WARNING, "The queue is stuck.", "Look.")
AGAIN_S = 86_400.0


class Watcher:
    """Looks again and again, as the job does, with a restart between every two looks."""

    def __init__(self) -> None:
        self.stored: str | None = None

    def look(self, now: float, *concerns: Concern) -> News:
        after, what = news(read_told(self.stored), concerns, now=now, again_s=AGAIN_S)
        self.stored = write_told(after)
        return what


def test_trouble_is_told_once_and_again_after_a_day() -> None:
    watcher = Watcher()
    assert watcher.look(0, DISK, QUEUE).concerns == (DISK, QUEUE)
    assert not any(watcher.look(now, DISK, QUEUE) for now in range(60, 86_400, 60))
    assert watcher.look(AGAIN_S, DISK, QUEUE).concerns == (DISK, QUEUE)


def test_what_gets_worse_is_told_at_once() -> None:
    watcher = Watcher()
    watcher.look(0, DISK)
    assert watcher.look(60, FULL).concerns == (FULL,)
    assert not watcher.look(120, DISK)


def test_what_is_over_is_told_once_when_it_stays_so() -> None:
    watcher = Watcher()
    watcher.look(0, DISK)
    assert not watcher.look(60)
    over = watcher.look(60 + CALM_S)
    assert [one.text for one in over.over] == [DISK.text]
    assert not over.concerns
    assert not watcher.look(120 + CALM_S)


def test_trouble_that_comes_and_goes_is_one_trouble() -> None:
    watcher = Watcher()
    watcher.look(0, DISK)
    told = [watcher.look(60.0 * minute, *([DISK] if minute % 2 else [])) for minute in range(1, 600)]
    assert not any(told)


def test_an_unreadable_memory_is_a_fresh_start() -> None:
    assert read_told("[1") == read_told('{"a": 3}') == read_told(None) == {}


def test_one_mail_tells_everything() -> None:
    over = Told("The resolver was silent.", Level.CRITICAL, 0.0, 0.0, 0.0)
    octets = alarm_mail(
        News((FULL, QUEUE), (over,)),
        to=Address("ana", "example.net"),
        hostname="mx.example.net",
        ref="R1",
        now=0.0,
    )
    mail = message_from_bytes(octets, policy=policy.default)
    assert mail["Subject"] == "mx.example.net: critical, 2 things to look at"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["To"] == "ana@example.net"
    text = mail.get_content().replace("\r\n", "\n")
    assert "CRITICAL: The disk is full.\n  Make room." in text
    assert "WARNING: The queue is stuck." in text
    assert "WELL AGAIN: The resolver was silent." in text
    assert b"\n" not in octets.replace(b"\r\n", b"")


def test_words_of_others_cannot_forge_lines_of_the_mail() -> None:
    said = Concern("list:x", Level.WARNING, "it answered\r\nBcc: x@example.org\r\n\r\nhello", "Look.")
    octets = alarm_mail(
        News((said,)), to=Address("ana", "example.net"), hostname="mx.example.net", ref="R1", now=0.0
    )
    assert b"\r\nBcc:" not in octets
    assert b"\r\nhello" not in octets
