"""Rights, the roles that grant them, and who is acting: least privilege by default.

Each right is separate. Reading the content of somebody's mail is a right of its own and no role but the quarantine
manager's has it without breaking the glass; a person's own mail takes `Right.OWN` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    """One thing that may be done."""

    OWN = "own"
    """One's own held mail, entries, devices, sign-ins and data."""
    OVERVIEW = "overview"
    """Counts and health, without anybody's mail."""
    MESSAGES = "messages"
    """Who wrote to whom, when, and what was decided: metadata of everybody's mail."""
    SUBJECTS = "subjects"
    """Subjects and file names beside the metadata."""
    CONTENT = "content"
    """Preview, download and export of everybody's held mail."""
    RELEASE = "release"
    """Release, deny, delete what is held, but not malware."""
    RELEASE_MALWARE = "release-malware"
    TEACH = "teach"
    """Teach the classifier."""
    ENTRIES = "entries"
    """Allow and block senders for everybody."""
    QUEUE = "queue"
    """Retry, hold, drop what waits for delivery."""
    POLICY = "policy"
    """Change weights, thresholds, lists, modes and rules."""
    TOOLS = "tools"
    """Scan a pasted message, test an address."""
    SYSTEM = "system"
    """See configuration, certificates, health and logs; take backups."""
    PEOPLE = "people"
    """Accounts, enrolment, app passwords of others; not the roles of administrators."""
    ROLES = "roles"
    """Give and take roles."""
    JOURNAL = "journal"
    """Who did what."""
    EXPORT = "export"
    """Take data out: history, journal, a person's data."""
    BREAK_GLASS = "break-glass"
    """Ask to read one person's held mail, with a reason."""
    APPROVE = "approve"
    """Be the second person where two are asked for."""
    PRIVACY = "privacy"
    """Requests, retention, holds, the record of processing."""


class Role(StrEnum):
    """What a person is here; somebody may be several things."""

    OWNER = "owner"
    POSTMASTER = "postmaster"
    QUARANTINE_MANAGER = "quarantine-manager"
    HELP_DESK = "help-desk"
    DATA_PROTECTION_OFFICER = "data-protection-officer"
    AUDITOR = "auditor"
    PERSON = "person"


_SEES = frozenset({Right.OWN, Right.OVERVIEW})
_OPERATES = _SEES | {Right.MESSAGES, Right.SUBJECTS, Right.QUEUE, Right.POLICY, Right.TOOLS, Right.SYSTEM, Right.ENTRIES,
                     Right.RELEASE, Right.TEACH, Right.BREAK_GLASS}  # fmt: skip

GRANTS: Mapping[Role, frozenset[Right]] = {
    Role.OWNER: _OPERATES | {Right.PEOPLE, Right.ROLES, Right.JOURNAL, Right.EXPORT, Right.APPROVE, Right.RELEASE_MALWARE},
    Role.POSTMASTER: _OPERATES | {Right.PEOPLE},
    Role.QUARANTINE_MANAGER: _SEES | {Right.MESSAGES, Right.SUBJECTS, Right.CONTENT, Right.RELEASE, Right.RELEASE_MALWARE,
                                      Right.TEACH, Right.ENTRIES},
    Role.HELP_DESK: _SEES | {Right.MESSAGES},
    Role.DATA_PROTECTION_OFFICER: _SEES | {Right.JOURNAL, Right.EXPORT, Right.APPROVE, Right.PRIVACY},
    Role.AUDITOR: _SEES | {Right.JOURNAL},
    Role.PERSON: frozenset({Right.OWN}),
}  # fmt: skip
"""What each role may do."""

ADMINISTRATORS = frozenset(set(Role) - {Role.PERSON})
"""Roles that take a passkey to sign in."""


def rights_of(roles: frozenset[Role], *, help_desk_sees_subjects: bool = False) -> frozenset[Right]:
    """All that these roles grant together; everybody has `Right.OWN`."""
    granted = {Right.OWN}.union(*(GRANTS[role] for role in roles))
    if help_desk_sees_subjects and Role.HELP_DESK in roles:
        granted.add(Right.SUBJECTS)
    return frozenset(granted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who is acting, proved at the door."""

    account: int
    """The account's number; 0 for a command on the machine itself."""
    login: str
    """The address the account signs in with."""
    name: str = ""
    roles: frozenset[Role] = frozenset()
    rights: frozenset[Right] = frozenset()
    addresses: tuple[str, ...] = ()
    """Mail addresses that are this person's own, lower case."""
    via: str = "console"
    """console, api or command."""
    proved_at: float = 0.0
    """Unix seconds of the last proof by passkey or second factor: sensitive acts ask for a recent one."""
    language: str = "en"

    @property
    def who(self) -> str:
        """As the journal names the actor."""
        return self.login

    def may(self, right: Right) -> bool:
        """Is the right granted?"""
        return right in self.rights

    def owns(self, address: str) -> bool:
        """Is this mail address the actor's own?"""
        return address.lower() in self.addresses


def on_this_machine(who: str) -> Actor:
    """Whoever may run a command on the machine itself, by the name the system knows them by: may do everything."""
    return Actor(
        account=0, login=who, name=who, roles=frozenset(Role), rights=frozenset(Right), via="command"
    )
