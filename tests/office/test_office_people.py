"""Who may look after whom, and that an owner is always left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.access.rights import ADMINISTRATORS, Actor, Right, Role, rights_of
from gatepost.office import apppasswords, people, sessions, signin, wayin
from gatepost.office.office import Impossible, NotAllowed, ProveAgain
from gatepost.office.sessions import SignInRefused
from gatepost.store import identities
from gatepost.store.backup import backup, restore
from gatepost.store.store import Store
from people_samples import HERE, ROOT, Place, office_at

OWNER = "owner@example.net"


def in_office(folder: Path, story: Callable[[Place], Awaitable[None]]) -> None:
    async def told() -> None:
        with office_at(folder, second_person=False) as place:
            await people.add(place.office, ROOT, OWNER, roles=[Role.OWNER])
            await people.add(
                place.office, ROOT, "ana@example.net", name="Ana", addresses=["ana.k@example.net"]
            )
            await people.add(place.office, ROOT, "aud@example.net", roles=[Role.AUDITOR])
            await story(place)

    asyncio.run(told())


def acting(place: Place, *roles: Role, account: int = 99) -> Actor:
    """Somebody with these roles who has just proved it."""
    held = frozenset(roles)
    return Actor(
        account=account,
        login="who@example.net",
        roles=held,
        rights=rights_of(held),
        proved_at=place.clock.now,
    )


ACTS: dict[str, Callable[[Place, Actor, str], Awaitable[object]]] = {
    "invite": lambda p, who, login: wayin.invite(p.office, who, login),
    "recover": lambda p, who, login: wayin.recover(p.office, who, login),
    "rename": lambda p, who, login: people.rename(p.office, who, login, name="x"),
    "link": lambda p, who, login: people.link(p.office, who, login, f"more.{login}"),
    "unlink": lambda p, who, login: people.unlink(p.office, who, login, "ana.k@example.net"),
    "disable": lambda p, who, login: people.disable(p.office, who, login),
    "enable": lambda p, who, login: people.enable(p.office, who, login),
    "remove": lambda p, who, login: people.remove(p.office, who, login),
    "roles": lambda p, who, login: people.set_roles(p.office, who, login, [Role.PERSON, Role.HELP_DESK]),
}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("act", list(ACTS))
def test_only_owners_act_on_administrators_and_only_owners_and_postmasters_on_persons(
    tmp_path: Path, role: Role, act: str
) -> None:
    async def story(place: Place) -> None:
        who = acting(place, role)
        on_person = role is Role.OWNER or (role is Role.POSTMASTER and act != "roles")
        for login, may in (("ana@example.net", on_person), ("aud@example.net", role is Role.OWNER)):
            if act == "unlink" and login != "ana@example.net":
                continue
            if may:
                await ACTS[act](place, who, login)
            else:
                before = len(place.journal())
                with pytest.raises(NotAllowed):
                    await ACTS[act](place, who, login)
                assert len(place.journal()) == before, "and nothing was done"

    in_office(tmp_path, story)


@pytest.mark.parametrize("role", sorted(ADMINISTRATORS))
def test_a_postmaster_makes_no_administrator(tmp_path: Path, role: Role) -> None:
    async def story(place: Place) -> None:
        with pytest.raises(NotAllowed):
            await people.add(place.office, acting(place, Role.POSTMASTER), "new@example.net", roles=[role])
        assert (
            await people.add(place.office, acting(place, Role.OWNER), "new@example.net", roles=[role])
        ).roles

    in_office(tmp_path, story)


def test_who_may_not_know_is_not_told_who_is_there(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        who = acting(place, Role.PERSON)
        said = set()
        for login in ("ana@example.net", "nobody@example.net"):
            for look in (
                lambda one: people.show(place.office, who, one),
                lambda _: people.listed(place.office, who),
            ):
                with pytest.raises(NotAllowed) as refused:
                    look(login)
                said.add(str(refused.value))
            with pytest.raises(NotAllowed) as refused:
                await wayin.invite(place.office, who, login)
            said.add(str(refused.value))
        assert len(said) == 1

    in_office(tmp_path, story)


def test_the_last_owner_stays(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        office = place.office
        for act in (
            lambda: people.set_roles(office, ROOT, OWNER, [Role.AUDITOR]),
            lambda: people.disable(office, ROOT, OWNER),
            lambda: people.remove(office, ROOT, OWNER),
        ):
            before = len(place.journal())
            with pytest.raises(Impossible, match="last owner"):
                await act()
            assert len(place.journal()) == before
        await people.set_roles(office, ROOT, "ana@example.net", [Role.OWNER])
        # Two at the same moment: one of them is the last.
        both = await asyncio.gather(
            people.set_roles(office, ROOT, OWNER, [Role.PERSON]),
            people.set_roles(office, ROOT, "ana@example.net", [Role.PERSON]),
            return_exceptions=True,
        )
        assert sorted(isinstance(one, Impossible) for one in both) == [False, True]
        last = next(one for one in people.listed(office, ROOT) if Role.OWNER in one.account.roles)
        await people.disable(office, ROOT, "aud@example.net")
        with pytest.raises(Impossible, match="last owner"):
            await people.disable(office, ROOT, last.account.login)

    in_office(tmp_path, story)


def test_sensitive_acts_ask_for_a_fresh_proof(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        who = acting(place, Role.OWNER)
        place.clock.forward(301)
        for act in ("roles", "remove"):
            with pytest.raises(ProveAgain):
                await ACTS[act](place, who, "ana@example.net")
        for act in ("recover", "invite", "disable"):
            with pytest.raises(ProveAgain):
                await ACTS[act](place, who, "aud@example.net")
        await ACTS["invite"](place, who, "ana@example.net")

    in_office(tmp_path, story)


def test_an_address_is_one_persons_own_and_may_be_delegated_to_many(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        office = place.office
        await people.link(office, ROOT, "ana@example.net", "Sales@Example.NET")
        with pytest.raises(Impossible, match=r"ana@example\.net's own address"):
            await people.link(office, ROOT, "aud@example.net", "sales@example.net")
        with pytest.raises(Impossible, match="own already"):
            await people.link(office, ROOT, "ana@example.net", "sales@example.net", delegated=True)
        await people.link(office, ROOT, "aud@example.net", "sales@example.net", delegated=True)
        await people.link(office, ROOT, "aud@example.net", "@lists.example.net", delegated=True)
        with pytest.raises(Impossible, match="Nobody owns"):
            await people.link(office, ROOT, "aud@example.net", "@lists.example.net")
        with pytest.raises(NotAllowed):
            await people.link(
                office, acting(place, Role.POSTMASTER), "ana@example.net", "@example.net", delegated=True
            )
        shown = people.show(office, ROOT, "aud@example.net")
        assert shown.addresses == ("aud@example.net",)
        assert shown.delegated == ("@lists.example.net", "sales@example.net")
        with pytest.raises(Impossible, match="signs in with"):
            await people.unlink(office, ROOT, "aud@example.net", "aud@example.net")
        await people.unlink(office, ROOT, "ana@example.net", "sales@example.net")
        with pytest.raises(Impossible, match="does not have"):
            await people.unlink(office, ROOT, "ana@example.net", "sales@example.net")

    in_office(tmp_path, story)


@pytest.mark.parametrize(
    ("login", "word"),
    [("no address", "no mail address"), ("ana@[192.0.2.1]", "no mail address"), ("ANA@example.net", "already"),
     ("ana.k@example.net", "own address"), ("\x1b[2J@example.net", r"\\x1b")],
)  # fmt: skip
def test_what_cannot_be_added_is_refused_in_words(tmp_path: Path, login: str, word: str) -> None:
    async def story(place: Place) -> None:
        with pytest.raises(Impossible, match=word):
            await people.add(place.office, ROOT, login)
        assert len(people.listed(place.office, ROOT)) == 3

    in_office(tmp_path, story)


def test_a_mistyped_login_gets_the_nearest_right_one(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        with pytest.raises(Impossible, match=r"Did you mean ana@example\.net"):
            await wayin.invite(place.office, ROOT, "anna@example.net")

    in_office(tmp_path, story)


def test_recovery_by_an_administrator_forgets_every_factor(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, admitted = await place.with_passkey("ben@example.net")
        link = await wayin.recover(place.office, ROOT, "ben@example.net", reason="lost")
        assert await sessions.actor_of(place.office, admitted.token) is None
        with pytest.raises(SignInRefused):
            await place.sign_in_by_passkey(passkey)
        person = people.show(place.office, ROOT, "ben@example.net")
        assert not person.enrolled
        assert person.recovery_codes == 0
        assert (await signin.by_link(place.office, link, visitor=HERE)).account.login == "ben@example.net"
        assert "root: account recover ben@example.net (lost)" in place.journal()

    in_office(tmp_path, story)


def test_removal_takes_all_that_was_the_accounts_and_frees_its_addresses(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        _, admitted = await place.with_passkey("ben@example.net")
        await people.remove(place.office, ROOT, "ben@example.net")
        assert await sessions.actor_of(place.office, admitted.token) is None
        for table in ("passkeys", "sessions", "sign_ins", "recovery_codes", "known_devices"):
            rows = place.office.store.database.read(
                lambda c, table=table: c.execute(f"SELECT count(*) FROM {table}").fetchone()
            )
            assert rows == (0,), table
        await people.link(place.office, ROOT, "ana@example.net", "ben@example.net")

    in_office(tmp_path, story)


def test_people_come_page_by_page_and_without_secrets(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.with_password("ben@example.net")
        first = people.listed(place.office, ROOT, limit=2)
        rest = people.listed(place.office, ROOT, after=first[-1].account.login)
        logins = [one.account.login for one in (*first, *rest)]
        assert logins == ["ana@example.net", "aud@example.net", "ben@example.net", OWNER]
        ben = rest[0]
        assert ben.account.has_codes
        assert ben.account.password == ""
        assert ben.account.seed == b""

    in_office(tmp_path, story)


def test_one_may_rename_oneself_and_nobody_else(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        ana = people.show(place.office, ROOT, "ana@example.net").account
        me = replace(acting(place, Role.PERSON, account=ana.id), login=ana.login)
        renamed = await people.rename(place.office, me, ana.login, name="Ana\x07 K", language="ja")
        assert renamed.name == "Ana\\x07 K"
        assert renamed.language == "ja"
        with pytest.raises(Impossible, match="no language"):
            await people.rename(place.office, me, ana.login, language="xx")
        with pytest.raises(NotAllowed):
            await people.rename(place.office, me, "aud@example.net", name="x")
        assert people.show(place.office, me).account.id == ana.id
        assert me.may(Right.OWN)

    in_office(tmp_path, story)


def test_a_restored_backup_signs_nobody_in_and_opens_no_old_link(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, admitted = await place.with_passkey("ben@example.net")
        link = await wayin.invite(place.office, ROOT, "ana@example.net")
        await asyncio.to_thread(backup, tmp_path, tmp_path.parent / "backup", now=place.clock.now)
        restore(tmp_path.parent / "backup", tmp_path.parent / "again", hold_because=None)
        store = Store.open(tmp_path.parent / "again")
        place.office = replace(place.office, store=store)
        assert await sessions.actor_of(place.office, admitted.token) is None
        assert signin.whom_link_is_for(place.office, link) is None
        assert await place.sign_in_by_passkey(passkey)
        await store.close()

    folder = tmp_path / "one" / "state"
    folder.mkdir(parents=True)
    tmp_path = folder
    in_office(folder, story)


def test_no_token_of_a_program_gives_anybody_a_way_in(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        office = place.office
        program = replace(acting(place, Role.OWNER), via="api")
        for act in (
            lambda: wayin.invite(office, program, "ana@example.net"),
            lambda: wayin.recover(office, program, "ana@example.net"),
            lambda: people.set_roles(office, program, "ana@example.net", [Role.OWNER]),
            lambda: people.add(office, program, "new@example.net", roles=[Role.OWNER]),
            lambda: apppasswords.make(
                office, program, "ana@example.net", name="x", scopes=[apppasswords.Scope.SMTP]
            ),
        ):
            with pytest.raises(NotAllowed, match="person at the console"):
                await act()
        assert await people.add(office, program, "new@example.net")
        await people.disable(office, program, "ana@example.net")

    in_office(tmp_path, story)


def test_recovery_unlinks_the_identity_provider_too(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        _, admitted = await place.with_passkey("ben@example.net")
        database, now = place.office.store.database, place.clock.now
        await database.commit(
            lambda c: identities.link(c, "https://idp.example", "42", admitted.account.id, at=now)
        )
        await wayin.recover(place.office, ROOT, "ben@example.net")
        assert database.read(lambda c: identities.account_of(c, "https://idp.example", "42")) is None

    in_office(tmp_path, story)


def test_writing_as_an_administrator_is_given_only_by_who_gives_roles(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        office, postmaster = place.office, acting(place, Role.POSTMASTER)
        with pytest.raises(NotAllowed):
            await people.link(office, postmaster, "ana@example.net", OWNER, delegated=True)
        assert people.show(office, ROOT, "ana@example.net").delegated == ()
        await people.link(office, acting(place, Role.OWNER), "ana@example.net", OWNER, delegated=True)
        assert people.show(office, ROOT, "ana@example.net").delegated == (OWNER,)

    in_office(tmp_path, story)
