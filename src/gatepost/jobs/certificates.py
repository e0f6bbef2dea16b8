"""Certificates and the clock: get them, renew them in time, and change a key only when DANE allows it.

A certificate is renewed when its authority says so (RFC 9773), else a month before its end. The next one has a key of
its own, made ahead. While TLSA records are published for our host, a certificate that fits none of them would make every
DANE sender stop (RFC 7672 §3.1.3, RFC 7671 §8.1): so a new key waits until a record that fits has been seen for twice its
TTL. When that takes too long, the present key gets a new certificate, which fits as before.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from gatepost.jobs.letter import Letters
from gatepost.jobs.owntrouble import ACCOUNT_KEY, ASKED, PROBLEMS_KEPT_S, PROBLEMS_KEY, RENEW_KEY
from gatepost.jobs.rounds import Round
from gatepost.jobs.tlsaguard import TlsaGuard, tlsa_name
from gatepost.mailauth.keyrecord import zone_line
from gatepost.net.authority import AcmeFailed, CertificateSettings, Prover, Renewal
from gatepost.net.certfiles import NEXT_CHAIN, CertificateFolder, tlsa_of
from gatepost.store.memory import StoredMemory

if TYPE_CHECKING:
    from gatepost.net.acme import Acme

log = logging.getLogger("gatepost.certificates")

DAY_S = 86_400.0
FAILED_AGAIN_S = (3600.0, 6 * 3600.0, 24 * 3600.0)
"""After so many failures in a row the authority is asked again that much later: it counts failures too."""
WAITS_KEY = "certificates:waits:"
"""How long an authority is left alone, and why; the certificate's first name follows."""
LIFE_SHARE = 3
"""The last third of a certificate's life is for renewing it, whatever `renew_before_s` says."""
URGENT_SHARE = 4
"""When a quarter of that time is left, a key that waits for TLSA waits no longer: the present key gets a new certificate."""


@dataclass(slots=True)
class Standing:
    """How it is with one name's certificate, kept in memory."""

    renewal: Renewal | None = None
    failures: int = 0
    not_before: float = 0.0
    problem: str = ""
    told: str = ""

    @property
    def about(self) -> str:
        """What is told once: of failures that follow each other the first, however they differ in detail."""
        return self.problem.partition(";")[0] if not self.failures else self.problem.partition(": ")[0]


class Waits(msgspec.Struct, frozen=True):
    """What of it outlives a restart: an authority counts failures, whoever restarts."""

    failures: int
    not_before: float
    problem: str


@dataclass(slots=True, kw_only=True)
class CertificateKeeping:
    """Gets and renews the certificates of our names."""

    folder: Path
    """``certificates`` in the state folder."""
    base: Path
    """Where relative paths in the settings start."""
    settings: Callable[[], CertificateSettings]
    wanted: Callable[[], Sequence[tuple[str, ...]]]
    """The names of each certificate; the first of all is the host name's, which DANE is about."""
    guard: TlsaGuard
    prover: Prover
    clock: Callable[[], float]
    letters: Letters | None = None
    memory: StoredMemory | None = None
    """Where a person's wish to renew is found, and problems are kept for the commands."""
    standing: dict[str, Standing] = field(default_factory=dict)
    account_problem: str = ""
    """Why the key of our account was not changed when a person last asked for it."""
    _acme: Acme | None = None
    _for: CertificateSettings | None = None

    def rounds(self) -> Sequence[Round]:
        """For the clock."""
        settings = self.settings()
        return [Round("certificates", settings.check_s, self.work)] if settings.acme else []

    async def work(self) -> None:
        """Look after every certificate; renews them whether it is time or not when a person asked for it."""
        if self.memory is not None and await self.memory.get(ACCOUNT_KEY) == ASKED:
            await self.memory.put(ACCOUNT_KEY, "done", ttl_s=60)
            await self._change_account_key()
        now_due = self.memory is not None and await self.memory.get(RENEW_KEY) == ASKED
        if now_due and self.memory is not None:
            await self.memory.put(RENEW_KEY, "done", ttl_s=60)
        for number, names in enumerate(self.wanted()):
            await self.attend(names, dane=number == 0, now_due=now_due)
        if self.memory is not None:
            told = {name: one.problem for name, one in self.standing.items() if one.problem}
            if self.account_problem:
                told["account"] = self.account_problem
            text = msgspec.json.encode(told).decode()
            await self.memory.put(PROBLEMS_KEY + "certificates", text, ttl_s=PROBLEMS_KEPT_S)

    async def _change_account_key(self) -> None:
        try:
            await asyncio.to_thread(self._server().change_key)
        except (AcmeFailed, OSError, ValueError) as failure:
            self.account_problem = (
                f"The key of the account at the certificate authority was not changed: {failure}"
            )
            log.error("%s", self.account_problem)
        else:
            self.account_problem = ""
            log.info("the account at the certificate authority has a new key")

    async def attend(self, names: tuple[str, ...], *, dane: bool, now_due: bool = False) -> Standing:
        """One certificate: what is due, is done. What goes wrong is said in its standing and told once."""
        state = self.standing.get(names[0]) or await self._as_before(names[0])
        folder = CertificateFolder(self.folder / names[0])
        now, without = self.clock(), None
        try:
            if folder.current() is None:
                folder.make_stopgap(names)
            key = folder.next_key()
            if folder.waiting() is None and (now_due or await self._is_due(folder, names, state)):
                if now < state.not_before and not now_due:
                    return state
                chain, without = await self._obtained(names, key, folder)
                folder.put_by(chain)
                state.renewal = None
                if without is None:
                    await self._is_well(names[0], state)
                log.info("the next certificate of %s is here", names[0])
            await self._switch(folder, names, state, dane=dane)
            if without is not None:
                await self._failed(names, folder, state, without)
        except (AcmeFailed, OSError, ValueError) as failure:
            await self._failed(names, folder, state, failure)
        await self._tell(names[0], state)
        return state

    async def _obtained(
        self, names: tuple[str, ...], key: ec.EllipticCurvePrivateKey, folder: CertificateFolder
    ) -> tuple[bytes, AcmeFailed | None]:
        """A chain; and where a name could not be proved and the time is short, one for the others, with what failed.

        One name whose DNS somebody changed must not take the mail host's certificate with it.
        """
        current = None if folder.is_stopgap() else folder.current()
        try:
            return await asyncio.to_thread(self._server().obtain, names, key, replaces=current), None
        except AcmeFailed as failure:
            rest = tuple(name for name in names if name not in failure.names)
            short = current is None or self.clock() >= urgent_at(current, self.settings())
            if not short or names[0] not in rest or len(rest) == len(names):
                raise
            log.error("%s; a certificate without them is asked for", failure)
            return await asyncio.to_thread(self._server().obtain, rest, key, replaces=current), failure

    async def _failed(
        self, names: Sequence[str], folder: CertificateFolder, state: Standing, failure: Exception
    ) -> None:
        """Not again before a while, or before the authority wants to be asked: also after a restart."""
        name, now = names[0], self.clock()
        wait_s = FAILED_AGAIN_S[min(state.failures, len(FAILED_AGAIN_S) - 1)]
        state.failures += 1
        state.not_before = now + max(wait_s, getattr(failure, "again_in_s", 0.0))
        current = None if folder.is_stopgap() else folder.current()
        missing = [] if current is None else [one for one in names if one not in names_of(current)]
        what = (
            f"The certificate of {name} is without {' and '.join(missing)}"
            if missing
            else f"There is no new certificate for {name}"
        )
        state.problem = f"{what}: {failure}"
        log.error("%s; not again before %s", state.problem, at_moment(state.not_before))
        if self.memory is not None:
            waits = Waits(state.failures, state.not_before, state.problem)
            ttl_s = state.not_before - now + FAILED_AGAIN_S[-1]
            await self.memory.put(WAITS_KEY + name, msgspec.json.encode(waits).decode(), ttl_s=ttl_s)

    async def _is_well(self, name: str, state: Standing) -> None:
        state.failures, state.not_before, state.problem = 0, 0.0, ""
        if self.memory is not None:
            await self.memory.put(WAITS_KEY + name, "", ttl_s=1.0)

    async def _as_before(self, name: str) -> Standing:
        """How it was when we last ran."""
        state = self.standing[name] = Standing()
        kept = await self.memory.get(WAITS_KEY + name) if self.memory is not None else None
        if kept:
            with contextlib.suppress(msgspec.MsgspecError):
                waits = msgspec.json.decode(kept, type=Waits)
                state.failures, state.not_before, state.problem = (
                    waits.failures,
                    waits.not_before,
                    waits.problem,
                )
                state.told = state.about
        return state

    async def _is_due(self, folder: CertificateFolder, names: Sequence[str], state: Standing) -> bool:
        current = folder.current()
        if current is None or folder.is_stopgap() or not set(names) <= set(names_of(current)):
            return True
        now = self.clock()
        if state.renewal is None or now >= state.renewal.ask_again_at:
            try:
                found = await asyncio.to_thread(self._server().renewal, current)
            except AcmeFailed as failure:  # no word from it: the usual time holds
                log.info("no renewal information: %s", failure)
                found = None
            state.renewal = found or Renewal(float("inf"), now + 6 * 3600)
        return now >= min(state.renewal.at, renew_at(current, self.settings()))

    async def _switch(
        self, folder: CertificateFolder, names: tuple[str, ...], state: Standing, *, dane: bool
    ) -> None:
        """Use the next certificate, if there is one and it may be used."""
        waiting = folder.waiting()
        if waiting is None:
            return
        tlsa = tlsa_of(waiting.public_key())
        problem = ""
        if dane:
            in_use_now = [one.public_bytes(Encoding.DER) for one in (folder.current(),) if one is not None]
            problem = await self.guard.problem(names[0], chain_of(folder.path), tlsa, instead_of=in_use_now)
        if not problem:
            folder.switch()
            folder.next_key()
            state.problem = ""
            log.info(
                "%s has a new certificate, until %s", names[0], f"{waiting.not_valid_after_utc:%Y-%m-%d}"
            )
            return
        state.problem = f"The next certificate of {names[0]} waits: {problem}"
        current = folder.current()
        if current is None or folder.is_stopgap() or self.clock() < urgent_at(current, self.settings()):
            return
        if self.clock() < state.not_before:
            return
        key = load_pem_private_key(folder.current_key_pem(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        chain_pem = await asyncio.to_thread(self._server().obtain, names, key, replaces=current)
        folder.install(chain_pem, folder.current_key_pem())
        folder.drop_waiting()
        log.warning(
            "%s; its present key got a new certificate, the next key waits for its end", state.problem
        )
        state.renewal = None
        await self._is_well(names[0], state)

    async def _tell(self, name: str, state: Standing) -> None:
        """To the postmaster, once for each problem."""
        about = state.about
        if about and about != state.told and self.letters is not None:
            records = "\n".join(zone_line(*one) for one in self.tlsa_records())
            more = (
                f"\n\nThe records for the current and the next key:\n\n{records}" if "TLSA" in about else ""
            )
            await self.letters.send(f"Certificate of {name}", state.problem + "." + more)
        state.told = about

    def tlsa_records(self) -> list[tuple[str, str, str]]:
        """The TLSA records of the host name, for the current and the next key."""
        host = self.wanted()[0][0]
        folder = CertificateFolder(self.folder / host)
        current = folder.current()
        found = [] if current is None else [tlsa_of(current.public_key())]
        found.append(tlsa_of(folder.next_key().public_key()))
        return [(tlsa_name(host), "TLSA", one) for one in dict.fromkeys(found)]

    def _server(self) -> Acme:
        from gatepost.net.acme import Acme  # heavy, and many a gate never needs it

        settings = self.settings()
        if self._acme is None or self._for != settings:
            self._for = settings
            self._acme = Acme(
                settings.acme, self.folder, prover=self.prover, contact=settings.contact, way=settings.challenge,
                hook=settings.dns_hook,
                binding=(settings.account_id, self.base / settings.account_key_file) if settings.account_id else None,
                trust_anchors=str(self.base / settings.trust_anchors) if settings.trust_anchors else None,
            )  # fmt: skip
        return self._acme


def at_moment(at: float) -> str:
    """For the log."""
    return f"{datetime.datetime.fromtimestamp(at, datetime.UTC):%Y-%m-%d %H:%M} UTC"


def names_of(certificate: x509.Certificate) -> list[str]:
    """What it is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in found.get_values_for_type(x509.DNSName)]


def chain_of(folder: Path) -> list[bytes]:
    """The next certificate and those above it, DER."""
    found = x509.load_pem_x509_certificates((folder / NEXT_CHAIN).read_bytes())
    return [one.public_bytes(Encoding.DER) for one in found]


def renew_at(certificate: x509.Certificate, settings: CertificateSettings) -> float:
    """When it is time, if the authority does not say."""
    return ends_at(certificate) - spare_s(certificate, settings)


def urgent_at(certificate: x509.Certificate, settings: CertificateSettings) -> float:
    """When there is no time left to wait."""
    return ends_at(certificate) - spare_s(certificate, settings) / URGENT_SHARE


def spare_s(certificate: x509.Certificate, settings: CertificateSettings) -> float:
    """How long before its end it is renewed."""
    life: datetime.timedelta = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return min(settings.renew_before_s, life.total_seconds() / LIFE_SHARE)


def ends_at(certificate: x509.Certificate) -> float:
    """Unix seconds."""
    return certificate.not_valid_after_utc.timestamp()
