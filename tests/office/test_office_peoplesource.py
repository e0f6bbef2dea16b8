"""Accounts follow a directory: who comes, changes, leaves and comes back, and what a directory may not do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gatepost.access.rights import Role
from gatepost.checks.sender.people import PeopleSettings, Staff, read_people_file
from gatepost.jobs.concerns import Concern
from gatepost.jobs.look import remembered
from gatepost.jobs.owntrouble import own_concerns, own_side_facts
from gatepost.jobs.peoplesync import PeopleSync
from gatepost.net.directoryservice import DirectoryPerson, GroupRoles, PeopleSourceSettings
from gatepost.office import people, signin
from gatepost.office.peoplesource import DirectoryPasswords, Step, protected, synchronise, write_protected
from gatepost.office.sessions import SignInRefused
from gatepost.store import accounts
from gatepost.store.accounts import Account
from gatepost.store.database import Connection
from gatepost.store.memory import StoredMemory
from gatepost.tools import Unavailable
from people_samples import HERE, ROOT, Place, office_at

SETTINGS = PeopleSourceSettings(
    servers=("ldaps://dc1.example.net",),
    groups=(
        GroupRoles(group="cn=mail", roles=(Role.POSTMASTER, Role.QUARANTINE_MANAGER)),
        GroupRoles(group="cn=chiefs", roles=(Role.OWNER,), protected=True),
    ),
)


def somebody(login: str = "ana@example.net", key: str = "", **more: Any) -> DirectoryPerson:
    told: dict[str, Any] = {
        "key": key or login,
        "login": login,
        "name": login.partition("@")[0].title(),
        "addresses": (login,),
    }
    return DirectoryPerson(**(told | more))


class Scene:
    def __init__(self, place: Place) -> None:
        self.place = place
        self.settings = SETTINGS

    async def sync(self, *found: DirectoryPerson, **how: bool) -> list[Step]:
        return await synchronise(self.place.office, self.settings, found, ["example.net"], **how)

    def account(self, login: str = "ana@example.net") -> Account:
        found = self.place.office.store.database.read(lambda c: accounts.find(c, login=login))
        assert found is not None
        return found

    def addresses(self, login: str = "ana@example.net") -> tuple[str, ...]:
        number = self.account(login).id
        return self.place.office.store.database.read(lambda c: accounts.addresses(c, number, delegated=False))


def telling(tmp_path: Path, story: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        with office_at(tmp_path / "state") as place:
            await story(Scene(place))

    asyncio.run(run())


def told(steps: Sequence[Step]) -> list[str]:
    return [f"{one.kind.value} {one.login}: {one.text}" for one in steps]


def test_people_come_change_leave_and_come_back(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        ana = somebody(
            addresses=("ana@example.net", "a.k@example.net", "ana@elsewhere.example"),
            groups=frozenset({"cn=mail"}),
        )
        ben = somebody("ben@example.net")
        assert told(await scene.sync(ana, ben, dry=True)) == [
            "add ana@example.net: person, postmaster, quarantine-manager",
            "add ben@example.net: person",
        ]
        assert people.listed(scene.place.office, ROOT) == []
        await scene.sync(ana, ben)
        assert scene.account().roles == {Role.PERSON, Role.POSTMASTER, Role.QUARANTINE_MANAGER}
        assert scene.addresses() == ("a.k@example.net", "ana@example.net"), "those in our domains"
        assert await scene.sync(ana, ben) == [], "nothing is done twice"
        ana = replace(ana, name="Ana Kovac", login="ana.kovac@example.net", groups=frozenset(),
                      addresses=("ana.kovac@example.net", "ana@example.net"))  # fmt: skip
        assert told(await scene.sync(ana, ben)) == [
            "change ana@example.net: signs in as ana.kovac@example.net now",
            "change ana.kovac@example.net: is called Ana Kovac",
            "change ana.kovac@example.net: has a.k@example.net no more",
            "change ana.kovac@example.net: is person",
        ]
        assert await scene.sync(ana, ben) == []
        assert told(await scene.sync(ana)) == ["disable ben@example.net: not in the directory any more"]
        assert not scene.account("ben@example.net").usable
        assert await scene.sync(ana) == []
        assert told(await scene.sync(ana, ben)) == ["enable ben@example.net: is in the directory again"]
        assert told(await scene.sync(ana, replace(ben, disabled=True))) == [
            "disable ben@example.net: disabled in the directory"
        ]
        await people.enable(scene.place.office, ROOT, "ben@example.net")
        await people.disable(scene.place.office, ROOT, "ben@example.net", reason="he asked")
        assert await scene.sync(ana, ben) == [], "who was disabled here stays so"
        assert await scene.sync(ana, ben, somebody("new@example.net", disabled=True)) == []
        assert await scene.sync(ana, ben, somebody("x@elsewhere.example")) == []

    telling(tmp_path, story)


def test_a_session_ends_with_the_person_who_left(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.sync(somebody(), somebody("ben@example.net"))
        admitted = await scene.place.enrolling()
        assert await signin.visit_of(scene.place.office, admitted.token) is not None
        await scene.sync(somebody("ben@example.net"))
        assert await signin.visit_of(scene.place.office, admitted.token) is None

    telling(tmp_path, story)


def test_roles_given_here_stay_and_owners_are_not_made_by_a_group(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        chief = somebody(groups=frozenset({"cn=chiefs"}))
        await scene.sync(chief)
        assert scene.account().roles == {Role.PERSON}
        await people.set_roles(scene.place.office, ROOT, chief.login, [Role.PERSON, Role.AUDITOR, Role.OWNER])
        assert await scene.sync(chief) == []
        assert await scene.sync(replace(chief, groups=frozenset())) == []
        scene.settings = replace(SETTINGS, may_make_owners=True)
        assert told(await scene.sync(replace(chief, groups=frozenset())))[0].endswith(
            "give somebody else the role owner first."
        )
        assert Role.OWNER in scene.account().roles, "the last owner"
        steps = await scene.sync(force=True)
        assert "is the last owner" in steps[0].text
        assert scene.account().usable

    telling(tmp_path, story)


def test_accounts_made_here_are_taken_over_only_where_that_gives_nothing_away(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.place.person("ana@example.net")
        await scene.place.person("olga@example.net", Role.OWNER)
        ana, olga = somebody(groups=frozenset({"cn=mail"})), somebody("olga@example.net")
        assert told(await scene.sync(ana, olga)) == [
            "adopt ana@example.net: is the directory's from now on",
            "change ana@example.net: is called Ana",
            "change ana@example.net: is person, postmaster, quarantine-manager",
            "skip olga@example.net: is an administrator's account made here: the directory does not take it over",
        ]
        assert scene.account().source_key == "ana@example.net"
        assert scene.account("olga@example.net").source == ""
        again = replace(ana, key="made anew")
        assert (
            told(await scene.sync(again, olga))[0] == "adopt ana@example.net: is the directory's from now on"
        )
        assert scene.account().source_key == "made anew"

    telling(tmp_path, story)


def test_what_is_somebody_elses_stays_theirs(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.place.person("carol@example.net")
        thief = somebody(addresses=("ana@example.net", "carol@example.net", "a@example.net"))
        (step,) = [one for one in await scene.sync(thief) if one.kind == "skip"]
        assert step.text == "person: carol@example.net is carol@example.net's own address"
        assert scene.addresses() == ("a@example.net", "ana@example.net")
        renamed = replace(thief, login="carol@example.net", addresses=("carol@example.net",))
        steps = await scene.sync(renamed)
        assert "is another account's login" in steps[0].text
        assert scene.account().login == "ana@example.net"

    telling(tmp_path, story)


def test_when_too_many_are_gone_somebody_must_look(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        everybody = [somebody(f"p{number}@example.net") for number in range(20)]
        await scene.sync(*everybody)
        with pytest.raises(
            Unavailable, match="19 of 20 people are not in the directory any more: nobody was disabled"
        ):
            await scene.sync(everybody[0])
        assert all(scene.account(one.login).usable for one in everybody)
        assert len(await scene.sync(*everybody[:16])) == 4
        assert len(await scene.sync(force=True)) == 16

    telling(tmp_path, story)


def test_an_empty_or_halved_directory_shuts_nobody_out_of_a_small_company_either(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        small = [somebody(f"{name}@example.net") for name in ("ana", "ben", "carol")]
        await scene.sync(*small)
        with pytest.raises(Unavailable, match="has nobody any more: nobody was disabled"):
            await scene.sync()
        with pytest.raises(Unavailable, match="2 of 3 people"):
            await scene.sync(small[0])
        assert all(scene.account(one.login).usable for one in small)
        assert told(await scene.sync(*small[:2])) == [
            "disable carol@example.net: not in the directory any more"
        ]
        assert len(await scene.sync(force=True)) == 2

    telling(tmp_path, story)


class Told:
    """A directory that says what it is told to."""

    def __init__(self, *found: DirectoryPerson) -> None:
        self.found: list[DirectoryPerson] | None = list(found)
        self.asked: list[str] = []

    async def people(self) -> list[DirectoryPerson]:
        if self.found is None:
            raise Unavailable("no directory can be reached")
        return self.found

    async def proves(self, key: str, password: str) -> bool:
        self.asked.append(key)
        if self.found is None:
            raise Unavailable("no directory can be reached")
        return password == "the directory's password"


def test_a_directory_that_cannot_be_asked_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(scene: Scene) -> None:
        directory, store = Told(somebody()), scene.place.office.store
        memory = StoredMemory(store.database, scene.place.clock)

        async def concerns() -> list[Concern]:
            def work(connection: Connection) -> list[Concern]:
                now = scene.place.clock()
                return list(own_concerns(own_side_facts(connection, remembered(connection, now)), now))

            await memory.close()
            return store.database.read(work)

        job = PeopleSync(
            settings=lambda: scene.settings, directory=lambda: directory, office=lambda: scene.place.office,
            domains=lambda: ["example.net"], imported=tmp_path / "names.csv", memory=memory,
        )  # fmt: skip
        scene.settings = replace(SETTINGS, protect_everybody=True)
        assert [one.name for one in job.rounds()] == ["people"]
        await job.work()
        assert await concerns() == []
        for wrong, said in ((None, "no directory can be reached"), ([], "has nobody any more")):
            directory.found = wrong
            await job.work()
            assert scene.account().usable
            assert (
                f"people were not brought up to date: {'the directory ' if wrong == [] else ''}{said}"
                in caplog.text
            )
            (concern,) = await concerns()
            assert said in concern.text
            assert "Ana" in (tmp_path / "names.csv").read_text(), "whose name is watched stays so"
        directory.found = [somebody()]
        await job.work()
        assert await concerns() == []
        scene.settings = PeopleSourceSettings()
        assert job.rounds() == []

    telling(tmp_path, story)


def test_the_directorys_password_signs_in_with_a_code_of_ours(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        office, directory = scene.place.office, Told(somebody(key="k1"))
        await scene.sync(*directory.found or ())
        codes = await scene.place.add_codes((await scene.place.enrolling()).token, None)
        sources = {"directory": DirectoryPasswords(directory)}

        async def sign_in(password: str, login: str = "ana@example.net") -> None:
            scene.place.clock.forward(60)
            code = codes.at(int(scene.place.clock.now))
            await signin.by_password(office, login, password, code, visitor=HERE, sources=sources)

        await sign_in("the directory's password")
        for password, login in (
            ("wrong", "ana@example.net"),
            ("the directory's password", "nobody@example.net"),
        ):
            with pytest.raises(SignInRefused, match="do not fit"):
                await sign_in(password, login)
        assert directory.asked == ["k1", "k1", ""]
        directory.found = None
        with pytest.raises(SignInRefused, match="cannot be asked now"):
            await sign_in("the directory's password")

    telling(tmp_path, story)


def test_names_of_the_directory_are_watched_for_impersonation(tmp_path: Path) -> None:
    chief = somebody(name='Ana "the chief" Kovač', also=("山田太郎; 社長",), groups=frozenset({"cn=chiefs"}))
    ben, gone = (
        somebody("ben@example.net"),
        somebody("x@example.net", groups=frozenset({"cn=chiefs"}), disabled=True),
    )
    assert protected(SETTINGS, [chief, ben, gone]) == [chief]
    assert protected(replace(SETTINGS, protect_everybody=True), [chief, ben, gone]) == [chief, ben]
    path, now = tmp_path / "names.csv", [0.0]
    staff = Staff(PeopleSettings(), own_domains=[], folder=tmp_path, imported=path)
    staff.learn_from(lambda most: [], lambda: now[0])
    assert staff.protected == ()
    assert write_protected(path, [chief])
    assert not write_protected(path, [chief])
    assert path.stat().st_mode & 0o777 == 0o600
    assert [(one.name, one.also) for one in read_people_file(path)] == [(chief.name, ("山田太郎, 社長",))]
    now[0] = 301.0
    assert [one.name for one in staff.protected] == [chief.name, "山田太郎, 社長"]
    assert staff.protected is staff.protected
    path.write_text("nonsense\n")
    now[0] = 602.0
    assert len(staff.protected) == 2, "what was known stays"
    path.unlink()
    now[0] = 903.0
    assert staff.protected == ()
