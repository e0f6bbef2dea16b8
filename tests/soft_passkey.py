"""An authenticator in software: makes passkeys and proves them, as a browser would say it (W3C WebAuthn Level 3)."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec


def b64(octets: bytes) -> str:
    return urlsafe_b64encode(octets).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class SoftPasskey:
    """One credential. `verifies`: the person unlocks it; `counts`: it counts its uses."""

    origin: str
    verifies: bool = True
    counts: bool = True
    credential: bytes = field(default_factory=lambda: os.urandom(32))
    uses: int = 0
    handle: bytes = b""
    cross_origin: bool = False

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    def register(self, options: str, **changed: Any) -> str:
        """The answer to creation options, as JSON."""
        asked = json.loads(options)
        self.handle = unb64(asked["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        credential = (
            bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + cbor2.dumps(public)
        )
        data = self._data(asked["rp"]["id"], 0x40) + credential
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": b64(self._client("webauthn.create", asked["challenge"], changed)),
            "attestationObject": b64(attestation),
        }
        return self._answer(response)

    def prove(self, options: str, **changed: Any) -> str:
        """The answer to request options, as JSON; `changed` alters what the browser says it is about."""
        asked = json.loads(options)
        if self.counts:
            self.uses += 1
        data = self._data(asked["rpId"], 0)
        client = self._client("webauthn.get", asked["challenge"], changed)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": b64(client),
            "authenticatorData": b64(data),
            "signature": b64(signature),
            "userHandle": b64(self.handle),
        }
        return self._answer(response)

    def _data(self, rp: str, flags: int) -> bytes:
        flags |= 0x01 | (0x04 if self.verifies else 0)
        return hashlib.sha256(rp.encode()).digest() + bytes([flags]) + self.uses.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str, changed: dict[str, Any]) -> bytes:
        told = {
            "type": kind,
            "challenge": challenge,
            "origin": self.origin,
            "crossOrigin": self.cross_origin,
        }
        return json.dumps(told | changed).encode()

    def _answer(self, response: dict[str, str]) -> str:
        name = b64(self.credential)
        return json.dumps(
            {
                "id": name,
                "rawId": name,
                "type": "public-key",
                "response": response,
                "clientExtensionResults": {},
                "authenticatorAttachment": "platform",
            }
        )
