"""A domain's keys from the first to the second, over a real store: what signs, what the postmaster is told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gatepost.delivery.signing import Signer, SigningSettings
from gatepost.dns.zone import Zone
from gatepost.jobs.keys import KeyKeeping
from gatepost.jobs.letter import Letters, letter
from gatepost.mail.address import Address
from gatepost.mail.message import Message
from gatepost.mailauth.dkim import verify_signatures
from gatepost.mailauth.keylife import KeyFacts, KeyState
from gatepost.mailauth.keyrecord import key_name
from gatepost.store.failures import StoreFailed
from gatepost.store.journal import Why
from gatepost.store.ref import new_ref
from gatepost.store.signingkeys import CannotMove, KeysInUse, SigningKeys
from gatepost.store.store import Store, keyring
from gatepost.store.upkeep import key_problem, reseal

NOW = 1_795_000_000.0
DAY = 86_400.0
MAIL = b"From: Ana <ana@example.net>\r\nTo: sam@example.org\r\nSubject: x\r\n\r\nHello\r\n"
WHY = Why("ana", "for a test", NOW)


class Desk:
    """One installation's keys with a clock and a DNS of ours."""

    def __init__(self, store: Store, settings: SigningSettings) -> None:
        self.store, self.settings, self.now = store, settings, NOW
        self.zone = Zone()
        self.problems: list[str] = []
        self.keys = SigningKeys(store.database, store.keys)
        letters = Letters(
            store=store, hostname="mx.example.net", to=lambda: Address("postmaster", "example.net"),
            expand=lambda address: (str(address),), new_ref=lambda now: new_ref(now, os.urandom(8)),
            clock=lambda: self.now,
        )  # fmt: skip
        self.keeping = KeyKeeping(
            keys=self.keys, resolver=self, settings=lambda: self.settings, domains=lambda: ["example.net"],
            clock=lambda: self.now, letters=letters,
        )  # fmt: skip
        self.in_use = KeysInUse(self.keys, lambda: self.now, on_problem=self.problems.append)

    async def lookup(self, name: str, kind: str) -> object:
        return self.zone.find(name, kind)

    async def pass_time(self, seconds: float) -> None:
        self.now += seconds
        await self.keeping.work()
        self.now += 2  # every process has looked

    def publish(self, *keys: KeyFacts) -> None:
        for key in keys:
            self.zone.add(key_name(key.domain, key.selector), "TXT", key.record)

    def withdraw(self, *keys: KeyFacts) -> None:
        kept = [one for one in self.keys.listed() if one.id not in {each.id for each in keys}]
        self.zone = Zone()
        self.publish(*kept)

    def states(self) -> dict[str, str]:
        return {one.selector: one.state.value for one in self.keys.listed(removed=True)}

    async def selectors(self) -> list[str]:
        """Who signs a message of ours now; each signature passes."""
        signer = Signer(keys=self.in_use, ours=lambda domain: domain == "example.net", settings=self.settings)
        octets = signer.front(MAIL, self.now) + MAIL
        results, _ = await verify_signatures(Message.parse(octets), self.zone, self.now)
        assert all(one.result == "pass" for one in results), results
        return [one.selector for one in results]

    async def letters(self) -> list[str]:
        found = [self.store.octets_of(one.ref).decode() for one in self.store.queued(limit=100)]
        await self.store.database.commit(lambda connection: connection.execute("DELETE FROM queue"))
        return found


def run(
    folder: Path, story: Callable[[Desk], Awaitable[None]], settings: SigningSettings | None = None
) -> None:
    async def go() -> None:
        store = Store.open(folder)
        try:
            await story(Desk(store, settings or SigningSettings()))
        finally:
            await store.close()

    asyncio.run(go())


async def both(desk: Desk) -> list[KeyFacts]:
    """The domain's first keys, as a person makes them."""
    return [
        await desk.keeping.create("example.net", one, Why("ana", "", desk.now))
        for one in desk.settings.algorithms
    ]


def test_a_key_signs_from_when_it_is_published_until_its_record_is_gone(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        rsa, ed25519 = await both(desk)
        await desk.pass_time(60)
        assert await desk.selectors() == [], "nothing signs with a key that nobody can look up"
        desk.publish(rsa)
        await desk.pass_time(60)
        assert await desk.selectors() == [rsa.selector]
        desk.publish(ed25519)
        await desk.pass_time(60)
        assert await desk.selectors() == [rsa.selector, ed25519.selector]
        await desk.letters()
        desk.withdraw(rsa)
        await desk.pass_time(60)
        assert await desk.selectors() == [ed25519.selector]
        (told,) = await desk.letters()
        assert "To: <postmaster@example.net>" in told
        assert "does not stand any more: there is no such record" in told
        assert key_name("example.net", rsa.selector) + ". 3600 IN TXT" in told
        desk.publish(rsa)
        await desk.pass_time(60)
        assert await desk.selectors() == [rsa.selector, ed25519.selector]

    run(tmp_path, story)


def test_another_key_in_the_dns_is_not_ours(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        rsa, ed25519 = await both(desk)
        desk.zone.add(key_name("example.net", rsa.selector), "TXT", ed25519.record)
        await desk.pass_time(60)
        assert await desk.selectors() == []
        assert {one.problem for one in desk.keys.listed()} == {
            "another key is published there",
            "there is no such record",
        }
        desk.zone.trouble(key_name("example.net", ed25519.selector), "TXT", "servfail")
        await desk.pass_time(60)
        assert "the DNS does not answer" in {one.problem for one in desk.keys.listed()}

    run(tmp_path, story)


def test_half_a_year_later_the_clock_has_changed_the_keys_and_mail_was_signed_all_the_time(
    tmp_path: Path,
) -> None:
    async def story(desk: Desk) -> None:
        first = await both(desk)
        desk.publish(*first)
        await desk.pass_time(60)
        await desk.letters()
        await desk.pass_time(180 * DAY)
        assert await desk.selectors() == [one.selector for one in first]
        (told,) = await desk.letters()
        assert "Publish, so that they can sign" in told
        following = [one for one in desk.keys.listed() if one.state is KeyState.CREATED]
        assert [one.algorithm for one in following] == ["rsa-sha256", "ed25519-sha256"]
        assert all(f'"v=DKIM1; k={kind}' in told for kind in ("rsa", "ed25519"))
        await desk.pass_time(30 * DAY)
        assert await desk.selectors() == [one.selector for one in first], "the postmaster is on holiday"
        assert await desk.letters() == []
        desk.publish(*following)
        await desk.pass_time(60)
        assert await desk.selectors() == [one.selector for one in first]
        await desk.pass_time(3600)
        assert await desk.selectors() == [one.selector for one in following]
        await desk.pass_time(13 * DAY)
        assert set(desk.states().values()) == {"signing", "retired"}
        await desk.letters()
        await desk.pass_time(DAY)
        (told,) = await desk.letters()
        assert f"{key_name('example.net', first[0].selector)}. TXT" in told.partition("may be taken out")[2]
        assert [desk.states()[one.selector] for one in first] == ["removed", "removed"]
        with pytest.raises(StoreFailed, match="was removed"):
            desk.keys.private(first[0])
        acts = [one.what for one in desk.store.journal(limit=100)]
        assert f"key retired {key_name('example.net', first[0].selector)}" in acts
        assert {one.who for one in desk.store.journal(limit=100)} == {"ana", "the clock"}

    run(tmp_path, story)


def test_private_keys_are_not_on_the_disk_in_plain_and_outlive_a_new_master_key(tmp_path: Path) -> None:
    secrets: list[bytes] = []

    async def story(desk: Desk) -> None:
        (key,) = await both(desk)
        desk.publish(key)
        await desk.pass_time(60)
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        secret = desk.keys.private(key).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())[-32:]
        old = desk.store.keys.ids()
        desk.store.keys.add_key()
        assert await reseal(desk.store) == 1
        desk.store.keys.forget(old)
        assert key_problem(desk.store) == ""
        keys = SigningKeys(desk.store.database, keyring(tmp_path))
        fresh = KeysInUse(keys, lambda: desk.now, on_problem=desk.problems.append)
        assert [one.selector for one in fresh.of("example.net")] == [key.selector]
        secrets.append(secret)

    run(tmp_path, story, SigningSettings(algorithms=("ed25519-sha256",)))
    assert len(secrets[0]) == 32
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secrets[0] in path.read_bytes()]


def test_without_the_master_key_nothing_is_signed_and_it_is_said(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        keys = await both(desk)
        desk.publish(*keys)
        await desk.pass_time(60)
        desk.store.keys.path.rename(tmp_path / "elsewhere")
        desk.keys.keyring = keyring(tmp_path)  # as after a restart
        assert await desk.selectors() == []
        assert len(desk.problems) == 2
        assert "nothing is signed with" in desk.problems[0]
        assert "signing keys are sealed with" in key_problem(desk.store)

    run(tmp_path, story)


def test_a_key_that_signs_is_retired_before_it_is_removed_and_no_selector_is_there_twice(
    tmp_path: Path,
) -> None:
    async def story(desk: Desk) -> None:
        (key,) = await both(desk)
        with pytest.raises(CannotMove, match="has a key with the selector"):
            await desk.keys.create("example.net", "ed25519-sha256", key.selector, WHY)
        desk.publish(key)
        await desk.pass_time(60)
        with pytest.raises(CannotMove, match="is signing; from there it can become created, retired"):
            await desk.keys.move(key.id, KeyState.REMOVED, WHY)

    run(tmp_path, story, SigningSettings(algorithms=("ed25519-sha256",)))


def test_a_delegated_domain_publishes_cnames_once_and_the_text_stands_in_our_zone(tmp_path: Path) -> None:
    settings = SigningSettings(delegate="keys.example.com", algorithms=("ed25519-sha256",))

    async def story(desk: Desk) -> None:
        from gatepost.jobs.keys import delegations, records_of

        (first,) = await both(desk)
        assert first.selector == "gate-e1"
        (name, _, text), *_ = records_of(first, settings)
        assert name == "gate-e1.example.net.keys.example.com"
        assert delegations("example.net", settings) == [
            ("gate-e1._domainkey.example.net", "CNAME", "gate-e1.example.net.keys.example.com."),
            ("gate-e2._domainkey.example.net", "CNAME", "gate-e2.example.net.keys.example.com."),
        ]
        for alias, kind, where in delegations("example.net", settings):
            desk.zone.add(alias, kind, where.rstrip("."))
        desk.zone.add(name, "TXT", text)
        await desk.pass_time(60)
        assert await desk.selectors() == ["gate-e1"]

    run(tmp_path, story, settings)


def test_a_letter_cannot_be_broken_out_of() -> None:
    octets = letter(
        "a\r\nBcc: all@example.org", "one\r\n\x1b[2Jtwo\n" + "x" * 5000, to=Address("a", "example.net"),
        hostname="mx.example.net", ref="R", now=NOW,
    )  # fmt: skip
    header, _, body = octets.partition(b"\r\n\r\n")
    assert b"\r\nBcc:" not in header
    assert b"\x1b" not in body
    assert max(map(len, octets.split(b"\r\n"))) < 998
