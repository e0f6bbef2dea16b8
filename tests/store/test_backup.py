"""A backup of a running store can be verified and restored, and what is wrong with one is said."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

import pytest

from gatepost.access.rights import Right
from gatepost.jobs.concerns import concerns
from gatepost.jobs.look import look
from gatepost.jobs.settings import AlertSettings
from gatepost.mail.address import parse_address
from gatepost.mailauth.srs import restored as bounce_to
from gatepost.mailauth.srs import rewritten
from gatepost.net.certfiles import CertificateFolder
from gatepost.office import apitokens, apppasswords, people
from gatepost.office.apppasswords import Good, Scope
from gatepost.store import messages
from gatepost.store.backup import backup, keep_files, restore, verify
from gatepost.store.disk import Disk
from gatepost.store.failures import StoreFailed
from gatepost.store.history import Search
from gatepost.store.postmaster import Postmaster, Why
from gatepost.store.secretfile import SecretFile
from gatepost.store.store import Store
from gatepost.store.upkeep import damaged
from people_samples import ROOT, office_at
from store_samples import acceptance

NOW = 1_750_000_000.0
LARGE = b"Subject: large\r\n\r\n" + b"x" * 100_000


def made(tmp_path: Path) -> tuple[Path, Path]:
    """A state folder and its backup, made while the store is open and takes more mail in."""
    state, target = tmp_path / "state", tmp_path / "backup"

    async def story() -> None:
        store = Store.open(state)
        await store.carry_out(acceptance("SMALL", at=NOW))
        await store.carry_out(acceptance("LARGE", at=NOW, octets=LARGE))
        await Postmaster(store).note("settings change", Why("ana", "because", NOW))
        more = [acceptance(f"MORE{number}", at=NOW, octets=LARGE) for number in range(20)]
        await asyncio.gather(
            asyncio.to_thread(lambda: backup(state, target, now=NOW)),
            *(store.carry_out(mail) for mail in more),
        )
        await store.close()

    asyncio.run(story())
    return state, target


def test_a_restored_store_has_everything(tmp_path: Path) -> None:
    _, target = made(tmp_path)
    assert verify(target) == []
    manifest = restore(target, tmp_path / "again", hold_because="restored").manifest
    assert manifest.counts["journal"] == 1

    async def story() -> None:
        store = Store.open(tmp_path / "again")
        assert store.octets_of("LARGE") == LARGE
        assert damaged(store) == []
        assert store.entry("SMALL") is not None
        assert len(store.find(Search(sender="sam@example.org")).entries) == manifest.counts["history"]
        assert await store.claim(NOW + 1, 100, 60.0, "w") == [], "it may have been delivered since"
        assert {queued.held_because for queued in store.queued()} == {"restored"}
        await store.close()

    asyncio.run(story())


def test_restore_leaves_a_state_that_is_there_alone(tmp_path: Path) -> None:
    state, target = made(tmp_path)
    with pytest.raises(StoreFailed, match="not empty"):
        restore(target, state, hold_because=None)


@pytest.mark.parametrize("broken", ["database", "message", "manifest", "missing"])
def test_damage_is_named(broken: str, tmp_path: Path) -> None:
    _, target = made(tmp_path)
    large = target / "spool" / "E" / "LARGE"
    match broken:
        case "database":
            octets = bytearray((target / "gatepost.db").read_bytes())
            octets[-2000] ^= 1
            (target / "gatepost.db").write_bytes(octets)
        case "message":
            large.unlink()
            large.write_bytes(LARGE.replace(b"x", b"y"))
        case "manifest":
            (target / "manifest.json").unlink()
        case "missing":
            large.unlink()
    wrong = verify(target)
    assert wrong
    with pytest.raises(StoreFailed, match="not sound"):
        restore(target, tmp_path / "again", hold_because=None)
    assert not (tmp_path / "again").exists()


def test_what_leaves_during_the_backup_is_left_out_and_what_was_lost_is_told(tmp_path: Path) -> None:
    state, target = tmp_path / "state", tmp_path / "backup"
    disk = Disk()

    async def story() -> None:
        store = Store.open(state)
        for ref in ("LEAVES", "STAYS", "LOST"):
            await store.carry_out(acceptance(ref, at=NOW, octets=LARGE))
        target.mkdir()
        with contextlib.closing(disk.connect(state / "gatepost.db", read_only=True)) as source:
            source.execute("VACUUM INTO ?", (str(target / "gatepost.db"),))
        await Postmaster(store).drop("LEAVES", Why("ana", "meanwhile", NOW))
        store.spool.path_of("LOST").unlink()
        with contextlib.closing(disk.connect(target / "gatepost.db")) as copy:
            keep_files(state, target, copy)
            assert [ref for ref, _ in messages.in_spool(copy)] == ["STAYS", "LOST"]
            assert copy.execute("SELECT count(*) FROM queue").fetchone() == (2,)
        await store.close()

    asyncio.run(story())
    assert [path.name for path in (target / "spool").rglob("*") if path.is_file()] == ["STAYS"]
    shutil.rmtree(target)
    backup(state, target, now=NOW)
    assert verify(target) == ["the octets of message LOST are missing"]


def test_secrets_and_certificates_come_along_closed_and_the_master_key_does_not(tmp_path: Path) -> None:
    state, target = tmp_path / "state", tmp_path / "backup"

    async def story() -> None:
        await Store.open(state).close()

    asyncio.run(story())
    srs = SecretFile(state / "keys" / "srs.secret", "for tests")
    address = parse_address("sam@example.org")
    assert address is not None
    changed = rewritten(address, domain="example.net", secret=srs.secrets()[0], now=NOW)
    assert changed is not None
    chain = CertificateFolder(state / "certificates" / "mx.example.net")
    made = state / "certificates" / "mx.example.net" / "1"
    made.mkdir(parents=True)
    (made / "key.pem").write_text("a key")
    (made / "key.pem").chmod(0o600)
    (chain.path / "current").symlink_to("1", target_is_directory=True)
    for name in ("quarantine.key", "links.key"):
        (state / "keys" / name).write_text("secret")
    (state / "policy-console.toml").write_text('mode = "enforce"\n')
    backup(state, target, now=NOW)
    (state / "keys" / "srs.secret").write_text("# written in place\n" + srs.path.read_text())
    assert verify(target) == [], "a backup shares no file that may be written to"
    (target / "keys" / "srs.secret").write_text("forged")
    assert verify(target) == ["keys/srs.secret was changed after the backup was made"]
    shutil.rmtree(target)
    backup(state, target, now=NOW)
    restore(target, tmp_path / "again", hold_because=None, now=NOW)
    again = tmp_path / "again"
    assert not list(again.rglob("quarantine.key*"))
    assert not list(again.rglob("links.key*")), "links in letters end"
    secrets = SecretFile(again / "keys" / "srs.secret", "for tests").secrets()
    assert bounce_to(changed, secrets=secrets, now=NOW + 60) == address
    key = again / "certificates" / "mx.example.net" / "current" / "key.pem"
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("a key", 0o600)
    assert (again / "keys" / "srs.secret").stat().st_mode & 0o777 == 0o600
    assert (again / "policy-console.toml").read_text() == 'mode = "enforce"\n'


def test_what_may_have_been_revoked_since_is_not_good_again(tmp_path: Path) -> None:
    state, target = tmp_path / "state", tmp_path / "backup"

    async def story() -> None:
        with office_at(state) as place:
            office = place.office
            await place.with_password("ana@example.net")
            password = (
                await apppasswords.make(office, ROOT, "ana@example.net", name="x", scopes=[Scope.SMTP])
            ).password
            ends = place.clock.now + 86_400
            token = (
                await apitokens.make(
                    office, ROOT, "ana@example.net", name="x", scopes=[Right.OWN], expires_at=ends
                )
            ).token
            await asyncio.to_thread(backup, state, target, now=place.clock.now)

            async def good(folder: Path) -> tuple[bool, bool, int]:
                with office_at(folder) as other:
                    found = await apppasswords.check(
                        other.office, "ana@example.net", password, scope=Scope.SMTP, ip=None
                    )
                    actor = await apitokens.actor_of(other.office, token, ip=None)
                    person = people.show(other.office, ROOT, "ana@example.net")
                    said.append("\n".join(other.journal()))
                    told.extend(of_restored(other.office.store, other.clock.now))
                    return isinstance(found, Good), actor is not None, person.recovery_codes

            said: list[str] = []
            told: list[str] = []
            done = restore(target, tmp_path / "closed", hold_because=None, now=place.clock.now)
            assert done.ended == {
                "app_passwords": 1,
                "api_tokens": 1,
                "client_certificates": 0,
                "recovery_codes": 10,
            }
            assert await good(tmp_path / "closed") == (False, False, 0)
            assert "ended: 1 app passwords, 1 api tokens, 10 recovery codes" in said[0]
            assert len(told) == 1
            assert "restored from a backup of 2027-01-15" in told[0]
            done = restore(
                target, tmp_path / "kept", hold_because=None, now=place.clock.now, keep_app_passwords=True
            )
            assert done.ended == {}
            assert await good(tmp_path / "kept") == (True, True, 10)
            assert "app passwords and tokens kept" in said[1]

    asyncio.run(story())


def of_restored(store: Store, now: float) -> list[str]:
    """What whoever looks is told of a restoration."""
    facts = look(store, now=now, certificates=(), validations=(), lists=())
    return [one.text for one in concerns(facts, AlertSettings()) if one.key == "restored"]
