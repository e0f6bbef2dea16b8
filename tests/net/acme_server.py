"""A certificate authority that speaks ACME on loopback: the double of a real one, over the same protocol libraries.

It checks what a real one checks: nonces are used once, each request is signed by the account's key for that address, and
names are proved by asking where it was told to ask. It issues from an authority made on the spot.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import hmac
import http.client
import json
import secrets
import socket
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import acme.client
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from josepy.jwk import JWK
from josepy.jws import JWS

ALPN_OID = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


@dataclass
class AcmeServer:
    """Use as a context; `directory` is where clients begin."""

    http_port: int = 0
    """Where http-01 is asked, whatever the name."""
    tls_port: int = 0
    txt: dict[str, str] = field(default_factory=dict)
    """What dns-01 finds."""
    days: float = 90
    """How long certificates last."""
    window: tuple[datetime.datetime, datetime.datetime] | None = None
    """What renewal information says; None: there is none."""
    orders: list[dict[str, Any]] = field(default_factory=list)
    """The payloads of new orders."""
    accounts: dict[str, JWK] = field(default_factory=dict)
    ahead_s: float = 0
    """How far its clock is ahead when it issues."""
    bound_to: tuple[str, bytes] | None = None
    """New accounts must be bound to this identifier by this key."""
    refuse: str = ""
    """Say this to new orders."""
    again_in_s: int | None = None
    """And ask to be left alone for so long."""
    dies_after_key_change: bool = False
    """The reply to a change of keys is lost."""
    unproved: set[str] = field(default_factory=set)
    """Names that are never proved."""

    def __enter__(self) -> AcmeServer:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test Authority")])
        now = datetime.datetime.now(datetime.UTC)
        self.root = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                    key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(self._key, hashes.SHA256())
        )  # fmt: skip
        self._nonces: set[str] = set()
        self._things: dict[str, dict[str, Any]] = {}
        self._certificates: dict[str, bytes] = {}
        self._lock = threading.Lock()
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                double._get(self)

            def do_HEAD(self) -> None:
                double._answer(self, 200, b"")

            def do_POST(self) -> None:
                double._post(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        # The client sleeps a second between two looks; here everything is done at the first.
        self._patience, acme.client.time = acme.client.time, SimpleNamespace(sleep=lambda _: None)
        return self

    def __exit__(self, *_: object) -> None:
        acme.client.time = self._patience
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def directory(self) -> str:
        return f"{self.url}/directory"

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    def issue(self, names: list[str], public: Any, *, days: float | None = None) -> bytes:
        """A chain for any key: also for tests that need no protocol."""
        now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.ahead_s)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=self.days if days is None else days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM) + self.root_pem

    # The protocol

    def _answer(
        self, to: Any, status: int, body: bytes, kind: str = "application/json", **headers: str
    ) -> None:
        nonce = secrets.token_urlsafe(16)
        with self._lock:
            self._nonces.add(nonce)
        to.send_response(status)
        to.send_header("Replay-Nonce", nonce)
        to.send_header("Content-Type", kind)
        to.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        to.end_headers()
        if to.command != "HEAD":
            to.wfile.write(body)

    def _say(self, to: Any, status: int, value: Any, **headers: str) -> None:
        self._answer(to, status, json.dumps(value).encode(), **headers)

    def _problem(self, to: Any, kind: str, detail: str, status: int = 400, **headers: str) -> None:
        body = json.dumps({"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail}).encode()
        self._answer(to, status, body, "application/problem+json", **headers)

    def _get(self, to: Any) -> None:
        if to.path == "/directory":
            found = {
                name: f"{self.url}/{name}"
                for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")
            }
            if self.window is not None:
                found["renewalInfo"] = f"{self.url}/renewalInfo"
            self._say(to, 200, found)
        elif to.path.startswith("/renewalInfo/") and self.window is not None:
            start, end = (moment.isoformat().replace("+00:00", "Z") for moment in self.window)
            self._say(to, 200, {"suggestedWindow": {"start": start, "end": end}}, Retry_After="3600")
        else:
            self._answer(to, 200, b"")

    def _post(self, to: Any) -> None:
        octets = to.rfile.read(int(to.headers["Content-Length"]))
        jws = JWS.from_json(json.loads(octets))
        header = json.loads(base64.urlsafe_b64decode(json.loads(octets)["protected"] + "=="))
        with self._lock:
            fresh = header["nonce"] in self._nonces
            self._nonces.discard(header["nonce"])
        if not fresh:
            return self._problem(to, "badNonce", "this nonce was not given out")
        if header["url"] != self.url + to.path:
            return self._problem(to, "unauthorized", "signed for another address")
        key = JWK.from_json(header["jwk"]) if "jwk" in header else self.accounts.get(header["kid"])
        if key is None or not jws.verify(key):
            return self._problem(to, "malformed", "the signature does not fit")
        payload = json.loads(jws.payload) if jws.payload else {}
        thing, _, number = to.path.strip("/").partition("/")
        getattr(self, f"_{thing}")(to, number, payload, key)
        return None

    def _newAccount(self, to: Any, _: str, payload: dict[str, Any], key: JWK) -> None:
        known = next(
            (one for one, held in self.accounts.items() if held.thumbprint() == key.thumbprint()), None
        )
        where = known or f"{self.url}/account/{secrets.token_hex(8)}"
        status = 200 if known else 201
        if payload.get("onlyReturnExisting") and not known:
            return self._problem(to, "accountDoesNotExist", "no account has this key")
        if status == 201 and not payload.get("termsOfServiceAgreed"):
            return self._problem(to, "userActionRequired", "agree first")
        if self.bound_to is not None and not self._is_bound(payload.get("externalAccountBinding"), key):
            return self._problem(to, "externalAccountRequired", "this account is not bound")
        self.accounts[where] = key
        return self._say(
            to, status, {"status": "valid", "contact": payload.get("contact", [])}, Location=where
        )

    def _keyChange(self, to: Any, _: str, payload: dict[str, Any], key: JWK) -> None:
        header = json.loads(base64.urlsafe_b64decode(payload["protected"] + "=="))
        fresh, inner = JWK.from_json(header["jwk"]), JWS.from_json(payload)
        said = json.loads(inner.payload)
        old = JWK.from_json(said["oldKey"])
        right = (
            inner.verify(fresh) and header["url"] == f"{self.url}/keyChange" and "nonce" not in header
            and self.accounts.get(said["account"]) is key and old.thumbprint() == key.thumbprint()
        )  # fmt: skip
        if not right:
            return self._problem(to, "malformed", "the change of keys does not hold together")
        self.accounts[said["account"]] = fresh
        if self.dies_after_key_change:
            to.close_connection = True
            return None
        return self._say(to, 200, {"status": "valid"})

    def _is_bound(self, given: Any, key: JWK) -> bool:
        if given is None or self.bound_to is None:
            return False
        protected = json.loads(base64.urlsafe_b64decode(given["protected"] + "=="))
        payload = json.loads(base64.urlsafe_b64decode(given["payload"] + "=="))
        signed = f"{given['protected']}.{given['payload']}".encode()
        digest = hmac.digest(self.bound_to[1], signed, "sha256")
        return (
            protected["kid"] == self.bound_to[0]
            and protected["url"] == f"{self.url}/newAccount"
            and JWK.from_json(payload).thumbprint() == key.thumbprint()
            and hmac.compare_digest(base64.urlsafe_b64decode(given["signature"] + "=="), digest)
        )

    def _newOrder(self, to: Any, _: str, payload: dict[str, Any], key: JWK) -> None:
        self.orders.append(payload)
        if self.refuse:
            wait = {} if self.again_in_s is None else {"Retry_After": str(self.again_in_s)}
            return self._problem(to, "rateLimited", self.refuse, 429, **wait)
        number = secrets.token_hex(4)
        authorizations = []
        for one in payload["identifiers"]:
            mine = secrets.token_hex(4)
            challenges = [
                {"type": kind, "url": f"{self.url}/challenge/{mine}.{kind}", "token": secrets.token_urlsafe(16), "status": "pending"}
                for kind in ("http-01", "tls-alpn-01", "dns-01")
            ]  # fmt: skip
            self._things[mine] = {"identifier": one, "status": "pending", "challenges": challenges}
            authorizations.append(f"{self.url}/authz/{mine}")
        self._things[number] = {
            "status": "pending", "identifiers": payload["identifiers"], "authorizations": authorizations,
            "finalize": f"{self.url}/finalize/{number}",
        }  # fmt: skip
        return self._say(to, 201, self._things[number], Location=f"{self.url}/order/{number}")

    def _authz(self, to: Any, number: str, _: Any, __: JWK) -> None:
        self._say(to, 200, self._things[number])

    def _order(self, to: Any, number: str, _: Any, __: JWK) -> None:
        self._say(to, 200, self._things[number])

    def _challenge(self, to: Any, number: str, _: Any, key: JWK) -> None:
        mine, _, kind = number.partition(".")
        thing = self._things[mine]
        challenge = next(one for one in thing["challenges"] if one["type"] == kind)
        thumb = base64.urlsafe_b64encode(key.thumbprint()).decode().rstrip("=")
        problem = self._prove(
            kind, thing["identifier"]["value"], challenge["token"], f"{challenge['token']}.{thumb}"
        )
        thing["status"] = challenge["status"] = "invalid" if problem else "valid"
        if problem:
            challenge["error"] = {"type": "urn:ietf:params:acme:error:unauthorized", "detail": problem}
        self._say(to, 200, challenge, Link=f'<{self.url}/authz/{mine}>;rel="up"')

    def _finalize(self, to: Any, number: str, payload: dict[str, Any], _: JWK) -> None:
        order = self._things[number]
        csr = x509.load_der_x509_csr(base64.urlsafe_b64decode(payload["csr"] + "=="))
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        wanted = sorted(names.get_values_for_type(x509.DNSName))
        if wanted != sorted(one["value"] for one in order["identifiers"]) or not csr.is_signature_valid:
            return self._problem(to, "badCSR", "it asks for other names than the order")
        ready = all(
            self._things[url.rpartition("/")[2]]["status"] == "valid" for url in order["authorizations"]
        )
        if not ready:
            return self._problem(to, "orderNotReady", "the names are not proved")
        self._certificates[number] = self.issue(wanted, csr.public_key())
        order |= {"status": "valid", "certificate": f"{self.url}/certificate/{number}"}
        return self._say(to, 200, order, Location=f"{self.url}/order/{number}")

    def _certificate(self, to: Any, number: str, _: Any, __: JWK) -> None:
        self._answer(to, 200, self._certificates[number], "application/pem-certificate-chain")

    # Proofs

    def _prove(self, kind: str, name: str, token: str, expected: str) -> str:
        """What is wrong; empty when nothing is."""
        if name in self.unproved:
            return f"no address for {name}"
        try:
            if kind == "http-01":
                with contextlib.closing(
                    http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=5)
                ) as asked:
                    asked.request("GET", f"/.well-known/acme-challenge/{token}", headers={"Host": name})
                    with asked.getresponse() as answer:
                        found = answer.read().decode()
                return (
                    ""
                    if answer.status == 200 and found == expected
                    else f"{name} answers {answer.status} {found[:40]!r}"
                )
            if kind == "dns-01":
                digest = (
                    base64.urlsafe_b64encode(hashlib.sha256(expected.encode()).digest()).decode().rstrip("=")
                )
                return (
                    "" if self.txt.get(f"_acme-challenge.{name}") == digest else "the TXT record is not there"
                )
            return self._prove_alpn(name, expected)
        except (OSError, http.client.HTTPException) as failure:
            return f"{name}: {failure}"

    def _prove_alpn(self, name: str, expected: str) -> str:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["acme-tls/1"])
        raw = socket.create_connection(("127.0.0.1", self.tls_port), 5)
        with raw, context.wrap_socket(raw, server_hostname=name) as tls:
            if tls.selected_alpn_protocol() != "acme-tls/1":
                return "acme-tls/1 was not agreed on"
            der = tls.getpeercert(binary_form=True)
        assert der is not None
        certificate = x509.load_der_x509_certificate(der)
        found = certificate.extensions.get_extension_for_oid(ALPN_OID)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if not found.critical or names.get_values_for_type(x509.DNSName) != [name]:
            return "the certificate is not for that name alone, or its proof is not critical"
        wanted = b"\x04\x20" + hashlib.sha256(expected.encode()).digest()
        value = found.value.value  # type: ignore[attr-defined]
        return "" if value == wanted else "the certificate proves something else"
