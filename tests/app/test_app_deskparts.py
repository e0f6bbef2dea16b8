"""How the office's acts meet an installation: letters, links' key, where an address leads, and who reads a saved policy."""

from __future__ import annotations

import os
import signal
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gatepost.access.rights import Role, on_this_machine
from gatepost.app.deskparts import find, reload_gate, tell_owner
from gatepost.app.digests import LINKS, digests_of, holding_of
from gatepost.app.parts import Parts
from gatepost.config.schema import Loaded, load
from gatepost.delivery.directory import Directory
from gatepost.office import people
from gatepost.office.glass import Glass
from gatepost.office.office import Office
from gatepost.tools import Standing
from office_samples import OFFICER, POSTMASTER, held, telling

CONFIG = """
hostname = "mx.example.net"
state = "."
[[domains]]
name = "example.net"
recipients = ["ana@example.net", "ben@example.net"]
deliver = "lmtp:127.0.0.1:24"
aliases = { "sales" = ["ana", "partner@example.org"] }
"""


def loaded_from(folder: Path, more: str = "") -> Loaded:
    path = folder / "gatepost.toml"
    path.write_text(CONFIG + more)
    return load(path)


def test_an_address_is_followed_to_where_its_mail_ends_up(tmp_path: Path) -> None:
    loaded = loaded_from(tmp_path)
    parts: Any = SimpleNamespace(directory=Directory(routes=loaded.routes, clock=lambda: 0.0))

    async def story(_: Office) -> None:
        answer, steps = await find(lambda: loaded, parts, "sales@example.net")
        assert answer.standing is Standing.KNOWN
        assert [(one.address, one.what) for one in steps] == [
            ("ana@example.net", "goes to 127.0.0.1:24 by LMTP"),
            ("partner@example.org", "goes to the MX of example.org"),
        ]
        answer, _ = await find(lambda: loaded, parts, "nobody@example.net")
        assert answer.standing is Standing.UNKNOWN

    telling(tmp_path, story)


def test_what_goes_through_the_smarthost_is_told_so(tmp_path: Path) -> None:
    loaded = loaded_from(tmp_path, '[outbound]\nsmarthost = "relay.example.org:587"\n')
    parts: Any = SimpleNamespace(directory=Directory(routes=loaded.routes, clock=lambda: 0.0))

    async def story(_: Office) -> None:
        _answer, steps = await find(lambda: loaded, parts, "sales@example.net")
        assert steps[1].what == "goes to relay.example.org:587 by SMTP"

    telling(tmp_path, story)


def test_the_owner_is_told_in_their_language_when_the_glass_is_broken(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        root = on_this_machine("root")
        await people.add(office, root, "ana@example.net", language="ja", roles=[Role.PERSON])
        await office.store.carry_out(held("ANAS"))
        glass = Glass(office=office, tell=lambda address, one: tell_owner(address, one, office=office))
        breaking = await glass.ask(POSTMASTER, "ana@example.net", "Ana is ill; a customer waits")
        assert office.store.queued() == [], "nobody is told of what may be refused"
        await glass.agree(OFFICER, breaking.id)
        (letter,) = office.store.queued()
        assert letter.to == "ana@example.net"
        told = message_from_bytes(office.store.octets_of(letter.ref), policy=default)
        assert "閲覧" in told["Subject"]
        text = told.get_content()
        for word in (POSTMASTER.login, OFFICER.login, "Ana is ill; a customer waits"):
            assert word in text

    telling(tmp_path, story)


def test_letters_need_a_console_to_lead_to_and_their_key_is_nobody_elses(tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        loaded = loaded_from(tmp_path, "[digests]\nhour = 0\n")
        await office.store.carry_out(held("SPAM1"))
        parts: Any = SimpleNamespace(store=office.store, loaded=loaded)
        await Parts.send_digests(parts)
        assert office.store.queued() == []
        assert not (tmp_path / LINKS).exists()
        more = '[console]\naddress = "127.0.0.1:8080"\nurl = "http://localhost:8080"\n[digests]\nhour = 0\n'
        with_console = loaded_from(tmp_path, more)
        parts.loaded = with_console
        await Parts.send_digests(parts)
        (letter,) = office.store.queued()
        assert b"http://localhost:8080/link/" in office.store.octets_of(letter.ref)
        assert (tmp_path / LINKS).stat().st_mode & 0o077 == 0
        holding = holding_of(lambda: with_console, office)
        assert len(digests_of(lambda: with_console, office, holding).key) == 32

    telling(tmp_path, story)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_saved_policy_is_read_here_at_once_and_by_all_others(
    monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    told: list[object] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: told.append((pid, number)))
    monkeypatch.setattr(signal, "getsignal", lambda _: lambda *_: None)
    reload_gate(workers, lambda: told.append("here"))
    assert told == ["here", (os.getppid() if workers else os.getpid(), signal.SIGHUP)]
