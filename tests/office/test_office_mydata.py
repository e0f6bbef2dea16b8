"""The file a person takes along has everything that is kept about them, and nothing that is somebody else's."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.office import mydata, people
from gatepost.office.office import Office, ProveAgain
from gatepost.office.senders import Senders
from gatepost.store import glass
from gatepost.store.personal import PARTS
from gatepost.store.postmaster import Postmaster, Why
from office_samples import ANA, BEN, NOW, POSTMASTER, held, telling
from people_samples import ROOT
from store_samples import acceptance


async def fill(office: Office) -> None:
    account = await people.add(office, ROOT, "ana@example.net", name="Ana")
    assert account.login == ANA.login
    await office.store.carry_out(held("HELD1", subject="Cheap watches"))
    await office.store.carry_out(held("EVIL1", category="malware"))
    await office.store.carry_out(
        held("APPROVE", category="approval", sender="ben@example.net", subject="Secret plan")
    )
    await office.store.carry_out(held("OTHERS", to=("ben@example.net",), sender="ana@example.net"))
    await office.store.carry_out(
        acceptance("FROMANA", at=NOW, sender="ana@example.net", recipients=("x@example.org",))
    )
    await Senders(office=office).add(
        ANA, "spam@example.org", allow=False, recipient="ana@example.net", reason="x"
    )
    await Senders(office=office).add(
        BEN, "ana@example.net", allow=False, recipient="ben@example.net", reason="x"
    )
    await Postmaster(office.store).note(
        "settings change ana@example.net", Why("pia@example.net", "about ana@example.net", NOW)
    )
    await office.store.database.commit(lambda c: glass.view(
        c, at=NOW, account=5, who="pia@example.net", owner="ana@example.net", ref="HELD1", how="preview", glass=None
    ))  # fmt: skip


def opened(octets: bytes) -> tuple[dict[str, object], set[str]]:
    with zipfile.ZipFile(io.BytesIO(octets)) as file:
        return json.loads(file.read("data.json")), set(file.namelist())


def test_it_has_every_part_of_ones_own_and_nobody_elses(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        await fill(office)
        told, names = opened(await mydata.export(office, ANA))
        assert names == {"data.json", "held/HELD1.eml"}, "malware is named only"
        parts = told["data"]["ana@example.net"]
        assert set(parts) == {part.name for part in PARTS} == set(told["about"]), (
            "no kind of data is forgotten"
        )
        assert {one["ref"] for one in parts["held"]} == {"HELD1", "EVIL1"}
        assert {one["ref"] for one in parts["messages"]} >= {"HELD1", "EVIL1", "FROMANA"}
        assert [one["identity"] for one in parts["senders"]] == ["spam@example.org"]
        assert {one["who"] for one in parts["journal"]} == {"ana@example.net"}
        assert [one["who"] for one in parts["looks"]] == ["pia@example.net"], "who looked is theirs to know"
        assert parts["account"][0]["account"]["login"] == "ana@example.net"
        text = json.dumps(told)
        for foreign in ("Secret plan", "about ana", '"APPROVE"'):
            assert foreign not in text, foreign
        assert not {"handle", "password", "seed", "seal"} & set(parts["account"][0]["account"])
        entry = office.store.journal()[0]
        assert entry.what.startswith("data export")

    telling(tmp_path, story)


def test_it_takes_a_fresh_proof(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        with pytest.raises(ProveAgain):
            await mydata.export(office, replace(ANA, proved_at=0.0))
        told, _ = opened(await mydata.export(office, POSTMASTER))
        assert "HELD1" not in json.dumps(told)

    telling(tmp_path, story)
