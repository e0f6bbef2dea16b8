"""The policy's file as the console may write it: proved before it is kept, and read by the gate at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from gatepost.config.load import ConfigError, parse_toml
from gatepost.config.overlay import HEADING, NAME, parsed, with_modes, with_setting
from gatepost.config.schema import Loaded, load
from gatepost.mail.finding import Mode
from gatepost.office.candidates import Unsound
from gatepost.policy import PolicyBook


class PolicyFile:
    """Implements `office.candidates.Keeper` over ``policy-console.toml`` in the state folder."""

    def __init__(self, loaded: Callable[[], Loaded], reload: Callable[[], None]) -> None:
        """`reload` lets the running gate read its configuration again."""
        self._loaded = loaded
        self._reload = reload

    @property
    def _path(self) -> Path:
        return self._loaded().state / NAME

    def text(self) -> str:
        """Without the heading that says where it comes from."""
        try:
            return self._path.read_text("utf-8").removeprefix(HEADING)
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def book(self) -> PolicyBook:
        """As the gate judges by it, once it has read what was saved last."""
        return self._loaded().policies

    def prove(self, text: str) -> PolicyBook:
        """The policy of the configuration file with this over it. Raises Unsound."""
        return self._over(text).policies

    def outgoing(self, text: str) -> tuple[PolicyBook, PolicyBook]:
        """The policy for mail of our own people as it is, and with this over it. Raises Unsound."""
        return self._loaded().outgoing, self._over(text).outgoing

    def _over(self, text: str) -> Loaded:
        path = self._loaded().path
        assert path is not None
        try:
            return load(path, over=parsed(text))
        except ConfigError as fault:
            where = f"{fault.key}: " if fault.key else ""
            raise Unsound(f"{where}{fault.problem} {fault.hint}".strip()) from None

    def changed(self, text: str, key: str, value: str | float | None) -> str:
        """One setting changed. Raises Unsound."""
        try:
            return with_setting(text, key, value)
        except ConfigError as fault:
            raise Unsound(f"{fault.key}: {fault.problem} {fault.hint}".strip()) from None

    def domains(self) -> Sequence[str]:
        """Without those that stand for whatever is below them."""
        return [one.name.lower() for one in self._loaded().config.domains if not one.name.startswith(".")]

    def staged(self, text: str, domains: Sequence[str], mode: Mode) -> str:
        """With a mode of their own. Raises Unsound."""
        path = self._loaded().path
        assert path is not None
        try:
            return with_modes(text, parse_toml(path), domains, mode.value)
        except ConfigError as fault:
            raise Unsound(f"{fault.key}: {fault.problem} {fault.hint}".strip()) from None

    def put(self, text: str) -> None:
        """Written beside, synced, and moved into place: a gate that starts meanwhile reads the old or the new one."""
        self.prove(text)
        path = self._path
        fresh = path.with_suffix(".new")
        with os.fdopen(
            os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(HEADING + text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._reload()
