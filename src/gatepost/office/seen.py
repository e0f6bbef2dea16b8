"""What the console shows of the installation, as `app` tells it: settings without secrets, certificates, DNS records, rules."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gatepost.access.rights import Actor, Right
from gatepost.mail.address import normal_domain, parse_address
from gatepost.mail.filereport import FileReport
from gatepost.mailauth.keyrecord import zone_line
from gatepost.office.office import Impossible, Office
from gatepost.rules.ruleset import RuleSet
from gatepost.store.records import HistoryEntry
from gatepost.tools import RecipientAnswer

SECRET = re.compile(r"(password|secret|token|passphrase|credential)s?(\.|\[|$)", re.IGNORECASE)
USERINFO = re.compile(r"(?<=//)[^/@\s\"]+@")
HIDDEN = "…"
LARGEST_PASTED = 1 << 20


@dataclass(frozen=True, slots=True)
class SettingSeen:
    """One setting."""

    key: str
    value: str
    source: str
    """default, file or console."""
    about: str


@dataclass(frozen=True, slots=True)
class CertificateSeen:
    """One certificate in use."""

    file: str
    ends_at: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RecordSeen:
    """A DNS record as it should be and as it is."""

    name: str
    kind: str
    expected: str
    """As it is to be published; empty: only its owner knows."""
    published: tuple[str, ...]
    state: str
    """ok, missing, differs, unknown (the DNS does not answer) or optional (not there, and mail works without)."""
    text: str
    """One sentence."""

    @property
    def well(self) -> bool:
        """Nothing needs to be done about it, or could be known."""
        return self.state in {"ok", "optional"}

    @property
    def zone(self) -> str:
        """Its lines in a zone file; a remark where only its owner knows the value."""
        if not self.expected:
            return f"; {self.name}. {self.kind}: {self.text}"
        return f"; {self.text}\n{zone_line(self.name, self.kind, self.expected)}"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of where an address leads."""

    address: str
    what: str
    """A sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What the configuration file says and the gate does not do yet, by the names of its tables."""

    reload: tuple[str, ...] = ()
    """A reload takes them up."""
    restart: tuple[str, ...] = ()
    """These take a restart."""
    problem: str = ""
    """Why the file cannot be read; what is in use stays."""


class Judge(Protocol):
    """Looks at a message as the gate would, and keeps nothing."""

    async def __call__(
        self, octets: bytes, *, client_ip: str, hello: str, mail_from: str, recipients: Sequence[str]
    ) -> HistoryEntry:
        """Raises ValueError with a sentence for what was typed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One installation as people look at it."""

    office: Office
    version: str
    settings: Callable[[], Sequence[SettingSeen]]
    certificates: Callable[[], Sequence[CertificateSeen]]
    domains: Callable[[], Sequence[str]]
    records: Callable[[str], Awaitable[Sequence[RecordSeen]]]
    """Of one of our domains; asks the DNS."""
    rules: Callable[[], RuleSet]
    judge: Judge
    find: Callable[[str], Awaitable[tuple[RecipientAnswer, Sequence[Step]]]]
    """Whether an address is a recipient of ours, and where its mail ends up."""
    files: Callable[[bytes], Awaitable[Sequence[FileReport]]] | None = None
    """What is attached to a message, and in that, as the confined child sees it. Raises Unavailable."""
    ahead: Callable[[], Ahead] = Ahead
    """What the file says and the gate does not do yet."""

    def settings_seen(self, actor: Actor) -> list[SettingSeen]:
        """Every setting, secrets hidden. Raises NotAllowed."""
        self.office.insist(actor, Right.SYSTEM)
        return [without_secrets(one) for one in self.settings()]

    async def records_of(self, actor: Actor, domain: str) -> Sequence[RecordSeen]:
        """Of one of our domains. Raises NotAllowed, or Impossible for another's."""
        self.office.insist(actor, Right.SYSTEM)
        name = normal_domain(domain.lstrip("."))
        if name is None or name not in {one.lstrip(".") for one in self.domains()}:
            raise Impossible("That is not one of our domains.")
        return await self.records(name)

    async def try_message(
        self,
        actor: Actor,
        octets: bytes,
        *,
        client_ip: str,
        hello: str,
        mail_from: str,
        recipients: Sequence[str],
    ) -> HistoryEntry:
        """The verdict on a pasted message; nothing is kept of it. Raises NotAllowed or Impossible."""
        self.office.insist(actor, Right.TOOLS)
        if not octets.strip():
            raise Impossible("Paste a whole message, its header first.")
        if len(octets) > LARGEST_PASTED:
            raise Impossible("That is longer than 1 MiB.")
        try:
            return await self.judge(
                octets, client_ip=client_ip, hello=hello, mail_from=mail_from, recipients=recipients
            )
        except ValueError as fault:
            raise Impossible(str(fault)) from None

    async def where(self, actor: Actor, address: str) -> tuple[RecipientAnswer, Sequence[Step]]:
        """Where mail to an address would end up. Raises NotAllowed or Impossible."""
        self.office.insist(actor, Right.TOOLS)
        if parse_address(address.strip(), smtputf8=True) is None:
            raise Impossible("Give one whole address.")
        return await self.find(address.strip())


def without_secrets(one: SettingSeen) -> SettingSeen:
    """The same; what may be a secret is not told, whatever it is."""
    if SECRET.search(one.key) and one.value not in ('""', "none", ""):
        return SettingSeen(one.key, HIDDEN, one.source, one.about)
    return SettingSeen(one.key, USERINFO.sub(f"{HIDDEN}@", one.value), one.source, one.about)
