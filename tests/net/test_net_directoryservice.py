"""People out of a real OpenLDAP: what is read, what is refused, and whose password is whose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from gatepost.access.rights import Role
from gatepost.net.directoryservice import (
    DirectoryPerson,
    DirectoryService,
    GroupRoles,
    PeopleSourceSettings,
    _person,
    source_problems,
)
from gatepost.tools import Unavailable
from slapd import BASE, READER, Slapd, group, person, slapd

pytestmark = pytest.mark.peers
ADMINS, NOBODY = f"cn=Admins, ou=groups,{BASE}", f"cn=none,ou=groups,{BASE}"
PEOPLE = [
    person("ana", "mailLocalAddress: ana.k@example.net", "displayName: Ana Kovač".replace("č", "c"), name="Kovac Ana",
           password="ana's secret"),
    person("ben", "mail: benjamin@example.net", password="ben's (secret)*"),
    person("eve", name="Eve*)(uid=*"),
    f"dn: cn=printer,ou=people,{BASE}\nobjectClass: device\ncn: printer\n\n",
    group("admins", "ana"),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with slapd(
        tmp_path_factory.mktemp("slapd"), *PEOPLE, *(person(f"p{number}") for number in range(1200))
    ) as one:
        yield one


def service(server: Slapd, **settings: Any) -> DirectoryService:
    told: dict[str, Any] = {
        "servers": (server.tls,), "bind_dn": READER, "password_file": "password", "base": f"ou=people,{BASE}",
        "filter": "(objectClass=inetOrgPerson)", "trust_anchors": "ca.pem",
        "groups": (GroupRoles(group=ADMINS), GroupRoles(group=NOBODY)),
    }  # fmt: skip
    return DirectoryService(PeopleSourceSettings(**(told | settings)), server.folder)


def people(one: DirectoryService) -> dict[str, DirectoryPerson]:
    return {person.login: person for person in asyncio.run(one.people())}


@pytest.mark.parametrize("way", ["tls", "plain"])
def test_everybody_is_read_page_by_page_over_tls(way: str, server: Slapd) -> None:
    found = people(service(server, servers=(getattr(server, way),)))
    assert len(found) == 1203, "more than the server gives at once"
    ana, ben = found["ana@example.net"], found["ben@example.net"]
    assert (ana.name, ana.also) == ("Ana Kovac", ("Kovac Ana",))
    assert ana.addresses == ("ana@example.net", "ana.k@example.net")
    assert ana.groups == {ADMINS}
    assert ben.groups == frozenset()
    assert set(ben.addresses) == {"ben@example.net", "benjamin@example.net"}
    assert len(ana.key) == 36, "entryUUID"


def test_a_server_that_does_not_answer_is_passed_over(server: Slapd) -> None:
    one = service(server, servers=("ldaps://localhost:1", server.tls), filter="(uid=ana)")
    assert list(people(one)) == ["ana@example.net"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"trust_anchors": ""}, "certificate"),
        ({"servers": ("TLS_BY_ADDRESS",)}, "127.0.0.1"),
        ({"trust_anchors": "none.pem"}, "trust anchors"),
        ({"servers": ("ldaps://localhost:1",)}, "no directory can be reached"),
        ({"password_file": "none"}, "none cannot be read"),
        ({"bind_dn": f"cn=other,{BASE}"}, "does not let us in"),
        ({"bind_dn": "", "password_file": "", "groups": ()}, "to the end"),
        ({"bind_dn": "", "password_file": ""}, "does not show the group"),
        ({"filter": "(uid=ana"}, "failed"),
    ],
)
def test_what_is_not_right_is_said_and_nobody_is_read(
    settings: dict[str, Any], said: str, server: Slapd
) -> None:
    if settings.get("servers") == ("TLS_BY_ADDRESS",):
        settings = {"servers": (server.tls.replace("localhost", "127.0.0.1"),)}
    with pytest.raises(Unavailable, match=said):
        people(service(server, **settings))


def test_a_password_is_the_directorys_to_judge(server: Slapd) -> None:
    one = service(server)
    keys = {login: person.key for login, person in people(one).items()}
    ana, ben = keys["ana@example.net"], keys["ben@example.net"]

    async def go() -> None:
        assert await one.proves(ana, "ana's secret")
        assert await one.proves(ben, "ben's (secret)*")
        for key, password in (
            (ana, "wrong"), (ana, ""), (ana, "ana's secret\0"), (ana, "ben's (secret)*"), ("", "ana's secret"),
            ("*", "ana's secret"), (f"{ana})(uid=*", "ana's secret"), ("hex:00ff", "x"), (keys["p1@example.net"], "x"),
        ):  # fmt: skip
            assert not await one.proves(key, password), (key, password)
        with pytest.raises(Unavailable):
            await service(server, servers=("ldaps://localhost:1",)).proves(ana, "ana's secret")

    asyncio.run(go())


def test_active_directory_says_it_in_its_own_way() -> None:
    settings = PeopleSourceSettings(
        key_attribute="objectGUID", groups=(GroupRoles(group="CN=Mail Admins,OU=Groups,DC=example,DC=net"),)
    )
    attributes = {
        "objectguid": [bytes(range(240, 256))],
        "mail": [b"Ana@Example.Net"],
        "displayname": ["Ana Kovač".encode()],
        "proxyaddresses": [
            b"SMTP:ana@example.net",
            b"smtp:a.kovac@example.net",
            b"x500:/o=x",
            b"sip:ana@example.net",
        ],
        "memberof": [b"cn=mail admins,ou=groups,dc=example,dc=net"],
        "useraccountcontrol": [b"514"],
    }
    found = _person(
        "CN=Ana,OU=Staff,DC=example,DC=net", attributes, settings, {settings.groups[0].group: frozenset()}
    )
    assert found is not None
    assert (found.key, found.login, found.name) == (
        f"hex:{bytes(range(240, 256)).hex()}",
        "ana@example.net",
        "Ana Kovač",
    )
    assert found.addresses == ("ana@example.net", "a.kovac@example.net")
    assert found.groups == {settings.groups[0].group}
    assert found.disabled
    enabled = _person(
        "CN=Ana",
        attributes | {"useraccountcontrol": [b"512"]},
        settings,
        {settings.groups[0].group: frozenset()},
    )
    assert enabled is not None
    assert not enabled.disabled


def test_an_empty_key_is_none() -> None:
    attributes = {"entryuuid": [b""], "mail": [b"ana@example.net"]}
    assert _person("uid=ana", attributes, PeopleSourceSettings(), {}) is None


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("useraccountcontrol", b"--2"), ("accountexpires", b"9" * 4000), ("useraccountcontrol", b"9" * 4000)],
)
def test_numbers_that_are_none_do_not_keep_everybody_else_out(attribute: str, value: bytes) -> None:
    attributes = {"entryuuid": [b"1"], "mail": [b"ana@example.net"], attribute: [value]}
    found = _person("uid=ana", attributes, PeopleSourceSettings(), {})
    assert found is not None
    assert not found.disabled


def test_settings_of_a_directory_that_cannot_work_are_named() -> None:
    wrong = PeopleSourceSettings(
        servers=("dc1.example.net", "ldaps://x:99999"), bind_dn="x", gone_at_most=0.0,
        groups=(GroupRoles(group="cn=x", roles=(Role.OWNER,)),),
    )  # fmt: skip
    told = [one.partition(":")[0] for one in source_problems(wrong)]
    assert told == ["servers", "servers", "base", "bind_dn and password_file", "groups", "gone_at_most"]
    assert source_problems(PeopleSourceSettings()) == []
