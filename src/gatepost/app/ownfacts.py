"""What an installation knows of its own keys, certificates and policies, for the commands beside the gate."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from gatepost.app.certificates import CERTIFICATES, chain_file
from gatepost.app.installation import Installation
from gatepost.app.ownrecords import OwnFacts
from gatepost.config.schema import Loaded, certificate_names_of
from gatepost.net.certfiles import CertificateFolder, tlsa_of, tlsa_of_file
from gatepost.net.tls import TlsUnusable, expand
from gatepost.store import ownpolicies, signingkeys


def own_facts(domain: str, installation: Installation) -> OwnFacts:
    """For `own_records`. Raises StoreFailed."""
    keys, policies = installation.store.database.read(
        lambda connection: (signingkeys.listed(connection, domain), ownpolicies.policies(connection))
    )
    return OwnFacts(
        keys=tuple(keys), policy=policies.get(domain), tlsa=tuple(tlsa_wanted(installation.loaded))
    )


def tlsa_wanted(loaded: Loaded) -> list[str]:
    """The TLSA records of the key in use and, where we get certificates ourselves, of the next one."""
    found: list[str] = []
    with contextlib.suppress(OSError, ValueError):
        file = chain_file(loaded)
        if file is not None:
            found.append(tlsa_of_file(file))
    if loaded.config.certificates.acme:
        with contextlib.suppress(OSError, ValueError):
            key = CertificateFolder(loaded.state / CERTIFICATES / loaded.config.hostname).known_next_key()
            if key is not None:
                found.append(tlsa_of(key.public_key()))
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """One certificate, as `gatepost cert status` tells it."""

    names: tuple[str, ...]
    file: str
    ends_at: float | None
    """None when it cannot be read."""
    issuer: str = ""
    tlsa: str = ""
    stopgap: bool = False
    """Our own, until the authority has issued one."""
    waiting_until: float | None = None
    """The end of the next certificate, which is here and may not be used yet."""
    problem: str = ""


def certificates_here(loaded: Loaded) -> list[CertificateFacts]:
    """Every certificate of the configuration, as it lies on the disk."""
    settings = loaded.config.tls
    files = [settings.certificate, *(one.certificate for one in settings.more)]
    found = [facts_of(name, loaded.folder) for name in files if name]
    if loaded.config.certificates.acme:
        by_file = {str(loaded.folder / one.file): one for one in found}
        found = []
        for names in certificate_names_of(loaded.config):
            folder = CertificateFolder(loaded.state / CERTIFICATES / names[0])
            one = by_file.get(str(folder.chain_file)) or facts_of(str(folder.chain_file), loaded.folder)
            found.append(with_next(one, folder, names))
    return found


def facts_of(shown: str, folder: Path) -> CertificateFacts:
    """One file, as the configuration names it."""
    try:
        certificate = x509.load_pem_x509_certificate(expand(shown, folder).read_bytes())
    except (OSError, ValueError, TlsUnusable) as fault:
        return CertificateFacts(names=(), file=shown, ends_at=None, problem=f"it cannot be read: {fault}")
    names: tuple[str, ...] = ()
    with contextlib.suppress(x509.ExtensionNotFound):
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(alternative.get_values_for_type(x509.DNSName))
    return CertificateFacts(
        names=names,
        file=shown,
        ends_at=certificate.not_valid_after_utc.timestamp(),
        issuer=certificate.issuer.rfc4514_string(),
        tlsa=tlsa_of(certificate.public_key()),
    )


def with_next(one: CertificateFacts, folder: CertificateFolder, names: tuple[str, ...]) -> CertificateFacts:
    """And what waits beside it."""
    from dataclasses import replace

    try:
        waiting, stopgap = folder.waiting(), folder.is_stopgap()
    except (OSError, ValueError):
        return one
    return replace(
        one,
        names=one.names or names,
        stopgap=stopgap,
        waiting_until=waiting.not_valid_after_utc.timestamp() if waiting is not None else None,
    )
