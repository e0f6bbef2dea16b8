"""The settings of a directory that people come from."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from gatepost.access.rights import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRoles:
    """What members of a group are here."""

    group: str
    """The group's distinguished name."""
    roles: tuple[Role, ...] = ()
    """Roles they have as long as they are in it. `owner` counts only with `may_make_owners`."""
    protected: bool = False
    """Their names are watched for impersonation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleSourceSettings:
    """A directory (LDAP or Active Directory) that accounts come from."""

    servers: tuple[str, ...] = ()
    """`ldaps://dc1.example.net`, or `ldap://…`, which must offer StartTLS; asked in this order. Empty: there is no directory."""
    bind_dn: str = ""
    """Who asks, by distinguished name (or, in Active Directory, `user@domain`)."""
    password_file: str = ""
    """A file with the password, ``%d/NAME`` for a systemd credential."""
    base: str = ""
    """Below which people are looked for, such as `ou=people,dc=example,dc=net`."""
    filter: str = "(&(objectClass=person)(mail=*))"
    """Who of those counts. For Active Directory: `(&(objectCategory=person)(objectClass=user)(mail=*))`."""
    key_attribute: str = "entryUUID"
    """What a person is known by for good. For Active Directory: `objectGUID`."""
    login_attribute: str = "mail"
    """The address somebody signs in with."""
    name_attributes: tuple[str, ...] = ("displayName", "cn")
    """The person's name, the first that is there; further ones are other writings of it."""
    address_attributes: tuple[str, ...] = (
        "mail",
        "proxyAddresses",
        "mailLocalAddress",
        "mailAlternateAddress",
    )
    """Further addresses; those in our domains become the person's own."""
    groups: tuple[GroupRoles, ...] = ()
    """Groups that mean something here."""
    may_make_owners: bool = False
    """A group may make owners: whoever can change it in the directory can then do everything here."""
    protect_everybody: bool = False
    """The names of all people in it are watched for impersonation, not only those of groups that say so."""
    check_passwords: bool = True
    """Its people may sign in to the console with the directory's password and a one-time code of ours."""
    gone_at_most: float = 0.2
    """When more than this share of the people is missing at once, nobody is disabled until somebody looks
    (`gatepost user sync --force`)."""
    every_s: float = 900.0
    """How often it is asked."""
    trust_anchors: str = ""
    """A PEM file of certificates trusted instead of the system's."""
    timeout_s: float = 10.0
    """How long it may take to answer one question."""


def source_problems(settings: PeopleSourceSettings) -> list[str]:
    """What is wrong with the settings, one sentence each."""
    wrong = []
    for one in settings.servers:
        try:
            parts = urlsplit(one)
            sound = parts.scheme in ("ldap", "ldaps") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            sound = False
        if not sound:
            wrong.append(f'servers: "{one}" is no address such as ldaps://dc1.example.net')
    if settings.servers and not settings.base:
        wrong.append(
            "base: is missing: where in the directory people are, such as ou=people,dc=example,dc=net"
        )
    if settings.servers and bool(settings.bind_dn) != bool(settings.password_file):
        wrong.append("bind_dn and password_file: are given together, or neither")
    wrong += [
        f"groups: {group.group} would make owners: that takes may_make_owners = true"
        for group in settings.groups
        if Role.OWNER in group.roles and not settings.may_make_owners
    ]
    if not 0 < settings.gone_at_most <= 1:
        wrong.append("gone_at_most: is a share, more than 0 and at most 1")
    return wrong
