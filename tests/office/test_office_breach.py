"""The draft of a breach notice: what the gate knows is counted, what it does not know is a gap, and nothing is sent."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.access.rights import Right
from gatepost.office import breach, people
from gatepost.office.breach import Asked, Incident
from gatepost.office.holding import Holding
from gatepost.office.office import Impossible, NotAllowed, Office
from gatepost.office.settings import PrivacySettings
from gatepost.store import glass, signins
from gatepost.web.looks import Looks, words_of
from office_samples import EVERYBODY, MANAGER, NOW, OFFICER, held, telling
from people_samples import ROOT
from store_samples import acceptance

HOUR = 3600.0
ANA = "ana@example.net"
SETTINGS = PrivacySettings(controller="Example AG, Zürich", officer="dora@example.net")


def asked(incident: Incident, *, whose: str = "", known_at: float = NOW) -> Asked:
    return Asked(incident=incident, since=NOW - HOUR, until=NOW + HOUR, known_at=known_at, whose=whose)


async def fill(office: Office) -> None:
    """Ana's account sent to three people; two letters to her were held, one let go, one looked at; then it was disabled."""
    account = await people.add(office, ROOT, ANA, name="Ana")
    for number, (at, to) in enumerate((
        (NOW - 10, ("x@example.org", "y@example.org")), (NOW, ("z@example.org",)), (NOW - 9 * HOUR, ("before@example.org",)),
    )):  # fmt: skip
        one = acceptance(f"SENT{number}", at=at, sender=ANA, recipients=to)
        await office.store.carry_out(
            replace(one, entry=replace(one.entry, client=replace(one.entry.client, user=ANA)))
        )
    await office.store.carry_out(held("HELD1", at=NOW - 20))
    await office.store.carry_out(held("HELD2", at=NOW - 20))
    number = office.store.held(ref="HELD1")[0].id
    await Holding(office=office).release(MANAGER, [number], "by mistake", learn=False)

    def rows(connection) -> None:
        glass.view(
            connection,
            who="mallory@example.net",
            owner=ANA,
            ref="HELD2",
            how="preview",
            glass=None,
            at=NOW,
            account=9,
        )
        signins.note(
            connection, account.id, at=NOW, how="passkey", succeeded=True, network="192.0.2.0/24", agent="x"
        )
        signins.note(
            connection, account.id, at=NOW, how="passkey", succeeded=False, network="192.0.2.0/24", agent="x"
        )

    await office.store.database.commit(rows)
    await people.disable(office, ROOT, ANA, reason="taken over")


@pytest.mark.parametrize(("incident", "whose", "persons", "records"), [
    (Incident.ACCOUNT, "Ana@Example.net", {ANA, "x@example.org", "y@example.org", "z@example.org"},
     {"sent": 2, "received": 2, "held": 2, "sign_ins": 1}),
    (Incident.RELEASE, "", {ANA}, {"released": 1}),
    (Incident.RELEASE, "ben@example.net", set(), {}),
    (Incident.READING, "mallory@example.net", {ANA}, {"looks": 1, "read": 1}),
    (Incident.OTHER, "", {ANA, "x@example.org", "y@example.org", "z@example.org"}, {"messages": 4}),
])  # fmt: skip
def test_what_the_gate_knows_is_counted(tmp_path: Path, incident, whose, persons, records) -> None:
    async def story(office: Office) -> None:
        await fill(office)
        facts = await breach.gather(office, OFFICER, asked(incident, whose=whose))
        assert (set(facts.persons), facts.person_count, facts.records) == (persons, len(persons), records)
        assert facts.due_at == NOW + 72 * HOUR
        entry = office.store.journal()[0]
        assert entry.what == f"breach draft {incident}"
        assert f"persons {len(persons)}" in entry.why
        assert "@" not in entry.what + entry.why, "the journal names nobody"
        assert all(
            one.ref.startswith("SENT") for one in office.store.queued() if one.to.endswith("@example.org")
        )

    telling(tmp_path, story)


def test_the_draft_has_every_point_and_a_gap_where_only_people_know(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        await fill(office)
        facts = await breach.gather(office, OFFICER, asked(Incident.ACCOUNT, whose=ANA))
        for language, gap in (("en", "to be filled in"), ("ja", "記入してください")):
            looks = Looks({language: ""})
            text = breach.markdown(
                breach.draft(facts, SETTINGS, NOW + HOUR), "mx.example.net", lambda t, /, _l=language, _k=looks, **v: _k.say(_l, t, **v), NOW,
            )  # fmt: skip
            for point in (
                ("33(3)(a)", "33(3)(b)", "33(3)(c)", "33(3)(d)")
                if language == "en"
                else ("(a)", "(b)", "(c)", "(d)")
            ):
                assert point in text
            assert "Example AG, Zürich" in text
            assert "71" in text, "the hours that are left"
            assert text.count(gap) == 3
            assert f"account disable {ANA}" in text, "what was done"
            assert "x@example.org" not in text, "people concerned are counted, not named"
            assert not re.search(r"%\(\w+\)s", text)
        late = breach.markdown(
            breach.draft(facts, SETTINGS, NOW + 80 * HOUR), "mx", lambda t, /, **v: t % v if v else t, NOW
        )
        assert "The 72 hours are over" in late

    telling(tmp_path, story)


def test_only_the_officer_and_only_what_can_be_meant(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        for actor in EVERYBODY:
            if not actor.may(Right.PRIVACY):
                with pytest.raises(NotAllowed):
                    await breach.gather(office, actor, asked(Incident.OTHER))
        for wrong in (
            asked(Incident.ACCOUNT), asked(Incident.ACCOUNT, whose="no address"),
            replace(asked(Incident.OTHER), until=NOW - 2 * HOUR), replace(asked(Incident.OTHER), since=-1.0),
            asked(Incident.OTHER, known_at=NOW - 2 * HOUR), asked(Incident.OTHER, known_at=NOW + 3 * 86_400),
            replace(asked(Incident.OTHER), since=0.0),
        ):  # fmt: skip
            with pytest.raises(Impossible):
                await breach.gather(office, OFFICER, wrong)
        assert office.store.journal() == []

    telling(tmp_path, story)


def test_every_sentence_is_there_in_japanese() -> None:
    known = words_of("ja")
    said = {*breach.RECORDS.values(), *breach.HAPPENED.values(), *breach.MAY_FOLLOW.values(), breach.GAP}
    assert said - set(known) == set()
