"""Whoever looks after accounts cannot become somebody else by it: every path to more power or to another's mail takes two people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from gatepost.access import apitoken
from gatepost.access.rights import ADMINISTRATORS, Actor, Right, Role, rights_of
from gatepost.net.directoryservice import DirectoryPerson, GroupRoles, PeopleSourceSettings
from gatepost.office import (
    apitokens,
    apppasswords,
    certificates,
    oidc,
    people,
    second,
    sessions,
    signin,
    wayin,
)
from gatepost.office.apppasswords import Scope
from gatepost.office.office import Impossible, NotAllowed, ProveAgain
from gatepost.office.peoplesource import synchronise
from people_samples import HERE, ROOT, Place, office_at

ANA, OWNER, OTHER = "ana@example.net", "owner@example.net", "other@example.net"
POSTMASTER, OFFICER, AUDITOR = "post@example.net", "dpo@example.net", "aud@example.net"


class Staffed:
    """People who can sign in, and the mail that was written to them."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.office = place.office

    async def fill(self) -> None:
        for login, role in (
            (ANA, Role.PERSON), (OWNER, Role.OWNER), (OTHER, Role.OWNER), (POSTMASTER, Role.POSTMASTER),
            (OFFICER, Role.DATA_PROTECTION_OFFICER), (AUDITOR, Role.AUDITOR),
        ):  # fmt: skip
            await self.place.with_passkey(login, role)

    def actor(self, login: str) -> Actor:
        """Signed in at the console, and just proved."""
        one = people.show(self.office, ROOT, login)
        return Actor(
            account=one.account.id, login=login, roles=one.account.roles, rights=rights_of(one.account.roles),
            addresses=one.addresses, proved_at=self.place.clock.now,
        )  # fmt: skip

    def state(self) -> object:
        """What power everybody has."""
        found = people.listed(self.office, ROOT)
        return [
            (one.account.login, one.account.roles, one.addresses, len(one.passkeys), one.link_ends) for one in found
        ]  # fmt: skip

    def letters(self, to: str) -> list[EmailMessage]:
        """The letters written to somebody so far, oldest first."""
        store = self.office.store
        refs = [one.ref for one in store.queued(limit=1000) if one.to == to]
        found = [message_from_bytes(store.octets_of(ref), policy=default) for ref in refs]
        return [one for one in found if isinstance(one, EmailMessage)]

    async def agreed(self, who: str, act: str) -> None:
        """Somebody agrees to what was asked for last."""
        asked = second.waiting(self.office, self.actor(who))[-1]
        assert asked.act == act
        await second.decide(self.office, self.actor(who), asked.key, agree=True)


def in_office(folder: Path, story: Callable[[Staffed], Awaitable[None]], **access: object) -> None:
    async def told() -> None:
        with office_at(folder, **access) as place:
            await Staffed(place).fill()
            place.office = replace(place.office, finals=lambda address: [address])
            staffed = Staffed(place)
            await story(staffed)

    asyncio.run(told())


Path_ = Callable[[Staffed, Actor], Awaitable[object]]
ESCALATIONS: dict[str, Path_] = {
    "a link into another's account": lambda s, who: wayin.invite(s.office, who, ANA),
    "forget another's ways in": lambda s, who: wayin.recover(s.office, who, ANA),
    "a link into an administrator's account": lambda s, who: wayin.invite(s.office, who, AUDITOR),
    "recover an administrator": lambda s, who: wayin.recover(s.office, who, OTHER),
    "a link for an administrator by mail": lambda s, who: wayin.invite(s.office, who, AUDITOR, by_mail=lambda t: t),
    "a new account that reads all mail": lambda s, who: people.add(
        s.office, who, "new@example.net", roles=[Role.QUARANTINE_MANAGER]
    ),
    "a new owner": lambda s, who: people.add(s.office, who, "new@example.net", roles=[Role.OWNER]),
    "a new account with another's address": lambda s, who: people.add(
        s.office, who, "new@example.net", addresses=["chief@example.net"]
    ),
    "another role for oneself": lambda s, who: people.set_roles(
        s.office, who, who.login, who.roles | {Role.QUARANTINE_MANAGER}
    ),
    "another role for a friend": lambda s, who: people.set_roles(s.office, who, ANA, [Role.QUARANTINE_MANAGER]),
    "an address for oneself": lambda s, who: people.link(s.office, who, who.login, "chief@example.net"),
    "an address for a friend": lambda s, who: people.link(s.office, who, ANA, "chief@example.net"),
    "an identity at the provider": lambda s, who: oidc.link(s.office, who, ANA, "https://idp.example", "me"),
    "an app password that reads mail": lambda s, who: apppasswords.make(
        s.office, who, ANA, name="x", scopes=[Scope.IMAP]
    ),
    "a token for another": lambda s, who: apitokens.make(
        s.office, who, ANA, name="x", scopes=[Right.OWN], expires_at=s.place.clock.now + 60
    ),
    "a token that gives roles": lambda s, who: apitokens.make(
        s.office, who, name="x", scopes=[Right.ROLES], expires_at=s.place.clock.now + 60
    ),
    "a token that agrees": lambda s, who: apitokens.make(
        s.office, who, name="x", scopes=[Right.APPROVE], expires_at=s.place.clock.now + 60
    ),
}  # fmt: skip


@pytest.mark.parametrize("login", [POSTMASTER, OWNER, OFFICER, AUDITOR, ANA])
@pytest.mark.parametrize("path", list(ESCALATIONS))
def test_nobody_gains_anything_alone(tmp_path: Path, path: str, login: str) -> None:
    async def story(staffed: Staffed) -> None:
        if login == ANA and path == "an app password that reads mail":
            return  # one's own
        before = staffed.state()
        for _ in range(2):  # to ask again is not to be agreed with
            with pytest.raises((NotAllowed, Impossible)):
                await ESCALATIONS[path](staffed, staffed.actor(login))
        assert staffed.state() == before
        program = replace(staffed.actor(login), via="api")
        with pytest.raises((NotAllowed, Impossible)):
            await ESCALATIONS[path](staffed, program)
        assert staffed.state() == before

    in_office(tmp_path, story)


def test_with_a_second_person_it_is_done_once_and_everybody_hears_of_it(tmp_path: Path) -> None:
    async def story(staffed: Staffed) -> None:
        office = staffed.office

        async def promote() -> object:
            return await people.set_roles(
                office, staffed.actor(OWNER), ANA, [Role.QUARANTINE_MANAGER], reason="new job"
            )

        act = f"roles {ANA}: quarantine-manager"
        with pytest.raises(Impossible, match="whoever may agree was told"):
            await promote()
        for one in (OTHER, OFFICER):
            (letter,) = staffed.letters(one)
            assert letter["Subject"] == "A second person is asked for"
            assert act in letter.get_content()
        for one in (OWNER, POSTMASTER, AUDITOR, ANA):
            assert staffed.letters(one) == []
        (asked,) = second.waiting(office, staffed.actor(OFFICER))
        assert (asked.act, asked.asked_who, asked.reason) == (act, OWNER, "new job")
        assert second.waiting(office, staffed.actor(POSTMASTER)) == []
        with pytest.raises(Impossible, match="another than the one who asked"):
            await second.decide(office, staffed.actor(OWNER), asked.key, agree=True)
        with pytest.raises(NotAllowed):
            await second.decide(office, staffed.actor(POSTMASTER), asked.key, agree=True)
        with pytest.raises(NotAllowed):
            await second.decide(office, replace(staffed.actor(OFFICER), via="api"), asked.key, agree=True)
        with pytest.raises(ProveAgain):
            await second.decide(office, replace(staffed.actor(OFFICER), proved_at=0.0), asked.key, agree=True)
        await staffed.agreed(OFFICER, act)
        with pytest.raises(Impossible):  # the leave is for the very thing
            await people.set_roles(office, staffed.actor(OWNER), ANA, [Role.OWNER])
        with pytest.raises(Impossible):  # and for the very person
            await people.set_roles(office, staffed.actor(OTHER), ANA, [Role.QUARANTINE_MANAGER])
        await promote()
        assert people.show(office, ROOT, ANA).account.roles == {Role.QUARANTINE_MANAGER}
        assert [one["Subject"] for one in staffed.letters(ANA)] == ["Your roles were changed"]
        assert "Somebody was given rights" in [one["Subject"] for one in staffed.letters(OTHER)]
        await people.set_roles(office, staffed.actor(OWNER), ANA, [Role.PERSON])
        with pytest.raises(Impossible):
            await promote()  # used up
        said = staffed.place.journal()
        assert f"{OWNER}: second ask {act} (new job)" in said
        assert f"{OFFICER}: second agree {act} (asked by {OWNER})" in said

    in_office(tmp_path, story)


def test_a_refusal_and_time_end_it(tmp_path: Path) -> None:
    async def story(staffed: Staffed) -> None:
        office, clock = staffed.office, staffed.place.clock

        async def ask() -> object:
            return await wayin.invite(office, staffed.actor(POSTMASTER), ANA)

        with pytest.raises(Impossible):
            await ask()
        (asked,) = second.waiting(office, staffed.actor(OWNER))
        await second.decide(office, staffed.actor(OWNER), asked.key, agree=False)
        assert second.waiting(office, staffed.actor(POSTMASTER)) == []
        with pytest.raises(Impossible):
            await ask()
        clock.forward(second.WAITS_S)
        assert second.waiting(office, staffed.actor(OWNER)) == [], (
            "nobody agrees to what was asked for long ago"
        )
        with pytest.raises(Impossible):
            await ask()
        await staffed.agreed(OWNER, f"invite {ANA}")
        clock.forward(second.LEAVE_S)
        with pytest.raises(Impossible):
            await ask()
        await staffed.agreed(OWNER, f"invite {ANA}")
        assert await ask()

    in_office(tmp_path, story)


def test_a_new_administrator_takes_one_agreement_for_account_and_link(tmp_path: Path) -> None:
    async def story(staffed: Staffed) -> None:
        office, new = staffed.office, "new@example.net"

        async def add() -> str:
            await people.add(office, staffed.actor(OWNER), new, roles=[Role.POSTMASTER])
            return await wayin.invite(office, staffed.actor(OWNER), new)

        with pytest.raises(Impossible):
            await add()
        await staffed.agreed(OTHER, f"add {new}: roles postmaster")
        token = await add()
        assert (await signin.by_link(office, token, visitor=HERE)).account.login == new
        with pytest.raises(Impossible):
            await wayin.invite(office, staffed.actor(OWNER), new)

    in_office(tmp_path, story)


def test_a_link_by_mail_is_for_the_person_alone_and_takes_nobody_else(tmp_path: Path) -> None:
    async def story(staffed: Staffed) -> None:
        office, new = staffed.office, "new@example.net"
        await people.add(office, staffed.actor(POSTMASTER), new)
        at = "https://mail.example.net/enrol/"
        shown = await wayin.invite(office, staffed.actor(POSTMASTER), new, by_mail=lambda token: at + token)
        assert shown == ""
        (letter,) = staffed.letters(new)
        (line,) = [one for one in letter.get_content().splitlines() if one.startswith(at)]
        assert (await signin.by_link(office, line.removeprefix(at), visitor=HERE)).account.login == new
        shown = await wayin.recover(office, staffed.actor(POSTMASTER), ANA, by_mail=lambda token: at + token)
        assert shown == ""
        assert at in staffed.letters(ANA)[-1].get_content()
        assert all(at not in one.get_content() for one in staffed.letters(POSTMASTER))

    in_office(tmp_path, story)


def test_the_last_owner_who_can_sign_in_is_not_locked_out(tmp_path: Path) -> None:
    async def story(staffed: Staffed) -> None:
        office = staffed.office
        await people.disable(office, ROOT, OTHER)
        await people.add(office, ROOT, "paper@example.net", roles=[Role.OWNER])  # who never enrolled
        for act in (
            lambda: people.disable(office, staffed.actor(OWNER), OWNER),
            lambda: people.remove(office, staffed.actor(OWNER), OWNER),
            lambda: people.set_roles(office, staffed.actor(OWNER), OWNER, [Role.PERSON]),
            lambda: wayin.recover(office, staffed.actor(OWNER), OWNER),
        ):
            before = staffed.state()
            with pytest.raises(Impossible, match="last owner"):
                await act()
            assert staffed.state() == before
        assert await wayin.recover(office, ROOT, OWNER)

    in_office(tmp_path, story)


def test_where_nobody_else_may_agree_it_says_so_and_where_the_policy_is_off_one_is_enough(
    tmp_path: Path,
) -> None:
    async def alone(staffed: Staffed) -> None:
        for one in (OTHER, OFFICER):
            await people.disable(staffed.office, ROOT, one)
        with pytest.raises(Impossible, match="nobody else here may"):
            await people.set_roles(staffed.office, staffed.actor(OWNER), ANA, [Role.HELP_DESK])

    async def enough(staffed: Staffed) -> None:
        await people.set_roles(staffed.office, staffed.actor(OWNER), ANA, [Role.HELP_DESK])
        assert await wayin.invite(staffed.office, staffed.actor(OWNER), ANA)

    in_office(tmp_path / "alone", alone)
    in_office(tmp_path / "enough", enough, second_person=False)


def test_a_directory_gives_what_the_configuration_says_and_nothing_of_what_an_account_says(
    tmp_path: Path,
) -> None:
    settings = PeopleSourceSettings(groups=(GroupRoles(group="cn=desk", roles=(Role.HELP_DESK, Role.OWNER)),))

    async def story(staffed: Staffed) -> None:
        found = [
            DirectoryPerson(
                key="1", login=ANA, name="Ana", addresses=(ANA, OWNER), groups=frozenset({"cn=desk"})
            ),
            DirectoryPerson(key="2", login=OWNER, name="Thief", addresses=(OWNER,)),
        ]
        await synchronise(staffed.office, settings, found, ["example.net"])
        ana, owner = (people.show(staffed.office, ROOT, login) for login in (ANA, OWNER))
        assert ana.account.roles == {Role.PERSON, Role.HELP_DESK}, "a group makes no owner unless told to"
        assert ana.addresses == (ANA,)
        assert (owner.account.source, len(owner.passkeys)) == ("", 1)
        assert [one["Subject"] for one in staffed.letters(ANA)] == ["Your roles were changed"]
        assert await sessions.actor_of(staffed.office, "x") is None

    in_office(tmp_path, story)


def test_rights_that_give_power_are_the_owners_and_no_token_has_them() -> None:
    for role in ADMINISTRATORS - {Role.OWNER}:
        assert Right.ROLES not in rights_of(frozenset({role}))
    assert (
        apitoken.granted([one.value for one in Right], frozenset(Right)) == frozenset(Right) - apitoken.NEVER
    )
    assert {Right.ROLES, Right.APPROVE, Right.BREAK_GLASS} <= apitoken.NEVER


@pytest.mark.parametrize("kind", ["app password", "certificate"])
def test_what_writes_in_anothers_name_takes_two_people(tmp_path: Path, kind: str) -> None:
    async def story(staffed: Staffed) -> None:
        office, post = staffed.office, staffed.actor(POSTMASTER)
        digest = "ab" * 32

        async def make() -> object:
            if kind == "certificate":
                return await certificates.add(office, post, ANA, name="printer", fingerprint=digest)
            return await apppasswords.make(office, post, ANA, name="printer", scopes=[Scope.SMTP])

        def known() -> int:
            return len(apppasswords.listed(office, post, ANA)) + len(certificates.listed(office, post, ANA))

        with pytest.raises(Impossible, match="takes a second person"):
            await make()
        assert known() == 0
        with pytest.raises(Impossible, match="takes a second person"):
            await make()
        await staffed.agreed(OTHER, f"{ANA}: {kind} printer: {'smtp' if kind == 'app password' else digest}")
        assert await make()
        assert known() == 1
        with pytest.raises(Impossible, match="takes a second person"):
            await make()
        assert await apppasswords.make(office, staffed.actor(ANA), name="own", scopes=[Scope.SMTP])

    in_office(tmp_path, story)


def test_where_the_policy_asks_for_one_person_alone_one_makes_it(tmp_path: Path) -> None:
    async def story(staffed: Staffed) -> None:
        post = staffed.actor(POSTMASTER)
        assert await apppasswords.make(staffed.office, post, ANA, name="printer", scopes=[Scope.SMTP])
        assert "printer" in staffed.letters(ANA)[-1].get_content()

    in_office(tmp_path, story, second_person=False)
