"""Certificates and policies, put together: which names, which files, which servers, and who looks after them."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gatepost.config.load import ConfigError
from gatepost.config.schema import Loaded, certificate_names_of
from gatepost.dns.answer import Resolver
from gatepost.jobs.certificates import CertificateKeeping
from gatepost.jobs.letter import Letters
from gatepost.jobs.ownpolicy import PolicyKeeping
from gatepost.jobs.owntrouble import IN_USE
from gatepost.jobs.rounds import Round
from gatepost.jobs.tlsaguard import TlsaGuard
from gatepost.jobs.tlsevidence import TlsEvidence
from gatepost.mail.address import Address, parse_address
from gatepost.net.certfiles import CertificateFolder
from gatepost.net.policyhost import PolicyHost, Proofs, listen
from gatepost.net.tls import ServerTls, TlsUnusable, expand
from gatepost.store import ownpolicies
from gatepost.store.failures import StoreFailed
from gatepost.store.memory import StoredMemory
from gatepost.store.store import Store

log = logging.getLogger("gatepost.certificates")

CERTIFICATES = "certificates"
TLSA_S = 300.0
LOOK_AGAIN_S = 60.0
"""The DNS is not asked more often whether a changed certificate may be used."""


def prepare(loaded: Loaded) -> None:
    """Before the first certificate is there: one of our own, so that there is TLS at all. Raises ConfigError."""
    if not loaded.config.certificates.acme:
        return
    top = loaded.state / CERTIFICATES
    new = not top.exists()
    try:
        for names in certificate_names_of(loaded.config):
            own = CertificateFolder(top / names[0])
            if own.current() is None:
                own.make_stopgap(names)
    except (OSError, ValueError) as fault:
        raise ConfigError(str(loaded.path), "certificates", f"{top} cannot be used: {fault}.") from None
    if new and os.geteuid() == 0 and loaded.config.user:
        hand_over(top, loaded.config.user)


def hand_over(top: Path, user: str) -> None:
    """Give what we just made to the account that we are about to become."""
    import pwd

    with contextlib.suppress(KeyError):  # told of elsewhere
        account = pwd.getpwnam(user)
        for path in (top, *top.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


@dataclass(slots=True)
class OwnSockets:
    """Ports of the web, bound while we still may."""

    policies: socket.socket | None = None
    proofs: socket.socket | None = None

    @classmethod
    def bound(cls, loaded: Loaded) -> OwnSockets:
        """Raises ConfigError."""
        config, found = loaded.config, cls()
        for name, key, address in (
            ("policies", "mta_sts.address", config.mta_sts.address),
            (
                "proofs",
                "certificates.http_address",
                config.certificates.http_address if config.certificates.acme else "",
            ),
        ):
            if address:
                try:
                    setattr(found, name, listen(address))
                except (OSError, ValueError) as fault:
                    raise ConfigError(str(loaded.path), key, f"{address}: {fault}.") from None
        return found


@dataclass(slots=True, kw_only=True)
class OwnSide:
    """What the process that delivers does for our certificates and policies."""

    loaded: Callable[[], Loaded]
    store: Store
    resolver: Resolver
    tls: Callable[[], ServerTls | None]
    letters: Letters | None = None
    memory: StoredMemory | None = None
    proofs: Proofs = field(default_factory=Proofs)

    @property
    def guard(self) -> TlsaGuard:
        """Asks the DNS whether a key may be used."""
        return TlsaGuard(database=self.store.database, resolver=self.resolver, clock=time.time)

    def certificates(self) -> CertificateKeeping:
        """Those that we get ourselves."""
        loaded = self.loaded()
        return CertificateKeeping(
            folder=loaded.state / CERTIFICATES, base=loaded.folder,
            settings=lambda: self.loaded().config.certificates,
            wanted=lambda: certificate_names_of(self.loaded().config),
            guard=self.guard, prover=self.proofs, clock=time.time, letters=self.letters, memory=self.memory,
        )  # fmt: skip

    def policies(self) -> PolicyKeeping:
        """MTA-STS of our domains."""
        loaded = self.loaded()
        anchors = loaded.config.outbound.trust_anchors
        return PolicyKeeping(
            database=self.store.database, resolver=self.resolver, settings=lambda: self.loaded().config.mta_sts,
            domains=lambda: [one.name for one in self.loaded().routes.domains if not one.name.startswith(".")],
            hostname=loaded.config.hostname, chain_file=lambda: chain_file(self.loaded()),
            trust_anchors=str(loaded.folder / anchors) if anchors else "", clock=time.time, letters=self.letters,
            memory=self.memory,
        )  # fmt: skip

    def reports(self) -> TlsEvidence:
        """What others report, where that comes to an address of ours."""

        def address() -> Address | None:
            loaded = self.loaded()
            named = parse_address(loaded.config.mta_sts.reports_to)
            return named if named is not None and named.key in loaded.routes.robots else None

        return TlsEvidence(
            store=self.store, address=address, clock=time.time,
            domains=lambda: [one.name for one in self.loaded().routes.domains],
        )  # fmt: skip

    def rounds(self) -> list[Round]:
        """For the clock."""
        found = [*self.certificates().rounds(), *self.policies().rounds(), *self.reports().rounds()]
        if self.loaded().config.tls.certificate:
            found.append(Round("tlsa", TLSA_S, self.look_at_tlsa))
        return found

    async def look_at_tlsa(self) -> None:
        """Does DANE allow the key in use? What is known of a change that waits is left to who waits for it."""
        now, host = self.tls(), self.loaded().config.hostname
        if now is None:
            return
        known = self.store.database.read(lambda connection: ownpolicies.key_change(connection, host))
        if known is None or known.next_spki == now.key_in_use or not known.problem:
            file = now.certificate_files()[0]
            with contextlib.suppress(OSError, ValueError, TlsUnusable):
                if now.key_waiting() == now.key_in_use:
                    await self.guard.problem(host, chain_in(file), now.key_in_use, whose=IN_USE)

    async def may_change(self, key: str) -> str:
        """Why a changed certificate may not be used yet; asks the DNS."""
        now, host = self.tls(), self.loaded().config.hostname
        known = self.store.database.read(lambda connection: ownpolicies.key_change(connection, host))
        if known is not None and known.next_spki == key and time.time() - known.checked_at < LOOK_AGAIN_S:
            return known.problem
        assert now is not None
        try:
            return await self.guard.problem(host, chain_in(now.certificate_files()[0]), key)
        except (OSError, ValueError, StoreFailed) as failure:
            return str(failure)

    @contextlib.asynccontextmanager
    async def serving(self, sockets: OwnSockets) -> AsyncIterator[None]:
        """Serve policies and proofs on the bound ports."""
        servers: list[PolicyHost] = []
        if sockets.policies is not None:
            policies = self.policies()
            servers.append(
                PolicyHost(sockets.policies, proofs=self.proofs, policy=policies.text, tls=self._context)
            )
        if sockets.proofs is not None:
            servers.append(PolicyHost(sockets.proofs, proofs=self.proofs))
        for one in servers:
            one.start()
        try:
            yield
        finally:
            for one in servers:
                await one.stop()

    def _context(self) -> ssl.SSLContext | None:
        now = self.tls()
        return now.context if now is not None else None


def known_to_change(store: Store, host: str) -> Callable[[str], str]:
    """For the processes that receive: what the one that delivers has found out."""

    def ask(key: str) -> str:
        try:
            return store.database.read(lambda connection: ownpolicies.may_change(connection, host, key))
        except StoreFailed as failure:
            return str(failure)

    return ask


def chain_file(loaded: Loaded) -> Path | None:
    """The certificate of the host name."""
    named = loaded.config.tls.certificate
    try:
        return expand(named, loaded.folder) if named else None
    except TlsUnusable:
        return None


def chain_in(file: Path) -> list[bytes]:
    """A PEM file's certificates, DER."""
    return [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(file.read_bytes())]
