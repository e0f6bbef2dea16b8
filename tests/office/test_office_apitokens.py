"""API tokens: what a program may do with one, and what nobody can."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from gatepost.access.rights import Right, Role
from gatepost.office import apitokens, people
from gatepost.office.apitokens import Made
from gatepost.office.office import Impossible, NotAllowed, ProveAgain
from gatepost.office.sessions import actor_of
from gatepost.store import apitokens as rows
from people_samples import HERE, ROOT, Place, office_at

DAY_S = 86_400.0


def telling(tmp_path: Path, story: Callable[[Place], Awaitable[None]]) -> None:
    async def run() -> None:
        with office_at(tmp_path) as place:
            await story(place)

    asyncio.run(run())


async def made(place: Place, *scopes: Right, login: str = "ana@example.net", **more: Any) -> Made:
    more.setdefault("expires_at", place.clock.now + DAY_S)
    return await apitokens.make(place.office, ROOT, login, name="monitoring", scopes=scopes, **more)


def test_a_token_acts_for_its_owner_within_its_scopes_and_the_owners_rights(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        office = place.office
        await place.person("ana@example.net", Role.POSTMASTER)
        token = await made(place, Right.MESSAGES, Right.QUEUE)
        actor = await apitokens.actor_of(office, token.token, ip=HERE.ip)
        assert actor is not None
        assert (actor.login, actor.via, actor.rights) == (
            "ana@example.net",
            "api",
            {Right.MESSAGES, Right.QUEUE},
        )
        assert actor.addresses == (), "nothing of its owner's own without the scope"
        await people.set_roles(office, ROOT, "ana@example.net", [Role.HELP_DESK])
        less = await apitokens.actor_of(office, token.token, ip=HERE.ip)
        assert less is not None
        assert less.rights == {Right.MESSAGES}
        own = await made(place, Right.OWN)
        mine = await apitokens.actor_of(office, own.token, ip=None)
        assert mine is not None
        assert mine.addresses == ("ana@example.net",)
        await people.disable(office, ROOT, "ana@example.net")
        assert await apitokens.actor_of(office, token.token, ip=HERE.ip) is None

    telling(tmp_path, story)


def test_a_token_ends_is_revoked_and_is_good_only_from_its_networks(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        office = place.office
        number = await place.person()
        near = await made(place, Right.OWN, ranges=["192.0.2.0/24"])
        assert await apitokens.actor_of(office, near.token, ip=HERE.ip) is not None
        for ip in (ip_address("198.51.100.1"), None):
            assert await apitokens.actor_of(office, near.token, ip=ip) is None
        (kept,) = apitokens.listed(office, ROOT, number)
        assert (kept.used_at, kept.used_from) == (place.clock.now, "192.0.2.0/24")
        other = await made(place, Right.OWN)
        assert await apitokens.revoke(office, ROOT, other.kept.id, number)
        assert not await apitokens.revoke(office, ROOT, other.kept.id, number)
        assert await apitokens.actor_of(office, other.token, ip=HERE.ip) is None
        place.clock.forward(DAY_S)
        assert await apitokens.actor_of(office, near.token, ip=HERE.ip) is None
        assert [one for one in place.journal() if "token" in one] == [
            "root: token make 1 (monitoring: own)",
            "root: token make 2 (monitoring: own)",
            "root: token revoke 2 (monitoring)",
        ]
        gone = await office.store.database.commit(lambda c: rows.expire(c, before=place.clock.now, limit=10))
        assert gone == 1, "the revoked one; the other ends only now"

    telling(tmp_path, story)


def test_a_forged_token_is_nobody(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.person()
        token = (await made(place, Right.OWN)).token
        wrong = token[:-1] + ("a" if token[-1] != "a" else "b")
        selector = token.split("_")[1]
        unknown = token.replace(selector, "0" * 16)
        for text in (
            wrong,
            unknown,
            token.upper(),
            token + "a",
            token + "\n",
            token[:-1],
            "",
            "gatepost__",
            "é",
        ):
            assert await apitokens.actor_of(place.office, text, ip=HERE.ip) is None
        database = b"".join(path.read_bytes() for path in tmp_path.glob("gatepost.db*"))
        assert token.split("_")[2].encode() not in database

    telling(tmp_path, story)


def test_what_no_token_can_be(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        office = place.office
        passkey, admitted = await place.with_passkey("ana@example.net", Role.OWNER)
        assert passkey
        ana = await actor_of(office, admitted.token)
        assert ana is not None
        number = await place.person("ben@example.net")
        ends = place.clock.now + DAY_S
        for scopes, said in (
            ([Right.BREAK_GLASS], "takes a person"),
            ([Right.ROLES], "takes a person"),
            ([Right.APPROVE], "takes a person"),
            ([Right.CONTENT], "does not have the right"),
            ([], "Say what it is for"),
        ):
            with pytest.raises(Impossible, match=said):
                await apitokens.make(office, ana, name="x", scopes=scopes, expires_at=ends)
        for more, said in (
            ({"expires_at": place.clock.now}, "within a year"),
            ({"expires_at": place.clock.now + 400 * DAY_S}, "within a year"),
            ({"name": " "}, "Name the program"),
            ({"ranges": ["office"]}, "neither an address nor a network"),
        ):
            told: dict[str, Any] = {"name": "x", "scopes": [Right.OVERVIEW], "expires_at": ends} | more
            with pytest.raises(Impossible, match=said):
                await apitokens.make(office, ana, **told)
        with pytest.raises(NotAllowed, match="their own"):
            await apitokens.make(
                office, ana, "ben@example.net", name="x", scopes=[Right.OWN], expires_at=ends
            )
        stale = replace(ana, proved_at=place.clock.now - 3600)
        with pytest.raises(ProveAgain):
            await apitokens.make(office, stale, name="x", scopes=[Right.OVERVIEW], expires_at=ends)
        token = await apitokens.make(office, ana, name="x", scopes=[Right.PEOPLE, Right.OWN], expires_at=ends)
        program = await apitokens.actor_of(office, token.token, ip=None)
        assert program is not None
        with pytest.raises(NotAllowed, match="cannot make another"):
            await apitokens.make(office, program, name="x", scopes=[Right.OWN], expires_at=ends)
        with pytest.raises(NotAllowed, match="right roles"):
            await people.set_roles(office, program, "ben@example.net", [Role.OWNER])
        assert apitokens.listed(office, program, number) == []
        ben = replace(ana, account=number, login="ben@example.net", rights=frozenset({Right.OWN}))
        with pytest.raises(NotAllowed):
            apitokens.listed(office, ben, ana.account)
        assert not await apitokens.revoke(office, ben, token.kept.id)

    telling(tmp_path, story)
