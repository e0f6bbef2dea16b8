"""People out of a real Active Directory (Samba's): groups in groups, more people than a page, who is disabled, whose password."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from activedirectory import (
    BASE,
    GROUPS,
    PASSWORD,
    READER,
    STAFF,
    DomainController,
    domain_controller,
    group,
    user,
)
from gatepost.access.rights import Role
from gatepost.checks.sender.people import read_people_file
from gatepost.jobs.peoplesync import PeopleSync
from gatepost.net.directoryservice import DirectoryPerson, DirectoryService, GroupRoles, PeopleSourceSettings
from gatepost.office import apppasswords, people
from gatepost.office.apppasswords import Good, Scope
from gatepost.office.peoplesource import Kind
from gatepost.office.sessions import visit_of
from gatepost.tools import Unavailable
from people_samples import ROOT, Place, office_at

pytestmark = pytest.mark.peers
POSTMASTERS, CHIEFS = f"CN=Postmasters (mail\\, all),{GROUPS}", f"CN=Chiefs,{GROUPS}"
MANY = 1100
ADDRESS = f"127.61.{os.getpid() // 250 % 250 + 1}.{os.getpid() % 250 + 1}"
"""Of this run alone."""
ENTRIES = [
    user("ana", "proxyAddresses: SMTP:ana@example.net", "proxyAddresses: smtp:a.kovac@example.net",
         "proxyAddresses: x500:/o=Corp/cn=ana", "proxyAddresses: SIP:ana@example.net", called="Ana Kovac"),
    user("ben", called="Ben (Benjamin) *"),
    user("carol"),
    user("left", "accountExpires: 131000000000000000"),
    "dn: CN=fax,OU=Staff,DC=corp,DC=example,DC=net\nobjectClass: contact\nmail: fax@example.net\n\n",
    *(user(f"p{number}") for number in range(MANY)),
    group("Deepest", f"CN=ana,{STAFF}"),
    group("Deeper", f"CN=Deepest,{GROUPS}"),
    group("Postmasters (mail\\, all)", f"CN=Deeper,{GROUPS}", f"CN=ben,{STAFF}"),
    group("Chiefs", *(f"CN=p{number},{STAFF}" for number in range(MANY))),
]  # fmt: skip


@pytest.fixture(scope="module")
def controller() -> Iterator[DomainController]:
    passwords = {"ana": "Ana-s-s3cret", "ben": "Ben's (s3cret)*", "carol": "Carol-s-s3cret"}
    with domain_controller(*ENTRIES, passwords=passwords, address=ADDRESS) as one:
        yield one


def service(controller: DomainController, **settings: Any) -> DirectoryService:
    told: dict[str, Any] = {
        "servers": (controller.tls,), "bind_dn": READER, "password_file": "password", "base": BASE,
        "filter": "(&(objectCategory=person)(objectClass=user)(mail=*))", "key_attribute": "objectGUID",
        "trust_anchors": "ca.pem", "groups": (GroupRoles(group=POSTMASTERS), GroupRoles(group=CHIEFS)),
    }  # fmt: skip
    return DirectoryService(PeopleSourceSettings(**(told | settings)), controller.folder)


def read(one: DirectoryService) -> dict[str, DirectoryPerson]:
    return {person.login: person for person in asyncio.run(one.people())}


@pytest.mark.parametrize("way", ["tls", "plain"])
def test_everybody_is_read_with_their_groups_in_groups(way: str, controller: DomainController) -> None:
    found = read(service(controller, servers=(getattr(controller, way),)))
    assert len(found) == MANY + 5, "more than a domain controller gives in one page; the contact is no user"
    ana, ben, carol = (found[f"{name}@example.net"] for name in ("ana", "ben", "carol"))
    assert ana.addresses == ("ana@example.net", "a.kovac@example.net")
    assert (ana.name, ben.name) == ("Ana Kovac", "Ben (Benjamin) *")
    assert ana.groups == {POSTMASTERS}, "two groups down"
    assert ben.groups == {POSTMASTERS}
    assert carol.groups == frozenset()
    assert sum(one.groups == {CHIEFS} for one in found.values()) == MANY
    assert ana.key.startswith("hex:")
    assert not ana.disabled
    assert found["left@example.net"].disabled, "the account has run out"


def test_who_is_disabled_there_is_told_at_the_next_look(controller: DomainController) -> None:
    one = service(controller, filter="(sAMAccountName=carol)")
    assert not read(one)["carol@example.net"].disabled
    flags = f"dn: CN=carol,{STAFF}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: "
    controller.change(f"{flags}514")
    assert read(one)["carol@example.net"].disabled
    controller.change(f"{flags}512")
    assert not read(one)["carol@example.net"].disabled


def test_a_password_is_judged_there(controller: DomainController) -> None:
    one = service(controller)
    keys = {login: person.key for login, person in read(one).items()}
    ana, ben = keys["ana@example.net"], keys["ben@example.net"]

    async def go() -> None:
        assert await one.proves(ana, "Ana-s-s3cret")
        assert await one.proves(ben, "Ben's (s3cret)*")
        for key, password in (
            (ana, "wrong"),
            (ana, ""),
            (ana, "Ben's (s3cret)*"),
            ("", "Ana-s-s3cret"),
            ("hex:2a", "x"),
        ):
            assert not await one.proves(key, password), (key, password)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base": f"OU=Nowhere,{BASE}"}, "there is no OU=Nowhere"),
        ({"base": "DC=other,DC=example"}, "elsewhere|there is no"),
        ({"servers": ("ldaps://localhost",)}, "no directory can be reached"),
        ({"trust_anchors": ""}, "certificate"),
        ({"bind_dn": "gatepost@elsewhere.example"}, "does not let us in"),
        ({"bind_dn": "", "password_file": ""}, "does not|to the end"),
    ],
)
def test_what_is_not_right_is_said_and_nobody_is_read(
    settings: dict[str, Any], said: str, controller: DomainController
) -> None:
    with pytest.raises(Unavailable, match=said):
        read(service(controller, **settings))


def test_the_reader_needs_no_more_than_to_read(controller: DomainController) -> None:
    assert PASSWORD not in repr(service(controller))


def test_who_is_disabled_or_removed_there_loses_every_way_in_at_the_next_synchronisation(
    controller: DomainController, tmp_path: Path
) -> None:
    settings = replace(
        service(controller).settings, filter="(&(objectCategory=person)(objectClass=user)(!(sAMAccountName=p*)))",
        groups=(GroupRoles(group=POSTMASTERS, roles=(Role.POSTMASTER,), protected=True),), gone_at_most=0.5,
    )  # fmt: skip

    async def story(place: Place) -> None:
        office, watched = place.office, tmp_path / "names.csv"
        job = PeopleSync(
            settings=lambda: settings, directory=lambda: DirectoryService(settings, controller.folder),
            office=lambda: office, domains=lambda: ["example.net"], imported=watched,
        )  # fmt: skip
        added = await job.synchronise()
        assert {one.login for one in added} == {f"{name}@example.net" for name in ("ana", "ben", "carol")}
        assert people.show(office, ROOT, "ana@example.net").account.roles == {Role.PERSON, Role.POSTMASTER}
        assert {one.name for one in read_people_file(watched)} == {"Ana Kovac", "Ben (Benjamin) *"}
        assert await job.synchronise() == [], "nothing is done twice"
        for name in ("carol", "ben"):
            session = (await place.enrolling(f"{name}@example.net")).token
            made = await apppasswords.make(
                office, ROOT, f"{name}@example.net", name="phone", scopes=[Scope.SMTP]
            )
            good = await apppasswords.check(
                office, f"{name}@example.net", made.password, scope=Scope.SMTP, ip=None
            )
            assert isinstance(good, Good)
            controller.change(
                f"dn: CN=carol,{STAFF}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514"
                if name == "carol"
                else f"dn: CN=ben,{STAFF}\nchangetype: delete"
            )
            (step,) = await job.synchronise()
            assert (step.kind, step.login) == (Kind.DISABLE, f"{name}@example.net")
            assert await visit_of(office, session) is None
            assert not isinstance(
                await apppasswords.check(
                    office, f"{name}@example.net", made.password, scope=Scope.SMTP, ip=None
                ),
                Good,
            )
        assert {one.name for one in read_people_file(watched)} == {"Ana Kovac"}
        nowhere = replace(settings, base=f"OU=Moved,{BASE}")
        job.directory = lambda: DirectoryService(nowhere, controller.folder)
        with pytest.raises(Unavailable, match="there is no OU=Moved"):
            await job.synchronise()
        assert people.show(office, ROOT, "ana@example.net").account.usable

    async def run() -> None:
        with office_at(tmp_path / "state") as place:
            await story(place)

    asyncio.run(run())
