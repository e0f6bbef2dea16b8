"""What the configuration's file and the site's own rules say, for the journal to tell what changed in them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from gatepost.checks.content.rules import RulesSettings, rules_written
from gatepost.config.explain import describe
from gatepost.config.load import parse_toml, read_table
from gatepost.config.schema import Config, Loaded
from gatepost.jobs.settingslog import SettingsLog
from gatepost.office.seen import SettingSeen, without_secrets
from gatepost.store.memory import StoredMemory
from gatepost.store.store import Store

DIGEST = 12
"""Hexadecimal digits that tell one text of a rule from another."""


Written = Mapping[str, Mapping[str, str]]
"""Names and values, by kind."""


def settings_log(
    loaded: Callable[[], Loaded],
    store: Store,
    memory: StoredMemory,
    before: tuple[Loaded, Written] | None = None,
) -> SettingsLog:
    """For the clock of the process that does what the clock starts; `before` is what was read before there was one."""

    def read() -> Written:
        now = loaded()
        return before[1] if before is not None and before[0] is now else known(now)

    return SettingsLog(store=store, memory=memory, version=loaded, read=read, clock=time.time)


def known(loaded: Loaded) -> Written:
    """By kind, as the gate has read it. Raises ConfigError where the file has become unsound since."""
    return {"settings": settings(loaded), "rules": rules(loaded)}


def settings(loaded: Loaded) -> dict[str, str]:
    """What the file sets, secrets hidden. What was saved in the console is in the journal by itself."""
    assert loaded.path is not None
    table = parse_toml(loaded.path)
    alone = read_table(table, Config, file=str(loaded.path))
    found = describe(Config, instance=alone, given=table, meanings=False)
    seen = (without_secrets(SettingSeen(one.key, one.value, "file", "")) for one in found if one.given)
    return {one.key: one.value for one in seen}


def rules(loaded: Loaded) -> dict[str, str]:
    """The site's own, by name, with a digest of each as it is written."""
    return {
        rule.name: hashlib.sha256(rule.path.read_bytes()).hexdigest()[:DIGEST]
        for one in loaded.checks
        if isinstance(one.settings, RulesSettings) and one.settings.rules_folder
        for rule in rules_written(one.settings)
        if rule.path.is_relative_to(Path(one.settings.rules_folder))
    }
