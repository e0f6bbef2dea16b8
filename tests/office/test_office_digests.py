"""Digest letters and their links: who gets one, what stands in it, and what a link can and cannot do."""

from __future__ import annotations

import re
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from gatepost.access.rights import Role
from gatepost.office.digests import Digests
from gatepost.office.holding import Holding
from gatepost.office.office import Impossible, NotAllowed, Office
from gatepost.office.settings import DigestSettings, Every
from gatepost.store import entries
from office_samples import ANA, BEN, POSTMASTER, Clock, held, person, telling

EIGHT = 1_750_060_800.0
"""08:00 UTC."""
DAY = 86_400.0


def digests_of(office: Office, settings: DigestSettings | None = None, language: str = "en") -> Digests:
    refs = iter(range(10_000))
    return Digests(
        office=office,
        holding=Holding(office=office),
        key=b"k" * 32,
        origin=lambda: "https://console.example.net",
        settings=lambda: settings or DigestSettings(),
        language=lambda _: language,
        new_ref=lambda _: f"DIGEST{next(refs):04}",
    )


def letters(office: Office) -> list[tuple[str, str, str, str]]:
    """To, subject, text and HTML of every letter in the queue."""
    found = []
    for one in office.store.queued():
        if one.ref.startswith("DIGEST"):
            message = message_from_bytes(office.store.octets_of(one.ref), policy=default)
            text, html = message.iter_parts()
            found.append((one.to, str(message["Subject"]), text.get_content(), html.get_content()))
    return found


def tokens(text: str) -> list[str]:
    return re.findall(r"https://console\.example\.net/link/(\S+)", text)


def told(folder: Path, story: Callable[[Office, Clock], object], at: float = EIGHT) -> None:
    clock = Clock(at)

    async def run(office: Office) -> None:
        await story(office, clock)  # type: ignore[misc]

    telling(folder, run, clock)


def test_one_letter_for_each_with_news_and_none_for_malware_or_nothing(tmp_path: Path) -> None:
    async def story(office: Office, clock: Clock) -> None:
        digests = digests_of(office)
        assert await digests.send() == 0
        assert digests.last_sent() is None
        await office.store.carry_out(held("SPAM1", subject="Cheap watches", author="Sam <sam@example.org>"))
        await office.store.carry_out(held("PHISH", category="phishing", subject="Your account"))
        await office.store.carry_out(
            held("EVIL1", category="malware", subject="Invoice", to=("ana@example.net", "ben@example.net"))
        )
        assert await digests.send() == 1
        ((to, subject, text, html),) = letters(office)
        assert (to, subject) == ("ana@example.net", "2 messages are held for you")
        for part in (text, html):
            assert "Cheap watches" in part
            assert "Your account" in part
            assert "Invoice" not in part
        assert [word for word in ("Deliver it", "Ask for it") if word in text] == ["Deliver it", "Ask for it"]
        assert digests.last_sent() == clock.at

        assert await digests.send() == 0, "not twice"
        clock.at += DAY
        assert await digests.send() == 0, "nothing is new"
        await office.store.carry_out(held("SPAM2", subject="More watches", at=clock.at))
        assert await digests.send() == 1
        assert letters(office)[-1][1] == "1 message is held for you"
        assert "Cheap watches" not in letters(office)[-1][2]

    told(tmp_path, story)


def test_before_the_hour_and_without_a_console_nothing_goes_out(tmp_path: Path) -> None:
    async def story(office: Office, clock: Clock) -> None:
        await office.store.carry_out(held("SPAM1"))
        assert await digests_of(office).send() == 0
        clock.at = EIGHT
        assert await digests_of(office, DigestSettings(every=Every.NEVER)).send() == 0
        assert await digests_of(office).send() == 1

    told(tmp_path, story, EIGHT - 60)


def test_each_wishes_for_their_own(tmp_path: Path) -> None:
    async def story(office: Office, clock: Clock) -> None:
        digests = digests_of(office)
        await digests.wish(ANA, "ana@example.net", Every.WEEKLY)
        with pytest.raises(NotAllowed):
            await digests.wish(POSTMASTER, "ana@example.net", Every.NEVER)
        for day in range(15):
            clock.at = EIGHT + day * DAY
            await office.store.carry_out(held(f"DAY{day:02}", at=clock.at))
            await digests.send()
        assert len(letters(office)) == 3

    told(tmp_path, story)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_strangers_wrote_stays_text(tmp_path: Path, language: str) -> None:
    nasty = 'A\r\nBcc: x@example.org <script>alert(1)</script> https://evil.example/"><a href=x>'

    async def story(office: Office, _: Clock) -> None:
        await office.store.carry_out(held("NASTY", subject=nasty, author=nasty))
        await digests_of(office, language=language).send()
        ((to, subject, text, html),) = letters(office)
        assert to == "ana@example.net"
        assert subject == {"en": "1 message is held for you", "ja": "1 件のメールを保留しています"}[language]
        assert "<script" not in html
        assert "href=x" not in html.replace("href=x&gt;", "")
        assert set(re.findall(r'href="(https?://[^/"]+)', html)) == {"https://console.example.net"}
        assert set(re.findall(r"https?://[^/\s]+", text)) == {"https://console.example.net"}
        raw = office.store.octets_of(office.store.queued()[0].ref)
        assert b"\r\nBcc:" not in raw
        assert raw.isascii()
        assert max(len(line) for line in raw.split(b"\r\n")) < 998

    told(tmp_path, story)


def test_a_link_shows_first_and_works_once(tmp_path: Path) -> None:
    async def story(office: Office, _: Clock) -> None:
        digests = digests_of(office)
        await office.store.carry_out(held("SPAM1", subject="Cheap watches", author="Sam"))
        await digests.send()
        release, block, delete, never = tokens(letters(office)[0][2])
        opened = digests.open(release)
        assert (opened.link.purpose, opened.subject, opened.author) == ("release", "Cheap watches", "Sam")
        assert office.store.held()[0].state == "held", "to look changes nothing"
        decided = await digests.use(release)
        assert [one.ref for one in decided.done] == ["SPAM1"]
        for token in (release, block, delete):
            with pytest.raises(Impossible):
                await digests.use(token)
        assert sum(one.ref == "SPAM1" for one in office.store.queued()) == 1
        (entry,) = office.store.journal(subject="SPAM1")
        assert (entry.who, entry.why) == (
            "ana@example.net", "by the link in the digest, not signed in, from nowhere known"
        )  # fmt: skip
        assert digests.open(never).copy is None

    told(tmp_path, story)


def test_what_a_link_did_without_sign_in_is_in_the_next_letter(tmp_path: Path) -> None:
    async def story(office: Office, clock: Clock) -> None:
        digests = digests_of(office)
        await office.store.carry_out(held("SPAM1", subject="Cheap watches", author="Sam"))
        await office.store.carry_out(held("SPAM2", subject="Own doing", author="Sam"))
        await digests.send()
        first, second = (
            one for one in tokens(letters(office)[0][2]) if digests.open(one).link.purpose == "release"
        )
        clock.at += 60
        await digests.use(first, network="192.0.2.0/24")
        await digests.use(second, ANA, network="198.51.100.0/24")
        clock.at += DAY
        assert await digests.send() == 1, "nothing is held, and yet there is something to tell"
        to, subject, text, html = letters(office)[-1]
        assert (to, subject) == ("ana@example.net", "What was done with mail held for you")
        for part in (text, html):
            assert "192.0.2.0/24" in part
            assert "198.51.100.0/24" not in part, "she was signed in"
            assert "delivered" in part
            assert "Own doing" in part
            assert "Cheap watches" not in part
        clock.at += DAY
        assert await digests.send() == 0, "told once"

    told(tmp_path, story)


def test_the_link_that_ends_the_letters_works_once(tmp_path: Path) -> None:
    async def story(office: Office, clock: Clock) -> None:
        digests = digests_of(office)
        await office.store.carry_out(held("SPAM1"))
        await digests.send()
        never = tokens(letters(office)[0][2])[-1]
        await digests.use(never)
        await digests.wish(ANA, "ana@example.net", Every.DAILY)
        with pytest.raises(Impossible):
            digests.open(never)
        with pytest.raises(Impossible):
            await digests.use(never)
        assert digests.standing(ANA)[0].every == "daily"

    told(tmp_path, story)


def test_forged_ended_and_misused_links_do_nothing(tmp_path: Path) -> None:
    async def story(office: Office, clock: Clock) -> None:
        digests = digests_of(office)
        await office.store.carry_out(held("SPAM1"))
        await office.store.carry_out(held("BENS1", to=("ben@example.net",)))
        await digests.send()
        anas, bens = (tokens(one[2]) for one in letters(office))
        mixed = bens[0].partition(".")[0] + "." + anas[0].partition(".")[2]
        other_key = Digests(**{**{f: getattr(digests, f) for f in digests.__slots__}, "key": b"x" * 32})  # type: ignore[attr-defined]
        for token, desk in (
            (mixed, digests),
            (anas[0][:-1], digests),
            ("", digests),
            ("a" * 5000, digests),
            (anas[0], other_key),
        ):
            with pytest.raises(Impossible):
                await desk.use(token)
        clock.at += DigestSettings().link_s + 1
        with pytest.raises(Impossible):
            await digests.use(anas[0])
        assert {one.state for one in office.store.held(decided=True)} == {"held"}

    told(tmp_path, story)


def test_what_became_malware_or_was_denied_meanwhile_is_not_let_go(tmp_path: Path) -> None:
    async def story(office: Office, clock: Clock) -> None:
        digests = digests_of(office)
        await office.store.carry_out(held("PHISH", category="phishing"))
        await digests.send()
        request = tokens(letters(office)[0][2])[0]
        await digests.use(request)
        assert office.store.held()[0].state == "requested"
        clock.at += 5
        await digests.holding.deny(person("pia@example.net", Role.POSTMASTER), [office.store.held()[0].id])
        with pytest.raises(Impossible):
            await digests.use(request)
        assert office.store.held()[0].state == "held"

    told(tmp_path, story)


def test_block_deletes_and_blocks_for_this_person_alone_and_never_ends_the_letters(tmp_path: Path) -> None:
    async def story(office: Office, clock: Clock) -> None:
        digests = digests_of(office)
        await office.store.carry_out(held("SPAM1", to=("ana@example.net", "ben@example.net")))
        await digests.send()
        _, block, _, never = tokens(letters(office)[0][2])
        await digests.use(block)
        (kept,) = office.store.database.read(entries.listed)
        assert (kept.entry.allow, kept.entry.identity, kept.entry.recipient) == (
            False,
            "sam@example.org",
            "ana@example.net",
        )
        assert {one.to: one.state for one in office.store.held(decided=True)} == {
            "ana@example.net": "deleted", "ben@example.net": "held",
        }  # fmt: skip
        await digests.use(never)
        assert digests.standing(ANA)[0].every == "never"
        assert digests.standing(BEN)[0].every == ""
        clock.at += DAY
        await office.store.carry_out(held("SPAM2", at=clock.at))
        await digests.send()
        assert [one[0] for one in letters(office)] == ["ana@example.net", "ben@example.net"]

    told(tmp_path, story)


def test_outgoing_mail_that_waits_for_approval_is_told_to_no_recipient(tmp_path: Path) -> None:
    async def story(office: Office, _: Clock) -> None:
        await office.store.carry_out(
            held("OUT", category="approval", sender="ana@example.net", to=("stranger@example.org",))
        )
        assert await digests_of(office).send() == 0
        assert letters(office) == []

    told(tmp_path, story)
