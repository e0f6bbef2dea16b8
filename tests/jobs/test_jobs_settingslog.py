"""What is changed in the configuration's file is on record: names and values, no secrets, once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from gatepost.app import fileschanged
from gatepost.config.schema import load
from gatepost.jobs.settingslog import SettingsLog, changes
from gatepost.rules.ruleset import shipped_folder
from gatepost.store import journal
from gatepost.store.memory import StoredMemory
from gatepost.store.store import Store

NOW = 1_800_000_000.0
MAIN = """
hostname = "mx.example.net"
state = "."
[[domains]]
name = "example.net"
deliver = "maildir:m"
[checks.rules]
rules_folder = "rules"
"""
SECRET = """
[certificates]
acme = "https://us:hunter2@ca.example/directory"
agree = true
http_address = "127.0.0.1:80"
"""


class Site:
    """A configuration that is edited, and a gate that reads it."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.path, self.store = folder / "gatepost.toml", store
        (folder / "rules").mkdir()
        self.write(MAIN)
        self.memory = StoredMemory(store.database, lambda: NOW)
        self.log = self.started()

    def started(self) -> SettingsLog:
        """As after a start of the gate."""
        return SettingsLog(
            store=self.store, memory=self.memory, version=lambda: self.loaded,
            read=lambda: fileschanged.known(self.loaded), clock=lambda: NOW,
        )  # fmt: skip

    def write(self, text: str) -> None:
        """And reload."""
        self.path.write_text(text)
        self.loaded = load(self.path)

    def told(self) -> list[tuple[str, str, str]]:
        """What the journal says, oldest first."""
        return [(one.who, one.what, one.why) for one in reversed(self.store.journal())]


def tell(folder: Path, story: Callable[[Site], Awaitable[None]]) -> None:
    async def run() -> None:
        store = Store.open(folder)
        site = Site(folder, store)
        await story(site)
        await site.memory.close()
        assert store.database.read(journal.verify) is None
        await store.close()

    asyncio.run(run())


def test_a_change_in_the_file_is_told_once_with_what_was_before(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        await site.log.work()
        assert site.told() == [], "nothing was known before"
        site.write(MAIN + "[policy]\njunk_at = 5.0\n")
        await site.log.work()
        site.write(
            MAIN.replace('example.net"\ndeliver', 'example.org"\ndeliver') + "[policy]\njunk_at = 3.5\n"
        )
        await site.log.work()
        await site.log.work()
        await site.started().work()
        who = "configuration file"
        assert site.told() == [
            (who, "settings change", "policy.junk_at = 5 (new)"),
            (who, "settings change", 'domains[0].name = "example.org" (was "example.net"); policy.junk_at = 3.5 (was 5)'),
        ]  # fmt: skip
        site.write(MAIN)
        await site.started().work()
        assert "policy.junk_at taken out (was 3.5)" in site.told()[-1][2], (
            "also what changed while the gate stood still"
        )

    tell(tmp_path, story)


def test_what_the_console_saved_is_not_told_again(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        await site.log.work()
        (tmp_path / "policy-console.toml").write_text("[policy]\njunk_at = 5.0\n")
        site.write(MAIN)
        assert site.loaded.config.policy.junk_at == 5.0
        await site.log.work()
        assert site.told() == []

    tell(tmp_path, story)


def test_a_rule_of_our_own_is_told_when_it_comes_changes_and_goes(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        await site.log.work()
        for shipped in (shipped_folder() / "attachments").glob("html-page.*"):
            shutil.copy(shipped, tmp_path / "rules")
        rule = tmp_path / "rules/html-page.toml"
        for change in (lambda: None, lambda: rule.write_text(rule.read_text() + "# ours\n"), rule.unlink):
            change()
            site.write(MAIN)
            await site.log.work()
        came, changed, went = site.told()
        assert {one[1] for one in (came, changed, went)} == {"rules change"}
        assert (came[2].endswith("(new)"), "(was" in changed[2], "taken out" in went[2]) == (True, True, True)
        assert all(one[2].startswith("html-page ") for one in (came, changed, went))

    tell(tmp_path, story)


def test_secrets_are_not_told(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        await site.log.work()
        site.write(MAIN + '[policy.weights]\n"spf.fail" = 4.5\n' + SECRET)
        await site.log.work()
        told = site.told()[-1][2]
        assert "hunter2" not in told
        assert "@ca.example" in told
        assert "policy.weights" in told

    tell(tmp_path, story)


def test_many_changes_are_one_entry_of_bounded_length() -> None:
    before = {f"a{number:03}": "x" * 1000 for number in range(50)}
    told = list(changes(before, {}))
    assert len(told) == 50
    assert max(map(len, told)) < 200
