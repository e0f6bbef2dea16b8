"""Certificates from an ACME server (RFC 8555), with renewal information (RFC 9773). Synchronous: run it in a thread.

What proves our names is handed to `Prover`: a file over HTTP (http-01), a certificate over TLS (tls-alpn-01, RFC 8737),
or a TXT record through a command of the operator's (dns-01).
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import json
import logging
import os
import re
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from gatepost.mail.address import printable
from gatepost.net.authority import ALPN, HTTP, AcmeFailed, Prover, Renewal
from gatepost.net.certfiles import pem_of, write_secret

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # what acme does to pyOpenSSL is its own affair
    from acme import challenges, client, errors, jws, messages
    from josepy.errors import Error as JoseError
    from josepy.json_util import field as json_field
    from josepy.jwa import ES256
    from josepy.jwk import JWK, JWKEC
    from josepy.util import ComparableECKey

log = logging.getLogger("gatepost.certificates")

SYSTEM_WORDS = re.compile(
    r"\[Errno -?[0-9]+\] ([A-Za-z ,]{3,100})|(?:CERTIFICATE_VERIFY_FAILED\] ([^(]{3,100}))"
)
PATIENCE_S = 120.0
"""For one order, from challenge to certificate."""
HOOK_PATIENCE_S = 300.0
TIMEOUT_S = 30
USER_AGENT = "gatepost"
ACCOUNT = "account.json"
AGAIN_MOST_S = 7 * 86_400.0
"""A server that asks to be left alone for longer is asked all the same."""
ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
"""RFC 8737 §3: the extension that holds the digest."""


@challenges.ChallengeResponse.register
class AlpnResponse(challenges.KeyAuthorizationChallengeResponse):
    """tls-alpn-01, which the library left to others."""

    typ = ALPN


@challenges.Challenge.register
class AlpnChallenge(challenges.KeyAuthorizationChallenge):
    """RFC 8737."""

    response_cls = AlpnResponse
    typ = ALPN

    def validation(self, account_key: Any, **_: Any) -> str:
        """The key authorization, whose digest stands in the certificate."""
        return str(self.key_authorization(account_key))


class ReplacingOrder(messages.NewOrder):
    """An order that says which certificate it replaces (RFC 9773 §5)."""

    replaces: str = json_field("replaces", omitempty=True)


class Acme:
    """One account at one server."""

    def __init__(
        self,
        directory: str,
        folder: Path,
        *,
        prover: Prover,
        contact: str = "",
        way: str = HTTP,
        hook: Sequence[str] = (),
        trust_anchors: str | None = None,
        binding: tuple[str, Path] | None = None,
    ) -> None:
        """`folder` keeps the account. `hook`: the command of dns-01, called with add|remove, the name and the value.

        `binding` is what the authority knows us by besides: an identifier, and the file with its key (RFC 8555 §7.3.4).
        """
        self.directory = directory
        self.folder = folder
        self.prover = prover
        self.contact = contact
        self.way = way
        self.hook = tuple(hook)
        self.trust_anchors = trust_anchors
        self.binding = binding
        self._client: Any = None
        self._key: Any = None
        self._network: _Network | None = None

    def obtain(
        self,
        names: Sequence[str],
        key: ec.EllipticCurvePrivateKey,
        *,
        replaces: x509.Certificate | None = None,
    ) -> bytes:
        """A certificate for `names` with this key: the chain as PEM. Raises AcmeFailed."""
        with self._speaking() as acme:
            acme.replaces = certificate_id(replaces) if replaces is not None else ""
            order = acme.new_order(request_for(names, key))
            with contextlib.ExitStack() as proofs:
                for authorization in order.authorizations:
                    if authorization.body.status != messages.STATUS_VALID:
                        self._prove(acme, authorization, proofs)
                deadline = datetime.datetime.now() + datetime.timedelta(seconds=PATIENCE_S)  # noqa: DTZ005 - as the library has it
                done = acme.poll_and_finalize(order, deadline)
            chain = done.fullchain_pem.encode("ascii")
            x509.load_pem_x509_certificate(chain)
            return bytes(chain)

    def renewal(self, certificate: x509.Certificate) -> Renewal | None:
        """When it wants this one renewed; None when it does not say. Raises AcmeFailed."""
        with self._speaking() as acme:
            at, again = acme.renewal_time(certificate.public_bytes(Encoding.PEM))
            return None if at is None else Renewal(at.timestamp(), again.timestamp())

    def change_key(self) -> None:
        """A new key for the account, in place of the present one (RFC 8555 §7.3.5). Raises AcmeFailed.

        It is on the disk before the server hears of it: whichever of the two it knows afterwards, we have.
        """
        with self._speaking() as acme:
            old, fresh = self._key, fresh_key()
            self._write({"key": old.to_json(), "next": fresh.to_json()})
            url = acme.directory["keyChange"]
            said = {"account": acme.net.account.uri, "oldKey": old.public_key().to_json()}
            inner = jws.JWS.sign(json.dumps(said).encode(), key=fresh, alg=ES256, nonce=None, url=url)
            self._client = None  # whatever comes of it, the next who speaks finds out which key counts
            acme.submit(url, inner)
            self._write({"key": fresh.to_json()})

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[Any]:
        if self._network is not None:
            self._network.again_in_s = 0.0
        try:
            if self._client is None:
                self._client = self._open()
            yield self._client
        except errors.ValidationError as failure:
            names = [one.body.identifier.value for one in failure.failed_authzrs]
            raise AcmeFailed(validation_words(failure), names=names) from None
        except messages.Error as failure:
            words = f"the certificate authority says: {failure.detail or failure.typ}"
            raise AcmeFailed(
                words, again_in_s=self._asked_to_wait_s(), names=refused_names(failure)
            ) from None
        except errors.TimeoutError:
            raise AcmeFailed(f"the certificate authority was not done after {PATIENCE_S:.0f} s") from None
        except (errors.Error, OSError, ValueError, KeyError, JoseError) as failure:
            # requests' exceptions are OSErrors.
            words = f"{self.directory} cannot be used: {plain_words(failure)}"
            raise AcmeFailed(words, again_in_s=self._asked_to_wait_s()) from None

    def _asked_to_wait_s(self) -> float:
        return self._network.again_in_s if self._network is not None else 0.0

    def _open(self) -> Any:
        """The account, made at the first use: its key is on the disk before the server hears of it."""
        known = self._known().get(self.directory, {})
        if "key" not in known:
            known = {"key": fresh_key().to_json()}
            self._write(known)
        if "next" in known:  # a change of keys that we do not know the end of
            changed = self._is_account(self._client_with(known["next"]))
            known = {"key": known["next"] if changed else known["key"]}
            self._write(known)
        acme = self._client_with(known["key"])
        registration = messages.NewRegistration.from_data(
            email=self.contact or None,
            terms_of_service_agreed=True,
            external_account_binding=self._binding(acme.directory) if self.binding else None,
        )
        try:
            account = acme.new_account(registration)
        except errors.ConflictError as known_already:
            account = messages.RegistrationResource(uri=known_already.location, body=messages.Registration())
        acme.net.account = account
        return acme

    def _client_with(self, key: dict[str, Any]) -> Any:
        self._key = JWK.from_json(key)
        net = self._network = _Network(
            self._key, alg=ES256, user_agent=USER_AGENT, timeout=TIMEOUT_S,
            verify_ssl=self.trust_anchors or True,  # type: ignore[arg-type]  # requests takes a file as well
        )  # fmt: skip
        return _Client(client.ClientV2.get_directory(self.directory, net), net)

    def _is_account(self, acme: Any) -> bool:
        """Does the server know an account by this key? Makes none."""
        try:
            acme.new_account(messages.NewRegistration(only_return_existing=True))
        except errors.ConflictError:
            return True
        except messages.Error as failure:
            if failure.code != "accountDoesNotExist":
                raise
            return False
        return True

    def _known(self) -> dict[str, Any]:
        """What is kept of accounts, by directory."""
        with contextlib.suppress(FileNotFoundError):
            kept: dict[str, Any] = json.loads((self.folder / ACCOUNT).read_text("ascii"))
            return kept
        return {}

    def _write(self, account: dict[str, Any]) -> None:
        kept = self._known() | {self.directory: account}
        write_secret(self.folder / ACCOUNT, json.dumps(kept).encode("ascii"))

    def _binding(self, directory: Any) -> Any:
        assert self.binding is not None
        name, file = self.binding
        secret = file.read_text("ascii").strip().replace("+", "-").replace("/", "_")
        return messages.ExternalAccountBinding.from_data(self._key.public_key(), name, secret, directory)

    def _prove(self, acme: Any, authorization: Any, proofs: contextlib.ExitStack) -> None:
        name = authorization.body.identifier.value
        for offered in authorization.body.challenges:
            if offered.chall.typ == self.way:
                response, value = offered.response_and_validation(self._key)
                self._put(name, offered.chall, response, value, proofs)
                acme.answer_challenge(offered, response)
                return
        offers = ", ".join(sorted(str(one.chall.typ) for one in authorization.body.challenges))
        raise AcmeFailed(
            f"the certificate authority proves {name} by {offers}, and not by {self.way}", names=(name,)
        )

    def _put(
        self, name: str, challenge: Any, response: Any, value: str, proofs: contextlib.ExitStack
    ) -> None:
        if self.way == HTTP:
            token = challenge.encode("token")
            self.prover.file(token, value)
            proofs.callback(self.prover.file, token, None)
        elif self.way == ALPN:
            chain, key = alpn_certificate(name, response.key_authorization)
            self.prover.certificate(name, chain, key)
            proofs.callback(self.prover.certificate, name, None)
        else:
            where = f"_acme-challenge.{name.removeprefix('*.')}"
            proofs.callback(self._call_hook, "remove", where, value)
            self._call_hook("add", where, value)

    def _call_hook(self, what: str, name: str, value: str) -> None:
        """It returns when the record can be looked up. No shell: the values come from outside."""
        if not self.hook:
            raise AcmeFailed("dns-01 needs certificates.dns_hook: a command that publishes a TXT record")
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own command
                [*self.hook, what, name, value],
                check=False,
                capture_output=True,
                timeout=HOOK_PATIENCE_S,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")},
            )
        except (OSError, subprocess.TimeoutExpired) as failure:
            raise AcmeFailed(f"the command {self.hook[0]} cannot be used: {failure}") from None
        if done.returncode != 0 and what == "add":
            words = done.stderr.decode("utf-8", "replace").strip()[-200:]
            raise AcmeFailed(f"the command {self.hook[0]} ended with {done.returncode}: {words}")


def fresh_key() -> Any:
    """For an account."""
    return JWKEC(key=ComparableECKey(ec.generate_private_key(ec.SECP256R1())))


class _Network(client.ClientNetwork):
    """The library's network, which remembers for how long a server that refuses asks to be left alone (RFC 8555 §6.6)."""

    again_in_s = 0.0

    def _send_request(self, *words: Any, **more: Any) -> Any:
        response = super()._send_request(*words, **more)
        if not response.ok and "Retry-After" in response.headers:
            until = client.ClientV2.retry_after(response, 0)
            left = (until - datetime.datetime.now()).total_seconds()  # noqa: DTZ005 - as the library has it
            self.again_in_s = min(max(left, 0.0), AGAIN_MOST_S)
        return response


class _Client(client.ClientV2):
    """The library's client; an order says what it replaces."""

    replaces = ""

    def submit(self, url: str, signed: Any) -> None:
        """Hand in what has no method of its own in the library."""
        self._post(url, signed)

    def _post(self, url: str, obj: Any, **more: Any) -> Any:
        if isinstance(obj, messages.NewOrder) and self.replaces and "renewalInfo" in self.directory.to_json():
            obj = ReplacingOrder(identifiers=obj.identifiers, profile=obj.profile, replaces=self.replaces)
        return super()._post(url, obj, **more)


def request_for(names: Sequence[str], key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate signing request, PEM."""
    wanted = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.add_extension(wanted, critical=False).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM)


def certificate_id(certificate: x509.Certificate) -> str:
    """How renewal information names a certificate (RFC 9773 §4.1); empty when it has no authority key identifier."""
    try:
        authority = certificate.extensions.get_extension_for_class(
            x509.AuthorityKeyIdentifier
        ).value.key_identifier
    except x509.ExtensionNotFound:
        return ""
    serial = certificate.serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")  # as DER has it, with room for the sign
    return ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in (authority or b"", octets))


def alpn_certificate(name: str, key_authorization: str) -> tuple[bytes, bytes]:
    """The certificate of RFC 8737 §3 and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    digest = hashlib.sha256(key_authorization.encode()).digest()
    subject = x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .add_extension(x509.UnrecognizedExtension(ACME_IDENTIFIER, b"\x04\x20" + digest), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM), pem_of(key)


def plain_words(failure: Exception) -> str:
    """What went wrong, without the libraries' wrapping of the system's own words."""
    text = str(failure)
    found = SYSTEM_WORDS.search(text)
    if found is not None:
        return (found[1] or found[2]).strip()
    if "Connection aborted" in text:
        return "it breaks the connection off"
    if "timed out" in text:
        return "it does not answer in time"
    return printable(text, 300) or type(failure).__name__


def refused_names(failure: Any) -> list[str]:
    """Whose names a refusal of several parts is about (RFC 8555 §6.7.1)."""
    parts = [getattr(one, "identifier", None) for one in failure.subproblems or ()]
    return [one.value for one in parts if one is not None]


def validation_words(failure: Any) -> str:
    """What the server found wrong with our proofs."""
    told = [
        f"{authorization.body.identifier.value}: {one.error.detail}"
        for authorization in failure.failed_authzrs
        for one in authorization.body.challenges
        if one.error is not None
    ]
    return "the certificate authority could not prove our names: " + (
        "; ".join(told) or "it does not say why"
    )
