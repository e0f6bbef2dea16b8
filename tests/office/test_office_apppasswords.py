"""App passwords and signing in to send mail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from gatepost.access.rights import Actor, Role, rights_of
from gatepost.mail.client import Client, SignedIn
from gatepost.office import apppasswords, people
from gatepost.office.apppasswords import Fault, Good, Scope
from gatepost.office.mailsignin import MailSignIn
from gatepost.office.office import Impossible, NotAllowed, ProveAgain
from gatepost.smtp.reply import Reply
from gatepost.smtp.sasl import Password, Token
from people_samples import ROOT, Place, office_at

ANA = "ana@example.net"
CLIENT = Client(ip=ip_address("192.0.2.9"), role="submission")


def in_office(folder: Path, story: Callable[[Place, Actor], Awaitable[None]]) -> None:
    """With Ana, who owns two addresses and may write as a third."""

    async def told() -> None:
        with office_at(folder) as place:
            number = (await people.add(place.office, ROOT, ANA, addresses=["ana.k@example.net"])).id
            await people.link(place.office, ROOT, ANA, "sales@example.net", delegated=True)
            held = frozenset({Role.PERSON})
            await story(
                place,
                Actor(
                    account=number, login=ANA, roles=held, rights=rights_of(held), proved_at=place.clock.now
                ),
            )

    asyncio.run(told())


async def check(
    place: Place, password: str, user: str = ANA, scope: Scope = Scope.SMTP, ip: str = "192.0.2.9"
) -> Good | Fault:
    return await apppasswords.check(place.office, user, password, scope=scope, ip=ip_address(ip))


def test_it_signs_in_by_login_or_own_address_and_as_all_addresses(tmp_path: Path) -> None:
    async def story(place: Place, ana: Actor) -> None:
        made = await apppasswords.make(place.office, ana, name="phone")
        assert len(made.password.replace("-", "")) == 32
        for user in (ANA, "ANA@Example.net", "ana.k@example.net"):
            good = await check(place, made.password, user)
            assert isinstance(good, Good)
            assert good.sends_as == ("ana.k@example.net", ANA, "sales@example.net")
            assert good.device == "phone"
        for user in ("sales@example.net", "ben@example.net", ""):
            assert await check(place, made.password, user) is Fault.UNKNOWN

    in_office(tmp_path, story)


def test_what_it_is_limited_to_holds(tmp_path: Path) -> None:
    async def story(place: Place, ana: Actor) -> None:
        made = await apppasswords.make(
            place.office, ana, name="scanner", scopes=[Scope.SMTP], sends_as=["sales@example.net"],
            ranges=["192.0.2.9/24", "2001:db8::1"], expires_at=place.clock.now + 100,
        )  # fmt: skip
        good = await check(place, made.password)
        assert isinstance(good, Good)
        assert good.sends_as == ("sales@example.net",)
        assert isinstance(await check(place, made.password, ip="2001:db8::1"), Good)
        assert await check(place, made.password, ip="198.51.100.1") is Fault.ELSEWHERE
        assert await check(place, made.password, scope=Scope.IMAP) is Fault.SCOPE
        await people.unlink(place.office, ROOT, ANA, "sales@example.net")
        assert await check(place, made.password) is Fault.NOBODY
        place.clock.forward(100)
        assert await check(place, made.password) is Fault.ENDED
        assert await check(place, made.password[:-1] + "7") is Fault.UNKNOWN, (
            "told only to who has the secret"
        )

    in_office(tmp_path, story)


def test_revoked_or_disabled_means_at_once(tmp_path: Path) -> None:
    async def story(place: Place, ana: Actor) -> None:
        first = await apppasswords.make(place.office, ana, name="one")
        second = await apppasswords.make(place.office, ana, name="two")
        assert await apppasswords.revoke(place.office, ana, first.kept.selector, reason="lost")
        assert not await apppasswords.revoke(place.office, ana, first.kept.selector)
        assert await check(place, first.password) is Fault.UNKNOWN
        assert isinstance(await check(place, second.password), Good)
        await people.disable(place.office, ROOT, ANA)
        assert await check(place, second.password) is Fault.DISABLED
        assert [one.revoked_at is None for one in apppasswords.listed(place.office, ROOT, ANA)] == [
            True,
            False,
        ]

    in_office(tmp_path, story)


def test_who_may_make_which(tmp_path: Path) -> None:
    async def story(place: Place, ana: Actor) -> None:
        await people.add(place.office, ROOT, "boss@example.net", roles=[Role.OWNER])
        held = frozenset({Role.POSTMASTER})
        postmaster = replace(ana, account=99, login="pm@example.net", roles=held, rights=rights_of(held))
        with pytest.raises(NotAllowed, match="reads mail"):
            await apppasswords.make(place.office, postmaster, ANA, name="spy", scopes=[Scope.IMAP])
        with pytest.raises(Impossible, match="a second person"):
            await apppasswords.make(place.office, postmaster, ANA, name="printer", scopes=[Scope.SMTP])
        assert await apppasswords.make(place.office, ROOT, ANA, name="printer", scopes=[Scope.SMTP])
        with pytest.raises(NotAllowed):
            await apppasswords.make(
                place.office, postmaster, "boss@example.net", name="x", scopes=[Scope.SMTP]
            )
        for login in ("boss@example.net", "nobody@example.net"):
            with pytest.raises(NotAllowed):
                await apppasswords.make(place.office, ana, login, name="x")
            with pytest.raises(NotAllowed):
                apppasswords.listed(place.office, ana, login)
        other = await apppasswords.make(place.office, ROOT, "boss@example.net", name="x")
        for selector in (other.kept.selector, "00000000"):
            with pytest.raises(NotAllowed):
                await apppasswords.revoke(place.office, ana, selector)
        place.clock.forward(301)
        with pytest.raises(ProveAgain):
            await apppasswords.make(place.office, ana, name="late")

    in_office(tmp_path, story)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [({"name": "  "}, "Name the device"), ({"name": "x", "sends_as": ["ceo@example.net"]}, "may not write as"),
     ({"name": "x", "ranges": ["everywhere"]}, "neither an address"), ({"name": "x", "scopes": []}, "what the app password is for"),
     ({"name": "x", "expires_at": 1.0}, "ended already")],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_in_words(tmp_path: Path, wrong: dict[str, object], word: str) -> None:
    async def story(place: Place, ana: Actor) -> None:
        with pytest.raises(Impossible, match=word):
            await apppasswords.make(place.office, ana, **wrong)  # type: ignore[arg-type]
        assert apppasswords.listed(place.office, ana) == []

    in_office(tmp_path, story)


def test_there_is_a_bound_and_no_secret_is_kept(tmp_path: Path) -> None:
    async def story(place: Place, ana: Actor) -> None:
        made = [await apppasswords.make(place.office, ana, name=f"d{n}") for n in range(apppasswords.MOST)]
        with pytest.raises(Impossible, match="revoke"):
            await apppasswords.make(place.office, ana, name="one more")
        rows = repr(
            place.office.store.database.read(lambda c: c.execute("SELECT * FROM app_passwords").fetchall())
        )
        for one in made:
            assert one.password.replace("-", "")[8:] not in rows
            assert one.password not in repr(one)

    in_office(tmp_path, story)


def test_the_last_use_is_written_once_a_minute_and_listed_once_a_day(tmp_path: Path) -> None:
    async def story(place: Place, ana: Actor) -> None:
        made = await apppasswords.make(place.office, ana, name="phone")

        async def uses() -> tuple[float | None, str, int]:
            await check(place, made.password)
            (kept,) = apppasswords.listed(place.office, ana)
            return kept.used_at, kept.used_from, sum("sign-in app-password" in one for one in place.journal())

        start = place.clock.now
        assert await uses() == (start, "192.0.2.0/24", 1)
        place.clock.forward(59)
        assert await uses() == (start, "192.0.2.0/24", 1)
        place.clock.forward(1)
        assert await uses() == (start + 60, "192.0.2.0/24", 1)
        place.clock.forward(86_400)
        assert await uses() == (start + 86_460, "192.0.2.0/24", 2)
        await check(place, made.password, ip="198.51.100.7")
        assert apppasswords.listed(place.office, ana)[0].used_from == "198.51.100.0/24"

    in_office(tmp_path, story)


# Signing in to send


async def sign_in(place: Place, password: str, user: str = ANA, client: Client = CLIENT) -> SignedIn | Reply:
    return await MailSignIn(place.office).sign_in(client, "PLAIN", Password(user, password))


def test_the_account_password_is_not_even_looked_at(tmp_path: Path) -> None:
    async def story(place: Place, ana: Actor) -> None:
        await place.with_password("ben@example.net")
        said = set()
        for user in ("ben@example.net", "nobody@example.net"):
            for password in ("correct horse battery staple", "wrong"):
                answer = await sign_in(place, password, user)
                assert isinstance(answer, Reply)
                said.add(answer)
        assert said == {Reply(535, "5.7.8", "The account's password is not taken here: make an app password in Gatepost under Security and use that")}  # fmt: skip

    in_office(tmp_path, story)


def test_guessing_is_counted_and_the_right_one_always_enters(tmp_path: Path) -> None:
    async def story(place: Place, ana: Actor) -> None:
        made = await apppasswords.make(place.office, ana, name="phone")
        codes = []
        for _ in range(20):
            answer = await sign_in(place, "0" * 8 + "a" * 24)
            assert isinstance(answer, Reply)
            codes.append(answer.code)
        assert codes == [535] * 5 + [454] * 15
        assert sum("sign-in failed mail" in one for one in place.journal()) == 5
        assert isinstance(await sign_in(place, made.password), SignedIn), (
            "nobody is shut out by others' guesses"
        )

    in_office(tmp_path, story)


def test_nobody_acts_as_somebody_else(tmp_path: Path) -> None:
    async def story(place: Place, ana: Actor) -> None:
        made = await apppasswords.make(place.office, ana, name="phone")
        credentials = Password(ANA, made.password, "ben@example.net")
        answer = await MailSignIn(place.office).sign_in(CLIENT, "PLAIN", credentials)
        assert isinstance(answer, Reply)
        assert answer.code == 535
        same = await MailSignIn(place.office).sign_in(CLIENT, "PLAIN", Password(ANA, made.password, ANA))
        assert same == SignedIn(
            user=ANA, sends_as=("ana.k@example.net", ANA, "sales@example.net"), device="phone"
        )

    in_office(tmp_path, story)


class Provider:
    async def verify(self, token: str) -> tuple[str, ...] | None:
        return {"hers": ("who@elsewhere.example", "ana.k@example.net"), "his": ("ben@example.net",)}.get(
            token
        )


def test_tokens_sign_in_whom_they_name(tmp_path: Path) -> None:
    async def story(place: Place, ana: Actor) -> None:
        door = MailSignIn(place.office, verifier=Provider())
        assert door.mechanisms == ("PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2")
        assert MailSignIn(place.office).mechanisms == ("PLAIN", "LOGIN")
        for user in ("", ANA, "ana.k@example.net"):
            answer = await door.sign_in(CLIENT, "XOAUTH2", Token(user, "hers"))
            assert isinstance(answer, SignedIn)
            assert answer.user == ANA
            assert answer.device == "token"
        for user, token in ((ANA, "his"), ("", "his"), ("ben@example.net", "hers"), (ANA, "forged")):
            refused = await door.sign_in(CLIENT, "OAUTHBEARER", Token(user, token))
            assert isinstance(refused, Reply)
            assert refused.code == 535
        await people.disable(place.office, ROOT, ANA)
        refused = await door.sign_in(CLIENT, "OAUTHBEARER", Token("", "hers"))
        assert isinstance(refused, Reply)
        assert "disabled" in refused.text

    in_office(tmp_path, story)


def test_logins_that_are_none_leave_no_words_of_theirs(tmp_path: Path) -> None:
    async def story(place: Place, ana: Actor) -> None:
        for user in ("hunter2 my secret", "\udcff", "x" * 10_000, ""):
            assert isinstance(await sign_in(place, "wrong", user), Reply)
        assert "hunter2" not in " ".join(place.journal())

    in_office(tmp_path, story)
