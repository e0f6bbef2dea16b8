"""A backup of a running store can be verified and restored, and what is wrong with one is said."""

from __future__ import annotations

import asyncio
import contextlib
import json
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
from gatepost.store.backup import MASTER_KEY, backup, digest, keep_files, restore, verify
from gatepost.store.backupsecrets import SEALED, unsealed_into
from gatepost.store.disk import Disk
from gatepost.store.failures import StoreFailed
from gatepost.store.history import Search
from gatepost.store.postmaster import Postmaster, Why
from gatepost.store.secretfile import SecretFile
from gatepost.store.store import Store, keyring
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


WEEKS_S = 21 * 86_400.0


@pytest.fixture
def with_secrets(tmp_path: Path) -> Path:
    """A state with secrets, a certificate, and the master key."""
    state = tmp_path / "state"

    async def story() -> None:
        await Store.open(state).close()

    asyncio.run(story())
    SecretFile(state / "keys" / "srs.secret", "for tests").secrets()
    chain = CertificateFolder(state / "certificates" / "mx.example.net")
    made = state / "certificates" / "mx.example.net" / "1"
    made.mkdir(parents=True)
    (made / "key.pem").write_text("a certificate's key")
    (made / "key.pem").chmod(0o600)
    (chain.path / "current").symlink_to("1", target_is_directory=True)
    (state / "keys" / "links.key").write_text("the key of links")
    keyring(state).add_key()
    (state / "policy-console.toml").write_text('mode = "enforce"\n')
    return state


def with_master_key(state: Path, of: Path) -> Path:
    """A state folder with nothing but that."""
    (state / "keys").mkdir(parents=True)
    shutil.copy2(of / MASTER_KEY, state / MASTER_KEY)
    return state


def test_secrets_and_certificates_come_along_sealed_and_the_master_key_does_not(
    with_secrets: Path, tmp_path: Path
) -> None:
    state, target = with_secrets, tmp_path / "backup"
    srs = SecretFile(state / "keys" / "srs.secret", "for tests")
    address = parse_address("sam@example.org")
    assert address is not None
    changed = rewritten(address, domain="example.net", secret=srs.secrets()[0], now=NOW)
    assert changed is not None
    backup(state, target, now=NOW, keyring=keyring(state))
    assert verify(target) == []
    secrets = (
        srs.path,
        state / MASTER_KEY,
        state / "certificates/mx.example.net/1/key.pem",
        state / "keys/links.key",
    )
    for octets in [path.read_bytes() for path in target.rglob("*") if path.is_file()]:
        for secret in secrets:
            assert secret.read_bytes().splitlines()[-1] not in octets, secret
    again = with_master_key(tmp_path / "again", state)
    assert restore(target, again, hold_because=None, now=NOW, keyring=keyring(again)).secrets
    assert not list(again.rglob("links.key*")), "links in letters end"
    assert not list(again.rglob("*.sealed"))
    assert (again / MASTER_KEY).read_bytes() == (state / MASTER_KEY).read_bytes()
    found = SecretFile(again / "keys" / "srs.secret", "for tests").secrets()
    bounce = bounce_to(changed, secrets=found, now=NOW + WEEKS_S, valid_days=21)
    assert bounce == address, "bounces to addresses of the last three weeks find back"
    key = again / "certificates" / "mx.example.net" / "current" / "key.pem"
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("a certificate's key", 0o600)
    assert (again / "keys" / "srs.secret").stat().st_mode & 0o777 == 0o600
    assert (again / "policy-console.toml").read_text() == 'mode = "enforce"\n'


def test_without_the_master_key_a_restoration_says_so_and_leaves_the_state_alone(
    with_secrets: Path, tmp_path: Path
) -> None:
    target, again = tmp_path / "backup", tmp_path / "again"
    backup(with_secrets, target, now=NOW, keyring=keyring(with_secrets))
    with pytest.raises(StoreFailed, match="put the key file there first, or restore --without-secrets"):
        restore(target, again, hold_because=None, keyring=keyring(again))
    keyring(again).add_key()
    other = (again / MASTER_KEY).read_bytes()
    with pytest.raises(StoreFailed, match="does not have"):
        restore(target, again, hold_because=None, keyring=keyring(again))
    assert (again / MASTER_KEY).read_bytes() == other
    shutil.rmtree(again)
    assert not restore(target, again, hold_because=None, keyring=None).secrets
    assert not (again / "keys" / "srs.secret").exists()


def test_sealed_secrets_that_were_altered_are_not_restored(with_secrets: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    backup(with_secrets, target, now=NOW, keyring=keyring(with_secrets))
    whole = (target / SEALED).read_bytes()
    (target / SEALED).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert verify(target) == [f"{SEALED} was changed after the backup was made"]
    for octets in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:20], b""):
        with pytest.raises(StoreFailed):
            unsealed_into(tmp_path, octets, keyring(with_secrets))


def test_a_backup_of_before_with_plain_secrets_is_still_restored(with_secrets: Path, tmp_path: Path) -> None:
    target, again = tmp_path / "backup", tmp_path / "again"
    backup(with_secrets, target, now=NOW)
    (target / "keys").mkdir()
    shutil.copy2(with_secrets / "keys" / "srs.secret", target / "keys" / "srs.secret")
    manifest = json.loads((target / "manifest.json").read_text())
    manifest["files"]["keys/srs.secret"] = digest(target / "keys" / "srs.secret")
    (target / "manifest.json").write_text(json.dumps(manifest))
    assert restore(target, again, hold_because=None).secrets
    assert (again / "keys" / "srs.secret").read_bytes() == (with_secrets / "keys" / "srs.secret").read_bytes()


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
