"""Passkeys (W3C WebAuthn Level 3): what a browser is asked, and whether its answer is good.

User verification is always asked for and always insisted on. What is asked waits in the store and is answered once.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from gatepost.access import tokens
from gatepost.office.office import Impossible, Office
from gatepost.office.sessions import SignInRefused, fresh
from gatepost.store import signins
from gatepost.store.accounts import Account, Passkey
from gatepost.store.database import Connection

CHALLENGE_OCTETS = 32
ANSWER_LONGEST = 32_768
"""Characters of a browser's answer."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """What passkeys are registered with: us, by the address people open the console at."""

    origin: str
    """Such as ``https://mail.example.net``, without a path."""
    name: str = "Gatepost"

    @property
    def id(self) -> str:
        """The RP ID: the origin's host."""
        return urlsplit(self.origin).hostname or ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a browser is asked."""

    flow: str = field(repr=False)
    """Comes back with the answer."""
    options: str
    """JSON for ``PublicKeyCredential.parse…OptionsFromJSON``."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A passkey that a browser made."""

    credential: bytes
    public_key: bytes
    uses: int
    synced: bool


async def ask_to_register(
    office: Office, party: RelyingParty, account: Account, known: list[Passkey], network: str
) -> Asked:
    """Make a passkey for this account."""
    challenge, flow = office.random(CHALLENGE_OCTETS), fresh(office)
    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_name=account.login,
        user_id=account.handle,
        user_display_name=account.name or account.login,
        challenge=challenge,
        timeout=int(office.access.challenge_s * 1000),
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one.credential) for one in known],
    )
    await wait_for(office, flow, kind="register", account=account.id, network=network, value=challenge)
    return Asked(flow, webauthn.options_to_json(options))


async def ask_to_sign_in(
    office: Office, party: RelyingParty, network: str, *, account: int = 0, known: list[Passkey] | None = None
) -> Asked:
    """Prove a passkey: whoever's (the same is asked of everybody), or one of this account's."""
    challenge, flow = office.random(CHALLENGE_OCTETS), fresh(office)
    options = webauthn.generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=int(office.access.challenge_s * 1000),
        allow_credentials=[PublicKeyCredentialDescriptor(id=one.credential) for one in known or ()],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    kind = "prove" if account else "sign-in"
    await wait_for(office, flow, kind=kind, account=account, network=network, value=challenge)
    return Asked(flow, webauthn.options_to_json(options))


def registered(party: RelyingParty, answer: str, challenge: bytes) -> Registered:
    """The passkey in a browser's answer. Raises Impossible with one sentence for whatever is wrong with it."""
    try:
        if read(answer).framed:
            raise ValueError("made in a frame")
        verified = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - whatever a hostile answer makes the library raise
        raise Impossible(
            "The browser's answer does not hold: begin again, and unlock the passkey with a PIN, finger or face."
        ) from None
    return Registered(
        verified.credential_id,
        verified.credential_public_key,
        verified.sign_count,
        verified.credential_backed_up,
    )


def uses_after(party: RelyingParty, answer: str, challenge: bytes, passkey: Passkey) -> int:
    """The authenticator's count after this proof. Raises SignInRefused when it proves nothing."""
    try:
        if read(answer).framed:
            raise ValueError("made in a frame")
        verified = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.uses,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - whatever a hostile answer makes the library raise
        raise SignInRefused(NOT_PROVED) from None
    return verified.new_sign_count


NOT_PROVED = "This passkey does not sign in here. Try again, or use another one."


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says of itself."""

    credential: bytes
    handle: bytes
    """The user handle; empty: none is given."""
    framed: bool
    """Made inside another site's frame: never taken, which the library leaves to us."""


def read(answer: str) -> Answer:
    """What an answer says of itself. Raises ValueError when it is none."""
    if len(answer) > ANSWER_LONGEST:
        raise ValueError("too long")
    try:
        told = json.loads(answer)
        response = told["response"]
        client = json.loads(_octets(response["clientDataJSON"]))
        framed = bool(client.get("crossOrigin")) or "topOrigin" in client
        return Answer(_octets(told["rawId"]), _octets(response.get("userHandle") or ""), framed)
    except (KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise ValueError("not an answer") from fault


async def wait_for(office: Office, flow: str, *, kind: str, account: int, network: str, value: bytes) -> None:
    """Keep what an answer is expected to, until `take`."""
    now = office.clock()

    def work(connection: Connection) -> None:
        signins.challenge(
            connection, tokens.digest(flow), kind=kind, account=account, network=network, value=value, now=now,
            expires_at=now + office.access.challenge_s,
        )  # fmt: skip

    await office.store.database.commit(work)


async def take(office: Office, flow: str, *, kind: str, account: int) -> bytes | None:
    """What was kept for this flow and account, once: None when there is nothing, or not any more."""

    def work(connection: Connection) -> bytes | None:
        found = signins.take_challenge(connection, tokens.digest(flow), kind=kind, now=office.clock())
        return found.value if found is not None and found.account == account else None

    return await office.store.database.commit(work)


def _octets(text: Any) -> bytes:
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("not base64url")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
