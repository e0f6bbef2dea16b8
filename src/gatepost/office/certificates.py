"""Client certificates that sign devices in to send mail (SASL EXTERNAL, RFC 4422 appendix A)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from pysqlite3 import dbapi2

from gatepost.access import networks
from gatepost.access.networks import IpAddress
from gatepost.access.rights import Actor
from gatepost.mail.address import printable
from gatepost.office.apppasswords import (
    NOTED_S,
    SIGN_IN_S,
    Fault,
    Good,
    insist_on_second,
    is_user,
    senders,
    whose,
)
from gatepost.office.naming import sender_of
from gatepost.office.office import Impossible, Office
from gatepost.office.sessions import record
from gatepost.store import accounts, signins
from gatepost.store import apppasswords as rows
from gatepost.store.apppasswords import Certificate
from gatepost.store.database import Connection

MOST = 50
"""An account's."""
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def fingerprint_of(pem: bytes) -> tuple[str, float]:
    """SHA-256 of the first certificate in a PEM file, and when it ends. Raises Impossible."""
    try:
        found = x509.load_pem_x509_certificate(pem)
        return found.fingerprint(SHA256()).hex(), found.not_valid_after_utc.timestamp()
    except ValueError:
        raise Impossible("The file has no certificate in PEM form.") from None


async def add(
    office: Office,
    actor: Actor,
    login: str,
    *,
    name: str,
    fingerprint: str = "",
    subject: str = "",
    sends_as: Iterable[str] = (),
    expires_at: float | None = None,
) -> Certificate:
    """Let a certificate sign the account in, by its SHA-256 fingerprint or, whoever issued it, by its subject (RFC 4514).

    Raises NotAllowed, ProveAgain, Impossible.
    """
    digest = "".join(fingerprint.split()).replace(":", "").lower()
    if bool(digest) == bool(subject):
        raise Impossible("Name the certificate by its fingerprint or by its subject.")
    if digest and not _FINGERPRINT.fullmatch(digest):
        raise Impossible("A fingerprint is SHA-256 in 64 hexadecimal digits.")
    named = normal_subject(subject) if subject else ""
    limited = tuple(dict.fromkeys(sender_of(one) for one in sends_as))
    called = printable(name.strip(), 60)
    if not called:
        raise Impossible("Name the device that has the certificate.")
    await insist_on_second(office, actor, login, f"certificate {called}: {digest or named}")

    def work(connection: Connection) -> Certificate:
        account = whose(connection, office, actor, login)
        if len(rows.certificates(connection, account.id)) >= MOST:
            raise Impossible(f"There are {MOST} certificates already: remove those that nobody uses.")
        for one in limited:
            if one not in accounts.addresses(connection, account.id):
                raise Impossible(f"{account.login} may not write as {one}.")
        number = rows.add_certificate(
            connection, account=account.id, name=called, fingerprint=digest, subject=named, sends_as=limited,
            at=office.clock(), by=actor.who, expires_at=expires_at,
        )  # fmt: skip
        record(connection, office, account, who=actor.who, what=f"certificate add {number}", why=called)
        return next(one for one in rows.certificates(connection, account.id) if one.id == number)

    try:
        return await office.store.database.commit(work)
    except dbapi2.IntegrityError:
        raise Impossible("This certificate signs somebody in already.") from None


def listed(office: Office, actor: Actor, login: str | None = None) -> list[Certificate]:
    """One's own or (with the right) somebody's, newest first."""
    return office.store.database.read(
        lambda connection: rows.certificates(
            connection, whose(connection, office, actor, login, making=False).id
        )
    )


async def remove(office: Office, actor: Actor, login: str | None, number: int, *, reason: str = "") -> bool:
    """It signs nothing in any more; False when there is none such."""

    def work(connection: Connection) -> bool:
        account = whose(connection, office, actor, login, making=False)
        gone = rows.remove_certificate(connection, account.id, number)
        if gone is not None:
            why = f"{gone.name}; {reason}" if reason else gone.name
            record(connection, office, account, who=actor.who, what=f"certificate remove {number}", why=why)
        return gone is not None

    return await office.store.database.commit(work)


async def check(
    office: Office, user: str, *, fingerprint: str, subject: str, ip: IpAddress | None
) -> Good | Fault:
    """Whom a certificate that verified signs in; `user` may be empty, else it must be theirs."""
    now = office.clock()

    def work(connection: Connection) -> tuple[Certificate, Good] | Fault:
        kept = rows.certificate(connection, fingerprint=fingerprint, subject=subject)
        account = accounts.find(connection, id=kept.account) if kept else None
        if kept is None or account is None or (user and not is_user(connection, account, user)):
            return Fault.UNKNOWN
        if not account.usable:
            return Fault.DISABLED
        if kept.expires_at is not None and kept.expires_at <= now:
            return Fault.ENDED
        sends_as = senders(connection, account, kept.sends_as)
        if kept.sends_as and not sends_as:
            return Fault.NOBODY
        return kept, Good(account, kept.name, sends_as)

    found = office.store.database.read(work)
    if isinstance(found, Fault):
        return found
    kept, good = found
    network = networks.prefix(ip)

    def used(connection: Connection) -> None:
        if kept.used_at is None or now - kept.used_at >= SIGN_IN_S or kept.used_from != network:
            signins.note(
                connection, kept.account, at=now, how=f"certificate {kept.name}", succeeded=True, network=network,
                agent="",
            )  # fmt: skip
            why = f"from {network}" if network else ""
            record(connection, office, good.account, what=f"sign-in certificate {kept.id}", why=why)
        rows.certificate_used(connection, kept.id, at=now, network=network)

    if kept.used_at is None or now - kept.used_at >= NOTED_S or kept.used_from != network:
        await office.store.database.commit(used)
    return good


def normal_subject(text: str) -> str:
    """A subject as certificates are compared by it (RFC 4514). Raises Impossible."""
    try:
        return x509.Name.from_rfc4514_string(text).rfc4514_string()
    except ValueError:
        raise Impossible(f"{printable(text, 100)} is no subject such as CN=scanner,O=Example.") from None
