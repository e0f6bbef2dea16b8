"""People out of a directory: LDAP (RFC 4511) with OpenLDAP's or Active Directory's attributes, over TLS alone.

The library (ldap3) blocks, so it runs in a thread. What a person typed never reaches a filter unescaped (RFC 4515 §3), and a
password is never sent empty: directories take that for an anonymous bind (RFC 4513 §5.1.2).
"""

from __future__ import annotations

import asyncio
import functools
import re
import socket
import ssl
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gatepost.mail.address import parse_address, printable
from gatepost.net.directorysettings import GroupRoles, PeopleSourceSettings, source_problems
from gatepost.net.tls import TlsUnusable, expand
from gatepost.tools import Unavailable

__all__ = [
    "DirectoryPerson",
    "DirectoryService",
    "GroupRoles",
    "PeopleSourceSettings",
    "source_problems",
]

PEOPLE_MOST = 100_000
VALUES_MOST = 5_000
"""Of one attribute: members of a group, addresses of a person."""
PAGE = 500
DISABLED_FLAG = 0x2
"""ACCOUNTDISABLE of userAccountControl (MS-ADTS §2.2.16)."""
NEVER_EXPIRES = frozenset({0, 2**63 - 1})
"""Of accountExpires, else 100 nanoseconds since 1601 (MS-ADA1 §2.1)."""
FROM_1601_S = 11_644_473_600
INTEGER = re.compile(r"-?[0-9]{1,19}")
"""Of 64 bits; what is longer is none."""
STATE_ATTRIBUTES = ("userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime")
MEMBER_ATTRIBUTES = ("member", "uniqueMember", "memberUid")
ACTIVE_DIRECTORY = "1.2.840.113556.1.4.800"
"""LDAP_CAP_ACTIVE_DIRECTORY_OID, by which it can be told (MS-ADTS §3.1.1.3.4.3.1)."""
IN_CHAIN = "1.2.840.113556.1.4.1941"
"""LDAP_MATCHING_RULE_IN_CHAIN: also by groups in groups (MS-ADTS §3.1.1.3.4.4.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryPerson:
    """Somebody in the directory."""

    key: str
    login: str
    """Normal form."""
    name: str
    also: tuple[str, ...] = ()
    """The name in other writings."""
    addresses: tuple[str, ...] = ()
    """All of them, normal form, the login's among them."""
    groups: frozenset[str] = frozenset()
    """Those of the settings, as written there; in Active Directory also by groups in groups."""
    disabled: bool = False
    dn: str = field(default="", repr=False)


@dataclass(slots=True)
class DirectoryService:
    """Asks the directory of the settings."""

    settings: PeopleSourceSettings
    folder: Path
    """Where relative paths start."""

    async def people(self) -> list[DirectoryPerson]:
        """Everybody who counts. Raises Unavailable; never a part of them."""
        return await asyncio.to_thread(self._people)

    async def proves(self, key: str, password: str) -> bool:
        """Is it this person's password there? An empty or unknown `key` costs the same. Raises Unavailable."""
        return await asyncio.to_thread(self._proves, key, password)

    def _people(self) -> list[DirectoryPerson]:
        settings = self.settings
        wanted = [
            settings.key_attribute,
            settings.login_attribute,
            "memberOf",
            "uid",
            *settings.name_attributes,
        ]
        wanted += [*settings.address_attributes, *STATE_ATTRIBUTES]
        with self._bound() as connection:
            nested = bool(settings.groups) and _is_active_directory(connection)
            members = {
                one.group: _nested_members(connection, settings, one.group)
                if nested
                else _members(connection, one.group)
                for one in settings.groups
            }
            found, keys = [], set()
            for dn, attributes in _search(
                connection, settings.base, settings.filter, list(dict.fromkeys(wanted))
            ):
                person = _person(dn, attributes, settings, members)
                if person is not None and person.key not in keys:
                    keys.add(person.key)
                    found.append(person)
                if len(found) > PEOPLE_MOST:
                    raise Unavailable(
                        f"the directory has more than {PEOPLE_MOST} people: narrow base or filter"
                    )
        return found

    def _proves(self, key: str, password: str) -> bool:
        if not password or "\0" in password:
            return False
        ldap3 = library()
        escape = ldap3.utils.conv.escape_filter_chars
        # Keys are kept in a form of our own, so the very octets are asked for.
        value = escape(bytes.fromhex(key[4:])) if key.startswith("hex:") else escape(key or "nobody")
        lookup = f"(&{self.settings.filter}({self.settings.key_attribute}={value}))"
        with self._bound() as connection:
            found = [
                dn for dn, _ in _search(connection, self.settings.base, lookup, [self.settings.key_attribute])
            ]
        dn = found[0] if len(found) == 1 else f"cn=nobody,{self.settings.base}"
        try:
            with self._bound(dn, password):
                return len(found) == 1
        except _WrongPassword:
            return False

    @contextmanager
    def _bound(self, dn: str | None = None, password: str = "") -> Iterator[Any]:
        """A connection over checked TLS, signed in as `dn`, or as who the settings say. Raises Unavailable."""
        ldap3 = library()
        failures = []
        for url in self.settings.servers:
            try:
                connection = self._open(ldap3, url)
            except (ldap3.core.exceptions.LDAPException, OSError) as fault:
                failures.append(f"{url} ({_why(fault)})")
                continue
            try:
                self._sign_in(ldap3, connection, url, dn, password)
                yield connection
            except ldap3.core.exceptions.LDAPException as fault:
                raise Unavailable(f"the directory {url} failed: {_why(fault)}") from None
            finally:
                with suppress(ldap3.core.exceptions.LDAPException, OSError):
                    connection.unbind()
            return
        raise Unavailable(f"no directory can be reached: {'; '.join(failures) or 'none is named'}")

    def _open(self, ldap3: Any, url: str) -> Any:
        parts = urlsplit(url)
        over_tls = parts.scheme == "ldaps"
        server = ldap3.Server(
            parts.hostname, port=parts.port or (636 if over_tls else 389), use_ssl=over_tls, get_info=ldap3.NONE,
            tls=checked_tls(self._context()), connect_timeout=self.settings.timeout_s,
        )  # fmt: skip
        connection = ldap3.Connection(
            server, auto_bind=ldap3.AUTO_BIND_NONE, auto_referrals=False, raise_exceptions=False, check_names=False,
            receive_timeout=max(1, round(self.settings.timeout_s)), return_empty_attributes=False, auto_range=True,
        )  # fmt: skip
        try:
            connection.open(read_server_info=False)
            if not over_tls and not connection.start_tls(read_server_info=False):
                raise OSError("it does not offer StartTLS")
        except BaseException:
            if connection.socket is not None:
                connection.socket.close()
            raise
        return connection

    def _sign_in(self, ldap3: Any, connection: Any, url: str, dn: str | None, password: str) -> None:
        given = dn is not None
        if dn is None:
            if not self.settings.bind_dn:
                return
            dn, password = self.settings.bind_dn, self._password()
        connection.authentication, connection.user, connection.password = ldap3.SIMPLE, dn, password
        if connection.bind(read_server_info=False):
            return
        said = printable(str(connection.result.get("description", "")), 100)
        if given and said in (
            "invalidCredentials",
            "noSuchObject",
            "invalidDNSyntax",
            "inappropriateAuthentication",
        ):
            raise _WrongPassword
        raise Unavailable(f"the directory {url} does not let us in as {dn}: {said}")

    def _password(self) -> str:
        try:
            return expand(self.settings.password_file, self.folder).read_text("utf-8").strip("\r\n")
        except TlsUnusable as fault:
            raise Unavailable(str(fault)) from None
        except (OSError, UnicodeDecodeError) as fault:
            why = getattr(fault, "strerror", None) or "it is no text"
            raise Unavailable(f"{self.settings.password_file} cannot be read: {why}") from None

    def _context(self) -> ssl.SSLContext:
        """Certificate and name are checked; TLS 1.2 at least."""
        named = self.settings.trust_anchors
        try:
            context = ssl.create_default_context(cafile=str(expand(named, self.folder)) if named else None)
        except (OSError, TlsUnusable) as fault:
            raise Unavailable(f"the trust anchors {named} cannot be used: {_why(fault)}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


class _WrongPassword(Exception):
    """The directory does not take it."""


@functools.cache
def library() -> Any:
    """ldap3, which takes a while to import, and touches names that pyasn1 calls outdated while it does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import ldap3
        import ldap3.utils.conv
    return ldap3


def checked_tls(context: ssl.SSLContext) -> Any:
    """ldap3's TLS with our context: the name is checked in the handshake, as everywhere else."""
    base = library().Tls

    class CheckedTls(base):  # type: ignore[misc, valid-type]
        def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
            plain: socket.socket = connection.socket
            host = connection.server.host
            connection.socket = context.wrap_socket(
                plain, server_hostname=host, do_handshake_on_connect=do_handshake
            )

    return CheckedTls(validate=ssl.CERT_REQUIRED)


def _search(
    connection: Any, base: str, query: str, attributes: Sequence[str]
) -> Iterator[tuple[str, Mapping[str, Sequence[bytes]]]]:
    """Every entry with its raw values, page by page (RFC 2696). Raises Unavailable when it is cut short."""
    found = connection.extend.standard.paged_search(
        base, query, attributes=list(attributes), paged_size=PAGE, generator=True
    )
    for one in found:
        if one.get("type") == "searchResEntry":
            raw = one["raw_attributes"]
            yield str(one["dn"]), {name.lower(): values[:VALUES_MOST] for name, values in raw.items()}
    said = connection.result.get("description", "")
    if said == "noSuchObject":  # nobody there is not the same as no such place: a wrong or lost base
        raise Unavailable(f"there is no {base} in the directory, or we may not see it")
    if said == "referral":  # RFC 4511 §4.1.10: followed nowhere, for our password would go along
        raise Unavailable(f"the directory says that {base} is elsewhere: name the server that has it")
    if said != "success":
        raise Unavailable(
            f"the directory did not answer a search below {base} to the end: {printable(str(said), 100)}"
        )


def _members(connection: Any, group: str) -> frozenset[str]:
    """Who is in a group, by the group's own word: names and uids in a form to compare."""
    query = "(objectClass=*)"
    connection.search(group, query, search_scope="BASE", attributes=list(MEMBER_ATTRIBUTES))
    said = str(connection.result.get("description", ""))
    if said not in ("success", "noSuchObject"):
        raise Unavailable(f"the directory does not show the group {group}: {printable(said, 100)}")
    found: set[str] = set()
    for one in connection.response or ():
        for values in one.get("raw_attributes", {}).values():
            found.update(_comparable(_text(value)) for value in values[:PEOPLE_MOST])
    return frozenset(found)


def _is_active_directory(connection: Any) -> bool:
    """By what it says it can do (RFC 4512 §5.1)."""
    connection.search("", "(objectClass=*)", search_scope="BASE", attributes=["supportedCapabilities"])
    said = [one.get("raw_attributes", {}) for one in connection.response or ()]
    return any(ACTIVE_DIRECTORY.encode() in values for one in said for values in one.values())


def _nested_members(connection: Any, settings: PeopleSourceSettings, group: str) -> frozenset[str]:
    """Who is in a group of Active Directory, or in a group in it, by name in a form to compare; a group that is not there
    has nobody."""
    query = f"(&{settings.filter}(memberOf:{IN_CHAIN}:={library().utils.conv.escape_filter_chars(group)}))"
    found = _search(connection, settings.base, query, [settings.key_attribute])
    return frozenset(_comparable(dn) for dn, _ in found)


def _person(
    dn: str,
    attributes: Mapping[str, Sequence[bytes]],
    settings: PeopleSourceSettings,
    members: Mapping[str, frozenset[str]],
) -> DirectoryPerson | None:
    """None for an entry without a key or an address to sign in with."""

    def texts(name: str) -> list[str]:
        return [_text(value) for value in attributes.get(name.lower(), ())]

    keys = attributes.get(settings.key_attribute.lower(), ())
    logins = [key for text in texts(settings.login_attribute) if (key := _address(text))]
    if not any(keys[:1]) or not logins:
        return None
    names = [
        printable(text.strip(), 100)
        for name in settings.name_attributes
        for text in texts(name)
        if text.strip()
    ]
    addresses = [logins[0], *logins]
    addresses += [
        key for name in settings.address_attributes for text in texts(name) if (key := _address(text))
    ]
    said = {_comparable(text) for text in texts("memberOf")}
    known_as = {_comparable(dn), *(_comparable(text) for text in texts("uid"))}
    groups = (one.group for one in settings.groups)
    return DirectoryPerson(
        key=_key(keys[0]),
        login=logins[0],
        name=names[0] if names else "",
        also=tuple(dict.fromkeys(names[1:])),
        addresses=tuple(dict.fromkeys(addresses)),
        groups=frozenset(one for one in groups if _comparable(one) in said or members[one] & known_as),
        disabled=_disabled(texts),
        dn=dn,
    )


def _disabled(texts: Any) -> bool:
    flags = [int(one) for one in texts("userAccountControl") if INTEGER.fullmatch(one)]
    if flags and flags[0] & DISABLED_FLAG:
        return True
    ends = [int(one) for one in texts("accountExpires") if INTEGER.fullmatch(one)]
    if any(one not in NEVER_EXPIRES and one / 10_000_000 - FROM_1601_S <= time.time() for one in ends):
        return True
    return "TRUE" in [one.upper() for one in texts("nsAccountLock")] or "000001010000Z" in texts(
        "pwdAccountLockedTime"
    )


def _key(octets: bytes) -> str:
    """Text as it is; a GUID or anything else in hexadecimal."""
    text = octets.decode("ascii", "replace")
    return text if text.isprintable() and text.isascii() and len(text) <= 200 else f"hex:{octets.hex()}"


def _text(octets: bytes) -> str:
    return octets[:4096].decode("utf-8", "replace")


def _address(text: str) -> str:
    """A mail address in normal form, also behind Active Directory's ``smtp:``; else empty."""
    kind, colon, rest = text.partition(":")
    if colon:
        if kind.lower() != "smtp":
            return ""
        text = rest
    address = parse_address(text.strip(), smtputf8=True) if len(text) <= 320 else None
    return address.key if address is not None and address.domain else ""


def _comparable(dn: str) -> str:
    """A distinguished name without blanks and case around its commas."""
    return ",".join(part.strip() for part in dn.casefold().split(","))


def _why(fault: BaseException) -> str:
    text = getattr(fault, "verify_message", None) or getattr(fault, "strerror", None) or str(fault)
    return printable(str(text) or type(fault).__name__, 200)
